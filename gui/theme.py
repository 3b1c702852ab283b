"""Light and dark: the colours, lines and fonts of the whole window, readable on a projector.

A plot asks `current()` for its colours when it draws and connects `notifier.changed` to a method that
draws again. Nothing else in `gui` names a colour.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pyqtgraph as pg
from qtpy import QtCore, QtGui, QtWidgets

FONT_PT = 11
LINE_PX = 2.0
"""Width of a curve; a thin one (a dense trace) has `THIN_PX`."""
THIN_PX = 1.5


@dataclass(frozen=True)
class Theme:
    """The colours of one theme, as "#rrggbb"; `x0`, `x_minus`, ... are what curves stand for."""

    name: str
    window: str
    panel: str
    """Fields, tables and plots."""
    text: str
    faint: str
    """Units, hints, grid."""
    line: str
    """Borders."""
    accent: str
    good: str
    warning: str
    bad: str
    trace: str
    """Photons against time."""
    bias: str
    x0: str
    x_minus: str
    now: str
    """What the dot does just now."""
    fit: str
    mark: str
    g2: str
    current: str
    """Of the cell."""
    colours_of_count: str
    """Name of a pyqtgraph colour map, its first colour like the panel."""
    colours_of_bias: str


LIGHT = Theme(
    name="light",
    window="#f3f4f6",
    panel="#ffffff",
    text="#1b1f24",
    faint="#69717c",
    line="#cdd3da",
    accent="#1f5fbf",
    good="#1a7f37",
    warning="#b35900",
    bad="#c62828",
    trace="#3b4754",
    bias="#d1570c",
    x0="#1f4e9c",
    x_minus="#c0392b",
    now="#1a8a5a",
    fit="#000000",
    mark="#d40000",
    g2="#6b3fa0",
    current="#0b7285",
    colours_of_count="CET-L17",
    colours_of_bias="viridis",
)
DARK = Theme(
    name="dark",
    window="#1d2126",
    panel="#14171b",
    text="#e8ebef",
    faint="#98a2ae",
    line="#3a424c",
    accent="#5aa2ff",
    good="#4cc66d",
    warning="#ffb454",
    bad="#ff6b6b",
    trace="#c3ccd6",
    bias="#ff9f43",
    x0="#6ea8ff",
    x_minus="#ff7b72",
    now="#56d364",
    fit="#ffffff",
    mark="#ff4d4d",
    g2="#c79bff",
    current="#4dd0e1",
    colours_of_count="inferno",
    colours_of_bias="viridis",
)
THEMES = {theme.name: theme for theme in (LIGHT, DARK)}


class _Notifier(QtCore.QObject):
    changed = QtCore.Signal()


notifier = _Notifier()
"""Its signal `changed` tells that another theme is the current one."""
_current = LIGHT


def current() -> Theme:
    """The theme that is shown."""
    return _current


def apply(name: str) -> None:
    """Make "light" or "dark" the theme of the application; raises KeyError for another name."""
    global _current
    _current = THEMES[name]
    pg.setConfigOptions(background=_current.panel, foreground=_current.text)
    app = QtWidgets.QApplication.instance()
    sheet = _STYLE_SHEET % asdict(_current)
    if isinstance(app, QtWidgets.QApplication) and app.styleSheet() != sheet:
        app.setStyle("Fusion")
        font = app.font()
        font.setPointSize(FONT_PT)
        app.setFont(font)
        app.setPalette(_palette(_current))
        app.setStyleSheet(sheet)
    notifier.changed.emit()


def pen(colour: str, width_px: float = LINE_PX, *, dashed: bool = False) -> QtGui.QPen:
    """A pen whose width is in pixels of the screen, whatever the zoom."""
    style = QtCore.Qt.PenStyle.DashLine if dashed else QtCore.Qt.PenStyle.SolidLine
    return pg.mkPen(colour, width=width_px, style=style)


def text_width_px(text: str) -> int:
    """How wide a text is in the font of axes' names."""
    font = QtGui.QFont()
    font.setPointSize(FONT_PT)
    return QtGui.QFontMetrics(font).horizontalAdvance(text)


def style_plot(item: pg.PlotItem) -> None:
    """Give axes, labels, title and background of a plot the colours and fonts of the current theme."""
    theme = current()
    font = QtGui.QFont()
    font.setPointSize(FONT_PT - 1)
    for name in ("left", "bottom", "right", "top"):
        axis = item.getAxis(name)
        axis.setPen(pen(theme.faint, 1.0))
        axis.setTextPen(pen(theme.text, 1.0))
        axis.setTickFont(font)
        axis.labelStyle = {"color": theme.text, "font-size": f"{FONT_PT}pt"}
        axis.label.setHtml(axis.labelString())
    if item.titleLabel.text:
        item.setTitle(item.titleLabel.text, color=theme.text, size=f"{FONT_PT}pt")
    if (view := item.getViewWidget()) is not None:
        view.setBackground(theme.panel)


def _palette(theme: Theme) -> QtGui.QPalette:
    roles = {
        "Window": theme.window,
        "WindowText": theme.text,
        "Base": theme.panel,
        "AlternateBase": theme.window,
        "Text": theme.text,
        "Button": theme.window,
        "ButtonText": theme.text,
        "ToolTipBase": theme.panel,
        "ToolTipText": theme.text,
        "PlaceholderText": theme.faint,
        "Highlight": theme.accent,
        "HighlightedText": theme.panel,
        "Link": theme.accent,
        "BrightText": theme.bad,
        **dict.fromkeys(("Light", "Midlight", "Mid", "Dark"), theme.line),  # edges of tabs and of bars
    }
    palette = QtGui.QPalette()
    for role, colour in roles.items():
        palette.setColor(getattr(QtGui.QPalette, role), QtGui.QColor(colour))
    for role in ("WindowText", "Text", "ButtonText"):
        palette.setColor(QtGui.QPalette.Disabled, getattr(QtGui.QPalette, role), QtGui.QColor(theme.faint))
    return palette


_STYLE_SHEET = """
QMainWindow::separator { background: %(line)s; width: 3px; height: 3px; }
QDockWidget { font-weight: bold; }
QDockWidget::title { background: %(window)s; padding: 5px 8px; }
QLineEdit, QPlainTextEdit, QTableView, QTableWidget, QListView, QTreeView {
    background: %(panel)s; border: 1px solid %(line)s; border-radius: 4px;
    selection-background-color: %(accent)s; selection-color: %(panel)s; }
QLineEdit { padding: 3px 6px; min-height: 20px; }
QComboBox QLineEdit, QSpinBox QLineEdit { border: none; padding: 0; }
QComboBox, QSpinBox { min-height: 28px; }
QLineEdit:focus, QPlainTextEdit:focus { border: 1px solid %(accent)s; }
QLineEdit[wrong="true"], QComboBox[wrong="true"], QPlainTextEdit[wrong="true"] { border: 2px solid %(bad)s; }
QPushButton { background: %(panel)s; border: 1px solid %(line)s; border-radius: 4px;
    padding: 5px 12px; }
QPushButton:hover { border-color: %(accent)s; }
QPushButton:disabled { color: %(faint)s; background: %(window)s; }
QPushButton:checked { background: %(accent)s; color: %(panel)s; }
QPushButton#primary { background: %(accent)s; color: %(panel)s; font-weight: bold; border: none; }
QPushButton#primary:disabled { background: %(line)s; color: %(faint)s; }
QPushButton#redStop { background: #d40000; color: #ffffff; font-weight: bold; font-size: 15pt;
    border: 2px solid #8e0000; border-radius: 6px; padding: 6px 26px; }
QPushButton#redStop:hover, QPushButton#redStop:pressed { background: #ff1a1a; }
QLabel#simulated { background: #ffcf33; color: #1b1f24; font-weight: bold; font-size: 14pt;
    padding: 5px 16px; border-radius: 6px; }
QLabel[faint="true"] { color: %(faint)s; }
QLabel[verdict="good"] { color: %(good)s; }
QLabel[verdict="bad"] { color: %(bad)s; }
QHeaderView::section { background: %(window)s; border: none; border-bottom: 1px solid %(line)s;
    padding: 4px 6px; }
QCheckBox::indicator { width: 14px; height: 14px; border: 1px solid %(faint)s; border-radius: 3px;
    background: %(panel)s; }
QCheckBox::indicator:checked { background: %(accent)s; border: 1px solid %(accent)s; }
QTabBar::tab { padding: 7px 16px; }
QTabBar::tab:selected { color: %(accent)s; }
QProgressBar { border: 1px solid %(line)s; border-radius: 4px; background: %(panel)s; max-height: 12px; }
QProgressBar::chunk { background: %(accent)s; border-radius: 3px; }
QToolTip { background: %(panel)s; color: %(text)s; border: 1px solid %(line)s; padding: 3px; }
"""
