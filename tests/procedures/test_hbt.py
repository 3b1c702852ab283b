"""HBT through the real drivers on the twin: the record, g2(0), stopping early, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from qdlab.formats.run_file import read_run_file
from qdlab.procedures.analyses import analyze_run

from .conftest import read_json


@pytest.fixture
def hbt(qdlab, tmp_path):
    """A run of the shipped experiment with settings; returns how it ended and the run file's path."""

    def call(*settings: str, station: str | None = None):
        arguments = [a for setting in settings for a in ("--set", setting)]
        if station is not None:
            arguments += ["--station", station]
        ended = qdlab("run", "hbt", "--out", tmp_path / "runs", "--speed", "max", *arguments)
        return ended, Path(ended.out.strip().splitlines()[-1])

    return call


def test_a_run_at_minus_1_5_v_gives_g2_of_the_page_and_reopens_to_the_same_numbers(hbt, qdlab, tmp_path):
    ended, path = hbt("potential_v=-1.5", "duration_s=30")
    assert ended.status == 0, ended.err
    assert path.with_suffix(".png").stat().st_size > 30_000
    again = qdlab("analyze", path, "--json", tmp_path / "a.json", "--figure", tmp_path / "a.png")
    assert again.status == 0, again.err
    table = again.out.strip().splitlines()
    assert "\n".join(table) in ended.out
    summary = read_json(tmp_path / "a.json")
    assert {"kind", "status", "photons", "duration_s", "potential_v", "g2_zero", "peaks"} <= set(summary)
    assert summary["kind"] == "hbt"
    assert summary["duration_s"] == pytest.approx(30.0, abs=1e-6)
    assert summary["potential_v"] == -1.5
    assert sum(summary["rates_hz"]) == pytest.approx(17_400, rel=0.02)
    g2 = summary["g2_zero"]
    assert set(g2) == {
        *("window", "window_err", "sync", "sync_err"),
        *("background_corrected", "background_corrected_err"),
    }
    assert g2["window"] == pytest.approx(0.295, abs=3.5 * g2["window_err"])
    assert g2["background_corrected"] < g2["sync"]
    assert [peak["order"] for peak in summary["peaks"]] == list(range(-10, 11))


def test_only_photons_of_the_hold_are_used(hbt):
    # before the program and after it the cell is at rest and the dot four times as bright
    _, path = hbt("potential_v=-1.7", "duration_s=10")
    run = read_run_file(path)
    result = analyze_run(run).result
    assert result.duration_s == pytest.approx(10.0, abs=1e-6)
    assert result.trace_hz.max() < 12_000
    assert run.photons.duration_s > 15


def test_the_cell_at_rest_needs_no_potentiostat(hbt):
    ended, path = hbt("use_potentiostat=0", "duration_s=60")
    assert ended.status == 0, ended.err
    run = read_run_file(path)
    assert run.potentiostat == []
    summary = analyze_run(run).summary()
    assert summary["potential_v"] is None
    assert summary["duration_s"] == pytest.approx(60.0, abs=0.2)
    g2 = summary["g2_zero"]
    # neighbouring pulses leak into the window of a dot of 125 ns; by pulse number they do not
    assert g2["window"] == pytest.approx(0.29, abs=0.02 + 3 * g2["window_err"])
    assert g2["sync"] == pytest.approx(0.19, abs=0.02 + 3 * g2["sync_err"])
    assert g2["background_corrected"] == pytest.approx(0.165, abs=0.02 + 3 * g2["background_corrected_err"])


@pytest.mark.parametrize("rest", [0, 1])
def test_a_run_stops_when_g2_is_known_well_enough_and_not_before(hbt, rest):
    ended, path = hbt("precision=0.06", "duration_s=120", "potential_v=-1.6", f"use_potentiostat={1 - rest}")
    assert ended.status == 0, ended.err
    run = read_run_file(path)
    assert "stopped early" in run.log
    summary = analyze_run(run).summary()
    assert 1.5 < summary["duration_s"] < 60
    assert 0.04 < summary["g2_zero"]["window_err"] < 0.066


def test_a_run_that_reaches_no_precision_runs_to_its_end(hbt):
    ended, path = hbt("precision=0.001", "duration_s=5", "potential_v=-1.6")
    assert ended.status == 0, ended.err
    run = read_run_file(path)
    assert "stopped early" not in run.log
    assert analyze_run(run).summary()["duration_s"] == pytest.approx(5.0, abs=1e-6)


def test_without_the_potentiostats_records_no_photon_is_used_and_the_result_says_so(hbt):
    _, path = hbt("duration_s=3")
    run = read_run_file(path)
    run.potentiostat.clear()
    analysis = analyze_run(run)
    summary = analysis.summary()
    assert summary["photons"] == 0
    assert summary["g2_zero"]["window"] is None
    assert analysis.result.warnings
    json.dumps(summary, allow_nan=False)


def test_tables_hold_the_peaks_and_the_cross_correlation(hbt):
    _, path = hbt("duration_s=3", "use_potentiostat=0")
    tables = analyze_run(read_run_file(path)).tables()
    peaks, curve = tables["peaks"], tables["cross_correlation"]
    np.testing.assert_array_equal(peaks["delay_ns"], 400.0 * np.arange(-10, 11))
    assert curve["pairs"].sum() == pytest.approx(peaks["window_pairs"].sum(), rel=0.01)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("potential_v=-2.3", ["-2.3", "-2.0"]),
        ("duration_s=0", ["duration_s", "[1.0"]),
        ("duration_s=long", ["duration_s", "long"]),
        ("precision=-1", ["precision", "-1"]),
        ("use_potentiostat=2", ["use_potentiostat", "2"]),
    ],
)
def test_a_bad_setting_is_refused_before_anything_moves(qdlab, tmp_path, setting, words):
    ended = qdlab("run", "hbt", "--out", tmp_path / "runs", "--set", setting)
    assert ended.status == 2
    for word in words:
        assert word in ended.sentence
    assert not list(tmp_path.glob("runs/*"))
