"""A FindDots run: the field with the dots in it, each dot's place, brightness and g2(0), and the choice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.confocal import find_spots
from ...analysis.found_dots import FoundDot, brightest_single, g2_of
from ...formats.run_file import RunFile
from .confocal_scan import field_image_of
from .run_analysis import RunAnalysis, print_notes
from .stored import measurement_fields, stored_photons

if TYPE_CHECKING:
    from rich.console import Console


class FindDotsAnalysis(RunAnalysis):
    """A FindDots run, analyzed."""

    def __init__(self, run: RunFile) -> None:
        super().__init__(run)
        self.image, self.notes = field_image_of(run)
        self.spots, self.background = find_spots(self.image)
        self.dots = stored_dots(run)
        self.chosen = brightest_single(self.dots)

    def summary(self) -> dict[str, Any]:
        """The results as one JSON object."""
        return {
            "kind": self._run.kind,
            "status": self._run.status,
            "background_hz": self.background.rate_hz,
            "spots": len(self.spots),
            "dots": [dot_summary(dot) for dot in self.dots],
            "chosen_dot": None if self.chosen is None else self.chosen + 1,
            "notes": self.notes,
        }

    def print(self, console: Console) -> None:
        """Print the dots as a table."""
        print_dots(console, self.dots)
        if self.chosen is not None:
            console.print(f"brightest single dot: {self.chosen + 1}")
        print_notes(console, self.notes)

    def draw(self, path: Path) -> None:
        """Draw the field with its dots."""
        from ...analysis.figures.confocal import draw_dots

        draw_dots(path, self.image, self.dots, self.chosen, title=self.title, status=self._run.status)

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """The dots."""
        rows = [dot_summary(dot) for dot in self.dots]
        names = rows[0] if rows else {}
        return {"dots": {name: np.array([row[name] for row in rows], float) for name in names}}


def stored_dots(run: RunFile) -> list[FoundDot]:
    """The dots that a run visited, from its photons."""
    photons, about = stored_photons(run), measurement_fields(run)
    calibration, period_s = about["calibration"], about["sync_period_s"]
    background_hz = sum(calibration.dark_rates_hz) + calibration.prompt_rate_hz
    dots: list[FoundDot] = []
    for stored in run.groups("dots"):
        start_s, stop_s = stored["start_s"], stored["stop_s"]
        events = photons.between(round(start_s / period_s), round(stop_s / period_s))
        exposure_s = stop_s - start_s
        dots.append(
            FoundDot(
                position_um=stored["position_um"],
                error_um=stored["error_um"],
                rate_hz=len(events.sync) / exposure_s - background_hz,
                rate_err_hz=float(np.sqrt(len(events.sync))) / exposure_s,
                g2=g2_of(events.sync, events.channel, exposure_s, period_s, calibration),
            )
        )
    return dots


def dot_summary(dot: FoundDot) -> dict[str, Any]:
    """A dot as a JSON object."""
    row: dict[str, Any] = {}
    for axis, um, error_um in zip("xyz", dot.position_um.tolist(), dot.error_um.tolist(), strict=True):
        row |= {f"{axis}_um": um, f"{axis}_err_um": error_um if np.isfinite(error_um) else None}
    return row | {
        "rate_hz": dot.rate_hz,
        "rate_err_hz": dot.rate_err_hz,
        "g2": dot.g2 and dot.g2.value,
        "g2_err": dot.g2 and dot.g2.error,
        "single": dot.single,
    }


def print_dots(console: Console, dots: list[FoundDot]) -> None:
    """Print dots as a table."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("dot", "x (µm)", "y (µm)", "z (µm)", "± (nm)", "rate (kc/s)", "g2(0)", ""):
        table.add_column(column, justify="right")
    for k, dot in enumerate(dots, start=1):
        table.add_row(
            str(k),
            *(f"{um:.4f}" for um in dot.position_um),
            " ".join("-" if np.isnan(e) else f"{e * 1e3:.1f}" for e in dot.error_um),
            f"{dot.rate_hz / 1e3:.1f}",
            "-" if dot.g2 is None else f"{dot.g2.value:.2f} ± {dot.g2.error:.2f}",
            "single" if dot.single else "",
        )
    console.print(table if dots else "no dot was visited")
