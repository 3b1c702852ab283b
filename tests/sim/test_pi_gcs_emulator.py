"""The emulated E-545 on the wire: framing, error register, motion, waves, recorder, triggers, doors."""

import gc
import importlib.util
import select
import socket
import subprocess
import sys

import numpy as np
import pytest

from qdlab.instruments.base import Limits
from qdlab.instruments.clock import RealClock
from qdlab.instruments.links import open_link
from qdlab.instruments.pi import E545Stage
from qdlab.instruments.stage import LineScan
from qdlab.sim.bench import TICK_PS, Faults
from qdlab.sim.clock import PS_PER_S, SimulatedClock
from qdlab.sim.emulators.doors import EmulatedAdapter, WallTime, serve_tcp
from qdlab.sim.emulators.pi_e545 import E545Controller
from qdlab.sim.physics.piezo import PiezoStage
from qdlab.sim.samples import make_bench


class Wire:
    """A controller, and what a client sends and gets back."""

    def __init__(self, *faults, needs_cr=False):
        self.clock = SimulatedClock()
        self.stage = PiezoStage(seed=1)
        self.controller = E545Controller(
            self.clock, self.stage, faults=Faults(frozenset(faults)), needs_cr=needs_cr
        )

    def raw(self, data: bytes) -> bytes:
        return b"".join(reply.data for reply in self.controller.receive(data))

    def __call__(self, *lines: str) -> str:
        return self.raw("".join(f"{line}\n" for line in lines).encode("latin-1")).decode("latin-1")

    def value(self, query: str) -> float:
        return float(self(query).partition("=")[2])

    def error_after(self, *lines: str) -> int:
        assert self(*lines) == ""
        return int(self("ERR?"))


@pytest.fixture
def wire():
    """A controller with its axes online and under closed-loop control, at rest."""
    wire = Wire()
    wire("ONL 1 1 2 1 3 1", "SVO A 1 B 1 C 1", "DCO A 1 B 1 C 1")
    wire.clock.sleep(1.0)
    return wire


# ---- framing ----


def test_lines_of_a_reply_but_the_last_end_in_space_and_line_feed():
    wire = Wire()
    assert wire.raw(b"SAI?\n") == b"A \nB \nC\n"
    assert wire.raw(b"SVO? B\n") == b"B=0\n"
    assert wire.raw(b"svo? C A\n") == b"C=0 \nA=0\n"


def test_numbers_have_sign_and_fixed_width():
    assert Wire().raw(b"TMX? A\n") == b"A=+0200.0000\n"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_command_may_end_in_any_terminator_over_tcp(end):
    assert Wire().raw(f"*IDN?{end}ERR?{end}".encode()).count(b"\n") == 2


def test_on_the_usb_port_a_line_feed_alone_does_nothing():
    wire = Wire(needs_cr=True)
    assert wire.raw(b"ERR?\n") == b""
    assert wire.raw(b"\r") == b"0\n"
    assert wire.raw(b"ERR?\r\n") == b"0\n"


def test_commands_may_come_in_pieces():
    wire = Wire()
    assert wire.raw(b"*ID") == b""
    assert wire.raw(b"N?\nER") == b"Physik Instrumente, E-517, 0123456789, V01.243\n"
    assert wire.raw(b"R?\n") == b"0\n"


def test_single_characters_act_in_the_middle_of_a_line(wire):
    wire("MOV A 100")
    wire.clock.sleep(0.005)
    assert wire.raw(b"POS\x05? A\x18\n").startswith(b"1\nA=")
    assert wire("ERR?") == "10\n"
    wire.clock.sleep(0.5)
    assert wire.value("MOV? A") == pytest.approx(wire.value("POS? A"), abs=0.01)
    assert wire.value("POS? A") < 50


def test_ready_is_a_byte_that_is_not_ascii(wire):
    assert wire.raw(b"\x07") == b"\xb1\n"


# ---- the error register ----


def test_bad_queries_are_silent_and_the_register_keeps_the_last_reason():
    wire = Wire()
    assert wire("POS? Q", "NONSENSE?") == ""
    assert [wire("ERR?"), wire("ERR?")] == ["2\n", "0\n"]


def test_a_command_that_succeeds_does_not_clear_the_register(wire):
    wire("MOV A 300", "MOV A 10")
    assert wire("ERR?") == "7\n"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("MOV A 200.1", 7),
        ("MOV A nan", 7),
        ("MOV A -1", 7),
        ("MOV Q 1", 15),
        ("MOV A", 24),
        ("MOV A x", 25),
        ("MOV A 1 A 2", 22),
        ("SVO A 2", 17),
        ("ONL 4 1", 23),
        ("SVA A 10", 303),
        ("WGO 1 1", 401),
        ("WGO 1 7", 406),
        ("WAV 1 X PNT 1 3 1 2", 404),
        ("WAV 1 X SIN_P 1 2", 402),
        ("WAV 9 X PNT 1 1 1", 23),
        ("WSL 1 1", 2),
        ("FRF A", 2),
        ("RTR 0", 17),
        ("VEL A -1", 8),
        ("DRR? 1 5", 77),
        ("SPA? A 0x1", 54),
        ("WAV 1 X PNT 1 100 " + "100.0000 " * 100, 3),
    ],
)
def test_what_is_wrong_is_refused_with_its_number(wire, line, code):
    assert wire.error_after(line) == code


def test_a_line_is_carried_out_as_a_whole_or_not_at_all(wire):
    before = wire("MOV? A")
    assert wire.error_after("MOV A 50 B 300") == 7
    assert wire("MOV? A") == before


def test_a_line_longer_than_the_buffer_is_dropped(wire):
    line = "WAV 1 X PNT 1 50 " + " ".join(["100.0000"] * 50)
    assert wire.error_after(line.ljust(800)) == 0
    assert wire.error_after(line.ljust(801)) == 3


# ---- motion ----


def test_after_power_on_moves_are_accepted_and_nothing_moves():
    wire = Wire()
    assert wire.error_after("MOV A 50") == 0
    wire.clock.sleep(1.0)
    assert wire.value("POS? A") == pytest.approx(-16.06, abs=0.02)
    assert wire("ONT? A") == "A=0\n"


def test_online_but_with_the_servo_off_moves_are_refused():
    wire = Wire()
    assert wire.error_after("ONL 1 1", "MOV A 50") == 5


def test_a_move_settles_and_says_when(wire):
    wire("MOV A 50")
    wire.clock.sleep(0.05)
    assert wire("ONT? A", "ONT? B") == "A=0\nB=1\n"
    assert wire.raw(b"\x05") == b"1\n"
    wire.clock.sleep(0.4)
    assert wire("ONT? A") == "A=1\n"
    assert wire.value("POS? A") == pytest.approx(50.0, abs=0.01)


def test_relative_moves_count_from_the_last_target(wire):
    wire("MOV A 50", "MVR A 0.5", "MVR A 0.5")
    assert wire("MOV? A") == "A=+0051.0000\n"


def test_velocity_control_at_zero_velocity_does_not_move(wire):
    before = wire.value("POS? A")
    assert wire.error_after("VCO A 1", "MOV A 50") == 0
    wire.clock.sleep(1.0)
    assert wire.value("POS? A") == pytest.approx(before, abs=0.01)
    wire("VEL A 100", "MOV A 50")
    wire.clock.sleep(0.25)
    assert wire.value("POS? A") == pytest.approx(25.0, abs=2.0)
    wire.clock.sleep(0.75)
    assert wire("ONT? A") == "A=1\n"


def test_with_the_servo_off_the_axis_stays_and_follows_open_loop_values(wire):
    wire("MOV A 50")
    wire.clock.sleep(0.5)
    wire("SVO A 0")
    wire.clock.sleep(0.5)
    assert wire.value("POS? A") == pytest.approx(50.0, abs=0.02)
    assert wire.error_after("SVA A 60") == 0
    wire.clock.sleep(0.5)
    assert wire.value("POS? A") == pytest.approx(60.0, abs=0.02)


# ---- waves and recorder ----


def play(wire, points, *, repeats=1, cycles=25):
    wire("MOV A 10")
    wire.clock.sleep(0.5)
    values = " ".join(f"{10 + 0.1 * k:.4f}" for k in range(points))
    wire(
        f"WAV 1 X PNT 1 {points} {values}",
        f"WTR 1 {cycles} 0",
        f"WGC 1 {repeats}",
        "DRC 1 A 1 2 A 2",
        "RTR 25",
    )
    assert wire.error_after("WGO 1 1") == 0


def columns(reply):
    head, _, body = reply.partition("# END_HEADER \n")
    assert all(line.startswith("# ") and line.endswith(" ") for line in head.splitlines())
    assert all(line.endswith(" ") for line in body.splitlines()[:-1])
    assert not body.splitlines()[-1].endswith(" ")
    return np.array([row.split() for row in body.splitlines()], float).T


def test_a_wave_is_a_staircase_that_the_position_follows(wire):
    play(wire, 50, repeats=2)
    assert wire.raw(b"\x09") == b"1\n"
    assert wire.error_after("MOV A 30") == 73
    assert wire.error_after("WAV 1 X PNT 1 1 5") == 73
    wire.clock.sleep(0.1)
    assert wire.raw(b"\x09") == b"0\n"
    assert wire("MOV? A") == "A=+0014.9000\n"
    wire.clock.sleep(0.5)
    target, position = columns(wire("DRR? 1 600 1 2"))
    np.testing.assert_allclose(target[:100], np.tile(10 + 0.1 * np.arange(50), 2), atol=1e-9)
    assert not target[100:].any()  # the real recorder goes on with a target of 0
    assert position[:100].max() < 14.9
    assert position[-1] == pytest.approx(14.9, abs=0.01)


def test_the_recorder_counts_up_to_its_8192_samples(wire):
    assert wire("DRL? 1") == "1=0\n"
    play(wire, 10)
    wire.clock.sleep(0.0995)
    assert wire("DRL? 2") == "2=100\n"
    wire.clock.sleep(100.0)
    assert wire("DRL? 1") == "1=8192\n"


def test_waves_without_end_go_on_until_they_are_stopped(wire):
    play(wire, 50, repeats=0)
    wire.clock.sleep(5.0)
    assert wire("WGO? 1") == "1=1\n"
    assert wire.error_after("WGO 1 0") == 0
    wire.clock.sleep(1.0)
    here = wire.value("POS? A")
    assert 9.9 <= here <= 15.0
    wire.clock.sleep(1.0)
    assert wire.value("POS? A") == pytest.approx(here, abs=0.01)


def test_a_table_is_appended_to_read_back_and_limited(wire):
    wire("WAV 2 X PNT 1 2 1 2", "WAV 2 & PNT 1 1 3", "WAV 2 + PNT 1 3 1 1 1")
    assert columns(wire("GWD? 1 3 2")).tolist() == [[2.0, 3.0, 4.0]]
    line = "WAV 2 & PNT 1 50 " + " ".join(["1"] * 50)
    assert [wire.error_after(line) for _ in range(164)][-1] == 403


def test_a_rising_line_can_be_had_and_a_falling_one_comes_out_flat(wire):
    wire("WAV 1 X LIN 5 4 10 4 0 0", "WAV 2 X LIN 5 -4 10 4 0 0")
    assert columns(wire("GWD? 1 5 1 2")).tolist() == [[10, 11, 12, 13, 14], [10, 10, 10, 10, 10]]


def test_positions_do_not_depend_on_when_the_client_looks():
    def record(*looks):
        wire = Wire()
        wire("ONL 1 1", "SVO A 1")
        wire.clock.sleep(0.3)
        start_s = wire.clock.now()
        play(wire, 50, repeats=4)
        for look_s in looks:
            wire.clock.sleep(start_s + look_s - wire.clock.now())
            wire("POS? A", "ONT? A")
        wire.clock.sleep(start_s + 1.5 - wire.clock.now())
        return wire("DRR? 1 700 1 2")

    assert record() == record(0.51, 0.55, 0.60001, 0.7, 1.2)


# ---- triggers reach the counter ----


def test_the_start_of_every_line_pair_is_a_marker_at_the_counter_at_every_cadence():
    def markers(step_s):
        bench = make_bench("blank", seed=1, speed=float("inf"))
        bench.wire_trigger(2, marker=4)
        controller = E545Controller(bench.clock, bench.stage)
        seen = []
        bench.on_markers(
            lambda ticks, numbers: seen.extend(zip(ticks.tolist(), numbers.tolist(), strict=True))
        )
        stage = E545Stage(
            lambda: EmulatedAdapter(controller),
            clock=bench.clock,
            limits_um=dict.fromkeys(("x", "y", "z"), Limits(0.0, 200.0)),
            trigger_output=2,
        )
        with stage:
            stage.move_to(x_um=50.0, y_um=50.0)
            duration_s = stage.start_lines(LineScan("x", 50.0, 52.0, 0.05, "y", (50.0, 50.1, 50.2, 50.3)))
            start_ps = bench.clock.now_ps
            for _ in range(round(duration_s / step_s) + 2):
                bench.clock.sleep(step_s)
            record = stage.take_lines()
        ticks = np.array([tick for tick, number in seen if number == 4])
        np.testing.assert_allclose((ticks * TICK_PS - start_ps) / PS_PER_S, record.pulse_s, atol=41e-6)
        return seen

    assert markers(0.013) == markers(0.1)
    assert len(markers(0.1)) == 2


# ---- doors, and clients that are not ours ----


def test_a_door_in_real_time_serves_a_stage_on_the_wall_clock():
    wire = Wire()
    with serve_tcp(wire.controller, before_exchange=WallTime(wire.clock)) as door:
        stage = E545Stage(
            lambda: open_link(door.address),
            clock=RealClock(),
            limits_um=dict.fromkeys(("x", "y", "z"), Limits(0.0, 200.0)),
        )
        with stage:
            assert stage.move_to(x_um=5.0).x_um == pytest.approx(5.0, abs=0.01)


def test_a_second_tcp_client_gets_an_empty_stream():
    with serve_tcp(Wire().controller) as door:
        first, second = (socket.create_connection(("127.0.0.1", door.port), timeout=5) for _ in range(2))
        with first, second:
            assert second.recv(10) == b""
            first.sendall(b"ERR?\n")
            assert first.recv(10) == b"0\n"


@pytest.mark.parametrize("where", [["--port", "0"], ["--pty"]])
def test_qdlab_emulate_serves_clients_in_other_programs(where):
    code = "from qdlab.procedures.cli import main; main()"
    arguments = [sys.executable, "-c", code, "emulate", "e545", *where]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            assert select.select([program.stdout], [], [], 30)[0]
            address = program.stdout.readline().split(" at ")[1].split(";")[0]
            link = open_link(address)
            link.write_termination = "\r\n"
            link.write("*IDN?")
            assert link.read() == "Physik Instrumente, E-517, 0123456789, V01.243"
            link.close()
        finally:
            program.terminate()


def test_an_address_that_is_taken_is_told(capsys):
    from qdlab.sim.emulators.e545_program import main

    with serve_tcp(Wire().controller) as door, pytest.raises(SystemExit) as ended:
        main(["--port", str(door.port)])
    assert ended.value.code == 1
    assert "cannot serve" in capsys.readouterr().err


@pytest.mark.peers
@pytest.mark.filterwarnings("default")
@pytest.mark.skipif(importlib.util.find_spec("pipython") is None, reason="PI's own client is not installed")
def test_the_client_of_the_manufacturer_drives_the_emulator():
    from pipython import GCSDevice, pitools
    from pipython.pidevice.interfaces.pisocket import PISocket

    wire = Wire()
    with (
        serve_tcp(wire.controller, before_exchange=WallTime(wire.clock)) as door,
        GCSDevice(gateway=PISocket("127.0.0.1", door.port)) as device,
    ):
        assert "E-517" in device.qIDN()
        assert device.axes == ["A", "B", "C"]
        device.ONL([1, 2, 3], [1, 1, 1])
        device.SVO({"A": 1, "B": 1, "C": 1})
        assert dict(device.qTMX()) == {"A": 200.0, "B": 200.0, "C": 200.0}
        device.MOV({"A": 12.5, "B": 20.0})
        pitools.waitontarget(device, timeout=5)
        assert device.qPOS("A")["A"] == pytest.approx(12.5, abs=0.01)
        with pytest.raises(Exception, match=r"[Pp]osition out of limits"):
            device.MOV("A", 300)
        device.WAV_PNT(table=1, firstpoint=1, numpoints=100, append="X", wavepoint=[12.5] * 50 + [13.5] * 50)
        device.WTR(1, 25, 0)
        device.WGC(1, 1)
        device.DRC(1, "A", 2)
        device.RTR(50)
        device.WGO(1, 1)
        while any(device.IsGeneratorRunning().values()):
            pass
        header = device.qDRR(tables=1, offset=1, numvalues=40)
        while device.bufstate is not True:
            pass
        assert int(header["NDATA"]) == 40
        (recorded_um,) = np.array(device.bufdata)
        assert recorded_um[0] == pytest.approx(12.5, abs=0.01)
        assert recorded_um[-1] == pytest.approx(13.2, abs=0.3)
    del device  # its destructor closes the link again and complains: within this test, not at the very end
    gc.collect()
