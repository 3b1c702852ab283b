"""The picture of a search of delay zero: fringes, delays along the stage, what is left of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from ..twodes.delay_zero import DelayZero, FringeFinder, cross_term
from .style import BIAS_COLOUR, TRACE_COLOUR, name_axes, new_figure


def draw_delay_zero(path: Path, result: DelayZero, *, title: str) -> None:
    """Draw what the fringes tell at each position, the delays found, and their deviations."""
    figure = new_figure((13, 7.5))
    grid = figure.add_gridspec(2, 2, width_ratios=(1.2, 1))
    _fringes(figure.add_subplot(grid[0, 0]), result)
    _delays(figure.add_subplot(grid[0, 1]), result)
    _left(figure.add_subplot(grid[1, 0]), result)
    _shaper(figure.add_subplot(grid[1, 1]), result)
    zero = result.zero_fs
    told = f"delay zero at {zero.value:+.3f} ± {zero.error:.3f} fs of the station's scale"
    figure.suptitle(f"{title}: {told}", fontsize=13, x=0.01, ha="left")
    figure.savefig(path)


def _fringes(axes: Axes, result: DelayZero) -> None:
    """Strength of the fringes against the delay of the pump behind the local oscillator."""
    data = result.data
    finder = FringeFinder(data.wavenumber_cm, data.blank.mean(axis=0))
    pump_fs = result.lead.value - result.true_fs
    delay_fs = np.arange(min(0.0, pump_fs.min()) - 60, max(result.lead.value, pump_fs.max()) + 60, 1.0)
    for k, field in enumerate(cross_term(data.counts)):
        label = "pump, at each position of the stage" if k == 0 else None
        axes.plot(delay_fs, finder.strength(field, delay_fs), lw=1, color=TRACE_COLOUR, label=label)
    if result.lead.value:
        axes.axvline(result.lead.value, color=BIAS_COLOUR, lw=1.2, ls="--", label="probe")
    axes.set_ylim(0, 1.3)
    axes.legend(frameon=False, fontsize=9, loc="upper left", ncol=2)
    name_axes(axes, "delay behind the local oscillator (fs)", "fringes / strongest", "where the fringes are")


def _delays(axes: Axes, result: DelayZero) -> None:
    data = result.data
    axes.plot(data.reading_fs, result.true_fs, "o", ms=4, color=TRACE_COLOUR)
    x = np.array([data.reading_fs.min(), data.reading_fs.max()])
    axes.plot(x, result.scale.value * (x - result.zero_fs.value), lw=1, color=BIAS_COLOUR)
    axes.axhline(0, lw=0.8, color="0.7")
    axes.axvline(result.zero_fs.value, lw=0.8, color="0.7")
    scale = f"slope {result.scale.value:.6f} ± {result.scale.error:.6f}"
    name_axes(axes, "delay by the station's scale (fs)", "probe behind pump, from fringes (fs)", scale)


def _left(axes: Axes, result: DelayZero) -> None:
    data = result.data
    axes.axhline(0, lw=0.8, color="0.7")
    axes.plot(data.command_fs, 1e3 * result.left_fs, "o", ms=4, color=TRACE_COLOUR, label="from the line")
    apart = result.true_fs - data.command_fs
    if result.scale.value > 0:
        axes.plot(
            data.command_fs,
            1e3 * (apart - apart.mean()),
            "s",
            ms=4,
            mfc="none",
            color=BIAS_COLOUR,
            label="from the command, apart from zero",
        )
    axes.margins(y=0.3)
    axes.legend(frameon=False, fontsize=9, loc="upper right")
    name_axes(axes, "delay commanded (fs)", "deviation (as)", "delays of the stage")


def _shaper(axes: Axes, result: DelayZero) -> None:
    asked, found = result.data.shaper_fs, result.shaper_found_fs
    axes.axhline(0, lw=0.8, color="0.7")
    axes.plot(asked, 1e3 * (found - asked), "o", ms=4, color=TRACE_COLOUR)
    if not len(asked):
        axes.text(0.5, 0.5, "not verified", transform=axes.transAxes, ha="center", color="0.4")
    axes.margins(y=0.3)
    name_axes(axes, "delay commanded (fs)", "found - commanded (as)", "delays of the shaper")
