"""`qdlab reproduce hamilton`: what a row says, and that a scan is held against its own sample."""

import json

import numpy as np
import pytest

from qdlab.procedures.comparison import Study
from qdlab.procedures.config import locate
from qdlab.procedures.reproduce_hamilton import (
    MAIN,
    OTHER,
    SAMPLES,
    Reproduced,
    Sample,
    Scan,
    beat_rows,
    computed,
    level_rows,
    map_rows,
    scanned,
    write_reproduced,
)

TINY = {"t1_points": 16, "t2_start_fs": 104, "t2_step_fs": 24, "t2_points": 3, "fastest_beat_cm": 600}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    """With ensembles small enough for tests."""
    folder = tmp_path_factory.mktemp("study")
    shipped = locate("coherence_simulated").read_text(encoding="utf-8")
    station = folder / "small.toml"
    station.write_text(shipped.replace("dimers = 4000", "dimers = 200"), encoding="utf-8")
    return Study(folder / "out", 3, True, tell=lambda what: None, station=str(station))


@pytest.fixture(scope="module")
def both(study) -> tuple[Sample, Sample]:
    return scanned(study, MAIN, TINY), scanned(study, OTHER, TINY)


def test_the_acquired_map_is_the_planted_one_with_noise(both):
    for sample in both:
        found, planted = sample.scan.maps.rephasing, sample.planted_maps.rephasing
        alike = abs(np.vdot(found, planted)) / (np.linalg.norm(found) * np.linalg.norm(planted))
        assert alike > 0.9


def test_the_levels_of_the_two_samples_are_found_where_they_were_planted(both):
    energy, width = level_rows(*both)
    assert energy.found < 0
    assert abs(energy.pull) < 4
    assert abs(width.pull) < 4
    assert energy.below
    assert energy.agrees


def test_what_no_scan_gives_is_told_of_the_ensembles(both, tmp_path):
    rows = list(level_rows(*both))
    told = list(computed({sample.label: sample.ensemble for sample in both}))
    assert {each.quantity for each in told} >= {"mean M of 1S", "lowest exciton, width"}
    write_reproduced(Reproduced(rows, told), tmp_path / "table.json")
    written = json.loads((tmp_path / "table.json").read_text())
    assert written["ensembles"][0]["ensembles"].keys() == {SAMPLES[MAIN], SAMPLES[OTHER]}
    assert {"pull", "planted", "ensemble", "agrees"} <= written["rows"][0].keys()


NAMES = [f"{kind}.{what}" for kind in ("I", "II", "III") for what in ("w1_cm", "w3_cm", "maximum")]
FITTED = [f"{kind}.{what}" for kind in ("I", "II", "III")
          for what in ("frequency_cm", "dephasing_fs", "trace_dephasing_fs")]  # fmt: skip


def invented(both, found: float, models: float) -> Sample:
    """A sample of which every number is 1 as planted, noise 0.01, and fits differ by `models`."""
    numbers = dict.fromkeys([*NAMES, "II.below", "II.above"], 1.0)

    def scan(value: float, noise: float) -> Scan:
        fits = [dict.fromkeys(FITTED, value + shift) for shift in (0.0, models, -models)]
        named = dict.fromkeys([*numbers, *FITTED], noise)
        return Scan(both[0].scan.maps, both[0].scan.plan, numbers, fits, named, dict.fromkeys(named, 0.0))

    planted = scan(1.0, 0.0)
    return Sample("made up", scan(found, 0.01), planted, both[0].planted_maps, both[0].ensemble)


def test_doubts_about_the_model_widen_the_error_but_excuse_no_pull(both):
    row = next(r for r in beat_rows(invented(both, 1.05, 0.2)) if "global fit" in r.quantity)
    assert row.error == pytest.approx(0.2, rel=0.01)
    assert row.pull == pytest.approx(5.0)
    assert not row.agrees


def test_every_dephasing_time_is_told_by_its_kind(both):
    times = [row for row in beat_rows(invented(both, 1.0, 0.1)) if row.unit == "fs"]
    assert len(times) == 6
    for row in times:
        assert "global fit" in row.quantity or "trace at its address" in row.quantity
        assert row.ensemble is not None


def test_the_order_of_the_maxima_is_checked_against_the_paper(both):
    rows = [row for row in map_rows(invented(both, 1.0, 0.0)) if row.below]
    assert len(rows) == 2
    assert all(row.paper == 1.0 for row in rows)


@pytest.mark.slow
def test_the_quick_study_agrees_with_paper_and_plan(qdlab, tmp_path):
    ended = qdlab("reproduce", "hamilton", "--quick", "--check", "--out", tmp_path)
    assert ended.status == 0, ended.out
    for number in (2, 3, 4):
        assert (tmp_path / f"figure_{number}.png").stat().st_size > 10_000
