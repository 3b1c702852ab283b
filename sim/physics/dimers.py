"""Two coupled dots: one-exciton states by label, two-exciton states by block, for many dimers at once.

Site A and site B of a label couple with J; excitons on one dot bind and block each other. Model and
parameters: docs/models/dimers.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .dimer_dot import REFERENCE_NM, label_dipoles, label_energies_cm
from .dimer_states import LABELS, MIXED_BLOCKS


@dataclass(frozen=True)
class DimerModel:
    """Coupling of the dots of a dimer, and of the excitons of a dot."""

    coupling_cm: float = -300.0
    """J of two dots of the reference diameter at the reference gap; fitted. Stands for transfer and
    near-field Coulomb."""
    coupling_exponent: float = 2.0
    """J falls with this power of the mean (geometric) diameter."""
    gap_nm: float = 0.5
    """Surface to surface, through propanedithiol."""
    gap_decay_per_nm: float = 8.0
    binding_cm: float = 160.0
    """Binding of two excitons on one dot of the reference diameter; falls with the diameter."""
    blocking: float = 0.5**0.5
    """Factor on the dipole that puts a second exciton on a dot (Pauli blocking); 1 is an ideal boson."""

    def couplings_cm(self, diameters_nm: NDArray[np.float64]) -> NDArray[np.float64]:
        """J of each dimer from its two diameters (float64 [n] from [n, 2])."""
        scale = (REFERENCE_NM**2 / diameters_nm.prod(axis=-1)) ** (self.coupling_exponent / 2)
        return self.coupling_cm * scale * np.exp(-self.gap_decay_per_nm * (self.gap_nm - 0.5))

    def bindings_cm(self, diameters_nm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Binding energy of two excitons on each dot (float64, shape of the argument)."""
        return self.binding_cm * REFERENCE_NM / diameters_nm


class Branches(NamedTuple):
    """The two states of 2x2 problems; the last axis of energies and amplitudes is branch 0 (lower), 1."""

    energy_cm: NDArray[np.float64]
    on_a: NDArray[np.float64]
    """Amplitude on dot A."""
    on_b: NDArray[np.float64]
    localisation: NDArray[np.float64]
    """M = 1/(P_A^2 + P_B^2), one per problem."""


def split(site_a_cm: NDArray, site_b_cm: NDArray, coupling_cm: NDArray) -> Branches:
    """Diagonalise [[a, J], [J, b]] for arrays of one shape."""
    difference = site_a_cm - site_b_cm
    half = np.hypot(difference, 2 * coupling_cm) / 2
    mean = (site_a_cm + site_b_cm) / 2
    angle = np.arctan2(2 * coupling_cm, difference) / 2
    cosine, sine = np.cos(angle), np.sin(angle)
    mixing = np.sin(2 * angle) ** 2
    return Branches(
        np.stack([mean - half, mean + half], axis=-1),
        np.stack([-sine, cosine], axis=-1),
        np.stack([cosine, sine], axis=-1),
        1 / (1 - mixing / 2),
    )


class OneExciton(NamedTuple):
    """One-exciton states of n dimers, and the sites they are made of."""

    energy_cm: NDArray[np.float64]
    """[n, 16]"""
    dipole: NDArray[np.float64]
    """[n, 16]"""
    localisation: NDArray[np.float64]
    """[n, 8]"""
    site_energy_cm: NDArray[np.float64]
    """[n, 2, 8]: dot, label."""
    site_dipole: NDArray[np.float64]
    """[n, 8], the same on both dots: their c axes are parallel."""
    amplitude: NDArray[np.float64]
    """[n, 2, 8, 2]: dot, label, branch."""


class TwoExciton(NamedTuple):
    """Two-exciton states of n dimers."""

    energy_cm: NDArray[np.float64]
    """[n, 136]"""
    dipole: NDArray[np.float64]
    """[n, 496], in the order of `dimer_states.LINKS`."""


def one_exciton_states(diameters_nm: NDArray, cos_theta: NDArray, model: DimerModel) -> OneExciton:
    """Solve the eight 2x2 problems of each dimer: diameters [n, 2], orientations [n]."""
    sites = label_energies_cm(diameters_nm)
    dipoles = label_dipoles(cos_theta)
    coupling = model.couplings_cm(diameters_nm)[:, None]
    branches = split(sites[:, 0], sites[:, 1], np.broadcast_to(coupling, dipoles.shape))
    n = len(dipoles)
    return OneExciton(
        branches.energy_cm.reshape(n, -1),
        (dipoles[:, :, None] * (branches.on_a + branches.on_b)).reshape(n, -1),
        branches.localisation,
        sites,
        dipoles,
        np.stack([branches.on_a, branches.on_b], axis=1),
    )


def two_exciton_states(diameters_nm: NDArray, singles: OneExciton, model: DimerModel) -> TwoExciton:
    """Solve the 28 blocks of four and 8 blocks of three of each dimer."""
    coupling = model.couplings_cm(diameters_nm)
    binding = model.bindings_cm(diameters_nm)
    mixed_cm, mixed_dipole = _mixed_blocks(singles, coupling, binding, model.blocking)
    equal_cm, equal_dipole = _equal_blocks(singles, coupling, binding, model.blocking)
    n = len(coupling)
    return TwoExciton(
        np.hstack([mixed_cm.reshape(n, -1), equal_cm.reshape(n, -1)]),
        np.hstack([mixed_dipole.reshape(n, -1), equal_dipole.reshape(n, -1)]),
    )


def _mixed_blocks(singles: OneExciton, coupling: NDArray, binding: NDArray, blocking: float):
    """Labels f < g, basis |fA gB>, |gA fB>, |fA gA>, |fB gB>: energies [n, 28, 4], dipoles [n, 28, 4, 4]."""
    f, g = MIXED_BLOCKS.T
    e_a, e_b = singles.site_energy_cm[:, 0], singles.site_energy_cm[:, 1]
    blocks = np.zeros((len(coupling), len(f), 4, 4))
    blocks[..., 0, 0] = e_a[:, f] + e_b[:, g]
    blocks[..., 1, 1] = e_a[:, g] + e_b[:, f]
    blocks[..., 2, 2] = e_a[:, f] + e_a[:, g] - binding[:, :1]
    blocks[..., 3, 3] = e_b[:, f] + e_b[:, g] - binding[:, 1:]
    for row, column in ((0, 3), (1, 2), (0, 2), (1, 3)):  # one exciton hops, the other stays
        blocks[..., row, column] = blocks[..., column, row] = blocking * coupling[:, None]
    energies, states = np.linalg.eigh(blocks)

    amplitude_a, amplitude_b = singles.amplitude[:, 0], singles.amplitude[:, 1]
    raised = np.empty_like(blocks)  # [n, block, exciton, basis state]
    for first, present, added in ((0, f, g), (2, g, f)):
        m = singles.site_dipole[:, added, None]
        on_a, on_b = m * amplitude_a[:, present], m * amplitude_b[:, present]
        a_stays, b_stays = (0, 1) if first == 0 else (1, 0)
        raised[:, :, first : first + 2, a_stays] = on_a
        raised[:, :, first : first + 2, b_stays] = on_b
        raised[:, :, first : first + 2, 2] = blocking * on_a
        raised[:, :, first : first + 2, 3] = blocking * on_b
    return energies, raised @ states


def _equal_blocks(singles: OneExciton, coupling: NDArray, binding: NDArray, blocking: float):
    """One label twice, basis |fA fB>, |fA fA>, |fB fB>: energies [n, 8, 3], dipoles [n, 8, 2, 3]."""
    e_a, e_b = singles.site_energy_cm[:, 0], singles.site_energy_cm[:, 1]
    bosonic = np.sqrt(2) * blocking
    blocks = np.zeros((len(coupling), len(LABELS), 3, 3))
    blocks[..., 0, 0] = e_a + e_b
    blocks[..., 1, 1] = 2 * e_a - binding[:, :1]
    blocks[..., 2, 2] = 2 * e_b - binding[:, 1:]
    for column in (1, 2):
        blocks[..., 0, column] = blocks[..., column, 0] = bosonic * coupling[:, None]
    energies, states = np.linalg.eigh(blocks)

    m = singles.site_dipole[:, :, None]
    on_a, on_b = m * singles.amplitude[:, 0], m * singles.amplitude[:, 1]
    raised = np.stack([on_a + on_b, bosonic * on_a, bosonic * on_b], axis=-1)
    return energies, raised @ states
