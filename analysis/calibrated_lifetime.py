"""From photons and a calibration to a lifetime with its whole error: what all analyses of a dot share."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .decay_model import Response, warped_edges
from .flid_data import Calibration, Measurement
from .lifetime import LifetimeEstimator, PooledLifetime
from .photon_engine import EngineSettings, PhotonEngine
from .photon_source import PhotonSource, count_all
from .time_zero import MIN_PHOTONS, TimeZero, fit_time_zero, rough_time_zero_bins
from .traces import microtime_histogram


def bin_photons(
    data: Measurement, photons: PhotonSource, trace_bin_s: float, flid_bin_s: float
) -> PhotonEngine:
    """Trace, pooled decay and FLID in one pass, with micro-time bins that suit the pulse.

    Raises ValueError for photons that no run can contain (negative sync numbers, unknown detectors).
    """
    period_bins = data.sync_period_s * 1e12 / data.resolution_ps
    if photons.n_photons >= MIN_PHOTONS:
        some = np.bincount(photons.some_micro_times(), minlength=math.ceil(period_bins))
        rough_bins = rough_time_zero_bins(some, period_bins)
    else:
        rough_bins = data.calibration.time_zero_ns * 1000 / data.resolution_ps
    engine = PhotonEngine(
        EngineSettings(
            sync_period_s=data.sync_period_s,
            resolution_ps=data.resolution_ps,
            channels=max(1, len(data.calibration.dark_rates_hz)),
            trace_bin_s=trace_bin_s,
            flid_bin_s=flid_bin_s,
            edges_bins=warped_edges(rough_bins, period_bins, data.resolution_ps / 1000),
            longest_s=data.duration_s + 1.0,
        )
    )
    count_all(photons, engine)
    engine.reach(math.floor(data.duration_s / data.sync_period_s))
    return engine


def find_time_zero(
    data: Measurement, binned: PhotonEngine, warnings: list[str]
) -> tuple[TimeZero | None, Response]:
    """Time zero from the pooled decay; with too few photons None, and the response as calibrated."""
    calibrated = data.calibration.response(data.sync_period_s * 1e9)
    decay = binned.decay.sum(axis=0)
    if decay.sum() < MIN_PHOTONS:
        warnings.append(f"only {decay.sum()} photons: time zero is taken from the calibration")
        return None, calibrated
    resolution_ns = data.resolution_ps / 1000
    rough_ns = rough_time_zero_bins(decay, calibrated.period_ns / resolution_ns) * resolution_ns
    found = fit_time_zero(decay, resolution_ns, replace(calibrated, time_zero_ns=rough_ns))
    if found.time_zero_err_ns > 0.02:
        warnings.append(f"time zero is known to {found.time_zero_err_ns * 1000:.0f} ps only")
    return found, found.response


def histogram_in(
    windows_s: NDArray[np.floating],
    photons: PhotonSource,
    sync_period_s: float,
    edges_bins: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Micro-time histogram of the photons in intervals of photon time, shape (n, 2)."""
    syncs = np.round(windows_s / sync_period_s).astype(np.int64)
    found = [photons.between(first, end).dtime for first, end in syncs.tolist()]
    return microtime_histogram(np.concatenate(found), edges_bins)


def pooled_lifetime(
    histogram: NDArray[np.int64],
    exposure_s: float,
    estimator: LifetimeEstimator,
    time_zero: TimeZero | None,
    calibration: Calibration,
) -> PooledLifetime:
    """One exponential by maximum likelihood; its error holds the counts and what the calibration leaves open.

    Without a fitted time zero the error is that of the counts alone.
    """
    lifetime = estimator.estimate_pooled(histogram, exposure_s)
    if time_zero is None or not math.isfinite(lifetime.lifetime_ns):
        return lifetime
    shifts_ns = (
        LifetimeEstimator(estimator.edges_bins, estimator.resolution_ns, response, background)
        .estimate_pooled(histogram, exposure_s)
        .lifetime_ns
        - lifetime.lifetime_ns
        for response, background in _one_standard_error_off(estimator, time_zero, calibration)
    )
    return replace(lifetime, error_ns=math.hypot(lifetime.error_ns, *shifts_ns))


def _one_standard_error_off(estimator: LifetimeEstimator, time_zero: TimeZero, calibration: Calibration):
    """Response and background with time zero, width or one background off by its standard error."""
    response, background = estimator.response, estimator.background
    flat_err = math.sqrt(background.flat_rate_hz / calibration.blank_s)
    prompt_err = math.sqrt(background.prompt_rate_hz / calibration.blank_s)
    return (
        (replace(response, time_zero_ns=response.time_zero_ns + time_zero.time_zero_err_ns), background),
        (replace(response, sigma_ns=response.sigma_ns + time_zero.sigma_err_ns), background),
        (response, replace(background, flat_rate_hz=background.flat_rate_hz + flat_err)),
        (response, replace(background, prompt_rate_hz=background.prompt_rate_hz + prompt_err)),
    )
