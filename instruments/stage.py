"""Sample stages: three axes in micrometres, moved to a point and settled, or run along lines."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .base import Device, InstrumentError, Limits, OutOfRangeError

Axis = Literal["x", "y", "z"]
AXES: tuple[Axis, ...] = ("x", "y", "z")
_ARRIVED_UM = 0.1


class MotionError(InstrumentError):
    """The stage did not go where it was told to."""


class ServoOffError(MotionError):
    """An axis is not under closed-loop control, so it cannot be moved to a position."""


class NotReferencedError(MotionError):
    """An axis does not know its position yet, so it cannot be moved to one."""


class NotOnTargetError(MotionError):
    """An axis did not settle at its target in time: it is stuck, or something pushes against it."""


class Position(NamedTuple):
    """Where the stage is, in micrometres."""

    x_um: float
    y_um: float
    z_um: float


@dataclass(frozen=True)
class StageCapabilities:
    """What a stage can do beyond moving to a point."""

    scans_lines: bool = False
    """Whether `start_lines` works."""
    lead_s: float = 0.0
    """How long before and after each line the fast axis must already run at constant speed."""
    lead_um: float = 0.0
    """How far beyond that it swings when it turns round."""
    delay_s: float = 0.0
    """About how late it follows its target along a line."""


@dataclass(frozen=True)
class LineScan:
    """Lines along the `fast` axis between two points, forth and back in turn, at constant speed.

    Line `k` (from `start_um` to `stop_um` for even `k`) is run with the `slow` axis at `slow_um[k]`.
    """

    fast: Axis
    start_um: float
    stop_um: float
    line_s: float
    """Time in seconds between start and stop."""
    slow: Axis
    slow_um: tuple[float, ...]

    @property
    def speed_um_s(self) -> float:
        """Speed along a line in micrometres per second (float)."""
        return abs(self.stop_um - self.start_um) / self.line_s


@dataclass(frozen=True)
class ScanRecord:
    """Where the stage really was during a scan; all arrays are float64.

    Times are seconds since the start of the scan, which is the first pulse of the trigger output.
    """

    time_s: NDArray[np.float64]
    fast_um: NDArray[np.float64]
    slow_um: NDArray[np.float64]
    pulse_s: NDArray[np.float64]
    """When the trigger output pulsed: at the start of each line pair; empty when it is not wired."""


class Stage(Device):
    """A sample stage with the axes x, y and z."""

    limits_um: Mapping[Axis, Limits]
    """How far each axis may travel on this rig, in micrometres."""
    capabilities: StageCapabilities

    # ---- to a point ----

    @property
    @abstractmethod
    def position(self) -> Position:
        """Measure where the stage is, in micrometres."""

    @property
    @abstractmethod
    def on_target(self) -> bool:
        """Get whether all axes have settled at their targets (bool)."""

    def move_to(
        self,
        *,
        x_um: float | None = None,
        y_um: float | None = None,
        z_um: float | None = None,
        timeout_s: float = 2.0,
    ) -> Position:
        """Move the axes that are given together, wait until settled, and return the measured position.

        Raises OutOfRangeError before anything moves, ServoOffError or NotReferencedError when an axis
        refuses, and NotOnTargetError when it has not settled within `timeout_s` seconds, or not there.
        """
        wanted = zip(AXES, (x_um, y_um, z_um), strict=True)
        targets: dict[Axis, float] = {axis: self._checked(axis, um) for axis, um in wanted if um is not None}
        if targets:
            self._start_move(targets)
            self._wait_settled(timeout_s)
        position = self.position
        for axis, um in targets.items():
            read_um: float = getattr(position, f"{axis}_um")
            if abs(read_um - um) > _ARRIVED_UM:
                raise NotOnTargetError(
                    f"{self.name}: says that it has settled, but that {axis} is at {read_um:.3f} um instead "
                    f"of {um:.3f} um: the line is disturbed, or something touches the stage"
                )
        return position

    # ---- along lines ----

    def start_lines(self, scan: LineScan) -> float:
        """Go to the start of the first line, start the scan, and return how long it will take in seconds.

        Raises OutOfRangeError before anything moves when a line or the room that the stage needs to turn
        round is outside the limits, or when the scan does not fit into the stage's memory.
        """
        self.check_lines(scan)
        return self._start_lines(scan)

    def check_lines(self, scan: LineScan) -> None:
        """Raise OutOfRangeError when the scan cannot be run; sends nothing."""
        if not self.capabilities.scans_lines:
            raise OutOfRangeError(f"{self.name} cannot scan lines; move it from point to point")
        if scan.fast == scan.slow or not scan.slow_um:
            raise OutOfRangeError("a line scan needs two different axes and at least one line")
        if not (math.isfinite(scan.line_s) and scan.line_s > 0 and scan.start_um != scan.stop_um):
            raise OutOfRangeError(
                f"a line from {scan.start_um!r} to {scan.stop_um!r} um in {scan.line_s!r} s is none"
            )
        lead_um = scan.speed_um_s * self.lead_s(scan)
        low_um, high_um = sorted((scan.start_um, scan.stop_um))
        for edge_um in (low_um - lead_um, high_um + lead_um):
            self._checked(scan.fast, edge_um, f" with the {lead_um:.3g} um it needs to turn round")
        for slow_um in scan.slow_um:
            self._checked(scan.slow, slow_um)

    def lead_s(self, scan: LineScan) -> float:
        """Time in seconds that the stage needs before and after each line of this scan."""
        return self.capabilities.lead_s + self.capabilities.lead_um / scan.speed_um_s

    @property
    @abstractmethod
    def scanning(self) -> bool:
        """Get whether a scan is still running (bool)."""

    @abstractmethod
    def take_lines(self) -> ScanRecord:
        """Fetch where the stage was during the scan that has ended; raises InstrumentError before that."""

    @abstractmethod
    def make_safe(self) -> None:
        """Stop all motion where it is. May be called twice, from any thread, and when disconnected."""

    # ---- for drivers ----

    @abstractmethod
    def _start_move(self, targets_um: Mapping[Axis, float]) -> None:
        """Start to move to targets that were checked."""

    @abstractmethod
    def _wait_settled(self, timeout_s: float) -> None:
        """Wait until on target; raises NotOnTargetError."""

    @abstractmethod
    def _start_lines(self, scan: LineScan) -> float:
        """Start a scan that was checked; return its duration in seconds."""

    def _checked(self, axis: Axis, value_um: float, why: str = "") -> float:
        return self.limits_um[axis].check(value_um, f"{self.name}: {axis}_um{why}")
