"""Inside the emulated TimeHarp 260: from detector pulses to records, the FiFo, and the rate meters."""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...formats.tttr import T3_MAX_DTIME, T3_WRAP, TttrEncoder, put_overflows
from ...instruments.picoquant.th260lib import Flag
from ..bench import TICK_PS
from ..clock import PS_PER_S

TICKS_PER_S = PS_PER_S // TICK_PS
_GATE_TICKS = TICKS_PER_S // 10
_GRID_TICKS = TICKS_PER_S // 10
_LONG_AGO = -(1 << 62)
NO_EVENTS = np.empty(0, np.int64), np.empty(0, np.uint8)
_NO_FLAG = Flag(0)
_READ_WAIT_S = 0.003
_HOST_WAIT_S = 5.0
_STOP_WAIT_S = 1.0

Ticks = NDArray[np.int64]
Events = tuple[Ticks, NDArray[np.uint8]]
"""Ticks in rising order, and the input or the marker bits of each."""
SyncRecords = Literal["all", "with_photons"]


class Fifo:
    """The board's FiFo: records in, records out, and no more records once it was full."""

    def __init__(self, depth_words: int) -> None:
        self._depth_words = depth_words
        self._changed = threading.Condition()
        self._blocks: deque[NDArray[np.uint32]] = deque()
        self._words = 0
        self._reader: int | None = None
        self._reader_idle = False
        self._host_late = False
        self.flags = _NO_FLAG
        self.finished = False
        self.broken = False
        self.stopped = False

    def push(
        self,
        words: NDArray[np.uint32],
        *,
        finished: bool = False,
        broken: bool = False,
        flags: Flag = _NO_FLAG,
    ) -> None:
        """Add records; those that do not fit are lost, and so is all that follows.

        More than a part of the FiFo come bit by bit, while the reader keeps up.
        """
        at_once = self._depth_words // 4
        while len(words) > at_once:
            self._add(words[:at_once])
            self.wait_for_reader()
            words = words[at_once:]
        self._add(words, finished=finished, broken=broken, flags=flags)

    def _add(
        self,
        words: NDArray[np.uint32],
        *,
        finished: bool = False,
        broken: bool = False,
        flags: Flag = _NO_FLAG,
    ) -> None:
        with self._changed:
            if Flag.FIFO_FULL not in self.flags:
                kept = words[: self._depth_words - self._words]
                self._blocks.append(kept)
                self._words += len(kept)
                if len(kept) < len(words):
                    flags |= Flag.FIFO_FULL
            self.flags |= flags
            self.finished |= finished
            self.broken |= broken
            self._changed.notify_all()

    def raise_flag(self, flag: Flag) -> None:
        """Raise a flag that does not end the measurement."""
        with self._changed:
            self.flags |= flag

    def read(self, target: Any, count: int) -> int:
        """Copy at most `count` records to the address `target`; waits a little when there are none."""
        with self._changed:
            self._reader = threading.get_ident()
            self._reader_idle = self._words == 0
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._words or self.finished or self.stopped, _READ_WAIT_S)
            copied = 0
            address = ctypes.cast(target, ctypes.c_void_p).value or 0
            while self._blocks and copied < count:
                block = self._blocks.popleft()
                part, rest = block[: count - copied], block[count - copied :]
                ctypes.memmove(address + 4 * copied, part.ctypes.data, 4 * len(part))
                copied += len(part)
                if len(rest):
                    self._blocks.appendleft(rest)
            self._words -= copied
            if copied:
                self._reader_idle = False
            return copied

    def stop(self) -> None:
        """Tell whoever waits that the measurement was stopped."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()

    def wait_for_reader(self) -> None:
        """Wait until another thread that reads the FiFo has read it empty and come back for more.

        This keeps a simulation that runs faster than the host from overrunning by itself. After the last
        record it waits for the stop as well. A host that does not read for a few seconds is not waited
        for again; then the FiFo just fills.
        """
        with self._changed:
            if self._reader in (None, threading.get_ident()) or self._host_late:
                return
            kept_up = self._changed.wait_for(
                lambda: self.stopped or (self._reader_idle and not self._words), _HOST_WAIT_S
            )
            self._host_late = not kept_up
            if kept_up and self.finished:
                self._changed.wait_for(lambda: self.stopped, _STOP_WAIT_S)


class RateMeters:
    """Counts pulses per input in gates of 100 ms from `origin_tick` on and shows the last complete gate."""

    def __init__(self, n_inputs: int, origin_tick: int) -> None:
        self._gate_end_tick = origin_tick + _GATE_TICKS
        self._counting = np.zeros(n_inputs, np.int64)
        self.rates_hz = np.zeros(n_inputs, np.int64)
        self.valid = False

    def count(self, until_tick: int, ticks: Ticks, inputs: NDArray[np.uint8]) -> None:
        """Take the pulses since the last call and before `until_tick`."""
        n_inputs = len(self._counting)
        while until_tick >= self._gate_end_tick:
            n = np.searchsorted(ticks, self._gate_end_tick)
            counts = self._counting + _count_each(inputs[:n], n_inputs)
            self.rates_hz, self.valid = counts * (TICKS_PER_S // _GATE_TICKS), True
            ticks, inputs = ticks[n:], inputs[n:]
            self._counting = np.zeros(n_inputs, np.int64)
            self._gate_end_tick += _GATE_TICKS
        self._counting = self._counting + _count_each(inputs, n_inputs)


def _count_each(inputs: NDArray[np.uint8], n_inputs: int) -> NDArray[np.int64]:
    return np.array([np.count_nonzero(inputs == k) for k in range(n_inputs)], np.int64)


@dataclass(frozen=True)
class RecordingSettings:
    """What StartMeas freezes; times in bench ticks of 25 ps."""

    tttr_mode: int
    start_tick: int
    """Time zero: the first sync after StartMeas."""
    end_tick: int
    period_ticks: int
    sync_divider: int
    unit_ticks: int
    binning: int
    offset_ticks: int
    shift_ticks: tuple[int, ...]
    enabled: tuple[bool, ...]
    native_dead_ticks: int
    programmed_dead_ticks: tuple[int, ...]
    sync_records: SyncRecords


class Recording:
    """One measurement: makes records (T2, T3) or histograms of the pulses that it is fed.

    What comes out does not depend on how the pulses were cut into blocks: events are released up to
    whole sync periods only, and overflow records without an event come every 100 ms of measured time.
    """

    def __init__(self, settings: RecordingSettings, fifo: Fifo, histograms: NDArray[np.uint32]) -> None:
        self.settings, self.fifo = settings, fifo
        self._histograms = histograms
        n_inputs = len(settings.enabled)
        self._t2_encoder = TttrEncoder(2)
        self._t3_overflow = 0
        self._quantum = max(settings.unit_ticks, settings.period_ticks * settings.sync_divider)
        self._grid_ticks = max(1, _GRID_TICKS // self._quantum) * self._quantum
        self._released_tick = settings.start_tick
        self._sync_end_tick = settings.end_tick
        self._converted = np.full(n_inputs, _LONG_AGO)
        self._recorded = self._converted.copy()
        self._waiting = NO_EVENTS
        self._waiting_markers = NO_EVENTS

    def feed(
        self,
        until_tick: int,
        pulses: Events,
        markers: Events,
        *,
        error: tuple[int, Flag | None] | None = None,
    ) -> None:
        """Record pulses (ticks, inputs) and markers (ticks, bits) before `until_tick`.

        `error` is a tick at which something goes wrong, and the flag that tells, or None where the
        transfer to the host breaks. It ends the recording, except for a lost sync in T2 mode, where only
        the sync records end.
        """
        s = self.settings
        if self.fifo.finished:
            return
        self._waiting = _merged(self._waiting, self._shifted_survivors(*pulses))
        self._waiting_markers = _merged(self._waiting_markers, markers)
        end_tick, flag = s.end_tick, _NO_FLAG
        if error is not None and error[0] < end_tick:
            if s.tttr_mode == 2 and error[1] is Flag.SYNC_LOST:
                self._sync_end_tick = min(self._sync_end_tick, max(error[0], self._released_tick))
            else:
                end_tick, flag = max(error[0], self._released_tick), error[1]
        horizon = until_tick + min(0, *s.shift_ticks)
        finished = horizon >= end_tick
        to_tick = end_tick if finished else horizon - (horizon - s.start_tick) % self._quantum
        words = self._release(to_tick, finished)
        if finished:
            self.fifo.push(words, finished=True, broken=flag is None, flags=flag or _NO_FLAG)
        else:
            self.fifo.push(words)

    def _shifted_survivors(self, ticks: Ticks, inputs: NDArray[np.uint8]) -> Events:
        """What survives the dead times, delayed by the channel offsets."""
        s = self.settings
        kept = np.empty_like(ticks), np.empty_like(inputs)
        n_kept = _survivors(
            ticks,
            inputs,
            np.array(s.enabled),
            s.native_dead_ticks,
            np.array(s.programmed_dead_ticks, np.int64),
            np.array(s.shift_ticks, np.int64),
            self._converted,
            self._recorded,
            *kept,
        )
        return kept[0][:n_kept], kept[1][:n_kept]

    def _release(self, to_tick: int, finished: bool) -> NDArray[np.uint32]:
        """Records of everything that waits before `to_tick`."""
        start = self.settings.start_tick
        self._waiting, pulses = _split(self._waiting, start, to_tick)
        self._waiting_markers, markers = _split(self._waiting_markers, start, to_tick)
        if self.settings.tttr_mode == 0:
            self._add_to_histograms(*pulses)
            return np.empty(0, np.uint32)
        if to_tick <= self._released_tick:
            return np.empty(0, np.uint32)
        grid = self._grid_ticks
        first_stop = start + ((self._released_tick - start) // grid + 1) * grid
        stops = np.append(np.arange(first_stop, to_tick, grid), to_tick)
        told = finished or (to_tick - start) % grid == 0
        if self.settings.tttr_mode == 3:
            return self._t3_words(pulses, markers, stops if told else stops[:-1], to_tick)
        words = []
        for stop in stops.tolist():
            pulses, piece = _split(pulses, start, stop)
            markers, marks = _split(markers, start, stop)
            words.append(self._t2_words(piece, marks, stop, told=told or stop < to_tick))
            self._released_tick = stop
        return np.concatenate(words)

    def _t3_words(self, pulses: Events, markers: Events, stops: Ticks, to_tick: int) -> NDArray[np.uint32]:
        """Records of the events before `to_tick`; the overflows up to each of `stops` are told there."""
        s = self.settings
        n_events = len(pulses[0]) + len(markers[0])
        n_wraps = (to_tick - s.start_tick) // s.period_ticks // T3_WRAP - self._t3_overflow // T3_WRAP
        n_overflows = min(n_wraps, n_events + len(stops) + n_wraps // (T3_WRAP - 1))
        words = np.empty(n_events + n_overflows, np.uint32)
        n_words, self._t3_overflow = _t3_records(
            *pulses,
            *markers,
            s.start_tick,
            s.period_ticks,
            s.offset_ticks,
            s.unit_ticks,
            s.binning,
            (stops - s.start_tick) // s.period_ticks,
            self._t3_overflow,
            words,
        )
        self._released_tick = to_tick
        return words[:n_words]

    def _t2_words(self, pulses: Events, markers: Events, stop_tick: int, *, told: bool) -> NDArray[np.uint32]:
        s = self.settings
        time = (pulses[0] - s.start_tick) // s.unit_ticks
        marker_time = (markers[0] - s.start_tick) // s.unit_ticks
        until = (stop_tick - s.start_tick) // s.unit_ticks if told else None
        sync_time = self._syncs(pulses[0], min(stop_tick, self._sync_end_tick)) // s.unit_ticks
        return self._t2_encoder.encode(
            time, None, pulses[1], marker_time, markers[1], sync_time=sync_time, until=until
        )

    def _syncs(self, ticks: Ticks, stop_tick: int) -> Ticks:
        """Ticks after time zero of the syncs to record in T2 mode from the last release on."""
        s = self.settings
        if s.period_ticks == 0:
            return np.empty(0, np.int64)
        if s.sync_records == "all":
            first, last = (-((s.start_tick - t) // self._quantum) for t in (self._released_tick, stop_tick))
            return np.arange(first, last) * self._quantum
        numbers = np.unique((ticks[ticks < stop_tick] - s.start_tick) // s.period_ticks)
        return numbers[numbers % s.sync_divider == 0] * s.period_ticks

    def _add_to_histograms(self, ticks: Ticks, inputs: NDArray[np.uint8]) -> None:
        s = self.settings
        after_sync = (ticks - s.start_tick) % s.period_ticks
        dtime = (after_sync - s.offset_ticks) // s.unit_ticks >> s.binning
        fits = (dtime >= 0) & (dtime <= T3_MAX_DTIME)
        for channel, histogram in enumerate(self._histograms):
            histogram += np.bincount(dtime[fits & (inputs == channel)], minlength=len(histogram)).astype(
                np.uint32
            )


def _merged(waiting: Events, new: Events) -> Events:
    """Both sets of events in the order of their time, then of their number."""
    ticks, numbers = new
    if len(waiting[0]):
        ticks, numbers = np.append(waiting[0], ticks), np.append(waiting[1], numbers)
    if _in_order(ticks, numbers):
        return ticks, numbers
    order = np.lexsort((numbers, ticks))
    return ticks[order], numbers[order]


def _split(events: Events, start_tick: int, stop_tick: int) -> tuple[Events, Events]:
    """The events from `stop_tick` on, and those from `start_tick` to `stop_tick`."""
    first, last = np.searchsorted(events[0], [start_tick, stop_tick])
    return (events[0][last:], events[1][last:]), (events[0][first:last], events[1][first:last])


@njit(cache=True, nogil=True)
def _in_order(ticks, numbers):
    for i in range(1, len(ticks)):
        if ticks[i] < ticks[i - 1] or (ticks[i] == ticks[i - 1] and numbers[i] < numbers[i - 1]):
            return False
    return True


@njit(cache=True, nogil=True)
def _survivors(
    ticks, inputs, enabled, native_ticks, programmed_ticks, shift_ticks, converted, recorded,
    ticks_kept, inputs_kept,
):  # fmt: skip
    """Copy the pulses that are recorded, delayed by their input's shift, and return how many: the converter
    is blind for the native dead time after each pulse that it converted; of the converted ones those within
    the programmed dead time are thrown away."""
    n = 0
    for i in range(len(ticks)):
        k = inputs[i]
        if k >= len(enabled) or not enabled[k] or ticks[i] - converted[k] < native_ticks:
            continue
        converted[k] = ticks[i]
        if ticks[i] - recorded[k] >= programmed_ticks[k]:
            recorded[k] = ticks[i]
            ticks_kept[n], inputs_kept[n] = ticks[i] + shift_ticks[k], k
            n += 1
    return n


@njit(cache=True, nogil=True)
def _t3_records(
    ticks, inputs, marker_ticks, marker_bits, start, period, offset, unit, binning, stops, overflow, words
):
    """Write the records of pulses and markers, merged by sync number, markers first; pulses whose micro time
    does not fit are left out. At `stops` (sync numbers) overflows are told without an event.

    Returns the number of words and the overflows (in syncs) told so far.
    """
    never = np.iinfo(np.int64).max
    i = j = k = n = 0
    photon, photon_word = np.int64(-1), np.int64(0)
    while True:
        while photon < 0:
            if i == len(ticks):
                photon = never
                break
            after_sync = ticks[i] - start
            sync = after_sync // period
            dtime = (after_sync - sync * period - offset) // unit >> binning
            if 0 <= dtime <= T3_MAX_DTIME:
                photon, photon_word = sync, np.int64(inputs[i]) << 25 | dtime << 10
            i += 1
        marker = (marker_ticks[j] - start) // period if j < len(marker_ticks) else never
        event = min(photon, marker)
        until = stops[k] if k < len(stops) else never
        told = min(event, until)
        if told == never:
            return n, overflow
        if told - overflow >= T3_WRAP:
            wraps = (told - overflow) // T3_WRAP
            n = put_overflows(words, n, wraps, T3_WRAP - 1)
            overflow += wraps * T3_WRAP
        if until <= event:
            k += 1
        elif marker <= photon:
            words[n] = np.int64(1 << 31) | np.int64(marker_bits[j]) << 25 | (marker - overflow)
            n, j = n + 1, j + 1
        else:
            words[n] = photon_word | (photon - overflow)
            n, photon = n + 1, np.int64(-1)
