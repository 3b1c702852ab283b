"""Loading a vendor's C library: found by name or path, every function bound to its prototype."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..base import VendorSoftwareMissingError

Prototypes = Mapping[str, Sequence[Any]]
"""Argument types of each C function; all return int."""

INT = ctypes.c_int
INT_P = ctypes.POINTER(ctypes.c_int)
UINT = ctypes.c_uint
UINT_P = ctypes.POINTER(ctypes.c_uint)
DOUBLE_P = ctypes.POINTER(ctypes.c_double)
TEXT_P = ctypes.POINTER(ctypes.c_char)  # not c_char_p: the library writes into it
UCHAR = ctypes.c_ubyte
UCHAR_P = ctypes.POINTER(ctypes.c_ubyte)
USHORT = ctypes.c_ushort
USHORT_P = ctypes.POINTER(ctypes.c_ushort)


class CLibrary(Protocol):
    """An object whose attributes are C functions: the vendor's library, or an emulated one."""

    def __getattr__(self, name: str) -> Callable[..., int]:
        """The C function of this name."""
        ...


def load(names: Sequence[str], prototypes: Prototypes, what: str) -> CLibrary:
    """Load the first library of `names` (file names or paths) and bind every function.

    Raises VendorSoftwareMissingError when none can be loaded or a function is missing in it.
    """
    loader = ctypes.WinDLL if sys.platform == "win32" else ctypes.CDLL
    failures = []
    for name in names:
        try:
            library = loader(name)
        except OSError as error:
            failures.append(str(error))
            continue
        bind(library, prototypes, f"{what} ({name})")
        return library
    raise VendorSoftwareMissingError(
        f"{what} cannot be loaded: {'; '.join(failures)}. Install the vendor's software, or give the "
        f"library's path as `library` in the station file"
    )


def bind(library: ctypes.CDLL, prototypes: Prototypes, what: str) -> None:
    """Give every function of `library` its argument and result types."""
    for name, argument_types in prototypes.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise VendorSoftwareMissingError(
                f"{what} has no function {name}: it is too old or another library; install a newer one"
            ) from None
        function.argtypes = list(argument_types)
        function.restype = ctypes.c_int
