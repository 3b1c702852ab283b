"""A stage of a module's rig, and a scripted CHI program: it writes plain results."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from qdlab.instruments.base import VendorSoftwareMissingError
from qdlab.sim.clock import SimulatedClock

HEADERS = {
    "cv": (
        "Cyclic Voltammetry",
        "ei=Init E (V) eh=High E (V) el=Low E (V) pn=Init P/N v=Scan Rate (V/s) cl=Segment "
        "si=Sample Interval (V) qt=Quiet Time (sec) sens=Sensitivity (A/V)",
    ),
    "lsv": (
        "Linear Sweep Voltammetry",
        "ei=Init E (V) ef=Final E (V) v=Scan Rate (V/s) si=Sample Interval (V) qt=Quiet Time (sec) "
        "sens=Sensitivity (A/V)",
    ),
    "i-t": (
        "Amperometric i-t Curve",
        "ei=Init E (V) si=Sample Interval (s) st=Run Time (sec) qt=Quiet Time (sec) sens=Sensitivity (A/V)",
    ),
    "step": (
        "Multi-Potential Steps",
        "es1=E1 (V) st1=T1 (s) es2=E2 (V) st2=T2 (s) cl=Cycle si=Sample Interval (s) qt=Quiet Time (sec) "
        "sens=Sensitivity (A/V)",
    ),
    "ocpt": ("Open Circuit Potential - Time", "si=Sample Interval (V) st=Run Time (sec)"),
}


@dataclass
class MacroRun:
    """One `run` of a macro with the settings that held for it."""

    tech: str
    values: dict[str, str]
    switches: list[str]
    header: str
    saves: list[str] = field(default_factory=list)

    def number(self, name: str) -> float:
        return float(self.values.get(name, 0))

    def duration_s(self) -> float:
        n = self.number
        match self.tech:
            case "cv":
                return n("cl") * (n("eh") - n("el")) / n("v")
            case "lsv":
                return abs(n("ef") - n("ei")) / n("v")
            case "step":
                return n("cl") * sum(float(v) for k, v in self.values.items() if re.fullmatch(r"st\d+", k))
        return n("st")

    def text(self) -> str:
        long_name, keys = HEADERS[self.tech]
        pairs = [pair.split("=") for pair in re.findall(r"\w+=[^=]*(?= \w+=|$)", keys)]
        values = {"pn": self.values.get("pn", "").upper()}
        block = "\n".join(f"{key} = {values.get(name) or self.values[name]}" for name, key in pairs)
        memo = f"May 1, 2024   10:00:00\n{long_name}\nFile: \nData Source:  Experiment\n"
        memo += f"Instrument Model:  CHI760C\nHeader: {self.header}\nNote: "
        return "\n\n".join([memo, block, *self.rows()]) + "\n"

    def rows(self) -> tuple[str, str]:
        n = self.number
        if self.tech in ("cv", "lsv"):
            to = n("ef") if self.tech == "lsv" else n("el") if self.values["pn"] == "n" else n("eh")
            count = round(abs(to - n("ei")) / n("si"))
            towards = n("ei") + (to - n("ei")) * np.arange(count) / count
            cycle = np.concatenate([towards, to + n("ei") - towards]) if self.tech == "cv" else towards
            potential = np.tile(cycle, round(self.number("cl") / 2) if self.tech == "cv" else 1)
            sign = np.where(np.arange(len(potential)) % (2 * count) < count, 1, -1) * np.sign(to - n("ei"))
            current = 1e-7 * sign + 1e-9 * np.sin(np.arange(len(potential)))
            rows = [f"{e:.3f}, {i:.3e}" for e, i in zip(potential, current, strict=True)]
            return "Potential/V, Current/A", "\n".join(rows)
        quantity = "Potential/V" if self.tech == "ocpt" else "Current/A"
        times = n("si") * np.arange(1, round(self.duration_s() / n("si")) + 1)
        return f"Time/sec, {quantity}", "\n".join(f"{t:.3e}, 2.000e-8" for t in times)


def take_apart(macro: Path) -> tuple[list[MacroRun], list[str]]:
    """The runs of a macro file and all its lines."""
    raw = macro.read_bytes()
    (length,) = struct.unpack_from("<I", raw)
    assert length == len(raw) - 4
    lines = raw[4:].decode("ascii").split("\r\n")
    assert lines.pop() == ""
    runs, values, switches, tech, header = [], {}, [], "", ""
    for line in lines:
        name, _, value = (part.strip() for part in re.sub("[:=]", "\0", line, count=1).partition("\0"))
        if name == "tech":
            tech, values, switches = value, {}, []
        elif name == "header":
            header = value
        elif name == "run":
            runs.append(MacroRun(tech, values, switches, header))
        elif name in ("tsave", "save"):
            runs[-1].saves.append(value)
        elif value and name not in ("folder", "forcequit"):
            values[name] = value
        elif not value:
            switches.append(name)
    return runs, lines


class ScriptedProgram:
    """Writes each result when its time has come; ends by itself unless the script says otherwise."""

    def __init__(self, launcher: ScriptedLauncher, macro: Path) -> None:
        self.launcher, self.folder = launcher, macro.parent
        self.runs, self.lines = take_apart(macro)
        self._end_s = launcher.clock.now() + launcher.start_up_s
        self._started_s = launcher.clock.now()
        self._next = 0
        self.terminated = False

    def running(self) -> bool:
        if self.terminated or self._crashed():
            return False
        if self.launcher.dialog_text is not None:
            return True
        now_s = self.launcher.clock.now()
        while self._next < len(self.runs):
            run = self.runs[self._next]
            run_s = run.number("qt") + run.duration_s()
            if now_s < self._end_s + run_s:
                return True
            self._end_s += run_s + 0.3
            self.launcher.true_starts_s.append(self._end_s - 0.3 - run.duration_s())
            self._next += 1
            self._write(run)
        return self.launcher.hangs or now_s < self._end_s + 0.2

    def _crashed(self) -> bool:
        after_s = self.launcher.crash_after_s
        return after_s is not None and self.launcher.clock.now() - self._started_s > after_s

    def _write(self, run: MacroRun) -> None:
        if not run.saves:
            return
        if run.saves[0] in self.launcher.withheld:
            (self.folder / f"{run.saves[0]}.bin").write_bytes(b"scripted")
            return
        text = self.launcher.edit(run.text())
        (self.folder / f"{run.saves[0]}.txt").write_bytes(text.replace("\n", "\r\n").encode("latin-1"))

    def dialog(self) -> str | None:
        return self.launcher.dialog_text

    def terminate(self) -> None:
        self.terminated = True


class ScriptedLauncher:
    """Starts scripted programs; its attributes are the script."""

    simulated = True
    shared = False

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.start_up_s = 4.0
        self.dialog_text: str | None = None
        self.crash_after_s: float | None = None
        self.hangs = False
        self.withheld: set[str] = set()
        self.edit: Callable[[str], str] = lambda text: text
        self.missing = False
        self.started: list[ScriptedProgram] = []
        self.true_starts_s: list[float] = []

    def check(self) -> str:
        if self.missing:
            raise VendorSoftwareMissingError("there is no scripted program here")
        return "scripted program"

    def start(self, macro: Path) -> ScriptedProgram:
        self.check()
        self.started.append(ScriptedProgram(self, macro))
        return self.started[-1]


@pytest.fixture
def launcher() -> ScriptedLauncher:
    return ScriptedLauncher(SimulatedClock())


@pytest.fixture
def stage(rig):
    """The stage of the module's own `rig`, connected."""
    with rig.stage() as stage:
        yield stage
