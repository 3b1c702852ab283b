"""Spectrometers on the network for seabreeze: its IPv4 transport on a socket that cannot hang or lie.

What seabreeze 2.11 does otherwise on IPv4: it connects without a time-out; a closed connection makes it
read for ever; closing a device leaves its socket open, so that the spectrometer stays held; and a wrong
checksum is a warning. Its own time-outs grow with each spectrum, so `NetworkHandle.expect` sets one before
each exchange.
"""

from __future__ import annotations

import ipaddress
import socket
import warnings
from urllib.parse import urlsplit

from seabreeze.pyseabreeze.devices import SeaBreezeDevice
from seabreeze.pyseabreeze.transport import IPv4Transport, IPv4TransportHandle

from ..links import LinkError

OBP_PORT = 57357
"""TCP port on which the spectrometers listen."""
_CONNECT_S = 3.0

warnings.filterwarnings("error", message="WARNING OBP: The checksums differ", category=UserWarning)


class CheckedSocket(socket.socket):
    """A socket that sends everything, and raises ConnectionResetError when the other end has gone."""

    def send(self, data: bytes, flags: int = 0) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Send all of `data`."""
        self.sendall(data, flags)
        return len(data)

    def recv_into(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, buffer: memoryview, nbytes: int = 0, flags: int = 0
    ) -> int:
        """Receive at least one byte."""
        received = super().recv_into(buffer, nbytes, flags)
        if not received:
            raise ConnectionResetError("the spectrometer closed the connection")
        return received


class NetworkHandle(IPv4TransportHandle):
    """What seabreeze knows a network spectrometer by."""

    def __init__(self, host: str, port: int = OBP_PORT) -> None:
        # not seabreeze's: it makes a socket that nobody closes
        self.identity = (int(ipaddress.IPv4Address(socket.gethostbyname(host))), port, 0, 0)
        self._is_open = False

    def open(self) -> None:
        """Connect; raises OSError."""
        self.socket = CheckedSocket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.settimeout(_CONNECT_S)
        try:
            self.socket.connect(self.get_address())
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            self.socket.close()
            raise
        self._is_open = True

    def close(self) -> None:
        """Close the connection."""
        if self._is_open:
            self.socket.close()
        self._is_open = False

    @property
    def closed(self) -> bool:
        """Whether there is no connection."""
        return not self._is_open

    def expect(self, timeout_s: float) -> None:
        """Let replies take `timeout_s` from now on."""
        self.socket.settimeout(timeout_s)


def network_device(handle: NetworkHandle, model: str) -> SeaBreezeDevice:
    """The device of a handle, not opened yet; `model` is seabreeze's name of it (HDX, FX)."""
    IPv4Transport.devices_ip_port[handle.get_address()] = model
    return SeaBreezeDevice(handle)


def handle_at(address: str) -> NetworkHandle:
    """The handle of tcp://HOST[:PORT]; connects to nothing. Raises LinkError."""
    try:
        parts = urlsplit(address)
        if parts.scheme != "tcp" or not parts.hostname:
            raise ValueError("write tcp://HOST or tcp://HOST:PORT")
        return NetworkHandle(parts.hostname, parts.port or OBP_PORT)
    except (ValueError, OSError) as error:
        raise LinkError(f"{address}: no spectrometer can be there ({error})") from error
