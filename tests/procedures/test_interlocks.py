"""What ends or pauses a run by itself, what an operator's pause does, and the limits between quantities."""

import dataclasses
import math
import re
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from qdlab.formats.run_file import read_run_file
from qdlab.instruments.picoquant import PDL828, TimeHarp260
from qdlab.instruments.potentiostat import Hold
from qdlab.procedures import interlocks, rig_procedure
from qdlab.procedures.config import locate
from qdlab.procedures.errors import RefusedError
from qdlab.procedures.interlocks import Action, Interlock, overloaded, too_bright
from qdlab.procedures.photon_procedure import PhotonProcedure
from qdlab.procedures.photon_recording import BlockCounts
from qdlab.procedures.record import RunRecord
from qdlab.procedures.rig_limits import reduction_charge_c_cm2
from qdlab.procedures.run import execute_run, prepare_run
from qdlab.sim.physics.cell import Cell


class TwoHolds(PhotonProcedure):
    """Two potentiostat programs one after the other, so that there is a checkpoint between them."""

    kind = "two_holds"

    def preflight(self, rig):
        return self.photon_plan(rig, 4.0, "two holds")

    def perform(self):
        self.start_photons()
        for _ in range(2):
            self.run_potentiostat([Hold(-0.5, 1.0)], "measuring")


def execute(tmp_path, procedure, watch=lambda procedure: None, speed=math.inf, **options):
    run = prepare_run("cv_flid", out=tmp_path, speed=speed, **options)
    run = dataclasses.replace(run, procedure=procedure)
    bench = run.rig.bench
    outcome = execute_run(run, watch, threading.Event())
    assert not bench.light.emitting
    assert bench.applied_potential_v == bench.cell.rest_potential_v
    return outcome


# ---- count rate ----


def seen(counts, span_s, limit_hz, rates_hz=(0.0, 0.0)):
    block = BlockCounts(span_s, np.array(counts))
    photons = SimpleNamespace(block=block, rates_hz=np.array(rates_hz))
    return too_bright(SimpleNamespace(photons=photons, rig=SimpleNamespace(count_rate_limit_hz=limit_hz)))


def test_a_single_block_tells_a_rate_above_the_limit():
    assert "detector 1 counted 6e+06 Hz, above its limit of 5e+06 Hz" in seen([0, 60_000], 0.01, 5e6)


def test_a_block_at_the_limit_does_not_trip_by_chance():
    rng = np.random.default_rng(1)
    for limit_hz in (1e2, 1e4, 1e6):
        counts = rng.poisson(0.01 * limit_hz, (20_000, 2))
        assert not any(seen(pair, 0.01, limit_hz) for pair in counts)


def test_the_mean_over_a_second_trips_where_blocks_are_too_short_to_tell():
    assert seen([0, 3], 0.01, 200.0, rates_hz=(0.0, 250.0))
    assert not seen([0, 3], 0.01, 200.0, rates_hz=(0.0, 150.0))


def test_too_much_light_locks_the_laser_in_the_first_hundredths_of_a_second(tmp_path):
    text = locate("charging_simulated").read_text().replace("limit_hz = 5e6", "limit_hz = 2e3")
    station = tmp_path / "dim.toml"
    station.write_text(text)
    outcome = execute(tmp_path, TwoHolds(), speed=2.0, station=str(station))
    run = read_run_file(outcome.path)
    assert outcome.exit_status == 3
    assert outcome.status == "failed"
    assert "above its limit of 2e+03 Hz; the laser was locked: reduce its intensity" in outcome.reason
    assert "interlock 'count rate'" in run.log
    (told,) = [line for line in run.log.splitlines() if "interlock" in line]
    assert float(told.split()[0]) - run.photons.start_s < 0.1
    late_s = run.photons.sync * run.photons.sync_period_s - 0.15
    assert (late_s > 0).sum() < 400 * late_s.max()  # only dark counts


def test_the_laser_is_locked_before_anything_else_is_fetched(tmp_path, monkeypatch):
    """How long that takes is measured in docs/reliability.md."""
    station = tmp_path / "dim.toml"
    station.write_text(locate("charging_simulated").read_text().replace("limit_hz = 5e6", "limit_hz = 2e3"))
    happened: list[str] = []
    append, lock, take = RunRecord.append_words, PDL828.make_safe, TimeHarp260.take

    def noted(what, action):
        return lambda self, *arguments: (happened.append(what), action(self, *arguments))[1]

    monkeypatch.setattr(RunRecord, "append_words", noted("block stored", append))
    monkeypatch.setattr(PDL828, "make_safe", noted("laser locked", lock))
    monkeypatch.setattr(TimeHarp260, "take", noted("fetched", take))
    execute(tmp_path, TwoHolds(), station=str(station))
    locked = happened.index("laser locked", happened.index("block stored"))
    assert happened[locked - 1] == "block stored"


# ---- current and potential ----


def record(overload):
    return SimpleNamespace(overload=np.array(overload, bool))


def test_a_spike_of_the_current_is_no_overload():
    assert not overloaded([record([True] + 199 * [False])])
    assert "100 %" in overloaded([record([True, True])])
    assert not overloaded([record([])])


def test_an_overload_ends_the_run_before_the_next_program(tmp_path):
    outcome = execute(tmp_path, TwoHolds(), faults=["chi_overload"])
    assert outcome.exit_status == 3
    assert "left the potentiostat's range" in outcome.reason
    assert "choose a larger sensitivity_a_v" in outcome.reason
    assert len(read_run_file(outcome.path).potentiostat) == 1


def test_a_recorded_potential_outside_the_window_trips():
    run = SimpleNamespace(
        rig=SimpleNamespace(potentiostat=SimpleNamespace(potential_limits_v=(-2.0, 0.6))),
        new_records=[SimpleNamespace(technique=None, potential_v=np.array([0.0, -2.005, np.nan]))],
    )
    assert not interlocks.outside_window(run)
    run.new_records[0].potential_v[1] = -2.3
    assert "recorded -2.300 V, outside -2 to 0.6 V" in interlocks.outside_window(run)


# ---- pause ----


def test_an_operators_pause_is_dark_and_noted(tmp_path):
    procedure, seen = TwoHolds(), []

    def watch(procedure):
        if procedure.progress.phase == "measuring" and not seen:
            procedure.pause()
            seen.append("asked")
        if procedure.progress.phase == "paused":
            seen.append(procedure.rig.bench.light.emitting)
            assert procedure.progress.paused == "paused by the operator"
            if len(seen) == 6:
                procedure.resume()

    outcome = execute(tmp_path, procedure, watch, speed=4.0)
    assert outcome.status == "finished", outcome.reason
    assert seen[1:6] == 5 * [False]
    run = read_run_file(outcome.path)
    (pause,) = run.header["pauses"]
    assert pause["why"] == "paused by the operator"
    assert pause["to_s"] - pause["from_s"] > 0.4
    assert len(run.potentiostat) == 2
    in_pause = run.photons.sync * run.photons.sync_period_s + run.photons.start_s
    dark = (in_pause > pause["from_s"] + 0.2) & (in_pause < pause["to_s"] - 0.1)
    assert dark.sum() < 400 * (pause["to_s"] - pause["from_s"])
    assert "resumed after" in run.log


class Cleared(TwoHolds):
    """Something is wrong from the first program until a while into the pause."""

    def wrong(self):
        begun = bool(self.potentiostat_records) and self.rig.clock.now() < self.until_s
        return "the door is open" if begun else ""

    until_s = math.inf
    interlocks = (*PhotonProcedure.interlocks, Interlock("door", wrong, Action.PAUSE, "close it"))


def test_an_interlock_that_clears_resumes_the_run(tmp_path):
    procedure = Cleared()

    def watch(procedure):
        if procedure.progress.phase == "paused" and math.isinf(procedure.until_s):
            procedure.until_s = procedure.rig.clock.now() + 0.5

    outcome = execute(tmp_path, procedure, watch)
    assert outcome.status == "finished", outcome.reason
    assert any("the door is open" in warning for warning in outcome.warnings)
    run = read_run_file(outcome.path)
    assert run.header["pauses"][0]["why"] == "the door is open"
    assert "door: cleared" in run.log


def test_an_interlock_that_does_not_clear_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(rig_procedure, "LONGEST_PAUSE_S", 0.4)
    outcome = execute(tmp_path, Cleared())
    assert outcome.exit_status == 3
    assert "the door is open; after 0.4 s the run was ended" in outcome.reason


def test_a_run_can_be_ended_while_it_is_paused(tmp_path):
    procedure, stop = TwoHolds(), threading.Event()
    run = dataclasses.replace(prepare_run("cv_flid", out=tmp_path, speed=math.inf), procedure=procedure)
    procedure.pause()

    def watch(procedure):
        if procedure.progress.phase == "paused":
            stop.set()

    outcome = execute_run(run, watch, stop)
    assert outcome.status == "aborted"
    assert outcome.exit_status == 130


# ---- limits between quantities ----

LIMITS = """
[limits]
electrode = "ITO"
electrolyte = "0.1 M TBAPF6 in acetonitrile"
intensity_s = 100.0
rate_at_full_intensity_hz = 1e5
ito_charge_c_cm2 = 1e-3

[[limits.windows]]
electrode = "ITO"
electrolyte = "0.1 M TBAPF6 in acetonitrile"
potential_v = [-1.9, 0.5]
"""
PLAN = ("hold_s=2", "cycles=1", "scan_rate_v_s=1", "vertex_v=-1.8")


@pytest.fixture
def limited(tmp_path):
    """Prepare a run on a station with limits; the run, closed again."""

    def prepare(*overrides, limits=LIMITS, reason=None):
        station = tmp_path / "limited.toml"
        station.write_text(locate("charging_simulated").read_text() + limits)
        run = prepare_run(
            "cv_flid", station=str(station), out=tmp_path, overrides=(*PLAN, *overrides), override=reason
        )
        run.rig.close()
        return run

    return prepare


def test_a_plan_within_the_limits_is_taken(limited):
    assert limited().overridden is None


@pytest.mark.parametrize(
    ("overrides", "limits", "words"),
    [
        (["vertex_v=-1.95"], LIMITS, "-1.95 V is outside -1.9 to 0.5 V, what ITO stands in 0.1 M TBAPF6"),
        (["hold_s=400"], LIMITS, "more than 100 s"),
        (["cycles=2000", "vertex_v=-1.9"], LIMITS.replace("100.0", "1e6"), "reduces the ITO by about"),
        ([], LIMITS.replace("= 1e5", "= 1e8"), "more than its limit of 5e+06 Hz"),
        ([], LIMITS.replace('electrolyte = "0.1 M', 'electrolyte = "1 M', 1), "no [[limits.windows"),
    ],
    ids=["window", "light", "charge", "rate", "unknown cell"],
)
def test_a_plan_beyond_a_limit_is_refused_and_says_which(limited, overrides, limits, words):
    with pytest.raises(RefusedError, match=re.escape(words)):
        limited(*overrides, limits=limits)


def test_an_override_needs_a_reason_and_the_run_file_keeps_it(limited, tmp_path):
    with pytest.raises(RefusedError, match="'yes' is no reason"):
        limited("vertex_v=-1.95", reason="yes")
    reason = "the last run on this electrode"
    run = limited("vertex_v=-1.95", reason=reason)
    assert run.overridden["reason"] == reason
    assert "-1.95 V" in run.overridden["exceeded"][0]
    station = str(tmp_path / "limited.toml")
    run = prepare_run(
        "cv_flid", station=station, out=tmp_path, overrides=(*PLAN, "vertex_v=-1.95"), override=reason
    )
    outcome = execute_run(run, lambda procedure: None, threading.Event())
    assert outcome.status == "finished", outcome.reason
    assert read_run_file(outcome.path).header["overridden_limits"]["reason"] == reason


def test_the_instruments_own_limits_cannot_be_overridden(limited):
    with pytest.raises(RefusedError, match="outside"):
        limited("vertex_v=-2.5", reason="the last run on this electrode")


def test_the_planned_reduction_charge_is_that_of_the_cell():
    cell = Cell(seed=1)
    cell.respond(0.01, np.full(6000, -2.0))
    leaked_c_cm2 = cell.damage_dose * 15e-3
    assert reduction_charge_c_cm2([Hold(-2.0, 60.0)]) == pytest.approx(leaked_c_cm2, rel=0.25)
