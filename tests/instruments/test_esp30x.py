"""The ESP30x's wire: positions to the nanometre, and what pymeasure's own class gets wrong."""

import pytest
from pymeasure.instruments.newport import esp300
from pymeasure.test import expected_protocol

from qdlab.instruments.base import InstrumentError, Limits
from qdlab.instruments.delay_stage import DelayScale
from qdlab.instruments.newport.esp30x import ESP30x, ESP30xStage, EspError
from qdlab.instruments.pi.gcs_errors import UnexpectedReplyError
from qdlab.instruments.stage import NotReferencedError
from qdlab.sim.bench import Faults
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.doors import EmulatedAdapter
from qdlab.sim.emulators.esp30x import EspController
from qdlab.sim.physics.linear_motion import LinearAxis

NONE = ("TE?", "0")


@pytest.mark.parametrize(
    ("position_mm", "sent"),
    [
        (300.000001, "1PA300.000001"),
        (299.999999, "1PA299.999999"),
        (123.456789, "1PA123.456789"),
        (150.0004, "1PA150.000400"),
        (-0.000001, "1PA-0.000001"),
    ],
)
def test_a_nanometre_is_kept_at_300_mm(position_mm, sent):
    with expected_protocol(ESP30x, [(sent, None), NONE]) as controller:
        controller.x.position = position_mm


def test_neighbouring_nanometres_are_different_strings_as_they_are_not_upstream():
    sent = {f"1PA{300 + k * 1e-6:.6f}" for k in range(100)}
    assert len(sent) == 100
    upstream = esp300.Axis(1, None)
    written = []
    upstream.write = written.append
    for k in range(100):
        upstream.position = 300 + k * 1e-6
    assert len(set(written)) == 1


def test_limits_and_definitions_keep_the_nanometre_too():
    exchange = [("2SL-149.999999", None), NONE, ("2SR150.000001", None), NONE, ("2DH123.456789", None), NONE]
    with expected_protocol(ESP30x, exchange) as controller:
        controller.y.left_limit = -149.999999
        controller.y.right_limit = 150.000001
        controller.y.define_position(123.456789)


def test_listing_the_axes_sends_nothing():
    with expected_protocol(ESP30x, []) as controller:
        assert [axis.axis for axis in controller.axes] == ["1", "2", "3"]


def test_switching_motors_touches_the_motors_alone():
    with expected_protocol(ESP30x, [("1MO", None), ("2MO", None), ("3MO", None)]) as controller:
        controller.enable()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("38", "error 38 .command parameter missing."),
        ("106", "error 106 of axis 1 .positive software limit"),
        ("213", "error 213 of axis 2 .motor not enabled"),
        ("977", "see the controller's manual"),
    ],
)
def test_an_error_is_told_with_its_command_even_when_it_is_not_in_the_table(code, says):
    exchange = [("1PA1.000000", None), ("TE?", code), NONE]
    with expected_protocol(ESP30x, exchange) as controller, pytest.raises(EspError, match=says) as caught:
        controller.x.position = 1.0
    assert "1PA1.000000" in str(caught.value)
    assert caught.value.code == int(code)


def test_garbage_in_the_error_queue_is_no_number():
    with (
        expected_protocol(ESP30x, [("1PA1.000000", None), ("TE?", "@E?")]) as controller,
        pytest.raises(UnexpectedReplyError, match="TE"),
    ):
        controller.x.position = 1.0


def test_a_reading_that_is_no_number_is_refused():
    with (
        expected_protocol(ESP30x, [("1TP", "12.3x")]) as controller,
        pytest.raises(UnexpectedReplyError, match="number"),
    ):
        _ = controller.x.position


# ---- the stage on the emulated controller ----


def stage_with(*faults, **keywords):
    clock = SimulatedClock()
    rail = LinearAxis(seed=1, key=0)
    controller = EspController(clock, {1: rail}, faults=Faults(frozenset(faults)))
    stage = ESP30xStage(
        lambda: EmulatedAdapter(controller),
        clock=clock,
        scale=DelayScale.mirrors(),
        limits_fs=Limits(-1e5, 1e5),
        **{"limits_mm": Limits(-20.0, 20.0), "homing": "home_switch", **keywords},
    )
    return stage, controller, rail, clock


def test_without_homing_the_controller_counts_from_where_it_was_switched_on():
    stage, _, rail, clock = stage_with(homing=None)
    with stage:
        assert stage.position_mm == pytest.approx(0.0, abs=5e-6)
        stage.move_to(1000.0)
        assert rail.position_mm(clock.now_ps) == pytest.approx(41.3 + 1000.0 / 6671.28, abs=1e-5)


def test_limits_beyond_the_controllers_own_are_refused():
    stage, controller, _, _ = stage_with()
    controller.receive(b"1SR10.0\r")
    with pytest.raises(InstrumentError, match="software limits"):
        stage.connect()


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("esp_in_inches", InstrumentError, "counts in inches"),
        ("esp_motor_off", InstrumentError, "stays off"),
        ("esp_homing_fails", NotReferencedError, "home switch did not succeed"),
    ],
)
def test_a_controller_that_cannot_move_safely_is_refused(fault, error, says):
    stage, *_ = stage_with(fault)
    with pytest.raises(error, match=says):
        stage.connect()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("1XX", 6),
        ("nonsense", 6),
        ("9TP", 9),
        ("TP", 37),
        ("2TP", 208),
        ("1PA", 38),
        ("1PA2000", 106),
        ("1PA-2000", 107),
        ("1VA1000", 110),
    ],
)
def test_the_emulated_controller_refuses_what_the_real_one_does(line, code):
    _, controller, _, _ = stage_with()
    controller.receive(b"1MO\r")
    assert controller.receive(f"{line}\r".encode()) == []
    (reply,) = controller.receive(b"TE?\r")
    assert reply.data == f"{code}\r\n".encode()
    (reply,) = controller.receive(b"TE?\r")
    assert reply.data == b"0\r\n"


def test_several_commands_may_stand_in_a_line():
    _, controller, _, _ = stage_with()
    replies = controller.receive(b"1MO;1PA0.5;1MD?;1PA?\r")
    assert [reply.data for reply in replies] == [b"0\r\n", b"0.500000\r\n"]
