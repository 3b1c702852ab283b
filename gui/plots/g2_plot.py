"""Cross-correlation of two detectors behind a pulsed laser, with what its peaks come to."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike
from qtpy import QtWidgets

from .. import theme
from .plot import Curve, Plot
from .right_axis import RightAxis


class G2Plot(Plot):
    """Pairs against delay (µs) on the left axis; each peak over the mean of the lagging ones on the right.

    The peak at zero delay, g2(0), is told with its standard error.
    """

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        self._right: RightAxis | None = None
        super().__init__("delay, detector 1 after detector 0 (µs)", "pairs", parent=parent)
        self.value: tuple[float, float] | None = None
        """g2(0) and its standard error as told; None where they are not known."""
        self._right = RightAxis(self, "peak over lagging peaks", "bias")
        self._peaks = pg.PlotDataItem(symbol="o", symbolSize=8, pen=None)
        self._bars = pg.ErrorBarItem()
        self._one = pg.InfiniteLine(1.0, angle=0)
        for item in (self._one, self._bars, self._peaks):
            self._right.add(item)
        self.item.setTitle(" ")
        self.retheme()

    def show_histogram(self, delay_ns: ArrayLike, pairs: ArrayLike, *, reach_ns: float | None = None) -> None:
        """Show pairs per bin at the centres of equal bins of delay (ns); `reach_ns` is the largest shown."""
        delay_us, pairs = np.asarray(delay_ns, float) / 1e3, np.asarray(pairs, float)
        if len(delay_us) < 2:
            return
        width_us = delay_us[1] - delay_us[0]
        edges_us = np.append(delay_us - width_us / 2, delay_us[-1] + width_us / 2)
        self.draw("pairs", edges_us, pairs, "g2", width=1.5, stepMode="center", fillLevel=0.0)
        self.name_axis("left", f"pairs per {width_us * 1e3:.3g} ns")
        reach_us = delay_us[-1] if reach_ns is None else reach_ns / 1e3
        self.follow_x(-reach_us, reach_us, steady=False)
        self.follow_y(0.0, max(1.0, pairs.max()))

    def show_peaks(self, delay_ns: ArrayLike, ratio: ArrayLike, error: ArrayLike) -> None:
        """Show each peak over the mean of the lagging ones, with standard errors, at its delay (ns)."""
        delay_us, ratio, error = (np.asarray(a, float) for a in (delay_ns, ratio, error))
        delay_us = delay_us / 1e3
        self._peaks.setData(delay_us, ratio)
        self._bars.setData(x=delay_us, y=ratio, height=2 * error)
        highest = float(np.max(ratio + error, initial=1.0))
        if self._right is not None:
            self._right.show_range(0.0, max(1.6, float(np.ceil(highest * 4)) / 4))

    def show_value(self, value: float | None, error: float | None, *, told: str = "g2(0)") -> None:
        """Tell g2(0) and its standard error above the plot; None where they are not known yet."""
        self.value = None if value is None or error is None else (value, error)
        text = f"{told}: not known yet" if self.value is None else f"{told} = {value:.3f} ± {error:.3f}"
        self.item.setTitle(text)
        theme.style_plot(self.item)
        self._colour_peaks()

    @property
    def told(self) -> str:
        """The sentence above the plot."""
        return self.item.titleLabel.text

    def curves(self) -> dict[str, Curve]:
        """`pairs` (edges of the bins and counts) and `peaks`, against microseconds."""
        return super().curves() | {"peaks": self._read(self._peaks)}

    def clear(self) -> None:
        """Take away what is shown."""
        super().clear()
        self._peaks.setData(np.empty(0), np.empty(0))
        self._bars.setData(x=np.empty(0), y=np.empty(0), height=np.empty(0))
        self.value = None
        self.item.setTitle(" ")

    def retheme(self) -> None:
        """Take the colours of the theme in use."""
        super().retheme()
        if self._right is not None:
            self._colour_peaks()

    def _colour_peaks(self) -> None:
        colours = theme.current()
        self._peaks.setSymbolBrush(colours.bias)
        self._peaks.setSymbolPen(None)
        self._bars.setData(pen=theme.pen(colours.bias))
        self._one.setPen(theme.pen(colours.faint, 1.0, dashed=True))
        if self._right is not None:
            self._right.retheme()
