"""What is watched while photons come in: intensity in bins that widen, and the FLID as a histogram.

Both take the newest stretch of an engine's snapshots and keep a bounded amount, however long the run is.
The numbers are for watching: the lifetime's time zero is the calibrated one until photons allow a fit,
and the potential is the commanded one. The run file's analysis gives the results.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .flid_data import Calibration
from .lifetime import LifetimeEstimator
from .photon_engine import EngineSettings, EngineSnapshot
from .time_zero import fit_time_zero, rough_time_zero_bins

FIT_TIME_ZERO_AT = 20_000
"""Photons at which the calibrated time zero is replaced by a fitted one."""


class RunningTrace:
    """Counts in at most `most_bins` bins: whenever they are full, neighbours are joined."""

    def __init__(self, bin_s: float, *, joined: int = 10, most_bins: int = 4000) -> None:
        self._base_s, self._joined, self._most = bin_s, joined, most_bins
        self._next = 0  # base bins taken so far
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._rest: NDArray[np.int64] = np.zeros(0, np.int64)

    @property
    def taken_s(self) -> float:
        """Time up to which counts were taken, in seconds."""
        return self._next * self._base_s

    @property
    def bin_s(self) -> float:
        """Width of the bins now, in seconds."""
        return self._joined * self._base_s

    @property
    def time_s(self) -> NDArray[np.floating]:
        """Centres of the whole bins, in seconds, shape (bins,)."""
        return (np.arange(len(self._counts)) + 0.5) * self.bin_s

    @property
    def rate_hz(self) -> NDArray[np.floating]:
        """Count rate in each of them, shape (bins,)."""
        return self._counts / self.bin_s

    def add(self, snapshot: EngineSnapshot) -> None:
        """Take what is new in a snapshot's trace, all detectors together; what it has no more counts as 0."""
        first = round(snapshot.trace_start_s / snapshot.trace_bin_s)
        counts = snapshot.trace[:-1].sum(axis=1, dtype=np.int64)  # the last bin may not be over
        new = counts[max(0, self._next - first) :]
        missed = np.zeros(max(0, first - self._next), np.int64)
        self._next = max(self._next, first + len(counts))
        self._rest = np.concatenate([self._rest, missed, new])
        while True:
            whole = len(self._rest) // self._joined * self._joined
            joined = self._rest[:whole].reshape(-1, self._joined).sum(axis=1)
            if len(self._counts) + len(joined) <= self._most:
                self._counts, self._rest = np.concatenate([self._counts, joined]), self._rest[whole:]
                return
            if len(self._counts) % 2:
                self._rest = np.concatenate([np.append(self._counts[-1], self._zeros()), self._rest])
            self._counts = self._counts[: len(self._counts) // 2 * 2].reshape(-1, 2).sum(axis=1)
            self._joined *= 2

    def _zeros(self) -> NDArray[np.int64]:
        return np.zeros(self._joined - 1, np.int64)


@dataclass(frozen=True)
class LiveFlidPoints:
    """The newest FLID points; arrays of one length."""

    time_s: NDArray[np.floating]
    net_rate_hz: NDArray[np.floating]
    """Background subtracted."""
    lifetime_ns: NDArray[np.floating]
    potential_v: NDArray[np.floating]
    """Commanded; nan where it is not known."""


class LiveFlid:
    """Lifetime and intensity of every FLID bin, and their histogram over logarithmic axes."""

    def __init__(
        self,
        engine: EngineSettings,
        calibration: Calibration,
        lifetime_edges_ns: NDArray[np.floating],
        rate_edges_hz: NDArray[np.floating],
    ) -> None:
        self._engine, self._calibration = engine, calibration
        self.lifetime_edges_ns, self.rate_edges_hz = lifetime_edges_ns, rate_edges_hz
        period_ns = engine.sync_period_s * 1e9
        self._response = calibration.response(period_ns)
        self._estimator = self._new_estimator()
        self._fitted = False
        self._next = 0
        shape = len(lifetime_edges_ns) - 1, len(rate_edges_hz) - 1
        self.counts: NDArray[np.int64] = np.zeros(shape, np.int64)
        """FLID bins per cell, shape (lifetime, rate)."""
        self._biased: NDArray[np.int64] = np.zeros(shape, np.int64)
        self._bias_sum_v: NDArray[np.floating] = np.zeros(shape)
        self.points = LiveFlidPoints(*(np.zeros(0) for _ in range(4)))
        """Those of the last `add`."""

    @property
    def mean_potential_v(self) -> NDArray[np.floating]:
        """Mean potential of each cell, shape (lifetime, rate); nan where there is none."""
        return np.where(self._biased > 0, self._bias_sum_v / np.maximum(self._biased, 1), np.nan)

    @property
    def taken_s(self) -> float:
        """Time up to which FLID bins were taken, in seconds."""
        return self._next * self._engine.flid_bin_s

    def add(
        self, snapshot: EngineSnapshot, time_s: NDArray[np.floating], potential_v: NDArray[np.floating]
    ) -> None:
        """Take the FLID bins that are new in a snapshot; the potential is known at rising times `time_s`."""
        first = round(snapshot.flid_start_s / snapshot.flid_bin_s)
        histograms = snapshot.histograms[max(0, self._next - first) : -1]  # the last bin may not be over
        if len(histograms) == 0:
            return
        self._fit_time_zero(snapshot)
        bin_s, start = snapshot.flid_bin_s, max(first, self._next)
        self._next = start + len(histograms)
        centre_s = (start + np.arange(len(histograms)) + 0.5) * bin_s
        found = self._estimator.estimate(histograms, bin_s)
        at_v = np.full(len(centre_s), np.nan)
        if len(time_s):
            at_v = np.interp(centre_s, time_s, potential_v, left=np.nan, right=np.nan)
        net_hz = found.photons / bin_s - self._calibration.background.rate_hz
        self.points = LiveFlidPoints(centre_s, net_hz, found.lifetime_ns, at_v)
        self._count(self.points)

    def spread(self, histograms: NDArray[np.uint32]) -> NDArray[np.floating]:
        """The sum of FLID histograms as a decay at full resolution; within a bin it is flat."""
        edges = self._estimator.edges_bins
        return np.repeat(histograms.sum(axis=0) / np.diff(edges), np.diff(edges))

    def _count(self, points: LiveFlidPoints) -> None:
        seen = np.isfinite(points.lifetime_ns) & (points.net_rate_hz > 0)
        cells = [
            np.searchsorted(edges, values[seen], "right") - 1
            for edges, values in (
                (self.lifetime_edges_ns, points.lifetime_ns),
                (self.rate_edges_hz, points.net_rate_hz),
            )
        ]
        inside = np.logical_and.reduce(
            [(cell >= 0) & (cell < size) for cell, size in zip(cells, self.counts.shape, strict=True)]
        )
        where, at_v = tuple(cell[inside] for cell in cells), points.potential_v[seen][inside]
        np.add.at(self.counts, where, 1)
        known = np.isfinite(at_v)
        biased = tuple(cell[known] for cell in where)
        np.add.at(self._biased, biased, 1)
        np.add.at(self._bias_sum_v, biased, at_v[known])

    def _fit_time_zero(self, snapshot: EngineSnapshot) -> None:
        decay = snapshot.decay.sum(axis=0)
        if self._fitted or decay.sum() < FIT_TIME_ZERO_AT:
            return
        self._fitted = True
        resolution_ns = snapshot.resolution_ps / 1000
        rough_ns = rough_time_zero_bins(decay, self._response.period_ns / resolution_ns) * resolution_ns
        start = replace(self._response, time_zero_ns=rough_ns)
        self._response = fit_time_zero(decay, resolution_ns, start).response
        self._estimator = self._new_estimator()

    def _new_estimator(self) -> LifetimeEstimator:
        edges = self._engine.edges_bins
        assert edges is not None
        return LifetimeEstimator(
            edges, self._engine.resolution_ps / 1000, self._response, self._calibration.background
        )
