"""The station under manual control, on the twin: what is told and shown, and what is refused."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from qdlab.instruments.base import InstrumentError, OutOfRangeError
from qdlab.procedures import station_monitor
from qdlab.procedures.errors import RefusedError
from qdlab.procedures.run import execute_run, prepare_run
from qdlab.procedures.station import Station
from qdlab.procedures.station_monitor import StationMonitor
from qdlab.sim.bench import Faults
from qdlab.sim.clock import SimulatedClock

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = CONFIGS / "confocal_simulated.toml"
A_DOT_UM = {"x_um": 98.95, "y_um": 99.81, "z_um": 100.0}
SOON_S = 10.0
ROLES = ["laser", "counter", "potentiostat", "stage"]


def wait_until(what, seconds=SOON_S):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def ten_times_faster(monkeypatch):
    monkeypatch.setattr(station_monitor, "BY_HAND_SPEED", 10.0)


@pytest.fixture
def held():
    """Hold a station; released at the end of the test."""
    monitors = []

    def hold(path=SHIPPED, **options):
        monitor = StationMonitor(Station.load(path), **options)
        monitors.append(monitor)
        monitor.take_back()
        wait_until(lambda: all(s.connected or s.error for s in monitor.snapshot().roles.values()))
        return monitor

    yield hold
    for monitor in monitors:
        monitor.release()


@pytest.fixture
def changed(tmp_path):
    """A station file with something replaced in its text."""

    def change(old, new):
        text = SHIPPED.read_text(encoding="utf-8")
        assert old in text
        path = tmp_path / "station.toml"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return path

    return change


def tell(monitor, role, verb, **arguments):
    return monitor.command(role, verb, **arguments).result(SOON_S)


def state(monitor, role):
    return monitor.snapshot().roles[role]


def number(monitor, role, key):
    return state(monitor, role).numbers[key].value


def rates(monitor):
    return [n.value for key, n in state(monitor, "counter").numbers.items() if key.startswith("rate")]


def bench(monitor):
    return monitor._hold.rig.bench


# ---- what is there ----


def test_every_instrument_connects_and_says_who_and_how_it_is(held):
    monitor = held()
    snapshot = monitor.snapshot()
    assert list(snapshot.roles) == ROLES
    assert (snapshot.holder, snapshot.simulated) == ("monitor", True)
    assert all(s.connected and s.simulated and not s.error for s in snapshot.roles.values())
    assert "TimeHarp 260" in snapshot.roles["counter"].identity
    assert "SIMULATED" not in snapshot.roles["counter"].identity
    wait_until(lambda: len(state(monitor, "stage").numbers) == 3)
    assert state(monitor, "laser").words["lock"] == "locked by software"
    assert number(monitor, "laser", "repetition_rate_hz") == 2.5e6
    assert number(monitor, "laser", "intensity") == pytest.approx(0.3)
    assert number(monitor, "counter", "sync_rate_hz") == 2.5e6
    assert state(monitor, "potentiostat").words["cell"] == "off"
    potential = state(monitor, "potentiostat").numbers["potential_v"]
    assert (potential.lower, potential.upper) == (-2.0, 0.6)


def test_a_simulated_station_lives_at_the_speed_that_was_asked_for(held):
    clock = held()._hold.rig.clock
    wall_s, began_s = time.monotonic(), clock.now()
    time.sleep(0.5)
    assert 0 < clock.now() - began_s < 10.5 * (time.monotonic() - wall_s)


def test_a_device_that_does_not_answer_takes_no_other_away_and_can_be_tried_again(held):
    monitor = held(faults=["sepia_not_found"])
    assert not state(monitor, "laser").connected
    assert "no frame could be opened" in state(monitor, "laser").error
    assert all(state(monitor, role).connected for role in ROLES[1:])
    bench(monitor).faults = Faults()
    assert "PDL 828" in tell(monitor, "laser", "connect")
    assert state(monitor, "laser").connected
    assert not state(monitor, "laser").error


def test_missing_vendor_software_takes_no_other_instrument_away(held, changed):
    path = changed(
        'driver = "timeharp260"\nconnection = "simulated"',
        'driver = "timeharp260"\nconnection = "nowhere/th260lib.so"',
    )
    monitor = held(path)
    assert "th260lib.so" in state(monitor, "counter").error
    assert [role for role in ROLES if state(monitor, role).connected] == ["laser", "potentiostat", "stage"]
    with pytest.raises(RefusedError, match=r"th260lib\.so"):
        tell(monitor, "counter", "connect")
    with pytest.raises(InstrumentError, match="no counter to watch"):
        tell(monitor, "laser", "unlock")


# ---- light ----


def test_unlocking_lets_the_rates_of_a_dot_rise_and_locking_lets_them_fall(held):
    monitor = held()
    tell(monitor, "stage", "move_to", **A_DOT_UM)
    wait_until(lambda: len(rates(monitor)) == 2)
    assert max(rates(monitor)) < 1000
    tell(monitor, "laser", "unlock")
    assert state(monitor, "laser").words["lock"] == "unlocked"
    wait_until(lambda: sum(rates(monitor)) > 10_000)
    tell(monitor, "laser", "lock")
    wait_until(lambda: max(rates(monitor)) < 1000)


def test_the_intensity_can_be_set_while_the_laser_is_locked(held):
    monitor = held()
    tell(monitor, "laser", "set_pulses", repetition_rate_hz=5e6, intensity=0.1)
    assert number(monitor, "laser", "repetition_rate_hz") == 5e6
    assert number(monitor, "laser", "intensity") == pytest.approx(0.1, abs=1e-3)
    assert state(monitor, "laser").words["lock"] == "locked by software"
    wait_until(lambda: number(monitor, "counter", "sync_rate_hz") == 5e6)
    with pytest.raises(OutOfRangeError, match="is none of"):
        tell(monitor, "laser", "set_pulses", repetition_rate_hz=3e6, intensity=0.1)
    assert "is none of" in state(monitor, "laser").refused
    assert number(monitor, "laser", "repetition_rate_hz") == 5e6


def test_no_light_without_a_counter_that_watches(held):
    monitor = held()
    tell(monitor, "counter", "disconnect")
    with pytest.raises(InstrumentError, match="nothing watches the detectors' rates"):
        tell(monitor, "laser", "unlock")
    assert state(monitor, "laser").words["lock"] == "locked by software"


def test_disconnecting_the_counter_locks_the_laser_and_says_so(held):
    monitor = held()
    tell(monitor, "laser", "unlock")
    tell(monitor, "counter", "disconnect")
    assert not bench(monitor).light.emitting
    assert monitor.snapshot().alarm == "the counter was disconnected; the laser was locked"
    monitor.clear_alarm()
    assert monitor.snapshot().alarm == ""


def test_a_rate_above_the_limit_locks_the_laser_at_once_and_says_so(held, changed):
    monitor = held(changed("count_rate_limit_hz = 5e6", "count_rate_limit_hz = 2e3"))
    tell(monitor, "laser", "unlock")  # beside the dot
    tell(monitor, "stage", "move_to", **A_DOT_UM)
    wait_until(lambda: monitor.snapshot().alarm != "")
    assert "above its limit of 2e+03 Hz; the laser was locked" in monitor.snapshot().alarm
    assert not bench(monitor).light.emitting
    assert state(monitor, "laser").words["lock"] == "locked by software"
    wait_until(lambda: max(rates(monitor)) < 1000)
    tell(monitor, "laser", "unlock")
    assert "the laser was locked" not in monitor.snapshot().alarm


def test_a_counter_that_fails_shuts_the_light_off(held, monkeypatch):
    monitor = held()
    tell(monitor, "laser", "unlock")

    def broken():
        raise InstrumentError("the board fell out")

    monkeypatch.setattr(monitor._hold.rig.counter, "count_rates_hz", broken)
    wait_until(lambda: monitor.snapshot().alarm != "")
    assert "the board fell out; the laser was locked" in monitor.snapshot().alarm
    assert not bench(monitor).light.emitting


# ---- potential ----


def test_a_potential_is_held_until_the_cell_is_switched_off(held):
    monitor = held()
    rest_v = bench(monitor).applied_potential_v
    tell(monitor, "potentiostat", "hold", potential_v=-1.0, hold_s=600.0)
    assert state(monitor, "potentiostat").words["cell"] == "starting"
    wait_until(lambda: state(monitor, "potentiostat").words["cell"] == "on, -1 V")
    wait_until(lambda: bench(monitor).applied_potential_v == pytest.approx(-1.0, abs=1e-6))
    assert number(monitor, "potentiostat", "potential_v") == -1.0
    assert 500 < number(monitor, "potentiostat", "left_s") < 600
    tell(monitor, "potentiostat", "cell_off")
    assert state(monitor, "potentiostat").words["cell"] == "off"
    assert bench(monitor).applied_potential_v == rest_v


def test_rates_are_read_while_the_cell_is_being_switched_off(held):
    monitor = held()
    tell(monitor, "potentiostat", "hold", potential_v=-1.0)
    off = monitor.command("potentiostat", "cell_off")
    keeper = monitor._hold.keepers["counter"]
    seen = set()
    while not off.done():
        seen.add(keeper.read_at_s)
        assert monitor._hold.rig.clock.now() - keeper.read_at_s < 2.0
        time.sleep(0.005)
    assert len(seen) > 5


def test_another_potential_replaces_the_one_that_is_held(held):
    monitor = held()
    tell(monitor, "potentiostat", "hold", potential_v=-1.0)
    tell(monitor, "potentiostat", "hold", potential_v=-0.5)
    wait_until(lambda: state(monitor, "potentiostat").words["cell"] == "on, -0.5 V")


def test_a_potential_outside_the_window_is_refused_and_the_cell_stays_as_it_is(held):
    monitor = held()
    with pytest.raises(OutOfRangeError, match=r"-2\.5 is outside \[-2\.0, 0\.6\]"):
        tell(monitor, "potentiostat", "hold", potential_v=-2.5)
    assert "outside [-2.0, 0.6]" in state(monitor, "potentiostat").refused
    assert state(monitor, "potentiostat").words["cell"] == "off"
    with pytest.raises(OutOfRangeError, match="hold_s"):
        tell(monitor, "potentiostat", "hold", potential_v=-1.0, hold_s=1e5)
    tell(monitor, "potentiostat", "hold", potential_v=-1.0)
    assert state(monitor, "potentiostat").refused == ""


def test_a_hold_that_fails_is_told_and_the_cell_is_switched_off(held):
    monitor = held()
    tell(monitor, "potentiostat", "hold", potential_v=-1.0, hold_s=20.0)
    wait_until(lambda: state(monitor, "potentiostat").words["cell"] == "on, -1 V")
    monitor._hold.keepers["potentiostat"]._run.fail(InstrumentError("the program vanished"))
    wait_until(lambda: "the program vanished" in state(monitor, "potentiostat").error)
    wait_until(lambda: state(monitor, "potentiostat").words["cell"] == "off")
    assert bench(monitor).applied_potential_v == bench(monitor).cell.rest_potential_v


# ---- stage ----


def test_a_jog_moves_one_axis_by_its_step(held):
    monitor = held()
    tell(monitor, "stage", "move_to", **A_DOT_UM)
    before = np.array([number(monitor, "stage", f"{axis}_um") for axis in "xyz"])
    tell(monitor, "stage", "jog", axis="x", step_um=1.0)
    after = np.array([number(monitor, "stage", f"{axis}_um") for axis in "xyz"])
    assert after - before == pytest.approx([1.0, 0.0, 0.0], abs=0.02)
    for _ in range(10):
        tell(monitor, "stage", "jog", axis="x", step_um=-0.1)
    assert number(monitor, "stage", "x_um") == pytest.approx(A_DOT_UM["x_um"], abs=0.02)


def test_a_place_outside_the_travel_is_refused_and_nothing_moves(held):
    monitor = held()
    tell(monitor, "stage", "move_to", **A_DOT_UM)
    for verb, arguments in (
        ("move_to", {"x_um": 50.0, "y_um": 300.0}),
        ("jog", {"axis": "z", "step_um": 100.0}),
    ):
        with pytest.raises(OutOfRangeError, match="is outside"):
            tell(monitor, "stage", verb, **arguments)
    assert "PI E-545: z_um = 200.0 is outside [20.0, 180.0]" in state(monitor, "stage").refused
    for key, um in A_DOT_UM.items():
        assert number(monitor, "stage", key) == pytest.approx(um, abs=0.02)


def test_a_command_that_an_instrument_does_not_have_is_refused(held):
    monitor = held()
    with pytest.raises(RefusedError, match="stage has no command 'dance'; it has connect"):
        tell(monitor, "stage", "dance")
    with pytest.raises(RefusedError, match=r"has no \[shaper\] table"):
        tell(monitor, "shaper", "connect")


# ---- everything safe ----


def test_everything_safe_shuts_the_light_off_while_the_cell_still_takes_longer(held):
    monitor = held()
    tell(monitor, "laser", "unlock")
    tell(monitor, "potentiostat", "hold", potential_v=-1.0)
    busy = monitor.command(
        "potentiostat", "hold", potential_v=-0.5
    )  # ends the first one, which takes seconds
    waiting = monitor.command("laser", "unlock")
    time.sleep(0.05)
    safe = monitor.make_safe()
    wait_until(lambda: not bench(monitor).light.emitting)
    assert not safe.done()
    assert safe.result(SOON_S) == []
    assert waiting.cancelled()
    assert busy.done()
    assert state(monitor, "potentiostat").words["cell"] == "off"
    assert not bench(monitor).light.emitting


# ---- runs ----


def test_a_release_makes_everything_safe_and_refuses_commands_until_it_is_taken_back(held):
    monitor = held()
    tell(monitor, "laser", "unlock")
    there = bench(monitor)
    assert monitor.release() == []
    assert not there.light.emitting
    assert monitor.snapshot().holder == "nobody"
    assert not any(s.connected for s in monitor.snapshot().roles.values())
    with pytest.raises(RefusedError, match="a run holds the station"):
        tell(monitor, "laser", "unlock")
    assert monitor.make_safe().result(SOON_S) == []
    monitor.take_back()
    wait_until(lambda: all(s.connected for s in monitor.snapshot().roles.values()))


def test_a_run_feeds_the_snapshot_while_it_holds_the_station(held, tmp_path):
    monitor = held()
    monitor.release()
    sets = ["pixels_x=40", "pixels_y=24", "x_um=98.95", "y_um=99.8"]
    run = prepare_run("confocal_scan", out=tmp_path, overrides=sets)
    monitor.watch(run.procedure)
    snapshots = []

    def look(_procedure):
        snapshots.append(monitor.snapshot())

    assert execute_run(run, look, threading.Event()).status == "finished"
    snapshots.append(monitor.snapshot())
    assert {s.holder for s in snapshots} == {"run"}
    last = snapshots[-1]
    assert all(s.connected and s.simulated for s in last.roles.values())
    assert "TimeHarp" in last.roles["counter"].identity
    assert last.phase == "frame 1"
    counted = [n.value for n in last.roles["counter"].numbers.values()]
    assert counted == run.procedure.photons.rates_hz.tolist()
    assert sum(counted) > 100
    monitor.take_back()
    assert monitor.snapshot().holder == "monitor"


def test_the_live_image_of_a_scan_becomes_that_of_the_measured_path(tmp_path):
    sets = ["pixels_x=40", "pixels_y=24", "x_um=98.95", "y_um=99.8"]
    run = prepare_run("confocal_scan", out=tmp_path, overrides=sets, speed=4.0)
    images = []

    def look(procedure):
        if procedure.live_field is not None and (image := procedure.live_field.image()) is not None:
            images.append(image)

    assert execute_run(run, look, threading.Event()).status == "finished"
    look(run.procedure)
    seen = [float(np.isfinite(image.rate_hz).mean()) for image in images]
    assert len(images) > 5
    assert sorted(seen) == seen
    assert seen[0] < 0.7
    assert seen[-1] == pytest.approx(1.0, abs=0.01)
    growing = next(image for image in images if image.counts.sum() > 0.9 * images[-1].counts.sum())
    assert brightest_um(growing) == pytest.approx(brightest_um(images[-1]), abs=0.15)
    assert brightest_um(images[-1]) == pytest.approx([98.95, 99.81], abs=0.1)


def brightest_um(image):
    counts = image.counts.sum(axis=0)
    x_um, y_um = ((edges[:-1] + edges[1:]) / 2 for edges in image.grid)
    bright = np.where(counts > counts.max() / 3, counts, 0)
    return [(bright.sum(axis=0) @ x_um) / bright.sum(), (bright.sum(axis=1) @ y_um) / bright.sum()]


# ---- the clock below ----


def test_a_thread_that_sleeps_keeps_no_other_from_the_simulated_clock():
    clock = SimulatedClock(speed=1.0)
    sleeper = threading.Thread(target=lambda: [clock.sleep(0.1) for _ in range(8)])
    sleeper.start()
    time.sleep(0.03)
    for _ in range(20):
        clock.catch_up()
        clock.sleep(0.0)
    assert sleeper.is_alive()
    sleeper.join()
    assert clock.now() == pytest.approx(0.8)


def test_a_station_without_a_stage_has_no_stage_to_show():
    station = Station.load(CONFIGS / "charging_simulated.toml")
    monitor = StationMonitor(station)
    assert list(monitor.snapshot().roles) == ["laser", "counter", "potentiostat"]
    assert monitor.snapshot().holder == "nobody"
