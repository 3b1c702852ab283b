"""Found agrees with planted, through the whole rig; docs/accuracy.md has the table of 20 seeds."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def accuracy(load_benchmark):
    return load_benchmark("accuracy")


def pulls_of(accuracy, tmp_path, seeds, **options):
    pulls = []
    for seed in seeds:
        found, planted = accuracy.one_run(seed, tmp_path, options.get("station"), [])
        assert {"X0 lifetime (ns)", "vertex lifetime (ns)", "enhancement", "drop"} <= set(found)
        pulls += [(value - planted[name]) / error for name, (value, error) in found.items()]
    return np.array(pulls)


def test_the_default_experiment_finds_what_was_planted_within_its_errors(accuracy, tmp_path):
    pulls = pulls_of(accuracy, tmp_path, (31, 32, 33))
    assert np.abs(pulls).max() < 4.0  # 24 pulls: a larger one has a chance of 1 in 600
    assert 0.5 < np.sqrt(np.mean(pulls**2)) < 1.6


@pytest.mark.slow
def test_twenty_seeds_find_what_was_planted_within_their_errors(accuracy, tmp_path):
    pulls = pulls_of(accuracy, tmp_path, range(1, 21))
    assert np.abs(pulls).max() < 4.5
    assert 0.7 < np.sqrt(np.mean(pulls**2)) < 1.3
