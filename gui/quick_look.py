"""A run opened beside the window: its figures as plots that can be zoomed, and its numbers."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy import QtCore, QtGui, QtWidgets

from . import theme
from .experiment_tab import ExperimentTab
from .picture_tab import PictureTab
from .run_opener import OpenedRun, RunOpener
from .runs_model import photons_told
from .tabs import tab_classes
from .words import duration

if TYPE_CHECKING:
    from ..procedures.analyses import RunAnalysis
    from ..procedures.run_index import RunEntry

SIZE = (1200, 900)
PHOTONS_PER_S = 2e7
"""Photons that an analysis takes in a second, until one has shown it; for the time left."""
TELL_MS = 100
MONOSPACE = ["DejaVu Sans Mono", "Consolas", "Menlo", "monospace"]
COLUMNS = 110
"""Width of the numbers, in characters."""


class QuickLook(QtWidgets.QWidget):
    """Shows one run after the other; where several are asked for meanwhile, only the last one is opened."""

    shown = QtCore.Signal(object)
    """OpenedRun, when everything of it is shown."""
    refused = QtCore.Signal(object, str)
    """Path, message."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("qdlab quick look")
        self.resize(*SIZE)
        self.opened: OpenedRun | None = None
        """What is shown now."""
        self._opener = RunOpener(self._tab_of, self)
        self._opener.opened.connect(self._show)
        self._opener.refused.connect(self._refuse)
        self._tabs: dict[str, ExperimentTab] = {}
        self._reading: RunEntry | None = None
        self._next: RunEntry | None = None
        self._began_s, self._photons_per_s = 0.0, PHOTONS_PER_S
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(TELL_MS)
        self._timer.timeout.connect(self._tell_progress)
        self._lay_out()

    # ---- what others use ----

    def look_at(self, entry: RunEntry) -> None:
        """Open a run and show it when its analysis is done; the window stays usable."""
        self._next = entry
        if self._reading is None:
            self._read_next()

    @property
    def busy(self) -> bool:
        """True while a run is read and analyzed."""
        return self._reading is not None

    @property
    def view(self) -> ExperimentTab | None:
        """The plots that are shown."""
        found = self.views.currentWidget()
        return found if isinstance(found, ExperimentTab) else None

    def end(self) -> None:
        """Wait for the run that is being read, and forget it."""
        self._timer.stop()
        self._opener.close()

    # ---- inside ----

    def _lay_out(self) -> None:
        self.head, self.status = QtWidgets.QLabel(), QtWidgets.QLabel()
        self.head.setTextFormat(QtCore.Qt.TextFormat.RichText)
        self.progress = QtWidgets.QProgressBar()
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        self.progress.hide()
        self.views = QtWidgets.QStackedWidget()
        self.views.addWidget(QtWidgets.QLabel())
        self.numbers = QtWidgets.QPlainTextEdit()
        self.numbers.setReadOnly(True)
        self.numbers.setLineWrapMode(QtWidgets.QPlainTextEdit.LineWrapMode.NoWrap)
        font = QtGui.QFont()
        font.setFamilies(MONOSPACE)
        font.setStyleHint(QtGui.QFont.StyleHint.Monospace)
        font.setPointSize(theme.FONT_PT - 1)
        self.numbers.setFont(font)
        split = QtWidgets.QSplitter(QtCore.Qt.Orientation.Vertical)
        split.addWidget(self.views)
        split.addWidget(self.numbers)
        split.setSizes([680, 150])
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.head, 1)
        row.addWidget(self.progress, 1)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addLayout(row)
        layout.addWidget(self.status)
        layout.addWidget(split, 1)

    def _tab_of(self, kind: str) -> ExperimentTab | None:
        """Plots of our own for a kind of run; asked for by the opener's thread, made before that."""
        return self._tabs.get(kind)

    def _make_tab(self, kind: str) -> None:
        if kind not in self._tabs:
            made = next((one for one in tab_classes() if kind in one.kinds), PictureTab)
            self._tabs[kind] = made()
            self.views.addWidget(self._tabs[kind])

    def _read_next(self) -> None:
        entry, self._next = self._next, None
        if entry is None:
            return
        self._reading, self._began_s = entry, time.monotonic()
        self._make_tab(entry.kind)
        self.progress.show()
        self._timer.start()
        self._tell_progress()
        self._opener.open(entry.path)

    def _tell_progress(self) -> None:
        if self._reading is None:
            return
        expected_s = 0.5 + (self._reading.photons or 0) / self._photons_per_s
        passed_s = time.monotonic() - self._began_s
        self.progress.setValue(round(1000 * min(0.98, passed_s / expected_s)))
        left = f"about {duration(max(1.0, expected_s - passed_s))} left" if passed_s < expected_s else "…"
        self.head.setText(f"analyzing {self._reading.path.name}: {left}")

    def _take_back(self) -> RunEntry | None:
        """The run that has come back; None where another one is wanted by now, which is then read."""
        entry, self._reading = self._reading, None
        took_s = time.monotonic() - self._began_s
        if entry is not None and entry.photons and took_s > 1.0:
            self._photons_per_s = entry.photons / took_s
        self._timer.stop()
        self.progress.hide()
        if self._next is not None:
            self._read_next()
            return None
        return entry

    def _show(self, opened: OpenedRun) -> None:
        if self._take_back() is None:
            return
        self.opened = opened
        header, run = opened.run.header, opened.run
        simulated = " [SIMULATED]" if header["simulated"] else ""
        photons = f", {photons_told(run.photons.n_photons)} photons" if run.photons else ""
        self.head.setText(f"<b>{header['title']}{simulated}</b> &nbsp; {run.path.name}{photons}")
        self._tell_status(run.status, header["status_reason"])
        if opened.analysis is None or opened.tab is None:
            self.views.setCurrentIndex(0)
        else:
            self.views.setCurrentWidget(opened.tab)
            opened.tab.show_result(run, opened.analysis, opened.digested)
        QtCore.QTimer.singleShot(0, lambda: self._show_numbers(opened))  # after the plots: each takes a while

    def _show_numbers(self, opened: OpenedRun) -> None:
        if opened is not self.opened:
            return
        nothing = "nothing was recorded that could be analyzed"
        self.numbers.setPlainText(printed(opened.analysis).strip() if opened.analysis else nothing)
        self.numbers.moveCursor(QtGui.QTextCursor.MoveOperation.Start)
        self.shown.emit(opened)

    def _tell_status(self, status: str, reason: str) -> None:
        self.status.setVisible(status != "finished")
        self.status.setText(f"run {status}" + (f": {reason}" if reason else ""))
        self.status.setWordWrap(True)
        self.status.setProperty("verdict", "bad")

    def _refuse(self, path: Path, message: str) -> None:
        entry = self._take_back()
        if entry is None:
            return
        self.opened = None
        self.head.setText(f"<b>{path.name}</b>")
        self._tell_status(entry.status, message)
        self.views.setCurrentIndex(0)
        self.numbers.clear()
        self.refused.emit(path, message)


def printed(analysis: RunAnalysis) -> str:
    """What an analysis prints, as plain text."""
    from rich.console import Console

    text = io.StringIO()
    analysis.print(Console(file=text, width=COLUMNS, color_system=None, highlight=False))
    return text.getvalue()
