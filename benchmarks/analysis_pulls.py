"""Does the voltammetry-FLID analysis find what was planted, within its own errors? One row per run.

    python benchmarks/analysis_pulls.py [--runs 20] [--batch 1]

Makes photons of the default experiment (30 s at 0 V, then three cycles 0 -> -2 -> 0 V at 0.2 V/s) straight
from the dot, without card, files or cell, analyses them, and prints found / planted / pull of every number
with an error. A pull is (found - planted) / error: honest errors give mean 0 and standard deviation 1.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdlab.analysis.decay_model import FWHM_PER_SIGMA, Background, Response, warped_edges
from qdlab.analysis.flid_data import Calibration, VoltammetryFlidData
from qdlab.analysis.lifetime import LifetimeEstimator
from qdlab.analysis.photon_source import PhotonArrays
from qdlab.analysis.potential import PotentialRecord
from qdlab.analysis.traces import microtime_histogram
from qdlab.analysis.voltammetry_flid import VoltammetryFlidResult, analyze_voltammetry_flid
from qdlab.sim.physics.charged_dot import Blinking, ChargedDot
from qdlab.sim.physics.detection import TICKS_PER_S, Detection, Light
from qdlab.sim.physics.photons import DotPhotons

PERIOD_TICKS = 16000
VERTEX_V, SCAN_RATE_V_S = -2.0, 0.2
CYCLE_S = 2 * abs(VERTEX_V) / SCAN_RATE_V_S


@dataclass(frozen=True)
class Planted:
    """What the analysis should find."""

    x0_lifetime_ns: float
    x_minus_lifetime_ns: float
    x0_rate_hz: float
    x_minus_rate_hz: float
    vertex_lifetime_ns: float
    vertex_rate_hz: float
    background_hz: float
    auger_ratio: float

    @property
    def enhancement(self) -> float:
        return self.x0_lifetime_ns / self.vertex_lifetime_ns

    @property
    def drop(self) -> float:
        return (self.x0_rate_hz - self.background_hz) / (self.vertex_rate_hz - self.background_hz)


def dot_of(batch: int, blinking: Blinking | None) -> ChargedDot:
    dot = ChargedDot.batch_1() if batch == 1 else ChargedDot.batch_2()
    return ChargedDot(**{**vars(dot), "blinking": blinking})


def photons_of(
    dot: ChargedDot, cells_v: NDArray[np.float64], cell_s: float, *, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.uint8]]:
    """Sync numbers, micro times and channels for a bias given in cells of equal length."""
    stream = DotPhotons(dot, Detection(), seed=seed)
    edges = np.round(np.arange(len(cells_v) + 1) * cell_s * TICKS_PER_S).astype(np.int64)
    ticks, channels = stream.advance(int(edges[-1]), edges[:-1], cells_v, Light(emitting=True))
    return ticks // PERIOD_TICKS, (ticks % PERIOD_TICKS).astype(np.uint16), channels


def plant(batch: int, *, seconds: float = 400.0) -> Planted:
    """Rates and the vertex lifetime are those of much longer runs in one state."""
    dot = dot_of(batch, Blinking())
    cells = np.zeros(100)
    x0 = photons_of(dot_of(batch, None), cells, seconds / 100, seed=901)
    negative = Blinking(
        hole_share=0.0, dwell_scale=(1.0, 1e-9, 1e12), electron_escape_hz=0.0, trap_open_hz=0.0
    )
    x_minus = photons_of(dot_of(batch, negative), cells, seconds / 100, seed=902)
    ramp = np.tile(VERTEX_V + np.abs(np.arange(-150, 150) + 0.5) * 0.0002, round(seconds / 0.3))
    vertex = photons_of(dot, ramp, 0.001, seed=903)
    response = Response(400.0, 2.0, 0.4 / FWHM_PER_SIGMA, 0.005)
    background = Background(150.0, 230.0, 0.3)
    edges = warped_edges(80, PERIOD_TICKS, 0.025)
    estimator = LifetimeEstimator(edges, 0.025, response, background)
    exposure_s = len(ramp) * 0.001
    lifetime = estimator.estimate_pooled(microtime_histogram(vertex[1], edges), exposure_s)
    return Planted(
        dot.tau0_ns,
        dot.lifetime_ns(1),
        len(x0[0]) / seconds,
        len(x_minus[0]) / seconds,
        lifetime.lifetime_ns,
        len(vertex[0]) / exposure_s,
        background.rate_hz,
        dot.auger_ratio,
    )


def default_run(batch: int, seed: int, *, hold_s: float = 30.0, cycles: int = 3) -> VoltammetryFlidData:
    """One run with clocks that disagree, a threshold off by some mV and a start known to 0.3 s."""
    rng = np.random.default_rng([seed, 7])
    drift, start_s = rng.normal(0, 30e-6), 0.5 + hold_s + 0.3 + rng.uniform(0, 0.01)
    cell_s, sweep_s = 0.001, cycles * CYCLE_S
    duration_s = start_s + sweep_s * (1 + drift) + 0.2
    at = (np.arange(round(duration_s / cell_s)) + 0.5) * cell_s
    on_record = np.clip((at - start_s) / (1 + drift), 0.0, sweep_s)
    half = CYCLE_S / 2
    bias = VERTEX_V + np.abs(on_record % CYCLE_S - half) * SCAN_RATE_V_S
    sync, dtime, channel = photons_of(dot_of(batch, Blinking()), bias, cell_s, seed=seed)

    threshold_v = rng.normal(-0.02, 0.003)
    lag_s = abs(threshold_v) / SCAN_RATE_V_S
    crossings = np.concatenate(
        [(k * CYCLE_S + lag_s, (k + 1) * CYCLE_S - lag_s) for k in range(cycles)] or [[]]
    )
    edges_s = start_s + (1 + drift) * crossings + rng.normal(0, 2e-4, len(crossings))
    record_s = np.arange(1, round(sweep_s / 0.005) + 1) * 0.005
    record = PotentialRecord(
        record_s,
        VERTEX_V + np.abs(record_s % CYCLE_S - half) * SCAN_RATE_V_S,
        np.zeros_like(record_s),
        start_s + rng.normal(0, 0.3),
        0.3,
        CYCLE_S,
    )
    return VoltammetryFlidData(
        25.0, 4e-7, len(at) * cell_s, Calibration((75.0, 75.0), 230.0), PhotonArrays(sync, dtime, channel),
        (0.5, 0.5 + hold_s) if hold_s else None, 0.02, 0.0, VERTEX_V, cycles, (record,) if cycles else (),
        np.round(edges_s / 4e-7).astype(np.int64), np.tile(np.array([1, 2], np.uint8), cycles),
    )  # fmt: skip


def rows(result: VoltammetryFlidResult, planted: Planted) -> dict[str, tuple[float, float, float]]:
    """Found, error and planted value of every number that has an error."""
    x0, x_minus, vertex = result.states.x0, result.states.x_minus, result.at_vertex
    table = {}
    if x0:
        table["tau X0 / ns"] = (x0.lifetime_ns, x0.lifetime_err_ns, planted.x0_lifetime_ns)
        table["rate X0 / Hz"] = (x0.rate_hz, x0.rate_err_hz, planted.x0_rate_hz)
    if x_minus:
        table["tau X- / ns"] = (x_minus.lifetime_ns, x_minus.lifetime_err_ns, planted.x_minus_lifetime_ns)
        table["rate X- / Hz"] = (x_minus.rate_hz, x_minus.rate_err_hz, planted.x_minus_rate_hz)
    if result.auger_ratio and result.auger_ratio_from_intensities:
        table["gammaA/gamma0"] = (*result.auger_ratio, planted.auger_ratio)
        table["  by intensities"] = (*result.auger_ratio_from_intensities, planted.auger_ratio)
    if vertex:
        table["tau vertex / ns"] = (vertex.lifetime_ns, vertex.lifetime_err_ns, planted.vertex_lifetime_ns)
        table["rate vertex / Hz"] = (vertex.rate_hz, vertex.rate_err_hz, planted.vertex_rate_hz)
    if result.enhancement and result.drop:
        table["enhancement"] = (*result.enhancement, planted.enhancement)
        table["drop"] = (*result.drop, planted.drop)
    if result.time_zero:
        zero = result.time_zero
        table["time zero / ns"] = (zero.response.time_zero_ns, zero.time_zero_err_ns, 2.0)
        table["sigma / ns"] = (zero.response.sigma_ns, zero.sigma_err_ns, 0.4 / FWHM_PER_SIGMA)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--batch", type=int, choices=(1, 2), default=1)
    options = parser.parse_args()
    planted = plant(options.batch)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(options.runs):
        data = default_run(options.batch, seed)
        begin = time.perf_counter()
        result = analyze_voltammetry_flid(data)
        took_s = time.perf_counter() - begin
        table = rows(result, planted)
        for name, row in table.items():
            found.setdefault(name, []).append(row)
        pulls = " ".join(f"{(v - p) / e:+5.1f}" for v, e, p in table.values())
        print(
            f"run {seed:2d}: {data.photons.n_photons} photons, {took_s:.2f} s, pulls {pulls} "
            f"{result.warnings or ''}"
        )
    print(f"\n{'':18}    planted  mean found   scatter mean error pull mean    sd runs")
    for name, values in found.items():
        value, error, plan = np.array(values).T
        pull = (value - plan) / error
        print(
            f"{name:18} {plan[0]:10.4g} {value.mean():11.5g} {value.std(ddof=1):9.3g} {error.mean():10.3g}"
            f" {pull.mean():+9.2f} {pull.std(ddof=1):5.2f} {len(value)}"
        )


if __name__ == "__main__":
    main()
