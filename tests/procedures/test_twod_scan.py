import cmath
import math
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qdlab.analysis.twodes.phase_cycling import NONREPHASING, REPHASING
from qdlab.analysis.twodes.spectra import maps_from_t1
from qdlab.analysis.twodes.units import W
from qdlab.formats.run_file import read_run_file
from qdlab.instruments.pulse_shaper import PulseTrain
from qdlab.procedures.analyses import analyze_run
from qdlab.procedures.errors import RefusedError
from qdlab.procedures.run import execute_run, prepare_run
from qdlab.sim.physics.pulses import Pulse

SMALL = ("t1_points=24", "t2_points=2", "t2_start_fs=100", "averages=2")


@pytest.fixture(scope="module")
def station(small_station, tmp_path_factory) -> Path:
    return small_station(tmp_path_factory.mktemp("station"), "coherence_simulated")


def scan(station, out, *overrides, faults=(), stop=None):
    run = prepare_run(
        "twod_scan",
        station=str(station),
        out=out,
        overrides=[*SMALL, *overrides],
        seed=3,
        speed=math.inf,
        faults=faults,
    )
    return run, execute_run(run, lambda _: None, stop or threading.Event())


@pytest.fixture(scope="module")
def finished(station, tmp_path_factory):
    run, outcome = scan(station, tmp_path_factory.mktemp("runs"))
    assert outcome.status == "finished", outcome.reason
    return run, analyze_run(read_run_file(outcome.path))


def correlation(a, b):
    return abs(np.vdot(a, b)) / (np.linalg.norm(a) * np.linalg.norm(b))


def test_the_map_is_that_of_the_sample(finished):
    """What came through shaper, stage and fringes, against the sample under ideal pulses."""
    run, analysis = finished
    plan, maps = analysis.data.plan, analysis.maps
    sample, turn = run.rig.bench.sample, W * plan.frame.offset_cm

    def ideal(t1, t2, phases):
        first = Pulse(-t1, 0.5 * cmath.exp(1j * (phases[0] + turn * t1)))
        second = Pulse(0.0, 0.5 * cmath.exp(1j * phases[1]))
        return sample.signal_field((first, second), Pulse(t2, 1.0 + 0j), maps.w3_cm)

    fields = np.array(
        [[[ideal(t1, t2, p) for p in plan.scheme.phases_rad] for t1 in plan.t1_fs] for t2 in maps.t2_fs]
    )
    expected = maps_from_t1(
        plan.scheme.extract(fields, REPHASING, axis=2),
        plan.scheme.extract(fields, NONREPHASING, axis=2),
        t1_fs=plan.t1_fs,
        t2_fs=maps.t2_fs,
        w1_cm=maps.w1_cm,
        w3_cm=maps.w3_cm,
        frame=plan.frame,
    )
    ratios = []
    for ours, theirs in ((maps.rephasing, expected.rephasing), (maps.nonrephasing, expected.nonrephasing)):
        assert correlation(theirs, ours) > 0.85  # what is missing is shot noise
        ratios.append(np.vdot(theirs, ours) / np.vdot(theirs, theirs))
        assert abs(cmath.phase(ratios[-1])) < 0.03
    assert abs(ratios[0] / ratios[1]) == pytest.approx(1.0, abs=0.05)


def test_rephasing_lies_along_the_diagonal_and_positive_bleach_on_it(finished):
    _, analysis = finished
    maps = analysis.maps
    k1, k3 = np.unravel_index(np.argmax(np.abs(maps.rephasing[0])), maps.rephasing[0].shape)
    assert abs(maps.w1_cm[k1] - maps.w3_cm[k3]) < 150
    assert maps.absorptive[0][k1, k3] > 0.5 * np.abs(maps.absorptive[0]).max()


def test_live_maps_are_those_of_the_run_file(finished):
    run, analysis = finished
    live = run.procedure.live_series()
    np.testing.assert_array_equal(live.rephasing, analysis.maps.rephasing)
    assert run.procedure.live_maps().t2_fs.tolist() == [108.0]


def test_the_rotating_frame_does_not_show_in_the_map(station, tmp_path, finished):
    _, outcome = scan(station, tmp_path, "rotating_frame=0.9")
    other = analyze_run(read_run_file(outcome.path)).maps
    for ours, theirs in (
        (finished[1].maps.rephasing, other.rephasing),
        (finished[1].maps.nonrephasing, other.nonrephasing),
    ):
        strong = np.abs(ours) > 0.3 * np.abs(ours).max()
        assert correlation(ours[strong], theirs[strong]) > 0.9


def test_a_wrong_sign_of_the_phase_in_the_driver_makes_a_wrong_map(station, tmp_path, finished, monkeypatch):
    right = PulseTrain.mask

    def mirrored(train, wavenumber_cm):
        return right(replace(train, phases_rad=tuple(-phase for phase in train.phases_rad)), wavenumber_cm)

    monkeypatch.setattr(PulseTrain, "mask", mirrored)
    _, outcome = scan(station, tmp_path)
    assert outcome.status == "finished", outcome.reason
    wrong = analyze_run(read_run_file(outcome.path)).maps
    maps = finished[1].maps
    mirrored_map = maps.nonrephasing[:, ::-1]  # w1 is taken for 2 w0 - w1
    assert correlation(mirrored_map, wrong.rephasing) > 1.1 * correlation(maps.rephasing, wrong.rephasing)


@pytest.mark.slow
def test_cycling_with_sixteen_steps_gives_the_same_map(station, tmp_path, finished):
    _, outcome = scan(station, tmp_path, "cycling=4x4x1", "order=random")
    other = analyze_run(read_run_file(outcome.path)).maps
    ours = finished[1].maps.rephasing
    strong = np.abs(ours) > 0.3 * np.abs(ours).max()
    assert correlation(ours[strong], other.rephasing[strong]) > 0.95


def test_without_a_sample_there_is_nothing_but_noise(station, tmp_path, finished):
    blank = tmp_path / "blank.toml"
    blank.write_text(station.read_text().replace('sample = "dimers_3.0_9"', 'sample = "blank"'))
    _, outcome = scan(blank, tmp_path)
    nothing = analyze_run(read_run_file(outcome.path)).maps
    assert np.abs(nothing.rephasing).max() < 0.2 * np.abs(finished[1].maps.rephasing).max()


def test_an_aborted_scan_keeps_the_finished_blocks(station, tmp_path):
    stop = threading.Event()
    run = prepare_run(
        "twod_scan", station=str(station), out=tmp_path, overrides=[*SMALL, "t2_points=40"], speed=math.inf
    )

    def after_the_first(procedure):
        if getattr(procedure, "_scan", None) is not None and len(procedure._scan):
            stop.set()

    outcome = execute_run(run, after_the_first, stop)
    assert outcome.status == "aborted"
    assert 1 <= len(analyze_run(read_run_file(outcome.path)).maps.t2_fs) < 40


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("t1_step_fs=12", "folds a band of 4000 cm-1"),
        ("t2_step_fs=10", "folds beats of 2000 cm-1 back"),
        ("t2_points=2000", "outside"),
        ("t1_points=2000", "delay in fs of pulse 1"),
        ("highest_cm=16000", "must be above lowest_cm"),
        ("cycling=2x2x1", "not one of"),
        ("averages=0", "outside"),
    ],
)
def test_bad_input_is_refused_before_anything_moves(station, tmp_path, override, sentence):
    with pytest.raises(RefusedError, match=sentence):
        prepare_run("twod_scan", station=str(station), out=tmp_path, overrides=[override])
    assert not list(tmp_path.iterdir())


def test_aliasing_is_allowed_when_it_is_asked_for(station, tmp_path):
    run = prepare_run(
        "twod_scan",
        station=str(station),
        out=tmp_path,
        overrides=["t2_step_fs=20", "t2_points=3", "allow_aliasing=1"],
    )
    run.rig.close()


def test_a_charging_experiment_is_refused_on_the_2des_station(station, tmp_path):
    with pytest.raises(RefusedError, match="needs a laser and a counter and a potentiostat"):
        prepare_run("cv_flid", station=str(station), out=tmp_path)


def test_a_saturated_spectrometer_ends_the_run(station, tmp_path):
    _, outcome = scan(station, tmp_path, "integration_s=0.5")
    assert (outcome.status, outcome.exit_status) == ("failed", 3)
    assert "saturated" in outcome.reason


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("lo_blocked", "no local oscillator on the spectrometer"),
        ("lcos_frame_not_shown", "stays the same when the shaper lets pulses through"),
    ],
)
def test_light_that_is_not_there_ends_the_scan_before_it_begins(station, tmp_path, fault, sentence):
    _, outcome = scan(station, tmp_path, faults=[fault])
    assert (outcome.status, outcome.exit_status) == ("failed", 1)
    assert sentence in outcome.reason
