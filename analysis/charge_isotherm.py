"""How often a dot holds how many extra electrons, from its decay and its intensity at one potential.

By Eqs. 1-2 of Morozov et al., Science Advances 6, eabb1821 (2020), each number j of extra electrons has its
lifetime and its yield. While the charge changes more slowly than the excitons decay, the decay is a sum of
these exponentials, and with the intensity of X0 their amounts are shares of time. The mean charge is then
free of what averaging does to the lifetime and the intensity (0.5 electron too low at a mean of 3). Photons
of multi-excitons are part of it, with rates that go on where Eqs. 1-2 end: every pair of carriers recombines
with every third (statistical scaling; the Auger rate of hole pairs from the biexciton's lifetime in X0).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from .decay_model import background_probabilities, decay_probabilities
from .lifetime import LifetimeEstimator
from .scaling import Ratio, merged_share

MOST_ELECTRONS = 24
_MOST_PAIRS = 4
_RESAMPLED = 24


@dataclass(frozen=True)
class Neutral:
    """What is known of the dot's neutral state, and its Auger rates over gamma0."""

    lifetime_ns: Ratio
    slow_rate_hz: Ratio
    """Rate of X0's photons without those of multi-excitons and without background."""
    biexciton_ns: float
    auger_ratio: Ratio
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


def charge_distribution(
    histogram: NDArray[np.int64], exposure_s: float, neutral: Neutral, estimator: LifetimeEstimator
) -> ChargeDistribution:
    """Find the shares of time from a micro-time histogram over the estimator's bins.

    Errors hold the counts (by resampling them, always the same way), those of the neutral state, and for the
    mean the time that is not accounted for: it may have been spent at twice the mean and two electrons more.
    """
    edges_ns = estimator.edges_bins * estimator.resolution_ns
    blank = background_probabilities(estimator.background, edges_ns, estimator.response)
    weight = 1.0 / np.sqrt(np.maximum(histogram, 3.0))

    def found(
        counts: NDArray[np.integer], expected_hz: NDArray[np.floating]
    ) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Shares, and their mean and sum."""
        net = counts - exposure_s * blank
        shares, _ = nnls((exposure_s * expected_hz * weight).T, net * weight)
        total = float(shares.sum())
        mean = float(shares @ np.arange(len(shares))) / total if total > 0 else math.nan
        return shares, np.array([mean, total])

    expected_hz = _expected_hz(neutral, edges_ns, estimator)
    shares, value = found(histogram, expected_hz)
    rng = np.random.default_rng(0)
    scatter = np.std([found(rng.poisson(histogram), expected_hz)[1] for _ in range(_RESAMPLED)], axis=0)
    others = (_expected_hz(other, edges_ns, estimator) for other in _one_standard_error_off(neutral))
    off = [found(histogram, other_hz)[1] - value for other_hz in others]
    error = np.sqrt(scatter**2 + np.square(off).sum(axis=0))
    mean, accounted = value.tolist()
    mean_err = math.hypot(float(error[0]), abs(1.0 - accounted) * (mean + 2.0))
    return ChargeDistribution(shares, Ratio(mean, mean_err), Ratio(accounted, float(error[1])))


def _one_standard_error_off(neutral: Neutral) -> list[Neutral]:
    tau, rate, auger = neutral.lifetime_ns, neutral.slow_rate_hz, neutral.auger_ratio
    return [
        replace(neutral, lifetime_ns=Ratio(tau.value + tau.error, tau.error)),
        replace(neutral, slow_rate_hz=Ratio(rate.value + rate.error, rate.error)),
        replace(neutral, auger_ratio=Ratio(auger.value + auger.error, auger.error)),
    ]


def _expected_hz(
    neutral: Neutral, edges_ns: NDArray[np.floating], estimator: LifetimeEstimator
) -> NDArray[np.floating]:
    """Photons per second and micro-time bin of a dot that always holds j electrons, shape (j, bins)."""
    pairs = neutral.pairs_per_pulse
    at_least = 1.0 - np.cumsum([math.exp(-pairs) * pairs**k / math.factorial(k) for k in range(_MOST_PAIRS)])
    rows = []
    for j in range(MOST_ELECTRONS + 1):
        rates, yields = np.array([_rate_and_yield(neutral, j, k) for k in range(1, _MOST_PAIRS + 1)]).T
        lifetimes_ns = neutral.lifetime_ns.value / rates
        kept = 1.0 - merged_share(lifetimes_ns, estimator.response.period_ns, pairs)
        photons = yields * kept * at_least / at_least[0]
        rows.append(photons @ decay_probabilities(lifetimes_ns, edges_ns, estimator.response))
    x0_kept = 1.0 - float(merged_share(neutral.lifetime_ns.value, estimator.response.period_ns, pairs))
    return neutral.slow_rate_hz.value / x0_kept * np.array(rows)


def _rate_and_yield(neutral: Neutral, electrons: int, pairs: int) -> tuple[float, float]:
    """Total decay rate over gamma0, and yield, of `pairs` excitons beside extra electrons."""
    a = neutral.auger_ratio.value
    a_hole = max(0.0, neutral.lifetime_ns.value / (4 * neutral.biexciton_ns) - 1.0 - a)
    n, p = electrons + pairs, pairs
    radiative = n * p
    total = radiative + a * n * (n - 1) * p + a_hole * n * p * (p - 1)
    return total, radiative / total
