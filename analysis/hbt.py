"""An HBT run from photons to g2(0): one dot at one potential, two detectors.

Rates are as recorded, background included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .against_x0 import number, value_and_error
from .antibunching import Antibunching, antibunching_in
from .flid_data import PhotonData


@dataclass(frozen=True)
class HbtData(PhotonData):
    """One run as recorded."""

    window_s: tuple[float, float] | None
    """When the potential was certainly held, on the photons' clock; None where that is not known."""
    potential_v: float | None
    """None for a cell at rest."""
    trace_bin_s: float = 0.1
    status: str = "finished"


@dataclass(frozen=True)
class HbtResult:
    """Everything the table and the figure show."""

    status: str
    photons: int
    """Of the measured window."""
    duration_s: float
    """Length of the measured window."""
    potential_v: float | None
    rates_hz: NDArray[np.floating]
    """Of each detector."""
    background_hz: float
    """Of all detectors together, as calibrated."""
    trace_bin_s: float
    trace_hz: NDArray[np.floating]
    """Count rate of all detectors in the measured window."""
    antibunching: Antibunching
    warnings: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """The results as plain numbers; None stands for what was not found."""
        g2 = self.antibunching
        told: dict[str, float | None] = {}
        for name in ("window", "sync", "background_corrected"):
            told[name], told[f"{name}_err"] = value_and_error(getattr(g2, name))
        first, first_err = value_and_error(g2.first_over_far)
        return {
            "kind": "hbt",
            "status": self.status,
            "photons": self.photons,
            "duration_s": self.duration_s,
            "potential_v": self.potential_v,
            "rates_hz": [number(rate) for rate in self.rates_hz],
            "background_hz": self.background_hz,
            "g2_zero": told,
            "accidental_pairs": number(g2.accidental_pairs.value),
            "accidental_pairs_err": number(g2.accidental_pairs.error),
            "first_over_far_peaks": first,
            "first_over_far_peaks_err": first_err,
            "peaks": g2.peaks(),
        }


def analyze_hbt(data: HbtData) -> HbtResult:
    """Analyse one run; raises ValueError when it did not have exactly two detectors."""
    warnings: list[str] = []
    if data.window_s is None:
        warnings.append("nothing tells when the potential was held: no photon of this run is used")
    start_s, end_s = data.window_s or (0.0, 0.0)
    first, last = np.round(np.array([start_s, max(start_s, end_s)]) / data.sync_period_s).astype(np.int64)
    inside = slice(*np.searchsorted(data.sync, (first, last)))
    exposure_s = float(last - first) * data.sync_period_s
    channel = data.channel[inside]
    trace_syncs = max(1, round(data.trace_bin_s / data.sync_period_s))
    trace_bin_s = trace_syncs * data.sync_period_s
    bins = int((last - first) // trace_syncs)
    trace = np.bincount((data.sync[inside] - first) // trace_syncs, minlength=bins)[:bins]
    detectors = len(data.calibration.dark_rates_hz)
    rates_hz = (
        np.bincount(channel, minlength=detectors) / exposure_s if exposure_s else np.full(detectors, math.nan)
    )
    return HbtResult(
        status=data.status,
        photons=len(channel),
        duration_s=exposure_s,
        potential_v=data.potential_v,
        rates_hz=rates_hz,
        background_hz=data.calibration.background.rate_hz,
        trace_bin_s=trace_bin_s,
        trace_hz=trace / trace_bin_s,
        antibunching=antibunching_in(inside, data, exposure_s),
        warnings=tuple(warnings),
    )
