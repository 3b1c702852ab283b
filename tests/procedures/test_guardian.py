"""A run that is killed or frozen leaves the station safe: instruments in one process, the run in another."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from qdlab.formats.run_file import read_run_file
from qdlab.instruments.base import InstrumentError
from qdlab.procedures import guardian
from qdlab.procedures.guardian import BEAT, SAFE, UNSAFE, Heartbeat, guarded, make_safe_now
from qdlab.procedures.station import Station

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.fixture(scope="module")
def bench_module(load_benchmark):
    """The benchmark that times the guardian, as a module."""
    return load_benchmark("guardian")


@pytest.fixture(scope="module")
def bench(bench_module, tmp_path_factory):
    station = bench_module.served_station(tmp_path_factory.mktemp("station"))
    with bench_module.ServedBench(station) as served:
        yield served


# ---- on instruments that outlive the run ----


@posix
def test_after_kill_9_the_guardian_puts_the_light_off_and_stops_the_stage(bench_module, bench, tmp_path):
    found = bench_module.rescue(bench, tmp_path, bench_module.STAGE_MOVING, signal.SIGKILL)
    assert found.stage_s > 0  # how long it takes is measured by the benchmark
    assert "the run's process died" in found.log
    assert "laser: safe" in found.log


@posix
@pytest.mark.slow
def test_after_kill_9_the_cell_is_off_as_soon_as_its_program_has_started(bench_module, bench, tmp_path):
    found = bench_module.rescue(bench, tmp_path, bench_module.CELL_ON, signal.SIGKILL)
    assert 0 < found.light_s < found.cell_s
    assert "potentiostat: safe" in found.log


@posix
@pytest.mark.slow
def test_a_frozen_run_is_ended_and_its_rig_made_safe(bench_module, bench, tmp_path):
    found = bench_module.rescue(bench, tmp_path, bench_module.STAGE_MOVING, signal.SIGSTOP)
    assert found.light_s > 0
    assert "the run's process hangs" in found.log


@pytest.mark.slow
def test_a_run_that_ends_in_order_needs_no_guardian(bench_module, bench, tmp_path):
    settings = ("dark_s=1", "scatter_s=1")
    with bench_module.run_on(bench, tmp_path, "blank", settings) as process:
        out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    run = read_run_file(Path(out.strip().splitlines()[-1]))
    assert run.status == "finished"
    assert run.header["simulated"] is True
    assert "guardian" not in run.log
    assert run.photons.n_photons > 300
    bench.off_since("emitting", 1.0)


@posix
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_in_order(bench_module, bench, tmp_path, number):
    with bench_module.run_on(bench, tmp_path, *bench_module.STAGE_MOVING[::2]) as process:
        bench.wait_for(lambda state: state["emitting"] and state["stage_moving"], 60.0)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert read_run_file(Path(out.strip().splitlines()[-1])).status == "aborted"
    assert not any(bench.seen[-1][1].values())


@posix
@pytest.mark.slow
def test_a_second_program_is_refused_while_the_first_one_runs(bench_module, bench, tmp_path):
    with bench_module.run_on(bench, tmp_path / "1", *bench_module.STAGE_MOVING[::2]) as first:
        bench.wait_for(lambda state: state["emitting"], 60.0)
        with bench_module.run_on(bench, tmp_path / "2", "blank", ()) as second:
            _, err = second.communicate(timeout=60)
        assert second.returncode == 2
        assert f"is in use by process {first.pid}" in err


# ---- the heartbeat ----


@pytest.fixture
def pipe():
    return os.pipe()  # the end that a heartbeat's thread reads stays open as long as the thread


@pytest.mark.parametrize(
    ("said", "why"),
    [(BEAT + SAFE, ""), (BEAT + UNSAFE, "the run could not make it safe"), (BEAT, "the run's process died")],
)
def test_how_a_run_ends_is_told_by_its_last_word(pipe, said, why):
    read, write = pipe
    heartbeat = Heartbeat(read, 0)
    os.write(write, said)
    os.close(write)
    assert heartbeat.wait_for_end() == why


@pytest.mark.parametrize(
    ("processor_s", "limit"),
    [
        (lambda pid: 7.0, "SILENCE_S"),
        (lambda pid: None, "HANG_S"),
        (lambda pid: time.monotonic(), "HANG_S"),
    ],
    ids=["stands still", "unknown", "works on"],
)
def test_silence_means_that_the_run_hangs(pipe, monkeypatch, processor_s, limit):
    monkeypatch.setattr(guardian, "processor_s_of", processor_s)
    monkeypatch.setattr(guardian, limit, 0.4)
    read, write = pipe
    heartbeat = Heartbeat(read, os.getpid())
    beating = threading.Timer(0.3, os.write, (write, BEAT))
    beating.start()
    assert heartbeat.wait_for_end() == "the run's process hangs"
    assert not beating.is_alive()
    os.close(write)
    beating.join()


def test_a_run_that_works_without_a_word_is_given_time(pipe, monkeypatch):
    monkeypatch.setattr(guardian, "SILENCE_S", 0.1)
    monkeypatch.setattr(guardian, "processor_s_of", lambda pid: time.monotonic())
    read, write = pipe
    heartbeat = Heartbeat(read, os.getpid())
    os.write(write, BEAT)
    ending = threading.Timer(0.8, os.write, (write, SAFE))
    ending.start()
    assert heartbeat.wait_for_end() == ""
    ending.join()
    os.close(write)


def test_a_look_that_comes_late_is_not_taken_for_silence(pipe, monkeypatch):
    read, write = pipe
    heartbeat = Heartbeat(read, 0)
    looks = iter([0.0, 50.0, 50.0, 50.1, 50.1, 50.2])  # the first look took fifty seconds: the computer slept
    monkeypatch.setattr(guardian, "time", SimpleNamespace(monotonic=lambda: next(looks)))
    monkeypatch.setattr(heartbeat, "_changed", SleepingCondition(heartbeat))
    assert heartbeat.wait_for_end() == "the run's process died"
    os.close(write)


class SleepingCondition(threading.Condition):
    """Two looks in which nothing is heard, then the end."""

    def __init__(self, heartbeat):
        super().__init__()
        self._heartbeat, self._looks = heartbeat, 0

    def wait_for(self, predicate, timeout=None):
        self._looks += 1
        if self._looks == 3:
            self._heartbeat._end = b"EOF"
        return False


@pytest.fixture
def spoken(monkeypatch):
    """What a guardian's process would have been told."""
    told: list[bytes] = []

    class Process:
        stdin = SimpleNamespace(write=told.append, flush=lambda: None, close=lambda: None)

        def __init__(self, *arguments, **keywords):
            self.stdout = open(os.devnull, "rb")  # noqa: SIM115 - the guardian closes it
            self.stdout.read(0)

        def wait(self):
            return 0

    monkeypatch.setattr(guardian.subprocess, "Popen", Process)
    monkeypatch.setattr(guardian, "READY", b"")
    return told


SERVED = SimpleNamespace(simulated=False, path=Path("served.toml"))


def test_a_run_that_hangs_in_a_living_process_does_not_beat(spoken, tmp_path):
    stuck = threading.Event()
    with guarded(SERVED, tmp_path / "log", stuck.is_set) as tell:
        threading.Event().wait(0.35)
        beats = len(spoken)
        assert beats >= 2
        stuck.set()
        threading.Event().wait(0.35)
        assert len(spoken) <= beats + 1
        tell(True)
    assert spoken[-1] == SAFE


def test_a_run_that_was_not_made_safe_is_told_so(spoken, tmp_path):
    with pytest.raises(RuntimeError), guarded(SERVED, tmp_path / "log", lambda: False):
        raise RuntimeError("in between")
    assert spoken[-1] == UNSAFE


def test_instruments_in_this_process_have_no_guardian(spoken, tmp_path):
    with guarded(SimpleNamespace(simulated=True), tmp_path / "log", lambda: False):
        pass
    assert spoken == []


# ---- making safe ----


def test_the_laser_is_first_and_one_failure_keeps_nobody_else(monkeypatch):
    station = Station.load(Path(__file__).parents[2] / "configs" / "confocal_simulated.toml")
    told: list[tuple[str, str]] = []
    from qdlab.instruments.pi.e545_stage import E545Stage

    def fail(self):
        raise InstrumentError("it is stuck")

    monkeypatch.setattr(E545Stage, "make_safe", fail)
    problems = make_safe_now(station, lambda question: "", lambda *words: told.append(words))
    assert told[0] == ("laser", "safe")
    assert problems == {"stage": "it is stuck"}
    assert sorted(told[1:]) == [("counter", "safe"), ("potentiostat", "safe"), ("stage", "it is stuck")]
