"""How often a dot holds how many extra electrons, from its decay and its intensity at one potential.

By Eqs. 1-2 of Morozov et al., Science Advances 6, eabb1821 (2020), each number j of extra electrons has its
lifetime and its yield. While the charge changes more slowly than the excitons decay, the decay is a sum of
these exponentials, and with the intensity of X0 their amounts are shares of time. The mean charge is then
free of what averaging does to the lifetime and the intensity (0.5 electron too low at a mean of 3).

Multi-excitons are part of it, with rates that go on where Eqs. 1-2 end: every pair of carriers recombines
with every third (statistical scaling; the Auger rate of hole pairs from the biexciton's lifetime in X0). It
matters that they recombine first and the last exciton after them: as exponentials that all begin with the
pulse the mean comes out 6 % too low.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from .decay_model import background_probabilities, decay_probabilities
from .exciton_cascade import photons_in_exponentials
from .lifetime import LifetimeEstimator
from .scaling import Ratio

MOST_ELECTRONS = 24
_MOST_PAIRS = 6
_RESAMPLED = 24


@dataclass(frozen=True)
class Neutral:
    """What is known of the dot's neutral state, and its Auger rates over gamma0."""

    lifetime_ns: Ratio
    slow_rate_hz: Ratio
    """Rate of X0's photons without those of multi-excitons and without background, as recorded."""
    biexciton_ns: Ratio
    auger_ratio: Ratio
    lifetime_auger_covariance: float
    """Covariance of the two; a longer X0 beside the same X- makes a larger ratio."""
    pairs_per_pulse: float
    """From the dots' saturation."""


@dataclass(frozen=True)
class ChargeDistribution:
    """Shares of time of 0, 1, 2, ... extra electrons."""

    shares: NDArray[np.floating]
    """As they come out, not normalized; shape (MOST_ELECTRONS + 1,)."""
    mean: Ratio
    """Mean number of extra electrons, over the shares' sum."""
    accounted: Ratio
    """Sum of the shares: one where Eqs. 1-2 hold and nothing else dims the dot."""


class ChargeEstimator:
    """Shares of time from micro-time histograms over the bins of `estimator`."""

    def __init__(self, neutral: Neutral, estimator: LifetimeEstimator) -> None:
        edges_ns = estimator.edges_bins * estimator.resolution_ns
        self._blank_hz = background_probabilities(estimator.background, edges_ns, estimator.response)
        self._expected_hz = _expected_hz(neutral, edges_ns, estimator)
        self._others_hz = [
            _expected_hz(other, edges_ns, estimator) for other in _one_standard_error_off(neutral)
        ]

    def estimate(self, histogram: NDArray[np.int64], exposure_s: float) -> ChargeDistribution:
        """Find the shares of time from one histogram, shape (bins,), collected over `exposure_s` seconds.

        Errors hold the counts (by resampling them, always the same way), those of the neutral state, and for
        the mean the time that is not accounted for: it may have been spent at twice the mean and two
        electrons more.
        """
        shares = self._shares(histogram, exposure_s, self._expected_hz)
        value = _mean_and_sum(shares)
        rng = np.random.default_rng(0)
        resampled = (
            self._shares(rng.poisson(histogram), exposure_s, self._expected_hz) for _ in range(_RESAMPLED)
        )
        scatter = np.std([_mean_and_sum(shares) for shares in resampled], axis=0)
        others = (self._shares(histogram, exposure_s, other_hz) for other_hz in self._others_hz)
        off = [_mean_and_sum(shares) - value for shares in others]
        error = np.sqrt(scatter**2 + np.square(off).sum(axis=0))
        mean, accounted = value.tolist()
        mean_err = math.hypot(float(error[0]), abs(1.0 - accounted) * (mean + 2.0))
        return ChargeDistribution(shares, Ratio(mean, mean_err), Ratio(accounted, float(error[1])))

    def _shares(
        self, counts: NDArray[np.integer], exposure_s: float, expected_hz: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """Non-negative least squares, weighted by what a first round of it expects in each bin."""
        blank = exposure_s * self._blank_hz
        variance = np.maximum(counts, 3.0)
        for _ in range(2):
            weight = 1.0 / np.sqrt(variance)
            shares, _ = nnls((exposure_s * expected_hz * weight).T, (counts - blank) * weight)
            variance = np.maximum(blank + exposure_s * (shares @ expected_hz), 1.0)
        return shares


def _mean_and_sum(shares: NDArray[np.floating]) -> NDArray[np.floating]:
    total = float(shares.sum())
    return np.array([float(shares @ np.arange(len(shares))) / total if total > 0 else math.nan, total])


def _one_standard_error_off(neutral: Neutral) -> list[Neutral]:
    """The neutral state moved by one standard error along each independent direction."""
    tau, rate, auger, two = (
        neutral.lifetime_ns,
        neutral.slow_rate_hz,
        neutral.auger_ratio,
        neutral.biexciton_ns,
    )
    along = neutral.lifetime_auger_covariance / tau.error if tau.error > 0 else 0.0
    alone = math.sqrt(max(0.0, auger.error**2 - along**2))
    return [
        replace(
            neutral,
            lifetime_ns=tau._replace(value=tau.value + tau.error),
            auger_ratio=auger._replace(value=auger.value + along),
        ),
        replace(neutral, auger_ratio=auger._replace(value=auger.value + alone)),
        replace(neutral, slow_rate_hz=rate._replace(value=rate.value + rate.error)),
        replace(neutral, biexciton_ns=two._replace(value=two.value + two.error)),
    ]


def _expected_hz(
    neutral: Neutral, edges_ns: NDArray[np.floating], estimator: LifetimeEstimator
) -> NDArray[np.floating]:
    """Photons per second and micro-time bin of a dot that always holds j electrons, shape (j, bins)."""
    response = estimator.response
    rows, x0_slow = [], math.nan
    for j in range(MOST_ELECTRONS + 1):
        rates, yields = np.array([_rate_and_yield(neutral, j, k) for k in range(1, _MOST_PAIRS + 1)]).T
        rates_per_ns = rates / neutral.lifetime_ns.value
        photons = photons_in_exponentials(rates_per_ns, yields, neutral.pairs_per_pulse, response.period_ns)
        if j == 0:
            x0_slow = float(photons[0]) * (1.0 + response.afterpulsing)
        rows.append(photons @ decay_probabilities(1.0 / rates_per_ns, edges_ns, response))
    return neutral.slow_rate_hz.value / x0_slow * np.array(rows)


def _rate_and_yield(neutral: Neutral, electrons: int, pairs: int) -> tuple[float, float]:
    """Total decay rate over gamma0, and yield, of `pairs` excitons beside extra electrons."""
    a = neutral.auger_ratio.value
    a_hole = max(0.0, neutral.lifetime_ns.value / (4 * neutral.biexciton_ns.value) - 1.0 - a)
    n, p = electrons + pairs, pairs
    radiative = n * p
    total = radiative + a * n * (n - 1) * p + a_hole * n * p * (p - 1)
    return total, radiative / total
