"""A confocal scan: from the run file to its image, the spots in it, and the picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.confocal import Spot, find_spots
from ...analysis.scan_image import ScanImage, image_of_points, make_image, sum_images
from ...formats.errors import FileFormatError
from ...formats.run_file import RunFile
from ..stage_scan import during, field_grid, field_tracks, interrupted
from .run_analysis import RunAnalysis, print_notes
from .stored import stored_photons

if TYPE_CHECKING:
    from rich.console import Console


class ConfocalScanAnalysis(RunAnalysis):
    """A confocal scan, analyzed."""

    def __init__(self, run: RunFile) -> None:
        super().__init__(run)
        self.image, self.notes = field_image_of(run)
        self.spots, self.background = find_spots(self.image)

    def summary(self) -> dict[str, Any]:
        """The results as one JSON object."""
        return {
            "kind": self._run.kind,
            "status": self._run.status,
            "photons": int(self.image.counts.sum()),
            "exposure_s": float(self.image.exposure_s.sum()),
            "background_hz": self.background.rate_hz,
            "background_err_hz": self.background.error_hz,
            "spots": [spot_summary(spot) for spot in self.spots],
            "notes": self.notes,
        }

    def print(self, console: Console) -> None:
        """Print the spots as a table."""
        exposure_s = self.image.exposure_s.sum()
        console.print(
            f"photons           {self.image.counts.sum():,} in {exposure_s:.1f} s within the field\n"
            f"background        {self.background.rate_hz:.0f} ± {self.background.error_hz:.0f} c/s"
        )
        print_spots(console, self.spots)
        print_notes(console, self.notes)

    def draw(self, path: Path) -> None:
        """Draw the image with the spots found."""
        from ...analysis.figures.confocal import draw_confocal

        draw_confocal(path, self.image, self.spots, title=self.title, status=self._run.status)

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """The spots."""
        rows = [spot_summary(spot) for spot in self.spots]
        names = rows[0] if rows else {}
        return {"spots": {name: np.array([row[name] for row in rows]) for name in names}}


def spot_summary(spot: Spot) -> dict[str, float]:
    """A spot as a JSON object; x is the fast axis, y the slow one."""
    return {
        "x_um": spot.fast_um,
        "x_err_um": spot.fast_err_um,
        "y_um": spot.slow_um,
        "y_err_um": spot.slow_err_um,
        "rate_hz": spot.rate_hz,
        "rate_err_hz": spot.rate_err_hz,
        "fwhm_um": spot.fwhm_um,
    }


def print_spots(console: Console, spots: list[Spot]) -> None:
    """Print spots as a table."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("spot", "x (µm)", "y (µm)", "rate (kc/s)", "width (nm)"):
        table.add_column(column, justify="right")
    for k, spot in enumerate(spots, start=1):
        table.add_row(
            str(k),
            f"{spot.fast_um:.4f} ± {spot.fast_err_um:.4f}",
            f"{spot.slow_um:.4f} ± {spot.slow_err_um:.4f}",
            f"{spot.rate_hz / 1e3:.1f} ± {spot.rate_err_hz / 1e3:.1f}",
            f"{spot.fwhm_um * 1e3:.0f}",
        )
    console.print(table if spots else "no spot stands out from the background")


def field_image_of(run: RunFile) -> tuple[ScanImage, list[str]]:
    """The image of a run's field from its photons and the measured positions, and what to know about it.

    Raises FileFormatError when the run ended before its scan began.
    """
    photons, p = stored_photons(run), run.header["parameters"]
    grid = field_grid(p["x_um"], p["y_um"], p["pixels_x"], p["pixels_y"], p["pixel_um"])
    photon_s = photons.sync * photons.sync_period_s
    notes: list[str] = []
    images = [make_image(during(photon_s, track), track, grid) for track in field_tracks(run.groups("scans"))]
    for points in run.groups("points"):
        at_um = points["x_um"], points["y_um"]
        images.append(image_of_points(photon_s, points["start_s"], points["dwell_s"], at_um, grid))
    unfinished = run.header.get("unfinished_scan")
    if unfinished and unfinished["purpose"] == "field":
        begun_s = photon_s[np.searchsorted(photon_s, unfinished["start_s"]) :]
        track, lag = interrupted(unfinished, begun_s, photons.duration_s, grid)
        images.append(make_image(during(photon_s, track), track, grid))
        how = "registered by forth and back" if lag.found else "without registration"
        notes.append(
            "the scan was interrupted before its measured positions were fetched: its photons are placed by "
            f"the planned path, {how}"
        )
    if not images:
        raise FileFormatError(
            f"{run.path}: the run ended before its scan began ({run.header['status_reason']})"
        )
    return sum_images(images, grid), notes
