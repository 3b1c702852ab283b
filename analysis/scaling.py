"""How lifetime and intensity scale with the number of electrons: the curve of the FLID plot.

X(N-1)- has N electrons and one hole. With the radiative rate gamma0 per electron-hole pair and the Auger
rate gammaA per pair of electrons (counted twice, as in Eqs. 1-2 of Morozov et al., Science Advances 6,
eabb1821 (2020)) its radiative rate is N gamma0 and its Auger rate N (N - 1) gammaA. The trion X- (N = 2)
thus has lifetime(X0) / (2 (1 + gammaA/gamma0)), and one pair of lifetimes fixes the whole curve.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Ratio(NamedTuple):
    """A dimensionless ratio and its standard error."""

    value: float
    error: float


def lifetime_ratio(n_electrons: ArrayLike, auger_ratio: float) -> NDArray[np.floating]:
    """Lifetime of X(N-1)- over that of X0, for N electrons and auger_ratio = gammaA/gamma0 (Eq. 1)."""
    n = np.asarray(n_electrons, dtype=float)
    return 1.0 / (n * (1.0 + (n - 1.0) * auger_ratio))


def intensity_ratio(n_electrons: ArrayLike, auger_ratio: float) -> NDArray[np.floating]:
    """Intensity of X(N-1)- over that of X0, equal to the quantum yield (Eq. 2)."""
    n = np.asarray(n_electrons, dtype=float)
    return 1.0 / (1.0 + (n - 1.0) * auger_ratio)


def auger_ratio_from_lifetimes(
    x0_ns: float, x_minus_ns: float, covariance_ns2: NDArray[np.floating]
) -> Ratio:
    """gammaA/gamma0 from the lifetimes of X0 and X- and their covariance, shape (2, 2)."""
    doubled = x0_ns / (2.0 * x_minus_ns)
    slope = doubled * np.array([1.0 / x0_ns, -1.0 / x_minus_ns])
    return Ratio(doubled - 1.0, float(np.sqrt(slope @ covariance_ns2 @ slope)))


def auger_ratio_from_intensities(
    x0: Ratio, x_minus: Ratio, lifetimes_ns: ArrayLike, period_ns: float, pairs_per_pulse: float
) -> Ratio:
    """gammaA/gamma0 from the rates of X0 and X- (value and error, any common unit), as a check.

    Give the rates of the *slow* exponentials: every excited dot ends with one exciton, whatever the pump,
    so these scale like the yields of Eq. 2, while the whole intensities contain multi-exciton photons that
    do not (0.04 too low at 0.6 pairs per pulse). An exciton that outlives the period merges with the next
    pulse's; that loss, some per cent of X0's photons, is taken back with the lifetimes of the two states.
    """
    merged = merged_share(lifetimes_ns, period_ns, pairs_per_pulse)
    ratio = x0.value / x_minus.value * float((1.0 - merged[1]) / (1.0 - merged[0]))
    return Ratio(ratio - 1.0, ratio * float(np.hypot(x0.error / x0.value, x_minus.error / x_minus.value)))


def merged_share(lifetimes_ns: ArrayLike, period_ns: float, pairs_per_pulse: float) -> NDArray[np.floating]:
    """Share of excitons that outlive the period and merge with the pairs of a later pulse."""
    survive = np.exp(-period_ns / np.asarray(lifetimes_ns, dtype=float))
    dark = np.exp(-pairs_per_pulse)
    return survive * (1.0 - dark) / (1.0 - survive * dark)


class ScalingCurve(NamedTuple):
    """The FLID's line of charge states; entry 0 is X0, entry N-1 the state with N electrons and one hole."""

    n_electrons: NDArray[np.int64]
    lifetime_ns: NDArray[np.floating]
    rate_hz: NDArray[np.floating]
    """Background subtracted."""


def scaling_curve(x0_ns: float, x0_net_rate_hz: float, auger_ratio: float, n_max: int = 20) -> ScalingCurve:
    """Lifetimes and background-subtracted rates of X0, X-, X2-, ... up to `n_max` electrons."""
    n = np.arange(1, n_max + 1)
    return ScalingCurve(
        n, x0_ns * lifetime_ratio(n, auger_ratio), x0_net_rate_hz * intensity_ratio(n, auger_ratio)
    )
