"""A two-dimensional spectrum over excitation and detection wavenumber; a click chooses an address."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from contourpy import LineType, contour_generator
from numpy.typing import ArrayLike, NDArray
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent
from qtpy import QtCore, QtWidgets

from .. import theme
from .colour_bar import ColourBar
from .titled_plot import TitledPlot

EXCITATION, DETECTION = "excitation ω1 (10³ cm⁻¹)", "detection ω3 (10³ cm⁻¹)"
SHORT_EXCITATION, SHORT_DETECTION = "ω1 (10³ cm⁻¹)", "ω3 (10³ cm⁻¹)"
LEVELS = (-0.9, -0.7, -0.5, -0.3, 0.3, 0.5, 0.7, 0.9)
"""Contours, as parts of the largest value."""
GAP = np.full((1, 2), np.nan)
EMPTY_BAND = (16.2, 20.2)
"""What the axes show before there is a map."""
SIGNED = {
    "light": "08306b 2166ac 67a9cf c6dcec ffffff f8d3c0 ef8a62 c2283a 67001f",
    "dark": "bfe3ff 64b5ff 2f7fd6 1d4674 14171b 74301f d6562f ff9063 ffd9c2",
}
"""Colours from the most negative to the most positive value; the middle one is the panel's."""


class SpectrumMap(TitledPlot):
    """A map over w1 (along x) and w3 (along y), scaled to its largest absolute value, with the diagonal.

    A signed map has red for positive and blue for negative values, and contours; an amplitude goes up from 0.
    """

    clicked = QtCore.Signal(float, float)
    """Where the left button was clicked: w1 and w3 in cm-1."""

    def __init__(
        self, *, signed: bool = True, bar: bool = True, parent: QtWidgets.QWidget | None = None
    ) -> None:
        self._image: pg.ImageItem | None = None
        super().__init__(EXCITATION, DETECTION, parent=parent)
        self.name_axis("bottom", EXCITATION, SHORT_EXCITATION)
        self.name_axis("left", DETECTION, SHORT_DETECTION)
        self.signed = signed
        self.w1_cm: NDArray[np.float64] = np.empty(0)
        self.w3_cm: NDArray[np.float64] = np.empty(0)
        self.values: NDArray[np.float64] = np.empty((0, 0))
        """What is shown, in its own units, shape (w1, w3)."""
        self.address_cm: tuple[float, float] | None = None
        self._image = pg.ImageItem(axisOrder="col-major")
        self._image.setZValue(-10)
        self.item.addItem(self._image)
        self._cross = pg.ScatterPlotItem(size=15, symbol="o", brush=None)
        self.item.addItem(self._cross)
        self.item.getViewBox().setAspectLocked(True)
        self._wanted = {"x": EMPTY_BAND, "y": EMPTY_BAND}
        self._bar = ColourBar(self._image, self.item)
        self._bar.name("signal / largest" if signed else "amplitude / largest")
        self._bar.setVisible(bar)
        if not bar:
            self._bar.setMaximumWidth(0)
        self._bar.show_levels(-1.0 if signed else 0.0, 1.0)
        self.setToolTip("click to choose an address, drag to move, wheel to zoom, double-click to see all")
        self.graphics_scene.sigMouseClicked.connect(self._tell_click)
        self.item.getViewBox().sigResized.connect(self._show_band)
        self.retheme()

    def show_map(self, w1_cm: ArrayLike, w3_cm: ArrayLike, values: ArrayLike, *, title: str = "") -> None:
        """Show real values of shape (w1, w3) over even axes in cm-1, ascending."""
        self.w1_cm, self.w3_cm = np.asarray(w1_cm, np.float64), np.asarray(w3_cm, np.float64)
        self.values = np.asarray(values, np.float64)
        x, y = self.w1_cm / 1e3, self.w3_cm / 1e3
        scaled = self.values / (float(np.abs(self.values).max()) or 1.0)
        assert self._image is not None
        self._image.setImage(scaled, autoLevels=False)
        self._image.setRect(_cells(x, y))
        if self.signed:
            self._draw_contours(x, y, scaled)
        low, high = max(x[0], y[0]), min(x[-1], y[-1])
        self.draw("diagonal", [low, high], [low, high], "faint", width=theme.THIN_PX)
        self.tell(title)
        band = (float(x[0]), float(x[-1])), (float(y[0]), float(y[-1]))
        if (self._wanted["x"], self._wanted["y"]) != band:
            self._wanted["x"], self._wanted["y"] = band
            self._show_band()

    def show_address(self, w1_cm: float, w3_cm: float) -> None:
        """Put a circle about a point of the map."""
        self.address_cm = w1_cm, w3_cm
        self._cross.setData(x=[w1_cm / 1e3], y=[w3_cm / 1e3])

    def clear(self) -> None:
        """Take away map and address."""
        super().clear()
        self.w1_cm, self.w3_cm, self.values = np.empty(0), np.empty(0), np.empty((0, 0))
        self.address_cm = None
        self._cross.clear()
        if self._image is not None:
            self._image.clear()

    def retheme(self) -> None:
        """Take the colours of the theme in use."""
        super().retheme()
        if self._image is None:
            return
        colours = theme.current()
        if self.signed:
            self._bar.setColorMap(
                pg.ColorMap(None, [_rgb(colour) for colour in SIGNED[colours.name].split()])
            )
        else:
            self._bar.use_map(colours.colours_of_count)
        self._bar.retheme()
        self._cross.setPen(theme.pen(colours.good, 2.5))

    # ---- inside ----

    def _draw_contours(
        self, x: NDArray[np.float64], y: NDArray[np.float64], scaled: NDArray[np.float64]
    ) -> None:
        """All contours as one curve with gaps."""
        lines = contour_generator(x, y, scaled.T, line_type=LineType.ChunkCombinedNan)
        parts = [part for level in LEVELS for part in lines.lines(level)[0] if part is not None]
        points = np.concatenate([GAP, *(points for part in parts for points in (np.asarray(part), GAP))])
        self.draw("contours", points[:, 0], points[:, 1], "faint", width=1.0, connect="finite")

    def _show_band(self) -> None:
        """Both ranges at once: one after the other would cut the map, whose axes have one scale."""
        if self.following:
            self.show_all()

    def _tell_click(self, event: MouseClickEvent) -> None:
        box = self.item.getViewBox()
        if event.button() != QtCore.Qt.MouseButton.LeftButton or event.double() or not self.values.size:
            return
        if box.sceneBoundingRect().contains(event.scenePos()):
            at = box.mapSceneToView(event.scenePos())
            self.clicked.emit(1e3 * at.x(), 1e3 * at.y())


def _cells(x: NDArray[np.float64], y: NDArray[np.float64]) -> QtCore.QRectF:
    """The rectangle whose cells have these centres."""
    dx, dy = (x[-1] - x[0]) / (len(x) - 1), (y[-1] - y[0]) / (len(y) - 1)
    return QtCore.QRectF(x[0] - dx / 2, y[0] - dy / 2, dx * len(x), dy * len(y))


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour))
