"""The cycles of a long run in one row: lifetime and intensity against bias, drift, charge."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from ..cycles import CycleResult, ElectrodeCharge
from .style import name_axes

FORWARD_COLOUR, BACKWARD_COLOUR = "#1f4e9c", "#c0392b"
_DRIFT_COLOURS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#d9a400")


def draw_cycles(
    figure: SubFigure, cycles: CycleResult, charge: ElectrodeCharge | None, reference: str
) -> None:
    """Draw averages over all cycles, forward and backward apart, and what changes from cycle to cycle."""
    lifetime, rate, drift, charges = figure.subplots(1, 4)
    bias = f"bias (V vs. {reference})"
    for sweep, colour in ((cycles.forward, FORWARD_COLOUR), (cycles.backward, BACKWARD_COLOUR)):
        style = {"fmt": "o-", "ms": 2.5, "lw": 0.8, "color": colour, "label": sweep.direction}
        lifetime.errorbar(sweep.potential_v, sweep.lifetime_ns, sweep.lifetime_err_ns, **style)
        rate.errorbar(sweep.potential_v, sweep.rate_hz / 1e3, sweep.rate_err_hz / 1e3, **style)
    lifetime.set_yscale("log")
    title = f"mean of {cycles.cycles} cycles"
    if cycles.lag_v:
        title += f", lag {cycles.lag_v.value * 1e3:.1f} ± {cycles.lag_v.error * 1e3:.1f} mV"
    name_axes(lifetime, bias, "lifetime (ns)", title)
    name_axes(rate, bias, "intensity (kc/s)", "with background")
    rate.set_ylim(bottom=0)
    rate.legend(frameon=False, fontsize=9)
    _drift(drift, cycles)
    _charge(charges, charge)


def _drift(axes: Axes, cycles: CycleResult) -> None:
    for one, colour in zip(cycles.drifts, _DRIFT_COLOURS, strict=False):
        label = (
            f"{one.potential_v:.2f} V: {one.lifetime_change.value * 100:+.1f} ± "
            f"{one.lifetime_change.error * 100:.1f} %"
        )
        mean = np.nanmean(one.lifetime_ns)
        axes.plot(one.cycle + 1, one.lifetime_ns / mean, "o-", ms=2.5, lw=0.8, color=colour, label=label)
    axes.legend(frameon=False, fontsize=8)
    axes.margins(y=0.6)
    name_axes(axes, "cycle", "lifetime over its mean", "drift")


def _charge(axes: Axes, charge: ElectrodeCharge | None) -> None:
    if charge is None:
        axes.text(0.5, 0.5, "no current recorded", transform=axes.transAxes, ha="center")
    else:
        axes.plot(charge.cycle + 1, charge.charge_c * 1e6, ".", ms=2, color=FORWARD_COLOUR)
    dose = charge and charge.dose_c_cm2
    title = "charge" if dose is None else f"dose {dose * 1e3:.3g} mC/cm²"
    name_axes(axes, "cycle", "cathodic charge (µC per cycle)", title)
