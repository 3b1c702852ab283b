"""ConfocalScan: the image of a field of the sample, by lines or from point to point.

By lines the stage runs forth and back at constant speed and each photon belongs where the stage was
measured to be; this is limited by light. From point to point every pixel waits until the stage has settled.
"""

from __future__ import annotations

import numpy as np

from ..analysis.scan_image import image_of_points
from .field import FieldProcedure, nexus_data
from .live_field import LiveField
from .parameters import count
from .rig import Rig
from .rig_procedure import Plan

SPOT_UM = 0.3
"""The light's spot is about so wide: it stays on it while the pixels in it are scanned."""
SETTLING_S = 0.15
"""About what a settled move takes."""


class ConfocalScan(FieldProcedure):
    """Image of a field."""

    kind = "confocal_scan"
    pausable = True

    frames: int = count("Frames", default=1, minimum=1, maximum=10_000)
    by_points: int = count("Settle at every point (0 or 1)", default=0, minimum=0, maximum=1)

    def preflight(self, rig: Rig) -> Plan:
        """Check the field against the stage's travel; estimate time, photons and disk."""
        stage, grid = rig.stage, self.field_grid()
        if self.by_points:
            for k in (0, -1):
                stage.limits_um["x"].check(float(grid.fast_um[k]), f"{stage.name}: x_um")
                stage.limits_um["y"].check(float(grid.slow_um[k]), f"{stage.name}: y_um")
            stage.limits_um["z"].check(self.z_um, f"{stage.name}: z_um")
            one_s = self.pixels_x * self.pixels_y * (self.dwell_s + SETTLING_S)
        else:
            one_s = self.field_s(stage)
        how = "from point to point" if self.by_points else "by lines"
        return self.photon_plan(
            rig,
            self.frames * one_s + 1.0,
            f"{self.pixels_x} x {self.pixels_y} pixels of {self.pixel_um:g} µm about "
            f"({self.x_um:g}, {self.y_um:g}, {self.z_um:g}) µm, {self.dwell_s * 1e3:g} ms each, {how}",
            spot_s=self.frames * self.dwell_s * max(1.0, (SPOT_UM / self.pixel_um) ** 2),
        )

    def perform(self) -> None:
        """Go to the height, then scan frame by frame."""
        self.rig.stage.move_to(z_um=self.z_um)
        self.start_photons()
        for frame in range(self.frames):
            self.checkpoint()
            if self.by_points:
                self._frame_of_points()
            else:
                self.scan_field(f"frame {frame + 1}")
            self.emit_row_each_second()

    def _frame_of_points(self) -> None:
        grid, stage = self.field_grid(), self.rig.stage
        x_um, y_um = ((edges[:-1] + edges[1:]) / 2 for edges in grid)
        zero_s, points = self.record.header["photons"]["start_s"], []
        self.live_field = live = self.live_field or LiveField(self.photons, grid, stage.capabilities.delay_s)
        with self.photons.collecting() as photons:
            live.begin_points(points, photons, self.dwell_s)
            try:
                for row, y in enumerate(y_um.tolist()):
                    for x in x_um[:: -1 if row % 2 else 1].tolist():
                        there = stage.move_to(x_um=x, y_um=y)
                        start_s = self.rig.clock.now() - zero_s
                        self.wait(self.dwell_s, "points")
                        points.append((start_s, there.x_um, there.y_um))
                        self.emit_row_each_second()
                self.wait_for_photons(self.rig.clock.now() - zero_s, "points")
            finally:
                start, x_at, y_at = np.array(points, np.float64).reshape(-1, 3).T
                self.record.add_group(
                    "points", {"dwell_s": self.dwell_s, "start_s": start, "x_um": x_at, "y_um": y_at}
                )
                image = image_of_points(photons.time_s, start, self.dwell_s, (x_at, y_at), grid)
                live.end_points(image)
                self.record.add_group("images", nexus_data(image, "points"))
