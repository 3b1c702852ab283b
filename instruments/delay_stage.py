"""Optical delay stages: positions on a rail in millimetres, delays of the light in femtoseconds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .base import Device, Limits, OutOfRangeError
from .clock import Clock
from .stage import NotOnTargetError

FS_PER_MM = 1e12 / 299_792_458.0
"""Time in femtoseconds that light in vacuum needs for a millimetre."""

_POLL_S = 0.005
_SETTLING_S = 0.1  # for estimates: ramps, and the servo
_INVERSION_MM = 1e-10


@dataclass(frozen=True)
class DelayScale:
    """How a position on the rail becomes a delay; a longer path of the moved beam is a positive delay.

    delay = fs_per_mm (x - zero_mm) + sum over k of correction_fs[k] (x - zero_mm)**k, with x in millimetres:
    a straight line, and a polynomial that was measured. `calibrated` is the date of that measurement.
    """

    fs_per_mm: float
    zero_mm: float = 0.0
    correction_fs: tuple[float, ...] = ()
    calibrated: str = ""

    @classmethod
    def mirrors(
        cls,
        *,
        zero_mm: float = 0.0,
        sign: int = 1,
        passes: int = 2,
        correction_fs: tuple[float, ...] = (),
        calibrated: str = "",
    ) -> DelayScale:
        """Mirrors on the carriage: the light runs along the rail `passes` times, 2 for a retroreflector.

        `sign` is 1 where a larger position makes the path longer, and -1 where it makes it shorter.
        """
        if sign not in (1, -1) or passes < 1:
            raise ValueError(f"sign = {sign!r}, passes = {passes!r}: need 1 or -1, and at least one pass")
        return cls(sign * passes * FS_PER_MM, zero_mm, correction_fs, calibrated)

    def delay_fs(self, position_mm: float) -> float:
        """The (group) delay at a position, in femtoseconds."""
        x_mm = position_mm - self.zero_mm
        return self.fs_per_mm * x_mm + float(np.polynomial.Polynomial(self.correction_fs or (0.0,))(x_mm))

    def phase_delay_fs(self, position_mm: float) -> float:
        """The delay of the carrier wave at a position, in femtoseconds; in air that is the group delay."""
        return self.delay_fs(position_mm)

    def slope_fs_per_mm(self, position_mm: float) -> float:
        """How fast the delay grows with the position there, in femtoseconds per millimetre."""
        correction = np.polynomial.Polynomial(self.correction_fs or (0.0,)).deriv()
        return self.fs_per_mm + float(correction(position_mm - self.zero_mm))

    def position_mm(self, delay_fs: float) -> float:
        """The position for a delay, in millimetres; raises OutOfRangeError where there is none."""
        position_mm = self.zero_mm + delay_fs / self.fs_per_mm
        for _ in range(30):
            slope = self.slope_fs_per_mm(position_mm)
            step_mm = (self.delay_fs(position_mm) - delay_fs) / slope if slope else np.inf
            position_mm -= step_mm
            if abs(step_mm) < _INVERSION_MM:
                return position_mm
        raise OutOfRangeError(
            f"no position gives a delay of {delay_fs!r} fs: the correction polynomial does not reach that far"
        )

    def check(self, limits_mm: Limits) -> None:
        """Raise ValueError unless each delay belongs to one position within the limits."""
        slopes = [self.slope_fs_per_mm(x_mm) for x_mm in np.linspace(*limits_mm, 1001)]
        if min(slopes) <= 0 <= max(slopes):
            raise ValueError(
                f"the delay turns round within {list(limits_mm)} mm; correct fs_per_mm or the correction"
            )


class DelayStage(Device):
    """One optical delay line; setpoints and readings in femtoseconds.

    `limits_fs` and `limits_mm` are how far it may go on this rig; both hold. With `approach_mm` every target
    is come to from below, by going that much further down first, so that play in the drive does not matter.
    `tolerance_mm` is how far from its target a move may end, `settle_s` how long it rests there before that
    is measured.
    """

    def __init__(
        self,
        *,
        name: str,
        clock: Clock,
        scale: DelayScale,
        limits_fs: Limits,
        limits_mm: Limits,
        approach_mm: float = 0.0,
        tolerance_mm: float = 1e-4,
        settle_s: float = 0.0,
    ) -> None:
        scale.check(limits_mm)
        if not approach_mm >= 0:
            raise ValueError(f"{name}: approach_mm = {approach_mm!r} must not be negative")
        self.name, self._clock = name, clock
        self.scale, self.limits_fs, self.limits_mm = scale, limits_fs, limits_mm
        self.approach_mm, self.tolerance_mm, self.settle_s = approach_mm, tolerance_mm, settle_s

    # ---- where it is ----

    @property
    @abstractmethod
    def position_mm(self) -> float:
        """Measure the position on the rail in millimetres (float)."""

    @property
    def delay_fs(self) -> float:
        """Measure the delay in femtoseconds (float)."""
        return self.scale.delay_fs(self.position_mm)

    @property
    @abstractmethod
    def on_target(self) -> bool:
        """Get whether the stage has settled at its target (bool)."""

    @property
    @abstractmethod
    def velocity_mm_s(self) -> float:
        """Control the speed of moves in millimetres per second (float, greater than 0)."""

    @velocity_mm_s.setter
    @abstractmethod
    def velocity_mm_s(self, value: float) -> None: ...

    # ---- moves ----

    def check(self, delay_fs: float) -> float:
        """The position for a delay, in mm; sends nothing, raises OutOfRangeError beyond the limits."""
        self.limits_fs.check(delay_fs, f"{self.name}: delay_fs")
        what = f"{self.name}: position_mm for a delay of {delay_fs!r} fs"
        return self.limits_mm.check(self.scale.position_mm(delay_fs), what)

    def move_to(self, delay_fs: float, *, timeout_s: float | None = None) -> float:
        """Move, wait until settled, and return the measured delay in femtoseconds.

        Raises OutOfRangeError before anything moves, NotReferencedError when the stage does not know its
        position, and NotOnTargetError when it has not settled in time (by default 5 s more than twice what
        the move should take) or has ended elsewhere.
        """
        target_mm = self.check(delay_fs)
        here_mm = self.position_mm
        if timeout_s is None:
            timeout_s = 5.0 + 2.0 * self._move_s(abs(target_mm - here_mm) + 2 * self.approach_mm)
        below_mm = max(target_mm - self.approach_mm, self.limits_mm.lower)
        if target_mm < here_mm and below_mm < target_mm:
            self._go(below_mm, timeout_s)
        reached_mm = self._go(target_mm, timeout_s)
        return self.scale.delay_fs(reached_mm)

    def move_time_s(self, from_fs: float, to_fs: float) -> float:
        """Estimate how long a move between two delays takes, in seconds."""
        return self._move_s(abs(self.scale.position_mm(to_fs) - self.scale.position_mm(from_fs)))

    @abstractmethod
    def make_safe(self) -> None:
        """Stop all motion. May be called twice, from any thread, and when disconnected."""

    def settings(self) -> dict[str, object]:
        """Scale and limits, as a run file records them."""
        return {
            "fs_per_mm": self.scale.fs_per_mm,
            "zero_mm": self.scale.zero_mm,
            "correction_fs": list(self.scale.correction_fs),
            "calibrated": self.scale.calibrated,
            "limits_fs": list(self.limits_fs),
            "limits_mm": list(self.limits_mm),
            "approach_mm": self.approach_mm,
        }

    # ---- for drivers ----

    @abstractmethod
    def _start_move(self, target_mm: float) -> None:
        """Start to move to a position that was checked."""

    def _wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `done`; False when it was not in time."""
        deadline_s = self._clock.now() + timeout_s
        while not done():
            if self._clock.now() >= deadline_s:
                return False
            self._clock.sleep(_POLL_S)
        return True

    # ---- inside ----

    def _go(self, target_mm: float, timeout_s: float) -> float:
        self._start_move(target_mm)
        if not self._wait(lambda: self.on_target, timeout_s):
            raise NotOnTargetError(
                f"{self.name}: not settled within {timeout_s:.3g} s, at {self.position_mm:.6f} mm instead of "
                f"{target_mm:.6f} mm; see whether something blocks the carriage"
            )
        self._clock.sleep(self.settle_s)
        reached_mm = self.position_mm
        if abs(reached_mm - target_mm) > self.tolerance_mm:
            raise NotOnTargetError(
                f"{self.name}: the move to {target_mm:.6f} mm ended at {reached_mm:.6f} mm; it was stopped "
                "on the way, or the controller's own window is wider than tolerance_mm"
            )
        return reached_mm

    def _move_s(self, distance_mm: float) -> float:
        return distance_mm / self.velocity_mm_s + _SETTLING_S + self.settle_s
