"""The sample of two-dimensional spectroscopy: many dimers of nearly equal dots, their decay, their light.

Energies in cm-1, times in fs, dipoles in the unit in which a band of oscillator strength 1 has dipole 1.
Model and parameters: docs/models/dimers.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from .dimer_states import EXCITONS, LABELS, LINKS, PAIRS, POLARISATIONS, states_of
from .dimers import DimerModel, one_exciton_states, two_exciton_states

RAD_PER_FS = 2 * np.pi * 2.99792458e-5
"""Angular frequency of 1 cm-1 in rad/fs, 1.883652e-4."""
TRUNCATION = 3.0
"""Diameters are drawn from a normal distribution cut at so many standard deviations."""


class Laser(NamedTuple):
    """Spectrum common to all pulses: Gaussian, `fwhm_cm` wide in intensity, flat in phase."""

    centre_cm: float = 18200.0
    fwhm_cm: float = 2600.0

    def amplitude(self, wavenumber_cm: ArrayLike) -> NDArray[np.float64]:
        """Field amplitude at absolute wavenumbers, 1 at the centre (float64, shape of the argument)."""
        x = (np.asarray(wavenumber_cm, dtype=np.float64) - self.centre_cm) / self.fwhm_cm
        return np.exp(-2 * np.log(2) * x**2)


class Dephasing(NamedTuple):
    """Decay times of the coherences, exponential, in fs; inf switches one off."""

    optical_fs: float = 60.0
    """Ground state to one exciton."""
    esa_fs: float = 45.0
    """One exciton to two."""
    double_quantum_fs: float = 40.0
    """Ground state to two excitons."""
    exciton_fs: float = 3800.0
    """One exciton to another: the pure dephasing of the beats along t2."""


NO_DEPHASING = Dephasing(np.inf, np.inf, np.inf, np.inf)


class Relaxation(NamedTuple):
    """Times of the steps down the ladder of one-exciton states, in fs; inf switches one off."""

    bands_fs: tuple[float, float, float] = (2000.0, 1200.0, 500.0)
    """Lh to Ll, H to Lh, S to H; polarisation and branch stay."""
    branch_fs: float = 1500.0
    """Upper to lower branch of a label."""

    def matrix(self, labels: Sequence[str] = LABELS) -> NDArray[np.float64]:
        """Rates K of dP/dt = K P in 1/fs, K[k, i] from i to k, among the one-exciton states of some labels.

        Columns add up to 0: steps to a label that is left out do not happen. All labels: float64 [16, 16].
        """
        rates = np.zeros((EXCITONS, EXCITONS))
        for i in range(EXCITONS):
            band, branch = i // (2 * len(POLARISATIONS)), i % 2
            if band:
                rates[i - 2 * len(POLARISATIONS), i] = 1 / self.bands_fs[band - 1]
            if branch:
                rates[i - 1, i] = 1 / self.branch_fs
        one, _ = states_of(labels)
        rates = rates[np.ix_(one, one)]
        return rates - np.diag(rates.sum(axis=0))


class LevelSystem(NamedTuple):
    """Ground state, one-exciton and two-exciton states of one absorber, every transition written out."""

    energy_cm: NDArray[np.float64]
    """[one-exciton states]"""
    dipole: NDArray[np.float64]
    """From the ground state, [one-exciton states]."""
    pair_energy_cm: NDArray[np.float64]
    """[two-exciton states]"""
    pair_dipole: NDArray[np.float64]
    """From one to two excitons, [one-exciton states, two-exciton states]."""


@dataclass(frozen=True)
class Ensemble:
    """n dimers in the order of states of `dimer_states`; all arrays float64."""

    diameters_nm: NDArray[np.float64]
    """[n, 2], dots A and B."""
    cos_theta: NDArray[np.float64]
    """[n], cosine of the angle between the common c axis and the polarisation of the light."""
    energy_cm: NDArray[np.float64]
    """[n, 16], one-exciton states."""
    dipole: NDArray[np.float64]
    """[n, 16], from the ground state."""
    localisation: NDArray[np.float64]
    """[n, 8], M of each label: 1 is localised on one dot, 2 is shared equally."""
    pair_energy_cm: NDArray[np.float64]
    """[n, 136], two-exciton states."""
    pair_dipole: NDArray[np.float64]
    """[n, 496], from one to two excitons, the transitions in the order of `dimer_states.LINKS`."""

    def __len__(self) -> int:
        return len(self.energy_cm)

    def system(self, k: int, labels: Sequence[str] = LABELS) -> LevelSystem:
        """Dimer `k` with its transitions as a dense matrix, all of it or only the states of some labels."""
        pair_dipole = np.zeros((EXCITONS, PAIRS))
        pair_dipole[LINKS.exciton, LINKS.pair] = self.pair_dipole[k]
        one, two = states_of(labels)
        return LevelSystem(
            self.energy_cm[k, one],
            self.dipole[k, one],
            self.pair_energy_cm[k, two],
            pair_dipole[np.ix_(one, two)],
        )


def coupled_dimers(
    diameters_nm: ArrayLike, cos_theta: ArrayLike, model: DimerModel | None = None
) -> Ensemble:
    """Solve the dimers of given diameters ([n, 2], nm) and orientations ([n]).

    Raises ValueError where a dot is too small to bind an electron.
    """
    model = model or DimerModel()
    diameters = np.atleast_2d(np.asarray(diameters_nm, dtype=np.float64))
    cosine = np.atleast_1d(np.asarray(cos_theta, dtype=np.float64))
    singles = one_exciton_states(diameters, cosine, model)
    pairs = two_exciton_states(diameters, singles, model)
    return Ensemble(
        diameters,
        cosine,
        singles.energy_cm,
        singles.dipole,
        singles.localisation,
        pairs.energy_cm,
        pairs.dipole,
    )


def quasi_homodimers(
    mean_nm: float, dispersion: float, n: int, *, seed: int, model: DimerModel | None = None
) -> Ensemble:
    """Draw `n` dimers of two independent diameters, normal with standard deviation `dispersion * mean_nm`.

    Axes are isotropic. The first m of n dimers are the m dimers of the same seed. Raises ValueError for a
    dispersion outside [0, 0.25] or a diameter that is not positive.
    """
    if not 0 <= dispersion <= 0.25:
        raise ValueError(f"dispersion = {dispersion!r} is outside [0, 0.25]")
    if not mean_nm > 0:
        raise ValueError(f"mean_nm = {mean_nm!r} must be positive")
    uniform = np.random.default_rng(seed).random((n, 3))
    tail = ndtr(-TRUNCATION)
    deviates = ndtri(tail + (1 - 2 * tail) * uniform[:, :2])
    return coupled_dimers(mean_nm * (1 + dispersion * deviates), 2 * uniform[:, 2] - 1, model)
