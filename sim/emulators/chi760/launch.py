"""How the driver starts the emulated program: in process, or as a program of its own in lockstep."""

from __future__ import annotations

import itertools
import math
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...clock import PS_PER_S, SimulatedClock
from .box import CellBench, Chi760Box, LinkError
from .faults import FAULTS
from .program import ProgramCrashed, Setup, vendor_program
from .techniques import DataLimits
from .text import TextFormat

PORT, KEY = "QDLAB_CHI760_PORT", "QDLAB_CHI760_KEY"
"""Environment variables that tell a started program where its instrument is."""
SIMULATED_STATION_FORMAT = TextFormat(digits=6)
"""The text settings that users are asked to make: six digits instead of the program's four."""

_ANSWER_S = 20.0
_OVERHEAD_S = (3.0, 5.0)


class _Launcher:
    """What both launchers share: the box on the bench, the installation, the calendar."""

    simulated = True
    shared = False

    def __init__(
        self,
        bench: CellBench,
        *,
        box: Chi760Box | None = None,
        polarity: Literal["anodic_positive", "cathodic_positive"] = "anodic_positive",
        form: TextFormat = SIMULATED_STATION_FORMAT,
        limits: DataLimits | None = None,
        start_date: datetime | None = None,
    ) -> None:
        self.box = box or Chi760Box(bench)
        self.clock: SimulatedClock = bench.clock
        self._bench, self._form, self._limits = bench, form, limits or DataLimits()
        self._anodic_positive = polarity == "anodic_positive"
        self._start_date = start_date or datetime.now()
        self._process_ids = itertools.count(1)

    def date(self) -> datetime:
        """Date and time on the program's computer."""
        return self._start_date + timedelta(seconds=self.clock.now())

    def next_setup(self) -> Setup:
        """How the next start of the program goes."""
        process_id = next(self._process_ids)
        overhead_s = np.random.default_rng([self._bench.seed, 0x0C41, process_id]).uniform(*_OVERHEAD_S)
        faults = frozenset(name for name in FAULTS if name in self._bench.faults)
        return Setup(process_id, float(overhead_s), self._form, self._limits, self._anodic_positive, faults)


class EmulatedChi760(_Launcher):
    """Runs the vendor program in this process, woken by the bench's clock (a `ProgramLauncher`)."""

    def check(self) -> str:
        """Say what would be started."""
        return f"emulated {self._form.model} program, in process"

    def start(self, macro: Path) -> RunningInProcess:
        """Start the program with `/runmacro:"macro"` and return at once."""
        return self.start_with([f'/runmacro:"{macro}"'])

    def start_with(self, arguments: list[str]) -> RunningInProcess:
        """Start the program with a command line of one's own."""
        return RunningInProcess(self, self.next_setup(), arguments)


class RunningInProcess:
    """A started program in this process (a `RunningProgram`), which is also the desk it runs on."""

    def __init__(self, launcher: EmulatedChi760, setup: Setup, arguments: list[str]) -> None:
        self._launcher, self._setup = launcher, setup
        self._alive = True
        self._dialog: str | None = None
        self._program: Iterator[float] = vendor_program(arguments, launcher.box, self, setup)
        self._wake()

    def running(self) -> bool:
        """True while the program has not ended."""
        return self._alive

    def dialog(self) -> str | None:
        """Title and text of the modal window that is up, or None."""
        return self._dialog if self._alive else None

    def terminate(self) -> None:
        """End the program by force; the box goes on with what it does."""
        self._alive = False
        self._launcher.box.disconnect(self._setup.process_id)

    def date(self) -> datetime:
        """The present date and time."""
        return self._launcher.date()

    def show(self, dialog: str) -> None:
        """Show a modal window."""
        self._dialog = dialog

    def _wake(self) -> None:
        if not self._alive:
            return
        try:
            _schedule(self._launcher.clock, next(self._program), self._wake)
        except (StopIteration, ProgramCrashed):
            self.terminate()


class SubprocessChi760(_Launcher):
    """Starts the vendor program as a program of its own (a `ProgramLauncher`).

    The box and its serial link stay here on the bench; the program talks to it over a loopback
    connection. While the program computes, the bench's clock stands still.
    """

    def check(self) -> str:
        """Say what would be started."""
        return f"emulated {self._form.model} program, {sys.executable} -m {__package__}"

    def start(self, macro: Path) -> RunningSubprocess:
        """Start the program with `/runmacro:"macro"` and return at once."""
        return RunningSubprocess(self, self.next_setup(), [f'/runmacro:"{macro}"'])


class RunningSubprocess:
    """A started program in a process of its own (a `RunningProgram`), in lockstep with the clock."""

    def __init__(self, launcher: SubprocessChi760, setup: Setup, arguments: list[str]) -> None:
        self._launcher, self._setup = launcher, setup
        self._dialog: str | None = None
        self._key = secrets.token_bytes(32)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._connection: Connection | None = None
        place = {PORT: str(self._server.getsockname()[1]), KEY: self._key.hex()}
        self._process = subprocess.Popen(
            [sys.executable, "-m", str(__package__), *arguments],
            env=os.environ | place,
            stdout=subprocess.DEVNULL,
        )
        _schedule(launcher.clock, 0.0, self._serve)

    def running(self) -> bool:
        """True while the program has not ended."""
        return self._process.poll() is None

    def dialog(self) -> str | None:
        """Title and text of the modal window that is up, or None."""
        return self._dialog if self.running() else None

    def terminate(self) -> None:
        """End the program by force; the box goes on with what it does."""
        self._process.kill()
        self._end()

    def _end(self) -> None:
        self._process.wait(_ANSWER_S)
        self._server.close()
        if self._connection is not None:
            self._connection.close()
        self._launcher.box.disconnect(self._setup.process_id)

    def _serve(self) -> None:
        """Wake the program and answer it until it sleeps again or ends."""
        try:
            if self._connection is None:
                self._connection = self._accept()
            else:
                self._connection.send("wake")
            while True:
                if not self._connection.poll(_ANSWER_S):
                    raise TimeoutError(
                        f"the started CHI program did not react within {_ANSWER_S:g} s; end it"
                    )
                verb, *arguments = self._connection.recv()
                if verb == "sleep":
                    _schedule(self._launcher.clock, arguments[0], self._serve)
                    return
                self._connection.send(self._answer(verb, arguments))
        except (EOFError, ConnectionError):  # the program has ended
            self._end()
        except OSError:  # closed from another thread by terminate(); otherwise it is a fault of ours
            if self.running():
                raise
            self._end()

    def _answer(self, verb: str, arguments: list[Any]) -> tuple[bool, Any]:
        """Whether it went well, and the value or the failure's text."""
        match verb:
            case "setup":
                return True, self._setup
            case "date":
                return True, self._launcher.date()
            case "show":
                self._dialog = arguments[0]
                return True, None
            case "connect" | "disconnect" | "start" | "remaining_s" | "fetch":
                try:
                    return True, getattr(self._launcher.box, verb)(*arguments)
                except LinkError as failure:
                    return False, str(failure)
        raise ValueError(f"the started CHI program sent {verb!r}, which nobody here understands")

    def _accept(self) -> Connection:
        """Wait for the program to call, as long as it lives."""
        self._server.settimeout(0.05)
        deadline = time.monotonic() + _ANSWER_S
        while time.monotonic() < deadline:
            if not self.running():
                raise EOFError
            try:
                connection = Connection(self._server.accept()[0].detach())
            except TimeoutError:
                continue
            deliver_challenge(connection, self._key)
            answer_challenge(connection, self._key)
            return connection
        raise TimeoutError(f"the started CHI program did not call back within {_ANSWER_S:g} s; end it")


def _schedule(clock: SimulatedClock, delay_s: float, action: Any) -> None:
    if math.isfinite(delay_s):
        clock.schedule(clock.now_ps + math.ceil(delay_s * PS_PER_S), action)
