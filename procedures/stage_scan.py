"""Scans with the stage while photons are recorded: which photons came when the stage was where."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.scan_image import Grid, Lag, Track, find_lag, grid_around
from ..instruments.base import OutOfRangeError
from ..instruments.stage import AXES, LineScan, MotionError, ScanRecord, Stage
from .drivers import E545Table

if TYPE_CHECKING:
    from .photon_procedure import PhotonProcedure
    from .photon_recording import Collected

_LOOK_S = 0.25
_OFF_UM = 0.1
_LATE_S = 0.02
_STEP = 1e-4
"""A step of the slow axis takes so much of a line, on the planned path."""
_LATEST_S = 2.0
_MARKER_WINDOW_S = 0.5
"""The first trigger pulse is looked for so long before and after the host's start of the scan."""


@dataclass(frozen=True)
class LineData:
    """One line scan and the photons that came during it; times are seconds of the photons' clock."""

    scan: LineScan
    line_period_s: float
    """From the start of one line to that of the next."""
    track: Track
    photon_s: NDArray[np.floating]

    @property
    def span_um(self) -> tuple[float, float]:
        """Lower and upper end of the lines."""
        return min(self.scan.start_um, self.scan.stop_um), max(self.scan.start_um, self.scan.stop_um)


def split_lines(stage: Stage, scan: LineScan) -> list[LineScan]:
    """A scan in as few pieces as fit into the stage's memory; raises OutOfRangeError beyond its travel."""
    two = dataclasses.replace(scan, slow_um=(min(scan.slow_um), max(scan.slow_um)))
    stage.check_lines(two)
    for pieces in range(1, len(scan.slow_um) // 2 + 1):
        size = 2 * math.ceil(len(scan.slow_um) / (2 * pieces))
        starts = range(0, len(scan.slow_um), size)
        parts = [dataclasses.replace(scan, slow_um=scan.slow_um[start : start + size]) for start in starts]
        try:
            for part in parts:
                stage.check_lines(part)
        except OutOfRangeError:
            continue
        return parts
    stage.check_lines(scan)
    return [scan]


def scan_s(stage: Stage, scan: LineScan) -> float:
    """About how long a scan takes, in seconds, with the way to its start."""
    return len(scan.slow_um) * (scan.line_s + 2 * stage.lead_s(scan)) + 0.3


def run_lines(
    procedure: PhotonProcedure,
    scan: LineScan,
    grid: Grid,
    phase: str,
    purpose: str,
    keep: Callable[[LineData], None] | None = None,
    begun: Callable[[dict[str, Any], Collected], None] | None = None,
) -> LineData:
    """Run a scan and return its photons on the measured path; both are stored with the run.

    The photons' clock is tied to the scan by the stage's trigger pulses where these are wired, else by the
    host's clock and by what makes forth and back agree on `grid`. Until the scan is over the header of the
    run tells what it was meant to be, so that an interrupted one still gives an image. `keep` is given the
    data also of a scan that fails, `begun` what was planned and where its photons will be.
    """
    stage, recording, header = procedure.rig.stage, procedure.photons, procedure.record.header
    (rest,) = set(AXES) - {scan.fast, scan.slow}
    rest_um = stage.position[AXES.index(rest)]
    with recording.collecting() as photons:
        duration_s = stage.start_lines(scan)
        host_s = procedure.rig.clock.now() - header["photons"]["start_s"]
        about = _about(scan, duration_s, host_s, purpose, rest_um)
        header["unfinished_scan"] = about
        procedure.record.write_header()
        if begun:
            begun(about, photons)
        try:
            _wait_for_end(procedure, stage, duration_s, phase)
            procedure.wait_for_photons(host_s + duration_s, phase)
            record = stage.take_lines()
        except BaseException:
            if keep:
                track, _ = interrupted(about, photons.time_s, recording.duration_s, grid)
                keep(LineData(scan, about["line_period_s"], track, during(photons.time_s, track)))
            raise
    start_s, source = _start(procedure, photons, record, host_s)
    track = Track(start_s + record.time_s, record.fast_um, record.slow_um)
    lag = Lag(0.0, False) if source == "marker" else find_lag(during(photons.time_s, track), track, grid)
    track = track._replace(time_s=track.time_s + lag.lag_s)
    data = LineData(scan, about["line_period_s"], track, during(photons.time_s, track))
    procedure.record.add_group(
        "scans",
        {
            **about,
            "start_s": start_s + lag.lag_s,
            "start_source": "registered" if lag.found else source,
            "time_s": record.time_s,
            "fast_um": record.fast_um,
            "slow_um": record.slow_um,
        },
    )
    del header["unfinished_scan"]
    procedure.record.write_header()
    if keep:
        keep(data)
    _check_path(stage, scan, data)
    return data


def _about(scan: LineScan, duration_s: float, host_s: float, purpose: str, rest_um: float) -> dict[str, Any]:
    return {
        "purpose": purpose,
        "rest_um": rest_um,
        "fast": scan.fast,
        "slow": scan.slow,
        "start_um": scan.start_um,
        "stop_um": scan.stop_um,
        "line_s": scan.line_s,
        "line_period_s": duration_s / (2 * math.ceil(len(scan.slow_um) / 2)),
        "lines_um": np.array(scan.slow_um),
        "start_s": host_s,
    }


def _wait_for_end(procedure: PhotonProcedure, stage: Stage, duration_s: float, phase: str) -> None:
    """Wait for the end of a scan and look at the stage meanwhile, so that a lost one ends the run at once."""
    ends_s = procedure.rig.clock.now() + duration_s
    while stage.scanning or procedure.rig.clock.now() < ends_s:
        left_s = ends_s - procedure.rig.clock.now()
        if left_s < -_LATEST_S:
            raise MotionError(f"{stage.name}: the scan of {duration_s:.1f} s goes on {-left_s:.1f} s longer")
        procedure.wait(float(np.clip(left_s, _LATE_S, _LOOK_S)), phase)
        procedure.emit_row_each_second()


def _check_path(stage: Stage, scan: LineScan, data: LineData) -> None:
    """Raise MotionError where an axis did not go where a line was meant to."""
    track, (low_um, high_um) = data.track, data.span_um
    line_ends_s = track.time_s[0] + np.arange(1, len(scan.slow_um)) * data.line_period_s
    cuts = np.searchsorted(track.time_s, line_ends_s)
    fast, slow = np.split(track.fast_um, cuts), np.split(track.slow_um, cuts)
    for line, (fast_um, slow_um, planned_um) in enumerate(
        zip(fast, slow, scan.slow_um, strict=True), start=1
    ):
        from_um, to_um, at_um = float(fast_um.min()), float(fast_um.max()), float(np.median(slow_um))
        if from_um > low_um + _OFF_UM or to_um < high_um - _OFF_UM:
            told = f"{scan.fast} went from {from_um:.3f} to {to_um:.3f} um, not {low_um:.3f} to {high_um:.3f}"
        elif abs(at_um - planned_um) > _OFF_UM:
            told = f"{scan.slow} was at {at_um:.3f} um, not at {planned_um:.3f}"
        else:
            continue
        raise MotionError(
            f"{stage.name}: in line {line} of a scan axis {told}: see whether something touches the stage"
        )


def _start(
    procedure: PhotonProcedure, photons: Collected, record: ScanRecord, host_s: float
) -> tuple[float, str]:
    """When the scan began on the photons' clock, and what tells so: marker or clock."""
    table = procedure.rig.station.tables["stage"]
    marker = table.trigger_marker if isinstance(table, E545Table) else None
    if marker is None or not len(record.pulse_s):
        return host_s, "clock"
    at_s = photons.marker_s(marker)
    near = at_s[np.abs(at_s - host_s) < _MARKER_WINDOW_S]
    if not len(near):
        procedure.warn(
            f"no pulse of the stage's trigger arrived at marker input {marker}: the scan is placed by the "
            "host's clock; check the cable"
        )
        return host_s, "clock"
    return float(near[0] - record.pulse_s[0]), "marker"


def during(time_s: NDArray[np.floating], track: Track) -> NDArray[np.floating]:
    """Those of some ascending times at which the stage was on a path."""
    first = np.searchsorted(time_s, track.time_s[0])
    return time_s[first : np.searchsorted(time_s, track.time_s[-1], "right")]


def interrupted(
    about: dict[str, Any], photon_s: NDArray[np.floating], end_s: float, grid: Grid
) -> tuple[Track, Lag]:
    """The path that an interrupted scan took until `end_s`, as planned, late by what forth and back tell.

    `about` is what the run stored about the scan. The lag holds the stage's own delay behind its target.
    """
    planned = planned_track(about)
    lag = find_lag(photon_s, planned, grid)
    return track_until(planned._replace(time_s=planned.time_s + lag.lag_s), end_s), lag


def planned_track(about: dict[str, Any]) -> Track:
    """The path that a scan was meant to take."""
    lines_um, period_s = np.asarray(about["lines_um"], np.float64), about["line_period_s"]
    centre_um = (about["stop_um"] + about["start_um"]) / 2
    reach_um = (about["stop_um"] - about["start_um"]) / about["line_s"] * period_s / 2
    ends = np.arange(len(lines_um) + 1)
    turn_s = about["start_s"] + ends * period_s
    turn_um = centre_um + reach_um * np.where(ends % 2, 1.0, -1.0)
    time_s = np.stack([turn_s[:-1], turn_s[1:] - _STEP * period_s], axis=1).ravel()
    return Track(time_s, np.interp(time_s, turn_s, turn_um), np.repeat(lines_um, 2))


def track_until(track: Track, end_s: float) -> Track:
    """The part of a path before `end_s`, at least its first line."""
    until_s = float(np.clip(end_s, track.time_s[1], track.time_s[-1]))
    kept = track.time_s < until_s
    last_um = track.at(np.array([until_s]))
    return Track(
        np.append(track.time_s[kept], until_s),
        *(np.append(um[kept], last) for um, last in zip(track[1:], last_um, strict=True)),
    )


def field_grid(x_um: float, y_um: float, pixels_x: int, pixels_y: int, pixel_um: float) -> Grid:
    """The pixels of a field about its centre; the fast axis is x."""
    columns_um = x_um + (np.arange(pixels_x) - (pixels_x - 1) / 2) * pixel_um
    rows_um = y_um + (np.arange(pixels_y) - (pixels_y - 1) / 2) * pixel_um
    return grid_around(columns_um, rows_um)


def field_tracks(scans: Sequence[dict[str, Any]]) -> list[Track]:
    """Measured paths of a run's stored scans of its field, those at the last height only."""
    field = [about for about in scans if about["purpose"] == "field"]
    return [
        Track(about["start_s"] + about["time_s"], about["fast_um"], about["slow_um"])
        for about in field
        if abs(about["rest_um"] - field[-1]["rest_um"]) < _OFF_UM / 2
    ]
