from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qdlab.analysis.potential import MarkerWiring, PotentialRecord, align_potential

SCAN, VERTEX, CYCLE_S = 0.2, -2.0, 20.0
WIRING = MarkerWiring()


def triangle(time_s):
    return VERTEX + np.abs(np.asarray(time_s) % CYCLE_S - CYCLE_S / 2) * SCAN


def record(start_s: float, cycles: int = 3, start_uncertainty_s: float = 0.5) -> PotentialRecord:
    time_s = np.arange(1, round(cycles * CYCLE_S / 0.005) + 1) * 0.005
    return PotentialRecord(
        time_s, triangle(time_s), np.zeros_like(time_s), start_s, start_uncertainty_s, CYCLE_S
    )


def edges(start_s: float, drift: float, threshold_v: float, cycles: int = 3):
    lag_s = abs(threshold_v) / SCAN
    on_record = np.array([(k * CYCLE_S + lag_s, (k + 1) * CYCLE_S - lag_s) for k in range(cycles)]).ravel()
    return start_s + (1 + drift) * on_record, np.tile(np.array([1, 2], np.uint8), cycles)


def test_potential_comes_back_whatever_threshold_clock_and_start_are():
    rng = np.random.default_rng(0)
    pulls = []
    for _ in range(40):
        start, drift = 31.0 + rng.uniform(0, 1), rng.normal(0, 40e-6)
        marks, lines = edges(start, drift, rng.normal(-0.02, 0.005))
        marks = marks + rng.normal(0, 0.002, len(marks))
        timeline = align_potential([record(start + rng.normal(0, 0.5))], marks, lines, WIRING)
        assert timeline.source == "marker"
        at = start + rng.uniform(1, 59, 200)
        found, error = timeline.at(at)
        true = triangle((at - start) / (1 + drift))
        assert np.abs(found - true).max() < 0.004
        pulls.append((found[0] - true[0]) / error[0])
    assert 0.3 < np.std(pulls) < 1.3


def test_the_vertex_lies_midway_between_the_edges_whatever_the_threshold():
    marks, lines = edges(31.0, 0.0, -0.05)
    loose = replace(WIRING, threshold_err_v=0.03)
    sweep = align_potential([record(31.2)], marks, lines, loose).sweeps[0]
    vertex_s = sweep.start_s + (1 + sweep.drift) * 30.0
    assert vertex_s == pytest.approx(61.0, abs=0.001)
    assert sweep.threshold_v == pytest.approx(-0.05, abs=0.001)


def test_glitches_and_a_missing_edge_do_not_disturb():
    marks, lines = edges(31.0, 20e-6, -0.022)
    kept = np.arange(len(marks)) != 2
    marks = np.concatenate((marks[kept], [33.3, 47.0, 60.01]))
    lines = np.concatenate((lines[kept], np.array([1, 2, 4], np.uint8)))
    sweep = align_potential([record(30.4)], marks, lines, WIRING).sweeps[0]
    assert sweep.marks_used == 5
    assert sweep.start_s == pytest.approx(31.0, abs=0.005)


def test_one_edge_alone_is_as_uncertain_as_the_threshold():
    marks, lines = edges(31.0, 0.0, -0.02, cycles=1)
    sweep = align_potential([record(31.3, cycles=1)], marks[:1], lines[:1], WIRING).sweeps[0]
    assert sweep.source == "marker"
    uncertainty_s = sweep.time_uncertainty_s(np.array([10.0]))[0]
    assert uncertainty_s == pytest.approx(WIRING.threshold_err_v / SCAN, rel=0.1)


def test_without_markers_the_program_clock_and_its_uncertainty_are_used():
    for wiring, marks in ((None, edges(31.0, 0.0, -0.02)), (WIRING, (np.empty(0), np.empty(0, np.uint8)))):
        timeline = align_potential([record(31.0, start_uncertainty_s=0.8)], *marks, wiring)
        assert timeline.source == "clock"
        assert timeline.uncertainty_s == pytest.approx(0.8, rel=0.01)
        potential, error = timeline.at(np.array([36.0]))
        assert potential[0] == pytest.approx(-1.0, abs=0.001)
        assert error[0] == pytest.approx(0.8 * SCAN, rel=0.01)


def test_potential_cycle_and_windows_are_known_in_sweeps_only():
    later = replace(record(131.0), first_cycle=3)
    timeline = align_potential([record(31.0), later], *edges(31.0, 0.0, -0.02), WIRING)
    assert timeline.source == "clock"  # the second sweep has no marks
    at = np.array([5.0, 31.5, 52.0, 90.9, 100.0, 131.5, 190.0, 200.0])
    assert timeline.cycle_at(at).tolist() == [-1, 0, 1, 2, -1, 3, 5, -1]
    assert np.isnan(timeline.at(at)[0]).tolist() == [True, False, False, False, True, False, False, True]
    windows = timeline.windows_near(VERTEX, 0.03)
    assert len(windows) == 6
    assert windows[0] == pytest.approx((40.85, 41.15), abs=0.005)
    assert timeline.windows_near(-2.5, 0.03) == []


def test_a_run_without_sweeps_has_no_potential():
    timeline = align_potential([], np.empty(0), np.empty(0, np.uint8), WIRING)
    assert timeline.source == "clock"
    assert np.isnan(timeline.uncertainty_s)
    assert np.isnan(timeline.at(np.array([1.0]))[0]).all()
    assert timeline.cycle_at(np.array([1.0])).tolist() == [-1]


def test_a_long_record_follows_a_clock_that_drifts_by_half_a_second():
    start, drift, cycles = 31.0, 60e-6, 300
    marks, lines = edges(start, drift, -0.021, cycles)
    timeline = align_potential([record(31.4, cycles)], marks, lines, WIRING)
    sweep = timeline.sweeps[0]
    assert sweep.marks_used == 2 * cycles
    assert sweep.drift == pytest.approx(drift, abs=1e-6)
    assert sweep.span_s[1] == pytest.approx(start + (1 + drift) * cycles * CYCLE_S, abs=0.003)
