from __future__ import annotations

import numpy as np
import pytest

from qdlab.analysis.decay_model import Background, warped_edges
from qdlab.analysis.lifetime import LifetimeEstimator

RESOLUTION_NS = 0.025
EDGES = warped_edges(80.0, 16000.0, RESOLUTION_NS)


def histograms(micro_ns: np.ndarray) -> np.ndarray:
    """One histogram per row of micro times."""
    bin_of = np.repeat(np.arange(len(EDGES) - 1), np.diff(EDGES))
    cell = (
        np.arange(len(micro_ns))[:, None] * (len(EDGES) - 1) + bin_of[(micro_ns / RESOLUTION_NS).astype(int)]
    )
    return np.bincount(cell.ravel(), minlength=len(micro_ns) * (len(EDGES) - 1)).reshape(len(micro_ns), -1)


@pytest.mark.parametrize(
    ("lifetime_ns", "photons", "bias_percent"),
    [
        (0.9, 100, 0.8),
        (0.9, 700, 0.3),
        (5.0, 400, 0.4),
        (42.0, 400, 0.4),
        (125.0, 100, 2.0),
        (125.0, 700, 0.5),
    ],
)
def test_lifetime_is_unbiased_and_its_error_is_the_cramer_rao_bound(
    response, micro_times, lifetime_ns, photons, bias_percent
):
    rng = np.random.default_rng(round(lifetime_ns * photons))
    n, flat_counts = 4000, 4.0
    micro = micro_times(rng, lifetime_ns, n * photons).reshape(n, photons)
    dark = rng.random((n, photons)) < flat_counts / photons
    micro[dark] = rng.uniform(0, 400, dark.sum())
    estimator = LifetimeEstimator(EDGES, RESOLUTION_NS, response, Background(flat_counts / 0.02))
    found = estimator.estimate(histograms(micro), 0.02)
    chance = 100 * found.lifetime_ns.std() / lifetime_ns / np.sqrt(n)
    assert 100 * abs(found.lifetime_ns.mean() / lifetime_ns - 1) < bias_percent + 2 * chance
    pulls = (found.lifetime_ns - lifetime_ns) / found.error_ns
    assert pulls.std() == pytest.approx(1.0, abs=0.06)
    assert (found.photons == photons).all()


def test_time_zero_off_by_25_ps_shifts_a_short_lifetime_as_much_as_known(response, micro_times):
    rng = np.random.default_rng(1)
    counts = histograms(micro_times(rng, 0.9, 400_000)[None, :])
    late = LifetimeEstimator(EDGES, RESOLUTION_NS, response, Background(0.0))
    shifted = LifetimeEstimator(
        EDGES,
        RESOLUTION_NS,
        type(response)(response.period_ns, response.time_zero_ns - 0.025, response.sigma_ns),
        Background(0.0),
    )
    change = shifted.estimate(counts, 1.0).lifetime_ns[0] / late.estimate(counts, 1.0).lifetime_ns[0] - 1
    assert 100 * change == pytest.approx(2.4, abs=0.5)


def test_pooled_lifetime_agrees_with_the_table_and_its_error_covers_a_mixture(response, micro_times):
    rng = np.random.default_rng(2)
    n, photons = 400, 1500
    micro = micro_times(rng, 0.6, n * photons).reshape(n, photons)
    micro[:, ::3] = micro_times(rng, 2.0, n * 500).reshape(n, 500)
    counts = histograms(micro)
    estimator = LifetimeEstimator(EDGES, RESOLUTION_NS, response, Background(0.0))
    pooled = [estimator.estimate_pooled(row, 1.0) for row in counts]
    lifetimes = np.array([p.lifetime_ns for p in pooled])
    assert lifetimes == pytest.approx(estimator.estimate(counts, 1.0).lifetime_ns, rel=1e-6)
    assert np.mean([p.error_ns for p in pooled]) == pytest.approx(lifetimes.std(), rel=0.12)
    assert estimator.estimate(counts, 1.0).error_ns.mean() < 0.9 * lifetimes.std()  # the bound alone is not


def test_nothing_above_background_has_no_lifetime_and_the_end_of_the_grid_no_error(response):
    estimator = LifetimeEstimator(EDGES, RESOLUTION_NS, response, Background(500.0))
    counts = np.zeros((3, len(EDGES) - 1), np.uint32)
    counts[1, 10:18] = 1
    counts[2] = 1000 * np.diff(EDGES)
    found = estimator.estimate(counts, [0.02, 0.02, 0.02])
    assert np.isnan(found.lifetime_ns[:2]).all()
    assert np.isnan(found.error_ns[:2]).all()
    assert found.lifetime_ns[2] == pytest.approx(600.0)
    assert found.error_ns[2] == np.inf


def test_histograms_with_other_bins_are_refused(response, background):
    estimator = LifetimeEstimator(EDGES, RESOLUTION_NS, response, background)
    with pytest.raises(ValueError, match="5 bins"):
        estimator.estimate(np.ones((2, 5)), 0.02)
