"""`qdlab gui`: start the application and keep its window alive."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

os.environ.setdefault("QT_API", "pyqt5")

from qtpy import QtCore, QtWidgets

from .defects import Defects
from .lab_window import LabWindow

SWITCH_S = 0.002
"""How long a computing thread may keep the interpreter while the window waits for it."""


def run_gui(path: str | None = None) -> int:
    """Show the window; `path` is a station (TOML or name) or a run file. Returns the exit status."""
    app = QtWidgets.QApplication.instance() or QtWidgets.QApplication(sys.argv[:1])
    app.setApplicationName("qdlab")
    sys.setswitchinterval(SWITCH_S)
    run_file = Path(path) if path is not None and Path(path).suffix == ".h5" else None
    window = LabWindow(None if run_file else path)
    Defects(window).catch()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: window.close())
    awake = QtCore.QTimer()
    awake.timeout.connect(lambda: None)  # the interpreter sees signals only when it runs
    awake.start(200)
    window.show()
    if run_file is not None:
        window.open_path(run_file)
    return app.exec_()


def main() -> None:
    """The console script `qdlab-gui`."""
    sys.exit(run_gui(sys.argv[1] if len(sys.argv) > 1 else None))
