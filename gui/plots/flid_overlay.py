"""Two lifetime-intensity distributions over each other, each in its colour."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike, NDArray
from qtpy import QtWidgets

from .flid_cells import LIFETIME_EDGES_NS, RATE_EDGES_HZ, cells_of, count_in_cells, place
from .plot import BOTTOM_RIGHT, Plot, colour_of

PENS = ("x0", "x_minus")
SWATCH_PX = 8.0
FAINTEST = 0.25
"""Opacity of a cell with one time bin; the fullest cell is opaque."""


class FlidOverlay(Plot):
    """Cells where the first distribution lies, the second, or both; darker where there is more of it."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        self._images: list[pg.ImageItem] = []
        super().__init__(
            "lifetime (ns)",
            "net intensity (kc/s)",
            log_x=True,
            log_y=True,
            legend=BOTTOM_RIGHT,
            parent=parent,
        )
        self.counts: list[NDArray[np.int64]] = []
        """Time bins in each cell, of each distribution; shape (lifetimes, rates)."""
        for _ in PENS:
            image = pg.ImageItem(axisOrder="col-major")
            image.setZValue(-10)
            self.item.addItem(image)
            self._images.append(image)
        self.follow_x(LIFETIME_EDGES_NS[0], LIFETIME_EDGES_NS[-1], steady=False)
        self.follow_y(RATE_EDGES_HZ[0] / 1e3, RATE_EDGES_HZ[-1] / 1e3, steady=False)

    def show_two(self, *named: tuple[str, ArrayLike, ArrayLike]) -> None:
        """Show up to two distributions: name, lifetimes (ns), net rates (Hz) of each."""
        self.clear()
        for (name, lifetime_ns, net_rate_hz), pen in zip(named, PENS, strict=False):
            self.counts.append(count_in_cells(cells_of(lifetime_ns, net_rate_hz)))
            self.draw(name, [], [], pen, width=SWATCH_PX, legend=name)
        self._colour_cells()

    def clear(self) -> None:
        """Take both distributions away."""
        super().clear()
        self.counts = []
        for image in self._images:
            image.clear()

    def retheme(self) -> None:
        """Take the colours of the theme in use."""
        super().retheme()
        if self._images:
            self._colour_cells()

    def _colour_cells(self) -> None:
        for image, counts, pen in zip(self._images, self.counts, PENS, strict=False):
            colour = pg.mkColor(colour_of(pen))
            opacity = np.log1p(counts) / max(np.log1p(counts.max()), 1.0)
            pixels = np.empty((*counts.shape, 4), np.uint8)
            pixels[..., :3] = colour.red(), colour.green(), colour.blue()
            pixels[..., 3] = np.where(counts > 0, 255 * (FAINTEST + (1 - FAINTEST) * opacity), 0)
            image.setImage(pixels, autoLevels=False, levels=(0, 255))
            place(image)
