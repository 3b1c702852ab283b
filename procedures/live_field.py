"""The image of a field while it is scanned, for whoever watches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.scan_image import (
    Grid,
    ScanImage,
    Track,
    find_lag,
    image_of_points,
    make_image,
    sum_images,
)
from .photon_recording import Collected, PhotonRecording
from .stage_scan import during, planned_track, track_until

if TYPE_CHECKING:
    from .stage_scan import LineData

REGISTER_EVERY = 16
"""After so many lines it is tried to bring forth and back together, until it is clear how."""
REGISTER_LINES = 64
"""At most so many of the last lines tell."""

Image = Callable[[], ScanImage | None]


class LiveField:
    """The image of one field as it grows: parts that have ended and the one that goes on.

    The run says what begins and ends; `image` may be called by one other thread. Until a scan has ended and
    its measured path is known, photons are placed by the planned path, late by what forth and back tell, and
    by the stage's usual delay (`delay_s`) while these do not tell.
    """

    def __init__(self, recording: PhotonRecording, grid: Grid, delay_s: float = 0.0) -> None:
        self.grid, self._delay_s = grid, delay_s
        self._recording = recording
        self._ended: list[ScanImage] = []
        self._going_on: Image | None = None

    def image(self) -> ScanImage | None:
        """What was seen so far, as arrays of one's own; None before the first photons of the field."""
        ended, going_on = tuple(self._ended), self._going_on
        part = going_on() if going_on else None
        images = ended if part is None else (*ended, part)
        return sum_images(images, self.grid) if images else None

    # ---- what the run tells ----

    def begin_lines(self, about: dict[str, Any], photons: Collected) -> None:
        """A scan was started: what was planned, and where its photons will be."""
        self._going_on = _Lines(
            {**about, "start_s": about["start_s"] + self._delay_s}, photons, self._recording, self.grid
        )

    def end_lines(self, data: LineData) -> None:
        """A scan has ended: its photons on the measured path."""
        self._end(make_image(data.photon_s, data.track, self.grid))

    def begin_points(
        self, points: Sequence[tuple[float, float, float]], photons: Collected, dwell_s: float
    ) -> None:
        """Points are visited; `points` grows by (start in seconds, x, y) of each whose time is over."""

        def image() -> ScanImage:
            start_s, x_um, y_um = np.array(points, np.float64).reshape(-1, 3).T
            come = start_s + dwell_s <= self._recording.duration_s
            at_um = x_um[come], y_um[come]
            return image_of_points(photons.time_s, start_s[come], dwell_s, at_um, self.grid)

        self._going_on = image

    def end_points(self, image: ScanImage) -> None:
        """All points were visited."""
        self._end(image)

    def _end(self, image: ScanImage) -> None:
        self._going_on = None
        self._ended.append(image)


class _Lines:
    """The image of a scan that goes on."""

    def __init__(
        self, about: dict[str, Any], photons: Collected, recording: PhotonRecording, grid: Grid
    ) -> None:
        self._planned, self._period_s = planned_track(about), about["line_period_s"]
        self._photons, self._recording, self._grid = photons, recording, grid
        self._register_at: float = REGISTER_EVERY

    def __call__(self) -> ScanImage | None:
        """The image so far; None before the first line has ended."""
        photon_s, end_s = self._photons.time_s, self._recording.duration_s
        lines = int((end_s - self._planned.time_s[0]) / self._period_s)
        if lines < 1:
            return None
        if lines >= self._register_at:
            self._register_at = math.inf if self._register(photon_s, lines) else lines + REGISTER_EVERY
        track = track_until(self._planned, end_s)
        return make_image(during(photon_s, track), track, self._grid)

    def _register(self, photon_s: NDArray[np.floating], lines: int) -> bool:
        """Shift the planned path to where forth and back agree; False where the last lines do not tell."""
        last = slice(max(0, 2 * (lines - REGISTER_LINES)), 2 * lines)
        track = Track(*(values[last] for values in self._planned))
        edges_um = self._grid.slow_um
        from_row, to_row = np.searchsorted(edges_um, [track.slow_um.min(), track.slow_um.max()])
        rows = Grid(self._grid.fast_um, edges_um[max(0, from_row - 1) : to_row + 1])
        lag = find_lag(during(photon_s, track), track, rows)
        self._planned = self._planned._replace(time_s=self._planned.time_s + lag.lag_s)
        return lag.found
