"""What all pictures share: drawn without a window system, the same colours, every axis labelled."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

TRACE_COLOUR, BIAS_COLOUR = "#444444", "#d35400"
BIAS_MAP = "viridis"


def new_figure(size: tuple[float, float]) -> Figure:
    """An empty picture of `size` inches that can be saved as PNG, SVG or PDF."""
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def name_axes(axes: Axes, x: str, y: str, title: str) -> None:
    """Name both axes, with units, and the panel."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, fontsize=11, loc="left")
    axes.spines[["top"]].set_visible(False)
