"""What every plot shares: named axes, the theme's colours, ranges that follow the data without flicker."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike, NDArray
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent
from qtpy import QtWidgets

from .. import theme
from .error_bars import ErrorBars

HEADROOM = 0.15
"""Part of the data's span that is left free where a range is made anew."""
SHRINK_BELOW = 0.4
"""A range is made narrower when the data fill less than this part of it."""

BESIDE_AXIS_PX, BELOW_AXIS_PX = 60, 50
"""Room of a plot that its lower axis, and those on its sides, do not have for their names."""
MOST_IN_A_COLUMN = 5
"""Entries of a legend above which it has two columns."""

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Abscissa and ordinate of a drawn curve, in the units of the axes."""


class LogAxis(pg.AxisItem):
    """An axis over decimal logarithms that names the numbers themselves: 1, 2, 5, 10, ..."""

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:
        """Major ticks with numbers, then minor ones without."""
        decades = range(math.floor(minVal), math.ceil(maxVal) + 1)
        room = size / max(maxVal - minVal, 1e-9)  # pixels per decade
        steps = (1, 2, 5) if room > 130 else (1, 3) if room > 75 else (1,)
        every = max(1, math.ceil(40 / room))
        major = [k + math.log10(m) for k in decades if k % every == 0 for m in steps]
        minor = [k + math.log10(m) for k in decades for m in range(2, 10)] if room > 25 else []
        inside = [[t for t in ticks if minVal <= t <= maxVal] for ticks in (major, minor)]
        return [(1.0, inside[0]), (0.0, inside[1])]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """The numbers whose logarithms are given."""
        return ["" if spacing == 0.0 else _plain(10**value) for value in values]


def _plain(value: float) -> str:
    """A number as one writes it by hand; powers of ten beyond 0.001 and 10 000."""
    if 9.99e-4 < value < 1.001e4:
        return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    power = round(math.log10(value))
    lead = value / 10**power
    raised = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if abs(lead - 1) < 1e-3 else f"{lead:.0f}·10{raised}"


TOP_RIGHT, TOP_LEFT, BOTTOM_RIGHT, BOTTOM_LEFT = (-8, 6), (8, 6), (-8, -6), (8, -6)
"""Where a legend stands."""


class Plot(pg.PlotWidget):
    """A plot with two named axes; double-click makes it follow its data again after zooming.

    Units stand in the axes' names; numbers are never scaled by the plot on its own. Curves are drawn under a
    name, which is also their entry in `curves` and, where the plot has one, in the legend.
    """

    def __init__(
        self,
        x: str,
        y: str,
        *,
        log_x: bool = False,
        log_y: bool = False,
        legend: tuple[int, int] | None = None,
        parent: QtWidgets.QWidget | None = None,
    ) -> None:
        axes = {"bottom": log_x, "left": log_y}
        super().__init__(
            parent, axisItems={side: (LogAxis if log else pg.AxisItem)(side) for side, log in axes.items()}
        )
        del self.clear  # pyqtgraph puts the item's own in front of the method: it would take everything away
        self.log_x, self.log_y, self.following = log_x, log_y, True
        self._lines: dict[str, tuple[pg.PlotDataItem, str, float]] = {}
        self._bars: dict[str, tuple[ErrorBars, str]] = {}
        self._wanted: dict[str, tuple[float, float] | None] = {"x": None, "y": None}
        self._axis_names: dict[str, tuple[str, str]] = {}
        item = self.item
        item.hideButtons()
        item.setContentsMargins(2, 8, 10, 2)  # half a number over the ends of the axes
        item.setMenuEnabled(False, enableViewBoxMenu="same")
        item.getViewBox().disableAutoRange()
        self.setMinimumSize(220, 160)
        self.name_axis("bottom", x)
        self.name_axis("left", y)
        self._legend = legend and item.addLegend(offset=legend, verSpacing=-5)
        item.getViewBox().sigResized.connect(self._fit_axis_names)
        item.getViewBox().sigRangeChangedManually.connect(self._stop_following)
        theme.notifier.changed.connect(self._take_theme)
        self.graphics_scene.sigMouseClicked.connect(self._follow_on_double_click)
        self.setToolTip("drag to move, wheel to zoom, double-click to follow the data again")
        self.retheme()

    @property
    def item(self) -> pg.PlotItem:
        """The plot within this widget."""
        found = self.getPlotItem()
        assert found is not None
        return found

    @property
    def graphics_scene(self) -> pg.GraphicsScene:
        """The scene that items outside the plot's own view are put into."""
        found = self.scene()
        assert isinstance(found, pg.GraphicsScene)
        return found

    # ---- what is shown, read back ----

    def curves(self) -> dict[str, Curve]:
        """Every curve as it is drawn now, by its name, in the units of the axes; those without points too."""
        return {name: self._read(line) for name, (line, _, _) in self._lines.items()}

    def axis_name(self, side: str) -> str:
        """Name and unit of the axis on one side: bottom, left or right."""
        return self._axis_names[side][0]

    def shown_range(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """What part is shown, in the units of the axes: horizontally, vertically."""
        x, y = self.item.getViewBox().viewRange()
        return tuple(10 ** np.array(x) if self.log_x else x), tuple(10 ** np.array(y) if self.log_y else y)

    def clear(self) -> None:
        """Take away what is shown; the axes stay, and the plot follows its data again."""
        for drawn in (*self._lines.values(), *self._bars.values()):
            self.item.removeItem(drawn[0])
        self._lines.clear()
        self._bars.clear()
        self.following = True

    # ---- for the plots ----

    def name_axis(self, side: str, text: str, short: str = "") -> None:
        """Name an axis, with its unit in the text; `short` is what stands there where there is less room."""
        self._axis_names[side] = text, short or text
        self._fit_axis_name(side)

    def draw(
        self, name: str, x: ArrayLike, y: ArrayLike, pen: str, *, width: float = theme.LINE_PX,
        legend: str | None = None, **style: object,
    ) -> pg.PlotDataItem:  # fmt: skip
        """Draw a curve under a name, or give the one of that name other points.

        `pen` names a colour of the theme or is one, "#rrggbb"; without a width only symbols are drawn.
        """
        if name not in self._lines:
            line = pg.PlotDataItem(**style, pen=None)
            self._lines[name] = (line, pen, width)
            self.item.addItem(line)
            self._colour(line, pen, width)
            if self._legend is not None and legend is not None:
                self._legend.addItem(line, legend)
                self._legend.setColumnCount(1 + (len(self._legend.items) > MOST_IN_A_COLUMN))
                self._colour_legend()
        line, known_pen, _ = self._lines[name]
        if pen != known_pen:
            self._lines[name] = line, pen, width
            self._colour(line, pen, width)
        line.setData(self.at_x(x), self.at_y(y))
        if self._legend is not None and legend is not None:
            label = self._legend.getLabel(line)
            if label is not None and label.text != legend:
                label.setText(legend)
        return line

    def draw_bars(
        self, name: str, x: ArrayLike, y: ArrayLike, y_error: ArrayLike, pen: str,
        *, x_error: ArrayLike | None = None,
    ) -> None:  # fmt: skip
        """Draw standard errors of the points of a name; those that are not finite are left out."""
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        y_error = np.where(np.isfinite(y_error), y_error, 0.0)
        if name not in self._bars:
            self._bars[name] = ErrorBars(), pen
            self.item.addItem(self._bars[name][0])
        self._bars[name] = self._bars[name][0], pen
        low, high = _ends(y, y_error, self.log_y)
        good = np.isfinite(self.at_x(x)) & np.isfinite(self.at_y(y))
        across = None
        if x_error is not None:
            left, right = _ends(x, np.where(np.isfinite(x_error), x_error, 0.0), self.log_x)
            across = self.at_x(left)[good], self.at_x(right)[good]
        bars = self._bars[name][0]
        bars.show_bars(self.at_x(x)[good], self.at_y(low)[good], self.at_y(high)[good], across=across)
        bars.setPen(theme.pen(colour_of(pen), theme.THIN_PX))

    def forget(self, names: Iterable[str]) -> None:
        """Take away the curves of these names, where there are such."""
        for name in names:
            if name in self._lines:
                self.item.removeItem(self._lines.pop(name)[0])

    def at_x(self, x: ArrayLike) -> NDArray[np.float64]:
        """Where numbers lie along the horizontal axis of the view: nan where a logarithm has no place."""
        return _place(x, self.log_x)

    def at_y(self, y: ArrayLike) -> NDArray[np.float64]:
        """Where numbers lie along the vertical axis of the view."""
        return _place(y, self.log_y)

    def follow_x(self, low: float, high: float, *, steady: bool = True, from_zero: bool = False) -> None:
        """Show at least this range, in the units of the axis, unless somebody has zoomed."""
        self._follow("x", low, high, self.log_x, steady, at_zero=from_zero)

    def follow_y(self, low: float, high: float, *, steady: bool = True) -> None:
        """Show at least this range, in the units of the axis, unless somebody has zoomed; zero is an end."""
        self._follow("y", low, high, self.log_y, steady, at_zero=low == 0.0)

    def show_all(self) -> None:
        """Show both whole ranges that the data ask for."""
        x, y = self._wanted["x"], self._wanted["y"]
        if x is not None or y is not None:
            self.item.getViewBox().setRange(xRange=x, yRange=y, padding=0)

    def retheme(self) -> None:
        """Take the colours of the theme in use."""
        theme.style_plot(self.item)
        for side in ("bottom", "left", "right"):
            axis = self.item.getAxis(side)
            axis.setStyle(autoReduceTextSpace=False)
            axis.resizeEvent()
        for line, pen, width in self._lines.values():
            self._colour(line, pen, width)
        for bars, pen in self._bars.values():
            bars.setPen(theme.pen(colour_of(pen), theme.THIN_PX))
        self._colour_legend()

    # ---- inside ----

    def _take_theme(self) -> None:
        if self.getPlotItem() is not None:  # closed plots have none
            self.retheme()

    def _fit_axis_names(self) -> None:
        for side in self._axis_names:
            self._fit_axis_name(side)

    def _fit_axis_name(self, side: str) -> None:
        axis, (text, short) = self.item.getAxis(side), self._axis_names[side]
        room = self.width() - BESIDE_AXIS_PX if side == "bottom" else self.height() - BELOW_AXIS_PX
        shown = text if theme.text_width_px(text) <= room else short
        axis.enableAutoSIPrefix(False)
        if axis.labelText != shown:
            axis.setLabel(shown)
            axis.resizeEvent()  # or the label stands where the one before began

    def _read(self, line: pg.PlotDataItem) -> Curve:
        x, y = line.getOriginalDataset()
        if x is None or y is None:
            return np.empty(0), np.empty(0)
        return (10.0**x if self.log_x else x), (10.0**y if self.log_y else y)

    def _colour(self, line: pg.PlotDataItem, pen: str, width: float) -> None:
        colour = colour_of(pen)
        if width:
            line.setPen(theme.pen(colour, width))
        if line.opts["symbol"] is not None:
            line.setSymbolBrush(colour)
            line.setSymbolPen(None)
        if line.opts["fillLevel"] is not None:
            line.setFillBrush(colour + "60")

    def _colour_legend(self) -> None:
        if self._legend is None:
            return
        colours = theme.current()
        self._legend.setBrush(colours.panel + "b0")
        for _, label in self._legend.items:
            label.setText(label.text, color=colours.text, size=f"{theme.FONT_PT - 1}pt")

    def _follow(self, axis: str, low: float, high: float, log: bool, steady: bool, *, at_zero: bool) -> None:
        if not (math.isfinite(low) and math.isfinite(high)) or (log and low <= 0):
            return
        ends = (math.log10(low), math.log10(high)) if log else (low, high)
        shown = self._wanted[axis] if steady else None
        wanted = steady_range(shown, *ends, at_zero=at_zero) if steady else ends
        self._wanted[axis] = wanted
        if self.following:
            self._show(axis, wanted)

    def _show(self, axis: str, wanted: tuple[float, float]) -> None:
        box = self.item.getViewBox()
        now = box.viewRange()[0 if axis == "x" else 1]
        if wanted[1] > wanted[0] and not np.allclose(
            now, wanted, rtol=0, atol=1e-9 * (wanted[1] - wanted[0])
        ):
            (box.setXRange if axis == "x" else box.setYRange)(*wanted, padding=0)

    def _stop_following(self, *_: object) -> None:
        self.following = False

    def _follow_on_double_click(self, event: MouseClickEvent) -> None:
        if event.double():
            self.following = True
            self.show_all()


def colour_of(pen: str) -> str:
    """The colour that the theme in use has for a name; a colour such as "#rrggbb" stands for itself."""
    return pen if pen.startswith("#") else getattr(theme.current(), pen)


def steady_range(
    shown: tuple[float, float] | None, low: float, high: float, *, at_zero: bool = False
) -> tuple[float, float]:
    """The range that was shown, while the data fit into it and fill it; else a new one with some headroom."""
    span = high - low
    if (
        shown is not None
        and shown[0] <= low
        and high <= shown[1]
        and (span >= SHRINK_BELOW * (shown[1] - shown[0]) or span == 0)
    ):
        return shown
    free = HEADROOM * span if span > 0 else 0.1 * abs(high) or 1.0
    return (low if at_zero else low - free), high + free


def _ends(
    value: NDArray[np.float64], error: NDArray[np.float64], log: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper end of error bars; on a logarithmic axis the lower end stays above zero."""
    low = value - error
    return np.maximum(low, 1e-3 * np.abs(value)) if log else low, value + error


def _place(numbers: ArrayLike, log: bool) -> NDArray[np.float64]:
    numbers = np.asarray(numbers, np.float64)
    if not log:
        return numbers
    return np.log10(np.where(numbers > 0, numbers, np.nan))
