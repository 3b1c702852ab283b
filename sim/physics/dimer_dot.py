"""One CdSe dot: its band edge against size, its fine structure, and the ladder of bright levels above it.

Energies in cm-1 unless the name says eV, diameters in nm. Model and parameters: docs/models/dimers.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import root_scalar
from scipy.special import spherical_jn

CM_PER_EV = 8065.544
HBAR2_2M0_EV_NM2 = 0.0380998
"""hbar^2 / 2 m0."""
COULOMB_EV_NM = 1.439964
"""e^2 / 4 pi eps0."""
REFERENCE_NM = 3.0
"""The diameter at which the parameters of the model are stated."""

GAP_EV = 1.74
"""CdSe at 300 K."""
ELECTRON_MASS = 0.13
HEAVY_HOLE_MASS = 1.14
HOLE_MASS_RATIO = 0.28
"""Light hole over heavy hole."""
DIELECTRIC_CONSTANT = 9.3
BARRIER_EV = 1.761
"""Barrier for the electron; fitted, so that a dot of 3.0 nm lies on the sizing curve."""

EXCHANGE_CM = 68.56
"""eta at the reference diameter (8.5 meV); it falls with the volume."""
CRYSTAL_FIELD_CM = 225.8
"""Delta (28 meV), crystal field and a small mean shape term."""

BAND_SHIFT_CM = -900.0
"""Puts the lowest band below the absorption maximum; fitted."""
BAND_OFFSET_CM = (0.0, 850.0, 1352.0, 1950.0)
"""Height of Ll, Lh, H, S above the lowest band at the reference diameter; fitted."""
BAND_EXPONENT = (0.0, 0.60, 1.07, 1.20)
"""How the heights grow with the inverse diameter; fitted."""
BAND_STRENGTH = (0.8, 1.0, 1.2, 0.5)
"""Oscillator strengths; fitted."""


def hole_root(order: int) -> float:
    """Root phi of the S3/2 hole in a sphere with a light and a heavy hole: 0 is 1S3/2, 1 is 2S3/2.

    The states solve j0(p) j2(sqrt(b) p) + j2(p) j0(sqrt(b) p) = 0 with b the mass ratio (Ekimov et al.,
    J. Opt. Soc. Am. B 10, 100 (1993)).
    """
    ratio = np.sqrt(HOLE_MASS_RATIO)

    def mismatch(p: float) -> float:
        return float(
            spherical_jn(0, p) * spherical_jn(2, ratio * p) + spherical_jn(2, p) * spherical_jn(0, ratio * p)
        )

    grid = np.arange(1.0, 20.0, 0.05)
    signs = np.sign([mismatch(p) for p in grid])
    first = np.flatnonzero(signs[1:] != signs[:-1])[order]
    return float(root_scalar(mismatch, bracket=(grid[first], grid[first + 1]), xtol=1e-13).root)


HOLE_ROOTS = (hole_root(0), hole_root(1))


def electron_energy_ev(radius_nm: ArrayLike) -> NDArray[np.float64]:
    """Lowest s level of the electron in a sphere with a finite barrier (float64, shape of the argument).

    Solves (k R cot(kR) - 1)/m_e + 1 + q R = 0: the current is continuous at the surface (Ben Daniel and
    Duke), mass m_e inside and m0 outside. Raises ValueError where no state is bound.
    """
    radius = np.asarray(radius_nm, dtype=np.float64)

    def mismatch(energy: NDArray[np.float64]) -> NDArray[np.float64]:
        x = radius * np.sqrt(ELECTRON_MASS * energy / HBAR2_2M0_EV_NM2)
        q = np.sqrt((BARRIER_EV - energy) / HBAR2_2M0_EV_NM2)
        return (x / np.tan(x) - 1) / ELECTRON_MASS + 1 + q * radius

    lower = np.full(radius.shape, 1e-6)
    hard_wall = HBAR2_2M0_EV_NM2 / ELECTRON_MASS * (np.pi / radius) ** 2
    upper = np.minimum(hard_wall * (1 - 1e-12), BARRIER_EV)
    if np.any(mismatch(upper) > 0):
        raise ValueError(f"a dot of {2 * radius.min():.3f} nm diameter is too small to bind an electron")
    for _ in range(50):  # the mismatch falls from 0 to the hard wall
        middle = (lower + upper) / 2
        above = mismatch(middle) > 0
        lower, upper = np.where(above, middle, lower), np.where(above, upper, middle)
    return (lower + upper) / 2


def band_edge_cm(diameter_nm: ArrayLike) -> NDArray[np.float64]:
    """Energy of the 1S exciton in the effective-mass model (float64, shape of the argument).

    Gap, confinement of electron and hole, and the Coulomb energy -1.79 e^2/(eps R) of Brus, J. Chem. Phys.
    80, 4403 (1984).
    """
    radius = np.asarray(diameter_nm, dtype=np.float64) / 2
    hole = HBAR2_2M0_EV_NM2 * HOLE_ROOTS[0] ** 2 / (HEAVY_HOLE_MASS * radius**2)
    coulomb = 1.79 * COULOMB_EV_NM / (DIELECTRIC_CONSTANT * radius)
    return (GAP_EV + electron_energy_ev(radius) + hole - coulomb) * CM_PER_EV


def second_s_offset_cm(diameter_nm: ArrayLike) -> NDArray[np.float64]:
    """Height of the 2S3/2 exciton above 1S3/2: the hole's second root (float64, shape of the argument)."""
    radius = np.asarray(diameter_nm, dtype=np.float64) / 2
    roots = HOLE_ROOTS[1] ** 2 - HOLE_ROOTS[0] ** 2
    return HBAR2_2M0_EV_NM2 * roots / (HEAVY_HOLE_MASS * radius**2) * CM_PER_EV


def sizing_diameter_nm(wavelength_nm: ArrayLike) -> NDArray[np.float64]:
    """Diameter from the first absorption peak (Yu, Qu, Guo and Peng, Chem. Mater. 15, 2854 (2003))."""
    x = np.asarray(wavelength_nm, dtype=np.float64)
    return 1.6122e-9 * x**4 - 2.6575e-6 * x**3 + 1.6242e-3 * x**2 - 0.4277 * x + 41.57


def sizing_peak_cm(diameter_nm: float) -> float:
    """First absorption peak of a dot, the sizing curve read backwards between 420 and 680 nm.

    Raises ValueError outside that range.
    """

    def mismatch(peak_nm: float) -> float:
        return float(sizing_diameter_nm(peak_nm)) - diameter_nm

    return 1e7 / float(root_scalar(mismatch, bracket=(420.0, 680.0)).root)


def exchange_cm(diameter_nm: ArrayLike) -> NDArray[np.float64]:
    """Electron-hole exchange eta of a dot (float64, shape of the argument)."""
    return EXCHANGE_CM * (REFERENCE_NM / np.asarray(diameter_nm, dtype=np.float64)) ** 3


def fine_structure_cm(exchange: ArrayLike, crystal_field: float = CRYSTAL_FIELD_CM) -> dict[str, NDArray]:
    """Levels of the band-edge exciton: "2", "1L", "0L", "1U" and "0U" against their centre.

    Efros, Rosen, Kuno, Nirmal, Norris and Bawendi, Phys. Rev. B 54, 4843 (1996).
    """
    eta = np.asarray(exchange, dtype=np.float64)
    root = _mixing(eta, crystal_field)[1]
    return {
        "2": -1.5 * eta - crystal_field / 2,
        "1L": eta / 2 - root,
        "0L": -1.5 * eta + crystal_field / 2,
        "1U": eta / 2 + root,
        "0U": 2.5 * eta + crystal_field / 2,
    }


def fine_structure_strength(
    exchange: ArrayLike, crystal_field: float = CRYSTAL_FIELD_CM
) -> dict[str, NDArray]:
    """Oscillator strengths of the optically active levels "1L", "1U" (each of two) and "0U" (Efros 1996)."""
    eta = np.asarray(exchange, dtype=np.float64)
    f, root = _mixing(eta, crystal_field)
    return {
        "1L": (2 * root + f - 3 * eta) / (6 * root),
        "1U": (2 * root - f + 3 * eta) / (6 * root),
        "0U": np.full_like(eta, 2 / 3),
    }


def _mixing(eta: NDArray[np.float64], crystal_field: float) -> tuple[NDArray, NDArray]:
    """Return half the mismatch f of the two +-1 states and the root r of their 2x2 problem."""
    f = crystal_field / 2 - eta
    return f, np.sqrt(f**2 + 3 * eta**2)


def bright_splitting_cm(diameter_nm: ArrayLike) -> NDArray[np.float64]:
    """Distance from +-1U (perpendicular) to 0U (parallel), 2 eta + Delta/2 - r: the beat rho_I."""
    eta = exchange_cm(diameter_nm)
    return 2 * eta + CRYSTAL_FIELD_CM / 2 - _mixing(eta, CRYSTAL_FIELD_CM)[1]


def label_energies_cm(diameter_nm: ArrayLike) -> NDArray[np.float64]:
    """Energies of the eight labels of `dimer_states.LABELS` (float64, shape of the argument plus [8])."""
    diameter = np.asarray(diameter_nm, dtype=np.float64)[..., None]
    ladder = np.asarray(BAND_OFFSET_CM) * (REFERENCE_NM / diameter) ** np.asarray(BAND_EXPONENT)
    bands = band_edge_cm(diameter) + BAND_SHIFT_CM + ladder
    splitting = np.stack([np.zeros_like(diameter[..., 0]), bright_splitting_cm(diameter[..., 0])], axis=-1)
    return (bands[..., :, None] + splitting[..., None, :]).reshape(*diameter.shape[:-1], -1)


def label_dipoles(cos_theta: ArrayLike) -> NDArray[np.float64]:
    """Dipoles of the labels along the light's polarisation, c axis at the angle theta (adds an axis [8])."""
    cosine = np.asarray(cos_theta, dtype=np.float64)
    projection = np.stack([np.sqrt(1 - cosine**2), cosine], axis=-1)
    return (np.sqrt(BAND_STRENGTH)[:, None] * projection[..., None, :]).reshape(*cosine.shape, -1)
