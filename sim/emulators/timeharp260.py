"""The emulated TimeHarp 260: TH260Lib's C functions over one board on the bench.

T2 mode records every sync (divided by the sync divider) as the real board does: 2.5 million records per
second at 2.5 MHz. `t2_sync_records="with_photons"` keeps only the syncs of pulses that a photon follows,
for recordings that are to be exported beside T3 ones. Time zero is in T2 and T3 mode the first sync after
StartMeas, so that with the same seed T2 time = sync number x period + micro time.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...instruments.picoquant import th260lib
from ...instruments.picoquant.th260lib import Feature, Flag, Warn
from ..bench import TICK_PS, Bench
from .c_functions import exported, put_text, require
from .th260_recorder import (
    NO_EVENTS,
    TICKS_PER_S,
    Fifo,
    RateMeters,
    Recording,
    RecordingSettings,
    SyncRecords,
    Ticks,
)
from .th260_settings import CODE, HISTOGRAM, T2, T3, EmulatedBoard

FAULTS = {
    "th260_fifo_overrun": "The board's FiFo overruns one second into a measurement.",
    "th260_sync_lost": "The sync signal breaks off one second into a measurement.",
    "th260_hardware_error": "The board raises SYSTEM_ERROR one second into a measurement.",
    "th260_dll_error": "ReadFiFo fails with DMA_FAIL one second into a measurement.",
    "th260_start_fails": "StartMeas fails with STATUS_FAIL.",
    "th260_open_fails": "No board is found.",
    "th260_busy": "Another program holds the board.",
    "th260_no_photons": "The detectors are off: no pulses at any input.",
    "th260_record_storm": "After one second laser light strays onto a detector: 6 million pulses per second.",
    "th260_events_dropped": "The board drops a tenth of the events from one second on, and says so.",
}
_ENDING_FAULTS: dict[str, Flag | None] = {
    "th260_fifo_overrun": Flag.FIFO_FULL,
    "th260_sync_lost": Flag.SYNC_LOST,
    "th260_hardware_error": Flag.SYSTEM_ERROR,
    "th260_dll_error": None,
}
_FAULT_AFTER_TICKS = TICKS_PER_S
_STORM_TICKS = TICKS_PER_S // 6_000_000

_DEAD_TIMES_NS = (24, 44, 66, 88, 112, 135, 160, 180)
_TICKS_PER_NS = 1000 // TICK_PS
_TICKS_PER_MS = TICKS_PER_S // 1000
_LONG_AGO = -(1 << 62)
_ALL_FEATURES = Feature(0x3F)

# rates at which the library warns; the vendor does not publish them
_VERY_LOW_SYNC_HZ = 100
_MAX_DIVIDED_SYNC_HZ = 40_000_000
_MAX_SYNC_HZ = 100_000_000
_MAX_INPUT_HZ = 40_000_000
_PILE_UP_RATIO = 0.05


class EmulatedTh260Lib(EmulatedBoard):
    """TH260Lib with one board, whose detector, sync and marker inputs hang on the bench.

    A measurement holds the clock of the bench until a host that drains the FiFo in a thread of its own
    has read it empty, so that a fast simulation does not overrun the FiFo where a real rig would not.
    """

    def __init__(
        self,
        bench: Bench,
        *,
        model: str = "TimeHarp 260 P",
        serial: str = "1000001",
        n_inputs: int = 2,
        features: Feature = _ALL_FEATURES,
        fifo_words: int = 2_097_152,
        t2_sync_records: SyncRecords = "all",
    ) -> None:
        super().__init__(bench, model=model, serial=serial, n_inputs=n_inputs, features=features)
        self._fifo_words = fifo_words
        self._t2_sync_records: SyncRecords = t2_sync_records
        self._fed_tick = 0
        self._markers = NO_EVENTS
        self._marker_blind_until = [_LONG_AGO] * 4
        self._start_tick = 0
        self._reset()
        bench.on_markers(self._take_markers)
        bench.on_photons(self._take_photons)

    # ---- measurement ----

    @exported("TH260_ClearHistMem")
    def clear_hist_mem(self, index: int) -> None:
        """Empty the histograms."""
        self._require_mode(index, HISTOGRAM)
        self._require_not_running()
        self._histograms[:] = 0

    @exported("TH260_StartMeas")
    def start_meas(self, index: int, duration_ms: int) -> None:
        """Start a measurement of so many milliseconds."""
        self._require_idle(index, 1 <= duration_ms <= 360_000_000)
        require("th260_start_fails" not in self._bench.faults, CODE["STATUS_FAIL"])
        state, period_ticks = self._state, self._bench.light.period_ticks
        self._start_tick = now = self._bench.clock.now_ps // TICK_PS
        settings = RecordingSettings(
            tttr_mode=self._mode or HISTOGRAM,
            start_tick=-(-now // period_ticks) * period_ticks,
            end_tick=now + duration_ms * _TICKS_PER_MS,
            period_ticks=period_ticks,
            sync_divider=state.sync_divider,
            unit_ticks=self._unit_ticks,
            binning=state.binning,
            offset_ticks=state.offset_ns * _TICKS_PER_NS,
            shift_ticks=tuple(round((i.offset_ps - state.sync.offset_ps) / TICK_PS) for i in state.inputs),
            enabled=tuple(i.sees_pulses for i in state.inputs),
            native_dead_ticks=self._native_dead_ticks,
            programmed_dead_ticks=tuple(
                _DEAD_TIMES_NS[i.dead_time_code] * _TICKS_PER_NS for i in state.inputs
            ),
            sync_records=self._t2_sync_records,
        )
        self._markers, self._marker_blind_until = NO_EVENTS, [_LONG_AGO] * 4
        self._recording = Recording(settings, Fifo(self._fifo_words), self._histograms)
        self._running = True

    @exported("TH260_StopMeas")
    def stop_meas(self, index: int) -> None:
        """End the measurement."""
        self._require_initialised(index)
        self._stop()

    @exported("TH260_CTCStatus")
    def ctc_status(self, index: int, status: Any) -> None:
        """0 while the measurement's time runs."""
        self._require_initialised(index)
        status[0] = 0 if self._running and self._recording and not self._recording.fifo.finished else 1

    @exported("TH260_GetElapsedMeasTime")
    def get_elapsed_meas_time(self, index: int, elapsed_ms: Any) -> None:
        """Time of the measurement so far in milliseconds."""
        self._require_initialised(index)
        end = min(self._fed_tick, self._recording.settings.end_tick) if self._recording else self._start_tick
        elapsed_ms[0] = max(0, end - self._start_tick) / _TICKS_PER_MS

    @exported("TH260_GetFlags")
    def get_flags(self, index: int, flags: Any) -> None:
        """Flags of the measurement."""
        self._require_initialised(index)
        flags[0] = int(self._recording.fifo.flags) if self._recording else 0

    @exported("TH260_ReadFiFo")
    def read_fifo(self, index: int, words: Any, count: int, actual: Any) -> None:
        """Fetch at most `count` records; waits a few milliseconds when there are none."""
        self._require_mode(index, T2, T3)
        require(th260lib.READ_MIN_WORDS <= count <= th260lib.READ_MAX_WORDS, CODE["INVALID_ARGUMENT"])
        if self._recording is None:
            actual[0] = 0
            return
        actual[0] = self._recording.fifo.read(words, count)
        require(actual[0] > 0 or not self._recording.fifo.broken, CODE["DMA_FAIL"])

    @exported("TH260_GetHistogram")
    def get_histogram(self, index: int, counts: Any, channel: int, clear: int) -> None:
        """Copy one histogram, and empty it when `clear` is 1."""
        self._require_mode(index, HISTOGRAM)
        require(0 <= channel < self._n_inputs and clear in (0, 1), CODE["INVALID_ARGUMENT"])
        histogram = self._histograms[channel, : self._state.histogram_bins]
        ctypes.memmove(counts, histogram.ctypes.data, histogram.nbytes)
        if clear:
            histogram[:] = 0

    # ---- meters ----

    @exported("TH260_GetResolution")
    def get_resolution(self, index: int, resolution_ps: Any) -> None:
        """Resolution in picoseconds at the present binning."""
        self._require_initialised(index)
        resolution_ps[0] = self._resolution_ps

    @exported("TH260_GetSyncRate")
    def get_sync_rate(self, index: int, rate_hz: Any) -> None:
        """Sync rate in hertz, 0 until the meter's first gate has passed."""
        self._require_initialised(index)
        period_ticks = self._sync_period_ticks
        self._read_sync_hz = round(TICKS_PER_S / period_ticks) if period_ticks and self._meters.valid else 0
        rate_hz[0] = self._read_sync_hz

    @exported("TH260_GetSyncPeriod")
    def get_sync_period(self, index: int, period_s: Any) -> None:
        """Sync period in seconds."""
        self._require_initialised(index)
        period_s[0] = self._sync_period_ticks / TICKS_PER_S

    @exported("TH260_GetCountRate")
    def get_count_rate(self, index: int, channel: int, rate_hz: Any) -> None:
        """Rate of a detector input in hertz."""
        self._require_initialised(index)
        sees_pulses = self._input(channel).sees_pulses
        self._read_rates_hz[channel] = int(self._meters.rates_hz[channel]) if sees_pulses else 0
        rate_hz[0] = self._read_rates_hz[channel]

    @exported("TH260_GetWarnings")
    def get_warnings(self, index: int, warnings: Any) -> None:
        """Warnings that follow from the settings and the rates read last."""
        self._require_initialised(index)
        warnings[0] = int(self._warnings())

    @exported("TH260_GetWarningsText")
    def get_warnings_text(self, index: int, text: Any, warnings: int) -> None:
        """The names of the warnings."""
        self._require_initialised(index)
        put_text(text, "\n".join(str(bit.name) for bit in Warn if bit in Warn(warnings)))

    # ---- the bench's side ----

    def _take_markers(self, ticks: Ticks, numbers: NDArray[np.uint8]) -> None:
        bits = np.array([self._marker_bits(*edge) for edge in zip(ticks, numbers, strict=True)], np.uint8)
        self._markers = (
            np.append(self._markers[0], ticks[bits > 0]),
            np.append(self._markers[1], bits[bits > 0]),
        )

    def _marker_bits(self, tick: int, number: int) -> int:
        """Which marker lines an edge on the wire to input `number` fires.

        The comparator's one line goes to both of its inputs, and each fires on the edge that it is set to.
        Other wires carry short pulses, which have both edges.
        """
        state, comparator = self._state, self._bench.comparator
        fires = {int(number)}
        if comparator is not None and comparator.falling_marker != comparator.rising_marker:
            wired = comparator.falling_marker, comparator.rising_marker
            if number in wired:
                rose = int(number == comparator.rising_marker)
                fires = {line for line in wired if state.markers_rising[line - 1] == rose}
        bits = 0
        for line in fires:
            if state.markers_enabled[line - 1] and tick >= self._marker_blind_until[line - 1]:
                self._marker_blind_until[line - 1] = tick + state.marker_holdoff_ns * _TICKS_PER_NS
                bits |= 1 << (line - 1)
        return bits

    def _take_photons(self, until_tick: int, ticks: Ticks, inputs: NDArray[np.uint8]) -> None:
        if "th260_no_photons" in self._bench.faults:
            ticks, inputs = NO_EVENTS
        if "th260_record_storm" in self._bench.faults and self._running:
            ticks, inputs = self._with_storm(until_tick, ticks, inputs)
        self._meters.count(until_tick, ticks, inputs)
        recording, markers = self._recording, self._markers
        self._markers = NO_EVENTS
        if recording is not None and self._running:
            if "th260_events_dropped" in self._bench.faults:
                kept = (ticks < recording.settings.start_tick + _FAULT_AFTER_TICKS) | (ticks % 10 != 0)
                ticks, inputs = ticks[kept], inputs[kept]
                if until_tick - self._start_tick >= _FAULT_AFTER_TICKS:
                    recording.fifo.raise_flag(Flag.EVENTS_DROPPED)
            recording.feed(until_tick, (ticks, inputs), markers, error=self._error(recording))
            recording.fifo.wait_for_reader()
        self._fed_tick = until_tick

    def _with_storm(
        self, until_tick: int, ticks: Ticks, inputs: NDArray[np.uint8]
    ) -> tuple[Ticks, NDArray[np.uint8]]:
        """The pulses among those of a detector that stray light of the laser falls on."""
        if not self._bench.light.emitting:
            return ticks, inputs
        since = max(self._fed_tick, self._start_tick + _FAULT_AFTER_TICKS)
        first = -(-since // _STORM_TICKS) * _STORM_TICKS
        storm = np.arange(first, until_tick, _STORM_TICKS, dtype=np.int64)
        ticks = np.append(ticks, storm)
        order = np.argsort(ticks, kind="stable")
        return ticks[order], np.append(inputs, np.zeros(len(storm), np.uint8))[order]

    def _error(self, recording: Recording) -> tuple[int, Flag | None] | None:
        """When the measurement goes wrong, and with which flag; without one where the transfer fails."""
        start_tick = recording.settings.start_tick
        for name, flag in _ENDING_FAULTS.items():
            if name in self._bench.faults:
                return start_tick + _FAULT_AFTER_TICKS, flag
        if self._sync_period_ticks != recording.settings.period_ticks:
            return self._fed_tick, Flag.SYNC_LOST
        return None

    # ---- inside ----

    def _reset(self) -> None:
        self._recording: Recording | None = None
        self._histograms = np.zeros((self._n_inputs, th260lib.HISTOGRAM_BINS), np.uint32)
        self._meters = RateMeters(self._n_inputs, self._bench.clock.now_ps // TICK_PS)
        self._read_sync_hz: int | None = None
        self._read_rates_hz: dict[int, int] = {}

    def _stop(self) -> None:
        self._running = False
        if self._recording is not None:
            self._recording.fifo.stop()

    @property
    def _sync_period_ticks(self) -> int:
        """Period of the pulses at the sync input; 0 when it sees none."""
        broken_off = (
            "th260_sync_lost" in self._bench.faults
            and self._running
            and self._fed_tick - self._start_tick >= _FAULT_AFTER_TICKS
        )
        runs = self._bench.sync_running and self._state.sync.sees_pulses and not broken_off
        return self._bench.light.period_ticks if runs else 0

    @property
    def _resolution_ps(self) -> float:
        return float(self._unit_ticks * TICK_PS << self._state.binning)

    @property
    def _native_dead_ticks(self) -> int:
        """The converter's own dead time: 25 ns (P), 2.5 ns (P, long range), 2 ns (N)."""
        if self._is_p:
            return 100 if self._state.long_range else 25 * _TICKS_PER_NS
        return 2 * _TICKS_PER_NS

    def _warnings(self) -> Warn:
        sync_hz, rates_hz, state = self._read_sync_hz, self._read_rates_hz.values(), self._state
        if sync_hz is None:
            return Warn(0)
        span_ps = self._resolution_ps * state.histogram_bins
        period_ps = 1e12 / sync_hz if sync_hz else 0.0
        conditions = {
            Warn.SYNC_RATE_ZERO: sync_hz == 0,
            Warn.SYNC_RATE_VERY_LOW: 0 < sync_hz < _VERY_LOW_SYNC_HZ,
            Warn.SYNC_RATE_TOO_HIGH: sync_hz > _MAX_SYNC_HZ,
            Warn.DIVIDER_TOO_SMALL: sync_hz / state.sync_divider > _MAX_DIVIDED_SYNC_HZ,
            Warn.INPUT_RATE_ZERO: any(rate == 0 for rate in rates_hz),
            Warn.INPUT_RATE_TOO_HIGH: any(rate > _MAX_INPUT_HZ for rate in rates_hz),
            Warn.INPUT_RATE_RATIO: sync_hz > 0 and any(rate > _PILE_UP_RATIO * sync_hz for rate in rates_hz),
            Warn.DIVIDER_GREATER_ONE: state.sync_divider > 1 and self._mode != T3,
            Warn.TIME_SPAN_TOO_SMALL: self._mode != T2 and span_ps < period_ps,
            Warn.OFFSET_UNNECESSARY: self._mode != T2 and state.offset_ns > 0 and span_ps >= period_ps,
        }
        return Warn(sum(int(warning) for warning, holds in conditions.items() if holds))
