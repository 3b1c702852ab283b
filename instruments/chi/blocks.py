"""A program cut into runs that fit the instrument's memory, and the potential each run applies.

The CHI program never refuses a run that is too long: it raises the sample interval or drops the first
segments without a word. So rows are counted here first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..base import Limits, OutOfRangeError
from ..potentiostat import CyclicVoltammetry, Hold, LinearSweep, OpenCircuit, PotentialSteps, Technique
from .parameters import MIN_STEP_S, parameters

MEMORY_POINTS = 64_000
"""Points in the instrument's own memory ("64 K", counted in thousands to be safe)."""
LIVE_SCAN_RATE_V_S = 0.5
"""Sweeps up to this rate are transferred as they go on (slow COM setting), faster ones afterwards."""
LIVE_INTERVAL_S = 0.002
"""Time techniques with a longer interval are transferred as they go on (slow COM setting)."""
MAX_SEGMENTS = 10_000


@dataclass(frozen=True)
class PlannedRun:
    """One `run` of the macro: a technique, or a block of its cycles."""

    name: str
    """Name of its result files, without ending."""
    header: str
    """Text of the result's "Header:" line."""
    part: Technique
    """What this run does: the technique asked for, with the cycles of this block."""
    technique_index: int
    """Place of the technique asked for in the program."""
    first_cycle: int
    rows: int

    @property
    def quiet_s(self) -> float:
        """Seconds at the initial potential before the run."""
        return 0.0 if isinstance(self.part, OpenCircuit) else self.part.quiet_s

    @property
    def duration_s(self) -> float:
        """Seconds from the start of the technique to its end, quiet time included."""
        return self.quiet_s + self.part.duration_s

    @property
    def row_interval_s(self) -> float:
        """Seconds between rows."""
        return self.part.duration_s / self.rows


def plan_runs(program: Sequence[Technique], data_length_points: int) -> list[PlannedRun]:
    """The runs of a program, in order.

    Raises OutOfRangeError for a parameter outside the 700C's ranges, a sample interval that does not divide
    its ramp or step, and a technique (or one of its cycles) that is longer than the point limit.
    """
    if not program:
        raise OutOfRangeError("the program is empty; give at least one technique")
    runs: list[PlannedRun] = []
    for index, technique in enumerate(program):
        first_cycle = 0
        for part in _blocks(technique, data_length_points):
            name = f"r{len(runs) + 1:03d}"
            rows = _rows_per_cycle(part) * _cycles(part)
            header = f"{parameters(part)[0]} {name}"
            runs.append(PlannedRun(name, header, part, index, first_cycle, rows))
            first_cycle += _cycles(part)
    return runs


def _blocks(technique: Technique, data_length_points: int) -> list[Technique]:
    has_cycles = isinstance(technique, CyclicVoltammetry | PotentialSteps)
    parameters(replace(technique, cycles=1) if has_cycles else technique)
    limit, why = _point_limit(technique, data_length_points)
    rows, kind = _rows_per_cycle(technique), type(technique).__name__
    if not isinstance(technique, CyclicVoltammetry | PotentialSteps):
        if rows > limit:
            raise OutOfRangeError(
                f"{kind} needs {rows} points and {why}; choose a longer sample interval or a shorter run"
            )
        return [technique]
    if not isinstance(technique.cycles, int) or technique.cycles < 1:
        raise OutOfRangeError(f"{kind}: cycles = {technique.cycles!r} must be a whole number from 1 on")
    if rows > limit:
        raise OutOfRangeError(
            f"{kind}: one cycle needs {rows} points and {why}; a cycle cannot be cut, "
            "choose a longer sample interval"
        )
    segments = 2 if isinstance(technique, CyclicVoltammetry) else 1
    most = min(limit // rows, MAX_SEGMENTS // segments)
    n_blocks = -(-technique.cycles // most)
    shorter, longer = divmod(technique.cycles, n_blocks)
    sizes = [shorter + 1] * longer + [shorter] * (n_blocks - longer)
    return [replace(technique, cycles=size) for size in sizes]


def _point_limit(technique: Technique, data_length_points: int) -> tuple[int, str]:
    match technique:
        case CyclicVoltammetry() | LinearSweep():
            live = technique.scan_rate_v_s <= LIVE_SCAN_RATE_V_S
            fast = f"above {LIVE_SCAN_RATE_V_S} V/s"
        case _:
            live = technique.sample_interval_s > LIVE_INTERVAL_S
            fast = f"at sample intervals up to {LIVE_INTERVAL_S} s"
    if live:
        return data_length_points, f"the program's data length is {data_length_points}"
    limit = min(MEMORY_POINTS, data_length_points)
    return limit, f"the instrument holds {limit} {fast}"


def _cycles(technique: Technique) -> int:
    return technique.cycles if isinstance(technique, CyclicVoltammetry | PotentialSteps) else 1


def _rows_per_cycle(technique: Technique) -> int:
    kind = type(technique).__name__
    match technique:
        case CyclicVoltammetry():
            span_v = abs(technique.vertex_v - technique.initial_v)
            return 2 * _whole(span_v, technique.sample_interval_v, f"{kind}: span (V)", "sample_interval_v")
        case LinearSweep():
            span_v = abs(technique.final_v - technique.initial_v)
            return _whole(span_v, technique.sample_interval_v, f"{kind}: span (V)", "sample_interval_v")
        case PotentialSteps(sample_interval_s=interval_s):
            what = f"{kind}: duration (s)"
            for _, duration_s in technique.levels:
                Limits(max(MIN_STEP_S, interval_s), 1e4).check(duration_s, what)
            return sum(_whole(d, interval_s, what, "sample_interval_s") for _, d in technique.levels)
        case Hold() | OpenCircuit():
            what = f"{kind}: duration (s)"
            return _whole(technique.duration_s, technique.sample_interval_s, what, "sample_interval_s")


def _whole(extent: float, interval: float, what: str, name: str) -> int:
    """How often `interval` fits into `extent`; where the program would round, it is refused."""
    if not interval > 0:
        raise OutOfRangeError(f"{what}: {name} = {interval!r} must be greater than 0")
    ratio = extent / interval
    if not 1 <= ratio < 1e9 or abs(ratio - round(ratio)) > 1e-6 * ratio:
        raise OutOfRangeError(
            f"{what} = {extent:.9g} is not a whole number of sample intervals ({name} = {interval!r}); "
            "the program would change one of them without a word"
        )
    return round(ratio)


def potential_v(technique: Technique, time_s: ArrayLike) -> NDArray[np.float64]:
    """Potential in volts that `technique` applies at `time_s` after its quiet time; nan at open circuit."""
    time_s = np.asarray(time_s, dtype=np.float64)
    match technique:
        case CyclicVoltammetry(initial_v=initial_v, vertex_v=vertex_v):
            phase = np.mod(time_s / technique.cycle_s, 1.0)
            return initial_v + (vertex_v - initial_v) * (1 - np.abs(1 - 2 * phase))
        case LinearSweep(initial_v=initial_v, final_v=final_v):
            return initial_v + (final_v - initial_v) * np.clip(time_s / technique.duration_s, 0.0, 1.0)
        case Hold():
            return np.full_like(time_s, technique.potential_v)
        case PotentialSteps(levels=levels):
            ends_s = np.cumsum([duration_s for _, duration_s in levels])
            index = np.searchsorted(ends_s, np.mod(time_s, ends_s[-1]), side="right")
            return np.array([v for v, _ in levels])[np.minimum(index, len(levels) - 1)]
        case OpenCircuit():
            return np.full_like(time_s, np.nan)
