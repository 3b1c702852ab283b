"""A closed-loop piezo axis: how the true position follows targets set at instants of the simulated clock.

The servo is linear: a dead time, three equal poles and a slower one, and with drift compensation a slow
overshoot, so a step of the target is followed as

    s(t) = 1 - exp(-u) (p0 + p1 u + p2 u^2) - q exp(-t / slow_s) + A (exp(-t / rise_s) - exp(-t / fall_s))

with u = t / fast_s from the end of the dead time on. The numbers are fitted for this project to what was
measured on one E-545 (github.com/franaguirreram/laboratorio-7, 2026; see docs/e545.md). Positions follow
from the targets alone, never from when somebody looks.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..clock import PS_PER_S

_LINE_PERIOD_PS = PS_PER_S // 50
_CYCLE_PS = 40_000_000
_WANDER_S = (2819.0, 1283.0, 541.0)
_WANDER_SHARES = (0.5, 0.3, 0.2)


@dataclass(frozen=True)
class Servo:
    """Constants of the closed loop; times in seconds, lengths in micrometres."""

    dead_s: float = 0.70e-3
    fast_s: float = 1.5e-3
    """The three equal poles."""
    slow_s: float = 8.8e-3
    fall_s: float = 21e-3
    rise_s: float = 34e-3
    overshoot: float = 0.22
    """Amplitude A with drift compensation."""
    overshoot_uncompensated: float = 0.038
    overshoot_range_um: float = 2.0
    """Beyond this step the overshoot grows only as step**0.35."""
    line_um: float = 1.9e-3
    """Amplitude of the motion at mains frequency (50 Hz)."""
    sensor_noise_um: float = 0.7e-3
    """Standard deviation of a reading about the true position."""
    wander_um: float = 5e-3
    """Greatest slow error to either side without drift compensation."""


class _Piece(NamedTuple):
    """The state at the instant from which a target has an effect; amplitudes of the decaying modes in um."""

    at_ps: int
    target_um: float
    fast0: float
    fast1: float
    fast2: float
    slow: float
    rise: float
    fall: float
    compensated: bool
    wander_origin_um: float


class PiezoAxis:
    """One axis; every change names its instant in picoseconds, and instants never go back.

    `rest_um` is where it stands before the servo is first switched on. All randomness follows from `seed`
    and `key`, which keeps axes apart.
    """

    def __init__(self, *, seed: int, key: int, rest_um: float = -5.59, servo: Servo | None = None) -> None:
        self.servo = s = servo or Servo()
        ratio = s.fast_s / s.slow_s
        q = (1 / (1 - ratio)) ** 3
        p0 = 1 - q
        p1 = p0 + q * ratio
        self._weights = (p0, p1, (2 * p1 - p0 - q * ratio**2) / 2, q)
        words = np.random.SeedSequence([seed, 0xE545, key]).generate_state(5, np.uint64)
        self._noise_key = words[:1].astype(np.uint64)
        phases = words[1:].astype(np.float64) * (2 * math.pi / 2.0**64)
        self._line_phase, self._wander_phases = float(phases[0]), phases[1:]
        self._pieces = [_Piece(-PS_PER_S, rest_um, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, True, 0.0)]
        self._targets = [(-PS_PER_S, rest_um)]
        self._seized_ps: int | None = None

    # ---- what the controller does ----

    def set_target(self, at_ps: int, target_um: float) -> None:
        """Set a new target; targets planned for later are dropped."""
        self.drop_plan(at_ps)
        self._step(at_ps, target_um)

    def plan(self, start_ps: int, step_ps: int, targets_um: Iterable[float]) -> None:
        """Set targets one after the other, each `step_ps` later than the one before."""
        self.drop_plan(start_ps)
        for k, target_um in enumerate(targets_um):
            self._step(start_ps + k * step_ps, target_um)

    def drop_plan(self, at_ps: int) -> None:
        """Forget the targets planned for after `at_ps`."""
        dead_ps = self._dead_ps
        while self._targets[-1][0] > at_ps:
            self._targets.pop()
        while self._pieces[-1].at_ps > at_ps + dead_ps:
            self._pieces.pop()

    def hold(self, at_ps: int) -> float:
        """Make the present position the target; returns it, in micrometres."""
        here_um = self.followed_um(at_ps)
        self.set_target(at_ps, here_um)
        return here_um

    def compensate_drift(self, at_ps: int, enabled: bool) -> None:
        """Switch drift compensation; without it the position wanders from where it is."""
        last = self._advanced(at_ps + self._dead_ps)
        if last.compensated != enabled:
            origin_um = float(self._wander_um(np.array([at_ps]))[0])
            self._pieces.append(last._replace(compensated=enabled, wander_origin_um=origin_um))

    def seize(self, at_ps: int) -> None:
        """Jam: the axis stays where it is at `at_ps`, whatever the target."""
        self._seized_ps = at_ps

    # ---- where it is ----

    def target_um(self, at_ps: int) -> float:
        """The target in force at an instant, in micrometres."""
        return self._targets[bisect_right(self._targets, (at_ps, math.inf)) - 1][1]

    def position_um(self, at_ps: int) -> float:
        """The true position at an instant, in micrometres: servo, slow wander and vibration."""
        return float(self.positions_um(np.array([at_ps], np.int64))[0])

    def positions_um(self, at_ps: NDArray[np.int64]) -> NDArray[np.float64]:
        """The true positions at ascending instants, in micrometres (float64, same shape)."""
        if not len(at_ps):
            return np.empty(0)
        return self._followed_um(at_ps) + self._vibration_um(at_ps)

    def measured_um(self, at_ps: NDArray[np.int64]) -> NDArray[np.float64]:
        """What the sensor reads at ascending instants, in micrometres: the true position and its noise."""
        noise_um = self.servo.sensor_noise_um * _hashed_normal(at_ps // _CYCLE_PS, self._noise_key)
        return self.positions_um(at_ps) + noise_um

    def followed_um(self, at_ps: int) -> float:
        """The position without vibration at an instant, in micrometres."""
        return float(self._followed_um(np.array([at_ps], np.int64))[0])

    def settled(self, at_ps: int, tolerance_um: float, for_s: float) -> bool:
        """Whether the position has kept to the present target within a tolerance for a while."""
        at = at_ps - np.linspace(round(for_s * PS_PER_S), 0, 11).astype(np.int64)
        return bool(np.all(np.abs(self._followed_um(at) - self.target_um(at_ps)) <= tolerance_um))

    # ---- inside ----

    @property
    def _dead_ps(self) -> int:
        return round(self.servo.dead_s * PS_PER_S)

    def _step(self, at_ps: int, target_um: float) -> None:
        s, last = self.servo, self._advanced(at_ps + self._dead_ps)
        step_um = target_um - last.target_um
        share = s.overshoot if last.compensated else s.overshoot_uncompensated
        if abs(step_um) > s.overshoot_range_um:
            share *= (abs(step_um) / s.overshoot_range_um) ** (0.35 - 1)
        self._targets.append((at_ps, target_um))
        self._pieces.append(
            last._replace(
                target_um=target_um,
                fast0=last.fast0 + step_um,
                slow=last.slow + step_um,
                rise=last.rise + share * step_um,
                fall=last.fall + share * step_um,
            )
        )

    def _advanced(self, at_ps: int) -> _Piece:
        """The last piece's state at a later instant."""
        last = self._pieces[-1]
        at_ps = max(at_ps, last.at_ps)
        return last._replace(at_ps=at_ps, **self._decayed(last, (at_ps - last.at_ps) / PS_PER_S, math.exp))

    def _decayed(self, piece: Any, dt_s: Any, exp: Callable[[Any], Any]) -> dict[str, Any]:
        """The modes after `dt_s` seconds."""
        s = self.servo
        u = dt_s / s.fast_s
        fast = exp(-u)
        return {
            "fast0": fast * piece.fast0,
            "fast1": fast * (piece.fast1 + u * piece.fast0),
            "fast2": fast * (piece.fast2 + 2 * u * piece.fast1 + u * u * piece.fast0),
            "slow": piece.slow * exp(-dt_s / s.slow_s),
            "rise": piece.rise * exp(-dt_s / s.rise_s),
            "fall": piece.fall * exp(-dt_s / s.fall_s),
        }

    def _followed_um(self, at_ps: NDArray[np.int64]) -> NDArray[np.float64]:
        if self._seized_ps is not None:
            at_ps = np.minimum(at_ps, self._seized_ps)
        first = bisect_right(self._pieces, int(at_ps[0]), key=lambda piece: piece.at_ps) - 1
        last = bisect_right(self._pieces, int(at_ps[-1]), key=lambda piece: piece.at_ps)
        pieces = self._pieces[max(first, 0) : last]
        index = np.searchsorted([piece.at_ps for piece in pieces], at_ps, side="right") - 1
        piece = _Piece(*np.array([tuple(p) for p in pieces], np.float64)[index].T)
        starts = np.array([p.at_ps for p in pieces], np.int64)[index]
        modes = self._decayed(piece, (at_ps - starts) / PS_PER_S, np.exp)
        p0, p1, p2, q = self._weights
        lag_um = p0 * modes["fast0"] + p1 * modes["fast1"] + p2 * modes["fast2"] + q * modes["slow"]
        wander_um = np.where(piece.compensated, 0.0, self._wander_um(at_ps) - piece.wander_origin_um)
        return piece.target_um - lag_um + modes["rise"] - modes["fall"] + wander_um

    def _vibration_um(self, at_ps: NDArray[np.int64]) -> NDArray[np.float64]:
        turns = (at_ps % _LINE_PERIOD_PS) / _LINE_PERIOD_PS
        return self.servo.line_um * np.sin(2 * math.pi * turns + self._line_phase)

    def _wander_um(self, at_ps: NDArray[np.int64]) -> NDArray[np.float64]:
        turns = at_ps[:, None] / (PS_PER_S * np.array(_WANDER_S))
        waves = np.sin(2 * math.pi * turns + self._wander_phases)
        return self.servo.wander_um * (waves @ np.array(_WANDER_SHARES))


class PiezoStage:
    """The stage on the bench: three axes, and the trigger outputs of its controller."""

    def __init__(self, *, seed: int) -> None:
        self.x = PiezoAxis(seed=seed, key=0, rest_um=-16.06)
        self.y = PiezoAxis(seed=seed, key=1)
        self.z = PiezoAxis(seed=seed, key=2)
        self._pulses: list[tuple[int, int]] = []

    @property
    def axes(self) -> tuple[PiezoAxis, PiezoAxis, PiezoAxis]:
        """The axes x, y and z."""
        return self.x, self.y, self.z

    def position_um(self, at_ps: NDArray[np.int64]) -> NDArray[np.float64]:
        """The true positions at ascending instants, in micrometres (float64 of shape (n, 3))."""
        return np.stack([axis.positions_um(at_ps) for axis in self.axes], axis=1)

    def plan_pulse(self, at_ps: int, output: int) -> None:
        """Plan a pulse of a trigger output."""
        self._pulses.append((at_ps, output))

    def drop_pulses(self, at_ps: int) -> None:
        """Forget the pulses planned for after `at_ps`."""
        self._pulses = [pulse for pulse in self._pulses if pulse[0] <= at_ps]

    def pulses(self, since_ps: int, until_ps: int) -> list[tuple[int, int]]:
        """Instant and output of the pulses in [since_ps, until_ps), in time order."""
        return sorted(pulse for pulse in self._pulses if since_ps <= pulse[0] < until_ps)


def _hashed_normal(index: NDArray[np.int64], key: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Standard normal numbers that depend on index and key alone (splitmix64, then Box and Muller)."""
    uniforms = []
    for stream in (1, 2):
        z = (index.astype(np.uint64) * np.uint64(2) + np.uint64(stream)) * np.uint64(0x9E3779B97F4A7C15) + key
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        uniforms.append(((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) + 0.5)
    radius = np.sqrt(-2 * np.log(uniforms[0] * 2.0**-53))
    return radius * np.cos(2 * math.pi * uniforms[1] * 2.0**-53)
