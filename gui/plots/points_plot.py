"""Points with error bars and curves through them."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike, NDArray
from qtpy import QtWidgets

from .. import theme
from .plot import TOP_RIGHT, Plot, colour_of


class PointsPlot(Plot):
    """Named sets of points with standard errors, against anything; either axis may be logarithmic.

    `free_above` is the part of the points' span that is left free above them, for the legend.
    """

    def __init__(
        self,
        x: str,
        y: str,
        *,
        log_x: bool = False,
        log_y: bool = False,
        y_from_zero: bool = False,
        free_above: float = 0.0,
        legend: tuple[int, int] | None = TOP_RIGHT,
        parent: QtWidgets.QWidget | None = None,
    ) -> None:
        super().__init__(x, y, log_x=log_x, log_y=log_y, legend=legend, parent=parent)
        self.x_from_zero, self.y_from_zero, self.free_above = False, y_from_zero, free_above
        self._bars: dict[str, tuple[pg.ErrorBarItem, str]] = {}
        self._errors: dict[str, NDArray[np.float64]] = {}

    def show_points(
        self,
        name: str,
        x: ArrayLike,
        y: ArrayLike,
        error: ArrayLike | None = None,
        *,
        pen: str = "trace",
        symbol: str = "o",
        joined: bool = False,
        told: str = "",
    ) -> None:
        """Show points with their standard errors, arrays of one length; `told` is added to the name."""
        x, y = np.asarray(x, float), np.asarray(y, float)
        error = np.zeros_like(y) if error is None else np.where(np.isfinite(error), error, 0.0)
        self.draw(
            name, x, y, pen, width=1.5 if joined else 0.0, symbol=symbol, symbolSize=7, connect="finite",
            legend=f"{name}: {told}" if told else name,
        )  # fmt: skip
        if name not in self._bars:
            self._bars[name] = (pg.ErrorBarItem(), pen)
            self.item.addItem(self._bars[name][0])
            self._bars[name][0].setZValue(-1)
            self._colour_bars()
        self._errors[name] = error
        self._put_bars(name, x, y, error)
        self._fit()

    def show_curve(self, name: str, x: ArrayLike, y: ArrayLike, *, pen: str = "bias", told: str = "") -> None:
        """Show a curve, such as a model; `told` is added to its name."""
        self.draw(name, x, y, pen, connect="finite", legend=f"{name}: {told}" if told else name)

    def errors(self, name: str) -> NDArray[np.float64]:
        """Standard errors of the points of that name."""
        return self._errors[name]

    def clear(self) -> None:
        """Take away all points and curves."""
        for bars, _ in self._bars.values():
            self.item.removeItem(bars)
        self._bars.clear()
        self._errors.clear()
        super().clear()

    def retheme(self) -> None:
        """Take the colours of the theme in use."""
        super().retheme()
        if hasattr(self, "_bars"):
            self._colour_bars()

    def _colour_bars(self) -> None:
        for bars, pen in self._bars.values():
            bars.setData(pen=theme.pen(colour_of(pen), theme.THIN_PX))

    def _put_bars(
        self, name: str, x: NDArray[np.float64], y: NDArray[np.float64], error: NDArray[np.float64]
    ) -> None:
        at_x, at_y = self.at_x(x), self.at_y(y)
        good = np.isfinite(at_x) & np.isfinite(at_y)
        low = self.at_y(np.maximum(y - error, 1e-3 * np.abs(y)) if self.log_y else y - error)
        self._bars[name][0].setData(
            x=at_x[good], y=at_y[good],
            top=(self.at_y(y + error) - at_y)[good], bottom=(at_y - low)[good],
        )  # fmt: skip

    def _fit(self) -> None:
        """Show all points with their errors."""
        xs, lows, highs = [], [], []
        for name, error in self._errors.items():
            x, y = self.curves()[name]
            good = np.isfinite(x) & np.isfinite(y)
            xs.append(x[good])
            lows.append((y - (0.0 if self.log_y else error))[good])
            highs.append((y + error)[good])
        x, low, high = np.concatenate(xs), np.concatenate(lows), np.concatenate(highs)
        if len(x):
            bottom = 0.0 if self.y_from_zero else float(low.min())
            top = float(high.max())
            if self.log_y:
                top *= (top / bottom) ** self.free_above
            else:
                top += self.free_above * (top - bottom)
            self.follow_x(0.0 if self.x_from_zero else x.min(), x.max(), from_zero=self.x_from_zero)
            self.follow_y(bottom, top)


class ValueTrace(PointsPlot):
    """One number and its standard error as they become known over time."""

    def __init__(self, y: str, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__("time (s)", y, y_from_zero=True, legend=None, parent=parent)
        self.x_from_zero = True

    def show_values(self, time_s: ArrayLike, value: ArrayLike, error: ArrayLike, *, pen: str = "g2") -> None:
        """Show the value known at each time (s), arrays of one length."""
        self.show_points("value", time_s, value, error, pen=pen, joined=True)
