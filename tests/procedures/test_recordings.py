"""Every real file gives its expected values through the command line."""

import json
import os
from datetime import datetime
from pathlib import Path

import pytest

from .conftest import read_json

DATA = Path(os.environ.get("QDLAB_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real recordings at {DATA}")


def expected(kind: str) -> dict:
    path = DATA / kind / "expected.json"
    return json.loads(path.read_text()) if path.is_file() else {}


@pytest.fixture
def analyzed(qdlab, tmp_path):
    def call(path: Path) -> dict:
        ended = qdlab("analyze", path, "--json", tmp_path / "a.json", "--figure", tmp_path / "a.png")
        assert ended.status == 0, ended.err
        assert (tmp_path / "a.png").stat().st_size > 5_000
        return read_json(tmp_path / "a.json")

    return call


@needs_data
@pytest.mark.parametrize("name", expected("chi"))
def test_a_chi_file_gives_its_expected_values(analyzed, name):
    want = expected("chi")[name]
    got = analyzed(DATA / "chi" / name)
    assert got["kind"] == "chi"
    assert got["model"] == want["model"]
    assert got["technique"] == want["technique"]
    assert datetime.fromisoformat(got["date"]) == datetime.fromisoformat(want["date"])
    assert got["columns"] == want["columns"]
    assert got["points"] == want["points"]
    assert got["parameters"] == want["params"]
    potential = want.get("Potential", {})
    assert got["first_potential_v"] == want.get("first_potential_V", potential.get("first"))
    assert got["last_potential_v"] == want.get("last_potential_V", potential.get("last"))
    assert got["scan_rate_v_s"] == want.get("scan_rate_V_s")
    if "points_at_or_above_10x_sens" in want:
        assert got["overload_points"] == want["points_at_or_above_10x_sens"]
    current = want.get("Current") or want.get("i1")
    if current is None:
        assert got["current_a"] is None
    else:
        for key in ("first", "last", "max", "min", "mean"):
            assert got["current_a"][key] == pytest.approx(current[key], rel=1e-9)


@needs_data
@pytest.mark.parametrize("name", ["th260p_t3.ptu", "th260p_t2.ptu"])
def test_a_synthetic_ptu_file_gives_its_expected_values(analyzed, name):
    want = expected("ptu/synthetic")[name]
    got = analyzed(DATA / "ptu" / "synthetic" / name)
    for key in ("records", "photons", "markers", "overflow_records", "first_photon", "last_photon"):
        assert got[key] == want[key]
    assert got["time_sum"] == want.get("nsync_sum", want.get("timetag_sum"))
    assert got["dtime_sum"] == want.get("dtime_sum")
    assert got["warnings"] == []


@needs_data
def test_a_real_hydraharp_file_gives_its_expected_values(analyzed):
    got = analyzed(DATA / "ptu" / "real" / "hydraharp400_v3_t2.ptu")
    assert got["records"] == 435319
    assert got["photons"] == {"0": 305565}
    assert got["overflow_records"] == 129754
    assert got["first_photon"] == [24433765, 0]
    assert got["last_photon"] == [4999964931763, 0]
    assert got["time_sum"] == 763828286071656274
    assert got["duration_s"] == pytest.approx(4.99998, abs=1e-5)


@needs_data
def test_a_histogram_listing_is_refused_in_one_sentence(qdlab):
    ended = qdlab("analyze", DATA / "ptu" / "real" / "timeharp260p_histomode_25ps.txt")
    assert ended.status == 2
    assert "timeharp260p_histomode_25ps.txt" in ended.sentence


@needs_data
def test_a_truncated_recording_loads_what_is_there_with_a_warning(analyzed, tmp_path):
    whole = (DATA / "ptu" / "synthetic" / "th260p_t3.ptu").read_bytes()
    cut = tmp_path / "cut.ptu"
    cut.write_bytes(whole[: len(whole) // 2 + 1])
    got = analyzed(cut)
    assert 0 < got["records"] < expected("ptu/synthetic")["th260p_t3.ptu"]["records"]
    assert got["warnings"]


@needs_data
def test_a_truncated_voltammogram_loads_what_is_there_with_a_warning(analyzed, tmp_path):
    whole = (DATA / "chi" / "cv_chi601d_nonaq_-2.5V.txt").read_bytes()
    cut = tmp_path / "cut.txt"
    cut.write_bytes(whole[: len(whole) // 2])
    got = analyzed(cut)
    assert 0 < got["points"] < 5000
    assert got["complete"] is False
    assert got["warnings"]
