"""The fast response of ensembles against the explicit sum over pathways."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from qdlab.sim.physics import reference_response as explicit
from qdlab.sim.physics._response_spread import spread_lines
from qdlab.sim.physics._response_taps import TAPS, grid
from qdlab.sim.physics.dimer_ensemble import NO_DEPHASING, Dephasing, Ensemble, quasi_homodimers
from qdlab.sim.physics.dimer_states import EXCITONS, LINKS
from qdlab.sim.physics.dimers import DimerModel
from qdlab.sim.physics.exact_response import DOUBLE_QUANTUM, NONREPHASING, REPHASING, ExactResponse
from qdlab.sim.physics.reference_response import Conditions
from qdlab.sim.physics.response_engine import double_quantum, rephasing_and_nonrephasing

T1, T2, T3 = 6.0 * np.arange(-3, 9), 8.0 * np.arange(-2, 10), 6.0 * np.arange(16)
EXPLICIT = {
    REPHASING: explicit.rephasing,
    NONREPHASING: explicit.nonrephasing,
    DOUBLE_QUANTUM: explicit.double_quantum,
}


def off(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.fixture(scope="module")
def few() -> Ensemble:
    return quasi_homodimers(3.0, 0.09, 5, seed=4)


@pytest.mark.parametrize("conditions", [Conditions(), Conditions(rates_per_fs=None, frame_cm=17900.0)])
def test_rephasing_and_nonrephasing_are_the_explicit_sums(few, conditions):
    fast = rephasing_and_nonrephasing(few, T1, T2, T3, conditions)
    for found, signal in zip(fast, (explicit.rephasing, explicit.nonrephasing), strict=True):
        expected = explicit.ensemble_mean(signal, few, T1, T2, T3, conditions)
        assert found.shape == (len(T2), len(T1), len(T3))
        assert off(found, expected) < 1e-4


def test_double_quantum_is_the_explicit_sum(few):
    expected = explicit.ensemble_mean(explicit.double_quantum, few, T1, T2, T3)
    assert off(double_quantum(few, T1, T2, T3), expected) < 1e-4


def test_without_any_decay_the_sums_agree_too(few):
    on = Conditions(dephasing=NO_DEPHASING, rates_per_fs=None)
    expected = explicit.ensemble_mean(explicit.rephasing, few, T1, T2, T3, on)
    assert off(rephasing_and_nonrephasing(few, T1, T2, T3, on).rephasing, expected) < 2e-4


@pytest.mark.parametrize("number", [500, 2000])
def test_many_dimers_on_a_coarser_grid_are_as_accurate(number):
    ensemble = quasi_homodimers(2.8, 0.05, number, seed=1)
    t1, t2, t3 = 5.0 * np.arange(40), 8.0 * np.arange(50), 5.0 * np.arange(40)
    exact = ExactResponse(ensemble)
    fast = rephasing_and_nonrephasing(ensemble, t1, t2, t3)
    for kind, found in ((REPHASING, fast.rephasing), (NONREPHASING, fast.nonrephasing)):
        for a, b in ((0, 0), (0, 49), (1, 3), (7, 20), (39, 2)):
            expected = exact.signal([kind, t1[a], t2[b]], [1.0], 5.0, len(t3))
            assert np.abs(found[b, a] - expected).max() < 1e-4 * np.abs(found).max()


@pytest.mark.parametrize("kind", [REPHASING, NONREPHASING, DOUBLE_QUANTUM])
def test_single_settings_are_the_explicit_sum_in_double_precision(few, kind):
    settings, factors = [(kind, 33.0, -17.0), (kind, 20.0, 41.0)], [0.3 + 1j, 1.0]
    expected = sum(
        factor * explicit.ensemble_mean(EXPLICIT[kind], few, t1, t2, T3)[0, 0]
        for (_, t1, t2), factor in zip(settings, factors, strict=True)
    )
    found = ExactResponse(few).signal(settings, factors, T3[1], len(T3))
    assert off(found, np.asarray(expected)) < 1e-13


def test_ideal_bosons_give_no_signal():
    bosons = quasi_homodimers(3.0, 0.09, 20, seed=2, model=DimerModel(binding_cm=0.0, blocking=1.0))
    real = quasi_homodimers(3.0, 0.09, 20, seed=2)
    on = Conditions(explicit.Laser(fwhm_cm=np.inf), Dephasing(60.0, 60.0, 60.0, np.inf), None)
    size = np.abs(rephasing_and_nonrephasing(real, T1, T2, T3, on).rephasing).max()
    for signal in rephasing_and_nonrephasing(bosons, T1, T2, T3, on):
        assert np.abs(signal).max() < 2e-4 * size


def test_rephasing_and_nonrephasing_coincide_at_zero_t1(few):
    fast = rephasing_and_nonrephasing(few, 6.0 * np.arange(10), T2, T3)
    assert off(fast.rephasing[:, 0], fast.nonrephasing[:, 0]) < 2e-4


def test_a_single_delay_is_enough(few):
    expected = explicit.ensemble_mean(explicit.rephasing, few, 12.0, 30.0, T3)
    assert off(rephasing_and_nonrephasing(few, 12.0, 30.0, T3).rephasing, expected) < 1e-4


def test_the_number_of_threads_does_not_matter(few):
    one, three = (rephasing_and_nonrephasing(few, T1, T2, T3, threads=n).rephasing for n in (1, 3))
    assert off(one, three) < 1e-6


def test_an_aliased_step_gives_the_aliased_signal(few):
    coarse = 40.0 * np.arange(6)  # no beat above 417 cm-1 is resolved
    expected = explicit.ensemble_mean(explicit.rephasing, few, T1, coarse, T3)
    assert off(rephasing_and_nonrephasing(few, T1, coarse, T3).rephasing, expected) < 1e-4


@pytest.mark.parametrize("bad", [[0.0, 1.0, 3.0], [5.0, 0.0], [0.0, np.nan], []])
def test_delays_that_are_not_evenly_spaced_are_refused(few, bad):
    with pytest.raises(ValueError, match="t2_fs must be evenly spaced"):
        rephasing_and_nonrephasing(few, T1, bad, T3)


def test_an_ensemble_that_is_empty_or_not_finite_is_refused(few):
    with pytest.raises(ValueError, match="no dimers"):
        double_quantum(Ensemble(*(getattr(few, field.name)[:0] for field in fields(few))), T1, T2, T3)
    broken = quasi_homodimers(3.0, 0.09, 2, seed=1)
    broken.energy_cm[1, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        rephasing_and_nonrephasing(broken, T1, T2, T3)


def test_nothing_is_written_outside_the_grid():
    lines = np.zeros((EXCITONS, 1, 2 * (TAPS + 3)), dtype=np.float32)
    wide = grid(6.0 * np.arange(20), (-1.0, 1.0), 60.0, 2.0)
    links = (np.ones((1, 496), dtype=np.float32),) * 2
    levels = (np.zeros((1, EXCITONS)), np.zeros((1, 136)))
    phases = (np.ones((1, EXCITONS), dtype=np.complex64), np.ones((1, 136), dtype=np.complex64))
    with pytest.raises(IndexError, match="outside its part of the grid"):
        spread_lines(
            lines, np.arange(1), wide.axis, wide.polynomials, levels, links, phases,
            LINKS.exciton, LINKS.pair,
        )  # fmt: skip


@pytest.mark.parametrize("decay_fs", [np.inf, 3800.0, 60.0, 5.0])
@pytest.mark.parametrize("times", [2, 3, 64, 400])
def test_grid_frequencies_stand_for_any_frequency(times, decay_fs):
    t = 5.0 * np.arange(times) - 10
    made = grid(t, (-1.0, 1.0), decay_fs, 2.0)
    x = np.random.default_rng(0).uniform(-1, 1, 500)
    at = (x - made.lowest) / made.spacing % made.points
    place = at - np.floor(at)
    taps = np.vander(place, len(made.polynomials), increasing=True) @ made.polynomials
    signal = np.zeros((times, len(x)), dtype=complex)
    for k in range(TAPS):
        signal += made.transform[:, np.floor(at).astype(int) + k] * taps[:, k]
    signal *= np.exp(1j * x * made.middle_fs)
    expected = np.exp(1j * np.outer(t, x) - t[:, None] / decay_fs)
    error = np.abs(signal - expected)
    assert np.sqrt((error**2).mean(axis=1)).max() < 8e-4 * np.exp(10 / decay_fs)
