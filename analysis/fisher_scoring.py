"""Maximum-likelihood fits of a differentiable model to counts, by Fisher scoring with damping.

Errors come two ways: from the information (Poisson counts and nothing else), and from the scatter of the
score between groups of bins, which also sees what makes the counts of a whole group too high or too low,
such as an emitter that blinks from one scan line to the next (the "sandwich" of P. J. Huber, Proc. Fifth
Berkeley Symp. 1, 221 (1967), with groups as in K.-Y. Liang and S. L. Zeger, Biometrika 73, 13 (1986)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

Model = Callable[[NDArray[np.floating]], tuple[NDArray[np.floating], NDArray[np.floating]]]
"""Expected counts, shape (bins,) and greater than 0, and their derivatives, shape (bins, parameters)."""

_MOST_STEPS = 100
_CONVERGED = 1e-8
_LARGEST_DAMPING = 1e8


@dataclass(frozen=True)
class PoissonFit:
    """Parameters at the maximum of the likelihood."""

    parameters: NDArray[np.floating]
    expected: NDArray[np.floating]
    derivatives: NDArray[np.floating]
    counts: NDArray[np.floating]
    deviance: float
    """Twice the log-likelihood ratio against expected = counts."""

    @property
    def covariance(self) -> NDArray[np.floating]:
        """Covariance of the parameters from the counting statistics."""
        return np.linalg.pinv(_information(self.expected, self.derivatives))

    def grouped_covariance(self, group: NDArray[np.int64]) -> NDArray[np.floating]:
        """Covariance from the scatter between groups; `group` numbers each bin's group, shape (bins,).

        Scaled up by G / (G - 1) for the few groups G that a parameter's information comes from.
        """
        score = self.derivatives * ((self.counts - self.expected) / self.expected)[:, None]
        groups = np.unique(group, return_inverse=True)[1]
        sums = np.zeros((int(groups.max()) + 1, score.shape[1]))
        np.add.at(sums, groups, score)
        bread = self.covariance
        share = np.zeros_like(sums)
        np.add.at(share, groups, self.derivatives**2 / self.expected[:, None])
        effective = share.sum(axis=0) ** 2 / np.maximum((share**2).sum(axis=0), 1e-300)
        scale = np.sqrt(np.maximum(effective, 1.5) / (np.maximum(effective, 1.5) - 1.0))
        return bread @ (sums.T @ sums) @ bread * np.outer(scale, scale)


def fit_poisson(model: Model, start: NDArray[np.floating], counts: NDArray[np.integer]) -> PoissonFit | None:
    """Fit `model` to `counts` (shape: bins) from `start`; None where it does not converge."""
    n = counts.astype(np.float64)
    parameters, damping = np.array(start, np.float64), 1e-3
    expected, derivatives = model(parameters)
    deviance = _deviance(n, expected)
    for _ in range(_MOST_STEPS):
        information = _information(expected, derivatives)
        score = derivatives.T @ ((n - expected) / expected)
        damped = information + damping * np.diag(np.diag(information) + 1e-300)
        try:
            step = np.linalg.solve(damped, score)
        except np.linalg.LinAlgError:
            return None
        tried, slopes = model(parameters + step)
        better = deviance - _deviance(n, tried)
        if not better >= 0:  # also where it is not a number
            damping *= 10
            if damping > _LARGEST_DAMPING:  # no step gets any further
                return PoissonFit(parameters, expected, derivatives, n, deviance)
            continue
        parameters, expected, derivatives = parameters + step, tried, slopes
        deviance -= better
        damping = max(damping / 10, 1e-12)
        if float(score @ step) < _CONVERGED:
            return PoissonFit(parameters, expected, derivatives, n, deviance)
    return None


def _information(expected: NDArray[np.floating], derivatives: NDArray[np.floating]) -> NDArray[np.floating]:
    return derivatives.T @ (derivatives / expected[:, None])


def _deviance(n: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    with np.errstate(all="ignore"):
        return float(2 * (expected - n + xlogy(n, n / expected)).sum())
