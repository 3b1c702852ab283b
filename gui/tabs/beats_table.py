"""The beats and decays of a global fit as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy import QtCore, QtWidgets

from ...analysis.twodes.told import UNDETERMINED

if TYPE_CHECKING:
    from ...analysis.twodes.global_fit import GlobalFit, Interval

COLUMNS = ("beat (cm⁻¹)", "dephasing (fs)", "strength")
ROW_PX = 25
TITLE = "<b>Global fit</b> of the whole rephasing map, ± 95 %"


class BeatsTable(QtWidgets.QWidget):
    """One row per beat; dephasing times are those of the global fit, strengths parts of the strongest."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.title, self.rest = QtWidgets.QLabel(TITLE), QtWidgets.QLabel()
        self.rest.setWordWrap(True)
        self.title.setWordWrap(True)
        self.rest.setProperty("faint", True)
        self.rows = QtWidgets.QTableWidget(0, len(COLUMNS))
        self.rows.setHorizontalHeaderLabels(COLUMNS)
        self.rows.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        self.rows.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.NoSelection)
        self.rows.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        self.rows.setShowGrid(False)
        across, down = self.rows.horizontalHeader(), self.rows.verticalHeader()
        assert across is not None
        assert down is not None
        across.setSectionResizeMode(QtWidgets.QHeaderView.ResizeMode.ResizeToContents)
        across.setStretchLastSection(True)
        down.setDefaultSectionSize(ROW_PX)
        down.hide()
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 4)
        layout.addWidget(self.title)
        layout.addWidget(self.rows, 1)
        layout.addWidget(self.rest)

    def show_fit(self, fit: GlobalFit) -> None:
        """Show what was fitted."""
        strengths = [float(np.abs(beat.amplitude).max()) for beat in fit.beats]
        self.rows.setRowCount(len(fit.beats))
        for row, (beat, strength) in enumerate(zip(fit.beats, strengths, strict=True)):
            texts = (
                _interval(beat.w2_cm, 1, sign=True),
                _interval(beat.dephasing_fs, 0),
                f"{strength / max(strengths):.2f}",
            )
            for column, text in enumerate(texts):
                item = QtWidgets.QTableWidgetItem(text)
                item.setTextAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
                self.rows.setItem(row, column, item)
        decays = ", ".join(f"{_interval(decay.lifetime_fs, 0)}" for decay in fit.decays)
        ended = "" if fit.converged else " The fit has not converged."
        self.rest.setText(f"Decay times (fs): {decays}. Left over: {fit.residual_rms:.3g} rms.{ended}")

    def clear_fit(self) -> None:
        """Empty the table."""
        self.rows.setRowCount(0)
        self.rest.setText("")

    def texts(self) -> list[tuple[str, ...]]:
        """The rows as they are shown."""
        items = [[self.rows.item(row, k) for k in range(len(COLUMNS))] for row in range(self.rows.rowCount())]
        return [tuple(item.text() if item is not None else "" for item in row) for row in items]


def _interval(number: Interval, digits: int, *, sign: bool = False) -> str:
    """A number with half its 95 % interval; a time whose interval reaches zero is not told."""
    value = f"{number.value:{'+' if sign else ''}.{digits}f}"
    if not sign and not number.half_95 < abs(number.value):
        return UNDETERMINED
    return f"{value} ± {number.half_95:.{digits}f}"
