"""The photons of several excitons per pulse, and the number of extra electrons that decays are made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from qdlab.analysis.charge_isotherm import ChargeEstimator, Neutral
from qdlab.analysis.decay_model import background_probabilities, decay_probabilities, warped_edges
from qdlab.analysis.exciton_cascade import photons_in_exponentials
from qdlab.analysis.lifetime import LifetimeEstimator
from qdlab.analysis.scaling import Ratio, intensity_ratio, lifetime_ratio

PERIOD_NS, PAIRS = 400.0, 0.6
AUGER, HOLE_AUGER = 0.3, 6.7
ELECTRONS = np.arange(10)
SUB_POISSON = 2.5**ELECTRONS / np.cumprod(np.maximum(ELECTRONS, 1.0)) * np.exp(-0.05 * ELECTRONS**2)
SHARES = SUB_POISSON / SUB_POISSON.sum()
MEAN = float(SHARES @ ELECTRONS)


def rates_and_yields(electrons: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rates over gamma0 and yields of 1 to 8 pairs, every pair of carriers recombining with every third."""
    p = np.arange(1.0, 9.0)
    n = p + electrons
    total = n * p + AUGER * n * (n - 1) * p + HOLE_AUGER * n * p * (p - 1)
    return total, n * p / total


def brute_force(
    rng: np.random.Generator, electrons: int, lifetime_ns: float, pulses: int
) -> NDArray[np.float64]:
    """Times of the photons after the pulse, exciton by exciton, of many dots in the steady state."""
    rates, yields = rates_and_yields(electrons)
    rates = np.append(0.0, rates / lifetime_ns)
    yields = np.append(0.0, yields)
    pairs = np.zeros(pulses, np.int64)
    periods = 1 + int(30 / (PERIOD_NS * rates[1]))
    photons = []
    for period in range(periods):
        pairs = np.minimum(pairs + rng.poisson(PAIRS, pulses), len(rates) - 1)
        late_ns = np.zeros(pulses)
        alive = np.flatnonzero(pairs)
        while len(alive):
            late_ns[alive] += rng.exponential(1.0, len(alive)) / rates[pairs[alive]]
            alive = alive[late_ns[alive] < PERIOD_NS]
            if period == periods - 1:
                photons.append(late_ns[alive[rng.random(len(alive)) < yields[pairs[alive]]]])
            pairs[alive] -= 1
            alive = alive[pairs[alive] > 0]
    return np.concatenate(photons)


@pytest.fixture
def estimator(response, background):
    return LifetimeEstimator(warped_edges(80, 16_000, 0.025), 0.025, response, background)


@pytest.mark.parametrize(("electrons", "lifetime_ns"), [(0, 125.0), (0, 300.0), (1, 125.0), (6, 150.0)])
def test_the_exponentials_of_following_excitons_are_what_brute_force_draws(electrons, lifetime_ns, response):
    pulses = 300_000
    photons_ns = brute_force(np.random.default_rng(electrons), electrons, lifetime_ns, pulses)
    rates, yields = rates_and_yields(electrons)
    amounts = photons_in_exponentials(rates / lifetime_ns, yields, PAIRS, PERIOD_NS)
    edges_ns = np.array([0.0, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 400])
    sharp = replace(response, time_zero_ns=0.0, sigma_ns=1e-4)
    expected = pulses * amounts @ decay_probabilities(lifetime_ns / rates, edges_ns, sharp)
    counts = np.histogram(photons_ns, edges_ns)[0]
    chi2 = ((counts - expected) ** 2 / np.maximum(expected, 1.0)).sum()
    assert chi2 < 11 + 4 * np.sqrt(2 * 11)
    assert amounts[1] < 0.5 * amounts[0]


def test_with_faint_light_one_exponential_is_left():
    rates, yields = rates_and_yields(2)
    amounts = photons_in_exponentials(rates / 125.0, yields, 1e-6, PERIOD_NS)
    assert amounts[0] == pytest.approx(1e-6 * yields[0], rel=1e-5)
    assert np.abs(amounts[1:]).max() < 1e-11


def neutral_of(lifetime_ns: float, slow_rate_hz: float) -> Neutral:
    """What there is to know about a dot, with the errors of a minute's measurement."""
    biexciton_ns = lifetime_ns / (4 * (1 + AUGER + HOLE_AUGER))
    return Neutral(
        lifetime_ns=Ratio(lifetime_ns, 0.003 * lifetime_ns),
        slow_rate_hz=Ratio(slow_rate_hz, 0.002 * slow_rate_hz),
        biexciton_ns=Ratio(biexciton_ns, 0.05 * biexciton_ns),
        auger_ratio=Ratio(AUGER, 0.02),
        lifetime_auger_covariance=0.5 * 0.003 * lifetime_ns * 0.02,
        pairs_per_pulse=PAIRS,
    )


def test_the_mean_charge_is_found_in_a_decay_drawn_exciton_by_exciton(estimator, response):
    rng = np.random.default_rng(1)
    lifetime_ns, pulses, rate_hz = 25.0, 1_500_000, 2.5e6
    drawn = [brute_force(rng, int(j), lifetime_ns, round(pulses * SHARES[j])) for j in ELECTRONS]
    late_ns = np.concatenate(drawn)
    late_ns += response.time_zero_ns + rng.normal(0.0, response.sigma_ns, len(late_ns))
    histogram = np.histogram(late_ns % PERIOD_NS, estimator.edges_bins * 0.025)[0]
    # nothing outlives the period: k pairs leave the slow exponential larger by R_m / (R_m - R_1) for m <= k
    rates, _ = rates_and_yields(0)
    stronger = np.cumprod(np.append(1.0, rates[1:] / (rates[1:] - rates[0])))
    k = np.arange(1, 9)
    slow = float((np.exp(-PAIRS) * PAIRS**k / np.cumprod(k)) @ stronger)
    silent = LifetimeEstimator(
        estimator.edges_bins, 0.025, response, replace(estimator.background, flat_rate_hz=0, prompt_rate_hz=0)
    )
    found = ChargeEstimator(neutral_of(lifetime_ns, rate_hz * slow), silent).estimate(
        histogram, pulses / rate_hz
    )
    assert found.mean.value == pytest.approx(MEAN, abs=0.02)
    assert found.accounted.value == pytest.approx(1.0, abs=0.005)
    assert found.misfit < 2.0


def expected_counts(
    shares: NDArray[np.float64], exposure_s: float, estimator: LifetimeEstimator
) -> NDArray[np.float64]:
    """Counts of a dot without multi-excitons: lifetimes and yields of Eqs. 1-2, and the background."""
    edges_ns = estimator.edges_bins * 0.025
    n = np.arange(1, len(shares) + 1)
    shapes = decay_probabilities(125.0 * lifetime_ratio(n, AUGER), edges_ns, estimator.response)
    blank = background_probabilities(estimator.background, edges_ns, estimator.response)
    return exposure_s * ((33_000.0 * shares * intensity_ratio(n, AUGER)) @ shapes + blank)


FAINT = replace(neutral_of(125.0, 33_000.0), pairs_per_pulse=1e-3)


def test_errors_of_the_mean_charge_are_those_of_drawing_the_counts_and_the_neutral_state(estimator):
    rng = np.random.default_rng(2)
    mean = expected_counts(SHARES, 60.0, estimator)
    tau, auger = FAINT.lifetime_ns, FAINT.auger_ratio
    covariance = np.diag([tau.error**2, auger.error**2])
    covariance[0, 1] = covariance[1, 0] = FAINT.lifetime_auger_covariance
    pulls = []
    for _ in range(40):
        tau_ns, ratio = rng.multivariate_normal([tau.value, auger.value], covariance)
        measured = replace(
            FAINT,
            lifetime_ns=tau._replace(value=tau_ns),
            auger_ratio=auger._replace(value=ratio),
            slow_rate_hz=FAINT.slow_rate_hz._replace(value=rng.normal(*FAINT.slow_rate_hz)),
        )
        found = ChargeEstimator(measured, estimator).estimate(rng.poisson(mean), 60.0)
        pulls.append((found.mean.value - MEAN) / found.mean.error)
    assert abs(np.mean(pulls)) < 4 / np.sqrt(len(pulls))
    assert 0.65 < np.std(pulls) < 1.35


@pytest.mark.parametrize("electrons", [0, 1, 3, 8])
def test_a_charge_that_never_changes_is_found(electrons, estimator):
    counts = np.random.default_rng(3).poisson(expected_counts(np.eye(9)[electrons], 60.0, estimator))
    found = ChargeEstimator(FAINT, estimator).estimate(counts, 60.0)
    assert found.mean.value == pytest.approx(electrons, abs=max(0.02, 3 * found.mean.error))
    assert found.shares[electrons] == pytest.approx(1.0, abs=0.06)


def test_few_photons_do_not_bias_the_mean_charge(estimator):
    rng = np.random.default_rng(4)
    charge = ChargeEstimator(FAINT, estimator)
    mean = expected_counts(SHARES, 0.02, estimator)
    found = [charge.estimate(rng.poisson(mean), 0.02) for _ in range(60)]
    means = np.array([each.mean.value for each in found])
    assert np.mean(means) == pytest.approx(MEAN, abs=4 * np.std(means) / np.sqrt(60) + 0.03)


def test_a_dot_that_is_dark_half_of_the_time_leaves_half_of_the_time_unaccounted_for(estimator):
    mean = expected_counts(0.5 * np.eye(4)[2], 60.0, estimator)
    found = ChargeEstimator(FAINT, estimator).estimate(np.random.default_rng(5).poisson(mean), 60.0)
    assert found.accounted.value == pytest.approx(0.5, abs=0.01)
    assert found.mean.value == pytest.approx(2.0, abs=0.1)
    assert found.mean.error > 1.0


def test_a_decay_that_no_repelling_electrons_make_is_told_by_its_misfit(estimator):
    apart = 0.5 * np.eye(9)[0] + 0.5 * np.eye(9)[8]
    mean = expected_counts(apart, 60.0, estimator)
    found = ChargeEstimator(FAINT, estimator).estimate(np.random.default_rng(6).poisson(mean), 60.0)
    assert found.misfit > 10
