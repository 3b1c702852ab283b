"""A motor-driven rail: where the carriage is after moves that begin at instants of the simulated clock.

The controller lays out a trapezoid of speed; the carriage follows it as a first-order servo,

    lag' = trajectory' - lag / follow_s,

so it lags while it moves and settles exponentially after it has stopped. Behind the encoder there may be
play: the carriage then stays half of it behind the motor, on the side it comes from. Everything is a closed
form of the moves, never of when somebody looks.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..clock import PS_PER_S

_KEPT = 64  # segments: the last dozen moves
_NOISE_CYCLE_PS = PS_PER_S // 1000


@dataclass(frozen=True)
class Drive:
    """Constants of motor, encoder and carriage; lengths in millimetres."""

    velocity_mm_s: float = 10.0
    acceleration_mm_s2: float = 100.0
    follow_s: float = 5e-3
    """Time constant of the servo."""
    resolution_mm: float = 1e-6
    """Step of the encoder; targets and readings are whole steps."""
    sensor_noise_mm: float = 0.5e-6
    """Standard deviation of a reading."""
    play_mm: float = 0.0
    """Backlash between encoder and carriage; none where the encoder is on the carriage."""


class _Segment(NamedTuple):
    """Constant acceleration from an instant on: trajectory, speed, and how far the servo lags behind."""

    at_ps: int
    x_mm: float
    v_mm_s: float
    a_mm_s2: float
    lag_mm: float


class _Leg(NamedTuple):
    """A motion in one direction, and where the carriage was when it began."""

    at_ps: int
    carriage_mm: float


class LinearAxis:
    """One rail of `travel_mm`; positions count from its lower end, the reference switch is in the middle."""

    def __init__(
        self,
        *,
        seed: int,
        key: int,
        travel_mm: float = 150.0,
        start_mm: float = 41.3,
        drive: Drive | None = None,
    ) -> None:
        self.travel_mm, self.drive = travel_mm, drive or Drive()
        self._seed = (seed, 0x5146E, key)
        self._segments = [_Segment(-PS_PER_S, start_mm, 0.0, 0.0, 0.0)]
        self._legs = [_Leg(-PS_PER_S, start_mm)]
        self._seized_ps: int | None = None

    # ---- what the controller does ----

    def move(
        self,
        at_ps: int,
        target_mm: float,
        *,
        velocity_mm_s: float | None = None,
        acceleration_mm_s2: float | None = None,
    ) -> None:
        """Move to a target, rounded to encoder steps; an axis that is moving first brakes."""
        velocity = velocity_mm_s or self.drive.velocity_mm_s
        acceleration = acceleration_mm_s2 or self.drive.acceleration_mm_s2
        if self.moving(at_ps):
            at_ps = self.stop(at_ps, acceleration_mm_s2=acceleration)
        start_mm = self._trajectory(at_ps)[0]
        distance_mm = round(target_mm / self.drive.resolution_mm) * self.drive.resolution_mm - start_mm
        peak = min(velocity, math.sqrt(acceleration * abs(distance_mm)))
        if not peak:
            return
        ramp_ps = round(peak / acceleration * PS_PER_S)
        cruise_ps = round((abs(distance_mm) - peak**2 / acceleration) / peak * PS_PER_S)
        sign = math.copysign(1.0, distance_mm)
        self._start_leg(at_ps)
        self._append(at_ps, start_mm, 0.0, sign * acceleration)
        self._continue(at_ps + ramp_ps, 0.0)
        self._continue(at_ps + ramp_ps + cruise_ps, -sign * acceleration)
        self._append(at_ps + 2 * ramp_ps + cruise_ps, start_mm + distance_mm, 0.0, 0.0)

    def stop(self, at_ps: int, *, acceleration_mm_s2: float | None = None) -> int:
        """Brake to a halt; returns when the trajectory has ended."""
        x_mm, v_mm_s = self._trajectory(at_ps)
        for planned in (self._segments, self._legs):
            while planned[-1].at_ps > at_ps:
                planned.pop()
        if not v_mm_s:  # also where a move begins at this very instant
            self._append(at_ps, x_mm, 0.0, 0.0)
            return at_ps
        acceleration = acceleration_mm_s2 or self.drive.acceleration_mm_s2
        brake_s = abs(v_mm_s) / acceleration
        self._append(at_ps, x_mm, v_mm_s, -math.copysign(acceleration, v_mm_s))
        end_ps = at_ps + round(brake_s * PS_PER_S)
        self._append(end_ps, x_mm + v_mm_s * brake_s / 2, 0.0, 0.0)
        return end_ps

    def seize(self, at_ps: int) -> None:
        """Jam: the carriage and its encoder stay where they are at `at_ps`."""
        self._seized_ps = at_ps

    # ---- where it is ----

    def target_mm(self) -> float:
        """Where the last motion ends, in millimetres."""
        return self._segments[-1].x_mm

    def end_ps(self) -> int:
        """When the trajectory of the last motion ends."""
        return self._segments[-1].at_ps

    def moving(self, at_ps: int) -> bool:
        """Whether the trajectory has not ended yet."""
        return at_ps < self.end_ps()

    def position_mm(self, at_ps: int) -> float:
        """Where the carriage with the mirrors truly is, in millimetres."""
        if self._seized_ps is not None:
            at_ps = min(at_ps, self._seized_ps)
        leg = self._legs[max(0, bisect_right(self._legs, (at_ps, math.inf)) - 1)]
        motor_mm, half_mm = self.motor_mm(at_ps), self.drive.play_mm / 2
        return min(max(leg.carriage_mm, motor_mm - half_mm), motor_mm + half_mm)

    def motor_mm(self, at_ps: int) -> float:
        """Where the encoder is, in millimetres."""
        if self._seized_ps is not None:
            at_ps = min(at_ps, self._seized_ps)
        return self._trajectory(at_ps)[0] - self._lag_mm(at_ps)

    def measured_mm(self, at_ps: int) -> float:
        """What the encoder reads, in millimetres; a reading depends on the instant alone."""
        noise = np.random.default_rng((*self._seed, max(at_ps, 0) // _NOISE_CYCLE_PS)).standard_normal()
        read_mm = self.motor_mm(at_ps) + self.drive.sensor_noise_mm * float(noise)
        return round(read_mm / self.drive.resolution_mm) * self.drive.resolution_mm

    def settled(self, at_ps: int, tolerance_mm: float, for_s: float) -> bool:
        """Whether the encoder has kept to the end of the trajectory within a tolerance for a while."""
        since_ps = at_ps - round(for_s * PS_PER_S)
        off_mm = [abs(self.motor_mm(t_ps) - self.target_mm()) for t_ps in (since_ps, at_ps)]
        return self.end_ps() <= since_ps and max(off_mm) <= tolerance_mm

    # ---- inside ----

    def _segment(self, at_ps: int) -> tuple[_Segment, float]:
        """The segment in force at an instant, and the seconds since it began."""
        k = max(0, bisect_right(self._segments, at_ps, key=lambda segment: segment.at_ps) - 1)
        return self._segments[k], max(0, at_ps - self._segments[k].at_ps) / PS_PER_S

    def _trajectory(self, at_ps: int) -> tuple[float, float]:
        s, t = self._segment(at_ps)
        return s.x_mm + (s.v_mm_s + s.a_mm_s2 * t / 2) * t, s.v_mm_s + s.a_mm_s2 * t

    def _lag_mm(self, at_ps: int) -> float:
        s, t = self._segment(at_ps)
        tau = self.drive.follow_s
        steady = tau * (s.v_mm_s - s.a_mm_s2 * tau)
        return steady + tau * s.a_mm_s2 * t + (s.lag_mm - steady) * math.exp(-t / tau)

    def _append(self, at_ps: int, x_mm: float, v_mm_s: float, a_mm_s2: float) -> None:
        self._segments.append(_Segment(at_ps, x_mm, v_mm_s, a_mm_s2, self._lag_mm(at_ps)))
        del self._segments[:-_KEPT], self._legs[:-_KEPT]

    def _continue(self, at_ps: int, a_mm_s2: float) -> None:
        """Change the acceleration at an instant of the trajectory."""
        self._append(at_ps, *self._trajectory(at_ps), a_mm_s2)

    def _start_leg(self, at_ps: int) -> None:
        self._legs.append(_Leg(at_ps, self.position_mm(at_ps)))
