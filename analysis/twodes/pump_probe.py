"""Pump-probe spectra: the change of the probe's spectrum by the pump, dS/S against t2 and w3.

The probe is its own local oscillator, so that dS/S = 2 Re(signal field / probe field): a bleach is positive,
and its real part is known without a phase to be found. That is what heterodyned maps are phased with (J. D.
Hybl, A. A. Ferro and D. M. Jonas, J. Chem. Phys. 115, 6606 (2001)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.floating]

STEP_CM = 20.0
"""Spacing of w3; signals that last 450 fs have no finer structure."""
WEAKEST_PROBE = 0.05
"""Where the probe is weaker than this share of its maximum, nothing is told."""


@dataclass(frozen=True)
class PumpProbeData:
    """Counts without dark of interleaved spectra with and without pump."""

    pixel_cm: Real
    t2_fs: Real
    on: Real
    """With pump, shape (t2, repeats, pixels); the mean over its phases, which takes its scatter out."""
    off: Real
    """Without pump, each between the frames that `on` is the mean of; shape (t2, repeats, pixels)."""


@dataclass(frozen=True)
class PumpProbeSpectra:
    """dS/S with its standard errors."""

    t2_fs: Real
    w3_cm: Real
    change: Real
    """Shape (t2, w3)."""
    error: Real
    """From the scatter of the repeats; shape (t2, w3)."""
    probe: Real
    """Spectrum of the probe in counts, shape (w3,)."""

    @property
    def signal(self) -> Real:
        """Real part of the signal field, on the scale of the square root of counts; shape (t2, w3)."""
        return self.change * np.sqrt(self.probe) / 2

    def signal_at(self, t2_fs: Real, w3_cm: Real) -> Real:
        """`signal` between its t2 and w3, shape (t2, w3): what `phasing.fit_phase` compares maps with.

        Raises ValueError where a t2 or w3 was not measured.
        """
        reached = self.t2_fs.min(), self.t2_fs.max(), self.w3_cm.min(), self.w3_cm.max()
        wanted = t2_fs.min(), t2_fs.max(), w3_cm.min(), w3_cm.max()
        if wanted[0] < reached[0] or wanted[1] > reached[1]:
            raise ValueError(
                f"pump-probe spectra from {reached[0]:g} to {reached[1]:g} fs do not tell of t2 = "
                f"{wanted[0]:g} to {wanted[1]:g} fs"
            )
        if wanted[2] < reached[2] - STEP_CM or wanted[3] > reached[3] + STEP_CM:
            raise ValueError(
                f"pump-probe spectra from {reached[2]:.0f} to {reached[3]:.0f} cm-1 do not tell of w3 = "
                f"{wanted[2]:.0f} to {wanted[3]:.0f} cm-1"
            )
        along_w3 = np.array([np.interp(w3_cm, self.w3_cm, row) for row in self.signal])
        return np.array([np.interp(t2_fs, self.t2_fs, column) for column in along_w3.T]).T

    def strongest(self) -> tuple[float, float]:
        """t2 and w3 of the largest change."""
        k2, k3 = np.unravel_index(int(np.argmax(np.abs(self.change))), self.change.shape)
        return float(self.t2_fs[k2]), float(self.w3_cm[k3])


def pump_probe_spectra(
    data: PumpProbeData, band_cm: tuple[float, float], *, before_fs: float | None = None
) -> PumpProbeSpectra:
    """dS/S within a band, on an even axis of w3.

    Parameters
    ----------
    data: interleaved spectra; t2 in any order.
    band_cm: lowest and highest w3.
    before_fs: the mean of the spectra at and before this t2, where the probe comes long before the pump, is
        taken off: what the pump scatters by itself. None leaves it in.

    Raises ValueError for fewer than two repeats, or where the probe lights nothing of the band.
    """
    repeats = data.on.shape[1]
    if repeats < 2:
        raise ValueError("one repeat tells no errors: take two or more")
    edges = np.arange(band_cm[0] - STEP_CM / 2, band_cm[1] + STEP_CM, STEP_CM)
    on, off = _binned(data.on, data.pixel_cm, edges), _binned(data.off, data.pixel_cm, edges)
    probe = off.mean(axis=(0, 1))
    lit = np.isfinite(probe) & (probe > WEAKEST_PROBE * data.off.mean(axis=(0, 1)).max())
    if not lit.any():
        raise ValueError(f"the probe lights nothing between {band_cm[0]:.0f} and {band_cm[1]:.0f} cm-1")
    each = on[..., lit] / off[..., lit] - 1.0
    order = np.argsort(data.t2_fs)
    t2_fs, change = data.t2_fs[order], each.mean(axis=1)[order]
    error = each.std(axis=1, ddof=1)[order] / math.sqrt(repeats)
    early = np.zeros(len(t2_fs), bool) if before_fs is None else t2_fs <= before_fs
    if early.any():
        change = change - change[early].mean(axis=0)
        error = np.hypot(error, np.sqrt(np.mean(error[early] ** 2, axis=0) / early.sum()))
    w3_cm = (edges[1:] + edges[:-1])[lit] / 2
    return PumpProbeSpectra(t2_fs[~early], w3_cm, change[~early], error[~early], probe[lit])


def _binned(counts: Real, pixel_cm: Real, edges: Real) -> Real:
    """Mean counts of the pixels within each bin, shape (..., bins); nan where a bin has no pixel."""
    order = np.argsort(pixel_cm)
    at = np.searchsorted(pixel_cm[order], edges)
    total = np.concatenate([np.zeros((*counts.shape[:-1], 1)), np.cumsum(counts[..., order], axis=-1)], -1)
    inside = np.diff(at)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.diff(total[..., at], axis=-1) / inside
