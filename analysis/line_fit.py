"""The centre of a dot along one axis, from lines run through it forth and back.

Each line has a height of its own, so a dot that blinks from line to line moves nothing; centre, width and
background are common to all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .fisher_scoring import fit_poisson
from .scan_image import EXPOSURE_STEP_S, Track

_BINS = 60
"""Bins of position over the length of a line."""
_FEWEST_PHOTONS = 30


class Centre(NamedTuple):
    """Where a dot is along one axis, in micrometres, with its standard error and how bright it is there."""

    centre_um: float
    error_um: float
    sigma_um: float
    rate_hz: float
    """Mean height of the lines above the background."""


def fit_centre(
    photon_s: NDArray[np.floating],
    track: Track,
    line_period_s: float,
    span_um: tuple[float, float],
    *,
    background_hz: float,
    sigma_um: float,
) -> Centre | None:
    """Fit lines of `line_period_s` each, between `span_um`; the search begins with the other two numbers.

    None where the lines hold too few photons, or no centre between their ends.
    """
    x, counts, time_s, line = _profiles(photon_s, track, line_period_s, span_um)
    if counts.sum() - background_hz * time_s.sum() < _FEWEST_PHOTONS:
        return None
    own_s = np.maximum(np.bincount(line, time_s), 1e-12)
    to_height = (span_um[1] - span_um[0]) / (sigma_um * math.sqrt(2 * math.pi))
    heights = np.maximum((np.bincount(line, counts) / own_s - background_hz) * to_height, 1.0)
    common = [_brightest(x, counts, time_s, span_um, sigma_um), math.log(sigma_um), math.log(background_hz)]
    fit = fit_poisson(_LinesModel(x, time_s, line), np.concatenate([common, np.log(heights)]), counts)
    if fit is None:
        return None
    centre_um, sigma = fit.parameters[0], math.exp(fit.parameters[1])
    if not (span_um[0] < centre_um < span_um[1] and sigma_um / 3 < sigma < 3 * sigma_um):
        return None
    variance = max(fit.covariance[0, 0], fit.grouped_covariance(line)[0, 0])
    return Centre(float(centre_um), math.sqrt(variance), sigma, float(np.exp(fit.parameters[3:]).mean()))


def _profiles(
    photon_s: NDArray[np.floating], track: Track, line_period_s: float, span_um: tuple[float, float]
) -> tuple[NDArray[np.floating], NDArray[np.int64], NDArray[np.floating], NDArray[np.int64]]:
    """Position, counts, time and line of each bin that was exposed; lines are numbered without gaps."""
    edges = np.linspace(*span_um, _BINS + 1)
    start_s, end_s = float(track.time_s[0]), float(track.time_s[-1])
    n_lines = math.ceil((end_s - start_s) / line_period_s + 1e-6)

    def binned(time_s: NDArray[np.floating]) -> NDArray[np.int64]:
        fast_um, _ = track.at(time_s)
        column = np.searchsorted(edges, fast_um, "right") - 1
        inside = (column >= 0) & (column < _BINS)
        return (((time_s - start_s) // line_period_s).astype(np.int64) * _BINS + column)[inside]

    steps = max(1, round((end_s - start_s) / EXPOSURE_STEP_S * 4))
    step_s = (end_s - start_s) / steps
    time_s = (
        np.bincount(binned(start_s + (np.arange(steps) + 0.5) * step_s), minlength=n_lines * _BINS) * step_s
    )
    counts = np.bincount(binned(photon_s), minlength=n_lines * _BINS)
    (exposed,) = np.nonzero(time_s)
    line = np.unique(exposed // _BINS, return_inverse=True)[1]
    x = (edges[:-1] + edges[1:])[exposed % _BINS] / 2
    return x, counts[exposed], time_s[exposed], line


def _brightest(
    x: NDArray[np.floating],
    counts: NDArray[np.int64],
    time_s: NDArray[np.floating],
    span_um: tuple[float, float],
    sigma_um: float,
) -> float:
    """The position about which a Gaussian window holds the highest rate."""
    centres = np.linspace(*span_um, 4 * _BINS + 1)
    window = np.exp(-0.5 * ((x - centres[:, None]) / sigma_um) ** 2)
    return float(centres[np.argmax((window @ counts) / (window @ time_s + 1e-9))])


@dataclass(frozen=True)
class _LinesModel:
    """Centre, ln width, ln background, and ln height of each line."""

    x_um: NDArray[np.floating]
    time_s: NDArray[np.floating]
    line: NDArray[np.int64]

    def __call__(self, p: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        with np.errstate(over="ignore", invalid="ignore"):
            sigma_um, background_hz, height_hz = (
                math.exp(min(p[1], 10.0)),
                np.exp(p[2]),
                np.exp(p[3:])[self.line],
            )
            d = (self.x_um - p[0]) / sigma_um
            bell = height_hz * np.exp(-0.5 * d**2)
        slopes = np.zeros((len(self.x_um), len(p)))
        slopes[:, 0] = bell * d / sigma_um
        slopes[:, 1] = bell * d**2
        slopes[:, 2] = background_hz
        slopes[np.arange(len(self.x_um)), 3 + self.line] = bell
        return (background_hz + bell) * self.time_s, slopes * self.time_s[:, None]
