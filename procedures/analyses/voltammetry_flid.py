"""A voltammetry-FLID run: from the run file to the analysis' input, its table and its picture."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.cycles import MIN_CYCLES_FOR_SCATTER
from ...analysis.potential import PotentialRecord
from ...analysis.voltammetry_flid import (
    FlidSettings,
    VoltammetryFlidData,
    VoltammetryFlidResult,
    analyze_voltammetry_flid,
)
from ...formats.run_file import RunFile, StoredPhotons, StoredPotentiostatRecord
from .run_analysis import ResultAnalysis
from .stored import marker_edges, marker_wiring, measurement_fields, start_uncertainty_s, stored_photons

UNKNOWN_START_S = (6.0, 3.0)
"""Start-up of the potentiostat's program and its uncertainty, where its results are missing."""


class VoltammetryFlidAnalysis(ResultAnalysis[VoltammetryFlidResult]):
    """A voltammetry-FLID run, analyzed."""

    def __init__(self, run: RunFile) -> None:
        super().__init__(run)
        parameters = run.header["parameters"]
        self.result = analyze_voltammetry_flid(
            _data(run, stored_photons(run)), FlidSettings(parameters["flid_bin_s"], parameters["trace_bin_s"])
        )

    def rows(self) -> list[tuple[str, str]]:
        """What was found of X0 and X-, at the vertex, and over the cycles."""
        return _rows(self.result)

    def draw(self, path: Path) -> None:
        """Draw trace, FLID, decays and voltammogram."""
        from ...analysis.figures.voltammetry_flid import draw_voltammetry_flid

        draw_voltammetry_flid(
            path,
            self.result,
            _drawn_sweeps(self._run),
            title=self.title,
            reference=self.reference_electrode,
        )

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """FLID points of cycles and hold, averages over the cycles, drift and charge."""
        names = ("time_s", "potential_v", "potential_err_v", "cycle", "photons", "rate_hz", "lifetime_ns")
        tables = {
            name: {column: getattr(points, column) for column in (*names, "lifetime_err_ns")}
            for name, points in (("flid", self.result.flid), ("flid_hold", self.result.hold_flid))
        }
        return tables | _cycle_tables(self.result)


def _cycle_tables(result: VoltammetryFlidResult) -> dict[str, dict[str, NDArray[Any]]]:
    tables: dict[str, dict[str, NDArray[Any]]] = {}
    if cycles := result.cycle_average:
        for sweep in (cycles.forward, cycles.backward):
            columns = [field.name for field in fields(sweep) if field.name != "direction"]
            tables[f"cycles_{sweep.direction}"] = {column: getattr(sweep, column) for column in columns}
        for drift in cycles.drifts:
            tables[f"drift_at_{drift.potential_v:.3f}_v"] = {
                column: getattr(drift, column) for column in ("cycle", "rate_hz", "lifetime_ns")
            }
    if result.charge:
        tables["charge"] = {"cycle": result.charge.cycle, "charge_c": result.charge.charge_c}
    return tables


def _cycle_rows(r: VoltammetryFlidResult) -> list[tuple[str, str]]:
    rows = []
    if r.cycle_average and r.cycle_average.lag_v:
        cycles, lag = r.cycle_average, r.cycle_average.lag_v
        rows.append(("hysteresis", f"{lag.value * 1e3:.2f} ± {lag.error * 1e3:.2f} mV between the sweeps"))
        for drift in cycles.drifts:
            rate, lifetime = drift.rate_change, drift.lifetime_change
            told = (
                f"rate {rate.value * 100:+.1f} ± {rate.error * 100:.1f} %, "
                f"lifetime {lifetime.value * 100:+.1f} ± {lifetime.error * 100:.1f} %"
            )
            rows.append((f"drift at {drift.potential_v:.2f} V", f"{told} over {cycles.cycles} cycles"))
    if r.charge and len(r.charge.cycle):
        each_uc = r.charge.total_c / len(r.charge.cycle) * 1e6
        told = f"{r.charge.total_c * 1e3:.3g} mC, {each_uc:.3g} µC per cycle"
        if (dose := r.charge.dose_c_cm2) is not None:
            told += f", dose {dose * 1e3:.3g} mC/cm²"
        rows.append(("cathodic charge", told))
    return rows


def _drawn_sweeps(
    run: RunFile,
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]]:
    """Potential, current, overload of all sweeps; of a long run the first and the last cycle."""
    sweeps = _sweeps(run)
    if run.header["parameters"]["cycles"] < MIN_CYCLES_FOR_SCATTER or len(sweeps) == 0:
        return [(s.potential_v, s.current_a, s.overload) for s in sweeps]
    per_cycle = round(_cycle_s(run) / float(np.median(np.diff(sweeps[0].time_s))))
    ends = (sweeps[0], slice(None, per_cycle)), (sweeps[-1], slice(-per_cycle, None))
    return [(s.potential_v[cut], s.current_a[cut], s.overload[cut]) for s, cut in ends]


def _cycle_s(run: RunFile) -> float:
    parameters = run.header["parameters"]
    return 2 * abs(parameters["vertex_v"] - parameters["initial_v"]) / parameters["scan_rate_v_s"]


def _rows(r: VoltammetryFlidResult) -> list[tuple[str, str]]:
    x0, x_minus, vertex = r.states.x0, r.states.x_minus, r.at_vertex
    rows = [
        ("photons", f"{r.photons:,} in {r.duration_s:.1f} s, mean {r.photons / r.duration_s / 1e3:.2f} kc/s"),
    ]
    for name, state in (("X0", x0), ("X-", x_minus)):
        if state:
            told = (
                f"{state.lifetime_ns:.1f} ± {state.lifetime_err_ns:.1f} ns at {state.rate_hz / 1e3:.1f} kc/s"
            )
            rows.append((f"{name} lifetime", told))
        else:
            rows.append((f"{name} lifetime", "not seen in the hold"))
    if r.auger_ratio:
        rows.append(("gammaA/gamma0", f"{r.auger_ratio.value:.3f} ± {r.auger_ratio.error:.3f}"))
    if vertex:
        at = f"at {vertex.potential_v:g} V"
        rows.append((f"lifetime {at}", f"{vertex.lifetime_ns:.3f} ± {vertex.lifetime_err_ns:.3f} ns"))
        rows.append(
            (f"intensity {at}", f"{vertex.rate_hz / 1e3:.2f} kc/s, last {vertex.window_v * 1e3:.0f} mV")
        )
    if r.enhancement:
        rows.append(("lifetime enhancement", f"{r.enhancement.value:.0f} ± {r.enhancement.error:.0f}"))
    if r.drop:
        rows.append(("intensity drop", f"{r.drop.value:.1f} ± {r.drop.error:.1f}, background subtracted"))
    if r.timeline.sweeps:
        rows.append(("potential from", f"{r.timeline.source}, ± {r.timeline.uncertainty_s * 1e3:.1f} ms"))
    return rows + _cycle_rows(r)


def _data(run: RunFile, photons: StoredPhotons) -> VoltammetryFlidData:
    parameters = run.header["parameters"]
    hold = next((r for r in run.potentiostat if r.about["technique"] == "Hold"), None)
    if hold is not None:
        hold_start_s = hold.about["start_s"] - photons.start_s
        hold_s = (hold_start_s, hold_start_s + hold.time_s[-1] if len(hold.time_s) else hold_start_s)
        hold_uncertainty_s = start_uncertainty_s(hold.about)
    else:
        hold_s, hold_uncertainty_s = None, 0.0
    marker_sync, marker_line = marker_edges(photons)
    return VoltammetryFlidData(
        **measurement_fields(run),
        photons=photons,
        electrode_area_cm2=run.header["station"]["station"].get("electrode_area_cm2"),
        hold_s=hold_s,
        hold_uncertainty_s=hold_uncertainty_s,
        initial_v=parameters["initial_v"],
        vertex_v=parameters["vertex_v"],
        cycles=parameters["cycles"],
        records=tuple(_records(run, photons)),
        marker_sync=marker_sync,
        marker_line=marker_line,
        wiring=marker_wiring(run.header),
        status=run.status,
    )


def _sweeps(run: RunFile) -> list[StoredPotentiostatRecord]:
    return [r for r in run.potentiostat if r.about["technique"] == "CyclicVoltammetry"]


def _records(run: RunFile, photons: StoredPhotons) -> list[PotentialRecord]:
    """The sweeps as recorded; where none came back, the programmed one with a doubtful start."""
    parameters = run.header["parameters"]
    span_v = parameters["vertex_v"] - parameters["initial_v"]
    cycle_s = _cycle_s(run)
    sweeps = _sweeps(run)
    if sweeps:
        return [
            PotentialRecord(
                s.time_s,
                s.potential_v,
                s.current_a,
                s.about["start_s"] - photons.start_s,
                start_uncertainty_s(s.about),
                cycle_s,
                s.about["first_cycle"],
            )
            for s in sweeps
        ]
    if not parameters["cycles"] or "potentiostat_start_s" not in run.header:
        return []
    late_s, uncertainty_s = UNKNOWN_START_S
    start_s = run.header["potentiostat_start_s"] - photons.start_s + late_s + parameters["hold_s"]
    time_s = np.arange(2 * parameters["cycles"] + 1) * cycle_s / 2
    fine_s = np.linspace(0.0, time_s[-1], 4000 * parameters["cycles"] + 1)
    turning_v = parameters["initial_v"] + span_v * (np.arange(len(time_s)) % 2)
    return [
        PotentialRecord(
            fine_s, np.interp(fine_s, time_s, turning_v), np.empty(0), start_s, uncertainty_s, cycle_s
        )
    ]
