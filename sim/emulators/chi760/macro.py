"""Macro files as the emulated program reads them: length prefix, grammar, and the check of every line.

Grammar and ranges: the vendor's help pages (700C tables; where the macro list is stricter
than the dialogs, the macro list). The check comes before anything runs, as the real program's does.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from .techniques import RECIPES, Setting

REAL_TECHNIQUES = frozenset(
    {"acv", "be", "ca", "cc", "cp", "cv", "dnpv", "dpv", "hmv", "imp", "impe", "impt", "i-t", "istep", "lsv"}
    | {"npv", "ocpt", "psa", "scv", "ssf", "step", "swv", "tafel"}
)
"""Names that the real program knows; the emulator has those in `RECIPES`."""

_POTENTIAL = Setting(-10.0, 10.0)
_GENERAL: dict[str, Setting] = {
    "ei": _POTENTIAL, "eh": _POTENTIAL, "el": _POTENTIAL, "ef": _POTENTIAL,
    **{f"es{k}": _POTENTIAL for k in range(1, 13)},
    **{f"st{k}": Setting(0.0, 10_000.0) for k in range(1, 13)},
    "v": Setting(1e-6, 20_000.0), "cl": Setting(1, 10_000, whole=True), "si": Setting(1e-6, 50.0),
    "st": Setting(1e-4, 500_000.0), "pw": Setting(1e-4, 1000.0), "qt": Setting(0.0, 100_000.0),
    "sens": Setting(1e-12, 0.1, decades=True),
}  # fmt: skip
"""Parameters of any technique; one that the present technique does not use is checked and left alone."""

_SWITCHES = {
    "cellon": ("keep_cell_on", True), "celloff": ("keep_cell_on", False),
    "dummyon": ("dummy", True), "dummyoff": ("dummy", False),
    "knockon": ("knock", True), "knockoff": ("knock", False),
    "initeon": ("return_to_initial", True), "initeoff": ("return_to_initial", False),
    "abortov": ("stop_on_overflow", True),
}  # fmt: skip
_NO_EFFECT = frozenset({"beep", "trigoff", "auxoff", "e2off", "i2off", "ircompoff", "pcoff", "3-e"})
_REAL_COMMANDS = re.compile(
    r"eio|eho|elo|efo|eioei|eioef|eiocenter|(ei|ef|eh|el|v|pw)incr|fullcycle(on|off)|sens2|autosens|impautosens"
    r"|ht|4-e|ircompon|mir|pcon|pc[et][123]|noabort|abort(igt|ilt|q|10s|chgt)|trigon|trigmode|auxon|purge|stir"
    r"|aflt|flt[1-5]|for[a-j]?|next[a-j]?|call|sub|ret|e2|e2on|i2on|e2scan|e2d|e2dscan|swap(on|off)"
    r"|o[1-5](h|l|ph|pl)|w[lh]in[123]|spec(on|off)|fl|fh|amp|(ei|ef|v)[1-6]"
)
_NAMED_FILES = {"save": ".bin", "tsave": ".txt", "csvsave": ".csv"}


class MacroRefusedError(Exception):
    """The program refuses the macro; the text is what its dialog says."""


@dataclass(frozen=True)
class Command:
    """One line of a macro: its number, the name in lower case without blanks, the value as written."""

    line: int
    name: str
    value: str


@dataclass(frozen=True)
class Step:
    """One thing to do, checked: a verb and what it acts on."""

    verb: str
    value: str | float | bool = ""


def read_commands(data: bytes) -> list[Command]:
    """Split the bytes of a macro file into commands.

    The first four bytes are the length of the text (little-endian): a larger one is tolerated, a
    smaller one cuts the text. Raises MacroRefusedError when there are fewer than four bytes.
    """
    if len(data) < 4:
        raise MacroRefusedError("Can not read the macro file")
    (length,) = struct.unpack_from("<I", data)
    text = data[4 : 4 + length].decode("latin-1")
    commands = []
    for number, raw in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        line = re.split("[;#]", raw, maxsplit=1)[0].strip()
        if line:
            name, _, value = re.sub("[:=]", "\0", line, count=1).partition("\0")
            commands.append(Command(number, re.sub(r"\s", "", name).lower(), value.strip()))
    return commands


def check(commands: list[Command]) -> list[Step]:
    """Check every command and return what is to be done, in order.

    Raises MacroRefusedError with the first fault: nothing of the macro runs then.
    """
    checker = _Checker()
    for command in commands:
        if command.name == "end":
            break
        checker.take(command)
    return checker.steps


class _Checker:
    """Walks through a macro and keeps what later commands are judged by."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._technique = "cv"
        self._values: dict[str, float | str | bool] = dict(RECIPES["cv"].defaults)
        self._has_run = False

    def take(self, command: Command) -> None:
        name = command.name
        try:
            if name == "tech":
                self._take_technique(command.value.replace(" ", "").lower())
            elif name in _GENERAL:
                self._take_number(name, command.value.replace(" ", ""))
            elif name == "pn":
                self._take_sign(command.value.lower())
            elif name in ("efon", "efoff"):
                self._set("efon", name == "efon")
            elif name in _SWITCHES:
                key, value = _SWITCHES[name]
                self._add(key, value)
            elif name not in _NO_EFFECT:
                self._take_action(command)
        except MacroRefusedError as fault:
            raise MacroRefusedError(f"Line {command.line}: {fault}") from fault

    def _take_technique(self, name: str) -> None:
        if name not in REAL_TECHNIQUES:
            raise MacroRefusedError(f"unknown technique: {name}")
        if name not in RECIPES:
            raise MacroRefusedError(f"the emulated program does not have the technique {name}")
        self._technique, self._values = name, dict(RECIPES[name].defaults)
        self._add("tech", name)

    def _take_number(self, name: str, text: str) -> None:
        try:
            value = float(text)
        except ValueError:
            raise MacroRefusedError(f"{name}: not a number: {text!r}") from None
        setting = RECIPES[self._technique].settings.get(name, _GENERAL[name])
        if not setting.allows(value):
            raise MacroRefusedError(f"{name} = {text} out of range ({setting.lower:g} to {setting.upper:g})")
        self._set(name, value)

    def _take_sign(self, value: str) -> None:
        if value not in ("p", "n"):
            raise MacroRefusedError(f"pn: {value!r} is neither p nor n")
        self._set("pn", value)

    def _take_action(self, command: Command) -> None:
        name, value = command.name, command.value
        if name == "run":
            if fault := RECIPES[self._technique].fault(self._values):
                raise MacroRefusedError(f"{self._technique}: {fault}")
            self._has_run = True
            self._add("run")
        elif name in _NAMED_FILES:
            self._take_file(name, value)
        elif name == "folder":
            if not Path(value).is_dir():
                raise MacroRefusedError(f"folder does not exist: {value}")
            self._add("folder", value)
        elif name in ("header", "note"):
            self._add(name, value)
        elif name in ("fileoverride", "macrotest"):
            self._add(name)
        elif name == "delay":
            self._add(name, _whole(value, 1, 32_000))
        elif name == "forcequit":
            if value.lower() != "yesiamsure":
                raise MacroRefusedError("forcequit needs yesiamsure")
            self._add(name)
        elif _REAL_COMMANDS.fullmatch(name):
            raise MacroRefusedError(f"the emulated program does not have the command {name}")
        else:
            raise MacroRefusedError(f"unknown command: {name}")

    def _take_file(self, name: str, value: str) -> None:
        if not value or re.search(r'[\\/:*?"<>|.]', value):
            raise MacroRefusedError(f"{name}: bad file name: {value!r}")
        if not self._has_run:
            raise MacroRefusedError(f"{name}: there is no data to save")
        self._add("save", value + _NAMED_FILES[name])

    def _set(self, name: str, value: float | str | bool) -> None:
        self._values[name] = value
        self.steps.append(Step(f"set {name}", value))

    def _add(self, verb: str, value: str | float | bool = "") -> None:
        self.steps.append(Step(verb, value))


def _whole(text: str, lower: int, upper: int) -> float:
    value = float(text) if re.fullmatch(r"\d+", text) else math.nan
    if not lower <= value <= upper:
        raise MacroRefusedError(f"{text!r} is not a whole number from {lower} to {upper}")
    return value
