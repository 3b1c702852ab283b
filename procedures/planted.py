"""What was planted in a simulated voltammetry-FLID run, in the quantities that its analysis reports.

Reads the run file's truth, which no analysis reads, and asks the physics for what follows from it. For
checking the analysis; nothing else uses it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ..analysis.decay_model import (
    FWHM_PER_SIGMA,
    Background,
    Response,
    background_probabilities,
    warped_edges,
)
from ..analysis.lifetime import LifetimeEstimator
from ..formats.h5_tree import read_tree
from ..formats.run_file import read_run_file
from ..sim.physics.detection import TICKS_PER_NS, TICKS_PER_S, Detection, Light
from ..sim.physics.expected import expected_decay, expected_rate_hz
from ..sim.samples import SAMPLES

_BIN_NS = 0.025
_TIME_ZERO_NS = 2.0
_STEPS = 12
"""Potentials at which the window before the vertex is sampled."""


def planted_values(path: Path, window_v: float = 0.03) -> dict[str, float]:
    """The planted value of each number in the results, by the names of `found_values`.

    The lifetime at the vertex is what the same estimator (one exponential, maximum likelihood) makes of
    the exact mean decay over the last `window_v` before the vertex, at the potential of the interface.
    """
    run = read_run_file(path)
    dot = SAMPLES[run.header["station"]["simulation"]["sample"]]()
    if dot is None:
        raise ValueError(f"{path}: there was no dot on this spot")
    period_ticks = round(run.header["photons"]["sync_period_s"] * TICKS_PER_S)
    light = Light(emitting=True, period_ticks=period_ticks)
    detection = Detection()
    background_hz = detection.background_hz(light)
    bias_v = _interface_near_vertex(path, run.header["parameters"]["vertex_v"], window_v)
    decay = np.mean([expected_decay(dot, v, light, _BIN_NS) for v in bias_v], axis=0)
    rate_hz = float(np.mean([expected_rate_hz(dot, detection, v, light) for v in bias_v]))
    vertex_ns = _one_exponential_ns(decay, rate_hz, background_hz, period_ticks / TICKS_PER_NS)
    x0_hz = expected_rate_hz(replace(dot, blinking=None), detection, 0.0, light)
    return {
        "X0 lifetime (ns)": dot.tau0_ns,
        "X- lifetime (ns)": dot.lifetime_ns(1),
        "gammaA/gamma0": dot.auger_ratio,
        "X0 rate (Hz)": x0_hz,
        "vertex lifetime (ns)": vertex_ns,
        "vertex rate (Hz)": rate_hz,
        "enhancement": dot.tau0_ns / vertex_ns,
        "drop": (x0_hz - background_hz) / (rate_hz - background_hz),
    }


def _interface_near_vertex(path: Path, vertex_v: float, window_v: float) -> NDArray[np.float64]:
    """Potentials of the interface while the applied one was within the window, evenly over time."""
    with h5py.File(path) as file:
        truth = read_tree(file.require_group("user/qdlab/truth"))
    applied = np.concatenate([p["applied_v"] for p in truth["potential_pieces"].values()])
    interface = np.concatenate([p["interface_v"] for p in truth["potential_pieces"].values()])
    near = np.sort(interface[np.abs(applied - vertex_v) < window_v])
    return near[((np.arange(_STEPS) + 0.5) / _STEPS * len(near)).astype(int)]


def _one_exponential_ns(
    decay: NDArray[np.float64], rate_hz: float, background_hz: float, period_ns: float
) -> float:
    """The lifetime that the analysis' estimator finds in a noiseless record of `decay`."""
    exposure_s = 1e4
    response = Response(period_ns, _TIME_ZERO_NS, 0.4 / FWHM_PER_SIGMA)
    background = Background(150.0, background_hz - 150.0, 0.3)
    edges = warped_edges(_TIME_ZERO_NS / _BIN_NS, round(period_ns / _BIN_NS), _BIN_NS)
    edges_ns = edges * _BIN_NS
    reach = round(5 * response.sigma_ns / _BIN_NS)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * _BIN_NS / response.sigma_ns) ** 2)
    smeared = np.convolve(decay, kernel / kernel.sum())
    delays_ns = ((np.arange(len(smeared)) - reach + 0.5) * _BIN_NS + _TIME_ZERO_NS) % period_ns
    signal = np.histogram(delays_ns, edges_ns, weights=smeared)[0]
    counts = exposure_s * (
        (rate_hz - background_hz) * signal / signal.sum()
        + background_probabilities(background, edges_ns, response)
    )
    estimator = LifetimeEstimator(edges, _BIN_NS, response, background)
    return estimator.estimate_pooled(np.round(counts).astype(np.int64), exposure_s).lifetime_ns
