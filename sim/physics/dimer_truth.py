"""What an ensemble of dimers is known to hold: beats and their dephasing, widths, localisation, absorption.

"Dephasing" has three meanings for the same ensemble: the coherence of the whole ensemble (here), a trace at
one address of the map, and a global fit of the map. They differ by up to 45 %; docs/models/dimers.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .dimer_dot import BAND_SHIFT_CM, band_edge_cm, second_s_offset_cm
from .dimer_ensemble import RAD_PER_FS, Dephasing, Ensemble, Laser
from .dimer_states import BANDS, LABELS, POLARISATIONS, exciton
from .dimers import DimerModel, split

StatePairs = list[tuple[int, int]]


class Beat(NamedTuple):
    """A kind of coherence along t2, over the whole ensemble."""

    frequency_cm: float
    """Weighted mean."""
    spread_cm: float
    """Weighted standard deviation."""
    dephasing_fs: float
    """Time at which the weighted mean of exp(-i w t2) has fallen to 1/e in modulus; inhomogeneous only."""


def same_branch(lower: str, upper: str, polarisations: Iterable[tuple[str, str]]) -> StatePairs:
    """Pairs of states (band `lower`, band `upper`) of one branch, one pair per branch and polarisations."""
    return [
        (exciton(f"{lower} {p}", branch), exciton(f"{upper} {q}", branch))
        for p, q in polarisations
        for branch in (0, 1)
    ]


SAME_POLARISATION = [(p, p) for p in POLARISATIONS]
ANY_POLARISATION = [(p, q) for p in POLARISATIONS for q in POLARISATIONS]
KINDS: dict[str, StatePairs] = {
    "rho_I": same_branch("Ll", "Ll", [("perp", "par")]),
    "rho_I_all_bands": [pair for band in BANDS for pair in same_branch(band, band, [("perp", "par")])],
    "rho_II": same_branch("Ll", "Lh", SAME_POLARISATION),
    "rho_III": same_branch("Lh", "H", SAME_POLARISATION),
    "rho_III_any_polarisation": same_branch("Lh", "H", ANY_POLARISATION),
    "interbranch": [(exciton(label, 0), exciton(label, 1)) for label in LABELS],
}
"""The pairs of one-exciton states, lower first, that make up each kind of coherence."""


def beat(ensemble: Ensemble, states: StatePairs, laser: Laser) -> Beat:
    """Frequency and dephasing of coherences, each weighted by mu_i^2 mu_j^2 E_i^2 E_j^2."""
    lower, upper = np.array(states).T
    amplitude = ensemble.dipole**2 * laser.amplitude(ensemble.energy_cm) ** 2
    weight = (amplitude[:, lower] * amplitude[:, upper]).ravel()
    weight /= weight.sum()
    frequency = (ensemble.energy_cm[:, upper] - ensemble.energy_cm[:, lower]).ravel()
    mean = float(weight @ frequency)
    spread = float(np.sqrt(weight @ (frequency - mean) ** 2))
    return Beat(mean, spread, _fall_to_1_e(frequency - mean, weight, spread))


def _fall_to_1_e(detuning_cm: NDArray[np.float64], weight: NDArray[np.float64], spread_cm: float) -> float:
    """First time at which |sum of weight exp(-i w t)| is 1/e; inf without any spread."""
    if spread_cm < 1e-9:
        return float("inf")
    step = np.sqrt(2) / (RAD_PER_FS * spread_cm) / 100  # a hundredth of the Gaussian time
    turn = np.exp(-1j * RAD_PER_FS * step * detuning_cm)
    terms, before = weight.astype(np.complex128), 1.0
    for k in range(1, 10_000):
        terms *= turn
        now = abs(terms.sum())
        if now < np.exp(-1):
            return float(step * (k - (np.exp(-1) - now) / (before - now)))
        before = now
    raise ValueError("the coherence does not fall to 1/e within a hundred times its Gaussian time")


def second_s_localisation(ensemble: Ensemble, model: DimerModel | None = None) -> NDArray[np.float64]:
    """M of the 2S3/2 exciton of each dimer (float64 [n]); the level itself is not part of the ensemble."""
    diameters = ensemble.diameters_nm
    sites = band_edge_cm(diameters) + BAND_SHIFT_CM + second_s_offset_cm(diameters)
    return split(sites[:, 0], sites[:, 1], (model or DimerModel()).couplings_cm(diameters)).localisation


def absorption(
    ensemble: Ensemble, wavenumber_cm: NDArray[np.float64], dephasing: Dephasing | None = None
) -> NDArray[np.float64]:
    """Linear absorption, mean over the dimers, Lorentzian lines of the optical dephasing (float64 [m]).

    Transitions are first binned to 5 cm-1, far below the line width of 88 cm-1.
    """
    half_width = 1 / (RAD_PER_FS * (dephasing or Dephasing()).optical_fs)
    energies, strengths = ensemble.energy_cm.ravel(), ensemble.dipole.ravel() ** 2
    edges = np.arange(energies.min() - 5, energies.max() + 10, 5.0)
    binned, _ = np.histogram(energies, edges, weights=strengths)
    distance = wavenumber_cm[:, None] - (edges[1:] + edges[:-1]) / 2
    return (half_width / np.pi / (distance**2 + half_width**2)) @ binned / len(ensemble)


def dephasing_truth(
    ensemble: Ensemble, laser: Laser | None = None, dephasing: Dephasing | None = None
) -> dict[str, float]:
    """Numbers of the whole ensemble, as planted: for each kind of coherence frequency, spread and 1/e time.

    Also the mean and standard deviation of the lower branch of Ll, both polarisations together
    (`lowest_band_cm`, `lowest_width_cm`), mean localisations, the absorption maximum, and `evenness`: the
    oscillator strength of the upper branch over that of the lower, mean over labels and dimers.
    """
    truth: dict[str, float] = {}
    for kind, states in KINDS.items():
        for name, value in beat(ensemble, states, laser or Laser())._asdict().items():
            truth[f"{kind}_{name}"] = value
    lowest = ensemble.energy_cm[:, [exciton("Ll perp", 0), exciton("Ll par", 0)]]
    strength = ensemble.dipole**2
    axis = np.arange(15000.0, 22000.0, 5.0)
    return truth | {
        "lowest_band_cm": float(lowest.mean()),
        "lowest_width_cm": float(lowest.std()),
        "localisation_1s": float(ensemble.localisation.mean()),
        "localisation_2s": float(second_s_localisation(ensemble).mean()),
        "evenness": float(np.mean(strength[:, 1::2] / strength[:, ::2])),
        "absorption_max_cm": float(axis[np.argmax(absorption(ensemble, axis, dephasing))]),
    }
