"""Three phase-modulated pulses of finite strength and length on one absorber, without perturbation theory.

The measure for the response formulas: the density matrix of ground, one-exciton and two-exciton states goes
through three pulses that do not overlap, rotating-wave approximation, and the wanted signal is cut out by
phase cycling or by projection on its coherence order. Between the pulse centres the evolution is analytic
with the decays of `Conditions`; during a pulse nothing decays. Model: docs/models/dimers.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from .dimer_ensemble import RAD_PER_FS, Laser, LevelSystem
from .reference_response import Conditions

ORDERS: Mapping[str, tuple[int, int, int]] = {
    "rephasing": (-1, 1, 1),
    "nonrephasing": (1, -1, 1),
    "double_quantum": (1, 1, -1),
}
"""Multiples of the phases of the three pulses that each signal carries."""


def pulse_propagator(
    energies: NDArray[np.float64],
    dipoles: NDArray[np.float64],
    strength: float,
    laser: Laser,
    frame_cm: float,
    *,
    step_fs: float = 0.1,
) -> NDArray[np.complex128]:
    """Propagator of one pulse in the interaction picture, at phase zero (complex128 [states, states]).

    `energies` are in rad/fs in the rotating frame, `dipoles[a, b]` lifts b to a. The Hamiltonian is
    -strength (E(t) V + h.c.) with E(t) the pulse whose spectrum is `laser.amplitude`; fourth-order
    Runge-Kutta over eight standard deviations of the pulse on either side of its centre.
    """
    width = 2 * np.sqrt(np.log(2)) / (RAD_PER_FS * laser.fwhm_cm)  # standard deviation of E(t)
    area = 1 / (np.sqrt(2 * np.pi) * width)
    carrier = RAD_PER_FS * (laser.centre_cm - frame_cm)
    gaps = energies[:, None] - energies[None, :]

    def derivative(t: float, u: NDArray[np.complex128]) -> NDArray[np.complex128]:
        field = strength * area * np.exp(-(t**2) / (2 * width**2) - 1j * carrier * t)
        lifting = field * dipoles * np.exp(1j * gaps * t)
        return 1j * (lifting + lifting.conj().T) @ u

    steps = int(np.ceil(16 * width / step_fs))
    step = 16 * width / steps
    u = np.eye(len(energies), dtype=np.complex128)
    for t in -8 * width + step * np.arange(steps):
        k1 = derivative(t, u)
        k2 = derivative(t + step / 2, u + step / 2 * k1)
        k3 = derivative(t + step / 2, u + step / 2 * k2)
        k4 = derivative(t + step, u + step * k3)
        u = u + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return u


class ShapedPulseOracle:
    """One absorber under three equal pulses of field strength `strength` (1 would be of order a pi pulse)."""

    def __init__(self, system: LevelSystem, strength: float, conditions: Conditions):
        singles, pairs = len(system.energy_cm), len(system.pair_energy_cm)
        self.strength, self.conditions = strength, conditions
        self.manifold = np.repeat([0, 1, 2], [1, singles, pairs])
        frame = conditions.frame_cm * self.manifold
        self.energies = RAD_PER_FS * (np.r_[0.0, system.energy_cm, system.pair_energy_cm] - frame)
        self.dipoles = np.zeros((len(self.energies),) * 2)
        self.dipoles[1 : 1 + singles, 0] = system.dipole
        self.dipoles[1 + singles :, 1 : 1 + singles] = system.pair_dipole.T

    @cached_property
    def pulse(self) -> NDArray[np.complex128]:
        """Propagator of a pulse at phase zero."""
        laser, frame = self.conditions.laser, self.conditions.frame_cm
        return pulse_propagator(self.energies, self.dipoles, self.strength, laser, frame)

    @cached_property
    def _generator(self) -> NDArray[np.complex128]:
        """Rate of each element of the density matrix between pulses; populations do not decay here."""
        decays = self.conditions.dephasing
        rates = np.zeros((3, 3))
        rates[0, 1] = rates[1, 0] = 1 / decays.optical_fs
        rates[1, 2] = rates[2, 1] = 1 / decays.esa_fs
        rates[0, 2] = rates[2, 0] = 1 / decays.double_quantum_fs
        rates[1, 1] = rates[2, 2] = 1 / decays.exciton_fs
        decay = rates[np.ix_(self.manifold, self.manifold)] * (1 - np.eye(len(self.manifold)))
        return -1j * (self.energies[:, None] - self.energies[None, :]) - decay

    def _evolved(self, rho: NDArray[np.complex128], t_fs: float) -> NDArray[np.complex128]:
        """Return the density matrix after free evolution."""
        after = rho * np.exp(self._generator * t_fs)
        if self.conditions.rates_per_fs is not None:
            one = np.flatnonzero(self.manifold == 1)
            after[one, one] = expm(self.conditions.rates_per_fs * t_fs) @ rho[one, one]
        return after

    def _pulsed(self, rho: NDArray[np.complex128], phase: float) -> NDArray[np.complex128]:
        """Return the density matrix after a pulse of this phase."""
        turn = np.exp(1j * phase * self.manifold)
        u = turn[:, None] * self.pulse * turn.conj()
        return u @ rho @ u.conj().T

    def _projected(self, rho: NDArray[np.complex128], order: int) -> NDArray[np.complex128]:
        """Return the part of the density matrix with `order` more quanta in the ket than in the bra."""
        return np.where(self.manifold[:, None] - self.manifold == order, rho, 0)

    def _ground(self) -> NDArray[np.complex128]:
        """Return the density matrix before the first pulse."""
        rho = np.zeros_like(self.dipoles, dtype=np.complex128)
        rho[0, 0] = 1
        return rho

    def _signal(self, polarisation: complex) -> complex:
        """Undo the factors of three interactions: i or -i each, and the field strength."""
        return 1j * polarisation / self.strength**3

    def polarisation(self, t1_fs: float, t2_fs: float, t3_fs: float, phases: tuple[float, ...]) -> complex:
        """Polarisation at t3 with the pulses at these three phases, everything that it contains."""
        rho = self._ground()
        for phase, t in zip(phases, (t1_fs, t2_fs, t3_fs), strict=True):
            rho = self._evolved(self._pulsed(rho, phase), t)
        return complex(np.sum(self.dipoles * rho))

    def cycled(self, signal: str, t1_fs: float, t2_fs: float, t3_fs: float, *, steps: int) -> complex:
        """Signal, in the unit of the response, from `steps` phases of the first and of the second pulse.

        `signal` is one of `ORDERS`. Orders that differ from it by a multiple of `steps` in each phase are
        not told apart.
        """
        first, second, _ = ORDERS[signal]
        phases = 2 * np.pi * np.arange(steps) / steps
        total = 0j
        for a in phases:
            for b in phases:
                weight = np.exp(-1j * (first * a + second * b))
                total += weight * self.polarisation(t1_fs, t2_fs, t3_fs, (a, b, 0.0))
        return self._signal(total / steps**2)

    def projected(self, signal: str, t1_fs: float, t2_fs: float, t3_fs: float) -> complex:
        """Signal by projection after each of the first two pulses: what infinitely many phases would give."""
        rho, order = self._ground(), 0
        for quanta, t in zip(ORDERS[signal], (t1_fs, t2_fs, t3_fs), strict=True):
            order += quanta
            rho = self._evolved(self._projected(self._pulsed(rho, 0.0), order), t)
        return self._signal(complex(np.sum(self.dipoles * rho)))
