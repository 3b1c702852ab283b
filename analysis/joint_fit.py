"""Decays of charge states fitted together: lifetimes shared, and what leaked from one state into the other.

Stretches of X0 contain short visits to X- that no method can cut out, and the reverse. Each state's decay is
therefore a sum of the slow exponentials of all states (lifetimes shared between the decays) and a fast part
of its own, the photons of multi-excitons: biexcitons and, with a quarter of their lifetime, triexcitons (the
Auger rate of k pairs grows as k^2 (k - 1), so by 4.5; leaving them out lengthens X0 by 0.2 ns). The shares
of the foreign exponential say how much leaked, and the rates are corrected for it. They may come out
slightly negative by chance; cutting them at zero would bias the lifetimes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from .decay_model import Background, Response, background_probabilities, decay_probabilities
from .poisson import signed_deviance

TRIEXCITON = 4.0
"""Lifetime of biexcitons over that of triexcitons."""
LEAK = 0.03
"""Standard deviation of what is believed, before the fit, of the share of a foreign state."""


@dataclass(frozen=True)
class JointFit:
    """Result for k states, ordered as the decays were given."""

    lifetimes_ns: NDArray[np.floating]
    """Slow lifetime of each state, shape (k,)."""
    covariance_ns2: NDArray[np.floating]
    """Covariance of the slow lifetimes, shape (k, k), from the likelihood."""
    fast_lifetimes_ns: NDArray[np.floating]
    """Biexciton lifetime of each state, shape (k,)."""
    fast_lifetimes_err_ns: NDArray[np.floating]
    """Standard errors of `fast_lifetimes_ns`."""
    amounts: NDArray[np.floating]
    """Photons of each decay in each slow exponential, then of biexcitons and triexcitons; (k, k + 2)."""
    amounts_err: NDArray[np.floating]
    """Standard errors of `amounts`."""
    reduced_deviance: float
    """About 1 when the model describes the decays."""

    def model(
        self,
        state: int,
        exposure_s: float,
        edges_ns: NDArray[np.floating],
        response: Response,
        background: Background,
    ) -> NDArray[np.floating]:
        """Expected counts of one state's decay in any micro-time bins, for plotting."""
        fast = self.fast_lifetimes_ns[state]
        lifetimes = np.append(self.lifetimes_ns, (fast, fast / TRIEXCITON))
        shapes = decay_probabilities(lifetimes, edges_ns, response)
        known = exposure_s * background_probabilities(background, edges_ns, response)
        return self.amounts[state] @ shapes + known


def fit_jointly(
    decays: NDArray[np.int64],
    exposures_s: NDArray[np.floating],
    start_lifetimes_ns: NDArray[np.floating],
    edges_ns: NDArray[np.floating],
    response: Response,
    background: Background,
) -> JointFit:
    """Poisson maximum likelihood for k decays (shape (k, micro-time bins)) with k shared slow lifetimes.

    `start_lifetimes_ns` are one-exponential estimates of the states, longest first.
    """
    k = len(decays)
    counts = decays.astype(np.float64)
    blank = background_probabilities(background, edges_ns, response)
    known = exposures_s[:, None] * blank[None, :]
    net = np.maximum(counts.sum(axis=1) - known.sum(axis=1), 1.0)

    def expected(parameters: NDArray[np.floating]) -> NDArray[np.floating]:
        slow, fast, shares = _unpacked(parameters, k)
        shapes = decay_probabilities(np.concatenate((slow, fast, fast / TRIEXCITON)), edges_ns, response)
        own = shares[:, k, None] * shapes[k : 2 * k] + shares[:, k + 1, None] * shapes[2 * k :]
        return np.maximum(known + net[:, None] * (shares[:, :k] @ shapes[:k] + own), 1e-9)

    start, precision = _start_and_prior(start_lifetimes_ns)

    def residuals(parameters: NDArray[np.floating]) -> NDArray[np.floating]:
        misfit = signed_deviance(counts, expected(parameters)).ravel()
        return np.concatenate((misfit, (parameters - start) * precision))

    reach = np.concatenate((np.full(2 * k, [0.7] * k + [3.0] * k), np.full(k * (k + 2), 0.6)))
    fit = least_squares(residuals, start, bounds=(start - reach, start + reach), x_scale="jac")

    covariance = np.linalg.inv(_pearson_information(expected, fit.x) + np.diag(precision**2))
    slow, fast, shares = _unpacked(fit.x, k)
    degrees = max(1, counts.size - fit.x.size)
    misfit = float((signed_deviance(counts, expected(fit.x)) ** 2).sum())
    return JointFit(
        lifetimes_ns=slow,
        covariance_ns2=covariance[:k, :k] * np.outer(slow, slow),
        fast_lifetimes_ns=fast,
        fast_lifetimes_err_ns=fast * np.sqrt(np.diag(covariance)[k : 2 * k]),
        amounts=shares * net[:, None],
        amounts_err=np.sqrt(np.diag(covariance)[2 * k :]).reshape(k, k + 2) * net[:, None],
        reduced_deviance=misfit / degrees,
    )


def _start_and_prior(lifetimes_ns: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Start of the fit, and the precision (1 / standard deviation) with which it is believed.

    The priors are wide against what 10 000 photons say; they keep the fit of a few hundred sane.
    """
    k = len(lifetimes_ns)
    shares, precision = np.full((k, k + 2), 0.0), np.full((k, k + 2), 1 / LEAK)
    own = np.arange(k)
    shares[own, own], precision[own, own] = 0.95, 0.0
    shares[:, k], precision[:, k] = 0.04, 1 / 0.1
    start = np.concatenate((np.log(lifetimes_ns), np.log(lifetimes_ns / 25), shares.ravel()))
    return start, np.concatenate((np.zeros(k), np.ones(k), precision.ravel()))


def _unpacked(
    parameters: NDArray[np.floating], k: int
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """Slow lifetimes, biexciton lifetimes, shares (k, k + 2)."""
    return np.exp(parameters[:k]), np.exp(parameters[k : 2 * k]), parameters[2 * k :].reshape(k, k + 2)


def _pearson_information(
    expected: Callable[[NDArray[np.floating]], NDArray[np.floating]], parameters: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Fisher information of the Poisson model at `parameters`."""
    mean = expected(parameters)
    columns = []
    for i in range(len(parameters)):
        step = np.zeros_like(parameters)
        step[i] = 1e-4
        columns.append(((expected(parameters + step) - expected(parameters - step)) / 2e-4).ravel())
    jacobian = np.array(columns).T
    return (jacobian / mean.ravel()[:, None]).T @ jacobian
