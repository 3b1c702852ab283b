"""Fluorescence decays as the counter records them: exponential, periodic, smeared, with afterpulses.

Between two laser pulses every component of a steady, pulsed emitter falls as exp(-t/tau). What the card
records of it is that exponential folded into one sync period and convolved with the response of laser,
detector and card, here a Gaussian. All probabilities are differences of the closed cumulative function, so
micro-time bins may have any width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, ndtr

FWHM_PER_SIGMA = 2.3548200450309493
"""Full width at half maximum of a Gaussian over its standard deviation, 2 sqrt(2 ln 2)."""


@dataclass(frozen=True)
class Response:
    """When the light arrives and how the detectors smear it; micro times in nanoseconds."""

    period_ns: float
    """Sync period."""
    time_zero_ns: float
    """Micro time at which the pulse hits the sample, the same for all detectors."""
    sigma_ns: float
    """Standard deviation of the Gaussian response."""
    afterpulsing: float = 0.0
    """Afterpulses per recorded photon."""
    afterpulse_delay_ns: float = 24.0
    """Shortest delay of an afterpulse: the detector's dead time."""
    afterpulse_lifetime_ns: float = 60.0
    """Lifetime of the traps that cause afterpulses."""


@dataclass(frozen=True)
class Background:
    """What a blank sample shows: dark counts, spread evenly, and a short decay after each pulse."""

    flat_rate_hz: float
    prompt_rate_hz: float = 0.0
    prompt_lifetime_ns: float = 0.3

    @property
    def rate_hz(self) -> float:
        """All background counts per second."""
        return self.flat_rate_hz + self.prompt_rate_hz


def decay_probabilities(
    lifetimes_ns: ArrayLike, edges_ns: NDArray[np.floating], response: Response
) -> NDArray[np.floating]:
    """Mean counts per micro-time bin for one detected photon, shape (lifetimes, bins).

    Rows sum to 1 + afterpulsing when the edges span one period. An afterpulse follows its photon by the
    delay plus an exponential time, so its decay is the difference of two exponentials that start later.
    """
    tau = np.atleast_1d(np.asarray(lifetimes_ns, dtype=float))[:, None]
    prompt = _folded(tau, edges_ns, response, response.time_zero_ns)
    if response.afterpulsing == 0.0:
        return prompt
    trap = np.full_like(tau, response.afterpulse_lifetime_ns)
    trap[np.abs(trap - tau) < 1e-3 * tau] *= 1.002  # the limit of equal lifetimes, to 1e-6
    late = (response.time_zero_ns + response.afterpulse_delay_ns) % response.period_ns
    after = tau * _folded(tau, edges_ns, response, late) - trap * _folded(trap, edges_ns, response, late)
    return prompt + response.afterpulsing * after / (tau - trap)


def background_probabilities(
    background: Background, edges_ns: NDArray[np.floating], response: Response
) -> NDArray[np.floating]:
    """Mean counts per second in each micro-time bin of a blank sample (shape: bins).

    Rates are recorded ones, so the afterpulses of the background are part of them.
    """
    flat = background.flat_rate_hz * np.diff(edges_ns) / response.period_ns
    prompt = decay_probabilities(background.prompt_lifetime_ns, edges_ns, response)[0]
    return flat + background.prompt_rate_hz * prompt / (1.0 + response.afterpulsing)


def warped_edges(
    time_zero_bins: float, period_bins: float, resolution_ns: float, *, n_bins: int = 64
) -> NDArray[np.int64]:
    """Edges, in whole micro-time bins, of about `n_bins` bins: 0.15 ns near the pulse, then geometric.

    The first edge is 0 and the last the end of the period. Only the edges depend on `time_zero_bins`, so a
    rough value costs a little information and no bias.
    """
    before_ns, knee_ns = 0.6, 1.2
    period_ns = period_bins * resolution_ns
    start, stop = np.arcsinh(-before_ns / knee_ns), np.arcsinh((period_ns - before_ns) / knee_ns)
    offsets_ns = knee_ns * np.sinh(np.linspace(start, stop, n_bins))
    inside = np.round((time_zero_bins + offsets_ns / resolution_ns) % period_bins).astype(np.int64)
    end = int(np.ceil(period_bins))
    return np.unique(np.concatenate(([0, end], inside[(inside > 0) & (inside < end)])))


def _folded(
    tau: NDArray[np.floating], edges_ns: NDArray[np.floating], response: Response, time_zero_ns: float
) -> NDArray[np.floating]:
    """Probability per bin of the smeared exponential, summed over all earlier pulses."""
    sigma, period = response.sigma_ns, response.period_ns
    late = edges_ns[None, :] - time_zero_ns
    cumulative = sum(_smeared_cumulative(late + k * period, tau, sigma) for k in (-1, 0, 1))
    # two and more periods later the response has no say: a geometric series of plain exponentials
    late_enough = np.maximum(late + 2 * period, 0.5 * sigma**2 / tau)
    older = np.exp((0.5 * sigma**2 / tau - late_enough) / tau) / -np.expm1(-period / tau)
    return np.diff(cumulative - older, axis=1)


def _smeared_cumulative(
    late_ns: NDArray[np.floating], tau: NDArray[np.floating], sigma: float
) -> NDArray[np.floating]:
    """Cumulative function of an exponential convolved with a Gaussian."""
    z = late_ns / sigma
    return ndtr(z) - np.exp(0.5 * (sigma / tau) ** 2 - late_ns / tau + log_ndtr(z - sigma / tau))
