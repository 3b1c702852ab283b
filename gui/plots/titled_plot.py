"""A plot with a line above it that says what is shown."""

from __future__ import annotations

from .. import theme
from .plot import Plot


class TitledPlot(Plot):
    """A plot whose title may change with what it shows."""

    title = ""

    def tell(self, title: str) -> None:
        """Show a title; an empty one takes no room."""
        self.title = title
        self.item.setTitle(title or None, color=theme.current().text, size=f"{theme.FONT_PT}pt")

    def clear(self) -> None:
        """Take away what is shown, and the title."""
        super().clear()
        self.tell("")

    def retheme(self) -> None:
        """Take the colours of the theme in use."""
        super().retheme()
        self.tell(self.title)
