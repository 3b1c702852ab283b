"""A 2DES scan with t3 scanned, on the twin: its maps are those of the spectrometer."""

import math
import threading
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from qdlab.formats.run_file import read_run_file
from qdlab.procedures.analyses import analyze_run
from qdlab.procedures.config import locate
from qdlab.procedures.errors import ConfigError, RefusedError
from qdlab.procedures.run import execute_run, prepare_run
from qdlab.procedures.spectra import spectra_of
from qdlab.procedures.station import Station

SHARED = ("t1_points=6", "t2_points=1", "t2_start_fs=100", "lowest_cm=16600", "highest_cm=19800")
GATED = ("t3_step_fs=4.1", "t3_points=32")
AXIS_CM = np.arange(16700.0, 19700.0, 40.0)


@pytest.fixture(scope="module")
def station(small_station, tmp_path_factory) -> Path:
    return small_station(tmp_path_factory.mktemp("gated"), "coherence_gated_simulated")


def perform(experiment, station, out, *overrides, faults=()):
    run = prepare_run(
        experiment,
        station=str(station),
        out=out,
        overrides=overrides,
        seed=3,
        speed=math.inf,
        faults=faults,
    )
    return run, execute_run(run, lambda _: None, threading.Event())


@pytest.fixture(scope="module")
def finished(station, tmp_path_factory):
    run, outcome = perform("twod_scan_t3", station, tmp_path_factory.mktemp("runs"), *SHARED, *GATED)
    assert outcome.status == "finished", outcome.reason
    return run, outcome.path


@pytest.fixture(scope="module")
def maps(finished):
    return analyze_run(read_run_file(finished[1])).maps


@pytest.fixture(scope="module")
def by_spectrometer(small_station, tmp_path_factory):
    """The same sample and pulses on the station with the spectrometer, with little noise."""
    folder = tmp_path_factory.mktemp("spectrometer")
    station = small_station(folder, "coherence_simulated")
    _, outcome = perform("twod_scan", station, folder, *SHARED, "averages=30")
    assert outcome.status == "finished", outcome.reason
    return analyze_run(read_run_file(outcome.path)).maps


def on_axis(maps, values):
    places = np.stack(np.meshgrid(AXIS_CM, AXIS_CM, indexing="ij"), axis=-1)
    return RegularGridInterpolator((maps.w1_cm, maps.w3_cm), values[0])(places)


def compared(maps, other, kind):
    """Correlation of two maps of this kind, and the first over the second as a factor."""
    ours, theirs = (on_axis(each, getattr(each, kind)) for each in (maps, other))
    overlap = np.vdot(theirs, ours)
    return abs(overlap) / (np.linalg.norm(ours) * np.linalg.norm(theirs)), overlap / np.vdot(theirs, theirs)


@pytest.mark.parametrize("kind", ["rephasing", "nonrephasing", "absorptive"])
def test_maps_are_those_of_the_spectrometer(maps, by_spectrometer, kind):
    correlation, factor = compared(maps, by_spectrometer, kind)
    assert correlation > 0.99
    assert abs(np.angle(factor)) < 0.02


def test_rephasing_and_nonrephasing_maps_have_one_scale(maps, by_spectrometer):
    (_, r), (_, n) = (compared(maps, by_spectrometer, kind) for kind in ("rephasing", "nonrephasing"))
    assert abs(r / n) == pytest.approx(1.0, abs=0.05)


def test_the_two_signals_are_not_taken_for_each_other(maps, by_spectrometer):
    """Turning phases the wrong way round would show the non-rephasing map, mirrored in w1."""
    ours = on_axis(maps, maps.rephasing)
    theirs, wrong = (
        on_axis(by_spectrometer, values)
        for values in (by_spectrometer.rephasing, by_spectrometer.nonrephasing[:, ::-1])
    )
    right, other = (abs(np.vdot(each, ours)) / np.linalg.norm(each) for each in (theirs, wrong))
    assert right > 1.2 * other


def test_the_measured_delays_of_the_gate_are_stored(finished):
    slices = read_run_file(finished[1]).groups("slice")
    t3_fs, measured_fs = (np.array([each[name] for each in slices]) for name in ("t3_fs", "measured_t3_fs"))
    assert t3_fs[0] < -10
    assert t3_fs[-1] == pytest.approx(31 * 4.1)
    assert 0 < np.abs(measured_fs - t3_fs).max() < 0.03
    assert {each["readings_v"].shape for each in slices} == {(6, 9)}


def test_what_was_measured_of_a_scan_that_is_stopped_makes_a_map(station, tmp_path, maps):
    stop = threading.Event()
    run = prepare_run(
        "twod_scan_t3",
        station=str(station),
        out=tmp_path,
        overrides=(*SHARED, *GATED),
        seed=3,
        speed=math.inf,
    )

    def watch(procedure):
        if procedure.pieces >= 20:
            stop.set()

    outcome = execute_run(run, watch, stop)
    assert outcome.status == "aborted"
    stored = read_run_file(outcome.path)
    assert 20 <= len(stored.groups("slice")) < 36
    found = analyze_run(stored).maps
    alike = np.vdot(found.rephasing, maps.rephasing)
    assert alike.real > 0.9 * np.linalg.norm(found.rephasing) * np.linalg.norm(maps.rephasing)


def test_live_maps_exports_and_summary_are_those_of_the_run_file(finished, maps):
    run, path = finished
    np.testing.assert_array_equal(run.procedure.live_series().rephasing, maps.rephasing)
    (exported,) = spectra_of(path, "run")
    np.testing.assert_array_equal(exported.signals["absorptive"], maps.absorptive)
    summary = analyze_run(read_run_file(path)).summary()
    assert (summary["kind"], summary["t1_points"], summary["t2_points"]) == ("twod_scan_t3", 6, 1)


def test_a_scan_without_a_local_oscillator_ends_before_it_begins(station, tmp_path):
    _, outcome = perform("twod_scan_t3", station, tmp_path, *SHARED, *GATED, faults=["lo_blocked"])
    assert outcome.status == "failed"
    assert "show no signal with the local oscillator: see whether both beams are open" in outcome.reason
    assert read_run_file(outcome.path).groups("slice") == []


def test_the_plan_tells_all_three_delays_and_the_time(finished):
    run, _ = finished
    settings = 36 * 6 * 9
    assert run.plan.sentence == (
        "1 t2 of 36 t3 x 6 t1 x 9 phases, t1 to 35 fs, t2 100 to 100 fs, t3 -16.4 to 127.1 fs"
    )
    looked = 2 * 3 * 9
    assert run.plan.duration_s == pytest.approx((settings + looked) * (0.1 + 0.07) + (37 + 2) * 0.2)
    assert run.procedure.progress.elapsed_s == pytest.approx(run.plan.duration_s, rel=0.1)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "t3_step_fs=3.6",
            "folds 16200 to 20200 cm-1 onto itself; the nearest step that does not is 3.302 fs",
        ),
        ("t3_step_fs=1.7", "nearest step that does not is 1.651 fs"),
        ("t3_points=5000", "PI linear stage: delay_fs"),
        ("t1_step_fs=12", "t1_step_fs = 12 folds a band of 4000 cm-1"),
        ("t2_start_fs=6000", "delay_fs"),
        ("highest_cm=16000", "must be above lowest_cm"),
    ],
)
def test_bad_input_is_refused_before_anything_moves(station, tmp_path, override, sentence):
    with pytest.raises(RefusedError, match=sentence):
        prepare_run("twod_scan_t3", station=str(station), out=tmp_path, overrides=[override])
    assert not list(tmp_path.iterdir())


def test_a_step_of_t3_that_folds_is_allowed_when_it_is_asked_for(station, tmp_path):
    prepare_run(
        "twod_scan_t3",
        station=str(station),
        out=tmp_path,
        overrides=["t3_step_fs=3.6", "allow_aliasing=1"],
    ).rig.close()


def test_the_station_decides_what_can_be_run_on_it(station, tmp_path):
    with pytest.raises(RefusedError, match="TwoDScanT3 needs a gate and a point_detector"):
        prepare_run("twod_scan_t3", station="coherence_simulated", out=tmp_path)
    with pytest.raises(RefusedError, match="TwoDScan needs a detector"):
        prepare_run("twod_scan", station=str(station), out=tmp_path)


def test_a_width_of_the_laser_that_is_not_told_is_asked_for(small_station, tmp_path):
    width = locate("coherence_gated_simulated").read_text(encoding="utf-8")
    (line,) = [line for line in width.splitlines() if line.startswith("laser_fwhm_cm")]
    station = small_station(tmp_path, "coherence_gated_simulated", (line, ""))
    with pytest.raises(RefusedError, match=r"\[interferometer\]: needs laser_fwhm_cm"):
        prepare_run("twod_scan_t3", station=str(station), out=tmp_path)


def test_a_point_detector_without_a_gate_is_no_station(small_station, tmp_path):
    station = small_station(tmp_path, "coherence_gated_simulated", ("[gate]", "[stage]"))
    with pytest.raises(ConfigError, match=r"needs the table \[gate\]"):
        Station.load(station)


def test_a_lock_in_that_is_not_emulated_is_refused_on_the_twin(small_station, tmp_path):
    station = small_station(tmp_path, "coherence_gated_simulated", ('model = "SR830"', 'model = "SR860"'))
    with pytest.raises(ConfigError, match='only the model "SR830" is emulated'):
        Station.load(station)


def test_a_lost_reference_ends_the_scan(station, tmp_path):
    _, outcome = perform("twod_scan_t3", station, tmp_path, faults=["sr830_reference_lost"])
    assert (outcome.status, outcome.exit_status) == ("failed", 1)
    assert "check the chopper" in outcome.reason
