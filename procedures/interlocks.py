"""Interlocks: what ends a run, or pauses it, by itself; each a condition, an action and what to do about it.

They are looked at with every block of photons that is fetched. `docs/reliability.md` has their table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from ..instruments.base import InstrumentError
from ..instruments.potentiostat import OpenCircuit
from ..instruments.pulse_shaper import NotSettledError

if TYPE_CHECKING:
    from ..instruments.potentiostat import PotentiostatRecord
    from .photon_procedure import PhotonProcedure
    from .rig_procedure import RigProcedure

SURE_SIGMAS, SURE_COUNTS = 6.0, 20.0
"""A block surely tells a rate above a limit with so many standard deviations and counts more."""
OVERLOAD_FRACTION = 0.01
"""A spike at a step of the potential is no overload; more of a record than this is one."""
POTENTIAL_ERROR_V = 0.01
"""The potentiostat's record may leave the window by so much: quantisation and its own accuracy."""
STAGE_EVERY_S = 1.0
"""The stage is asked so often, and must be off its target twice in a row."""


class Action(Enum):
    """What an interlock does; the values stand in the message and in the documentation."""

    PAUSE = "the run pauses at its next checkpoint until this clears"
    END = "the run was ended"
    LOCK = "the laser was locked"


@dataclass(frozen=True)
class Interlock:
    """One interlock of a procedure."""

    name: str
    tripped: Callable[[Any], str]
    """What is wrong, given the procedure; an empty text while all is well."""
    action: Action
    advice: str = ""
    """What a person should do, where the condition does not tell."""
    error: type[Exception] | None = None
    """An error by which a driver tells the same; the run then ends as by the interlock."""

    def sentence(self, told: str) -> str:
        """The whole message."""
        return f"{told}; {self.action.value}{self.advice and f': {self.advice}'}"


# ---- conditions ----


def too_bright(run: PhotonProcedure) -> str:
    """A detector counted more than its limit in the last block, surely, or over the last second."""
    limit_hz = run.rig.count_rate_limit_hz
    if not math.isfinite(limit_hz) or not len(run.photons.rates_hz):
        return ""
    block = run.photons.block
    expected = limit_hz * block.span_s
    sure = expected + SURE_SIGMAS * math.sqrt(expected) + SURE_COUNTS
    for channel, (count, rate_hz) in enumerate(zip(block.counts, run.photons.rates_hz, strict=True)):
        if count > sure:
            rate_hz = count / block.span_s if block.span_s else math.inf
        if rate_hz > limit_hz:
            return f"detector {channel} counted {rate_hz:.3g} Hz, above its limit of {limit_hz:.3g} Hz"
    return ""


def lost_records(run: PhotonProcedure) -> str:
    """The counter's buffer overran."""
    return str(run.photons.failure) if run.photons.failure and run.rig.counter.flags().fifo_overrun else ""


def lost_sync(run: PhotonProcedure) -> str:
    """The laser's pulses no longer arrive at the counter."""
    return str(run.photons.failure) if run.photons.failure and run.rig.counter.flags().sync_lost else ""


def outside_window(run: PhotonProcedure) -> str:
    """The potentiostat's last records tell potentials that this electrode does not stand."""
    low_v, high_v = run.rig.potentiostat.potential_limits_v if run.new_records else (0.0, 0.0)
    for record in run.new_records:
        recorded_v = record.potential_v[np.isfinite(record.potential_v)]
        if isinstance(record.technique, OpenCircuit) or not len(recorded_v):
            continue
        for potential_v in (float(recorded_v.min()), float(recorded_v.max())):
            if not low_v - POTENTIAL_ERROR_V <= potential_v <= high_v + POTENTIAL_ERROR_V:
                return f"the potentiostat recorded {potential_v:+.3f} V, outside {low_v:g} to {high_v:g} V"
    return ""


def overloaded(records: list[PotentiostatRecord]) -> str:
    """The current was clipped in more than a hundredth of a record; asked before the next program starts."""
    for record in records:
        fraction = float(record.overload.mean()) if len(record.overload) else 0.0
        if fraction > OVERLOAD_FRACTION:
            return f"the current left the potentiostat's range in {100 * fraction:.0f} % of the last program"
    return ""


def off_target(run: PhotonProcedure) -> str:
    """The stage stands, but not where it was told to."""
    if "stage" not in run.rig.station.tables or run.rig.clock.now() - run.stage_asked_s < STAGE_EVERY_S:
        return run.stage_told
    run.stage_asked_s = run.rig.clock.now()
    stage = run.rig.stage
    try:
        told = "" if stage.on_target else f"{stage.name} does not hold its target"
    except InstrumentError as error:
        told = str(error)
    run.stage_told = told if told and run.stage_was_off else ""
    run.stage_was_off = bool(told)
    return run.stage_told


def not_settled(run: RigProcedure) -> str:
    """The shaper does not pass what it was told to."""
    if "shaper" not in run.rig.station.tables or run.rig.shaper.settled:
        return ""
    return f"{run.rig.shaper.name} has not settled"


# ---- what procedures watch ----

SHAPER = Interlock(
    "shaper not settled", not_settled, Action.END, "look at its screen or program", error=NotSettledError
)
PHOTONS = (
    Interlock("count rate", too_bright, Action.LOCK, "reduce its intensity"),
    Interlock("FiFo overrun", lost_records, Action.LOCK),
    Interlock("sync lost", lost_sync, Action.LOCK),
    Interlock("potential", outside_window, Action.LOCK, "look at the reference electrode and the leads"),
)
"""What every photon procedure watches."""
STAGE = Interlock("stage off target", off_target, Action.PAUSE, "see whether something touches the stage")
"""Looked at while a dot stays in focus; during scans the driver compares the path itself."""
OVERLOAD = Interlock(
    "current overload",
    lambda run: overloaded(run.potentiostat_records),
    Action.END,
    "choose a larger sensitivity_a_v (A/V)",
)
"""Looked at before a further potentiostat program is started, since the record comes with a program's end."""
