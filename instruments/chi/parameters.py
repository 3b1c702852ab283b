"""What the CHI program accepts: the parameters of each technique, every number inside the 700C's range.

Ranges are those of the vendor's parameter pages for the 700C series and of its macro list; where the two
differ the narrower one is taken, so that no version of the program answers with a warning window.
"""

from __future__ import annotations

import math

from ..base import Limits, OutOfRangeError
from ..potentiostat import CyclicVoltammetry, Hold, LinearSweep, OpenCircuit, PotentialSteps, Technique

POTENTIAL_V = Limits(-10.0, 10.0)
SPAN_V = Limits(0.01, 13.1)
SCAN_RATE_V_S = Limits(1e-6, 1e4)
SENSITIVITIES_A_V = tuple(float(f"1e{n}") for n in range(-12, 0))
MAX_LEVELS = 12
MIN_STEP_S = 1e-3
"""Shorter levels of a step sequence are ignored by the program."""

_QUIET_S = Limits(0.0, 1e5)
_SEGMENTS = Limits(1, 10_000)
RANGES: dict[str, dict[str, Limits]] = {
    "cv": {
        "ei": POTENTIAL_V,
        "eh": POTENTIAL_V,
        "el": POTENTIAL_V,
        "v": SCAN_RATE_V_S,
        "cl": _SEGMENTS,
        "si": Limits(0.001, 0.064),
        "qt": _QUIET_S,
    },
    "lsv": {
        "ei": POTENTIAL_V,
        "ef": POTENTIAL_V,
        "v": SCAN_RATE_V_S,
        "si": Limits(0.001, 0.064),
        "qt": _QUIET_S,
    },
    "i-t": {"ei": POTENTIAL_V, "si": Limits(2e-6, 50.0), "st": Limits(0.001, 5e5), "qt": _QUIET_S},
    "step": {
        "ei": POTENTIAL_V,
        **{f"es{k}": POTENTIAL_V for k in range(1, MAX_LEVELS + 1)},
        **{f"st{k}": Limits(MIN_STEP_S, 1e4) for k in range(1, MAX_LEVELS + 1)},
        "cl": _SEGMENTS,
        "si": Limits(1e-4, 1.0),
        "qt": _QUIET_S,
    },
    "ocpt": {"st": Limits(1.0, 5e5), "si": Limits(0.0025, 50.0), "eh": POTENTIAL_V, "el": POTENTIAL_V},
}
"""Technique -> command -> closed range of its value; sensitivities are decades, see SENSITIVITIES_A_V."""

_NEEDED_INTERVAL_V = ((1000.0, 0.001), (2000.0, 0.002), (5000.0, 0.005), (math.inf, 0.010))
"""(below this scan rate in V/s, at least this sample interval in V)."""

Values = dict[str, float | int | str]


def parameters(technique: Technique) -> tuple[str, Values]:
    """The program's name of a technique and its parameters, checked against the ranges.

    Raises OutOfRangeError, which names the parameter and its range.
    """
    name, values = _parameters(technique)
    for command, value in values.items():
        if command in RANGES[name] and not isinstance(value, str):
            RANGES[name][command].check(value, f"{type(technique).__name__}: {command}")
    if "sens" in values and values["sens"] not in SENSITIVITIES_A_V:
        raise OutOfRangeError(
            f"{type(technique).__name__}: sensitivity_a_v = {values['sens']!r} must be a decade "
            "from 1e-12 to 0.1 A/V"
        )
    return name, values


def _parameters(technique: Technique) -> tuple[str, Values]:
    match technique:
        case CyclicVoltammetry(initial_v=initial_v, vertex_v=vertex_v):
            _check_sweep(technique, initial_v, vertex_v)
            return "cv", {
                "ei": initial_v,
                "eh": max(initial_v, vertex_v),
                "el": min(initial_v, vertex_v),
                "pn": "p" if vertex_v > initial_v else "n",
                "v": technique.scan_rate_v_s,
                "cl": 2 * technique.cycles,
                "si": technique.sample_interval_v,
                "qt": technique.quiet_s,
                "sens": technique.sensitivity_a_v,
            }
        case LinearSweep(initial_v=initial_v, final_v=final_v):
            _check_sweep(technique, initial_v, final_v)
            return "lsv", {
                "ei": initial_v,
                "ef": final_v,
                "v": technique.scan_rate_v_s,
                "si": technique.sample_interval_v,
                "qt": technique.quiet_s,
                "sens": technique.sensitivity_a_v,
            }
        case Hold():
            return "i-t", {
                "ei": technique.potential_v,
                "si": technique.sample_interval_s,
                "st": technique.hold_s,
                "qt": technique.quiet_s,
                "sens": technique.sensitivity_a_v,
            }
        case PotentialSteps(levels=levels):
            _check_levels(technique)
            values: Values = {"ei": levels[0][0]}
            for k, (potential_v, duration_s) in enumerate(levels, start=1):
                values |= {f"es{k}": potential_v, f"st{k}": duration_s}
            return "step", values | {
                "cl": technique.cycles,
                "si": technique.sample_interval_s,
                "qt": technique.quiet_s,
                "sens": technique.sensitivity_a_v,
            }
        case OpenCircuit():
            limits = {"eh": POTENTIAL_V.upper, "el": POTENTIAL_V.lower}
            return "ocpt", {"st": technique.watch_s, "si": technique.sample_interval_s, **limits}


def _check_sweep(technique: CyclicVoltammetry | LinearSweep, from_v: float, to_v: float) -> None:
    kind = type(technique).__name__
    SPAN_V.check(round(abs(to_v - from_v), 9), f"{kind}: span (V)")
    rate = SCAN_RATE_V_S.check(technique.scan_rate_v_s, f"{kind}: scan_rate_v_s")
    needed_v = next(interval_v for below, interval_v in _NEEDED_INTERVAL_V if rate < below)
    if technique.sample_interval_v < needed_v:
        raise OutOfRangeError(
            f"{kind}: sample_interval_v = {technique.sample_interval_v!r} must be at least {needed_v} V "
            f"at {rate:g} V/s"
        )


def _check_levels(technique: PotentialSteps) -> None:
    Limits(1, MAX_LEVELS).check(len(technique.levels), "PotentialSteps: number of levels")
    potentials_v = [potential_v for potential_v, _ in technique.levels]
    Limits(0.0, SPAN_V.upper).check(max(potentials_v) - min(potentials_v), "PotentialSteps: span (V)")
