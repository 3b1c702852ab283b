"""Blinking of one dot at constant potential: on and off times, and whether dim means short-lived.

A-type blinking is charging: intensity and lifetime fall together. In B-type blinking hot carriers are lost
before they reach the band edge: the intensity falls and the lifetime stays (Galland et al., Nature 479, 203
(2011)). Dim time bins are told apart by their lifetimes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_PHOTONS = 40
"""Photons in a bright bin without which a bin says nothing."""
DIM = 0.75
"""Background-free rate, relative to the bright one, below which a bin is dim."""
OFF = 0.5
"""Likewise, below which it is off."""
SAME_LIFETIME = 0.75
"""Lifetime, relative to the bright one, above which a dim bin counts as B-type."""


@dataclass(frozen=True)
class Blinking:
    """Shares of time and mean dwell times, at the resolution of the time bins given."""

    bright_rate_hz: float
    """Median background-free rate of the bright bins."""
    on_share: float
    on_s: float
    """Mean length of a stretch that is on; nan where there is none."""
    off_s: float
    a_share: float
    """Share of time that is dim with a short lifetime."""
    b_share: float
    """Share of time that is dim with the lifetime of the bright bins."""


def blinking(
    net_rate_hz: NDArray[np.floating], lifetime_ns: NDArray[np.floating], bin_s: float
) -> Blinking | None:
    """Blinking of consecutive time bins; None where a bin holds too few photons to tell.

    Bins in which no lifetime could be found are dim but of neither type.
    """
    if len(net_rate_hz) == 0:
        return None
    highest_hz = float(np.quantile(net_rate_hz, 0.95))
    if highest_hz * bin_s < MIN_PHOTONS:
        return None
    furthest = 1.0 - 4.0 / np.sqrt(highest_hz * bin_s)  # chance alone stays above this
    bright = net_rate_hz > min(DIM, furthest) * highest_hz
    bright_hz = float(np.median(net_rate_hz[bright]))
    bright_ns = float(np.nanmedian(lifetime_ns[bright]))
    dim = net_rate_hz < min(DIM, furthest) * bright_hz
    on = net_rate_hz >= min(OFF, furthest) * bright_hz
    alike = lifetime_ns > SAME_LIFETIME * bright_ns
    shorter = lifetime_ns <= SAME_LIFETIME * bright_ns
    return Blinking(
        bright_rate_hz=bright_hz,
        on_share=float(on.mean()),
        on_s=_mean_stretch(on) * bin_s,
        off_s=_mean_stretch(~on) * bin_s,
        a_share=float((dim & shorter).mean()),
        b_share=float((dim & alike).mean()),
    )


def _mean_stretch(state: NDArray[np.bool_]) -> float:
    """Mean number of bins in a row in which `state` is true; nan where it never is."""
    begins = np.count_nonzero(state[1:] & ~state[:-1]) + int(state[0])
    return float(state.sum() / begins) if begins else float("nan")
