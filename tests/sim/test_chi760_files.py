"""What the emulated program writes against what real ones wrote, byte for byte, and its plans and grids."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from qdlab.sim.emulators.chi760.macro import read_commands
from qdlab.sim.emulators.chi760.techniques import RECIPES, DataLimits, Plan
from qdlab.sim.emulators.chi760.text import (
    DataSet,
    TextFormat,
    scientific,
    shortest,
    write_binary,
    write_text,
)

DATA = Path(os.environ.get("QDLAB_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "chi"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"real CHI files are not at {DATA}")


def plan(technique: str, *, limits: DataLimits | None = None, **values) -> Plan:
    recipe = RECIPES[technique]
    merged = recipe.defaults | values
    assert recipe.fault(merged) == ""
    return recipe.plan(merged, limits or DataLimits())


def real(name: str) -> bytes:
    """A real file with the line ends that the program writes (some were normalised when published)."""
    return (DATA / name).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def real_rows(name: str) -> np.ndarray:
    lines = real(name).decode("latin-1").split("\r\n")
    first = next(k for k, line in enumerate(lines) if line.startswith(("Potential/V", "Time/sec"))) + 2
    return np.array([[float(x) for x in line.split(", ")] for line in lines[first:] if line])


def parts(content: bytes) -> tuple[bytes, bytes, bytes]:
    """Memo and parameters, result blocks, column header and rows."""
    head, _, rest = content.partition(b"\r\nSensitivity (A/V)")
    line, _, rest = rest.partition(b"\r\n")
    blocks, header, rows = rest.partition(b"Potential/V")
    return head + line, blocks, header + rows


# ---- byte for byte ----


@needs_data
def test_a_whole_i_t_file_is_regenerated():
    name = "it_chi760e_mix1.txt"
    data = DataSet(
        plan("i-t", ei=0.7, st=30.0, si=0.1, qt=2.0, sens=1e-9),
        real_rows(name)[:, 1],
        datetime(2023, 5, 25, 20, 21, 34),
        header="CA",
        file="C:/Users/mapence2/Desktop/data/2023_05_24\\expt5\\mix_1\\IT_1.bin",
    )
    assert write_text(data, TextFormat(model="CHI760E")) == real(name)


@needs_data
def test_a_whole_open_circuit_file_is_regenerated():
    name = "ocpt_chi760e_mix1.txt"
    data = DataSet(
        plan("ocpt", st=120.0, si=0.01),
        real_rows(name)[:, 1],
        datetime(2023, 5, 25, 20, 16, 11),
        header="OCP",
        file="C:/Users/mapence2/Desktop/data/2023_05_24\\expt5\\mix_1\\OCP.bin",
    )
    assert write_text(data, TextFormat(model="CHI760E")) == real(name)


@needs_data
def test_a_whole_linear_sweep_file_is_regenerated():
    name = "lsv_chi760e.txt"
    data = DataSet(
        plan("lsv", ei=-0.2, ef=-0.7, v=0.005, si=0.001, qt=2.0, sens=1e-3),
        real_rows(name)[:, 1],
        datetime(2024, 6, 12, 20, 32, 12),
        file="d:\\profile\\a4336\\desktop\\results\\10%\\test 1\\lsv.txt",
    )
    assert write_text(data, TextFormat(model="CHI760E")) == real(name)


@needs_data
def test_a_cv_file_is_regenerated_from_its_macro_but_for_the_peaks():
    name = "cv_chi760e_fcmeoh_1mM_100mVs"
    values, memo = {}, {}
    for command in read_commands((DATA / f"{name}.mcr").read_bytes()):
        if command.name in ("folder", "header", "save"):
            memo[command.name] = command.value
        elif command.name == "efon":
            values["efon"] = True
        elif command.name in RECIPES["cv"].defaults:
            values[command.name] = command.value if command.name == "pn" else float(command.value)
    data = DataSet(
        plan("cv", **values),
        real_rows(f"{name}.txt")[:, 1],
        datetime(2023, 3, 16, 10, 8, 11),
        header=memo["header"],
        file=f"{memo['folder']}\\{memo['save']}.bin",
    )
    head, blocks, rows = parts(write_text(data, TextFormat(model="CHI760E")))
    real_head, real_blocks, real_body = parts(real(f"{name}.txt"))
    assert head == real_head
    assert rows == real_body
    for number, sign in ((1, b"-"), (2, b"")):
        mine, theirs = (b.split(b"Segment %d:\r\n" % number)[1][:40] for b in (blocks, real_blocks))
        assert mine.splitlines()[0] == theirs.splitlines()[0]  # Ep
        assert mine.splitlines()[1].startswith(b"ip = " + sign)
    assert blocks.endswith(b"Segment 3:\r\n\r\n")


@needs_data
def test_a_file_with_only_the_last_segments_is_regenerated_but_for_the_peaks():
    name = "cv_chi760e_6seg_last2.txt"
    six = replace(
        plan("cv", ei=-0.5, eh=0.2, el=-0.5, pn="p", v=0.04, cl=6, si=0.001, qt=2.0, sens=1e-3),
        first_stored=4,
    )
    values = np.concatenate([np.zeros(2800), real_rows(name)[:, 1]])
    data = DataSet(six, values, datetime(2024, 6, 13, 13, 13, 28))
    head, blocks, rows = parts(write_text(data, TextFormat(model="CHI760E")))
    real_head, real_blocks, real_body = parts(real(name))
    assert head.split(b"Data Source")[1] == real_head.split(b"Data Source")[1]
    assert rows == real_body
    assert blocks.startswith(b"\r\nResults:\r\n\r\nChannel 1:\r\nSegment 5:\r\n")
    assert [b for b in blocks.split(b"\r\n") if b.startswith(b"Segment")] == [b"Segment 5:", b"Segment 6:"]
    assert real_blocks.startswith(b"\r\nResults:\r\n\r\nChannel 1:\r\nSegment 5:\r\n")


@needs_data
def test_the_old_dialect_and_a_date_in_full_are_those_of_a_real_file():
    name = "cv_chi601d_nonaq_-2.5V.txt"
    cv = plan("cv", ei=0.0, eh=0.0, el=-2.5, pn="n", v=0.1, cl=2, si=0.001, qt=2.0, sens=1e-5)
    data = DataSet(cv, real_rows(name)[:, 1], datetime(2015, 6, 2, 10, 21, 46), file="cv2 2mm benzophenone")
    head, blocks, rows = parts(write_text(data, TextFormat(model="CHI601D", dialect="old")))
    real_head, real_blocks, real_body = parts(real(name))
    assert (head, rows) == (real_head, real_body)
    assert blocks.startswith(b"\r\nSegment 1:\r\nEp = ")
    assert b"Ep = -1.561V" in blocks
    assert b"Ep = -1.561V" in real_blocks


@needs_data
def test_a_stopped_run_has_fewer_rows_under_the_same_header():
    name = "it_chi760d_charge_stopped.txt"
    content = real(name)
    data = DataSet(
        plan("i-t", ei=-0.4, si=1.0, st=9999.0, qt=0.0, sens=1e-5),
        real_rows(name)[:, 1],
        datetime(2014, 4, 7, 14, 1, 6),
        file="z:\\research\\electrochemistry\\04-07-2014\\01ait\\01ait -0.4v ptqcm in 4.5g kno3.txt",
    )
    mine = write_text(data, TextFormat(model="CHI760D", dialect="old", charge=True)).split(b"\r\n")
    theirs = content.split(b"\r\n")
    first = mine.index(b"Time/sec, Current/A, Charge/C") + 2
    assert mine[:first] == theirs[:first]
    assert len(mine) == len(theirs)
    strip = [line.rpartition(b",")[0] for line in mine[first:]]
    assert strip == [line.rpartition(b",")[0] for line in theirs[first:]]


@needs_data
def test_a_step_file_is_regenerated_but_for_the_last_digits_of_charge():
    name = "step_chi760d_charge.txt"
    steps = plan("step", es1=0.9, st1=3.0, es2=-0.4, st2=2.0, cl=999, si=0.5, qt=0.0, sens=1e-5)
    table = real_rows(name)
    data = DataSet(steps, table[:, 1], datetime(2014, 4, 4, 21, 12, 46))
    mine = write_text(data, TextFormat(model="CHI760D", dialect="old", charge=True)).split(b"\r\n")
    theirs = [line for line in real(name).split(b"\r\n") if not line.startswith(b"Comp R")]
    mine[2] = theirs[2]  # the File: line
    first = mine.index(b"Time/sec, Current/A, Charge/C") + 2
    assert mine[:first] == theirs[:first]
    printed = np.array([[float(x) for x in line.split(b", ")] for line in mine[first:-1]])
    assert np.array_equal(printed[:, :2], table[:, :2])
    assert printed[:100, 2] == pytest.approx(table[:100, 2], rel=2e-3)


@needs_data
@pytest.mark.parametrize("name", ["cv_chi760e_fcmeoh_1mM_100mVs", "it_chi760e_mix1"])
def test_the_binary_has_names_count_and_date_where_a_real_one_has_them(name):
    theirs = (DATA / f"{name}.bin").read_bytes()
    currents = real_rows(f"{name}.txt")[:, 1]
    if name.startswith("cv"):
        when = datetime(2023, 3, 16, 10, 8, 11)
        data = DataSet(plan("cv", eh=0.3, el=-0.2, ei=-0.2, cl=2), currents, when, header="CV")
    else:
        data = DataSet(plan("i-t", st=30.0), currents, datetime(2023, 5, 25, 20, 21, 34), header="CA")
    mine = write_binary(data)
    assert len(mine) == len(theirs)
    lead = mine.index(b"QD760") - 4
    assert mine[:lead] == theirs[:lead]
    count_and_date = slice(lead + 573 - 24, lead + 573 - 24 + 32)
    assert mine[count_and_date] == theirs[count_and_date]
    assert np.frombuffer(mine[-4 * len(currents) :], "<f4") == pytest.approx(currents, rel=1e-6)
    assert np.frombuffer(theirs[-4 * len(currents) :], "<f4") == pytest.approx(currents, rel=1e-3)


# ---- numbers and formats ----


@pytest.mark.parametrize(
    ("value", "text"),
    [(2, "2"), (2.0, "2"), (-0.2, "-0.2"), (1e-7, "1e-7"), (0.001, "0.001"), (9999.0, "9.999e+3"),
     (0.0, "0"), (0.0167, "0.0167"), (1080, "1080"), ("N", "N"), (0.1 + 0.2, "0.3"), (1e-4, "1e-4")],
)  # fmt: skip
def test_parameters_are_printed_in_their_shortest_form(value, text):
    assert shortest(value) == text


def test_rows_are_printed_with_the_digits_asked_for():
    assert scientific(7.2441e-9, 4) == "7.244e-9"
    assert scientific(-10.0, 6) == "-1.00000e+1"
    assert scientific(0.0, 4) == "0.000e+0"


@pytest.mark.parametrize(
    ("month", "printed"),
    list(
        enumerate(
            ["Jan.", "Feb.", "Mar.", "Apr.", "May", "June", "July", "Aug.", "Sept.", "Oct.", "Nov.", "Dec."],
            start=1,
        )
    ),
)
def test_months_are_abbreviated_as_the_program_does(month, printed):
    content = write_text(DataSet(plan("ocpt"), np.zeros(3), datetime(2024, month, 1, 1, 2, 3)), TextFormat())
    assert content.startswith(f"{printed} 1, 2024   01:02:03\r\n".encode())


def test_charge_and_time_columns_bring_segment_lines_into_the_data():
    cv = plan("cv", ei=0.0, eh=0.0, el=-0.01, pn="n", v=0.1, cl=2)
    data = DataSet(cv, np.full(20, -1e-6), datetime(2024, 1, 1))
    lines = write_text(data, TextFormat(charge=True, time=True, separator="\t")).decode().split("\r\n")
    first = lines.index("Potential/V\tCurrent/A\tCharge/C\tTime/s")
    assert lines[first + 1 : first + 4] == ["", "Segment 1:", "0.000\t-1.000e-6\t-1.000e-8\t1.000e-2"]
    assert lines[first + 13 : first + 15] == ["", "Segment 2:"]
    assert lines[-2:] == ["-0.001\t-1.000e-6\t-2.000e-7\t2.000e-1", ""]


def test_a_chronoamperometry_brings_its_two_straight_lines():
    ca = plan("ca", ei=0.0, eh=0.1, el=0.0, cl=2, pw=1.0, si=0.01)
    root = np.arange(1, 101) ** -0.5 / 0.1
    data = DataSet(ca, np.concatenate([1e-6 * root, -1e-6 * root]), datetime(2024, 1, 1))
    text = write_text(data, TextFormat()).decode()
    assert "Channel 1:\r\nForward:\r\nSlp = 1.000e-6\r\n" in text
    assert "Cor = 1.00000\r\n\r\nReverse:\r\nSlp = -1.000e-6\r\n" in text
    assert "\r\n\r\nTime/sec, Current/A\r\n\r\n1.000e-2, " in text


# ---- grids and silent readjustments ----


def test_a_sweep_never_lists_its_end_and_coarse_rows_carry_midpoints():
    fine = plan("cv", ei=0.0, eh=0.0, el=-2.0, pn="n", v=0.2, cl=2, si=0.001)
    labels_v = fine.labels_v()
    assert len(labels_v) == 4000
    assert labels_v[[0, 1999, 2000, 3999]] == pytest.approx([0.0, -1.999, -2.0, -0.001])
    assert fine.times_s()[[0, -1]] == pytest.approx([0.005, 20.0])
    coarse = plan("cv", ei=0.0, eh=0.1, el=0.0, pn="p", v=0.1, cl=2, si=0.01)
    assert coarse.labels_v()[[0, 1, 10]] == pytest.approx([0.005, 0.015, 0.095])


def test_techniques_against_time_begin_at_one_interval():
    assert plan("i-t", st=30.0, si=0.1).times_s()[[0, -1]] == pytest.approx([0.1, 30.0])
    assert plan("ocpt", st=120.0, si=0.01).samples == 11_999
    steps = plan("step", es1=0.1, st1=1.0, es2=0.2, st2=0.0005, es3=0.3, st3=2.0, si=0.1, cl=2)
    assert [p.start_v for p in steps.pieces] == [0.1, 0.3, 0.1, 0.3]
    assert steps.samples == 60


@pytest.mark.parametrize(
    ("values", "corners"),
    [
        ({"ei": 0.0, "eh": 0.0, "el": -1.0, "pn": "p"}, [0.0, -1.0, 0.0]),  # cannot start upwards
        ({"ei": 0.5, "eh": 0.0, "el": -1.0, "pn": "n"}, [0.5, -1.0, 0.5]),  # limits reach out to ei
        ({"ei": 0.0, "eh": -1.0, "el": 1.0, "pn": "p"}, [0.0, 1.0, -1.0]),  # swapped
        ({"ei": 0.0, "eh": 0.5, "el": -0.5, "cl": 3, "efon": True, "ef": 0.0}, [0.0, 0.5, -0.5, 0.0]),
        ({"ei": -0.2, "eh": 0.3, "el": -0.2, "cl": 3, "efon": True, "ef": -0.2}, [-0.2, 0.3, -0.2, -0.2]),
    ],
)
def test_limits_and_direction_are_readjusted_without_a_word(values, corners):
    pieces = plan("cv", **values).pieces
    assert [pieces[0].start_v, *(p.end_v for p in pieces)] == corners


def test_many_segments_raise_the_interval_and_then_lose_the_first_ones():
    cycles = {"ei": 0.0, "eh": 0.0, "el": -2.0, "pn": "n", "v": 0.2}
    some = plan("cv", **cycles, cl=136)
    assert some.interval_v == pytest.approx(0.003)
    assert ("Sample Interval (V)", some.interval_v) in some.parameters
    many = plan("cv", **cycles, cl=2000)
    assert many.interval_v == pytest.approx(0.02)
    assert many.samples == 200_000
    assert many.first_stored == 690
    assert many.samples - many.skipped <= 131_072
    fast = plan("cv", **{**cycles, "v": 1.0}, cl=40)
    assert fast.interval_v == pytest.approx(0.002)
    assert plan("cv", **{**cycles, "v": 1.0}, cl=40, limits=DataLimits(fast_link=True)).interval_v == 0.001


def test_a_fast_scan_raises_the_interval():
    assert plan("lsv", ef=1.0, v=1500.0).interval_v == 0.002
    assert plan("lsv", ef=1.0, v=15_000.0).interval_v == 0.01


def test_a_long_hold_doubles_its_interval_and_the_header_does_not_say_so():
    hold = plan("i-t", st=40_000.0, si=0.1)
    assert hold.sample_s == pytest.approx(0.4)
    assert hold.samples == 100_000
    assert ("Sample Interval (s)", 0.1) in hold.parameters


def test_steps_that_outgrow_the_memory_raise_the_interval():
    steps = plan("step", es1=0.1, st1=100.0, si=0.0005)
    assert steps.samples <= 65_536
    assert steps.sample_s == pytest.approx(100 / 65_536)
    pulses = plan("ca", eh=0.1, pw=1.0, si=0.1, cl=2)
    assert pulses.samples == 200


def test_the_length_of_a_header_is_counted_in_the_binary():
    data = DataSet(plan("ocpt"), np.zeros(3), datetime(2024, 1, 1), header="abc")
    content = write_binary(data)
    assert content[:12] == b"\x80\xf2\x1d\x00" + struct.pack("<I", 4) + b"OCPT"
    assert content.count(b"\x03\x00\x00\x00abc") == 1
