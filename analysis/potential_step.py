"""Photons folded on potential steps: how fast count rate and lifetime follow the bias.

A marker tells in which sync period a step happened, not where in it, and a step is not locked to the laser.
So the pulse that comes m sync periods after a mark fires between (m - 1) and m periods after the step, all
moments alike: the fold is an average over one period (0.4 us at 2.5 MHz), which the fit takes into account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from .calibrated_lifetime import bin_photons, find_time_zero
from .flid_data import PhotonData
from .lifetime import LifetimeEstimator
from .poisson import Measured, signed_deviance
from .step_response import StepResponse, fit_step_response
from .traces import microtime_histogram, microtime_histograms

GROWTH = 1.12
"""Time bins after a step grow by this factor, from one sync period on."""
LIFETIME_PHOTONS = 100
"""Time bins are joined until they hold so many photons for one lifetime."""
MIN_PHOTONS = 500
"""With fewer photons behind the steps of one direction nothing is fitted."""

_LEVEL_TOLERANCE = 1e-3
_BEFORE = 0.75  # the level before a step is the last quarter of the one that precedes it
_BINS_S = 1.0
_PRINTED = 5e-4  # currents come with four printed digits, the same ones in every cycle


@dataclass(frozen=True)
class CurrentRows:
    """Current of one block of cycles, as the potentiostat recorded it: equal numbers of rows per cycle."""

    current_a: NDArray[np.floating]
    overload: NDArray[np.bool_]
    cycles: int
    interval_s: float


@dataclass(frozen=True)
class PotentialStepData(PhotonData):
    """A square wave of the bias as recorded; each cycle is half a period high, then half a period low."""

    high_v: float
    low_v: float
    period_s: float
    marker_sync: NDArray[np.int64]
    marker_line: NDArray[np.uint8]
    falling_line: int
    rising_line: int
    currents: Sequence[CurrentRows] = ()
    status: str = "finished"


@dataclass(frozen=True)
class Folded:
    """What came after all steps of one direction; arrays of one entry per time bin, or one edge more."""

    direction: Literal["falling", "rising"]
    """Of the potential: falling is from high to low."""
    steps: int
    edges_us: NDArray[np.floating]
    counts: NDArray[np.int64]
    exposure_s: NDArray[np.floating]
    rate_hz: NDArray[np.floating]
    lifetime_edges_us: NDArray[np.floating]
    lifetime_ns: NDArray[np.floating]
    lifetime_err_ns: NDArray[np.floating]
    rate: StepResponse | None
    """None where no change of the rate is seen."""
    lifetime: StepResponse | None


@dataclass(frozen=True)
class PotentialStepResult:
    """How fast the dot followed, for both directions."""

    status: str
    photons: int
    duration_s: float
    high_v: float
    low_v: float
    period_s: float
    resolution_us: float
    """One sync period: how well a mark tells when a step was."""
    falling: Folded | None
    rising: Folded | None
    cell_us: Measured | None
    """Time constant of the charging current: resistance times double layer of the cell. None where the
    record does not show it."""
    warnings: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """The results as plain numbers; None stands for what was not found."""
        cell = self.cell_us
        return {
            "kind": "potential_step",
            "status": self.status,
            "photons": self.photons,
            "duration_s": self.duration_s,
            "high_v": self.high_v,
            "low_v": self.low_v,
            "period_s": self.period_s,
            "marker_resolution_us": self.resolution_us,
            "cell_time_constant_us": cell and cell.value,
            "cell_time_constant_err_us": cell and cell.error,
            "falling": self.falling and _summary(self.falling),
            "rising": self.rising and _summary(self.rising),
            "warnings": list(self.warnings),
        }


def analyze_potential_step(data: PotentialStepData) -> PotentialStepResult:
    """Fold the photons of one run on its steps, and fit what followed."""
    warnings: list[str] = []
    binned = bin_photons(data, data.photons, _BINS_S, _BINS_S)
    _, response = find_time_zero(data, binned, warnings)
    estimator = LifetimeEstimator(
        binned.edges_bins, data.resolution_ps / 1000, response, data.calibration.background
    )
    steps = _Steps(data)
    if not steps.kept.any():
        warnings.append(
            "no mark of the comparator belongs to a whole level: nothing could be folded; check its wire"
        )
    falling = _folded(data, steps, "falling", estimator, warnings)
    rising = _folded(data, steps, "rising", estimator, warnings)
    cell_us = _cell_us(data.currents)
    for folded in (falling, rising):
        rate = folded and folded.rate
        if rate and cell_us and rate.t10_90_us.value < 10 * cell_us.value:
            warnings.append(
                f"the cell charges with {cell_us.value / 1e3:.3g} ms: its interface cannot follow faster, "
                "and the times here are those of the cell, not of the dot"
            )
            break
    return PotentialStepResult(
        data.status, len(data.sync), data.duration_s, data.high_v, data.low_v, data.period_s,
        data.sync_period_s * 1e6, falling, rising, cell_us, tuple(warnings),
    )  # fmt: skip


class _Steps:
    """The marks that begin a whole level, and each photon's distance to the mark before it."""

    def __init__(self, data: PotentialStepData) -> None:
        lines = (data.falling_line, data.rising_line)
        mine = np.isin(data.marker_line, lines)
        self.sync, self.falling = data.marker_sync[mine], data.marker_line[mine] == data.falling_line
        level_syncs = data.period_s / 2 / data.sync_period_s
        self.kept = np.zeros(len(self.sync), np.bool_)
        whole = np.abs(np.diff(self.sync) - level_syncs) < 2 + _LEVEL_TOLERANCE * level_syncs
        self.kept[:-1] = whole & (self.falling[1:] != self.falling[:-1])
        self.reach = int((1 - _LEVEL_TOLERANCE) * level_syncs) - 2
        self.step_of = np.searchsorted(self.sync, data.sync, "right") - 1
        self.behind = data.sync - self.sync[self.step_of] if len(self.sync) else np.zeros(0, np.int64)

    def photons_behind(self, falling: bool) -> NDArray[np.int64]:
        """Indices of the photons behind the kept steps of one direction."""
        if not len(self.sync):
            return np.zeros(0, np.int64)
        mine = (self.kept & (self.falling == falling))[self.step_of] & (self.step_of >= 0)
        return np.flatnonzero(mine & (self.behind >= 1) & (self.behind <= self.reach))

    def count(self, falling: bool) -> int:
        """Kept steps of one direction."""
        return int((self.kept & (self.falling == falling)).sum())


def _folded(
    data: PotentialStepData,
    steps: _Steps,
    direction: Literal["falling", "rising"],
    estimator: LifetimeEstimator,
    warnings: list[str],
) -> Folded | None:
    falling = direction == "falling"
    photons, n = steps.photons_behind(falling), steps.count(falling)
    earlier, n_earlier = steps.photons_behind(not falling), steps.count(not falling)
    earlier = earlier[steps.behind[earlier] > _BEFORE * steps.reach]
    if min(len(photons), len(earlier)) < MIN_PHOTONS:
        warnings.append(
            f"{direction} steps: {min(len(photons), len(earlier))} photons are too few to fold; "
            f"{MIN_PHOTONS} are needed"
        )
        return None
    behind = steps.behind[photons]
    edges = time_edges(steps.reach)
    counts = np.histogram(behind, edges)[0]
    period_us = data.sync_period_s * 1e6
    exposure_s = n * np.diff(edges) * data.sync_period_s
    before_s = n_earlier * (steps.reach - int(_BEFORE * steps.reach)) * data.sync_period_s
    rate = _rate_response((edges - 1) * period_us, counts, exposure_s, len(earlier), before_s)
    coarse = _joined(edges, counts)
    which = np.searchsorted(coarse, behind, "right") - 1
    histograms = microtime_histograms(data.dtime[photons], which, len(coarse) - 1, estimator.edges_bins)
    lifetimes = estimator.estimate(histograms, n * np.diff(coarse) * data.sync_period_s)
    before = estimator.estimate_pooled(
        microtime_histogram(data.dtime[earlier], estimator.edges_bins), before_s
    )
    lifetime = _lifetime_response(
        (coarse - 1) * period_us,
        lifetimes.lifetime_ns,
        lifetimes.error_ns,
        Measured(before.lifetime_ns, before.error_ns),
    )
    for name, found in (("rate", rate), ("lifetime", lifetime)):
        if found is None:
            warnings.append(f"{direction} steps: no change of the {name} is seen")
            continue
        if not found.resolved:
            warnings.append(f"{direction} steps: the {name} changes faster than {period_us:.2g} us bins show")
        if found.times_from == "data":
            warnings.append(
                f"{direction} steps: the {name} is no delay and exponentials (chi2 per bin "
                f"{found.chi2_per_bin:.1f}), so its 10-90 % time is read off the data; its course is rough"
            )
        if max(t.value for t in found.time_constants_us) > data.period_s / 2 * 1e6:
            warnings.append(f"{direction} steps: the {name} has not settled when the next step comes")
    return Folded(
        direction, n, (edges - 1) * period_us, counts, exposure_s, counts / exposure_s,
        (coarse - 1) * period_us, lifetimes.lifetime_ns, lifetimes.error_ns, rate, lifetime,
    )  # fmt: skip


def time_edges(reach: int) -> NDArray[np.int64]:
    """Bin edges in sync periods behind a mark: single periods first, then growing ones."""
    grown = np.round(GROWTH ** np.arange(np.log(reach) / np.log(GROWTH))).astype(np.int64)
    return np.unique(np.append(grown, reach + 1))


def _joined(edges: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Edges of bins with enough photons for a lifetime; the last one may hold more."""
    kept, photons = [edges[0]], 0
    for edge, n in zip(edges[1:], counts, strict=True):
        photons += int(n)
        if photons >= LIFETIME_PHOTONS:
            kept.append(edge)
            photons = 0
    kept[-1] = edges[-1]
    return np.array(kept)


def _rate_response(
    edges_us: NDArray[np.floating],
    counts: NDArray[np.int64],
    exposure_s: NDArray[np.floating],
    before_counts: int,
    before_s: float,
) -> StepResponse | None:
    n, seconds = np.append(counts, before_counts), np.append(exposure_s, before_s)
    before = Measured(before_counts / before_s, before_counts**0.5 / before_s)
    seen, error = np.maximum(counts, 0.5) / exposure_s, np.sqrt(np.maximum(counts, 1.0)) / exposure_s
    return fit_step_response(edges_us, seen, error, before, lambda model: signed_deviance(n, model * seconds))


def _lifetime_response(
    edges_us: NDArray[np.floating],
    lifetime_ns: NDArray[np.floating],
    error_ns: NDArray[np.floating],
    before: Measured,
) -> StepResponse | None:
    """As for rates, with the relative errors of the lifetimes; bins without a lifetime do not count."""
    known = np.append(np.isfinite(lifetime_ns) & np.isfinite(error_ns), np.isfinite(before.error))
    if not known[-1] or known.sum() < 8:
        return None
    value, error = np.append(lifetime_ns, before.value), np.append(error_ns, before.error)
    logs, width = np.log(value[known]), (error / value)[known]
    bins, told = np.arange(len(lifetime_ns)), np.flatnonzero(known[:-1])
    seen, seen_err = np.interp(bins, told, lifetime_ns[told]), np.interp(bins, told, error_ns[told])
    return fit_step_response(
        edges_us,
        seen,
        seen_err,
        before,
        lambda model: (np.log(np.maximum(model[known], 1e-6)) - logs) / width,
    )


def _cell_us(currents: Sequence[CurrentRows]) -> Measured | None:
    """Time constant of the charging current, from the mean over all cycles; None where it is not seen.

    Half the difference of both directions is used, in which the converter's offset cancels.
    """
    whole = [c for c in currents if len(c.current_a) and len(c.current_a) % (2 * c.cycles) == 0]
    if not whole or any(c.overload.any() for c in whole):
        return None
    rows = len(whole[0].current_a) // (2 * whole[0].cycles)
    cycles = np.concatenate([c.current_a.reshape(c.cycles, 2, -1)[1:] for c in whole])
    if rows < 4 or len(cycles) < 2:
        return None
    transient = (cycles[:, 0] - cycles[:, 1]) / 2
    mean, error = transient.mean(axis=0), transient.std(axis=0, ddof=1) / len(transient) ** 0.5
    if not mean[1] - mean[-1] > 10 * error[1]:  # over within the first row, or not seen at all
        return None
    time_us = np.arange(rows) * whole[0].interval_s * 1e6
    start = np.array([mean[0] - mean[-1], mean[-1], np.log(time_us[1])])

    def residuals(x: NDArray[np.floating]) -> NDArray[np.floating]:
        return (x[0] * np.exp(-time_us / np.exp(x[2])) + x[1] - mean) / error

    fit = least_squares(residuals, start, x_scale=np.array([start[0], start[0], 1.0]))
    spread = np.linalg.pinv(fit.jac.T @ fit.jac) * max(1.0, 2 * fit.cost / max(1, rows - 3))
    constant_us = float(np.exp(fit.x[2]))
    return Measured(constant_us, constant_us * float(np.hypot(spread[2, 2] ** 0.5, _PRINTED)))


def _summary(folded: Folded) -> dict[str, Any]:
    return {
        "steps": folded.steps,
        "rate": folded.rate and folded.rate.summary("rate_hz"),
        "lifetime": folded.lifetime and folded.lifetime.summary("lifetime_ns"),
    }
