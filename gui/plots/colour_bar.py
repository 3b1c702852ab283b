"""The bar that tells what the colours of an image mean."""

from __future__ import annotations

import pyqtgraph as pg
from qtpy import QtGui

from .. import theme


class ColourBar(pg.ColorBarItem):
    """A bar beside a plot; it sets colours and levels of its image."""

    def __init__(self, image: pg.ImageItem, beside: pg.PlotItem) -> None:
        super().__init__(interactive=False, width=14, colorMapMenu=False)
        self.text = self._short = ""
        self._view = beside.getViewBox()
        self._view.sigResized.connect(self.retheme)
        self.setImageItem(image, insert_in=beside)

    def name(self, text: str, short: str = "") -> None:
        """Name what is shown, with its unit; `short` stands there where the bar is shorter than the text."""
        self.text, self._short = text, short or text
        self.retheme()

    def use_map(self, name: str, skip: float = 0.0) -> None:
        """Take a colour map by its name; `skip` is the part of it left out where it begins."""
        whole = pg.colormap.get(name)
        if whole is None:
            raise KeyError(f"no colour map is called {name!r}")
        table = whole.getLookupTable(start=skip, nPts=256)
        self.setColorMap(pg.ColorMap(None, table))

    def show_levels(self, low: float, high: float) -> None:
        """The numbers that the first and the last colour stand for."""
        if (low, high) != self.levels():
            self.setLevels((low, high))

    def retheme(self) -> None:
        """Take the colours of the theme in use."""
        colours, font = theme.current(), QtGui.QFont()
        font.setPointSize(theme.FONT_PT - 1)
        for side in ("left", "right", "top", "bottom"):
            self.getAxis(side).setPen(theme.pen(colours.faint, 1.0))
        self.axis.setTickFont(font)
        self.axis.setTextPen(theme.pen(colours.text, 1.0))
        self.axis.setWidth(None)
        fits = theme.text_width_px(self.text) <= self._view.height()
        self.axis.setLabel(
            self.text if fits else self._short, **{"color": colours.text, "font-size": f"{theme.FONT_PT}pt"}
        )
