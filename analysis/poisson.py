"""Fits to counts: residuals whose sum of squares is twice the log-likelihood ratio of Poisson numbers.

Minimizing it with a least-squares routine gives the maximum-likelihood estimate, without the bias that
weights from the counts have, and its curvature gives the errors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

_ENOUGH = 10.0
"""Mean counts in a bin from which chi-squared follows its distribution well enough."""


class Measured(NamedTuple):
    """A quantity and its standard error, in the same unit."""

    value: float
    error: float


def signed_deviance(counts: ArrayLike, expected: ArrayLike) -> NDArray[np.floating]:
    """Square root of each number's deviance, with the sign of `expected - counts`; about normal, width 1.

    `expected` must be greater than 0.
    """
    n, m = np.asarray(counts, dtype=float), np.asarray(expected, dtype=float)
    deviance = 2.0 * (m - n + xlogy(n, np.where(n > 0, n, 1.0) / m))
    return np.sign(m - n) * np.sqrt(np.maximum(deviance, 0.0))


def chi2_per_bin(counts: NDArray[np.integer], expected: NDArray[np.floating], parameters: int) -> float:
    """Pearson's chi-squared per degree of freedom, neighbouring bins pooled until 10 counts are expected."""
    pooled = np.floor(np.cumsum(expected) / _ENOUGH).astype(np.int64)
    groups = np.unique(pooled, return_inverse=True)[1]
    n, m = np.bincount(groups, counts), np.bincount(groups, expected)
    return float(((n - m) ** 2 / m).sum() / max(1, len(n) - parameters))
