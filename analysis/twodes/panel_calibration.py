"""From the spectra of a shaper's calibration to its curves: which pixels, which lines, which delays.

The arithmetic of each step is in `shaper_calibration`; this is what is common to the run and its analysis.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .delay_zero import COARSE_FS, FringeFinder, cross_term
from .shaper_calibration import (
    Fringes,
    ResidualPhase,
    WavelengthFit,
    column_to_wavelength,
    fringe_delay,
    grey_to_phase,
    line_centre,
    residual_phase,
)
from .units import W

Real = NDArray[np.float64]

LIT = 0.05
"""Where less than this share of the strongest light is, nothing is calibrated."""
HALF_WIDTH = 8
"""Pixels to each side that a wavelength of the grey curves is the mean of."""
LEAST_LINE = 0.3
"""A line has at least this share of the light that there is with all columns open."""
LINE_MARGIN_NM = 1.5
"""Lines closer to the end of the light are cut, and left out."""
SEARCH_FS = 400.0


@dataclass(frozen=True)
class GreyCurves:
    """Phase of every grey level at some wavelengths, with the powers it was found from."""

    wavelength_nm: Real
    """Ascending, shape (wavelengths,)."""
    phase_rad: Real
    """Shape (wavelengths, levels), 0 at level 0."""
    misfit: Real
    """Root mean square of what the model leaves, as a fraction of the modulation; shape (wavelengths,)."""
    level: NDArray[np.integer]
    power: Real
    """Shape (measured levels, wavelengths)."""


def find_grey_curves(
    wavelength_nm: Real, level: NDArray[np.integer], power: Real, *, levels: int, curves: int
) -> GreyCurves:
    """Grey curves at `curves` wavelengths spread over the light; `power` is (measured levels, pixels).

    Raises ValueError where the power does not follow the grey level, or the phase does not rise with it.
    """
    strongest = power.max(axis=0)
    (lit,) = np.nonzero(strongest > LIT * strongest.max())
    first, last = lit[0] + HALF_WIDTH, lit[-1] - HALF_WIDTH
    if last - first < curves:
        raise ValueError("the spectrometer sees too little light: is the mirror turned to the pump beam?")
    at = np.linspace(first, last, curves).astype(int)
    near = at[:, None] + np.arange(-HALF_WIDTH, HALF_WIDTH + 1)
    binned = power[:, near].mean(axis=2)
    try:
        found = grey_to_phase(level, binned, levels)
    except ValueError as error:
        told = re.sub(
            r"^wavelength (\d+)",
            lambda m: f"grey levels at {wavelength_nm[at[int(m[1])]]:.0f} nm",
            f"{error}",
        )
        raise ValueError(told) from None
    return GreyCurves(wavelength_nm[at], found.phase_rad, found.misfit, level, binned)


@dataclass(frozen=True)
class ColumnLines:
    """Wavelengths at which the lines of open columns were found."""

    column: Real
    wavelength_nm: Real
    fit: WavelengthFit


def find_column_lines(
    wavelength_nm: Real, column: Real, power: Real, reference: Real, *, columns: int
) -> ColumnLines:
    """Wavelength against column; `power` is (lines, pixels), `reference` the spectrum with all columns open.

    Lines where there is no light are left out. Raises ValueError when too few are left, or when the
    wavelength does not go one way with the column.
    """
    (lit,) = np.nonzero(reference > LIT * reference.max())
    seen = slice(int(lit[0]), int(lit[-1]) + 1)
    low_nm, high_nm = wavelength_nm[seen][0] + LINE_MARGIN_NM, wavelength_nm[seen][-1] - LINE_MARGIN_NM
    kept: list[tuple[float, float]] = []
    for at, line in zip(column, power, strict=True):
        share = line[seen] / reference[seen]
        if share.max() > LEAST_LINE:
            nm = line_centre(wavelength_nm[seen], share)
            if low_nm < nm < high_nm:
                kept.append((float(at), nm))
    at, nm = np.array(kept).reshape(-1, 2).T
    fit = column_to_wavelength(at, nm, columns=columns)
    u = np.linspace(-1, 1, columns)
    steps = np.diff(np.polynomial.polynomial.polyval(u, fit.coefficients_nm))
    if not (np.all(steps > 0) or np.all(steps < 0)):
        raise ValueError(
            "the wavelength does not go one way with the column: look at the lines, and open more columns"
        )
    return ColumnLines(at, nm, fit)


def phase_is_reversed(wavenumber_cm: Real, counts: Real, reference: Real, *, around_fs: float) -> bool:
    """Whether the pump's phase steps the other way than it was told; `counts` is (steps, pixels).

    The cross term then holds its own conjugate, whose fringes stand at minus their delay from the local
    oscillator. Raises ValueError when there are fringes at neither.
    """
    finder, field = FringeFinder(wavenumber_cm, reference), cross_term(counts)
    near = np.arange(around_fs - SEARCH_FS, around_fs + SEARCH_FS, COARSE_FS)
    strength = finder.strength(field, np.concatenate([near, -near]))
    is_reversed = bool(strength[len(near) :].max() > strength[: len(near)].max())
    finder.find(field, -around_fs if is_reversed else around_fs, SEARCH_FS)
    return is_reversed


@dataclass(frozen=True)
class SpectralPhase:
    """Phase of a pump pulse against the local oscillator."""

    wavenumber_cm: Real
    """Ascending, where there is light."""
    phase_rad: Real
    """Unwrapped, without the delay."""
    fit: ResidualPhase
    """Its polynomial; `delay_fs` counts from the local oscillator."""


def find_spectral_phase(
    wavenumber_cm: Real, counts: Real, reference: Real, *, around_fs: float, centre_cm: float
) -> SpectralPhase:
    """Spectral phase of a pump pulse from counts of shape (steps, pixels) in steps of its phase.

    `reference` is the local oscillator's spectrum. Raises ValueError without fringes.
    """
    order = np.argsort(wavenumber_cm)
    cm, power, field = wavenumber_cm[order], reference[order], cross_term(counts)[order]
    delay_fs, _ = FringeFinder(cm, power).find(field, around_fs, SEARCH_FS)
    lit = power > LIT * power.max()
    cm, power, field = cm[lit], power[lit], field[lit]
    left = field * np.exp(-1j * W * delay_fs * (cm - centre_cm))
    phase = np.unwrap(np.angle(left)).astype(np.float64)
    fit = residual_phase(cm, phase, power, centre_cm=centre_cm)
    without = phase - phase[int(np.argmax(power))] - W * fit.delay_fs * (cm - centre_cm)
    return SpectralPhase(cm, without, fit._replace(delay_fs=delay_fs + fit.delay_fs))


def find_pair_delay(wavenumber_cm: Real, power: Real, single: Real, *, centre_cm: float) -> Fringes:
    """Delay of a pair from its fringes where there is light; `single` is the spectrum of one pulse."""
    order = np.argsort(wavenumber_cm)
    cm, pair, one = wavenumber_cm[order], power[order], single[order]
    lit = one > LIT * one.max()
    return fringe_delay(cm[lit], pair[lit], one[lit], centre_cm=centre_cm)
