"""Photons counted per phase setting: TTL edges in the photon stream say when the shaper took its next step.

The shaper pulses one marker input at every step and a second one where its cycle begins, so each photon knows
its phases. A signal is a weighted sum of photons; with weights of modulus 1 over L settings its shot noise is
sqrt(total counts) / L, whatever the weights (Tan, J. Chem. Phys. 129, 124501 (2008), for the weights).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..formats.tttr import TttrDecoder
from .base import OutOfRangeError
from .clock import Clock
from .photon_counter import CountingError, PhotonCounter
from .point_detector import PointDetector, Readings


class WeightedSums(NamedTuple):
    """Signals extracted from counts per setting."""

    value: NDArray[np.complex128]
    """Mean counts per setting that carry each signal's phase; shape (signals,)."""
    sigma: NDArray[np.float64]
    """Their shot noise, the standard deviation of real and imaginary part together; shape (signals,)."""


class PhaseTaggedCounts(PointDetector):
    """Counts between the shaper's steps, on a counter that is connected and configured with both markers.

    `step_marker` and `cycle_marker` (1 to 4) are the inputs wired to the shaper, `setting_s` is how long it
    stays at each setting, `settings` how many there are in a cycle. Photons of the first `settle_s` after
    each step are left out.
    """

    def __init__(
        self,
        counter: PhotonCounter,
        *,
        clock: Clock,
        settings: int,
        setting_s: float,
        settle_s: float = 0.0,
        step_marker: int = 1,
        cycle_marker: int = 2,
    ) -> None:
        if settings < 1 or not 0 <= settle_s < setting_s:
            raise ValueError(
                f"settings = {settings}, setting_s = {setting_s!r}, settle_s = {settle_s!r}: no cycle"
            )
        if step_marker == cycle_marker or {step_marker, cycle_marker} - {1, 2, 3, 4}:
            raise ValueError("step_marker and cycle_marker must be two different inputs from 1 to 4")
        self._counter, self._clock, self.settings = counter, clock, settings
        self.reading_s, self._settle_s = setting_s, settle_s
        self._step, self._cycle = 1 << (step_marker - 1), 1 << (cycle_marker - 1)

    def readings(self, n: int, *, tag: int = 0) -> Readings:
        """Count in `n` settings, whole cycles; the tag is `tag` plus the setting's number in its cycle.

        Raises CountingError when the steps do not come as announced, and what the counter raises.
        """
        if n < 1 or n % self.settings:
            raise OutOfRangeError(f"{n!r} settings are no whole number of cycles of {self.settings}")
        wanted_s = (n + self.settings + 1) * self.reading_s  # it may begin anywhere in a cycle
        began_s = self._clock.now()
        time_s, marker_s, bits = self._recorded(1.1 * wanted_s)
        starts_s = marker_s[bits & self._step != 0]
        cycles = np.searchsorted(starts_s, marker_s[bits & self._cycle != 0])
        if not len(cycles) or len(starts_s) <= cycles[0] + n:
            raise CountingError(
                f"{len(starts_s)} steps and {len(cycles)} cycles were marked in {1.1 * wanted_s:.3g} s, "
                f"where {n + 1} steps from the start of a cycle were wanted; check the trigger cables"
            )
        if (missed := np.diff(cycles[cycles <= cycles[0] + n]) != self.settings).any():
            raise CountingError(
                f"{missed.sum()} cycles do not have {self.settings} steps; check the step trigger and its "
                "threshold"
            )
        edges_s = starts_s[cycles[0] : cycles[0] + n + 1]
        first = np.searchsorted(time_s, edges_s[:-1] + self._settle_s)
        counts = np.searchsorted(time_s, edges_s[1:]) - first
        tags = tag + np.arange(n, dtype=np.int64) % self.settings
        return Readings(counts.astype(np.complex128), tags, began_s + edges_s[:-1])

    def _recorded(
        self, duration_s: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]]:
        """Times of the photons, times of the markers, and which inputs these came from."""
        decoder = TttrDecoder(self._counter.record_type)
        t3 = self._counter.record_type.mode == 3
        tick_s = 1 / self._counter.sync_rate_hz if t3 else self._counter.resolution_ps * 1e-12
        blocks = []
        self._counter.start(duration_s)
        try:
            while self._counter.measuring:
                self._clock.sleep(min(0.05, duration_s))
                blocks.append(decoder.decode(self._counter.take()))
        finally:
            self._counter.stop()
        blocks.append(decoder.decode(self._counter.take()))
        return (
            np.concatenate([block.time for block in blocks]) * tick_s,
            np.concatenate([block.marker_time for block in blocks]) * tick_s,
            np.concatenate([block.marker_bits for block in blocks]),
        )


def weighted_sums(readings: Readings, weights: NDArray[np.complex128]) -> WeightedSums:
    """Sums of counts with one weight per setting and signal, `weights` [signals, settings], and their noise.

    Tags of the readings are the settings' numbers. The sum is divided by the number of readings.
    """
    weights = np.atleast_2d(weights)
    counts = readings.value.real
    each = weights[:, readings.tag]
    variance = (np.abs(each) ** 2) @ counts
    return WeightedSums(each @ counts / len(counts), np.sqrt(variance) / len(counts))
