"""Phonons in the responses: explicit sum, fast engine, single settings, and the sample on the bench."""

from __future__ import annotations

import numpy as np
import pytest

from qdlab.sim.physics import reference_response as explicit
from qdlab.sim.physics.dimer_ensemble import (
    NO_DEPHASING,
    RAD_PER_FS,
    Ensemble,
    Laser,
    LevelSystem,
    Relaxation,
    coupled_dimers,
    quasi_homodimers,
)
from qdlab.sim.physics.exact_response import DOUBLE_QUANTUM, NONREPHASING, REPHASING, ExactResponse
from qdlab.sim.physics.nonlinear_sample import NonlinearSample
from qdlab.sim.physics.phonons import BOLTZMANN_CM_PER_K, Mode, Phonons, phonon_factors
from qdlab.sim.physics.pulses import Pulse
from qdlab.sim.physics.reference_response import Conditions
from qdlab.sim.physics.response_cubes import Reach, cached_cubes
from qdlab.sim.physics.response_engine import double_quantum, rephasing_and_nonrephasing

T1, T2, T3 = 6.0 * np.arange(-3, 9), 8.0 * np.arange(-2, 10), 6.0 * np.arange(16)
SHAKING = Conditions(phonons=Phonons())
EXPLICIT = {
    REPHASING: explicit.rephasing,
    NONREPHASING: explicit.nonrephasing,
    DOUBLE_QUANTUM: explicit.double_quantum,
}
LO_CM = 220.0


def off(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.fixture(scope="module")
def few() -> Ensemble:
    return quasi_homodimers(3.0, 0.09, 5, seed=4)


def vibronic_signal(system: LevelSystem, mode: Mode, kelvin: float, delays: tuple, signs: tuple) -> complex:
    """Signal of excitons and a harmonic mode in one matrix, from the commutators with each pulse.

    `signs` of the wave vectors: +1 raises the ket and lowers the bra, -1 lowers the ket and raises the bra.
    """
    size, singles, pairs = 50, len(system.energy_cm), len(system.pair_energy_cm)
    lower = np.diag(np.sqrt(np.arange(1, size)), 1)
    ladder, shift = lower.T @ lower, np.sqrt(mode.huang_rhys) * (lower + lower.T)
    excitons = np.repeat([0, 1, 2], [1, singles, pairs])
    electronic = np.concatenate([[0.0], system.energy_cm, system.pair_energy_cm])
    hamiltonian = np.kron(np.diag(electronic), np.eye(size)) + mode.frequency_cm * (
        np.kron(np.eye(len(excitons)), ladder) + np.kron(np.diag(excitons), shift)
    )
    values, vectors = np.linalg.eigh(RAD_PER_FS * hamiltonian)
    up = np.zeros((len(excitons),) * 2)
    up[1 : 1 + singles, 0], up[1 + singles :, 1 : 1 + singles] = system.dipole, system.pair_dipole.T
    dipole = {1: np.kron(up, np.eye(size)), -1: np.kron(up.T, np.eye(size))}
    rho = np.zeros_like(hamiltonian)
    boltzmann = np.exp(-np.arange(size) * mode.frequency_cm / (BOLTZMANN_CM_PER_K * kelvin))
    rho[:size, :size] = np.diag(boltzmann / boltzmann.sum())
    for sign, delay in zip(signs, delays, strict=True):
        rho = dipole[sign] @ rho - rho @ dipole[sign]
        turn = (vectors * np.exp(-1j * values * delay)) @ vectors.T
        rho = turn @ rho @ turn.conj().T
    return complex(np.trace(dipole[-1] @ rho))


@pytest.mark.parametrize(
    ("signal", "signs"),
    [
        (explicit.rephasing, (-1, 1, 1)),
        (explicit.nonrephasing, (1, -1, 1)),
        (explicit.double_quantum, (1, 1, -1)),
    ],
)
def test_factors_and_pathways_are_those_of_excitons_and_mode_in_one_matrix(signal, signs):
    system = LevelSystem(
        np.array([-198.3, 148.3]), np.array([0.28, -1.19]), np.array([-50.0]), np.array([[0.67], [-1.02]])
    )
    mode = Mode(LO_CM, 0.15)
    on = Conditions(Laser(0, np.inf), NO_DEPHASING, None, 0.0, Phonons((mode,), 200.0))
    for delays in ((8.0, 30.0, 12.0), (61.0, 174.0, 40.0)):
        found = signal(system, *delays, on).total.item()
        assert found == pytest.approx(vibronic_signal(system, mode, 200.0, delays, signs), abs=1e-11)


def test_every_part_of_a_signal_is_multiplied_with_its_own_factor(few):
    one = few.system(0)
    for signal, pathways in (
        (explicit.rephasing, ("R_GSB", "R_SE", "R_ESA")),
        (explicit.nonrephasing, ("N_GSB", "N_SE", "N_ESA")),
        (explicit.double_quantum, ("Q_emission", "Q_absorption")),
    ):
        still, shaking = (signal(one, T1, T2, T3, on) for on in (Conditions(), SHAKING))
        factors = phonon_factors(pathways, T1, T2, T3, Phonons())
        for found, part, factor in zip(shaking, still, factors, strict=True):
            np.testing.assert_array_equal(found, part * factor)
            assert np.abs(found - part).max() > 0.05 * np.abs(part).max()


@pytest.mark.parametrize("rates_per_fs", [Relaxation().matrix(), None])
def test_rephasing_and_nonrephasing_are_the_explicit_sums(few, rates_per_fs):
    on = SHAKING._replace(rates_per_fs=rates_per_fs)
    for found, kind in zip(
        rephasing_and_nonrephasing(few, T1, T2, T3, on), (REPHASING, NONREPHASING), strict=True
    ):
        assert off(found, explicit.ensemble_mean(EXPLICIT[kind], few, T1, T2, T3, on)) < 1e-4


def test_double_quantum_is_the_explicit_sum(few):
    expected = explicit.ensemble_mean(explicit.double_quantum, few, T1, T2, T3, SHAKING)
    assert off(double_quantum(few, T1, T2, T3, SHAKING), expected) < 1e-4


@pytest.mark.parametrize("kind", EXPLICIT)
def test_single_settings_are_the_explicit_sum_in_double_precision(few, kind):
    settings, factors = [(kind, 33.0, -17.0), (kind, 20.0, 41.0)], [0.3 + 1j, 1.0]
    expected = sum(
        factor * explicit.ensemble_mean(EXPLICIT[kind], few, t1, t2, T3, SHAKING)[0, 0]
        for (_, t1, t2), factor in zip(settings, factors, strict=True)
    )
    found = ExactResponse(few, SHAKING).signal(settings, factors, T3[1], len(T3))
    assert off(found, np.asarray(expected)) < 1e-13


def test_vibrations_that_nothing_displaces_change_nothing(few):
    """The parts apart, without vibrating, add up to the signal that is summed at once."""
    on = Conditions(phonons=Phonons((Mode(LO_CM, 0.0),)))
    for found, expected in zip(
        (*rephasing_and_nonrephasing(few, T1, T2, T3, on), double_quantum(few, T1, T2, T3, on)),
        (*rephasing_and_nonrephasing(few, T1, T2, T3), double_quantum(few, T1, T2, T3)),
        strict=True,
    ):
        assert off(found, expected) < 5e-6  # single precision
    settings, ones = [(kind, 33.0, 17.0) for kind in EXPLICIT], np.ones(len(EXPLICIT))
    still, shaking = (ExactResponse(few, c).signal(settings, ones, 6.0, 16) for c in (Conditions(), on))
    assert off(shaking, still) < 1e-14


def beat(t2_fs: np.ndarray, signal: np.ndarray, wavenumber_cm: float) -> float:
    """Amplitude of a beat along t2 in `signal` [t2, px] over its mean; the slow part is taken out first."""
    slow = np.vander(t2_fs / t2_fs[-1], 4)
    moving = signal - slow @ np.linalg.lstsq(slow, signal, rcond=None)[0]
    window = np.hanning(len(t2_fs))
    turned = window * np.exp(1j * RAD_PER_FS * wavenumber_cm * t2_fs)
    return float(np.abs(turned @ moving).max() / window.sum() / np.abs(signal).mean())


@pytest.mark.parametrize("cos_theta", [0.0, 1.0])
def test_phonons_make_a_beat_at_their_frequency_along_t2(tmp_path, cos_theta):
    """Equal dots seen along or across their axis have no electronic beat below 480 cm-1."""
    dimers = coupled_dimers([[3.0, 3.0]], [cos_theta])
    t2 = np.arange(60.0, 660.0, 12.0)
    pixels = np.linspace(16000.0, 20000.0, 60)
    settings = [((Pulse(0.0, 1.0),), Pulse(delay, 1.0)) for delay in t2]
    found = []
    for phonons in (None, Phonons()):
        on = Conditions(phonons=phonons)
        sample = NonlinearSample("one dimer", dimers, on, reach=Reach(60.0, 700.0), cache_dir=tmp_path)
        fields = sample.signal_fields(settings, pixels).astype(np.complex128)
        found.append([beat(t2, fields, cm) for cm in (LO_CM, -LO_CM, LO_CM - 80, LO_CM + 110)])
    still, shaking = found
    assert max(still[:2]) < 0.005
    assert min(shaking[:2]) > 0.2 > 2 * max(shaking[2:])


def test_the_sample_agrees_with_every_pathway_in_double_precision(tmp_path):
    sample = NonlinearSample.named(
        "dimers_3.0_9", dimers=12, seed=1, phonons=True, reach=Reach(120.0, 300.0), cache_dir=tmp_path
    )
    pixels, rng = np.linspace(15500.0, 21000.0, 90), np.random.default_rng(3)
    for _ in range(6):
        first, second = rng.uniform(0, 100, 2)
        pump = (Pulse(first, 1.0), Pulse(second, 1j))
        probe = Pulse(max(first, second) + rng.uniform(-30, 150), 1.0)
        assert off(sample.signal_field(pump, probe, pixels), sample.exact(pump, probe, pixels)) < 1e-3


def test_truth_names_the_phonons_that_are_planted(tmp_path):
    small = Reach(20.0, 20.0)
    with_phonons, without = (
        NonlinearSample.named(
            "dimers_3.0_9", dimers=40, seed=1, phonons=p, reach=small, cache_dir=tmp_path
        ).truth()
        for p in (True, False)
    )
    assert with_phonons.pop("phonons") == {
        "temperature_k": 295.0,
        "modes": [
            {"frequency_cm": 220.0, "huang_rhys": 0.15, "damping_fs": np.inf},
            {"frequency_cm": 20.0, "huang_rhys": 0.15, "damping_fs": 1000.0},
        ],
    }
    assert with_phonons == without


def test_cubes_with_other_phonons_are_other_files(tmp_path, few):
    weaker = Phonons((Mode(LO_CM, 0.1),))
    for phonons in (None, Phonons(), weaker, weaker._replace(temperature_k=77.0), weaker):
        cached_cubes(few, Conditions(phonons=phonons), Reach(8.0, 8.0), tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 4
