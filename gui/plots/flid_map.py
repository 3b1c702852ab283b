"""The lifetime-intensity distribution: how often each pair of lifetime and count rate was seen."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike, NDArray
from qtpy import QtWidgets

from .. import theme
from .colour_bar import ColourBar
from .flid_cells import (
    CELLS,
    LIFETIME_EDGES_NS,
    RATE_EDGES_HZ,
    cells_of,
    count_in_cells,
    mean_in_cells,
    place,
)
from .plot import BOTTOM_RIGHT, Plot

UNSEEN = 0.15
"""Part of the first colours that would not stand out from the panel."""
FULL = 0.99
"""Part of the seen cells that have a colour of their own: the fullest ones share the last colour."""
ColouredBy = Literal["count", "bias"]


class FlidMap(Plot):
    """Lifetime (ns) and background-subtracted count rate (kc/s) of many time bins, both logarithmic.

    Each cell is coloured by how many bins fell into it or by their mean bias (see `colour_by`). Over it lie
    the scaling curve of the charge states and single marked points.
    """

    def __init__(self, reference: str = "", parent: QtWidgets.QWidget | None = None) -> None:
        self._bar: ColourBar | None = None
        super().__init__(
            "lifetime (ns)",
            "net intensity (kc/s)",
            log_x=True,
            log_y=True,
            legend=BOTTOM_RIGHT,
            parent=parent,
        )
        self.coloured_by: ColouredBy = "count"
        self.reference = reference
        self.counts: NDArray[np.int64] = np.zeros(CELLS, np.int64)
        """Time bins in each cell, shape (lifetimes, rates)."""
        self.bias_v: NDArray[np.float64] = np.full(CELLS, np.nan)
        """Mean bias of each cell; nan where there was none."""
        self._image = pg.ImageItem(axisOrder="col-major")
        self._image.setZValue(-10)
        self.item.addItem(self._image)
        self._labels: list[pg.TextItem] = []
        self._bar = ColourBar(self._image, self.item)
        place(self._image)
        self.follow_x(LIFETIME_EDGES_NS[0], LIFETIME_EDGES_NS[-1], steady=False)
        self.follow_y(RATE_EDGES_HZ[0] / 1e3, RATE_EDGES_HZ[-1] / 1e3, steady=False)
        self.retheme()

    # ---- what is shown ----

    def show_points(
        self, lifetime_ns: ArrayLike, net_rate_hz: ArrayLike, potential_v: ArrayLike | None = None
    ) -> None:
        """Show the distribution of these points, arrays of one length; nan are left out."""
        cell = cells_of(lifetime_ns, net_rate_hz)
        self.show_cells(
            count_in_cells(cell), None if potential_v is None else mean_in_cells(cell, potential_v)
        )

    def show_cells(self, counts: ArrayLike, bias_v: ArrayLike | None = None) -> None:
        """Show time bins, and their mean bias (V, nan: not known), counted in the cells of the map.

        Shape (lifetimes, rates), between `LIFETIME_EDGES_NS` and `RATE_EDGES_HZ`.
        """
        self.counts = np.asarray(counts, np.int64)
        self.bias_v = np.full(CELLS, np.nan) if bias_v is None else np.asarray(bias_v, np.float64)
        self._colour_cells()

    def show_scaling(self, lifetime_ns: ArrayLike, net_rate_hz: ArrayLike, told: str = "scaling law") -> None:
        """Show the line of the charge states X0, X-, X2-, ...: lifetimes (ns) and net rates (Hz) in order."""
        lifetime_ns, rate_khz = np.asarray(lifetime_ns, float), np.asarray(net_rate_hz, float) / 1e3
        self.draw(
            "scaling law", lifetime_ns, rate_khz, "fit", width=theme.THIN_PX, symbol="o", symbolSize=5,
            legend=told,
        )  # fmt: skip
        self._name_states(lifetime_ns, rate_khz)

    def show_mark(
        self, name: str, lifetime_ns: float, net_rate_hz: float, lifetime_err_ns: float = 0.0,
        net_rate_err_hz: float = 0.0, *, pen: str = "bad", legend: bool = True,
    ) -> None:  # fmt: skip
        """Mark one point, with its standard errors, under a name, which the legend tells or not."""
        x, y = np.array([lifetime_ns]), np.array([net_rate_hz / 1e3])
        self.draw(name, x, y, pen, width=0.0, symbol="s", symbolSize=9, legend=name if legend else None)
        self.draw_bars(name, x, y, [net_rate_err_hz / 1e3], pen, x_error=[lifetime_err_ns])

    def colour_by(self, what: ColouredBy) -> None:
        """Colour the cells by the number of time bins or by their mean bias."""
        self.coloured_by = what
        self.retheme()

    def set_reference(self, electrode: str) -> None:
        """Name the reference electrode of the bias."""
        self.reference = electrode
        self.retheme()

    def clear(self) -> None:
        """Take away distribution, curve and marks."""
        super().clear()
        for label in self._labels:
            self.item.removeItem(label)
        self._labels.clear()
        self.show_points(np.empty(0), np.empty(0))

    def retheme(self) -> None:
        """Take the colours of the theme in use."""
        super().retheme()
        if self._bar is None:
            return
        colours = theme.current()
        by_bias = self.coloured_by == "bias"
        if by_bias:
            self._bar.use_map(colours.colours_of_bias, UNSEEN if colours.name == "dark" else 0.0)
        else:
            self._bar.use_map(colours.colours_of_count, UNSEEN)
        bias = f"V vs. {self.reference}" if self.reference else "bias (V)"
        if by_bias:
            self._bar.name(bias, "bias (V)")
        else:
            self._bar.name("time bins")
        for label in self._labels:
            label.setColor(colours.text)
        self._colour_cells()

    # ---- inside ----

    def _colour_cells(self) -> None:
        if self._bar is None:
            return
        if self.coloured_by == "bias":
            shown = self.bias_v
            known = shown[np.isfinite(shown)]
            low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
        else:
            shown = np.where(self.counts > 0, self.counts, np.nan)
            seen = self.counts[self.counts > 0]
            low, high = 0.0, float(np.quantile(seen, FULL)) if len(seen) else 1.0
        self._image.setImage(shown, autoLevels=False)
        place(self._image)
        self._bar.show_levels(float(low), float(max(high, low + 1e-3)))

    def _name_states(self, lifetime_ns: NDArray[np.float64], rate_khz: NDArray[np.float64]) -> None:
        names = {0: "X0", 1: "X-", 2: "X2-", 4: "X4-"}
        shown = [k for k in names if k < len(lifetime_ns)]
        while len(self._labels) < len(shown):
            label = pg.TextItem(color=theme.current().text, anchor=(-0.15, 0.0))
            self._labels.append(label)
            self.item.addItem(label)
        for label, k in zip(self._labels, shown, strict=False):
            label.setText(names[k])
            label.setPos(float(np.log10(lifetime_ns[k])), float(np.log10(rate_khz[k])))
