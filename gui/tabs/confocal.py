"""Confocal: the image of a field as it grows, cross sections, the dots in it, and the way to them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from qtpy import QtCore, QtWidgets

from ..experiment_tab import ExperimentTab
from ..plots.plot import Plot
from ..plots.scan_image import ScanImage
from .dot_table import Dot, DotTable

if TYPE_CHECKING:
    from ...analysis.confocal import Spot
    from ...analysis.found_dots import FoundDot
    from ...analysis.scan_image import ScanImage as Image
    from ...formats.run_file import RunFile
    from ...procedures.rig_procedure import RigProcedure
    from ...procedures.station_monitor import StationMonitor

POSITION_MS = 250
SAME_UM = 0.3
"""A spot and a dot that are closer are one."""
HERE = "chosen"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Field:
    """An image and the dots in it, as they are drawn."""

    rate_hz: Array
    """Shape (slow, fast)."""
    x_edges_um: Array
    y_edges_um: Array
    height_um: float
    dots: tuple[Dot, ...]
    single: int | None = None
    """The dot that the run chose, counted from 0."""


class ConfocalTab(ExperimentTab):
    """The field with its dots; a click chooses a place, to look at, to go to, or for the next run."""

    title: ClassVar[str] = "Confocal"
    experiments: ClassVar[tuple[str, ...]] = ("confocal_scan", "find_dots", "dot_survey")
    kinds: ClassVar[tuple[str, ...]] = ("confocal_scan", "find_dots", "dot_survey")

    refused = QtCore.Signal(str)
    """Why the stage was not moved."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.image = ScanImage()
        self.along_x, self.along_y = Plot("x (µm)", "intensity (kc/s)"), Plot("y (µm)", "intensity (kc/s)")
        self.table = DotTable()
        self.place = QtWidgets.QLabel()
        self.message = QtWidgets.QLabel(wordWrap=True)
        self.message.setProperty("verdict", "bad")
        self.message.hide()
        self.move_on_click = QtWidgets.QCheckBox("a click moves the stage", checked=True)
        self.go = QtWidgets.QPushButton("Go there", toolTip="move the stage to the chosen place")
        self.use = QtWidgets.QPushButton("Use for the next run", toolTip="take it as the point of the form")
        for widget in (self.go, self.move_on_click):
            widget.setEnabled(False)  # until a station is held
        self.field: Field | None = None
        self.chosen_um: tuple[float, float, float] | None = None
        """The place that was clicked, or a dot: x, y, z in micrometres; z is nan where nobody has said it."""
        self._monitor: StationMonitor | None = None
        self._move: Any = None
        self._lay_out()
        self.image.clicked.connect(self._clicked)
        self.table.chosen.connect(self._choose_dot)
        self.table.gone_to.connect(lambda number: (self._choose_dot(number), self._go()))
        self.go.clicked.connect(self._go)
        self.use.clicked.connect(self._use)
        self._timer = QtCore.QTimer(self, interval=POSITION_MS)
        self._timer.timeout.connect(self.follow_stage)
        self._show_place()

    def use_monitor(self, monitor: StationMonitor) -> None:
        """Show where this station's stage is, and move it."""
        self._monitor = monitor
        self._timer.start()
        self.follow_stage()

    # ---- a run that goes on ----

    def look(self, procedure: RigProcedure) -> Field | None:
        """The image so far, and the dots visited so far; None before there is one."""
        from ...procedures.field import FieldProcedure

        assert isinstance(procedure, FieldProcedure), "the tab's kinds are runs of a field"
        live = procedure.live_field
        image = live.image() if live else None
        if image is None:
            return None
        dots = tuple(_found(number, dot) for number, dot in enumerate(getattr(procedure, "found", ()), 1))
        return _field(image, procedure.z_um, dots)

    def show_live(self, looked: Field) -> None:
        """Draw image and dots."""
        self._show(looked)

    # ---- a run that has ended ----

    def digest(self, run: RunFile, analysis: Any) -> Field:
        """Image and dots of any kind of run of a field, with the widths of their spots."""
        spots: list[Spot] | None = getattr(analysis, "spots", None)
        found: list[FoundDot] | None = getattr(analysis, "dots", None)
        height_um = float(run.header["parameters"]["z_um"])
        if found is None:
            dots = tuple(_spot(number, spot, height_um) for number, spot in enumerate(spots or (), 1))
        else:
            dots = tuple(_found(number, dot, spots or ()) for number, dot in enumerate(found, 1))
        return _field(analysis.image, height_um, dots, getattr(analysis, "chosen", None))

    def show_result(self, run: RunFile, analysis: Any, digested: Field | None = None) -> None:
        """Show the field; a dot that the run chose is chosen here."""
        field = digested or self.digest(run, analysis)
        self._show(field)
        if field.single is not None:
            self._choose_dot(field.single + 1)

    def clear(self) -> None:
        """Empty image, cross sections and dots."""
        for plot in (self.image, self.along_x, self.along_y):
            plot.clear()
        self.table.show_dots(())
        self.field = self.chosen_um = None
        self._say("")
        self._show_place()

    # ---- the stage ----

    def follow_stage(self) -> None:
        """Show where the stage is, and whether it may be moved."""
        if self._monitor is None:
            return
        snapshot = self._monitor.snapshot()
        stage = snapshot.roles.get("stage")
        free = snapshot.holder == "monitor" and stage is not None and stage.connected
        for widget in (self.go, self.move_on_click):
            widget.setEnabled(free and (widget is not self.go or self.chosen_um is not None))
        if free and stage is not None and "x_um" in stage.numbers:
            self.image.show_position(stage.numbers["x_um"].value, stage.numbers["y_um"].value)
        if self._move is not None and self._move.done():
            error = self._move.exception()
            self._move = None
            self._say(str(error) if error else "")

    def _go(self) -> None:
        if self._monitor is None or self.chosen_um is None:
            return
        x_um, y_um, z_um = self.chosen_um
        to = {"x_um": x_um, "y_um": y_um} | ({} if math.isnan(z_um) else {"z_um": z_um})
        self._move = self._monitor.command("stage", "move_to", **to)
        self.follow_stage()

    # ---- choosing a place ----

    def _clicked(self, x_um: float, y_um: float) -> None:
        self.table.clearSelection()
        self._choose(x_um, y_um, math.nan)
        if self.move_on_click.isChecked() and self.move_on_click.isEnabled():
            self._go()

    def _choose_dot(self, number: int) -> None:
        dot = self.field.dots[number - 1] if self.field else None
        if dot is not None:
            self.table.select(number)
            self._choose(*dot.position_um)

    def _choose(self, x_um: float, y_um: float, z_um: float) -> None:
        self.chosen_um = x_um, y_um, z_um
        self.image.mark(HERE, x_um, y_um, pen="warning")
        self._say("")
        self._show_place()

    def _use(self) -> None:
        if self.chosen_um is not None:
            x_um, y_um, z_um = self.chosen_um
            height_um = self.field.height_um if math.isnan(z_um) and self.field else z_um
            self.point_chosen.emit(x_um, y_um, height_um)

    # ---- drawing ----

    def _show(self, field: Field) -> None:
        if self.field is None or field.dots != self.field.dots:
            self.table.show_dots(field.dots)
            self.image.forget_marks()
            for dot in field.dots:
                x_um, y_um, _ = dot.position_um
                self.image.mark(str(dot.number), x_um, y_um, pen="good" if dot.single else "accent")
            if self.chosen_um is not None:
                self.image.mark(HERE, *self.chosen_um[:2], pen="warning")
        self.field = field
        self.image.show_image(field.rate_hz, field.x_edges_um, field.y_edges_um)
        self._show_place()

    def _show_place(self) -> None:
        """The chosen place in words, and the cross sections through it."""
        self.use.setEnabled(self.chosen_um is not None)
        if self.chosen_um is None:
            self.place.setText("click into the image to choose a place")
            return
        x_um, y_um, z_um = self.chosen_um
        told = f"x {x_um:.3f}, y {y_um:.3f}" + ("" if math.isnan(z_um) else f", z {z_um:.3f}") + " µm"
        field = self.field
        at = field and _pixel(field, x_um, y_um)
        if field is None or at is None:
            self.place.setText(told)
            return
        row, column = at
        self.place.setText(f"{told}: {field.rate_hz[row, column] / 1e3:.2f} kc/s")
        for plot, edges_um, rates_hz in (
            (self.along_x, field.x_edges_um, field.rate_hz[row]),
            (self.along_y, field.y_edges_um, field.rate_hz[:, column]),
        ):
            plot.draw(
                "section", (edges_um[:-1] + edges_um[1:]) / 2, rates_hz / 1e3, "trace", connect="finite"
            )
            plot.follow_x(float(edges_um[0]), float(edges_um[-1]), steady=False)
            plot.follow_y(0.0, float(np.nanmax(field.rate_hz, initial=0.0)) / 1e3)

    def _say(self, sentence: str) -> None:
        self.message.setText(sentence)
        self.message.setVisible(bool(sentence))
        if sentence:
            self.refused.emit(sentence)

    def _lay_out(self) -> None:
        bar = QtWidgets.QHBoxLayout()
        bar.setContentsMargins(8, 2, 8, 2)
        bar.addWidget(self.move_on_click, 1)
        for widget in (self.go, self.use):
            bar.addWidget(widget)
        self.place.setContentsMargins(8, 2, 8, 0)
        left = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.image, 1)
        column.addWidget(self.place)
        column.addLayout(bar)
        column.addWidget(self.message)
        sections = QtWidgets.QSplitter(QtCore.Qt.Orientation.Vertical)
        for plot in (self.along_x, self.along_y):
            sections.addWidget(plot)
        above = QtWidgets.QSplitter(QtCore.Qt.Orientation.Horizontal)
        for widget in (left, sections):
            above.addWidget(widget)
        above.setSizes([640, 380])
        both = QtWidgets.QSplitter(QtCore.Qt.Orientation.Vertical)
        for widget in (above, self.table):
            both.addWidget(widget)
        both.setSizes([620, 160])
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(both)


def _field(image: Image, height_um: float, dots: tuple[Dot, ...], single: int | None = None) -> Field:
    x_edges_um, y_edges_um = (np.asarray(edges_um, np.float64) for edges_um in image.grid)
    return Field(np.asarray(image.rate_hz, np.float64), x_edges_um, y_edges_um, height_um, dots, single)


def _pixel(field: Field, x_um: float, y_um: float) -> tuple[int, int] | None:
    """Row and column of a place; None outside the field."""
    column = int(np.searchsorted(field.x_edges_um, x_um, "right")) - 1
    row = int(np.searchsorted(field.y_edges_um, y_um, "right")) - 1
    rows, columns = field.rate_hz.shape
    return (row, column) if 0 <= row < rows and 0 <= column < columns else None


def _spot(number: int, spot: Spot, height_um: float) -> Dot:
    return Dot(number, (spot.fast_um, spot.slow_um, height_um), spot.rate_hz, spot.fwhm_um)


def _found(number: int, dot: FoundDot, spots: Any = ()) -> Dot:
    x_um, y_um, z_um = dot.position_um.tolist()
    near = [spot for spot in spots if math.hypot(spot.fast_um - x_um, spot.slow_um - y_um) < SAME_UM]
    width_um = near[0].fwhm_um if near else math.nan
    g2 = None if dot.g2 is None else (dot.g2.value, dot.g2.error)
    return Dot(number, (x_um, y_um, z_um), dot.rate_hz, width_um, g2, dot.single)
