"""A rig held for manual control: read four times a second, commands one after the other, light watched.

Three threads, so that no slow instrument blinds the watch over the detectors: one reads counter and laser and
shuts the light off past a limit, one reads the other instruments, one carries out commands.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, NamedTuple

from ..instruments.base import InstrumentError
from .coherence_keepers import COHERENCE_KEEPERS
from .errors import QdlabError, RefusedError
from .rig import Rig
from .station_keepers import KEEPERS, CounterKeeper, Keeper, LaserKeeper
from .station_snapshot import RoleState

log = logging.getLogger(__name__)

READ_EVERY_S = 0.25
STALE_S = 1.0
"""Count rates older than this watch nothing."""
_NAP_S = 0.05
_GUARDS = ("counter", "laser")
_KEEPERS: dict[str, type[Keeper[Any]]] = {**KEEPERS, **COHERENCE_KEEPERS}


class _Command(NamedTuple):
    future: Future[Any]
    keeper: Keeper[Any]
    verb: str
    arguments: Mapping[str, Any]


class StationHold:
    """Holds the instruments of one rig from `start` to `close`."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.alarm = ""
        self.keepers: dict[str, Keeper[Any]] = {
            role: _KEEPERS.get(role, Keeper)(role, device, self) for role, device in rig.devices()
        }
        self._queue: queue.SimpleQueue[_Command | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        guards = [self.keepers[role] for role in _GUARDS if role in self.keepers]
        others = [keeper for role, keeper in self.keepers.items() if role not in _GUARDS]
        self._threads = [
            threading.Thread(target=self._read, args=(guards, self._guard_light), name="station light"),
            threading.Thread(target=self._read, args=(others, lambda: None), name="station"),
            threading.Thread(target=self._obey, name="station commands"),
        ]
        for thread in self._threads:
            thread.daemon = True  # rig.close() is called, and drivers make safe at exit

    def start(self) -> None:
        """Begin to read, and connect what needs no person to act."""
        for thread in self._threads:
            thread.start()
        for role, keeper in self.keepers.items():
            if not keeper.device.manual:
                self.submit(role, "connect", {})

    def states(self) -> dict[str, RoleState]:
        """The newest state of each instrument."""
        return {role: keeper.state for role, keeper in self.keepers.items()}

    def submit(self, role: str, verb: str, arguments: Mapping[str, Any]) -> Future[Any]:
        """Have a command carried out after those before it, or at once where it is urgent.

        Raises RefusedError where there is none such.
        """
        keeper = self.keepers[role]
        if verb not in keeper.verbs:
            raise RefusedError(f"{role} has no command {verb!r}; it has {', '.join(keeper.verbs)}")
        command = _Command(Future(), keeper, verb, arguments)
        if self._closing.is_set():
            command.future.cancel()
        elif verb in keeper.urgent:
            threading.Thread(target=self._carry_out_now, args=(command,), name=f"{role} {verb}").start()
        else:
            self._queue.put(command)
        return command.future

    def make_safe(self) -> list[str]:
        """Make every instrument safe now, whatever is going on; returns what went wrong. From any thread.

        Commands that wait are cancelled, and one that is being carried out is undone after it.
        """
        self._cancel_waiting()
        problems = self.rig.make_safe()
        for keeper in self.keepers.values():
            with keeper.lock:  # a command that had begun before may have come after
                pass
        for keeper in self.keepers.values():
            with keeper.lock:
                problems += self._attempt(keeper)
        if problems := list(dict.fromkeys(problems)):
            self._raise_alarm("; ".join(problems))
        return problems

    def close(self) -> list[str]:
        """Make everything safe and disconnect it; returns what went wrong."""
        self._closing.set()
        self._cancel_waiting()
        self._queue.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        return self.rig.close()

    # ---- light ----

    def why_dark(self) -> str:
        """Why no light may be let in: nothing watches the detectors; empty when it may."""
        counter = self.keepers.get("counter")
        if not isinstance(counter, CounterKeeper):
            return "the station has no counter to watch the detectors' rates"
        if not counter.state.connected:
            return "the counter is not connected, so nothing watches the detectors' rates"
        if counter.state.error:
            return f"the count rates cannot be read: {counter.state.error}"
        if self.rig.clock.now() - counter.read_at_s > STALE_S:
            return f"the count rates are older than {STALE_S:g} s"
        return counter.too_bright()

    def shut_off_if_lit(self, reason: str) -> None:
        """Lock a laser that may emit, and say why."""
        laser = self.keepers.get("laser")
        if not isinstance(laser, LaserKeeper) or not laser.may_emit:
            return
        try:
            laser.device.make_safe()
        except InstrumentError as error:
            self._raise_alarm(f"{reason}; {error}")
        else:
            laser.state = replace(laser.state, words={"lock": laser.device.lock.value})
            self._raise_alarm(f"{reason}; the laser was locked")

    def clear_alarm(self) -> None:
        """Forget the last alarm."""
        self.alarm = ""

    def _guard_light(self) -> None:
        if reason := self.why_dark():
            self.shut_off_if_lit(reason)

    def _raise_alarm(self, sentence: str) -> None:
        self.alarm = sentence
        log.error(sentence)

    # ---- threads ----

    def _read(self, keepers: Iterable[Keeper[Any]], then: Callable[[], None]) -> None:
        while not self._closing.is_set():
            for keeper in keepers:
                if keeper.lock.acquire(blocking=False):  # else a command has it
                    try:
                        self._refresh(keeper)
                    finally:
                        keeper.lock.release()
            then()
            for _ in range(round(READ_EVERY_S / _NAP_S)):
                if not self._closing.is_set():
                    self.rig.clock.sleep(_NAP_S)

    def _obey(self) -> None:
        while (command := self._queue.get()) is not None:
            if command.future.set_running_or_notify_cancel():
                self._carry_out(command)

    def _carry_out(self, command: _Command) -> None:
        future, keeper, verb, arguments = command
        with keeper.lock:
            keeper.state = replace(keeper.state, doing=verb.replace("_", " "))
            refused, result, failure = "", None, None
            try:
                result = keeper.verbs[verb](**arguments)
            except Exception as error:  # it belongs to whoever asked
                refused, failure = _told(error), error
            self._refresh(keeper)
            keeper.state = replace(keeper.state, doing="", refused=refused)
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)

    def _carry_out_now(self, command: _Command) -> None:
        """Whatever else the instrument is doing."""
        future, keeper, verb, arguments = command
        try:
            future.set_result(keeper.verbs[verb](**arguments))
        except Exception as error:  # it belongs to whoever asked
            keeper.state = replace(keeper.state, refused=_told(error))
            future.set_exception(error)

    def _refresh(self, keeper: Keeper[Any]) -> None:
        try:
            keeper.refresh()
        except Exception as error:  # a driver's fault must not end the watch over the light
            log.exception("%s cannot be read", keeper.role)
            keeper.state = replace(keeper.state, error=_told(error))

    def _attempt(self, keeper: Keeper[Any]) -> list[str]:
        try:
            keeper.make_safe()
        except Exception as error:  # one instrument's failure must not keep the others unsafe
            return [f"{keeper.role}: {error}"]
        finally:
            self._refresh(keeper)
        return []

    def _cancel_waiting(self) -> None:
        while True:
            try:
                command = self._queue.get_nowait()
            except queue.Empty:
                return
            if command is not None:
                command.future.cancel()


def _told(error: Exception) -> str:
    if isinstance(error, QdlabError | InstrumentError):
        return str(error)
    log.error("command failed", exc_info=error)
    return f"{type(error).__name__}: {error}"
