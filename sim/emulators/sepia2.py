"""The emulated PDL 828: Sepia2_Lib's C functions over one frame whose laser lights the bench.

Also the emulated operator who sets a PDL 800-D by hand.
"""

from __future__ import annotations

import ctypes
import dataclasses
import re
from typing import Any

from ...instruments.picoquant import sepia2lib
from ..bench import TICK_PS, Bench
from ..clock import PS_PER_S
from .c_functions import EmulatedLibrary, exported, put_text, require

FAULTS = {
    "sepia_not_found": "No frame answers on the USB.",
    "sepia_busy": "Another program holds the frame.",
    "sepia_firmware_error": "The firmware came up with an error.",
    "sepia_no_head": "No laser head is plugged into the laser module.",
    "sepia_soft_lock_refused": "The frame refuses to set the soft lock.",
    "sepia_hard_locked": "The key is off: the soft lock can be released, but the laser stays dark.",
    "sepia_usb_gone": "The USB connection breaks when the laser is to be unlocked; it stays dark.",
    "sepia_wrong_rate": "The laser pulses at half of the rate that was set.",
}

FULL_SCALE_POWER_NW = 100.0
"""Average power at the dot at full intensity and 2.5 MHz; 30 nW, the paper's, is an intensity of 0.3."""

_ERRORS = {
    0: "no error",
    -1004: "FW: CRC of module data wrong",
    -6001: "SLM: illegal frequency / triggermode",
    -6002: "SLM: illegal intensity (> 100% or < 0%)",
    -9002: "LIB: illegal device index",
    -9003: "LIB: USB device open error",
    -9004: "LIB: USB device busy or blocked",
    -9005: "LIB: USB device already opened",
    -9006: "LIB: unknown USB handle",
    -9008: "LIB: illegal slot number",
    -9009: "LIB: referenced slot is not in use",
    -9010: "LIB: this is no SCM 828 module",
    -9012: "LIB: this is no SLM 828 module",
    -9020: "LIB: no map found",
    -9910: "LIB: illegal parameter on function call",
    -9999: "LIB: unknown error code",
}
_MODULE_FRML = 0xC8
_HEAD_LASER, _HEAD_NONE = 2, 3
_SCM_SLOT, _SLM_SLOT = 0, 200
# slot, primary, backplane; the backplane and the SCM share a slot
_MAP = ((_SCM_SLOT, 1, 1), (_SCM_SLOT, 1, 0), (_SLM_SLOT, 1, 0))
_HEAD_TYPES = ("failure", "LED", "laser", "none")
_PERIOD_TICKS = {code: round(PS_PER_S / rate_hz / TICK_PS) for rate_hz, code in sepia2lib.RATES_HZ.items()}


class EmulatedSepia2Lib(EmulatedLibrary):
    """Sepia2_Lib with one frame: backplane, SCM 828 and SLM 828 with a laser head."""

    def __init__(
        self,
        bench: Bench,
        *,
        serial: str = "2020-001",
        full_scale_power_nw: float = FULL_SCALE_POWER_NW,
    ) -> None:
        super().__init__(sepia2lib.PROTOTYPES)
        self._bench, self._serial, self._full_scale_power_nw = bench, serial, full_scale_power_nw
        self._opened = self._mapped = self._gone = False
        self._working_mode = 0
        self._soft_locked = True
        self._rate_code, self._pulsed, self._intensity = sepia2lib.RATES_HZ[2.5e6], 1, 0
        self._light_the_bench()

    # ---- library and USB ----

    @exported("SEPIA2_LIB_GetVersion")
    def get_library_version(self, version: Any) -> None:
        """Version of the library."""
        put_text(version, "1.2.64.714")

    @exported("SEPIA2_LIB_DecodeError")
    def decode_error(self, code: int, text: Any) -> None:
        """The text of an error code."""
        require(code in _ERRORS, -9999)
        put_text(text, _ERRORS[code])

    @exported("SEPIA2_USB_OpenGetSerNumAndClose")
    def open_get_ser_num_and_close(self, device: int, model: Any, serial: Any) -> None:
        """Model and serial number, given also when the frame is held elsewhere."""
        self._require_present(device)
        put_text(model, "Sepia II")
        put_text(serial, self._serial)
        require("sepia_busy" not in self._bench.faults, -9004)
        require(not self._opened, -9005)

    @exported("SEPIA2_USB_OpenDevice")
    def open_device(self, device: int, model: Any, serial: Any) -> None:
        """Open the frame; texts that are not empty must fit."""
        self._require_present(device)
        require("sepia_busy" not in self._bench.faults, -9004)
        require(not self._opened, -9005)
        require(_text(model) in ("", "Sepia II") and _text(serial) in ("", self._serial), -9003)
        put_text(model, "Sepia II")
        put_text(serial, self._serial)
        self._opened = True

    @exported("SEPIA2_USB_CloseDevice")
    def close_device(self, device: int) -> None:
        """Close the frame; the laser stays as it is."""
        self._require_open(device)
        self._opened = self._mapped = False

    # ---- firmware and modules ----

    @exported("SEPIA2_FWR_GetVersion")
    def get_firmware_version(self, device: int, version: Any) -> None:
        """Version of the firmware."""
        self._require_open(device)
        put_text(version, "2.01.624")

    @exported("SEPIA2_FWR_GetModuleMap")
    def get_module_map(self, device: int, restart: int, count: Any) -> None:
        """Make the map of the modules; must precede every call to a module."""
        self._require_open(device)
        require(restart in (0, 1), -9910)
        self._mapped, count[0] = True, len(_MAP)

    @exported("SEPIA2_FWR_GetModuleInfoByMapIdx")
    def get_module_info(
        self, device: int, index: int, slot: Any, primary: Any, backplane: Any, uptime: Any
    ) -> None:
        """Slot and flags of a module."""
        self._require_map(device)
        require(0 <= index < len(_MAP), -9910)
        slot[0], primary[0], backplane[0] = _MAP[index]
        uptime[0] = 0

    @exported("SEPIA2_FWR_GetLastError")
    def get_last_error(
        self, device: int, code: Any, phase: Any, location: Any, slot: Any, condition: Any
    ) -> None:
        """The error the firmware came up with."""
        self._require_open(device)
        failed = "sepia_firmware_error" in self._bench.faults
        code[0], phase[0], location[0], slot[0] = (-1004, 3, 0, _SLM_SLOT) if failed else (0, 0, 0, 0)
        put_text(condition, "emulated boot error" if failed else "")

    @exported("SEPIA2_FWR_GetWorkingMode")
    def get_working_mode(self, device: int, mode: Any) -> None:
        """0 permanent, 1 volatile."""
        self._require_map(device)
        mode[0] = self._working_mode

    @exported("SEPIA2_FWR_SetWorkingMode")
    def set_working_mode(self, device: int, mode: int) -> None:
        """0 permanent, 1 volatile."""
        self._require_map(device)
        require(mode in (0, 1), -9910)
        self._working_mode = mode

    @exported("SEPIA2_FWR_FreeModuleMap")
    def free_module_map(self, device: int) -> None:
        """Forget the map."""
        self._require_map(device)
        self._mapped = False

    @exported("SEPIA2_COM_GetModuleType")
    def get_module_type(self, device: int, slot: int, primary: int, module_type: Any) -> None:
        """Type of the module in a slot; the SCM 828 in slot 000, which it shares with the backplane."""
        self._require_map(device)
        types = {_SCM_SLOT: sepia2lib.MODULE_SCM, _SLM_SLOT: sepia2lib.MODULE_SLM}
        require(slot in types, -9009)
        require(primary == 1, -9910)
        module_type[0] = types[slot]

    @exported("SEPIA2_COM_HasSecondaryModule")
    def has_secondary_module(self, device: int, slot: int, has: Any) -> None:
        """Whether a laser head is plugged in."""
        self._require_map(device)
        require(slot in (_SCM_SLOT, _SLM_SLOT), -9009)
        has[0] = int(slot == _SLM_SLOT and "sepia_no_head" not in self._bench.faults)

    # ---- lock ----

    @exported("SEPIA2_SCM_GetLaserLocked")
    def get_laser_locked(self, device: int, slot: int, locked: Any) -> None:
        """True state of the laser's power line."""
        self._require_slot(device, slot, _SCM_SLOT, -9010)
        locked[0] = int(self._locked)

    @exported("SEPIA2_SCM_GetLaserSoftLock")
    def get_laser_soft_lock(self, device: int, slot: int, soft_locked: Any) -> None:
        """The soft lock's register."""
        self._require_slot(device, slot, _SCM_SLOT, -9010)
        soft_locked[0] = int(self._soft_locked)

    @exported("SEPIA2_SCM_SetLaserSoftLock")
    def set_laser_soft_lock(self, device: int, slot: int, soft_locked: int) -> None:
        """Set or release the soft lock."""
        self._require_slot(device, slot, _SCM_SLOT, -9010)
        require(soft_locked in (0, 1), -9910)
        if not soft_locked and "sepia_usb_gone" in self._bench.faults:
            self._gone = True
        self._require_open(device)
        require(not (soft_locked and "sepia_soft_lock_refused" in self._bench.faults), -9910)
        self._soft_locked = bool(soft_locked)
        self._light_the_bench()

    # ---- pulses ----

    @exported("SEPIA2_SLM_GetPulseParameters")
    def get_pulse_parameters(self, device: int, slot: int, code: Any, pulsed: Any, head: Any) -> None:
        """Rate code, pulse mode and type of the head."""
        self._require_slot(device, slot, _SLM_SLOT, -9012)
        code[0], pulsed[0] = self._rate_code, self._pulsed
        head[0] = _HEAD_NONE if "sepia_no_head" in self._bench.faults else _HEAD_LASER

    @exported("SEPIA2_SLM_SetPulseParameters")
    def set_pulse_parameters(self, device: int, slot: int, code: int, pulsed: int) -> None:
        """Rate code (6 and 7: external trigger) and pulse mode (0: this head is off)."""
        self._require_slot(device, slot, _SLM_SLOT, -9012)
        require(0 <= code <= 7, -6001)
        require(pulsed in (0, 1), -9910)
        self._rate_code, self._pulsed = code, pulsed
        self._light_the_bench()

    @exported("SEPIA2_SLM_GetIntensityFineStep")
    def get_intensity_fine_step(self, device: int, slot: int, step: Any) -> None:
        """Intensity in per mille."""
        self._require_slot(device, slot, _SLM_SLOT, -9012)
        step[0] = self._intensity

    @exported("SEPIA2_SLM_SetIntensityFineStep")
    def set_intensity_fine_step(self, device: int, slot: int, step: int) -> None:
        """Intensity in per mille."""
        self._require_slot(device, slot, _SLM_SLOT, -9012)
        require(0 <= step <= sepia2lib.FULL_INTENSITY, -6002)
        self._intensity = step
        self._light_the_bench()

    @exported("SEPIA2_SLM_DecodeHeadType")
    def decode_head_type(self, head: int, text: Any) -> None:
        """The name of a type of head."""
        require(0 <= head < len(_HEAD_TYPES), -6003)
        put_text(text, _HEAD_TYPES[head])

    # ---- inside ----

    @property
    def _locked(self) -> bool:
        return self._soft_locked or "sepia_hard_locked" in self._bench.faults

    def _light_the_bench(self) -> None:
        """Set the bench's light; the sync output runs whether the laser is locked or not."""
        period_ticks = _PERIOD_TICKS.get(self._rate_code)
        self._bench.sync_running = period_ticks is not None and bool(self._pulsed)
        if period_ticks is None:
            period_ticks = self._bench.light.period_ticks
        slower = 2 if "sepia_wrong_rate" in self._bench.faults else 1
        power_nw = self._full_scale_power_nw * self._intensity / sepia2lib.FULL_INTENSITY
        self._bench.set_light(
            dataclasses.replace(
                self._bench.light,
                emitting=self._bench.sync_running and not self._locked and self._intensity > 0,
                period_ticks=period_ticks * slower,
                power_nw=power_nw,
            )
        )

    def _require_present(self, device: int) -> None:
        require(0 <= device < sepia2lib.MAX_DEVICES, -9002)
        require(device == 0 and not self._gone and "sepia_not_found" not in self._bench.faults, -9003)

    def _require_open(self, device: int) -> None:
        require(0 <= device < sepia2lib.MAX_DEVICES, -9002)
        require(device == 0 and self._opened and not self._gone, -9006)

    def _require_map(self, device: int) -> None:
        self._require_open(device)
        require(self._mapped, -9020)

    def _require_slot(self, device: int, slot: int, wanted: int, otherwise: int) -> None:
        self._require_map(device)
        require(slot in (_SCM_SLOT, _SLM_SLOT), -9009)
        require(slot == wanted, otherwise)


class EmulatedOperator:
    """Does at the front panel of a PDL 800-D what it is asked for, and says yes."""

    def __init__(self, bench: Bench, *, full_scale_power_nw: float = FULL_SCALE_POWER_NW) -> None:
        self._bench, self._full_scale_power_nw = bench, full_scale_power_nw

    def __call__(self, question: str) -> str:
        """Answer one question of the driver."""
        light = self._bench.light
        if set_to := re.search(r"to ([\d.]+) MHz .* intensity to ([\d.]+) %", question):
            period_ticks = round(PS_PER_S / (float(set_to[1]) * 1e6) / TICK_PS)
            slower = 2 if "sepia_wrong_rate" in self._bench.faults else 1
            power_nw = self._full_scale_power_nw * float(set_to[2]) / 100
            light = dataclasses.replace(light, period_ticks=slower * period_ticks, power_nw=power_nw)
        elif switch := re.search(r"\b(ON|OFF)\b", question):
            light = dataclasses.replace(light, emitting=switch[1] == "ON")
        else:
            return "no"
        self._bench.set_light(light)
        return "yes"


def _text(pointer: Any) -> str:
    return ctypes.string_at(pointer).decode("latin-1")
