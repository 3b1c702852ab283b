"""The emulated program as a program: `python -m qdlab.sim.emulators.chi760 '/runmacro:"FILE"'`.

Started by `SubprocessChi760` it finds its instrument by environment variables. Otherwise it has a cell
of its own and these variables: QDLAB_CHI760_TIME_FACTOR (wall seconds per second, 0 = at once, default
1), QDLAB_CHI760_SEED, QDLAB_CHI760_FAULTS (names, separated by commas). Dialogs are lines on standard
output that begin with `dialog: `.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from datetime import datetime
from multiprocessing.connection import Client
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from ...clock import SimulatedClock
from .box import LinkError, Order
from .faults import FAULTS
from .launch import KEY, PORT, EmulatedChi760
from .program import ProgramCrashed, vendor_program

if TYPE_CHECKING:
    from ...physics.cell import Cell


class Pipe(Protocol):
    """A connection of multiprocessing, of whichever kind the platform has."""

    def send(self, obj: Any, /) -> None:
        """Send one object."""
        ...

    def recv(self) -> Any:
        """Wait for one object; raises EOFError when the other end has gone."""
        ...


class RemoteBench:
    """Box and desk at the other end of a connection, as the program sees them."""

    def __init__(self, connection: Pipe) -> None:
        self._connection = connection

    def ask(self, verb: str, *arguments: Any) -> Any:
        """Ask for something; raises LinkError when the box says so."""
        self._connection.send((verb, *arguments))
        good, value = self._connection.recv()
        if not good:
            raise LinkError(value)
        return value

    def sleep(self, duration_s: float) -> None:
        """Hand over to the bench until it is time."""
        self._connection.send(("sleep", duration_s))
        self._connection.recv()

    def connect(self, process_id: int) -> None:
        """Open the port and reset the instrument."""
        self.ask("connect", process_id)

    def disconnect(self, process_id: int) -> None:
        """Close the port."""
        self.ask("disconnect", process_id)

    def start(self, order: Order) -> None:
        """Begin a run."""
        self.ask("start", order)

    def remaining_s(self) -> float:
        """Seconds until the run will be over."""
        return self.ask("remaining_s")

    def fetch(self) -> NDArray[Any]:
        """The rows of the last run."""
        return self.ask("fetch")

    def date(self) -> datetime:
        """The present date and time."""
        return self.ask("date")

    def show(self, dialog: str) -> None:
        """Show a modal window."""
        print(f"dialog: {dialog}", flush=True)
        self.ask("show", dialog)


class LoneBench:
    """A bench with nothing but a cell, for a program that was started by hand."""

    def __init__(self) -> None:
        from ...physics.cell import Cell

        factor = float(os.environ.get("QDLAB_CHI760_TIME_FACTOR", "1"))
        self.clock = SimulatedClock(1 / factor if factor else math.inf)
        self.seed = int(os.environ.get("QDLAB_CHI760_SEED", "0"))
        self.cell: Cell = Cell(seed=self.seed)
        self.faults = frozenset(filter(None, os.environ.get("QDLAB_CHI760_FAULTS", "").split(",")))
        if unknown := sorted(self.faults - FAULTS.keys()):
            raise SystemExit(f"QDLAB_CHI760_FAULTS names unknown faults {unknown}; known: {sorted(FAULTS)}")

    def apply_potential(
        self, cell_ps: int | NDArray[Any], applied_v: NDArray[Any], interface_v: NDArray[Any]
    ) -> None:
        """Nothing else stands on this bench."""

    def open_cell(self) -> None:
        """Nothing else stands on this bench."""


def run_in_lockstep(arguments: list[str]) -> int:
    """Run against the bench that started this program; returns the exit status."""
    key = bytes.fromhex(os.environ[KEY])
    with Client(("127.0.0.1", int(os.environ[PORT])), authkey=key) as connection:
        bench = RemoteBench(connection)
        try:
            for delay_s in vendor_program(arguments, bench, bench, bench.ask("setup")):
                bench.sleep(delay_s)
        except ProgramCrashed:
            return 3
        except EOFError:  # the bench has gone
            return 1
    return 0


def run_served(arguments: list[str]) -> int:
    """Run in real time against a box that another process serves; returns the exit status."""
    from .served import AT, ServedBox

    try:
        box = ServedBox(os.environ[AT])
    except OSError:  # the bench has gone
        return 1
    try:
        for delay_s in vendor_program(arguments, box, box, box.setup()):
            if math.isinf(delay_s):
                threading.Event().wait()
            time.sleep(delay_s)
    except ProgramCrashed:
        return 3
    return 0


def run_alone(arguments: list[str]) -> int:
    """Run with a cell of its own; returns the exit status."""
    bench = LoneBench()
    launcher = EmulatedChi760(bench)
    program = launcher.start_with(arguments)
    while program.running():
        if (dialog := program.dialog()) is not None:
            print(f"dialog: {dialog}", flush=True)
            threading.Event().wait()
        bench.clock.sleep(0.1)
    return 0


def main(arguments: list[str]) -> int:
    """Run the program with a command line; returns the exit status."""
    if PORT in os.environ:
        return run_in_lockstep(arguments)
    return run_served(arguments) if "QDLAB_CHI760_AT" in os.environ else run_alone(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
