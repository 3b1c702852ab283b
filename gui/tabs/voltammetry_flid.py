"""Voltammetry-FLID: one dot while its bias is swept."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from qtpy import QtCore, QtWidgets

from ..experiment_tab import ExperimentTab
from ..plots.decay_plot import DecayPlot
from ..plots.flid_map import LIFETIME_EDGES_NS, RATE_EDGES_HZ, FlidMap
from ..plots.g2_plot import G2Plot
from ..plots.intensity_trace import IntensityTrace, in_bins
from ..plots.voltammogram import Sweep, Voltammogram
from .drawn_sweeps import RAMPS_UP_TO, PotentialTrail, drawn_sweeps
from .looked_flid import LookedFlid

if TYPE_CHECKING:
    from ...analysis.live_flid import LiveFlid, RunningTrace
    from ...analysis.photon_engine import EngineSnapshot
    from ...analysis.scaling import Ratio, ScalingCurve
    from ...analysis.voltammetry_flid import VoltammetryFlidResult
    from ...formats.run_file import RunFile
    from ...instruments.potentiostat import PotentiostatRecord
    from ...procedures.analyses.voltammetry_flid import VoltammetryFlidAnalysis
    from ...procedures.voltammetry_flid import VoltammetryFLID

NOW_S = 1.0
"""The decay of "now" is that of the last so many seconds."""
G2_BIN_NS = 20.0
G2_REACH_NS = 2000.0
MOST_SHOWN = 6000
"""Points of a trace that are drawn."""
CURRENT_COMES = "current comes when a block has ended"

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Looked(LookedFlid):
    """What is drawn of a run that goes on."""

    decay: NDArray[np.int64]
    decay_now: Array
    resolution_ns: float
    g2_delay_ns: Array | None
    g2_pairs: NDArray[np.int64] | None
    g2_zero: Ratio | None
    g2_peak_ns: Array | None
    g2_in_peak: NDArray[np.int64] | None
    sweeps: list[Sweep]


@dataclass(frozen=True)
class Digested:
    """What is drawn of a run that has ended, made small enough."""

    time_s: Array
    rate_hz: Array
    potential_time_s: Array
    potential_v: Array
    sweeps: list[Sweep]


class VoltammetryFlidTab(ExperimentTab):
    """Intensity and potential over time, FLID, decays, voltammogram and g2."""

    title: ClassVar[str] = "Voltammetry-FLID"
    experiments: ClassVar[tuple[str, ...]] = ("cv_flid", "cv_flid_long")
    kinds: ClassVar[tuple[str, ...]] = ("voltammetry_flid",)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.trace, self.flid, self.decays = IntensityTrace(), FlidMap(), DecayPlot(normalized=True)
        self.voltammogram, self.g2 = Voltammogram(), G2Plot()
        self.colour_by = QtWidgets.QComboBox()
        self.colour_by.addItems(["bias", "count"])
        self.colour_by.currentTextChanged.connect(self.flid.colour_by)
        self.flid.colour_by("bias")
        self.about_current = QtWidgets.QLabel(CURRENT_COMES)
        self.about_current.setProperty("faint", True)
        self._lay_out()
        self._watch: _Watch | None = None
        self._last_scaling: tuple[ScalingCurve, str] | None = None

    # ---- a run that goes on ----

    def begin(self, procedure: VoltammetryFLID) -> None:
        """Empty views; the scaling curve of the last run stays until this one has its own."""
        self.clear()
        self._watch = _Watch(procedure)
        self._set_reference(procedure.rig.station.file.station.reference_electrode)
        if self._last_scaling:
            curve, told = self._last_scaling
            self.flid.show_scaling(curve.lifetime_ns, curve.rate_hz, f"{told} (last run)")

    def look(self, procedure: VoltammetryFLID) -> Looked | None:
        """The newest snapshot of the photons, counted into trace and FLID."""
        return self._watch.look() if self._watch else None

    def show_live(self, looked: Looked) -> None:
        """Draw what was found."""
        looked.draw(self.trace, self.flid)
        self.decays.show_decay("all so far", looked.decay, looked.resolution_ns)
        if looked.decay_now.any():
            self.decays.show_decay(f"last {NOW_S:g} s", looked.decay_now, looked.resolution_ns, pen="now")
        if looked.g2_delay_ns is not None and looked.g2_pairs is not None:
            self.g2.show_histogram(looked.g2_delay_ns, looked.g2_pairs, reach_ns=G2_REACH_NS)
            if looked.g2_peak_ns is not None and looked.g2_in_peak is not None:
                self.g2.show_peaks(looked.g2_peak_ns, looked.g2_in_peak)
            zero = looked.g2_zero
            self.g2.show_value(zero and zero.value, zero and zero.error)
        self._show_sweeps(looked.sweeps)

    # ---- a run that has ended ----

    def digest(self, run: RunFile, analysis: VoltammetryFlidAnalysis) -> Digested:
        """Trace, potential and sweeps, thinned to what a screen can show."""
        result, asked = analysis.result, SimpleNamespace(**run.header["parameters"])
        rate_hz, bin_s = in_bins(result.trace_hz, result.trace_bin_s, MOST_SHOWN)
        time_s, potential_v = _potential(result, with_ramps=asked.cycles <= RAMPS_UP_TO)
        records = [r for r in run.potentiostat if r.about["technique"] == "CyclicVoltammetry"]
        sweeps = drawn_sweeps(records, _cycle_s(asked), asked.cycles)
        return Digested((np.arange(len(rate_hz)) + 0.5) * bin_s, rate_hz, time_s, potential_v, sweeps)

    def show_result(
        self, run: RunFile, analysis: VoltammetryFlidAnalysis, digested: Digested | None = None
    ) -> None:
        """Show what the analysis found, in the views that were live."""
        result = analysis.result
        digested = digested or self.digest(run, analysis)
        live = self._watch is not None
        self._watch = None
        self._set_reference(run.header["station"]["station"]["reference_electrode"])
        self.trace.clear()
        self.trace.show_intensity(digested.time_s, digested.rate_hz)
        self.trace.show_potential(digested.potential_time_s, digested.potential_v)
        self.trace.show_span(0.0, result.duration_s)
        self._show_flid(result)
        self._show_decays(result)
        self.voltammogram.clear()
        self._show_sweeps(digested.sweeps)
        self.g2.setVisible(live)  # that of a run that was just watched stays: the analysis does not count it

    def clear(self) -> None:
        """Empty all views."""
        for plot in (self.trace, self.flid, self.decays, self.voltammogram, self.g2):
            plot.clear()
        self.about_current.show()
        self.g2.show()
        self._watch = None

    # ---- inside ----

    def _lay_out(self) -> None:
        flid = QtWidgets.QWidget()
        bar = QtWidgets.QHBoxLayout()
        bar.setContentsMargins(8, 2, 8, 0)
        bar.addWidget(QtWidgets.QLabel("FLID, coloured by"))
        bar.addWidget(self.colour_by)
        bar.addStretch(1)
        _column(flid, bar, self.flid)
        current = QtWidgets.QWidget()
        self.about_current.setContentsMargins(10, 4, 10, 0)
        _column(current, self.about_current, self.voltammogram)
        rows = QtWidgets.QSplitter(QtCore.Qt.Orientation.Vertical)
        rows.addWidget(self.trace)
        rows.addWidget(_beside(flid, self.decays))
        rows.addWidget(_beside(current, self.g2))
        rows.setSizes([230, 340, 300])
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(rows)

    def _set_reference(self, electrode: str) -> None:
        for plot in (self.trace, self.flid, self.voltammogram):
            plot.set_reference(electrode)

    def _show_sweeps(self, sweeps: list[Sweep]) -> None:
        self.about_current.setVisible(not sweeps)
        if sweeps:
            self.voltammogram.show_sweeps(sweeps)

    def _show_flid(self, result: VoltammetryFlidResult) -> None:
        self.flid.clear()
        points = result.flid
        self.flid.show_points(
            points.lifetime_ns, points.rate_hz - result.background.rate_hz, points.potential_v
        )
        self._last_scaling = None
        if result.scaling and result.auger_ratio:
            told = f"γA/γ0 = {result.auger_ratio.value:.2f}"
            self._last_scaling = result.scaling, told
            self.flid.show_scaling(result.scaling.lifetime_ns, result.scaling.rate_hz, told)
        if vertex := result.at_vertex:
            self.flid.show_mark(
                f"at {vertex.potential_v:g} V", vertex.lifetime_ns, vertex.net_rate_hz,
                vertex.lifetime_err_ns, vertex.net_rate_err_hz,
            )  # fmt: skip

    def _show_decays(self, result: VoltammetryFlidResult) -> None:
        self.decays.clear()
        for state, pen in ((result.states.x0, "x0"), (result.states.x_minus, "x_minus")):
            if state is None:
                continue
            told = f"{state.lifetime_ns:.1f} ± {state.lifetime_err_ns:.1f} ns"
            self.decays.show_decay(state.name, state.decay, result.resolution_ns, pen=pen, told=told)
            if curve := result.state_decay(state, self.decays.bin_ns):
                self.decays.show_fit(state.name, curve.micro_time_ns, curve.fit_counts, pen="fit")
        if result.states.x0 is None and result.states.x_minus is None:
            self.decays.show_decay("all photons", result.decay.sum(axis=0), result.resolution_ns)


class _Watch:
    """Looks at one run; used by one thread."""

    def __init__(self, procedure: VoltammetryFLID) -> None:
        self._procedure = procedure
        self._trace: RunningTrace | None = None
        self._flid: LiveFlid | None = None
        self._trail = PotentialTrail()
        self._sweeps: list[Sweep] = []
        self._n_records = 0

    def look(self) -> Looked | None:
        """What is known now; None before photons are counted."""
        from ...analysis.live_flid import LiveFlid, RunningTrace
        from ...procedures.analyses.stored import calibration_of

        photons, settings = self._procedure.photons, self._procedure.photons.live.settings
        if settings is None:
            return None
        taken_s = self._flid.taken_s if self._flid else 0.0
        snapshot = photons.live.snapshot(NOW_S + settings.flid_bin_s, since_s=taken_s - settings.flid_bin_s)
        if snapshot is None:
            return None
        if self._trace is None or self._flid is None:
            calibration = calibration_of(self._procedure.rig.calibration)
            self._trace = RunningTrace(snapshot.trace_bin_s)
            self._flid = LiveFlid(settings, calibration, LIFETIME_EDGES_NS, RATE_EDGES_HZ)
        self._trail.take(self._procedure.potential_trail, self._flid.taken_s)
        self._trace.add(snapshot)
        self._flid.add(snapshot, *self._trail.recent)
        return self._looked(snapshot, self._trace, self._flid)

    def _looked(self, snapshot: EngineSnapshot, trace: RunningTrace, flid: LiveFlid) -> Looked:
        from ...analysis.antibunching import zero_over_lagging

        progress, g2 = self._procedure.progress, snapshot.g2
        delay_ns, pairs = g2.binned(G2_BIN_NS) if g2 else (None, None)
        in_peak = g2.window_pairs if g2 else None
        potential_time_s, potential_v = self._trail.drawn
        if self._procedure.cycles > RAMPS_UP_TO:
            potential_time_s = potential_v = np.empty(0)
        return Looked(
            time_s=trace.time_s,
            rate_hz=trace.rate_hz,
            potential_time_s=potential_time_s,
            potential_v=potential_v,
            span_s=max(snapshot.duration_s, progress.duration_s - progress.elapsed_s + snapshot.duration_s),
            flid_counts=flid.counts.copy(),
            flid_bias_v=flid.mean_potential_v,
            decay=snapshot.decay.sum(axis=0),
            decay_now=flid.spread(snapshot.histograms[-round(NOW_S / snapshot.flid_bin_s) - 1 : -1]),
            resolution_ns=snapshot.resolution_ps / 1000,
            g2_delay_ns=delay_ns,
            g2_pairs=pairs,
            g2_zero=None if in_peak is None else zero_over_lagging(in_peak),
            g2_peak_ns=g2.order * g2.period_bins * g2.resolution_ns if g2 else None,
            g2_in_peak=in_peak,
            sweeps=self._new_sweeps(),
        )

    def _new_sweeps(self) -> list[Sweep]:
        records: list[PotentiostatRecord] = self._procedure.potentiostat_records
        if len(records) > self._n_records:
            self._n_records = len(records)
            swept = [r for r in records if type(r.technique).__name__ == "CyclicVoltammetry"]
            self._sweeps = drawn_sweeps(swept, _cycle_s(self._procedure), self._procedure.cycles)
        return self._sweeps


def _potential(result: VoltammetryFlidResult, *, with_ramps: bool) -> tuple[Array, Array]:
    """Times and potentials of hold and cycles, thinned, with a gap (nan) between hold and cycles."""
    parts = []
    for points in (result.hold_flid, result.flid) if with_ramps else (result.hold_flid,):
        step = max(1, len(points.time_s) // MOST_SHOWN)
        parts += [np.stack([points.time_s[::step], points.potential_v[::step]]), np.full((2, 1), np.nan)]
    time_s, potential_v = np.concatenate(parts, axis=1)
    return time_s, potential_v


def _cycle_s(run: VoltammetryFLID | SimpleNamespace) -> float:
    return 2 * abs(run.vertex_v - run.initial_v) / run.scan_rate_v_s


def _column(widget: QtWidgets.QWidget, *parts: QtWidgets.QWidget | QtWidgets.QLayout) -> None:
    layout = QtWidgets.QVBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(2)
    for part in parts[:-1]:
        layout.addLayout(part) if isinstance(part, QtWidgets.QLayout) else layout.addWidget(part)
    last = parts[-1]
    assert isinstance(last, QtWidgets.QWidget)
    layout.addWidget(last, 1)


def _beside(left: QtWidgets.QWidget, right: QtWidgets.QWidget) -> QtWidgets.QSplitter:
    splitter = QtWidgets.QSplitter(QtCore.Qt.Orientation.Horizontal)
    splitter.addWidget(left)
    splitter.addWidget(right)
    splitter.setSizes([500, 420])
    return splitter
