"""KeepInFocus: a dot is brought back into the focus by lines through it along x, y and z.

Each line scan is forth and back through where the dot should be; its centre is fitted (see
`analysis.line_fit`), and the stage moves there when the offset is significant. What was found and where
the stage went is stored with the run as `focus/NNNN`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..analysis.line_fit import Centre, fit_centre
from ..analysis.scan_image import Grid
from ..instruments.stage import AXES, Axis, LineScan, Position, Stage
from .photon_procedure import PhotonProcedure
from .rig import Rig
from .stage_scan import run_lines, scan_s

REACH_UM = {"x": 0.3, "y": 0.3, "z": 0.6}
"""Lines go so far to both sides."""
SIGMA_UM = {"x": 0.06, "y": 0.06, "z": 0.14}
"""Standard deviation of a dot's image, where the fit of the width begins."""
LINE_S = 0.06
LINES, FINDING_LINES = 4, 10
"""Lines per axis in a check, and when a dot is visited for the first time."""
SIGNIFICANT = 3.0
"""The stage moves by offsets of so many standard errors."""
SMALLEST_UM = 0.002
"""It never moves by less: its own noise is 1.5 nm."""
_COLUMNS = 40
_ROW_UM = 0.5


class Offset(NamedTuple):
    """What the lines along one axis told."""

    axis: Axis
    centre: Centre | None
    moved_um: float

    def __str__(self) -> str:
        if self.centre is None:
            return f"{self.axis} not found"
        return f"{self.axis} {self.moved_um * 1e3:+.1f} ± {self.centre.error_um * 1e3:.1f} nm"


@dataclass
class KeepInFocus:
    """Knows where the dot in focus should be, and brings it back."""

    procedure: PhotonProcedure
    target: Position

    def go(self) -> Position:
        """Move to the target and settle; returns the measured position."""
        x_um, y_um, z_um = self.target
        return self.procedure.rig.stage.move_to(x_um=x_um, y_um=y_um, z_um=z_um)

    def find(self, phase: str) -> list[Offset]:
        """Measure where the dot is, with more lines than a check has, and go there."""
        return self._bring_back(phase, FINDING_LINES, 0.0)

    def check(self, phase: str) -> list[Offset]:
        """Measure the dot's offset along x, y and z, one after the other; move by what is significant.

        Raises OutOfRangeError, and moves nothing, where the dot has left the stage's travel.
        """
        return self._bring_back(phase, LINES, SIGNIFICANT)

    def _bring_back(self, phase: str, lines: int, significant: float) -> list[Offset]:
        before = self.target
        offsets = [self._along(axis, lines, significant, phase) for axis in AXES]
        self.go()
        self._record(before, offsets)
        return offsets

    def _along(self, axis: Axis, lines: int, significant: float, phase: str) -> Offset:
        stage = self.procedure.rig.stage
        self.go()
        scan = focus_lines(self.target, axis, lines)
        at_um = self.target[AXES.index(axis)]
        slow_um = self.target[AXES.index(scan.slow)]
        columns_um = np.linspace(scan.start_um, scan.stop_um, _COLUMNS + 1)
        data = run_lines(
            self.procedure, scan, Grid(columns_um, slow_um + np.array([-_ROW_UM, _ROW_UM])), phase, "focus"
        )
        centre = fit_centre(
            data.photon_s,
            data.track,
            data.line_period_s,
            data.span_um,
            background_hz=background_hz(self.procedure.rig),
            sigma_um=SIGMA_UM[axis],
        )
        moved_um = 0.0
        if centre is not None:
            offset_um = centre.centre_um - at_um
            if not significant or abs(offset_um) > max(SMALLEST_UM, significant * centre.error_um):
                moved_um = offset_um
                stage.limits_um[axis].check(at_um + moved_um, f"{stage.name}: {axis}_um of the dot")
                self.target = self.target._replace(**{f"{axis}_um": at_um + moved_um})
        return Offset(axis, centre, moved_um)

    def _record(self, before: Position, offsets: Sequence[Offset]) -> None:
        found = {o.axis: o.centre for o in offsets if o.centre is not None}
        rates_hz = [centre.rate_hz for centre in found.values()]
        self.procedure.note("in focus: " + ", ".join(map(str, offsets)))
        self.procedure.record.add_group(
            "focus",
            {
                "time_s": self.procedure.rig.clock.now() - self.procedure.record.header["photons"]["start_s"],
                "before_um": np.array(before),
                "after_um": np.array(self.target),
                "error_um": np.array([found[a].error_um if a in found else np.nan for a in AXES]),
                "rate_hz": float(np.mean(rates_hz)) if rates_hz else np.nan,
            },
        )
        if len(found) < len(offsets):
            self.procedure.warn("the dot was not found in some lines of a focus check: see the run's log")


def focus_lines(target: Position, axis: Axis, lines: int) -> LineScan:
    """Lines through a dot along one axis; the slow axis stays where it is."""
    at_um, reach_um = target[AXES.index(axis)], REACH_UM[axis]
    slow: Axis = "y" if axis == "x" else "x"
    return LineScan(
        fast=axis,
        start_um=at_um - reach_um,
        stop_um=at_um + reach_um,
        line_s=LINE_S,
        slow=slow,
        slow_um=(target[AXES.index(slow)],) * lines,
    )


def check_s(stage: Stage, lines: int = LINES) -> float:
    """About how long a check takes, in seconds."""
    middle = Position(*(sum(stage.limits_um[axis]) / 2 for axis in AXES))
    return sum(scan_s(stage, focus_lines(middle, axis, lines)) + 0.3 for axis in AXES)


def check_reach(stage: Stage, target: Position) -> None:
    """Raise OutOfRangeError where the lines through a dot would leave the stage's travel."""
    for axis in AXES:
        stage.check_lines(focus_lines(target, axis, LINES))


def background_hz(rig: Rig) -> float:
    """Background of all detectors as calibrated, in hertz."""
    calibration = rig.calibration
    return max(1.0, sum(calibration["dark_rate_hz"]) + calibration["prompt_rate_hz"])
