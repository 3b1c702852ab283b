"""The third-order response as an explicit sum over pathways: slow, double precision, the measure.

Pulses are shorter than every delay, or do not overlap: each interaction takes the laser's amplitude at its
transition (Mukamel, Principles of Nonlinear Optical Spectroscopy (1995), chapters 5 and 9; Hamm and Zanni,
Concepts and Methods of 2D Infrared Spectroscopy (2011), chapter 4). Ground-state bleach (GSB) and stimulated
emission (SE) are positive, excited-state absorption (ESA) is negative. In the frame that rotates at
`frame_cm`, R evolves as exp(+i w t1), N and Q as exp(-i w t1), all as exp(-i w t3).
The formulas hold for negative delays too, as analytic continuations. Equations: docs/models/dimers.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm

from .dimer_ensemble import RAD_PER_FS, Dephasing, Ensemble, Laser, LevelSystem, Relaxation
from .phonons import Phonons, phonon_factors

Complex = NDArray[np.complex128]
_RELAXATION = Relaxation().matrix()
_RELAXATION.setflags(write=False)


class Conditions(NamedTuple):
    """Light, decay of coherences and of populations, vibrations, and the rotating frame of the result."""

    laser: Laser = Laser()
    dephasing: Dephasing = Dephasing()
    rates_per_fs: NDArray[np.float64] | None = _RELAXATION
    """Rates K of dP/dt = K P among the one-exciton states; None is no relaxation."""
    frame_cm: float = 18200.0
    phonons: Phonons | None = None
    """Vibrations that all excitons displace alike; None is the paper's computation."""

    def propagator(self, t2_fs: NDArray[np.float64], states: int) -> NDArray[np.float64]:
        """G = exp(K t2): G[b, k, i] is the share of population i that is in k at the delay b."""
        if self.rates_per_fs is None:
            return np.broadcast_to(np.eye(states), (len(t2_fs), states, states))
        return np.array([expm(self.rates_per_fs * t) for t in t2_fs], dtype=np.float64)


class Response(NamedTuple):
    """A third-order signal by its parts, complex128 [t2, t1, t3] each; ESA carries its minus sign."""

    gsb: Complex
    se: Complex
    esa: Complex

    @property
    def total(self) -> Complex:
        """The sum of the parts."""
        return self.gsb + self.se + self.esa


class DoubleQuantum(NamedTuple):
    """The signal of +k1 + k2 - k3 by where the third pulse leads, complex128 [t2, t1, t3] each."""

    emission: Complex
    """To one exciton over the ground state; positive."""
    absorption: Complex
    """To two excitons over one; carries its minus sign."""

    @property
    def total(self) -> Complex:
        """The sum of the parts."""
        return self.emission + self.absorption


Parts = TypeVar("Parts", Response, DoubleQuantum)


class _Factors:
    """Phases and weights that the three signals share, for one system and one grid of delays.

    Subscripts in `einsum`: i, j, k one-exciton states, f two-exciton states, a, b, c places in t1, t2, t3.
    """

    def __init__(self, system: LevelSystem, t1: ArrayLike, t2: ArrayLike, t3: ArrayLike, on: Conditions):
        self.t1, self.t2, self.t3 = (np.atleast_1d(np.asarray(t, dtype=np.float64)) for t in (t1, t2, t3))
        self.on = on
        self.mu, self.mu_f = system.dipole, system.pair_dipole
        self.w = RAD_PER_FS * (system.energy_cm - on.frame_cm)
        self.w_f = RAD_PER_FS * (system.pair_energy_cm - 2 * on.frame_cm)
        self.e = on.laser.amplitude(system.energy_cm)
        self.e_f = on.laser.amplitude(system.pair_energy_cm - system.energy_cm[:, None])

    def optical(self, w: NDArray, t: NDArray) -> Complex:
        """exp(-i w t) with the decay of a ground state to one exciton coherence ([states, t])."""
        rate = np.asarray(1j * w[:, None] + 1 / self.on.dephasing.optical_fs, dtype=np.complex128)
        return np.exp(-rate * t)

    def excitons(self) -> Complex:
        """exp(-i (w_j - w_i) t2), i different from j, with its decay ([b, i, j])."""
        gap = self.w - self.w[:, None]
        rate = np.asarray(1j * gap + 1 / self.on.dephasing.exciton_fs, dtype=np.complex128)
        coherence = np.exp(-rate * self.t2[:, None, None])
        every = np.arange(len(self.w))
        coherence[:, every, every] = 0
        return coherence

    def populations(self) -> NDArray[np.float64]:
        """G from i to j ([b, i, j])."""
        return self.on.propagator(self.t2, len(self.w)).transpose(0, 2, 1)

    def absorption(self) -> Complex:
        """mu_iF exp(-i (w_F - w_i) t3) with its decay ([i, f, c])."""
        gap = self.w_f - self.w[:, None]
        rate = np.asarray(1j * gap + 1 / self.on.dephasing.esa_fs, dtype=np.complex128)
        turning: Complex = np.exp(-rate[:, :, None] * self.t3)
        return np.multiply(self.mu_f[:, :, None], turning, dtype=np.complex128)

    def vibrating(self, parts: Parts, *pathways: str) -> Parts:
        """Multiply each part with the phonon factor of its pathway."""
        if self.on.phonons is None:
            return parts
        factors = phonon_factors(pathways, self.t1, self.t2, self.t3, self.on.phonons)
        return type(parts)(*(part * factor for part, factor in zip(parts, factors, strict=True)))


def rephasing(
    system: LevelSystem, t1_fs: ArrayLike, t2_fs: ArrayLike, t3_fs: ArrayLike, conditions: Conditions
) -> Response:
    """Signal of -k1 + k2 + k3 of one system on the grid of the delays."""
    x = _Factors(system, t1_fs, t2_fs, t3_fs, conditions)
    mu, e = x.mu, x.e
    first = x.optical(-x.w, x.t1)
    bleach = np.einsum("i,ia,j,jc->ac", mu**2 * e**2, first, mu**2 * e, x.optical(x.w, x.t3), optimize=True)

    # in t2 either the coherence of i and j or population that went from i to j
    between = x.excitons() + x.populations()
    emitted = (mu**2 * e)[:, None] * x.optical(x.w, x.t3)
    se = np.einsum("i,ia,bij,jc->bac", mu**2 * e**2, first, between, emitted, optimize=True)

    rises = x.absorption()  # i -> F; the third pulse lifts j to F
    coherent = np.einsum(
        "i,ia,bij,j,jf,ifc->bac", mu * e, first, x.excitons(), mu * e, x.mu_f * x.e_f, rises, optimize=True
    )
    settled = np.einsum(
        "i,ia,bik,kf,kfc->bac", mu**2 * e**2, first, x.populations(), x.mu_f * x.e_f, rises, optimize=True
    )
    parts = Response(np.broadcast_to(bleach, se.shape), se, -(coherent + settled))
    return x.vibrating(parts, "R_GSB", "R_SE", "R_ESA")


def nonrephasing(
    system: LevelSystem, t1_fs: ArrayLike, t2_fs: ArrayLike, t3_fs: ArrayLike, conditions: Conditions
) -> Response:
    """Signal of +k1 - k2 + k3 of one system on the grid of the delays."""
    x = _Factors(system, t1_fs, t2_fs, t3_fs, conditions)
    mu, e = x.mu, x.e
    first, last = x.optical(x.w, x.t1), x.optical(x.w, x.t3)
    bleach = np.einsum("i,ia,j,jc->ac", mu**2 * e**2, first, mu**2 * e, last, optimize=True)

    between = x.excitons().conj()  # exp(-i (w_i - w_j) t2)
    coherent = np.einsum("i,ia,bij,j,ic->bac", mu**2 * e, first, between, mu**2 * e**2, last, optimize=True)
    settled = np.einsum(
        "i,ia,bik,k,kc->bac", mu**2 * e**2, first, x.populations(), mu**2 * e, last, optimize=True
    )

    rises = x.absorption()  # j -> F; the third pulse lifts i to F
    coherent_esa = np.einsum(
        "i,ia,bij,j,if,jfc->bac", mu * e, first, between, mu * e, x.mu_f * x.e_f, rises, optimize=True
    )
    settled_esa = np.einsum(
        "i,ia,bik,kf,kfc->bac", mu**2 * e**2, first, x.populations(), x.mu_f * x.e_f, rises, optimize=True
    )
    se = coherent + settled
    parts = Response(np.broadcast_to(bleach, se.shape), se, -(coherent_esa + settled_esa))
    return x.vibrating(parts, "N_GSB", "N_SE", "N_ESA")


def double_quantum(
    system: LevelSystem, t1_fs: ArrayLike, t2_fs: ArrayLike, t3_fs: ArrayLike, conditions: Conditions
) -> DoubleQuantum:
    """Signal of +k1 + k2 - k3 of one system on the grid of the delays."""
    x = _Factors(system, t1_fs, t2_fs, t3_fs, conditions)
    first, last = x.optical(x.w, x.t1), x.optical(x.w, x.t3)
    doubled = np.exp((-1j * x.w_f[:, None] - 1 / conditions.dephasing.double_quantum_fs) * x.t2)
    climb = np.einsum("i,ia,if,fb->abf", x.mu * x.e, first, x.mu_f * x.e_f, doubled, optimize=True)
    emission = np.einsum("abf,j,jf,jc->bac", climb, x.mu, x.mu_f * x.e_f, last, optimize=True)
    absorption = np.einsum("abf,j,jfc->bac", climb, x.mu * x.e, x.absorption(), optimize=True)
    return x.vibrating(DoubleQuantum(emission, -absorption), "Q_emission", "Q_absorption")


def ensemble_mean(
    signal: Callable[..., Response | DoubleQuantum],
    ensemble: Ensemble,
    t1_fs: ArrayLike,
    t2_fs: ArrayLike,
    t3_fs: ArrayLike,
    conditions: Conditions | None = None,
) -> Complex:
    """Mean over the dimers of `rephasing`, `nonrephasing` or `double_quantum` (complex128 [t2, t1, t3])."""
    chosen = conditions or Conditions()
    shape = tuple(np.size(t) for t in (t2_fs, t1_fs, t3_fs))
    total = np.zeros(shape, dtype=np.complex128)
    for k in range(len(ensemble)):
        total += signal(ensemble.system(k), t1_fs, t2_fs, t3_fs, chosen).total
    return total / len(ensemble)
