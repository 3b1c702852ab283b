"""A few grid frequencies that stand for any number of pathway frequencies along one delay.

exp(i x t) is made from the four grid frequencies next to x, times a factor s(t) that is the same for all x: a
non-uniform fast Fourier transform. Taps and s are those of least mean square error (J. A. Fessler and B. P.
Sutton, IEEE Trans. Signal Process. 51, 560 (2003)), here weighted with the decay of the signal, so that a
decaying signal is most accurate where it is largest.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.polynomial.polynomial import Polynomial
from numpy.typing import NDArray

TAPS = 4
DEGREE = 6
"""Of the polynomials that stand for the taps; they miss them by 1e-6."""

_OFFSETS = np.arange(TAPS) - 1
_PLACES = (np.arange(32) + 0.5) / 32  # in the cell


class Grid(NamedTuple):
    """Grid frequencies of one delay and what turns sums on them into the signal."""

    points: int
    """Cells; a frequency in cell g is shared among the points g to g + 3 of `points + 3`."""
    lowest: float
    """Frequency at the lower edge of cell 0, in rad/fs."""
    spacing: float
    """In rad/fs; the grid is periodic where `points * spacing` is the band of the time step."""
    middle_fs: float
    """A term is exp(i x middle) times what the grid makes of exp(i x (t - middle))."""
    polynomials: NDArray[np.float32]
    """[DEGREE + 1, TAPS]: taps by powers of the place in the cell, 0 to 1."""
    transform: NDArray[np.complex64]
    """[times, points + 3], the decay in it."""

    @property
    def axis(self) -> tuple[float, float, float, float]:
        """What `_response_spread.cell_of` asks for."""
        return self.lowest, 1 / self.spacing, float(self.points), 1 / self.points


def grid(
    times_fs: NDArray[np.float64], band: tuple[float, float], decay_fs: float, oversampling: float
) -> Grid:
    """Lay a grid for frequencies in `band` (rad/fs) and evenly spaced times; the signal falls in `decay_fs`.

    `oversampling` is the number of grid points per time; 2 leaves an error of about 5e-4 per term (less for a
    signal that decays), 3 of 1e-4, and the errors of an ensemble average out.
    """
    n = len(times_fs)
    fall = np.exp(-times_fs / decay_fs)
    if n == 1:
        constant = np.zeros((DEGREE + 1, TAPS), dtype=np.float32)
        constant[0, 1] = 1
        transform = np.full((1, TAPS), fall[0], dtype=np.complex64)
        return Grid(1, band[0], np.inf, float(times_fs[0]), constant, transform)
    step = (times_fs[-1] - times_fs[0]) / (n - 1)
    periodic = max(TAPS, int(np.ceil(oversampling * n)))
    spacing = 2 * np.pi / (step * periodic)
    points = min(periodic, int((band[1] - band[0]) / spacing) + 1)
    early = (n - 1) / 2 / (1 + step * n / decay_fs / 8)  # best found for a signal that decays
    middle = round(max(early, n - 1 - 0.41 * periodic))
    turns = (np.arange(n) - middle) / periodic
    polynomials = _best_taps(turns[0], turns[-1], step * periodic / decay_fs)
    angles = 2 * np.pi * turns
    frequency = band[0] / spacing + np.arange(-1, points + TAPS - 2)
    turned = np.exp(1j * np.outer(angles, frequency))
    scaling = fall * _scaling(angles, np.vander(_PLACES, DEGREE + 1, increasing=True) @ polynomials)
    transform = (scaling[:, None] * turned).astype(np.complex64)
    single = np.ascontiguousarray(polynomials, dtype=np.float32)
    return Grid(points, band[0], spacing, float(times_fs[middle]), single, transform)


@cache
def _best_taps(first: float, last: float, decay: float) -> NDArray[np.float64]:
    """Taps [DEGREE + 1, TAPS] for `first` to `last` turns per cell; terms fall as exp(-decay * turns)."""
    angle = 2 * np.pi * np.linspace(first, last, 61)
    weight = np.exp(-decay * (angle - angle[0]) / (2 * np.pi))[:, None]
    wanted = weight * np.exp(1j * np.outer(angle, _PLACES))
    root = np.sqrt((0.9 * TAPS * (np.pi - np.abs(angle).max() / 2)) ** 2 - (TAPS * angle / 2) ** 2)
    scaling = root / np.sinh(root)  # of Kaiser and Bessel, a good beginning
    taps = np.empty((TAPS, len(_PLACES)))
    for _ in range(10):
        cell = weight * scaling[:, None] * np.exp(1j * np.outer(angle, _OFFSETS))
        taps = np.linalg.lstsq(
            np.vstack([cell.real, cell.imag]), np.vstack([wanted.real, wanted.imag]), rcond=None
        )[0]
        scaling = _scaling(angle, taps.T)
    fits = [Polynomial.fit(_PLACES, tap, DEGREE).convert(domain=[-1, 1]).coef for tap in taps]
    return np.array(fits, dtype=np.float64).T


def _scaling(angle: NDArray[np.float64], taps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best factor at each angle for taps [places, TAPS]."""
    made = np.exp(1j * np.outer(angle, _OFFSETS)) @ taps.T
    wanted = np.exp(1j * np.outer(angle, _PLACES))
    return (wanted * made.conj()).real.sum(axis=1) / (np.abs(made) ** 2).sum(axis=1)
