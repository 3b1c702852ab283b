"""The part of the emulated TH260Lib that needs no photons: opening, identifying, settings and refusals.

Order, ranges, modes and options are refused with the codes of the vendor's headers; which code answers
which mistake is reasoned from the codes' names, since the vendor does not publish it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...instruments.picoquant import th260lib
from ...instruments.picoquant.th260lib import Feature
from ..bench import TICK_PS, Bench
from .c_functions import EmulatedLibrary, exported, put_text, require

CODE = {name: code for code, name in th260lib.ERRORS.items()}
HISTOGRAM, T2, T3 = 0, 2, 3
_PULSE_HEIGHT_MV = -200


@dataclass
class InputState:
    """Settings of one timing input."""

    level_mv: int = -50
    offset_ps: int = 0
    enabled: bool = True
    dead_time_code: int = 0

    @property
    def sees_pulses(self) -> bool:
        """Pulses are negative, and a discriminator sees those that are higher than its level."""
        return self.enabled and _PULSE_HEIGHT_MV <= self.level_mv <= 0


@dataclass
class BoardState:
    """All that the Set functions change; Initialize brings it back to this."""

    inputs: list[InputState]
    sync: InputState = field(default_factory=InputState)
    sync_divider: int = 1
    long_range: bool = False
    binning: int = 0
    offset_ns: int = 0
    histogram_bins: int = th260lib.HISTOGRAM_BINS
    markers_enabled: tuple[int, ...] = (0, 0, 0, 0)
    markers_rising: tuple[int, ...] = (1, 1, 1, 1)
    marker_holdoff_ns: int = 0


class EmulatedBoard(EmulatedLibrary):
    """One board at device index 0 that can be opened, asked and set."""

    def __init__(self, bench: Bench, *, model: str, serial: str, n_inputs: int, features: Feature) -> None:
        super().__init__(th260lib.PROTOTYPES)
        self._bench, self._model, self._serial, self._n_inputs = bench, model, serial, n_inputs
        self._features = features
        self._is_p = model.endswith("P")
        self._opened = False
        self._mode: int | None = None
        self._running = False
        self._state = self._default_state()

    def _reset(self) -> None:
        """What Initialize does beyond the settings."""

    def _stop(self) -> None:
        """What CloseDevice does with a measurement."""

    # ---- any time ----

    @exported("TH260_GetLibraryVersion")
    def get_library_version(self, version: Any) -> None:
        """Version of the library."""
        put_text(version, "3.2")

    @exported("TH260_GetErrorString")
    def get_error_string(self, text: Any, code: int) -> None:
        """The name of an error code."""
        require(code == 0 or code in th260lib.ERRORS, CODE["INVALID_ARGUMENT"])
        put_text(text, f"TH260_ERROR_{th260lib.ERRORS.get(code, 'NONE')}"[:39])

    @exported("TH260_OpenDevice")
    def open_device(self, index: int, serial: Any) -> None:
        """Open the only board, index 0."""
        self._require_index(index)
        require("th260_busy" not in self._bench.faults, CODE["DEVICE_LOCKED"])
        require(index == 0 and "th260_open_fails" not in self._bench.faults, CODE["DEVICE_OPEN_FAIL"])
        require(not self._opened, CODE["DEVICE_BUSY"])
        self._opened = True
        put_text(serial, self._serial)

    @exported("TH260_CloseDevice")
    def close_device(self, index: int) -> None:
        """Close a board; allowed for boards that were never opened."""
        self._require_index(index)
        if index == 0:
            self._stop()
            self._opened, self._mode = False, None

    @exported("TH260_Initialize")
    def initialize(self, index: int, mode: int) -> None:
        """Set the mode; all settings go back to their defaults."""
        self._require_open(index)
        self._require_not_running()
        require(mode in (HISTOGRAM, T2, T3), CODE["INVALID_ARGUMENT"])
        require(Feature.DLL in self._features, CODE["INVALID_OPTION"])
        require(mode == HISTOGRAM or Feature.TTTR in self._features, CODE["INVALID_OPTION"])
        self._mode, self._state = mode, self._default_state()
        self._reset()

    # ---- what the board is ----

    @exported("TH260_GetHardwareInfo")
    def get_hardware_info(self, index: int, model: Any, part_number: Any, version: Any) -> None:
        """Model, part number and hardware version."""
        self._require_initialised(index)
        for pointer, text in ((model, self._model), (part_number, "930000"), (version, "emulated")):
            put_text(pointer, text)

    @exported("TH260_GetSerialNumber")
    def get_serial_number(self, index: int, serial: Any) -> None:
        """Serial number."""
        self._require_initialised(index)
        put_text(serial, self._serial)

    @exported("TH260_GetFeatures")
    def get_features(self, index: int, features: Any) -> None:
        """Options the board has."""
        self._require_initialised(index)
        features[0] = int(self._features)

    @exported("TH260_GetBaseResolution")
    def get_base_resolution(self, index: int, resolution: Any, bin_steps: Any) -> None:
        """Base resolution in picoseconds, and the number of binning codes."""
        self._require_initialised(index)
        resolution[0], bin_steps[0] = float(self._unit_ticks * TICK_PS), 22

    @exported("TH260_GetNumOfInputChannels")
    def get_num_of_input_channels(self, index: int, count: Any) -> None:
        """Number of detector inputs."""
        self._require_initialised(index)
        count[0] = self._n_inputs

    @exported("TH260_GetHardwareDebugInfo")
    def get_hardware_debug_info(self, index: int, text: Any) -> None:
        """What went wrong inside the board."""
        self._require_open(index)
        put_text(text, "emulated board: status word 0x0000DEAD")

    # ---- settings ----

    @exported("TH260_SetSyncDiv")
    def set_sync_div(self, index: int, divider: int) -> None:
        """Divide the sync rate by 1, 2, 4 or 8."""
        self._require_idle(index, divider in (1, 2, 4, 8))
        self._state.sync_divider = divider

    @exported("TH260_SetSyncCFD")
    def set_sync_cfd(self, index: int, level_mv: int, zero_cross_mv: int) -> None:
        """Discriminator of the sync input (P)."""
        self._set_discriminator(index, self._state.sync, level_mv, zero_cross_mv)

    @exported("TH260_SetInputCFD")
    def set_input_cfd(self, index: int, channel: int, level_mv: int, zero_cross_mv: int) -> None:
        """Discriminator of a detector input (P)."""
        self._set_discriminator(index, self._input(channel), level_mv, zero_cross_mv)

    @exported("TH260_SetSyncEdgeTrg")
    def set_sync_edge_trg(self, index: int, level_mv: int, edge: int) -> None:
        """Edge trigger of the sync input (N)."""
        self._set_edge_trigger(index, self._state.sync, level_mv, edge)

    @exported("TH260_SetInputEdgeTrg")
    def set_input_edge_trg(self, index: int, channel: int, level_mv: int, edge: int) -> None:
        """Edge trigger of a detector input (N)."""
        self._set_edge_trigger(index, self._input(channel), level_mv, edge)

    @exported("TH260_SetSyncChannelOffset")
    def set_sync_channel_offset(self, index: int, offset_ps: int) -> None:
        """Delay the sync input."""
        self._require_idle(index, abs(offset_ps) <= 99_999)
        self._state.sync.offset_ps = offset_ps

    @exported("TH260_SetInputChannelOffset")
    def set_input_channel_offset(self, index: int, channel: int, offset_ps: int) -> None:
        """Delay a detector input."""
        self._require_idle(index, abs(offset_ps) <= 99_999)
        self._input(channel).offset_ps = offset_ps

    @exported("TH260_SetInputChannelEnable")
    def set_input_channel_enable(self, index: int, channel: int, enable: int) -> None:
        """Switch a detector input on or off."""
        self._require_idle(index, enable in (0, 1))
        self._input(channel).enabled = bool(enable)

    @exported("TH260_SetInputDeadTime")
    def set_input_dead_time(self, index: int, channel: int, code: int) -> None:
        """Programmed dead time of a detector input (P with the option)."""
        self._require_idle(index, 0 <= code <= 7)
        require(self._is_p, CODE["UNSUPPORTED_FUNCTION"])
        require(Feature.PROGRAMMABLE_DEAD_TIME in self._features, CODE["INVALID_OPTION"])
        self._input(channel).dead_time_code = code

    @exported("TH260_SetTimingMode")
    def set_timing_mode(self, index: int, mode: int) -> None:
        """25 ps or 2.5 ns (P with the option)."""
        self._require_idle(index, mode in (0, 1))
        require(self._is_p, CODE["UNSUPPORTED_FUNCTION"])
        require(mode == 0 or Feature.LONG_RANGE in self._features, CODE["INVALID_OPTION"])
        self._state.long_range = bool(mode)

    @exported("TH260_SetStopOverflow")
    def set_stop_overflow(self, index: int, stop: int, count: int) -> None:
        """Stop a histogram when a bin is full; emulated measurements are too short for that."""
        self._require_idle(index, stop in (0, 1) and count >= 1)

    @exported("TH260_SetBinning")
    def set_binning(self, index: int, binning: int) -> None:
        """Resolution = base resolution x 2^binning."""
        self._require_idle(index, 0 <= binning < th260lib.MAX_BIN_STEPS)
        self._state.binning = binning

    @exported("TH260_SetOffset")
    def set_offset(self, index: int, offset_ns: int) -> None:
        """Start of histograms and micro times after the sync."""
        self._require_idle(index, 0 <= offset_ns <= 100_000_000)
        self._state.offset_ns = offset_ns

    @exported("TH260_SetHistoLen")
    def set_histo_len(self, index: int, code: int, length: Any) -> None:
        """Histogram length 1024 x 2^code."""
        self._require_idle(index, 0 <= code <= th260lib.HISTOGRAM_LENGTH_CODE)
        length[0] = self._state.histogram_bins = 1024 << code

    @exported("TH260_SetMeasControl")
    def set_meas_control(self, index: int, control: int, start_edge: int, stop_edge: int) -> None:
        """Start and stop by software; nothing is connected to the board's control inputs."""
        self._require_idle(index, control in range(4) and start_edge in (0, 1) and stop_edge in (0, 1))
        require(control == 0, CODE["INVALID_OPTION"])

    @exported("TH260_SetTriggerOutput")
    def set_trigger_output(self, index: int, period_100ns: int) -> None:
        """Trigger output; nothing is connected to it."""
        self._require_idle(index, 0 <= period_100ns <= 16_777_215)
        require(Feature.TRIGGER_OUTPUT in self._features, CODE["INVALID_OPTION"])

    @exported("TH260_SetMarkerEdges")
    def set_marker_edges(self, index: int, *rising: int) -> None:
        """Which edge of each marker line counts."""
        self._require_markers(index, all(r in (0, 1) for r in rising))
        self._state.markers_rising = rising

    @exported("TH260_SetMarkerEnable")
    def set_marker_enable(self, index: int, *enabled: int) -> None:
        """Which marker lines are recorded."""
        self._require_markers(index, all(e in (0, 1) for e in enabled))
        self._state.markers_enabled = enabled

    @exported("TH260_SetMarkerHoldoffTime")
    def set_marker_holdoff_time(self, index: int, holdoff_ns: int) -> None:
        """How long a marker line is blind after a marker."""
        self._require_markers(index, 0 <= holdoff_ns <= 25_500)
        self._state.marker_holdoff_ns = holdoff_ns

    # ---- refusals ----

    @property
    def _unit_ticks(self) -> int:
        """The base resolution in bench ticks."""
        if not self._is_p:
            return 10
        return 100 if self._state.long_range else 1

    def _default_state(self) -> BoardState:
        return BoardState([InputState() for _ in range(self._n_inputs)])

    def _set_discriminator(self, index: int, one: InputState, level_mv: int, zero_cross_mv: int) -> None:
        self._require_idle(index, -1200 <= level_mv <= 0 and -40 <= zero_cross_mv <= 0)
        require(self._is_p, CODE["UNSUPPORTED_FUNCTION"])
        one.level_mv = level_mv

    def _set_edge_trigger(self, index: int, one: InputState, level_mv: int, edge: int) -> None:
        self._require_idle(index, -1200 <= level_mv <= 1200 and edge in (0, 1))
        require(not self._is_p, CODE["UNSUPPORTED_FUNCTION"])
        one.level_mv = level_mv

    def _input(self, channel: int) -> InputState:
        require(0 <= channel < self._n_inputs, CODE["INVALID_ARGUMENT"])
        return self._state.inputs[channel]

    def _require_index(self, index: int) -> None:
        require(0 <= index < th260lib.MAX_DEVICES, CODE["INVALID_ARGUMENT"])

    def _require_open(self, index: int) -> None:
        self._require_index(index)
        require(index == 0 and self._opened, CODE["DEVICE_NOT_OPEN"])

    def _require_initialised(self, index: int) -> None:
        self._require_open(index)
        require(self._mode is not None, CODE["NOT_INITIALIZED"])

    def _require_mode(self, index: int, *modes: int) -> None:
        self._require_initialised(index)
        require(self._mode in modes, CODE["INVALID_MODE"])

    def _require_not_running(self) -> None:
        require(not self._running, CODE["INSTANCE_RUNNING"])

    def _require_idle(self, index: int, arguments_ok: bool) -> None:
        """For settings: initialised, no measurement, arguments in range."""
        self._require_initialised(index)
        self._require_not_running()
        require(arguments_ok, CODE["INVALID_ARGUMENT"])

    def _require_markers(self, index: int, arguments_ok: bool) -> None:
        self._require_mode(index, T2, T3)
        require(Feature.MARKERS in self._features, CODE["INVALID_OPTION"])
        self._require_idle(index, arguments_ok)
