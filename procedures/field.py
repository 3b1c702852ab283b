"""A field of the sample that is scanned: its parameters, its lines, its image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..analysis.scan_image import Grid, ScanImage, make_image, sum_images
from ..instruments.stage import LineScan, Stage
from .live_field import LiveField
from .parameters import count, exact_float
from .photon_procedure import PhotonProcedure
from .stage_scan import LineData, field_grid, run_lines, scan_s, split_lines


class FieldProcedure(PhotonProcedure):
    """A procedure that images a field with line scans along x, forth and back in turn."""

    x_um: float = exact_float("Centre x", units="um", default=100.0, minimum=0.0, maximum=1e5)
    y_um: float = exact_float("Centre y", units="um", default=100.0, minimum=0.0, maximum=1e5)
    z_um: float = exact_float("Height", units="um", default=100.0, minimum=0.0, maximum=1e5)
    pixels_x: int = count("Pixels along x", default=128, minimum=2, maximum=10_000)
    pixels_y: int = count("Pixels along y", default=64, minimum=2, maximum=10_000)
    pixel_um: float = exact_float("Pixel", units="um", default=0.05, minimum=0.001, maximum=10.0)
    dwell_s: float = exact_float("Dwell per pixel", units="s", default=1e-3, minimum=1e-5, maximum=10.0)

    live_field: LiveField | None = None
    """The field's image as it grows, for whoever watches; None before its scan begins."""

    def field_grid(self) -> Grid:
        """The pixels."""
        return field_grid(self.x_um, self.y_um, self.pixels_x, self.pixels_y, self.pixel_um)

    def field_lines(self, stage: Stage) -> list[LineScan]:
        """The scans that cover the field once; raises OutOfRangeError beyond the stage's travel."""
        grid = self.field_grid()
        rows_um = (grid.slow_um[:-1] + grid.slow_um[1:]) / 2
        scan = LineScan(
            fast="x",
            start_um=float(grid.fast_um[0]),
            stop_um=float(grid.fast_um[-1]),
            line_s=self.pixels_x * self.dwell_s,
            slow="y",
            slow_um=tuple(rows_um.tolist()),
        )
        stage.limits_um["z"].check(self.z_um, f"{stage.name}: z_um")
        return split_lines(stage, scan)

    def field_s(self, stage: Stage) -> float:
        """About how long the field takes, in seconds."""
        return sum(scan_s(stage, scan) for scan in self.field_lines(stage))

    def scan_field(self, phase: str) -> ScanImage:
        """Scan the field once at the present height; the image is stored, also that of a scan that fails."""
        grid, stage = self.field_grid(), self.rig.stage
        done: list[LineData] = []
        self.live_field = live = self.live_field or LiveField(self.photons, grid, stage.capabilities.delay_s)

        def keep(data: LineData) -> None:
            done.append(data)
            live.end_lines(data)

        try:
            for scan in self.field_lines(stage):
                run_lines(self, scan, grid, phase, "field", keep, live.begin_lines)
        finally:
            image = field_image(done, grid)
            self.record.add_group("images", nexus_data(image, phase))
        return image


def field_image(lines: Sequence[LineData], grid: Grid) -> ScanImage:
    """The image of some scans of one field together; empty without scans."""
    return sum_images([make_image(part.photon_s, part.track, grid) for part in lines], grid)


def nexus_data(image: ScanImage, title: str) -> dict[str, Any]:
    """An image as the group of NeXus class NXdata: counts per pixel and direction, time, rate."""
    grid = image.grid
    return {
        "NX_class": "NXdata",
        "signal": "rate",
        "auxiliary_signals": ["counts", "exposure"],
        "axes": ["y", "x"],
        "title": title,
        "rate": np.nan_to_num(image.rate_hz),
        "counts": image.counts.sum(axis=0),
        "exposure": image.exposure_s.sum(axis=0),
        "x": (grid.fast_um[:-1] + grid.fast_um[1:]) / 2,
        "y": (grid.slow_um[:-1] + grid.slow_um[1:]) / 2,
    }
