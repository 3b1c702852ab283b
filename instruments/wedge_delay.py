"""Delay by a pair of glass wedges: a scale for any delay stage that knows group and phase delay apart.

Moving one wedge by d puts d tan(apex) of glass into the beam in place of air. The envelope of a pulse is then
late by tan(apex) (n_g - 1) d / c, its carrier by tan(apex) (n - 1) d / c.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .delay_stage import FS_PER_MM, DelayScale

_LIGHT_UM_PER_FS = 0.299792458
_STEP = 1e-3  # relative step of the derivatives of the index


@dataclass(frozen=True)
class Glass:
    """Sellmeier coefficients: n^2 = 1 + sum of strength wavelength^2 / (wavelength^2 - resonance_um^2)."""

    strength: tuple[float, float, float]
    resonance_um: tuple[float, float, float]

    def index(self, wavelength_nm: float) -> float:
        """Refractive index at a wavelength in vacuum."""
        square = (wavelength_nm / 1000) ** 2
        terms = (b * square / (square - r**2) for b, r in zip(self.strength, self.resonance_um, strict=True))
        return math.sqrt(1 + sum(terms))

    def group_index(self, wavelength_nm: float) -> float:
        """Group index n - wavelength dn/dwavelength."""
        longer, shorter = self.index(wavelength_nm * (1 + _STEP)), self.index(wavelength_nm * (1 - _STEP))
        return self.index(wavelength_nm) - (longer - shorter) / (2 * _STEP)

    def gvd_fs2_per_mm(self, wavelength_nm: float) -> float:
        """Group velocity dispersion wavelength^3 / (2 pi c^2) d^2n/dwavelength^2, in fs^2 per millimetre."""
        n = [self.index(wavelength_nm * (1 + k * _STEP)) for k in (-1, 0, 1)]
        curvature = (n[0] - 2 * n[1] + n[2]) / _STEP**2  # times wavelength^2
        return 1e3 * wavelength_nm / 1000 * curvature / (2 * math.pi * _LIGHT_UM_PER_FS**2)


FUSED_SILICA = Glass((0.6961663, 0.4079426, 0.8974794), (0.0684043, 0.1162414, 9.896161))
"""Malitson, J. Opt. Soc. Am. 55, 1205 (1965)."""
CALCIUM_FLUORIDE = Glass((0.5675888, 0.4710914, 3.8484723), (0.050263605, 0.1003909, 34.649040))
"""Malitson, Appl. Opt. 2, 1103 (1963)."""


@dataclass(frozen=True)
class WedgeScale(DelayScale):
    """The delay of a wedge pair: `fs_per_mm` is that of the envelope (group delay) at one wavelength.

    `phase_fs_per_mm` is the delay of the carrier per millimetre of travel, `gvd_fs2_per_mm` the dispersion
    that the glass adds.
    """

    phase_fs_per_mm: float = 0.0
    gvd_fs2_per_mm: float = 0.0

    @classmethod
    def of_glass(
        cls, glass: Glass, apex_deg: float, wavelength_nm: float, *, zero_mm: float = 0.0, sign: int = 1
    ) -> WedgeScale:
        """The scale that follows from the glass and the angle; `sign` is -1 where travel takes glass out."""
        if sign not in (1, -1) or not 0 < apex_deg < 45:
            raise ValueError(f"sign = {sign!r}, apex_deg = {apex_deg!r}: need 1 or -1, and 0 to 45 degrees")
        glass_mm = sign * math.tan(math.radians(apex_deg))
        return cls(
            fs_per_mm=glass_mm * (glass.group_index(wavelength_nm) - 1) * FS_PER_MM,
            zero_mm=zero_mm,
            phase_fs_per_mm=glass_mm * (glass.index(wavelength_nm) - 1) * FS_PER_MM,
            gvd_fs2_per_mm=glass_mm * glass.gvd_fs2_per_mm(wavelength_nm),
        )

    @classmethod
    def of_fringes(
        cls,
        position_mm: NDArray[np.float64],
        phase_rad: NDArray[np.float64],
        frequency_rad_fs: NDArray[np.float64],
        *,
        reference_rad_fs: float,
        zero_mm: float = 0.0,
        calibrated: str = "",
    ) -> WedgeScale:
        """The scale that follows from a scan of the wedge, with the fringes of two pulses at each position.

        `phase_rad` [positions, frequencies] is the fringe phase, unwrapped along the positions and growing
        with the delay. At each angular frequency it grows with position by slope(w) = w times the phase
        delay per millimetre; the derivative of slope(w) is the group delay, its second one the dispersion.
        """
        slope = np.polyfit(position_mm, phase_rad, 1)[0]
        offset = np.asarray(frequency_rad_fs) - reference_rad_fs
        dispersion, group, phase = np.polyfit(offset, slope, 2)
        return cls(
            fs_per_mm=float(group),
            zero_mm=zero_mm,
            calibrated=calibrated,
            phase_fs_per_mm=float(phase) / reference_rad_fs,
            gvd_fs2_per_mm=2 * float(dispersion),
        )

    def phase_delay_fs(self, position_mm: float) -> float:
        """The delay of the carrier wave at a position, in femtoseconds."""
        return self.phase_fs_per_mm * (position_mm - self.zero_mm)

    def dispersion_fs2(self, position_mm: float) -> float:
        """The dispersion that the glass adds at a position, in fs^2, relative to delay zero."""
        return self.gvd_fs2_per_mm * (position_mm - self.zero_mm)
