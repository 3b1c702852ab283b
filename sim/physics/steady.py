"""A steady, pulsed emitter, as fast as it can be made: one random draw per photon.

No charge, no blinking, no multi-excitons: what a recorder, an engine or a benchmark is loaded with. 24 bits
of a draw choose the pulse (geometric gaps), 32 the delay (interpolated quantiles of decay and response folded
into one period), one the detector.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ._random import next_bits, streams
from .detection import TICKS_PER_NS, Light

_QUANTILES = 4096
_STREAM = 0x57EAD
_HALF_BIT = 0.5
_2_POW_MINUS_24 = 2.0**-24
_2_POW_MINUS_32 = 2.0**-32
_24, _32, _LOW24, _LOW32 = (np.uint64(n) for n in (24, 32, (1 << 24) - 1, (1 << 32) - 1))
_63 = np.uint64(63)


class SteadyPhotons:
    """Photons of an emitter of one lifetime at a constant rate; at most one per laser pulse.

    `advance` is that of `DotPhotons`; bias and brightness of the light change nothing. The same seed gives
    the same photons, bit for bit, whatever the calls' lengths.
    """

    dot = None

    def __init__(
        self,
        rate_hz: float,
        *,
        seed: int,
        lifetime_ns: float = 20.0,
        light: Light | None = None,
        response_offset_ns: float = 2.0,
        response_sigma_ns: float = 0.17,
    ) -> None:
        period = (light or Light()).period_ticks
        per_pulse = rate_hz * period / (TICKS_PER_NS * 1e9)
        if not 0 < per_pulse < 1:
            raise ValueError(
                f"rate_hz = {rate_hz!r} is {per_pulse:.3g} photons per pulse; it must lie in (0, 1)"
            )
        self._period = period
        self._scale = -1 / math.log1p(-per_pulse)
        self._quantiles = _folded_quantiles(
            lifetime_ns, response_offset_ns, response_sigma_ns, period / TICKS_PER_NS
        )
        self._rng = streams(seed, _STREAM, 1)
        self._next = np.array([-1, 0, 0], np.int64)  # pulse, tick and detector of the photon that comes next
        self._draw(0, np.empty(0, np.int64), np.empty(0, np.uint8))

    def advance(
        self, until_tick: int, edges: NDArray[np.int64], bias_v: NDArray[np.float64], light: Light
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Photons before `until_tick`, in time order: ticks of 25 ps (int64) and detectors 0 or 1 (uint8)."""
        pulses = max(0, until_tick - int(self._next[1])) // self._period + 2
        expected = pulses * -math.expm1(-1 / self._scale)
        room = int(min(pulses, expected + 8 * math.sqrt(expected) + 64))
        parts: list[tuple[NDArray[np.int64], NDArray[np.uint8]]] = []
        while True:
            ticks, detectors = np.empty(room, np.int64), np.empty(room, np.uint8)
            n = self._draw(until_tick, ticks, detectors)
            parts.append((ticks[:n], detectors[:n]))
            if n < room:
                break
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def truth(self) -> dict[str, float]:
        """What was planted."""
        return {"photons_per_pulse": -math.expm1(-1 / self._scale), "period_ticks": self._period}

    def _draw(self, until: int, ticks: NDArray[np.int64], detectors: NDArray[np.uint8]) -> int:
        return _steady(
            until, self._period, self._scale, self._quantiles, self._rng, self._next, ticks, detectors
        )


def _folded_quantiles(
    lifetime_ns: float, offset_ns: float, sigma_ns: float, period_ns: float
) -> NDArray[np.float64]:
    """Delay in ticks at evenly spaced probabilities, shape (quantiles + 1,), within one period."""
    fine_ns = np.arange(0.0, period_ns, 0.0125)
    late = (fine_ns - offset_ns) % period_ns
    density = np.exp(-late / lifetime_ns)
    reach = np.arange(-400, 401) * 0.0125
    kernel = np.exp(-0.5 * (reach / sigma_ns) ** 2)
    spectrum = np.fft.rfft(density) * np.fft.rfft(np.roll(np.pad(kernel, (0, len(fine_ns) - 801)), -400))
    smeared = np.maximum(np.fft.irfft(spectrum, len(fine_ns)), 0.0)
    cumulative = np.concatenate([[0.0], np.cumsum(smeared)])
    edges_ns = np.append(fine_ns, period_ns)
    at = np.linspace(0.0, cumulative[-1], _QUANTILES + 1)
    return np.interp(at, cumulative, edges_ns) * TICKS_PER_NS


@njit(cache=True, nogil=True, error_model="numpy")
def _steady(until, period, scale, quantiles, rng, upcoming, ticks, detectors):
    """Write photons before `until` while there is room; returns how many. `upcoming` is the one after."""
    pulse, tick, detector = upcoming[0], upcoming[1], upcoming[2]
    n = 0
    while pulse < 0 or (tick < until and n < len(ticks)):
        if pulse >= 0:
            ticks[n] = tick
            detectors[n] = detector
            n += 1
        bits = next_bits(rng, 0)
        gap = -math.log((np.float64((bits >> _32) & _LOW24) + _HALF_BIT) * _2_POW_MINUS_24) * scale
        place = np.float64(bits & _LOW32) * _2_POW_MINUS_32 * (len(quantiles) - 1)
        k = int(place)
        delay = quantiles[k] + (place - k) * (quantiles[k + 1] - quantiles[k])
        pulse += 1 + int(gap)
        tick = pulse * period + min(int(delay), period - 1)
        detector = np.int64(bits >> _63)
    upcoming[0], upcoming[1], upcoming[2] = pulse, tick, detector
    return n
