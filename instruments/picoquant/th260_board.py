"""One open TimeHarp 260 board: found by its serial number, called with errors by name."""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass

from ..base import InstrumentError
from . import th260lib
from .th260lib import Feature
from .vendor_library import CLibrary

_STATUS_FAIL = -48
_NO_BOARD = -1


@dataclass(frozen=True)
class BoardInfo:
    """What a board is and what it can do."""

    model: str
    serial: str
    part_number: str
    version: str
    features: Feature
    base_resolution_ps: float
    max_binning: int
    n_inputs: int

    @property
    def has_cfd(self) -> bool:
        """Whether the inputs are constant-fraction discriminators (P) or edge triggers (N)."""
        return self.model.endswith("P")


class Board:
    """Calls the library's functions for one open board, one thread at a time."""

    def __init__(self, library: CLibrary, index: int) -> None:
        self.library, self.index = library, index
        self._calling = threading.RLock()

    def call(self, function: str, *arguments: object) -> None:
        """Call `TH260_<function>` for this board; raises InstrumentError with the error's name."""
        with self._calling:
            code = getattr(self.library, f"TH260_{function}")(self.index, *arguments)
            if code != 0:
                details = f"; {self.debug_info()}" if code == _STATUS_FAIL else ""
                raise InstrumentError(th260lib.error_text(function, code) + details)

    def get_int(self, function: str, *arguments: int) -> int:
        """Call a function whose last argument takes an int, and return that."""
        value = ctypes.c_int()
        self.call(function, *arguments, ctypes.byref(value))
        return value.value

    def get_double(self, function: str) -> float:
        """Call a function whose argument takes a double, and return that."""
        value = ctypes.c_double()
        self.call(function, ctypes.byref(value))
        return value.value

    def get_texts(self, function: str, *lengths: int) -> tuple[str, ...]:
        """Call a function whose arguments take texts of at most these lengths, and return them."""
        buffers = [ctypes.create_string_buffer(length) for length in lengths]
        self.call(function, *buffers)
        return tuple(_text(buffer) for buffer in buffers)

    def debug_info(self) -> str:
        """What the board says of itself after a hardware error."""
        text = ctypes.create_string_buffer(th260lib.LONG_TEXT_CHARS)
        code = self.library.TH260_GetHardwareDebugInfo(self.index, text)
        return f"the board says: {_text(text)}" if code == 0 else "the board gives no details"

    def info(self) -> BoardInfo:
        """Ask the board, which must be initialised, what it is."""
        resolution, bin_steps = ctypes.c_double(), ctypes.c_int()
        self.call("GetBaseResolution", ctypes.byref(resolution), ctypes.byref(bin_steps))
        model, part_number, version = self.get_texts(
            "GetHardwareInfo", th260lib.MODEL_CHARS, th260lib.PART_CHARS, th260lib.VERSION_CHARS
        )
        return BoardInfo(
            model=model,
            serial=self.get_texts("GetSerialNumber", th260lib.SERIAL_CHARS)[0],
            part_number=part_number,
            version=version,
            features=Feature(self.get_int("GetFeatures")),
            base_resolution_ps=resolution.value,
            max_binning=bin_steps.value - 1,
            n_inputs=self.get_int("GetNumOfInputChannels"),
        )

    def close(self) -> None:
        """Give the board back; raises InstrumentError when the library refuses."""
        self.call("CloseDevice")


def library_version(library: CLibrary) -> str:
    """The library's version, such as "3.2"."""
    version = ctypes.create_string_buffer(th260lib.LIBRARY_VERSION_CHARS)
    code = library.TH260_GetLibraryVersion(version)
    if code != 0:
        raise InstrumentError(th260lib.error_text("GetLibraryVersion", code))
    return _text(version)


def open_board(library: CLibrary, serial: str = "") -> Board:
    """Open the board with this serial number, or the first one; the others are closed again.

    Raises InstrumentError that tells which boards were found and which refused.
    """
    found: dict[str, int] = {}
    refusals = []
    for index in range(th260lib.MAX_DEVICES):
        text = ctypes.create_string_buffer(th260lib.SERIAL_CHARS)
        code = library.TH260_OpenDevice(index, text)
        if code == 0:
            found[_text(text)] = index
        elif code != _NO_BOARD:
            refusals.append(f"; {th260lib.error_text('OpenDevice', code)}")
    chosen = found.get(serial) if serial else next(iter(found.values()), None)
    for index in found.values():
        if index != chosen:
            library.TH260_CloseDevice(index)
    if chosen is None:
        wanted = f" with serial number {serial}" if serial else ""
        others = f"; found {', '.join(found)}" if found else ""
        hint = "" if found or refusals else ": check that it is seated and its driver is installed"
        reasons = "".join(dict.fromkeys(refusals))
        raise InstrumentError(f"no board{wanted} could be opened{others}{reasons}{hint}")
    return Board(library, chosen)


def _text(buffer: ctypes.Array[ctypes.c_char]) -> str:
    return buffer.value.decode("ascii", "replace").strip()
