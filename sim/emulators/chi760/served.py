"""The emulated CHI 760C in another process: the box stands there, the vendor program is started here.

As on the rig the program is a process of its own, which outlives whoever started it and keeps the port to the
box until it ends. Requests and answers are frames of JSON: `[verb, ...]`, then `[good, value]`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..served_library import greet, receive_frame, send_frame
from .box import LinkError, Order
from .launch import SIMULATED_STATION_FORMAT, EmulatedChi760
from .program import Setup
from .techniques import DataLimits, Piece, Plan

AT = "QDLAB_CHI760_AT"
"""Environment variable that tells a started program where its box is: HOST:PORT."""
GREETING = b"chi760c"


class ServedChi760:
    """Starts the vendor program against a box that another process serves (a `ProgramLauncher`)."""

    simulated = True
    shared = True

    def __init__(self, host: str, port: int) -> None:
        self._at = f"{host}:{port}"

    def check(self) -> str:
        """Say what would be started."""
        return f"emulated program at {self._at}"

    def start(self, macro: Path) -> StartedProgram:
        """Start the program with `/runmacro:"macro"` and return at once."""
        return StartedProgram(self._at, macro)


class StartedProgram:
    """A started program (a `RunningProgram`)."""

    def __init__(self, at: str, macro: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", str(__package__), f'/runmacro:"{macro}"'],
            env=os.environ | {AT: at},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C in the terminal is not for it
        )
        self.process_id = self._process.pid
        self._dialog: str | None = None
        threading.Thread(target=self._listen, name="chi760 windows", daemon=True).start()

    def running(self) -> bool:
        """True while the program has not ended."""
        return self._process.poll() is None

    def dialog(self) -> str | None:
        """Title and text of the modal window that is up, or None."""
        return self._dialog if self.running() else None

    def terminate(self) -> None:
        """End the program by force; the box goes on with what it does."""
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("dialog: "):
                self._dialog = line.removeprefix("dialog: ").strip()
        self._process.stdout.close()
        self._process.wait()


class BoxDoor:
    """Serves a box to the programs that connect, one at a time as by its serial port."""

    def __init__(
        self, launcher: EmulatedChi760, polarity: Literal["anodic_positive", "cathodic_positive"]
    ) -> None:
        self._launcher, self._polarity = launcher, polarity
        self._ids = itertools.count(1)

    def serve(self, connection: socket.socket) -> None:
        """Answer one program until it goes; its port is then closed, as that of a process is."""
        process_id = next(self._ids)
        try:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # then it has gone
                while True:
                    verb, *arguments = json.loads(receive_frame(connection))
                    answer = self._answer(process_id, verb, arguments)
                    send_frame(connection, json.dumps(answer).encode())
        finally:
            self._launcher.box.disconnect(process_id)

    def _answer(self, process_id: int, verb: str, arguments: list[Any]) -> tuple[bool, Any]:
        """Whether it went well, and the value or the failure's text."""
        box = self._launcher.box
        try:
            match verb:
                case "setup":
                    setup = self._launcher.next_setup()
                    about = {"overhead_s": setup.overhead_s, "faults": sorted(setup.faults)}
                    return True, {**about, "anodic_positive": self._polarity == "anodic_positive"}
                case "date":
                    return True, self._launcher.date().isoformat()
                case "connect":
                    return True, box.connect(process_id)
                case "disconnect":
                    return True, box.disconnect(process_id)
                case "start":
                    return True, box.start(_order(arguments[0]))
                case "remaining_s":
                    return True, box.remaining_s()
                case "fetch":
                    return True, box.fetch().tolist()
        except LinkError as failure:
            return False, str(failure)
        raise ValueError(f"a program sent {verb!r}, which nobody here understands")


class ServedBox:
    """The box and the desk as the started program sees them."""

    def __init__(self, at: str) -> None:
        host, _, port = at.rpartition(":")
        self._connection = greet(host, int(port), GREETING)
        self._connection.settimeout(None)

    def setup(self) -> Setup:
        """How this start of the program goes."""
        about = self._ask("setup")
        return Setup(
            process_id=os.getpid(),
            overhead_s=about["overhead_s"],
            form=SIMULATED_STATION_FORMAT,
            limits=DataLimits(),
            anodic_positive=about["anodic_positive"],
            faults=frozenset(about["faults"]),
        )

    def connect(self, process_id: int) -> None:
        """Open the port and reset the instrument."""
        self._ask("connect")

    def disconnect(self, process_id: int) -> None:
        """Close the port."""
        self._ask("disconnect")

    def start(self, order: Order) -> None:
        """Begin a run."""
        self._ask("start", asdict(order))

    def remaining_s(self) -> float:
        """Seconds until the run will be over."""
        return float(self._ask("remaining_s"))

    def fetch(self) -> NDArray[np.float64]:
        """The rows of the last run."""
        return np.array(self._ask("fetch"), np.float64)

    def date(self) -> datetime:
        """The present date and time."""
        return datetime.fromisoformat(self._ask("date"))

    def show(self, dialog: str) -> None:
        """Show a modal window."""
        with contextlib.suppress(BrokenPipeError):  # whoever started the program has gone
            print(f"dialog: {dialog}", flush=True)

    def _ask(self, verb: str, *arguments: Any) -> Any:
        """Ask for something; raises LinkError when the box says so, SystemExit when the bench has gone."""
        try:
            send_frame(self._connection, json.dumps([verb, *arguments]).encode())
            good, value = json.loads(receive_frame(self._connection))
        except OSError:
            raise SystemExit(1) from None
        if not good:
            raise LinkError(value)
        return value


def _order(fields: dict[str, Any]) -> Order:
    plan = fields.pop("plan")
    pieces = tuple(Piece(**piece) for piece in plan.pop("pieces"))
    parameters = tuple((name, value) for name, value in plan.pop("parameters"))
    return Order(Plan(**plan, pieces=pieces, parameters=parameters), **fields)
