"""Bad input: one clear sentence, exit status 2, nothing moves, nothing is overwritten."""

import os
import sys
from pathlib import Path

import pytest

SHIPPED = Path(__file__).parents[2] / "configs"


@pytest.fixture
def station(tmp_path):
    """A copy of the simulated station with one text replaced by another."""

    def make(old: str, new: str) -> Path:
        text = (SHIPPED / "charging_simulated.toml").read_text()
        assert old in text
        path = tmp_path / "station.toml"
        path.write_text(text.replace(old, new))
        return path

    return make


@pytest.fixture
def refused(qdlab, tmp_path):
    """Run with bad input; returns the sentence after checking that nothing happened."""

    def call(*arguments: object, experiment: object = "cv_flid") -> str:
        out = tmp_path / "out"
        ended = qdlab("run", experiment, "--out", out, *arguments)
        assert ended.status == 2
        assert not out.exists() or not list(out.iterdir())
        return ended.sentence

    return call


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        (
            "procedure = 'VoltammetryFLID'\nstation = 'charging_simulated'\ncolour = 1",
            ["colour", "known keys"],
        ),
        ("procedure = 'Nonsense'\nstation = 'charging_simulated'", ["Nonsense", "VoltammetryFLID"]),
        ("station = 'charging_simulated'", ["procedure", "missing"]),
        ("procedure = 'VoltammetryFLID'\nstation = 3", ["station", "3"]),
        ("procedure = 'VoltammetryFLID'\nstation = 'nowhere'", ["nowhere", "charging_simulated"]),
        (
            "procedure = 'VoltammetryFLID'\nstation = 'charging_simulated'\n[parameters]\nhold = 3",
            ["[parameters]", "'hold'", "hold_s"],
        ),
        (
            "procedure = 'VoltammetryFLID'\nstation = 'charging_simulated'\n[parameters]\nhold_s = '3'",
            ["[parameters]", "hold_s", "'3'"],
        ),
        (
            "procedure = 'VoltammetryFLID'\nstation = 'charging_simulated'\n[parameters]\ncycles = 2.5",
            ["cycles", "2.5", "whole"],
        ),
        (
            "procedure = 'VoltammetryFLID'\nstation = 'charging_simulated'\n[parameters]\nhold_s = nan",
            ["hold_s", "nan"],
        ),
        ("procedure = 'Volt", ["not valid TOML"]),
    ],
)
def test_a_bad_experiment_file_is_refused_with_file_key_and_value(refused, tmp_path, toml, words):
    experiment = write(tmp_path / "experiment.toml", toml)
    sentence = refused(experiment=experiment)
    for word in [*words, "nowhere" if "nowhere" in toml else "experiment.toml"]:
        assert word in sentence


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('driver = "chi760c"', 'driver = "chi760x"', ["[potentiostat]", "chi760x", "chi760c"]),
        ('driver = "chi760c"', 'driver = "pdl828"', ["[potentiostat]", "pdl828", "laser"]),
        ("intensity = 0.3", "intensity = 1.3", ["[laser]", "intensity", "1.3"]),
        ("intensity = 0.3", "intensity = 'low'", ["[laser]", "intensity", "low"]),
        ("intensity = 0.3", "inensity = 0.3", ["[laser]", "inensity", "known keys"]),
        ("potential_falling = 1", "potential_falling = 5", ["potential_falling", "5"]),
        (
            "potential_limits_v = [-2.0, 0.6]",
            "potential_limits_v = [0.6, -2.0]",
            ["potential_limits_v", "lower"],
        ),
        ('sample = "batch_1"', 'sample = "batch_3"', ["sample", "batch_3", "batch_2"]),
        (
            'connection = "simulated"\ncount',
            'connection = "/no/such/libth260.so"\ncount',
            ["/no/such/libth260.so"],
        ),
        (
            'connection = "simulated"\npotential',
            'connection = "/no/such/chi760c.exe"\npotential',
            ["/no/such/chi760c.exe"],
        ),
    ],
)
def test_a_bad_station_file_is_refused_with_table_key_and_value(refused, station, old, new, words):
    sentence = refused("--station", station(old, new))
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("vertex_v=-2.5", ["-2.5", "-2.0"]),
        ("initial_v=0.9", ["0.9", "0.6"]),
        ("nonsense=1", ["nonsense", "hold_s"]),
        ("hold_s=long", ["hold_s", "long"]),
        ("hold_s", ["key=value"]),
        ("cycles=-1", ["cycles", "-1"]),
        ("vertex_v=0", ["vertex_v", "no sweep"]),
        ("scan_rate_v_s=0", ["scan_rate_v_s"]),
    ],
)
def test_a_bad_setting_is_refused_before_anything_moves(refused, setting, words):
    sentence = refused("--set", setting)
    for word in words:
        assert word in sentence


def test_a_cycle_that_exceeds_the_point_limits_is_refused(refused, station):
    sentence = refused(
        "--station", station('"anodic_positive"', '"anodic_positive"\ndata_length_points = 1000')
    )
    assert "1000" in sentence


def test_an_unknown_fault_is_refused_with_the_known_ones(refused):
    assert "th260_fifo_overrun" in refused("--fault", "gremlins")


def test_an_impossible_speed_is_refused(refused):
    assert "--speed" in refused("--speed", "fast")


def test_nothing_to_do_is_refused(refused):
    assert "nothing to do" in refused("--set", "hold_s=0", "--set", "cycles=0")


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere; Windows has no such modes"
)
def test_a_folder_that_cannot_be_written_is_refused(qdlab, tmp_path):
    tmp_path.chmod(0o500)
    ended = qdlab("run", "cv_flid", "--out", tmp_path / "runs")
    tmp_path.chmod(0o700)
    assert ended.status == 2
    assert "cannot write" in ended.sentence


def test_an_output_folder_that_is_a_file_is_refused(qdlab, tmp_path):
    taken = write(tmp_path / "taken", "here first")
    ended = qdlab("run", "cv_flid", "--out", taken)
    assert ended.status == 2
    assert str(taken) in ended.sentence
    assert taken.read_text() == "here first"


def test_a_disk_with_too_little_room_is_refused(refused, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1_000_000})())
    assert "free" in refused()


@pytest.mark.parametrize("name", ["empty.ptu", "empty.h5", "empty.txt"])
def test_an_empty_file_is_refused(qdlab, tmp_path, name):
    ended = qdlab("analyze", write(tmp_path / name, ""))
    assert ended.status == 2
    assert "empty" in ended.sentence


@pytest.mark.parametrize("name", ["other.ptu", "other.h5", "other.txt"])
def test_a_file_that_is_not_what_its_name_says_is_refused(qdlab, tmp_path, name):
    ended = qdlab("analyze", write(tmp_path / name, "once upon a time\n" * 10))
    assert ended.status == 2
    assert name in ended.sentence


def test_a_file_that_is_not_there_is_refused(qdlab, tmp_path):
    ended = qdlab("analyze", tmp_path / "missing.ptu")
    assert ended.status == 2
    assert "missing.ptu" in ended.sentence
