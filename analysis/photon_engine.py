"""Every number of the photon experiments in one pass over the counter's words, live or from a file.

`PhotonEngine` is fed blocks of T3 words as they come from the card, or photons of a run file, and keeps
intensity traces, decays, micro-time histograms per FLID bin, decays per bin of bias, markers and pulsed g2.
Time is counted in whole sync periods and all state is carried from block to block, so the results do not
depend on where the blocks were cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _engine_kernels as compiled
from . import _engine_numpy as reference
from ._engine_kernels import (
    CULPRIT,
    DECAY_GAP,
    DONE,
    LAST_SYNC,
    MARKERS_FULL,
    MICRO_TIMES,
    N_MARKERS,
    N_OVERFLOWS,
    N_RESERVED,
    N_STATE,
    NEGATIVE,
    OVERFLOW,
    ROWS_FULL,
    STATUS,
    TOO_LATE,
    WRONG_DETECTOR,
    WRONG_DTIME,
    Counts,
    Plan,
)
from .pulsed_g2 import LARGEST_SYNC, G2Settings, Kernels, PairCounter, PulsedG2, grown, readable

_ROWS_AT_FIRST = 1024
_RECORDS_AT_ONCE = 1 << 17
"""g2 looks at the same records again while they are still in the cache."""
_FOLD_AT = 1 << 31  # records


@dataclass(frozen=True)
class BiasBins:
    """Which bin of bias the photons belong to, from which sync number on."""

    start_sync: NDArray[np.int64]
    """Where each piece starts, rising, shape (pieces,)."""
    bin_of_piece: NDArray[np.int64]
    """Bin of each piece, from 0; -1 where the photons belong to none; shape (pieces,)."""
    n_bins: int

    def __post_init__(self) -> None:
        if len(self.start_sync) != len(self.bin_of_piece) or np.any(np.diff(self.start_sync) <= 0):
            raise ValueError("start_sync must rise and have as many entries as bin_of_piece")
        if (
            len(self.bin_of_piece)
            and not -1 <= self.bin_of_piece.min() <= self.bin_of_piece.max() < self.n_bins
        ):
            raise ValueError(f"bin_of_piece must be from -1 to {self.n_bins - 1}")

    @classmethod
    def of_potential(
        cls,
        start_sync: NDArray[np.int64],
        potential_v: ArrayLike,
        edges_v: ArrayLike,
    ) -> BiasBins:
        """Pieces of known potential (nan: unknown), sorted into the bins between rising `edges_v`."""
        edges_v, potential_v = np.asarray(edges_v, float), np.asarray(potential_v, float)
        found = np.searchsorted(edges_v, potential_v, side="right") - 1
        outside = (found < 0) | (found >= len(edges_v) - 1) | np.isnan(potential_v)
        return cls(np.asarray(start_sync, np.int64), np.where(outside, -1, found), len(edges_v) - 1)


@dataclass(frozen=True)
class EngineSettings:
    """What to count; times are rounded to whole sync periods, and the engine tells the rounded ones."""

    sync_period_s: float
    resolution_ps: float
    """Width of a micro-time bin."""
    channels: int = 2
    """Detectors."""
    trace_bin_s: float = 1e-3
    flid_bin_s: float = 0.02
    edges_bins: NDArray[np.int64] | None = None
    """Edges of the FLID's micro-time bins (see `decay_model.warped_edges`), from 0 to the period; without
    them all micro times are one bin."""
    bias: BiasBins | None = None
    g2: G2Settings | None = None
    longest_s: float = 86_400.0
    """Photons later than this are refused: words that are not the counter's own would ask for any memory."""
    kernels: Kernels = "numba"
    """Compiled loops, or the slower reference in numpy."""


@dataclass(frozen=True)
class EngineSnapshot:
    """What the engine knew at one moment, for a live view: copies that nothing changes any more."""

    duration_s: float
    photons: NDArray[np.int64]
    """Per detector."""
    trace_bin_s: float
    trace_start_s: float
    """Time of the first trace bin shown."""
    trace: NDArray[np.uint32]
    """Shape (bins, detectors)."""
    flid_bin_s: float
    flid_start_s: float
    histograms: NDArray[np.uint32]
    """Shape (FLID bins, micro-time bins)."""
    decay: NDArray[np.int64]
    """Shape (detectors, micro-time bins), from the start of the measurement."""
    resolution_ps: float
    g2: PulsedG2 | None


class PhotonEngine:
    """Counts the photons of one measurement.

    An instance belongs to one thread; who shows the results in another takes `snapshot` between two blocks.
    After an error the engine stands where the offending record was and takes no more.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        period_s, channels = settings.sync_period_s, settings.channels
        if not 1 <= channels <= 64:
            raise ValueError(f"channels = {channels} must be 1 to 64")
        self.period_bins = period_s * 1e12 / settings.resolution_ps
        edges = settings.edges_bins
        self.edges_bins = np.array([0, math.ceil(self.period_bins)]) if edges is None else edges
        n_bins, self._micro_bins = len(self.edges_bins) - 1, int(self.edges_bins[-1])
        if self.edges_bins[0] != 0 or np.any(np.diff(self.edges_bins) <= 0) or n_bins > 255:
            raise ValueError("edges_bins must rise from 0, with 255 bins at most")
        if self._micro_bins > MICRO_TIMES:
            raise ValueError(f"edges_bins reach {self._micro_bins}; a record holds less than {MICRO_TIMES}")
        trace_syncs = max(1, round(settings.trace_bin_s / period_s))
        flid_syncs = max(1, round(settings.flid_bin_s / period_s))
        self.trace_bin_s, self.flid_bin_s = trace_syncs * period_s, flid_syncs * period_s
        bin_of = np.full(MICRO_TIMES, n_bins, np.uint8)
        bin_of[: self._micro_bins] = np.repeat(np.arange(n_bins, dtype=np.uint8), np.diff(self.edges_bins))
        bias_start, bias_row, self._bias_rows = _bias_tables(settings.bias)
        self._plan = Plan(
            channels,
            min(32, 64 // channels),
            trace_syncs,
            flid_syncs,
            math.ceil(min(LARGEST_SYNC, settings.longest_s / period_s)),
            bin_of,
            bias_start,
            bias_row,
        )
        self._counts = Counts(
            np.zeros((_ROWS_AT_FIRST, channels), np.uint32),
            np.zeros((_ROWS_AT_FIRST, channels), np.uint32),
            np.zeros((_ROWS_AT_FIRST, n_bins + 1), np.uint32),
            np.zeros((self._bias_rows + 1, channels * MICRO_TIMES + DECAY_GAP), np.uint32),
            np.empty(_ROWS_AT_FIRST, np.int64),
            np.empty(_ROWS_AT_FIRST, np.uint8),
        )
        self._pairs = settings.g2 and PairCounter(
            settings.g2,
            period_bins=self.period_bins,
            resolution_ps=settings.resolution_ps,
            channels=channels,
            kernels=settings.kernels,
        )
        self._state = np.zeros(N_STATE, np.int64)
        self._state[LAST_SYNC] = -1
        self._reached = self._unfolded = self._forgotten = 0
        self._past: NDArray[np.int64] = np.zeros(channels + 1, np.int64)
        """Photons of each detector, and late ones, in the bins that were forgotten."""
        self._folded: NDArray[np.uint64] = np.zeros(1, np.uint64)
        self._kernels: ModuleType = compiled if settings.kernels == "numba" else reference

    # ---- what goes in ----

    def feed(self, words: NDArray[np.uint32]) -> None:
        """Count the next T3 words, shape (n,), of a TimeHarp 260, HydraHarp V2 or MultiHarp.

        Words of other counters go through `formats.tttr.TttrDecoder` and `feed_events`. Raises ValueError
        for a photon of a detector that does not exist or later than `longest_s`.
        """
        words = readable(words, np.uint32)
        for block in _blocks(len(words)):
            self._count(self._kernels.count_words, words[block])
            if self._pairs:
                self._pairs.feed(words[block])

    def feed_events(
        self, sync: NDArray[np.int64], dtime: NDArray[np.uint16], channel: NDArray[np.uint8]
    ) -> None:
        """Count photons: sync number from 0, micro time in bins, detector from 0; arrays of one length.

        They need not be sorted unless g2 is counted. Raises ValueError for a photon that cannot be.
        """
        if not len(sync) == len(dtime) == len(channel):
            raise ValueError("sync, dtime and channel need equal lengths")
        sync = sync - self._forgotten if self._forgotten else sync
        events = readable(sync, np.int64), readable(dtime, np.uint16), readable(channel, np.uint8)
        for block in _blocks(len(sync)):
            part = events[0][block], events[1][block], events[2][block]
            self._count(self._kernels.count_events, *part)
            if self._pairs:
                self._pairs.feed_events(*part)

    def reach(self, sync: int) -> None:
        """Make the bins up to this sync number exist, photons or not: call it at the end of a run."""
        self._grow_rows(sync - 1 - self._forgotten)
        self._reached = max(self._reached, sync - self._forgotten)

    def forget_before(self, time_s: float) -> None:
        """Forget trace and FLID bins and markers before a time (s), for a live view of a long run.

        The properties and snapshots then begin at `kept_from_s`, which is that time or earlier: both kinds of
        bin must begin there. Decays, photons and g2 are those of the whole measurement. Raises ValueError
        where bins of bias are counted: they are told by sync numbers from the start.
        """
        if self.settings.bias is not None:
            raise ValueError("an engine with bins of bias keeps the whole measurement")
        plan, counts, state = self._plan, self._counts, self._state
        both = math.lcm(plan.trace_syncs, plan.flid_syncs)
        wanted = min(self.last_sync, int(time_s / self.settings.sync_period_s))
        syncs = max(0, wanted) // both * both - self._forgotten
        if syncs <= 0:
            return
        trace_rows, flid_rows = syncs // plan.trace_syncs, syncs // plan.flid_syncs
        self._past[:-1] += counts.coarse[:flid_rows].sum(axis=0, dtype=np.int64)
        self._past[-1] += counts.flid[:flid_rows, -1].sum(dtype=np.int64)
        for table, rows in ((counts.trace, trace_rows), (counts.coarse, flid_rows), (counts.flid, flid_rows)):
            _move_up(table, rows)
        kept = counts.marker_sync[: state[N_MARKERS]] >= syncs
        n_kept = int(kept.sum())
        counts.marker_sync[:n_kept] = counts.marker_sync[: len(kept)][kept] - syncs
        counts.marker_bits[:n_kept] = counts.marker_bits[: len(kept)][kept]
        state[N_MARKERS] = n_kept
        state[LAST_SYNC] -= syncs
        state[OVERFLOW] -= syncs
        self._reached = max(0, self._reached - syncs)
        self._forgotten += syncs

    def drop_g2(self) -> None:
        """Count no more pairs; `g2` is None from here on."""
        self._pairs = None

    # ---- what comes out: views where nothing else is said, which the next block may change ----

    @property
    def last_sync(self) -> int:
        """Sync number of the last record, overflows included; -1 before the first."""
        return int(self._state[LAST_SYNC]) + self._forgotten

    @property
    def kept_from_s(self) -> float:
        """Time at which traces, FLID and markers begin: 0 unless something was forgotten."""
        return self._forgotten * self.settings.sync_period_s

    @property
    def duration_s(self) -> float:
        """Time of the last record."""
        return max(0, self.last_sync) * self.settings.sync_period_s

    @property
    def trace(self) -> NDArray[np.uint32]:
        """Photons per trace bin and detector, shape (bins, detectors)."""
        return self._counts.trace[: self._rows(self._plan.trace_syncs)]

    @property
    def coarse_trace(self) -> NDArray[np.uint32]:
        """Photons per FLID bin and detector, shape (FLID bins, detectors)."""
        return self._counts.coarse[: self._rows(self._plan.flid_syncs)]

    @property
    def histograms(self) -> NDArray[np.uint32]:
        """Micro-time histograms, shape (FLID bins, micro-time bins between `edges_bins`)."""
        return self._counts.flid[: self._rows(self._plan.flid_syncs), :-1]

    @property
    def decay(self) -> NDArray[np.int64]:
        """Pooled decay at full resolution, shape (detectors, micro-time bins); a copy."""
        return self._decays.sum(axis=0).astype(np.int64)[:, : self._micro_bins]

    @property
    def bias_decays(self) -> NDArray[np.uint64]:
        """Decay of each bin of bias, shape (bias bins, detectors, micro-time bins); a copy."""
        return self._decays[:-1, :, : self._micro_bins]

    @property
    def photons(self) -> NDArray[np.int64]:
        """Photons of each detector, late ones included, shape (detectors,); a copy."""
        return self._past[:-1] + self.coarse_trace.sum(axis=0, dtype=np.int64)

    @property
    def late_photons(self) -> int:
        """Photons whose micro time lies beyond the last edge: in the traces, in no decay and no FLID bin."""
        return int(self._past[-1] + self._counts.flid[:, -1].sum(dtype=np.int64))

    @property
    def marker_sync(self) -> NDArray[np.int64]:
        """Sync numbers of the markers, shape (markers,)."""
        stored = self._counts.marker_sync[: self._state[N_MARKERS]]
        return stored + self._forgotten if self._forgotten else stored

    @property
    def marker_bits(self) -> NDArray[np.uint8]:
        """Marker lines of each marker as bits, shape (markers,)."""
        return self._counts.marker_bits[: self._state[N_MARKERS]]

    @property
    def overflow_records(self) -> int:
        """Overflow records among the words."""
        return int(self._state[N_OVERFLOWS])

    @property
    def reserved_records(self) -> int:
        """Words of undefined meaning that were skipped."""
        return int(self._state[N_RESERVED])

    @property
    def g2(self) -> PulsedG2 | None:
        """Pairs counted so far; None when g2 was not asked for."""
        return self._pairs.result if self._pairs else None

    def snapshot(self, last_s: float = math.inf) -> EngineSnapshot:
        """Copies of everything, of traces and FLID only the last `last_s` seconds."""
        trace, histograms, g2 = self.trace, self.histograms, self.g2
        trace_from = max(0, len(trace) - math.ceil(min(last_s / self.trace_bin_s, len(trace))))
        flid_from = max(0, len(histograms) - math.ceil(min(last_s / self.flid_bin_s, len(histograms))))
        return EngineSnapshot(
            self.duration_s,
            self.photons,
            self.trace_bin_s,
            self.kept_from_s + trace_from * self.trace_bin_s,
            trace[trace_from:].copy(),
            self.flid_bin_s,
            self.kept_from_s + flid_from * self.flid_bin_s,
            histograms[flid_from:].copy(),
            self.decay,
            self.settings.resolution_ps,
            g2 and replace(g2, lag_counts=g2.lag_counts.copy(), sync_pairs=g2.sync_pairs.copy()),
        )

    # ---- inside ----

    @property
    def _decays(self) -> NDArray[np.uint64]:
        decays = (self._folded + self._counts.decay)[:, :-DECAY_GAP]
        return decays.reshape(self._bias_rows + 1, self.settings.channels, MICRO_TIMES)

    def _rows(self, syncs: int) -> int:
        return (max(self._reached, int(self._state[LAST_SYNC]) + 1) + syncs - 1) // syncs

    def _count(self, kernel: Callable[..., int], *records: NDArray[np.generic]) -> None:
        first = 0
        while first < len(records[0]):
            first = kernel(*records, first, self._plan, self._counts, self._state)
            if self._state[STATUS] != DONE:
                self._make_room()
        if self.last_sync >= self._plan.longest_syncs:
            raise ValueError(_REFUSALS[TOO_LATE].format(self.last_sync, self.settings))
        self._grow_rows(int(self._state[LAST_SYNC]))
        self._unfolded += len(records[0])
        if self._unfolded > _FOLD_AT:  # before a cell of the decays can overflow
            self._unfolded = 0
            self._folded = self._folded + self._counts.decay
            self._counts.decay[:] = 0

    def _make_room(self) -> None:
        """Enlarge what was full and clear the status; raise for records that cannot be."""
        status, culprit = int(self._state[STATUS]), int(self._state[CULPRIT])
        if status in _REFUSALS:
            raise ValueError(_REFUSALS[status].format(culprit, self.settings))
        if status == ROWS_FULL:
            self._grow_rows(culprit)
        elif status == MARKERS_FULL:
            room = 2 * len(self._counts.marker_sync)
            self._counts = self._counts._replace(
                marker_sync=grown(self._counts.marker_sync, room),
                marker_bits=grown(self._counts.marker_bits, room),
            )
        self._state[STATUS] = DONE

    def _grow_rows(self, sync: int) -> None:
        """Make room for the bins that hold this sync number."""
        counts, plan = self._counts, self._plan
        trace_rows, flid_rows = sync // plan.trace_syncs + 1, sync // plan.flid_syncs + 1
        if trace_rows > len(counts.trace) or flid_rows > len(counts.coarse):
            self._counts = counts._replace(
                trace=grown(counts.trace, trace_rows),
                coarse=grown(counts.coarse, flid_rows),
                flid=grown(counts.flid, flid_rows),
            )


_REFUSALS = {
    WRONG_DETECTOR: "photon of detector {0}, but only {1.channels} exist",
    TOO_LATE: "sync number {0} lies beyond {1.longest_s:g} s: these are no T3 words of this measurement",
    NEGATIVE: "sync number {0} is negative; count from the start of the measurement",
    WRONG_DTIME: "micro time {0} does not fit a T3 record, which ends at 32767",
}


def warm_up(settings: EngineSettings) -> None:
    """Compile the kernels for these settings, or load what was compiled: before the first photons come."""
    PhotonEngine(settings).feed(np.array([0], np.uint32))


def _move_up(table: NDArray[np.uint32], rows: int) -> None:
    """Take the first rows of a table away in its place; empty ones come at its end."""
    left = max(0, len(table) - rows)
    table[:left] = table[len(table) - left :]
    table[left:] = 0


def _bias_tables(bias: BiasBins | None) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Starts of the pieces from sync number 0 to never, the row of decays of each, and the number of bins.

    Photons of no bin have the row behind those of the bins.
    """
    n_bins = bias.n_bins if bias else 0
    start, row = np.array([0, np.iinfo(np.int64).max]), np.array([n_bins])
    if bias is None or len(bias.start_sync) == 0:
        return start, row, n_bins
    rows = np.where(bias.bin_of_piece < 0, n_bins, bias.bin_of_piece).astype(np.int64)
    begun = int(np.searchsorted(bias.start_sync, 0, side="right"))  # pieces that started by sync number 0
    if begun:
        row[0] = rows[begun - 1]
    return np.insert(start, 1, bias.start_sync[begun:]), np.append(row, rows[begun:]), n_bins


def _blocks(total: int) -> Iterator[slice]:
    return (slice(i, i + _RECORDS_AT_ONCE) for i in range(0, total, _RECORDS_AT_ONCE))
