"""How often a dot holds how many extra electrons, from its decay and its intensity at one potential.

By Eqs. 1-2 of Morozov et al., Science Advances 6, eabb1821 (2020), each number j of extra electrons has its
lifetime and its yield. While the charge changes more slowly than the excitons decay, the decay is a sum of
these exponentials, and with the intensity of X0 their amounts are shares of time. The mean charge is then
free of what averaging does to the lifetime and the intensity (0.5 electron too low at a mean of 3).

Multi-excitons are part of it, with rates that go on where Eqs. 1-2 end: every pair of carriers recombines
with every third (statistical scaling; the Auger rate of hole pairs from the biexciton's lifetime in X0). It
matters that they recombine first and the last exciton after them: as exponentials that all begin with the
pulse the mean comes out 6 % too low.

The shares are those of electrons that come and go independently and repel each other: Poisson's, narrowed by
a Gaussian. Free shares for every j would fit the noise of the first nanosecond with many electrons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import gammaln

from .decay_model import background_probabilities, decay_probabilities
from .exciton_cascade import photons_in_exponentials
from .lifetime import LifetimeEstimator
from .poisson import chi2_per_bin, signed_deviance
from .scaling import Ratio

MOST_ELECTRONS = 24
_MOST_PAIRS = 6
_ELECTRONS = np.arange(MOST_ELECTRONS + 1)
_BOUNDS = np.array([[1e-3, 1e-3, 0.0], [10.0, MOST_ELECTRONS, 20.0]])
_START = np.array([1.0, 1.0, 0.3])
_STEP = 1e-4
_TIME_ERR = 0.01
"""Share of time that may be spent otherwise without anyone noticing: the sum is one within this."""
_SHAPE_ERR = 0.01
"""Electrons by which filling a shell of levels, against repulsion alone, moves the mean."""


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
    """As fitted, not normalized; shape (MOST_ELECTRONS + 1,)."""
    mean: Ratio
    """Mean number of extra electrons: the shares', corrected as far as their sum should be one."""
    accounted: Ratio
    """Sum of the shares: one where Eqs. 1-2 hold and nothing else dims the dot."""
    misfit: float
    """Chi-squared per degree of freedom; about 1 where such shares describe the decay."""


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

        Errors hold the counts (more where the fit is poor) and those of the neutral state, which are errors
        of mean and sum alike: what the sum tells by missing one corrects the mean. Time that is missing
        beyond these errors may have been spent at twice the mean and two electrons more.
        """
        parameters, expected, covariance = self._fit(histogram, exposure_s, self._expected_hz, _START)
        misfit = chi2_per_bin(histogram, expected, len(parameters))
        value = _mean_and_sum(parameters)
        slope = np.array([_mean_and_sum(parameters + step) - value for step in _STEP * np.eye(3)]).T / _STEP
        others = (self._fit(histogram, exposure_s, other_hz, parameters)[0] for other_hz in self._others_hz)
        off = np.array([_mean_and_sum(other) - value for other in others])
        both = max(1.0, misfit) * slope @ covariance @ slope.T + off.T @ off
        mean, accounted = value.tolist()
        accounted_err = math.sqrt(both[1, 1])
        missing = math.sqrt(max(0.0, max(0.0, 1.0 - accounted) ** 2 - accounted_err**2))
        gain = float(both[0, 1]) / (accounted_err**2 + _TIME_ERR**2 + missing**2)
        mean += gain * (1.0 - accounted)
        variance = max(0.0, float(both[0, 0]) - gain * float(both[0, 1]))
        mean_err = math.hypot(math.sqrt(variance), _SHAPE_ERR, missing * (mean + 2.0))
        return ChargeDistribution(
            _shares(parameters), Ratio(mean, mean_err), Ratio(accounted, accounted_err), misfit
        )

    def _fit(
        self,
        histogram: NDArray[np.int64],
        exposure_s: float,
        expected_hz: NDArray[np.floating],
        start: NDArray[np.floating],
    ) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
        """Parameters of `_shares` by maximum likelihood, the counts they expect, and their covariance."""

        def expected(parameters: NDArray[np.floating]) -> NDArray[np.floating]:
            return exposure_s * (self._blank_hz + _shares(parameters) @ expected_hz) + 1e-9

        fit = least_squares(
            lambda parameters: signed_deviance(histogram, expected(parameters)),
            start,
            bounds=_BOUNDS,
            x_scale="jac",
        )
        return fit.x, expected(fit.x), np.linalg.pinv(fit.jac.T @ fit.jac)


def _shares(parameters: NDArray[np.floating]) -> NDArray[np.floating]:
    """Shares from their sum, centre x and repulsion c: proportional to x^j exp(-c (j - x)^2 / 2) / j!."""
    total, centre, repulsion = parameters
    log_share = _ELECTRONS * np.log(centre) - gammaln(_ELECTRONS + 1)
    log_share -= 0.5 * repulsion * (_ELECTRONS - centre) ** 2
    share = np.exp(log_share - log_share.max())
    return total * share / share.sum()


def _mean_and_sum(parameters: NDArray[np.floating]) -> NDArray[np.floating]:
    shares = _shares(parameters)
    return np.array([shares @ _ELECTRONS / shares.sum(), shares.sum()])


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
