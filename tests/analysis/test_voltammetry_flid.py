"""The analysis against photons of the simulated dot; benchmarks/analysis_pulls.py has more runs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from qdlab.analysis.photon_source import PhotonArrays
from qdlab.analysis.voltammetry_flid import analyze_voltammetry_flid

SUMMARY_KEYS = {
    "kind": None,
    "status": None,
    "photons": None,
    "duration_s": None,
    "mean_rate_hz": None,
    "cycles": None,
    "x0": {"lifetime_ns", "lifetime_err_ns", "rate_hz"},
    "x_minus": {"lifetime_ns", "lifetime_err_ns", "rate_hz"},
    "gamma_auger_ratio": None,
    "gamma_auger_ratio_err": None,
    "at_vertex": {"potential_v", "lifetime_ns", "lifetime_err_ns", "rate_hz"},
    "lifetime_enhancement": None,
    "lifetime_enhancement_err": None,
    "intensity_drop": None,
    "intensity_drop_err": None,
    "flid": {"bin_s", "n_bins"},
    "potential_alignment": {"source", "uncertainty_s"},
}


@pytest.fixture(scope="module")
def pulls(load_benchmark):
    """The benchmark that makes runs of the simulated dot, as a module."""
    return load_benchmark("analysis_pulls")


@pytest.fixture(scope="module")
def data(pulls):
    return pulls.default_run(1, 0)


@pytest.fixture(scope="module")
def result(data):
    return analyze_voltammetry_flid(data)


def assert_summary_is_plain(summary):
    assert {k: None if not isinstance(v, dict) else set(v) for k, v in summary.items()} == SUMMARY_KEYS
    json.dumps(summary, allow_nan=False)


def test_what_is_found_agrees_with_what_was_planted_within_the_errors(pulls, result):
    # lifetimes and gammaA/gamma0 are planted exactly; rates and the vertex from longer runs in one state
    planted = pulls.plant(1, seconds=60.0)
    found = pulls.rows(result, planted)
    for name, (value, error, true) in found.items():
        assert error > 0, name
        assert abs(value - true) < 3.5 * error, name


def test_the_default_run_reaches_the_numbers_of_the_paper(result):
    x0, x_minus = result.states.x0, result.states.x_minus
    assert x0.lifetime_ns == pytest.approx(125, abs=6)
    assert x_minus.lifetime_ns == pytest.approx(42, abs=3)
    assert result.auger_ratio.value == pytest.approx(0.5, abs=0.05)
    assert x0.rate_hz == pytest.approx(35e3, rel=0.02)
    assert result.states.x_plus.rate_hz == pytest.approx(5e3, rel=0.15)
    assert result.at_vertex.lifetime_ns == pytest.approx(0.9, abs=0.2)
    assert result.enhancement.value == pytest.approx(140, abs=30)
    assert result.drop.value == pytest.approx(25, abs=4)
    assert result.warnings == ()


def test_errors_are_small_enough_to_say_something(result):
    assert result.states.x0.lifetime_err_ns < 0.8
    assert result.states.x_minus.lifetime_err_ns < 1.0
    assert result.auger_ratio.error < 0.03
    assert result.enhancement.error < 12
    assert result.drop.error < 1.5
    assert result.time_zero.time_zero_err_ns < 0.012
    assert result.timeline.uncertainty_s < 0.005


def test_summary_has_exactly_the_agreed_keys_and_plain_numbers(result):
    summary = result.summary()
    assert_summary_is_plain(summary)
    assert summary["potential_alignment"]["source"] == "marker"
    assert summary["photons"] == result.photons > 2_000_000


def test_the_flid_follows_the_bias(result):
    flid = result.flid
    assert len(flid.time_s) == pytest.approx(3000, abs=4)
    assert set(flid.cycle.tolist()) == {0, 1, 2}
    assert np.isfinite(flid.potential_v).all()
    at_rest = np.abs(flid.potential_v + 0.9) < 0.1
    charged = np.abs(flid.potential_v + 1.7) < 0.02
    assert np.median(flid.lifetime_ns[at_rest]) > 80
    assert np.median(flid.lifetime_ns[charged]) == pytest.approx(7.05, rel=0.1)
    assert np.median(flid.rate_hz[charged]) == pytest.approx(9.07e3, rel=0.1)
    assert result.scaling.lifetime_ns[1] == pytest.approx(result.states.x_minus.lifetime_ns, rel=1e-6)
    assert (result.hold_flid.cycle == -1).all()
    assert (result.hold_flid.potential_v == 0.0).all()


def test_state_decays_come_with_their_fits(result):
    for state in (result.states.x0, result.states.x_minus):
        curve = result.state_decay(state)
        assert curve.counts.sum() == state.photons
        chi2 = ((curve.counts - curve.fit_counts) ** 2 / np.maximum(curve.fit_counts, 1)).mean()
        assert chi2 == pytest.approx(1.0, abs=0.3)
    assert result.state_decay(result.states.x_plus) is None


def test_without_markers_the_vertex_is_as_uncertain_as_the_clock(data):
    result = analyze_voltammetry_flid(replace(data, wiring=None))
    assert result.timeline.source == "clock"
    assert result.enhancement.error > 0.2 * result.enhancement.value
    assert any("uncertain by" in w for w in result.warnings)


def empty_of(data, **changes):
    return replace(data, photons=PhotonArrays(*data.photons.between(0, 0)), **changes)


def test_what_is_missing_from_a_run_is_null_with_a_warning_and_the_rest_is_there(data):
    cases = {
        "hold": replace(data, hold_s=None),
        "doubt": replace(data, hold_s=(0.5, 0.6)),
        "sweep": replace(data, records=(), cycles=0),
        "photons": empty_of(data),
    }
    for word, case in cases.items():
        result = analyze_voltammetry_flid(case)
        summary = result.summary()
        assert_summary_is_plain(summary)
        assert any(word in w for w in result.warnings), word
        assert summary["lifetime_enhancement"] is None
        if word in ("hold", "doubt"):
            assert summary["x0"]["lifetime_ns"] is None
            assert summary["at_vertex"]["lifetime_ns"] > 0.8
        elif word == "sweep":
            assert summary["x0"]["lifetime_ns"] > 120
            assert summary["flid"]["n_bins"] == 0
            assert summary["potential_alignment"] == {"source": "clock", "uncertainty_s": None}
    nothing = analyze_voltammetry_flid(empty_of(data, records=(), cycles=0, hold_s=None, duration_s=0.0))
    assert_summary_is_plain(nothing.summary())


def test_a_run_cut_off_in_the_first_cycle_keeps_what_it_has(data):
    kept = data.photons.between(0, round(35.0 / data.sync_period_s))
    result = analyze_voltammetry_flid(
        replace(
            data,
            photons=PhotonArrays(*kept),
            duration_s=35.0,
            marker_sync=data.marker_sync[:1],
            marker_line=data.marker_line[:1],
            status="aborted",
        )
    )
    assert result.summary()["status"] == "aborted"
    assert result.states.x0 is not None
    assert result.at_vertex is None
    assert 200 < len(result.flid.time_s) < 220


def test_a_dot_that_does_not_charge_shows_no_enhancement(pulls):
    bias = np.concatenate((np.zeros(8000), np.tile(-2.0 + np.abs(np.arange(-2000, 2000) + 0.5) / 1000, 1)))
    dot = pulls.ChargedDot.batch_1(charges=False)
    sync, dtime, channel = pulls.photons_of(dot, bias, 0.001, seed=3)
    time_s = np.arange(1, 801) * 0.005
    record = pulls.PotentialRecord(
        time_s, -2.0 + np.abs(time_s - 2.0), np.zeros_like(time_s), 8.0, 0.001, 4.0
    )
    run = replace(
        pulls.default_run(1, 0, hold_s=0.0, cycles=0),
        photons=PhotonArrays(sync, dtime, channel), duration_s=12.0, hold_s=(0.0, 8.0), cycles=1,
        records=(record,), wiring=None,
    )  # fmt: skip
    result = analyze_voltammetry_flid(run)
    assert result.enhancement.value == pytest.approx(1.0, abs=4 * result.enhancement.error)
    assert result.drop.value == pytest.approx(1.0, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2])
def test_pulls_over_twenty_runs_have_mean_zero_and_spread_one(pulls, batch):
    planted = pulls.plant(batch)
    values: dict[str, list[float]] = {}
    for seed in range(20):
        result = analyze_voltammetry_flid(pulls.default_run(batch, seed))
        for name, (value, error, true) in pulls.rows(result, planted).items():
            values.setdefault(name, []).append((value - true) / error)
    for name, pull in values.items():
        if name.startswith("  "):  # the check by intensities has a stated systematic part
            continue
        assert len(pull) >= 18, name
        assert abs(np.mean(pull)) < 0.8, name
        assert np.std(pull, ddof=1) < 1.5, name
