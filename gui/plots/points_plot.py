"""Points with error bars and curves through them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from qtpy import QtWidgets

from .plot import TOP_RIGHT, Plot


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
        self._errors[name] = error
        self.draw_bars(name, x, y, error, pen)
        self._fit()

    def show_curve(self, name: str, x: ArrayLike, y: ArrayLike, *, pen: str = "bias", told: str = "") -> None:
        """Show a curve, such as a model; `told` is added to its name."""
        self.draw(name, x, y, pen, connect="finite", legend=f"{name}: {told}" if told else name)

    def errors(self, name: str) -> NDArray[np.float64]:
        """Standard errors of the points of that name."""
        return self._errors[name]

    def clear(self) -> None:
        """Take away all points and curves."""
        self._errors.clear()
        super().clear()

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
