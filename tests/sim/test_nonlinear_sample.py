"""The sample in four-wave mixing: pulse trains in, fields out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from qdlab.sim.physics import reference_response as explicit
from qdlab.sim.physics import response_cubes
from qdlab.sim.physics.dimer_ensemble import RAD_PER_FS, quasi_homodimers
from qdlab.sim.physics.nonlinear_sample import NonlinearSample
from qdlab.sim.physics.pulses import Pulse
from qdlab.sim.physics.reference_response import Conditions
from qdlab.sim.physics.response_cubes import STEP3_FS, Reach, t3_axis_fs

REACH = Reach(120.0, 300.0)
PIXELS = np.linspace(15500.0, 21000.0, 90)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("responses")


@pytest.fixture(scope="module")
def sample(folder):
    return NonlinearSample.named("dimers_3.0_9", dimers=40, seed=1, reach=REACH, cache_dir=folder)


def off(found, expected) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def spectrum(signal: np.ndarray, frame_cm: float, pixels: np.ndarray = PIXELS) -> np.ndarray:
    """Half-line Fourier integral over t3 with the first sample halved."""
    weight = np.full(len(signal), STEP3_FS)
    weight[0] /= 2
    return (weight * signal) @ np.exp(1j * RAD_PER_FS * np.outer(t3_axis_fs(), pixels - frame_cm))


def random_setting(rng):
    first, second = rng.uniform(0, 100, 2)
    phases = np.exp(2j * np.pi * rng.random(2))
    probe = max(first, second) + rng.uniform(0, 150)
    return (Pulse(first, phases[0]), Pulse(second, phases[1])), Pulse(probe, 1.0)


def test_fields_agree_with_every_pathway_in_double_precision(sample):
    rng = np.random.default_rng(3)
    for _ in range(20):
        pump, probe = random_setting(rng)
        assert off(sample.signal_field(pump, probe, PIXELS), sample.exact(pump, probe, PIXELS)) < 5e-4


@pytest.mark.parametrize("probe_fs", [-35.0, 12.0, 30.0, 44.0])
def test_any_order_in_time_agrees_with_every_pathway(sample, probe_fs):
    pump = (Pulse(0.0, 1.0), Pulse(30.0, 0.8j), Pulse(71.0, 0.05))
    probe = Pulse(probe_fs, 0.5 - 0.5j)
    assert off(sample.signal_field(pump, probe, PIXELS), sample.exact(pump, probe, PIXELS)) < 1e-3


def test_phase_cycling_separates_the_responses_at_absolute_frequencies(sample):
    """Against the explicit sum in a frame that does not rotate."""
    t1, t2, steps = 21.0, 47.0, 4
    still = Conditions(frame_cm=0.0)
    phases = np.exp(2j * np.pi * np.arange(steps) / steps)
    fields = {
        (a, b): sample.exact((Pulse(5.0, a), Pulse(5.0 + t1, b)), Pulse(5.0 + t1 + t2, 1.0), PIXELS)
        for a, b in itertools.product(phases, phases)
    }
    unit = None
    for signal, order in (
        (explicit.rephasing, (-1, 1)),
        (explicit.nonrephasing, (1, -1)),
        (explicit.double_quantum, (1, 1)),
    ):
        cycled = sum(field * a ** -order[0] * b ** -order[1] for (a, b), field in fields.items()) / steps**2
        mean = explicit.ensemble_mean(signal, sample.ensemble, t1, t2, t3_axis_fs(), still)[0, 0]
        expected = spectrum(mean, 0.0)
        unit = unit or np.abs(cycled).max() / np.abs(expected).max()
        assert off(cycled, unit * expected) < 1e-9


def test_one_pump_pulse_makes_the_pump_probe_signal(sample):
    t2 = 60.0
    zero = explicit.ensemble_mean(explicit.rephasing, sample.ensemble, 0.0, t2, t3_axis_fs())[0, 0]
    doubled = explicit.ensemble_mean(explicit.double_quantum, sample.ensemble, 0.0, t2, t3_axis_fs())[0, 0]
    doubled = doubled * np.exp(-2j * RAD_PER_FS * 18200.0 * t2)
    start = explicit.ensemble_mean(explicit.rephasing, sample.ensemble, 0.0, 0.0, t3_axis_fs())[0, 0]
    unit = 1 / np.abs(spectrum(start, 18200.0, 18200.0 + np.arange(-3000.0, 3001.0, 10.0))).max()
    found = sample.exact((Pulse(-10.0, 0.3j),), Pulse(50.0, 1.0), PIXELS)
    expected = 0.09 * spectrum(zero, 18200.0) - 0.09 * spectrum(doubled, 18200.0) / 2
    assert off(found, unit * expected) < 1e-4


def test_a_pulse_behind_the_probe_starts_the_signal_later(sample):
    """With both pump pulses behind the probe and the probe acting directly, R runs between other pulses."""
    t1, t2 = 15.0, 40.0
    pump, probe = (Pulse(0.0, 1.0), Pulse(t1 + t2, 1.0)), Pulse(t1, 1.0)
    phases = np.exp(2j * np.pi * np.arange(4) / 4)
    cycled = (
        sum(
            sample.exact((pump[0]._replace(amplitude=a), pump[1]._replace(amplitude=b)), probe, PIXELS)
            * a
            / b
            for a, b in itertools.product(phases, phases)
        )
        / len(phases) ** 2
    )
    mean = explicit.ensemble_mean(
        explicit.rephasing, sample.ensemble, t1, t2, t3_axis_fs(), Conditions(frame_cm=0.0)
    )[0, 0]
    expected = spectrum(mean, 0.0) * np.exp(1j * RAD_PER_FS * t2 * PIXELS)
    assert off(cycled / np.abs(cycled).max(), expected / np.abs(expected).max()) < 1e-9


def test_the_signal_does_not_depend_on_where_time_starts_but_for_carrier_phases(sample):
    pump, probe = random_setting(np.random.default_rng(8))
    shifted = tuple(pulse._replace(delay_fs=pulse.delay_fs + 777.0) for pulse in pump)
    later = sample.signal_field(shifted, probe._replace(delay_fs=probe.delay_fs + 777.0), PIXELS)
    assert off(later, sample.signal_field(pump, probe, PIXELS)) < 1e-5


def test_weak_pulses_are_left_out_only_below_the_stated_share(sample):
    pump, probe = random_setting(np.random.default_rng(9))
    ghost = Pulse(40.0, 5e-5)
    with_ghost = sample.signal_field((*pump, ghost), probe, PIXELS)
    np.testing.assert_array_equal(with_ghost, sample.signal_field(pump, probe, PIXELS))
    replica = Pulse(40.0, 2e-3)
    with_replica = sample.signal_field((*pump, replica), probe, PIXELS)
    assert off(with_replica, sample.signal_field(pump, probe, PIXELS)) > 1e-4


def test_many_settings_at_once_are_the_same(sample):
    rng = np.random.default_rng(5)
    settings = [random_setting(rng) for _ in range(7)]
    settings.append(((Pulse(30.0, 1.0), Pulse(0.0, 1.0)), Pulse(10.0, 1.0)))
    together = sample.signal_fields(settings, PIXELS)
    for (pump, probe), field in zip(settings, together, strict=True):
        assert off(field, sample.signal_field(pump, probe, PIXELS)) < 1e-5


def test_the_strongest_signal_of_unit_pulses_is_one(sample):
    pump = (Pulse(0.0, 1.0),)
    field = sample.signal_field(pump, Pulse(150.0, 1.0), np.linspace(16000, 20000, 801))
    assert 0.3 < np.abs(field).max() < 1.0  # relaxed populations; R(0, 0) itself is 1


def test_a_second_sample_reads_the_cubes(sample, folder, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("the cubes are made again")

    monkeypatch.setattr(response_cubes, "make_cubes", refuse)
    again = NonlinearSample.named("dimers_3.0_9", dimers=40, seed=1, reach=REACH, cache_dir=folder)
    pump, probe = random_setting(np.random.default_rng(5))
    np.testing.assert_array_equal(
        again.signal_field(pump, probe, PIXELS), sample.signal_field(pump, probe, PIXELS)
    )
    with pytest.raises(AssertionError, match="made again"):
        NonlinearSample.named("dimers_3.0_9", dimers=40, seed=2, reach=REACH, cache_dir=folder)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_cache_is_made_anew(tmp_path, damage):
    small = Reach(20.0, 20.0)
    first = NonlinearSample.named("dimers_2.8_5", dimers=5, seed=3, reach=small, cache_dir=tmp_path)
    (file,) = tmp_path.iterdir()
    whole = bytearray(file.read_bytes())
    if damage == "flipped":
        whole[len(whole) // 2] ^= 0x40
    file.write_bytes({"cut": whole[: len(whole) // 2], "flipped": whole, "empty": b""}[damage])
    again = NonlinearSample.named("dimers_2.8_5", dimers=5, seed=3, reach=small, cache_dir=tmp_path)
    pump, probe = (Pulse(0.0, 1.0), Pulse(7.0, 1.0)), Pulse(15.0, 1.0)
    expected = first.signal_field(pump, probe, PIXELS)
    np.testing.assert_allclose(again.signal_field(pump, probe, PIXELS), expected, rtol=1e-5, atol=1e-6)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]


def test_longer_delays_make_larger_cubes_up_to_a_limit(tmp_path):
    sample = NonlinearSample.named(
        "dimers_2.8_9", dimers=3, seed=3, reach=Reach(20.0, 20.0), cache_dir=tmp_path
    )
    pump, probe = (Pulse(0.0, 1.0), Pulse(30.0, 1.0)), Pulse(130.0, 1.0)
    assert off(sample.signal_field(pump, probe, PIXELS), sample.exact(pump, probe, PIXELS)) < 1e-3
    with pytest.raises(ValueError, match="scan shorter delays"):
        sample.signal_field(pump, Pulse(6000.0, 1.0), PIXELS)


def test_pulses_that_are_not_finite_are_refused(sample):
    with pytest.raises(ValueError, match="not finite"):
        sample.signal_field((Pulse(np.nan, 1.0),), Pulse(0.0, 1.0), PIXELS)


def test_an_unknown_sample_is_refused():
    with pytest.raises(KeyError):
        NonlinearSample.named("dimers", seed=1)


def test_truth_names_the_sample_and_its_dephasing_times(sample):
    truth = sample.truth()
    assert truth["sample"] == "dimers_3.0_9, 40 dimers, seed 1"
    assert truth["optical_fs"] == 60.0
    assert truth["rho_II_frequency_cm"] == pytest.approx(852, rel=0.03)


def test_a_sample_of_any_ensemble_and_conditions(tmp_path):
    ensemble = quasi_homodimers(3.0, 0.05, 4, seed=1)
    sample = NonlinearSample(
        "own", ensemble, Conditions(rates_per_fs=None), reach=Reach(40.0, 40.0), cache_dir=tmp_path
    )
    pump, probe = (Pulse(0.0, 1.0), Pulse(11.0, 1.0)), Pulse(40.0, 1.0)
    assert off(sample.signal_field(pump, probe, PIXELS), sample.exact(pump, probe, PIXELS)) < 1e-3
