"""What the shaper makes and what delays pulse 3: a stage of its own, or the shaper as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..instruments.pulse_shaper import PulseTrain
from .errors import RefusedError
from .rig import Rig

MOVE_S = 0.2
"""Of the delay stage to its next place, for estimates."""
Phases = Sequence[float]
"""Of pulses 1, 2 and 3, as a phase cycle lists them."""


class PulseTrains(Protocol):
    """The pulses of one rig at any t1, t2 and phases."""

    move_s: float
    """How long it takes to get from one t2 to the next, besides the shaper's settling."""

    def check(self, t1_fs: float, t2_fs: tuple[float, float]) -> None:
        """Raise RefusedError or OutOfRangeError unless t1 up to `t1_fs` and t2 between the two fit."""
        ...

    def move_to(self, t2_fs: float) -> float:
        """Move what delays pulse 3, where something does; returns the measured t2."""
        ...

    def train(self, t1_fs: float, t2_fs: float, phases_rad: Phases = (0.0, 0.0, 0.0)) -> PulseTrain:
        """What the shaper makes at these delays; before it is shown, `move_to` has gone to t2."""
        ...


@dataclass(frozen=True)
class PairAndStage:
    """Pulses 1 and 2 from the shaper, the later one at zero; pulse 3 behind them over the delay stage.

    It is not asked for the phase of pulse 3, which is what it is.
    """

    rig: Rig
    rotating_frame: float
    carrier_cm: float
    move_s = MOVE_S

    def check(self, t1_fs: float, t2_fs: tuple[float, float]) -> None:
        """Raise OutOfRangeError unless the stage reaches every t2 and the shaper every t1."""
        for t2 in t2_fs:
            self.rig.delay.check(t2)
        for t1 in (0.0, t1_fs):
            self.rig.shaper.check(self.train(t1, 0.0))

    def move_to(self, t2_fs: float) -> float:
        """Move the stage."""
        return self.rig.delay.move_to(t2_fs)

    def train(self, t1_fs: float, t2_fs: float, phases_rad: Phases = (0.0, 0.0, 0.0)) -> PulseTrain:
        """A pair."""
        phases = float(phases_rad[0]), float(phases_rad[1])
        return PulseTrain.pair(t1_fs, phases, rotating_frame=self.rotating_frame, carrier_cm=self.carrier_cm)


@dataclass(frozen=True)
class AllShaped:
    """All three pulses from the shaper, the last one at zero; nothing moves."""

    rig: Rig
    rotating_frame: float
    carrier_cm: float
    move_s = 0.0

    def check(self, t1_fs: float, t2_fs: tuple[float, float]) -> None:
        """Raise RefusedError with the longest t2 that fits behind t1, OutOfRangeError where t1 does not."""
        shaper = self.rig.shaper
        shaper.check(self.train(t1_fs, 0.0))
        before_fs = -shaper.limits_fs.lower
        longest_fs = before_fs - t1_fs
        if max(t2_fs) > longest_fs:
            raise RefusedError(
                f"t1 + t2 comes to {t1_fs + max(t2_fs):g} fs, but the shaper's window has {before_fs:.0f} fs "
                f"before pulse 3: with t1 up to {t1_fs:g} fs the longest t2 that fits is "
                f"{int(longest_fs)} fs; take fewer t2, or a station whose stage delays pulse 3"
            )
        for t2 in t2_fs:
            shaper.check(self.train(0.0, t2))
            shaper.check(self.train(t1_fs, t2))

    def move_to(self, t2_fs: float) -> float:
        """Move nothing: the next train has this t2, exactly."""
        return t2_fs

    def train(self, t1_fs: float, t2_fs: float, phases_rad: Phases = (0.0, 0.0, 0.0)) -> PulseTrain:
        """Three pulses."""
        first, second, third = map(float, phases_rad)
        return PulseTrain.triple(
            t1_fs,
            t2_fs,
            (first, second, third),
            rotating_frame=self.rotating_frame,
            carrier_cm=self.carrier_cm,
        )


def pulse_trains(rig: Rig, rotating_frame: float, carrier_cm: float) -> PulseTrains:
    """Those of the rig's geometry; raises RefusedError where the station has no [interferometer]."""
    kind = AllShaped if rig.interferometer.pulse_3 == "shaper" else PairAndStage
    return kind(rig, rotating_frame, carrier_cm)
