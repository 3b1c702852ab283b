"""The electrochemical cell: a double layer behind a series resistance, ITO reduction and what it costs.

The interface potential lags the applied one by the series resistance times the double-layer
capacitance (about 1.2 ms) and is what the dots feel; at the negative end indium tin oxide is reduced.
Model and values: docs/models/cell.md, which marks what is assumed. Currents are anodic
positive, potentials against the platinum quasi-reference as it was when the cell was made.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .couple import Couple, DiffusionLayer


@dataclass(frozen=True)
class CellParameters:
    """One ITO working electrode in 0.1 M TBAPF6/acetonitrile; the defaults are the paper's cell."""

    area_cm2: float = 1.0
    """Wetted area; assumed."""
    sheet_ohm: float = 85.0
    """One square of ITO between contact and dot; 70-100 ohm/sq in the paper."""
    solution_ohm: float = 35.0
    """0.5 cm of 0.1 M electrolyte; with the sheet 120 ohm, inside the paper's iR <= 9 mV."""
    double_layer_f_cm2: float = 10e-6
    """Assumed for ITO in acetonitrile (5-20 uF/cm2)."""
    leak_a_cm2: float = 50e-6
    """Current density of ITO reduction at `leak_v`; calibrated to "-2 V is the lowest harmless"."""
    leak_v: float = -2.0
    leak_v_decade: float = 0.120
    """Tafel slope: volts per decade of current."""
    end_of_life_c_cm2: float = 15e-3
    """Reduction charge at damage dose 1; calibrated to the paper's 3 h of cycling."""
    leak_grows: bool = False
    """Whether the leak grows with the damage, as 1 + dose."""
    rest_potential_v: float = 0.0
    """Open-circuit potential; assumed."""
    reference_drift_v_sqrt_h: float = 1e-3
    """Random walk of the quasi-reference, standard deviation after one hour; assumed."""
    temperature_k: float = 298.15
    couple: Couple | None = None
    """A dissolved redox couple; none by default."""


@dataclass(frozen=True)
class CellResponse:
    """Answer to an applied potential; one mean value per step, float64."""

    current_a: NDArray[np.float64]
    interface_v: NDArray[np.float64]


class Cell:
    """The cell and its memory: interface potential, damage of the electrode, reference, concentrations."""

    def __init__(self, parameters: CellParameters | None = None, *, seed: int = 0) -> None:
        self.parameters = parameters or CellParameters()
        self.damage_dose = 0.0
        """Reduction charge so far over the charge at the end of the electrode's life."""
        self.reference_drift_v = 0.0
        """How far the quasi-reference has wandered: true potential minus recorded potential."""
        self._interface_v = self.parameters.rest_potential_v
        self._random = np.random.default_rng([seed, 0xCE11])
        self._layer = DiffusionLayer(self.parameters.couple) if self.parameters.couple else None

    @property
    def rest_potential_v(self) -> float:
        """Interface potential of the open cell in volt."""
        return self.parameters.rest_potential_v

    @property
    def series_ohm(self) -> float:
        """Uncompensated resistance in ohm; the sheet's part grows once the damage dose passes 1."""
        grown = 1 + max(0.0, self.damage_dose - 1) ** 2
        return self.parameters.sheet_ohm * grown + self.parameters.solution_ohm

    @property
    def relaxation_s(self) -> float:
        """Time constant in seconds with which the interface follows: resistance times double layer."""
        p = self.parameters
        return self.series_ohm * p.double_layer_f_cm2 * p.area_cm2

    @property
    def transmission(self) -> float:
        """Optical transmission of the electrode relative to a fresh one; 20 % lost at dose 1 (assumed)."""
        return float(np.exp(-0.22 * self.damage_dose))

    def respond(self, dt_s: float, applied_v: NDArray[np.float64]) -> CellResponse:
        """Follow an applied potential, constant over each step of `dt_s`, from where the last call ended.

        The relaxation of the double layer is exact whatever the step; the leak and the couple are taken
        at the end of each step. Raises ValueError when `dt_s` is not greater than 0 or a potential is
        not finite.
        """
        if not dt_s > 0:
            raise ValueError(f"dt_s = {dt_s!r} must be greater than 0")
        if not np.isfinite(applied_v).all():
            raise ValueError(
                "applied_v holds values that are not finite; the cell needs a potential at every step"
            )
        p, series_ohm = self.parameters, self.series_ohm
        true_v = np.asarray(applied_v, np.float64) + self._drift(dt_s * len(applied_v), len(applied_v))
        growing = p.leak_grows
        leak_a = p.leak_a_cm2 * p.area_cm2 * (1 + self.damage_dose if growing else 1)
        slope_v = p.leak_v_decade / np.log(10)
        capacitance_f = p.double_layer_f_cm2 * p.area_cm2
        life_c = p.end_of_life_c_cm2 * p.area_cm2
        if self._layer is None:
            current_a, self._interface_v, leaked_c = _respond(
                true_v, dt_s, self._interface_v, series_ohm, capacitance_f,
                leak_a, p.leak_v, slope_v, p.leak_a_cm2 * p.area_cm2 / life_c if growing else 0.0,
            )  # fmt: skip
        else:
            electrode = (p.area_cm2, series_ohm, capacitance_f, leak_a, p.leak_v, slope_v, p.temperature_k)
            current_a, self._interface_v, leaked_c = self._layer.respond(
                dt_s, true_v, electrode, self._interface_v
            )
        self.damage_dose += leaked_c / life_c
        return CellResponse(current_a, true_v - series_ohm * current_a)

    def open(self) -> None:
        """Switch the cell off: the interface is at its rest potential at once (assumed)."""
        self._interface_v = self.parameters.rest_potential_v

    def truth(self) -> dict[str, Any]:
        """Parameters and present state, for the truth group of a run file."""
        return {
            **asdict(replace(self.parameters, couple=None)),
            "couple": asdict(self.parameters.couple) if self.parameters.couple else None,
            "series_ohm": self.series_ohm,
            "damage_dose": self.damage_dose,
            "transmission": self.transmission,
            "reference_drift_v": self.reference_drift_v,
        }

    def _drift(self, duration_s: float, count: int) -> NDArray[np.float64]:
        """The reference's wandering over one call: a straight line to the random walk's next point."""
        start_v, spread_v = self.reference_drift_v, self.parameters.reference_drift_v_sqrt_h
        self.reference_drift_v += spread_v * np.sqrt(duration_s / 3600) * self._random.standard_normal()
        return np.linspace(start_v, self.reference_drift_v, count)


@njit(cache=True, nogil=True)
def _respond(
    applied_v, dt_s, start_v, series_ohm, capacitance_f, leak_a, leak_v, leak_slope_v, leak_growth_c
):
    """Scalar path without a couple: mean currents, last interface potential, charge of the leak (> 0).

    Within a step the leak is constant at its value at the end, so that
    E1 = E + (E0 - E)*decay + (1 - decay)*Ru*leak(E1); Newton's method approaches the root of this
    concave, rising function from one side and cannot miss it.
    """
    relaxation_s = series_ohm * capacitance_f
    decay = np.exp(-dt_s / relaxation_s) if relaxation_s > 0 else 0.0
    drop_ohm = (1 - decay) * series_ohm
    current = np.empty(applied_v.size)
    potential, leaked_c = start_v, 0.0
    for k in range(applied_v.size):
        before = potential
        base = applied_v[k] + (before - applied_v[k]) * decay
        potential = max(base, before) if drop_ohm > 0 else base
        leak = leak_a * np.exp(-(potential - leak_v) / leak_slope_v)
        while drop_ohm > 0:
            step = (base + drop_ohm * leak - potential) / (1 + drop_ohm * leak / leak_slope_v)
            potential += step
            leak = leak_a * np.exp(-(potential - leak_v) / leak_slope_v)
            if abs(step) < 1e-12:
                break
        leaked_c += leak * dt_s
        leak_a += leak_growth_c * leak * dt_s
        current[k] = capacitance_f * (potential - before) / dt_s - leak
    return current, potential, leaked_c
