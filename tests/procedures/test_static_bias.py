"""StaticBias through the real drivers on the twin: what was planted is found, and bad input is refused."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest

from qdlab.formats.run_file import read_run_file
from qdlab.procedures.analyses import analyze_run
from qdlab.procedures.config import locate
from qdlab.procedures.planted import Planted
from qdlab.procedures.run import execute_run, prepare_run
from qdlab.procedures.static_bias import StaticBias

from .conftest import read_json

KEYS = {
    "potential_v",
    "rate_hz",
    "lifetime_ns",
    "lifetime_err_ns",
    "enhancement",
    "drop",
    "g2_zero",
    "g2_zero_err",
}
PAGE = {  # rate in c/s, lifetime in ns, drop, g2(0), Fano factor, electrons
    -1.4: (21_200, 35.6, 1.66, 0.28, 1.91, 1.67),
    -1.5: (17_400, 20.7, 2.03, 0.295, 1.06, 2.49),
    -1.8: (5060, 3.62, 7.4, 0.568, 1.01, None),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def static_bias(qdlab, runs):
    """A run of the shipped experiment with settings; returns how it ended and the run file's path."""

    def call(*arguments: str):
        ended = qdlab("run", "static_bias", "--out", runs, "--speed", "max", *arguments)
        return ended, Path(ended.out.strip().splitlines()[-1])

    return call


def test_what_was_planted_is_found_at_every_potential(static_bias, qdlab, tmp_path):
    ended, path = static_bias("--set", "potentials_v=0, -1.4, -1.5, -1.8", "--set", "hold_s=30")
    assert ended.status == 0, ended.err
    assert path.with_suffix(".png").stat().st_size > 50_000

    # it reopens to the same numbers
    again = qdlab("analyze", path, "--json", tmp_path / "a.json")
    assert again.out.strip() in ended.out
    summary = read_json(tmp_path / "a.json")

    assert summary["kind"] == "static_bias"
    assert summary["potential_alignment"]["source"] == "marker"
    assert summary["x0"]["lifetime_ns"] == pytest.approx(125.0, abs=4 * summary["x0"]["lifetime_err_ns"])
    found = {at["potential_v"]: at for at in summary["potentials"]}
    assert list(found) == [0.0, *PAGE]
    point = Planted(path).held(-1.8)
    at = found[-1.8]
    assert at["rate_hz"] == pytest.approx(point.rate_hz, abs=0.003 * point.rate_hz + 4 * at["rate_err_hz"])
    assert at["lifetime_ns"] == pytest.approx(
        point.lifetime_ns, abs=0.005 * point.lifetime_ns + 4 * at["lifetime_err_ns"]
    )
    for potential_v, (rate_hz, lifetime_ns, drop, g2, fano, electrons) in PAGE.items():
        at = found[potential_v]
        assert set(at) >= KEYS
        assert at["exposure_s"] == pytest.approx(30.0, abs=0.1)
        assert at["rate_hz"] == pytest.approx(rate_hz, rel=0.02)
        assert at["lifetime_ns"] == pytest.approx(lifetime_ns, rel=0.05)
        assert at["drop"] == pytest.approx(drop, rel=0.03)
        assert at["g2_zero"] == pytest.approx(g2, abs=0.06 + 3 * at["g2_zero_err"])
        assert at["fano"] == pytest.approx(fano, abs=0.05 + 3 * at["fano_err"])
        if electrons is None:
            assert at["law_holds"] is False
        else:
            assert at["law_holds"] is True
            assert at["electrons"] == pytest.approx(electrons, abs=0.3)
    assert summary["law_holds_down_to_v"] == -1.5
    assert found[0.0]["blinking"]["b_share"] < 0.3


@pytest.mark.parametrize("sample", ["batch_1", "batch_2"])
def test_the_charge_isotherm_is_right_within_its_errors(sample, runs):
    potentials_v = (-1.2, -1.3, -1.4, -1.5)
    overrides = [f"potentials_v={', '.join(map(str, (0.0, *potentials_v)))}", "hold_s=60"]
    run = prepare_run("static_bias", out=runs, overrides=overrides, seed=11, speed=math.inf, sample=sample)
    path = execute_run(run, lambda procedure: None, threading.Event()).path
    found = analyze_run(read_run_file(path)).summary()["potentials"][1:]
    planted = Planted(path)
    assert [at["potential_v"] for at in found] == list(potentials_v)
    for at in found:
        electrons = planted.dot.mean_electrons(planted.held_interface_v(at["potential_v"]))
        assert at["electrons_err"] < 0.3
        assert at["electrons"] == pytest.approx(electrons, abs=min(0.3, 3 * at["electrons_err"]))
        assert at["accounted"] == pytest.approx(1.0, abs=0.01 + 3 * at["accounted_err"])


def test_a_dot_comes_back_when_the_bias_does_and_more_potentials_than_one_program_holds_are_run(static_bias):
    listed = [0.0, -1.5] * 6 + [-1.5]
    ended, path = static_bias("--set", f"potentials_v={', '.join(map(str, listed))}", "--set", "hold_s=2")
    assert ended.status == 0, ended.err
    run = read_run_file(path)
    assert [len(record.about["settings"]["levels"]) for record in run.potentiostat] == [12, 1]
    result = analyze_run(run).result
    assert [at.hold.potential_v for at in result.potentials] == listed
    for at in result.potentials:
        if at.hold.potential_v == -1.5:
            assert at.rate_hz.value == pytest.approx(17_400, rel=0.05)


def test_without_a_hold_at_0_v_nothing_is_compared_with_x0(static_bias):
    ended, path = static_bias("--set", "potentials_v=-1.8", "--set", "hold_s=3")
    assert ended.status == 0, ended.err
    assert "no X0" in ended.out
    (at,) = analyze_run(read_run_file(path)).summary()["potentials"]
    assert at["rate_hz"] == pytest.approx(5060, rel=0.05)
    assert at["drop"] is None


def test_without_a_comparator_the_holds_are_placed_by_the_clock(static_bias, tmp_path):
    text = locate("charging_simulated").read_text()
    start, end = text.index("[markers]"), text.index("[calibration]")
    station = tmp_path / "no_markers.toml"
    station.write_text(text[:start] + text[end:])
    _, path = static_bias("--station", str(station), "--set", "potentials_v=0, -1.7", "--set", "hold_s=4")
    result = analyze_run(read_run_file(path)).result
    assert result.alignment == "clock"
    at = result.potentials[1]
    assert 2 < at.hold.exposure_s < 3.5
    assert at.rate_hz.value == pytest.approx(9070, rel=0.05)
    assert at.flid.rate_hz.max() < 15_000  # none of the bright photons of 0 V


def test_tables_have_one_row_per_potential(static_bias):
    _, path = static_bias("--set", "potentials_v=-1.4, -1.8", "--set", "hold_s=2")
    tables = analyze_run(read_run_file(path)).tables()
    assert tables["potentials"]["potential_v"].tolist() == [-1.4, -1.8]
    assert len(tables["flid"]["lifetime_ns"]) == len(tables["flid"]["potential_v"]) > 60


def test_potentials_are_kept_exactly_from_text_and_from_a_list():
    for given in ("0, -0.1,-1.7000000000000002 V", [0, -0.1, -1.7000000000000002]):
        procedure = StaticBias()
        procedure.set_parameters({"potentials_v": given})
        assert procedure.potentials_v == (0.0, -0.1, -1.7000000000000002)
        assert str(procedure.parameter_objects()["potentials_v"]) == "0.0, -0.1, -1.7000000000000002 V"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("potentials_v=0, -1.4, low", ["potentials_v", "'low'", "not a number"]),
        ("potentials_v=", ["potentials_v", "not a number"]),
        ("potentials_v=0;-1.4", ["potentials_v", "0;-1.4"]),
        ("potentials_v=0, nan", ["potentials_v", "nan"]),
        ("potentials_v=0, -2.5", ["-2.5", "-2.0"]),
        ("hold_s=1", ["hold_s", "[2.0"]),
        ("hold_s=2.00001", ["whole number", "2.00001"]),
    ],
)
def test_a_bad_setting_is_refused_before_anything_moves(qdlab, tmp_path, setting, words):
    ended = qdlab("run", "static_bias", "--out", tmp_path / "runs", "--set", setting)
    assert ended.status == 2
    for word in words:
        assert word in ended.sentence
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize(
    ("value", "word"), [("[]", "at least one"), ("[0.0, '-1.4x']", "-1.4x"), ("true", "True")]
)
def test_a_bad_list_in_a_file_is_refused(qdlab, tmp_path, value, word):
    experiment = tmp_path / "mine.toml"
    experiment.write_text(
        f"procedure = 'StaticBias'\nstation = 'charging_simulated'\n[parameters]\npotentials_v = {value}\n"
    )
    ended = qdlab("run", experiment, "--out", tmp_path / "runs")
    assert ended.status == 2
    assert word in ended.sentence
    assert "potentials_v" in ended.sentence
