"""What every photon run file tells an analysis: photons, calibration, markers, doubt about its clocks."""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from ...analysis.flid_data import Calibration
from ...analysis.potential import MarkerWiring
from ...formats.errors import FileFormatError
from ...formats.run_file import RunFile, StoredPhotons

HOST_CLOCK_UNCERTAINTY_S = 0.05
"""How well the host knows when the counter started."""
_SINCE_BLANK = ("afterpulse_delay_ns", "afterpulse_lifetime_ns", "time_zero_ns")
"""Keys of a calibration that run files made before there was a blank do not have."""


class MeasurementFields(TypedDict):
    """The fields of `Measurement`."""

    resolution_ps: float
    sync_period_s: float
    duration_s: float
    calibration: Calibration


class PhotonFields(MeasurementFields):
    """The fields of `PhotonData`."""

    sync: NDArray[np.int64]
    dtime: NDArray[np.uint16]
    channel: NDArray[np.uint8]


def stored_photons(run: RunFile) -> StoredPhotons:
    """The photons of a run; raises FileFormatError where it recorded none."""
    if run.photons is None:
        raise FileFormatError(f"{run.path}: this run recorded no photons ({run.header['status_reason']})")
    return run.photons


def photon_fields(run: RunFile) -> PhotonFields:
    """Photons and calibration of a run, to be passed to a kind of `PhotonData`."""
    photons = stored_photons(run)
    return {
        "sync": photons.sync,
        "dtime": photons.dtime,
        "channel": photons.channel,
        **measurement_fields(run),
    }


def measurement_fields(run: RunFile) -> MeasurementFields:
    """What `photon_fields` tells, without the photons."""
    photons, calibration = stored_photons(run), run.header["station"]["calibration"]
    return {
        "resolution_ps": photons.resolution_s * 1e12,
        "sync_period_s": photons.sync_period_s,
        "duration_s": photons.duration_s,
        "calibration": calibration_of(calibration),
    }


def calibration_of(calibration: dict[str, Any]) -> Calibration:
    """The calibration table of a station, as the analyses take it."""
    return Calibration(
        dark_rates_hz=tuple(calibration["dark_rate_hz"]),
        prompt_rate_hz=calibration["prompt_rate_hz"],
        prompt_lifetime_ns=calibration["prompt_lifetime_ns"],
        blank_s=calibration["blank_s"],
        irf_fwhm_ns=calibration["irf_fwhm_ps"] / 1000,
        afterpulsing=calibration["afterpulsing"],
        **{key: calibration[key] for key in _SINCE_BLANK if key in calibration},
    )


def marker_edges(photons: StoredPhotons) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Sync number and line (1 to 4) of every marker edge, in order."""
    lines = [np.nonzero(photons.marker_bits & (1 << k))[0] for k in range(4)]
    index = np.concatenate(lines)
    order = np.argsort(index, kind="stable")
    line = np.repeat(np.arange(1, 5), [len(found) for found in lines]).astype(np.uint8)
    return photons.marker_sync[index[order]], line[order]


def marker_wiring(header: dict[str, Any]) -> MarkerWiring | None:
    """Which marker lines carry the comparator; None where the station has none."""
    markers = header["station"]["markers"]
    return markers and MarkerWiring(
        markers["potential_falling"],
        markers["potential_rising"],
        markers["threshold_v"],
        markers["threshold_uncertainty_v"],
    )


def start_uncertainty_s(about: dict[str, Any]) -> float:
    """Standard uncertainty of a potentiostat record's start on the photons' clock."""
    return float(np.hypot(about["start_uncertainty_s"], HOST_CLOCK_UNCERTAINTY_S))
