"""A second vertical axis, on the right side of a plot, in a colour of its own."""

from __future__ import annotations

import pyqtgraph as pg
from qtpy import QtWidgets

from .. import theme
from .plot import Plot


class RightAxis:
    """Holds what is drawn against the right axis of a plot; its range is set by `show_range`."""

    def __init__(self, plot: Plot, text: str, colour: str) -> None:
        self.plot, self.colour = plot, colour
        self._shown: tuple[float, float] | None = None
        self.box = box = pg.ViewBox(enableMenu=False)
        box.setMouseEnabled(x=False, y=False)
        box.disableAutoRange()
        box.setZValue(-50)  # above the curves of the left axis
        plot.item.showAxis("right")
        plot.graphics_scene.addItem(box)
        plot.item.getAxis("right").linkToView(box)
        box.setXLink(plot.item.getViewBox())
        plot.item.getViewBox().sigResized.connect(self._fit)
        plot.name_axis("right", text)

    def add(self, item: QtWidgets.QGraphicsItem) -> None:
        """Draw an item against this axis."""
        self.box.addItem(item)

    def show_range(self, low: float, high: float) -> None:
        """Show this range of the axis."""
        if self._shown != (low, high):
            self._shown = low, high
            self.box.setYRange(low, high, padding=0)

    def retheme(self) -> None:
        """Take the colour of the theme in use."""
        colour = getattr(theme.current(), self.colour)
        axis = self.plot.item.getAxis("right")
        axis.setPen(theme.pen(colour, 1.0))
        axis.setTextPen(theme.pen(colour, 1.0))
        axis.setLabel(axis.labelText, **axis.labelStyle | {"color": colour})

    def _fit(self) -> None:
        self.box.setGeometry(self.plot.item.getViewBox().sceneBoundingRect())
