"""The PI linear stage's wire: referencing, the daisy chain, and what the controller refuses."""

import gc
import importlib.util

import pytest
from pymeasure.test import expected_protocol

from qdlab.instruments.base import InstrumentError, Limits
from qdlab.instruments.delay_stage import DelayScale
from qdlab.instruments.links import SharedLink, open_link
from qdlab.instruments.pi.gcs_errors import GcsError, UnexpectedReplyError
from qdlab.instruments.pi.linear_stage import GCSLinear, PILinearStage
from qdlab.instruments.stage import NotReferencedError, ServoOffError
from qdlab.sim.bench import Faults
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.doors import EmulatedAdapter, WallTime, serve_tcp
from qdlab.sim.emulators.pi_linear import DaisyChain, LinearController
from qdlab.sim.physics.linear_motion import LinearAxis


class Rig:
    def __init__(self, *faults, address=None):
        self.clock = SimulatedClock()
        self.rail = LinearAxis(seed=2, key=0)
        self.controller = LinearController(self.clock, self.rail, faults=Faults(frozenset(faults)))
        self.other = LinearController(self.clock, LinearAxis(seed=2, key=1))
        self.chain = DaisyChain(self.clock, {1: self.other, 2: self.controller}) if address else None
        self.address = address

    def stage(self, **keywords):
        defaults = {
            "clock": self.clock,
            "scale": DelayScale.mirrors(zero_mm=75.0),
            "limits_fs": Limits(-2e5, 2e5),
            "limits_mm": Limits(40.0, 110.0),
            "address": self.address,
        }
        return PILinearStage(
            lambda: EmulatedAdapter(self.chain or self.controller), **{**defaults, **keywords}
        )


# ---- the wire ----


def test_a_move_keeps_the_nanometre_and_reads_the_error_register():
    with expected_protocol(GCSLinear, [("MOV 1 300.000001", None), ("ERR?", "0")]) as controller:
        controller.stage.target_mm = 300.000001


def test_in_a_daisy_chain_commands_and_replies_carry_the_address():
    exchange = [
        ("3 MOV 1 12.500000", None),
        ("3 ERR?", "0 3 0"),
        ("3 POS? 1", "0 3 1=12.5000000"),
        (b"3 \x07", "0 3 \xb1"),
        ("3 VEL 1 2.500000", None),
        ("3 ERR?", "0 3 0"),
    ]
    with expected_protocol(GCSLinear, exchange, address=3) as controller:
        controller.stage.target_mm = 12.5
        assert controller.stage.position_mm == 12.5
        assert controller.ready
        controller.stage.velocity_mm_s = 2.5


@pytest.mark.parametrize("reply", ["1=12.5", "0 4 1=12.5"])
def test_a_reply_of_another_controller_of_the_chain_is_refused(reply):
    with (
        expected_protocol(GCSLinear, [("3 POS? 1", reply)], address=3) as controller,
        pytest.raises(UnexpectedReplyError, match="controller 3 of the chain"),
    ):
        _ = controller.stage.position_mm


def test_an_address_is_from_1_to_16():
    with pytest.raises(ValueError, match="from 1 to 16"):
        GCSLinear(EmulatedAdapter(Rig().controller), address=17)


# ---- referencing ----


@pytest.mark.parametrize("address", [None, 2])
def test_nothing_moves_before_the_axis_is_referenced(address):
    rig = Rig(address=address)
    with rig.stage() as stage:
        assert not stage.referenced
        with pytest.raises(NotReferencedError, match="not referenced"):
            stage.move_to(0.0)
        assert rig.rail.position_mm(rig.clock.now_ps) == pytest.approx(41.3)
        stage.reference()
        assert stage.referenced
        assert stage.move_to(10.0) == pytest.approx(10.0, abs=0.02)


@pytest.mark.parametrize(
    ("how", "at_mm"), [("reference_switch", 75.0), ("negative_limit", 0.0), ("positive_limit", 150.0)]
)
def test_every_switch_gives_the_same_positions(how, at_mm):
    rig = Rig()
    with rig.stage() as stage:
        stage.reference(how)
        assert stage.position_mm == pytest.approx(at_mm, abs=5e-6)
        assert rig.rail.position_mm(rig.clock.now_ps) == pytest.approx(at_mm, abs=5e-6)


def test_an_axis_that_is_referenced_is_not_referenced_again():
    rig = Rig()
    with rig.stage(referencing="reference_switch"):
        pass
    before_s = rig.clock.now()
    with rig.stage(referencing="reference_switch"):
        assert rig.clock.now() - before_s < 1.0


def test_while_referencing_only_a_stop_is_taken():
    rig = Rig()
    with rig.stage() as stage:
        stage.controller.start_referencing("negative_limit")
        assert not stage.controller.ready
        with pytest.raises(GcsError, match="busy with referencing"):
            _ = stage.position_mm
        stage.make_safe()
        assert stage.controller.ready
        assert not stage.referenced


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("pi_linear_no_switch", GcsError, "no reference switch"),
        ("pi_linear_reference_fails", NotReferencedError, "did not succeed"),
        ("pi_linear_servo_off", ServoOffError, "servo stays off"),
    ],
)
def test_a_stage_that_cannot_be_referenced_says_why(fault, error, says):
    with pytest.raises(error, match=says):
        Rig(fault).stage(referencing="reference_switch").connect()


def test_limits_beyond_the_travel_are_refused_before_anything_moves():
    rig = Rig()
    with pytest.raises(InstrumentError, match="exceed the travel"):
        rig.stage(limits_mm=Limits(0.0, 151.0), referencing="reference_switch").connect()
    assert rig.rail.position_mm(rig.clock.now_ps) == pytest.approx(41.3)


def test_an_axis_that_is_not_there_is_named():
    with pytest.raises(InstrumentError, match="no axis X; this controller has 1"):
        Rig().stage(axis="X").connect()


# ---- two stages on one line ----


def test_two_stages_share_the_line_of_a_daisy_chain():
    rig = Rig(address=2)
    with serve_tcp(rig.chain) as door:  # which takes one client
        link = SharedLink(lambda: open_link(door.address))
        stages = [
            PILinearStage(
                link,
                clock=rig.clock,
                scale=DelayScale.mirrors(zero_mm=75.0),
                limits_fs=Limits(-2e5, 2e5),
                limits_mm=Limits(40.0, 110.0),
                address=address,
                referencing="reference_switch",
            )
            for address in (1, 2)
        ]
        for stage in stages:
            stage.connect()
        assert stages[0].move_to(100.0) == pytest.approx(100.0, abs=0.02)
        assert stages[1].move_to(-200.0) == pytest.approx(-200.0, abs=0.02)
        assert stages[0].delay_fs == pytest.approx(100.0, abs=0.02)
        stages[0].disconnect()
        assert stages[1].delay_fs == pytest.approx(-200.0, abs=0.02)
        stages[1].disconnect()
        with stages[0]:
            assert stages[0].delay_fs == pytest.approx(100.0, abs=0.02)


# ---- what the emulated controller refuses ----


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("MOV 1 80", 5),
        ("SVO 2 1", 15),
        ("MOV 1 80 1 90", 24),
        ("VEL 1 0", 8),
        ("VEL 1 x", 25),
        ("POS 1 3", 88),
        ("WAV 1", 2),
    ],
)
def test_the_emulated_controller_refuses_with_the_real_ones_numbers(line, code):
    controller = Rig().controller
    assert controller.receive(f"{line}\n".encode()) == []
    (reply,) = controller.receive(b"ERR?\n")
    assert reply.data == f"{code}\n".encode()


def test_a_position_can_be_declared_with_the_reference_mode_off():
    rig = Rig()
    with rig.stage() as stage:
        stage.controller.send("RON 1 0")
        stage.controller.send("POS 1 75.0")
        assert stage.referenced
        assert stage.delay_fs == pytest.approx(0.0, abs=0.02)
        assert rig.rail.position_mm(rig.clock.now_ps) == pytest.approx(41.3)


def test_a_move_beyond_the_travel_has_error_7():
    rig = Rig()
    with rig.stage(referencing="reference_switch") as stage, pytest.raises(GcsError, match="error 7"):
        stage.controller.send("MOV 1 151")


# ---- an independent judge ----


@pytest.mark.peers
@pytest.mark.filterwarnings("default")
@pytest.mark.skipif(importlib.util.find_spec("pipython") is None, reason="PI's own client is not installed")
def test_the_client_of_the_manufacturer_drives_the_emulator():
    from pipython import GCSDevice, pitools
    from pipython.pidevice.interfaces.pisocket import PISocket

    rig = Rig()
    with (
        serve_tcp(rig.controller, before_exchange=WallTime(rig.clock)) as door,
        GCSDevice(gateway=PISocket("127.0.0.1", door.port)) as device,
    ):
        assert "C-863" in device.qIDN()
        assert device.axes == ["1"]
        device.SVO("1", 1)
        with pytest.raises(Exception, match=r"[Uu]nallowable move"):
            device.MOV("1", 50.0)
        device.RON("1", 0)
        device.POS("1", 75.0)
        device.VEL("1", 20.0)
        device.MOV("1", 75.5)
        pitools.waitontarget(device, timeout=5)
        assert device.qPOS("1")["1"] == pytest.approx(75.5, abs=1e-5)
        assert device.qFRF("1")["1"]
        assert device.qVEL("1")["1"] == 20.0
        with pytest.raises(Exception, match=r"[Pp]osition out of limits"):
            device.MOV("1", 300.0)
    del device  # its destructor closes the link again and complains: within this test, not at the very end
    gc.collect()
