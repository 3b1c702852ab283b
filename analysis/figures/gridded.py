"""Pictures of spectra of any file: the plane, or the line, through the strongest point of each signal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from ...formats.gridded import GridAxis, Gridded
from ..gridded_summary import strongest
from .style import TRACE_COLOUR, name_axes, new_figure

_ENERGIES = ("cm-1", "eV", "meV", "nm", "THz")
_PANELS = 6
"""More signals are not drawn."""


def draw_gridded(path: Path, spectra: Sequence[Gridded], *, title: str) -> None:
    """Draw up to six signals over two axes, those of photon energy if there are two.

    Of complex signals the real part is drawn.
    """
    panels = [(data, name) for data in spectra for name in data.signals][:_PANELS]
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure((5 * columns, 4.2 * rows + 0.4))
    for axes, (data, name) in zip(figure.subplots(rows, columns, squeeze=False).flat, panels, strict=False):
        _draw_signal(axes, data, name)
    for axes in figure.axes[len(panels) : rows * columns]:
        axes.set_visible(False)
    figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    figure.savefig(path)


def _draw_signal(axes: Axes, data: Gridded, name: str) -> None:
    values = data.signals[name]
    drawn = _drawn_axes(data)
    where = [0] * values.ndim if np.isnan(values).all() else strongest(values)
    fixed = [
        f"{axis.name} = {axis.values[where[k]]:.5g} {axis.units}"
        for k, axis in enumerate(data.axes)
        if k not in drawn
    ]
    plane = np.real(values)[tuple(slice(None) if k in drawn else where[k] for k in range(values.ndim))]
    title = ", ".join([f"Re {name}" if np.iscomplexobj(values) else name, *fixed])
    x, *rest = (data.axes[k] for k in drawn)
    if rest:
        _draw_plane(axes, x, rest[0], plane)
    else:
        axes.plot(x.values, plane, lw=0.9, color=TRACE_COLOUR)
    name_axes(axes, x.label, rest[0].label if rest else name, title)


def _drawn_axes(data: Gridded) -> list[int]:
    """The last two axes of photon energy, or else the last two."""
    energies = [k for k, axis in enumerate(data.axes) if axis.units in _ENERGIES]
    return (energies if len(energies) > 1 else list(range(len(data.axes))))[-2:]


def _draw_plane(axes: Axes, x: GridAxis, y: GridAxis, plane: np.ndarray) -> None:
    """The first axis across, the second up; colours about zero when the signal has both signs."""
    low, high = (float(f(plane)) for f in (np.nanmin, np.nanmax)) if np.isfinite(plane).any() else (0.0, 1.0)
    both = low < -0.02 * high or high <= 0
    reach = max(-low, high)
    mesh = axes.pcolormesh(
        x.values,
        y.values,
        plane.T,
        cmap="RdBu_r" if both else "viridis",
        vmin=-reach if both else low,
        vmax=reach if both else high,
        rasterized=True,
    )
    if axes.figure:
        axes.figure.colorbar(mesh, ax=axes, shrink=0.85)
