"""The techniques of the emulated program: ranges, silent readjustments, and the plan that they make.

Ranges and rules: the vendor's 700C help pages and public recordings (docs/chi760c.md). Values of a new
technique (`defaults`) are ours: the vendor's are not public.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Value = float | str | bool
Values = Mapping[str, Value]

_MEMORY_POINTS = 65_536
"""Points that the instrument itself can hold; fast runs have to fit."""
_MAX_SPAN_V = 13.1
_MIN_SPAN_V = 0.01
_MIDPOINT_LABELS_FROM_V = 0.0099
"""From this sample interval on, rows are labelled with the middle of their interval (10 mV seen)."""


@dataclass(frozen=True)
class Setting:
    """The range of one parameter."""

    lower: float
    upper: float
    whole: bool = False
    decades: bool = False

    def allows(self, value: float) -> bool:
        """True when the program takes this value."""
        if not self.lower * (1 - 1e-9 * math.copysign(1, self.lower)) <= value <= self.upper * (1 + 1e-9):
            return False
        if self.decades:
            return math.isclose(math.log10(value), round(math.log10(value)), abs_tol=1e-6)
        return not self.whole or value == int(value)


@dataclass(frozen=True)
class DataLimits:
    """How many points the installed program can take in."""

    data_length: int = 131_072
    fast_link: bool = False

    def points(self, fast: bool) -> int:
        """The limit for a run; `fast` ones must fit into the instrument."""
        return _MEMORY_POINTS if fast else self.data_length


@dataclass(frozen=True)
class Piece:
    """A straight line of potential, `samples` rows long."""

    start_v: float
    end_v: float
    samples: int


@dataclass(frozen=True)
class Plan:
    """A run as the program will carry it out, after its readjustments."""

    technique: str
    long_name: str
    parameters: tuple[tuple[str, Value], ...]
    """Lines of the result's parameter block: key with unit, value."""
    pieces: tuple[Piece, ...]
    sample_s: float
    interval_v: float = 0.0
    """Sample interval of voltammetry; 0 for techniques against time."""
    first_stored: int = 0
    """Index of the first piece whose rows are kept."""
    initial_v: float = 0.0
    quiet_s: float = 0.0
    sensitivity_a_v: float = 1e-6

    @property
    def open_circuit(self) -> bool:
        """True when the potential is measured and no current flows."""
        return self.technique == "ocpt"

    @property
    def samples(self) -> int:
        """Rows of the whole run, those not kept included."""
        return sum(piece.samples for piece in self.pieces)

    @property
    def skipped(self) -> int:
        """Rows that are run but not kept."""
        return sum(piece.samples for piece in self.pieces[: self.first_stored])

    def times_s(self) -> NDArray[np.float64]:
        """End of each row's interval, counted from the end of the quiet time."""
        return np.arange(1.0, self.samples + 1) * self.sample_s

    def labels_v(self) -> NDArray[np.float64]:
        """Potential that each row of voltammetry is labelled with."""
        middle = 0.5 if self.interval_v >= _MIDPOINT_LABELS_FROM_V else 0.0
        return np.concatenate(
            [
                p.start_v + np.sign(p.end_v - p.start_v) * self.interval_v * (np.arange(p.samples) + middle)
                for p in self.pieces
            ]
        )


@dataclass(frozen=True)
class Recipe:
    """One technique: what it takes, what it refuses, and the plan that it makes."""

    settings: Mapping[str, Setting]
    defaults: Values
    fault: Callable[[Values], str]
    """What is wrong with a set of values taken together, or an empty text."""
    plan: Callable[[Values, DataLimits], Plan]


def _number(values: Values, name: str) -> float:
    value = values[name]
    assert isinstance(value, int | float)
    return float(value)


def _numbers(values: Values, names: str) -> list[float]:
    return [_number(values, name) for name in names.split()]


def _span_fault(potentials_v: list[float], least_v: float) -> str:
    span_v = max(potentials_v) - min(potentials_v)
    if span_v < least_v - 1e-9:
        return f"the potential limits are less than {least_v} V apart"
    return f"the potential span exceeds {_MAX_SPAN_V} V" if span_v > _MAX_SPAN_V + 1e-9 else ""


def _sweep_interval_v(interval_v: float, rate_v_s: float) -> float:
    """The sample interval that the scan rate allows at least."""
    for limit_v_s, least_v in ((1000, 0.001), (2000, 0.002), (5000, 0.005)):
        if rate_v_s < limit_v_s:
            return max(interval_v, least_v)
    return max(interval_v, 0.010)


def _rows(corners_v: list[float], interval_v: float) -> list[int]:
    return [round(abs(b - a) / interval_v) for a, b in itertools.pairwise(corners_v)]


def _fitted_interval_v(corners_v: list[float], interval_v: float, limit: int) -> float:
    """Raise the interval in steps of 1 mV, up to 20 mV, until the rows fit."""
    while sum(_rows(corners_v, interval_v)) > limit and interval_v < 0.02 - 1e-9:
        interval_v = min(0.02, math.floor(interval_v * 1000 + 1 + 1e-6) / 1000)
    return interval_v


def _pieces(corners_v: list[float], interval_v: float) -> tuple[Piece, ...]:
    rows = _rows(corners_v, interval_v)
    return tuple(Piece(a, b, n) for (a, b), n in zip(itertools.pairwise(corners_v), rows, strict=True))


# ---- CV ----


def _cv_fault(values: Values) -> str:
    ei, eh, el = _numbers(values, "ei eh el")
    every_v = [ei, eh, el] + ([_number(values, "ef")] if values["efon"] else [])
    return _span_fault([eh, el], _MIN_SPAN_V) or _span_fault(every_v, 0.0)


def _cv_plan(values: Values, limits: DataLimits) -> Plan:
    ei, eh, el, ef, rate, si = _numbers(values, "ei eh el ef v si")
    high, low = max(ei, eh, el), min(ei, eh, el)
    upward = ei < high and (values["pn"] == "p" or ei <= low)
    count = round(_number(values, "cl"))
    turns = (high, low) if upward else (low, high)
    corners = [ei, *(turns[k % 2] for k in range(count))]
    if values["efon"]:
        corners[-1] = ef
    limit = limits.points(fast=rate > (3.0 if limits.fast_link else 0.5))
    interval = _fitted_interval_v(corners, _sweep_interval_v(si, rate), limit)
    pieces = _pieces(corners, interval)
    first = 0
    while sum(p.samples for p in pieces[first:]) > limit:
        first += 1
    quiet, sens = _numbers(values, "qt sens")
    parameters = (
        ("Init E (V)", ei), ("High E (V)", high), ("Low E (V)", low),
        *((("Final E (V)", ef),) if values["efon"] else ()),
        ("Init P/N", "P" if upward else "N"), ("Scan Rate (V/s)", rate), ("Segment", count),
        ("Sample Interval (V)", interval), ("Quiet Time (sec)", quiet), ("Sensitivity (A/V)", sens),
    )  # fmt: skip
    return Plan(
        "cv", "Cyclic Voltammetry", parameters, pieces, interval / rate, interval, first, ei, quiet, sens
    )


# ---- LSV ----


def _lsv_fault(values: Values) -> str:
    return _span_fault(_numbers(values, "ei ef"), _MIN_SPAN_V)


def _lsv_plan(values: Values, limits: DataLimits) -> Plan:
    ei, ef, rate, si, quiet, sens = _numbers(values, "ei ef v si qt sens")
    limit = limits.points(fast=rate > (3.0 if limits.fast_link else 0.5))
    interval = _fitted_interval_v([ei, ef], _sweep_interval_v(si, rate), limit)
    parameters = (
        ("Init E (V)", ei), ("Final E (V)", ef), ("Scan Rate (V/s)", rate), ("Sample Interval (V)", interval),
        ("Quiet Time (sec)", quiet), ("Sensitivity (A/V)", sens),
    )  # fmt: skip
    pieces = _pieces([ei, ef], interval)
    return Plan(
        "lsv", "Linear Sweep Voltammetry", parameters, pieces, interval / rate, interval, 0, ei, quiet, sens
    )


# ---- techniques against time ----


def _fast(interval_s: float, limits: DataLimits) -> bool:
    return interval_s <= (0.0005 if limits.fast_link else 0.002)


def _ca_plan(values: Values, limits: DataLimits) -> Plan:
    ei, eh, el, width, si, quiet, sens = _numbers(values, "ei eh el pw si qt sens")
    high, low, steps = max(eh, el), min(eh, el), round(_number(values, "cl"))
    upward = values["pn"] == "p"
    interval = min(si, width / 100)
    room = limits.points(True) // (steps if _fast(interval, limits) else 1)
    interval = max(interval, width / room)
    levels = (high, low) if upward else (low, high)
    rows = round(width / interval)
    pieces = tuple(Piece(levels[k % 2], levels[k % 2], rows) for k in range(steps))
    parameters = (
        ("Init E (V)", ei), ("High E (V)", high), ("Low E (V)", low), ("Init P/N", "P" if upward else "N"),
        ("Step", steps), ("Pulse Width (sec)", width), ("Sample Interval (s)", interval),
        ("Quiet Time (sec)", quiet), ("Sensitivity (A/V)", sens),
    )  # fmt: skip
    return Plan(
        "ca", "Chronoamperometry", parameters, pieces, interval,
        initial_v=ei, quiet_s=quiet, sensitivity_a_v=sens,
    )  # fmt: skip


def _ca_fault(values: Values) -> str:
    return _span_fault(_numbers(values, "ei eh el"), 0.0)


def _doubled_s(duration_s: float, interval_s: float, limits: DataLimits) -> float:
    """The storage interval, doubled as often as the run outgrows the memory."""
    limit = limits.points(_fast(interval_s, limits))
    while round(duration_s / interval_s) > limit:
        interval_s *= 2
    return interval_s


def _too_short(values: Values) -> str:
    return "" if _number(values, "st") >= _number(values, "si") else "the run is shorter than its interval"


def _it_plan(values: Values, limits: DataLimits) -> Plan:
    ei, si, duration, quiet, sens = _numbers(values, "ei si st qt sens")
    interval = _doubled_s(duration, si, limits)
    parameters = (
        ("Init E (V)", ei), ("Sample Interval (s)", si), ("Run Time (sec)", duration),
        ("Quiet Time (sec)", quiet), ("Sensitivity (A/V)", sens),
    )  # fmt: skip
    pieces = (Piece(ei, ei, round(duration / interval)),)
    return Plan(
        "i-t", "Amperometric i-t Curve", parameters, pieces, interval,
        initial_v=ei, quiet_s=quiet, sensitivity_a_v=sens,
    )  # fmt: skip


def _ocpt_plan(values: Values, limits: DataLimits) -> Plan:
    si, duration = _numbers(values, "si st")
    interval = _doubled_s(duration, si, limits)
    parameters = (("Sample Interval (V)", si), ("Run Time (sec)", duration))  # the vendor's own unit
    pieces = (Piece(0.0, 0.0, max(1, round(duration / interval) - 1)),)  # one row is always lost
    return Plan("ocpt", "Open Circuit Potential - Time", parameters, pieces, interval)


def _levels(values: Values) -> list[tuple[float, float]]:
    pairs = [_numbers(values, f"es{k} st{k}") for k in range(1, 13)]
    shortest_s = max(0.001, _number(values, "si"))
    return [(level, duration) for level, duration in pairs if duration >= shortest_s]


def _step_fault(values: Values) -> str:
    levels = _levels(values)
    if not levels:
        return "no step is as long as the sample interval"
    return _span_fault([_number(values, "ei"), *(level for level, _ in levels)], 0.0)


def _step_plan(values: Values, limits: DataLimits) -> Plan:
    ei, si, quiet, sens = _numbers(values, "ei si qt sens")
    levels, cycles = _levels(values), round(_number(values, "cl"))
    total_s = cycles * sum(duration for _, duration in levels)
    interval = max(si, total_s / limits.points(_fast(si, limits)))
    once = tuple(Piece(level, level, round(duration / interval)) for level, duration in levels)
    lines = [
        line
        for k, (level, duration) in enumerate(levels, start=1)
        for line in ((f"E{k} (V)", level), (f"T{k} (s)", duration))
    ]
    parameters = (
        *lines, ("Cycle", cycles), ("Sample Interval (s)", interval),
        ("Quiet Time (sec)", quiet), ("Sensitivity (A/V)", sens),
    )  # fmt: skip
    return Plan(
        "step", "Multi-Potential Steps", parameters, once * cycles, interval,
        initial_v=ei, quiet_s=quiet, sensitivity_a_v=sens,
    )  # fmt: skip


_SWEEP_SI = Setting(0.001, 0.064)
_COMMON: dict[str, Value] = {"ei": 0.0, "qt": 2.0, "sens": 1e-6}

RECIPES: dict[str, Recipe] = {
    "cv": Recipe(
        {"v": Setting(1e-6, 10_000.0), "cl": Setting(1, 10_000, whole=True), "si": _SWEEP_SI},
        {**_COMMON, "eh": 0.5, "el": 0.0, "ef": 0.0, "efon": False, "pn": "p", "v": 0.1, "cl": 2,
         "si": 0.001},
        _cv_fault, _cv_plan,
    ),
    "lsv": Recipe(
        {"v": Setting(1e-6, 20_000.0), "si": _SWEEP_SI},
        {**_COMMON, "ef": 0.5, "v": 0.1, "si": 0.001},
        _lsv_fault, _lsv_plan,
    ),
    "ca": Recipe(
        {"cl": Setting(1, 320, whole=True), "pw": Setting(1e-4, 1000.0), "si": Setting(2e-6, 10.0)},
        {**_COMMON, "eh": 0.5, "el": 0.0, "pn": "p", "cl": 2, "pw": 0.25, "si": 0.00025},
        _ca_fault, _ca_plan,
    ),
    "i-t": Recipe(
        {"si": Setting(2e-6, 50.0), "st": Setting(0.001, 500_000.0)},
        {**_COMMON, "si": 0.1, "st": 400.0},
        _too_short, _it_plan,
    ),
    "step": Recipe(
        {"si": Setting(1e-4, 1.0), "cl": Setting(1, 10_000, whole=True)},
        {**_COMMON, "si": 0.01, "cl": 1, **{f"{k}{n}": 0.0 for n in range(1, 13) for k in ("es", "st")}},
        _step_fault, _step_plan,
    ),
    "ocpt": Recipe(
        {"si": Setting(0.0025, 50.0), "st": Setting(1.0, 500_000.0)},
        {"si": 0.1, "st": 400.0, "ei": 0.0, "eh": 10.0, "el": -10.0},
        _too_short, _ocpt_plan,
    ),
}  # fmt: skip
"""The techniques that the emulator has, by their macro names."""
