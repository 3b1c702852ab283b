"""Intensity and potential on one time axis."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike, NDArray
from qtpy import QtWidgets

from .. import theme
from .plot import BOTTOM_RIGHT, Curve, Plot, steady_range
from .right_axis import RightAxis


class IntensityTrace(Plot):
    """Count rate against time on the left axis, the potential, where there is one, on the right one.

    A long trace is drawn by the extremes of its points, so that no peak is lost.
    """

    def __init__(
        self, reference: str = "", *, potential: bool = True, parent: QtWidgets.QWidget | None = None
    ) -> None:
        self._right: RightAxis | None = None
        super().__init__(
            "time (s)", "intensity (kc/s)", legend=None if potential else BOTTOM_RIGHT, parent=parent
        )
        self._potential_range: tuple[float, float] | None = None
        self._span_s: tuple[float, float] | None = None
        self._highest_khz: dict[str, float] = {}
        self._potential = pg.PlotDataItem(connect="finite")
        if potential:
            self._right = RightAxis(self, "potential (V)", "bias")
            self._right.add(self._potential)
            self.set_reference(reference)
        self.retheme()

    def set_reference(self, electrode: str) -> None:
        """Name the reference electrode of the potential."""
        self.name_axis("right", f"V vs. {electrode}" if electrode else "potential (V)", "potential (V)")

    def show_intensity(
        self, time_s: ArrayLike, rate_hz: ArrayLike, *, name: str = "intensity", pen: str = "trace"
    ) -> None:
        """Show a count rate (Hz) at evenly spaced times (s), arrays of one length; several by their names."""
        time_s, rate_khz = np.asarray(time_s, float), np.asarray(rate_hz, float) / 1e3
        line = self.draw(name, time_s, rate_khz, pen, width=theme.THIN_PX, legend=name)
        line.setClipToView(True)
        line.setDownsampling(auto=True, method="peak")
        if len(time_s):
            if self._span_s is None:
                self.follow_x(time_s[0], max(time_s[-1], time_s[0] + 1e-3), steady=False)
            self._highest_khz[name] = float(np.nanmax(rate_khz, initial=0.0))
            self.follow_y(0.0, max(self._highest_khz.values()))

    def show_potential(self, time_s: ArrayLike, potential_v: ArrayLike) -> None:
        """Show the potential (V) at times (s); nan makes a gap. Arrays of one length."""
        potential_v = np.asarray(potential_v, float)
        self._potential.setData(np.asarray(time_s, float), potential_v)
        known = potential_v[np.isfinite(potential_v)]
        if len(known) and self._right is not None:
            self._potential_range = steady_range(self._potential_range, known.min(), known.max())
            self._right.show_range(*self._potential_range)

    def show_span(self, start_s: float, end_s: float) -> None:
        """Show this stretch of time, in seconds, from now on, whatever the data reach."""
        self._span_s = start_s, end_s
        self.follow_x(start_s, end_s, steady=False)

    def curves(self) -> dict[str, Curve]:
        """The curves: `potential` in volts, the others in kc/s, against seconds."""
        shown = super().curves()
        return shown | {"potential": self._read(self._potential)} if self._right is not None else shown

    def clear(self) -> None:
        """Take away what is shown."""
        super().clear()
        self._potential.setData(np.empty(0), np.empty(0))
        self._potential_range, self._span_s = None, None
        self._highest_khz.clear()

    def retheme(self) -> None:
        """Take the colours of the theme in use; the potential's axis has the colour of its curve."""
        super().retheme()
        if self._right is not None:
            self._potential.setPen(theme.pen(theme.current().bias))
            self._right.retheme()


def in_bins(trace: NDArray[np.generic], bin_s: float, most: int) -> tuple[NDArray[np.float64], float]:
    """Means over neighbouring entries so that at most `most` are left, and their width in seconds."""
    joined = max(1, -(-len(trace) // most))
    whole = np.asarray(trace[: len(trace) // joined * joined], np.float64)
    return whole.reshape(-1, joined).sum(axis=1) / joined, bin_s * joined


def centres_s(bins: int, bin_s: float, start_s: float = 0.0) -> NDArray[np.float64]:
    """Centres of equal time bins, in seconds, shape (bins,)."""
    return np.asarray(start_s + (np.arange(bins) + 0.5) * bin_s, np.float64)
