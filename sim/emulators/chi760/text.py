"""Result files as the vendor program writes them, byte for byte, after public recordings."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .techniques import Plan, Value

_MONTHS = ("Jan.", "Feb.", "Mar.", "Apr.", "May", "June", "July", "Aug.", "Sept.", "Oct.", "Nov.", "Dec.")
_SWEEPS = ("cv", "lsv")
_LIFT = 1e-12
"""Relative: turns halves of a decimal only, real files having single precision (the next is 6e-8 away)."""


@dataclass(frozen=True)
class TextFormat:
    """The program's settings for text files and its name, kept in its .cfg file."""

    model: str = "CHI760C"
    digits: int = 4
    """Significant digits, 4 to 10."""
    separator: Literal[", ", "\t"] = ", "
    dialect: Literal["old", "new"] = "new"
    """Programs of about 2020 and later write a `Results:` block."""
    charge: bool = False
    time: bool = False
    """Extra columns: charge for currents, time for voltammetry."""


@dataclass(frozen=True)
class DataSet:
    """What the program holds in its window after a run."""

    plan: Plan
    values: NDArray[np.float64]
    """Current in ampere with the sign that the program shows, or potential in volt; one per row run."""
    ended: datetime
    header: str = ""
    note: str = ""
    source: str = "Experiment"
    file: str = ""
    """Path as shown in the `File:` line, any case."""


def shortest(value: Value) -> str:
    """A parameter as the program prints it: `2`, `-0.2`, `1e-7`, `9.999e+3`; counts and words in full."""
    if isinstance(value, str | int):
        return str(value)
    if value == 0 or 1e-3 * (1 - 1e-9) <= abs(value) < 1e3:
        return f"{value:.10g}" if value else "0"
    mantissa, exponent = f"{value:.9e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent):+d}"


def scientific(value: float, digits: int) -> str:
    """A number as it stands in the rows: `7.244e-9`, `1.000e+1`; halves are rounded away from zero."""
    mantissa, exponent = f"{value * (1 + _LIFT):.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent):+d}"


def write_text(data: DataSet, form: TextFormat) -> bytes:
    """The `.txt` (and `.csv`) file of a data set."""
    lines = [*_memo(data, form), *_parameters(data.plan), *_results(data, form)]
    lines += [form.separator.join(_columns(data.plan, form)), "", *_rows(data, form)]
    return "".join(line + "\r\n" for line in lines).encode("latin-1", errors="replace")


def write_binary(data: DataSet) -> bytes:
    """The `.bin` file, reduced (section 9.6): names, count, date, then the rows as 32-bit floats."""
    values = data.values[data.plan.skipped :].astype("<f4")
    short = "i-t" if data.plan.technique == "i-t" else data.plan.technique.upper()
    out = struct.pack("<I", 0x1DF280)
    for text in (short, data.plan.long_name, data.header):
        out += struct.pack("<I", len(text)) + text.encode("latin-1", errors="replace")
    settings = bytearray(1649)
    settings[24:33] = struct.pack("<I", 5) + b"QD760"
    when = data.ended
    date = (when.year, when.month, when.day, when.hour, when.minute, when.second)
    struct.pack_into("<I4xI6I", settings, 573, len(values), len(values), *date)
    return out + bytes(settings) + values.tobytes()


def _memo(data: DataSet, form: TextFormat) -> list[str]:
    when = data.ended
    return [
        f"{_MONTHS[when.month - 1]} {when.day}, {when.year}   {when:%H:%M:%S}",
        data.plan.long_name,
        f"File: {data.file.lower()}",
        f"Data Source:  {data.source}",
        f"Instrument Model:  {form.model}",
        f"Header: {data.header}",
        f"Note: {data.note}",
        "",
    ]


def _parameters(plan: Plan) -> list[str]:
    return [*(f"{key} = {shortest(value)}" for key, value in plan.parameters), ""]


def _results(data: DataSet, form: TextFormat) -> list[str]:
    if data.plan.technique == "ocpt":
        return []
    lines = ["Results:", "", "Channel 1:"] if form.dialect == "new" else []
    if data.plan.technique == "cv":
        for k, labels_v, current_a in _segments(data):
            lines += [f"Segment {k}:", *(_peaks(data.plan, labels_v, current_a) or [""])]
    elif data.plan.technique == "lsv":
        for _, labels_v, current_a in _segments(data):
            lines += _peaks(data.plan, labels_v, current_a)
    elif data.plan.technique == "ca":
        lines += _root_time_lines(data)
    if form.dialect == "new" and lines[-1] != "":
        lines.append("")
    return lines


def _columns(plan: Plan, form: TextFormat) -> list[str]:
    if plan.technique == "ocpt":
        return ["Time/sec", "Potential/V"]
    charge = ["Charge/C"] if form.charge else []
    if plan.technique in _SWEEPS:
        return ["Potential/V", "Current/A", *charge, *(["Time/s"] if form.time else [])]
    return ["Time/sec", "Current/A", *charge]


def _rows(data: DataSet, form: TextFormat) -> Iterator[str]:
    plan, kept = data.plan, slice(data.plan.skipped, len(data.values))
    times_s = (np.arange(1, plan.samples + 1, dtype=np.float32) * np.float32(plan.sample_s))[kept]
    charge_c = (np.cumsum(data.values) * plan.sample_s)[kept]
    sweep = plan.technique in _SWEEPS
    first = [f"{v:.3f}" for v in _labels(plan)[kept]] if sweep else _column(times_s, form)
    columns = [first, _column(data.values[kept], form)]
    if form.charge and plan.technique != "ocpt":
        columns.append(_column(charge_c, form))
    if form.time and sweep:
        columns.append(_column(times_s, form))
    rows = [form.separator.join(row) for row in zip(*columns, strict=True)]
    if not (plan.technique == "cv" and (form.charge or form.time)):
        yield from rows
        return
    start = 0
    for k, piece in list(enumerate(plan.pieces, start=1))[plan.first_stored :]:
        yield from ([] if start == 0 else [""])
        yield f"Segment {k}:"
        yield from rows[start : start + piece.samples]
        start += piece.samples


def _labels(plan: Plan) -> NDArray[np.float64]:
    """Labels with the minus that zero has in real files: within the first segment and on rising ones."""
    labels_v, start = np.round(plan.labels_v(), 9) + 0.0, 0
    for k, piece in enumerate(plan.pieces):
        inside = labels_v[start + 1 : start + piece.samples]
        if k == 0 or piece.end_v > piece.start_v:
            inside[inside == 0.0] = -0.0
        start += piece.samples
    return labels_v


def _column(values: NDArray[np.floating], form: TextFormat) -> list[str]:
    """All values as `scientific` writes them, formatted in one go."""
    lifted = values.astype(np.float32).astype(np.float64) * (1 + _LIFT)
    text = f"%.{form.digits - 1}e\n" * len(lifted) % tuple(lifted.tolist())
    return text.replace("e-0", "e-").replace("e+0", "e+").split("\n")[:-1]


def _segments(data: DataSet) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
    """Number, labels and currents of every segment that is kept and was reached."""
    labels_v, start = _labels(data.plan), 0
    for k, piece in enumerate(data.plan.pieces, start=1):
        reached = start < len(data.values) or piece.samples == 0
        if k > data.plan.first_stored and reached:
            rows = slice(start, min(start + piece.samples, len(data.values)))
            yield k, labels_v[rows], data.values[rows]
        start += piece.samples


def _peaks(plan: Plan, labels_v: NDArray[np.float64], current_a: NDArray[np.float64]) -> list[str]:
    """Groups of Ep, ip and Ah: maxima of |i| over a straight base line between their feet.

    Stands in for the vendor's automatic search, whose rules are not public.
    """
    from scipy.signal import find_peaks, peak_prominences  # slow to import, and most runs have no peaks

    lines: list[str] = []
    if len(current_a) < 50:
        return lines
    span_a = float(np.ptp(current_a))
    for sign in (1, -1):
        signal = sign * current_a
        found, _ = find_peaks(signal, prominence=max(0.2 * span_a, 0.02 * plan.sensitivity_a_v), width=5)
        _, left, right = peak_prominences(signal, found)
        for peak, a, b in zip(found, left, right, strict=True):
            base = np.interp(np.arange(a, b + 1), [a, b], current_a[[a, b]])
            above = current_a[a : b + 1] - base
            lines += [
                f"Ep = {labels_v[peak]:.3f}V",
                f"ip = {scientific(float(above[peak - a]), 4)}A",
                f"Ah = {scientific(float(above.sum()) * plan.sample_s, 4)}C",
                "",
            ]
    return lines


def _root_time_lines(data: DataSet) -> list[str]:
    """Straight line through current against one over root time, of the first two steps."""
    lines, start = [], 0
    for name, piece in zip(("Forward", "Reverse"), data.plan.pieces, strict=False):
        current_a = data.values[start : start + piece.samples]
        start += piece.samples
        if len(current_a) < 2:
            break
        root = (np.arange(1, len(current_a) + 1) * data.plan.sample_s) ** -0.5
        slope, intercept = np.polyfit(root, current_a, 1)
        spread = float(np.std(current_a))
        correlation = float(np.corrcoef(root, current_a)[0, 1]) if spread > 0 else 0.0
        lines += [
            f"{name}:",
            f"Slp = {scientific(slope, 4)}",
            f"Int = {scientific(intercept, 4)}",
            f"Cor = {correlation:.5f}",
            "",
        ]
    return lines
