"""The blank on the twin, and a station that takes its calibration from it."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from qdlab.formats.run_file import read_run_file

from .conftest import read_json

SHIPPED = Path(__file__).parents[2] / "configs"
KEYS = {
    *("kind", "status", "photons", "dark_s", "scatter_s", "dark_rate_hz", "dark_rate_err_hz"),
    *("prompt_rate_hz", "prompt_rate_err_hz", "prompt_lifetime_ns", "prompt_lifetime_err_ns"),
    *("irf_fwhm_ps", "irf_fwhm_err_ps", "time_zero_ns", "time_zero_err_ns", "chi2_per_bin"),
    *("afterpulsing", "warnings"),
}


def run_path(ended) -> Path:
    return Path(ended.out.strip().splitlines()[-1])


@pytest.fixture
def blank(qdlab, tmp_path):
    """A blank of 20 s and 40 s on the twin."""
    ended = qdlab(
        *("run", "blank", "--out", tmp_path / "blanks", "--speed", "max"),
        *("--set", "dark_s=20", "--set", "scatter_s=40"),
    )
    assert ended.status == 0, ended.err
    return run_path(ended)


def station_with(folder: Path, calibration: str) -> Path:
    """The simulated station with another [calibration]."""
    text = (SHIPPED / "charging_simulated.toml").read_text()
    start, end = text.index("[calibration]"), text.index("[simulation]")
    path = folder / "station.toml"
    path.write_text(f"{text[:start]}[calibration]\n{calibration}\n\n{text[end:]}")
    return path


def short_cv(qdlab, station: Path, out: Path):
    return qdlab(
        *("run", "cv_flid", "--out", out, "--speed", "max", "--station", station),
        *("--set", "hold_s=1", "--set", "cycles=1", "--set", "scan_rate_v_s=4"),
    )


def test_the_blank_finds_what_the_detectors_and_the_laser_do(blank, qdlab, tmp_path):
    result, picture = tmp_path / "a.json", tmp_path / "a.png"
    assert qdlab("analyze", blank, "--json", result, "--figure", picture).status == 0
    found = read_json(result)
    assert set(found) == KEYS
    assert found["kind"] == "blank"
    assert found["status"] == "finished"
    planted = {  # 0.5 % of afterpulses are part of what is recorded
        "prompt_rate_hz": 230 * 1.005,
        "prompt_lifetime_ns": 0.3,
        "irf_fwhm_ps": 400.0,
        "time_zero_ns": 2.0,
    }
    for name, value in planted.items():
        stem, _, unit = name.rpartition("_")
        assert found[name] == pytest.approx(value, abs=4 * found[f"{stem}_err_{unit}"]), name
    for rate, error in zip(found["dark_rate_hz"], found["dark_rate_err_hz"], strict=True):
        assert rate == pytest.approx(75 * 1.005, abs=4 * error)
    after = found["afterpulsing"]
    assert after["measured"]
    assert after["probability"] == pytest.approx(0.005, abs=4 * after["probability_err"])
    assert picture.stat().st_size > 20_000


def test_the_laser_was_locked_in_the_dark_part_and_only_there(blank):
    run = read_run_file(blank)
    assert run.photons is not None
    asked_s, done_s = (t - run.photons.start_s for t in run.header["laser_unlocked_s"])
    assert asked_s == pytest.approx(20.0, abs=0.5)
    assert done_s - asked_s < 0.1
    seconds = run.photons.sync * run.photons.sync_period_s
    assert (seconds < asked_s).sum() / asked_s == pytest.approx(150, abs=15)
    assert (seconds > done_s).sum() / 40 == pytest.approx(382, abs=20)
    assert len(run.potentiostat) == 0
    with h5py.File(blank) as file:
        dot = file["user/qdlab/truth/dot"]
        assert isinstance(dot, h5py.Group)


def test_analyze_opens_to_the_same_numbers(blank, qdlab, tmp_path):
    for name in ("a", "b"):
        qdlab("analyze", blank, "--json", tmp_path / f"{name}.json")
    assert read_json(tmp_path / "a.json") == read_json(tmp_path / "b.json")


def test_the_csv_export_has_the_decays(blank, qdlab, tmp_path):
    assert qdlab("export", blank, "--to", "csv", tmp_path / "csv").status == 0
    table = next((tmp_path / "csv").glob("*decay*.csv"))
    assert table.read_text().splitlines()[0].split(",")[1:] == ["counts_dark", "counts_laser_on"]


def test_a_station_takes_its_numbers_from_a_blank_and_the_run_says_from_which(blank, qdlab, tmp_path):
    station = station_with(tmp_path, f'run = "{blank.relative_to(tmp_path)}"')
    ended = short_cv(qdlab, station, tmp_path / "runs")
    assert ended.status == 0, ended.err
    used = read_run_file(run_path(ended)).header["station"]["calibration"]
    measured = json.loads(json.dumps(used))
    qdlab("analyze", blank, "--json", tmp_path / "blank.json")
    found = read_json(tmp_path / "blank.json")
    assert measured["dark_rate_hz"] == found["dark_rate_hz"]
    assert measured["prompt_rate_hz"] == found["prompt_rate_hz"]
    assert measured["irf_fwhm_ps"] == found["irf_fwhm_ps"]
    assert measured["afterpulsing"] == found["afterpulsing"]["probability"]
    assert measured["blank_s"] == found["scatter_s"]
    assert Path(measured["run"]) == blank.resolve()
    assert measured["run_started"] == read_run_file(blank).header["started"]
    # the blank may go: the run's own file is whole
    blank.unlink()
    assert qdlab("analyze", run_path(ended)).status == 0


def test_a_calibration_run_that_is_missing_is_refused_with_file_table_and_key(qdlab, tmp_path):
    ended = short_cv(qdlab, station_with(tmp_path, 'run = "nowhere/blank.h5"'), tmp_path / "runs")
    assert ended.status == 2
    for word in ("station.toml", "[calibration]", "run", "nowhere/blank.h5", "qdlab run blank"):
        assert word in ended.sentence
    assert not (tmp_path / "runs").exists()


def test_a_calibration_run_of_another_kind_is_refused(qdlab, tmp_path):
    other = run_path(short_cv(qdlab, SHIPPED / "charging_simulated.toml", tmp_path / "others"))
    ended = short_cv(qdlab, station_with(tmp_path, f'run = "{other}"'), tmp_path / "runs")
    assert ended.status == 2
    assert "voltammetry_flid" in ended.sentence
    assert "[calibration]" in ended.sentence


def test_a_calibration_run_that_is_no_run_file_is_refused(qdlab, tmp_path):
    (tmp_path / "notes.h5").write_text("dark: about 75")
    ended = short_cv(qdlab, station_with(tmp_path, 'run = "notes.h5"'), tmp_path / "runs")
    assert ended.status == 2
    assert "notes.h5" in ended.sentence


def test_a_blank_that_is_too_short_is_refused_as_a_calibration(qdlab, tmp_path):
    ended = qdlab(
        *("run", "blank", "--out", tmp_path / "blanks"), *("--set", "dark_s=1", "--set", "scatter_s=1")
    )
    assert ended.status == 0, ended.err
    assert "count longer" in " ".join(ended.out.split())
    refused = short_cv(qdlab, station_with(tmp_path, f'run = "{run_path(ended)}"'), tmp_path / "runs")
    assert refused.status == 2
    assert "count longer" in refused.sentence


def test_numbers_beside_a_run_are_refused(qdlab, tmp_path):
    ended = short_cv(qdlab, station_with(tmp_path, 'run = "a.h5"\nprompt_rate_hz = 230.0'), tmp_path / "runs")
    assert ended.status == 2
    assert "[calibration]" in ended.sentence
    assert "prompt_rate_hz" in ended.sentence


def test_a_station_can_be_made_safe_without_its_calibration_run(qdlab, tmp_path):
    station = station_with(tmp_path, 'run = "nowhere/blank.h5"')
    assert qdlab("station", "safe", station).status == 0


@pytest.mark.parametrize("setting", ["dark_s=0", "scatter_s=-1", "dark_s=nan"])
def test_an_impossible_time_is_refused(qdlab, tmp_path, setting):
    ended = qdlab("run", "blank", "--out", tmp_path / "runs", "--set", setting)
    assert ended.status == 2
    assert setting.partition("=")[0] in ended.sentence


def test_the_same_seed_gives_the_same_blank(qdlab, tmp_path):
    paths = [
        run_path(
            qdlab(
                "run",
                "blank",
                "--out",
                tmp_path / "runs",
                "--set",
                "dark_s=2",
                "--set",
                "scatter_s=2",
                *speed,
            )
        )
        for speed in ((), ("--speed", "50"))
    ]
    first, second = (read_run_file(path).photons for path in paths)
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.sync, second.sync)
