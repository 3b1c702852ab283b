"""Lifetimes of FLID bins against the Cramer-Rao bound of the photons' full 25 ps micro times."""

from __future__ import annotations

import numpy as np
import pytest

from qdlab.analysis.decay_model import Background, Response, decay_probabilities, warped_edges
from qdlab.analysis.lifetime import LifetimeEstimator

RESOLUTION_NS, PERIOD_BINS = 0.025, 16_000
EDGES = warped_edges(80.0, PERIOD_BINS, RESOLUTION_NS)
FLAT_COUNTS = 4.0
TRIALS = 8000


def cramer_rao_bound(lifetime_ns: float, photons: int, response: Response) -> float:
    """Smallest relative standard deviation with the background known, from 25 ps micro times."""
    edges_ns = np.arange(PERIOD_BINS + 1) * RESOLUTION_NS
    step = 1e-4
    low, mid, high = decay_probabilities(
        lifetime_ns * np.exp(step * np.array([-1, 0, 1])), edges_ns, response
    )
    signal = 1 - FLAT_COUNTS / photons
    p = signal * mid + (1 - signal) / PERIOD_BINS
    return (photons * np.sum((signal * (high - low) / (2 * step)) ** 2 / p)) ** -0.5


@pytest.mark.parametrize("photons", [100, 200, 700])
@pytest.mark.parametrize("lifetime_ns", [0.9, 5.0, 42.0, 125.0])
def test_lifetimes_are_unbiased_and_nearly_as_sharp_as_the_photons_allow(
    response, micro_times, lifetime_ns, photons
):
    rng = np.random.default_rng(round(1000 * lifetime_ns + photons))
    micro = micro_times(rng, lifetime_ns, TRIALS * photons)
    dark = rng.random(len(micro)) < FLAT_COUNTS / photons
    micro[dark] = rng.uniform(0, PERIOD_BINS * RESOLUTION_NS, dark.sum())
    bin_of = np.repeat(np.arange(len(EDGES) - 1), np.diff(EDGES))
    trial = np.repeat(np.arange(TRIALS), photons) * (len(EDGES) - 1)
    cell = trial + bin_of[(micro / RESOLUTION_NS).astype(np.int64)]
    counts = np.bincount(cell, minlength=TRIALS * (len(EDGES) - 1)).reshape(TRIALS, -1)
    estimator = LifetimeEstimator(EDGES, RESOLUTION_NS, response, Background(FLAT_COUNTS / 0.02))
    found = estimator.estimate(counts, 0.02)
    bound = cramer_rao_bound(lifetime_ns, photons, response)
    spread = found.lifetime_ns.std() / lifetime_ns
    # three standard errors of a spread and of a mean of so many trials
    assert spread / bound < (1.06 if photons == 100 else 1.03) + 3 / np.sqrt(2 * TRIALS)
    if photons >= 200:
        assert abs(found.lifetime_ns.mean() / lifetime_ns - 1) < 0.01 + 3 * spread / np.sqrt(TRIALS)
    assert np.median(found.error_ns) / lifetime_ns == pytest.approx(bound, rel=0.02)
