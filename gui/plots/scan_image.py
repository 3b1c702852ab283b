"""An image of the field over the stage's axes, with marks and a place that can be clicked."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike, NDArray
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent
from qtpy import QtCore, QtWidgets

from .. import theme
from .colour_bar import ColourBar
from .plot import Plot

IMAGE_MAP = "inferno"
_LARGER = 1.25


class ScanImage(Plot):
    """Count rate over x and y in micrometres, as wide as high; a click tells where.

    Pixels that have not been visited stay empty. The first colour is zero; the last grows with the image.
    """

    clicked = QtCore.Signal(float, float)
    """Where the left button was clicked: x and y in micrometres."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        self._bar: ColourBar | None = None
        super().__init__("x (µm)", "y (µm)", parent=parent)
        self.rate_hz: NDArray[np.float64] = np.empty((0, 0))
        """What is shown, shape (slow, fast)."""
        self.marks: dict[str, tuple[float, float]] = {}
        """Marked places in micrometres, by their names."""
        self.position_um: tuple[float, float] | None = None
        self._image = pg.ImageItem(axisOrder="row-major")
        self._image.setZValue(-10)
        self.item.addItem(self._image)
        self._cross = [pg.InfiniteLine(angle=angle) for angle in (90, 0)]
        self._circles = pg.ScatterPlotItem(size=16, brush=None)
        self._names: list[pg.TextItem] = []
        self._colours: dict[str, str] = {}
        for item in (*self._cross, self._circles):
            self.item.addItem(item)
        for line in self._cross:
            line.setVisible(False)
        self.item.getViewBox().setAspectLocked(True)
        self._bar = ColourBar(self._image, self.item)
        self._bar.use_map(IMAGE_MAP)
        self._bar.name("intensity (kc/s)")
        self._highest_khz = 0.0
        self.setToolTip("click to choose a place, drag to move, wheel to zoom, double-click to see the whole")
        self.graphics_scene.sigMouseClicked.connect(self._tell_click)
        self.item.getViewBox().sigResized.connect(self._show_field)
        self.retheme()

    def show_image(self, rate_hz: ArrayLike, fast_edges_um: ArrayLike, slow_edges_um: ArrayLike) -> None:
        """Show rates (Hz), shape (slow, fast), nan where unknown, between these edges of the pixels (µm)."""
        self.rate_hz = np.asarray(rate_hz, float)
        fast_um, slow_um = np.asarray(fast_edges_um, float), np.asarray(slow_edges_um, float)
        self._image.setImage(self.rate_hz / 1e3, autoLevels=False)
        self._image.setRect(
            QtCore.QRectF(fast_um[0], slow_um[0], fast_um[-1] - fast_um[0], slow_um[-1] - slow_um[0])
        )
        known = self.rate_hz[np.isfinite(self.rate_hz)]
        highest = float(known.max(initial=0.0)) / 1e3
        if not highest <= self._highest_khz <= 3 * max(highest, 1e-9):
            self._highest_khz = highest * _LARGER if np.isnan(self.rate_hz).any() else highest
        if self._bar is not None:
            self._bar.show_levels(0.0, max(self._highest_khz, 1e-3))
        field = (float(fast_um[0]), float(fast_um[-1])), (float(slow_um[0]), float(slow_um[-1]))
        if (self._wanted["x"], self._wanted["y"]) != field:
            self._wanted["x"], self._wanted["y"] = field
            self._show_field()

    def mark(self, name: str, x_um: float, y_um: float, *, pen: str = "accent") -> None:
        """Put a circle with a name about a place; `pen` names a colour of the dark theme."""
        self.marks[name] = (x_um, y_um)
        self._colours[name] = pen
        self._draw_marks()

    def forget_marks(self) -> None:
        """Take all circles away."""
        self.marks.clear()
        self._colours.clear()
        self._draw_marks()

    def show_position(self, x_um: float, y_um: float) -> None:
        """Show where the stage is by a cross of lines."""
        self.position_um = (x_um, y_um)
        for line, at in zip(self._cross, self.position_um, strict=True):
            line.setVisible(True)
            line.setPos(at)

    @property
    def levels_khz(self) -> tuple[float, float]:
        """Rates that the first and the last colour stand for."""
        return self._bar.levels() if self._bar else (0.0, 0.0)

    def clear(self) -> None:
        """Take away image, marks and position."""
        super().clear()
        self.rate_hz, self.position_um, self._highest_khz = np.empty((0, 0)), None, 0.0
        self._image.clear()
        self.forget_marks()
        for line in self._cross:
            line.setVisible(False)

    def retheme(self) -> None:
        """Take the colours of the theme in use."""
        super().retheme()
        if self._bar is None:
            return
        self._bar.retheme()
        for line in self._cross:
            line.setPen(theme.pen(theme.DARK.accent, theme.THIN_PX))
        self._draw_marks()

    def _show_field(self) -> None:
        """Both ranges at once: one after the other would cut the field, whose pixels are square."""
        if self.following:
            self.show_all()

    def _draw_marks(self) -> None:
        colours = theme.DARK  # the image is dark in any theme
        pens = [theme.pen(getattr(colours, self._colours[name])) for name in self.marks]
        x, y = [at[0] for at in self.marks.values()], [at[1] for at in self.marks.values()]
        self._circles.setData(x=x, y=y, pen=pens)
        for label in self._names:
            self.item.removeItem(label)
        self._names = []
        for name, place in self.marks.items():
            label = pg.TextItem(name, color=getattr(colours, self._colours[name]), anchor=(-0.35, 1.0))
            label.setPos(*place)
            self.item.addItem(label)
            self._names.append(label)

    def _tell_click(self, event: MouseClickEvent) -> None:
        box = self.item.getViewBox()
        if event.button() != QtCore.Qt.MouseButton.LeftButton or event.double():
            return
        if box.sceneBoundingRect().contains(event.scenePos()):
            at = box.mapSceneToView(event.scenePos())
            self.clicked.emit(at.x(), at.y())
