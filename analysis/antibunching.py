"""Antibunching of a pulsed emitter from the peaks of its cross-correlation: g2(0) and its error.

g2(0) is the number of pairs in the zero-delay peak over the mean of the first three lagging peaks (pairs
whose photon on detector 1 comes one, two and three periods after that on detector 0), as in Morozov et al.,
Science Advances 6, eabb1821 (2020). A pair belongs to a peak either by its delay (the window of half a
period around the peak, the paper's way) or by the numbers of the two laser pulses. An emitter whose lifetime
is not far below the period leaks from one window into the next, and the two ways differ; by pulse number,
only an exciton that outlives the period does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .flid_data import Calibration, PhotonData
from .photon_engine import EngineSettings, PhotonEngine
from .pulsed_g2 import G2Settings, PulsedG2
from .scaling import Ratio

FAR_PEAKS = 4
"""Peaks from this order on are far: microseconds away."""
LAGGING_PEAKS = 3
"""Peaks whose mean is one: the first three with positive delay."""
G2 = G2Settings(pulses=10)
"""What is counted: detector 1 after detector 0, ten peaks on either side."""
NO_ACCIDENTALS = Ratio(0.0, 0.0)


@dataclass(frozen=True)
class Antibunching:
    """Pairs of two detectors and what follows from them.

    A ratio is None where the lagging peaks hold no pair, or nothing but background.
    """

    pairs: PulsedG2
    accidental_pairs: Ratio
    """Pairs per peak in which a background count takes part, and their error from the blank."""

    @property
    def window(self) -> Ratio | None:
        """g2(0) by the window of half a period, background included: the paper's number."""
        return zero_over_lagging(self.pairs.window_pairs)

    @property
    def sync(self) -> Ratio | None:
        """g2(0) by sync numbers, background included."""
        return zero_over_lagging(self.pairs.sync_pairs)

    @property
    def background_corrected(self) -> Ratio | None:
        """g2(0) by sync numbers without the pairs in which a background count takes part."""
        return zero_over_lagging(self.pairs.sync_pairs, self.accidental_pairs)

    @property
    def first_over_far(self) -> Ratio | None:
        """Pairs in the first peaks on either side over those in the far ones (window).

        1 for light without memory. Above 1 where the charge is still the same one period later: it
        exchanges with the electrode within microseconds. None without far pairs.
        """
        order, pairs = np.abs(self.pairs.order), self.pairs.window_pairs
        first, far = pairs[order == 1], pairs[order >= FAR_PEAKS]
        if first.sum() == 0 or far.sum() == 0:
            return None
        value = float(first.mean() / far.mean())
        return Ratio(value, value * math.sqrt(1 / int(first.sum()) + 1 / int(far.sum())))

    def peaks(self) -> list[dict[str, float]]:
        """One entry per peak, in order of delay: order, delay, pairs by window and by sync number."""
        pairs = self.pairs
        period_ns = pairs.period_bins * pairs.resolution_ns
        columns = zip(
            pairs.order.tolist(), pairs.window_pairs.tolist(), pairs.sync_pairs.tolist(), strict=True
        )
        return [
            {"order": order, "delay_ns": order * period_ns, "window_pairs": window, "sync_pairs": sync}
            for order, window, sync in columns
        ]


def antibunching_in(inside: slice, data: PhotonData, exposure_s: float) -> Antibunching:
    """Antibunching of the photons `inside` (a slice of the arrays), collected over `exposure_s` seconds.

    Raises ValueError when the run did not have exactly two detectors.
    """
    sync, channel = data.sync[inside], data.channel[inside]
    engine = pair_counter(data.sync_period_s, data.resolution_ps, max(2, int(channel.max(initial=0)) + 1))
    engine.feed_events(sync - (sync[0] if len(sync) else 0), data.dtime[inside], channel)
    pairs = counted_pairs(engine)
    photons = np.bincount(channel, minlength=2)
    return Antibunching(pairs, accidental_pairs(photons, exposure_s, data.sync_period_s, data.calibration))


def pair_counter(sync_period_s: float, resolution_ps: float, detectors: int) -> PhotonEngine:
    """An engine that counts the pairs of detectors 0 and 1, for photons as they come or all at once."""
    return PhotonEngine(
        EngineSettings(sync_period_s=sync_period_s, resolution_ps=resolution_ps, channels=detectors, g2=G2)
    )


def counted_pairs(engine: PhotonEngine) -> PulsedG2:
    """The pairs that a `pair_counter` has counted so far."""
    if engine.g2 is None:
        raise ValueError("this engine was not made to count pairs")
    return engine.g2


def zero_over_lagging(pairs: NDArray[np.integer], accidental: Ratio = NO_ACCIDENTALS) -> Ratio | None:
    """Zero peak over the mean of the first three lagging ones, `accidental` pairs taken off each.

    `pairs` holds peaks -K to K, K at least three. The error is that of the counts (Poisson, an empty zero
    peak counted as one) and of `accidental`. None where nothing is left of the lagging peaks.
    """
    zero = len(pairs) // 2
    lagging = pairs[zero + 1 : zero + 1 + LAGGING_PEAKS]
    if len(pairs) % 2 == 0 or len(lagging) < LAGGING_PEAKS:
        raise ValueError(f"{len(pairs)} peaks; the peaks -K to K are needed, with K at least {LAGGING_PEAKS}")
    mean = float(lagging.mean())
    one = mean - accidental.value
    if not one > 0:
        return None
    value = (float(pairs[zero]) - accidental.value) / one
    errors = (
        math.sqrt(max(1.0, float(pairs[zero]))),
        value * math.sqrt(mean / LAGGING_PEAKS),
        (1.0 - value) * accidental.error,
    )
    return Ratio(value, math.hypot(*errors) / one)


def accidental_pairs(
    photons: NDArray[np.integer], exposure_s: float, period_s: float, calibration: Calibration
) -> Ratio:
    """Pairs per peak that hold a background count, from the photons of both detectors (shape: 2).

    Background comes independently of the dot and of itself, so with r counts per pulse of which b are
    background, a peak holds r0 r1 - (r0 - b0)(r1 - b1) such pairs per pulse, however the dot blinks. The
    error is the blank's. Laser-synchronous background is shared equally by both detectors.
    """
    dark_hz = np.asarray(calibration.dark_rates_hz, dtype=float)
    if len(photons) != 2 or len(dark_hz) != 2:
        raise ValueError(f"{len(photons)} detectors with {len(dark_hz)} dark rates; two of each are needed")
    if exposure_s <= 0:
        return NO_ACCIDENTALS
    pulses = exposure_s / period_s
    per_pulse = photons / pulses
    background_hz = dark_hz + calibration.prompt_rate_hz / 2
    signal = per_pulse - background_hz * period_s
    error = np.sqrt(background_hz / calibration.blank_s) * period_s
    pairs = pulses * float(per_pulse.prod() - signal.prod())
    return Ratio(pairs, pulses * math.hypot(signal[1] * error[0], signal[0] * error[1]))
