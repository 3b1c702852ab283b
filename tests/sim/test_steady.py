"""The steady emitter: right rate, decay and detectors, and the same photons however they are cut."""

import numpy as np
import pytest

from qdlab.sim.physics.detection import TICKS_PER_NS, TICKS_PER_S, Light
from qdlab.sim.physics.steady import SteadyPhotons

FLAT = np.array([0]), np.array([0.0])


def photons(source: SteadyPhotons, *until: int):
    parts = [source.advance(tick, *FLAT, Light()) for tick in until]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def test_rate_detectors_and_gaps_are_those_of_a_poisson_number_of_pulses():
    ticks, detectors = photons(SteadyPhotons(1e6, seed=3), TICKS_PER_S)
    assert len(ticks) == pytest.approx(1e6, abs=5 * np.sqrt(1e6 * 0.6))
    assert detectors.mean() == pytest.approx(0.5, abs=0.0025)
    gaps = np.diff(ticks // 16_000)
    assert gaps.min() == 1
    for k in (1, 2, 5):
        assert np.mean(gaps == k) == pytest.approx(0.4 * 0.6 ** (k - 1), abs=0.0025)


def test_the_decay_has_the_lifetime_that_was_asked_for():
    ticks, _ = photons(SteadyPhotons(1e6, seed=4, lifetime_ns=15.0), TICKS_PER_S)
    delay_ns = (ticks % 16_000 + 0.5) / TICKS_PER_NS - 2.0
    late = delay_ns[(delay_ns > 5) & (delay_ns < 150)] - 5
    assert late.mean() == pytest.approx(15.0, abs=5 * 15.0 / np.sqrt(len(late)) + 0.02)


def test_photons_are_the_same_however_the_time_is_cut():
    end = TICKS_PER_S // 50
    whole = photons(SteadyPhotons(2e6, seed=5), end)
    cuts = np.sort(np.random.default_rng(1).integers(0, end, 300))
    pieces = photons(SteadyPhotons(2e6, seed=5), *[int(c) for c in cuts], end)
    for a, b in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (np.diff(whole[0]) > 0).all()
    assert whole[0][-1] < end


def test_a_rate_beyond_the_pulses_is_refused():
    with pytest.raises(ValueError, match="per pulse"):
        SteadyPhotons(3e6, seed=1)
