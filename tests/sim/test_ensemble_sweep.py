"""Sweeps over processes and over a cluster, and large ensembles in parts."""

from __future__ import annotations

import json
from contextlib import contextmanager

import numpy as np
import pytest

from qdlab.sim import ensemble_sweep
from qdlab.sim.ensemble_sweep import SweepPoint, large_response, planted, sweep
from qdlab.sim.physics.dimer_ensemble import quasi_homodimers
from qdlab.sim.physics.response_engine import rephasing_and_nonrephasing

POINTS = [SweepPoint(d, s, 60) for d in (2.8, 3.0) for s in (0.05, 0.09)]
T1, T2, T3 = 6.0 * np.arange(8), 8.0 * np.arange(6), 6.0 * np.arange(8)


@pytest.fixture
def worked(monkeypatch):
    """Work in this process; the points that were worked on."""
    points = []

    @contextmanager
    def here(processes, scheduler):
        def run(work, wanted):
            for point in wanted:
                points.append(point)
                yield point, work(point)

        yield run

    monkeypatch.setattr(ensemble_sweep, "_workers", here)
    return points


def fails_at_3_nm(point):
    if point.mean_nm == 3.0:
        raise ArithmeticError("no")
    return planted(point)


def test_a_sweep_over_processes_gives_every_point_in_order(tmp_path):
    found = sweep(POINTS, tmp_path, processes=2)
    assert found == [planted(point) for point in POINTS]
    assert found[0]["lowest_band_cm"] > found[2]["lowest_band_cm"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(p.file_name for p in POINTS)


def test_an_error_in_a_process_comes_out(tmp_path):
    with pytest.raises(ValueError, match="dispersion"):
        sweep([SweepPoint(3.0, 7.0, 5)], tmp_path, processes=1)
    assert not list(tmp_path.iterdir())


def test_a_sweep_is_taken_up_where_it_stopped(tmp_path, worked):
    first = sweep(POINTS[:1], tmp_path)
    both = sweep(POINTS[:2], tmp_path)
    assert worked == POINTS[:2]
    assert sweep([*POINTS[:2], POINTS[0]], tmp_path) == [*both, *first]
    assert worked == POINTS[:2]


def test_points_before_an_error_are_kept(tmp_path, worked):
    with pytest.raises(ArithmeticError, match="no"):
        sweep(POINTS, tmp_path, evaluate=fails_at_3_nm)
    assert len(list(tmp_path.glob("2.8nm*.json"))) == 2
    sweep(POINTS, tmp_path)
    assert worked == [*POINTS[:3], *POINTS[2:]]


@pytest.mark.parametrize("damage", ["", "{", '{"point": [1], "numbers": {}}', "[]"])
def test_a_broken_file_is_evaluated_again(tmp_path, worked, damage):
    (tmp_path / POINTS[0].file_name).write_text(damage)
    assert sweep(POINTS[:1], tmp_path) == [planted(POINTS[0])]
    assert worked == POINTS[:1]


def test_a_large_ensemble_is_the_mean_of_its_parts(monkeypatch):
    monkeypatch.setattr(ensemble_sweep, "PART", 30)
    whole = SweepPoint(3.0, 0.09, 70, seed=5)
    found = large_response(whole, T1, T2, T3, processes=2)
    expected = 0
    for size, seed in zip((24, 23, 23), np.random.SeedSequence(5).generate_state(3), strict=True):
        part = rephasing_and_nonrephasing(quasi_homodimers(3.0, 0.09, size, seed=int(seed)), T1, T2, T3)
        expected = expected + size / 70 * part.rephasing
    np.testing.assert_allclose(found.rephasing, expected, atol=1e-5 * np.abs(expected).max())


def test_a_scheduler_without_dask_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install qdlab\[dask\]"):
        sweep(POINTS, tmp_path, scheduler="tcp://nowhere:1")


@pytest.mark.slow
def test_the_same_sweep_runs_on_a_scheduler(tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        found = sweep(POINTS, tmp_path, scheduler=cluster.scheduler_address)
        assert found == [planted(point) for point in POINTS]
        stored = json.loads((tmp_path / POINTS[3].file_name).read_text())
        assert stored["numbers"] == found[3]
        whole = SweepPoint(3.0, 0.09, 40, seed=5)
        here = large_response(whole, T1, T2, T3, processes=1)
        there = large_response(whole, T1, T2, T3, scheduler=cluster.scheduler_address)
        np.testing.assert_array_equal(there.rephasing, here.rephasing)
