"""What every stage behind a controller on a link shares: connecting, stopping and disconnecting."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, Generic, Protocol, TypeVar

from pymeasure.adapters import Adapter

from .base import Device, Identity, InstrumentError, NotConnectedError
from .clock import Clock
from .links import LineLink, LinkDroppedError

_BACK_WITHIN_S = 2.0
_RETRY_S = 0.2


class Controller(Protocol):
    """A motion controller as its stage needs it."""

    adapter: Adapter

    def identify(self) -> Identity:
        """Ask who is there; raises InstrumentError when it is another instrument."""
        ...

    def shutdown(self) -> None:
        """Close the connection; moves nothing."""
        ...


ControllerT = TypeVar("ControllerT", bound=Controller)


class ControlledStage(Device, Generic[ControllerT]):
    """A stage behind a controller; `open_link` opens the connection (see `links.open_link`)."""

    danger: ClassVar[str] = "the stage may still be moving"
    """What is to be feared when the controller cannot be told to stop."""
    _clock: Clock

    def __init__(self, open_link: Callable[[], Adapter]) -> None:
        self._open_link = open_link
        self._lock = threading.RLock()
        self._controller: ControllerT | None = None
        self._identity: Identity | None = None

    @property
    def controller(self) -> ControllerT:
        """The controller, for what its stage has no word for; raises NotConnectedError."""
        if self._controller is None:
            raise NotConnectedError(f"{self.name}: connect first")
        return self._controller

    def connect(self) -> Identity:
        """Open the connection, identify the controller and take its axes over.

        Raises LinkError, WrongControllerError, or what the stage's class says. A controller that was
        identified and could not be taken over is stopped and let go.
        """
        with self._lock:
            if self._controller is None or self._identity is None:
                link = self._open_link()
                try:
                    controller = self._controller_on(link)
                    self._identity = controller.identify()
                    self._controller = controller
                    self._take_over(controller)
                except BaseException:
                    with suppress(InstrumentError):  # what came first is told
                        self.make_safe()
                    self._controller = None
                    link.close()
                    raise
            return self._identity

    def disconnect(self) -> None:
        """Stop and close the connection; motors and servos stay on. Does nothing when there is none."""
        with self._lock:
            if self._controller is None:
                return
            try:
                self.make_safe()
            finally:
                self._controller.shutdown()
                self._controller = None

    def make_safe(self) -> None:
        """Stop where it is; servos hold it there.

        Where the link is broken, the controller is stopped over a new one if it is back within 2 s; the stage
        has to be connected again all the same. May be called twice, from any thread, and when disconnected.
        Raises InstrumentError when the controller cannot be reached.
        """
        controller = self._controller
        if controller is None:
            return
        try:
            self._stop(controller)
        except InstrumentError as error:
            if not (isinstance(error, LinkDroppedError) and self._stopped_over_a_new_link(controller)):
                raise InstrumentError(f"{self.name}: {self.danger}: {error}") from error

    def _stopped_over_a_new_link(self, controller: ControllerT) -> bool:
        """Whether the link is broken, came back in time, and carried the stop."""
        if not (isinstance(controller.adapter, LineLink) and controller.adapter.broken):
            return False
        with self._lock:
            controller.adapter.close()  # a serial port cannot be opened twice
            deadline_s = self._clock.now() + _BACK_WITHIN_S
            while self._clock.now() < deadline_s:
                with suppress(InstrumentError):  # what broke the link is told
                    self._stop_over(self._open_link())
                    return True
                self._clock.sleep(_RETRY_S)
        return False

    def _stop_over(self, link: Adapter) -> None:
        try:
            controller = self._controller_on(link)
            controller.identify()
            self._stop(controller)
        finally:
            link.close()

    # ---- for drivers ----

    @abstractmethod
    def _controller_on(self, link: Adapter) -> ControllerT:
        """The controller on a link; sends nothing."""

    @abstractmethod
    def _take_over(self, controller: ControllerT) -> None:
        """Compare the controller with the station, close its loops, and home where that is wanted."""

    @abstractmethod
    def _stop(self, controller: ControllerT) -> None:
        """Stop all motion, from any thread."""
