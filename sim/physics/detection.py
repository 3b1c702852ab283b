"""From photons to detector pulses: two avalanche photodiodes with all that they add and lose.

The photodiodes have a dead time, afterpulses and dark counts; scattered laser light and glass
luminescence add a background that follows the laser. Values: docs/models/charged_dot.md,
section 5. Times are in ticks of 25 ps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ._random import exponential, next_bits, normal, streams, uniform

TICKS_PER_S = 40_000_000_000
TICKS_PER_NS = 40.0
REFERENCE_PERIOD_TICKS = 16000
"""The laser period (2.5 MHz) at which powers are quoted."""
REFERENCE_POWER_NW = 30.0


@dataclass(frozen=True)
class Light:
    """Excitation at the dot; `emitting` False means only dark counts.

    `power_nw` sets the energy of a pulse: it is the average power that such pulses have at 2.5 MHz.
    Another period keeps the energy per pulse, as a diode laser at a fixed setting does.
    """

    emitting: bool = False
    period_ticks: int = REFERENCE_PERIOD_TICKS
    power_nw: float = REFERENCE_POWER_NW
    excitation_coupling: float = 1.0
    """Multiplies the pairs per pulse."""
    collection_coupling: float = 1.0
    """Multiplies the detection probability per photon."""

    @property
    def relative_energy(self) -> float:
        """Energy of a pulse over that of 30 nW at 2.5 MHz."""
        return self.power_nw / REFERENCE_POWER_NW


@dataclass(frozen=True)
class Detection:
    """The way from the dot to the two detector pulses."""

    efficiency: float = 0.0301
    """Probability that an emitted photon is detected; gives 35 kc/s for X0 (derived from the paper)."""
    response_fwhm_ns: float = 0.4
    """Full width of the overall response, Gaussian (the paper: 400 ps)."""
    response_offset_ns: float = 2.0
    """Delay between the laser's sync and a prompt photon; assumed."""
    dead_time_ns: float = 24.0
    afterpulse_probability: float = 0.005
    afterpulse_decay_ns: float = 60.0
    """An afterpulse comes one dead time plus an exponential of this mean after its cause."""
    dark_rate_hz: float = 75.0
    """Of each photodiode."""
    laser_background_hz: float = 230.0
    """Both photodiodes together, at 30 nW and 2.5 MHz; scales with the laser power."""
    laser_background_decay_ns: float = 0.3

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"Detection.{name} = {value!r} must be a finite number, 0 or more")
        most = {"efficiency": 0.5, "afterpulse_probability": 0.1, "afterpulse_decay_ns": 1000.0}
        for name, limit in most.items():
            if getattr(self, name) > limit:
                raise ValueError(f"Detection.{name} = {getattr(self, name)!r} must not exceed {limit}")

    @property
    def response_sigma_ticks(self) -> float:
        """Standard deviation of the response."""
        return self.response_fwhm_ns / math.sqrt(8 * math.log(2)) * TICKS_PER_NS

    def background_hz(self, light: Light) -> float:
        """Dark and laser-synchronous counts of both photodiodes together."""
        return 2 * self.dark_rate_hz + self.laser_background_per_pulse(light) * (
            TICKS_PER_S / light.period_ticks
        )

    def laser_background_per_pulse(self, light: Light) -> float:
        """Mean laser-synchronous counts per pulse, both photodiodes together."""
        if not light.emitting:
            return 0.0
        return self.laser_background_hz * light.relative_energy * REFERENCE_PERIOD_TICKS / TICKS_PER_S


# An event is one int64: 2 * tick + detector, so that sorting events sorts times.
_DARK, _LASER = 0, 2  # random streams of the background; dark counts use one per detector
_NEVER = np.int64(2**63 - 1)

_BACKGROUND = np.dtype(
    [
        ("dark_at", np.float64, (2,)),
        ("dark_gap", np.float64),
        ("period", np.int64),
        ("pulse", np.int64),  # first laser pulse that has not been paid from the budget
        ("per_pulse", np.float64),
        ("budget", np.float64),  # unit exponential
        ("decay", np.float64),
        ("offset", np.float64),
        ("sigma", np.float64),
        ("spare", np.float64, (1,)),
        ("count", np.int64),
    ],
    align=True,
)
_DETECTOR = np.dtype(
    [
        ("alive_at", np.int64, (2,)),
        ("until_afterpulse", np.int64, (2,)),  # detections left before one is followed by an afterpulse
        ("dead", np.int64),
        ("log_miss", np.float64),
        ("decay", np.float64),
        ("queue", np.int64, (64,)),  # afterpulses on their way, in time order
        ("queued", np.int64),
    ],
    align=True,
)


@njit(cache=True, nogil=True, error_model="numpy")
def insert(events, count, event):
    """Put `event` in its place among the first `count` sorted `events`."""
    j = count
    while j > 0 and events[j - 1] > event:
        events[j] = events[j - 1]
        j -= 1
    events[j] = event


@njit(cache=True, nogil=True, error_model="numpy")
def _set_laser(state, at, period, per_pulse):
    """Let pulses from tick `at` on add `per_pulse` background counts."""
    s = state[0]
    paid = max(0, -(-at // s.period) - s.pulse)
    s.budget = max(0.0, s.budget - paid * s.per_pulse)
    s.period, s.per_pulse = period, per_pulse
    s.pulse = -(-at // period)


@njit(cache=True, nogil=True, error_model="numpy")
def _make_background(state, rng, until, events):
    """Add background events caused before `until` to the sorted `events`; False when these are full."""
    s = state[0]
    while s.count < events.size:
        laser_at = _NEVER
        pulse = s.pulse
        if s.per_pulse > 0.0 and s.budget / s.per_pulse < 1e15:
            pulse += np.int64(s.budget / s.per_pulse)
            laser_at = pulse * s.period
        detector = 0 if s.dark_at[0] <= s.dark_at[1] else 1
        if min(s.dark_at[detector], laser_at) >= until:
            return True
        if s.dark_at[detector] <= laser_at:
            at = np.int64(s.dark_at[detector])
            s.dark_at[detector] += s.dark_gap * exponential(rng, _DARK + detector)
        else:
            delay = s.offset + s.decay * exponential(rng, _LASER) + s.sigma * normal(rng, _LASER, s.spare)
            at = laser_at + np.int64(math.floor(delay))
            detector = np.int64(next_bits(rng, _LASER) >> np.uint64(63))
            # within the pulse the budget goes on from where it ended: several counts can share a pulse
            s.budget = s.budget - (pulse - s.pulse) * s.per_pulse + exponential(rng, _LASER)
            s.pulse = pulse
        insert(events, s.count, 2 * at + detector)
        s.count += 1
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _detect(state, rng, until, light, background, ticks, inputs):
    """Merge sorted events before `until` and write the pulses that the live photodiodes make.

    Returns how many pulses were written and how many of `light` and `background` were used; stops
    early where the output is full.
    """
    s = state[0]
    i = j = written = 0
    end = 2 * until
    while written < ticks.size:
        event = end
        if i < light.size and light[i] < event:
            event = light[i]
        if j < background.size and background[j] < event:
            event = background[j]
        if s.queued > 0 and s.queue[0] < event:
            event = s.queue[0]
        if event == end:
            break
        if i < light.size and light[i] == event:
            i += 1
        elif j < background.size and background[j] == event:
            j += 1
        else:
            s.queued -= 1
            for n in range(s.queued):
                s.queue[n] = s.queue[n + 1]
        tick, detector = event >> 1, event & 1
        if tick < s.alive_at[detector]:
            continue
        ticks[written], inputs[written] = tick, detector
        written += 1
        s.alive_at[detector] = tick + s.dead
        s.until_afterpulse[detector] -= 1
        if s.until_afterpulse[detector] < 0:
            after = s.dead + np.int64(s.decay * exponential(rng, detector))
            insert(s.queue, s.queued, 2 * (tick + after) + detector)
            s.queued += 1
            s.until_afterpulse[detector] = _clear_run(s.log_miss, rng, detector)
    return written, i, j


@njit(cache=True, nogil=True, error_model="numpy")
def _clear_run(log_miss, rng, detector):
    """Draw how many detections pass without an afterpulse; `log_miss` is ln(1 - its probability)."""
    if log_miss == 0.0:
        return _NEVER
    return np.int64(math.log(uniform(rng, detector)) / log_miss)


class Photodiodes:
    """Two avalanche photodiodes: photons in, pulses out; adds background, afterpulses and dead time."""

    def __init__(self, detection: Detection, *, seed: int) -> None:
        self.detection = detection
        self._rng = streams(seed, 1, 3)
        self._after_rng = streams(seed, 2, 2)
        self._light: Light | None = None
        self._pending = np.empty(256, np.int64)
        self._background = background = np.zeros(1, _BACKGROUND)
        per_tick = detection.dark_rate_hz / TICKS_PER_S
        background["dark_gap"] = 1 / per_tick if per_tick else math.inf
        for detector in range(2):
            background["dark_at"][0, detector] = background["dark_gap"][0] * exponential(self._rng, detector)
        background["period"] = REFERENCE_PERIOD_TICKS
        background["budget"] = exponential(self._rng, _LASER)
        background["decay"] = detection.laser_background_decay_ns * TICKS_PER_NS
        background["offset"] = detection.response_offset_ns * TICKS_PER_NS
        background["spare"] = np.nan
        background["sigma"] = detection.response_sigma_ticks
        self._detector = photodiodes = np.zeros(1, _DETECTOR)
        photodiodes["dead"] = round(detection.dead_time_ns * TICKS_PER_NS)
        photodiodes["log_miss"] = log_miss = math.log1p(-detection.afterpulse_probability)
        photodiodes["decay"] = detection.afterpulse_decay_ns * TICKS_PER_NS
        for detector in range(2):
            photodiodes["until_afterpulse"][0, detector] = _clear_run(log_miss, self._after_rng, detector)

    def advance(
        self, since_tick: int, until_tick: int, photons: NDArray[np.int64], light: Light
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Pulses with `since_tick` <= time < `until_tick`: ticks (int64) and detectors 0, 1 (uint8).

        `photons` holds all photons that arrive in that time, sorted, as 2 * tick + detector. `light` has
        been on since `since_tick`, where the last call ended.
        """
        if light != self._light:
            per_pulse = self.detection.laser_background_per_pulse(light)
            _set_laser(self._background, since_tick, light.period_ticks, per_pulse)
            self._light = light
        while not _make_background(self._background, self._rng, until_tick, self._pending):
            self._pending = np.concatenate([self._pending, np.empty_like(self._pending)])
        background = self._pending[: int(self._background["count"][0])]
        background = background[: np.searchsorted(background, 2 * until_tick)]
        pulses = self._detect(until_tick, photons, background)
        left = int(self._background["count"][0]) - len(background)
        self._pending[:left] = self._pending[len(background) : len(background) + left].copy()
        self._background["count"] = left
        return pulses

    def _detect(
        self, until_tick: int, photons: NDArray[np.int64], background: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        pieces: list[tuple[NDArray[np.int64], NDArray[np.uint8]]] = []
        while True:
            room = len(photons) + len(background) + (len(photons) + len(background)) // 32 + 64
            ticks, inputs = np.empty(room, np.int64), np.empty(room, np.uint8)
            written, i, j = _detect(
                self._detector, self._after_rng, until_tick, photons, background, ticks, inputs
            )
            pieces.append((ticks[:written], inputs[:written]))
            if written < room:
                break
            photons, background = photons[i:], background[j:]
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate([t for t, _ in pieces]), np.concatenate([n for _, n in pieces])
