"""Phonons that shift every exciton alike: factors by which they multiply the pathways of the response.

A displaced harmonic mode acts through its lineshape function g(t) alone (second cumulant, exact for it:
Mukamel, Principles of Nonlinear Optical Spectroscopy (1995), chapter 8). Two excitons shift the mode twice
as far as one. Energies of the response are vertical ones. Equations: docs/models/dimers.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        """g(t) = S [(2n + 1)(1 - cos wt) + i (sin wt - wt)], with g(-t) the conjugate of g(t).

        Damping replaces cos and sin by those of the free damped oscillator with the same start, which keeps
        value and slope of g at t = 0; it leaves out the slow loss of phase that a bath adds. Raises
        ValueError for an overdamped mode.
        """
        t = np.asarray(t_fs, dtype=np.float64)
        w, rate = RAD_PER_FS * self.frequency_cm, 1 / self.damping_fs
        if not rate < w:
            raise ValueError(
                f"damping_fs = {self.damping_fs!r} overdamps the mode at {self.frequency_cm} cm-1"
            )
        turning = np.sqrt(w**2 - rate**2)
        envelope = np.exp(-rate * np.abs(t))
        cosine = envelope * (np.cos(turning * t) + rate / turning * np.sin(turning * np.abs(t)))
        sine = envelope * np.sin(turning * t) * w / turning
        thermal = 1 / np.tanh(self.frequency_cm / (2 * BOLTZMANN_CM_PER_K * temperature_k))
        return self.huang_rhys * (thermal * (1 - cosine) + 1j * (sine - w * t))


MEASURED_LIKE = (Mode(220.0, 0.15), Mode(20.0, 0.15, damping_fs=1000.0))
"""Longitudinal optical and acoustic mode, as measured data show them; the default sample has none."""

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


def phonon_factor(
    pathway: str,
    t1_fs: ArrayLike,
    t2_fs: ArrayLike,
    t3_fs: ArrayLike,
    modes: Sequence[Mode] = MEASURED_LIKE,
    *,
    temperature_k: float = 295.0,
) -> NDArray[np.complex128]:
    """Factor of a pathway of `CONTOURS` on a grid of delays (complex128 [t2, t1, t3]).

    It is exp(sum over k < l of q_k q_l g(tau_k - tau_l)), the operators in the order of the contour.
    """
    t1, t2, t3 = (np.atleast_1d(np.asarray(t, dtype=np.float64)) for t in (t1_fs, t2_fs, t3_fs))
    t2, t1 = t2[:, None, None], t1[:, None]
    arrival = (np.zeros(1), t1, t1 + t2, t1 + t2 + t3)
    pulses, charges = CONTOURS[pathway]
    exponent = np.zeros(np.broadcast_shapes(t1.shape, t2.shape, t3.shape), dtype=np.complex128)
    for mode in modes:
        for (p, q), (r, s) in combinations(zip(pulses, charges, strict=True), 2):
            exponent += q * s * mode.lineshape(arrival[p] - arrival[r], temperature_k)
    return np.exp(exponent)
