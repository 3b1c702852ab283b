"""TTTR words of PicoQuant counters: 32-bit records to photons, markers and syncs, and back.

Layouts, special records and overflow rules are those of PicoQuant's published record description
(repository PicoQuant-Time-Tagged-File-Format-Demos, `doc/apx_tttrrecords.html` and its readers).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .errors import FileFormatError

T2_WRAP = 1 << 25
"""Time units per overflow of a T2 record (TimeHarp 260, HydraHarp V2, MultiHarp)."""
T3_WRAP = 1 << 10
"""Sync periods per overflow of a T3 record."""
T3_MAX_DTIME = (1 << 15) - 1
"""Largest micro time of a T3 record."""

OVERFLOW_WORD = 0xFE00_0000
"""An overflow record without its count: special bit and channel 63."""

_HYDRAHARP_V1_T2_WRAP = 33_552_000
_PICOHARP_T2_WRAP = 210_698_240
_PICOHARP_T3_WRAP = 1 << 16
_MAX_OVERFLOW = 1 << 62
_MAX_CHANNEL = 63


class RecordType(IntEnum):
    """What a 32-bit word means; the values are those of the PTU tag `TTResultFormat_TTTRRecType`."""

    PICOHARP_300_T2 = 0x0001_0203
    PICOHARP_300_T3 = 0x0001_0303
    HYDRAHARP_V1_T2 = 0x0001_0204
    HYDRAHARP_V1_T3 = 0x0001_0304
    HYDRAHARP_V2_T2 = 0x0101_0204
    HYDRAHARP_V2_T3 = 0x0101_0304
    TIMEHARP_260N_T2 = 0x0001_0205
    TIMEHARP_260N_T3 = 0x0001_0305
    TIMEHARP_260P_T2 = 0x0001_0206
    TIMEHARP_260P_T3 = 0x0001_0306
    GENERIC_T2 = 0x0001_0207
    GENERIC_T3 = 0x0001_0307

    @classmethod
    def from_code(cls, code: int) -> RecordType:
        """The record type of a PTU file's code; both spellings of the T2 codes are known.

        Raises ValueError for a code that belongs to no known counter.
        """
        if code in (0x0101_0205, 0x0101_0206, 0x0101_0207):
            code &= 0x00FF_FFFF
        return cls(code)

    @property
    def mode(self) -> Literal[2, 3]:
        """2 where records carry times, 3 where they carry sync numbers and micro times."""
        return 2 if self & 0xFF00 == 0x0200 else 3


@dataclass(frozen=True)
class TttrBlock:
    """The events of one block of words, in the order of the records; all times include the overflows."""

    time: NDArray[np.int64]
    """Photons: T3 sync number, T2 time in resolution units; shape (photons,)."""
    dtime: NDArray[np.uint16]
    """Photons: T3 micro time in resolution units, zeros in T2; shape (photons,)."""
    channel: NDArray[np.uint8]
    """Photons: detector input counted from 0; shape (photons,)."""
    marker_time: NDArray[np.int64]
    """Markers: T3 sync number, T2 time in resolution units; shape (markers,)."""
    marker_bits: NDArray[np.uint8]
    """Markers: the four marker lines as bits, 1 to 15; shape (markers,)."""
    sync_time: NDArray[np.int64]
    """T2 sync events in resolution units, empty in T3; shape (syncs,)."""
    overflow_records: int
    """How many overflow records the block held (records, not wraps)."""
    reserved_records: int
    """How many records of undefined meaning were skipped."""


class TttrDecoder:
    """Turns words into events; carries the overflow sum from block to block.

    The events do not depend on how the words are cut into blocks. To begin in the middle of a stream,
    give the `overflow` that a decoder of the words before has come to.
    """

    def __init__(self, record_type: RecordType, overflow: int = 0) -> None:
        self.record_type = record_type
        self._overflow = self._last_time = overflow

    @property
    def overflow(self) -> int:
        """Sum of the overflows so far, in units of `TttrBlock.time`."""
        return self._overflow

    @property
    def last_time(self) -> int:
        """Time of the last defined record, overflow records included, in units of `TttrBlock.time`."""
        return self._last_time

    def decode(self, words: NDArray[np.uint32]) -> TttrBlock:
        """Decode the next block of words, shape (n,), little-endian order already applied.

        Raises FileFormatError when the overflow records add up to a time that no recording can reach.
        """
        words = np.require(words, np.uint32, ["C", "A"]).view()
        words.flags.writeable = False  # one compiled variant for own arrays and for mapped files
        n = len(words)
        time, marker_time, sync_time = (np.empty(n, np.int64) for _ in range(3))
        dtime = np.empty(n, np.uint16)
        channel, marker_bits = np.empty(n, np.uint8), np.empty(n, np.uint8)
        state = np.array([self._overflow, self._last_time, 0, 0], np.int64)
        kernel, layout = _kernel_of(self.record_type)
        photons, markers, syncs = kernel(
            words, *layout, state, time, dtime, channel, marker_time, marker_bits, sync_time
        )
        self._overflow, self._last_time, overflow_records, reserved_records = state.tolist()
        if self._overflow > _MAX_OVERFLOW:
            raise FileFormatError(
                f"the overflow records add up to more than 2**62 time units: "
                f"these words are not {self.record_type.name} records"
            )
        return TttrBlock(
            time[:photons],
            dtime[:photons],
            channel[:photons],
            marker_time[:markers].copy(),
            marker_bits[:markers].copy(),
            sync_time[:syncs].copy(),
            overflow_records,
            reserved_records,
        )


class TttrEncoder:
    """Turns events into words of the TimeHarp 260; carries the overflow position from block to block.

    An overflow record stands directly before the event that needs it and counts the wraps since the
    previous record. Events may be cut into blocks anywhere; `until` writes overflow records of its own,
    so a stream that must not depend on the cutting uses it at fixed instants only.
    """

    def __init__(self, mode: Literal[2, 3]) -> None:
        if mode not in (2, 3):
            raise ValueError(f"mode = {mode!r} must be 2 or 3")
        self.mode: Literal[2, 3] = mode
        self._wrap = T2_WRAP if mode == 2 else T3_WRAP
        self._overflow = 0

    def encode(
        self,
        time: NDArray[np.int64],
        dtime: NDArray[np.uint16] | None,
        channel: NDArray[np.uint8],
        marker_time: NDArray[np.int64],
        marker_bits: NDArray[np.uint8],
        *,
        sync_time: NDArray[np.int64] | None = None,
        until: int | None = None,
    ) -> NDArray[np.uint32]:
        """Encode the next events, each kind in time order, merged: at equal times sync, marker, photon.

        Times are T3 sync numbers or T2 times in resolution units (int64); `dtime` (at most 32767) is
        for T3 and `sync_time` for T2 only. `until` (not before the last event) tells how far the stream
        has come, and writes the overflow records up to there.

        Raises ValueError for events out of order or out of the record's range.
        """
        if self.mode == 2 and dtime is None:
            dtime = np.zeros(len(time), np.uint16)
        if dtime is None or (self.mode == 3 and sync_time is not None):
            raise ValueError("T3 records need dtime and know no sync events")
        syncs = np.empty(0, np.int64) if sync_time is None else sync_time
        times = {"time": time, "marker_time": marker_time, "sync_time": syncs}
        end = self._check_times(times, until)
        photon_words = _photon_words(self.mode, time, dtime, channel)
        marker_words = _marker_words(marker_time, marker_bits)
        n_events = sum(map(len, times.values()))
        split_records = (end - self._overflow) // (self._wrap * (self._wrap - 1))
        words = np.empty(2 * n_events + 1 + split_records, np.uint32)
        n, self._overflow = _encode(
            np.ascontiguousarray(time, np.int64),
            photon_words,
            np.ascontiguousarray(marker_time, np.int64),
            marker_words,
            np.ascontiguousarray(syncs, np.int64),
            self._wrap,
            self._overflow,
            -1 if until is None else until,
            words,
        )
        return words[:n].copy()

    def _check_times(self, times: dict[str, NDArray[np.int64]], until: int | None) -> int:
        """Refuse events out of order; return the time that the stream reaches."""
        last = max((int(t[-1]) for t in times.values() if len(t)), default=self._overflow)
        end = last if until is None else max(until, self._overflow)
        for name, t in times.items():
            if len(t) and (t[0] < self._overflow or t[-1] > end or np.any(t[1:] < t[:-1])):
                raise ValueError(f"{name} must rise, from {self._overflow} or later to {end} at most")
        return end


def marker_line_counts(marker_bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often each marker line 1 to 4 was set, shape (4,); one record may set several lines."""
    return np.array([np.count_nonzero(marker_bits & (1 << line)) for line in range(4)])


def _kernel_of(record_type: RecordType) -> tuple[Callable[..., tuple[int, int, int]], tuple[int, ...]]:
    """The kernel of a record type, and the arguments that tell the layouts apart."""
    t3 = record_type.mode == 3
    match record_type:
        case RecordType.PICOHARP_300_T2:
            return _decode_picoharp_t2, (_PICOHARP_T2_WRAP,)
        case RecordType.PICOHARP_300_T3:
            return _decode_picoharp_t3, (_PICOHARP_T3_WRAP,)
        case RecordType.HYDRAHARP_V1_T2 | RecordType.HYDRAHARP_V1_T3:
            return _decode_hydraharp, (T3_WRAP if t3 else _HYDRAHARP_V1_T2_WRAP, t3, False)
        case _:
            return _decode_hydraharp, (T3_WRAP if t3 else T2_WRAP, t3, True)


def _photon_words(
    mode: int, time: NDArray[np.int64], dtime: NDArray[np.uint16], channel: NDArray[np.uint8]
) -> NDArray[np.uint32]:
    """Photon records without their time field."""
    if not len(time) == len(dtime) == len(channel):
        raise ValueError("time, dtime and channel need equal lengths")
    if len(time) and (dtime.max() > T3_MAX_DTIME or channel.max() > _MAX_CHANNEL):
        raise ValueError(f"dtime must not exceed {T3_MAX_DTIME}, channel not {_MAX_CHANNEL}")
    words = channel.astype(np.uint32) << np.uint32(25)
    if mode == 3:
        words |= dtime.astype(np.uint32) << np.uint32(10)
    return words


def _marker_words(marker_time: NDArray[np.int64], marker_bits: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Marker records without their time field."""
    if len(marker_time) != len(marker_bits):
        raise ValueError("marker_time and marker_bits need equal lengths")
    if len(marker_bits) and not (marker_bits.min() >= 1 and marker_bits.max() <= 15):
        raise ValueError("marker_bits must be 1 to 15")
    return np.uint32(1 << 31) | marker_bits.astype(np.uint32) << np.uint32(25)


# The decode kernels share `state`: overflow sum, time of the last record, overflow records, reserved
# records. They return the numbers of photons, markers and syncs written.


@njit(cache=True, nogil=True)
def _decode_hydraharp(
    words, wrap, t3, counted, state, time, dtime, channel, marker_time, marker_bits, sync_time
):
    tag_mask = 0x3FF if t3 else 0x1FFFFFF
    dtime_mask = 0x7FFF if t3 else 0
    overflow, last, overflows, reserved = state
    photons = markers = syncs = 0
    for i in range(len(words)):
        word = np.int64(words[i])
        tag = word & tag_mask
        code = word >> 25  # special bit, then the channel
        if code < 64:
            last = overflow + tag
            time[photons] = last
            dtime[photons] = (word >> 10) & dtime_mask
            channel[photons] = code
            photons += 1
        elif code == 127:
            overflow += wrap * max(tag, 1) if counted else wrap  # old firmware counts nothing: 0 is one
            last = overflow
            overflows += 1
            if overflow > _MAX_OVERFLOW:
                break
        elif 65 <= code <= 79:
            last = overflow + tag
            marker_time[markers] = last
            marker_bits[markers] = code - 64
            markers += 1
        elif code == 64 and not t3:
            last = overflow + tag
            sync_time[syncs] = last
            syncs += 1
        else:
            reserved += 1
    state[0], state[1], state[2], state[3] = overflow, last, overflows, reserved
    return photons, markers, syncs


@njit(cache=True, nogil=True)
def _decode_picoharp_t2(words, wrap, state, time, dtime, channel, marker_time, marker_bits, sync_time):
    overflow, last, overflows, reserved = state
    photons = markers = 0
    for i in range(len(words)):
        word = np.int64(words[i])
        tag = word & 0xFFFFFFF
        code = word >> 28
        if code <= 4:
            last = overflow + tag
            time[photons] = last
            dtime[photons] = 0
            channel[photons] = code
            photons += 1
        elif code < 15:
            reserved += 1
        elif tag & 0xF == 0:
            overflow += wrap
            last = overflow
            overflows += 1
        else:  # the marker lines stand in the four lowest bits of the time, which it therefore lacks
            last = overflow + (tag & ~0xF)
            marker_time[markers] = last
            marker_bits[markers] = tag & 0xF
            markers += 1
    state[0], state[1], state[2], state[3] = overflow, last, overflows, reserved
    return photons, markers, 0


@njit(cache=True, nogil=True)
def _decode_picoharp_t3(words, wrap, state, time, dtime, channel, marker_time, marker_bits, sync_time):
    overflow, last, overflows, reserved = state
    photons = markers = 0
    for i in range(len(words)):
        word = np.int64(words[i])
        tag = word & 0xFFFF
        middle = (word >> 16) & 0xFFF
        code = word >> 28
        if 1 <= code <= 4:  # routed inputs are numbered from 1
            last = overflow + tag
            time[photons] = last
            dtime[photons] = middle
            channel[photons] = code - 1
            photons += 1
        elif code < 15 or middle > 15:
            reserved += 1
        elif middle == 0:
            overflow += wrap
            last = overflow
            overflows += 1
        else:
            last = overflow + tag
            marker_time[markers] = last
            marker_bits[markers] = middle
            markers += 1
    state[0], state[1], state[2], state[3] = overflow, last, overflows, reserved
    return photons, markers, 0


@njit(cache=True, nogil=True)
def put_overflows(words, n, wraps, max_count):
    """Write the overflow records for `wraps` wraps behind the first `n` words; return the new length."""
    while wraps > 0:
        count = min(wraps, max_count)
        words[n] = OVERFLOW_WORD | count
        wraps -= count
        n += 1
    return n


@njit(cache=True, nogil=True)
def _encode(time, photon_words, marker_time, marker_words, sync_time, wrap, overflow, until, words):
    """Merge the three kinds of events into `words`; return its length and the new overflow position."""
    never = np.iinfo(np.int64).max
    i = j = k = n = 0
    while i < len(time) or j < len(marker_time) or k < len(sync_time):
        photon = time[i] if i < len(time) else never
        marker = marker_time[j] if j < len(marker_time) else never
        sync = sync_time[k] if k < len(sync_time) else never
        if sync <= marker and sync <= photon:
            event, word = sync, np.int64(1 << 31)
            k += 1
        elif marker <= photon:
            event, word = marker, np.int64(marker_words[j])
            j += 1
        else:
            event, word = photon, np.int64(photon_words[i])
            i += 1
        if event - overflow >= wrap:
            wraps = (event - overflow) // wrap
            n = put_overflows(words, n, wraps, wrap - 1)
            overflow += wraps * wrap
        words[n] = word | (event - overflow)
        n += 1
    if until - overflow >= wrap:
        wraps = (until - overflow) // wrap
        n = put_overflows(words, n, wraps, wrap - 1)
        overflow += wraps * wrap
    return n, overflow
