"""Error bars that are drawn as fast as a curve."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray

Values = NDArray[np.float64]


class ErrorBars(pg.PlotCurveItem):
    """Bars between two places along either axis; all in the coordinates of the view.

    pyqtgraph's own item fills a path, which takes tens of milliseconds for some hundred bars.
    """

    def __init__(self) -> None:
        super().__init__(connect="pairs")
        self.setZValue(-1)
        self.vertical: tuple[Values, Values, Values] = np.empty(0), np.empty(0), np.empty(0)
        """Place, lower and upper end of each vertical bar."""

    def show_bars(
        self, x: Values, low: Values, high: Values, *, across: tuple[Values, Values] | None = None
    ) -> None:
        """Show vertical bars at `x`, and horizontal ones between `across` in their middle where given."""
        self.vertical = x, low, high
        ends_x, ends_y = np.repeat(x, 2), np.stack([low, high], axis=1).ravel()
        if across is not None:
            ends_x = np.concatenate([ends_x, np.stack(across, axis=1).ravel()])
            ends_y = np.concatenate([ends_y, np.repeat(0.5 * (low + high), 2)])
        self.setData(ends_x, ends_y, connect="pairs")
