"""One dot at a list of held potentials: lifetime, intensity, antibunching, charge and blinking at each.

Rates are as recorded, background included; enhancement, drop and charge compare background-free numbers with
those of X0, found in the first hold when that is at 0 V. Lifetimes are those of one exponential by maximum
likelihood; where the charge fluctuates the decay is not one exponential, and another estimator gives another
number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .against_x0 import (
    auger_ratios,
    enhancement_and_drop,
    number,
    scaling_from,
    slow_rate,
    state_summary,
    value_and_error,
)
from .antibunching import Antibunching, antibunching_in
from .blinking import Blinking, blinking
from .calibrated_lifetime import bin_photons, find_time_zero, histogram_in, pooled_lifetime
from .charge_isotherm import ChargeDistribution, ChargeEstimator, Neutral
from .charge_number import ChargeNumber, charge_number
from .decay_model import Background, Response
from .flid_data import PhotonData
from .held_potential import HeldPotential
from .lifetime import LifetimeEstimator
from .photon_engine import PhotonEngine
from .scaling import Ratio, ScalingCurve
from .states import ChargeStates, find_states
from .time_zero import TimeZero
from .voltammetry_flid import FlidPoints

FANO_BIN_S = 1e-3
"""Time bins of the Fano factor."""
PARTS = 10
"""Parts of a hold over which the scatter of its rate and its lifetime is taken."""
LEAST_S = 0.1
"""A hold of which less is certain says nothing."""


@dataclass(frozen=True)
class StaticBiasData(PhotonData):
    """One run as recorded."""

    holds: tuple[HeldPotential, ...]
    """In order; those that are too short to be certain are left out of the result, with a warning."""
    status: str = "finished"


@dataclass(frozen=True)
class AtPotential:
    """The dot at one held potential."""

    hold: HeldPotential
    photons: int
    rate_hz: Ratio
    """As recorded; the error is the larger of that of the counts and of the scatter over parts of it."""
    net_rate_hz: Ratio
    """Background subtracted."""
    lifetime_ns: Ratio
    """One exponential; the error is the larger one, as that of the rate."""
    decay: NDArray[np.int64]
    """Counts per micro-time bin of the card."""
    antibunching: Antibunching
    fano: Ratio
    """Variance over mean of counts in 1 ms; the error is that of independent bins."""
    flid: FlidPoints
    blinking: Blinking | None
    enhancement: Ratio | None
    drop: Ratio | None
    charge: ChargeNumber | None
    """By Eqs. 1-2 from the two means, as if the charge did not fluctuate."""
    distribution: ChargeDistribution | None
    """From the whole decay."""


@dataclass(frozen=True)
class StaticBiasResult:
    """Everything the table and the figure show; what could not be found is None and has a warning."""

    status: str
    photons: int
    duration_s: float
    trace_bin_s: float
    trace_hz: NDArray[np.floating]
    flid_bin_s: float
    resolution_ns: float
    period_ns: float
    time_zero: TimeZero | None
    response: Response
    background: Background
    states: ChargeStates
    auger_ratio: Ratio | None
    scaling: ScalingCurve | None
    potentials: tuple[AtPotential, ...]
    alignment: Literal["marker", "clock"]
    """"marker" when every hold was placed by marks."""
    alignment_uncertainty_s: float
    warnings: tuple[str, ...] = field(default=())

    def summary(self) -> dict[str, Any]:
        """The results as plain numbers; None stands for what was not found."""
        auger, auger_err = value_and_error(self.auger_ratio)
        return {
            "kind": "static_bias",
            "status": self.status,
            "photons": self.photons,
            "duration_s": self.duration_s,
            "x0": state_summary(self.states.x0),
            "x_minus": state_summary(self.states.x_minus),
            "x_plus": state_summary(self.states.x_plus),
            "gamma_auger_ratio": auger,
            "gamma_auger_ratio_err": auger_err,
            "potentials": [_summary_at(at) for at in self.potentials],
            "law_holds_down_to_v": _law_holds_down_to_v(self.potentials),
            "potential_alignment": {
                "source": self.alignment,
                "uncertainty_s": number(self.alignment_uncertainty_s),
            },
        }


def analyze_static_bias(
    data: StaticBiasData, *, trace_bin_s: float = 0.01, flid_bin_s: float = 0.02
) -> StaticBiasResult:
    """Analyse one run.

    Raises ValueError for photons that no run can contain (negative sync numbers, unknown detectors).
    """
    warnings: list[str] = []
    binned = bin_photons(data, data.photons, trace_bin_s, flid_bin_s)
    time_zero, response = find_time_zero(data, binned, warnings)
    resolution_ns = data.resolution_ps / 1000
    estimator = LifetimeEstimator(binned.edges_bins, resolution_ns, response, data.calibration.background)
    holds = _certain(data, warnings)
    states = _states(holds, data, estimator)
    warnings += states.warnings
    auger, _ = auger_ratios(states, data.calibration, response.period_ns, warnings)
    neutral = _neutral(states, auger, data)
    charge = neutral and ChargeEstimator(neutral, estimator)
    potentials = tuple(
        _at_potential(index, hold, data, binned, estimator, time_zero, states, auger, charge)
        for index, hold in enumerate(holds)
    )
    return StaticBiasResult(
        status=data.status,
        photons=len(data.sync),
        duration_s=data.duration_s,
        trace_bin_s=binned.trace_bin_s,
        trace_hz=binned.trace.sum(axis=1) / binned.trace_bin_s,
        flid_bin_s=binned.flid_bin_s,
        resolution_ns=resolution_ns,
        period_ns=response.period_ns,
        time_zero=time_zero,
        response=response,
        background=data.calibration.background,
        states=states,
        auger_ratio=auger,
        scaling=scaling_from(states.x0, auger),
        potentials=potentials,
        alignment="marker" if holds and all(hold.source == "marker" for hold in holds) else "clock",
        alignment_uncertainty_s=max((hold.uncertainty_s for hold in holds), default=math.nan),
        warnings=tuple(warnings),
    )


def _neutral(states: ChargeStates, auger: Ratio | None, data: StaticBiasData) -> Neutral | None:
    if states.x0 is None or states.fit is None or auger is None:
        return None
    fit = states.fit
    x0_ns, x_minus_ns = fit.lifetimes_ns.tolist()
    slope = np.array([1.0, -x0_ns / x_minus_ns]) / (2.0 * x_minus_ns)
    return Neutral(
        lifetime_ns=Ratio(states.x0.lifetime_ns, states.x0.lifetime_err_ns),
        slow_rate_hz=slow_rate(states.x0, fit, 0),
        biexciton_ns=Ratio(float(fit.fast_lifetimes_ns[0]), float(fit.fast_lifetimes_err_ns[0])),
        auger_ratio=auger,
        lifetime_auger_covariance=float(fit.covariance_ns2[0] @ slope),
        pairs_per_pulse=data.calibration.pairs_per_pulse,
    )


def _certain(data: StaticBiasData, warnings: list[str]) -> list[HeldPotential]:
    """The holds of which enough is certain."""
    certain = []
    for hold in data.holds:
        if hold.exposure_s >= LEAST_S and hold.end_s <= data.duration_s:
            certain.append(hold)
        else:
            warnings.append(
                f"the hold at {hold.potential_v:g} V is left out: too little of it is certain, its begin and "
                f"end are known to {hold.uncertainty_s:.2g} s"
            )
    return certain


def _states(holds: list[HeldPotential], data: StaticBiasData, estimator: LifetimeEstimator) -> ChargeStates:
    if not holds or holds[0].potential_v != 0.0:
        return ChargeStates(
            None, None, None, None, ("the first hold is not at 0 V: there is no X0 to compare with",)
        )
    first, last = np.round(holds[0].window_s[0] / data.sync_period_s).astype(np.int64)
    return find_states(data.sync, data.dtime, (int(first), int(last)), estimator)


def _at_potential(
    index: int,
    hold: HeldPotential,
    data: StaticBiasData,
    binned: PhotonEngine,
    estimator: LifetimeEstimator,
    time_zero: TimeZero | None,
    states: ChargeStates,
    auger: Ratio | None,
    charge: ChargeEstimator | None,
) -> AtPotential:
    inside = slice(*np.searchsorted(data.sync, np.round(hold.window_s[0] / data.sync_period_s)))
    histogram = histogram_in(hold.window_s, data.photons, data.sync_period_s, estimator.edges_bins)
    found = pooled_lifetime(histogram, hold.exposure_s, estimator, time_zero, data.calibration)
    first, last = _flid_bins(hold, binned)
    scatter_ns = _lifetime_scatter_ns(binned.histograms[first:last], binned.flid_bin_s, estimator)
    lifetime = Ratio(found.lifetime_ns, max(found.error_ns, scatter_ns))
    rate, fano = _rate_and_fano(data.sync[inside] * data.sync_period_s - hold.start_s, hold.exposure_s)
    background = data.calibration.background
    net_rate = Ratio(
        rate.value - background.rate_hz, math.hypot(rate.error, data.calibration.background_err_hz)
    )
    enhancement, drop = enhancement_and_drop(states.x0, lifetime, net_rate, data.calibration)
    flid = _flid(index, hold, binned, estimator)
    return AtPotential(
        hold=hold,
        photons=int(inside.stop - inside.start),
        rate_hz=rate,
        net_rate_hz=net_rate,
        lifetime_ns=lifetime,
        decay=np.bincount(data.dtime[inside], minlength=int(estimator.edges_bins[-1])),
        antibunching=antibunching_in(inside, data, hold.exposure_s),
        fano=fano,
        flid=flid,
        blinking=blinking(flid.rate_hz - background.rate_hz, flid.lifetime_ns, binned.flid_bin_s),
        enhancement=enhancement,
        drop=drop,
        charge=charge_number(enhancement, drop, auger) if enhancement and drop and auger else None,
        distribution=charge and charge.estimate(histogram, hold.exposure_s),
    )


def _rate_and_fano(time_s: NDArray[np.floating], exposure_s: float) -> tuple[Ratio, Ratio]:
    """Mean rate of photons at `time_s` in a window from 0, and the Fano factor of its whole milliseconds."""
    rate_hz = len(time_s) / exposure_s
    parts = np.histogram(time_s, PARTS, (0.0, exposure_s))[0] * (PARTS / exposure_s)
    error_hz = max(math.sqrt(max(1, len(time_s))) / exposure_s, _error_from_parts(parts))
    n = int(exposure_s / FANO_BIN_S)
    counts = np.bincount((time_s / FANO_BIN_S).astype(np.int64), minlength=n)[:n]
    fano = float(counts.var(ddof=1) / counts.mean()) if len(time_s) and n > 1 else math.nan
    return Ratio(rate_hz, error_hz), Ratio(fano, fano * math.sqrt(2 / max(1, n - 1)))


def _flid_bins(hold: HeldPotential, binned: PhotonEngine) -> tuple[int, int]:
    """First FLID bin that lies within a hold, and the first behind it."""
    return math.ceil(hold.start_s / binned.flid_bin_s), math.floor(hold.end_s / binned.flid_bin_s)


def _lifetime_scatter_ns(
    histograms: NDArray[np.unsignedinteger], bin_s: float, estimator: LifetimeEstimator
) -> float:
    """Standard error of the lifetime from its scatter over parts of a hold; 0 where there are too few.

    Near the threshold the charge changes so slowly that this exceeds what the counts say.
    """
    each = len(histograms) // PARTS
    if each == 0:
        return 0.0
    parts = histograms[: each * PARTS].reshape(PARTS, each, -1).sum(axis=1)
    found_ns = estimator.estimate(parts, each * bin_s).lifetime_ns
    return _error_from_parts(found_ns) if np.isfinite(found_ns).all() else 0.0


def _error_from_parts(values: NDArray[np.floating]) -> float:
    """Standard error of the mean of a few parts: the standard deviation of Student's t with so few."""
    n = len(values)
    return float(values.std(ddof=1)) / math.sqrt(n) * math.sqrt((n - 1) / (n - 3))


def _flid(index: int, hold: HeldPotential, binned: PhotonEngine, estimator: LifetimeEstimator) -> FlidPoints:
    """The FLID bins that lie within a hold; the hold's place in the list stands for the cycle."""
    first, last = _flid_bins(hold, binned)
    found = estimator.estimate(binned.histograms[first:last], binned.flid_bin_s)
    n = len(found.photons)
    return FlidPoints(
        time_s=(first + np.arange(n) + 0.5) * binned.flid_bin_s,
        photons=found.photons,
        rate_hz=found.photons / binned.flid_bin_s,
        lifetime_ns=found.lifetime_ns,
        lifetime_err_ns=found.error_ns,
        potential_v=np.full(n, hold.potential_v),
        potential_err_v=np.zeros(n),
        cycle=np.full(n, index, np.int64),
    )


def _law_holds_down_to_v(potentials: tuple[AtPotential, ...]) -> float | None:
    """The most negative potential held at which Eqs. 1-2 hold; None for nowhere."""
    return min((at.hold.potential_v for at in potentials if at.charge and at.charge.holds), default=None)


def _summary_at(at: AtPotential) -> dict[str, Any]:
    """One potential as plain numbers."""
    pairs = {
        "rate": at.rate_hz,
        "net_rate": at.net_rate_hz,
        "lifetime": at.lifetime_ns,
        "enhancement": at.enhancement,
        "drop": at.drop,
        "g2_zero": at.antibunching.window,
        "g2_zero_sync": at.antibunching.sync,
        "g2_zero_background_corrected": at.antibunching.background_corrected,
        "fano": at.fano,
        "electrons_from_lifetime": at.charge and at.charge.from_lifetime,
        "electrons_from_intensity": at.charge and at.charge.from_intensity,
        "law": at.charge and at.charge.law,
        "electrons": at.distribution and at.distribution.mean,
        "accounted": at.distribution and at.distribution.accounted,
    }
    units = {"rate": "_hz", "net_rate": "_hz", "lifetime": "_ns"}
    told: dict[str, Any] = {
        "potential_v": at.hold.potential_v,
        "exposure_s": at.hold.exposure_s,
        "photons": at.photons,
    }
    for name, ratio in pairs.items():
        unit = units.get(name, "")
        told[f"{name}{unit}"], told[f"{name}_err{unit}"] = value_and_error(ratio)
    told["law_holds"] = at.charge.holds if at.charge else None
    told["blinking"] = at.blinking and {name: number(value) for name, value in vars(at.blinking).items()}
    return told
