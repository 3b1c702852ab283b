"""The charge states of a blinking dot at rest: X0, X- and X+ with their decays, rates and lifetimes.

The record is cut where counts or delays change (`change_points`), the stretches are grouped by rate and
lifetime, and the groups are named by what theory leaves open: X0 has the longest lifetime; a trion's
intensity falls in proportion to twice its lifetime whatever its Auger rate (Eqs. 1-2 of the paper with N =
2, and X+ likewise). Both decays are then fitted together (`joint_fit`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .change_points import change_points
from .decay_model import warped_edges
from .joint_fit import JointFit, fit_jointly
from .lifetime import LifetimeEstimator
from .traces import microtime_histograms

CHANGE_BIN_S = 1e-3
"""Time bin of the change points."""
_CLASS_EDGES_NS = (6.0, 25.0, 70.0)
"""Micro-time classes, counted from time zero."""
_MIN_STRETCH_BINS = 5
_MIN_STRETCH_PHOTONS = 60
_TOO_DARK = 3.5
"""Standard deviations by which one bin may be darker than its stretch."""
_ABOVE_BACKGROUND = 5.0
"""Standard deviations by which a stretch must exceed the background."""
_SPREAD = 0.03
"""Relative scatter of rate and lifetime allowed within one state (focus drift, unresolved visits)."""
_SAME_STATE = 5.0
"""Groups closer than this many standard deviations are one state."""
_MIN_STATE_PHOTONS = 400
_TRION_TOLERANCE = 1.4
"""Factor by which a trion may miss rate = 2 rate(X0) lifetime / lifetime(X0)."""
X_MINUS_SHORTEST = 1 / 6
"""Lifetime, in units of X0's, below which a trion is taken for X+ (X- would need gammaA > 2 gamma0)."""


@dataclass(frozen=True)
class State:
    """One charge state found in the hold.

    `rate_hz` is as recorded, background included, like the paper's 35 and 5 kc/s, and corrected for the time
    that unresolved visits spent in the other state; `net_rate_hz` has the background subtracted.
    """

    name: str
    lifetime_ns: float
    lifetime_err_ns: float
    rate_hz: float
    rate_err_hz: float
    net_rate_hz: float
    photons: int
    duration_s: float
    decay: NDArray[np.int64]
    """Counts per micro-time bin of the card."""


@dataclass(frozen=True)
class ChargeStates:
    """What the hold shows; a state that does not occur is None and a warning says so."""

    x0: State | None
    x_minus: State | None
    x_plus: State | None
    fit: JointFit | None
    """Common fit of X0 and, when present, X-, in this order."""
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Stretches:
    """Stretches of constant decay; arrays of one length."""

    duration_s: NDArray[np.floating]
    photons: NDArray[np.int64]
    net_rate_hz: NDArray[np.floating]
    lifetime_ns: NDArray[np.floating]
    lifetime_err: NDArray[np.floating]
    """Relative error."""
    of_photon: NDArray[np.int64]
    """Stretch of each photon; -1 at the edges, which belong to none."""


def find_states(
    sync: NDArray[np.int64],
    dtime: NDArray[np.uint16],
    window_syncs: tuple[int, int],
    estimator: LifetimeEstimator,
) -> ChargeStates:
    """Find the charge states in the photons of a hold, `window_syncs` = [first, last) sync numbers.

    `sync` must be sorted. `estimator` brings response, background and the micro-time bins of its histograms.
    """
    inside = slice(*np.searchsorted(sync, window_syncs))
    sync, dtime = sync[inside] - window_syncs[0], dtime[inside]
    stretches = _cut(sync, dtime, window_syncs[1] - window_syncs[0], estimator)
    groups = _group(stretches)
    names = _name(stretches, groups)
    warnings = [f"{name} was not found in the hold" for name in ("X0", "X-") if name not in names]
    if "X0" not in names:
        return ChargeStates(None, None, None, None, tuple(warnings))
    fitted = [name for name in ("X0", "X-") if name in names]
    x0, x_minus, fit = _fit_states(fitted, names, stretches, dtime, estimator)
    x_plus = _single_state("X+", names["X+"], stretches, dtime, estimator) if "X+" in names else None
    if fit.reduced_deviance > 1.5:
        warnings.append(f"the fit of the decays is poor: reduced deviance {fit.reduced_deviance:.2f}")
    return ChargeStates(x0, x_minus, x_plus, fit, tuple(warnings))


def _cut(
    sync: NDArray[np.int64], dtime: NDArray[np.uint16], n_syncs: int, estimator: LifetimeEstimator
) -> _Stretches:
    """Stretches between change points, each without its first and last time bin."""
    period_s = estimator.response.period_ns * 1e-9
    bin_syncs = max(1, round(CHANGE_BIN_S / period_s))
    n_bins = n_syncs // bin_syncs
    time_bin = np.minimum(sync // bin_syncs, n_bins)
    class_of = _class_of_dtime(estimator)
    n_classes = len(_CLASS_EDGES_NS) + 1
    cell = time_bin * n_classes + class_of[np.minimum(dtime, len(class_of) - 1)]
    counts = np.bincount(cell, minlength=(n_bins + 1) * n_classes)[: n_bins * n_classes]
    counts = counts.reshape(n_bins, n_classes).astype(np.int64)
    of_bin, n_stretches = _stretch_of_bin(change_points(counts), counts.sum(axis=1))
    of_photon = np.append(of_bin, -1)[time_bin]  # photons after the last whole bin belong to none
    duration = np.bincount(of_bin[of_bin >= 0], minlength=n_stretches) * bin_syncs * period_s
    histograms = microtime_histograms(dtime, of_photon, n_stretches, estimator.edges_bins)
    found = estimator.estimate(histograms, duration)
    return _Stretches(
        duration_s=duration,
        photons=found.photons,
        net_rate_hz=found.photons / duration - estimator.background.rate_hz,
        lifetime_ns=found.lifetime_ns,
        lifetime_err=found.error_ns / found.lifetime_ns,
        of_photon=of_photon,
    )


def _stretch_of_bin(edges: NDArray[np.int64], photons: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Stretch of each time bin, -1 for none, and the number of stretches.

    The first and last bin of a stretch belong to none, since a change falls somewhere inside a bin. Nor do
    bins far too dark for their stretch and their neighbours: visits to X+ that are too short to be cut out
    would dim X0 by 0.1 %.
    """
    of_bin = np.full(len(photons), -1, np.int64)
    n_stretches = 0
    for first, last in zip(edges[:-1] + 1, edges[1:] - 1, strict=True):
        if last - first < _MIN_STRETCH_BINS:
            continue
        inside = photons[first:last]
        mean = np.median(inside)
        dark = np.convolve(inside < mean - _TOO_DARK * np.sqrt(mean), np.ones(3), "same") > 0
        if np.count_nonzero(~dark) < _MIN_STRETCH_BINS:
            continue
        of_bin[first:last][~dark] = n_stretches
        n_stretches += 1
    return of_bin, n_stretches


def _class_of_dtime(estimator: LifetimeEstimator) -> NDArray[np.int64]:
    late_ns = np.arange(estimator.edges_bins[-1]) * estimator.resolution_ns - estimator.response.time_zero_ns
    return np.searchsorted(_CLASS_EDGES_NS, (late_ns + 1.0) % estimator.response.period_ns - 1.0)


def _group(stretches: _Stretches) -> list[NDArray[np.int64]]:
    """Indices of stretches per group: the closest two groups are joined until all are far apart."""
    chance = np.sqrt(stretches.photons) / stretches.duration_s
    usable = (
        (stretches.photons >= _MIN_STRETCH_PHOTONS)
        & (stretches.net_rate_hz > _ABOVE_BACKGROUND * chance)
        & np.isfinite(stretches.lifetime_err)
    )
    members = [np.array([i]) for i in np.flatnonzero(usable)]
    if not members:
        return []
    start = np.flatnonzero(usable)
    net = stretches.net_rate_hz[start]
    value = np.log(np.column_stack((net, stretches.lifetime_ns[start])))
    error = np.column_stack(
        (np.sqrt(stretches.photons[start]) / stretches.duration_s[start] / net, stretches.lifetime_err[start])
    )
    weight = 1.0 / (error**2 + _SPREAD**2)
    variance = error**2
    distance = np.full((len(members), len(members)), np.inf)
    for i in range(len(members)):
        distance[i, :i] = _distances(value[i], variance[i], value[:i], variance[:i])
    while np.isfinite(distance).any():
        a, b = sorted(np.unravel_index(distance.argmin(), distance.shape))
        if distance[b, a] > _SAME_STATE**2:
            break
        both = weight[a] + weight[b]
        value[a] = (weight[a] * value[a] + weight[b] * value[b]) / both
        variance[a] = (weight[a] ** 2 * variance[a] + weight[b] ** 2 * variance[b]) / both**2
        weight[a] = both
        members[a] = np.concatenate((members[a], members[b]))
        members[b] = np.empty(0, np.int64)
        distance[b, :], distance[:, b] = np.inf, np.inf
        alive = np.array([i for i, m in enumerate(members) if len(m) and i != a], dtype=np.int64)
        to_others = _distances(value[a], variance[a], value[alive], variance[alive])
        distance[np.maximum(a, alive), np.minimum(a, alive)] = to_others
    return [m for m in members if len(m)]


def _distances(
    value: NDArray[np.floating],
    variance: NDArray[np.floating],
    values: NDArray[np.floating],
    variances: NDArray[np.floating],
) -> NDArray[np.floating]:
    """Squared distance in standard deviations, in ln(rate) and ln(lifetime) together."""
    return ((value - values) ** 2 / (variance + variances + 2 * _SPREAD**2)).sum(axis=1)


def _name(stretches: _Stretches, groups: list[NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
    """Stretches of X0, X- and X+ among the groups; dimmer copies of a state (B-type blinking) get no name."""
    groups = [g for g in groups if stretches.photons[g].sum() >= _MIN_STATE_PHOTONS]
    if not groups:
        return {}
    size = np.array([stretches.photons[g].sum() for g in groups])
    rate = np.array([np.average(stretches.net_rate_hz[g], weights=stretches.duration_s[g]) for g in groups])
    tau = np.array([np.average(stretches.lifetime_ns[g], weights=stretches.photons[g]) for g in groups])
    longest = np.flatnonzero(tau > 0.75 * tau.max())
    x0 = longest[rate[longest].argmax()]
    named = {"X0": groups[x0]}
    miss = np.abs(np.log(rate / rate[x0] / (2 * tau / tau[x0])))
    trions = np.flatnonzero((tau < 0.62 * tau[x0]) & (miss < np.log(_TRION_TOLERANCE)))
    for name, candidates in (
        ("X-", trions[tau[trions] >= X_MINUS_SHORTEST * tau[x0]]),
        ("X+", trions[tau[trions] < X_MINUS_SHORTEST * tau[x0]]),
    ):
        if len(candidates):
            named[name] = groups[candidates[size[candidates].argmax()]]
    return named


def _fit_states(
    fitted: list[str],
    names: dict[str, NDArray[np.int64]],
    stretches: _Stretches,
    dtime: NDArray[np.uint16],
    estimator: LifetimeEstimator,
) -> tuple[State, State | None, JointFit]:
    """Fit the decays of X0 and, when it occurs, X- together; correct their rates for what leaked."""
    singles = [_single_state(name, names[name], stretches, dtime, estimator) for name in fitted]
    response, resolution_ns = estimator.response, estimator.resolution_ns
    edges = warped_edges(
        response.time_zero_ns / resolution_ns, response.period_ns / resolution_ns, resolution_ns, n_bins=160
    )
    fit = fit_jointly(
        np.array([np.add.reduceat(s.decay, edges[:-1]) for s in singles]),
        np.array([s.duration_s for s in singles]),
        np.array([s.lifetime_ns for s in singles]),
        edges * resolution_ns,
        response,
        estimator.background,
    )
    recorded = np.array([s.rate_hz for s in singles])
    pure, leaked = _unmixed(recorded, fit, np.array([s.duration_s for s in singles]))
    states = [
        State(
            s.name,
            float(fit.lifetimes_ns[i]),
            float(np.sqrt(fit.covariance_ns2[i, i])),
            float(pure[i]),
            float(np.hypot(s.rate_err_hz, leaked[i])),
            float(pure[i] - estimator.background.rate_hz),
            s.photons,
            s.duration_s,
            s.decay,
        )
        for i, s in enumerate(singles)
    ]
    return states[0], states[1] if len(states) > 1 else None, fit


def _unmixed(
    recorded_hz: NDArray[np.floating], fit: JointFit, duration_s: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Rates without the share of time spent in the other state, and the error this share brings.

    A state's own slow exponential in the other's decay, over that in its own, gives the share of time.
    """
    if len(recorded_hz) == 1:
        return recorded_hz, np.zeros(1)
    (a, b), (d, c) = fit.amounts[:, :2] / duration_s[:, None]
    share = np.maximum(0.0, np.array([b * (a - d), d * (c - b)]) / (a * c - b * d))
    error = fit.amounts_err[[0, 1], [1, 0]] / duration_s / np.array([c, a])
    mixing = np.array([[1 - share[0], share[0]], [share[1], 1 - share[1]]])
    return np.linalg.solve(mixing, recorded_hz), error * abs(recorded_hz[0] - recorded_hz[1])


def _single_state(
    name: str,
    members: NDArray[np.int64],
    stretches: _Stretches,
    dtime: NDArray[np.uint16],
    estimator: LifetimeEstimator,
) -> State:
    """One state from its own stretches alone: one-exponential lifetime, mean rate with its scatter."""
    chosen = np.zeros(len(stretches.photons) + 1, bool)  # the last entry is for photons of no stretch
    chosen[members] = True
    end = int(estimator.edges_bins[-1])
    decay = np.bincount(dtime[chosen[stretches.of_photon]], minlength=end)[:end]
    photons, time = stretches.photons[members], stretches.duration_s[members]
    rate = photons.sum() / time.sum()
    scatter = np.sum((photons - rate * time) ** 2 / (rate * time)) / max(1, len(members) - 1)
    lifetime = estimator.estimate_pooled(np.add.reduceat(decay, estimator.edges_bins[:-1]), time.sum())
    return State(
        name,
        lifetime.lifetime_ns,
        lifetime.error_ns,
        float(rate),
        float(np.sqrt(max(1.0, scatter) * rate / time.sum())),
        float(rate - estimator.background.rate_hz),
        int(photons.sum()),
        float(time.sum()),
        decay,
    )
