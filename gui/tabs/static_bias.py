"""Static bias: one dot at a list of potentials, each held for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy import QtCore, QtWidgets

from .. import theme
from ..experiment_tab import ExperimentTab
from ..plots.decay_plot import DecayPlot
from ..plots.flid_cells import LIFETIME_EDGES_NS, RATE_EDGES_HZ
from ..plots.flid_map import FlidMap
from ..plots.intensity_trace import IntensityTrace, centres_s, in_bins
from ..plots.points_plot import PointsPlot
from .looked_flid import LookedFlid

if TYPE_CHECKING:
    from ...analysis.live_flid import LiveFlid, RunningTrace
    from ...analysis.scaling import Ratio
    from ...analysis.static_bias import AtPotential, StaticBiasResult
    from ...formats.run_file import RunFile
    from ...procedures.analyses.static_bias import StaticBiasAnalysis
    from ...procedures.static_bias import StaticBias

ALL = "all potentials"
DOUBT_S = 2.0
"""Photons within so many seconds of a change of the commanded potential belong to no live decay."""
MOST_SHOWN = 6000
"""Points of a trace that are drawn."""

LINE_COLOURS = {"light": (0.0, 0.92), "dark": (0.2, 1.0)}
"""Part of the colours of bias that is used for lines: the others do not stand out from the panel."""

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Looked(LookedFlid):
    """What is drawn of a run that goes on."""

    decays: dict[float, NDArray[np.int64]]
    """Counts per micro-time bin at each potential held so far, all detectors together."""
    resolution_ns: float


class StaticBiasTab(ExperimentTab):
    """FLID and decays by potential, and what lifetime, intensity and g2(0) come to at each."""

    title: ClassVar[str] = "Static bias"
    experiments: ClassVar[tuple[str, ...]] = ("static_bias",)
    kinds: ClassVar[tuple[str, ...]] = ("static_bias",)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.trace, self.flid = IntensityTrace(), FlidMap()
        self.decays = DecayPlot(normalized=True)
        self.lifetimes = PointsPlot("potential (V)", "lifetime (ns)", log_y=True, legend=None)
        self.rates = PointsPlot("potential (V)", "net intensity (kc/s)", log_y=True, legend=None)
        self.g2 = PointsPlot("potential (V)", "g2(0)", y_from_zero=True, free_above=0.35)
        self.shown_potential, self.colour_by = QtWidgets.QComboBox(), QtWidgets.QComboBox()
        self.shown_potential.addItem(ALL)
        self.colour_by.addItems(["bias", "count"])
        self.flid.colour_by("bias")
        self.colour_by.currentTextChanged.connect(self.flid.colour_by)
        self.shown_potential.currentIndexChanged.connect(self._show_flid)
        self._lay_out()
        self._watch: _Watch | None = None
        self._result: StaticBiasResult | None = None

    # ---- a run that goes on ----

    def begin(self, procedure: StaticBias) -> None:
        """Empty views; lifetime and intensity against the potential are shown when the run is over."""
        self.clear()
        self.means.hide()
        self._watch = _Watch(procedure)
        self._set_reference(procedure.rig.station.file.station.reference_electrode)

    def look(self, procedure: StaticBias) -> Looked | None:
        """The newest snapshot, counted into trace, FLID and the decay of the commanded potential."""
        return self._watch.look() if self._watch else None

    def show_live(self, looked: Looked) -> None:
        """Draw what was found."""
        looked.draw(self.trace, self.flid)
        self._show_decays(list(looked.decays), list(looked.decays.values()), looked.resolution_ns)

    # ---- a run that has ended ----

    def show_result(self, run: RunFile, analysis: StaticBiasAnalysis, digested: None = None) -> None:
        """Show what the analysis found at each potential."""
        self.clear()
        self.means.show()
        self._result = result = analysis.result
        self._set_reference(run.header["station"]["station"]["reference_electrode"])
        rate_hz, bin_s = in_bins(result.trace_hz, result.trace_bin_s, MOST_SHOWN)
        self.trace.show_intensity(centres_s(len(rate_hz), bin_s), rate_hz)
        holds = [at.hold for at in result.potentials]
        gaps = [[h.start_s, h.end_s, h.end_s] for h in holds]
        steps_v = [[h.potential_v, h.potential_v, np.nan] for h in holds]
        self.trace.show_potential(np.ravel(gaps), np.ravel(steps_v))
        self.trace.show_span(0.0, result.duration_s)
        with QtCore.QSignalBlocker(self.shown_potential):
            self.shown_potential.addItems([f"{hold.potential_v:g} V" for hold in holds])
        self._show_flid(0)
        self._show_decays(
            [hold.potential_v for hold in holds], [at.decay for at in result.potentials], result.resolution_ns
        )
        self._show_points(result.potentials)

    def clear(self) -> None:
        """Empty all views."""
        self._watch = self._result = None
        for plot in (self.trace, self.flid, self.decays, self.lifetimes, self.rates, self.g2):
            plot.clear()
        with QtCore.QSignalBlocker(self.shown_potential):
            self.shown_potential.clear()
            self.shown_potential.addItem(ALL)

    # ---- inside ----

    def _lay_out(self) -> None:
        flid, bar = QtWidgets.QWidget(), QtWidgets.QHBoxLayout()
        bar.setContentsMargins(8, 2, 8, 0)
        for part in (QtWidgets.QLabel("FLID at"), self.shown_potential, QtWidgets.QLabel("coloured by")):
            bar.addWidget(part)
        bar.addWidget(self.colour_by)
        bar.addStretch(1)
        column = QtWidgets.QVBoxLayout(flid)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(bar)
        column.addWidget(self.flid, 1)
        rows = QtWidgets.QSplitter(QtCore.Qt.Orientation.Vertical)
        rows.addWidget(self.trace)
        self.means = QtWidgets.QSplitter(QtCore.Qt.Orientation.Horizontal)
        for beside, parts in (
            (QtWidgets.QSplitter(QtCore.Qt.Orientation.Horizontal), (flid, self.decays)),
            (self.means, (self.lifetimes, self.rates, self.g2)),
        ):
            for part in parts:
                beside.addWidget(part)
            rows.addWidget(beside)
        rows.setSizes([240, 340, 240])
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(rows)

    def _set_reference(self, electrode: str) -> None:
        self.trace.set_reference(electrode)
        self.flid.set_reference(electrode)
        for plot in (self.lifetimes, self.rates, self.g2):
            plot.name_axis("bottom", f"potential (V vs. {electrode})", "potential (V)")

    def _show_flid(self, index: int) -> None:
        """The FLID of all holds (index 0) or of one, with the mean of each."""
        result = self._result
        if result is None or index < 0:
            return
        self.flid.clear()
        shown = result.potentials if index == 0 else result.potentials[index - 1 : index]
        columns = [
            np.concatenate([np.empty(0), *(getattr(at.flid, name) for at in shown)])
            for name in ("lifetime_ns", "rate_hz", "potential_v")
        ]
        self.flid.show_points(columns[0], columns[1] - result.background.rate_hz, columns[2])
        if result.scaling is not None:
            told = "Eqs. 1-2"
            if result.auger_ratio is not None:
                told = f"γA/γ0 = {result.auger_ratio.value:.2f}"
            self.flid.show_scaling(result.scaling.lifetime_ns, result.scaling.rate_hz, told)
        for at in shown:
            self.flid.show_mark(
                f"mean at {at.hold.potential_v:g} V", at.lifetime_ns.value, at.net_rate_hz.value,
                at.lifetime_ns.error, at.net_rate_hz.error, pen="bad", legend=index > 0,
            )  # fmt: skip

    def _show_decays(
        self, held_v: Sequence[float], decays: Sequence[NDArray[np.int64]], resolution_ns: float
    ) -> None:
        colours = potential_colours(held_v)
        for potential_v, decay in zip(held_v, decays, strict=True):
            self.decays.show_decay(f"{potential_v:g} V", decay, resolution_ns, pen=colours[potential_v])

    def _show_points(self, potentials: Sequence[AtPotential]) -> None:
        held = np.array([at.hold.potential_v for at in potentials])
        for plot, ratios, scale in (
            (self.lifetimes, [at.lifetime_ns for at in potentials], 1.0),
            (self.rates, [at.net_rate_hz for at in potentials], 1e-3),
        ):
            plot.show_points("mean of each hold", held, *_columns(ratios, scale))
        g2 = [at.antibunching for at in potentials]
        for name, found, pen, symbol in (
            ("± T/2", [a.window for a in g2], "g2", "o"),
            ("net, by sync", [a.background_corrected for a in g2], "bias", "s"),
        ):
            self.g2.show_points(name, held, *_columns(found), pen=pen, symbol=symbol)


class _Watch:
    """Looks at one run; used by one thread."""

    def __init__(self, procedure: StaticBias) -> None:
        self._procedure = procedure
        self._trace: RunningTrace | None = None
        self._flid: LiveFlid | None = None
        self._decays = HeldDecays()

    def look(self) -> Looked | None:
        """What is known now; None before photons are counted."""
        from ...analysis.live_flid import LiveFlid, RunningTrace
        from ...procedures.analyses.stored import calibration_of

        procedure = self._procedure
        photons, progress, settings = procedure.photons, procedure.progress, procedure.photons.live.settings
        taken_s = self._flid.taken_s if self._flid else 0.0
        snapshot = photons.live.snapshot(max(photons.duration_s - taken_s, 0.0) + 1.0)
        if settings is None or snapshot is None:
            return None
        if self._trace is None or self._flid is None:
            self._trace = RunningTrace(snapshot.trace_bin_s)
            calibration = calibration_of(procedure.rig.calibration)
            self._flid = LiveFlid(settings, calibration, LIFETIME_EDGES_NS, RATE_EDGES_HZ)
        time_s, potential_v = np.array(procedure.potential_trail, np.float64).reshape(-1, 2).T
        self._trace.add(snapshot)
        self._flid.add(snapshot, time_s, potential_v)
        self._decays.add(snapshot.duration_s, progress.potential_v, snapshot.decay.sum(axis=0))
        step = max(1, len(time_s) // MOST_SHOWN)
        return Looked(
            self._trace.time_s, self._trace.rate_hz, time_s[::step], potential_v[::step],
            max(snapshot.duration_s, progress.duration_s - progress.elapsed_s + snapshot.duration_s),
            self._flid.counts.copy(), self._flid.mean_potential_v,
            dict(self._decays.sums), snapshot.resolution_ps / 1000,
        )  # fmt: skip


class HeldDecays:
    """Decay at each commanded potential, of photons well after it was set and well before it changed.

    When the potentiostat really changes the potential is known to a second or so while a run goes on.
    """

    def __init__(self) -> None:
        self.sums: dict[float, NDArray[np.int64]] = {}
        """Counts per micro-time bin at each potential."""
        self._held: float | None = None
        self._since_s = self._last_s = 0.0
        self._last: NDArray[np.int64] = np.zeros(0, np.int64)
        self._waiting: list[tuple[float, NDArray[np.int64]]] = []

    def add(self, time_s: float, potential_v: float | None, decay: NDArray[np.int64]) -> None:
        """Take the decay of all photons up to a time (s), and the potential commanded then."""
        if potential_v != self._held or potential_v is None:
            self._held, self._since_s = potential_v, time_s
            self._waiting.clear()
        else:
            if self._last_s - self._since_s >= DOUBT_S:
                self._waiting.append((time_s, decay - self._last))
            while self._waiting and time_s - self._waiting[0][0] >= DOUBT_S:
                _, new = self._waiting.pop(0)
                self.sums[potential_v] = self.sums.get(potential_v, np.zeros_like(new)) + new
        self._last_s, self._last = time_s, decay


def potential_colours(held_v: Sequence[float]) -> dict[float, str]:
    """One colour for each potential, "#rrggbb", in their order: they are seldom evenly spaced."""
    distinct = sorted(set(held_v))
    colours = pg.colormap.get(theme.current().colours_of_bias)
    assert colours is not None
    first, last = LINE_COLOURS[theme.current().name]
    table = colours.getLookupTable(first, last, max(2, len(distinct)), alpha=False)
    return {v: "#{:02x}{:02x}{:02x}".format(*table[k]) for k, v in enumerate(distinct)}


def _columns(ratios: Sequence[Ratio | None], scale: float = 1.0) -> tuple[Array, Array]:
    """Values and errors; nan for what is not known."""
    pairs = [(np.nan, np.nan) if r is None else (r.value, r.error) for r in ratios]
    value, error = np.array(pairs, np.float64).reshape(-1, 2).T * scale
    return value, error
