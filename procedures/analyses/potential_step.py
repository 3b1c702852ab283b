"""A potential-step run: from the run file to its results, its table and its picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...analysis.poisson import Measured
from ...analysis.potential_step import (
    CurrentRows,
    Folded,
    PotentialStepData,
    PotentialStepResult,
    analyze_potential_step,
)
from ...analysis.step_response import StepResponse
from ...formats.run_file import RunFile, StoredPotentiostatRecord
from .run_analysis import ResultAnalysis
from .stored import marker_edges, photon_fields, stored_photons


class PotentialStepAnalysis(ResultAnalysis[PotentialStepResult]):
    """A potential-step run, analyzed."""

    def __init__(self, run: RunFile) -> None:
        super().__init__(run)
        parameters, markers = run.header["parameters"], run.header["station"]["markers"]
        marker_sync, marker_line = marker_edges(stored_photons(run))
        self.result = analyze_potential_step(
            PotentialStepData(
                **photon_fields(run),
                high_v=parameters["high_v"],
                low_v=parameters["low_v"],
                period_s=parameters["period_s"],
                marker_sync=marker_sync,
                marker_line=marker_line,
                falling_line=markers["potential_falling"],
                rising_line=markers["potential_rising"],
                currents=[_current_rows(record) for record in run.potentiostat if record.about["complete"]],
                status=run.status,
            )
        )

    def rows(self) -> list[tuple[str, str]]:
        """The responses to the steps of both directions, and the cell's time constant."""
        return _rows(self.result)

    def draw(self, path: Path) -> None:
        """Draw rate and lifetime after the steps of both directions."""
        from ...analysis.figures.potential_step import draw_potential_step

        draw_potential_step(path, self.result, title=self.title, reference=self.reference_electrode)

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Folded rates and lifetimes of both directions; times are those of the bins' edges."""
        tables: dict[str, dict[str, NDArray[Any]]] = {}
        for folded in (self.result.falling, self.result.rising):
            if folded is not None:
                tables[f"{folded.direction}_rate"] = {
                    "from_us": folded.edges_us[:-1],
                    "to_us": folded.edges_us[1:],
                    "counts": folded.counts,
                    "exposure_s": folded.exposure_s,
                    "rate_hz": folded.rate_hz,
                }
                tables[f"{folded.direction}_lifetime"] = {
                    "from_us": folded.lifetime_edges_us[:-1],
                    "to_us": folded.lifetime_edges_us[1:],
                    "lifetime_ns": folded.lifetime_ns,
                    "lifetime_err_ns": folded.lifetime_err_ns,
                }
        return tables


def _current_rows(record: StoredPotentiostatRecord) -> CurrentRows:
    settings = record.about["settings"]
    return CurrentRows(record.current_a, record.overload, _cycles(record), settings["sample_interval_s"])


def _cycles(record: StoredPotentiostatRecord) -> int:
    settings = record.about["settings"]
    rows = sum(round(level_s / settings["sample_interval_s"]) for _, level_s in settings["levels"])
    return max(1, len(record.current_a) // rows)


def _rows(r: PotentialStepResult) -> list[tuple[str, str]]:
    rows = [("photons", f"{r.photons:,} in {r.duration_s:.1f} s")]
    for folded in (r.falling, r.rising):
        if folded is not None:
            rows += _direction_rows(r, folded)
    if r.cell_us:
        told = f"{_told(r.cell_us)} (resistance times double layer, from the charging current)"
    else:
        told = "not seen in the current: take it from the cell's resistance and capacitance"
    return [*rows, ("time constant of the cell", told)]


def _direction_rows(r: PotentialStepResult, folded: Folded) -> list[tuple[str, str]]:
    ends = (r.high_v, r.low_v) if folded.direction == "falling" else (r.low_v, r.high_v)
    step = f"{ends[0]:g} -> {ends[1]:g} V"
    rows = [(step, f"{folded.steps:,} steps")]
    if rate := folded.rate:
        levels = f"{rate.before.value / 1e3:.2f} to {rate.after.value / 1e3:.2f} kc/s"
        rows.append(("  count rate", f"10-90 % in {_told(rate.t10_90_us)}; {levels}"))
        rows.append(("  its course", _course(rate)))
    if lifetime := folded.lifetime:
        levels = f"{lifetime.before.value:.2f} to {lifetime.after.value:.2f} ns"
        rows.append(("  lifetime", f"10-90 % in {_told(lifetime.t10_90_us)}; {levels}"))
    return rows


def _course(response: StepResponse) -> str:
    parts = [
        f"{share.value:.0%} with {_told(constant)}"
        for share, constant in zip(response.shares, response.time_constants_us, strict=True)
    ]
    return f"after {_told(response.delay_us)}: {', '.join(parts)}"


def _told(time_us: Measured) -> str:
    """A time in the unit that suits it, with its error to two figures."""
    scale, unit = (1e3, "ms") if time_us.value >= 1000 else (1.0, "µs")
    value, error = time_us.value / scale, time_us.error / scale
    digits = max(0, min(5, 1 - math.floor(math.log10(error)))) if error > 0 else 3
    return f"{value:.{digits}f} ± {error:.{digits}f} {unit}"
