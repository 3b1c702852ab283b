"""Two runs compared: their FLIDs side by side and over each other, and what differs in their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy import QtCore, QtWidgets

from .plots.flid_map import FlidMap
from .plots.flid_overlay import FlidOverlay
from .run_opener import OpenedRun, RunOpener

if TYPE_CHECKING:
    from ..analysis.voltammetry_flid import FlidPoints

SIZE = (1350, 850)
SHOWN_DIGITS = 5

Array = NDArray[np.float64]


class Comparison(QtWidgets.QWidget):
    """Opens two runs that have FLIDs, one after the other, and shows both."""

    shown = QtCore.Signal()
    """Both runs are there."""
    refused = QtCore.Signal(object, str)
    """Path, message."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("qdlab comparison")
        self.resize(*SIZE)
        self._opener = RunOpener(lambda _kind: None, self)
        self._opener.opened.connect(self._take)
        self._opener.refused.connect(self._refuse)
        self._wanted: list[Path] = []
        self._opened: dict[Path, OpenedRun] = {}
        self._lay_out()

    def compare(self, first: Path, second: Path) -> None:
        """Show these two runs; what was analyzed for the last comparison is not analyzed again."""
        self._wanted = [first, second]
        self._opened = {path: one for path, one in self._opened.items() if path in self._wanted}
        for plot in (*self.maps, self.overlay):
            plot.clear()
        self.table.setRowCount(0)
        missing = [path for path in self._wanted if path not in self._opened]
        self.message.setText(f"analyzing {', '.join(path.name for path in missing)} …")
        for path in missing:
            self._opener.open(path)
        self._show_when_whole()

    def end(self) -> None:
        """Wait for the run that is being read, and forget it."""
        self._opener.close()

    # ---- inside ----

    def _lay_out(self) -> None:
        self.maps, self.overlay = (FlidMap(), FlidMap()), FlidOverlay()
        self.names = (QtWidgets.QLabel(), QtWidgets.QLabel())
        self.message = QtWidgets.QLabel()
        self.message.setWordWrap(True)
        self.colour_by = QtWidgets.QComboBox()
        self.colour_by.addItems(["count", "bias"])
        for plot in self.maps:
            self.colour_by.currentTextChanged.connect(plot.colour_by)
        self.table = QtWidgets.QTableWidget(0, 3)
        self.table.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        side, top = self.table.verticalHeader(), self.table.horizontalHeader()
        assert side is not None
        assert top is not None
        side.hide()
        top.setSectionResizeMode(QtWidgets.QHeaderView.ResizeMode.Stretch)
        top.setDefaultAlignment(QtCore.Qt.AlignmentFlag.AlignLeft)
        top.setTextElideMode(QtCore.Qt.TextElideMode.ElideRight)
        head = QtWidgets.QHBoxLayout()
        head.addWidget(self.message, 1)
        head.addWidget(QtWidgets.QLabel("coloured by"))
        head.addWidget(self.colour_by)
        grid = QtWidgets.QGridLayout(self)
        grid.addLayout(head, 0, 0, 1, 2)
        for column, (name, plot) in enumerate(zip(self.names, self.maps, strict=True)):
            grid.addWidget(name, 1, column)
            grid.addWidget(plot, 2, column)
        grid.addWidget(self.overlay, 3, 0)
        grid.addWidget(self.table, 3, 1)
        for k in (0, 1):
            grid.setRowStretch(2 + k, 1)
            grid.setColumnStretch(k, 1)
            self.names[k].setSizePolicy(
                QtWidgets.QSizePolicy.Policy.Ignored, self.names[k].sizePolicy().verticalPolicy()
            )

    def _take(self, opened: OpenedRun) -> None:
        if opened.run.path in self._wanted:
            self._opened[opened.run.path] = opened
            self._show_when_whole()

    def _refuse(self, path: Path, message: str) -> None:
        self.message.setText(message)
        self.refused.emit(path, message)

    def _show_when_whole(self) -> None:
        if not all(path in self._opened for path in self._wanted):
            return
        both = [self._opened[path] for path in self._wanted]
        self.message.setText("")
        shown = []
        for opened, name, plot in zip(both, self.names, self.maps, strict=True):
            header = opened.run.header
            name.setText(f"<b>{header['title']}</b> &nbsp; {opened.run.path.name} &nbsp; {opened.run.status}")
            lifetime_ns, net_rate_hz, potential_v = flid_points(opened)
            plot.set_reference(header["station"]["station"]["reference_electrode"])
            plot.show_points(lifetime_ns, net_rate_hz, potential_v)
            _show_scaling(plot, opened)
            shown.append((opened.run.path.name, lifetime_ns, net_rate_hz))
        self.overlay.show_two(*shown)
        self._show_numbers(both)
        self.shown.emit()

    def _show_numbers(self, both: list[OpenedRun]) -> None:
        first, second = (flattened(_summary(opened)) | _parameters(opened) for opened in both)
        names = [name for name in dict.fromkeys([*first, *second]) if first.get(name) != second.get(name)]
        self.table.setHorizontalHeaderLabels(["what differs", *(opened.run.path.stem for opened in both)])
        self.table.setRowCount(len(names))
        for row, name in enumerate(names):
            for column, text in enumerate((name, _told(first.get(name)), _told(second.get(name)))):
                self.table.setItem(row, column, QtWidgets.QTableWidgetItem(text))


def flid_points(opened: OpenedRun) -> tuple[Array, Array, Array]:
    """Lifetimes (ns), net rates (Hz) and potentials (V) of a run's FLID; empty where it has none."""
    result: Any = getattr(opened.analysis, "result", None)
    points: list[FlidPoints] = []
    if hasattr(result, "flid"):
        points = [result.flid]
    elif hasattr(result, "potentials"):
        points = [at.flid for at in result.potentials]
    columns = [
        np.concatenate([np.empty(0), *(getattr(part, name) for part in points)])
        for name in ("lifetime_ns", "rate_hz", "potential_v")
    ]
    background_hz = result.background.rate_hz if points else 0.0
    return columns[0], columns[1] - background_hz, columns[2]


def flattened(summary: dict[str, Any], before: str = "") -> dict[str, object]:
    """Nested results as one level of names, such as "x0 lifetime_ns"; lists are left out."""
    flat: dict[str, object] = {}
    for name, value in summary.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{before}{name} ")
        elif not isinstance(value, list):
            flat[before + name] = value
    return flat


def _show_scaling(plot: FlidMap, opened: OpenedRun) -> None:
    result = getattr(opened.analysis, "result", None)
    scaling, auger = getattr(result, "scaling", None), getattr(result, "auger_ratio", None)
    if scaling is not None and auger is not None:
        told = f"γA/γ0 = {auger.value:.2f} ± {auger.error:.2f}"
        plot.show_scaling(scaling.lifetime_ns, scaling.rate_hz, told)


def _summary(opened: OpenedRun) -> dict[str, Any]:
    return opened.analysis.summary() if opened.analysis else {"status": opened.run.status}


def _parameters(opened: OpenedRun) -> dict[str, object]:
    return {f"parameter {name}": value for name, value in opened.run.header["parameters"].items()}


def _told(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.{SHOWN_DIGITS}g}" if isinstance(value, float) else str(value)
