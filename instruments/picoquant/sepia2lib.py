"""Sepia2_Lib: C prototypes, codes and loader of the library of the PDL 828 "Sepia II".

Facts from the public repository PicoQuant/PQLaserDrv (library 1.2.xx): header, definitions, demos.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

from .vendor_library import INT, INT_P, TEXT_P, UCHAR, UCHAR_P, USHORT, USHORT_P, CLibrary
from .vendor_library import load as _load

MAX_DEVICES = 8
TEXT_CHARS = 257
"""Enough for every text of the library (the longest, the USB descriptor, has 256 characters)."""

_DEV, _SLOT = INT, INT
PROTOTYPES = {
    "SEPIA2_LIB_GetVersion": [TEXT_P],
    "SEPIA2_LIB_DecodeError": [INT, TEXT_P],
    "SEPIA2_USB_OpenDevice": [_DEV, TEXT_P, TEXT_P],
    "SEPIA2_USB_OpenGetSerNumAndClose": [_DEV, TEXT_P, TEXT_P],
    "SEPIA2_USB_CloseDevice": [_DEV],
    "SEPIA2_FWR_GetVersion": [_DEV, TEXT_P],
    "SEPIA2_FWR_GetLastError": [_DEV, INT_P, INT_P, INT_P, INT_P, TEXT_P],
    "SEPIA2_FWR_GetModuleMap": [_DEV, INT, INT_P],
    "SEPIA2_FWR_GetModuleInfoByMapIdx": [_DEV, INT, INT_P, UCHAR_P, UCHAR_P, UCHAR_P],
    "SEPIA2_FWR_GetWorkingMode": [_DEV, INT_P],
    "SEPIA2_FWR_SetWorkingMode": [_DEV, INT],
    "SEPIA2_FWR_FreeModuleMap": [_DEV],
    "SEPIA2_COM_GetModuleType": [_DEV, _SLOT, INT, INT_P],
    "SEPIA2_COM_HasSecondaryModule": [_DEV, _SLOT, INT_P],
    "SEPIA2_SCM_GetLaserLocked": [_DEV, _SLOT, UCHAR_P],
    "SEPIA2_SCM_GetLaserSoftLock": [_DEV, _SLOT, UCHAR_P],
    "SEPIA2_SCM_SetLaserSoftLock": [_DEV, _SLOT, UCHAR],
    "SEPIA2_SLM_GetPulseParameters": [_DEV, _SLOT, INT_P, UCHAR_P, INT_P],
    "SEPIA2_SLM_SetPulseParameters": [_DEV, _SLOT, INT, UCHAR],
    "SEPIA2_SLM_GetIntensityFineStep": [_DEV, _SLOT, USHORT_P],
    "SEPIA2_SLM_SetIntensityFineStep": [_DEV, _SLOT, USHORT],
    "SEPIA2_SLM_DecodeHeadType": [INT, TEXT_P],
}
"""Argument types of the functions in use; all return int: 0, or a negative error code."""

RATES_HZ = {80e6: 0, 40e6: 1, 20e6: 2, 10e6: 3, 5e6: 4, 2.5e6: 5}
"""Internal repetition rates of the SLM 828 and their codes; 6 and 7 are external triggers."""
PULSED = 1
VOLATILE = 1
MODULE_SCM, MODULE_SLM = 0x40, 0x70
FULL_INTENSITY = 1000
"""Per mille of the control voltage, which is not proportional to the optical power."""


def decode_error(library: CLibrary, function: str, code: int) -> str:
    """What a failed call says: function, the library's own text, and the code."""
    text = ctypes.create_string_buffer(TEXT_CHARS)
    if library.SEPIA2_LIB_DecodeError(code, text) != 0:
        return f"SEPIA2_{function} failed with the unknown code {code}"
    return f"SEPIA2_{function} failed: {text.value.decode('latin-1').strip()} ({code})"


def load(path: Path | str | None = None) -> CLibrary:
    """Load the vendor's Sepia2_Lib from `path`, or by its name.

    Raises VendorSoftwareMissingError.
    """
    names = [str(path)] if path is not None else ["Sepia2_Lib.dll"]
    return _load(names, PROTOTYPES, "the PDL 828 library Sepia2_Lib")
