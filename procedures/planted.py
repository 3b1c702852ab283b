"""What was planted in a simulated run, in the quantities that its analysis reports.

Reads the run file's truth, which no analysis reads, and asks the physics for what follows from it. For
checking the analysis; nothing else uses it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from ..analysis.decay_model import (
    FWHM_PER_SIGMA,
    Background,
    Response,
    warped_edges,
)
from ..analysis.lifetime import LifetimeEstimator
from ..analysis.traces import microtime_histogram
from ..formats.h5_tree import read_tree
from ..formats.run_file import read_run_file
from ..sim.physics.detection import TICKS_PER_NS, TICKS_PER_S, Detection, Light
from ..sim.physics.expected import expected_rate_hz, photons_per_pulse
from ..sim.physics.photons import DotPhotons
from ..sim.samples import SAMPLES

TRUTH_S = 1000.0
"""Length of the record that stands for the truth."""
_SEED = 20_201_218
_STEPS = 12
"""Potentials at which the window before the vertex is sampled."""


class PlantedPoint(NamedTuple):
    """A dot at a potential, from a record much longer than any run, without card, cell and files.

    Where the charge fluctuates the decay is not one exponential and its lifetime depends on the estimator,
    so the truth of a lifetime is what the analysis' own estimator makes of that record.
    """

    lifetime_ns: float
    lifetime_err_ns: float
    rate_hz: float
    """Background included."""


class Planted:
    """What lay under one simulated run; potentials are those applied, physics those of the interface."""

    def __init__(self, path: Path) -> None:
        header = read_run_file(path).header
        dot = SAMPLES[header["station"]["simulation"]["sample"]]()
        if dot is None:
            raise ValueError(f"{path}: there was no dot on this spot")
        with h5py.File(path) as file:
            truth = read_tree(file.require_group("user/qdlab/truth"))
        self._pieces = list(truth["potential_pieces"].values())
        period_ticks = round(header["photons"]["sync_period_s"] * TICKS_PER_S)
        self.dot = dot
        self.light = Light(emitting=True, period_ticks=period_ticks)
        self.detection = Detection()
        self.background_hz = self.detection.background_hz(self.light)
        self._estimator = self._make_estimator()

    def x0_rate_hz(self) -> float:
        """Count rate of the neutral dot, background included."""
        return expected_rate_hz(replace(self.dot, blinking=None), self.detection, 0.0, self.light)

    def x_plus_rate_hz(self) -> float:
        """Count rate of the positive trion, background included."""
        return self._rate_of_charge_hz(-1)

    def swept(self, potential_v: float, window_v: float) -> PlantedPoint:
        """While a sweep was within `window_v` of a potential."""
        near = np.sort(
            np.concatenate(
                [p["interface_v"][np.abs(p["applied_v"] - potential_v) < window_v] for p in self._pieces]
            )
        )
        return self._point(near[((np.arange(_STEPS) + 0.5) / _STEPS * len(near)).astype(int)])

    def held(self, potential_v: float) -> PlantedPoint:
        """While a potential was held, after the cell had followed."""
        return self._point(np.array([self.held_interface_v(potential_v)]))

    def held_interface_v(self, potential_v: float) -> float:
        """The interface's potential while one was held."""
        held = [p for p in self._pieces if abs(p["applied_v"][-1] - potential_v) < 1e-4]
        return float(np.mean([p["interface_v"][-1] for p in held]))

    def enhancement(self, point: PlantedPoint) -> float:
        """Lifetime of X0 over that at a point."""
        return self.dot.tau0_ns / point.lifetime_ns

    def drop(self, point: PlantedPoint) -> float:
        """Rate of X0 over that at a point, both without background."""
        return (self.x0_rate_hz() - self.background_hz) / (point.rate_hz - self.background_hz)

    def _point(self, interface_v: NDArray[np.float64]) -> PlantedPoint:
        """What the estimator finds in a long record of the dot itself, equally long at each potential."""
        period = self.light.period_ticks
        stream = DotPhotons(self.dot, self.detection, seed=_SEED)
        counts = np.zeros(len(self._estimator.edges_bins) - 1, np.int64)
        ticks_each = round(TRUTH_S / len(interface_v) * TICKS_PER_S)
        for k, potential_v in enumerate(interface_v):
            cells = np.array([k * ticks_each])
            ticks, _ = stream.advance((k + 1) * ticks_each, cells, np.array([potential_v]), self.light)
            counts += microtime_histogram((ticks % period).astype(np.uint16), self._estimator.edges_bins)
        found = self._estimator.estimate_pooled(counts, TRUTH_S)
        return PlantedPoint(found.lifetime_ns, found.error_ns, found.photons / TRUTH_S)

    def _make_estimator(self) -> LifetimeEstimator:
        """The analysis' one-exponential estimator, with response and background as they really are."""
        detection, period = self.detection, self.light.period_ticks
        flat_hz = 2 * detection.dark_rate_hz
        response = Response(
            period / TICKS_PER_NS,
            detection.response_offset_ns,
            detection.response_fwhm_ns / FWHM_PER_SIGMA,
            detection.afterpulse_probability,
        )
        background = Background(flat_hz, self.background_hz - flat_hz, detection.laser_background_decay_ns)
        edges = warped_edges(detection.response_offset_ns * TICKS_PER_NS, period, 1 / TICKS_PER_NS)
        return LifetimeEstimator(edges, 1 / TICKS_PER_NS, response, background)

    def _rate_of_charge_hz(self, n_e: int) -> float:
        photons = photons_per_pulse(self.dot, n_e, self.light)
        signal_hz = photons * self.detection.efficiency * TICKS_PER_S / self.light.period_ticks
        return (signal_hz + self.background_hz) / (1 - self.detection.afterpulse_probability)


def planted_values(path: Path, window_v: float = 0.03) -> dict[str, float]:
    """The planted value of each number that a voltammetry-FLID run reports."""
    planted = Planted(path)
    vertex = planted.swept(read_run_file(path).header["parameters"]["vertex_v"], window_v)
    return {
        "X0 lifetime (ns)": planted.dot.tau0_ns,
        "X- lifetime (ns)": planted.dot.lifetime_ns(1),
        "gammaA/gamma0": planted.dot.auger_ratio,
        "X0 rate (Hz)": planted.x0_rate_hz(),
        "vertex lifetime (ns)": vertex.lifetime_ns,
        "vertex rate (Hz)": vertex.rate_hz,
        "enhancement": planted.enhancement(vertex),
        "drop": planted.drop(vertex),
    }
