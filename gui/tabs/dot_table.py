"""The dots of a field as a table: where, how bright, how wide, and whether one alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qtpy import QtCore, QtWidgets

COLUMNS = ("dot", "x (µm)", "y (µm)", "z (µm)", "rate (kc/s)", "width (nm)", "g2(0)", "")
UNKNOWN = "–"
RIGHT = int(QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter)


@dataclass(frozen=True)
class Dot:
    """One dot; lengths in micrometres, nan where not measured."""

    number: int
    position_um: tuple[float, float, float]
    rate_hz: float
    fwhm_um: float = math.nan
    g2: tuple[float, float] | None = None
    """g2(0) and its standard error."""
    single: bool = False


class DotTable(QtWidgets.QTableWidget):
    """One row per dot; a click chooses, a double-click goes there."""

    chosen = QtCore.Signal(int)
    """Number of the dot that was clicked."""
    gone_to = QtCore.Signal(int)
    """Number of the dot that was double-clicked."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(0, len(COLUMNS), parent)
        self.setHorizontalHeaderLabels(COLUMNS)
        self.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.SingleSelection)
        self.setToolTip("click to choose a dot, double-click to go there")
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        if rows is not None and columns is not None:
            rows.hide()
            columns.setSectionResizeMode(QtWidgets.QHeaderView.ResizeMode.ResizeToContents)
            columns.setStretchLastSection(True)
        self.cellClicked.connect(lambda row, _column: self.chosen.emit(row + 1))
        self.cellDoubleClicked.connect(lambda row, _column: self.gone_to.emit(row + 1))

    def show_dots(self, dots: Sequence[Dot]) -> None:
        """Show these dots, in their order."""
        self.setRowCount(len(dots))
        for row, dot in enumerate(dots):
            for column, text in enumerate(_cells(dot)):
                item = QtWidgets.QTableWidgetItem(text)
                if column < len(COLUMNS) - 1:
                    item.setTextAlignment(RIGHT)
                self.setItem(row, column, item)

    def select(self, number: int) -> None:
        """Mark the row of a dot."""
        self.selectRow(number - 1)


def _cells(dot: Dot) -> list[str]:
    return [
        str(dot.number),
        *(f"{um:.3f}" for um in dot.position_um),
        f"{dot.rate_hz / 1e3:.1f}",
        UNKNOWN if math.isnan(dot.fwhm_um) else f"{dot.fwhm_um * 1e3:.0f}",
        UNKNOWN if dot.g2 is None else f"{dot.g2[0]:.2f} ± {dot.g2[1]:.2f}",
        "single" if dot.single else "",
    ]
