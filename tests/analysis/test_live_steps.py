import numpy as np
import pytest

from qdlab.analysis.live_steps import LiveSteps

PERIOD_S, LEVEL = 4e-7, 2500
FALLING, RISING = np.uint8(1), np.uint8(2)


def square_wave(rng, steps=400, low=0.003, high=0.02, delay=5):
    """Photons and marks of a square wave: per sync period the given probabilities, `delay` after a step."""
    marks = 100 + np.arange(steps) * LEVEL
    bits = np.where(np.arange(steps) % 2 == 0, FALLING, RISING)
    sync = np.arange(marks[0], marks[-1])
    is_low = ((sync - delay - marks[0]) // LEVEL) % 2 == 0
    photons = sync[rng.random(len(sync)) < np.where(is_low, low, high)]
    return photons, marks, bits


def test_rates_after_the_steps_are_those_of_the_two_levels():
    photons, marks, bits = square_wave(np.random.default_rng(1))
    fold = LiveSteps(LEVEL * PERIOD_S, PERIOD_S, 1, 2)
    fold.add(photons, marks, bits)
    falling, rising = fold.folded("falling"), fold.folded("rising")
    assert falling is not None
    assert rising is not None
    assert falling.steps == 200
    assert rising.steps == 199
    late = falling.time_us > 20
    for found, probability in ((falling, 0.003), (rising, 0.02)):
        pull = (found.rate_hz[late] - probability / PERIOD_S) / found.error_hz[late]
        assert abs(pull.mean()) < 4 / np.sqrt(late.sum())
        assert 0.5 < pull.std() < 1.6
    early = falling.time_us < 1.5
    assert np.all(falling.rate_hz[early] > 0.01 / PERIOD_S)


@pytest.mark.parametrize("cuts", [(300_000,), (123_456, 500_001, 777_777)])
def test_only_levels_between_two_marks_of_one_block_count(cuts):
    photons, marks, bits = square_wave(np.random.default_rng(2))
    whole, parts = (LiveSteps(LEVEL * PERIOD_S, PERIOD_S, 1, 2) for _ in range(2))
    whole.add(photons, marks, bits)
    for first, end in zip((0, *cuts), (*cuts, marks[-1] + 1), strict=True):
        inside = (marks >= first) & (marks < end)
        parts.add(photons[(photons >= first) & (photons < end)], marks[inside], bits[inside])
    steps = [
        sum(found.steps for d in ("falling", "rising") if (found := fold.folded(d)))
        for fold in (whole, parts)
    ]
    assert steps == [399, 399 - len(cuts)]
    one, other = whole.folded("rising"), parts.folded("rising")
    np.testing.assert_allclose(one.rate_hz, other.rate_hz, atol=5 * one.error_hz.max())


def test_a_missing_mark_leaves_out_its_levels():
    photons, marks, bits = square_wave(np.random.default_rng(3), steps=10)
    fold = LiveSteps(LEVEL * PERIOD_S, PERIOD_S, 1, 2)
    kept = np.arange(10) != 4
    fold.add(photons, marks[kept], bits[kept])
    assert [fold.folded("falling").steps, fold.folded("rising").steps] == [4, 3]


def test_nothing_is_known_before_the_first_whole_level():
    fold = LiveSteps(LEVEL * PERIOD_S, PERIOD_S, 1, 2)
    empty = np.empty(0, np.int64)
    fold.add(np.arange(100), empty, np.empty(0, np.uint8))
    fold.add(np.arange(100, 200), np.array([150]), np.array([FALLING]))
    assert fold.folded("falling") is None
