import numpy as np
import pytest

from qdlab.analysis.poisson import Measured, chi2_per_bin, signed_deviance
from qdlab.analysis.step_response import fit_step_response

EDGES_US = np.unique(np.round(1.12 ** np.arange(0, 75))) * 0.4 - 0.4


def mean_in_bins(quantity) -> np.ndarray:
    """Mean of a function of time in each bin, by brute force."""
    inside = (np.arange(2000) + 0.5) / 2000
    return np.array(
        [quantity(a + width * inside).mean() for a, width in zip(EDGES_US, np.diff(EDGES_US), strict=False)]
    )


def fitted(quantity, before: float, seconds_per_us: float, seed: int):
    rng = np.random.default_rng(seed)
    exposure_s = np.diff(EDGES_US) * seconds_per_us
    counts = rng.poisson(mean_in_bins(quantity) * exposure_s)
    before_counts = rng.poisson(before * 5.0)
    n, seconds = np.append(counts, before_counts), np.append(exposure_s, 5.0)
    return fit_step_response(
        EDGES_US,
        np.maximum(counts, 0.5) / exposure_s,
        np.sqrt(np.maximum(counts, 1.0)) / exposure_s,
        Measured(before_counts / 5.0, before_counts**0.5 / 5.0),
        lambda model: signed_deviance(n, model * seconds),
    )


def one(t, before=9000.0, after=1500.0, delay=0.5, tau=0.9):
    return after + (before - after) * np.where(t > delay, np.exp(-(t - delay) / tau), 1.0)


def test_one_exponential_behind_a_delay_comes_back_with_honest_errors():
    pulls = []
    for seed in range(15):
        found = fitted(one, 9000.0, 0.02, seed)
        assert len(found.time_constants_us) == 1
        assert found.resolved
        assert found.times_from == "fit"
        pulls.append(
            [
                (found.time_constants_us[0].value - 0.9) / found.time_constants_us[0].error,
                (found.delay_us.value - 0.5) / found.delay_us.error,
                (found.t10_90_us.value - 0.9 * np.log(9)) / found.t10_90_us.error,
                (found.after.value - 1500.0) / found.after.error,
            ]
        )
    pulls = np.array(pulls)
    assert np.abs(pulls).max() < 4.5
    assert np.all(np.abs(pulls.mean(axis=0)) < 1.1)
    assert np.all((pulls.std(axis=0) > 0.4) & (pulls.std(axis=0) < 1.8))


def test_a_rise_in_two_parts_needs_two_exponentials_and_gets_them():
    def two(t):
        return 2000 + 8000 * (1 - 0.6 * np.exp(-t / 0.8) - 0.4 * np.exp(-t / 30.0))

    found = fitted(two, 2000.0, 0.1, 1)
    assert len(found.time_constants_us) == 2
    fast, slow = found.time_constants_us
    assert fast.value == pytest.approx(0.8, abs=4 * fast.error)
    assert slow.value == pytest.approx(30.0, abs=4 * slow.error)
    assert sum(share.value for share in found.shares) == pytest.approx(1.0)
    fine = np.linspace(0, 300, 600_001)
    done = (two(fine) - 2000) / 8000
    planted = fine[np.searchsorted(done, 0.9)] - fine[np.searchsorted(done, 0.1)]
    assert found.t10_90_us.value == pytest.approx(planted, abs=4 * found.t10_90_us.error)


def test_the_curve_goes_from_before_to_after():
    found = fitted(one, 9000.0, 0.02, 3)
    assert found.curve(0.0) == pytest.approx(found.before.value)
    assert found.curve(1e4) == pytest.approx(found.after.value)
    assert np.all(np.diff(found.curve(np.linspace(0, 20, 100))) <= 0)


def test_a_course_that_is_no_exponential_has_its_times_read_off_the_data():
    def s_shaped(t):
        return 1000 + 20_000 / (1 + np.exp((t - 40.0) / 6.0))

    found = fitted(s_shaped, s_shaped(0.0), 5.0, 6)
    assert found.times_from == "data"
    assert found.chi2_per_bin > 2.0
    planted = 6.0 * 2 * np.log(9)  # a logistic curve
    assert found.t10_90_us.value == pytest.approx(planted, abs=4 * found.t10_90_us.error + 0.5)
    assert found.t10_90_us.error < 1.0


def test_a_change_faster_than_the_bins_is_called_unresolved():
    found = fitted(lambda t: np.where(t < 0.8, 9000.0, 1500.0), 9000.0, 0.05, 4)
    assert not found.resolved
    assert found.time_constants_us[0].value == pytest.approx(0.1, rel=0.06)


def test_no_change_is_none():
    assert fitted(lambda t: np.full_like(t, 5000.0), 5000.0, 0.02, 5) is None


def test_the_deviance_is_twice_the_log_likelihood_ratio():
    rng = np.random.default_rng(0)
    mean = rng.uniform(0.2, 30.0, 50)
    n = rng.poisson(mean)
    ratio = (mean - n + np.where(n > 0, n * np.log(np.maximum(n, 1) / mean), 0.0)).sum()
    assert (signed_deviance(n, mean) ** 2).sum() == pytest.approx(2 * ratio)
    assert np.sign(signed_deviance([5], [9.0])) == 1


def test_chi2_of_poisson_counts_is_about_one_however_few_there_are():
    rng = np.random.default_rng(1)
    expected = rng.uniform(0.05, 20.0, 4000)
    assert chi2_per_bin(rng.poisson(expected), expected, 3) == pytest.approx(1.0, abs=0.15)
    assert chi2_per_bin(rng.poisson(1.3 * expected), expected, 3) > 1.5
