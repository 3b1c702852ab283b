"""The voltammetry-FLID experiment from photons to numbers: states at rest, FLID against bias, vertex.

All rates are as recorded, dark counts and laser background included, like the paper's 35 and 5 kc/s. The
intensity drop is a ratio of background-subtracted rates. Lifetimes of FLID bins and at the vertex are those
of one exponential by maximum likelihood with response, period and background known; those of X0 and X- are
the slow exponentials of a common fit of both decays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .against_x0 import (
    auger_ratios,
    enhancement_and_drop,
    number,
    scaling_from,
    state_summary,
    value_and_error,
)
from .calibrated_lifetime import bin_photons, find_time_zero, histogram_in, pooled_lifetime
from .cycles import CycleResult, ElectrodeCharge, average_cycles, electrode_charge
from .decay_model import Background, Response
from .flid_data import Calibration, FlidSettings, VoltammetryFlidData
from .lifetime import LifetimeEstimator
from .photon_engine import PhotonEngine
from .potential import PotentialTimeline, align_potential
from .scaling import Ratio, ScalingCurve
from .states import ChargeStates, State, find_states
from .time_zero import TimeZero


@dataclass(frozen=True)
class FlidPoints:
    """Points of the lifetime-intensity distribution; all arrays of one length."""

    time_s: NDArray[np.floating]
    """Centre of the bin."""
    photons: NDArray[np.int64]
    rate_hz: NDArray[np.floating]
    lifetime_ns: NDArray[np.floating]
    lifetime_err_ns: NDArray[np.floating]
    potential_v: NDArray[np.floating]
    potential_err_v: NDArray[np.floating]
    cycle: NDArray[np.int64]
    """From 0; -1 in the hold."""


@dataclass(frozen=True)
class AtVertex:
    """The dot at the vertex potential: photons of the last `window_v` before it, both sides, all cycles."""

    potential_v: float
    window_v: float
    lifetime_ns: float
    lifetime_err_ns: float
    rate_hz: float
    rate_err_hz: float
    net_rate_hz: float
    """Background subtracted."""
    net_rate_err_hz: float
    photons: int
    exposure_s: float


class DecayCurve(NamedTuple):
    """A decay and its fit for plotting; arrays of one length."""

    micro_time_ns: NDArray[np.floating]
    counts: NDArray[np.int64]
    fit_counts: NDArray[np.floating]


@dataclass(frozen=True)
class VoltammetryFlidResult:
    """Everything the table and the figure show; what could not be found is None and has a warning."""

    status: str
    photons: int
    duration_s: float
    cycles: int
    initial_v: float
    trace_bin_s: float
    trace_hz: NDArray[np.floating]
    """Count rate of all detectors per trace bin."""
    flid_bin_s: float
    flid: FlidPoints
    """Bins that lie within the cycles."""
    hold_flid: FlidPoints
    """Bins that lie within the hold."""
    decay: NDArray[np.int64]
    """Pooled decay, shape (detectors, micro-time bins)."""
    resolution_ns: float
    time_zero: TimeZero | None
    response: Response
    background: Background
    states: ChargeStates
    auger_ratio: Ratio | None
    auger_ratio_from_intensities: Ratio | None
    scaling: ScalingCurve | None
    at_vertex: AtVertex | None
    enhancement: Ratio | None
    drop: Ratio | None
    timeline: PotentialTimeline
    cycle_average: CycleResult | None
    charge: ElectrodeCharge | None
    warnings: tuple[str, ...]

    def state_decay(self, state: State, bin_ns: float = 0.5) -> DecayCurve | None:
        """Decay of X0 or X- with the common fit, in equal micro-time bins; None for other states."""
        fitted = [s for s in (self.states.x0, self.states.x_minus) if s is not None]
        if self.states.fit is None or not any(s is state for s in fitted):
            return None
        step = max(1, round(bin_ns / self.resolution_ns))
        edges = np.arange(0, len(state.decay) - len(state.decay) % step + 1, step)
        index = next(i for i, s in enumerate(fitted) if s is state)
        edges_ns = edges * self.resolution_ns
        model = self.states.fit.model(index, state.duration_s, edges_ns, self.response, self.background)
        counts = np.add.reduceat(state.decay[: edges[-1]], edges[:-1])
        return DecayCurve(0.5 * (edges_ns[1:] + edges_ns[:-1]), counts, model)

    def summary(self) -> dict[str, Any]:
        """The results as plain numbers; None stands for what was not found."""
        enhancement, enhancement_err = value_and_error(self.enhancement)
        drop, drop_err = value_and_error(self.drop)
        auger, auger_err = value_and_error(self.auger_ratio)
        vertex = self.at_vertex
        return {
            "kind": "voltammetry_flid",
            "status": self.status,
            "photons": self.photons,
            "duration_s": self.duration_s,
            "mean_rate_hz": number(self.photons / self.duration_s) if self.duration_s > 0 else None,
            "cycles": self.cycles,
            "x0": state_summary(self.states.x0),
            "x_minus": state_summary(self.states.x_minus),
            "gamma_auger_ratio": auger,
            "gamma_auger_ratio_err": auger_err,
            "at_vertex": {
                "potential_v": number(vertex and vertex.potential_v),
                "lifetime_ns": number(vertex and vertex.lifetime_ns),
                "lifetime_err_ns": number(vertex and vertex.lifetime_err_ns),
                "rate_hz": number(vertex and vertex.rate_hz),
            },
            "lifetime_enhancement": enhancement,
            "lifetime_enhancement_err": enhancement_err,
            "intensity_drop": drop,
            "intensity_drop_err": drop_err,
            "flid": {"bin_s": self.flid_bin_s, "n_bins": len(self.flid.time_s)},
            "potential_alignment": {
                "source": self.timeline.source,
                "uncertainty_s": number(self.timeline.uncertainty_s),
            },
        }


def analyze_voltammetry_flid(
    data: VoltammetryFlidData, settings: FlidSettings | None = None
) -> VoltammetryFlidResult:
    """Analyse one run.

    Raises ValueError for photons that no run can contain (negative sync numbers, unknown detectors).
    """
    settings = settings or FlidSettings()
    warnings: list[str] = []
    binned = bin_photons(data, data.photons, settings.trace_bin_s, settings.flid_bin_s)
    time_zero, response = find_time_zero(data, binned, warnings)
    background = data.calibration.background
    estimator = LifetimeEstimator(binned.edges_bins, data.resolution_ps / 1000, response, background)
    timeline = align_potential(
        data.records, data.marker_sync * data.sync_period_s, data.marker_line, data.wiring
    )
    states = _states(data, estimator)
    warnings += states.warnings
    flid, hold_flid = _flid(data, binned, estimator, timeline)
    cycles = average_cycles(
        binned.histograms, binned.flid_bin_s, estimator, timeline, data.initial_v, data.vertex_v
    )
    vertex = _at_vertex(data, settings, estimator, time_zero, timeline, warnings)
    auger, auger_check = auger_ratios(states, data.calibration, data.sync_period_s * 1e9, warnings)
    enhancement, drop = _against_x0(states.x0, vertex, data.calibration)
    return VoltammetryFlidResult(
        status=data.status,
        photons=data.photons.n_photons,
        duration_s=data.duration_s,
        cycles=data.cycles,
        initial_v=data.initial_v,
        trace_bin_s=binned.trace_bin_s,
        trace_hz=binned.trace.sum(axis=1) / binned.trace_bin_s,
        flid_bin_s=binned.flid_bin_s,
        flid=flid,
        hold_flid=hold_flid,
        decay=binned.decay,
        resolution_ns=data.resolution_ps / 1000,
        time_zero=time_zero,
        response=response,
        background=background,
        states=states,
        auger_ratio=auger,
        auger_ratio_from_intensities=auger_check,
        scaling=scaling_from(states.x0, auger),
        at_vertex=vertex,
        enhancement=enhancement,
        drop=drop,
        timeline=timeline,
        cycle_average=cycles,
        charge=electrode_charge(data.records, data.initial_v, data.vertex_v, data.electrode_area_cm2),
        warnings=tuple(warnings),
    )


def _states(data: VoltammetryFlidData, estimator: LifetimeEstimator) -> ChargeStates:
    if data.hold_s is None:
        return ChargeStates(None, None, None, None, ("there was no hold: X0 and X- are unknown",))
    start, end = _inner_hold_s(data)
    if end <= start:
        return ChargeStates(None, None, None, None, ("the hold is shorter than the doubt about its time",))
    window = math.ceil(start / data.sync_period_s), math.floor(end / data.sync_period_s)
    held = data.photons.between(*window)
    return find_states(held.sync, held.dtime, window, estimator)


def _inner_hold_s(data: VoltammetryFlidData) -> tuple[float, float]:
    """The part of the hold that is certain: three standard uncertainties off either end."""
    if data.hold_s is None:
        return 0.0, 0.0
    margin = 3 * data.hold_uncertainty_s
    return max(0.0, data.hold_s[0] + margin), min(data.duration_s, data.hold_s[1] - margin)


def _flid(
    data: VoltammetryFlidData,
    binned: PhotonEngine,
    estimator: LifetimeEstimator,
    timeline: PotentialTimeline,
) -> tuple[FlidPoints, FlidPoints]:
    """FLID points of the cycles and of the hold."""
    edges_s = np.arange(len(binned.histograms) + 1) * binned.flid_bin_s
    centre_s = 0.5 * (edges_s[1:] + edges_s[:-1])
    found = estimator.estimate(binned.histograms, binned.flid_bin_s)
    potential, potential_err = timeline.at(centre_s)
    cycle = timeline.cycle_at(centre_s)
    whole = (timeline.cycle_at(edges_s[:-1]) >= 0) & (timeline.cycle_at(edges_s[1:]) >= 0)
    start, end = _inner_hold_s(data)
    held = (edges_s[:-1] >= start) & (edges_s[1:] <= end)
    potential[held], potential_err[held], cycle[held] = data.initial_v, 0.0, -1

    def points(chosen: NDArray[np.bool_]) -> FlidPoints:
        return FlidPoints(
            centre_s[chosen],
            found.photons[chosen],
            found.photons[chosen] / binned.flid_bin_s,
            found.lifetime_ns[chosen],
            found.error_ns[chosen],
            potential[chosen],
            potential_err[chosen],
            cycle[chosen],
        )

    return points(whole & (cycle >= 0)), points(held)


def _at_vertex(
    data: VoltammetryFlidData,
    settings: FlidSettings,
    estimator: LifetimeEstimator,
    time_zero: TimeZero | None,
    timeline: PotentialTimeline,
    warnings: list[str],
) -> AtVertex | None:
    windows_s = np.array(timeline.windows_near(data.vertex_v, settings.vertex_window_v)).reshape(-1, 2)
    windows_s = windows_s[windows_s[:, 1] <= data.duration_s]
    if len(windows_s) == 0:
        warnings.append("no sweep reached the vertex")
        return None
    blur_v = settings.vertex_window_v * timeline.uncertainty_s / (0.5 * np.diff(windows_s).min())
    if blur_v > settings.vertex_window_v:
        warnings.append(f"the potential at the vertex is uncertain by {blur_v * 1000:.0f} mV")
    exposure_s = float(np.diff(windows_s).sum())
    period_s, edges = data.sync_period_s, estimator.edges_bins
    histogram = histogram_in(windows_s, data.photons, period_s, edges)
    lifetime = pooled_lifetime(histogram, exposure_s, estimator, time_zero, data.calibration)
    errors_ns = [lifetime.error_ns]
    rate = histogram.sum() / exposure_s
    rate_errors = [math.sqrt(max(1, histogram.sum())) / exposure_s]
    for shift_s in (-timeline.uncertainty_s, timeline.uncertainty_s):
        shifted = histogram_in(windows_s + shift_s, data.photons, period_s, edges)
        errors_ns.append(
            (estimator.estimate_pooled(shifted, exposure_s).lifetime_ns - lifetime.lifetime_ns) / math.sqrt(2)
        )
        rate_errors.append((shifted.sum() / exposure_s - rate) / math.sqrt(2))
    return AtVertex(
        potential_v=data.vertex_v,
        window_v=settings.vertex_window_v,
        lifetime_ns=lifetime.lifetime_ns,
        lifetime_err_ns=math.hypot(*errors_ns),
        rate_hz=rate,
        rate_err_hz=math.hypot(*rate_errors),
        net_rate_hz=rate - data.calibration.background.rate_hz,
        net_rate_err_hz=math.hypot(*rate_errors, data.calibration.background_err_hz),
        photons=int(histogram.sum()),
        exposure_s=exposure_s,
    )


def _against_x0(
    x0: State | None, vertex: AtVertex | None, calibration: Calibration
) -> tuple[Ratio | None, Ratio | None]:
    if vertex is None:
        return None, None
    lifetime = Ratio(vertex.lifetime_ns, vertex.lifetime_err_ns)
    net_rate = Ratio(vertex.net_rate_hz, vertex.net_rate_err_hz)
    return enhancement_and_drop(x0, lifetime, net_rate, calibration)
