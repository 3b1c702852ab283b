from __future__ import annotations

import numpy as np
import pytest

from qdlab.analysis.change_points import change_points
from qdlab.analysis.decay_model import warped_edges
from qdlab.analysis.joint_fit import fit_jointly
from qdlab.analysis.lifetime import LifetimeEstimator
from qdlab.analysis.states import find_states

EDGES = warped_edges(80.0, 16000.0, 0.025)
STATES = {  # rate, slow lifetime, share and lifetime of the fast part
    "X0": (34_600.0, 125.0, 0.05, 3.8),
    "dim": (21_000.0, 125.0, 0.05, 3.8),  # B-type: same lifetime, fewer photons
    "X-": (23_900.0, 125 / 3, 0.06, 2.4),
    "X+": (5_000.0, 8.1, 0.05, 1.4),
}


def blinking(rng, path, response, background):
    """Sync numbers and micro times of a path of (state, seconds)."""
    times, micro, start = [], [], 0.0
    for state, length_s in path:
        rate, slow, share, fast = STATES[state]
        n = rng.poisson(rate * length_s)
        times.append(rng.uniform(start, start + length_s, n))
        micro.append(rng.exponential(np.where(rng.random(n) < share, fast, slow)) + 2.0)
        start += length_s
    n = rng.poisson(background.prompt_rate_hz * start)
    times.append(rng.uniform(0, start, n))
    micro.append(rng.exponential(background.prompt_lifetime_ns, n) + 2.0)
    micro = [m + rng.normal(0, response.sigma_ns, len(m)) for m in micro]
    n = rng.poisson(background.flat_rate_hz * start)
    times.append(rng.uniform(0, start, n))
    micro.append(rng.uniform(0, 400, n))
    time_s, micro_ns = np.concatenate(times), np.concatenate(micro) % 400
    order = np.argsort(time_s)
    sync = (time_s[order] / 4e-7).astype(np.int64)
    return sync, (micro_ns[order] / 0.025).astype(np.uint16), round(start / 4e-7)


@pytest.fixture
def estimator(response, background):
    return LifetimeEstimator(EDGES, 0.025, response, background)


PATH = [
    ("X0", 1.5),
    ("X-", 0.4),
    ("X0", 0.3),
    ("X+", 0.3),
    ("X0", 0.9),
    ("dim", 0.5),
    ("X0", 0.6),
    ("X-", 0.6),
]


def test_change_points_are_where_the_delays_change_even_at_equal_counts():
    rng = np.random.default_rng(0)
    shares = np.repeat(
        [[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]], [300, 40, 500], axis=0
    )
    edges = change_points(rng.poisson(20 * shares))
    assert len(edges) == 4
    assert edges == pytest.approx([0, 300, 340, 840], abs=2)


def test_a_constant_record_is_one_stretch_and_an_empty_one_none():
    rng = np.random.default_rng(1)
    assert change_points(rng.poisson(8.0, (5000, 4))).tolist() == [0, 5000]
    assert change_points(np.zeros((100, 4), np.int64)).tolist() == [0, 100]
    assert change_points(np.zeros((0, 4), np.int64)).tolist() == [0]


def test_states_come_back_with_lifetimes_and_rates_within_their_errors(response, background, estimator):
    pulls = []
    for seed in range(8):
        sync, dtime, end = blinking(np.random.default_rng(seed), PATH, response, background)
        found = find_states(sync, dtime, (0, end), estimator)
        assert found.warnings == ()
        for state, name in ((found.x0, "X0"), (found.x_minus, "X-")):
            rate, slow, _, _ = STATES[name]
            assert state.name == name
            pulls.append((state.lifetime_ns - slow) / state.lifetime_err_ns)
            pulls.append((state.rate_hz - rate - background.rate_hz) / state.rate_err_hz)
        assert found.x_plus.rate_hz == pytest.approx(5000 + background.rate_hz, rel=0.06)
    assert np.abs(pulls).max() < 4
    assert abs(np.mean(pulls)) < 0.5
    assert np.std(pulls) == pytest.approx(1.0, abs=0.35)


def test_a_dimmer_copy_of_x0_is_not_taken_for_a_charge_state(response, background, estimator):
    path = [("X0", 1.0), ("dim", 0.5), ("X0", 0.5), ("dim", 0.4)]
    sync, dtime, end = blinking(np.random.default_rng(4), path, response, background)
    found = find_states(sync, dtime, (0, end), estimator)
    assert found.x0.duration_s == pytest.approx(1.5, abs=0.02)
    assert found.x_minus is None
    assert found.x_plus is None
    assert found.warnings == ("X- was not found in the hold",)


def test_many_short_visits_do_not_pull_the_lifetime_of_x0(response, background, estimator):
    visits = [("X0", 0.045), ("X-", 0.003)] * 60 + [("X-", 0.5), ("X0", 1.0)]
    sync, dtime, end = blinking(np.random.default_rng(5), visits, response, background)
    found = find_states(sync, dtime, (0, end), estimator)
    assert abs(found.x0.lifetime_ns - 125) < 3 * found.x0.lifetime_err_ns
    assert abs(found.x0.rate_hz - 34_600 - background.rate_hz) < 3 * found.x0.rate_err_hz


def test_a_dot_that_is_never_bright_has_no_states(background, response, estimator):
    rng = np.random.default_rng(6)
    sync = np.sort(rng.integers(0, 5_000_000, rng.poisson(2 * background.rate_hz)))
    dtime = rng.integers(0, 16_000, len(sync)).astype(np.uint16)
    found = find_states(sync, dtime, (0, 5_000_000), estimator)
    assert (found.x0, found.x_minus, found.fit) == (None, None, None)
    assert find_states(sync[:0], dtime[:0], (0, 5_000_000), estimator).x0 is None


def test_only_photons_inside_the_window_count(response, background, estimator):
    path = [("X+", 1.0), ("X0", 1.0), ("X-", 1.0)]
    sync, dtime, end = blinking(np.random.default_rng(7), path, response, background)
    found = find_states(sync, dtime, (end // 3, 2 * end // 3), estimator)
    assert found.x0.duration_s == pytest.approx(1.0, abs=0.01)
    assert found.x_minus is None


def test_the_joint_fit_tells_how_much_of_each_state_leaked_into_the_other(response, background):
    from qdlab.analysis.decay_model import background_probabilities, decay_probabilities

    edges_ns = warped_edges(80.0, 16000.0, 0.025, n_bins=160) * 0.025
    shapes = decay_probabilities([125.0, 42.0, 4.0, 1.0, 2.4, 0.6], edges_ns, response)
    amounts = np.array([[9e5, 3e4, 4e4, 2e3, 0, 0], [8e3, 2e5, 0, 0, 1e4, 5e2]])
    exposure = np.array([25.0, 9.0])
    blank = background_probabilities(background, edges_ns, response)
    counts = np.random.default_rng(8).poisson(amounts @ shapes + exposure[:, None] * blank)
    fit = fit_jointly(counts, exposure, np.array([115.0, 45.0]), edges_ns, response, background)
    assert fit.lifetimes_ns == pytest.approx(
        [125.0, 42.0], abs=4 * np.sqrt(fit.covariance_ns2.diagonal()).max()
    )
    assert (np.abs(fit.amounts[:, :2] - amounts[:, :2]) < 4 * fit.amounts_err[:, :2]).all()
    assert fit.amounts_err[0, 1] < 1e4
    assert fit.reduced_deviance == pytest.approx(1.0, abs=0.25)
    model = fit.model(0, 25.0, edges_ns, response, background)
    assert model.sum() == pytest.approx(counts[0].sum(), rel=1e-3)
