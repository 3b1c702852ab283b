"""Limits of a rig between quantities: what no single instrument can know, checked on a run's whole plan.

They stand in the station's [limits] table. A run that goes beyond one is refused unless it is given a
reason, which its run file keeps; the instruments' own limits cannot be overridden.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from ..instruments.potentiostat import (
    CyclicVoltammetry,
    Hold,
    LinearSweep,
    OpenCircuit,
    PotentialSteps,
    Technique,
)
from .config import Table
from .errors import RefusedError

if TYPE_CHECKING:
    from .rig import Rig
    from .rig_procedure import Plan, RigProcedure

SHORTEST_REASON = 10
LEAK_A_CM2, LEAK_AT_V, LEAK_DECADE_V = 50e-6, -2.0, 0.120
"""Current density of ITO reduction, where, and volts per decade of it (docs/models/cell.md)."""


class WindowTable(Table):
    """`[[limits.windows]]`: the potentials that one electrode stands in one electrolyte."""

    electrode: str
    electrolyte: str
    potential_v: tuple[float, float] = Field(description="[lower, upper] in volts")


class LimitsTable(Table):
    """`[limits]`: of this rig, between quantities; each may be left out."""

    electrode: str = Field(default="", description="the working electrode in the cell, such as ITO")
    electrolyte: str = Field(default="", description="the electrolyte in the cell")
    windows: tuple[WindowTable, ...] = ()
    intensity_s: float | None = Field(
        default=None, gt=0, description="laser intensity (0 to 1) times seconds on one spot"
    )
    rate_at_full_intensity_hz: float | None = Field(
        default=None, gt=0, description="what a detector would count of the brightest dot at intensity 1"
    )
    ito_charge_c_cm2: float | None = Field(
        default=None, gt=0, description="reduction charge that the ITO stands, such as 15e-3"
    )
    ito_charge_spent_c_cm2: float = Field(default=0.0, ge=0, description="what earlier runs took of it")


def check_limits(procedure: RigProcedure, rig: Rig, plan: Plan, reason: str | None) -> list[str]:
    """Check a plan against the station's [limits]; returns what it goes beyond for the `reason` given.

    Raises RefusedError naming all of it where there is no reason, or one too short to be one.
    """
    limits = rig.station.file.limits
    exceeded = [] if limits is None else list(_exceeded(limits, procedure, rig, plan))
    if not exceeded or (reason is not None and len(reason.strip()) >= SHORTEST_REASON):
        return exceeded
    asked = "give a reason with --override" if reason is None else f"{reason!r} is no reason"
    raise RefusedError(f"{rig.station.path} [limits]: {'; '.join(exceeded)}; change the plan, or {asked}")


def _exceeded(limits: LimitsTable, procedure: RigProcedure, rig: Rig, plan: Plan) -> Iterator[str]:
    program = procedure.program()
    if program:
        yield from _outside_window(limits, program)
        yield from _too_much_reduction(limits, program)
    if "laser" not in procedure.needs:
        return
    intensity, spot_s = rig.laser_table.intensity, plan.duration_s if plan.spot_s is None else plan.spot_s
    if limits.intensity_s is not None and intensity * spot_s > limits.intensity_s:
        yield (
            f"intensity {intensity:g} for {spot_s:.0f} s on one spot is {intensity * spot_s:.0f} s of full "
            f"light, more than {limits.intensity_s:g} s"
        )
    if limits.rate_at_full_intensity_hz is not None:
        rate_hz = intensity * limits.rate_at_full_intensity_hz
        if rate_hz > rig.count_rate_limit_hz:
            yield (
                f"intensity {intensity:g} may give {rate_hz:.3g} Hz on a detector, more than its limit of "
                f"{rig.count_rate_limit_hz:.3g} Hz"
            )


def _outside_window(limits: LimitsTable, program: Sequence[Technique]) -> Iterator[str]:
    """The potentials of a program that the electrode does not stand in its electrolyte."""
    if not limits.windows:
        return
    cell = limits.electrode, limits.electrolyte
    window = next((w for w in limits.windows if (w.electrode, w.electrolyte) == cell), None)
    if window is None:
        yield f"no [[limits.windows]] is of electrode = {cell[0]!r} in electrolyte = {cell[1]!r}"
        return
    low_v, high_v = window.potential_v
    levels_v = [v for from_v, to_v, _ in _ramps(program) for v in (from_v, to_v)]
    if beyond := [v for v in levels_v if not low_v <= v <= high_v]:
        worst_v = max(beyond, key=lambda v: max(low_v - v, v - high_v))
        yield f"{worst_v:g} V is outside {low_v:g} to {high_v:g} V, what {cell[0]} stands in {cell[1]}"


def _too_much_reduction(limits: LimitsTable, program: Sequence[Technique]) -> Iterator[str]:
    if limits.ito_charge_c_cm2 is None or "ITO" not in limits.electrode.upper():
        return
    charge = reduction_charge_c_cm2(program)
    left = limits.ito_charge_c_cm2 - limits.ito_charge_spent_c_cm2
    if charge > left:
        yield (
            f"the program reduces the ITO by about {1e3 * charge:.2g} mC/cm2, more than the {1e3 * left:.2g} "
            "mC/cm2 that it has left"
        )


def reduction_charge_c_cm2(program: Sequence[Technique]) -> float:
    """Charge per area (C/cm2) of the ITO reduction, by the Tafel law of docs/models/cell.md."""
    return math.fsum(_ramp_charge(*ramp) for ramp in _ramps(program))


def _ramp_charge(from_v: float, to_v: float, duration_s: float) -> float:
    ends = [LEAK_A_CM2 * 10 ** (-(v - LEAK_AT_V) / LEAK_DECADE_V) for v in (from_v, to_v)]
    if abs(from_v - to_v) < 1e-6:
        return ends[0] * duration_s
    per_volt = abs(ends[1] - ends[0]) * LEAK_DECADE_V / math.log(10)
    return per_volt * duration_s / abs(to_v - from_v)


def _ramps(program: Sequence[Technique]) -> Iterator[tuple[float, float, float]]:
    """The straight pieces of a program: potentials at both ends (V) and how long it lasts (s)."""
    for technique in program:
        match technique:
            case CyclicVoltammetry():
                yield technique.initial_v, technique.vertex_v, technique.cycles * technique.cycle_s
            case LinearSweep():
                yield technique.initial_v, technique.final_v, technique.duration_s
            case PotentialSteps():
                for potential_v, level_s in technique.levels:
                    yield potential_v, potential_v, technique.cycles * level_s
            case Hold():
                yield technique.potential_v, technique.potential_v, technique.hold_s
            case OpenCircuit():
                pass
