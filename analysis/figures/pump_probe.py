"""The picture of a pump-probe run: the map, spectra at some t2, traces at some w3."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from ..twodes.pump_probe import PumpProbeSpectra
from .style import BIAS_MAP, name_axes, new_figure
from .twodes import MAP_COLOURS, TRACE_COLOURS

SHOWN = 5
"""How many spectra and traces."""


def draw_pump_probe(path: Path, spectra: PumpProbeSpectra, *, title: str) -> None:
    """Draw dS/S in per cent; bands are standard errors."""
    figure = new_figure((14, 4.8))
    grid = figure.add_gridspec(1, 3, width_ratios=(1.15, 1, 1))
    _map(figure.add_subplot(grid[0]), spectra)
    _spectra(figure.add_subplot(grid[1]), spectra)
    _traces(figure.add_subplot(grid[2]), spectra)
    figure.suptitle(title, fontsize=13, x=0.01, ha="left")
    figure.savefig(path)


def _map(axes: Axes, s: PumpProbeSpectra) -> None:
    if len(s.t2_fs) == 1:
        axes.axis("off")
        return
    reach = 100 * float(np.abs(s.change).max())
    mesh = axes.pcolormesh(
        s.t2_fs, s.w3_cm / 1e3, 100 * s.change.T, cmap=MAP_COLOURS, vmin=-reach, vmax=reach, rasterized=True
    )
    axes.figure.colorbar(mesh, ax=axes, label="ΔS/S (%)")
    name_axes(axes, "t2 (fs)", "detection ω3 (10³ cm⁻¹)", "bleach and emission positive")


def _spectra(axes: Axes, s: PumpProbeSpectra) -> None:
    shown = np.unique(np.linspace(0, len(s.t2_fs) - 1, SHOWN).astype(int))
    for k in shown:
        colour = colormaps[BIAS_MAP](0.9 * k / max(1, len(s.t2_fs) - 1))
        x, y, e = s.w3_cm / 1e3, 100 * s.change[k], 100 * s.error[k]
        axes.plot(x, y, lw=1.2, color=colour, label=f"{s.t2_fs[k]:g} fs")
        axes.fill_between(x, y - e, y + e, lw=0, alpha=0.25, color=colour)
    axes.axhline(0, lw=0.8, color="0.7")
    axes.legend(frameon=False, fontsize=9, title="t2")
    name_axes(axes, "detection ω3 (10³ cm⁻¹)", "ΔS/S (%)", "spectra")


def _traces(axes: Axes, s: PumpProbeSpectra) -> None:
    inner = np.linspace(0, len(s.w3_cm) - 1, SHOWN + 2).astype(int)[1:-1]
    for k, colour in zip(inner, TRACE_COLOURS, strict=False):
        y, e = 100 * s.change[:, k], 100 * s.error[:, k]
        axes.errorbar(s.t2_fs, y, e, lw=1, ms=2.5, fmt="o-", color=colour, label=f"{s.w3_cm[k] / 1e3:.2f}")
    axes.axhline(0, lw=0.8, color="0.7")
    axes.margins(y=0.2)
    axes.legend(frameon=False, fontsize=9, title="ω3 (10³ cm⁻¹)", ncol=3, loc="upper right")
    name_axes(axes, "t2 (fs)", "ΔS/S (%)", "traces")
