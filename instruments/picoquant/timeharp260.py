"""TimeHarp 260 N and P: a photon counter on a PCIe board, driven through the vendor's TH260Lib.

Order of calls, waits and ranges follow the vendor's demos (repository PicoQuant/TH260-Demos) and
headers of version 3.2. While a T2 or T3 measurement runs, only the drain's thread talks to the board.
"""

from __future__ import annotations

import atexit
import ctypes
import dataclasses
import threading

import numpy as np
from numpy.typing import NDArray

from ..base import Identity, InstrumentError, Limits, NotConnectedError, OutOfRangeError
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
from .th260lib import Feature, Flag, Warn
from .vendor_library import CLibrary

SYNC_DIVIDERS = (1, 2, 4, 8)
CFD_LEVEL_MV = Limits(-1200, 0)
EDGE_LEVEL_MV = Limits(-1200, 1200)
CFD_ZERO_CROSS_MV = Limits(-40, 0)
OFFSET_PS = Limits(-99_999, 99_999)
DEAD_TIME_CODE = Limits(0, 7)
MARKER_HOLDOFF_NS = Limits(0, 25_500)
DURATION_S = Limits(0.001, 360_000)

_METER_WAIT_S = 0.15
_SETTLE_WAIT_S = 0.25
_SETTLE_TRIES = 3
_SETTLE_AGREEMENT = 0.05
_EDGE_FALLING = 0
_MAX_COUNT = 4_294_967_295
_STATUS_FAIL = -48


class TimeHarp260(PhotonCounter):
    """A TimeHarp 260 N or P with one or two detector inputs.

    `library` holds the C functions: `th260lib.load()` on a real rig. `serial` chooses the board;
    without it the first one found is taken. Detector signals on the N trigger on the falling edge.
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
        self._library, self._clock, self._wanted_serial = library, clock, serial
        self._calling = threading.RLock()
        self._index: int | None = None
        self._identity: Identity | None = None
        self._settings: CounterSettings | None = None
        self._meters_disagree = ""

    # ---- life ----

    def connect(self) -> Identity:
        """Open the board, and read what it is and what it can do.

        Raises InstrumentError when no board (with this serial number) can be opened, when another
        program holds it, or when it is not licensed for the library.
        """
        with self._calling:
            if self._identity is not None:
                return self._identity
            library_version = self._library_version()
            self._index = self._open_board()
            atexit.register(self.disconnect)  # a board left open may hang until the power is cycled
            try:
                self._call("Initialize", TttrMode.HISTOGRAM)
                self._identity = self._identify(library_version)
                self._drain = FifoDrain(
                    self._library, self._index, self.n_inputs, buffer_words=self.buffer_words
                )
            except BaseException:
                self._close()
                raise
            return self._identity

    def disconnect(self) -> None:
        """Stop a running measurement and close the board; does nothing when there is none."""
        if self._index is None:
            return
        try:
            self.stop()
        finally:
            self._close()

    def make_safe(self) -> None:
        """Stop a running measurement. May be called twice, from any thread, and when disconnected."""
        self.stop()

    def settings(self) -> dict[str, object]:
        """Identity, board and measurement settings, as a run file records them."""
        if self._identity is None:
            return {}
        record: dict[str, object] = {
            "identity": str(self._identity),
            "part_number": self._part_number,
            "library_version": self._library_version(),
            "features": [feature.name for feature in Feature if feature in self._features],
            "base_resolution_ps": self._base_resolution_ps,
        }
        if self._settings is not None:
            record |= dataclasses.asdict(self._settings) | {
                "mode": self._settings.mode.name,
                "resolution_ps": self._resolution_ps,
            }
        return record

    # ---- settings ----

    def configure(self, settings: CounterSettings) -> None:
        """Set mode, inputs and markers, and wait until the rate meters are valid.

        Raises OutOfRangeError for a value outside the board's range before anything is sent, and
        InstrumentError for what this board cannot do or while a measurement runs.
        """
        with self._calling:
            self._require_connected()
            if self.measuring:
                raise InstrumentError(f"{self.name}: stop the measurement before changing its settings")
            self._check(settings)
            self._settings = None
            self._call("Initialize", settings.mode)
            self._call("SetSyncDiv", settings.sync_divider)
            self._set_sync(settings.sync)
            for channel in range(self.n_inputs):
                unused = InputSettings(enabled=False)
                self._set_input(channel, settings.inputs[channel] if channel < len(settings.inputs) else unused)
            self._call("SetMeasControl", 0, 0, 0)  # started by software, ended by the board's timer
            if settings.mode is not TttrMode.T2:
                self._call("SetHistoLen", th260lib.HISTOGRAM_LENGTH_CODE, ctypes.byref(ctypes.c_int()))
                self._call("SetBinning", settings.binning)
                self._call("SetOffset", 0)
            if settings.mode is not TttrMode.HISTOGRAM and Feature.MARKERS in self._features:
                self._call("SetMarkerEdges", *settings.marker_rising)
                self._call("SetMarkerEnable", *settings.marker_enabled)
                self._call("SetMarkerHoldoffTime", settings.marker_holdoff_ns)
            self._resolution_ps = (
                self._base_resolution_ps if settings.mode is TttrMode.T2 else self._get_double("GetResolution")
            )
            self._settings = settings
            self._wait_for_meters()

    @property
    def resolution_ps(self) -> float:
        """Get the time resolution in picoseconds of the mode configured (float)."""
        self._require_configured()
        return self._resolution_ps

    # ---- rates and state ----

    @property
    def sync_rate_hz(self) -> float:
        """Measure the sync rate in hertz (float), over the board's gate of 100 ms."""
        return self._meters()[0]

    def count_rates_hz(self) -> tuple[float, ...]:
        """Measure the count rate of each input in hertz, over the board's gate of 100 ms."""
        return self._meters()[1]

    def warnings(self) -> tuple[str, ...]:
        """Get what the board warns of, one sentence each."""
        bits = self._meters()[2]
        sentences = [th260lib.WARNINGS[warning] for warning in Warn if warning in bits]
        return (*sentences, self._meters_disagree) if self._meters_disagree else tuple(sentences)

    def flags(self) -> CounterFlags:
        """Get the flags of the present or the last measurement."""
        with self._calling:
            self._require_configured()
            bits = self._drain.flags
            if not self._drain.running:
                bits |= Flag(self._get_int("GetFlags"))
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
        with self._calling:
            settings = self._require_configured()
            if self.measuring:
                raise InstrumentError(f"{self.name}: a measurement is already running; stop it first")
            self.stop()
            if settings.mode is TttrMode.HISTOGRAM:
                self._call("SetStopOverflow", 1, _MAX_COUNT)
                self._call("ClearHistMem")
            self._call("StartMeas", duration_ms)
            self._started = True
            if settings.mode is not TttrMode.HISTOGRAM:
                self._drain.start()

    def take(self) -> NDArray[np.uint32]:
        """Fetch the words that arrived since the last call (own copy, uint32, may be empty).

        Raises CountingError on FiFo overrun, lost sync, a hardware error or a full buffer, after
        everything before it was fetched.
        """
        self._require_configured()
        ended = self._drain.end is not End.NOT_YET  # read first: what was stored before it is complete
        words = self._drain.take()
        if len(words) == 0 and ended and (failure := self._drain.failure()):
            raise CountingError(f"{self.name}: {failure}{self._debug_info()}")
        return words

    @property
    def measuring(self) -> bool:
        """Get whether the measurement or its drain is still going on (bool)."""
        with self._calling:
            if not self._started:
                return False
            if self._mode is TttrMode.HISTOGRAM:
                return self._get_int("CTCStatus") == 0
            return self._drain.running
