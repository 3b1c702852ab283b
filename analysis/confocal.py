"""Spots in a confocal image: found above the background, and localised by maximum likelihood.

A spot is a Gaussian on a flat background; spots closer than `APART_UM` cannot be told apart and count as
one. Detection looks at the counts within a disc about each pixel and asks how often the background alone
gives as many (Poisson), in all pixels together; so an empty image stays empty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve, gaussian_filter, maximum_filter
from scipy.stats import poisson

from .fisher_scoring import PoissonFit, fit_poisson
from .scan_image import Grid, ScanImage

APART_UM = 0.25
FALSE_ALARMS = 1e-4
"""Spots that the background alone makes per image."""
EXPECTED_SIGMA_UM = 0.06
"""Standard deviation of a dot's image: focus and collection at NA 1.45 and 442 nm, a little saturated."""
_WIDTHS_UM = (0.035, 0.15)
_REACH_UM = 0.3
"""A fit looks so far around its spots."""
_BACKGROUND_ROUNDS = 10


@dataclass(frozen=True)
class Spot:
    """One spot; positions along the fast and slow axis in micrometres, errors are standard errors."""

    fast_um: float
    fast_err_um: float
    slow_um: float
    slow_err_um: float
    rate_hz: float
    """Peak above the background."""
    rate_err_hz: float
    sigma_um: float
    counts: float
    """Photons of the spot in the image."""

    @property
    def fwhm_um(self) -> float:
        """Full width at half maximum in micrometres."""
        return self.sigma_um * math.sqrt(8 * math.log(2))


class Background(NamedTuple):
    """Rate between the spots, in hertz, with its standard error."""

    rate_hz: float
    error_hz: float


def find_spots(image: ScanImage) -> tuple[list[Spot], Background]:
    """All spots with their centre inside the image, brightest first, and the background."""
    counts, exposure_s = image.counts.sum(axis=0), image.exposure_s.sum(axis=0)
    disc = _disc(image.grid)
    in_disc = np.asarray(convolve(counts, disc, mode="constant"), np.int64)
    time_s = convolve(exposure_s, disc.astype(float), mode="constant")
    background_hz, far = _background(counts, exposure_s, in_disc, time_s, disc)
    seen = (time_s > 0) & (_tail(in_disc, background_hz * time_s) < FALSE_ALARMS / counts.size)
    peaks = _peaks(image.grid, counts, exposure_s, seen)
    spots: list[Spot] = []
    for group in _groups(peaks):
        spots += _fit(image, group, background_hz)
    free_s = float(exposure_s[far].sum())
    error_hz = math.sqrt(max(1, counts[far].sum())) / free_s if free_s else math.inf
    return sorted(spots, key=lambda spot: -spot.rate_hz), Background(background_hz, error_hz)


# ---- detection ----


def _disc(grid: Grid) -> NDArray[np.int64]:
    """Pixels within 1.5 standard deviations of a spot's centre."""
    rows, columns = (int(1.5 * EXPECTED_SIGMA_UM / _pitch(edges)) for edges in (grid.slow_um, grid.fast_um))
    y, x = np.mgrid[-rows : rows + 1, -columns : columns + 1]
    distance = np.hypot(y * _pitch(grid.slow_um), x * _pitch(grid.fast_um))
    return (distance <= 1.5 * EXPECTED_SIGMA_UM).astype(np.int64)


def _pitch(edges: NDArray[np.floating]) -> float:
    return float(edges[-1] - edges[0]) / (len(edges) - 1)


def _tail(counts: NDArray[np.int64], mean: NDArray[np.floating]) -> NDArray[np.floating]:
    """Probability of so many counts or more."""
    return np.asarray(poisson.sf(counts - 1, np.maximum(mean, 1e-12)))


def _background(
    counts: NDArray[np.int64],
    exposure_s: NDArray[np.floating],
    in_disc: NDArray[np.int64],
    time_s: NDArray[np.floating],
    disc: NDArray[np.int64],
) -> tuple[float, NDArray[np.bool_]]:
    """Rate away from the spots, and which pixels these are: what sticks out is left out, again and again."""
    far = exposure_s > 0
    rate_hz = float(np.median((in_disc / np.maximum(time_s, 1e-12))[far])) if far.any() else 0.0
    for _ in range(_BACKGROUND_ROUNDS):
        bright = _tail(in_disc, rate_hz * time_s) < 1e-4
        kept = (exposure_s > 0) & (
            convolve(bright.astype(np.int64), np.ones_like(disc), mode="constant") == 0
        )
        if not kept.any():
            break
        before, far = rate_hz, kept
        rate_hz = float(counts[far].sum() / exposure_s[far].sum())
        if abs(rate_hz - before) < 1e-3 * before:
            break
    return rate_hz, far


def _peaks(
    grid: Grid, counts: NDArray[np.int64], exposure_s: NDArray[np.floating], seen: NDArray[np.bool_]
) -> list[tuple[float, float]]:
    """Positions (fast, slow) of the highest smoothed pixels, none closer to a higher one than APART_UM."""
    pitch = (_pitch(grid.slow_um), _pitch(grid.fast_um))
    sigma = [EXPECTED_SIGMA_UM / p for p in pitch]
    smooth_s = gaussian_filter(exposure_s, sigma, mode="constant")
    smooth = gaussian_filter(counts.astype(float), sigma, mode="constant")
    smooth = np.divide(smooth, smooth_s, out=np.zeros_like(smooth), where=exposure_s > 0)
    highest = smooth == maximum_filter(smooth, size=3, mode="constant")
    rows, columns = np.nonzero(seen & highest)
    order = np.argsort(-smooth[rows, columns], kind="stable")
    found: list[tuple[float, float]] = []
    for row, column in zip(rows[order], columns[order], strict=True):
        at = (
            float(grid.fast_um[column : column + 2].mean()),
            float(grid.slow_um[row : row + 2].mean()),
        )
        if all(math.dist(at, other) >= APART_UM for other in found):
            found.append(at)
    return found


def _groups(peaks: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Peaks that are fitted together, because their surroundings overlap."""
    groups: list[list[tuple[float, float]]] = []
    for peak in peaks:
        near = [g for g in groups if any(math.dist(peak, other) < 2 * _REACH_UM for other in g)]
        groups = [g for g in groups if g not in near]
        groups.append([peak, *(other for g in near for other in g)])
    return groups


# ---- localisation ----


def _fit(image: ScanImage, peaks: list[tuple[float, float]], background_hz: float) -> list[Spot]:
    """Fit a group of spots of one width together; leaves out what is centred outside the image."""
    x, y, counts, time_s, line = _surroundings(image, peaks)
    start = [math.log(EXPECTED_SIGMA_UM)]
    for peak in peaks:
        near = np.hypot(x - peak[0], y - peak[1]) < EXPECTED_SIGMA_UM
        rate_hz = counts[near].sum() / max(time_s[near].sum(), 1e-9) if near.any() else background_hz
        start += [*peak, math.log(max(1.5 * rate_hz, 2 * background_hz + 1.0))]
    fit = fit_poisson(_SpotsModel(x, y, time_s, max(background_hz, 1.0), len(peaks)), np.array(start), counts)
    if fit is None:
        return []
    variance = np.maximum(np.diag(fit.covariance), np.diag(fit.grouped_covariance(line)))
    return [
        spot
        for k in range(len(peaks))
        if (spot := _spot(fit, variance, k, time_s, x, y)) and _inside(spot, image)
    ]


def _surroundings(image: ScanImage, peaks: list[tuple[float, float]]) -> tuple[NDArray, ...]:
    """Position, counts, time and scan line of every exposed pixel near the peaks, both directions."""
    x, y = image.fast_um.ravel(), image.slow_um.ravel()
    with np.errstate(invalid="ignore"):
        near = np.any([np.hypot(x - px, y - py) < _REACH_UM for px, py in peaks], axis=0)
    near &= image.exposure_s.ravel() > 0
    lines = np.arange(2 * image.grid.shape[0]).repeat(image.grid.shape[1])
    return x[near], y[near], image.counts.ravel()[near], image.exposure_s.ravel()[near], lines[near]


@dataclass(frozen=True)
class _SpotsModel:
    """Ln width of all, and (fast, slow, ln peak rate) of each spot, on a known background."""

    x_um: NDArray[np.floating]
    y_um: NDArray[np.floating]
    time_s: NDArray[np.floating]
    background_hz: float
    spots: int

    def __call__(self, p: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        sigma_um = math.exp(min(p[0], 20.0))
        rate_hz = np.full(len(self.x_um), self.background_hz)
        slopes = np.zeros((len(self.x_um), len(p)))
        for k in range(self.spots):
            x0, y0, log_peak = p[1 + 3 * k : 4 + 3 * k]
            dx, dy = (self.x_um - x0) / sigma_um, (self.y_um - y0) / sigma_um
            with np.errstate(over="ignore"):
                bell = np.exp(log_peak - 0.5 * (dx**2 + dy**2))
            rate_hz += bell
            slopes[:, 0] += bell * (dx**2 + dy**2)
            slopes[:, 1 + 3 * k] = bell * dx / sigma_um
            slopes[:, 2 + 3 * k] = bell * dy / sigma_um
            slopes[:, 3 + 3 * k] = bell
        return rate_hz * self.time_s, slopes * self.time_s[:, None]


def _spot(
    fit: PoissonFit,
    variance: NDArray[np.floating],
    k: int,
    time_s: NDArray[np.floating],
    x: NDArray[np.floating],
    y: NDArray[np.floating],
) -> Spot | None:
    """Spot `k` of a fit; None where its width is no spot's."""
    p = fit.parameters
    x0, y0, log_peak = p[1 + 3 * k : 4 + 3 * k]
    sigma_um, rate_hz = math.exp(p[0]), math.exp(log_peak)
    if not _WIDTHS_UM[0] < sigma_um < _WIDTHS_UM[1]:
        return None
    x_err, y_err, log_err = np.sqrt(variance[1 + 3 * k : 4 + 3 * k])
    own = rate_hz * time_s * np.exp(-0.5 * ((x - x0) ** 2 + (y - y0) ** 2) / sigma_um**2)
    return Spot(
        fast_um=float(x0),
        fast_err_um=float(x_err),
        slow_um=float(y0),
        slow_err_um=float(y_err),
        rate_hz=rate_hz,
        rate_err_hz=float(rate_hz * log_err),
        sigma_um=sigma_um,
        counts=float(own.sum()),
    )


def _inside(spot: Spot, image: ScanImage) -> bool:
    grid = image.grid
    return bool(
        grid.fast_um[0] <= spot.fast_um <= grid.fast_um[-1]
        and grid.slow_um[0] <= spot.slow_um <= grid.slow_um[-1]
    )
