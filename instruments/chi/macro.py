"""The macro file of the CHI program: every parameter and every control state explicit."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from .blocks import PlannedRun
from .parameters import parameters

_CONTROLS_OFF = ("ircompoff", "e2off", "trigoff", "knockoff", "auxoff", "pcoff")
"""Control states outlive a run and even the program, so each is set anew."""


def macro_text(runs: Sequence[PlannedRun], folder: Path, *, save: bool = True) -> str:
    """The macro that makes all `runs` in one program start, saves each under its own name, and quits.

    The cell stays on from run to run and goes off after the last one. Without `save` nothing is written,
    so that nothing about files can stop it.
    """
    lines = [f"folder: {folder}", "fileoverride"]
    for run in runs:
        technique, values = parameters(run.part)
        lines += [f"header: {run.header}", f"tech={technique}"]
        lines += [f"{command}={_written(value)}" for command, value in values.items()]
        if technique == "cv":
            lines.append("efoff")
        lines += _CONTROLS_OFF
        lines += ["initeoff", "celloff" if run is runs[-1] else "cellon", "run"]
        if save:
            lines += [f"tsave: {run.name}", f"save: {run.name}"]
    return "\n".join([*lines, "forcequit: yesiamsure", ""])


def _written(value: float | int | str) -> str:
    """A value as it goes into the macro: the shortest decimal that gives the same number back."""
    if isinstance(value, str):
        return value
    text = repr(float(value) + 0.0)  # + 0.0: no minus zero
    return text.removesuffix(".0")


def encode_macro(text: str) -> bytes:
    """The bytes of a `.mcr` file: the exact length as little-endian uint32, then the text with CRLF."""
    body = text.replace("\n", "\r\n").encode("ascii")
    return struct.pack("<I", len(body)) + body
