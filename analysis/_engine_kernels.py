"""Compiled inner loops of the photon engine; `_engine_numpy` holds the same functions in plain numpy.

A photon costs two memory updates, its decay and its FLID bin. Photons per trace bin are counted in a
register, one field of bits per detector, that is written out when a bin ends. The innermost loops run to
the end of a bin and touch little else, so that their variables fit the processor's registers. Indices are
unsigned where they can be: numba then leaves out the test for counting from the end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

MICRO_TIMES = 1 << 15
"""Micro times that a T3 record can tell apart."""
DECAY_GAP = 520
"""Unused entries between two rows of decays: rows a power of two apart would share few cache lines."""

# what `state` holds, and why a kernel stopped before the end; CULPRIT is what it stopped at
OVERFLOW, LAST_SYNC, N_MARKERS, N_OVERFLOWS, N_RESERVED, STATUS, CULPRIT, N_STATE = range(8)
DONE, ROWS_FULL, MARKERS_FULL, WRONG_DETECTOR, TOO_LATE, NEGATIVE, WRONG_DTIME = range(7)


class Plan(NamedTuple):
    """What is counted where."""

    channels: int
    field_bits: int
    """Bits of one detector's count in the register of a trace bin."""
    trace_syncs: int
    flid_syncs: int
    longest_syncs: int
    """Photons with sync numbers from here on are refused."""
    bin_of: NDArray[np.uint8]
    """FLID bin of each micro time, shape (MICRO_TIMES,); the last bin is for late photons."""
    bias_start: NDArray[np.int64]
    """Sync numbers at which the bias bin changes; the first is 0, the last later than any photon."""
    bias_row: NDArray[np.int64]
    """Row of the decays that counts from there to the next."""


class Counts(NamedTuple):
    """Where it is counted; all but `decay` grow with time."""

    trace: NDArray[np.uint32]
    """Shape (trace bins, detectors)."""
    coarse: NDArray[np.uint32]
    """The same per FLID bin."""
    flid: NDArray[np.uint32]
    """Shape (FLID bins, micro-time bins + 1); the last column counts late photons."""
    decay: NDArray[np.uint32]
    """Shape (bias rows, detectors * MICRO_TIMES + DECAY_GAP)."""
    marker_sync: NDArray[np.int64]
    marker_bits: NDArray[np.uint8]


@njit(cache=True, nogil=True)
def count_words(words, first, plan, counts, state):
    """Count words from `first` on; return the index of the first that was not, `state` tells why."""
    trace, coarse, decay, flid = counts.trace, counts.coarse, counts.decay.ravel(), counts.flid.ravel()
    decay_width, flid_width = counts.decay.shape[1], counts.flid.shape[1]
    special, field = np.uint32(plan.channels << 25), np.uint64(plan.field_bits)
    at_once = np.uint64((1 << plan.field_bits) - 1)  # more could overflow the register
    start, end, coarse_row, piece = 0, 0, 0, 0  # no FLID or bias bin changes from start to end
    flid_at, decay_at = np.uint64(0), np.uint64(0)
    i, total = np.uint64(first), np.uint64(len(words))
    while i < total:
        begin, last = i, min(i + at_once, total)
        i, overflow, overflows, register, highest = _words_of_bin(
            words, i, last, special, np.uint64(state[OVERFLOW]), np.uint64(start), np.uint64(end), field,
            trace, np.uint64(plan.trace_syncs), decay, decay_at, plan.bin_of, flid, flid_at,
        )  # fmt: skip
        _write_out(register, field, coarse, coarse_row)
        state[OVERFLOW] = overflow
        state[N_OVERFLOWS] += overflows
        if i > begin:
            word = words[i - np.uint64(1)]
            tag = np.int64(word & np.uint32(1023)) if word < special else 0
            # words of chance may step back in time; the rows they reached are there all the same
            state[LAST_SYNC] = max(state[LAST_SYNC], state[OVERFLOW] + tag, np.int64(highest))
        if i == last:
            continue
        s = state[OVERFLOW] + np.int64(words[i] & np.uint32(1023))
        if words[i] >= special:
            if not _take_special(words[i] >> np.uint32(25), s, counts.marker_sync, counts.marker_bits, state):
                break
            i += np.uint64(1)
            continue
        if not _has_room(s, plan, trace, coarse, state):
            break
        coarse_row, piece = s // plan.flid_syncs, _piece(s, piece, plan.bias_start)
        start, end = _unchanged(coarse_row, piece, plan, trace)
        flid_at, decay_at = np.uint64(coarse_row * flid_width), np.uint64(plan.bias_row[piece] * decay_width)
    return np.int64(i)


@njit(cache=True, nogil=True)
def _words_of_bin(
    words,
    i,
    last,
    special,
    overflow,
    start,
    end,
    field,
    trace,
    trace_syncs,
    decay,
    decay_at,
    bin_of,
    flid,
    flid_at,
):
    """Count photons up to the first not from `start` to `end`, the first marker, or `last`."""
    together, overflows, highest = np.uint64(0), 0, np.uint64(0)
    row, row_start, width = np.uint64(0), np.uint64(0), np.uint64(0)
    while True:
        register, base = np.uint64(0), overflow - row_start
        while i < last:
            word = words[i]
            tag = np.uint64(word & np.uint32(1023))
            if word >= special:
                if word >> np.uint32(25) != np.uint32(127):
                    break
                base += np.uint64(1024) * max(tag, np.uint64(1))  # old firmware counts nothing: 0 is one
                overflows += 1
                i += np.uint64(1)
                continue
            if base + tag >= width:
                break
            cell = np.uint64(word >> np.uint32(10))  # detector and micro time, as they lie in the word
            decay[decay_at + cell] += np.uint32(1)
            flid[flid_at + np.uint64(bin_of[cell & np.uint64(MICRO_TIMES - 1)])] += np.uint32(1)
            register += np.uint64(1) << ((cell >> np.uint64(15)) * field)
            i += np.uint64(1)
        _write_out(register, field, trace, row)
        together += register
        overflow = base + row_start
        if i == last or words[i] >= special:
            break
        s = overflow + np.uint64(words[i] & np.uint32(1023))
        if s < start or s >= end:
            break
        highest = max(highest, s)
        row = s // trace_syncs
        row_start = max(row * trace_syncs, start)
        width = min((row + np.uint64(1)) * trace_syncs, end) - row_start
    return i, overflow, overflows, together, highest


@njit(cache=True, nogil=True)
def count_events(sync, dtime, channel, first, plan, counts, state):
    """Count photons from `first` on; return the index of the first that was not, `state` tells why."""
    trace, coarse, decay, flid = counts.trace, counts.coarse, counts.decay.ravel(), counts.flid.ravel()
    decay_width, flid_width = counts.decay.shape[1], counts.flid.shape[1]
    field, at_once = np.uint64(plan.field_bits), np.uint64((1 << plan.field_bits) - 1)
    start, end, coarse_row, piece = 0, 0, 0, 0
    flid_at, decay_at = np.uint64(0), np.uint64(0)
    i, total = np.uint64(first), np.uint64(len(sync))
    while i < total:
        last = min(i + at_once, total)
        i, latest, register = _events_of_bin(
            sync, dtime, channel, i, last, np.uint64(plan.channels), start, end, field,
            trace, plan.trace_syncs, decay, decay_at, plan.bin_of, flid, flid_at,
        )  # fmt: skip
        _write_out(register, field, coarse, coarse_row)
        state[LAST_SYNC] = max(state[LAST_SYNC], latest)
        if i == last:
            continue
        s = sync[i]
        if _is_wrong(s, dtime[i], channel[i], plan.channels, state) or not _has_room(
            s, plan, trace, coarse, state
        ):
            break
        coarse_row, piece = s // plan.flid_syncs, _piece(s, piece, plan.bias_start)
        start, end = _unchanged(coarse_row, piece, plan, trace)
        flid_at, decay_at = np.uint64(coarse_row * flid_width), np.uint64(plan.bias_row[piece] * decay_width)
    return np.int64(i)


@njit(cache=True, nogil=True)
def _events_of_bin(
    sync,
    dtime,
    channel,
    i,
    last,
    channels,
    start,
    end,
    field,
    trace,
    trace_syncs,
    decay,
    decay_at,
    bin_of,
    flid,
    flid_at,
):
    """Count photons up to the first not from `start` to `end`, the first that cannot be, or `last`."""
    together, latest = np.uint64(0), np.int64(-1)
    row, row_start, width = np.int64(0), np.int64(0), np.uint64(0)
    while True:
        register = np.uint64(0)
        while i < last:
            s, micro, code = sync[i], np.uint64(dtime[i]), np.uint64(channel[i])
            if np.uint64(s - row_start) >= width or micro >= np.uint64(MICRO_TIMES) or code >= channels:
                break
            latest = max(latest, s)
            decay[decay_at + (code << np.uint64(15) | micro)] += np.uint32(1)
            flid[flid_at + np.uint64(bin_of[micro])] += np.uint32(1)
            register += np.uint64(1) << (code * field)
            i += np.uint64(1)
        _write_out(register, field, trace, row)
        together += register
        if i == last or dtime[i] >= MICRO_TIMES or channel[i] >= channels or not start <= sync[i] < end:
            break
        row = sync[i] // trace_syncs
        row_start = max(row * trace_syncs, start)
        width = np.uint64(min((row + 1) * trace_syncs, end) - row_start)
    return i, latest, together


@njit(cache=True, nogil=True)
def _write_out(register, field, trace, row):
    """Add the counts in the register to a row of a trace."""
    mask = (np.uint64(1) << field) - np.uint64(1)
    channel = 0
    while register:
        trace[row, channel] += np.uint32(register & mask)
        register >>= field
        channel += 1


@njit(cache=True, nogil=True)
def _has_room(sync, plan, trace, coarse, state):
    """Whether there are rows for a sync number; `state` tells why not."""
    if sync >= plan.longest_syncs:
        state[STATUS], state[CULPRIT] = TOO_LATE, sync
    elif sync >= min(len(trace) * plan.trace_syncs, len(coarse) * plan.flid_syncs):
        state[STATUS], state[CULPRIT] = ROWS_FULL, sync
    return state[STATUS] == DONE


@njit(cache=True, nogil=True)
def _piece(sync, piece, bias_start):
    """Piece of the bias that holds a sync number, looked for from a piece near it."""
    while sync < bias_start[piece]:
        piece -= 1
    while sync >= bias_start[piece + 1]:
        piece += 1
    return piece


@njit(cache=True, nogil=True)
def _unchanged(coarse_row, piece, plan, trace):
    """Sync numbers from where to where a FLID bin and a piece of the bias hold and the trace has rows."""
    start = max(coarse_row * plan.flid_syncs, plan.bias_start[piece])
    end = min((coarse_row + 1) * plan.flid_syncs, plan.bias_start[piece + 1], len(trace) * plan.trace_syncs)
    return start, min(end, plan.longest_syncs)


@njit(cache=True, nogil=True)
def _take_special(code, time, marker_sync, marker_bits, state):
    """Keep a marker, count a word of no meaning; false for what cannot be taken."""
    n = state[N_MARKERS]
    if code < 64:
        state[STATUS], state[CULPRIT] = WRONG_DETECTOR, code
        return False
    if code == 64 or code > 79:
        state[N_RESERVED] += 1
        return True
    if n >= len(marker_sync):
        state[STATUS] = MARKERS_FULL
        return False
    marker_sync[n], marker_bits[n] = time, code - 64
    state[N_MARKERS] += 1
    state[LAST_SYNC] = max(state[LAST_SYNC], time)
    return True


@njit(cache=True, nogil=True)
def _is_wrong(sync, dtime, channel, channels, state):
    """Whether a photon cannot be; `state` tells why."""
    if sync < 0:
        state[STATUS], state[CULPRIT] = NEGATIVE, sync
    elif dtime >= MICRO_TIMES:
        state[STATUS], state[CULPRIT] = WRONG_DTIME, dtime
    elif channel >= channels:
        state[STATUS], state[CULPRIT] = WRONG_DETECTOR, channel
    return state[STATUS] != DONE
