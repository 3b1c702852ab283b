"""How a quantity goes from one level to another after a step: a delay, then one to three exponentials.

As many exponentials are used as the data ask for (Bayesian information criterion). What is observed are means
over time bins, so the model is averaged over each bin in closed form. The 10-90 % time is that of the fitted
curve; where the data show that the course is another one, it is read off the monotone curve nearest to them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeResult, brentq, isotonic_regression, least_squares

from .poisson import Measured

MOST_EXPONENTIALS = 3
SHORTEST_BINS = 0.25
"""Shortest time constant that is fitted, in narrowest time bins: faster changes are not resolved."""

POOR_FIT = 2.0
"""From this chi-squared per bin on, the 10-90 % time does not come from the fit."""

_SIGNIFICANT = 5.0
_RESAMPLED = 200
_SPREAD = (0.2, 1.0, 8.0)  # where a further exponential is looked for, against those found

Misfit = Callable[[NDArray[np.floating]], NDArray[np.floating]]
"""Residuals of width 1 of a model: its mean in every time bin, then its value before the step."""


@dataclass(frozen=True)
class StepResponse:
    """A quantity after a step at time 0; times in microseconds."""

    before: Measured
    after: Measured
    """Where it goes to in the end."""
    delay_us: Measured
    """It stays as it was for so long."""
    time_constants_us: tuple[Measured, ...]
    """Of the exponentials, the fastest first."""
    shares: tuple[Measured, ...]
    """What part of the change each exponential makes; they add up to 1."""
    t10_us: Measured
    """After the step; a tenth of the change is done."""
    t90_us: Measured
    t10_90_us: Measured
    chi2_per_bin: float
    """Of the fit; about 1 where the curve describes the data. Errors are enlarged where it is more."""
    times_from: Literal["fit", "data"]
    """Whether `t10_us`, `t90_us` and `t10_90_us` are the fit's or, where it is poor, read off the data."""
    resolved: bool
    """False where the fastest part is faster than the time bins show; its time constant is then a limit."""

    def curve(self, time_us: ArrayLike) -> NDArray[np.floating]:
        """The quantity at times after the step."""
        time_us = np.asarray(time_us, dtype=float)
        left = np.zeros_like(time_us)
        late_us = np.maximum(time_us - self.delay_us.value, 0.0)
        for constant_us, share in zip(self.time_constants_us, self.shares, strict=True):
            left += share.value * np.exp(-late_us / constant_us.value)
        return self.after.value + (self.before.value - self.after.value) * left

    def summary(self, name: str) -> dict[str, Any]:
        """The numbers under `name` with its unit, such as `rate_hz`; plain floats."""
        return {
            **_pair(f"before_{name}", self.before),
            **_pair(f"after_{name}", self.after),
            **_pair("t10_90_us", self.t10_90_us),
            **_pair("t10_us", self.t10_us),
            **_pair("t90_us", self.t90_us),
            **_pair("delay_us", self.delay_us),
            "time_constants_us": [tau.value for tau in self.time_constants_us],
            "time_constants_err_us": [tau.error for tau in self.time_constants_us],
            "shares": [share.value for share in self.shares],
            "chi2_per_bin": self.chi2_per_bin,
            "times_from": self.times_from,
            "resolved": self.resolved,
        }


def fit_step_response(
    edges_us: NDArray[np.floating],
    seen: NDArray[np.floating],
    error: NDArray[np.floating],
    before: Measured,
    misfit: Misfit,
) -> StepResponse | None:
    """Fit a response to means in the time bins `edges_us`; None where no step is seen.

    `seen` and its standard `error` (shape: bins, all greater than 0) and `before` are where the fit starts
    from, and what the times are read off where it is poor: what is fitted is in `misfit`.
    """
    t10_us, t90_us = _read_off(edges_us, seen, error, before)
    end = _end(edges_us, seen)
    shortest_us = SHORTEST_BINS * float(np.diff(edges_us).min())
    constant_us = max((t90_us - t10_us) / math.log(9.0), 2 * shortest_us)
    starts = [np.array([before.value, end, max(t10_us * f, 0.01), math.log(constant_us)]) for f in (0.1, 0.9)]
    best: OptimizeResult | None = None
    best_bic = math.inf
    for _ in range(MOST_EXPONENTIALS):
        fit = min((_fitted(start, edges_us, shortest_us, misfit) for start in starts), key=lambda f: f.cost)
        bic = 2 * fit.cost + len(fit.x) * math.log(len(fit.fun))
        if bic >= best_bic:
            break
        best, best_bic = fit, bic
        starts = _with_one_more(fit.x)
    assert best is not None
    response = _response(best, shortest_us)
    if response is None or response.chi2_per_bin < POOR_FIT:
        return response
    random = np.random.default_rng(0)
    again = np.array(
        [
            _read_off(edges_us, seen + error * random.standard_normal(len(seen)), error, before)
            for _ in range(_RESAMPLED)
        ]
    )
    t10_err_us, t90_err_us = again.std(axis=0)
    return replace(
        response,
        t10_us=Measured(t10_us, float(t10_err_us)),
        t90_us=Measured(t90_us, float(t90_err_us)),
        t10_90_us=Measured(t90_us - t10_us, float((again[:, 1] - again[:, 0]).std())),
        times_from="data",
    )


def _response(fit: OptimizeResult, shortest_us: float) -> StepResponse | None:
    """The fit as a response with errors; None where the change is no more than chance."""
    x, n = fit.x, _exponentials(fit.x)
    chi2 = 2 * fit.cost / max(1, len(fit.fun) - len(x))
    logs = x[3 : 3 + n]
    unresolved = np.r_[np.zeros(3, bool), logs < math.log(shortest_us) + 0.05, np.zeros(n - 1, bool)]
    free = np.flatnonzero(~unresolved)
    covariance = np.diag(unresolved.astype(float))  # a factor of e: it may be any shorter time
    covariance[np.ix_(free, free)] = max(1.0, chi2) * np.linalg.pinv(fit.jac[:, free].T @ fit.jac[:, free])

    def of(quantity: Callable[[NDArray[np.floating]], float]) -> Measured:
        return _propagated(quantity, x, covariance)

    change = of(lambda x: x[1] - x[0])
    if not abs(change.value) > _SIGNIFICANT * change.error:
        return None
    order = np.argsort(logs)
    return StepResponse(
        before=of(lambda x: x[0]),
        after=of(lambda x: x[1]),
        delay_us=of(lambda x: x[2]),
        time_constants_us=tuple(of(lambda x, k=k: math.exp(x[3 + k])) for k in order),
        shares=tuple(of(lambda x, k=k: float(_shares(x)[k])) for k in order),
        t10_us=of(lambda x: _time_until(x, 0.9)),
        t90_us=of(lambda x: _time_until(x, 0.1)),
        t10_90_us=of(lambda x: _time_until(x, 0.1) - _time_until(x, 0.9)),
        chi2_per_bin=float(chi2),
        times_from="fit",
        resolved=not unresolved.any(),
    )


# ---- the model: x = before, after, delay, ln(time constants), splits of the change ----


def _exponentials(x: NDArray[np.floating]) -> int:
    return (len(x) - 2) // 2


def _shares(x: NDArray[np.floating]) -> NDArray[np.floating]:
    """Each exponential takes its split of what those before it left over; the last takes the rest."""
    splits = np.append(x[3 + _exponentials(x) :], 1.0)
    return splits * np.cumprod(np.append(1.0, 1.0 - splits[:-1]), dtype=np.float64)


def _binned(x: NDArray[np.floating], edges_us: NDArray[np.floating]) -> NDArray[np.floating]:
    """Means in the time bins, then the value before the step."""
    before, after, delay_us = x[:3]
    constants_us = np.exp(x[3 : 3 + _exponentials(x)])[:, None]
    late_us = np.maximum(edges_us - delay_us, 0.0)
    parts = _shares(x)[:, None] * constants_us * -np.expm1(-late_us / constants_us)
    left = np.diff(np.minimum(edges_us, delay_us) + parts.sum(axis=0)) / np.diff(edges_us)
    return np.append(after + (before - after) * left, before)


def _time_until(x: NDArray[np.floating], left: float) -> float:
    """Time after the step until only the fraction `left` of the change is still to come."""
    constants_us, shares = np.exp(x[3 : 3 + _exponentials(x)]), _shares(x)
    longest_us = -math.log(left) * constants_us.max()
    late_us = brentq(lambda t: float(shares @ np.exp(-t / constants_us)) - left, 0.0, longest_us * 1.001)
    return float(x[2] + late_us)


# ---- fitting ----


def _fitted(
    start: NDArray[np.floating], edges_us: NDArray[np.floating], shortest_us: float, misfit: Misfit
) -> OptimizeResult:
    n, end_us = _exponentials(start), edges_us[-1]
    tiny = 1e-6 * max(start[0], start[1])
    lower = np.r_[tiny, tiny, 0.0, np.full(n, math.log(shortest_us)), np.full(n - 1, 1e-4)]
    upper = np.r_[np.inf, np.inf, end_us / 2, np.full(n, math.log(10 * end_us)), np.full(n - 1, 1 - 1e-4)]
    scale = np.r_[start[:2], max(start[2], 0.1), np.ones(2 * n - 1)]
    inside = np.clip(start, lower + 1e-9, upper - 1e-9)
    return least_squares(
        lambda x: misfit(_binned(x, edges_us)), inside, bounds=(lower, upper), x_scale=scale, max_nfev=300
    )


def _with_one_more(x: NDArray[np.floating]) -> list[NDArray[np.floating]]:
    """Starts with a further exponential, faster or slower than those found, that takes half of the last."""
    n = _exponentials(x)
    levels, logs, splits = x[:3], x[3 : 3 + n], x[3 + n :]
    ends = {logs.min() + math.log(_SPREAD[0]), logs.max() + math.log(_SPREAD[2])}
    return [np.r_[levels[:2], levels[2] * f, logs, end, splits, 0.5] for end in ends for f in (0.3, 1.0)]


def _end(edges_us: NDArray[np.floating], seen: NDArray[np.floating]) -> float:
    """Mean over the last quarter of the time."""
    late = edges_us[:-1] >= 0.75 * edges_us[-1]
    late[-1] = True
    return float(np.average(seen[late], weights=np.diff(edges_us)[late]))


def _read_off(
    edges_us: NDArray[np.floating],
    seen: NDArray[np.floating],
    error: NDArray[np.floating],
    before: Measured,
) -> tuple[float, float]:
    """10 % and 90 % times of the monotone curve nearest to the data, straight between the bins' centres."""
    end = _end(edges_us, seen)
    if end == before.value:
        return 0.0, float(edges_us[-1])
    smooth = isotonic_regression(seen, weights=error**-2.0, increasing=end > before.value).x
    done = np.append(0.0, (smooth - before.value) / (end - before.value))
    at_us = np.append(edges_us[0], 0.5 * (edges_us[1:] + edges_us[:-1]))
    t10_us, t90_us = (_first_at(q, done, at_us) for q in (0.1, 0.9))
    return t10_us, t90_us


def _first_at(level: float, done: NDArray[np.floating], at_us: NDArray[np.floating]) -> float:
    """When a rising curve comes to `level` first."""
    k = int(np.argmax(done >= level)) if (done >= level).any() else len(done) - 1
    if k == 0:
        return float(at_us[0])
    rise = done[k] - done[k - 1]
    part = (level - done[k - 1]) / rise if rise > 0 else 1.0
    return float(at_us[k - 1] + min(1.0, max(0.0, part)) * (at_us[k] - at_us[k - 1]))


def _propagated(
    quantity: Callable[[NDArray[np.floating]], float],
    x: NDArray[np.floating],
    covariance: NDArray[np.floating],
) -> Measured:
    """A function of the parameters with its standard error, by its numerical gradient."""
    gradient = np.empty(len(x))
    for k in range(len(x)):
        step = np.zeros(len(x))
        step[k] = 1e-4 * max(math.sqrt(covariance[k, k]), 1e-6 * abs(x[k]), 1e-12)
        gradient[k] = (quantity(x + step) - quantity(x - step)) / (2 * step[k])
    return Measured(float(quantity(x)), math.sqrt(max(0.0, float(gradient @ covariance @ gradient))))


def _pair(name: str, quantity: Measured) -> dict[str, float]:
    """Two entries of a summary: `rate_hz` gives `rate_hz` and `rate_err_hz`."""
    stem, _, unit = name.rpartition("_")
    return {name: quantity.value, f"{stem}_err_{unit}": quantity.error}
