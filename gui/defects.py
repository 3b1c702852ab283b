"""Errors that nobody expected: logged and shown, while the window and the run go on."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from types import TracebackType

from qtpy import QtCore, QtWidgets

from .dialogs import show_beside

log = logging.getLogger(__name__)


class Defects(QtCore.QObject):
    """Shows one box at a time over a window; every defect is in the log. May be told from any thread."""

    _told = QtCore.Signal(str, str)

    def __init__(self, window: QtWidgets.QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._told.connect(self._show)

    def catch(self) -> None:
        """Take what Python would print: otherwise an error in a slot ends the program."""
        sys.excepthook = self.tell

        def in_thread(arguments: threading.ExceptHookArgs) -> None:
            if arguments.exc_value is not None:
                self.tell(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)

        threading.excepthook = in_thread

    def tell(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Log an error and show it."""
        log.error("defect", exc_info=(kind, error, trace))
        self._told.emit(f"{kind.__name__}: {error}", "".join(traceback.format_exception(kind, error, trace)))

    def _show(self, headline: str, details: str) -> None:
        if self._window.findChild(QtWidgets.QMessageBox, "defect") is not None:
            return
        box = QtWidgets.QMessageBox(self._window)
        box.setObjectName("defect")
        box.setIcon(QtWidgets.QMessageBox.Critical)
        box.setWindowTitle("qdlab")
        box.setText(f"A defect of the program; what goes on goes on.\n\n{headline}")
        box.setDetailedText(details)
        show_beside(box)
