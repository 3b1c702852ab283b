"""From the program's result files to records: is it the run that was asked for, and is all of it there."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...formats.chi_bin import unrounded
from ...formats.chi_grid import CV, IT, LSV, OCPT, STEP
from ...formats.chi_text import ChiText, CurrentPolarity, parse_chi_text
from ...formats.errors import FileFormatError
from ..base import InstrumentError
from ..potentiostat import CyclicVoltammetry, LinearSweep, OpenCircuit, PotentiostatRecord
from .blocks import PlannedRun, potential_v
from .errors import ResultIncompleteError, ResultMismatchError, ResultMissingError, ResultUnreadableError
from .parameters import MAX_LEVELS, SENSITIVITIES_A_V, parameters

LONG_NAMES = {"cv": CV, "lsv": LSV, "i-t": IT, "step": STEP, "ocpt": OCPT}

_SWEEP = {"v": "Scan Rate", "si": "Sample Interval", "qt": "Quiet Time", "sens": "Sensitivity"}
_TIMED = {"si": "Sample Interval", "qt": "Quiet Time", "sens": "Sensitivity"}
HEADER_NAMES: dict[str, dict[str, str]] = {
    "cv": {"ei": "Init E", "eh": "High E", "el": "Low E", "pn": "Init P/N", "cl": "Segment", **_SWEEP},
    "lsv": {"ei": "Init E", "ef": "Final E", **_SWEEP},
    "i-t": {"ei": "Init E", "st": "Run Time", **_TIMED},
    "step": {
        **{f"es{k}": f"E{k}" for k in range(1, MAX_LEVELS + 1)},
        **{f"st{k}": f"T{k}" for k in range(1, MAX_LEVELS + 1)},
        "cl": "Cycle",
        **_TIMED,
    },
    "ocpt": {"st": "Run Time", "si": "Sample Interval"},
}
"""Technique -> macro command -> name of its line in the result's header."""

_PRINTED_REL = 6e-4
"""Four significant digits are printed by default."""


@dataclass(frozen=True)
class Outcome:
    """What one run of the macro left: its record as far as there is one, and what is wrong with it."""

    record: PotentiostatRecord | None
    error: InstrumentError | None


def read_outcome(
    run: PlannedRun,
    folder: Path,
    polarity: CurrentPolarity,
    model: str,
    start_s: float,
    start_uncertainty_s: float,
) -> Outcome:
    """Read the result of `run`; never raises for what is in the files, the error is part of the outcome."""
    path = folder / f"{run.name}.txt"
    if not path.exists():
        return Outcome(None, ResultMissingError(f"{run.header}: the program left no {path}"))
    vendor_files = {
        file.name: file.read_bytes()
        for file in (folder / "macro.mcr", path, folder / f"{run.name}.bin")
        if file.exists()
    }
    try:
        text = parse_chi_text(vendor_files[path.name], path.name)
    except FileFormatError as error:
        return Outcome(None, ResultUnreadableError(f"{run.header}: {error}"))
    problem = _mismatch(run, text)
    if len(text.columns) < 2 or (text.column("Potential") is None and not text.current_columns):
        return Outcome(None, problem or ResultUnreadableError(f"{run.header}: {path.name} has no current"))
    record = _record(run, text, polarity, model, vendor_files)
    record = replace(record, start_s=start_s, start_uncertainty_s=start_uncertainty_s)
    if problem is None and not record.complete:
        problem = ResultIncompleteError(f"{run.header}: {record.stop_reason}")
    if problem is not None:
        record = replace(record, complete=False, stop_reason=str(problem))
    return Outcome(record, problem)


def _mismatch(run: PlannedRun, text: ChiText) -> ResultMismatchError | None:
    """Compare the result with what was asked; the program readjusts without a word."""
    technique, asked = parameters(run.part)

    def wrong(what: str, found: object, wanted: object, advice: str = "") -> ResultMismatchError:
        return ResultMismatchError(f"{text.name}: {what} is {found!r}, not {wanted!r}{advice}")

    if text.technique != LONG_NAMES[technique]:
        advice = "; switch the memo part of the text format on" if text.technique is None else ""
        return wrong("the technique", text.technique, LONG_NAMES[technique], advice)
    if text.header != run.header:
        return wrong("the header", text.header, run.header, ": a result of another run")
    if text.source is not None and text.source != "Experiment":
        return wrong("the data source", text.source, "Experiment", ": no cell was measured")
    for command, name in HEADER_NAMES[technique].items():
        if command not in asked:
            continue
        wanted = asked[command]
        if isinstance(wanted, str):
            found, same = text.parameters.get(name), text.parameters.get(name, "").lower() == wanted
        else:
            found = text.number(name)
            same = found is not None and math.isclose(found, wanted, rel_tol=_PRINTED_REL, abs_tol=1e-9)
        if not same:
            return wrong(name, found, wanted, ": the program changed it or did not print it")
    interval_s = text.row_interval_s
    if interval_s is None or not math.isclose(interval_s, run.row_interval_s, rel_tol=_PRINTED_REL):
        return wrong("the interval between rows (s)", interval_s, run.row_interval_s)
    if len(text.data) > run.rows + 1:
        return wrong("the number of rows", len(text.data), run.rows)
    return _wrong_path(run, text)


def _wrong_path(run: PlannedRun, text: ChiText) -> ResultMismatchError | None:
    """Whether the potentials listed are those of the ramp asked for (labels may be interval midpoints)."""
    listed_v = text.column("Potential")
    if not isinstance(run.part, CyclicVoltammetry | LinearSweep) or listed_v is None:
        return None
    wanted_v = potential_v(run.part, np.arange(len(listed_v)) * run.row_interval_s)
    away_v = np.abs(listed_v - wanted_v)
    if len(away_v) and away_v.max() > 1.01 * run.part.sample_interval_v + 6e-4:
        k = int(np.argmax(away_v))
        return ResultMismatchError(
            f"{text.name}: row {k} is at {listed_v[k]:g} V, not {wanted_v[k]:g} V; the ramp was another one"
        )
    return None


def _record(
    run: PlannedRun, text: ChiText, polarity: CurrentPolarity, model: str, vendor_files: dict[str, bytes]
) -> PotentiostatRecord:
    warnings = list(text.notes)
    if text.model != model:
        warnings.append(f"the result says model {text.model}, not {model}; check which program was started")
    text = _with_full_digits(text, vendor_files.get(f"{run.name}.bin"), warnings)
    rows = len(text.data)
    time_s = np.arange(1, rows + 1, dtype=np.float64) * run.row_interval_s
    current_a = text.current_a(polarity)
    if overload := int(np.count_nonzero(text.overload)):
        warnings.append(_overload_advice(run, overload, rows))
    elif current_a is not None and _polarity_looks_reversed(run, current_a):
        warnings.append(
            f"the charging current has the wrong sign for current polarity {polarity!r}: compare Setup > "
            "System > Current Polarity of the CHI program with the station file"
        )
    short = rows < run.rows - 1 or text.truncated
    return PotentiostatRecord(
        technique=run.part,
        time_s=time_s,
        potential_v=_potentials(run, text, time_s),
        current_a=np.full(rows, np.nan) if current_a is None else current_a,
        overload=text.overload,
        complete=not short,
        first_cycle=run.first_cycle,
        stop_reason=f"stopped or cut after {rows} of {run.rows} rows" if short else "",
        warnings=tuple(warnings),
        vendor_files=vendor_files,
    )


def _with_full_digits(text: ChiText, raw: bytes | None, warnings: list[str]) -> ChiText:
    """`text` with the measured column as the `.bin` has it, where every value agrees with the text."""
    measured = text.current_columns[0] if text.current_columns else 1
    if raw is None or not len(text.data):
        return text
    values = unrounded(raw, text.data[:, measured])
    if values is None:
        warnings.append("the .bin does not agree with the text; the values of the text are used")
        return text
    data = text.data.copy()
    data[:, measured] = values
    return replace(text, data=data)


def _potentials(run: PlannedRun, text: ChiText, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """As listed where the file lists it, else what was applied during the interval of each row."""
    listed_v = text.column("Potential")
    if listed_v is not None:
        return listed_v.copy()
    return potential_v(run.part, time_s - run.row_interval_s / 2)


def _overload_advice(run: PlannedRun, overload: int, rows: int) -> str:
    sensitivity = math.nan if isinstance(run.part, OpenCircuit) else run.part.sensitivity_a_v
    higher = [s for s in SENSITIVITIES_A_V if s > sensitivity]
    advice = f"take {higher[0]:g} A/V next" if higher else "this is the highest range"
    return f"{overload} of {rows} points are clipped at the range of {sensitivity:g} A/V; {advice}"


def _polarity_looks_reversed(run: PlannedRun, current_a: NDArray[np.float64]) -> bool:
    """Whether the first cycle of a voltammogram charges the electrode with the wrong sign.

    A capacitive current follows the sign of the scan (i = C dE/dt, anodic positive), so the sweep to higher
    potential lies above the one back. Differences below three standard errors or 1e-3 of the sensitivity
    (the converter's offset) say nothing.
    """
    if not isinstance(run.part, CyclicVoltammetry):
        return False
    half = run.rows // (2 * run.part.cycles)
    if len(current_a) < 2 * half or half < 10:
        return False
    towards, back = current_a[:half], current_a[half : 2 * half][::-1]
    loop_a = (towards - back) * math.copysign(1.0, run.part.vertex_v - run.part.initial_v)
    noise_a = float(np.std(np.diff(loop_a))) / math.sqrt(2 * half)
    return float(loop_a.mean()) < -max(3 * noise_a, 1e-3 * run.part.sensitivity_a_v)
