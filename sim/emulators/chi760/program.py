"""The vendor program: from its command line to its result files, as a generator of the times it sleeps.

One generator serves both doors: in process it is woken by the bench's clock, as a program of its own by
whoever holds the instrument (see launch.py and __main__.py). What is assumed of it: docs/chi760c.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .box import LinkError, Order
from .macro import MacroRefusedError, Step, check, read_commands
from .techniques import RECIPES, DataLimits, Value
from .text import DataSet, TextFormat, write_binary, write_text

BETWEEN_RUNS_S = 0.3
"""Saving, parameter transfer and relays between two runs of one macro."""
_LOOKS_S = 0.5
_KEPT_WHEN_TRUNCATED = 0.6


class Link(Protocol):
    """The serial link to the box; every call may raise LinkError."""

    def connect(self, process_id: int) -> None:
        """Open the port and reset the instrument."""
        ...

    def disconnect(self, process_id: int) -> None:
        """Close the port."""
        ...

    def start(self, order: Order) -> None:
        """Begin a run."""
        ...

    def remaining_s(self) -> float:
        """Seconds until the run will be over; 0 when none is going on."""
        ...

    def fetch(self) -> NDArray[np.float64]:
        """The rows of the last run."""
        ...


class Desk(Protocol):
    """The computer that the program runs on."""

    def date(self) -> datetime:
        """The present date and time."""
        ...

    def show(self, dialog: str) -> None:
        """Show a modal window: title and text."""
        ...


@dataclass(frozen=True)
class Setup:
    """How the program is installed, and what befalls this start of it."""

    process_id: int
    overhead_s: float
    """Start, loading, saving and quitting together, beyond quiet and run times."""
    form: TextFormat
    limits: DataLimits
    anodic_positive: bool = True
    """The setting "Current Polarity", which is in no file."""
    faults: frozenset[str] = frozenset()


class ProgramCrashed(Exception):  # noqa: N818 - it is what happens, not an error of the emulator
    """The program ended without warning (the faults chi_never_starts and chi_crash_in_run)."""


class _Dialog(Exception):  # noqa: N818 - a window that nobody will close
    """A modal window comes up: title and text."""


def vendor_program(arguments: list[str], link: Link, desk: Desk, setup: Setup) -> Iterator[float]:
    """Run the program; yields how long it sleeps next (s), infinity when it waits for a person.

    Ends only after `forcequit`. Raises ProgramCrashed when the fault says so.
    """
    if "chi_never_starts" in setup.faults:
        raise ProgramCrashed
    yield 0.75 * setup.overhead_s
    macro = _macro_argument(arguments)
    try:
        try:
            link.connect(setup.process_id)
            if macro is None:
                yield from _wait_for_ever()
            else:
                steps = check(read_commands(_read(macro)))
                yield from _Session(link, desk, setup).carry_out(steps)
        except LinkError as failure:
            raise _Dialog(f"Error: {failure}") from failure
        except MacroRefusedError as refusal:
            raise _Dialog(f"Macro Command: {refusal}") from refusal
    except _Dialog as dialog:
        desk.show(str(dialog))
        yield from _wait_for_ever()


def _wait_for_ever() -> Iterator[float]:
    while True:
        yield math.inf


def _macro_argument(arguments: list[str]) -> Path | None:
    """The macro file of `/runmacro:"..."` (quotes optional); None for anything else: an open window."""
    match = re.fullmatch(r'/runmacro:"?([^"]+)"?', arguments[0]) if len(arguments) == 1 else None
    return Path(match[1]) if match else None


def _read(macro: Path) -> bytes:
    if not macro.is_file():
        raise MacroRefusedError(f"Can not open file {macro}")
    return macro.read_bytes()


class _Session:
    """What the program remembers while it works through a macro."""

    def __init__(self, link: Link, desk: Desk, setup: Setup) -> None:
        self._link, self._desk, self._setup = link, desk, setup
        self._technique = "cv"
        self._values: dict[str, Value] = dict(RECIPES["cv"].defaults)
        self._states: dict[str, bool] = {}
        self._memo = {"header": "", "note": ""}
        self._folder, self._override = ".", False
        self._data: DataSet | None = None

    def carry_out(self, steps: list[Step]) -> Iterator[float]:
        """Do what a checked macro says; returns when the program quits, otherwise waits for ever."""
        if "chi_dialog_on_start" in self._setup.faults:
            raise _Dialog("Warning: Reference or counter electrode not connected. Continue?")
        if any(step.verb == "macrotest" for step in steps):
            raise _Dialog("Information: No error in the macro commands")
        for step in steps:
            if step.verb == "forcequit":
                yield 0.25 * self._setup.overhead_s
                self._link.disconnect(self._setup.process_id)
                return
            yield from self._do(step)
        yield from _wait_for_ever()

    def _do(self, step: Step) -> Iterator[float]:
        match step.verb.split():
            case ["tech"]:
                self._technique = str(step.value)
                self._values = dict(RECIPES[self._technique].defaults)
            case ["set", name]:
                self._values[name] = step.value
            case ["header" | "note" as name]:
                self._memo[name] = str(step.value)
            case ["folder"]:
                self._folder = str(step.value)
            case ["fileoverride"]:
                self._override = True
            case ["delay"]:
                yield float(step.value)
            case ["run"]:
                yield from self._run()
            case ["save"]:
                self._save(str(step.value))
            case [state]:
                self._states[state] = bool(step.value)

    def _run(self) -> Iterator[float]:
        if self._data is not None:
            yield BETWEEN_RUNS_S
        plan = RECIPES[self._technique].plan(self._values, self._setup.limits)
        self._link.start(Order(plan, **self._states))
        if self._setup.faults & {"chi_crash_in_run", "chi_hang"}:
            yield self._link.remaining_s() / 2
            if "chi_crash_in_run" in self._setup.faults:
                raise ProgramCrashed
            yield from _wait_for_ever()
        while (left_s := self._link.remaining_s()) > 0:
            yield min(left_s, _LOOKS_S)
        source = "Int Dummy" if self._states.get("dummy") else "Experiment"
        values = self._link.fetch()
        wrong_polarity = "chi_wrong_polarity" in self._setup.faults
        if not plan.open_circuit and self._setup.anodic_positive == wrong_polarity:
            values = -values
        self._data = DataSet(plan, values, self._desk.date(), **self._memo, source=source)
        if "chi_wrong_technique" in self._setup.faults:
            self._data = _another_technique(self._data)

    def _save(self, name: str) -> None:
        assert self._data is not None, "the check refuses to save before a run"
        path = Path(self._folder) / name
        if "chi_dialog_on_save" in self._setup.faults:
            raise _Dialog(f"Warning: Can not write file {path}")
        if path.exists() and not self._override:
            raise _Dialog(f"Warning: {path} already exists. Do you want to replace it?")
        if not self._data.file:
            self._data = replace(self._data, file=f"{self._folder}\\{name}")
        content = write_binary(self._data) if path.suffix == ".bin" else self._text(self._data)
        if path.suffix != ".bin" and "chi_missing_result" in self._setup.faults:
            return
        try:
            path.write_bytes(content)
        except OSError as failure:
            raise _Dialog(f"Warning: Can not write file {path}") from failure

    def _text(self, data: DataSet) -> bytes:
        form = self._setup.form
        content = write_text(data, form)
        if "chi_truncated_result" in self._setup.faults:
            kept = round(len(content) * _KEPT_WHEN_TRUNCATED)
            content = content[: content.rindex(form.separator[0].encode(), 0, kept) + 3]
        return content


def _another_technique(data: DataSet) -> DataSet:
    """A data set of another technique, with as many rows of the same numbers as it takes."""
    name = "cv" if data.plan.technique == "i-t" else "i-t"
    values = dict(RECIPES[name].defaults)
    if name == "i-t":
        values["st"] = 0.1 * len(data.values)
    plan = RECIPES[name].plan(values, DataLimits())
    return replace(data, plan=plan, values=np.resize(data.values, plan.samples))
