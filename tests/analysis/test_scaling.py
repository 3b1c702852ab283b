from __future__ import annotations

import numpy as np
import pytest

from qdlab.analysis.scaling import (
    Ratio,
    auger_ratio_from_intensities,
    auger_ratio_from_lifetimes,
    intensity_ratio,
    lifetime_ratio,
    scaling_curve,
)


def test_the_scaling_law_gives_the_lifetimes_of_the_reference_page():
    batch_1 = 125.0 * lifetime_ratio([1, 2, 3, 5], 0.5)
    assert batch_1 == pytest.approx([125.0, 41.67, 20.83, 8.33], abs=0.01)
    batch_2 = 150.0 * lifetime_ratio([2, 3, 5], 0.08)
    assert batch_2 == pytest.approx([69.4, 43.1, 22.7], abs=0.05)
    assert intensity_ratio(2, 0.5) == pytest.approx(2 / 3)


def test_an_auger_ratio_comes_back_from_the_lifetimes_it_made():
    x_minus = float(125.0 * lifetime_ratio(2, 0.37))
    found = auger_ratio_from_lifetimes(125.0, x_minus, np.diag([0.5**2, 0.2**2]))
    assert found.value == pytest.approx(0.37)
    rng = np.random.default_rng(0)
    drawn = rng.normal(125.0, 0.5, 20_000) / (2 * rng.normal(x_minus, 0.2, 20_000)) - 1
    assert found.error == pytest.approx(drawn.std(), rel=0.03)


def test_the_check_by_intensities_takes_back_the_merged_excitons():
    # counted pulse by pulse for a dot whose last exciton may outlive the period
    rng = np.random.default_rng(3)
    pump, pulses = 0.6, 1_000_000
    hit = rng.random(pulses) < -np.expm1(-pump)
    outlives = rng.random(pulses) < np.exp(-400 / 125.0)
    alive, ended = False, 0
    for excited, lives_on in zip(hit, outlives, strict=True):
        occupied = alive or excited
        alive = occupied and lives_on
        ended += occupied and not alive
    share = ended / hit.sum()
    assert share < 0.985
    found = auger_ratio_from_intensities(Ratio(share * 1.5, 0.0), Ratio(1.0, 0.0), [125.0, 1e-3], 400.0, pump)
    assert found.value == pytest.approx(0.5, abs=0.002)


def test_the_curve_starts_at_x0_and_passes_x_minus():
    curve = scaling_curve(125.0, 35e3, 0.5)
    assert curve.n_electrons[0] == 1
    assert curve.lifetime_ns[:2] == pytest.approx([125.0, 125 / 3])
    assert curve.rate_hz[:2] == pytest.approx([35e3, 35e3 / 1.5])
    assert (np.diff(curve.lifetime_ns) < 0).all()
