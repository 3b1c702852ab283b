"""Where a CHI program puts its rows: how many a run should have, and at what time each one was taken.

Rows of a voltammogram hold the mean current of the potential interval that ends at `(k + 1) * si / v`; rows
of a time technique are at `(k + 1) * si`. Both rules were checked on public files of six models; the end
point of a voltammetric segment is the first row of the next one, and the very last one is never listed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

CV = "Cyclic Voltammetry"
LSV = "Linear Sweep Voltammetry"
CA = "Chronoamperometry"
IT = "Amperometric i-t Curve"
STEP = "Multi-Potential Steps"
OCPT = "Open Circuit Potential - Time"
KNOWN_TECHNIQUES = (CV, LSV, CA, IT, STEP, OCPT)

_DOUBLINGS = 20
_MOST_SEGMENTS = 10_000
_MOST_ROWS = 1 << 40


def parameter(parameters: Mapping[str, str], name: str) -> float | None:
    """The number printed for `name`, matched on the text before its unit, or None."""
    for key, value in parameters.items():
        if key.partition(" (")[0] == name:
            return _finite(value)
    return None


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def row_interval_s(technique: str | None, parameters: Mapping[str, str]) -> float | None:
    """Seconds between rows as the header says, or None where it does not say."""
    interval = parameter(parameters, "Sample Interval")
    if technique in (CV, LSV):
        rate = parameter(parameters, "Scan Rate")
        return interval / rate if interval and rate else None
    return interval if technique in KNOWN_TECHNIQUES else None


def segment_rows(parameters: Mapping[str, str]) -> list[int] | None:
    """Rows of each segment of a cyclic voltammogram as planned by its header, or None."""
    initial, high, low = (parameter(parameters, name) for name in ("Init E", "High E", "Low E"))
    segments, interval = parameter(parameters, "Segment"), parameter(parameters, "Sample Interval")
    if initial is None or high is None or low is None or not segments or not interval:
        return None
    if not 1 <= segments <= _MOST_SEGMENTS:
        return None
    final = parameter(parameters, "Final E")
    vertices = [high, low] if parameters.get("Init P/N", "P").upper() == "P" else [low, high]
    ends = [vertices[k % 2] for k in range(int(segments))]
    if final is not None:
        ends[-1] = final
    starts = [initial, *ends[:-1]]
    rows = [_rows(abs(end - start), interval) for start, end in zip(starts, ends, strict=True)]
    return None if None in rows else [n for n in rows if n is not None]


def _rows(extent: float, interval: float) -> int | None:
    """How many intervals an extent has; None for a number that no memory holds."""
    rows = abs(extent / interval)
    return round(rows) if rows < _MOST_ROWS else None


def planned_rows(technique: str | None, parameters: Mapping[str, str]) -> int | None:
    """Rows that the run described by a header has when nothing stops it, or None where that is unknown."""
    if technique == CV:
        rows = segment_rows(parameters)
        return None if rows is None else sum(rows)
    interval = parameter(parameters, "Sample Interval")
    extent = _extent(technique, parameters)
    return _rows(extent, interval) if interval and extent is not None else None


def _extent(technique: str | None, parameters: Mapping[str, str]) -> float | None:
    """Length of a run in the unit of its sample interval: volts for a sweep, else seconds."""

    def product(*names: str) -> float | None:
        factors = [parameter(parameters, name) for name in names]
        return None if None in factors else math.prod(f for f in factors if f is not None)

    match technique:
        case "Linear Sweep Voltammetry":
            initial, final = parameter(parameters, "Init E"), parameter(parameters, "Final E")
            return None if initial is None or final is None else abs(final - initial)
        case "Chronoamperometry":
            return product("Step", "Pulse Width")
        case "Amperometric i-t Curve" | "Open Circuit Potential - Time":
            return product("Run Time")
        case "Multi-Potential Steps":
            steps_s = [_finite(v) for k, v in parameters.items() if k.startswith("T") and k.endswith("(s)")]
            cycles = parameter(parameters, "Cycle")
            if None in steps_s or not steps_s or cycles is None:
                return None
            return sum(step_s for step_s in steps_s if step_s is not None) * cycles
    return None


def rebuild_time(
    interval_s: float, rows: int, printed_s: NDArray[np.float64] | None, first_row: int = 0
) -> tuple[NDArray[np.float64], float]:
    """Time of each row in seconds (float64, shape (rows,)) and the interval used.

    The printed column has four digits and degenerates in long runs, so time comes from the row index; the
    column only confirms it. The program doubles the interval when its memory is full: the first doubling
    that agrees with the column is taken. Raises ValueError where none agrees.
    """
    index = np.arange(first_row + 1, first_row + rows + 1, dtype=np.float64)
    if printed_s is None or rows == 0:
        return index * interval_s, interval_s
    for doublings in range(_DOUBLINGS):
        used_s = interval_s * 2**doublings
        if _agrees(index * used_s, printed_s, used_s):
            return index * used_s, used_s
    raise ValueError("the time column fits no interval")


def _agrees(time_s: NDArray[np.float64], printed_s: NDArray[np.float64], interval_s: float) -> bool:
    with np.errstate(divide="ignore"):
        last_digit = 10.0 ** (np.floor(np.log10(np.abs(printed_s))) - 3)
    lost_row_s = 1.01 * interval_s
    return bool(np.all(np.abs(time_s - printed_s) <= 0.51 * last_digit + lost_row_s))
