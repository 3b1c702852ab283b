"""The phase that heterodyned maps still miss, from pump-probe spectra (projection-slice theorem).

The map's integral over w1 is the signal at t1 = 0, whose real part is the spectrally resolved pump-probe
signal (J. D. Hybl, A. A. Ferro and D. M. Jonas, J. Chem. Phys. 115, 6606 (2001)). What local oscillator and
optics add, `exp(i (p0 + p1 (w3 - w0)))`, is fitted to make them equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from .units import W

Real = NDArray[np.floating]

LEAD_ERROR_FS = 60.0
"""The local oscillator's lead may be wrong by so much, which turns the phase by as much along w3."""
SLOPE_STEP_RAD = 0.5
"""Of the search for the phase's slope, at the ends of the spectrum."""


@dataclass(frozen=True)
class Phase:
    """p0 + p1 (w3 - centre), with standard errors."""

    centre_cm: float
    p0_rad: float
    p0_err_rad: float
    p1_rad_per_cm: float
    p1_err_rad_per_cm: float
    mismatch: float
    """Root mean square of what still differs from the pump-probe signal, over that of the signal."""

    def factor(self, w3_cm: NDArray[np.floating]) -> NDArray[np.complexfloating]:
        """What to multiply signals by, along w3."""
        turn = self.p0_rad + self.p1_rad_per_cm * (w3_cm - self.centre_cm)
        return np.cos(turn) + 1j * np.sin(turn)


def fit_phase(
    at_t1_zero: NDArray[np.complexfloating],
    pump_probe: NDArray[np.floating],
    w3_cm: NDArray[np.floating],
    *,
    linear: bool = True,
) -> Phase:
    """The phase that turns heterodyned signals at t1 = 0 into pump-probe spectra; both of shape (t2, w3).

    Their scale is free and positive. The slope is looked for within `LEAD_ERROR_FS`. Raises ValueError when
    there is no signal.
    """
    size = float(np.sqrt(np.mean(pump_probe**2)))
    if not (size > 0 and np.any(at_t1_zero)):
        raise ValueError("no pump-probe signal, or no heterodyned one: there is nothing to find a phase from")
    centre_cm, half_cm = float(w3_cm.mean()), float(np.ptp(w3_cm)) / 2
    x = (w3_cm - centre_cm) / half_cm

    def misfit(theta: NDArray[np.floating]) -> NDArray[np.floating]:
        turn = theta[0] + (theta[1] * x if linear else 0.0)
        turned = (np.exp(1j * turn) * at_t1_zero).real
        scale = float(np.sum(turned * pump_probe) / np.sum(turned**2))
        return ((scale * turned - pump_probe) / size).ravel()

    reach = W * half_cm * LEAD_ERROR_FS
    slopes = np.arange(-reach, reach + SLOPE_STEP_RAD, SLOPE_STEP_RAD) if linear else np.zeros(1)
    start = min((_with_slope(slope, at_t1_zero, pump_probe, x) for slope in slopes), key=lambda s: s[0])
    best = least_squares(misfit, np.array(start[1:])[: 1 + linear])
    variance = 2 * best.cost / max(1, best.fun.size - best.x.size - 1)
    errors = np.sqrt(np.diag(np.linalg.inv(best.jac.T @ best.jac)) * variance)
    p1, p1_err = (best.x[1], errors[1]) if linear else (0.0, 0.0)
    return Phase(
        centre_cm,
        float(np.angle(np.exp(1j * best.x[0]))),
        float(errors[0]),
        float(p1) / half_cm,
        float(p1_err) / half_cm,
        float(np.sqrt(np.mean(best.fun**2))),
    )


def _with_slope(
    slope: float, at_t1_zero: NDArray[np.complexfloating], pump_probe: NDArray[np.floating], x: Real
) -> tuple[float, float, float]:
    """What is left with the best p0 for a slope, that p0, and the slope.

    `scale cos p0` and `scale sin p0` are linear, and their scale is positive: a bleach stays a bleach.
    """
    turned = np.exp(1j * slope * x) * at_t1_zero
    parts = np.stack([turned.real.ravel(), -turned.imag.ravel()], axis=1)
    amplitudes, *_ = np.linalg.lstsq(parts, pump_probe.ravel(), rcond=None)
    left = float(np.sum((parts @ amplitudes - pump_probe.ravel()) ** 2))
    return left, float(np.arctan2(amplitudes[1], amplitudes[0])), slope
