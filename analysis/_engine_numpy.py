"""The photon engine's inner loops in plain numpy: the reference that the compiled ones are tested against.

The functions take the same arguments as those of `_engine_kernels` and `_pair_kernels` and leave the same
counts; they are several times slower.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._engine_kernels import (
    CULPRIT,
    LAST_SYNC,
    MARKERS_FULL,
    MICRO_TIMES,
    N_MARKERS,
    N_OVERFLOWS,
    N_RESERVED,
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
from ._pair_kernels import (
    N_CARRIED,
    PACKED_FULL,
    PAIR_CULPRIT,
    PAIR_LAST_SYNC,
    PAIR_OVERFLOW,
    PAIR_STATUS,
    PAIRED,
    SYNC_SHIFT,
    UNSORTED,
    Pairing,
)

_RECORDS_AT_ONCE = 1 << 16


class _Events(NamedTuple):
    """The events of a block."""

    sync: NDArray[np.int64]
    dtime: NDArray[np.int64]
    channel: NDArray[np.int64]
    marker_sync: NDArray[np.int64]
    marker_bits: NDArray[np.uint8]
    overflow: int
    """Overflow sum behind the block."""
    last_sync: int
    n_overflows: int
    n_reserved: int


def count_words(
    words: NDArray[np.uint32], first: int, plan: Plan, counts: Counts, state: NDArray[np.int64]
) -> int:
    """Count words from `first` on; return the index of the first that was not, `state` tells why."""
    while first < len(words):
        block = words[first : first + _RECORDS_AT_ONCE]
        if not _count(_decoded(block, int(state[OVERFLOW])), plan, counts, state):
            break
        first += len(block)
    return first


def count_events(
    sync: NDArray[np.int64],
    dtime: NDArray[np.uint16],
    channel: NDArray[np.uint8],
    first: int,
    plan: Plan,
    counts: Counts,
    state: NDArray[np.int64],
) -> int:
    """Count photons from `first` on; return the index of the first that was not, `state` tells why."""
    while first < len(sync):
        block = slice(first, first + _RECORDS_AT_ONCE)
        if not _count(_as_given(sync[block], dtime[block], channel[block]), plan, counts, state):
            break
        first += len(sync[block])
    return first


def pair_words(words: NDArray[np.uint32], first: int, pairing: Pairing, state: NDArray[np.int64]) -> int:
    """Count the pairs of words from `first` on; return the index of the first word that was not looked at."""
    while first < len(words):
        block = words[first : first + _RECORDS_AT_ONCE]
        events = _decoded(block, int(state[PAIR_OVERFLOW]))
        if not _count_pairs(events, pairing, state):
            break
        state[PAIR_OVERFLOW] = events.overflow
        first += len(block)
    return first


def pair_events(
    sync: NDArray[np.int64],
    dtime: NDArray[np.uint16],
    channel: NDArray[np.uint8],
    first: int,
    pairing: Pairing,
    state: NDArray[np.int64],
) -> int:
    """Count the pairs of photons from `first` on; return the index of the first not looked at."""
    while first < len(sync):
        block = slice(first, first + _RECORDS_AT_ONCE)
        events = _as_given(sync[block], dtime[block], channel[block])
        before = np.concatenate(([state[PAIR_LAST_SYNC]], events.sync[:-1]))
        if (wrong := events.sync < before).any():
            state[PAIR_STATUS], state[PAIR_CULPRIT] = UNSORTED, events.sync[wrong][0]
            break
        if not _count_pairs(events, pairing, state):
            break
        state[PAIR_LAST_SYNC] = events.sync[-1]
        first += len(events.sync)
    return first


def _decoded(words: NDArray[np.uint32], overflow: int) -> _Events:
    code, tag = words >> np.uint32(25), (words & np.uint32(1023)).astype(np.int64)
    overflows, photons, markers = code == 127, code < 64, (code > 64) & (code < 80)
    base = overflow + np.cumsum(np.where(overflows, 1024 * np.maximum(tag, 1), 0))
    time = np.where(overflows, base, base + tag)
    known = overflows | photons | markers
    return _Events(
        time[photons],
        (words[photons] >> np.uint32(10) & np.uint32(MICRO_TIMES - 1)).astype(np.int64),
        code[photons].astype(np.int64),
        time[markers],
        (code[markers] - 64).astype(np.uint8),
        int(base[-1]),
        int(time[known].max(initial=-1)),
        int(overflows.sum()),
        int((~known).sum()),
    )


def _as_given(sync: NDArray[np.int64], dtime: NDArray[np.uint16], channel: NDArray[np.uint8]) -> _Events:
    return _Events(
        sync,
        dtime.astype(np.int64),
        channel.astype(np.int64),
        np.empty(0, np.int64),
        np.empty(0, np.uint8),
        0,
        int(sync.max()),
        0,
        0,
    )


def _count(events: _Events, plan: Plan, counts: Counts, state: NDArray[np.int64]) -> bool:
    """Count a whole block, or nothing of it where `state` tells why not."""
    sync, dtime, channel = events.sync, events.dtime, events.channel
    for status, values, wrong in (
        (NEGATIVE, sync, sync < 0),
        (WRONG_DTIME, dtime, dtime >= MICRO_TIMES),
        (WRONG_DETECTOR, channel, channel >= plan.channels),
        (TOO_LATE, sync, sync >= plan.longest_syncs),
    ):
        if wrong.any():
            state[STATUS], state[CULPRIT] = status, values[wrong][0]
            return False
    rows = min(len(counts.trace) * plan.trace_syncs, len(counts.coarse) * plan.flid_syncs)
    if sync.max(initial=0) >= rows:
        state[STATUS], state[CULPRIT] = ROWS_FULL, sync.max()
        return False
    new_markers = slice(state[N_MARKERS], state[N_MARKERS] + len(events.marker_sync))
    if new_markers.stop > len(counts.marker_sync):
        state[STATUS] = MARKERS_FULL
        return False
    counts.marker_sync[new_markers], counts.marker_bits[new_markers] = events.marker_sync, events.marker_bits
    _add(counts.trace, sync // plan.trace_syncs, channel)
    _add(counts.coarse, sync // plan.flid_syncs, channel)
    _add(counts.flid, sync // plan.flid_syncs, plan.bin_of[dtime].astype(np.int64))
    row = plan.bias_row[np.searchsorted(plan.bias_start, sync, side="right") - 1]
    _add(counts.decay, row, channel * MICRO_TIMES + dtime)
    state[OVERFLOW], state[N_MARKERS] = events.overflow, new_markers.stop
    state[LAST_SYNC] = max(state[LAST_SYNC], events.last_sync)
    state[N_OVERFLOWS] += events.n_overflows
    state[N_RESERVED] += events.n_reserved
    return True


def _add(counts: NDArray[np.unsignedinteger], row: NDArray[np.int64], column: NDArray[np.int64]) -> None:
    """Add one to each cell named."""
    if len(row):
        cells = row * counts.shape[1] + column
        low = int(cells.min())
        found = np.bincount(cells - low)
        counts.reshape(-1)[low : low + len(found)] += found.astype(counts.dtype)


def _count_pairs(events: _Events, pairing: Pairing, state: NDArray[np.int64]) -> bool:
    """Pair each photon with the one before, the second before and so on, while any is near enough."""
    chosen = (events.dtime < pairing.micro_bins) & (events.channel < pairing.channels)
    new = (events.sync << SYNC_SHIFT | events.channel << 15 | events.dtime)[chosen]
    carried = int(state[N_CARRIED])
    packed = np.concatenate((pairing.packed[:carried], new))
    if len(packed) > len(pairing.packed):
        state[PAIR_STATUS] = PACKED_FULL
        return False
    late = np.arange(carried, len(packed))
    for k in range(1, len(packed)):
        late = late[late >= k]
        syncs = (packed[late] >> SYNC_SHIFT) - (packed[late - k] >> SYNC_SHIFT)
        late, syncs = late[syncs <= pairing.reach], syncs[syncs <= pairing.reach]
        if len(late) == 0:
            break
        after, before = packed[late], packed[late - k]
        way = pairing.sign[after >> 15 & 63, before >> 15 & 63]
        lag = pairing.offset[syncs] + (after & (MICRO_TIMES - 1)) - (before & (MICRO_TIMES - 1))
        _add_signed(pairing.lags, (way * lag)[way != 0])
        _add_signed(pairing.peaks[:-1], (way * syncs)[way != 0])
    if len(packed):
        kept = packed[packed >> SYNC_SHIFT >= (packed[-1] >> SYNC_SHIFT) - pairing.reach]
        pairing.packed[: len(kept)] = kept
        state[N_CARRIED] = len(kept)
    return bool(state[PAIR_STATUS] == PAIRED)


def _add_signed(counts: NDArray[np.unsignedinteger], values: NDArray[np.int64]) -> None:
    """Add one for each value to counts whose middle is zero; those beyond either end do not count."""
    largest = len(counts) // 2
    inside = values[abs(values) <= largest]
    counts += np.bincount(inside + largest, minlength=len(counts)).astype(counts.dtype)
