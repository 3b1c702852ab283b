"""Cross-correlation of two detectors behind a pulsed laser, with what its peaks come to."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike
from qtpy import QtWidgets

from .. import theme
from .error_bars import ErrorBars
from .plot import Curve, Plot, steady_range
from .right_axis import RightAxis


class G2Plot(Plot):
    """Pairs per bin of delay (µs) on the left axis, all pairs of each peak on the right one.

    What they come to, g2(0) with its standard error, stands above.
    """

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        self._right: RightAxis | None = None
        super().__init__("delay, detector 1 after detector 0 (µs)", "pairs", parent=parent)
        self.value: tuple[float, float] | None = None
        """g2(0) and its standard error as told; None where they are not known."""
        self._peak_range: tuple[float, float] | None = None
        self._right = RightAxis(self, "pairs in the peak", "bias")
        self._peaks = pg.PlotDataItem(symbol="o", symbolSize=8, pen=None)
        self._peak_bars = ErrorBars()
        for item in (self._peak_bars, self._peaks):
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

    def show_peaks(self, delay_ns: ArrayLike, pairs: ArrayLike) -> None:
        """Show the pairs of each peak at its delay (ns), with their Poisson errors."""
        delay_us, pairs = np.asarray(delay_ns, float) / 1e3, np.asarray(pairs, float)
        self._peaks.setData(delay_us, pairs)
        error = np.sqrt(np.maximum(pairs, 1.0))
        self._peak_bars.show_bars(delay_us, pairs - error, pairs + error)
        if self._right is not None:
            self._peak_range = steady_range(
                self._peak_range, 0.0, float(pairs.max(initial=1.0)), at_zero=True
            )
            self._right.show_range(*self._peak_range)

    def show_value(self, value: float | None, error: float | None, *, told: str = "g2(0)") -> None:
        """Tell g2(0) and its standard error above the plot; None where they are not known yet."""
        self.value = None if value is None or error is None else (value, error)
        text = f"{told}: not known yet" if self.value is None else f"{told} = {value:.3f} ± {error:.3f}"
        if text != self.told:
            self.item.setTitle(text, color=theme.current().text, size=f"{theme.FONT_PT}pt")

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
        self._peak_bars.show_bars(np.empty(0), np.empty(0), np.empty(0))
        self.value, self._peak_range = None, None
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
        self._peak_bars.setPen(theme.pen(colours.bias))
        if self._right is not None:
            self._right.retheme()
