"""The dots of a field: where, how bright, and whether one alone; and which of them to take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .antibunching import LAGGING_PEAKS, accidental_pairs, zero_over_lagging
from .flid_data import Calibration
from .scaling import Ratio

SINGLE_BELOW = 0.5
"""g2(0) of one emitter lies below; two equally bright ones have 0.5 or more."""


@dataclass(frozen=True)
class FoundDot:
    """One dot; positions x, y, z and their standard errors in micrometres, nan where not measured."""

    position_um: NDArray[np.floating]
    error_um: NDArray[np.floating]
    rate_hz: float
    """Mean rate in focus, background subtracted."""
    rate_err_hz: float
    g2: Ratio | None
    """g2(0) by laser pulse, background subtracted; None with too few pairs."""

    @property
    def single(self) -> bool:
        """Whether g2(0) is below one half by at least one standard error."""
        return self.g2 is not None and self.g2.value + self.g2.error < SINGLE_BELOW


def g2_of(
    sync: NDArray[np.int64],
    channel: NDArray[np.uint8],
    exposure_s: float,
    period_s: float,
    calibration: Calibration,
) -> Ratio | None:
    """g2(0) of photons (ascending laser pulse number, detector 0 or 1), background subtracted."""
    first, second = sync[channel == 0], sync[channel == 1]
    pairs = [
        int((np.searchsorted(second, first + lag, "right") - np.searchsorted(second, first + lag)).sum())
        for lag in range(-LAGGING_PEAKS, LAGGING_PEAKS + 1)
    ]
    photons = np.array([len(first), len(second)])
    return zero_over_lagging(np.array(pairs), accidental_pairs(photons, exposure_s, period_s, calibration))


def brightest_single(dots: Sequence[FoundDot]) -> int | None:
    """Index of the brightest dot that is one alone; None where there is none."""
    single = [k for k, dot in enumerate(dots) if dot.single]
    return max(single, key=lambda k: dots[k].rate_hz) if single else None
