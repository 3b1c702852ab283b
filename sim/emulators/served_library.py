"""An emulated C library in another process: the same C functions, carried over a loopback connection.

A call is a frame: its length (uint32), the function's name (uint8 length, ASCII), then its arguments: whole
numbers as int64, texts (`char*`) as uint32 length and bytes; other pointers are only written to and send
nothing. The answer is a frame of the returned int32 and, for each pointer, uint32 length and what it got.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...instruments.picoquant import sepia2lib, th260lib
from ...instruments.picoquant.vendor_library import TEXT_P, CLibrary

MOST_BYTES = 1 << 24
_TEXT_BYTES = th260lib.LONG_TEXT_CHARS
_ANSWER_S = 5.0


@dataclass(frozen=True)
class LibraryKind:
    """What must be known of a library to carry its calls."""

    prototypes: Mapping[str, Sequence[Any]]
    opens: str
    closes: str
    busy: int
    """What calls answer while another process has the device open."""
    gone: int
    """What calls answer when the other end of the connection has gone."""
    arrays: Mapping[str, tuple[int, int, int | None]]
    """Functions that fill an array: which argument, its longest length, which argument tells its length."""


SEPIA2 = LibraryKind(
    sepia2lib.PROTOTYPES, "SEPIA2_USB_OpenDevice", "SEPIA2_USB_CloseDevice", busy=-9004, gone=-9003, arrays={}
)
TH260 = LibraryKind(
    th260lib.PROTOTYPES,
    "TH260_OpenDevice",
    "TH260_CloseDevice",
    busy=-11,
    gone=-1,
    arrays={
        "TH260_ReadFiFo": (1, th260lib.READ_MAX_WORDS, 3),
        "TH260_GetHistogram": (1, th260lib.HISTOGRAM_BINS, None),
    },
)


class ServedLibrary:
    """The functions of a library that another process serves at `port`; connects with the first call."""

    simulated = True

    def __init__(self, kind: LibraryKind, driver: str, host: str, port: int) -> None:
        self._kind, self._greeting, self._address = kind, driver.encode(), (host, port)
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._functions = {
            name: ctypes.CFUNCTYPE(ctypes.c_int, *types)(partial(self._call, name, types))
            for name, types in kind.prototypes.items()
        }

    def __getattr__(self, name: str) -> Callable[..., int]:
        """The C function of this name."""
        try:
            return self.__dict__["_functions"][name]
        except KeyError:
            raise AttributeError(f"the served library has no function {name}") from None

    def _call(self, name: str, types: Sequence[Any], *arguments: Any) -> int:
        with self._lock:
            try:
                if self._socket is None:
                    self._socket = greet(*self._address, self._greeting)
                send_frame(self._socket, _packed_call(name, types, arguments))
                answer = receive_frame(self._socket)
            except OSError:
                if self._socket is not None:
                    self._socket.close()
                    self._socket = None
                return self._kind.gone
        (code,) = struct.unpack_from("<i", answer)
        at = 4
        for kind, argument in zip(types, arguments, strict=True):
            if _is_pointer(kind):
                (length,) = struct.unpack_from("<I", answer, at)
                ctypes.memmove(argument, answer[at + 4 : at + 4 + length], length)
                at += 4 + length
        return code


class LibraryDoor:
    """Serves one emulated library to the connections that come; only one of them has the device open."""

    def __init__(self, kind: LibraryKind, library: CLibrary) -> None:
        self._kind, self._library = kind, library
        self._lock = threading.Lock()
        self._holder: socket.socket | None = None
        self._device = 0

    def serve(self, connection: socket.socket) -> None:
        """Answer calls until the other end goes; what it had open is then closed, as it is of a process."""
        try:
            with contextlib.suppress(OSError, ValueError, KeyError, struct.error):  # then it has gone
                while True:
                    name, arguments = self._unpacked(receive_frame(connection))
                    send_frame(connection, self._answer(connection, name, arguments))
        finally:
            if self._holder is connection:
                getattr(self._library, self._kind.closes)(self._device)
                self._holder = None

    def _answer(self, connection: socket.socket, name: str, arguments: list[Any]) -> bytes:
        types = self._kind.prototypes[name]
        with self._lock:
            code = self._kind.busy if self._holder not in (None, connection) else None
        if code is None:
            code = getattr(self._library, name)(*arguments)
        with self._lock:
            if name == self._kind.opens and code == 0:
                self._holder, self._device = connection, arguments[0]
            elif name == self._kind.closes and arguments[0] == self._device and self._holder is connection:
                self._holder = None
        parts = [struct.pack("<i", code)]
        for k, kind in enumerate(types):
            if _is_pointer(kind):
                written = self._written(name, k, kind, arguments)
                parts += [struct.pack("<I", len(written)), written]
        return b"".join(parts)

    def _written(self, name: str, k: int, kind: Any, arguments: list[Any]) -> bytes:
        if kind is TEXT_P:
            return arguments[k].value + b"\0"
        which, _, told_by = self._kind.arrays.get(name, (-1, 0, None))
        if k == which and told_by is not None:
            return bytes(memoryview(arguments[k]).cast("B")[: 4 * arguments[told_by][0]])
        return bytes(arguments[k])

    def _unpacked(self, frame: bytes) -> tuple[str, list[Any]]:
        """Name and C arguments of a call; raises ValueError or struct.error for what is no call."""
        name, at = frame[1 : 1 + frame[0]].decode("ascii"), 1 + frame[0]
        arguments: list[Any] = []
        which, longest, _ = self._kind.arrays.get(name, (-1, 0, None))
        for k, kind in enumerate(self._kind.prototypes[name]):
            if kind is TEXT_P:
                (length,) = struct.unpack_from("<I", frame, at)
                text = frame[at + 4 : at + 4 + length]
                if length >= _TEXT_BYTES or len(text) != length:
                    raise ValueError("a text of a call is too long")
                arguments.append(ctypes.create_string_buffer(text, _TEXT_BYTES))
                at += 4 + length
            elif _is_pointer(kind):
                arguments.append((kind._type_ * (longest if k == which else 1))())
            else:
                arguments.append(struct.unpack_from("<q", frame, at)[0])
                at += 8
        if at != len(frame):
            raise ValueError("a call is longer than its arguments")
        return name, arguments


def _is_pointer(kind: Any) -> bool:
    return hasattr(kind, "contents")


def _packed_call(name: str, types: Sequence[Any], arguments: Sequence[Any]) -> bytes:
    parts = [bytes([len(name)]), name.encode("ascii")]
    for kind, argument in zip(types, arguments, strict=True):
        if kind is TEXT_P:
            text = ctypes.string_at(argument)
            parts += [struct.pack("<I", len(text)), text]
        elif not _is_pointer(kind):
            parts.append(struct.pack("<q", argument))
    return b"".join(parts)


# ---- frames ----


def greet(host: str, port: int, greeting: bytes) -> socket.socket:
    """Connect and say which instrument is wanted; raises OSError."""
    connection = socket.create_connection((host, port), timeout=_ANSWER_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    send_frame(connection, greeting)
    return connection


def send_frame(connection: socket.socket, content: bytes) -> None:
    """Send one frame; raises OSError."""
    connection.sendall(struct.pack("<I", len(content)) + content)


def receive_frame(connection: socket.socket) -> bytes:
    """Wait for one frame; raises OSError at the end of the stream and for one that is too long."""
    (length,) = struct.unpack("<I", _receive(connection, 4))
    if length > MOST_BYTES:
        raise ConnectionError(f"a frame of {length} bytes is no call")
    return _receive(connection, length)


def _receive(connection: socket.socket, count: int) -> bytes:
    content = bytearray()
    while len(content) < count:
        part = connection.recv(count - len(content))
        if not part:
            raise ConnectionResetError("the other end has gone")
        content += part
    return bytes(content)
