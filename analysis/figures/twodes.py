"""The picture of a 2DES scan: maps, beating maps, traces along t2 and their spectra."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import SubFigure
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ..twodes.coherences import BeatingMap, Coherences
from ..twodes.spectra import Maps
from .style import TRACE_COLOUR, name_axes, new_figure

MAP_COLOURS, BEAT_COLOURS = "RdBu_r", "magma"
TRACE_COLOURS = ("#1f77b4", "#d35400", "#2a8f4f", "#8e44ad", "#555555")
CONTOURS = [level for level in np.linspace(-0.9, 0.9, 10) if abs(level) > 0.15]
SMOOTHED_CM = 40.0
"""Standard deviation of the Gaussian that smooths what contours are drawn of."""
SHOWN_T2_FS = 100.0
"""The maps are shown at the first t2 after this, once the coherences between the branches are gone."""


def draw_twod(path: Path, maps: Maps, coherences: Coherences | None, *, title: str) -> None:
    """Draw the three kinds of map at one t2 and, for a series of t2, what beats.

    Axes in 10^3 cm-1; each map is scaled to its own largest value.
    """
    figure = new_figure((15, 9.5 if coherences else 4.8))
    rows = figure.subfigures(
        2 if coherences else 1, 1, squeeze=False, height_ratios=(1, 1)[: 1 + bool(coherences)]
    )
    _maps(rows[0, 0], maps)
    if coherences:
        left, right = rows[1, 0].subfigures(1, 2, width_ratios=(2.4, 1))
        for axes, beat in zip(left.subplots(1, 3, sharey=True), coherences.maps, strict=False):
            draw_beating_map(axes, maps, beat)
        _traces(right, coherences)
    figure.suptitle(title, fontsize=13, x=0.01, ha="left")
    figure.savefig(path)


def _maps(figure: SubFigure, maps: Maps) -> None:
    k = min(int(np.searchsorted(maps.t2_fs, SHOWN_T2_FS)), len(maps.t2_fs) - 1)
    shown = {
        "absorptive": maps.absorptive[k],
        "rephasing, real part": maps.rephasing[k].real,
        "non-rephasing, real part": maps.nonrephasing[k].real,
    }
    all_axes = figure.subplots(1, 3, sharey=True)
    meshes = [
        draw_signed_map(axes, maps, values, f"{name}, t2 = {maps.t2_fs[k]:.0f} fs")
        for axes, (name, values) in zip(all_axes, shown.items(), strict=True)
    ]
    figure.colorbar(meshes[0], ax=all_axes, label="signal / largest", shrink=0.8)


def draw_signed_map(axes: Axes, maps: Maps, values: NDArray[np.floating], title: str) -> QuadMesh:
    """Draw a map with signs, scaled to its own largest value; the contours smooth the noise."""
    scaled = values.T / (float(np.abs(values).max()) or 1.0)
    x, y = maps.w1_cm / 1e3, maps.w3_cm / 1e3
    mesh = axes.pcolormesh(x, y, scaled, cmap=MAP_COLOURS, vmin=-1, vmax=1, rasterized=True)
    smooth = gaussian_filter(scaled, [SMOOTHED_CM / 1e3 / float(np.diff(axis).mean()) for axis in (y, x)])
    axes.contour(x, y, smooth, levels=CONTOURS, colors="k", linewidths=0.4)
    _diagonal(axes, maps, title)
    return mesh


def draw_beating_map(axes: Axes, maps: Maps, beat: BeatingMap, *, highest: float | None = None) -> QuadMesh:
    """Draw the amplitude of a beat with a cross at its maximum; colours end at `highest`, or there."""
    x, y = maps.w1_cm / 1e3, maps.w3_cm / 1e3
    mesh = axes.pcolormesh(x, y, beat.amplitude.T, cmap=BEAT_COLOURS, vmin=0, vmax=highest, rasterized=True)
    axes.plot(beat.strongest[0] / 1e3, beat.strongest[1] / 1e3, "+", ms=9, color="white")
    _diagonal(axes, maps, f"beats at {beat.w2_cm:.0f} cm⁻¹")
    return mesh


def _diagonal(axes: Axes, maps: Maps, title: str) -> None:
    ends = np.array([max(maps.w1_cm[0], maps.w3_cm[0]), min(maps.w1_cm[-1], maps.w3_cm[-1])]) / 1e3
    axes.plot(ends, ends, lw=0.8, color="0.5")
    axes.set_aspect("equal")
    left = axes.get_subplotspec()
    first = left is None or left.is_first_col()
    name_axes(axes, "excitation ω1 (10³ cm⁻¹)", "detection ω3 (10³ cm⁻¹)" if first else "", title)


def _traces(figure: SubFigure, coherences: Coherences) -> None:
    above, below = figure.subplots(2, 1)
    for trace, colour in zip(coherences.traces, TRACE_COLOURS, strict=False):
        label = f"{trace.w1_cm:.0f}, {trace.w3_cm:.0f}"
        above.plot(trace.t2_fs, trace.signal.real, lw=1.2, color=colour, label=label)
        below.plot(trace.spectrum.w2_cm, np.abs(trace.spectrum.spectrum), lw=1.2, color=colour)
    low, high = above.get_ylim()
    above.set_ylim(low, high + 0.3 * (high - low))
    above.legend(
        fontsize=7, frameon=False, title="ω1, ω3 (cm⁻¹)", title_fontsize=7, loc="upper right", ncols=3
    )
    name_axes(above, "t2 (fs)", "Re R (arb. units)", "rephasing traces")
    for beat in coherences.fit.beats:
        below.axvline(beat.w2_cm.value, lw=0.8, ls=":", color=TRACE_COLOUR)
    below.set_xlim(-1300, 1300)
    name_axes(below, "ω2 (cm⁻¹)", "amplitude", "their beats; dotted: global fit")
