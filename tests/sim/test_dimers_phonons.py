"""Phonon factors against a harmonic oscillator in matrices, and against their written form."""

import numpy as np
import pytest

from qdlab.sim.physics.dimer_ensemble import RAD_PER_FS
from qdlab.sim.physics.phonons import BOLTZMANN_CM_PER_K, CONTOURS, Mode, Phonons, phonon_factors

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


def factor(pathway: str, t1: float, t2: float, t3: float, mode: Mode) -> complex:
    (found,) = phonon_factors([pathway], t1, t2, t3, Phonons((mode,), TEMPERATURE_K))
    return found.item()


@pytest.mark.parametrize("pathway", CONTOURS)
def test_phonon_factors_are_those_of_an_exact_oscillator(pathway):
    mode = Mode(220.0, 0.15)
    for t1, t2, t3 in ((8.0, 30.0, 12.0), (47.0, 333.0, 61.0), (0.0, 0.0, 25.0)):
        found = factor(pathway, t1, t2, t3, mode)
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
        "R_ESA": -g(t3) - bar(t1) + g(t2) - g(t2, t3) - bar(t1, t2) + bar(t1, t2, t3),
        "N_ESA": -g(t3) - g(t1) - bar(t2) + bar(t2, t3) + g(t1, t2) - g(t1, t2, t3),
        "Q_emission": g(t3) + g(t1) - g(t2) - g(t2, t3) - g(t1, t2) - g(t1, t2, t3),
        "Q_absorption": bar(t3) + g(t1) - g(t2) - g(t2, t3) - g(t1, t2) - g(t1, t2, t3),
    }
    for pathway, exponent in written.items():
        found = factor(pathway, t1, t2, t3, mode)
        assert found == pytest.approx(np.exp(exponent), abs=1e-14)


def test_a_grid_of_delays_has_the_factors_of_single_delays():
    t1, t2, t3 = np.array([-12.0, 0.0, 33.0]), np.array([-8.0, 250.0]), np.array([0.0, 9.0, 70.0, 200.0])
    for pathway, found in zip(CONTOURS, phonon_factors(list(CONTOURS), t1, t2, t3, Phonons()), strict=True):
        assert found.shape == (2, 3, 4)
        for b, a, c in np.ndindex(found.shape):
            (single,) = phonon_factors([pathway], t1[a], t2[b], t3[c], Phonons())
            assert found[b, a, c] == pytest.approx(single.item(), abs=1e-14)


def test_a_damped_mode_is_the_brownian_oscillator():
    """Against the integral over its spectral density (Mukamel (1995), chapter 8)."""
    damped = Mode(20.0, 0.15, damping_fs=1000.0)
    w, rate = RAD_PER_FS * damped.frequency_cm, 1 / damped.damping_fs
    step = 2e-4 * w
    x = step * (np.arange(300_000) + 0.5)
    density = 4 / np.pi * damped.huang_rhys * w**3 * rate / (x * ((w**2 - x**2) ** 2 + (2 * rate * x) ** 2))
    thermal = 1 / np.tanh(x / (2 * RAD_PER_FS * BOLTZMANN_CM_PER_K * TEMPERATURE_K))
    for t in (30.0, 400.0, 1000.0, 3000.0):
        g = damped.lineshape(t, TEMPERATURE_K)
        assert g.real == pytest.approx(step * (density * thermal) @ (1 - np.cos(x * t)), rel=1e-3)
        assert g.imag == pytest.approx(step * density @ (np.sin(x * t) - x * t), rel=5e-4)
        assert damped.lineshape(-t, TEMPERATURE_K) == g.conjugate()


def test_damping_ends_the_beat_and_a_longer_wait_changes_nothing():
    mode = Mode(20.0, 0.15, damping_fs=1000.0)
    early, late, later = (factor("R_SE", 40.0, t2, 50.0, mode) for t2 in (0.0, 12_000.0, 13_000.0))
    assert abs(late - later) < 1e-5 < 1e-2 < abs(early - late)


def test_an_overdamped_mode_is_refused():
    with pytest.raises(ValueError, match="overdamps"):
        Mode(20.0, 0.15, damping_fs=100.0).lineshape([0.0, 10.0], 295)
