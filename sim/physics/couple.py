"""A dissolved redox couple O + e = R at a planar electrode: semi-infinite diffusion in one dimension.

Equations and symbols as in Bard and Faulkner, Electrochemical Methods (2nd ed.), chapters 3 and 6. Both
species share one diffusion coefficient, so that their concentrations add up to a constant and one
profile is enough. Implicit Euler on finite volumes that grow by 5 % from the electrode outwards; the
step is linear in the surface flux, which leaves one scalar equation for the interface potential.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

FARADAY_C_MOL = 96485.33212
"""Faraday constant (CODATA 2018)."""
GAS_J_MOL_K = 8.31446261815324
"""Molar gas constant (CODATA 2018)."""

_GROWTH = 1.05
_FINEST_S = 1e-6
_LONGEST_S = 1e4
_STEEPEST = 500.0
_SEARCHED_V = 30.0


@dataclass(frozen=True)
class Couple:
    """A dissolved one-electron couple with Butler-Volmer kinetics (concentrations in mol/cm3)."""

    oxidised_mol_cm3: float
    reduced_mol_cm3: float
    formal_v: float
    """Formal potential against the cell's reference."""
    diffusion_cm2_s: float
    rate_cm_s: float
    """Standard rate constant."""
    transfer: float = 0.5
    """Transfer coefficient of the reduction."""


FERROCENE = Couple(0.0, 1e-6, 0.4, 2.4e-5, 1.0)
"""1 mM ferrocene in acetonitrile; the diffusion coefficient is that reported by Wang, Rogers and Compton,
J. Electroanal. Chem. (2010), quoted from memory; the rest is assumed."""


class DiffusionLayer:
    """The concentration profile in front of the electrode; it keeps its state from call to call.

    The grid resolves time steps down to 1 us and holds diffusion layers of up to 10 000 s.
    """

    def __init__(self, couple: Couple) -> None:
        self.couple = couple
        first_cm = 0.02 * np.sqrt(couple.diffusion_cm2_s * _FINEST_S)
        depth_cm = 6 * np.sqrt(couple.diffusion_cm2_s * _LONGEST_S)
        count = int(np.ceil(np.log1p(depth_cm * (_GROWTH - 1) / first_cm) / np.log(_GROWTH)))
        self._width_cm = first_cm * _GROWTH ** np.arange(count)
        self._excess = np.zeros(count)
        self._dt_s = 0.0
        self._factors = np.empty((3, count))
        self._unit = np.empty(count)

    def respond(
        self, dt_s: float, applied_v: NDArray[np.float64], electrode: tuple[float, ...], start_v: float
    ) -> tuple[NDArray[np.float64], float, float]:
        """Follow the applied potential (one value per step of `dt_s`).

        `electrode` is (area_cm2, series_ohm, capacitance_f, leak_a, leak_v, leak_slope_v, temperature_k).
        Returns the mean current of each step in ampere, the interface potential at the end in volt and
        the charge of the leak in coulomb (positive).
        """
        if dt_s != self._dt_s:
            self._dt_s = dt_s
            self._factors, self._unit = _factorise(self._width_cm, self.couple.diffusion_cm2_s, dt_s)
        c = self.couple
        half_cell_s_cm = self._width_cm[0] / (2 * c.diffusion_cm2_s)
        kinetics = (c.oxidised_mol_cm3, c.reduced_mol_cm3, c.formal_v, c.rate_cm_s, c.transfer)
        return _respond(
            applied_v, dt_s, start_v, electrode, kinetics,
            self._excess, self._factors, self._unit, half_cell_s_cm,
        )  # fmt: skip


def _factorise(
    width_cm: NDArray[np.float64], diffusion_cm2_s: float, dt_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Thomas factors of the implicit step, and its answer to a unit flux into the electrode."""
    link = 2 * diffusion_cm2_s / (width_cm[:-1] + width_cm[1:])
    lower, upper = np.r_[0.0, -link], np.r_[-link, 0.0]
    outer = 2 * diffusion_cm2_s / width_cm[-1]
    diagonal = width_cm / dt_s - lower - upper
    diagonal[-1] += outer
    ratio, inverse = np.empty_like(width_cm), np.empty_like(width_cm)
    previous = 0.0
    for j in range(len(width_cm)):
        inverse[j] = 1 / (diagonal[j] - lower[j] * previous)
        previous = ratio[j] = upper[j] * inverse[j]
    factors = np.stack([lower * inverse, ratio, inverse * width_cm / dt_s])
    unit = np.zeros_like(width_cm)
    unit[0] = -inverse[0]
    for j in range(1, len(unit)):
        unit[j] = -factors[0, j] * unit[j - 1]
    for j in range(len(unit) - 2, -1, -1):
        unit[j] -= ratio[j] * unit[j + 1]
    return factors, unit


@njit(cache=True, nogil=True)
def _faradaic(potential_v, electrode, kinetics, free_excess, flux_answer):
    """Leak, couple current, their slope (A, A, A/V) and the surface flux at an interface potential."""
    area, _, _, leak_a, leak_v, leak_slope_v, temperature_k = electrode
    oxidised, reduced, formal_v, rate, transfer = kinetics
    leak = -leak_a * np.exp(min(-(potential_v - leak_v) / leak_slope_v, _STEEPEST))
    f = FARADAY_C_MOL / (GAS_J_MOL_K * temperature_k)
    over = f * (potential_v - formal_v)
    forward = rate * np.exp(min(-transfer * over, _STEEPEST))
    backward = rate * np.exp(min((1 - transfer) * over, _STEEPEST))
    supply = forward * (oxidised + free_excess) - backward * (reduced - free_excess)
    resistance = 1 - flux_answer * (forward + backward)
    flux = supply / resistance
    dsupply = f * (
        -transfer * forward * (oxidised + free_excess) - (1 - transfer) * backward * (reduced - free_excess)
    )
    dresistance = -flux_answer * f * (-transfer * forward + (1 - transfer) * backward)
    dflux = (dsupply - flux * dresistance) / resistance
    couple = -FARADAY_C_MOL * area
    return leak, couple * flux, -leak / leak_slope_v + couple * dflux, flux


@njit(cache=True, nogil=True)
def _interface(base_v, drop_ohm, guess_v, electrode, kinetics, free_excess, flux_answer):
    """Solve E + drop_ohm * i(E) = base_v by Newton steps kept inside a shrinking bracket."""
    low, high, potential = -_SEARCHED_V, _SEARCHED_V, guess_v
    for _ in range(200):
        leak, couple, slope, _ = _faradaic(potential, electrode, kinetics, free_excess, flux_answer)
        miss = potential - base_v + drop_ohm * (leak + couple)
        if miss > 0:
            high = potential
        else:
            low = potential
        step = -miss / (1 + drop_ohm * slope)
        if abs(step) < 1e-12:
            return potential + step
        potential += step
        if not low < potential < high:
            potential = 0.5 * (low + high)
    return potential


@njit(cache=True, nogil=True)
def _respond(applied_v, dt_s, start_v, electrode, kinetics, excess, factors, unit, half_cell):
    series_ohm, capacitance_f = electrode[1], electrode[2]
    relaxation_s = series_ohm * capacitance_f
    decay = np.exp(-dt_s / relaxation_s) if relaxation_s > 0 else 0.0
    drop_ohm = (1 - decay) * series_ohm
    flux_answer = unit[0] - half_cell
    count = excess.size
    current = np.empty(applied_v.size)
    potential, leaked = start_v, 0.0
    for k in range(applied_v.size):
        excess[0] *= factors[2, 0]
        for j in range(1, count):
            excess[j] = factors[2, j] * excess[j] - factors[0, j] * excess[j - 1]
        for j in range(count - 2, -1, -1):
            excess[j] -= factors[1, j] * excess[j + 1]
        before = potential
        potential = applied_v[k] + (before - applied_v[k]) * decay
        if drop_ohm > 0:
            potential = _interface(potential, drop_ohm, before, electrode, kinetics, excess[0], flux_answer)
        leak, couple, _, flux = _faradaic(potential, electrode, kinetics, excess[0], flux_answer)
        for j in range(count):
            excess[j] += flux * unit[j]
        leaked -= leak * dt_s
        current[k] = capacitance_f * (potential - before) / dt_s + leak + couple
    return current, potential, leaked
