"""TimeHarp 260 N and P: a photon counter on a PCIe board, driven through the vendor's TH260Lib.

Order of calls and waits follow the vendor's demos (repository PicoQuant/TH260-Demos). While a T2 or T3
measurement runs, only the drain's thread talks to the board.
"""

from __future__ import annotations

import atexit
import ctypes
import dataclasses
import threading

import numpy as np
from numpy.typing import NDArray

from ...formats.tttr import RecordType
from ..base import Identity, InstrumentError, NotConnectedError
from ..clock import Clock
from ..photon_counter import (
    CounterFlags,
    CounterSettings,
    CountingError,
    InputSettings,
    PhotonCounter,
    TttrMode,
)
from . import th260lib
from .drain import DEFAULT_BUFFER_WORDS, End, FifoDrain
from .th260_board import Board, BoardInfo, library_version, open_board
from .th260_limits import DURATION_S, check_settings
from .th260lib import Feature, Flag, Warn
from .vendor_library import CLibrary

_METER_WAIT_S = 0.15
_SETTLE_WAIT_S = 0.25
_SETTLE_TRIES = 3
_SETTLE_AGREEMENT = 0.05
_EDGE_FALLING = 0
_MAX_COUNT = 4_294_967_295
_RECORD_TYPES = {
    True: (RecordType.TIMEHARP_260P_T2, RecordType.TIMEHARP_260P_T3),
    False: (RecordType.TIMEHARP_260N_T2, RecordType.TIMEHARP_260N_T3),
}
_UNUSED_INPUT = InputSettings(enabled=False)


class TimeHarp260(PhotonCounter):
    """A TimeHarp 260 N or P with one or two detector inputs.

    `library` holds the C functions: `th260lib.load()` on a real rig. `serial` chooses the board;
    without it the first one found is taken. On the N, `cfd_level_mv` is the trigger level and pulses
    trigger on their falling edge.
    """

    def __init__(
        self,
        library: CLibrary,
        *,
        clock: Clock,
        serial: str = "",
        name: str = "TimeHarp 260",
        buffer_words: int = DEFAULT_BUFFER_WORDS,
    ) -> None:
        self.name, self.buffer_words = name, buffer_words
        self.n_inputs = 0
        self._library, self._clock, self._serial = library, clock, serial
        self._lock = threading.RLock()
        self._open: tuple[Board, BoardInfo, FifoDrain] | None = None
        self._settings: CounterSettings | None = None
        self._resolution_ps = 0.0
        self._started = False
        self._meters_disagree = ""

    # ---- life ----

    def connect(self) -> Identity:
        """Open the board, and read what it is and what it can do.

        Raises InstrumentError when no board (with this serial number) can be opened, when another
        program holds it, or when it is not licensed for the library.
        """
        with self._lock:
            if self._open is None:
                board = open_board(self._library, self._serial)
                try:
                    board.call("Initialize", TttrMode.HISTOGRAM)
                    info = board.info()
                    self._refuse_unusable(info)
                    drain = FifoDrain(
                        self._library, board.index, info.n_inputs, buffer_words=self.buffer_words
                    )
                except BaseException:
                    board.close()
                    raise
                atexit.register(self.disconnect)  # a board left open may hang until the power is cycled
                self.n_inputs = info.n_inputs
                self._open = board, info, drain
            return self._identity()

    def disconnect(self) -> None:
        """Stop a running measurement and close the board; does nothing when there is none."""
        with self._lock:
            if self._open is None:
                return
            board = self._open[0]
            try:
                self.stop()
            finally:
                self._open = self._settings = None
                atexit.unregister(self.disconnect)
                board.close()

    def make_safe(self) -> None:
        """Stop a running measurement. May be called twice, from any thread, and when disconnected."""
        self.stop()

    def settings(self) -> dict[str, object]:
        """Identity, board and measurement settings, as a run file records them."""
        if self._open is None:
            return {}
        _, info, _ = self._open
        record: dict[str, object] = {
            "identity": str(self._identity()),
            "library_version": library_version(self._library),
            "part_number": info.part_number,
            "features": [feature.name for feature in Feature if feature in info.features],
            "base_resolution_ps": info.base_resolution_ps,
        }
        if self._settings is not None:
            record |= dataclasses.asdict(self._settings)
            record |= {"mode": self._settings.mode.name, "resolution_ps": self._resolution_ps}
        return record

    # ---- settings ----

    def configure(self, settings: CounterSettings) -> None:
        """Set mode, inputs and markers, and wait until the rate meters are valid.

        Inputs that `settings` does not name are disabled. Raises OutOfRangeError for a value outside
        the board's range before anything is sent, and InstrumentError for what this board cannot do or
        while a measurement runs.
        """
        with self._lock:
            board, info, _ = self._connected()
            if self.measuring:
                raise InstrumentError(f"{self.name}: stop the measurement before changing its settings")
            check_settings(settings, info)
            self.stop()
            self._settings = None
            board.call("Initialize", settings.mode)
            board.call("SetSyncDiv", settings.sync_divider)
            self._set_inputs(settings)
            board.call("SetMeasControl", 0, 0, 0)  # started by software, ended by the board's timer
            if settings.mode is not TttrMode.T2:
                board.get_int("SetHistoLen", th260lib.HISTOGRAM_LENGTH_CODE)
                board.call("SetBinning", settings.binning)
                board.call("SetOffset", 0)
            if settings.mode is not TttrMode.HISTOGRAM and Feature.MARKERS in info.features:
                board.call("SetMarkerEdges", *settings.marker_rising)
                board.call("SetMarkerEnable", *settings.marker_enabled)
                board.call("SetMarkerHoldoffTime", settings.marker_holdoff_ns)
            t2 = settings.mode is TttrMode.T2
            self.record_type = _RECORD_TYPES[info.has_cfd][0 if t2 else 1]
            self._resolution_ps = info.base_resolution_ps if t2 else board.get_double("GetResolution")
            self._meters_disagree = self._wait_for_meters()
            self._settings = settings

    @property
    def resolution_ps(self) -> float:
        """Get the time resolution in picoseconds of the mode configured (float)."""
        self._configured()
        return self._resolution_ps

    # ---- rates and state ----

    @property
    def sync_rate_hz(self) -> float:
        """Measure the sync rate in hertz (float) over the board's gate of 100 ms."""
        return self._meters()[0]

    def count_rates_hz(self) -> tuple[float, ...]:
        """Measure the count rate of each input in hertz over the board's gate of 100 ms."""
        return self._meters()[1]

    def warnings(self) -> tuple[str, ...]:
        """Get what the board warns of, one sentence each."""
        bits = self._meters()[2]
        sentences = [sentence for bit, sentence in th260lib.WARNINGS.items() if bit in bits]
        return (*sentences, *([self._meters_disagree] if self._meters_disagree else ()))

    def flags(self) -> CounterFlags:
        """Get the flags of the present or the last measurement."""
        with self._lock:
            board, _, drain = self._configured()
            bits = Flag(0) if self._histogram_mode else drain.flags
            if not drain.running:
                bits |= Flag(board.get_int("GetFlags"))
        return CounterFlags(
            histogram_overflow=Flag.HISTOGRAM_OVERFLOW in bits,
            fifo_overrun=Flag.FIFO_FULL in bits,
            sync_lost=Flag.SYNC_LOST in bits,
            events_dropped=Flag.EVENTS_DROPPED in bits,
            system_error=bool(bits & (Flag.SYSTEM_ERROR | Flag.SOFT_ERROR)),
        )

    # ---- measurement ----

    def start(self, duration_s: float) -> None:
        """Start a measurement of at most `duration_s` seconds (0.001 to 360000) and its drain."""
        duration_ms = round(1000 * DURATION_S.check(duration_s, "duration_s"))
        with self._lock:
            board, _, drain = self._configured()
            if self.measuring:
                raise InstrumentError(f"{self.name}: a measurement is already running; stop it first")
            self.stop()
            if self._histogram_mode:
                board.call("SetStopOverflow", 1, _MAX_COUNT)
                board.call("ClearHistMem")
            board.call("StartMeas", duration_ms)
            self._started = True
            if not self._histogram_mode:
                drain.start()

    def take(self) -> NDArray[np.uint32]:
        """Fetch the words that arrived since the last call (own copy, uint32, may be empty).

        Raises CountingError on FiFo overrun, lost sync, a hardware error or a full buffer, after
        everything before it was fetched.
        """
        board, _, drain = self._configured()
        ended = not drain.running  # asked first, so that what it stored is complete
        words = drain.take()
        if len(words) == 0 and ended and (failure := drain.failure()):
            details = f"; {board.debug_info()}" if drain.end is End.SYSTEM_ERROR else ""
            raise CountingError(f"{self.name}: {failure}{details}")
        return words

    @property
    def measuring(self) -> bool:
        """Get whether the measurement or its drain is still going on (bool)."""
        with self._lock:
            if self._open is None or not self._started:
                return False
            board, _, drain = self._open
            return board.get_int("CTCStatus") == 0 if self._histogram_mode else drain.running

    def stop(self) -> None:
        """End the measurement; words already recorded can still be fetched with `take`. Idempotent."""
        with self._lock:
            if self._open is None or not self._started:
                return
            board, _, drain = self._open
            self._started = False
            if self._histogram_mode:
                board.call("StopMeas")
            else:
                drain.stop()

    def histogram(self) -> NDArray[np.uint32]:
        """Get the histograms of a measurement in histogram mode, shape (inputs, 32768)."""
        with self._lock:
            board, _, _ = self._configured()
            if not self._histogram_mode:
                raise InstrumentError(f"{self.name}: histograms need the mode HISTOGRAM")
            counts = np.zeros((self.n_inputs, th260lib.HISTOGRAM_BINS), np.uint32)
            for channel, row in enumerate(counts):
                board.call("GetHistogram", row.ctypes.data_as(ctypes.POINTER(ctypes.c_uint)), channel, 0)
            return counts

    # ---- inside ----

    @property
    def _histogram_mode(self) -> bool:
        return self._settings is not None and self._settings.mode is TttrMode.HISTOGRAM

    def _connected(self) -> tuple[Board, BoardInfo, FifoDrain]:
        if self._open is None:
            raise NotConnectedError(f"{self.name}: connect first")
        return self._open

    def _configured(self) -> tuple[Board, BoardInfo, FifoDrain]:
        opened = self._connected()
        if self._settings is None:
            raise InstrumentError(f"{self.name}: configure a measurement first")
        return opened

    def _identity(self) -> Identity:
        _, info, _ = self._connected()
        simulated = getattr(self._library, "simulated", False)
        return Identity("PicoQuant", info.model, info.serial, info.version, simulated=simulated)

    def _refuse_unusable(self, info: BoardInfo) -> None:
        if Feature.DLL not in info.features:
            raise InstrumentError(f"the {info.model} {info.serial} is not licensed for TH260Lib (DLL option)")
        version = library_version(self._library)
        if not info.has_cfd and version < "3.2":
            raise InstrumentError(
                f"TH260Lib {version} inverts the trigger edges of the {info.model}: install version 3.2"
            )

    def _set_inputs(self, settings: CounterSettings) -> None:
        board, info, _ = self._connected()
        sync, function = settings.sync, "CFD" if info.has_cfd else "EdgeTrg"
        board.call(f"SetSync{function}", sync.cfd_level_mv, _second_parameter(sync, info))
        board.call("SetSyncChannelOffset", sync.offset_ps)
        for channel in range(info.n_inputs):
            one = settings.inputs[channel] if channel < len(settings.inputs) else _UNUSED_INPUT
            board.call(f"SetInput{function}", channel, one.cfd_level_mv, _second_parameter(one, info))
            board.call("SetInputChannelOffset", channel, one.offset_ps)
            board.call("SetInputChannelEnable", channel, one.enabled)
            if one.dead_time_code is not None:
                board.call("SetInputDeadTime", channel, one.dead_time_code)

    def _wait_for_meters(self) -> str:
        """Wait until sync rate and sync period agree; a sentence when they never do."""
        board, _, _ = self._connected()
        self._clock.sleep(_METER_WAIT_S)
        for _ in range(_SETTLE_TRIES):
            rate_hz, period_s = board.get_int("GetSyncRate"), board.get_double("GetSyncPeriod")
            if abs(rate_hz * period_s - 1) <= _SETTLE_AGREEMENT:
                return ""
            self._clock.sleep(_SETTLE_WAIT_S)
        rate_hz, period_s = board.get_int("GetSyncRate"), board.get_double("GetSyncPeriod")
        if rate_hz == 0:  # the board has a warning of its own for that
            return ""
        return f"Sync rate ({rate_hz} Hz) and period ({period_s:.6g} s) disagree: check that it is periodic."

    def _meters(self) -> tuple[float, tuple[float, ...], Warn]:
        with self._lock:
            board, info, drain = self._configured()
            if (readings := drain.meters()) is not None:
                return readings
            sync_rate_hz = float(board.get_int("GetSyncRate"))
            rates_hz = tuple(float(board.get_int("GetCountRate", n)) for n in range(info.n_inputs))
            return sync_rate_hz, rates_hz, Warn(board.get_int("GetWarnings"))  # warns from the rates read


def _second_parameter(one: InputSettings, info: BoardInfo) -> int:
    return one.cfd_zero_cross_mv if info.has_cfd else _EDGE_FALLING
