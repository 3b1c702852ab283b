"""The queue as a person sees and steers it."""

from __future__ import annotations

from collections.abc import Callable

from qtpy import QtCore, QtGui, QtWidgets

from . import theme
from .run_queue import Job, RunQueue, State
from .words import duration

COLUMNS = ("", "run", "state")
_COLOURS = {
    State.WAITING: "faint",
    State.RUNNING: "accent",
    State.FINISHED: "good",
    State.ABORTED: "warning",
    State.FAILED: "bad",
}


class QueuePanel(QtWidgets.QWidget):
    """A row per job; buttons act on the run that goes on, on the queue, or on the chosen jobs."""

    reopen = QtCore.Signal(object)
    """Path of the run file of a job that was double-clicked."""

    def __init__(self, queue: RunQueue, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.queue = queue
        self.table = QtWidgets.QTableWidget(0, len(COLUMNS))
        self.table.setHorizontalHeaderLabels(COLUMNS)
        self.table.setShowGrid(False)
        self.table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectRows)
        self.table.setEditTriggers(QtWidgets.QAbstractItemView.NoEditTriggers)
        header, numbers = self.table.horizontalHeader(), self.table.verticalHeader()
        assert header is not None
        assert numbers is not None
        numbers.hide()
        header.setSectionResizeMode(0, QtWidgets.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(1, QtWidgets.QHeaderView.Stretch)
        header.setSectionResizeMode(2, QtWidgets.QHeaderView.ResizeToContents)
        self.table.doubleClicked.connect(self._reopen)
        self.abort = self._button("Abort", "end the run that goes on (Ctrl+.)", queue.abort)
        self.pause = self._button(
            "Pause", "in the dark, at the next point where the run allows it", queue.pause
        )
        self.pause.setCheckable(True)
        self.hold = self._button("Hold", "start no further run (Ctrl+H)", queue.hold)
        self.hold.setCheckable(True)
        self.up = self._button("↑", "move the chosen runs up", lambda: self._move(-1), QtWidgets.QToolButton)
        self.down = self._button(
            "↓", "move the chosen runs down", lambda: self._move(1), QtWidgets.QToolButton
        )
        self.remove = self._button("Remove", "take the chosen runs off the list", self._remove)
        self.go_on = QtWidgets.QCheckBox("go on after a failed run")
        self.go_on.toggled.connect(self._set_go_on)
        buttons = QtWidgets.QHBoxLayout()
        for button in (self.abort, self.pause, self.hold, self.up, self.down, self.remove):
            buttons.addWidget(button)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(10, 6, 10, 8)
        layout.addWidget(self.table, 1)
        layout.addLayout(buttons)
        layout.addWidget(self.go_on)
        queue.changed.connect(self._renew)
        queue.progressed.connect(self._tell_progress)
        queue.prepared.connect(self._renew)
        theme.notifier.changed.connect(self._renew)
        self._renew()

    def chosen(self) -> list[Job]:
        """The jobs whose rows are chosen."""
        rows = sorted({index.row() for index in self.table.selectedIndexes()})
        return [self.queue.jobs[row] for row in rows]

    def _button(
        self,
        text: str,
        help_text: str,
        action: Callable[..., None],
        kind: type[QtWidgets.QAbstractButton] = QtWidgets.QPushButton,
    ) -> QtWidgets.QAbstractButton:
        button = kind()
        button.setText(text)
        button.setToolTip(help_text)
        button.clicked.connect(action)
        return button

    def _renew(self, _job: Job | None = None) -> None:
        jobs = self.queue.jobs
        self.table.setRowCount(len(jobs))
        for row, job in enumerate(jobs):
            colour = getattr(theme.current(), _COLOURS[job.state])
            cells = (str(job.number), _name(job), job.state.value)
            for column, text in enumerate(cells):
                item = QtWidgets.QTableWidgetItem(text)
                item.setToolTip(job.message or "\n".join(job.request.overrides))
                if column == 2:
                    item.setForeground(QtGui.QColor(colour))
                self.table.setItem(row, column, item)
        self.abort.setEnabled(self.queue.running is not None)
        procedure = self.queue.running and self.queue.running.procedure
        self.pause.setVisible(procedure is not None and procedure.pausable)
        if procedure is None:
            self.pause.setChecked(False)
        self.hold.setChecked(self.queue.held)
        self.hold.setText("Held" if self.queue.held else "Hold")

    def _tell_progress(self, job: Job) -> None:
        paused = job.progress is not None and bool(job.progress.paused)
        left = "" if job.left_s is None else f", {duration(job.left_s)}"
        if job in self.queue.jobs and (item := self.table.item(self.queue.jobs.index(job), 2)):
            item.setText("paused" if paused else f"{job.fraction * 100:.0f} %{left}")
            item.setForeground(QtGui.QColor(theme.current().warning if paused else theme.current().accent))

    def _move(self, by: int) -> None:
        jobs = self.chosen()
        for job in jobs[:: -1 if by > 0 else 1]:
            self.queue.move(job, by)
        self.table.clearSelection()
        for job in jobs:
            self.table.selectRow(self.queue.jobs.index(job))

    def _remove(self) -> None:
        for job in self.chosen():
            self.queue.remove(job)

    def _set_go_on(self, go_on: bool) -> None:
        self.queue.go_on_after_failure = go_on

    def _reopen(self, index: QtCore.QModelIndex) -> None:
        if (path := self.queue.jobs[index.row()].path) is not None:
            self.reopen.emit(path)


def _name(job: Job) -> str:
    name = job.request.title or job.request.experiment
    return f"{job.request.label} – {name}" if job.request.label else name
