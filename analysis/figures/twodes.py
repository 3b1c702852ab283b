"""The picture of a 2DES scan: maps, beating maps, traces along t2 and their spectra."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..twodes.coherences import BeatingMap, Coherences
from ..twodes.global_fit import GlobalFit
from ..twodes.spectra import Maps
from .style import TRACE_COLOUR, name_axes, new_figure

MAP_COLOURS, BEAT_COLOURS = "RdBu_r", "magma"
TRACE_COLOURS = ("#1f77b4", "#d35400", "#2a8f4f", "#8e44ad", "#555555")
SHOWN_T2_FS = 100.0
"""The maps are shown at the first t2 after this, once the coherences between the branches are gone."""


def draw_twod(path: Path, maps: Maps, coherences: Coherences | None, *, title: str) -> None:
    """Draw the three kinds of map at one t2 and, for a series of t2, what beats.

    Axes in 10^3 cm-1; each map is scaled to its own largest value.
    """
    figure = new_figure((15, 9.5 if coherences else 4.8))
    grid = figure.add_gridspec(2 if coherences else 1, 3)
    k = min(int(np.searchsorted(maps.t2_fs, SHOWN_T2_FS)), len(maps.t2_fs) - 1)
    shown = {
        "absorptive": maps.absorptive[k],
        "rephasing, real": maps.rephasing[k].real,
        "non-rephasing, real": maps.nonrephasing[k].real,
    }
    for column, (name, values) in enumerate(shown.items()):
        _signed_map(figure.add_subplot(grid[0, column]), maps, values, f"{name}, t2 = {maps.t2_fs[k]:.0f} fs")
    if coherences:
        bottom = grid[1, :].subgridspec(1, 4, width_ratios=(1, 1, 1, 1.5))
        for column, beat in enumerate(coherences.maps[:3]):
            _beating_map(figure.add_subplot(bottom[0, column]), maps, beat)
        _traces(figure, bottom[0, 3].subgridspec(2, 1), coherences)
    figure.suptitle(title, fontsize=13, x=0.01, ha="left")
    figure.savefig(path)


def _signed_map(axes: Axes, maps: Maps, values: NDArray[np.floating], title: str) -> None:
    reach = float(np.abs(values).max()) or 1.0
    scaled = values.T / reach
    mesh = axes.pcolormesh(
        maps.w1_cm / 1e3, maps.w3_cm / 1e3, scaled, cmap=MAP_COLOURS, vmin=-1, vmax=1, rasterized=True
    )
    axes.contour(
        maps.w1_cm / 1e3,
        maps.w3_cm / 1e3,
        scaled,
        levels=np.linspace(-0.9, 0.9, 10),
        colors="k",
        linewidths=0.4,
    )
    axes.figure.colorbar(mesh, ax=axes, label="signal / largest")
    _diagonal(axes, maps, title)


def _beating_map(axes: Axes, maps: Maps, beat: BeatingMap) -> None:
    axes.pcolormesh(
        maps.w1_cm / 1e3, maps.w3_cm / 1e3, beat.amplitude.T, cmap=BEAT_COLOURS, vmin=0, rasterized=True
    )
    axes.plot(beat.strongest[0] / 1e3, beat.strongest[1] / 1e3, "+", ms=9, color="white")
    _diagonal(axes, maps, f"beats at {beat.w2_cm:.0f} cm⁻¹")


def _diagonal(axes: Axes, maps: Maps, title: str) -> None:
    ends = np.array([max(maps.w1_cm[0], maps.w3_cm[0]), min(maps.w1_cm[-1], maps.w3_cm[-1])]) / 1e3
    axes.plot(ends, ends, lw=0.8, color="0.5")
    axes.set_aspect("equal")
    name_axes(axes, "excitation ω1 (10³ cm⁻¹)", "detection ω3 (10³ cm⁻¹)", title)


def _traces(figure: Figure, grid, coherences: Coherences) -> None:
    above, below = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    for trace, colour in zip(coherences.traces, TRACE_COLOURS, strict=False):
        label = f"({trace.w1_cm:.0f}, {trace.w3_cm:.0f}) cm⁻¹"
        above.plot(trace.t2_fs, trace.signal.real, lw=1.2, color=colour, label=label)
        below.plot(trace.spectrum.w2_cm, np.abs(trace.spectrum.spectrum), lw=1.2, color=colour)
    above.legend(fontsize=7, frameon=False)
    name_axes(above, "t2 (fs)", "Re R", "rephasing traces at (ω1, ω3)")
    for beat in coherences.fit.beats:
        if beat.w2_cm.value > 0:
            below.axvline(beat.w2_cm.value, lw=0.8, ls=":", color=TRACE_COLOUR)
    below.set_xlim(-1300, 1300)
    name_axes(below, "ω2 (cm⁻¹)", "amplitude", _fitted(coherences.fit))


def _fitted(fit: GlobalFit) -> str:
    told = [
        f"{beat.w2_cm.value:.0f} cm⁻¹: {beat.dephasing_fs.value:.0f} fs"
        for beat in fit.beats
        if beat.w2_cm.value > 0
    ]
    return "global fit: " + ", ".join(told)
