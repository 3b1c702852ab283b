"""Questions that an instrument has for the operator, asked from a run's thread and answered in the window."""

from __future__ import annotations

import threading

from qtpy import QtCore, QtWidgets


class Asker(QtCore.QObject):
    """Shows one question at a time; whoever asks waits for the answer."""

    _asked = QtCore.Signal(str)

    def __init__(self, window: QtWidgets.QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._one = threading.Lock()
        self._answered = threading.Event()
        self._answer = ""
        self.dialog: QtWidgets.QInputDialog | None = None
        self._asked.connect(self._show)

    def ask(self, question: str) -> str:
        """The operator's answer, empty when there was none; must not be called in the GUI thread."""
        with self._one:
            self._answered.clear()
            self._asked.emit(question)
            self._answered.wait()
            return self._answer

    def give_up(self) -> None:
        """Answer the question that is shown with nothing."""
        if self.dialog is not None:
            self.dialog.reject()

    def _show(self, question: str) -> None:
        self.dialog = dialog = QtWidgets.QInputDialog(self._window)
        dialog.setWindowTitle("The rig asks")
        dialog.setLabelText(question)
        dialog.finished.connect(self._take)
        dialog.setWindowModality(QtCore.Qt.WindowModality.NonModal)  # the red stop works meanwhile
        dialog.show()

    def _take(self, result: int) -> None:
        assert self.dialog is not None
        accepted = result == QtWidgets.QDialog.Accepted
        self._answer = self.dialog.textValue() if accepted else ""
        self.dialog.deleteLater()
        self.dialog = None
        self._answered.set()
