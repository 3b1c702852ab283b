"""2DES: the map at any t2 so far, the trace along t2 at an address, what beats in it, and the global fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from qtpy import QtCore, QtWidgets

from ..experiment_tab import ExperimentTab
from ..newest import Newest
from ..plots.plot import TOP_RIGHT
from ..plots.spectrum_map import SpectrumMap
from ..plots.titled_plot import TitledPlot
from .beats_table import BeatsTable
from .twod_series import MapSeries

if TYPE_CHECKING:
    from ...analysis.twodes.coherences import Coherences, Trace
    from ...analysis.twodes.spectra import Maps
    from ...formats.run_file import RunFile
    from ...procedures.analyses.twod_scan import TwoDScanAnalysis
    from ...procedures.twod_procedure import TwoDProcedure

ABSORPTIVE, REPHASING, NONREPHASING = "absorptive", "rephasing", "non-rephasing"
SHOWN_T2_FS = 100.0
"""A run that has ended is shown at the first t2 after this: coherences between the branches are gone."""
WIDEST_CM = 1300.0
"""Beats are shown up to here."""
LEAST_T2 = 24
"""With fewer t2 no spectrum is shown: it would have no line narrower than all that is shown."""
LEAST_WIDTH_PX = 160
"""Of a beating map."""
FOR_LEGEND = 0.3
"""Part of the data's span that is left free above them."""


class TwoDTab(ExperimentTab):
    """Maps over t2, and all that is asked of one address: a click into a map chooses it."""

    title: ClassVar[str] = "2DES"
    experiments: ClassVar[tuple[str, ...]] = ("twod_scan", "twod_scan_t3")
    kinds: ClassVar[tuple[str, ...]] = ("twod_scan", "twod_scan_t3")

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.map = SpectrumMap()
        self.trace = TitledPlot("waiting time t2 (fs)", "rephasing signal (arb. units)", legend=TOP_RIGHT)
        self.spectrum = TitledPlot("beat ω2 (cm⁻¹)", "amplitude (arb. units)", legend=TOP_RIGHT)
        self.beats = [SpectrumMap(signed=False, bar=False) for _ in range(3)]
        for plot in self.beats:
            plot.setMinimumWidth(LEAST_WIDTH_PX)
        for plot in self.beats[1:]:
            plot.name_axis("left", "")
        self.table = BeatsTable()
        self.kind = QtWidgets.QComboBox()
        self.kind.addItems([ABSORPTIVE, REPHASING, NONREPHASING])
        self.t2 = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self.t2.setToolTip("waiting time of the map; at its end it follows the run")
        self.t2_told, self.scan_told = QtWidgets.QLabel(), QtWidgets.QLabel()
        self.scan_told.setProperty("faint", True)
        self.maps: Maps | None = None
        self.coherences: Coherences | None = None
        self.address_cm: tuple[float, float] | None = None
        """The address (w1, w3) that is shown, at the nearest point of the maps."""
        self._asked = False
        self._series: MapSeries | None = None
        self._plan = ""
        self._newest = Newest("trace", self)
        self._newest.failed.connect(self.scan_told.setText)
        self._lay_out()
        self.kind.currentTextChanged.connect(self._show_map)
        self.t2.valueChanged.connect(self._show_map)
        for plot in (self.map, *self.beats):
            plot.clicked.connect(self.choose)
        self.clear()

    # ---- a run that goes on ----

    def begin(self, procedure: TwoDProcedure) -> None:
        """Empty views; what beats is looked for when the run is over."""
        self.clear()
        self._series = MapSeries(procedure)
        self._plan = (
            f"{procedure.t2_points} t2 of {procedure.t1_points} t1 × {procedure.scheme().steps} phases"
        )

    def look(self, procedure: TwoDProcedure) -> Maps | None:
        """The maps of all t2 so far, once there is a new one."""
        return self._series.look() if self._series else None

    def show_live(self, looked: Maps) -> None:
        """Draw the newest map, unless an earlier t2 was chosen, and the trace so far."""
        done, chosen = len(looked.t2_fs), self.t2.value()
        self.scan_told.setText(f"{done} of {self._plan}")
        self._take(looked, done - 1 if chosen == self.t2.maximum() else chosen)

    # ---- a run that has ended ----

    def digest(self, run: RunFile, analysis: TwoDScanAnalysis) -> Coherences | None:
        """What beats; None where t2 is too short or too coarse to tell."""
        return analysis.coherences

    def show_result(
        self, run: RunFile, analysis: TwoDScanAnalysis, digested: Coherences | None = None
    ) -> None:
        """Show the maps, and what the analysis found of beats."""
        address = self.address_cm if self._asked else None
        self.clear()
        maps, plan = analysis.maps, analysis.data.plan
        self.coherences = digested
        self.scan_told.setText(
            f"{len(maps.t2_fs)} t2 of {len(plan.t1_fs)} t1 × {plan.scheme.steps} phases, run {run.status}"
        )
        if address is not None and _within(address[0], maps.w1_cm) and _within(address[1], maps.w3_cm):
            self.address_cm, self._asked = address, True
        self._take(maps, min(int(np.searchsorted(maps.t2_fs, SHOWN_T2_FS)), len(maps.t2_fs) - 1))
        self.after.setVisible(digested is not None)
        if digested is None:
            return
        for plot, beat in zip(self.beats, digested.maps, strict=True):
            plot.show_map(maps.w1_cm, maps.w3_cm, beat.amplitude, title=f"beats at {beat.w2_cm:.0f} cm⁻¹")
        self.table.show_fit(digested.fit)

    def clear(self) -> None:
        """Empty all views."""
        self._newest.forget()
        self.maps = self.coherences = self.address_cm = self._series = None
        self._asked = False
        for plot in (self.map, self.trace, self.spectrum, *self.beats):
            plot.clear()
        self.trace.follow_x(0.0, 1000.0, steady=False)
        self.spectrum.follow_x(-WIDEST_CM, WIDEST_CM, steady=False)
        self.table.clear_fit()
        self.after.hide()
        self._set_slider(0, 0)
        self.t2_told.setText("no map yet")
        self.scan_told.setText("")

    # ---- an address ----

    def choose(self, w1_cm: float, w3_cm: float) -> None:
        """Show the trace at this address of the map, as soon as it is there."""
        self.address_cm, self._asked = (w1_cm, w3_cm), True
        self._ask_trace()

    def _ask_trace(self) -> None:
        maps, address = self.maps, self.address_cm
        if maps is None or address is None:
            return
        k1, k3 = _nearest(maps.w1_cm, address[0]), _nearest(maps.w3_cm, address[1])
        point = float(maps.w1_cm[k1]), float(maps.w3_cm[k3])
        for plot in (self.map, *self.beats):
            plot.show_address(*point)
        self._newest.do(lambda: _traced(maps, k1, k3), self._show_trace)

    def _show_trace(self, traced: _Traced) -> None:
        if self.maps is None:  # emptied meanwhile
            return
        title = f"ω1 {traced.w1_cm:.0f}, ω3 {traced.w3_cm:.0f} cm⁻¹"
        t2, signal = traced.t2_fs, traced.signal
        self.trace.draw("real", t2, signal.real, "x0", legend="real")
        self.trace.draw("imaginary", t2, signal.imag, "bias", legend="imaginary")
        both = np.concatenate([signal.real, signal.imag])
        self.trace.follow_x(float(t2[0]), float(max(t2[-1], t2[0] + 1)), steady=False)
        low, high = float(both.min()), float(both.max())
        self.trace.follow_y(low, high + FOR_LEGEND * (high - low))
        self.trace.tell(title)
        self._mark_t2()
        self._show_spectrum(traced.trace)

    def _show_spectrum(self, trace: Trace | None) -> None:
        if trace is None:
            self.spectrum.clear()
            self.spectrum.tell(f"shown from {LEAST_T2} t2 on")
            return
        self.spectrum.tell("")
        w2, amplitude = trace.spectrum.w2_cm, np.abs(trace.spectrum.spectrum)
        shown = np.abs(w2) <= WIDEST_CM
        self.spectrum.draw("beats", w2[shown], amplitude[shown], "g2", fillLevel=0.0, legend="at the address")
        highest = float(amplitude[shown].max())
        self.spectrum.follow_x(float(w2[shown][0]), float(w2[shown][-1]), steady=False)
        self.spectrum.follow_y(0.0, (1 + FOR_LEGEND) * highest)
        if self.coherences is not None:
            top = self.spectrum.shown_range()[1][1]
            lines = [(b.w2_cm.value, y) for b in self.coherences.fit.beats for y in (0.0, top, np.nan)]
            x, y = np.array(lines).T
            self.spectrum.draw("fit", x, y, "warning", width=1.5, connect="finite", legend="global fit")

    # ---- a map ----

    def _take(self, maps: Maps, index: int) -> None:
        """Show these maps at one of their t2; an address nobody asked for is where that map is largest."""
        self.maps = maps
        self._set_slider(len(maps.t2_fs) - 1, index)
        if not self._asked:
            absorptive = (maps.rephasing[index] + maps.nonrephasing[index]).real
            k1, k3 = np.unravel_index(int(np.argmax(absorptive)), absorptive.shape)
            self.address_cm = float(maps.w1_cm[k1]), float(maps.w3_cm[k3])
        self._show_map()
        self._ask_trace()

    def _show_map(self) -> None:
        """One map of the series, which is a small part of it."""
        maps, k = self.maps, self.t2.value()
        if maps is None:
            return
        r, n = maps.rephasing[k], maps.nonrephasing[k]
        kind = self.kind.currentText()
        values = {ABSORPTIVE: r + n, REPHASING: r, NONREPHASING: n}[kind].real
        t2 = maps.t2_fs[k]
        told = kind if kind == ABSORPTIVE else f"{kind}, real part"
        self.map.show_map(maps.w1_cm, maps.w3_cm, values, title=f"{told}, t2 = {t2:.0f} fs")
        self.t2_told.setText(f"t2 = {t2:.0f} fs  ({k + 1} of {len(maps.t2_fs)})")
        self._mark_t2()

    def _mark_t2(self) -> None:
        """A line in the trace where the map is."""
        if self.maps is not None and "real" in self.trace.curves():
            t2 = float(self.maps.t2_fs[self.t2.value()])
            low, high = self.trace.shown_range()[1]
            self.trace.draw("map", [t2, t2], [low, high], "faint", width=1.5)

    def _set_slider(self, last: int, index: int) -> None:
        with QtCore.QSignalBlocker(self.t2):
            self.t2.setRange(0, last)
            self.t2.setValue(index)
            self.t2.setEnabled(last > 0)

    # ---- inside ----

    def _lay_out(self) -> None:
        bar = QtWidgets.QHBoxLayout()
        bar.setContentsMargins(8, 4, 8, 2)
        bar.setSpacing(10)
        bar.addWidget(self.kind)
        bar.addWidget(self.t2, 1)
        self.t2_told.setMinimumWidth(self.fontMetrics().horizontalAdvance("t2 = 8888 fs  (888 of 888)"))
        bar.addWidget(self.t2_told)
        left = _column(bar, self.map)
        foot = QtWidgets.QHBoxLayout()
        foot.setContentsMargins(8, 0, 8, 2)
        foot.addWidget(self.scan_told)
        traces = QtWidgets.QSplitter(QtCore.Qt.Orientation.Vertical)
        above = QtWidgets.QSplitter(QtCore.Qt.Orientation.Horizontal)
        beats = QtWidgets.QSplitter(QtCore.Qt.Orientation.Horizontal)
        self.after = QtWidgets.QTabWidget()
        self.after.addTab(beats, "Beating maps")
        self.after.addTab(self.table, "Global fit")
        rows = QtWidgets.QSplitter(QtCore.Qt.Orientation.Vertical)
        for splitter, parts, sizes in (
            (traces, (self.trace, self.spectrum), (300, 260)),
            (above, (left, traces), (620, 420)),
            (beats, self.beats, (260, 240, 240)),
            (rows, (above, self.after), (540, 330)),
        ):
            for part in parts:
                splitter.addWidget(part)
            splitter.setSizes(list(sizes))
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(rows, 1)
        layout.addLayout(foot)


@dataclass(frozen=True)
class _Traced:
    """The rephasing signal along t2 at one point of the maps."""

    w1_cm: float
    w3_cm: float
    t2_fs: NDArray[np.floating]
    signal: NDArray[np.complexfloating]
    trace: Trace | None
    """With its spectrum; None where there are too few t2 for one."""


def _traced(maps: Maps, k1: int, k3: int) -> _Traced:
    """What is shown of a point; in a thread of its own."""
    from ...analysis.twodes.coherences import SKIP_FS, trace_at

    w1_cm, w3_cm = float(maps.w1_cm[k1]), float(maps.w3_cm[k3])
    enough = (maps.t2_fs >= SKIP_FS).sum() >= LEAST_T2
    trace = trace_at(maps, w1_cm, w3_cm) if enough else None
    return _Traced(w1_cm, w3_cm, maps.t2_fs, maps.rephasing[:, k1, k3], trace)


def _nearest(axis: NDArray[np.floating], value: float) -> int:
    return int(np.argmin(np.abs(axis - value)))


def _within(value: float, axis: NDArray[np.floating]) -> bool:
    return bool(axis[0] <= value <= axis[-1])


def _column(bar: QtWidgets.QLayout, widget: QtWidgets.QWidget) -> QtWidgets.QWidget:
    made = QtWidgets.QWidget()
    column = QtWidgets.QVBoxLayout(made)
    column.setContentsMargins(0, 0, 0, 0)
    column.addLayout(bar)
    column.addWidget(widget, 1)
    return made
