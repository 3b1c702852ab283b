"""Cross-correlation of two detectors behind a pulsed laser: all pairs, by delay and by laser pulse.

The delay of a pair is (second detector) minus (first detector), made of the difference of the sync numbers
times the period and the difference of the micro times. Every pair within the window is counted, not only
neighbours. Photons whose micro time lies beyond the period belong to no pulse and are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import _engine_numpy as reference
from . import _pair_kernels as compiled
from ._pair_kernels import (
    BLOCK,
    N_PAIR_STATE,
    PACKED_FULL,
    PAIR_CULPRIT,
    PAIR_LAST_SYNC,
    PAIR_STATUS,
    PAIRED,
    Pairing,
)

LARGEST_SYNC = 1 << 41
"""Sync numbers from here on are refused: seven hours at 80 MHz."""
_PACKED_AT_FIRST = 2 * BLOCK

Scalar = TypeVar("Scalar", bound=np.generic)
Kernels = Literal["numba", "numpy"]
"""Compiled loops, or the slower reference in numpy."""


@dataclass(frozen=True)
class G2Settings:
    """Which detectors are paired, and how far."""

    pulses: int = 8
    """Peaks on either side of zero delay: lags up to half a period beyond the last of them are counted."""
    peak_pulses: int | None = None
    """The same for pairs by laser pulse, which cost little memory: thousands show slow exchange of charge."""
    detectors: tuple[int, int] = (0, 1)
    """Delays are times of the second detector minus times of the first."""

    def __post_init__(self) -> None:
        if self.pulses < 0 or (self.peak_pulses is not None and self.peak_pulses < 0):
            raise ValueError("pulses and peak_pulses count periods: give 0 or more")
        if self.detectors[0] == self.detectors[1]:
            raise ValueError(
                f"detectors = {self.detectors} must be two: a detector is blind right after a photon"
            )


@dataclass(frozen=True)
class PulsedG2:
    """Pairs of two detectors as far as they have been counted."""

    period_bins: float
    """Sync period in micro-time bins."""
    resolution_ns: float
    lag_counts: NDArray[np.uint32]
    """Pairs per lag, shape (2 max_lag + 1,): lag k - max_lag in micro-time bins."""
    sync_pairs: NDArray[np.uint64]
    """Pairs per difference of sync numbers, shape (2 peak_pulses + 1,), from -peak_pulses."""
    pulses: int

    @property
    def max_lag(self) -> int:
        """Largest lag counted, in micro-time bins."""
        return len(self.lag_counts) // 2

    @property
    def window_s(self) -> float:
        """Largest lag counted, in seconds."""
        return self.max_lag * self.resolution_ns * 1e-9

    @property
    def lag_ns(self) -> NDArray[np.floating]:
        """Delay of each entry of `lag_counts`, in nanoseconds."""
        return np.arange(-self.max_lag, self.max_lag + 1) * self.resolution_ns

    @property
    def order(self) -> NDArray[np.int64]:
        """Order of each entry of `window_pairs`: -pulses to pulses."""
        return np.arange(-self.pulses, self.pulses + 1)

    @property
    def window_pairs(self) -> NDArray[np.int64]:
        """Pairs within half a period of each peak, shape (2 pulses + 1,), in the order of `order`.

        A lag in the middle between two peaks belongs to the later one.
        """
        first = np.ceil((self.order - 0.5) * self.period_bins).astype(np.int64) + self.max_lag
        return np.add.reduceat(self.lag_counts[: self._end], first, dtype=np.int64)

    @property
    def _end(self) -> int:
        return math.ceil((self.pulses + 0.5) * self.period_bins) + self.max_lag

    def binned(self, bin_ns: float) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
        """Centres (ns) and pairs of wider bins of lag, for a plot; one bin is centred at zero delay."""
        width = max(1, round(bin_ns / self.resolution_ns)) | 1  # odd, so that a bin can be centred
        n = (self.max_lag - width // 2) // width
        around = slice(self.max_lag - n * width - width // 2, self.max_lag + n * width + width // 2 + 1)
        pairs = self.lag_counts[around].reshape(-1, width).sum(axis=1, dtype=np.int64)
        return np.arange(-n, n + 1) * width * self.resolution_ns, pairs


class PairCounter:
    """Counts the pairs of one measurement; how the records are cut into blocks changes nothing.

    `period_bins` is the sync period in micro-time bins of `resolution_ps`; `channels` detectors exist.
    """

    def __init__(
        self,
        settings: G2Settings,
        *,
        period_bins: float,
        resolution_ps: float,
        channels: int = 2,
        kernels: Kernels = "numba",
    ) -> None:
        a, b = settings.detectors
        if not (0 <= a < channels and 0 <= b < channels):
            raise ValueError(f"g2 of detectors {a} and {b}, but only {channels} exist")
        self.settings, self._period_bins, self._resolution_ps = settings, period_bins, resolution_ps
        max_lag = math.floor((settings.pulses + 0.5) * period_bins)
        max_peak = settings.pulses if settings.peak_pulses is None else settings.peak_pulses
        micro_bins = math.ceil(period_bins)
        reach = max(max_peak, math.floor((max_lag + micro_bins) / period_bins))
        sign = np.zeros((channels, channels), np.int64)
        sign[b, a], sign[a, b] = 1, -1
        self._pairing = Pairing(
            channels,
            micro_bins,
            reach,
            np.round(np.arange(reach + 1) * period_bins).astype(np.int64),
            sign,
            np.empty(_PACKED_AT_FIRST, np.int64),
            np.empty(BLOCK + 1, np.uint32),
            np.empty(BLOCK, np.uint32),
            np.zeros(2 * max_lag + 1, np.uint32),
            np.zeros(2 * max_peak + 2, np.uint64),
        )
        self._state = np.zeros(N_PAIR_STATE, np.int64)
        self._kernels: ModuleType = compiled if kernels == "numba" else reference

    def feed(self, words: NDArray[np.uint32]) -> None:
        """Count the pairs of the next T3 words, shape (n,), with those before."""
        words, first = readable(words, np.uint32), 0
        while first < len(words):
            first = self._kernels.pair_words(words, first, self._pairing, self._state)
            self._make_room()

    def feed_events(
        self, sync: NDArray[np.int64], dtime: NDArray[np.uint16], channel: NDArray[np.uint8]
    ) -> None:
        """Count the pairs of the next photons, in order of their sync numbers.

        Raises ValueError where the sync numbers do not rise from 0 or more.
        """
        if len(sync) and sync[-1] >= LARGEST_SYNC:
            raise ValueError(f"sync number {sync[-1]} is beyond {LARGEST_SYNC}")
        events = readable(sync, np.int64), readable(dtime, np.uint16), readable(channel, np.uint8)
        first = 0
        while first < len(sync):
            first = self._kernels.pair_events(*events, first, self._pairing, self._state)
            self._make_room()

    @property
    def result(self) -> PulsedG2:
        """Pairs so far; the arrays are views, which the next block changes."""
        return PulsedG2(
            self._period_bins,
            self._resolution_ps / 1000,
            self._pairing.lags,
            self._pairing.peaks[:-1],
            self.settings.pulses,
        )

    def _make_room(self) -> None:
        """Enlarge the buffer where many photons are near enough to pair; raise for photons out of order."""
        if self._state[PAIR_STATUS] == PACKED_FULL:
            packed = self._pairing.packed
            self._pairing = self._pairing._replace(packed=grown(packed, 2 * len(packed)))
        elif self._state[PAIR_STATUS] != PAIRED:
            raise ValueError(
                f"sync number {self._state[PAIR_CULPRIT]} comes after {self._state[PAIR_LAST_SYNC]}: "
                "g2 needs the photons in order of time"
            )
        self._state[PAIR_STATUS] = PAIRED


def readable(records: NDArray[Any], dtype: type[Scalar]) -> NDArray[Scalar]:
    """The array as the kernels want it; read-only, so that own arrays and mapped files compile alike."""
    view = np.require(records, dtype, ["C", "A"]).view()
    view.flags.writeable = False
    return view


def grown(array: NDArray[Scalar], rows: int) -> NDArray[Scalar]:
    """The array with room for at least `rows` rows, doubling so that long runs cost no more per photon."""
    if rows <= len(array):
        return array
    larger = np.zeros((max(rows, 2 * len(array)), *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger
