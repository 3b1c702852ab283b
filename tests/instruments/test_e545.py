"""The Stage contract of the E-545 over every link: moves, lines, a whole image."""

import math
import threading

import numpy as np
import pytest

from qdlab.instruments.base import InstrumentError, Limits, NotConnectedError, OutOfRangeError
from qdlab.instruments.pi.line_plan import plan_lines
from qdlab.instruments.stage import LineScan

from .rigs import LIMITS, LINES, NOISE_UM, E545Rig, behind


@pytest.fixture(params=["in-process", "tcp", "pty", "visa-pty"])
def rig(request):
    """The controller behind every door, through every kind of link."""
    with behind(E545Rig(needs_cr=request.param == "pty"), request.param) as rig:
        yield rig


# ---- the contract, over every link ----


def test_connecting_identifies_the_controller_and_closes_the_loops(rig):
    stage = rig.stage()
    identity = stage.connect()
    assert (identity.vendor, identity.model) == ("Physik Instrumente", "E-517")
    assert stage.on_target
    assert stage.connect() == identity
    stage.disconnect()


def test_a_move_ends_where_it_should_be(stage):
    position = stage.move_to(x_um=52.0, y_um=60.0, z_um=20.0)
    assert position == pytest.approx((52.0, 60.0, 20.0), abs=NOISE_UM)
    assert stage.on_target


def test_axes_that_are_not_given_stay(stage):
    stage.move_to(x_um=52.0, y_um=60.0, z_um=20.0)
    assert stage.move_to(x_um=54.0) == pytest.approx((54.0, 60.0, 20.0), abs=NOISE_UM)


def test_a_move_takes_as_long_as_the_real_servo_needs_to_settle(rig, stage):
    stage.move_to(x_um=50.0)
    start_s = rig.clock.now()
    stage.move_to(x_um=52.0)
    assert 0.140 <= rig.clock.now() - start_s <= 0.175  # 140 to 163 ms to within 5 nm, and a poll


@pytest.mark.parametrize("wanted", [{"x_um": 190.5}, {"y_um": -1.0}, {"z_um": 150.0}, {"x_um": math.nan}])
def test_out_of_range_moves_nothing(stage, wanted):
    before = stage.move_to(x_um=50.0, y_um=50.0, z_um=50.0)
    (axis_um, value) = next(iter(wanted.items()))
    with pytest.raises(OutOfRangeError, match=f"{axis_um}.* {value}"):
        stage.move_to(**{"x_um": 60.0, "y_um": 60.0, **wanted})
    assert stage.position == pytest.approx(before, abs=NOISE_UM)
    assert stage.on_target


def test_lines_are_recorded_where_they_were_run(rig, stage):
    duration_s = stage.start_lines(LINES)
    assert stage.scanning
    rig.clock.sleep(duration_s + 0.01)
    assert not stage.scanning
    record = stage.take_lines()
    assert len(record.time_s) == len(record.fast_um) == len(record.slow_um)
    assert record.time_s[-1] == pytest.approx(duration_s, abs=0.002)
    for axis, column in (("x", record.fast_um), ("y", record.slow_um)):
        at_ps = (rig.clock.now_ps - round(0.01e12)) - np.round((duration_s - record.time_s) * 1e12).astype(
            np.int64
        )
        true_um = getattr(rig.bench, axis).positions_um(at_ps)
        assert np.std(column - true_um) < 1.5e-3


def test_lines_run_at_constant_speed_between_their_ends_forth_and_back(rig, stage):
    duration_s = stage.start_lines(LINES)
    rig.clock.sleep(duration_s + 0.01)
    record = stage.take_lines()
    inside = (record.fast_um > LINES.start_um) & (record.fast_um < LINES.stop_um)
    runs = np.split(np.arange(len(inside)), np.nonzero(np.diff(inside.astype(int)))[0] + 1)
    lines = [run for run in runs if inside[run[0]] and len(run) > 100]
    assert len(lines) >= len(LINES.slow_um)
    for k, (line, slow_um) in enumerate(zip(lines, LINES.slow_um, strict=False)):
        speed_um_s = np.gradient(record.fast_um[line], record.time_s[line])
        direction = 1 if k % 2 == 0 else -1
        assert np.median(speed_um_s) == pytest.approx(direction * LINES.speed_um_s, rel=0.01)
        slope, _ = np.polyfit(record.time_s[line], record.fast_um[line], 1)
        assert slope == pytest.approx(direction * LINES.speed_um_s, rel=0.01)
        assert record.slow_um[line].mean() == pytest.approx(slow_um, abs=0.01)


def test_lines_need_room_to_turn_round_within_the_limits(stage):
    before = stage.move_to(x_um=50.0, y_um=50.0)
    with pytest.raises(OutOfRangeError, match="turn round"):
        stage.start_lines(LineScan("x", 10.5, 20.0, line_s=0.1, slow="y", slow_um=(50.0,)))
    with pytest.raises(OutOfRangeError, match=r"y_um = 191.0"):
        stage.start_lines(LineScan("x", 50.0, 60.0, line_s=0.1, slow="y", slow_um=(50.0, 191.0)))
    assert stage.position == pytest.approx(before, abs=NOISE_UM)


def test_making_safe_stops_a_scan_where_it_is_and_can_be_repeated(rig, stage):
    stage.start_lines(LINES)
    rig.clock.sleep(0.1)
    stage.make_safe()
    stage.make_safe()
    assert not stage.scanning
    rig.clock.sleep(0.3)
    here = stage.position
    rig.clock.sleep(0.3)
    assert stage.position == pytest.approx(here, abs=NOISE_UM)
    with pytest.raises(InstrumentError, match="no finished scan"):
        stage.take_lines()
    assert stage.controller.x.drift_compensation_enabled


def test_making_safe_works_from_another_thread(rig, stage):
    stage.start_lines(LINES)
    rig.clock.sleep(0.05)
    thread = threading.Thread(target=stage.make_safe)
    thread.start()
    for _ in range(50):
        assert stage.position.x_um > 40
    thread.join()
    assert not stage.scanning


def test_making_safe_does_nothing_when_disconnected(rig):
    stage = rig.stage()
    stage.make_safe()
    stage.disconnect()
    with pytest.raises(NotConnectedError):
        _ = stage.position
    with stage:
        pass
    stage.make_safe()


def test_a_stage_can_be_connected_again(rig):
    stage = rig.stage()
    with stage:
        stage.move_to(y_um=30.0)
    for x_um in (50.0, 60.0):
        with stage:
            assert stage.position.y_um == pytest.approx(30.0, abs=NOISE_UM)
            assert stage.move_to(x_um=x_um).x_um == pytest.approx(x_um, abs=NOISE_UM)


def test_settings_are_recorded_as_plain_values(stage):
    settings = stage.settings()
    assert settings["limits_um"] == {"x": [10.0, 190.0], "y": [10.0, 190.0], "z": [0.0, 100.0]}
    assert "E-517" in str(settings["identity"])


# ---- a whole image ----


def test_an_image_of_128_by_64_points_at_1_ms_takes_less_than_15_s_with_all_overhead():
    rig = E545Rig()
    scan = LineScan("x", 45.0, 51.4, line_s=0.128, slow="y", slow_um=tuple(55.0 + 0.05 * np.arange(64)))
    with rig.stage() as stage:
        start_s = rig.clock.now()
        rig.clock.sleep(stage.start_lines(scan))
        record = stage.take_lines()
        assert rig.clock.now() - start_s <= 15.0
    assert len(record.pulse_s) == 32
    at_s = np.arange(0, record.time_s[-1], 1e-4)
    fast_um, slow_um = (np.interp(at_s, record.time_s, um) for um in (record.fast_um, record.slow_um))
    seen, _, _ = np.histogram2d(fast_um, slow_um, (128, 64), ((45.0, 51.4), (54.975, 58.175)))
    assert 1e-4 * seen.mean() == pytest.approx(1e-3, rel=0.02)
    assert 1e-4 * seen.min() > 0.5e-3  # no pixel was left out


def test_a_scan_beyond_the_wave_tables_is_refused_before_anything_moves():
    with E545Rig().stage() as stage, pytest.raises(OutOfRangeError, match="scan fewer lines"):
        stage.start_lines(LineScan("x", 45.0, 51.4, line_s=300.0, slow="y", slow_um=(50.0,) * 64))


@pytest.mark.parametrize(
    ("lines", "line_s"),
    [(1, 0.02), (2, 0.02), (5, 0.5), (64, 0.128), (300, 0.02), (64, 4.0), (1, 20.0), (3, 20.0), (1, 300.0)],
)
def test_every_plan_fits_the_controller(lines, line_s):
    scan = LineScan("x", 45.0, 51.4, line_s=line_s, slow="y", slow_um=(50.0,) * lines)
    plan = plan_lines(scan, 0.04)
    assert max(len(plan.fast_um), len(plan.slow_um), plan.samples) <= 8192
    assert max(plan.fast_cycles, plan.slow_cycles) <= 1000
    assert plan.duration_s >= lines * (line_s + 0.08) - 1e-9
    assert plan.samples * plan.sample_cycles * 40e-6 == pytest.approx(plan.duration_s, rel=0.01)
    per_line = plan.fast_cycles * len(plan.fast_um) / min(lines, 2)
    assert plan.slow_cycles * len(plan.slow_um) == pytest.approx(lines * per_line)


def test_a_stage_whose_limits_exceed_its_travel_is_refused():
    rig = E545Rig(limits_um={**LIMITS, "y": Limits(0.0, 250.0)})
    with pytest.raises(InstrumentError, match=r"250.* exceed the travel"):
        rig.stage().connect()


def test_axes_go_by_the_names_that_the_station_gives_them():
    with E545Rig(axes=("B", "A", "C")).stage() as stage:
        assert stage.move_to(x_um=30.0, y_um=40.0)[:2] == pytest.approx((30.0, 40.0), abs=NOISE_UM)
        assert float(stage.controller.ask_items("POS? B")["B"]) == pytest.approx(30.0, abs=NOISE_UM)
    with pytest.raises(InstrumentError, match="no axis Q; this controller has A, B, C"):
        E545Rig(axes=("A", "B", "Q")).stage().connect()
