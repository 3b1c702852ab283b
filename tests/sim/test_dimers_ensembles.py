"""Ensembles of dimers: planted beats against plain arithmetic, and the bands of docs/models/dimers.md."""

from functools import cache

import numpy as np
import pytest

from qdlab.sim.physics.dimer_dot import bright_splitting_cm
from qdlab.sim.physics.dimer_ensemble import RAD_PER_FS, Laser, coupled_dimers, quasi_homodimers
from qdlab.sim.physics.dimer_states import exciton
from qdlab.sim.physics.dimer_truth import (
    KINDS,
    absorption,
    beat,
    dephasing_truth,
)

SAMPLES = {"3.0_9": (3.0, 0.09), "2.8_5": (2.8, 0.05), "2.8_9": (2.8, 0.09)}
BEATS = {  # frequency in cm-1, 1/e time of the whole ensemble in fs
    "3.0_9": {
        "rho_I": (125.8, 837),
        "rho_I_all_bands": (119.2, None),
        "rho_II": (852.3, 235),
        "rho_III": (480.6, 141),
        "rho_III_any_polarisation": (None, 96),
    },
    "2.8_5": {
        "rho_I": (131.9, 1624),
        "rho_II": (880.1, 390),
        "rho_III": (546.6, 212),
        "rho_III_any_polarisation": (None, 115),
    },
    "2.8_9": {"rho_I": (131.9, 1024), "rho_II": (876, 242), "rho_III": (523, 139)},
}
WIDTH = {"3.0_9": 452, "2.8_5": 284}
SEEDS = range(1, 7)
LOCALISATION = {"3.0_9": (1.371, 1.290), "2.8_5": (1.558, 1.453), "2.8_9": (1.380, None)}


def assert_beats_in_bands(sample: str, truth: dict[str, float]):
    for kind, (frequency, time) in BEATS[sample].items():
        if frequency is not None:
            assert truth[f"{kind}_frequency_cm"] == pytest.approx(frequency, rel=0.01), kind
        if time is not None:
            assert truth[f"{kind}_dephasing_fs"] == pytest.approx(time, rel=0.05), kind


@cache
def truth_of(sample: str, seed: int) -> dict[str, float]:
    return dephasing_truth(quasi_homodimers(*SAMPLES[sample], 4000, seed=seed))


def mean_truth(sample: str, name: str) -> float:
    return float(np.mean([truth_of(sample, seed)[name] for seed in SEEDS]))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_beats_of_an_ensemble_lie_in_the_acceptance_bands(sample, seed):
    assert_beats_in_bands(sample, truth_of(sample, seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(101, 131))
@pytest.mark.parametrize("sample", SAMPLES)
def test_beats_lie_in_the_acceptance_bands_for_many_seeds(sample, seed):
    assert_beats_in_bands(sample, dephasing_truth(quasi_homodimers(*SAMPLES[sample], 4000, seed=seed)))


@pytest.mark.parametrize("sample", SAMPLES)
def test_localisation_lies_in_its_band_over_seeds(sample):
    """4000 independent dimers leave a standard error of 0.006, so the band of 0.01 is for the mean of six."""
    first, second = LOCALISATION[sample]
    assert mean_truth(sample, "localisation_1s") == pytest.approx(first, abs=0.01)
    if second is not None:
        assert mean_truth(sample, "localisation_2s") == pytest.approx(second, abs=0.01)
    one = [truth_of(sample, seed)["localisation_1s"] for seed in SEEDS]
    assert np.std(one, ddof=1) < 0.02


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sample", WIDTH)
def test_width_of_the_lowest_band_lies_in_its_band(sample, seed):
    assert truth_of(sample, seed)["lowest_width_cm"] == pytest.approx(WIDTH[sample], rel=0.03)


def test_9_percent_is_lower_wider_and_more_even_than_5_percent():
    assert mean_truth("3.0_9", "lowest_band_cm") == pytest.approx(16963, rel=0.01)
    assert mean_truth("2.8_5", "lowest_band_cm") == pytest.approx(17538, rel=0.01)
    ratio = mean_truth("3.0_9", "lowest_width_cm") / mean_truth("2.8_5", "lowest_width_cm")
    assert ratio == pytest.approx(1.59, rel=0.03)
    assert mean_truth("3.0_9", "evenness") == pytest.approx(0.240, abs=0.01)
    assert mean_truth("2.8_5", "evenness") == pytest.approx(0.122, abs=0.005)


def test_absorption_maximum_and_interbranch_spike():
    # one ensemble finds the flat maximum within 50 cm-1
    assert mean_truth("3.0_9", "absorption_max_cm") == pytest.approx(18025, abs=47)
    assert mean_truth("2.8_5", "absorption_max_cm") == pytest.approx(18680, abs=60)
    assert mean_truth("3.0_9", "interbranch_frequency_cm") == pytest.approx(1180, rel=0.01)
    assert mean_truth("3.0_9", "interbranch_spread_cm") == pytest.approx(440, rel=0.03)
    assert mean_truth("3.0_9", "interbranch_dephasing_fs") == pytest.approx(21, rel=0.05)


def test_the_beat_of_equal_dots_is_the_splitting_and_never_fades():
    ensemble = coupled_dimers(np.full((5, 2), 3.0), np.linspace(0.1, 0.9, 5))
    found = beat(ensemble, KINDS["rho_I"][:1], Laser())
    assert found.frequency_cm == pytest.approx(float(bright_splitting_cm(3.0)))
    assert found.dephasing_fs == np.inf


def test_two_frequencies_fade_as_a_cosine():
    ensemble = coupled_dimers([[3.1, 3.1], [2.9, 2.9]], [0.5, 0.5])
    found = beat(ensemble, KINDS["rho_I"][:1], Laser(18200, np.inf))
    half_gap = np.diff(ensemble.energy_cm[:, exciton("Ll par", 0)] - ensemble.energy_cm[:, 0]).item() / 2
    assert found.spread_cm == pytest.approx(abs(half_gap))
    assert found.dephasing_fs == pytest.approx(np.arccos(np.exp(-1)) / (RAD_PER_FS * abs(half_gap)), rel=1e-3)


def test_absorption_keeps_the_line_strength():
    ensemble = quasi_homodimers(3.0, 0.09, 50, seed=1)
    axis = np.arange(-4e4, 8e4, 20.0)
    area = absorption(ensemble, axis).sum() * 20.0
    assert area == pytest.approx((ensemble.dipole**2).sum() / 50, rel=2e-3)


def test_truth_is_a_flat_table_of_numbers():
    truth = dephasing_truth(quasi_homodimers(3.0, 0.09, 200, seed=1))
    assert all(isinstance(value, float) and np.isfinite(value) for value in truth.values())
