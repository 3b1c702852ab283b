"""Links to text instruments: a TCP socket, a serial line or a VISA resource, as pymeasure adapters.

All of them deliver lines that end in LF, tell silence from a broken connection, and add no delay of
their own. A socket opened through plain pyvisa-py leaves Nagle's algorithm on: every command without a
reply then holds up the next one by about 40 ms. `benchmarks/link.py` measures it.
"""

from __future__ import annotations

import re
import socket
import threading
from abc import abstractmethod
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pyvisa
import pyvisa.constants
import serial
from pymeasure.adapters import Adapter

from .base import InstrumentError

GCS_PORT = 50_000
"""TCP port on which PI controllers listen."""

_CHUNK = 65_536
_LONGEST_LINE = 1 << 20
_QUIET_S = 0.05
_VISA_SOCKET = re.compile(r"TCPIP\d*::(?P<host>[^:]+)::(?P<port>\d+)::SOCKET", re.IGNORECASE)


class LinkError(InstrumentError):
    """The connection could not be opened."""


class LinkHeldError(LinkError):
    """Somebody else has the instrument: it takes one client at a time."""


class LinkDroppedError(LinkError):
    """The connection broke while it was in use."""


class ReplyTimeoutError(InstrumentError):
    """No reply came in time; the connection itself may be whole."""


class LineLink(Adapter):
    """A byte stream that carries lines: LF ends what is read, `write_termination` what is written.

    Subclasses say how bytes are sent and received. `timeout_s` is how long a reply may take; who shares a
    link holds its `lock` for each exchange.
    """

    terminators: tuple[str, ...] = ("\n", "\r\n", "\r")
    """What may have to end a command on this kind of link, the likeliest first."""
    simulated = False

    def __init__(self, address: str, timeout_s: float) -> None:
        super().__init__()
        self.address, self.timeout_s = address, timeout_s
        self.write_termination = self.terminators[0]
        self.lock = threading.RLock()
        self.users = 1
        self.broken = False
        self._buffer = bytearray()
        self._heard = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}>"

    @abstractmethod
    def _send(self, data: bytes) -> None:
        """Send all of `data`; raises OSError when the connection is broken."""

    @abstractmethod
    def _receive(self) -> bytes:
        """Wait for at least one byte; returns b"" at the end of the stream.

        Raises TimeoutError after `timeout_s` of silence, OSError when the connection is broken.
        """

    def close(self) -> None:
        """Close the connection, unless somebody else still uses it; a broken one is of no use to anybody."""
        self.users = max(0, self.users - 1)
        if self.broken or not self.users:
            super().close()

    # ---- what pymeasure calls ----

    def _write(self, command: str, **kwargs: Any) -> None:
        self._write_bytes((command + self.write_termination).encode("latin-1"))

    def _write_bytes(self, content: bytes, **kwargs: Any) -> None:
        if self.broken:
            raise self._breakage()
        try:
            self._send(content)
        except OSError as error:
            raise self._breakage() from error

    def _read(self, **kwargs: Any) -> str:
        scanned = 0
        while (end := self._buffer.find(b"\n", scanned)) < 0:
            scanned = len(self._buffer)
            if scanned > _LONGEST_LINE:
                self._buffer.clear()
                raise LinkError(
                    f"{self.address}: a line does not end after {_LONGEST_LINE} bytes; check baud rate"
                )
            self._fill()
        line = self._buffer[:end].decode("latin-1")
        del self._buffer[: end + 1]
        return line

    def _read_bytes(self, count: int, break_on_termchar: bool = False, **kwargs: Any) -> bytes:
        if count < 0 or break_on_termchar:
            raise ValueError(f"{self!r} reads lines, or a given number of bytes")
        while len(self._buffer) < count:
            self._fill()
        content = bytes(self._buffer[:count])
        del self._buffer[:count]
        return content

    def flush_read_buffer(self) -> None:
        """Throw away what comes in until the line has been quiet for 50 ms."""
        timeout_s, self.timeout_s = self.timeout_s, _QUIET_S
        try:
            while True:
                self._fill()
        except ReplyTimeoutError:
            self._buffer.clear()
        finally:
            self.timeout_s = timeout_s

    # ---- inside ----

    def _fill(self) -> None:
        if self.broken:
            raise self._breakage()
        try:
            data = self._receive()
        except (TimeoutError, BlockingIOError):
            raise ReplyTimeoutError(f"{self.address}: no reply within {self.timeout_s:g} s") from None
        except OSError as error:
            raise self._breakage() from error
        if not data:
            raise self._breakage()
        self._heard = True
        self._buffer += data

    def _breakage(self) -> LinkError:
        self.broken = True
        if self._heard:
            return LinkDroppedError(
                f"{self.address}: the connection broke; check cable and power, then connect again"
            )
        return LinkHeldError(
            f"{self.address}: the connection was closed before a single reply, so another program probably "
            "holds the controller, which takes one client; close that program"
        )


class TcpLink(LineLink):
    """A TCP socket with Nagle's algorithm switched off."""

    def __init__(self, host: str, port: int = GCS_PORT, *, timeout_s: float = 1.0) -> None:
        super().__init__(f"tcp://{host}:{port}", timeout_s)
        try:
            self._socket = socket.create_connection((host, port), timeout=max(timeout_s, 3.0))
        except OSError as error:
            raise LinkError(
                f"{self.address}: cannot connect ({error}); check address, cable and power"
            ) from error
        self.connection = self._socket
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._waits_s: float | None = None

    def _send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def _receive(self) -> bytes:
        if self._waits_s != self.timeout_s:
            self._socket.settimeout(self.timeout_s)
            self._waits_s = self.timeout_s
        return self._socket.recv(_CHUNK)


class SerialLink(LineLink):
    """A serial port, or a USB bridge that looks like one: 8 data bits, no parity, DTR and RTS asserted.

    With `handshake` RTS and CTS hold back whoever sends too fast.
    """

    terminators = ("\n", "\r", "\r\n")

    def __init__(
        self, port: str, *, baud_rate: int = 115_200, timeout_s: float = 1.0, handshake: bool = False
    ) -> None:
        super().__init__(port, timeout_s)
        try:
            self._port = serial.Serial(port, baud_rate, timeout=timeout_s, exclusive=True, rtscts=handshake)
        except serial.SerialException as error:
            if "lock" in str(error) or "denied" in str(error).lower():
                raise LinkHeldError(
                    f"{port}: another program holds this port, or it is not yours to open ({error})"
                ) from error
            raise LinkError(f"{port}: cannot be opened ({error}); check port, cable and power") from error
        self.connection = self._port

    def _send(self, data: bytes) -> None:
        self._port.write(data)

    def _receive(self) -> bytes:
        if self._port.timeout != self.timeout_s:
            self._port.timeout = self.timeout_s
        data = self._port.read(self._port.in_waiting or 1)
        if not data:
            raise TimeoutError
        return data


class VisaLink(LineLink):
    """Any other VISA resource, such as ASRL3::INSTR."""

    terminators = ("\n", "\r", "\r\n")

    def __init__(self, resource: str, *, baud_rate: int = 115_200, timeout_s: float = 1.0) -> None:
        super().__init__(resource, timeout_s)
        try:
            opened = pyvisa.ResourceManager().open_resource(resource, read_termination="\n")
        except (pyvisa.Error, OSError, ValueError) as error:
            raise LinkError(
                f"{resource}: VISA cannot open it ({error}); check name, cable and power"
            ) from error
        if not isinstance(opened, pyvisa.resources.MessageBasedResource):
            raise LinkError(f"{resource}: is not a resource that takes text")
        self.connection = self._resource = opened
        if isinstance(opened, pyvisa.resources.SerialInstrument):
            opened.baud_rate = baud_rate

    def _send(self, data: bytes) -> None:
        self._visa(self._resource.write_raw, data)

    def _receive(self) -> bytes:
        self._resource.timeout = max(1.0, 1e3 * self.timeout_s)
        return self._visa(self._resource.read_raw)

    @staticmethod
    def _visa(call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except pyvisa.VisaIOError as error:
            if error.error_code == pyvisa.constants.StatusCode.error_timeout:
                raise TimeoutError from error
            raise ConnectionError(str(error)) from error


def open_link(
    address: str, *, baud_rate: int = 115_200, timeout_s: float = 1.0, handshake: bool = False
) -> LineLink:
    """Open the link that an address names.

    tcp://HOST[:PORT] or TCPIP::HOST::PORT::SOCKET is a socket, a name with :: in it any other VISA
    resource, and everything else a serial port (COM3, /dev/ttyUSB0), with or without RTS/CTS `handshake`.
    Raises LinkError.
    """
    if match := _VISA_SOCKET.fullmatch(address):
        return TcpLink(match["host"], int(match["port"]), timeout_s=timeout_s)
    if address.startswith("tcp://"):
        parts = urlsplit(address)
        try:
            host, port = parts.hostname, parts.port or GCS_PORT
        except ValueError as error:
            raise LinkError(f"{address}: {error}") from error
        if not host:
            raise LinkError(f"{address}: names no host; write tcp://HOST:PORT")
        return TcpLink(host, port, timeout_s=timeout_s)
    if "::" in address:
        return VisaLink(address, baud_rate=baud_rate, timeout_s=timeout_s)
    return SerialLink(address, baud_rate=baud_rate, timeout_s=timeout_s, handshake=handshake)


class SharedLink:
    """One link for all controllers of a daisy chain: the first call opens it, the last `close` closes it."""

    def __init__(self, open_first: Callable[[], LineLink]) -> None:
        self._open_first = open_first
        self._lock = threading.Lock()
        self._link: LineLink | None = None

    def __call__(self) -> LineLink:
        """The link, opened if it is not or is broken; raises LinkError."""
        with self._lock:
            if self._link is None or self._link.broken or not self._link.users:
                self._link = self._open_first()
            else:
                self._link.users += 1
            return self._link
