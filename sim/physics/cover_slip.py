"""A cover slip with many dots on it, and the Gaussian focus that they are moved through.

Values are choices of this project where nothing else is said; docs/models/microscope.md lists them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .charged_dot import CHARGING_FRACTION, ChargedDot

FWHM_PER_SIGMA = math.sqrt(8 * math.log(2))
WAVELENGTH_NM, EMISSION_NM = 442.0, 655.0
NUMERICAL_APERTURE, OIL_INDEX = 1.45, 1.515
_SITES = 0x517E  # spawn keys of this module's random streams
_DOTS = 0xD075


def lateral_fwhm_um(wavelength_nm: float) -> float:
    """Full width of a focus across the axis, 0.51 lambda / NA, in micrometres."""
    return 0.51e-3 * wavelength_nm / NUMERICAL_APERTURE


def axial_fwhm_um(wavelength_nm: float) -> float:
    """Full width of a focus along the axis, 0.88 lambda / (n - sqrt(n^2 - NA^2)), in micrometres."""
    return 0.88e-3 * wavelength_nm / (OIL_INDEX - math.sqrt(OIL_INDEX**2 - NUMERICAL_APERTURE**2))


@dataclass(frozen=True)
class Focus:
    """Gaussian excitation and collection around one point; full widths in micrometres (across, along)."""

    excitation_um: tuple[float, float] = (lateral_fwhm_um(WAVELENGTH_NM), axial_fwhm_um(WAVELENGTH_NM))
    collection_um: tuple[float, float] = (lateral_fwhm_um(EMISSION_NM), axial_fwhm_um(EMISSION_NM))

    def couplings(self, away_um: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Excitation and collection at points so far from the focus, shape (n, 3); 1 in the focus."""
        excitation, collection = (
            np.exp(-0.5 * FWHM_PER_SIGMA**2 * (away_um**2 @ (1 / np.array([across, across, along]) ** 2)))
            for across, along in (self.excitation_um, self.collection_um)
        )
        return excitation, collection


@dataclass(frozen=True)
class CoverSlip:
    """Sites of dots, in the stage positions (um) that bring them into focus at time zero.

    A site is one dot or, where it is an aggregate, two.
    """

    position_um: NDArray[np.float64]
    """Shape (dots, 3)."""
    brightness: NDArray[np.float64]
    """Factor on the photons that reach the detectors, shape (dots,)."""
    charges: NDArray[np.bool_]
    """Whether the electrode charges the dot, shape (dots,)."""
    site: NDArray[np.int64]
    """Which site the dot belongs to, shape (dots,)."""
    drift_um_h: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """How fast the sites move away, in micrometres per hour along x, y, z."""
    batch: Callable[..., ChargedDot] = field(default=ChargedDot.batch_1)
    seed: int = 0

    @classmethod
    def scattered(
        cls,
        *,
        seed: int,
        density_um2: float = 0.1,
        extent_um: float = 200.0,
        height_um: float = 100.0,
        brightness_spread: float = 0.15,
        aggregates: float = 0.1,
        drift_um_h: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> CoverSlip:
        """Poisson field of sites over the stage's travel, on a plane at the height `height_um`.

        Heights scatter by 10 nm, brightness log-normally by `brightness_spread`; a share `aggregates` of
        the sites are two dots that touch (12 nm).
        """
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_SITES,)))
        sites = int(rng.poisson(density_um2 * extent_um**2))
        where = np.column_stack(
            [rng.uniform(0.0, extent_um, (sites, 2)), height_um + 0.010 * rng.standard_normal(sites)]
        )
        double = rng.random(sites) < aggregates
        angle = rng.uniform(0.0, 2 * np.pi, sites)
        half = 0.006 * np.column_stack([np.cos(angle), np.sin(angle), np.zeros(sites)]) * double[:, None]
        site = np.concatenate([np.arange(sites), np.flatnonzero(double)])
        return cls(
            position_um=np.concatenate([where + half, (where - half)[double]]),
            brightness=np.exp(brightness_spread * rng.standard_normal(len(site))),
            charges=rng.random(len(site)) < CHARGING_FRACTION,
            site=site,
            drift_um_h=drift_um_h,
            seed=seed,
        )

    def dot(self, index: int) -> ChargedDot:
        """The model of one dot."""
        return self.batch(charges=bool(self.charges[index]))

    def dot_seed(self, index: int) -> int:
        """The seed of one dot's own random streams."""
        key = np.random.SeedSequence(self.seed, spawn_key=(_DOTS, index))
        return int(key.generate_state(1, np.uint64)[0])

    def drift_um(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far the sites have moved, shape (n, 3)."""
        return time_s[:, None] / 3600.0 * np.array(self.drift_um_h)

    def truth(self) -> dict[str, Any]:
        """Everything planted."""
        return {
            "position_um": self.position_um,
            "brightness": self.brightness,
            "charges": self.charges,
            "site": self.site,
            "drift_um_h": np.array(self.drift_um_h),
        }
