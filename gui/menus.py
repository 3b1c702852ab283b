"""Menus and keys of the lab window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy import QtCore, QtGui, QtWidgets

from . import theme
from .dialogs import open_file, save_file

if TYPE_CHECKING:
    from .lab_window import LabWindow

STOP_KEYS = ("F12", "Esc")
RUNS, EXPERIMENTS = "run files (*.h5)", "experiments (*.toml)"


def build_menus(window: LabWindow) -> None:
    """Fill the menu bar; every key works wherever the focus is."""
    file, run, view = (_menu(window, name) for name in ("&File", "&Run", "&View"))
    _action(file, "&Open run …", lambda: _open_run(window), "Ctrl+O")
    _action(file, "&Load experiment …", lambda: _load_experiment(window), "Ctrl+L")
    _action(file, "&Save experiment …", lambda: _save_experiment(window), "Ctrl+S")
    _action(file, "Run &folder …", window.options.choose_folder)
    file.addSeparator()
    _action(file, "&Quit", window.close, "Ctrl+Q")
    _action(run, "&Run", lambda: window.form.queue(), "Ctrl+Return")
    _action(run, "&Abort", window.queue.abort, "Ctrl+.")
    _action(run, "&Hold or release the queue", lambda: window.queue.hold(not window.queue.held), "Ctrl+H")
    run.addSeparator()
    _action(run, "RED &STOP", window.red_stop, *STOP_KEYS)
    for name in theme.THEMES:
        _action(view, f"{name.capitalize()} theme", lambda name=name: window.set_theme(name))
    view.addSeparator()
    for dock in window.docks.values():
        view.addAction(dock.toggleViewAction())
    for index in range(window.tabs.count()):
        shortcut = QtWidgets.QShortcut(QtGui.QKeySequence(f"Alt+{index + 1}"), window)
        shortcut.activated.connect(lambda index=index: window.tabs.setCurrentIndex(index))


def _menu(window: LabWindow, name: str) -> QtWidgets.QMenu:
    bar = window.menuBar()
    menu = bar and bar.addMenu(name)
    assert menu is not None
    return menu


def _action(menu: QtWidgets.QMenu, text: str, do: Callable[[], object], *keys: str) -> None:
    action = menu.addAction(text)
    assert action is not None
    action.setShortcuts([QtGui.QKeySequence(key) for key in keys])
    action.setShortcutContext(QtCore.Qt.ShortcutContext.ApplicationShortcut)

    def act() -> None:
        do()

    action.triggered.connect(act)


def _open_run(window: LabWindow) -> None:
    open_file(window, "Open a run", window.options.out.text(), RUNS, window.open_path)


def _load_experiment(window: LabWindow) -> None:
    open_file(window, "Load an experiment", "", EXPERIMENTS, window.load_experiment)


def _save_experiment(window: LabWindow) -> None:
    save_file(window, "Save the form", Path("experiment.toml"), EXPERIMENTS, window.save_experiment)
