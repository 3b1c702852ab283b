"""The microscope's procedures on the twin, through the stage's real driver, from command line to run file."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from qdlab.analysis.confocal import APART_UM, find_spots
from qdlab.analysis.scan_image import Track, grid_around, make_image
from qdlab.formats.run_file import read_run_file
from qdlab.procedures.analyses.find_dots import FindDotsAnalysis
from qdlab.procedures.record import RunRecord
from qdlab.procedures.stage_scan import interrupted
from qdlab.procedures.station import Station
from qdlab.sim.emulators.pi_e545 import FAULTS
from qdlab.sim.physics.cover_slip import CoverSlip

from .conftest import read_json

SHIPPED = Path(__file__).parents[2] / "configs" / "confocal_simulated.toml"
SMALL = {"pixels_x": 40, "pixels_y": 24, "x_um": 98.95, "y_um": 99.8}
"""A field of 2 x 1.2 um about one dot of the cover slip of seed 1."""


@pytest.fixture
def run(qdlab, tmp_path):
    """Run an experiment on the microscope; returns how it ended and the run file's path, if there is one."""

    def call(experiment, *arguments, **parameters):
        sets = [word for key, value in parameters.items() for word in ("--set", f"{key}={value}")]
        ended = qdlab("run", experiment, "--out", tmp_path / "runs", *sets, *arguments)
        lines = ended.out.strip().splitlines()
        return ended, Path(lines[-1]) if lines else None

    return call


@pytest.fixture
def bench(monkeypatch):
    """The bench of the last run."""
    built = []
    build = Station.build
    monkeypatch.setattr(Station, "build", lambda self, **o: built.append(build(self, **o)) or built[-1])
    return lambda: built[-1].bench


def planted(seed, field):
    """Centres of the sites in a field (x0, x1, y0, y1), brightest point of each, shape (sites, 3)."""
    slip = CoverSlip.scattered(seed=seed)
    x, y = slip.position_um[:, 0], slip.position_um[:, 1]
    inside = (x > field[0]) & (x < field[1]) & (y > field[2]) & (y < field[3])
    return np.array(
        [
            np.average(slip.position_um[own], axis=0, weights=slip.brightness[own])
            for own in (slip.site == site for site in np.unique(slip.site[inside]))
        ]
    ).reshape(-1, 3)


def field_of(path):
    p = read_run_file(path).header["parameters"]
    half_x, half_y = p["pixels_x"] * p["pixel_um"] / 2, p["pixels_y"] * p["pixel_um"] / 2
    return p["x_um"] - half_x, p["x_um"] + half_x, p["y_um"] - half_y, p["y_um"] + half_y


# ---- scans ----


def test_a_scan_of_128_by_64_points_at_1_ms_takes_less_than_15_s_of_rig_time_and_finds_what_is_there(
    run, qdlab, tmp_path
):
    ended, path = run("confocal_scan")
    assert ended.status == 0, ended.err
    stored = read_run_file(path)
    (scan,) = stored.groups("scans")
    assert scan["start_source"] == "marker"
    assert 64 * scan["line_period_s"] + 0.5 < 15.0
    assert stored.photons.duration_s < 15.0
    assert qdlab("analyze", path, "--json", tmp_path / "a.json", "--figure", tmp_path / "a.png").status == 0
    found = read_json(tmp_path / "a.json")["spots"]
    there = planted(1, field_of(path))
    assert len(found) == len(there) == 3
    for spot in found:
        away = there[:, :2] - [spot["x_um"], spot["y_um"]]
        nearest = away[np.argmin(np.hypot(*away.T))]
        assert np.abs(nearest / [spot["x_err_um"], spot["y_err_um"]]).max() < 5
        assert np.hypot(*nearest) < 0.04
    assert (tmp_path / "a.png").stat().st_size > 20_000
    assert path.with_suffix(".png").exists()


def test_the_image_is_nxdata_with_named_axes(run):
    _, path = run("confocal_scan", **SMALL, frames=2)
    with h5py.File(path) as file:
        images = file["user/qdlab/images"]
        assert sorted(images) == ["0000", "0001"]
        image = images["0000"]
        assert image.attrs["NX_class"] == "NXdata"
        signal = image[image.attrs["signal"]]
        assert [len(image[axis]) for axis in image.attrs["axes"]] == list(signal.shape) == [24, 40]
        for name in image.attrs["auxiliary_signals"]:
            assert image[name].shape == signal.shape
        assert signal[:].max() > 10_000


def test_photons_belong_to_the_measured_position_not_to_the_planned_one(run):
    _, path = run("confocal_scan", **SMALL)
    stored = read_run_file(path)
    (scan,) = stored.groups("scans")
    photon_s = stored.photons.sync * stored.photons.sync_period_s
    x_um, y_um = (np.linspace(a, b, n) for a, b, n in ((98.0, 99.9, 60), (99.225, 100.375, 24)))
    grid = grid_around(x_um, y_um)
    measured = Track(scan["start_s"] + scan["time_s"], scan["fast_um"], scan["slow_um"])
    planned, lag = interrupted(scan, photon_s, stored.photons.duration_s, grid)
    assert lag.found
    assert 0.010 < lag.lag_s < 0.016  # the servo follows a ramp 12 ms late, and short lines a little later
    on_plan = planned._replace(time_s=planned.time_s - lag.lag_s)
    (dot,) = planted(1, field_of(path))
    found, _ = find_spots(make_image(photon_s, measured, grid))
    assert found[0].fast_um == pytest.approx(dot[0], abs=0.03)
    forth = make_image(photon_s, on_plan, grid).counts[0].sum(axis=0)
    at_um = (grid.fast_um[1:] + grid.fast_um[:-1]) / 2
    bright = forth > forth.max() / 2
    assert np.average(at_um[bright], weights=forth[bright]) - dot[0] > 0.3


def test_without_the_trigger_wire_forth_and_back_are_registered(run, tmp_path):
    station = tmp_path / "unwired.toml"
    lines = SHIPPED.read_text().splitlines(keepends=True)
    station.write_text("".join(line for line in lines if not line.startswith("trigger_")))
    _, path = run("confocal_scan", "--station", station, **SMALL)
    (scan,) = read_run_file(path).groups("scans")
    assert scan["start_source"] == "registered"


def test_settled_points_give_the_same_dot(run, qdlab, tmp_path):
    ended, path = run(
        "confocal_scan", by_points=1, pixels_x=8, pixels_y=8, x_um=98.95, y_um=99.81, dwell_s=0.01
    )
    assert ended.status == 0, ended.err
    qdlab("analyze", path, "--json", tmp_path / "a.json")
    (spot,) = read_json(tmp_path / "a.json")["spots"]
    (dot,) = planted(1, field_of(path))
    assert spot["x_um"] == pytest.approx(dot[0], abs=0.015)
    assert spot["y_um"] == pytest.approx(dot[1], abs=0.015)


def test_the_same_seed_gives_the_same_words_at_any_speed(run, monkeypatch):
    words = []
    append = RunRecord.append_words
    monkeypatch.setattr(RunRecord, "append_words", lambda s, w: words.append(w.copy()) or append(s, w))
    run("confocal_scan", **SMALL)
    fast = np.concatenate(words)
    run("confocal_scan", "--speed", "6", **SMALL)
    np.testing.assert_array_equal(np.concatenate(words)[len(fast) :], fast)


# ---- refusals and faults ----


@pytest.mark.parametrize(
    ("experiment", "parameters", "word"),
    [
        ("confocal_scan", {"x_um": 2.0}, "x_um"),
        ("confocal_scan", {"y_um": 199.5}, "y_um"),
        ("confocal_scan", {"z_um": 10}, "z_um"),
        ("confocal_scan", {"by_points": 1, "x_um": 198}, "x_um"),
        ("confocal_scan", {"pixels_x": 9000}, "x_um"),
        ("find_dots", {"y_um": -5}, "y_um"),
        ("dot_survey", {"z_um": 195}, "z_um"),
        ("dot_survey", {"vertex_v": -2.5}, "-2.5"),
        ("confocal_scan", {"pixels_y": 1}, "pixels_y"),
    ],
)
def test_a_field_that_the_rig_cannot_do_is_refused_before_anything_moves(run, experiment, parameters, word):
    ended, path = run(experiment, **parameters)
    assert ended.status == 2
    assert path is None
    assert word in ended.sentence


def test_a_station_without_a_stage_is_refused(run):
    ended, _ = run("confocal_scan", "--station", "charging_simulated")
    assert ended.status == 2
    assert "[stage]" in ended.sentence


SURVIVED = {"e545_late_reply"}
"""Faults of the stage that a scan goes on with."""


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_fault_of_the_stage_ends_the_scan_with_the_laser_locked(run, bench, fault):
    ended, path = run("confocal_scan", "--fault", fault, **(SMALL | {"pixels_y": 64}))
    stored = read_run_file(path)
    expected = "finished" if fault in SURVIVED else "failed"
    assert stored.status == expected, ended.err
    assert ended.status == (0 if expected == "finished" else 1)
    if expected == "failed":
        assert len(stored.header["status_reason"]) > 20
        assert stored.header["status_reason"] in ended.err
    assert not bench().light.emitting


@pytest.mark.parametrize("fault", ["e545_link_dropped", "e545_axis_stuck"])
def test_what_was_scanned_before_a_fault_is_kept_as_an_image(run, qdlab, fault, tmp_path):
    _, path = run("confocal_scan", "--fault", fault, **(SMALL | {"pixels_y": 64, "x_um": 98.0}))
    with h5py.File(path) as file:
        (image,) = file["user/qdlab/images"].values()
        assert image["counts"][:].sum() > 50
        assert 0 < np.count_nonzero(image["exposure"][:]) < image["exposure"].size
    assert qdlab("analyze", path, "--json", tmp_path / "a.json", "--figure", tmp_path / "a.png").status == 0
    summary = read_json(tmp_path / "a.json")
    assert summary["status"] == "failed"
    assert summary["photons"] > 50
    assert bool(summary["notes"]) == (fault == "e545_link_dropped")


# ---- dots ----


def check_against_truth(path, seed):
    """Every site well inside the field was found within 10 nm, and nothing else was; returns how many."""
    result = FindDotsAnalysis(read_run_file(path))
    x0, x1, y0, y1 = field_of(path)
    margin = 0.1
    there = planted(seed, (x0 - margin, x1 + margin, y0 - margin, y1 + margin))
    found = np.array([dot.position_um for dot in result.dots]).reshape(-1, 3)
    nearest = np.array([np.hypot(*(there - at)[:, :2].T).min() for at in found])
    assert np.all(nearest < APART_UM), "a dot was invented"
    for site in there:
        apart = np.sort(np.hypot(*(there - site)[:, :2].T))
        alone = len(apart) < 2 or apart[1] > 2 * APART_UM
        inside = x0 + margin < site[0] < x1 - margin and y0 + margin < site[1] < y1 - margin
        if alone and inside:
            away = found - site
            k = np.argmin(np.hypot(*away[:, :2].T))
            assert np.hypot(*away[k, :2]) < 0.010, site
            assert abs(away[k, 2]) < 0.030
    return len(found)


def test_every_dot_of_a_field_is_found_within_10_nm(run, qdlab, tmp_path):
    ended, path = run("find_dots", "--seed", 4, g2_s=3)
    assert ended.status == 0, ended.err
    assert check_against_truth(path, 4) == 5
    qdlab("analyze", path, "--json", tmp_path / "a.json", "--figure", tmp_path / "a.png")
    summary = read_json(tmp_path / "a.json")
    assert summary["chosen_dot"] == read_run_file(path).header["chosen_dot"] + 1
    chosen = summary["dots"][summary["chosen_dot"] - 1]
    assert chosen["single"]
    assert chosen["rate_hz"] == max(dot["rate_hz"] for dot in summary["dots"] if dot["single"])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(11, 31))
def test_every_dot_is_found_and_none_invented_over_seeds(run, seed):
    ended, path = run("find_dots", "--seed", seed, g2_s=0.5)
    assert ended.status == 0, ended.err
    check_against_truth(path, seed)


def test_two_dots_in_one_spot_are_not_taken_for_one(run, tmp_path):
    slip = CoverSlip.scattered(seed=8)
    double = np.flatnonzero(np.bincount(slip.site) == 2)
    centre = slip.position_um[double[np.argmin(np.abs(slip.position_um[double, :2] - 100).sum(axis=1))]]
    small = {"pixels_x": 24, "pixels_y": 24, "x_um": centre[0], "y_um": centre[1], "g2_s": 5}
    _, path = run("find_dots", "--seed", 8, **small)
    (dot,) = FindDotsAnalysis(read_run_file(path)).dots
    assert dot.g2.value > 0.4
    assert not dot.single
    assert read_run_file(path).header["chosen_dot"] is None


def test_a_field_out_of_focus_is_brought_into_focus(run):
    _, path = run("find_dots", **(SMALL | {"z_um": 100.2}), g2_s=0.5)
    stored = read_run_file(path)
    (dot,) = stored.groups("dots")
    (truth,) = planted(1, field_of(path))
    assert dot["position_um"][2] == pytest.approx(truth[2], abs=0.02)
    assert len(stored.groups("images")) == 2


def test_a_survey_says_which_dots_charge(run, qdlab, tmp_path):
    field = {"pixels_x": 110, "pixels_y": 20, "x_um": 101.3, "y_um": 99.85, "pixel_um": 0.05}
    _, path = run("dot_survey", **field, g2_s=0.5, hold_s=2, cycles=1, scan_rate_v_s=1, keep_in_focus_s=0)
    qdlab("analyze", path, "--json", tmp_path / "a.json", "--figure", tmp_path / "a.png")
    summary = read_json(tmp_path / "a.json")
    slip = CoverSlip.scattered(seed=1)
    assert summary["surveyed"] == len(summary["dots"]) == 2
    for dot in summary["dots"]:
        away = np.hypot(*(slip.position_um[:, :2] - [dot["x_um"], dot["y_um"]]).T)
        assert dot["charges"] == bool(slip.charges[np.argmin(away)])
    assert summary["charging"] == 1


# ---- focus ----


def drifting(tmp_path, drift_um_h):
    station = tmp_path / "drifting.toml"
    text = SHIPPED.read_text()
    assert "drift_um_h = [0.0, 0.0, 0.0]" in text
    station.write_text(text.replace("drift_um_h = [0.0, 0.0, 0.0]", f"drift_um_h = {drift_um_h}"))
    return station


def rates_hz(path):
    """Mean rate during each cycle of a run."""
    stored = read_run_file(path)
    rates = []
    for record in stored.potentiostat:
        for start_s in np.arange(
            record.about["start_s"], record.about["start_s"] + record.time_s[-1] - 3.9, 4.0
        ):
            syncs = [round((s - stored.photons.start_s) * 2.5e6) for s in (start_s, start_s + 4.0)]
            rates.append(len(stored.photons.between(*syncs).sync) / 4.0)
    return np.array(rates)


@pytest.mark.slow
def test_a_drifting_dot_keeps_its_rate_with_keep_in_focus_and_loses_it_without(run, tmp_path):
    sweeps = {"hold_s": 0, "cycles": 24, "scan_rate_v_s": 1, "dot_um": "103.6509, 103.9088, 99.9883"}
    _, still = run("cv_flid", "--station", SHIPPED, **sweeps)
    station = drifting(tmp_path, [5.0, -4.0, 4.0])  # a third of a micrometre in this run
    _, lost = run("cv_flid", "--station", station, **sweeps)
    _, kept = run("cv_flid", "--station", station, **sweeps, keep_in_focus_s=8)
    expected_hz = rates_hz(still).mean()
    assert rates_hz(kept)[-12:].mean() > 0.95 * expected_hz
    assert rates_hz(lost)[-6:].mean() < 0.3 * expected_hz
    moves = read_run_file(kept).groups("focus")
    assert len(moves) == 13
    assert "in focus: x " in read_run_file(kept).log
    gone_um = moves[-1]["after_um"] - moves[0]["before_um"]
    hours = (moves[-1]["time_s"] + 0.6) / 3600
    assert gone_um == pytest.approx(np.array([5.0, -4.0, 4.0]) * hours, abs=0.02)


def test_cycles_of_all_blocks_are_numbered_through(run, qdlab, tmp_path):
    _, path = run(
        "cv_flid",
        *("--station", SHIPPED),
        hold_s=2,
        cycles=3,
        scan_rate_v_s=2,
        keep_in_focus_s=1,
        dot_um="98.947, 99.812, 100",
    )
    abouts = [record.about for record in read_run_file(path).potentiostat]
    assert [a["first_cycle"] for a in abouts if a["technique"] == "CyclicVoltammetry"] == [0, 1, 2]
    assert json.dumps(read_run_file(path).header["parameters"]["dot_um"]) == "[98.947, 99.812, 100.0]"
