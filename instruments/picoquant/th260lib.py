"""TH260Lib: C prototypes, constants and error names of the TimeHarp 260's library, and its loader.

Facts from the headers of the public repository PicoQuant/TH260-Demos (library version 3.2); the
prototypes are the same from version 1.1 on.
"""

from __future__ import annotations

import sys
from enum import IntFlag
from pathlib import Path

from .vendor_library import DOUBLE_P, INT, INT_P, TEXT_P, UINT, UINT_P, CLibrary
from .vendor_library import load as _load

MAX_DEVICES = 4
READ_MIN_WORDS, READ_MAX_WORDS = 128, 131_072
LIBRARY_VERSION_CHARS = 8
SERIAL_CHARS = 8
MODEL_CHARS, PART_CHARS, VERSION_CHARS = 16, 8, 16
LONG_TEXT_CHARS = 16_384
MAX_BIN_STEPS = 22
HISTOGRAM_LENGTH_CODE = 5
HISTOGRAM_BINS = 32_768

_DEV = INT
PROTOTYPES = {
    "TH260_GetLibraryVersion": [TEXT_P],
    "TH260_GetErrorString": [TEXT_P, INT],
    "TH260_OpenDevice": [_DEV, TEXT_P],
    "TH260_CloseDevice": [_DEV],
    "TH260_Initialize": [_DEV, INT],
    "TH260_GetHardwareInfo": [_DEV, TEXT_P, TEXT_P, TEXT_P],
    "TH260_GetSerialNumber": [_DEV, TEXT_P],
    "TH260_GetFeatures": [_DEV, INT_P],
    "TH260_GetBaseResolution": [_DEV, DOUBLE_P, INT_P],
    "TH260_GetNumOfInputChannels": [_DEV, INT_P],
    "TH260_SetSyncDiv": [_DEV, INT],
    "TH260_SetSyncCFD": [_DEV, INT, INT],
    "TH260_SetSyncEdgeTrg": [_DEV, INT, INT],
    "TH260_SetSyncChannelOffset": [_DEV, INT],
    "TH260_SetInputCFD": [_DEV, INT, INT, INT],
    "TH260_SetInputEdgeTrg": [_DEV, INT, INT, INT],
    "TH260_SetInputChannelOffset": [_DEV, INT, INT],
    "TH260_SetInputChannelEnable": [_DEV, INT, INT],
    "TH260_SetInputDeadTime": [_DEV, INT, INT],
    "TH260_SetTimingMode": [_DEV, INT],
    "TH260_SetStopOverflow": [_DEV, INT, UINT],
    "TH260_SetBinning": [_DEV, INT],
    "TH260_SetOffset": [_DEV, INT],
    "TH260_SetHistoLen": [_DEV, INT, INT_P],
    "TH260_SetMeasControl": [_DEV, INT, INT, INT],
    "TH260_SetTriggerOutput": [_DEV, INT],
    "TH260_ClearHistMem": [_DEV],
    "TH260_StartMeas": [_DEV, INT],
    "TH260_StopMeas": [_DEV],
    "TH260_CTCStatus": [_DEV, INT_P],
    "TH260_GetHistogram": [_DEV, UINT_P, INT, INT],
    "TH260_GetResolution": [_DEV, DOUBLE_P],
    "TH260_GetSyncRate": [_DEV, INT_P],
    "TH260_GetCountRate": [_DEV, INT, INT_P],
    "TH260_GetFlags": [_DEV, INT_P],
    "TH260_GetElapsedMeasTime": [_DEV, DOUBLE_P],
    "TH260_GetSyncPeriod": [_DEV, DOUBLE_P],
    "TH260_GetWarnings": [_DEV, INT_P],
    "TH260_GetWarningsText": [_DEV, TEXT_P, INT],
    "TH260_GetHardwareDebugInfo": [_DEV, TEXT_P],
    "TH260_SetMarkerEdges": [_DEV, INT, INT, INT, INT],
    "TH260_SetMarkerEnable": [_DEV, INT, INT, INT, INT],
    "TH260_SetMarkerHoldoffTime": [_DEV, INT],
    "TH260_ReadFiFo": [_DEV, UINT_P, INT, INT_P],
}
"""Argument types of every function; all return int: 0, or a negative error code."""


class Feature(IntFlag):
    """What a board can do or was licensed for (GetFeatures)."""

    DLL = 0x01
    TTTR = 0x02
    MARKERS = 0x04
    LONG_RANGE = 0x08
    TRIGGER_OUTPUT = 0x10
    PROGRAMMABLE_DEAD_TIME = 0x20


class Flag(IntFlag):
    """State of a measurement (GetFlags)."""

    HISTOGRAM_OVERFLOW = 0x01
    FIFO_FULL = 0x02
    SYNC_LOST = 0x04
    EVENTS_DROPPED = 0x08
    SYSTEM_ERROR = 0x10
    SOFT_ERROR = 0x20


class Warn(IntFlag):
    """What the board warns of (GetWarnings, after all rates were read)."""

    SYNC_RATE_ZERO = 0x0001
    SYNC_RATE_VERY_LOW = 0x0002
    SYNC_RATE_TOO_HIGH = 0x0004
    INPUT_RATE_ZERO = 0x0010
    INPUT_RATE_TOO_HIGH = 0x0040
    INPUT_RATE_RATIO = 0x0100
    DIVIDER_GREATER_ONE = 0x0200
    TIME_SPAN_TOO_SMALL = 0x0400
    OFFSET_UNNECESSARY = 0x0800
    DIVIDER_TOO_SMALL = 0x1000
    COUNTS_DROPPED = 0x2000


WARNINGS = {
    Warn.SYNC_RATE_ZERO: "No pulses at the sync input: check the laser, the cable and the sync level.",
    Warn.SYNC_RATE_VERY_LOW: "The sync rate is very low: check the sync level and the cable.",
    Warn.SYNC_RATE_TOO_HIGH: "The sync rate is too high: use a larger sync divider.",
    Warn.INPUT_RATE_ZERO: "A detector input sees no pulses: check shutter, detector and input level.",
    Warn.INPUT_RATE_TOO_HIGH: "A detector input sees too many pulses: attenuate the light before it suffers.",
    Warn.INPUT_RATE_RATIO: "Too many photons per laser pulse: decays will show pile-up; attenuate the light.",
    Warn.DIVIDER_GREATER_ONE: "The sync divider is greater than 1: syncs are missing in T2 and correlations.",
    Warn.TIME_SPAN_TOO_SMALL: "The histogram is shorter than the sync period: use a larger binning.",
    Warn.OFFSET_UNNECESSARY: "The offset is not needed, the span covers the whole sync period: set it to 0.",
    Warn.DIVIDER_TOO_SMALL: "The sync divider is too small for this sync rate: use a larger one.",
    Warn.COUNTS_DROPPED: "The board dropped counts: the rates are too high.",
}
"""Each warning in a sentence that says what to do."""

_ERROR_NAMES = {
    -1: "DEVICE_OPEN_FAIL DEVICE_BUSY DEVICE_HEVENT_FAIL DEVICE_CALLBSET_FAIL DEVICE_BARMAP_FAIL "
    "DEVICE_CLOSE_FAIL DEVICE_RESET_FAIL DEVICE_GETVERSION_FAIL DEVICE_VERSION_MISMATCH DEVICE_NOT_OPEN "
    "DEVICE_LOCKED DEVICE_DRIVERVER_MISMATCH",
    -16: "INSTANCE_RUNNING INVALID_ARGUMENT INVALID_MODE INVALID_OPTION INVALID_MEMORY INVALID_RDATA "
    "NOT_INITIALIZED NOT_CALIBRATED DMA_FAIL XTDEVICE_FAIL FPGACONF_FAIL IFCONF_FAIL FIFORESET_FAIL "
    "THREADSTATE_FAIL THREADLOCK_FAIL",
    -32: "USB_GETDRIVERVER_FAIL USB_DRIVERVER_MISMATCH USB_GETIFINFO_FAIL USB_HISPEED_FAIL USB_VCMD_FAIL "
    "USB_BULKRD_FAIL",
    -40: "LANEUP_TIMEOUT DONEALL_TIMEOUT MB_ACK_TIMEOUT MACTIVE_TIMEOUT MEMCLEAR_FAIL MEMTEST_FAIL "
    "CALIB_FAIL REFSEL_FAIL STATUS_FAIL MODNUM_FAIL DIGMUX_FAIL MODMUX_FAIL MODFWPCB_MISMATCH "
    "MODFWVER_MISMATCH MODPROPERTY_MISMATCH INVALID_MAGIC INVALID_LENGTH",
    -64: " ".join(f"EEPROM_F{n:02d}" for n in range(1, 12)),
    -80: "UNSUPPORTED_FUNCTION",
}
ERRORS = {
    first - step: name for first, names in _ERROR_NAMES.items() for step, name in enumerate(names.split())
}
"""Name of each error code, without the prefix TH260_ERROR_."""

_HELD_ELSEWHERE = "another program may hold the board: close it"
HINTS = {
    "DEVICE_OPEN_FAIL": "no board has this index: check that it is seated and its driver is installed",
    "DEVICE_BUSY": _HELD_ELSEWHERE,
    "DEVICE_LOCKED": _HELD_ELSEWHERE,
    "INSTANCE_RUNNING": f"{_HELD_ELSEWHERE}, or a measurement is still running",
    "DEVICE_DRIVERVER_MISMATCH": "library and kernel driver are of different versions: install one release",
    "INVALID_OPTION": "the board is not licensed for this",
    "UNSUPPORTED_FUNCTION": "this board type does not have it",
    "STATUS_FAIL": "close the program and power the computer off and on",
}
"""What to do about the errors whose cause is outside the program."""


def error_text(function: str, code: int) -> str:
    """What a failed call says: function, error name and code, and what to do where that is known."""
    name = ERRORS.get(code, "unknown error")
    hint = f"; {HINTS[name]}" if name in HINTS else ""
    return f"TH260_{function} failed: {name} ({code}){hint}"


def load(path: Path | str | None = None) -> CLibrary:
    """Load the vendor's TH260Lib from `path`, or by the names that its releases use.

    Raises VendorSoftwareMissingError.
    """
    if path is not None:
        names = [str(path)]
    elif sys.platform == "win32":
        names = ["th260lib64.dll" if sys.maxsize > 2**32 else "th260lib.dll"]
    else:
        names = ["libth260.so", "th260lib.so", "/usr/local/lib64/th260/th260lib.so", "libth260lib.so"]
    return _load(names, PROTOTYPES, "the TimeHarp 260 library TH260Lib")
