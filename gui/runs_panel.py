"""The runs of a folder: listed as they come, opened, compared, used again, exported, recovered."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy import QtCore, QtGui, QtWidgets

from .background import Background
from .compare import Comparison
from .dialogs import ask_yes, save_file
from .quick_look import QuickLook
from .run_exports import EXPORTS, Export, export_run
from .runs_model import COLUMNS, SORT_ROLE, RunsModel

if TYPE_CHECKING:
    from ..procedures.run_index import RunEntry, RunIndex

REFRESH_MS = 1500
COMPARED = ("voltammetry_flid", "static_bias")
"""Kinds of run that have a FLID."""
RECOVER_QUESTION = (
    "Make a run file of what this run left?\n\n{name}\n\nDo so only when no program is still recording it."
)


class RunsPanel(QtWidgets.QWidget):
    """A table of runs that keeps itself up to date; what is done with the selected ones stands below it."""

    open_wanted = QtCore.Signal(object)
    """Path of a run file to be shown in its experiment's tab."""
    reuse_wanted = QtCore.Signal(dict, str)
    """Parameters of a run as its header has them, and its kind."""
    told = QtCore.Signal(str)
    """A sentence about what was done."""
    refused = QtCore.Signal(str)
    """Why something could not be done; one sentence."""

    def __init__(self, folder: Path | None = None, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.folder: Path | None = None
        self.model = RunsModel(self)
        self._lister = Background("list runs", self)
        self._worker = Background("export runs", self)
        self._index: RunIndex | None = None
        self._listing = False
        self._lay_out()
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(REFRESH_MS)
        self._timer.timeout.connect(self.refresh)
        self._timer.start()
        self._enable_actions()
        if folder is not None:
            self.set_folder(folder)

    @cached_property
    def quick_look(self) -> QuickLook:
        """The window that shows the selected run; made when it is first asked for."""
        return QuickLook()

    @cached_property
    def comparison(self) -> Comparison:
        """The window that shows two runs; made when it is first asked for."""
        return Comparison()

    # ---- what others use ----

    def set_folder(self, folder: Path) -> None:
        """List the runs of this folder from here on."""
        from ..procedures.run_index import RunIndex

        if folder == self.folder:
            return
        self.folder, self._index = folder, RunIndex(folder)
        self.where.setText(folder.name)
        self.where.setToolTip(str(folder.absolute()))
        self.model.show_entries([])
        self.refresh()

    def refresh(self) -> None:
        """List the folder anew, in the background; at most one listing goes on."""
        index = self._index
        if index is None or self._listing:
            return
        self._listing = True
        self._lister.do(
            index.runs,
            lambda entries: self._listed(index, entries),
            lambda error: self._not_listed(str(error)),
        )

    def select(self, *paths: Path) -> None:
        """Select the runs of these paths, where they are listed."""
        rows = QtCore.QItemSelection()
        last = self.model.columnCount() - 1
        for path in paths:
            if path in self.model.paths:
                row = self.model.paths.index(path)
                ends = (self._sorted.mapFromSource(self.model.index(row, column)) for column in (0, last))
                rows.select(*ends)
        self._chosen.select(rows, QtCore.QItemSelectionModel.SelectionFlag.ClearAndSelect)

    @property
    def selected(self) -> list[RunEntry]:
        """The selected runs, in the order in which they are shown."""
        rows = sorted(index.row() for index in self._chosen.selectedRows())
        return [self.model.entries[self._sorted.mapToSource(self._sorted.index(r, 0)).row()] for r in rows]

    def end(self) -> None:
        """End all threads; called when the window closes."""
        self._timer.stop()
        for part in (self._lister, self._worker):
            part.close()
        for window in (self.__dict__.get("quick_look"), self.__dict__.get("comparison")):
            if window is not None:
                window.end()
                window.close()

    # ---- what a person does ----

    def open_selected(self) -> None:
        """Have the selected run shown in its experiment's tab."""
        for entry in self.selected[:1]:
            if entry.path.suffix == ".h5":
                self.open_wanted.emit(entry.path)

    def look_at_selected(self) -> None:
        """Show the selected run in a window of its own, which from then on follows the selection."""
        for entry in self.selected[:1]:
            if entry.path.suffix == ".h5":
                self.quick_look.show()
                self.quick_look.raise_()
                self.quick_look.look_at(entry)

    def compare_selected(self) -> None:
        """Show the FLIDs of the two selected runs side by side and over each other."""
        first, second = self.selected
        self.comparison.show()
        self.comparison.raise_()
        self.comparison.compare(first.path, second.path)

    def reuse_selected(self) -> None:
        """Hand out the parameters of the selected run."""
        from ..formats.errors import FileFormatError
        from ..procedures.run_index import read_header

        entry = self.selected[0]
        try:
            self.reuse_wanted.emit(read_header(entry.path)["parameters"], entry.kind)
        except (FileFormatError, OSError) as error:
            self.refused.emit(str(error))

    def export_run(self, entry: RunEntry, export: Export, out: Path) -> None:
        """Write a run in another form, in the background."""
        self._work(f"writing {out.name} …", lambda: f"written: {export_run(entry.path, export, out)}")

    def recover_run(self, entry: RunEntry) -> None:
        """Make a run file of what a run left, in the background."""
        from ..formats.run_file import recover_run

        self._work(f"recovering {entry.path.name} …", lambda: f"recovered: {recover_run(entry.path)}")

    # ---- inside ----

    def _lay_out(self) -> None:
        self.where, self.reason = QtWidgets.QLabel(), QtWidgets.QLabel()
        self.where.setProperty("faint", True)
        self.where.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)
        self.reason.setWordWrap(True)
        self.reason.setProperty("verdict", "bad")
        self.find = QtWidgets.QLineEdit()
        self.find.setPlaceholderText("find: kind, status, title …")
        self.find.setClearButtonEnabled(True)
        self._sorted = QtCore.QSortFilterProxyModel(self)
        self._sorted.setSourceModel(self.model)
        self._sorted.setSortRole(SORT_ROLE)
        self._sorted.setFilterKeyColumn(-1)
        self._sorted.setFilterCaseSensitivity(QtCore.Qt.CaseSensitivity.CaseInsensitive)
        self.find.textChanged.connect(self._sorted.setFilterFixedString)
        self.table = self._table()
        head = QtWidgets.QHBoxLayout()
        head.addWidget(self.where, 1)
        head.addWidget(self.find, 1)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addLayout(head)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.reason)
        layout.addLayout(self._buttons())

    def _table(self) -> QtWidgets.QTableView:
        table = QtWidgets.QTableView()
        table.setModel(self._sorted)
        self._chosen = QtCore.QItemSelectionModel(self._sorted, table)
        table.setSelectionModel(self._chosen)
        self._chosen.selectionChanged.connect(self._selection_changed)
        table.setSortingEnabled(True)
        table.sortByColumn(0, QtCore.Qt.SortOrder.DescendingOrder)
        table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        table.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.doubleClicked.connect(lambda _: self.open_selected())
        side, top = table.verticalHeader(), table.horizontalHeader()
        assert side is not None
        assert top is not None
        side.hide()
        top.setStretchLastSection(True)
        top.setDefaultAlignment(QtCore.Qt.AlignmentFlag.AlignLeft)
        return table

    def _buttons(self) -> QtWidgets.QGridLayout:
        self.open_button = self._button("Open", "show in the experiment's tab (Return)", self.open_selected)
        self.look_button = self._button("Quick look", "in a window of its own (Space)", self.look_at_selected)
        self.compare_button = self._button("Compare", "FLIDs of two selected runs", self.compare_selected)
        self.reuse_button = self._button(
            "Use parameters", "put its parameters into the form", self.reuse_selected
        )
        self.export_button = self._button("Export", "pictures and data", None)
        menu = QtWidgets.QMenu(self.export_button)
        self._exports: dict[Export, QtWidgets.QAction] = {}
        for export in EXPORTS:
            action = QtWidgets.QAction(f"{export.text} …", menu)
            action.triggered.connect(lambda _=False, export=export: self._choose_export(export))
            menu.addAction(action)
            self._exports[export] = action
        self.export_button.setMenu(menu)
        self.recover_button = self._button(
            "Recover", "make a run file of what a dead program left", self._ask_to_recover
        )
        grid = QtWidgets.QGridLayout()
        for k, button in enumerate((
            self.open_button, self.look_button, self.compare_button, self.reuse_button,
            self.export_button, self.recover_button,
        )):  # fmt: skip
            grid.addWidget(button, *divmod(k, 3))
        for key, action in (("Space", self.look_at_selected), ("Return", self.open_selected)):
            shortcut = QtWidgets.QShortcut(QtGui.QKeySequence(key), self.table)
            shortcut.setContext(QtCore.Qt.ShortcutContext.WidgetShortcut)
            shortcut.activated.connect(action)
        return grid

    def _button(self, text: str, tip: str, action: Callable[[], None] | None) -> QtWidgets.QPushButton:
        button = QtWidgets.QPushButton(text)
        button.setToolTip(tip)
        if action is not None:
            button.clicked.connect(lambda _=False: action())
        return button

    def _listed(self, index: RunIndex, entries: list[RunEntry]) -> None:
        self._listing = False
        if index is not self._index:
            return
        selected, empty_before = [entry.path for entry in self.selected], not self.model.entries
        with QtCore.QSignalBlocker(self._chosen):
            same = [entry.path for entry in entries] == self.model.paths
            self.model.show_entries(entries)
            if not same:
                self.select(*selected)
        if empty_before and entries:
            for column in range(len(COLUMNS)):
                self.table.resizeColumnToContents(column)
        self._enable_actions()

    def _not_listed(self, message: str) -> None:
        self._listing = False
        self.refused.emit(message)

    def _selection_changed(self, *_: object) -> None:
        self._enable_actions()
        if "quick_look" in self.__dict__ and self.quick_look.isVisible() and len(self.selected) == 1:
            self.look_at_selected()

    def _enable_actions(self) -> None:
        chosen = self.selected
        files = [entry for entry in chosen if entry.path.suffix == ".h5" and entry.status != "unreadable"]
        one = len(chosen) == len(files) == 1
        for button in (self.open_button, self.look_button, self.reuse_button, self.export_button):
            button.setEnabled(one)
        for export, action in self._exports.items():
            action.setEnabled(one and (bool(files[0].photons) or not export.needs_photons))
        self.compare_button.setEnabled(len(files) == 2 and all(entry.kind in COMPARED for entry in files))
        self.recover_button.setVisible(len(chosen) == 1 and chosen[0].recoverable)
        reason = chosen[0].reason if len(chosen) == 1 else ""
        self.reason.setVisible(bool(reason))
        self.reason.setText(f"{chosen[0].status}: {reason}" if reason else "")

    def _choose_export(self, export: Export) -> None:
        entry = self.selected[0]
        ending = {".h5": "_photons.h5", "": "_tables"}.get(export.suffix, export.suffix)
        proposed = entry.path.with_name(entry.path.stem + ending)
        save_file(
            self,
            export.text,
            proposed,
            f"*{export.suffix}",
            lambda out: self.export_run(entry, export, out),
            may_overwrite=export.may_overwrite,
        )

    def _ask_to_recover(self) -> None:
        entry = self.selected[0]
        question = RECOVER_QUESTION.format(name=entry.path.name)
        ask_yes(self, "recover", question, lambda: self.recover_run(entry))

    def _work(self, doing: str, work: Callable[[], str]) -> None:
        self.told.emit(doing)

        def done(sentence: str) -> None:
            self.told.emit(sentence)
            self.refresh()

        self._worker.do(work, done, lambda error: self.refused.emit(str(error)))
