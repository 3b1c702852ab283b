"""Holds on the photons' clock, charge from lifetime and intensity, blinking, Fano factor."""

from __future__ import annotations

import numpy as np
import pytest

from qdlab.analysis.blinking import blinking
from qdlab.analysis.charge_number import charge_number
from qdlab.analysis.flid_data import Calibration
from qdlab.analysis.held_potential import HeldPotential, StepsRecord, align_holds
from qdlab.analysis.potential import MarkerWiring
from qdlab.analysis.scaling import Ratio, intensity_ratio, lifetime_ratio
from qdlab.analysis.static_bias import StaticBiasData, analyze_static_bias

STEPS = StepsRecord(((0.0, 10.0), (-1.4, 10.0), (0.0, 10.0), (-2.0, 10.0)), 5.0, 0.2)
WIRING = MarkerWiring()


def marks(late_s: float):
    """Edges of the record above, with one from before the program and one from after it."""
    times = np.array([1.0, 15.0 + late_s, 25.0 + late_s, 35.0 + late_s, 45.4])
    return times, np.array([1, 1, 2, 1, 2], np.uint8)


def test_holds_are_placed_by_the_marks_of_their_steps():
    late_s = 0.37
    holds = align_holds([STEPS], *marks(late_s), WIRING)
    assert [hold.potential_v for hold in holds] == [0.0, -1.4, 0.0, -2.0]
    for k, hold in enumerate(holds):
        begin_s = 5.0 + late_s + 10.0 * k
        assert hold.source == "marker"
        assert 0 < hold.start_s - begin_s < 0.03
        assert 0 < begin_s + 10.0 - hold.end_s < 0.03


@pytest.mark.parametrize("wiring", [None, WIRING])
def test_without_marks_the_doubt_of_the_clock_is_cut_off_both_ends(wiring):
    none = np.empty(0), np.empty(0, np.uint8)
    for k, hold in enumerate(align_holds([STEPS], *none, wiring)):
        assert hold.source == "clock"
        assert hold.start_s == pytest.approx(5.0 + 10.0 * k + 0.6, abs=1e-3)
        assert hold.end_s == pytest.approx(15.0 + 10.0 * k - 0.6, abs=1e-3)


def test_marks_further_away_than_the_clock_allows_are_not_used():
    assert {hold.source for hold in align_holds([STEPS], *marks(3.0), WIRING)} == {"clock"}


def test_steps_that_never_cross_the_threshold_are_placed_by_the_clock():
    steps = StepsRecord(((-1.4, 10.0), (-1.7, 10.0)), 5.0, 0.2)
    assert {hold.source for hold in align_holds([steps], *marks(0.0), WIRING)} == {"clock"}


@pytest.mark.parametrize("auger", [0.08, 0.5, 2.0])
def test_the_charge_number_inverts_the_scaling_laws(auger):
    for n in (1, 2, 3.5, 12):
        enhancement, drop = 1 / lifetime_ratio(n, auger), 1 / intensity_ratio(n, auger)
        found = charge_number(Ratio(enhancement, 0.0), Ratio(drop, 0.0), Ratio(auger, 0.0))
        assert found.from_lifetime.value == pytest.approx(n - 1, abs=1e-9)
        assert found.from_intensity.value == pytest.approx(n - 1, abs=1e-9)
        assert found.law.value == pytest.approx(1.0)
        assert found.holds


def test_a_dimmer_dot_than_its_lifetime_allows_has_left_the_law():
    found = charge_number(Ratio(34.5, 0.3), Ratio(7.4, 0.1), Ratio(0.5, 0.01))
    assert not found.holds
    assert found.law.value < 0.7


def test_errors_of_the_charge_number_are_those_of_drawing_its_input():
    given = Ratio(10.0, 0.3), Ratio(2.6, 0.08), Ratio(0.5, 0.02)
    rng = np.random.default_rng(1)
    drawn = [charge_number(*(Ratio(rng.normal(r.value, r.error), 0.0) for r in given)) for _ in range(400)]
    found = charge_number(*given)
    for name in ("from_lifetime", "from_intensity", "law"):
        scatter = np.std([getattr(d, name).value for d in drawn])
        assert getattr(found, name).error == pytest.approx(scatter, rel=0.2)


def test_blinking_is_told_apart_by_the_lifetime_of_dim_bins():
    rng = np.random.default_rng(5)
    state = np.repeat(rng.integers(0, 3, 400), 10)  # bright, charged, hot-electron trap
    rate = rng.poisson(np.array([600, 100, 330])[state]) / 0.02
    lifetime = np.array([125.0, 8.0, 125.0])[state] * rng.normal(1.0, 0.06, len(state))
    found = blinking(rate, lifetime, 0.02)
    assert found.bright_rate_hz == pytest.approx(30_000, rel=0.02)
    assert found.a_share == pytest.approx((state == 1).mean(), abs=0.005)
    assert found.b_share == pytest.approx((state == 2).mean(), abs=0.005)
    assert found.on_s > found.off_s / 2 > 0


def test_a_steady_dot_does_not_blink_and_a_dark_one_says_nothing():
    rng = np.random.default_rng(6)
    steady = blinking(rng.poisson(100, 3000) / 0.02, np.full(3000, 7.0), 0.02)
    assert steady.on_share == 1.0
    assert np.isnan(steady.off_s)
    assert steady.a_share < 0.001
    assert blinking(rng.poisson(20, 3000) / 0.02, np.full(3000, 1.0), 0.02) is None
    assert blinking(np.empty(0), np.empty(0), 0.02) is None


def steady_light(rate_hz: float, duration_s: float, holds, micro_times) -> StaticBiasData:
    rng = np.random.default_rng(7)
    n = rng.poisson(rate_hz * duration_s)
    sync = np.sort(rng.integers(0, round(duration_s / 4e-7), n))
    dtime = (micro_times(rng, 20.0, n) / 0.025).astype(np.uint16) % 16_000
    channel = rng.integers(0, 2, n).astype(np.uint8)
    return StaticBiasData(
        sync=sync,
        dtime=dtime,
        channel=channel,
        resolution_ps=25.0,
        sync_period_s=4e-7,
        duration_s=duration_s,
        calibration=Calibration((0.0, 0.0), 0.0),
        holds=holds,
    )


def test_steady_light_has_its_rate_its_lifetime_fano_one_and_g2_one(micro_times):
    holds = tuple(HeldPotential(-0.1 * k, 10.0 * k + 0.1, 10.0 * k + 9.9, 0.02, "clock") for k in range(2))
    result = analyze_static_bias(steady_light(20_000.0, 20.0, holds, micro_times))
    for at in result.potentials:
        assert at.rate_hz.value == pytest.approx(20_000, abs=4 * at.rate_hz.error)
        assert at.fano.value == pytest.approx(1.0, abs=4 * at.fano.error)
        assert at.antibunching.window.value == pytest.approx(1.0, abs=4 * at.antibunching.window.error)
        assert 488 <= len(at.flid.time_s) <= 490
        assert 0.99 * at.photons < at.flid.photons.sum() <= at.photons == at.decay.sum()
        assert at.lifetime_ns.value == pytest.approx(20.0, rel=0.02)


def test_what_cannot_be_found_is_null_with_a_warning(micro_times):
    holds = (HeldPotential(-1.0, 0.1, 5.0, 0.02, "clock"), HeldPotential(-2.0, 6.0, 5.9, 0.5, "clock"))
    result = analyze_static_bias(steady_light(5000.0, 10.0, holds, micro_times))
    assert len(result.potentials) == 1
    assert any("no X0" in w for w in result.warnings)
    assert any("-2 V is left out" in w for w in result.warnings)
    (told,) = result.summary()["potentials"]
    assert told["enhancement"] is None
    assert told["electrons"] is None
    assert result.summary()["law_holds_down_to_v"] is None
