"""The FiFo drain: one thread that empties the board without ever waiting for Python's interpreter lock.

While a measurement runs this thread alone talks to the board: the vendor does not promise that calls
from two threads are safe. Its loop is compiled and calls the library through the functions' addresses,
so that no other work of the process can keep it from the FiFo. Others talk to it through a few integers
in shared memory, each written by one side only.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from enum import IntEnum
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..base import InstrumentError
from . import th260lib
from .vendor_library import CLibrary

DEFAULT_BUFFER_WORDS = 16 * 1024 * 1024
_PAGE_BYTES = 4096  # alignment of the read buffer that spares the library a copy
_LAST_READS = 64  # full reads: more than the FiFo holds
_JOIN_TIMEOUT_S = 5.0
_POLL_S = 0.0005
_FIFO_FULL, _SYNC_LOST, _SYSTEM_ERROR = (
    int(flag) for flag in (th260lib.Flag.FIFO_FULL, th260lib.Flag.SYNC_LOST, th260lib.Flag.SYSTEM_ERROR)
)


class End(IntEnum):
    """Why the drain ended."""

    NOT_YET = 0
    STOPPED = 1
    TIME_OVER = 2
    FIFO_FULL = 3
    SYNC_LOST = 4
    SYSTEM_ERROR = 5
    CALL_FAILED = 6
    BUFFER_FULL = 7


class Call(IntEnum):
    """The library's functions that the loop calls."""

    GetFlags = 0
    ReadFiFo = 1
    CTCStatus = 2
    GetSyncRate = 3
    GetCountRate = 4
    GetWarnings = 5


_SHARED = np.dtype(
    [
        # written by the driver
        ("stop", np.int64),
        ("fetched", np.int64),  # words that take() has copied out, since the start
        ("meters_wanted", np.int64),
        # written by the loop
        ("stored", np.int64),  # words in the ring, since the start
        ("reads", np.int64),
        ("stalls", np.int64),  # turns in which the ring had no room
        ("end", np.int64),
        ("flags", np.int64),
        ("failed_call", np.int64),
        ("error", np.int64),
        ("meters_read", np.int64),
        ("warnings", np.int64),
        ("sync_rate_hz", np.int64),
        ("input_rate_hz", np.int64, (2,)),
    ]
)


class FifoDrain:
    """Copies the words of one measurement after the other from the board's FiFo into a ring.

    The ring has one writer, the drain's thread, and one reader, whoever calls `take`. While it has no
    room for a whole read, nothing is read and the board's own FiFo takes the words, until it overruns.
    All of it is in memory from the beginning: a day's words find no page that the system has yet to bring.
    """

    def __init__(
        self, library: CLibrary, device_index: int, n_inputs: int, *, buffer_words: int = DEFAULT_BUFFER_WORDS
    ) -> None:
        if buffer_words < 2 * th260lib.READ_MAX_WORDS:
            raise ValueError(f"buffer_words = {buffer_words} must be at least {2 * th260lib.READ_MAX_WORDS}")
        self._library, self._device_index, self._n_inputs = library, device_index, n_inputs
        self._functions: tuple[Any, ...] = tuple(getattr(library, f"TH260_{call.name}") for call in Call)
        self._ring = np.full(buffer_words, 0, np.uint32)  # written: has all its memory before the first word
        self._block = _aligned_words(th260lib.READ_MAX_WORDS)
        self._answer = np.zeros(1, np.int32)
        self._state = np.zeros(1, _SHARED)
        self._thread: threading.Thread | None = None
        self._stop_code = 0
        self._state["end"] = End.STOPPED
        self._loop()  # compiles, and calls nothing

    @property
    def running(self) -> bool:
        """Whether the drain still reads (bool); at its end waits for the stop of the measurement, too."""
        thread = self._thread
        if thread is None:
            return False
        if self.end is not End.NOT_YET:
            thread.join(_JOIN_TIMEOUT_S)  # only the call of StopMeas is left
        return thread.is_alive()

    @property
    def end(self) -> End:
        """Why the loop ended; NOT_YET while it runs."""
        return End(int(self._state["end"][0]))

    @property
    def flags(self) -> th260lib.Flag:
        """All flags that the board raised during the measurement."""
        return th260lib.Flag(int(self._state["flags"][0]))

    def start(self) -> None:
        """Begin to empty the FiFo; returns when the first read was done."""
        self._state[:] = np.zeros(1, _SHARED)
        self._stop_code = 0
        self._thread = threading.Thread(target=self._run, name="TimeHarp 260 drain", daemon=True)
        self._thread.start()
        while self._state["reads"][0] == 0 and self._thread.is_alive():
            self._thread.join(_POLL_S)

    def stop(self) -> None:
        """Read what the FiFo holds, stop the measurement and end the thread; idempotent.

        Raises InstrumentError when the library does not come back or refuses to stop.
        """
        thread = self._thread
        if thread is None:
            return
        self._state["stop"] = 1
        thread.join(_JOIN_TIMEOUT_S)
        if thread.is_alive():
            raise InstrumentError(
                f"the TimeHarp 260 library did not return within {_JOIN_TIMEOUT_S:g} s: the board may hang; "
                "end the program, and power the computer off and on if the board stays lost"
            )
        self._thread = None
        if self._stop_code != 0:
            raise InstrumentError(th260lib.error_text("StopMeas", self._stop_code))

    def take(self) -> NDArray[np.uint32]:
        """Copy out the words that arrived since the last call (uint32, may be empty)."""
        stored, fetched = int(self._state["stored"][0]), int(self._state["fetched"][0])
        size = len(self._ring)
        first, last = fetched % size, fetched % size + (stored - fetched)
        words = np.concatenate((self._ring[first:last], self._ring[: max(0, last - size)]))
        self._state["fetched"] = stored
        return words

    def failure(self) -> str | None:
        """What ended the measurement before its time, in a sentence; None where nothing did."""
        state = self._state[0]
        match self.end:
            case End.NOT_YET | End.STOPPED | End.TIME_OVER:
                return None
            case End.FIFO_FULL if state["stalls"]:
                return (
                    f"FiFo overrun: nobody fetched until the buffer of {len(self._ring)} words and then "
                    "the board's FiFo were full; fetch more often"
                )
            case End.FIFO_FULL:
                return (
                    "FiFo overrun: the count rate is higher than the computer can read; attenuate the light"
                )
            case End.BUFFER_FULL:
                return f"the buffer of {len(self._ring)} words was full at the stop: the last words are lost"
            case End.SYNC_LOST:
                return "sync lost: check that the laser runs and that its trigger output is connected"
            case End.SYSTEM_ERROR:
                return "hardware error: the board raised SYSTEM_ERROR"
            case End.CALL_FAILED:
                return th260lib.error_text(Call(int(state["failed_call"])).name, int(state["error"]))

    def meters(self) -> tuple[float, tuple[float, ...], th260lib.Warn] | None:
        """Sync rate and input rates in hertz, and the warnings, as read by the drain at its next turn.

        None when the drain is not running: then the driver may ask the board itself.
        """
        state = self._state[0]
        ticket = int(state["meters_read"]) + 1
        state["meters_wanted"] = ticket
        while state["meters_read"] < ticket:
            thread = self._thread
            if thread is None or not thread.is_alive():
                return None
            thread.join(_POLL_S)
        rates_hz = tuple(float(rate) for rate in state["input_rate_hz"][: self._n_inputs])
        return float(state["sync_rate_hz"]), rates_hz, th260lib.Warn(int(state["warnings"]))

    def _run(self) -> None:
        self._loop()
        self._stop_code = self._library.TH260_StopMeas(self._device_index)

    def _loop(self) -> None:
        board = [self._device_index, self._n_inputs, self._block, self._answer]
        _drain(*[*self._functions, *_nap(), *board, self._ring, self._state])


def _aligned_words(count: int) -> NDArray[np.uint32]:
    """An array of `count` words that starts on a memory page."""
    memory = np.zeros(4 * count + _PAGE_BYTES, np.uint8)
    start = -memory.ctypes.data % _PAGE_BYTES
    return memory[start : start + 4 * count].view(np.uint32)


def _nap() -> tuple[Any, int]:
    """The system's C function that sleeps about a millisecond, and its argument."""
    if sys.platform == "win32":
        sleep, argument = ctypes.WinDLL("kernel32").Sleep, 1
    else:
        sleep, argument = ctypes.CDLL(None).usleep, 1000
    sleep.argtypes, sleep.restype = [ctypes.c_uint], ctypes.c_int
    return sleep, argument


@njit(cache=True, nogil=True)
def _drain(
    get_flags, read_fifo, ctc_status, get_sync_rate, get_count_rate, get_warnings, nap, nap_argument,
    device, n_inputs, block, answer, ring, state,
):  # fmt: skip
    """Empty the FiFo into the ring until `state[0].end` says why it ended."""
    s = state[0]
    reason = End.NOT_YET.value
    last_reads = 0
    while s.end == End.NOT_YET:
        code = get_flags(device, answer.ctypes)
        if code != 0:
            _fail(s, Call.GetFlags, code)
            break
        s.flags |= answer[0]
        reason = max(reason, _reason_to_end(s))  # an error outranks a stop or the end of the time

        if s.meters_wanted > s.meters_read:
            _read_meters(s, device, n_inputs, get_sync_rate, get_count_rate, get_warnings, answer)

        if len(ring) - (s.stored - s.fetched) < len(block):
            s.stalls += 1
            if s.stop:
                s.end = reason if reason >= End.FIFO_FULL else End.BUFFER_FULL.value
            nap(nap_argument)
            continue

        code = read_fifo(device, block.ctypes, len(block), answer.ctypes)
        if code != 0:
            _fail(s, Call.ReadFiFo, code)
            break
        count = answer[0]
        start = s.stored % len(ring)
        for i in range(count):
            at = start + i
            ring[at if at < len(ring) else at - len(ring)] = block[i]
        s.stored += count
        s.reads += 1

        if reason != End.NOT_YET:
            last_reads += 1
            drained = count == 0 or (reason == End.STOPPED and count < len(block))
            if drained or last_reads >= _LAST_READS:
                s.end = reason
        elif count == 0:
            code = ctc_status(device, answer.ctypes)
            if code != 0:
                _fail(s, Call.CTCStatus, code)
            elif answer[0] != 0:
                reason = End.TIME_OVER.value
            else:
                nap(nap_argument)


@njit(cache=True, nogil=True)
def _reason_to_end(s):
    if s.flags & _FIFO_FULL:
        return End.FIFO_FULL.value
    if s.flags & _SYNC_LOST:
        return End.SYNC_LOST.value
    if s.flags & _SYSTEM_ERROR:
        return End.SYSTEM_ERROR.value
    if s.stop:
        return End.STOPPED.value
    return End.NOT_YET.value


@njit(cache=True, nogil=True)
def _fail(s, call, code):
    s.failed_call = call
    s.error = code
    s.end = End.CALL_FAILED


@njit(cache=True, nogil=True)
def _read_meters(s, device, n_inputs, get_sync_rate, get_count_rate, get_warnings, answer):
    """Read all rates and then the warnings, which the library derives from the rates read last."""
    code = get_sync_rate(device, answer.ctypes)
    if code != 0:
        _fail(s, Call.GetSyncRate, code)
        return
    s.sync_rate_hz = answer[0]
    for channel in range(n_inputs):
        code = get_count_rate(device, channel, answer.ctypes)
        if code != 0:
            _fail(s, Call.GetCountRate, code)
            return
        s.input_rate_hz[channel] = answer[0]
    code = get_warnings(device, answer.ctypes)
    if code != 0:
        _fail(s, Call.GetWarnings, code)
        return
    s.warnings = answer[0]
    s.meters_read = s.meters_wanted
