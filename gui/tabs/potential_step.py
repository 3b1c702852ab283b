"""Potential steps: how fast intensity and lifetime of one dot follow its bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from qtpy import QtCore, QtWidgets

from ..experiment_tab import ExperimentTab
from ..plots.intensity_trace import IntensityTrace, centres_s, in_bins
from ..plots.points_plot import PointsPlot

if TYPE_CHECKING:
    from ...analysis.live_steps import FoldedRate, LiveSteps
    from ...analysis.potential_step import Folded
    from ...analysis.step_response import StepResponse
    from ...formats.run_file import RunFile
    from ...formats.tttr import TttrBlock
    from ...procedures.analyses.potential_step import PotentialStepAnalysis
    from ...procedures.potential_step import PotentialStep

FOLDED_BELOW_S = 0.05
"""Steps with this period or a shorter one are folded while they come in: each look sees whole ones."""
PERIODS_SHOWN = 20
"""Periods of a slower square wave that the live trace shows."""
MOST_SHOWN = 2000
"""Points of a trace that are drawn."""
CURVE_POINTS = 400

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Looked:
    """What is drawn of a run that goes on."""

    about: str
    time_s: Array
    rate_hz: Array
    folded: dict[str, FoldedRate]
    """By direction; empty where the steps are too slow to be folded while they come in."""


class PotentialStepTab(ExperimentTab):
    """Rate and lifetime after the steps down and up; while the run goes on the rate, or its last periods."""

    title: ClassVar[str] = "Potential step"
    experiments: ClassVar[tuple[str, ...]] = ("potential_step",)
    kinds: ClassVar[tuple[str, ...]] = ("potential_step",)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.trace = IntensityTrace(potential=False)
        time, rate, lifetime = "time after the step (µs)", "intensity (kc/s)", "lifetime (ns)"
        self.rates = {
            step: PointsPlot(time, rate, log_x=True, y_from_zero=True, free_above=0.3)
            for step in ("falling", "rising")
        }
        self.lifetimes = {
            step: PointsPlot(time, lifetime, log_x=True, log_y=True, free_above=0.3)
            for step in ("falling", "rising")
        }
        self.about = QtWidgets.QLabel(" ")
        self.about.setWordWrap(True)
        self._lay_out()
        self._steps: LiveSteps | None = None
        self._folded_block: TttrBlock | None = None

    # ---- a run that goes on ----

    def begin(self, procedure: PotentialStep) -> None:
        """Empty views; slow steps show the trace of the last periods instead of the folded plots."""
        super().begin(procedure)
        self._steps, self._folded_block = None, None
        self.below.hide()  # lifetimes are known when the run is over
        slow = procedure.period_s > FOLDED_BELOW_S
        self.views.setCurrentWidget(self.trace if slow else self.folded)

    def look(self, procedure: PotentialStep) -> Looked | None:
        """The intensity over the last periods, and folded on the steps seen so far.

        Of the steps those count that the newest block of records holds: enough for watching.
        """
        photons = procedure.photons
        snapshot, block = photons.live.snapshot(PERIODS_SHOWN * procedure.period_s), photons.latest
        if snapshot is None or block is None or len(snapshot.trace) < 2:
            return None
        counts = snapshot.trace[:-1].sum(axis=1)  # the last bin may not be over
        rate_hz, bin_s = in_bins(counts / snapshot.trace_bin_s, snapshot.trace_bin_s, MOST_SHOWN)
        told = f"{int(snapshot.photons.sum()):,} photons in {snapshot.duration_s:.0f} s"
        folded = {} if procedure.period_s > FOLDED_BELOW_S else self._fold(procedure, block)
        if folded:
            told += f", {sum(one.steps for one in folded.values()):,} steps seen live"
        time_s = centres_s(len(rate_hz), bin_s, snapshot.trace_start_s)
        return Looked(told, time_s, rate_hz, folded)

    def show_live(self, looked: Looked) -> None:
        """Draw what was found."""
        self.about.setText(looked.about)
        self.trace.show_intensity(looked.time_s, looked.rate_hz, name="both detectors")
        for direction, one in looked.folded.items():
            self.rates[direction].show_points(
                f"{direction} potential", one.time_us, one.rate_hz / 1e3, one.error_hz / 1e3,
                told=f"{one.steps:,} steps seen live",
            )  # fmt: skip

    # ---- a run that has ended ----

    def show_result(self, run: RunFile, analysis: PotentialStepAnalysis, digested: None = None) -> None:
        """Show rate and lifetime folded on the steps, with the responses fitted to them."""
        self.clear()
        self.views.setCurrentWidget(self.folded)
        self.below.show()
        result = analysis.result
        reference = run.header["station"]["station"]["reference_electrode"]
        told = []
        for folded, ends in (
            (result.falling, (result.high_v, result.low_v)),
            (result.rising, (result.low_v, result.high_v)),
        ):
            step = f"{ends[0]:g} → {ends[1]:g} V vs. {reference}"
            if folded is None:
                told.append(f"{step}: too few photons to fold")
                continue
            self._show_folded(folded)
            told.append(f"{step}: {folded.steps:,} steps")
        cell = result.cell_us
        if cell is not None:
            told.append(f"the cell charges with {cell.value / 1e3:.3f} ± {cell.error / 1e3:.3f} ms")
        self.about.setText("; ".join(told))

    def clear(self) -> None:
        """Empty all views."""
        for plot in (self.trace, *self.rates.values(), *self.lifetimes.values()):
            plot.clear()
        self.about.setText(" ")

    # ---- inside ----

    def _lay_out(self) -> None:
        self.folded = QtWidgets.QSplitter(QtCore.Qt.Orientation.Vertical)
        self.below = QtWidgets.QSplitter(QtCore.Qt.Orientation.Horizontal)
        for beside, plots in (
            (QtWidgets.QSplitter(QtCore.Qt.Orientation.Horizontal), self.rates),
            (self.below, self.lifetimes),
        ):
            for plot in plots.values():
                beside.addWidget(plot)
            self.folded.addWidget(beside)
        self.views = QtWidgets.QStackedWidget()
        self.views.addWidget(self.folded)
        self.views.addWidget(self.trace)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.views, 1)
        self.about.setContentsMargins(10, 0, 10, 4)
        layout.addWidget(self.about)

    def _fold(self, procedure: PotentialStep, block: TttrBlock) -> dict[str, FoldedRate]:
        """Add a block to the steps seen so far, unless it was the last one too."""
        from ...analysis.live_steps import LiveSteps

        markers, period_s = (
            procedure.rig.station.file.markers,
            1.0 / procedure.rig.laser_table.repetition_rate_hz,
        )
        assert markers is not None  # preflight demands them
        if self._steps is None:
            lines = markers.potential_falling, markers.potential_rising
            self._steps = LiveSteps(procedure.period_s / 2, period_s, *lines)
        if block is not self._folded_block:
            self._folded_block = block
            self._steps.add(block.time, block.marker_time, block.marker_bits)
        found = {name: self._steps.folded(name) for name in ("falling", "rising")}
        return {name: one for name, one in found.items() if one is not None}

    def _show_folded(self, folded: Folded) -> None:
        rates, lifetimes = self.rates[folded.direction], self.lifetimes[folded.direction]
        error_hz = np.sqrt(np.maximum(folded.counts, 1)) / folded.exposure_s
        for plot, response, edges_us, scale in (
            (rates, folded.rate, folded.edges_us, 1e-3),
            (lifetimes, folded.lifetime, folded.lifetime_edges_us, 1.0),
        ):
            of_rate = plot is rates
            value = folded.rate_hz if of_rate else folded.lifetime_ns
            error = error_hz if of_rate else folded.lifetime_err_ns
            centre_us = 0.5 * (edges_us[1:] + edges_us[:-1])
            plot.show_points(f"{folded.direction} potential", centre_us, value * scale, error * scale)
            if response is not None:
                time_us = np.geomspace(centre_us[0], edges_us[-1], CURVE_POINTS)
                plot.show_curve(
                    "response", time_us, response.curve(time_us) * scale, told=f"10–90 % in {_told(response)}"
                )


def _told(response: StepResponse) -> str:
    taken = response.t10_90_us
    unit, factor, digits = ("ms", 1e-3, 3) if taken.value >= 1000 else ("µs", 1.0, 2)
    return f"{taken.value * factor:.{digits}f} ± {taken.error * factor:.{digits}f} {unit}"
