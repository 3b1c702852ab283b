"""Phonon factors against a harmonic oscillator in matrices, and against their written form."""

import numpy as np
import pytest

from qdlab.sim.physics.dimer_ensemble import RAD_PER_FS
from qdlab.sim.physics.phonons import BOLTZMANN_CM_PER_K, CONTOURS, Mode, phonon_factor

TEMPERATURE_K = 295.0


def exact_oscillator(pathway: str, mode: Mode, t1: float, t2: float, t3: float) -> complex:
    """Trace over a harmonic mode whose Hamiltonian is w a'a + n w sqrt(S) (a + a') with n excitons."""
    size, w = 90, RAD_PER_FS * mode.frequency_cm
    lower = np.diag(np.sqrt(np.arange(1, size)), 1)
    hamiltonians = [
        w * (lower.T @ lower) + n * w * np.sqrt(mode.huang_rhys) * (lower + lower.T) for n in range(3)
    ]
    solved = [np.linalg.eigh(h) for h in hamiltonians]

    def evolve(n: int, t: float) -> np.ndarray:
        values, vectors = solved[n]
        return (vectors * np.exp(-1j * values * t)) @ vectors.T

    boltzmann = np.exp(-np.arange(size) * mode.frequency_cm / (BOLTZMANN_CM_PER_K * TEMPERATURE_K))
    arrival = np.array([0, t1, t1 + t2, t1 + t2 + t3])
    pulses, charges = CONTOURS[pathway]
    product, excitons, at = np.eye(size, dtype=complex), 0, 0.0
    for pulse, charge in zip(pulses, charges, strict=True):
        product = product @ evolve(excitons, at - arrival[pulse])
        excitons, at = excitons + charge, arrival[pulse]
    product = product @ evolve(excitons, at)
    return complex(np.sum(np.diag(product) * boltzmann) / boltzmann.sum())


@pytest.mark.parametrize("pathway", CONTOURS)
def test_phonon_factors_are_those_of_an_exact_oscillator(pathway):
    mode = Mode(220.0, 0.15)
    for t1, t2, t3 in ((8.0, 30.0, 12.0), (47.0, 333.0, 61.0), (0.0, 0.0, 25.0)):
        found = phonon_factor(pathway, t1, t2, t3, [mode], temperature_k=TEMPERATURE_K).item()
        assert found == pytest.approx(exact_oscillator(pathway, mode, t1, t2, t3), abs=1e-12)


def test_phonon_factors_in_their_written_form():
    mode = Mode(220.0, 0.2)
    t1, t2, t3 = 21.0, 140.0, 33.0

    def g(*times):
        return complex(mode.lineshape(sum(times), TEMPERATURE_K))

    def bar(*times):
        return g(*times).conjugate()

    written = {
        "N_SE": -bar(t3) - g(t1) - bar(t2) + bar(t2, t3) + g(t1, t2) - g(t1, t2, t3),
        "R_SE": -bar(t3) - bar(t1) + g(t2) - g(t2, t3) - bar(t1, t2) + bar(t1, t2, t3),
        "R_GSB": -g(t3) - bar(t1) + bar(t2) - bar(t2, t3) - bar(t1, t2) + bar(t1, t2, t3),
        "N_GSB": -g(t3) - g(t1) - g(t2) + g(t2, t3) + g(t1, t2) - g(t1, t2, t3),
    }
    for pathway, exponent in written.items():
        found = phonon_factor(pathway, t1, t2, t3, [mode], temperature_k=TEMPERATURE_K).item()
        assert found == pytest.approx(np.exp(exponent), abs=1e-14)


def test_a_damped_mode_forgets_and_an_overdamped_one_is_refused():
    damped, free = Mode(20.0, 0.15, damping_fs=1000.0), Mode(20.0, 0.15)
    early, late = np.array([0.0, 10.0]), np.array([1e4])
    np.testing.assert_allclose(damped.lineshape(early, 295), free.lineshape(early, 295), atol=1e-4)
    flat = damped.lineshape(late, 295).real / (0.15 / np.tanh(20 / (2 * BOLTZMANN_CM_PER_K * 295)))
    assert flat.item() == pytest.approx(1, abs=1e-3)
    assert damped.lineshape(-37.0, 295) == pytest.approx(damped.lineshape(37.0, 295).conjugate())
    with pytest.raises(ValueError, match="overdamps"):
        Mode(20.0, 0.15, damping_fs=100.0).lineshape(early, 295)
