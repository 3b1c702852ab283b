"""The Stage contract over every link, the E-545's wire, and what goes wrong with it."""

import math
import threading
from pathlib import Path

import numpy as np
import pytest
from pymeasure.test import expected_protocol

from qdlab.instruments.base import InstrumentError, Limits, NotConnectedError, OutOfRangeError
from qdlab.instruments.links import (
    LinkDroppedError,
    LinkError,
    LinkHeldError,
    ReplyTimeoutError,
    open_link,
)
from qdlab.instruments.pi import E545, E545Stage
from qdlab.instruments.pi.e545 import E545Axis
from qdlab.instruments.pi.gcs import GcsAxis, GCSController
from qdlab.instruments.pi.gcs_errors import GcsError, UnexpectedReplyError, WrongControllerError
from qdlab.instruments.stage import (
    LineScan,
    NotOnTargetError,
    NotReferencedError,
    ServoOffError,
)
from qdlab.sim.bench import Faults
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.doors import EmulatedAdapter, serve_pty, serve_tcp
from qdlab.sim.emulators.pi_e545 import FAULTS, E545Controller
from qdlab.sim.physics.piezo import PiezoStage

LIMITS = {"x": Limits(10.0, 190.0), "y": Limits(10.0, 190.0), "z": Limits(0.0, 100.0)}
NOISE_UM = 0.01
LINES = LineScan("x", 45.0, 51.4, line_s=0.128, slow="y", slow_um=(55.0, 55.1, 55.2))


class Rig:
    """A stage, the emulated controller behind it, and the clock of both."""

    def __init__(self, faults=(), *, needs_cr=False, **keywords):
        self.clock = SimulatedClock()
        self.bench = PiezoStage(seed=3)
        self.controller = E545Controller(
            self.clock, self.bench, faults=Faults(frozenset(faults)), needs_cr=needs_cr
        )
        self.open_link = lambda: EmulatedAdapter(self.controller)
        self.keywords = {"limits_um": LIMITS, "trigger_output": 1, **keywords}

    def stage(self) -> E545Stage:
        return E545Stage(lambda: self.open_link(), clock=self.clock, **self.keywords)


@pytest.fixture(params=["in-process", "tcp", "pty", "visa-pty"])
def rig(request):
    """The controller behind every door, through every kind of link."""
    rig = Rig(needs_cr=request.param == "pty")
    if request.param == "in-process":
        yield rig
        return
    with serve_tcp(rig.controller) if request.param == "tcp" else serve_pty(rig.controller) as door:
        address = f"ASRL{door.address}::INSTR" if request.param == "visa-pty" else door.address
        rig.open_link = lambda: open_link(address)
        yield rig


@pytest.fixture
def stage(rig):
    with rig.stage() as stage:
        yield stage


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
    rig = Rig()
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
    with Rig().stage() as stage, pytest.raises(OutOfRangeError, match="scan fewer lines"):
        stage.start_lines(LineScan("x", 45.0, 51.4, line_s=300.0, slow="y", slow_um=(50.0,) * 64))


@pytest.mark.parametrize(
    ("lines", "line_s"),
    [(1, 0.02), (2, 0.02), (5, 0.5), (64, 0.128), (300, 0.02), (64, 4.0), (1, 20.0), (3, 20.0), (1, 300.0)],
)
def test_every_plan_fits_the_controller(lines, line_s):
    from qdlab.instruments.pi.line_plan import plan_lines

    scan = LineScan("x", 45.0, 51.4, line_s=line_s, slow="y", slow_um=(50.0,) * lines)
    plan = plan_lines(scan, 0.04)
    assert max(len(plan.fast_um), len(plan.slow_um), plan.samples) <= 8192
    assert max(plan.fast_cycles, plan.slow_cycles) <= 1000
    assert plan.duration_s >= lines * (line_s + 0.08) - 1e-9
    assert plan.samples * plan.sample_cycles * 40e-6 == pytest.approx(plan.duration_s, rel=0.01)
    per_line = plan.fast_cycles * len(plan.fast_um) / min(lines, 2)
    assert plan.slow_cycles * len(plan.slow_um) == pytest.approx(lines * per_line)


def test_a_stage_whose_limits_exceed_its_travel_is_refused():
    rig = Rig(limits_um={**LIMITS, "y": Limits(0.0, 250.0)})
    with pytest.raises(InstrumentError, match=r"250.* exceed the travel"):
        rig.stage().connect()


def test_axes_go_by_the_names_that_the_station_gives_them():
    with Rig(axes=("B", "A", "C")).stage() as stage:
        assert stage.move_to(x_um=30.0, y_um=40.0)[:2] == pytest.approx((30.0, 40.0), abs=NOISE_UM)
        assert float(stage.controller.ask_items("POS? B")["B"]) == pytest.approx(30.0, abs=NOISE_UM)
    with pytest.raises(InstrumentError, match="no axis Q; this controller has A, B, C"):
        Rig(axes=("A", "B", "Q")).stage().connect()


# ---- what goes wrong ----


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("e545_not_found", InstrumentError, "no GCS controller answers"),
        ("e545_wrong_controller", WrongControllerError, "C-863"),
        ("e545_held_elsewhere", LinkHeldError, "another program"),
        ("e545_stays_offline", InstrumentError, "stays offline"),
        ("e545_servo_off", ServoOffError, "servo stays off"),
    ],
)
def test_a_stage_that_cannot_be_used_says_so_when_it_is_connected(fault, error, words):
    stage = Rig([fault]).stage()
    with pytest.raises(error, match=words):
        stage.connect()
    stage.make_safe()
    with pytest.raises(NotConnectedError):
        _ = stage.position


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("e545_not_referenced", NotReferencedError, "axis A, B is not referenced"),
        ("e545_garbage", UnexpectedReplyError, "garbage"),
        ("e545_axis_stuck", NotOnTargetError, r"x at .* instead of"),
        ("e545_link_dropped", LinkDroppedError, "connection broke"),
        ("e545_link_back", LinkDroppedError, "connection broke"),
        ("e545_half_reply", UnexpectedReplyError, "is lost"),
        ("e545_other_reply", NotOnTargetError, "says that it has settled, but that x is at"),
        ("e545_servo_trips", ServoOffError, "axis x"),
    ],
)
def test_each_fault_of_a_move_has_its_own_error(fault, error, words):
    rig = Rig([fault])
    stage = rig.stage()
    stage.connect()

    def wander():
        for k in range(20):
            stage.move_to(x_um=50.0 + k, y_um=50.0 + k)

    with pytest.raises(error, match=words):
        wander()


def test_every_fault_is_tested():
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(fault in text for fault in FAULTS)


def test_a_stuck_axis_is_told_with_its_place_and_the_others_still_move():
    rig = Rig(["e545_axis_stuck"])
    with rig.stage() as stage:
        stage.move_to(x_um=50.0)
        rig.clock.sleep(1.0)
        with pytest.raises(NotOnTargetError, match=r"x at (50\.0|49\.99).* instead of 52\.000 um"):
            stage.move_to(x_um=52.0, timeout_s=0.5)
        rig.controller.receive(b"HLT\n")
        assert stage.position.x_um == pytest.approx(50.0, abs=NOISE_UM)


def test_a_link_that_drops_in_a_scan_is_told_and_making_safe_says_that_it_may_go_on():
    rig = Rig(["e545_link_dropped"])
    stage = rig.stage()
    stage.connect()
    stage.start_lines(LineScan("x", 45.0, 51.4, line_s=0.5, slow="y", slow_um=(55.0,) * 8))
    rig.clock.sleep(1.5)
    with pytest.raises(LinkDroppedError, match="check cable and power"):
        _ = stage.scanning
    with pytest.raises(InstrumentError, match="may still be running"):
        stage.make_safe()
    with pytest.raises(InstrumentError, match="may still be running"):
        stage.disconnect()
    stage.disconnect()


def test_late_replies_are_matched_to_their_queries():
    rig = Rig(["e545_late_reply"])
    with rig.stage() as stage:
        for k in range(10):
            x_um = 50.0 + k
            assert stage.move_to(x_um=x_um, timeout_s=5.0).x_um == pytest.approx(x_um, abs=NOISE_UM)


def test_replies_that_are_late_while_connecting_are_not_taken_for_the_identity():
    class Late(EmulatedAdapter):
        """Keeps the reply to the first ERR? until the next one is asked."""

        kept = b""

        def _receive(self):
            data = super()._receive()
            if not self.kept:
                self.kept = data
                raise TimeoutError
            if self.kept != b"0\n":
                return data
            data, self.kept = self.kept + data, b"done"
            return data

    rig = Rig()
    rig.open_link = lambda: Late(rig.controller)
    with rig.stage() as stage:
        assert stage.move_to(x_um=50.0).x_um == pytest.approx(50.0, abs=NOISE_UM)


def test_a_servo_that_goes_off_while_moving_is_told():
    rig = Rig()
    with rig.stage() as stage:
        stage.move_to(x_um=50.0)
        rig.controller.receive(b"SVO A 0\n")
        with pytest.raises(ServoOffError, match="axis A"):
            stage.move_to(x_um=60.0)


def test_a_second_client_is_turned_away_and_the_first_one_goes_on():
    rig = Rig()
    with serve_tcp(rig.controller) as door:
        rig.open_link = lambda: open_link(door.address)
        with rig.stage() as first:
            with pytest.raises(LinkHeldError, match="one client"):
                rig.stage().connect()
            assert first.on_target
        with rig.stage() as again:
            assert again.on_target


def test_a_port_that_another_program_holds_is_told_so():
    rig = Rig(needs_cr=True)
    with serve_pty(rig.controller) as door:
        held = open_link(door.address)
        with pytest.raises(LinkHeldError, match="another program"):
            open_link(door.address)
        held.close()


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:1", "tcp://", "tcp://host:port", "/dev/no_such_port", "ASRL/dev/none::INSTR"]
)
def test_an_address_where_nothing_is_says_so(address):
    with pytest.raises(LinkError, match=address.split("ASRL")[-1].split("::")[0]):
        open_link(address)


def test_a_visa_socket_name_opens_a_socket_without_delay():
    import socket

    rig = Rig()
    with serve_tcp(rig.controller) as door:
        link = open_link(f"TCPIP0::127.0.0.1::{door.port}::SOCKET")
        assert link.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        link.close()


# ---- the wire ----


def test_a_target_is_written_and_the_error_register_read():
    with expected_protocol(E545, [("MOV A 12.5000", None), ("ERR?", "0")]) as inst:
        inst.x.target_um = 12.5


@pytest.mark.parametrize("value", [-0.1, 200.1, math.nan])
def test_a_target_beyond_the_travel_is_not_sent(value):
    with expected_protocol(E545, []) as inst, pytest.raises(ValueError, match="range"):
        inst.x.target_um = value


@pytest.mark.parametrize(
    ("pairs", "prop", "value"),
    [
        ([("POS? B", "B=+0012.0001")], ("y", "position_um"), 12.0001),
        ([("MOV? A", "A=32.9347")], ("x", "target_um"), 32.9347),
        ([("ONT? C", "C=1")], ("z", "on_target"), True),
        ([("SVO? A", "A=0")], ("x", "servo_enabled"), False),
        ([("ONL? 2", "2=1")], ("y", "online"), True),
        ([("VOL? 3", "3=+0010.5000")], ("z", "voltage_v"), 10.5),
        ([("DCO? A", "A=1")], ("x", "drift_compensation_enabled"), True),
        ([("VCO? A", "A=0")], ("x", "velocity_control_enabled"), False),
        ([("VEL? A", "A=100.0")], ("x", "velocity_um_s"), 100.0),
        ([("TMX? A", "A=+0200.0000")], ("x", "upper_um"), 200.0),
        ([("TMN? A", "A=+0000.0000")], ("x", "lower_um"), 0.0),
    ],
)
def test_each_property_is_asked_for_on_its_axis(pairs, prop, value):
    with expected_protocol(E545, pairs) as inst:
        assert getattr(getattr(inst, prop[0]), prop[1]) == value


@pytest.mark.parametrize(
    ("line", "prop", "value"),
    [
        ("SVO B 1", ("y", "servo_enabled"), True),
        ("ONL 3 1", ("z", "online"), True),
        ("DCO A 0", ("x", "drift_compensation_enabled"), False),
        ("VCO A 0", ("x", "velocity_control_enabled"), False),
        ("VEL A 50.0000", ("x", "velocity_um_s"), 50.0),
    ],
)
def test_each_setting_is_sent_to_its_axis_and_checked(line, prop, value):
    with expected_protocol(E545, [(line, None), ("ERR?", "0")]) as inst:
        setattr(getattr(inst, prop[0]), prop[1], value)


def test_several_axes_start_in_one_line():
    with expected_protocol(E545, [("MOV A 1.0000 C 2.0000", None), ("ERR?", "0")]) as inst:
        inst.move({"A": 1.0, "C": 2.0})


def test_an_error_names_number_meaning_and_command():
    with (
        expected_protocol(E545, [("MOV A 12.5000", None), ("ERR?", "7")]) as inst,
        pytest.raises(GcsError, match=r"error 7 \(position out of limits\) at 'MOV A 12.5000'") as raised,
    ):
        inst.x.target_um = 12.5
    assert raised.value.code == 7


def test_error_5_is_explained_by_the_servo():
    pairs = [("MOV A 1.0000", None), ("ERR?", "5"), ("SVO?", "A=0 \nB=1 \nC=1")]
    with expected_protocol(E545, pairs) as inst, pytest.raises(ServoOffError, match="axis A is off"):
        inst.x.target_um = 1.0


def test_error_5_with_the_servo_on_means_not_referenced():
    pairs = [("MOV A 1.0000", None), ("ERR?", "5"), ("SVO?", "A=1 \nB=1 \nC=1"), ("SAI?", "A \nB \nC")]
    with expected_protocol(E545, pairs) as inst, pytest.raises(NotReferencedError, match="axis A"):
        inst.x.target_um = 1.0


def test_a_reply_about_another_axis_is_not_taken():
    with (
        expected_protocol(E545, [("POS? A", "B=+0012.0001")]) as inst,
        pytest.raises(UnexpectedReplyError, match="POS"),
    ):
        _ = inst.x.position_um


def test_a_reply_that_is_no_number_is_not_taken():
    with (
        expected_protocol(E545, [("POS? A", "A=+00\x7f2.0")]) as inst,
        pytest.raises(UnexpectedReplyError, match="disturbed"),
    ):
        _ = inst.x.position_um


def test_stopping_sends_one_byte_and_swallows_the_error_that_this_sets():
    with expected_protocol(E545, [(b"\x18", None), ("ERR?", "10")]) as inst:
        inst.stop()


def test_single_character_queries_are_bytes():
    with expected_protocol(E545, [(b"\x09", "3")]) as inst:
        assert inst.generators_running == 3


def test_a_wave_is_sent_in_lines_of_fifty_points_and_read_back():
    values = np.linspace(10.0, 20.0, 70)
    first, second = (" ".join(f"{v:.4f}" for v in part) for part in (values[:50], values[50:]))
    rows = " \n".join(f"{v:.4f}" for v in values)
    array = f"# REM = \n# DIM = 1\n# SAMPLE_TIME = 0.00004\n# NDATA = 70\n# END_HEADER\n{rows}"
    pairs = [
        ("WCL 1", None),
        ("ERR?", "0"),
        (f"WAV 1 X PNT 1 50 {first}", None),
        ("ERR?", "0"),
        (f"WAV 1 & PNT 1 20 {second}", None),
        ("ERR?", "0"),
        ("GWD? 1 70 1", array),
    ]
    with expected_protocol(E545, pairs) as inst:
        inst.load_wave(1, values)


def test_a_wave_that_reads_back_differently_is_refused():
    array = "# DIM = 1\n# NDATA = 2\n# END_HEADER\n1.0 \n3.0"
    pairs = [("WCL 1", None), ("ERR?", "0"), ("WAV 1 X PNT 1 2 1.0000 2.0000", None), ("ERR?", "0")]
    with (
        expected_protocol(E545, [*pairs, ("GWD? 1 2 1", array)]) as inst,
        pytest.raises(UnexpectedReplyError, match="read back"),
    ):
        inst.load_wave(1, np.array([1.0, 2.0]))


@pytest.mark.parametrize("array", ["# DIM = 1\n# NDATA = 3\n# END_HEADER\n1.0 \n3.0", "1 2 3", ""])
def test_an_array_that_is_not_what_its_header_says_is_refused(array):
    with expected_protocol(E545, [("DRR? 1 3 1", array)]) as inst, pytest.raises(UnexpectedReplyError):
        inst.recorded_positions(1, 3)


def test_replies_of_several_lines_end_by_rule_and_odd_ones_are_tolerated():
    class Script(EmulatedAdapter):
        def __init__(self, *chunks):
            super().__init__(Rig().controller)
            self.chunks = list(chunks)

        def _send(self, data):
            pass

        def _receive(self):
            return self.chunks.pop(0)

    inst = GCSController(Script(b"A=1 \nB=", b"2 \nC=3\n", b"\0 \nA \nB\n"))
    assert inst.ask_items("POS?") == {"A": "1", "B": "2", "C": "3"}
    assert inst.axis_names == ["A", "B"]


def test_a_refused_query_raises_the_reason_that_the_controller_kept():
    rig = Rig()
    with rig.stage() as stage:
        with pytest.raises(GcsError, match="invalid axis name") as raised:
            stage.controller.ask("POS? Q")
        assert raised.value.code == 15
        assert stage.on_target


def test_a_silent_query_without_a_reason_is_a_timeout():
    rig = Rig()
    with rig.stage() as stage, pytest.raises(ReplyTimeoutError, match="no reason"):
        stage.controller.ask("MOV A 20")


def test_the_commands_that_a_firmware_knows_are_asked_once():
    rig = Rig()
    with rig.stage() as stage:
        assert {"MOV", "POS?", "WGO", "*IDN?", "#24"} <= stage.controller.commands
        assert "WSL" not in stage.controller.commands


@pytest.mark.parametrize("cls", [E545, E545Axis, GcsAxis, GCSController])
def test_docstrings_of_properties_keep_to_the_grammar(cls):
    for name in dir(cls):
        prop = getattr(cls, name)
        if isinstance(prop, property) and not name.startswith("_") and cls.__module__.startswith("qdlab"):
            own = any(name in base.__dict__ for base in cls.__mro__ if base.__module__.startswith("qdlab"))
            if own:
                assert (prop.__doc__ or "").split()[0] in ("Control", "Measure", "Get", "Set"), name
