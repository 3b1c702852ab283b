"""Micro times to histograms; traces, decays and FLID bins are counted by `photon_engine`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def microtime_histogram(dtime: NDArray[np.uint16], edges_bins: NDArray[np.int64]) -> NDArray[np.int64]:
    """Photons per micro-time bin (shape: bins); those beyond the last edge are left out."""
    decay = np.bincount(dtime, minlength=int(edges_bins[-1]))
    return np.add.reduceat(decay[: edges_bins[-1]], edges_bins[:-1])
