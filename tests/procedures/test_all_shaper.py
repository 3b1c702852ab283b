"""The all-shaper geometry: scans without a stage, against those with one and against what was planted."""

import cmath
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qdlab.analysis.twodes.t2_traces import find_t2_traces
from qdlab.formats.run_file import read_run_file
from qdlab.procedures.analyses import analyze_run
from qdlab.procedures.analyses.t2_scan import t2_signals
from qdlab.procedures.config import locate
from qdlab.procedures.errors import ConfigError, RefusedError
from qdlab.procedures.run import execute_run, prepare_run
from qdlab.procedures.station import Station
from qdlab.sim.physics.pulses import RAD_PER_FS

CARRIER_CM = 18_200.0
WEAKER = (0.5**2) / (1 / 3) ** 3
"""Two halves of the shaper's field and a whole probe, against three thirds."""


@dataclass
class Louder:
    """A sample ten times as bright, so that tests need not average for long."""

    sample: Any

    def signal_field(self, pump, probe, wavenumber_cm):
        return 10 * self.sample.signal_field(pump, probe, wavenumber_cm)

    def truth(self):
        return self.sample.truth()


class OneBeat:
    """A line at the carrier that lives 60 fs along t1 and t3 and beats along t2 with 300 cm-1."""

    w2_cm, dephasing_fs = 300.0, 800.0

    def signal_field(self, pump, probe, wavenumber_cm):
        turn = RAD_PER_FS * CARRIER_CM
        total = 0j
        for one in pump:
            for two in pump:
                t1 = two.delay_fs - one.delay_fs
                t2 = probe.delay_fs - max(one.delay_fs, two.delay_fs)
                beat = cmath.exp(-1j * RAD_PER_FS * self.w2_cm * t2 - t2 / self.dephasing_fs)
                size = one.amplitude.conjugate() * two.amplitude * cmath.exp(1j * turn * t1 - abs(t1) / 60)
                total += size * (1 + beat)
        line = 1 / (1 - 60j * RAD_PER_FS * (wavenumber_cm - CARRIER_CM))
        return 10 * probe.amplitude * total * line

    def truth(self):
        return {}


@pytest.fixture(scope="module")
def stations(small_station, tmp_path_factory) -> dict[str, Path]:
    """The shipped stations of both geometries with an ensemble small enough for tests."""
    folder = tmp_path_factory.mktemp("stations")
    return {name: small_station(folder, name) for name in ("coherence_simulated", "all_shaper_simulated")}


def done(experiment, station, out, *overrides, sample: Callable[[Any], Any] = Louder):
    run = prepare_run(
        experiment, station=str(station), out=out, overrides=list(overrides), seed=3, speed=math.inf
    )
    bench = run.rig.bench
    bench.sample = sample(bench.sample)
    outcome = execute_run(run, lambda _: None, threading.Event())
    assert outcome.status == "finished", outcome.reason
    return read_run_file(outcome.path)


def test_maps_are_those_of_the_geometry_with_a_stage(stations, tmp_path):
    small = ("t1_points=16", "t2_points=2", "t2_start_fs=60", "averages=4")
    staged, shaped = (
        analyze_run(done("twod_scan", path, tmp_path, *small)).maps for path in stations.values()
    )
    np.testing.assert_array_equal(shaped.t2_fs, staged.t2_fs)
    for k in range(2):
        for kind in ("rephasing", "nonrephasing", "absorptive"):
            ours, theirs = getattr(shaped, kind)[k], getattr(staged, kind)[k]
            overlap = np.vdot(theirs, ours)
            assert abs(overlap) / (np.linalg.norm(ours) * np.linalg.norm(theirs)) > 0.98, kind
            assert abs(cmath.phase(overlap)) < 0.02, kind
            assert np.vdot(theirs, theirs).real / abs(overlap) == pytest.approx(WEAKER, rel=0.05), kind


@pytest.mark.parametrize("t1_fs", [0.0, 30.0])
def test_signals_along_t2_are_those_of_the_geometry_with_a_stage(stations, tmp_path, t1_fs):
    few = (
        f"t1_fs={t1_fs}",
        "t2_start_fs=50",
        "t2_points=3",
        "t2_step_fs=70",
        "allow_aliasing=1",
        "averages=40",
    )
    staged, shaped = (t2_signals(done("t2_scan", path, tmp_path, *few)) for path in stations.values())
    for ours, theirs in zip(shaped.rephasing, staged.rephasing, strict=True):
        overlap = np.vdot(theirs, ours)
        assert abs(overlap) / (np.linalg.norm(ours) * np.linalg.norm(theirs)) > 0.99
        assert abs(cmath.phase(overlap)) < 0.02


def test_a_planted_beat_along_t2_comes_back(stations, tmp_path):
    """Its frequency does; it seems to dephase sooner, as pulses fade away from the shaper's delay zero."""
    long = ("t1_fs=0", "t2_start_fs=48", "t2_points=60", "averages=4")
    run = done("t2_scan", stations["all_shaper_simulated"], tmp_path, *long, sample=lambda _: OneBeat())
    found = find_t2_traces(t2_signals(run), [CARRIER_CM])
    beat = max(found.fit.beats, key=lambda one: np.abs(one.amplitude).max())
    assert beat.w2_cm.value == pytest.approx(OneBeat.w2_cm, abs=2.0)
    assert 0.75 * OneBeat.dephasing_fs < beat.dephasing_fs.value < OneBeat.dephasing_fs


def test_the_measured_t2_is_the_one_asked_for_and_nothing_moves(stations, tmp_path):
    run = done("t2_scan", stations["all_shaper_simulated"], tmp_path, "t2_points=2", "averages=1")
    assert [block["measured_t2_fs"] for block in run.groups("block")] == [0.0, 8.0]
    assert set(run.header["instruments"]) == {"shaper", "detector"}


@pytest.mark.parametrize(
    ("experiment", "overrides", "sentence"),
    [
        ("twod_scan", ("t2_points=420",), "with t1 up to 203 fs the longest t2 that fits is 3003 fs"),
        ("t2_scan", ("t2_points=420", "t1_fs=100"), "longest t2 that fits is 3106 fs"),
        ("twod_scan", ("t2_start_fs=-3300", "t2_points=1"), r"delay in fs of pulse 1 = 3300.0 is outside"),
        ("twod_scan", ("t1_points=2000",), "delay in fs of pulse 1"),
        ("pump_probe", (), "PumpProbe needs a delay"),
        ("delay_zero", (), "DelayZero needs a delay"),
    ],
)
def test_what_the_shaper_cannot_do_is_refused_before_anything_moves(
    stations, tmp_path, experiment, overrides, sentence
):
    station = str(stations["all_shaper_simulated"])
    with pytest.raises(RefusedError, match=sentence):
        prepare_run(experiment, station=station, out=tmp_path, overrides=list(overrides))
    assert not list(tmp_path.iterdir())


def test_the_longest_t2_of_the_refusal_fits(stations, tmp_path):
    asked = ["t2_start_fs=3003", "t2_points=1"]
    prepare_run(
        "twod_scan", station=str(stations["all_shaper_simulated"]), out=tmp_path, overrides=asked
    ).rig.close()


SHAPED = 'pulse_3 = "shaper"'


@pytest.mark.parametrize(
    ("shipped", "old", "new", "sentence"),
    [
        ("all_shaper_simulated", SHAPED, "", r"nothing delays pulse 3; add the table \[delay\]"),
        ("all_shaper_simulated", SHAPED, 'pulse_3 = "stage"', "nothing delays pulse 3"),
        ("coherence_simulated", "[interferometer]", f"[interferometer]\n{SHAPED}", "take one of the two out"),
        ("all_shaper_simulated", "lo_lead_fs = 700.0", "lo_lead_fs = 0.0", "needs a local oscillator"),
    ],
)
def test_a_station_must_say_what_delays_pulse_3(tmp_path, shipped, old, new, sentence):
    text = locate(shipped).read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "station.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=sentence):
        Station.load(path)


def test_the_shipped_experiment_is_planned_on_its_station_without_a_move(tmp_path):
    run = prepare_run("twod_scan_shaper", out=tmp_path)
    run.rig.close()
    assert run.station.path == locate("all_shaper_simulated")
    settings = run.procedure.t2_points * (run.procedure.t1_points * 9 + 1)
    setting_s = run.procedure.frame_s(run.rig) + run.rig.shaper.settle_s
    assert run.plan.duration_s == pytest.approx(settings * setting_s)
