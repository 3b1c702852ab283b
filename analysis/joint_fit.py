"""Decays of charge states fitted together: lifetimes shared, and what leaked from one state into the other.

Stretches of X0 contain short visits to X- that no method can cut out, and the reverse. Each state's decay
is therefore a sum of the slow exponentials of all states (lifetimes shared between the decays) and one fast
part of its own, the photons of multi-excitons. The shares of the foreign exponential say how much leaked,
and the rates are corrected for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from .decay_model import Background, Response, background_probabilities, decay_probabilities


@dataclass(frozen=True)
class JointFit:
    """Result for k states, ordered as the decays were given."""

    lifetimes_ns: NDArray[np.floating]
    """Slow lifetime of each state, shape (k,)."""
    covariance_ns2: NDArray[np.floating]
    """Covariance of the slow lifetimes, shape (k, k), from the likelihood."""
    fast_lifetimes_ns: NDArray[np.floating]
    amounts: NDArray[np.floating]
    """Photons of each decay in each slow exponential and, last, in its fast part; shape (k, k + 1)."""
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
        lifetimes = np.append(self.lifetimes_ns, self.fast_lifetimes_ns[state])
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
        shapes = decay_probabilities(np.concatenate((slow, fast)), edges_ns, response)
        own_fast = (net * shares[:, k])[:, None] * shapes[k:]
        return known + net[:, None] * (shares[:, :k] @ shapes[:k]) + own_fast

    def residuals(parameters: NDArray[np.floating]) -> NDArray[np.floating]:
        return _deviance_residuals(counts, expected(parameters)).ravel()

    shares = np.full((k, k + 1), 0.02)
    shares[np.arange(k), np.arange(k)] = 0.9
    start = np.concatenate((np.log(start_lifetimes_ns), np.log(start_lifetimes_ns / 20), shares.ravel()))
    lower, upper = np.full_like(start, -0.5), np.full_like(start, 1.5)
    lower[:k], upper[:k] = start[:k] - 0.7, start[:k] + 0.7
    lower[k : 2 * k], upper[k : 2 * k] = start[:k] - np.log(400.0), start[:k] - np.log(3.0)
    fit = least_squares(residuals, start, bounds=(lower, upper), x_scale="jac")

    covariance = np.linalg.pinv(_pearson_information(expected, fit.x))
    slow, fast, shares = _unpacked(fit.x, k)
    degrees = max(1, counts.size - fit.x.size)
    return JointFit(
        lifetimes_ns=slow,
        covariance_ns2=covariance[:k, :k] * np.outer(slow, slow),
        fast_lifetimes_ns=fast,
        amounts=shares * net[:, None],
        amounts_err=np.sqrt(np.diag(covariance)[2 * k :]).reshape(k, k + 1) * net[:, None],
        reduced_deviance=float(2 * fit.cost / degrees),
    )


def _unpacked(
    parameters: NDArray[np.floating], k: int
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """Slow lifetimes, fast lifetimes, shares (k, k + 1)."""
    return np.exp(parameters[:k]), np.exp(parameters[k : 2 * k]), parameters[2 * k :].reshape(k, k + 1)


def _deviance_residuals(counts: NDArray[np.floating], expected: NDArray[np.floating]) -> NDArray[np.floating]:
    """Signed roots of the Poisson deviance; their squares sum to minus twice the log-likelihood ratio."""
    expected = np.maximum(expected, 1e-9)
    log_ratio = np.log(np.where(counts > 0, counts, 1.0) / expected)
    deviance = 2 * (expected - counts + np.where(counts > 0, counts * log_ratio, 0.0))
    return np.sign(expected - counts) * np.sqrt(np.maximum(deviance, 0.0))


def _pearson_information(expected, parameters: NDArray[np.floating]) -> NDArray[np.floating]:
    """Fisher information of the Poisson model at `parameters`."""
    mean = expected(parameters)
    columns = []
    for i in range(len(parameters)):
        step = np.zeros_like(parameters)
        step[i] = 1e-4
        columns.append(((expected(parameters + step) - expected(parameters - step)) / 2e-4).ravel())
    jacobian = np.array(columns).T
    return (jacobian / np.maximum(mean.ravel(), 1e-9)[:, None]).T @ jacobian
