"""Photons to intensity trace, pooled decay and one micro-time histogram per FLID bin, in one pass.

The live view feeds the accumulator block by block; the analysis of a finished run feeds the same
accumulator once. Counting is in whole sync periods, so the result does not depend on where the blocks were
cut.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


class TraceAccumulator:
    """Bins photons of a T3 stream; blocks may have any length, photons inside need not be sorted.

    `trace_bin_s` and `flid_bin_s` are rounded to whole sync periods; the rounded values are kept. Micro times
    at or beyond the last of `edges_bins` are counted in `late_photons` and otherwise left out.
    """

    def __init__(
        self,
        *,
        sync_period_s: float,
        trace_bin_s: float,
        flid_bin_s: float,
        edges_bins: NDArray[np.int64],
        channels: int = 2,
    ) -> None:
        self._trace_syncs = max(1, round(trace_bin_s / sync_period_s))
        self._flid_syncs = max(1, round(flid_bin_s / sync_period_s))
        self.trace_bin_s = self._trace_syncs * sync_period_s
        self.flid_bin_s = self._flid_syncs * sync_period_s
        self.edges_bins = edges_bins
        self._bin_of = np.repeat(np.arange(len(edges_bins) - 1, dtype=np.int32), np.diff(edges_bins))
        self._trace = np.zeros((64, channels), np.uint32)
        self._flid = np.zeros((64, len(edges_bins) - 1), np.uint32)
        self._decay = np.zeros((channels, len(self._bin_of)), np.int64)
        self._used = np.zeros(2, np.int64)
        self.late_photons = 0

    def add(self, sync: NDArray[np.int64], dtime: NDArray[np.uint16], channel: NDArray[np.uint8]) -> None:
        """Count a block of photons: sync number from 0, micro time in bins, detector from 0.

        Raises ValueError for a negative sync number or a detector that was not announced.
        """
        if len(sync) == 0:
            return
        first, last = int(sync.min()), int(sync.max())
        if first < 0:
            raise ValueError(f"sync number {first} is negative; count from the start of the measurement")
        if channel.max() >= self._decay.shape[0]:
            raise ValueError(f"photon of detector {channel.max()}, but only {self._decay.shape[0]} exist")
        self.reach(last + 1)
        self.late_photons += _count(
            sync,
            dtime,
            channel,
            self._bin_of,
            self._trace_syncs,
            self._flid_syncs,
            self._trace,
            self._flid,
            self._decay,
        )

    def reach(self, sync: int) -> None:
        """Make the bins up to this sync number exist, photons or not: call it at the end of a run."""
        if sync > 0:
            used = (sync - 1) // self._trace_syncs + 1, (sync - 1) // self._flid_syncs + 1
            self._used = np.maximum(self._used, used)
            self._trace = _grown(self._trace, int(self._used[0]))
            self._flid = _grown(self._flid, int(self._used[1]))

    @property
    def trace(self) -> NDArray[np.uint32]:
        """Photons per trace bin and detector, shape (bins, channels); a view."""
        return self._trace[: self._used[0]]

    @property
    def histograms(self) -> NDArray[np.uint32]:
        """Micro-time histograms, shape (FLID bins, micro-time bins); a view."""
        return self._flid[: self._used[1]]

    @property
    def decay(self) -> NDArray[np.int64]:
        """Pooled decay at full resolution, shape (channels, micro-time bins)."""
        return self._decay


def microtime_histogram(dtime: NDArray[np.uint16], edges_bins: NDArray[np.int64]) -> NDArray[np.int64]:
    """Photons per micro-time bin (shape: bins); those beyond the last edge are left out."""
    decay = np.bincount(dtime, minlength=int(edges_bins[-1]))
    return np.add.reduceat(decay[: edges_bins[-1]], edges_bins[:-1])


def _grown(array: NDArray[np.uint32], rows: int) -> NDArray[np.uint32]:
    """The array with room for at least `rows` rows, doubling so that long runs cost no more per photon."""
    if rows <= len(array):
        return array
    larger = np.zeros((max(rows, 2 * len(array)), array.shape[1]), array.dtype)
    larger[: len(array)] = array
    return larger


@njit(cache=True, nogil=True)
def _count(
    sync: NDArray[np.int64],
    dtime: NDArray[np.uint16],
    channel: NDArray[np.uint8],
    bin_of: NDArray[np.int32],
    trace_syncs: int,
    flid_syncs: int,
    trace: NDArray[np.uint32],
    flid: NDArray[np.uint32],
    decay: NDArray[np.int64],
) -> int:
    late = 0
    trace_bin, trace_start, flid_bin, flid_start = 0, 0, 0, 0
    for i in range(len(sync)):
        s = sync[i]
        if not 0 <= s - trace_start < trace_syncs:  # divide only when the bin changes
            trace_bin = s // trace_syncs
            trace_start = trace_bin * trace_syncs
        if not 0 <= s - flid_start < flid_syncs:
            flid_bin = s // flid_syncs
            flid_start = flid_bin * flid_syncs
        trace[trace_bin, channel[i]] += np.uint32(1)
        d = dtime[i]
        if d < len(bin_of):
            flid[flid_bin, bin_of[d]] += np.uint32(1)
            decay[channel[i], d] += 1
        else:
            late += 1
    return late
