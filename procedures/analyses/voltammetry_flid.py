"""A voltammetry-FLID run: from the run file to the analysis' input, its table and its picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.potential import MarkerWiring, PotentialRecord
from ...analysis.voltammetry_flid import (
    Calibration,
    FlidSettings,
    VoltammetryFlidData,
    VoltammetryFlidResult,
    analyze_voltammetry_flid,
)
from ...formats.errors import FileFormatError
from ...formats.run_file import RunFile, StoredPhotons, StoredPotentiostatRecord

if TYPE_CHECKING:
    from rich.console import Console

HOST_CLOCK_UNCERTAINTY_S = 0.05
"""How well the host knows when the counter started."""
UNKNOWN_START_S = (6.0, 3.0)
"""Start-up of the potentiostat's program and its uncertainty, where its results are missing."""


class VoltammetryFlidAnalysis:
    """A voltammetry-FLID run, analyzed."""

    def __init__(self, run: RunFile) -> None:
        if run.photons is None:
            raise FileFormatError(f"{run.path}: this run recorded no photons ({run.header['status_reason']})")
        self._run = run
        parameters = run.header["parameters"]
        self.result = analyze_voltammetry_flid(
            _data(run, run.photons), FlidSettings(parameters["flid_bin_s"], parameters["trace_bin_s"])
        )

    def summary(self) -> dict[str, Any]:
        """The results as one JSON object."""
        return self.result.summary()

    def print(self, console: Console) -> None:
        """Print the results as a short table, with what to be careful about."""
        from rich.table import Table

        table = Table(show_header=False, box=None, pad_edge=False)
        for row in _rows(self.result):
            table.add_row(*row)
        console.print(table)
        for warning in self.result.warnings:
            console.print(f"note: {warning}")

    def draw(self, path: Path) -> None:
        """Draw trace, FLID, decays and voltammogram."""
        from ...analysis.figures.voltammetry_flid import draw_voltammetry_flid

        station = self._run.header["station"]["station"]
        draw_voltammetry_flid(
            path,
            self.result,
            [(r.potential_v, r.current_a, r.overload) for r in _sweeps(self._run)],
            title=self._run.header["title"] + (" [SIMULATED]" if self._run.header["simulated"] else ""),
            reference=station["reference_electrode"],
        )

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """FLID points of cycles and hold."""
        names = ("time_s", "potential_v", "potential_err_v", "cycle", "photons", "rate_hz", "lifetime_ns")
        return {
            name: {column: getattr(points, column) for column in (*names, "lifetime_err_ns")}
            for name, points in (("flid", self.result.flid), ("flid_hold", self.result.hold_flid))
        }


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
    return rows


def _data(run: RunFile, photons: StoredPhotons) -> VoltammetryFlidData:
    header = run.header
    parameters, station = header["parameters"], header["station"]
    markers, calibration = station["markers"], station["calibration"]
    hold = next((r for r in run.potentiostat if r.about["technique"] == "Hold"), None)
    if hold is not None:
        hold_start_s = hold.about["start_s"] - photons.start_s
        hold_s = (hold_start_s, hold_start_s + hold.time_s[-1] if len(hold.time_s) else hold_start_s)
        hold_uncertainty_s = float(np.hypot(hold.about["start_uncertainty_s"], HOST_CLOCK_UNCERTAINTY_S))
    else:
        hold_s, hold_uncertainty_s = None, 0.0
    lines = [np.nonzero(photons.marker_bits & (1 << k))[0] for k in range(4)]
    marker_index = np.concatenate(lines)
    order = np.argsort(marker_index, kind="stable")
    return VoltammetryFlidData(
        sync=photons.sync,
        dtime=photons.dtime,
        channel=photons.channel,
        resolution_ps=photons.resolution_s * 1e12,
        sync_period_s=photons.sync_period_s,
        duration_s=photons.duration_s,
        calibration=Calibration(
            dark_rates_hz=tuple(calibration["dark_rate_hz"]),
            prompt_rate_hz=calibration["prompt_rate_hz"],
            prompt_lifetime_ns=calibration["prompt_lifetime_ns"],
            blank_s=calibration["blank_s"],
            irf_fwhm_ns=calibration["irf_fwhm_ps"] / 1000,
            afterpulsing=calibration["afterpulsing"],
        ),
        hold_s=hold_s,
        hold_uncertainty_s=hold_uncertainty_s,
        initial_v=parameters["initial_v"],
        vertex_v=parameters["vertex_v"],
        cycles=parameters["cycles"],
        records=tuple(_records(run, photons)),
        marker_sync=photons.marker_sync[marker_index[order]],
        marker_line=np.repeat(np.arange(1, 5), [len(found) for found in lines]).astype(np.uint8)[order],
        wiring=markers
        and MarkerWiring(
            markers["potential_falling"],
            markers["potential_rising"],
            markers["threshold_v"],
            markers["threshold_uncertainty_v"],
        ),
        status=run.status,
    )


def _sweeps(run: RunFile) -> list[StoredPotentiostatRecord]:
    return [r for r in run.potentiostat if r.about["technique"] == "CyclicVoltammetry"]


def _records(run: RunFile, photons: StoredPhotons) -> list[PotentialRecord]:
    """The sweeps as recorded; where none came back, the programmed one with a doubtful start."""
    parameters = run.header["parameters"]
    span_v = parameters["vertex_v"] - parameters["initial_v"]
    cycle_s = 2 * abs(span_v) / parameters["scan_rate_v_s"]
    sweeps = _sweeps(run)
    if sweeps:
        return [
            PotentialRecord(
                s.time_s,
                s.potential_v,
                s.current_a,
                s.about["start_s"] - photons.start_s,
                float(np.hypot(s.about["start_uncertainty_s"], HOST_CLOCK_UNCERTAINTY_S)),
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
