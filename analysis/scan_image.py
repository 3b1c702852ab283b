"""Images from a scan: every photon where the stage was measured to be, forth and back apart.

Times are seconds of the photons' clock. Where the start of the scan is known by the host's clock only, forth
and back are shifted against each other; `find_lag` brings them together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

EXPOSURE_STEP_S = 0.25e-3
"""Positions are interpolated to such steps for the time spent in a pixel."""
_LAG_REACH_S = 0.1
_LAG_STEP_S = 1e-3
_FINE_STEPS = 11
_BLUR_UM = 0.06
_FEWEST_PHOTONS = 300
_PEAK_STEPS = 20
_SHARP = 6.0
"""The best agreement must exceed that at lags further away by so many of its standard deviations."""


class Track(NamedTuple):
    """Where the stage was: measured positions at rising times, arrays of one length."""

    time_s: NDArray[np.floating]
    fast_um: NDArray[np.floating]
    slow_um: NDArray[np.floating]

    def at(self, time_s: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Positions at other times, by linear interpolation; nan outside the record."""
        return (
            np.interp(time_s, self.time_s, self.fast_um, np.nan, np.nan),
            np.interp(time_s, self.time_s, self.slow_um, np.nan, np.nan),
        )

    def forth(self, time_s: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether the fast axis was rising at other times."""
        rising = np.diff(self.fast_um) >= 0
        interval = np.searchsorted(self.time_s, time_s, "right") - 1
        return rising[np.clip(interval, 0, len(rising) - 1)]


class Grid(NamedTuple):
    """Edges of the pixels in micrometres, along the fast and the slow axis."""

    fast_um: NDArray[np.floating]
    slow_um: NDArray[np.floating]

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels along the slow and the fast axis."""
        return len(self.slow_um) - 1, len(self.fast_um) - 1

    def pixel_at(self, fast_um: NDArray[np.floating], slow_um: NDArray[np.floating]) -> NDArray[np.int64]:
        """Flat pixel of each position, -1 outside the grid."""
        columns = np.searchsorted(self.fast_um, fast_um, "right") - 1
        rows = np.searchsorted(self.slow_um, slow_um, "right") - 1
        n_rows, n_columns = self.shape
        inside = (columns >= 0) & (columns < n_columns) & (rows >= 0) & (rows < n_rows)
        return np.where(inside, rows * n_columns + columns, -1)


def grid_around(fast_um: NDArray[np.floating], slow_um: NDArray[np.floating]) -> Grid:
    """Pixels around evenly spaced centres; at least two along each axis."""
    return Grid(_edges(fast_um), _edges(slow_um))


def _edges(centres: NDArray[np.floating]) -> NDArray[np.floating]:
    half = (centres[-1] - centres[0]) / (len(centres) - 1) / 2
    return np.append(centres - half, centres[-1] + half)


@dataclass(frozen=True)
class ScanImage:
    """Counts and time per pixel, shape (2, slow, fast): forth, then back."""

    grid: Grid
    counts: NDArray[np.int64]
    exposure_s: NDArray[np.floating]
    fast_um: NDArray[np.floating]
    """Mean position within each pixel while it was exposed; nan where it was not."""
    slow_um: NDArray[np.floating]

    @property
    def rate_hz(self) -> NDArray[np.floating]:
        """Rate of both directions together, shape (slow, fast); nan where no time was spent."""
        exposure_s = self.exposure_s.sum(axis=0)
        counts = self.counts.sum(axis=0)
        return np.divide(counts, exposure_s, out=np.full(exposure_s.shape, np.nan), where=exposure_s > 0)

    def __add__(self, other: ScanImage) -> ScanImage:
        """Both images' photons together; they must have the same grid."""
        time_s = self.exposure_s + other.exposure_s
        weight = np.divide(self.exposure_s, time_s, out=np.zeros_like(time_s), where=time_s > 0)

        def mean(one: NDArray[np.floating], two: NDArray[np.floating]) -> NDArray[np.floating]:
            both = weight * np.nan_to_num(one) + (1 - weight) * np.nan_to_num(two)
            return np.where(time_s > 0, both, np.nan)

        return ScanImage(
            self.grid,
            self.counts + other.counts,
            time_s,
            mean(self.fast_um, other.fast_um),
            mean(self.slow_um, other.slow_um),
        )


def sum_images(images: Sequence[ScanImage], grid: Grid) -> ScanImage:
    """The photons of several images of one grid together; an empty image without any."""
    nothing = np.zeros((2, *grid.shape))
    total = ScanImage(grid, nothing.astype(np.int64), nothing, nothing + np.nan, nothing + np.nan)
    for image in images:
        total = total + image
    return total


def make_image(photon_s: NDArray[np.floating], track: Track, grid: Grid, lag_s: float = 0.0) -> ScanImage:
    """The image of the photons at `photon_s`, each taken `lag_s` earlier on the track."""
    counts = _counts(photon_s - lag_s, track, grid)
    start_s, end_s = track.time_s[0], track.time_s[-1]
    steps = max(1, round((end_s - start_s) / EXPOSURE_STEP_S))
    step_s = (end_s - start_s) / steps
    time_s = start_s + (np.arange(steps) + 0.5) * step_s
    pixel = _pixels(time_s, track, grid)
    return _visited(grid, counts, pixel, track.at(time_s), step_s)


def image_of_points(
    photon_s: NDArray[np.floating],
    start_s: NDArray[np.floating],
    dwell_s: float,
    at_um: tuple[NDArray[np.floating], NDArray[np.floating]],
    grid: Grid,
) -> ScanImage:
    """The image of points (fast, slow), counted for `dwell_s` from `start_s` on; the second half is empty."""
    shape = (2, *grid.shape)
    first, last = (np.searchsorted(photon_s, edges_s) for edges_s in (start_s, start_s + dwell_s))
    pixel = grid.pixel_at(*at_um)
    inside = pixel >= 0
    counts = np.bincount(pixel[inside], (last - first)[inside], math.prod(shape)).astype(np.int64)
    return _visited(grid, counts.reshape(shape), pixel, at_um, dwell_s)


def _visited(
    grid: Grid,
    counts: NDArray[np.int64],
    pixel: NDArray[np.int64],
    at_um: tuple[NDArray[np.floating], NDArray[np.floating]],
    visit_s: float,
) -> ScanImage:
    """The image of counts per pixel whose exposure were visits of `visit_s` at positions (fast, slow)."""
    inside = pixel >= 0
    visits = np.bincount(pixel[inside], minlength=counts.size).reshape(counts.shape)
    sums = (np.bincount(pixel[inside], um[inside], counts.size).reshape(counts.shape) for um in at_um)
    fast_um, slow_um = (np.divide(s, visits, out=np.full(s.shape, np.nan), where=visits > 0) for s in sums)
    return ScanImage(grid, np.where(visits > 0, counts, 0), visits * visit_s, fast_um, slow_um)


class Lag(NamedTuple):
    """By how much the photons are later than the track."""

    lag_s: float
    found: bool
    """False where the image shows nothing to go by; `lag_s` is then 0."""


def find_lag(photon_s: NDArray[np.floating], track: Track, grid: Grid, reach_s: float = _LAG_REACH_S) -> Lag:
    """The lag at which the images of both directions agree best.

    They are smoothed by `_BLUR_UM`, about a dot's width, and their correlation must stand out from that at
    all other lags within `reach_s`.
    """
    blur = [
        _BLUR_UM * (len(edges) - 1) / float(edges[-1] - edges[0]) for edges in (grid.slow_um, grid.fast_um)
    ]
    exposure_s = make_image(photon_s[:0], track, grid).exposure_s

    def agreement(lag_s: float) -> float:
        counts = _counts(photon_s - lag_s, track, grid)
        both = counts.sum() / exposure_s.sum() if exposure_s.any() else 0.0
        forth, back = (
            gaussian_filter(c - both * e, blur, mode="constant")
            for c, e in zip(counts, exposure_s, strict=True)
        )
        return float((forth * back).sum())

    steps = round(reach_s / _LAG_STEP_S)
    lags_s = np.arange(-steps, steps + 1) * _LAG_STEP_S
    agree = np.array([agreement(lag_s) for lag_s in lags_s])
    best = int(np.argmax(agree))
    elsewhere = agree[np.abs(np.arange(len(agree)) - best) > _PEAK_STEPS]
    if len(photon_s) < _FEWEST_PHOTONS or not agree[best] - elsewhere.mean() > _SHARP * elsewhere.std():
        return Lag(0.0, False)
    fine_s = lags_s[best] + np.linspace(-1, 1, _FINE_STEPS) * _LAG_STEP_S
    curve = np.polyfit(fine_s - lags_s[best], [agreement(lag_s) for lag_s in fine_s], 2)
    top_s = -curve[1] / (2 * curve[0]) if curve[0] < 0 else 0.0
    return Lag(float(lags_s[best] + np.clip(top_s, -_LAG_STEP_S, _LAG_STEP_S)), True)


def _counts(time_s: NDArray[np.floating], track: Track, grid: Grid) -> NDArray[np.int64]:
    """Photons per pixel, shape (2, slow, fast): forth, then back."""
    pixel = _pixels(time_s, track, grid)
    n_rows, n_columns = grid.shape
    counts = np.bincount(pixel[pixel >= 0], minlength=2 * n_rows * n_columns)
    return counts.reshape(2, n_rows, n_columns)


def _pixels(time_s: NDArray[np.floating], track: Track, grid: Grid) -> NDArray[np.int64]:
    """Flat pixel in (2, slow, fast) at each time, -1 outside the grid."""
    pixel = grid.pixel_at(*track.at(time_s))
    back = grid.shape[0] * grid.shape[1]
    return np.where(pixel >= 0, pixel + np.where(track.forth(time_s), 0, back), -1)
