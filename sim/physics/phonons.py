"""Phonons that shift every exciton alike: factors by which they multiply the pathways of the response.

A displaced harmonic mode acts through its lineshape function g(t) alone (second cumulant, exact for it:
Mukamel, Principles of Nonlinear Optical Spectroscopy (1995), chapter 8). Two excitons shift the mode twice
as far as one. Energies of the response are vertical ones. Equations: docs/models/dimers.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .dimer_ensemble import RAD_PER_FS

BOLTZMANN_CM_PER_K = 0.695034800
"""Boltzmann's constant over h c."""


class Mode(NamedTuple):
    """One vibration that the excitons displace."""

    frequency_cm: float
    huang_rhys: float
    damping_fs: float = np.inf
    """1/e time of the vibration's amplitude; longer than 1/frequency (underdamped)."""

    def lineshape(self, t_fs: ArrayLike, temperature_k: float) -> NDArray[np.complex128]:
        """g(t) = S [coth(w/2kT) (1 - cos wt) + i (sin wt - wt)], with g(-t) the conjugate of g(t).

        A damped mode is the Brownian oscillator where damping and frequency are below k T: with f(t) the
        free damped oscillator that starts at rest from 1, F the integral of f, r = 1 / damping,
        g(t) = S [coth(w/2kT) (1 - f + 2 r (t - F)) + i w (F - t)]. Raises ValueError if overdamped.
        """
        t = np.asarray(t_fs, dtype=np.float64)
        w, rate = RAD_PER_FS * self.frequency_cm, 1 / self.damping_fs
        if not rate < w:
            raise ValueError(
                f"damping_fs = {self.damping_fs!r} overdamps the mode at {self.frequency_cm} cm-1"
            )
        turning, later = np.sqrt(w**2 - rate**2), np.abs(t)
        envelope = np.exp(-rate * later)
        sine = envelope * np.sin(turning * later) / turning
        swing = envelope * np.cos(turning * later) + rate * sine
        integral = sine + 2 * rate / w**2 * (1 - swing)
        thermal = 1 / np.tanh(self.frequency_cm / (2 * BOLTZMANN_CM_PER_K * temperature_k))
        g = np.empty(t.shape, dtype=np.complex128)
        g.real = self.huang_rhys * thermal * (1 - swing + 2 * rate * (later - integral))
        g.imag = self.huang_rhys * w * np.sign(t) * (integral - later)
        return g


class Phonons(NamedTuple):
    """The vibrations of the sample; by default those that measured data of CdSe dots show."""

    modes: tuple[Mode, ...] = (Mode(220.0, 0.15), Mode(20.0, 0.15, damping_fs=1000.0))
    """Longitudinal optical mode, and acoustic mode."""
    temperature_k: float = 295.0

    def lineshape(self, t_fs: ArrayLike) -> NDArray[np.complex128]:
        """Sum of the modes' g(t), in the shape of the argument."""
        total = np.zeros(np.shape(t_fs), dtype=np.complex128)
        for mode in self.modes:
            total += mode.lineshape(t_fs, self.temperature_k)
        return total

    def truth(self) -> dict[str, object]:
        """What is planted."""
        return {"temperature_k": self.temperature_k, "modes": [mode._asdict() for mode in self.modes]}


CONTOURS: Mapping[str, tuple[tuple[int, int, int, int], tuple[int, int, int, int]]] = {
    "R_GSB": ((0, 1, 3, 2), (1, -1, 1, -1)),
    "R_SE": ((0, 2, 3, 1), (1, -1, 1, -1)),
    "R_ESA": ((0, 3, 2, 1), (1, 1, -1, -1)),
    "N_GSB": ((3, 2, 1, 0), (1, -1, 1, -1)),
    "N_SE": ((1, 2, 3, 0), (1, -1, 1, -1)),
    "N_ESA": ((1, 3, 2, 0), (1, 1, -1, -1)),
    "Q_emission": ((3, 2, 1, 0), (1, 1, -1, -1)),
    "Q_absorption": ((2, 3, 1, 0), (1, 1, -1, -1)),
}
"""Each pathway as a product of dipole operators from left to right, bra before ket: the pulse (3 is the
detection), and by how many excitons the state to its right exceeds the one to its left."""

R_PATHWAYS = ("R_ESA", "R_SE", "R_GSB")
N_PATHWAYS = ("N_ESA", "N_SE", "N_GSB")
Q_PATHWAYS = ("Q_absorption", "Q_emission")
"""Pathways of each signal: absorption, emission, bleach."""


def phonon_factors(
    pathways: Sequence[str], t1_fs: ArrayLike, t2_fs: ArrayLike, t3_fs: ArrayLike, phonons: Phonons
) -> Iterator[NDArray[np.complex128]]:
    """Yield the factor of each of these pathways of `CONTOURS` on a grid of delays (complex128 [t2, t1, t3]).

    It is exp(sum over k < l of q_k q_l g(tau_k - tau_l)), the operators in the order of the contour.
    """
    t1, t2, t3 = (np.atleast_1d(np.asarray(t, dtype=np.float64)) for t in (t1_fs, t2_fs, t3_fs))
    t2, t1 = t2[:, None, None], t1[:, None]
    arrival = (np.zeros((1, 1, 1)), t1, t1 + t2, t1 + t2 + t3)
    apart = {(p, r): np.exp(phonons.lineshape(arrival[p] - arrival[r])) for r, p in combinations(range(4), 2)}
    for pathway in pathways:
        before, after, whole = (np.ones((1, 1, 1), dtype=np.complex128) for _ in range(3))
        for (p, q), (r, s) in combinations(zip(*CONTOURS[pathway], strict=True), 2):
            power = apart[max(p, r), min(p, r)]
            power = power if p > r else power.conj()
            power = power if q * s > 0 else 1 / power
            if max(p, r) < 3:  # only t1 and t2 are between these two
                before = before * power
            elif min(p, r) > 0:
                after = after * power
            else:
                whole = power
        yield whole * before * after
