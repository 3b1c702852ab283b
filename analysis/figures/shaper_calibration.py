"""The picture of a shaper's calibration: grey curves, wavelengths, pulse pairs, residual phase."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from ..twodes.panel_calibration import ColumnLines, GreyCurves, SpectralPhase
from ..twodes.shaper_calibration import Fringes
from .style import BIAS_COLOUR, TRACE_COLOUR, name_axes, new_figure

WAVES = "turbo"


def draw_shaper_calibration(
    path: Path,
    grey: GreyCurves,
    lines: ColumnLines | None,
    pairs: Sequence[tuple[float, Fringes]],
    phases: Sequence[SpectralPhase],
    *,
    columns: int,
    title: str,
) -> None:
    """Draw what each step found and what it leaves; steps that were not reached are empty."""
    figure = new_figure((15, 8.5))
    grid = figure.add_gridspec(2, 3)
    _grey_powers(figure.add_subplot(grid[0, 0]), grey)
    _grey_phases(figure.add_subplot(grid[1, 0]), grey)
    above, below = figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])
    if lines:
        _wavelengths(above, below, lines, columns)
    else:
        _not_reached(above, below)
    above, below = figure.add_subplot(grid[0, 2]), figure.add_subplot(grid[1, 2])
    _pairs(above, pairs) if pairs else _not_reached(above)
    _phases(below, phases) if phases else _not_reached(below)
    figure.suptitle(title, fontsize=13, x=0.01, ha="left")
    figure.savefig(path)


def _grey_powers(axes: Axes, grey: GreyCurves) -> None:
    for k, nm in enumerate(grey.wavelength_nm):
        colour = _colour(grey, k)
        scaled = grey.power[:, k] / grey.power[:, k].max()
        axes.plot(grey.level, scaled, "o-", ms=2.5, lw=0.8, color=colour, label=f"{nm:.0f} nm")
    axes.set_ylim(top=1.45)
    axes.legend(frameon=False, fontsize=8, ncol=4, loc="upper left")
    name_axes(axes, "grey level", "power / largest", "gratings of a grey level and 0")


def _grey_phases(axes: Axes, grey: GreyCurves) -> None:
    for k, phase in enumerate(grey.phase_rad):
        axes.plot(np.arange(len(phase)), phase / np.pi, lw=1.2, color=_colour(grey, k))
    axes.axhline(2, lw=0.8, color="0.7")
    told = f"phase, misfit up to {100 * grey.misfit.max():.2f} % of the modulation"
    name_axes(axes, "grey level", "phase (π)", told)


def _wavelengths(above: Axes, below: Axes, lines: ColumnLines, columns: int) -> None:
    column = np.arange(columns)
    fitted_nm = _polynomial(lines, column, columns)
    above.plot(lines.column, lines.wavelength_nm, "o", ms=3, color=TRACE_COLOUR)
    above.plot(column, fitted_nm, lw=1, color=BIAS_COLOUR)
    name_axes(above, "column", "wavelength (nm)", "lines of open columns")
    slope = np.interp(lines.column, column, np.gradient(fitted_nm))
    left = (lines.wavelength_nm - _polynomial(lines, lines.column, columns)) / slope
    below.axhline(0, lw=0.8, color="0.7")
    below.plot(lines.column, left, "o", ms=3, color=TRACE_COLOUR)
    name_axes(below, "column", "residual (columns)", f"what is left: {lines.fit.rms_columns:.3f} columns rms")


def _pairs(axes: Axes, pairs: Sequence[tuple[float, Fringes]]) -> None:
    asked = np.array([delay_fs for delay_fs, _ in pairs])
    found = np.array([fringes.delay_fs for _, fringes in pairs])
    sigma = np.array([fringes.sigma_fs for _, fringes in pairs])
    axes.axhspan(-10, 10, lw=0, color="0.93")
    axes.axhline(0, lw=0.8, color="0.7")
    axes.errorbar(asked, 1e3 * (found - asked), 1e3 * sigma, fmt="o", ms=4, lw=1, color=TRACE_COLOUR)
    name_axes(
        axes, "delay of the pair (fs)", "found - commanded (as)", "pairs, by their fringes (grey: ±10 as)"
    )


def _phases(axes: Axes, phases: Sequence[SpectralPhase]) -> None:
    for k, phase in enumerate(phases):
        colour = colormaps["viridis"](0.85 * k / max(1, len(phases) - 1))
        axes.plot(phase.wavenumber_cm / 1e3, phase.phase_rad, lw=1, color=colour, label=f"pass {k + 1}")
    axes.legend(frameon=False, fontsize=9)
    name_axes(axes, "wavenumber (10³ cm⁻¹)", "phase (rad)", "spectral phase against the local oscillator")


def _not_reached(*panels: Axes) -> None:
    for axes in panels:
        axes.axis("off")
        axes.text(0.5, 0.5, "not reached", transform=axes.transAxes, ha="center", color="0.4")


def _polynomial(lines: ColumnLines, column: np.ndarray, columns: int) -> np.ndarray:
    u = 2 * column / (columns - 1) - 1
    return np.asarray(np.polynomial.polynomial.polyval(u, lines.fit.coefficients_nm))


def _colour(grey: GreyCurves, k: int) -> tuple[float, float, float, float]:
    return colormaps[WAVES](0.1 + 0.8 * k / max(1, len(grey.wavelength_nm) - 1))
