import math
from pathlib import Path

import pytest

from qdlab.formats.run_file import read_run_file
from qdlab.gui.run_queue import RunQueue, RunRequest, State
from qdlab.procedures.config import locate

LIMIT_MS = 60_000
SHORT = ("hold_s=1", "cycles=1", "scan_rate_v_s=2")
LONG = ("hold_s=600", "cycles=0")


@pytest.fixture
def queue(qtbot):
    made = RunQueue()
    yield made
    made.hold()
    made.abort()
    qtbot.waitUntil(lambda: made.running is None, timeout=LIMIT_MS)
    assert made.wait(10)
    made.deleteLater()


@pytest.fixture
def request_of():
    def make(*overrides, speed=math.inf, **options):
        return RunRequest("cv_flid", overrides, out=Path("runs"), seed=1, speed=speed, **options)

    return make


@pytest.fixture
def dim_station(tmp_path):
    """A station whose limit of the count rate any run crosses."""
    text = locate("charging_simulated").read_text()
    path = tmp_path / "dim.toml"
    path.write_text(text.replace("count_rate_limit_hz = 5e6", "count_rate_limit_hz = 500.0"))
    return str(path)


def states(queue):
    return [(job.number, job.state.value) for job in queue.jobs]


def all_ended(queue):
    return lambda: queue.running is None and (queue.held or not queue.waiting)


def test_runs_go_one_after_the_other_and_leave_their_files(queue, request_of, qtbot):
    order = []
    queue.started.connect(lambda job: order.append(("started", job.number)))
    queue.ended.connect(lambda job, _outcome: order.append(("ended", job.number)))
    queue.add([request_of(*SHORT, title="first of two"), request_of(*SHORT)])
    qtbot.waitUntil(all_ended(queue), timeout=LIMIT_MS)
    assert order == [("started", 1), ("ended", 1), ("started", 2), ("ended", 2)]
    first, second = (read_run_file(job.path) for job in queue.jobs)
    assert first.status == second.status == "finished"
    assert first.header["title"] == "first of two"
    assert first.header["parameters"]["hold_s"] == 1.0
    assert queue.jobs[0].fraction > 0.5


def test_waiting_runs_are_moved_removed_and_held(queue, request_of):
    queue.hold()
    one, two, three = queue.add([request_of(*SHORT) for _ in range(3)])
    queue.move(three, -2)
    assert queue.waiting == [three, one, two]
    queue.move(three, 99)
    assert queue.waiting == [one, two, three]
    queue.remove(two)
    assert queue.waiting == [one, three]
    assert queue.running is None


def test_an_aborted_run_keeps_its_record_and_the_next_one_starts(queue, request_of, qtbot):
    queue.add([request_of(*LONG, speed=20.0), request_of(*SHORT)])
    first = queue.jobs[0]
    qtbot.waitUntil(lambda: first.progress is not None and first.progress.photons > 100, timeout=LIMIT_MS)
    queue.abort()
    qtbot.waitUntil(all_ended(queue), timeout=LIMIT_MS)
    assert states(queue) == [(1, "aborted"), (2, "finished")]
    run = read_run_file(first.path)
    assert run.status == "aborted"
    assert run.photons.n_photons > 100


@pytest.mark.parametrize(
    ("go_on", "second"), [(False, State.WAITING), (True, State.FINISHED)], ids=["held", "goes on"]
)
def test_after_a_failed_run_the_queue_is_held_or_goes_on_as_chosen(
    queue, request_of, dim_station, qtbot, go_on, second
):
    said = []
    queue.failed.connect(lambda job, message: said.append((job.number, message)))
    queue.go_on_after_failure = go_on
    queue.add([request_of(*SHORT, station=dim_station), request_of(*SHORT)])
    qtbot.waitUntil(all_ended(queue), timeout=LIMIT_MS)
    assert [job.state for job in queue.jobs] == [State.FAILED, second]
    assert queue.held is not go_on
    (number, message), = said  # fmt: skip
    assert number == 1
    assert "above its limit of 500 Hz; the laser was locked" in message
    assert read_run_file(queue.jobs[0].path).status == "failed"


def test_a_refused_run_fails_with_its_sentence_and_leaves_no_file(queue, request_of, qtbot):
    with qtbot.waitSignal(queue.failed, timeout=LIMIT_MS) as failed:
        (job,) = queue.add(request_of("vertex_v=-3"))
    assert "-3.0 is outside [-2.0, 0.6]" in failed.args[1]
    assert job.path is None
    assert not list(Path("runs").glob("*"))


def test_the_red_stop_makes_the_rig_safe_before_the_run_notices(queue, request_of, qtbot):
    (job,) = queue.add([request_of("hold_s=600", "cycles=0", speed=20.0)])
    qtbot.waitUntil(
        lambda: job.progress is not None and job.progress.potential_v is not None, timeout=LIMIT_MS
    )
    rig = job.procedure.rig
    assert rig.bench.light.emitting
    events = []

    def note(name, thing, verb):
        real = getattr(thing, verb)

        def noted():
            result = real()
            events.append((name, rig.bench.light.emitting))
            return result

        setattr(thing, verb, noted)

    note("laser", rig.laser, "make_safe")
    note("potentiostat", rig.potentiostat, "make_safe")
    note("shutdown", job.procedure, "shutdown")
    with qtbot.waitSignal(queue.made_safe, timeout=LIMIT_MS) as made_safe:
        queue.red_stop()
        assert job.stop.is_set()
        assert queue.held
    assert made_safe.args == [[]]
    qtbot.waitUntil(lambda: queue.running is None, timeout=LIMIT_MS)
    assert events[0] == ("laser", False)
    assert [name for name, _ in events].index("potentiostat") < [name for name, _ in events].index("shutdown")
    assert not any(emitting for _, emitting in events)
    assert rig.bench.applied_potential_v == rig.bench.cell.rest_potential_v
    assert (job.state, job.message) == (State.ABORTED, "the red stop made the rig safe")
    run = read_run_file(job.path)
    assert (run.status, run.header["status_reason"]) == ("aborted", "the red stop made the rig safe")
    assert run.photons.n_photons > 0


def test_the_red_stop_while_a_run_is_prepared_lets_no_light_in(queue, request_of, qtbot):
    queue.before_run = lambda: queue.red_stop()
    (job,) = queue.add([request_of(*SHORT)])
    qtbot.waitUntil(lambda: queue.running is None, timeout=LIMIT_MS)
    assert (job.state, job.message) == (State.ABORTED, "stopped before it began")
    assert job.path is None
    assert queue.held


def test_the_red_stop_while_a_run_connects_lets_no_light_in(queue, request_of, qtbot):
    lit = []

    def stop_now(job):
        bench = job.procedure.rig.bench
        real = bench.set_light
        bench.set_light = lambda light: lit.append(light.emitting) or real(light)
        queue.red_stop()

    queue.prepared.connect(stop_now)
    (job,) = queue.add([request_of(*LONG, speed=20.0)])
    qtbot.waitUntil(lambda: queue.running is None, timeout=LIMIT_MS)
    assert job.state is State.ABORTED
    assert not any(lit[-1:])


def test_whoever_holds_the_instruments_gives_them_up_around_each_run(queue, request_of, qtbot):
    around = []
    queue.before_run = lambda: around.append("given up")
    queue.after_run = lambda: around.append("taken back")
    queue.started.connect(lambda job: around.append(job.number))
    queue.add([request_of("vertex_v=-3"), request_of(*SHORT)])
    queue.go_on_after_failure = True
    qtbot.waitUntil(all_ended(queue), timeout=LIMIT_MS)
    assert [what for what in around if isinstance(what, str)] == ["given up", "taken back"] * 2


def test_a_run_pauses_in_the_dark_where_its_procedure_allows_it_and_goes_on(queue, qtbot):
    small = ("pixels_x=16", "pixels_y=8", "frames=100")
    (job,) = queue.add(RunRequest("confocal_scan", small, out=Path("runs"), seed=1, speed=5.0))
    qtbot.waitUntil(lambda: job.progress is not None and job.progress.photons > 100, timeout=LIMIT_MS)
    bench = job.procedure.rig.bench
    queue.pause()
    qtbot.waitUntil(lambda: not bench.light.emitting, timeout=LIMIT_MS)
    qtbot.waitUntil(lambda: job.progress.paused == "paused by the operator", timeout=LIMIT_MS)
    queue.pause(False)
    qtbot.waitUntil(lambda: bench.light.emitting and not job.progress.paused, timeout=LIMIT_MS)
    assert job.state is State.RUNNING


def test_a_run_that_cannot_pause_goes_on(queue, request_of, qtbot):
    (job,) = queue.add([RunRequest("hbt", out=Path("runs"), seed=1, speed=20.0)])
    qtbot.waitUntil(lambda: job.progress is not None and job.progress.photons > 100, timeout=LIMIT_MS)
    assert not job.procedure.pausable
    queue.pause()
    before_s = job.progress.elapsed_s
    qtbot.waitUntil(lambda: job.progress.elapsed_s > before_s + 2, timeout=LIMIT_MS)
    assert job.procedure.rig.bench.light.emitting
