"""Doors to an emulated controller: an adapter in process, a TCP server, and a pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from ...instruments.links import LineLink
from ..clock import PS_PER_S, SimulatedClock

_POLL_S = 0.02
_CHUNK = 65_536


class Sent(Protocol):
    """What goes back to the client, and how late; `data` is looked at when it leaves."""

    @property
    def data(self) -> bytes:
        """The bytes."""
        ...

    @property
    def delay_s(self) -> float:
        """How late they leave, in seconds."""
        ...


class Controller(Protocol):
    """The instrument's side of a byte stream."""

    clock: SimulatedClock

    @property
    def held_elsewhere(self) -> bool:
        """Whether somebody else holds the instrument, so that this client is turned away."""
        ...

    @property
    def link_broken(self) -> bool:
        """Whether the connection is broken."""
        ...

    def receive(self, data: bytes) -> Sequence[Sent]:
        """Take bytes from the client and give what goes back."""
        ...


class EmulatedAdapter(LineLink):
    """A link without a wire: replies are there at once, and waiting for a reply moves the bench's clock."""

    simulated = True

    def __init__(self, controller: Controller, *, timeout_s: float = 1.0) -> None:
        super().__init__("the simulated bench", timeout_s)
        self._controller = controller
        self._on_the_way: list[tuple[int, bytes]] = []

    def close(self) -> None:
        """Nothing to close."""

    def _send(self, data: bytes) -> None:
        self._require_link()
        for reply in self._controller.receive(data):
            due_ps = self._controller.clock.now_ps + round(reply.delay_s * PS_PER_S)
            if self._on_the_way:
                due_ps = max(due_ps, self._on_the_way[-1][0])
            self._on_the_way.append((due_ps, reply.data))

    def _receive(self) -> bytes:
        self._require_link()
        clock = self._controller.clock
        wait_ps = self._on_the_way[0][0] - clock.now_ps if self._on_the_way else None
        if wait_ps is None or wait_ps > self.timeout_s * PS_PER_S:
            clock.sleep(self.timeout_s)
            raise TimeoutError
        clock.sleep(wait_ps / PS_PER_S)
        return self._on_the_way.pop(0)[1]

    def _require_link(self) -> None:
        if self.broken or self._controller.held_elsewhere or self._controller.link_broken:
            raise ConnectionResetError


class WallTime:
    """Lets a simulated clock follow the wall's, for clients in other programs."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock, self._origin_s = clock, time.monotonic() - clock.now()

    def __call__(self) -> None:
        """Move the clock up to the present."""
        self._clock.sleep(time.monotonic() - self._origin_s - self._clock.now())


class _Door(ABC):
    """A thread that hands bytes to a controller; `before_exchange` is called each time bytes arrive."""

    def __init__(self, controller: Controller, before_exchange: Callable[[], None] | None) -> None:
        self._controller, self._before_exchange = controller, before_exchange or (lambda: None)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @abstractmethod
    def _serve(self) -> None:
        """Hand over bytes until the door is closed."""

    def _exchange(self, data: bytes, send: Callable[[bytes], object]) -> None:
        self._before_exchange()
        for reply in self._controller.receive(data):
            if reply.delay_s:
                time.sleep(reply.delay_s)
                self._before_exchange()
            send(reply.data)

    def wait(self) -> None:
        """Wait until the door is closed."""
        while self._thread.is_alive():
            self._thread.join(_POLL_S)

    def close(self) -> None:
        """Close the door; may be called twice."""
        self._closing.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class TcpDoor(_Door):
    """Serves one TCP client at a time on `address`; a second one is turned away."""

    def __init__(
        self, controller: Controller, host: str, port: int, before_exchange: Callable[[], None] | None
    ) -> None:
        super().__init__(controller, before_exchange)
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]
        self.address = f"tcp://{host}:{self.port}"
        self._thread.start()

    def _serve(self) -> None:
        client: socket.socket | None = None
        with self._listener as listener:
            while not (self._closing.is_set() or self._controller.link_broken):
                watched = [listener, client] if client else [listener]
                ready, _, _ = select.select(watched, [], [], _POLL_S)
                if client in ready and client and not self._serve_client(client):
                    client.close()
                    client = None
                if listener in ready:
                    newcomer, _ = listener.accept()
                    if client or self._controller.held_elsewhere:
                        newcomer.close()
                    else:
                        newcomer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        client = newcomer
        if client:
            client.close()

    def _serve_client(self, client: socket.socket) -> bool:
        """Exchange what has arrived; False when the client has gone."""
        try:
            data = client.recv(_CHUNK)
            if data:
                self._exchange(data, client.sendall)
        except OSError:
            return False
        return bool(data)


class PtyDoor(_Door):
    """Serves a pseudo-terminal whose device is `address`."""

    def __init__(self, controller: Controller, before_exchange: Callable[[], None] | None) -> None:
        import tty  # POSIX only

        super().__init__(controller, before_exchange)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.address = os.ttyname(self._slave)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the client has closed its end for good
            while not (self._closing.is_set() or self._controller.link_broken):
                ready, _, _ = select.select([self._master], [], [], _POLL_S)
                if ready:
                    self._exchange(os.read(self._master, _CHUNK), lambda data: _write_all(self._master, data))
        os.close(self._slave)
        os.close(self._master)


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def serve_tcp(
    controller: Controller,
    port: int = 0,
    *,
    host: str = "127.0.0.1",
    before_exchange: Callable[[], None] | None = None,
) -> TcpDoor:
    """Serve a controller over TCP; port 0 takes a free one. Close the door, or use it in a `with`."""
    return TcpDoor(controller, host, port, before_exchange)


def serve_pty(controller: Controller, *, before_exchange: Callable[[], None] | None = None) -> PtyDoor:
    """Serve a controller over a new pseudo-terminal."""
    return PtyDoor(controller, before_exchange)
