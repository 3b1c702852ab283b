"""Micro times to histograms; traces, decays and FLID bins are counted by `photon_engine`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def microtime_histogram(dtime: NDArray[np.uint16], edges_bins: NDArray[np.int64]) -> NDArray[np.int64]:
    """Photons per micro-time bin (shape: bins); those beyond the last edge are left out."""
    decay = np.bincount(dtime, minlength=int(edges_bins[-1]))
    return np.add.reduceat(decay[: edges_bins[-1]], edges_bins[:-1])


def microtime_histograms(
    dtime: NDArray[np.uint16], which: NDArray[np.int64], n: int, edges_bins: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The same for `n` groups of photons, shape (n, bins); `which` tells each photon's, -1 for none."""
    columns = len(edges_bins) - 1
    bin_of = np.repeat(np.arange(columns), np.diff(edges_bins))
    kept = (which >= 0) & (dtime < len(bin_of))
    cell = which[kept] * columns + bin_of[dtime[kept]]
    return np.bincount(cell, minlength=n * columns).reshape(n, columns)
