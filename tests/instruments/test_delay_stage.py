"""The DelayStage contract over every controller and link, and the scales from millimetres to femtoseconds."""

import math
import threading

import numpy as np
import pytest

from qdlab.instruments.base import InstrumentError, Limits, NotConnectedError, OutOfRangeError
from qdlab.instruments.delay_stage import FS_PER_MM, DelayScale
from qdlab.instruments.links import LinkDroppedError, LinkError, LinkHeldError, open_link
from qdlab.instruments.newport.esp30x import ESP30xStage
from qdlab.instruments.pi.gcs_errors import UnexpectedReplyError, WrongControllerError
from qdlab.instruments.pi.linear_stage import PILinearStage
from qdlab.instruments.stage import NotOnTargetError
from qdlab.sim.bench import Faults
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.doors import EmulatedAdapter
from qdlab.sim.emulators.esp30x import EspController
from qdlab.sim.emulators.link_faults import LinkFaults
from qdlab.sim.emulators.pi_linear import DaisyChain, LinearController
from qdlab.sim.physics.linear_motion import Drive, LinearAxis

from .rigs import behind

LIMITS_FS = Limits(-1000.0, 4000.0)
NOISE_FS = 0.02
KINDS = ["pi-in-process", "pi-tcp", "pi-pty", "pi-chain", "esp-in-process", "esp-tcp", "esp-pty"]


class Rig:
    """A delay stage, the emulated controller behind it, the rail under it, and the clock of all."""

    def __init__(self, kind, faults=(), *, drive=None, **keywords):
        self.kind, self.keywords = kind, keywords
        self.clock = SimulatedClock()
        self.rail = LinearAxis(seed=5, key=0, drive=drive)
        named = Faults(frozenset(faults))
        if kind == "esp":
            self.controller = EspController(self.clock, {1: self.rail}, faults=named)
            self.zero_mm, self.true_zero_mm = 0.0, 75.0  # homed, it counts from the switch
        else:
            self.controller = LinearController(self.clock, self.rail, faults=named)
            self.zero_mm = self.true_zero_mm = 75.0
        self.open_link = lambda: EmulatedAdapter(self.controller)

    def stage(self, **keywords):
        limits_mm = Limits(self.zero_mm - 1.0, self.zero_mm + 1.0)
        common = {
            "clock": self.clock,
            "scale": DelayScale.mirrors(zero_mm=self.zero_mm),
            "limits_fs": LIMITS_FS,
            "limits_mm": limits_mm,
            "velocity_mm_s": 10.0,
            **self.keywords,
            **keywords,
        }
        if self.kind == "esp":
            return ESP30xStage(lambda: self.open_link(), **{"homing": "home_switch", **common})
        return PILinearStage(lambda: self.open_link(), **{"referencing": "reference_switch", **common})

    def true_delay_fs(self):
        return 2 * FS_PER_MM * (self.rail.position_mm(self.clock.now_ps) - self.true_zero_mm)


@pytest.fixture(params=KINDS)
def rig(request):
    """Every controller that carries a delay stage, behind every door, through every kind of link."""
    make, _, door = request.param.partition("-")
    rig = Rig(make)
    if door == "chain":
        other = LinearController(rig.clock, LinearAxis(seed=5, key=1))
        rig.controller = DaisyChain(rig.clock, {1: other, 2: rig.controller})
        rig.keywords["address"] = 2
    with behind(rig, "tcp" if door == "chain" else door) as rig:
        yield rig


# ---- the contract, over every controller and link ----


def test_connecting_identifies_the_controller_and_references_it(rig):
    stage = rig.stage()
    identity = stage.connect()
    assert identity.model in ("C-863.12", "ESP301")
    assert stage.connect() == identity
    assert stage.delay_fs == pytest.approx(0.0, abs=NOISE_FS)
    stage.disconnect()


def test_a_move_ends_where_it_should_be_and_so_do_the_mirrors(rig, stage):
    for delay_fs in (300.0, -120.5, 300.007):
        assert stage.move_to(delay_fs) == pytest.approx(delay_fs, abs=NOISE_FS)
        assert rig.true_delay_fs() == pytest.approx(delay_fs, abs=0.007)  # a nanometre is 6.7 as
    assert stage.on_target


def test_a_move_takes_its_time(rig, stage):
    stage.move_to(0.0)
    start_s = rig.clock.now()
    stage.move_to(3000.0)  # 0.45 mm: two ramps of 67 ms, then 30 to 200 ms until it has settled
    assert 0.16 < rig.clock.now() - start_s < 0.4


def test_the_estimate_of_a_move_is_near_what_it_takes(rig, stage):
    stage.move_to(-500.0)
    start_s = rig.clock.now()
    estimate_s = stage.move_time_s(-500.0, 3500.0)
    stage.move_to(3500.0)
    assert estimate_s == pytest.approx(rig.clock.now() - start_s, abs=0.2)


@pytest.mark.parametrize("delay_fs", [-1000.1, 4001.0, math.nan, math.inf])
def test_out_of_range_moves_nothing(rig, stage, delay_fs):
    before = stage.move_to(10.0)
    with pytest.raises(OutOfRangeError, match=f"delay_fs = {delay_fs!r}"):
        stage.move_to(delay_fs)
    assert stage.delay_fs == pytest.approx(before, abs=NOISE_FS)
    assert stage.on_target


def test_the_limits_of_the_rail_hold_beside_those_of_the_delay(rig):
    with rig.stage(limits_fs=Limits(-1e5, 1e5)) as stage, pytest.raises(OutOfRangeError, match="position_mm"):
        stage.move_to(6_800.0)


def test_the_speed_is_set_and_used(rig, stage):
    stage.move_to(0.0)
    stage.velocity_mm_s = 1.0
    assert stage.velocity_mm_s == pytest.approx(1.0)
    start_s = rig.clock.now()
    stage.move_to(4000.0)  # 0.6 mm
    assert 0.6 < rig.clock.now() - start_s < 0.85


def test_making_safe_stops_a_move_where_it_is_and_can_be_repeated(rig, stage):
    stage.velocity_mm_s = 0.5
    stage._start_move(stage.check(4000.0))
    rig.clock.sleep(0.3)
    stage.make_safe()
    stage.make_safe()
    rig.clock.sleep(0.3)
    here_fs = stage.delay_fs
    assert 200.0 < here_fs < 2000.0
    rig.clock.sleep(0.5)
    assert stage.delay_fs == pytest.approx(here_fs, abs=NOISE_FS)
    assert stage.move_to(5.0) == pytest.approx(5.0, abs=NOISE_FS)


def test_a_move_that_is_stopped_from_elsewhere_says_so(rig):
    stage = rig.stage()
    stopper = threading.Thread(target=stage.make_safe)
    wait = stage._clock.sleep

    class Clock(SimulatedClock):
        now = staticmethod(rig.clock.now)

        def sleep(self, duration_s):
            wait(duration_s)
            if rig.clock.now() > started_s + 0.2 and not stopper.ident:
                stopper.start()
                stopper.join()

    with stage:
        stage.velocity_mm_s = 0.5
        stage._clock = Clock()
        started_s = rig.clock.now()
        with pytest.raises(NotOnTargetError, match=r"stopped on the way|not settled"):
            stage.move_to(4000.0, timeout_s=3.0)


def test_making_safe_does_nothing_when_disconnected(rig):
    stage = rig.stage()
    stage.make_safe()
    stage.disconnect()
    with pytest.raises(NotConnectedError):
        _ = stage.delay_fs
    with stage:
        pass
    stage.make_safe()


def test_a_stage_can_be_connected_again(rig):
    stage = rig.stage()
    for delay_fs in (30.0, 60.0):
        with stage:
            assert stage.move_to(delay_fs) == pytest.approx(delay_fs, abs=NOISE_FS)


def test_the_settings_say_how_delays_come_about(rig, stage):
    settings = stage.settings()
    assert settings["fs_per_mm"] == pytest.approx(6671.28, abs=0.01)
    assert settings["limits_fs"] == [-1000.0, 4000.0]
    assert settings["velocity_mm_s"] == 10.0


# ---- play in the drive ----


@pytest.mark.parametrize("make", ["pi", "esp"])
def test_play_shifts_the_mirrors_unless_targets_are_come_to_from_one_side(make):
    loose = Drive(play_mm=2e-3)
    with Rig(make, drive=loose).stage() as plain:
        rig_plain = plain.move_to(500.0), plain.move_to(200.0)
    assert rig_plain[1] == pytest.approx(200.0, abs=NOISE_FS)  # the encoder sees nothing of it
    errors = []
    for approach_mm in (0.0, 0.05):
        rig = Rig(make, drive=loose)
        with rig.stage(approach_mm=approach_mm) as stage:
            stage.move_to(100.0)
            offset_fs = rig.true_delay_fs() - 100.0
            stage.move_to(500.0)
            stage.move_to(200.0)
            errors.append(rig.true_delay_fs() - 200.0 - offset_fs)
    assert errors[0] == pytest.approx(2e-3 * 2 * FS_PER_MM, rel=0.01)
    assert errors[1] == pytest.approx(0.0, abs=0.01)


# ---- what goes wrong, on both makes ----


def run_about(rig, stage):
    stage.connect()
    for delay_fs in (100.0, 2000.0, 500.0, 3000.0):
        stage.move_to(delay_fs, timeout_s=2.0)
        rig.clock.sleep(1.0)


MAKES = pytest.mark.parametrize(("make", "prefix"), [("pi", "pi_linear"), ("esp", "esp")])


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("not_found", InstrumentError, "no reply|no GCS controller"),
        ("wrong_controller", WrongControllerError, "check the address"),
        ("held_elsewhere", LinkHeldError, "close that program"),
        ("garbage", UnexpectedReplyError, "number was expected"),
        ("stuck", InstrumentError, "blocks? the carriage|is blocked|instead of"),
        ("link_dropped", LinkDroppedError, "check cable and power"),
    ],
)
@MAKES
def test_a_fault_ends_in_an_error_that_says_what_to_do(make, prefix, fault, error, says):
    rig = Rig(make, [f"{prefix}_{fault}"])
    stage = rig.stage()
    with pytest.raises(error, match=says):
        run_about(rig, stage)
    stage.disconnect()


@MAKES
def test_a_link_that_breaks_in_a_run_leaves_the_stage_in_doubt(make, prefix):
    rig = Rig(make)
    stage = rig.stage()
    stage.connect()
    rig.controller._link = LinkFaults(rig.clock, Faults(frozenset([f"{prefix}_link_dropped"])), prefix)
    with pytest.raises(LinkDroppedError, match="connect again"):
        run_about(rig, stage)
    with pytest.raises(InstrumentError, match="may still be moving"):
        stage.disconnect()
    with pytest.raises(NotConnectedError):
        _ = stage.delay_fs


@MAKES
def test_late_replies_delay_a_run_and_do_not_garble_it(make, prefix):
    rig = Rig(make, [f"{prefix}_late_reply"])
    if make == "esp":
        rig.open_link = lambda: EmulatedAdapter(rig.controller, timeout_s=3.0)
    with rig.stage() as stage:
        for delay_fs in (100.0, 2000.0, 500.0):
            assert stage.move_to(delay_fs, timeout_s=60.0) == pytest.approx(delay_fs, abs=NOISE_FS)


@MAKES
def test_a_link_that_nobody_serves_is_named(make, prefix):
    rig = Rig(make)
    rig.open_link = lambda: open_link("tcp://127.0.0.1:1")
    with pytest.raises(LinkError, match=r"tcp://127\.0\.0\.1:1"):
        rig.stage().connect()


# ---- scales ----


def test_a_double_pass_is_6_6713_fs_per_micrometre():
    scale = DelayScale.mirrors()
    assert scale.delay_fs(1e-3) == pytest.approx(6.6713, abs=5e-5)
    assert 1e6 * scale.position_mm(1.0) == pytest.approx(149.9, abs=0.05)
    assert DelayScale.mirrors(passes=4).delay_fs(1e-3) == pytest.approx(2 * 6.6713, abs=1e-4)
    assert DelayScale.mirrors(sign=-1, zero_mm=3.0).delay_fs(3.001) == pytest.approx(-6.6713, abs=5e-5)


def test_a_correction_polynomial_is_inverted_to_below_a_zeptosecond():
    scale = DelayScale.mirrors(zero_mm=20.0, correction_fs=(1.5, -0.4, 0.02, 3e-4))
    for delay_fs in np.linspace(-1e5, 1e5, 41):
        assert scale.delay_fs(scale.position_mm(float(delay_fs))) == pytest.approx(delay_fs, abs=1e-6)


def test_a_scale_that_turns_round_within_the_travel_is_refused():
    rig = Rig("pi", scale=DelayScale.mirrors(correction_fs=(0.0, 0.0, 1e5)))
    with pytest.raises(ValueError, match="turns round"):
        rig.stage(limits_mm=Limits(-1.0, 1.0))


@pytest.mark.parametrize("wrong", [{"sign": 0}, {"passes": 0}])
def test_mirrors_have_a_direction_and_a_path(wrong):
    with pytest.raises(ValueError, match="need 1 or -1"):
        DelayScale.mirrors(**wrong)
