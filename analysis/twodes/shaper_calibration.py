"""From measurements to what a shaper must know: grey to phase, column to wavelength, residual phase.

Also the delay of a pulse pair from its spectral fringes, which is what all of it is checked by.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from .units import W

Real = NDArray[np.float64]

_ORDER = 7  # of the polynomial for the phase against grey level
_TURNS = np.arange(0.7, 3.01, 0.05)
_BENDS = np.linspace(-0.8, 0.8, 9)
_LEAST_CONTRAST = 5.0
_PADDING = 8


class GreyPhases(NamedTuple):
    """Phase against grey level."""

    phase_rad: Real
    """[wavelengths, levels], 0 at level 0."""
    misfit: Real
    """[wavelengths]: root mean square of what the model leaves, as a fraction of the modulation."""


def grey_to_phase(level: NDArray[np.integer], power: Real, levels: int) -> GreyPhases:
    """Phase of every grey level from the power diffracted by a grating of that level and level 0.

    `power` is [measurements, wavelengths] at the grey levels `level`; the model of each wavelength is
    `background + modulation * sin^2(phase / 2)` with a phase that is a polynomial of order 7 in the level.
    For a power of the other sense, cos^2 (undiffracted light, parallel polarisers), the modulation comes out
    negative. Raises ValueError where the modulation is lost in noise or the phase does not rise throughout.
    """
    x = np.asarray(level, np.float64) / (levels - 1)
    all_x = np.arange(levels) / (levels - 1)
    starts = _starts()
    shapes = np.array([np.sin(_polynomial(start, x) / 2) ** 2 for start in starts])
    shapes -= shapes.mean(axis=1, keepdims=True)
    shapes /= np.linalg.norm(shapes, axis=1, keepdims=True)
    phases, misfits = [], []
    for k in range(power.shape[1]):
        start = starts[int(np.argmax(np.abs(shapes @ power[:, k])))]
        coefficients, modulation, left = _fitted_phase(x, power[:, k], start)
        phase_rad = _polynomial(coefficients, all_x)
        noise = float(np.sqrt(np.mean(left**2)))
        if abs(modulation) < _LEAST_CONTRAST * noise:
            raise ValueError(
                f"wavelength {k}: the power does not follow the grey level; is there light, and the grating?"
            )
        if not np.all(np.diff(phase_rad) > 0):
            raise ValueError(
                f"wavelength {k}: the phase found does not rise with the grey level; measure more levels"
            )
        phases.append(phase_rad)
        misfits.append(noise / abs(modulation))
    return GreyPhases(np.array(phases), np.array(misfits))


def _fitted_phase(x: Real, power: Real, start: Real) -> tuple[Real, float, Real]:
    """Coefficients of x, x^2, ...; the modulation; and the residuals."""

    def linear(coefficients: Real) -> tuple[Real, Real]:
        return _linear_fit(np.sin(_polynomial(coefficients, x) / 2) ** 2, power)

    def left(coefficients: Real) -> Real:
        return linear(coefficients)[1]

    found = np.asarray(least_squares(left, start, x_scale="jac", xtol=1e-12, ftol=1e-12).x)
    (_, modulation), residuals = linear(found)
    return found, float(modulation), residuals


def _starts() -> list[Real]:
    """Curves to start from: so many turns, bent up or down and S-shaped either way."""
    starts = []
    for turns in _TURNS:
        for bend in _BENDS:
            for s_shape in _BENDS:
                start = np.zeros(_ORDER)
                # x + bend x (1 - x) / 2 + s_shape x (1 - x) (1 - 2 x)
                start[:3] = (1 + bend / 2 + s_shape, -bend / 2 - 3 * s_shape, 2 * s_shape)
                starts.append(2 * np.pi * turns * start)
    return starts


def _polynomial(coefficients: Real, x: Real) -> Real:
    return x * np.asarray(np.polynomial.polynomial.polyval(x, coefficients), np.float64)


def _linear_fit(shape: Real, values: Real) -> tuple[Real, Real]:
    """Constant and factor of `shape` that describe `values` best, and what they leave."""
    design = np.column_stack([np.ones_like(shape), shape])
    solution = np.asarray(np.linalg.lstsq(design, values, rcond=None)[0], np.float64)
    return solution, values - design @ solution


class WavelengthFit(NamedTuple):
    """Wavelength against column."""

    coefficients_nm: tuple[float, ...]
    """Against u, constant first; u is -1 at the first column and 1 at the last."""
    rms_columns: float
    """Root mean square of the residuals, in columns; above 0.1 the replicas are blurred and delays wrong."""


def column_to_wavelength(column: Real, wavelength_nm: Real, *, columns: int, order: int = 3) -> WavelengthFit:
    """The polynomial through the wavelengths at which narrow lines, opened at known columns, were found.

    `column` may be fractional: the centre of the columns that were opened. Raises ValueError for too few
    lines.
    """
    if len(column) < order + 2:
        raise ValueError(f"a polynomial of order {order} needs {order + 2} lines or more, not {len(column)}")
    u = 2 * np.asarray(column, np.float64) / (columns - 1) - 1
    coefficients = np.polynomial.polynomial.polyfit(u, wavelength_nm, order)
    left_nm = wavelength_nm - np.polynomial.polynomial.polyval(u, coefficients)
    slope_nm = (
        np.polynomial.polynomial.polyval(u, np.polynomial.polynomial.polyder(coefficients))
        * 2
        / (columns - 1)
    )
    freedom = len(u) - order - 1
    rms = math.sqrt(float(np.sum((left_nm / slope_nm) ** 2)) / freedom)
    return WavelengthFit(tuple(map(float, coefficients)), rms)


def line_centre(wavelength_nm: Real, power: Real) -> float:
    """Wavelength in nm of the one line in a spectrum: centre of gravity of its upper two thirds.

    Subtract dark and background first. Raises ValueError when the highest pixel does not stand out.
    """
    peak = int(np.argmax(power))
    spread = 1.4826 * float(np.median(np.abs(power - np.median(power))))
    if not power[peak] - np.median(power) > _LEAST_CONTRAST * spread:
        raise ValueError("no line stands out of this spectrum")
    third = np.median(power) + (power[peak] - np.median(power)) / 3
    above = power > third
    first, last = peak, peak
    while first > 0 and above[first - 1]:
        first -= 1
    while last < len(power) - 1 and above[last + 1]:
        last += 1
    line = slice(first, last + 1)
    weight = power[line] - third  # so that a pixel at the edge counts little whether it is in or not
    return float(weight @ wavelength_nm[line] / weight.sum())


class ResidualPhase(NamedTuple):
    """Derivatives of a spectral phase by angular frequency."""

    residual_fs: tuple[float, ...]
    """GDD in fs2, TOD in fs3, and so on."""
    sigma_fs: tuple[float, ...]
    """Their standard uncertainties, from the scatter about the fit."""
    delay_fs: float
    """The first derivative, which is not part of the residual phase: where the reference stands."""


def residual_phase(
    wavenumber_cm: Real, phase_rad: Real, weight: Real, *, centre_cm: float, order: int = 3
) -> ResidualPhase:
    """Spectral phase of the optics, up to `order`, from the phase measured against a known pulse.

    `phase_rad` is the phase that interferometry gave, wrapped or not, at ascending wavenumbers; `weight`
    (such as the spectral power) says how much each counts.
    """
    w = W * (wavenumber_cm - centre_cm)
    design = np.column_stack([w**n / math.factorial(n) for n in range(order + 1)])
    scale = np.abs(w).max() ** np.arange(order + 1)
    root = np.sqrt(weight / weight.mean())
    phase = np.unwrap(phase_rad)
    weighted = root[:, None] * design / scale
    solution = np.linalg.lstsq(weighted, root * phase, rcond=None)[0]
    left = root * phase - weighted @ solution
    variance = float(left @ left) / (len(w) - order - 1)
    sigma = np.sqrt(variance * np.diag(np.linalg.inv(weighted.T @ weighted))) / scale
    values = solution / scale
    return ResidualPhase(tuple(map(float, values[2:])), tuple(map(float, sigma[2:])), float(values[1]))


class Fringes(NamedTuple):
    """What the spectrum of two pulses tells."""

    delay_fs: float
    """Positive; the spectrum of a pair does not tell which pulse comes first."""
    sigma_fs: float
    """Its standard uncertainty, from the scatter about the fit."""
    phase_rad: float
    """Phase of the fringes at wavenumber `centre_cm`."""
    visibility: float


def fringe_delay(wavenumber_cm: Real, power: Real, reference: Real, *, centre_cm: float) -> Fringes:
    """Delay of a pulse pair from the fringes in its spectrum, `reference` being the spectrum of one pulse.

    The model is `reference * (a + b cos(w tau + phase))`. Raises ValueError when there are fewer than about
    two fringes, since then the delay is not told by their spacing.
    """
    w = W * (wavenumber_cm - centre_cm)
    start = _fringe_start(w, power, reference)
    if start * (w[-1] - w[0]) < 4 * math.pi:
        raise ValueError("fewer than two fringes in this spectrum: take a larger delay")

    def fit(delay_fs: float) -> tuple[Real, Real]:
        waves = np.column_stack([np.ones_like(w), np.cos(w * delay_fs), np.sin(w * delay_fs)])
        design = reference[:, None] * waves
        solution = np.asarray(np.linalg.lstsq(design, power, rcond=None)[0], np.float64)
        return solution, power - design @ solution

    found = least_squares(lambda p: fit(p[0])[1], [start], x_scale=1.0, xtol=1e-14, ftol=1e-14)
    (constant, cosine, sine), left = fit(float(found.x[0]))
    variance = float(left @ left) / (len(w) - 4)
    sigma = math.sqrt(variance / float(found.jac[:, 0] @ found.jac[:, 0]))
    return Fringes(
        float(found.x[0]), sigma, math.atan2(-sine, cosine), float(math.hypot(cosine, sine) / constant)
    )


def _fringe_start(w: Real, power: Real, reference: Real) -> float:
    """The delay at the highest peak of the Fourier transform of what differs from the reference."""
    even = np.linspace(w[0], w[-1], len(w))
    rest = np.interp(even, w, power - power.sum() / reference.sum() * reference)
    points = _PADDING * len(w)
    spectrum = np.abs(np.fft.rfft(rest, points))
    return float(np.argmax(spectrum)) * 2 * math.pi / (points * (even[1] - even[0]))
