"""A DotSurvey run: the dots of the field, the bias sweeps of each, and which of them charge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ...analysis.charging import ChargingCurve, charging_curve
from ...formats.run_file import RunFile
from .confocal_scan import field_image_of
from .find_dots import dot_summary, print_dots, stored_dots
from .part_of_run import part_of_run
from .run_analysis import RunAnalysis, print_notes
from .voltammetry_flid import VoltammetryFlidAnalysis

if TYPE_CHECKING:
    from rich.console import Console


class DotSurveyAnalysis(RunAnalysis):
    """A DotSurvey run, analyzed."""

    def __init__(self, run: RunFile) -> None:
        super().__init__(run)
        parameters = run.header["parameters"]
        self.image, self.notes = field_image_of(run)
        self.dots = stored_dots(run)
        self.curves: dict[int, ChargingCurve] = {}
        """By the dot's place in `dots`."""
        for survey in run.groups("survey"):
            part = VoltammetryFlidAnalysis(part_of_run(run, survey["start_s"], survey["stop_s"]))
            curve = charging_curve(part.result, parameters["initial_v"], parameters["vertex_v"])
            self.curves[survey["dot"] - 1] = curve

    def summary(self) -> dict[str, Any]:
        """The results as one JSON object."""
        told = [curve.charges for curve in self.curves.values() if curve.charges is not None]
        return {
            "kind": self._run.kind,
            "status": self._run.status,
            "dots": [self._row(k) for k in range(len(self.dots))],
            "surveyed": len(self.curves),
            "charging": sum(told),
            "charging_share": sum(told) / len(told) if told else None,
            "notes": self.notes,
        }

    def print(self, console: Console) -> None:
        """Print the dots, and which of them charge."""
        from rich.table import Table

        print_dots(console, self.dots)
        table = Table(box=None, pad_edge=False)
        for column in ("dot", "lifetime falls by", "charges"):
            table.add_column(column, justify="right")
        for k, curve in self.curves.items():
            fall = curve.shortening
            told = "-" if fall is None else f"{fall.value:.1f} ± {fall.error:.1f}"
            table.add_row(str(k + 1), told, {True: "yes", False: "no", None: "unknown"}[curve.charges])
        console.print(table if self.curves else "no dot was swept")
        charging = sum(bool(curve.charges) for curve in self.curves.values())
        console.print(f"{charging} of {len(self.curves)} dots charge")
        print_notes(console, self.notes)

    def draw(self, path: Path) -> None:
        """Draw the field, and the lifetime of each dot against its bias."""
        from ...analysis.figures.confocal import draw_survey

        draw_survey(
            path,
            self.image,
            self.dots,
            self.curves,
            title=self.title,
            status=self._run.status,
            reference=self.reference_electrode,
        )

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """The lifetime of each dot against its bias."""
        return {
            f"dot_{k + 1:03d}": {
                "potential_v": curve.potential_v,
                "lifetime_ns": curve.lifetime_ns,
                "lifetime_err_ns": curve.lifetime_err_ns,
            }
            for k, curve in self.curves.items()
        }

    def _row(self, k: int) -> dict[str, Any]:
        curve = self.curves.get(k)
        fall = curve.shortening if curve else None
        return dot_summary(self.dots[k]) | {
            "lifetime_falls_by": fall and fall.value,
            "lifetime_falls_by_err": fall and fall.error,
            "charges": curve.charges if curve else None,
        }
