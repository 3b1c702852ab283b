"""What the voltammetry-FLID analysis is given: photons, sweeps, markers and the calibration of the rig."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .decay_model import FWHM_PER_SIGMA, Background, Response
from .photon_source import PhotonArrays, PhotonSource
from .potential import MarkerWiring, PotentialRecord


@dataclass(frozen=True)
class Calibration:
    """What is known of the rig from a blank sample and the detectors' data sheets."""

    dark_rates_hz: tuple[float, ...]
    """Dark counts of each detector."""
    prompt_rate_hz: float
    """Laser-synchronous background of all detectors together, at the run's power."""
    prompt_lifetime_ns: float = 0.3
    blank_s: float = 60.0
    """How long the blank was counted: gives both rates their Poisson errors."""
    irf_fwhm_ns: float = 0.4
    time_zero_ns: float = 2.0
    """Used only where a run has too few photons to find its own."""
    afterpulsing: float = 0.005
    """Afterpulses per recorded photon."""
    afterpulse_delay_ns: float = 24.0
    afterpulse_lifetime_ns: float = 60.0
    pairs_per_pulse: float = 0.6
    """Mean electron-hole pairs per pulse (nbar), from the dots' saturation; checks intensities only."""

    @property
    def background(self) -> Background:
        """Flat and prompt background of all detectors together."""
        return Background(sum(self.dark_rates_hz), self.prompt_rate_hz, self.prompt_lifetime_ns)

    @property
    def background_err_hz(self) -> float:
        """Standard error of the background rate."""
        return math.sqrt(self.background.rate_hz / self.blank_s)

    def response(self, period_ns: float) -> Response:
        """The response as calibrated, before the run's own time zero is found."""
        return Response(
            period_ns,
            self.time_zero_ns,
            self.irf_fwhm_ns / FWHM_PER_SIGMA,
            self.afterpulsing,
            self.afterpulse_delay_ns,
            self.afterpulse_lifetime_ns,
        )


@dataclass(frozen=True)
class Measurement:
    """What is known of a photon measurement beside its photons; times are those of the sync numbers."""

    resolution_ps: float
    sync_period_s: float
    duration_s: float
    calibration: Calibration


@dataclass(frozen=True)
class PhotonData(Measurement):
    """Photons as recorded; sync numbers count from the start of the measurement."""

    sync: NDArray[np.int64]
    """Sync number of each photon, ascending."""
    dtime: NDArray[np.uint16]
    """Micro time of each photon in bins of the resolution."""
    channel: NDArray[np.uint8]
    """Detector of each photon, from 0."""

    @property
    def photons(self) -> PhotonArrays:
        """All of them."""
        return PhotonArrays(self.sync, self.dtime, self.channel)


@dataclass(frozen=True)
class VoltammetryFlidData(Measurement):
    """One voltammetry-FLID run as recorded; a long one's photons stay on disk."""

    photons: PhotonSource
    hold_s: tuple[float, float] | None
    """Start and end of the hold; None when there was none."""
    hold_uncertainty_s: float
    initial_v: float
    vertex_v: float
    cycles: int
    records: tuple[PotentialRecord, ...] = ()
    """Sweeps in order; where the potentiostat's record is missing, the programmed sweep."""
    marker_sync: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    marker_line: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    wiring: MarkerWiring | None = field(default_factory=MarkerWiring)
    """None when no marker carries the potential."""
    electrode_area_cm2: float | None = None
    status: str = "finished"


@dataclass(frozen=True)
class FlidSettings:
    """How the photons are binned."""

    flid_bin_s: float = 0.02
    trace_bin_s: float = 0.001
    vertex_window_v: float = 0.03
    """The last stretch of potential before the vertex, on both sides of it, pooled for `at_vertex`."""
