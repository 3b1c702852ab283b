"""From the counter's words to the record on disk, and to the numbers that are watched live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..formats.tttr import TttrBlock, TttrDecoder
from ..instruments.photon_counter import CountingError, PhotonCounter
from .live_photons import LivePhotons
from .record import RunRecord

RATE_WINDOW_S = 1.0
"""Live rates are means over this time of the photons' own clock."""


class BlockCounts(NamedTuple):
    """How many photons each detector counted in one block, and in what time."""

    span_s: float
    counts: NDArray[np.int64]


class Collected:
    """Blocks of photons and markers kept in memory; times are on the photons' clock."""

    def __init__(self, tick_s: float) -> None:
        self.tick_s = tick_s
        self.blocks: list[TttrBlock] = []

    @property
    def sync(self) -> NDArray[np.int64]:
        """Number of the laser pulse of each photon."""
        return np.concatenate([np.empty(0, np.int64), *(block.time for block in self.blocks)])

    @property
    def channel(self) -> NDArray[np.uint8]:
        """Detector of each photon."""
        return np.concatenate([np.empty(0, np.uint8), *(block.channel for block in self.blocks)])

    @property
    def time_s(self) -> NDArray[np.floating]:
        """Times of the photons in seconds."""
        return self.sync * self.tick_s

    def marker_s(self, line: int) -> NDArray[np.floating]:
        """Times of the edges at a marker input (1 to 4) in seconds."""
        edges = [block.marker_time[(block.marker_bits >> (line - 1)) & 1 == 1] for block in self.blocks]
        return np.concatenate([np.empty(0, np.int64), *edges]) * self.tick_s


class PhotonRecording:
    """Fetches words, writes them before anything else looks at them, then decodes them for the live view."""

    def __init__(self, counter: PhotonCounter, record: RunRecord) -> None:
        self._counter, self._record = counter, record
        self.live = LivePhotons(counter)
        self._decoder: TttrDecoder | None = None
        self._tick_s = 0.0
        self.counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self.rates_hz: NDArray[np.floating] = np.zeros(0)
        self.latest: TttrBlock | None = None
        self.block = BlockCounts(0.0, self.counts)
        """Of the last words fetched."""
        self.failure: CountingError | None = None
        """Why the counter brings no more."""
        self._collected: Collected | None = None
        self._window_start, self._window_counts = 0, self.counts.copy()

    @property
    def total(self) -> int:
        """Photons recorded so far."""
        return int(self.counts.sum())

    @property
    def recording(self) -> bool:
        """True from `start` to `finish`."""
        return self._decoder is not None

    @property
    def duration_s(self) -> float:
        """Time of the last record on the photons' clock, in seconds."""
        return self._decoder.last_time * self._tick_s if self._decoder else 0.0

    def start(self, duration_s: float, sync_period_s: float, host_s: float) -> None:
        """Start a T3 measurement of at most `duration_s`; `host_s` is the rig's clock at its start."""
        n_inputs = self._counter.n_inputs
        self.counts, self.rates_hz = np.zeros(n_inputs, np.int64), np.zeros(n_inputs)
        self._window_counts = self.counts.copy()
        self.block, self.failure = BlockCounts(0.0, self.counts.copy()), None
        self._decoder = TttrDecoder(self._counter.record_type)
        self._tick_s = sync_period_s
        self._record.header["photons"] = {
            "record_type": int(self._counter.record_type),
            "resolution_s": self._counter.resolution_ps * 1e-12,
            "sync_period_s": sync_period_s,
            "n_inputs": n_inputs,
            "start_s": host_s,
        }
        self._record.begin_words()
        TttrDecoder(self._counter.record_type).decode(np.empty(0, np.uint32))  # loads the compiled code
        self.live.start(sync_period_s)
        self._counter.start(duration_s)

    def pump(self) -> None:
        """Fetch, store and count what has arrived; raises CountingError when the counter lost something."""
        if self._decoder is None:
            return
        try:
            words = self._counter.take()
            if len(words) == 0 and not self._counter.measuring:
                raise CountingError("the counter stopped by itself before the run was over")
        except CountingError as failure:
            self.failure = failure
            raise
        if len(words):
            self._store(self._decoder, words)
        self._update_rates(self._decoder.last_time)

    @contextmanager
    def collecting(self) -> Iterator[Collected]:
        """Within this, what arrives is kept in memory as well."""
        self._collected = collected = Collected(self._tick_s)
        try:
            yield collected
        finally:
            self._collected = None

    def finish(self) -> None:
        """Stop the counter and store the words that are still in its buffer. May be called twice."""
        if self._decoder is None:
            return
        self._counter.stop()
        while len(words := self._counter.take()):
            self._store(self._decoder, words)
        self._decoder = None

    def _store(self, decoder: TttrDecoder, words: NDArray[np.uint32]) -> None:
        self._record.append_words(words)
        before = decoder.last_time
        self.latest = decoder.decode(words)
        self.live.feed(words, float(self.rates_hz.sum()))
        if self._collected is not None:
            self._collected.blocks.append(self.latest)
        counts = np.bincount(self.latest.channel, minlength=len(self.counts))
        self.block = BlockCounts((decoder.last_time - before) * self._tick_s, counts)
        self.counts += counts

    def _update_rates(self, last_time: int) -> None:
        span_s = (last_time - self._window_start) * self._tick_s
        if span_s >= RATE_WINDOW_S:
            self.rates_hz = (self.counts - self._window_counts) / span_s
            self._window_start, self._window_counts = last_time, self.counts.copy()
