"""The runs of a folder as a table: what each row shows, and in which colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from qtpy import QtCore, QtGui

from . import theme
from .words import duration

if TYPE_CHECKING:
    from pathlib import Path

    from ..procedures.run_index import RunEntry

STATUS_COLOURS = {
    "finished": "good",
    "aborted": "warning",
    "recovered": "warning",
    "failed": "bad",
    "interrupted": "bad",
    "unreadable": "bad",
    "running": "accent",
}
Column = tuple[str, Callable[["RunEntry"], str], Callable[["RunEntry"], Any]]
"""Heading, what is shown, and what the rows are sorted by."""
COLUMNS: tuple[Column, ...] = (
    (
        "started",
        lambda e: e.started.strftime("%Y-%m-%d %H:%M:%S") if e.started else "",
        lambda e: e.started.timestamp() if e.started else 0.0,
    ),
    ("status", lambda e: e.status, lambda e: e.status),
    ("kind", lambda e: e.kind.replace("_", " "), lambda e: e.kind),
    (
        "duration",
        lambda e: "" if e.duration_s is None else duration(e.duration_s),
        lambda e: e.duration_s or 0.0,
    ),
    ("photons", lambda e: "" if e.photons is None else photons_told(e.photons), lambda e: e.photons or 0),
    ("title", lambda e: e.title + (" [SIMULATED]" if e.simulated else ""), lambda e: e.title),
    ("file", lambda e: e.path.name, lambda e: e.path.name),
)
SORT_ROLE = QtCore.Qt.ItemDataRole.UserRole


def photons_told(photons: int) -> str:
    """A number of photons as one says it, such as "3.8e8" or "12 345"."""
    if photons < 1_000_000:
        return f"{photons:,}".replace(",", " ")
    mantissa, exponent = f"{photons:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


class RunsModel(QtCore.QAbstractTableModel):
    """One row per run; rows keep their places when only what they show has changed."""

    def __init__(self, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self.entries: list[RunEntry] = []

    def show_entries(self, entries: Sequence[RunEntry]) -> None:
        """Show these runs."""
        if entries == self.entries:
            return
        if [e.path for e in entries] == self.paths:
            self.entries = list(entries)
            last = self.index(len(entries) - 1, len(COLUMNS) - 1)
            self.dataChanged.emit(self.index(0, 0), last)
            return
        self.beginResetModel()
        self.entries = list(entries)
        self.endResetModel()

    @property
    def paths(self) -> list[Path]:
        """Paths of the runs, in order of the rows."""
        return [entry.path for entry in self.entries]

    def rowCount(self, parent: QtCore.QModelIndex | None = None) -> int:
        """Number of runs."""
        return 0 if parent is not None and parent.isValid() else len(self.entries)

    def columnCount(self, parent: QtCore.QModelIndex | None = None) -> int:
        """Number of columns."""
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: QtCore.Qt.Orientation, role: int = 0) -> Any:
        """Headings of the columns."""
        if role == QtCore.Qt.ItemDataRole.DisplayRole and orientation == QtCore.Qt.Orientation.Horizontal:
            return COLUMNS[section][0]
        return None

    def data(self, index: QtCore.QModelIndex, role: int = 0) -> Any:
        """Text, sorting key, colour and tooltip of a cell."""
        entry, (heading, told, key) = self.entries[index.row()], COLUMNS[index.column()]
        roles = QtCore.Qt.ItemDataRole
        if role == roles.DisplayRole:
            return told(entry)
        if role == SORT_ROLE:
            return key(entry)
        if role == roles.ToolTipRole:
            return "\n".join(filter(None, (str(entry.path), entry.sample, entry.reason)))
        if role == roles.ForegroundRole and heading == "status":
            colour = getattr(theme.current(), STATUS_COLOURS.get(entry.status, "text"))
            return QtGui.QBrush(QtGui.QColor(colour))
        if role == roles.TextAlignmentRole and heading in ("duration", "photons"):
            return int(QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter)
        return None
