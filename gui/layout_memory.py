"""The window's layout, theme and folder from one session to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy import QtCore, QtWidgets

if TYPE_CHECKING:
    from .lab_window import LabWindow


def window_settings() -> QtCore.QSettings:
    """Where everything is remembered."""
    return QtCore.QSettings(
        QtCore.QSettings.defaultFormat(), QtCore.QSettings.Scope.UserScope, "qdlab", "lab window"
    )


def restore_layout(window: LabWindow) -> None:
    """Put everything where it was the last time."""
    stored = window_settings()
    if (geometry := stored.value("geometry")) is not None:
        window.restoreGeometry(geometry)
    if (state := stored.value("state")) is not None:
        window.restoreState(state)
    for name, splitter in _splitters(window):
        if (state := stored.value(f"splitter/{name}")) is not None:
            splitter.restoreState(state)
    window.options.out.setText(str(stored.value("out", "runs")))
    window.tabs.setCurrentIndex(int(stored.value("tab", 0)))


def save_layout(window: LabWindow) -> None:
    """Remember where everything is."""
    stored = window_settings()
    stored.setValue("geometry", window.saveGeometry())
    stored.setValue("state", window.saveState())
    for name, splitter in _splitters(window):
        stored.setValue(f"splitter/{name}", splitter.saveState())
    stored.setValue("out", window.options.out.text())
    stored.setValue("tab", window.tabs.currentIndex())


def _splitters(window: LabWindow) -> list[tuple[str, QtWidgets.QSplitter]]:
    tabs = [tab for index in range(window.tabs.count()) if (tab := window.tabs.widget(index)) is not None]
    return [
        (f"{type(tab).__name__}/{number}", splitter)
        for tab in tabs
        for number, splitter in enumerate(tab.findChildren(QtWidgets.QSplitter))
    ]
