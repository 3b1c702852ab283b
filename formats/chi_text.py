"""Text exports of CH Instruments programs (`.txt` by `tsave` or "Save as", and `.csv`), every variant seen.

What the file holds is kept as printed; nothing in it says which sign of the current is anodic or whether
the range was exceeded, so both are asked for or worked out here (layout: measured on public exports of the
models 601D, 620E, 760D, 760E and 1040C).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .chi_grid import (
    KNOWN_TECHNIQUES,
    parameter,
    planned_rows,
    rebuild_time,
    row_interval_s,
    segment_rows,
)
from .errors import FileFormatError

CurrentPolarity = Literal["anodic_positive", "cathodic_positive"]
"""The program's setting "Current Polarity"; it is not written in any file."""

OVERLOAD_RATIO = 9.99
"""|current| / sensitivity from which a point counts as clipped; full scale is 10 V times the sensitivity."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(r"([A-Z][a-z]{2})[a-z]*\.? +(\d{1,2}), +(\d{4}) +(\d{1,2}):(\d\d):(\d\d)\s*$")
_MEMO = re.compile(r"(File|Data Source|Instrument Model|Header|Note): ?(.*)$")
_PAIR = re.compile(r"(\S.*?) = ?(.*)$")
_BLOCK = re.compile(r"(Segment (\d{1,9})|Forward|Reverse):\s*$")
_CHANNEL = re.compile(r"(?:Channel|Current) (\d{1,9}):\s*$")
_COLUMN = re.compile(r"[A-Za-z][\w'\" .()-]*/[A-Za-z%]+$")
_SIGNS_OF_CHI = ("Instrument Model:", "Data Source:", "Sensitivity (A/V)", "Sample Interval (")


@dataclass(frozen=True)
class ChiSegment:
    """One block of the results part: what the program's own peak search or line fit printed."""

    label: str
    """"Segment 1", "Forward", "Reverse", or "" where the results stand alone."""
    number: int | None
    channel: int
    results: tuple[tuple[str, str], ...]
    """(name, value with unit) as printed, such as ("Ep", "0.129V"), in order."""


@dataclass(frozen=True, eq=False)
class ChiText:
    """One text export: memo, parameters, results, and the data as printed."""

    name: str
    date: datetime | None
    """End of the run by the computer's clock, whole seconds."""
    technique: str | None
    file: str | None
    source: str | None
    model: str | None
    header: str | None
    note: str | None
    parameters: dict[str, str]
    """Name with unit as printed -> value as printed."""
    segments: tuple[ChiSegment, ...]
    columns: tuple[str, ...]
    data: NDArray[np.float64]
    """Shape (rows, columns), values as printed: no change of sign or unit."""
    segment_markers: tuple[tuple[int, int], ...]
    """(segment number, first row) of each "Segment n:" line inside the data."""
    line_end: Literal["CRLF", "LF"]
    truncated: bool
    """Whether the file ended inside a row."""
    notes: tuple[str, ...] = field(repr=False)
    """What was odd about the text itself; `warnings` holds these and what follows from the data."""

    def number(self, name: str) -> float | None:
        """The parameter `name` (without its unit) as a number, or None."""
        return parameter(self.parameters, name)

    def column(self, quantity: str) -> NDArray[np.float64] | None:
        """The first column of that quantity ("Potential", "Time", "Charge"), or None."""
        names = [column.partition("/")[0] for column in self.columns]
        return self.data[:, names.index(quantity)] if quantity in names else None

    @property
    def current_columns(self) -> tuple[int, ...]:
        """Indices of the columns in ampere: one, or two with a bipotentiostat."""
        return tuple(k for k, name in enumerate(self.columns) if name.endswith("/A"))

    def current_a(self, polarity: CurrentPolarity) -> NDArray[np.float64] | None:
        """The first current in ampere, anodic positive, or None; `polarity` is the program's setting."""
        if polarity not in ("anodic_positive", "cathodic_positive"):
            raise ValueError(f"polarity = {polarity!r} must be 'anodic_positive' or 'cathodic_positive'")
        if not self.current_columns:
            return None
        printed = self.data[:, self.current_columns[0]]
        return printed.copy() if polarity == "anodic_positive" else -printed

    @property
    def sensitivities_a_v(self) -> tuple[float | None, ...]:
        """Sensitivity in A/V of each current column; None where the header lacks it."""
        names = ("Sensitivity", "Sens 2")
        return tuple(self.number(name) for name, _ in zip(names, self.current_columns, strict=False))

    def points_at_or_above(self, ratio: float) -> NDArray[np.bool_] | None:
        """Rows in which any current reaches `ratio` times its sensitivity, or None where it is unknown."""
        if not any(self.sensitivities_a_v):
            return None
        reached = np.zeros(len(self.data), dtype=bool)
        for k, sensitivity in zip(self.current_columns, self.sensitivities_a_v, strict=False):
            if sensitivity:
                # printed decimals: a hair's breadth keeps 1.000e-6 at 10 x 1e-7
                reached |= np.abs(self.data[:, k]) >= ratio * sensitivity * (1 - 1e-9)
        return reached

    @property
    def overload(self) -> NDArray[np.bool_]:
        """Rows whose current was clipped at the range limit (bool, shape (rows,)); the file never says so."""
        reached = self.points_at_or_above(OVERLOAD_RATIO)
        return np.zeros(len(self.data), dtype=bool) if reached is None else reached

    @property
    def scan_rate_v_s(self) -> float | None:
        """Scan rate in V/s, or None."""
        return self.number("Scan Rate")

    @property
    def planned_rows(self) -> int | None:
        """Rows that the header promises, or None where that cannot be told."""
        return planned_rows(self.technique, self.parameters)

    @property
    def first_segment(self) -> int:
        """Number of the first segment exported (1 unless only the last ones were)."""
        return next((s.number for s in self.segments if s.number is not None), 1)

    @cached_property
    def _time(self) -> tuple[NDArray[np.float64] | None, float | None, tuple[str, ...]]:
        printed_s, interval_s = self.column("Time"), row_interval_s(self.technique, self.parameters)
        if interval_s is None:
            return printed_s, None, ()
        skipped = (segment_rows(self.parameters) or [])[: self.first_segment - 1]
        try:
            time_s, used_s = rebuild_time(interval_s, len(self.data), printed_s, sum(skipped))
        except ValueError:
            odd = "the time column does not follow the sample interval; times are taken as printed"
            return printed_s, interval_s, (odd,)
        if used_s != interval_s:
            odd = f"the program raised the row interval from {interval_s:g} s to {used_s:g} s"
            return time_s, used_s, (odd,)
        return time_s, used_s, ()

    @property
    def row_interval_s(self) -> float | None:
        """Seconds between rows, longer than the header's where the program raised it; None if unknown."""
        return self._time[1]

    @property
    def time_s(self) -> NDArray[np.float64] | None:
        """Seconds since the end of the quiet time, rebuilt from the row index, or None if unknown."""
        return self._time[0]

    @property
    def complete(self) -> bool:
        """Whether the file holds the whole planned run, as far as its header tells (one row may lack)."""
        if self.truncated:
            return False
        if self.planned_rows is None:
            return True
        header_s, used_s = row_interval_s(self.technique, self.parameters), self.row_interval_s
        stretch = used_s / header_s if used_s and header_s else 1.0
        return abs(self.planned_rows / stretch - len(self.data)) <= 1

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of this file should know, one sentence each."""
        found = [*self.notes, *self._time[2]]
        if self.technique is not None and self.technique not in KNOWN_TECHNIQUES:
            found.append(f"{self.technique} is not a technique that qdlab knows; it is shown as printed")
        if not self.complete and self.planned_rows is not None:
            found.append(self._what_is_missing())
        if clipped := int(np.count_nonzero(self.overload)):
            found.append(f"{clipped} of {len(self.data)} points are at the limit of the current range")
        return tuple(found)

    def _what_is_missing(self) -> str:
        rows = f"{len(self.data)} of {self.planned_rows} planned rows"
        if self.first_segment > 1:
            return f"holds {rows}: only segments from {self.first_segment} on were exported"
        if len(self.data) > (self.planned_rows or 0):
            return f"holds more rows than planned ({len(self.data)} for {self.planned_rows})"
        return f"holds {rows}: the run was stopped early, or a part was exported"


def read_chi_text(path: Path | str) -> ChiText:
    """Read a CHI text export.

    A file that ends inside its rows gives what is there, with a warning. Raises FileFormatError for a file
    that is empty, is no CHI text, ends before its data, or has a row that does not fit its columns.
    """
    path = Path(path)
    return parse_chi_text(path.read_bytes(), path.name)


def parse_chi_text(raw: bytes, name: str) -> ChiText:
    """Read the bytes of a CHI text export; `name` is for messages. Raises as `read_chi_text`."""
    if not raw.strip():
        raise FileFormatError(f"{name} is empty; a CHI text export was expected")
    if b"\x00" in raw:
        raise FileFormatError(
            f"{name} holds binary data, not CHI text; export it as text from the CHI program"
        )
    text = raw.decode("latin-1")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    at = _find_column_header(lines, name)
    preamble = _Preamble()
    for number, line in enumerate(lines[:at], start=1):
        preamble.take(line, number)
    columns = tuple(_fields(lines[at]))
    data, markers, truncated, notes = _rows(lines, at + 1, len(columns), name)
    memo = preamble.memo
    return ChiText(
        name=name,
        date=preamble.date,
        technique=preamble.technique,
        file=memo.get("File"),
        source=memo.get("Data Source"),
        model=memo.get("Instrument Model"),
        header=memo.get("Header"),
        note=memo.get("Note"),
        parameters=preamble.parameters,
        segments=tuple(preamble.finished_segments()),
        columns=columns,
        data=data,
        segment_markers=markers,
        line_end="CRLF" if "\r\n" in text else "LF",
        truncated=truncated,
        notes=(*preamble.notes(), *notes),
    )


def _separator(line: str) -> str | None:
    """What separates the fields of a line: comma, TAB, or (None) blanks."""
    return "," if "," in line else "\t" if "\t" in line.strip() else None


def _fields(line: str) -> list[str]:
    return [field.strip() for field in line.strip().split(_separator(line))]


def _find_column_header(lines: list[str], name: str) -> int:
    for k, line in enumerate(lines):
        fields = _fields(line)
        if len(fields) > 1 and all(_COLUMN.match(f) for f in fields):
            return k
    if any(sign in line for line in lines for sign in _SIGNS_OF_CHI):
        raise FileFormatError(f"{name} ends before its data (line {len(lines)}); export or copy it again")
    raise FileFormatError(f"{name} is no CHI text export: no line such as 'Potential/V, Current/A' is in it")


class _Preamble:
    """Everything above the column header, taken line by line."""

    def __init__(self) -> None:
        self.date: datetime | None = None
        self.technique: str | None = None
        self.memo: dict[str, str] = {}
        self.parameters: dict[str, str] = {}
        self._blocks: list[tuple[str, int | None, int, list[tuple[str, str]]]] = []
        self._channel = 1
        self._in_results = False
        self._odd: list[str] = []

    def take(self, line: str, number: int) -> None:
        """Take one line; a line that fits nothing is reported, never dropped silently."""
        line = line.strip()
        if not line:
            self._in_results = self._in_results or bool(self.parameters)
        elif self.date is None and (date := _date(line)):
            self.date = date
        elif self._in_results:
            self._take_result(line, number)
        elif memo := _MEMO.match(line):
            self.memo[memo[1]] = memo[2].strip()
        elif pair := _PAIR.match(line):
            self.parameters[pair[1]] = pair[2].strip()
        elif self.date is not None and self.technique is None and not self.memo:
            self.technique = line
        elif "Note" in self.memo:  # a note of several lines
            self.memo["Note"] = f"{self.memo['Note']}\n{line}".strip()
        else:
            self._take_result(line, number)

    def _take_result(self, line: str, number: int) -> None:
        if line == "Results:":
            self._in_results = True
        elif channel := _CHANNEL.match(line):
            self._channel, self._in_results = int(channel[1]), True
        elif block := _BLOCK.match(line):
            self._blocks.append((block[1], int(block[2]) if block[2] else None, self._channel, []))
            self._in_results = True
        elif pair := _PAIR.match(line):
            if not self._blocks:
                self._blocks.append(("", None, self._channel, []))
            self._blocks[-1][3].append((pair[1], pair[2].strip()))
        else:
            self._odd.append(f"line {number} was not understood: {line[:60]!r}")

    def finished_segments(self) -> list[ChiSegment]:
        """The result blocks in order."""
        return [ChiSegment(label, n, channel, tuple(found)) for label, n, channel, found in self._blocks]

    def notes(self) -> list[str]:
        """What was odd above the data."""
        missing = [
            what
            for what, there in [
                ("memo part (date, technique, model)", self.technique is not None),
                ("parameter part", bool(self.parameters)),
            ]
            if not there
        ]
        return [*self._odd, *(f"the {what} is missing from the export" for what in missing)]


def _date(line: str) -> datetime | None:
    found = _DATE.match(line)
    if not found or found[1].lower() not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[k]) for k in range(2, 7))
    try:
        return datetime(year, _MONTHS.index(found[1].lower()) + 1, day, hour, minute, second)
    except ValueError:
        return None


def _rows(
    lines: list[str], start: int, n_columns: int, name: str
) -> tuple[NDArray[np.float64], tuple[tuple[int, int], ...], bool, list[str]]:
    """The data, the segment markers in it, whether the file ends inside a row, and notes on it."""
    last = len(lines) - 1  # what follows the last line end: empty in a whole file
    data, markers = _plain_rows(lines[start:last], n_columns), []
    if data is None:
        data, markers = _rows_one_by_one(lines, start, n_columns, name)
    notes: list[str] = []
    if truncated := bool(lines[last].strip()):
        notes.append(f"the file ends inside line {last + 1}; that row was left out")
    if not len(data):
        notes.append("the file has no data rows")
    return data, tuple(markers), truncated, notes


def _plain_rows(lines: list[str], n_columns: int) -> NDArray[np.float64] | None:
    """The data where nothing but whole rows stands in these lines, five times faster; otherwise None."""
    plain = [line for line in lines if line.strip()]
    if not plain:
        return None
    try:
        data = np.loadtxt(plain, delimiter=_separator(plain[0]), comments=None, ndmin=2)
    except ValueError:
        return None
    return data if data.shape == (len(plain), n_columns) else None


def _rows_one_by_one(
    lines: list[str], start: int, n_columns: int, name: str
) -> tuple[NDArray[np.float64], list[tuple[int, int]]]:
    """The data and the segment markers in it; raises FileFormatError naming the line that is no row."""
    rows: list[list[float]] = []
    markers: list[tuple[int, int]] = []
    for k in range(start, len(lines) - 1):
        line = lines[k].strip()
        if not line:
            continue
        if marker := _BLOCK.match(line):
            if marker[2]:
                markers.append((int(marker[2]), len(rows)))
            continue
        rows.append(_row(line, n_columns, f"{name}, line {k + 1}"))
    return np.array(rows, dtype=np.float64).reshape(len(rows), n_columns), markers


def _row(line: str, n_columns: int, where: str) -> list[float]:
    try:
        values = [float(text) for text in line.split(_separator(line))]
    except ValueError:
        raise FileFormatError(f"{where}: {line[:60]!r} is not a row of numbers") from None
    if len(values) != n_columns:
        raise FileFormatError(f"{where}: {len(values)} values where {n_columns} columns are named")
    return values
