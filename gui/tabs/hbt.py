"""HBT: photon pairs of one dot, and what g2(0) they come to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from qtpy import QtCore, QtWidgets

from ..experiment_tab import ExperimentTab
from ..plots.g2_plot import G2Plot
from ..plots.intensity_trace import IntensityTrace, centres_s, in_bins
from ..plots.points_plot import PointsPlot, ValueTrace

if TYPE_CHECKING:
    from ...analysis.antibunching import Antibunching
    from ...analysis.photon_engine import EngineSnapshot
    from ...analysis.pulsed_g2 import PulsedG2
    from ...analysis.scaling import Ratio
    from ...formats.run_file import RunFile
    from ...procedures.analyses.hbt import HbtAnalysis
    from ...procedures.hbt import HBT

BINS_PER_PERIOD = 25
SHOWN_PEAKS = 5
"""Peaks of the cross-correlation shown on either side."""
TRACE_S = 60.0
"""The rates of the last so many seconds are shown live."""
MOST_SHOWN = 3000
"""Points of a trace that are drawn."""
MOST_VALUES = 600
"""Values of g2(0) kept while they build up; then every other one is forgotten."""
DETECTOR_PENS = ("x0", "x_minus", "now", "g2")

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Looked:
    """What is drawn of a run that goes on."""

    about: str
    time_s: Array
    rates_hz: tuple[Array, ...]
    """Of each detector."""
    pairs: PulsedG2 | None
    zero: Ratio | None
    """g2(0) by the window of half a period, of all pairs so far."""
    history: Array
    """Time (s), g2(0) and its standard error as they became known, shape (3, n)."""


class HbtTab(ExperimentTab):
    """Cross-correlation, g2(0) as it builds up, and the rates of the detectors."""

    title: ClassVar[str] = "HBT"
    experiments: ClassVar[tuple[str, ...]] = ("hbt",)
    kinds: ClassVar[tuple[str, ...]] = ("hbt",)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.g2, self.trace = G2Plot(), IntensityTrace(potential=False)
        self.build_up = ValueTrace("g2(0), all pairs so far")
        self.peaks = PointsPlot(
            "delay (laser periods)", "pairs in the peak", y_from_zero=True, free_above=0.5
        )
        self.about = QtWidgets.QLabel(" ", wordWrap=True)
        self._history: list[tuple[float, float, float]] = []
        self._lay_out()

    # ---- a run that goes on ----

    def begin(self, procedure: HBT) -> None:
        """Empty views; g2(0) builds up beside the pairs."""
        super().begin(procedure)
        self.beside.setCurrentWidget(self.build_up)

    def look(self, procedure: HBT) -> Looked | None:
        """The newest pairs and rates. All photons count, those before the potential was on too."""
        from ...analysis.antibunching import zero_over_lagging

        snapshot = procedure.photons.live.snapshot(TRACE_S)
        if snapshot is None or not len(snapshot.trace):
            return None
        zero = zero_over_lagging(snapshot.g2.window_pairs) if snapshot.g2 else None
        self._remember(snapshot.duration_s, zero)
        time_s, rates_hz = _rates(snapshot)
        last = [rate_hz[-1] if len(rate_hz) else 0.0 for rate_hz in rates_hz]
        photons = f"{int(snapshot.photons.sum()):,} photons in {snapshot.duration_s:.0f} s"
        return Looked(
            f"{photons}, {_told_rates(last)}" + ("" if snapshot.g2 else "; too fast to count pairs live"),
            time_s, rates_hz, snapshot.g2, zero, np.array(self._history).reshape(-1, 3).T,
        )  # fmt: skip

    def show_live(self, looked: Looked) -> None:
        """Draw what was found."""
        self.about.setText(looked.about)
        for k, rate_hz in enumerate(looked.rates_hz):
            self.trace.show_intensity(looked.time_s, rate_hz, name=f"detector {k}", pen=DETECTOR_PENS[k % 4])
        if looked.pairs is not None:
            self._show_pairs(looked.pairs)
            self.g2.show_value(*(looked.zero or (None, None)))
        if looked.history.size:
            self.build_up.show_values(*looked.history)

    # ---- a run that has ended ----

    def show_result(self, run: RunFile, analysis: HbtAnalysis, digested: None = None) -> None:
        """Show what the analysis found in the measured window."""
        result = analysis.result
        self.clear()
        self.beside.setCurrentWidget(self.peaks)
        self._show_pairs(result.antibunching.pairs)
        self.g2.show_value(*(result.antibunching.window or (None, None)))
        rate_hz, bin_s = in_bins(result.trace_hz, result.trace_bin_s, MOST_SHOWN)
        self.trace.show_intensity(centres_s(len(rate_hz), bin_s), rate_hz, name="both detectors")
        reference = run.header["station"]["station"]["reference_electrode"]
        where = "cell at rest" if result.potential_v is None else f"{result.potential_v:g} V vs. {reference}"
        photons = f"{result.photons:,} photons in {result.duration_s:.1f} s"
        self.about.setText(f"{photons}, {where}, {_told_rates(result.rates_hz)}")
        self._show_peaks(result.antibunching)

    def clear(self) -> None:
        """Empty all views."""
        for plot in (self.g2, self.trace, self.build_up, self.peaks):
            plot.clear()
        self.about.setText(" ")
        self._history = []

    # ---- inside ----

    def _lay_out(self) -> None:
        self.beside = QtWidgets.QStackedWidget()
        self.beside.addWidget(self.build_up)
        self.beside.addWidget(self.peaks)
        top = QtWidgets.QSplitter(QtCore.Qt.Orientation.Horizontal)
        top.addWidget(self.g2)
        top.addWidget(self.beside)
        top.setSizes([560, 360])
        rows = QtWidgets.QSplitter(QtCore.Qt.Orientation.Vertical)
        rows.addWidget(top)
        rows.addWidget(self.trace)
        rows.setSizes([480, 230])
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(rows, 1)
        self.about.setContentsMargins(10, 0, 10, 4)
        layout.addWidget(self.about)

    def _remember(self, time_s: float, zero: Ratio | None) -> None:
        if zero is None or (self._history and time_s <= self._history[-1][0]):
            return
        self._history.append((time_s, zero.value, zero.error))
        if len(self._history) > MOST_VALUES:
            self._history = self._history[::2]

    def _show_pairs(self, pairs: PulsedG2) -> None:
        period_ns = pairs.period_bins * pairs.resolution_ns
        delay_ns, counts = pairs.binned(period_ns / BINS_PER_PERIOD)
        self.g2.show_histogram(delay_ns, counts, reach_ns=(min(SHOWN_PEAKS, pairs.pulses) + 0.5) * period_ns)
        self.g2.show_peaks(pairs.order * period_ns, pairs.window_pairs)

    def _show_peaks(self, found: Antibunching) -> None:
        order = found.pairs.order
        for name, pairs, zero, pen, symbol, shift in (
            ("± T/2", found.pairs.window_pairs, found.window, "trace", "o", -0.12),
            ("by sync", found.pairs.sync_pairs, found.sync, "bias", "s", 0.12),
        ):
            told = f"{zero.value:.3f} ± {zero.error:.3f}" if zero else ""
            errors = np.sqrt(np.asarray(pairs, float))
            self.peaks.show_points(name, order + shift, pairs, errors, pen=pen, symbol=symbol, told=told)
        corrected, accidental = found.background_corrected, found.accidental_pairs.value
        self.peaks.show_curve("background", order[[0, -1]], [accidental] * 2, pen="faint")
        if corrected:
            net = f"g2(0) without background {corrected.value:.3f} ± {corrected.error:.3f}"
            self.about.setText(f"{self.about.text()}, {net}")


def _rates(snapshot: EngineSnapshot) -> tuple[Array, tuple[Array, ...]]:
    """Times and rates of each detector, of the whole bins of a snapshot's trace."""
    rates_hz: list[Array] = []
    bin_s = snapshot.trace_bin_s
    for counts in snapshot.trace[:-1].T:
        rate_hz, bin_s = in_bins(counts / snapshot.trace_bin_s, snapshot.trace_bin_s, MOST_SHOWN // 5)
        rates_hz.append(rate_hz)
    return centres_s(len(rates_hz[0]), bin_s, snapshot.trace_start_s), tuple(rates_hz)


def _told_rates(rates_hz: Iterable[float]) -> str:
    return " + ".join(f"{rate_hz / 1e3:.2f}" for rate_hz in rates_hz) + " kc/s"
