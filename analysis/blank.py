"""What an empty spot tells about the rig: dark counts, laser background, response, afterpulsing.

The laser background is one short exponential, convolved with the Gaussian response of laser, detectors and
card. Its decay is fitted by Poisson likelihood together with the dark count of the locked laser, so that the
flat level is not a free parameter. Afterpulses show as counts that follow another one of the same detector
within some hundred nanoseconds, more often than chance allows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from .decay_model import FWHM_PER_SIGMA, Response, decay_probabilities, warped_edges
from .poisson import Measured, chi2_per_bin, signed_deviance

GUARD_S = 0.2
"""Left out on both sides of the moment at which the host unlocked the laser."""
MIN_PROMPT_COUNTS = 500
"""With fewer net counts the shape of the laser background is not fitted."""
SIGNIFICANT = 5.0
"""Excess of close pairs, in standard deviations, from which afterpulsing counts as measured."""

_CLOSE_S = 400e-9
_FAR = (25, 125)  # in units of the close window: where pairs are chance only
_BINS = 400


@dataclass(frozen=True)
class BlankData:
    """A blank as recorded; sync numbers count from the start of the measurement, times are theirs."""

    sync: NDArray[np.int64]
    dtime: NDArray[np.uint16]
    channel: NDArray[np.uint8]
    resolution_ps: float
    sync_period_s: float
    duration_s: float
    detectors: int
    unlocked_s: tuple[float, float] | None
    """When the host asked for light and when it had it; None when the run ended before."""
    status: str = "finished"


@dataclass(frozen=True)
class Afterpulsing:
    """Counts caused by an earlier count of the same detector."""

    probability: Measured
    """Afterpulses per recorded count, with its standard error."""
    delay_ns: float
    """Shortest gap between two counts of a detector: its dead time."""
    lifetime_ns: Measured | None
    """Mean of what gaps are longer than that; None where afterpulsing was not measured."""
    pairs: int
    chance_pairs: float
    measured: bool
    """False where the pairs are no more than chance allows."""
    gaps_ns: NDArray[np.floating]
    """Gaps within the window of close pairs."""


@dataclass(frozen=True)
class PromptFit:
    """The laser background: a short exponential behind a Gaussian response."""

    lifetime_ns: Measured
    irf_fwhm_ns: Measured
    time_zero_ns: Measured
    chi2_per_bin: float
    """About 1 where one exponential and a Gaussian describe what was seen."""
    edges_ns: NDArray[np.floating]
    counts: NDArray[np.int64]
    model: NDArray[np.floating]
    """Mean counts per bin of the fit, dark counts included."""


@dataclass(frozen=True)
class BlankResult:
    """Everything that the table, the figure and a station's `[calibration]` show."""

    status: str
    photons: int
    dark_s: float
    scatter_s: float
    dark_rates_hz: tuple[Measured, ...]
    """Of each detector, with Poisson errors."""
    prompt_rate_hz: Measured | None
    """Laser-synchronous background of all detectors together, afterpulses included."""
    prompt: PromptFit | None
    afterpulsing: Afterpulsing | None
    trace_hz: NDArray[np.floating]
    """Count rate of all detectors in whole seconds."""
    dark_decay: NDArray[np.int64]
    scatter_decay: NDArray[np.int64]
    resolution_ns: float
    warnings: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """The results as plain numbers; None stands for what was not measured."""
        after, fit = self.afterpulsing, self.prompt
        measured = after is not None and after.measured
        return {
            "kind": "blank",
            "status": self.status,
            "photons": self.photons,
            "dark_s": self.dark_s,
            "scatter_s": self.scatter_s,
            "dark_rate_hz": [rate.value for rate in self.dark_rates_hz],
            "dark_rate_err_hz": [rate.error for rate in self.dark_rates_hz],
            **_pair("prompt_rate", "_hz", self.prompt_rate_hz),
            **_pair("prompt_lifetime", "_ns", fit and fit.lifetime_ns),
            **_pair("irf_fwhm", "_ps", fit and Measured(*(1000 * x for x in fit.irf_fwhm_ns))),
            **_pair("time_zero", "_ns", fit and fit.time_zero_ns),
            "chi2_per_bin": fit and fit.chi2_per_bin,
            "afterpulsing": {
                "measured": measured,
                **_pair("probability", "", after and after.probability),
                "delay_ns": after.delay_ns if after and measured else None,
                **_pair("lifetime", "_ns", after and after.lifetime_ns),
                "pairs": after and after.pairs,
                "chance_pairs": after and after.chance_pairs,
            },
            "warnings": list(self.warnings),
        }


def analyze_blank(data: BlankData) -> BlankResult:
    """Analyse one blank; what its length did not allow is None and has a warning."""
    warnings: list[str] = []
    dark_end_s, scatter_start_s = data.duration_s, data.duration_s
    if data.unlocked_s is not None:
        dark_end_s = max(0.0, data.unlocked_s[0] - GUARD_S)
        scatter_start_s = min(data.duration_s, data.unlocked_s[1] + GUARD_S)
    first = round(scatter_start_s / data.sync_period_s)
    dark, lit = data.sync * data.sync_period_s < dark_end_s, data.sync >= first
    scatter_s = data.duration_s - first * data.sync_period_s if data.unlocked_s else 0.0
    dark_counts = np.bincount(data.channel[dark], minlength=data.detectors)
    dark_rates = tuple(
        Measured(n / dark_end_s, max(n, 1) ** 0.5 / dark_end_s)
        for n in dark_counts.tolist()
        if dark_end_s > 0
    )
    after = _afterpulsing(data, (dark, lit))
    if after is None or not after.measured:
        warnings.append("afterpulsing was not measured: too few close pairs of counts; count longer")
    bins = max(int(data.dtime.max(initial=0)) + 1, round(data.sync_period_s * 1e12 / data.resolution_ps))
    dark_decay, lit_decay = (np.bincount(data.dtime[which], minlength=bins) for which in (dark, lit))
    prompt_rate = _prompt_rate(int(dark_counts.sum()), dark_end_s, int(lit.sum()), scatter_s)
    prompt = None
    if prompt_rate is None:
        warnings.append("the run ended before the laser was on: there is no laser background in it")
    elif prompt_rate.value * scatter_s < MIN_PROMPT_COUNTS:
        warnings.append(
            f"the laser background has {prompt_rate.value * scatter_s:.0f} counts and {MIN_PROMPT_COUNTS} "
            "are needed for its decay and the response: count longer"
        )
    else:
        prompt = _fit_prompt(
            data, lit_decay, scatter_s, int(dark_counts.sum()), dark_end_s, _response_of(data, after)
        )
        if prompt.chi2_per_bin > 1.5:
            warnings.append(
                f"the laser background is not one exponential behind a Gaussian response (chi2 per bin "
                f"{prompt.chi2_per_bin:.1f}): look at the picture before these numbers are used"
            )
    seconds = np.floor(data.sync * data.sync_period_s).astype(np.int64)
    return BlankResult(
        status=data.status,
        photons=len(data.sync),
        dark_s=dark_end_s,
        scatter_s=scatter_s,
        dark_rates_hz=dark_rates,
        prompt_rate_hz=prompt_rate,
        prompt=prompt,
        afterpulsing=after,
        trace_hz=np.bincount(seconds, minlength=1)[: max(1, int(data.duration_s))].astype(np.float64),
        dark_decay=dark_decay,
        scatter_decay=lit_decay,
        resolution_ns=data.resolution_ps / 1000,
        warnings=tuple(warnings),
    )


def _prompt_rate(dark: int, dark_s: float, lit: int, lit_s: float) -> Measured | None:
    if lit_s <= 0 or dark_s <= 0:
        return None
    return Measured(lit / lit_s - dark / dark_s, float(np.hypot(lit**0.5 / lit_s, dark**0.5 / dark_s)))


def _response_of(data: BlankData, after: Afterpulsing | None) -> Response:
    """The response with its afterpulses as measured; time zero and width are only a start."""
    period_ns = data.sync_period_s * 1e9
    if after is None or after.lifetime_ns is None:
        return Response(period_ns, 0.0, 0.15)
    return Response(period_ns, 0.0, 0.15, after.probability.value, after.delay_ns, after.lifetime_ns.value)


def _fit_prompt(
    data: BlankData,
    decay: NDArray[np.int64],
    scatter_s: float,
    dark_counts: int,
    dark_s: float,
    response: Response,
) -> PromptFit:
    """Poisson likelihood of the lit decay and the dark count together, in bins of 25 ps at the pulse."""
    resolution_ns = data.resolution_ps / 1000
    peak_bins = int(np.convolve(decay, np.ones(round(0.5 / resolution_ns)), "same").argmax())
    edges = warped_edges(peak_bins, response.period_ns / resolution_ns, resolution_ns, n_bins=_BINS)
    edges_ns = edges * resolution_ns
    counts = np.add.reduceat(np.append(decay, 0), np.minimum(edges[:-1], len(decay)))
    flat = np.diff(edges_ns) / response.period_ns

    def model(parameters: NDArray[np.floating]) -> NDArray[np.floating]:
        dark_hz, prompt_hz, lifetime_ns, sigma_ns, zero_ns = parameters
        shifted = replace(response, time_zero_ns=zero_ns, sigma_ns=sigma_ns)
        prompt = decay_probabilities(lifetime_ns, edges_ns, shifted)[0] / (1 + response.afterpulsing)
        return scatter_s * (dark_hz * flat + prompt_hz * prompt)

    def residuals(parameters: NDArray[np.floating]) -> NDArray[np.floating]:
        expected = np.append(model(parameters), parameters[0] * dark_s)
        return signed_deviance(np.append(counts, dark_counts), expected)

    dark_hz = max(dark_counts, 1) / dark_s
    peak_ns = peak_bins * resolution_ns
    start = np.array([dark_hz, counts.sum() / scatter_s - dark_hz, 0.3, 0.15, peak_ns - 0.15])
    lower = np.array([0.1 * dark_hz, 0.3 * start[1], 0.005, 0.01, peak_ns - 5.0])
    upper = np.array([10 * dark_hz, 3.0 * start[1], 50.0, 3.0, peak_ns + 5.0])
    fit = least_squares(residuals, start, bounds=(lower, upper), x_scale=start, diff_step=1e-4)
    errors = np.sqrt(np.diag(np.linalg.inv(fit.jac.T @ fit.jac)))
    expected = model(fit.x)
    return PromptFit(
        Measured(float(fit.x[2]), float(errors[2])),
        Measured(float(fit.x[3]) * FWHM_PER_SIGMA, float(errors[3]) * FWHM_PER_SIGMA),
        Measured(float(fit.x[4]), float(errors[4])),
        chi2_per_bin(counts, expected, len(start) - 1),
        edges_ns,
        counts,
        expected,
    )


def _afterpulsing(data: BlankData, parts: tuple[NDArray[np.bool_], ...]) -> Afterpulsing | None:
    """Close pairs of counts of one detector, against what chance gives at larger gaps."""
    periods = int(np.ceil(_CLOSE_S / data.sync_period_s))
    window_ns = periods * data.sync_period_s * 1e9
    time_ns = data.sync * (data.sync_period_s * 1e9) + data.dtime * (data.resolution_ps / 1000)
    gaps = [
        np.diff(np.sort(time_ns[part & (data.channel == detector)]))
        for part in parts
        for detector in range(data.detectors)
    ]
    every_ns = np.concatenate(gaps)
    if not len(every_ns):
        return None
    close_ns = np.sort(every_ns[every_ns < window_ns])
    low, high = _FAR
    far = int(((every_ns >= low * window_ns) & (every_ns < high * window_ns)).sum())
    chance, chance_err = far / (high - low), max(far, 1) ** 0.5 / (high - low)
    excess, n = len(close_ns) - chance, len(every_ns)
    error = float(np.hypot(max(len(close_ns), 1) ** 0.5, chance_err))
    measured = excess > SIGNIFICANT * error
    delay_ns, lifetime_ns = float(close_ns[0]) if len(close_ns) else np.nan, None
    if measured:
        above_ns = (close_ns.sum() - chance * window_ns / 2) / excess - delay_ns
        lifetime_ns = Measured(float(above_ns), float(above_ns / excess**0.5))
        delay_ns -= above_ns / excess  # the smallest of many exponential times is not 0
    return Afterpulsing(
        Measured(excess / n, error / n),
        float(delay_ns),
        lifetime_ns,
        len(close_ns),
        chance,
        measured,
        close_ns,
    )


def _pair(name: str, unit: str, quantity: Measured | None) -> dict[str, float | None]:
    """Two entries of a summary: value and error."""
    value, error = (None, None) if quantity is None else quantity
    return {f"{name}{unit}": value, f"{name}_err{unit}": error}
