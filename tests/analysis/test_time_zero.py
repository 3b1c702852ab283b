from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qdlab.analysis.time_zero import fit_time_zero, rough_time_zero_bins

LIFETIMES_NS = (125.0, 42.0, 20.0, 3.8, 2.4, 0.9, 0.3)
SHARES = (0.55, 0.1, 0.1, 0.1, 0.1, 0.042, 0.008)


def pooled_decay(response, seed: int, n: int, time_zero_ns: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    lifetimes = np.array(LIFETIMES_NS)[rng.choice(len(SHARES), p=SHARES, size=n)]
    micro = (rng.exponential(lifetimes) + time_zero_ns + rng.normal(0, response.sigma_ns, n)) % 400
    dark = rng.random(n) < 0.005
    micro[dark] = rng.uniform(0, 400, dark.sum())
    return np.bincount((micro / 0.025).astype(int), minlength=16000)


@pytest.mark.parametrize("true_ns", [2.0, 2.0113, 250.0])
def test_time_zero_and_width_come_back_to_ten_picoseconds_from_many_lifetimes(response, true_ns):
    decay = pooled_decay(response, 3, 1_000_000, true_ns)
    start = replace(response, time_zero_ns=rough_time_zero_bins(decay, 16000.0) * 0.025)
    found = fit_time_zero(decay, 0.025, start)
    error_ns = found.response.time_zero_ns - true_ns
    assert abs(error_ns) < 0.010
    assert abs(error_ns) < 3 * found.time_zero_err_ns
    assert found.time_zero_err_ns < 0.012
    assert abs(found.response.sigma_ns - response.sigma_ns) < 3 * found.sigma_err_ns
    assert found.reduced_chi2 == pytest.approx(1.0, abs=0.3)


def test_few_photons_are_refused(response):
    with pytest.raises(ValueError, match="too few"):
        fit_time_zero(pooled_decay(response, 1, 100, 2.0), 0.025, response)
