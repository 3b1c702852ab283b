"""The E-545's wire: what is sent for each property and what replies are taken."""

import math

import numpy as np
import pytest
from pymeasure.test import expected_protocol

from qdlab.instruments.links import ReplyTimeoutError
from qdlab.instruments.pi import E545
from qdlab.instruments.pi.e545 import E545Axis
from qdlab.instruments.pi.gcs import GcsAxis, GCSController
from qdlab.instruments.pi.gcs_errors import GcsError, UnexpectedReplyError
from qdlab.instruments.stage import NotReferencedError, ServoOffError
from qdlab.sim.emulators.doors import EmulatedAdapter

from .rigs import E545Rig


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
            super().__init__(E545Rig().controller)
            self.chunks = list(chunks)

        def _send(self, data):
            pass

        def _receive(self):
            return self.chunks.pop(0)

    inst = GCSController(Script(b"A=1 \nB=", b"2 \nC=3\n", b"\0 \nA \nB\n"))
    assert inst.ask_items("POS?") == {"A": "1", "B": "2", "C": "3"}
    assert inst.axis_names == ["A", "B"]


def test_a_refused_query_raises_the_reason_that_the_controller_kept():
    rig = E545Rig()
    with rig.stage() as stage:
        with pytest.raises(GcsError, match="invalid axis name") as raised:
            stage.controller.ask("POS? Q")
        assert raised.value.code == 15
        assert stage.on_target


def test_a_silent_query_without_a_reason_is_a_timeout():
    rig = E545Rig()
    with rig.stage() as stage, pytest.raises(ReplyTimeoutError, match="no reason"):
        stage.controller.ask("MOV A 20")


def test_the_commands_that_a_firmware_knows_are_asked_once():
    rig = E545Rig()
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
