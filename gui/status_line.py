"""The line at the bottom: what the run does, how far it is, and the time left."""

from __future__ import annotations

from qtpy import QtCore, QtWidgets

from .run_queue import Job, RunQueue
from .words import duration


class StatusLine(QtWidgets.QWidget):
    """Phase and numbers of the run that goes on, a bar, and the time left."""

    def __init__(self, queue: RunQueue, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._queue = queue
        self.label = QtWidgets.QLabel("ready")
        self.bar = QtWidgets.QProgressBar()
        self.bar.setMaximum(1000)
        self.bar.setFixedWidth(220)
        self.bar.setTextVisible(False)
        self.left = QtWidgets.QLabel()
        self.left.setMinimumWidth(190)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(10, 2, 10, 2)
        layout.addWidget(self.label, 1)
        layout.addWidget(self.left)
        layout.addWidget(self.bar, 0, QtCore.Qt.AlignmentFlag.AlignVCenter)
        queue.progressed.connect(self._tell)
        queue.changed.connect(self._renew)
        self.bar.hide()

    def say(self, sentence: str) -> None:
        """Say something in passing."""
        self.label.setText(sentence)

    def _tell(self, job: Job) -> None:
        progress = job.progress
        if progress is None:
            return
        doing = progress.paused or progress.phase or "connecting"
        self.label.setText(f"run {job.number}: {doing}   {progress.told}")
        self.bar.setValue(round(1000 * job.fraction))
        left = "" if job.left_s is None else f", {duration(job.left_s)} left"
        self.left.setText(f"{100 * job.fraction:.0f} %{left}")

    def _renew(self) -> None:
        running = self._queue.running is not None
        self.bar.setVisible(running)
        if not running:
            self.left.clear()
            self.bar.setValue(0)
