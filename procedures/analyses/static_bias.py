"""A static-bias run: from the run file to the analysis' input, its table and its picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.held_potential import StepsRecord, align_holds
from ...analysis.scaling import Ratio
from ...analysis.static_bias import AtPotential, StaticBiasData, analyze_static_bias
from ...formats.run_file import RunFile, StoredPhotons, StoredPotentiostatRecord
from .run_analysis import RunAnalysis, print_notes
from .stored import marker_edges, marker_wiring, photon_fields, start_uncertainty_s, stored_photons

if TYPE_CHECKING:
    from rich.console import Console


class StaticBiasAnalysis(RunAnalysis):
    """A static-bias run, analyzed."""

    def __init__(self, run: RunFile) -> None:
        super().__init__(run)
        parameters, photons = run.header["parameters"], stored_photons(run)
        marker_sync, marker_line = marker_edges(photons)
        holds = align_holds(
            [_steps(record, photons) for record in run.potentiostat],
            marker_sync * photons.sync_period_s,
            marker_line,
            marker_wiring(run.header),
        )
        data = StaticBiasData(**photon_fields(run), holds=holds, status=run.status)
        self.result = analyze_static_bias(
            data, trace_bin_s=parameters["trace_bin_s"], flid_bin_s=parameters["flid_bin_s"]
        )

    def summary(self) -> dict[str, Any]:
        """The results as one JSON object."""
        return self.result.summary()

    def print(self, console: Console) -> None:
        """Print one row per potential, what was found of X0 and X-, and what to be careful about."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for name in _COLUMNS:
            table.add_column(name, justify="right", no_wrap=True)
        for at in self.result.potentials:
            table.add_row(*_cells(at))
        console.print(table)
        r = self.result
        for name, state in (("X0", r.states.x0), ("X-", r.states.x_minus), ("X+", r.states.x_plus)):
            if state:
                lifetime = _told(Ratio(state.lifetime_ns, state.lifetime_err_ns), 1)
                console.print(f"{name}: {lifetime} ns at {state.rate_hz / 1e3:.1f} kc/s")
        if r.auger_ratio:
            console.print(f"gammaA/gamma0: {_told(r.auger_ratio, 3)}")
        if r.potentials:
            console.print(f"potential from: {r.alignment}, ± {r.alignment_uncertainty_s * 1e3:.0f} ms")
        print_notes(console, r.warnings)

    def draw(self, path: Path) -> None:
        """Draw trace, FLID, decays, and what depends on the potential."""
        from ...analysis.figures.static_bias import draw_static_bias

        draw_static_bias(path, self.result, title=self.title, reference=self.reference_electrode)

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """One row per potential, and the FLID points of all."""
        rows = self.result.summary()["potentials"]
        names = [name for name in rows[0] if name not in ("blinking", "law_holds")] if rows else []
        held = {
            name: np.array([np.nan if row[name] is None else row[name] for row in rows]) for name in names
        }
        columns = ("time_s", "potential_v", "photons", "rate_hz", "lifetime_ns", "lifetime_err_ns")
        points = [at.flid for at in self.result.potentials]
        flid = (
            {name: np.concatenate([getattr(p, name) for p in points]) for name in columns} if points else {}
        )
        return {"potentials": held, "flid": flid}


_COLUMNS = ("V", "kc/s", "lifetime (ns)", "τ drop", "I drop", "g2(0)", "Fano", "electrons")


def _cells(at: AtPotential) -> list[str]:
    electrons = "–" if at.charge is None else "past Eqs. 1-2"
    if at.distribution is not None and at.charge is not None and at.charge.holds:
        electrons = _told(at.distribution.mean, 2)
    return [
        f"{at.hold.potential_v:g}",
        f"{at.rate_hz.value / 1e3:.2f}",
        _told(at.lifetime_ns, 2),
        "–" if at.enhancement is None else f"{at.enhancement.value:.3g}",
        "–" if at.drop is None else f"{at.drop.value:.3g}",
        _told(at.antibunching.window, 3),
        f"{at.fano.value:.2f}",
        electrons,
    ]


def _told(ratio: Ratio | None, digits: int) -> str:
    return "–" if ratio is None else f"{ratio.value:.{digits}f} ± {ratio.error:.{digits}f}"


def _steps(record: StoredPotentiostatRecord, photons: StoredPhotons) -> StepsRecord:
    """The holds of one record, as far as it was run."""
    about = record.about
    left_s = float(record.time_s[-1]) if len(record.time_s) else 0.0
    levels = []
    for potential_v, planned_s in about["settings"]["levels"]:
        if left_s > 1e-9:
            levels.append((potential_v, min(planned_s, left_s)))
        left_s -= planned_s
    return StepsRecord(tuple(levels), about["start_s"] - photons.start_s, start_uncertainty_s(about))
