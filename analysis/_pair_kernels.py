"""Compiled inner loops of g2; `_engine_numpy` holds the same functions in plain numpy.

Photons are packed into one integer each, and those with an earlier photon near enough to pair with are
listed, both without a branch. Only the listed ones are paired. Lags are collected and counted in a loop of
their own, where the memory's latencies overlap: the histogram is larger than the fastest cache.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ._engine_kernels import MICRO_TIMES

SYNC_SHIFT = 21
"""A packed photon holds its sync number above these bits, six bits of detector, fifteen of micro time."""
BLOCK = 4096
"""Records whose photons are packed at a time, few enough for the fastest cache."""

# what `state` holds, and why a kernel stopped before the end
PAIR_OVERFLOW, PAIR_LAST_SYNC, N_CARRIED, PAIR_STATUS, PAIR_CULPRIT, N_PAIR_STATE = range(6)
PAIRED, PACKED_FULL, UNSORTED = range(3)


class Pairing(NamedTuple):
    """Tables, buffers and counts of g2."""

    channels: int
    micro_bins: int
    """Photons with micro times from here on belong to no pulse."""
    reach: int
    """Pairs further apart in sync number are not looked at."""
    offset: NDArray[np.int64]
    """Lag in micro-time bins of 0 to `reach` sync periods."""
    sign: NDArray[np.int64]
    """By (later detector, earlier detector): +1 and -1 for the two to pair, else 0."""
    packed: NDArray[np.int64]
    """Photons carried over from earlier blocks, then those of the present one."""
    candidates: NDArray[np.uint32]
    """Which of them may pair with the one before, shape (BLOCK + 1,)."""
    found: NDArray[np.uint32]
    """Entries of `lags` that are to be raised by one, shape (BLOCK,)."""
    lags: NDArray[np.uint32]
    """Shape (2 max_lag + 1,)."""
    peaks: NDArray[np.uint64]
    """Shape (2 max_peak + 2,); the last entry is for pairs that do not count."""


@njit(cache=True, nogil=True)
def pair_words(words, first, pairing, state):
    """Count the pairs of words from `first` on; return the index of the first word that was not looked at."""
    i, total = first, len(words)
    while i < total and _can_pack(pairing.packed, state):
        last, carried = min(i + BLOCK, total), state[N_CARRIED]
        state[PAIR_OVERFLOW], n = _pack(
            words[i:last], state[PAIR_OVERFLOW], pairing.channels, pairing.micro_bins, pairing.packed, carried
        )
        state[N_CARRIED] = _pair_new(pairing, carried, n)
        i = last
    return i


@njit(cache=True, nogil=True)
def _pack(words, overflow, channels, micro_bins, packed, carried):
    """Pack the photons of a block behind those carried over; return overflow sum and number of photons."""
    n, end = np.uint64(carried), np.uint32(channels)
    for i in range(np.uint64(len(words))):
        word = words[i]
        code, tag = word >> np.uint32(25), np.int64(word & np.uint32(1023))
        micro = word >> np.uint32(10) & np.uint32(MICRO_TIMES - 1)
        packed[n] = (overflow + tag) << SYNC_SHIFT | np.int64(word >> np.uint32(10))
        n += np.uint64((code < end) & (micro < np.uint32(micro_bins)))
        overflow += 1024 * max(tag, 1) if code == np.uint32(127) else 0
    return overflow, np.int64(n)


@njit(cache=True, nogil=True)
def pair_events(sync, dtime, channel, first, pairing, state):
    """Count the pairs of photons from `first` on; return the index of the first not looked at."""
    i, total = first, len(sync)
    while i < total and _can_pack(pairing.packed, state):
        last, n = min(i + BLOCK, total), state[N_CARRIED]
        latest = state[PAIR_LAST_SYNC]
        for j in range(i, last):
            s, micro, code = sync[j], np.int64(dtime[j]), np.int64(channel[j])
            if s < latest:
                state[PAIR_STATUS], state[PAIR_CULPRIT] = UNSORTED, s
                return i
            latest = s
            pairing.packed[n] = s << SYNC_SHIFT | code << 15 | micro
            n += (code < pairing.channels) & (micro < pairing.micro_bins)
        state[PAIR_LAST_SYNC] = latest
        state[N_CARRIED] = _pair_new(pairing, state[N_CARRIED], n)
        i = last
    return i


@njit(cache=True, nogil=True)
def _can_pack(packed, state):
    """Whether another block of photons fits behind those carried over."""
    if state[N_CARRIED] + BLOCK >= len(packed):
        state[PAIR_STATUS] = PACKED_FULL
    return state[PAIR_STATUS] == PAIRED


@njit(cache=True, nogil=True)
def _pair_new(pairing, carried, n):
    """Pair the photons from `carried` to `n` with all before; return how many are carried over."""
    packed, candidates, near = pairing.packed, pairing.candidates, (pairing.reach + 1) << SYNC_SHIFT
    n_candidates = np.uint64(0)
    for k in range(np.uint64(max(carried, 1)), np.uint64(n)):
        candidates[n_candidates] = k
        n_candidates += np.uint64(packed[k] - packed[k - np.uint64(1)] < near)
    _count_pairs(
        packed, candidates[:n_candidates], pairing.offset, pairing.sign, np.uint64(pairing.reach),
        pairing.found, pairing.lags, pairing.peaks,
    )  # fmt: skip
    return _carry(packed, n, pairing.reach)


@njit(cache=True, nogil=True)
def _count_pairs(packed, candidates, offset, sign, reach, found, lags, peaks):
    """Count every pair of a listed photon with an earlier one."""
    max_lag, max_peak, n_found = len(lags) // 2, len(peaks) // 2 - 1, np.uint64(0)
    for k in range(len(candidates)):
        i = np.uint64(candidates[k])
        late = packed[i]
        while i > np.uint64(0):
            i -= np.uint64(1)
            early = packed[i]
            syncs = np.uint64((late >> SYNC_SHIFT) - (early >> SYNC_SHIFT))
            if syncs > reach:
                break
            way = sign[np.uint64(late >> 15 & 63), np.uint64(early >> 15 & 63)]
            lag = offset[syncs] + (late & (MICRO_TIMES - 1)) - (early & (MICRO_TIMES - 1))
            entry = np.uint64(max_lag + way * lag)
            found[n_found] = np.uint32(entry)
            n_found += np.uint64((way != 0) & (entry < np.uint64(len(lags))))
            counted = (way != 0) & (np.int64(syncs) <= max_peak)
            peaks[np.uint64(max_peak + way * np.int64(syncs) if counted else len(peaks) - 1)] += np.uint64(1)
            if n_found == np.uint64(len(found)):
                _raise_by_one(lags, found, n_found)
                n_found = np.uint64(0)
    _raise_by_one(lags, found, n_found)


@njit(cache=True, nogil=True)
def _raise_by_one(counts, entries, n):
    """Add one to each of the first `n` entries named."""
    for k in range(n):
        counts[np.uint64(entries[k])] += np.uint32(1)


@njit(cache=True, nogil=True)
def _carry(packed, n, reach):
    """Move the photons that later ones may pair with to the front of the buffer; return how many."""
    if n == 0:
        return 0
    oldest = (packed[n - 1] >> SYNC_SHIFT) - reach
    first = n - 1
    while first > 0 and packed[first - 1] >> SYNC_SHIFT >= oldest:
        first -= 1
    for k in range(first, n):
        packed[k - first] = packed[k]
    return n - first
