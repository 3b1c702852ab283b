"""One port on the loopback interface at which a bench's emulated instruments are reached by other processes.

A client's first frame names the instrument; what follows is that instrument's own protocol.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping
from typing import Protocol, Self

from ..clock import SimulatedClock
from .served_library import receive_frame

LOOPBACK = "127.0.0.1"
_PACE_S = 0.02
_GREETING_S = 5.0


class Door(Protocol):
    """One served instrument."""

    def serve(self, connection: socket.socket) -> None:
        """Answer one client until it goes."""
        ...


class ServedBench:
    """Lets the bench's clock run, and hands each client that comes to the door it asks for."""

    def __init__(self, clock: SimulatedClock, doors: Mapping[str, Door], port: int = 0) -> None:
        self._clock, self._doors = clock, dict(doors)
        self._listener = socket.create_server((LOOPBACK, port))
        self._listener.settimeout(_PACE_S)
        self.port: int = self._listener.getsockname()[1]
        self._closing = threading.Event()
        self._connections: set[socket.socket] = set()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._let_time_pass, "bench clock"), (self._accept, "bench door"))
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop the clock and cut every connection."""
        self._closing.set()
        for connection in tuple(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _let_time_pass(self) -> None:
        while not self._closing.is_set():
            self._clock.sleep(_PACE_S)

    def _accept(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._connections.add(connection)
        with connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(_GREETING_S)
            door = self._doors.get(receive_frame(connection).decode("ascii", "replace"))
            connection.settimeout(None)
            if door is not None:
                door.serve(connection)
        self._connections.discard(connection)
