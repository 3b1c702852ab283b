"""A count rate as a bar on a logarithmic scale, with the limit that the detector stands."""

from __future__ import annotations

import math

from qtpy import QtCore, QtGui, QtWidgets

from .. import theme

LOWEST_HZ = 10.0
ABOVE_LIMIT = 2.0
"""The bar ends at so many times the limit."""
CAREFUL = 0.5
"""From this part of the limit on the bar warns."""


class RateBar(QtWidgets.QWidget):
    """The rate of one detector beside its limit."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.rate_hz, self.limit_hz = math.nan, math.inf
        self.setFixedHeight(16)
        self.setMinimumWidth(80)
        theme.notifier.changed.connect(self.update)

    def show_rate(self, rate_hz: float, limit_hz: float) -> None:
        """Show a rate (Hz, nan where unknown) beside its limit."""
        self.rate_hz, self.limit_hz = rate_hz, limit_hz
        self.setToolTip(f"limit {limit_hz:g} c/s" if math.isfinite(limit_hz) else "no limit known")
        self.update()

    @property
    def fraction(self) -> float:
        """How much of the bar is filled, from 0 to 1."""
        return 0.0 if math.isnan(self.rate_hz) else self._place(self.rate_hz)

    @property
    def limit_fraction(self) -> float:
        """Where along the bar the limit stands."""
        return self._place(self.limit_hz)

    @property
    def colour(self) -> str:
        """Name of the theme's colour that tells how near the limit is."""
        if self.rate_hz > self.limit_hz:
            return "bad"
        return "warning" if self.rate_hz > CAREFUL * self.limit_hz else "good"

    def paintEvent(self, a0: QtGui.QPaintEvent | None) -> None:
        """Draw frame, decades, bar and limit."""
        colours, painter = theme.current(), QtGui.QPainter(self)
        width, height = self.width() - 1, self.height() - 1
        painter.fillRect(0, 0, width, height, QtGui.QColor(colours.panel))
        filled = round(self.fraction * width)
        painter.fillRect(0, 0, filled, height, QtGui.QColor(getattr(colours, self.colour)))
        painter.setPen(theme.pen(colours.line, 1.0))
        for decade in range(2, math.ceil(math.log10(self._highest_hz))):
            x = round(self._place(10.0**decade) * width)
            painter.drawLine(x, height - 4, x, height)
        painter.drawRect(0, 0, width, height)
        if math.isfinite(self.limit_hz):
            painter.setPen(theme.pen(colours.bad, 2.0))
            x = round(self.limit_fraction * width)
            painter.drawLine(QtCore.QPoint(x, 0), QtCore.QPoint(x, height))

    @property
    def _highest_hz(self) -> float:
        return ABOVE_LIMIT * self.limit_hz if math.isfinite(self.limit_hz) else 1e7

    def _place(self, rate_hz: float) -> float:
        if rate_hz <= LOWEST_HZ:
            return 0.0
        return min(1.0, math.log(rate_hz / LOWEST_HZ) / math.log(self._highest_hz / LOWEST_HZ))
