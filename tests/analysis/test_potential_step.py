from dataclasses import replace

import numpy as np
import pytest

from qdlab.analysis.flid_data import Calibration
from qdlab.analysis.potential_step import CurrentRows, PotentialStepData, analyze_potential_step

PERIOD_S, RESOLUTION_PS, SIGMA_NS, ZERO_NS = 400e-9, 25.0, 0.17, 2.0
HIGH, LOW = (12_000.0, 8.0), (3_000.0, 2.0)
"""Net rate in hertz and lifetime in nanoseconds at either potential."""
DARK_HZ = 150.0
TAU_US = 1.2
STEP_PERIOD_S = 2.00007e-3
"""Not a whole number of sync periods: all moments within one are met."""


def make_steps(seed: int, cycles: int = 20_000, tau_us: float = TAU_US) -> PotentialStepData:
    """A dot whose rate follows a square wave as one exponential, with a lifetime that goes along."""
    rng = np.random.default_rng(seed)
    level_s, start_s = STEP_PERIOD_S / 2, 0.0123456
    duration_s = start_s + cycles * STEP_PERIOD_S + 0.1
    steps_s = start_s + level_s * np.arange(1, 2 * cycles)
    falling = np.arange(1, 2 * cycles) % 2 == 1
    brightest = HIGH[0]
    pulses = np.sort(rng.integers(0, int(duration_s / PERIOD_S), rng.poisson(brightest * duration_s)))
    last = np.searchsorted(steps_s, pulses * PERIOD_S) - 1
    late_us = (pulses * PERIOD_S - steps_s[np.maximum(last, 0)]) * 1e6
    left = np.where(last >= 0, np.exp(-np.maximum(late_us, 0.0) / tau_us), 0.0)
    goes_low = np.where(last >= 0, falling[np.maximum(last, 0)], False)
    low_share = np.where(goes_low, 1 - left, left)
    rate_hz = HIGH[0] + (LOW[0] - HIGH[0]) * low_share
    lifetime_ns = HIGH[1] + (LOW[1] - HIGH[1]) * low_share
    seen = rng.random(len(pulses)) < rate_hz / brightest
    delay_ns = ZERO_NS + rng.exponential(lifetime_ns[seen]) + SIGMA_NS * rng.standard_normal(seen.sum())
    dark = rng.integers(0, int(duration_s / PERIOD_S), rng.poisson(DARK_HZ * duration_s))
    sync = np.concatenate([pulses[seen], dark])
    micro_ns = np.concatenate([delay_ns, rng.uniform(0, 400.0, len(dark))]) % 400.0
    order = np.argsort(sync, kind="stable")
    return PotentialStepData(
        sync=sync[order].astype(np.int64),
        dtime=(micro_ns[order] * 1000 / RESOLUTION_PS).astype(np.uint16),
        channel=rng.integers(0, 2, len(sync)).astype(np.uint8),
        resolution_ps=RESOLUTION_PS,
        sync_period_s=PERIOD_S,
        duration_s=duration_s,
        calibration=Calibration((DARK_HZ / 2, DARK_HZ / 2), 0.0, afterpulsing=0.0),
        high_v=-1.0,
        low_v=-1.8,
        period_s=STEP_PERIOD_S,
        marker_sync=np.floor(steps_s / PERIOD_S).astype(np.int64),
        marker_line=np.where(falling, 1, 2).astype(np.uint8),
        falling_line=1,
        rising_line=2,
    )


@pytest.fixture(scope="module")
def steps() -> PotentialStepData:
    return make_steps(1)


@pytest.fixture(scope="module")
def result(steps):
    return analyze_potential_step(steps)


def test_times_shorter_than_a_few_laser_periods_come_back_within_their_errors(result):
    planted_us = TAU_US * np.log(9)
    for folded in (result.falling, result.rising):
        taken = folded.rate.t10_90_us
        assert taken.value == pytest.approx(planted_us, abs=4 * taken.error)
        assert taken.error < 0.25 * planted_us
        assert folded.rate.delay_us.value == pytest.approx(0.0, abs=4 * folded.rate.delay_us.error)
        assert folded.rate.chi2_per_bin < 1.7


def test_levels_before_and_after_are_those_of_the_two_potentials(result):
    high, low = HIGH[0] + DARK_HZ, LOW[0] + DARK_HZ
    for response, ends in ((result.falling.rate, (high, low)), (result.rising.rate, (low, high))):
        assert response.before.value == pytest.approx(ends[0], abs=4 * response.before.error)
        assert response.after.value == pytest.approx(ends[1], abs=4 * response.after.error)
    for response, ends in ((result.falling.lifetime, (8.0, 2.0)), (result.rising.lifetime, (2.0, 8.0))):
        assert response.before.value == pytest.approx(ends[0], abs=5 * response.before.error)
        assert response.after.value == pytest.approx(ends[1], rel=0.02)  # time zero is known to 10 ps


def test_the_lifetime_follows_within_the_same_microseconds(result):
    for folded in (result.falling, result.rising):
        taken = folded.lifetime.t10_90_us
        assert 0.5 * TAU_US * np.log(9) < taken.value < 2 * TAU_US * np.log(9)


def test_every_whole_level_is_used_and_no_other(result):
    assert result.falling.steps == 20_000 - 1  # the last mark has none behind it
    assert result.rising.steps == 20_000 - 1
    assert result.warnings == ()


def test_counts_are_those_behind_the_steps(steps, result):
    folded = result.falling
    marks = steps.marker_sync[steps.marker_line == 1][:-1]
    first, last = (round(us * 1e-6 / PERIOD_S) + 1 for us in folded.edges_us[[3, 5]])
    by_hand = sum(
        int(np.searchsorted(steps.sync, mark + last) - np.searchsorted(steps.sync, mark + first))
        for mark in marks
    )
    assert folded.counts[3:5].sum() == by_hand
    assert folded.exposure_s[3:5].sum() == pytest.approx(len(marks) * (last - first) * PERIOD_S)


def test_a_lost_mark_costs_two_levels_and_nothing_else(steps, result):
    kept = np.delete(np.arange(len(steps.marker_sync)), 1000)
    lost = replace(
        steps, marker_sync=steps.marker_sync[kept], marker_line=steps.marker_line[kept]
    )  # the marks before and at it begin no whole level any more
    again = analyze_potential_step(lost)
    assert again.falling.steps + again.rising.steps == result.falling.steps + result.rising.steps - 2
    assert again.falling.rate.t10_90_us.value == pytest.approx(result.falling.rate.t10_90_us.value, rel=0.02)


def test_without_marks_nothing_is_folded_and_it_says_so(steps):
    empty = replace(steps, marker_sync=np.empty(0, np.int64), marker_line=np.empty(0, np.uint8))
    result = analyze_potential_step(empty)
    assert result.falling is None
    assert result.rising is None
    assert any("comparator" in warning for warning in result.warnings)


def test_a_dot_that_does_not_react_has_no_response(steps):
    rng = np.random.default_rng(2)
    still = replace(steps, sync=np.sort(rng.integers(0, int(steps.duration_s / PERIOD_S), len(steps.sync))))
    result = analyze_potential_step(still)
    assert result.falling.rate is None
    assert any("no change of the rate" in warning for warning in result.warnings)


def current_rows(constant_s: float, cycles: int = 200, noise_a: float = 1e-6) -> CurrentRows:
    rng = np.random.default_rng(4)
    edges_s = np.arange(11) * 1e-3
    row_a = 8e-6 * np.diff(-np.exp(-edges_s / constant_s)) / 1e-3  # 8 uC per step
    current_a = np.tile(np.concatenate([row_a, -row_a]), cycles) + 3e-7
    return CurrentRows(
        current_a + noise_a * rng.standard_normal(len(current_a)),
        np.zeros(len(current_a), bool),
        cycles,
        1e-3,
    )


def test_the_cells_own_time_constant_comes_from_the_charging_current(steps):
    result = analyze_potential_step(replace(steps, currents=[current_rows(1.2e-3), current_rows(1.2e-3)]))
    assert result.cell_us.value == pytest.approx(1200.0, abs=4 * result.cell_us.error)
    assert result.cell_us.error < 2.0
    assert any("1.2 ms" in warning for warning in result.warnings)


def test_a_cell_that_charges_within_one_row_has_no_time_constant(steps):
    assert analyze_potential_step(replace(steps, currents=[current_rows(1e-5)])).cell_us is None


def test_an_overloaded_current_gives_no_time_constant(steps):
    rows = current_rows(1.2e-3)
    rows.overload[5] = True
    assert analyze_potential_step(replace(steps, currents=[rows])).cell_us is None
