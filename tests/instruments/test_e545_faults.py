"""What goes wrong with an E-545 and its links, and what is said."""

import socket
from pathlib import Path

import pytest

from qdlab.instruments.base import InstrumentError, NotConnectedError
from qdlab.instruments.links import LinkDroppedError, LinkError, LinkHeldError, open_link
from qdlab.instruments.pi.gcs_errors import UnexpectedReplyError, WrongControllerError
from qdlab.instruments.stage import LineScan, NotOnTargetError, NotReferencedError, ServoOffError
from qdlab.sim.emulators.doors import EmulatedAdapter, serve_pty, serve_tcp
from qdlab.sim.emulators.pi_e545 import FAULTS

from .rigs import NOISE_UM, E545Rig


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
    stage = E545Rig([fault]).stage()
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
    rig = E545Rig([fault])
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
    rig = E545Rig(["e545_axis_stuck"])
    with rig.stage() as stage:
        stage.move_to(x_um=50.0)
        rig.clock.sleep(1.0)
        with pytest.raises(NotOnTargetError, match=r"x at (50\.0|49\.99).* instead of 52\.000 um"):
            stage.move_to(x_um=52.0, timeout_s=0.5)
        rig.controller.receive(b"HLT\n")
        assert stage.position.x_um == pytest.approx(50.0, abs=NOISE_UM)


def test_a_link_that_drops_in_a_scan_is_told_and_making_safe_says_that_it_may_go_on():
    rig = E545Rig(["e545_link_dropped"])
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
    rig = E545Rig(["e545_late_reply"])
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

    rig = E545Rig()
    rig.open_link = lambda: Late(rig.controller)
    with rig.stage() as stage:
        assert stage.move_to(x_um=50.0).x_um == pytest.approx(50.0, abs=NOISE_UM)


def test_a_servo_that_goes_off_while_moving_is_told():
    rig = E545Rig()
    with rig.stage() as stage:
        stage.move_to(x_um=50.0)
        rig.controller.receive(b"SVO A 0\n")
        with pytest.raises(ServoOffError, match="axis A"):
            stage.move_to(x_um=60.0)


def test_a_second_client_is_turned_away_and_the_first_one_goes_on():
    rig = E545Rig()
    with serve_tcp(rig.controller) as door:
        rig.open_link = lambda: open_link(door.address)
        with rig.stage() as first:
            with pytest.raises(LinkHeldError, match="one client"):
                rig.stage().connect()
            assert first.on_target
        with rig.stage() as again:
            assert again.on_target


def test_a_port_that_another_program_holds_is_told_so():
    rig = E545Rig(needs_cr=True)
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
    rig = E545Rig()
    with serve_tcp(rig.controller) as door:
        link = open_link(f"TCPIP0::127.0.0.1::{door.port}::SOCKET")
        assert link.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        link.close()
