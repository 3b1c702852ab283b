"""The emulated CHI 760C: its time on the bench's clock, the cell, the instrument chain, and every fault."""

from __future__ import annotations

import math
import os
import struct
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.chi760 import (
    CODE_V,
    FAULTS,
    FULL_SCALE_V,
    Chi760Box,
    Converter,
    EmulatedChi760,
    SubprocessChi760,
    TextFormat,
)
from qdlab.sim.physics.cell import Cell, CellParameters

CV = ["tech=cv", "ei=0", "eh=0", "el=-0.1", "pn=n", "v=0.2", "cl=2", "si=0.001", "qt=2", "sens=1e-5"]
HOLD = ["tech=i-t", "ei=-0.5", "si=0.1", "st=3", "qt=0", "sens=1e-5"]
QUIT = ["forcequit: yesiamsure"]
SAVE = ["save: a", "tsave: a"]
START = datetime(2024, 2, 29, 23, 59, 0)


class Table:
    """A bench with a cell and a logbook of what the potentiostat did, in seconds and volts."""

    def __init__(self, *faults: str, speed: float = math.inf) -> None:
        self.clock, self.seed, self.faults = SimulatedClock(speed), 7, frozenset(faults)
        self.cell = Cell(CellParameters(reference_drift_v_sqrt_h=0.0))
        self.log: list[tuple[float, str | tuple[float, float]]] = []

    def apply_potential(self, cell_ps, applied_v, interface_v):
        assert len(applied_v) == len(interface_v)
        self.log.append((self.clock.now(), (float(applied_v[0]), float(applied_v[-1]))))

    def open_cell(self):
        self.log.append((self.clock.now(), "open"))

    @property
    def applied(self) -> list[tuple[float, tuple[float, float]]]:
        return [(at_s, what) for at_s, what in self.log if not isinstance(what, str)]


def macro_bytes(lines: list[str], end: str = "\r\n") -> bytes:
    text = "".join(line + end for line in lines).encode("latin-1")
    return struct.pack("<I", len(text)) + text


def write_macro(folder: Path, lines: list[str]) -> Path:
    path = folder / "m.mcr"
    path.write_bytes(macro_bytes([f"folder: {folder}", *lines]))
    return path


def wait(program, bench, at_most_s: float = 120.0) -> None:
    while program.running() and program.dialog() is None and bench.clock.now() < at_most_s:
        bench.clock.sleep(0.1)


def run(folder: Path, lines: list[str], *faults: str, **options):
    """Start the program in process and wait until it ends, shows a dialog, or 120 s have passed."""
    bench = Table(*faults)
    launcher = EmulatedChi760(bench, start_date=START, **options)
    program = launcher.start(write_macro(folder, lines))
    wait(program, bench)
    return program, bench, launcher


def rows(path: Path) -> np.ndarray:
    lines = path.read_bytes().decode("latin-1").split("\r\n")
    first = next(k for k, line in enumerate(lines) if line.startswith(("Potential/V", "Time/sec"))) + 2
    return np.array([[float(x) for x in line.split(", ")] for line in lines[first:] if line])


# ---- macros ----


def test_tech_resets_every_parameter_but_no_control_state(tmp_path):
    lines = ["cellon", *CV, "run", "tech=cv", "el=-0.1", "v=0.1", "run", "tsave: a", *QUIT]
    program, _, launcher = run(tmp_path, lines)
    assert not program.running()
    text = (tmp_path / "a.txt").read_text()
    assert "High E (V) = 0.5" in text
    assert "Init P/N = P" in text
    assert launcher.box.cell_on


def test_a_faulty_macro_gets_a_dialog_and_nothing_runs(tmp_path):
    program, bench, launcher = run(tmp_path, [*CV, "run", *SAVE, "qt=-1", *QUIT])
    bench.clock.sleep(60.0)
    assert program.running()
    assert program.dialog() == "Macro Command: Line 15: qt = -1 out of range (0 to 100000)"
    assert not bench.applied
    assert not launcher.box.cell_on
    assert [p.name for p in tmp_path.iterdir()] == ["m.mcr"]


def test_an_existing_file_raises_a_question_unless_it_may_be_overridden(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    program, *_ = run(tmp_path, [*CV, "run", "tsave: a", *QUIT])
    assert "already exists" in program.dialog()
    assert (tmp_path / "a.txt").read_text() == "old"
    program, *_ = run(tmp_path, ["fileoverride", *CV, "run", "tsave: a", *QUIT])
    assert not program.running()
    assert len(rows(tmp_path / "a.txt")) == 200


def test_macrotest_checks_and_runs_nothing(tmp_path):
    program, bench, _ = run(tmp_path, ["macrotest", *CV, "run"])
    assert "No error" in program.dialog()
    assert not bench.applied


def test_another_command_line_opens_the_window_and_waits():
    bench = Table()
    program = EmulatedChi760(bench).start_with(["/quit"])
    wait(program, bench, 30.0)
    assert program.running()
    assert program.dialog() is None


def test_without_forcequit_the_program_stays_and_keeps_the_port(tmp_path):
    program, bench, launcher = run(tmp_path, [*CV, "run", *SAVE])
    assert program.running()
    second = launcher.start(write_macro(tmp_path, QUIT))
    wait(second, bench, bench.clock.now() + 10)
    assert "com port" in second.dialog()
    second.terminate()
    program.terminate()
    third = launcher.start(write_macro(tmp_path, QUIT))
    wait(third, bench, bench.clock.now() + 10)
    assert not third.running()


# ---- time and the cell ----


def test_a_run_follows_the_clock_from_start_up_to_the_end_of_the_program(tmp_path):
    _, bench, launcher = run(tmp_path, [*CV, "run", *SAVE, *QUIT])
    first_s = bench.applied[0][0]
    assert 2.25 <= first_s <= 3.75
    assert bench.applied[0][1] == (0.0, 0.0)
    assert bench.applied[1][0] == pytest.approx(first_s + 2.0, abs=1e-4)
    off_s, what = bench.log[-1]
    assert what == "open"
    assert off_s - bench.applied[1][0] == pytest.approx(1.0 / (1 + 20e-6), abs=1e-9)
    assert 0.75 <= bench.clock.now() - off_s <= 1.35
    assert not launcher.box.cell_on
    ended = (tmp_path / "a.txt").read_text().split("\n")[0]
    assert ended == f"Feb. 29, 2024   23:59:{int(off_s):02d}"


def test_the_ramp_is_applied_in_cells_of_a_millisecond(tmp_path):
    pieces = []
    bench = Table()
    bench.apply_potential = lambda cell_ps, applied_v, interface_v: pieces.append((cell_ps, applied_v))
    program = EmulatedChi760(bench).start(write_macro(tmp_path, [*CV, "run", *QUIT]))
    wait(program, bench)
    cell_ps, ramp_v = pieces[1]
    assert cell_ps == pytest.approx(1e9 / (1 + 20e-6), abs=1)
    assert len(ramp_v) == 1000
    assert ramp_v[[0, 499, 500, 999]] == pytest.approx([-1e-4, -0.0999, -0.0999, -1e-4])


def test_the_cell_stays_on_between_runs_only_with_cellon(tmp_path):
    lines = ["cellon", *CV, "initeon", "run", *HOLD, "celloff", "run", *QUIT]
    _, bench, launcher = run(tmp_path, lines)
    held, hold = bench.applied[-2], bench.applied[-1]
    assert held[1] == (0.0, 0.0)
    assert hold[1] == (-0.5, -0.5)
    assert hold[0] - held[0] == pytest.approx(0.3, abs=1e-6)
    assert [what for at_s, what in bench.log if at_s > bench.applied[0][0]].count("open") == 1
    assert not launcher.box.cell_on

    _, bench, _ = run(tmp_path, [*CV, "run", *HOLD, "run", *QUIT])
    assert [what for at_s, what in bench.log if at_s > bench.applied[0][0]].count("open") == 2


def test_a_delay_waits_and_the_held_potential_costs_the_electrode(tmp_path):
    lines = [
        "tech=i-t",
        "ei=-2",
        "si=0.1",
        "st=1",
        "qt=0",
        "cellon",
        "run",
        "delay: 20",
        "celloff",
        "run",
        *QUIT,
    ]
    _, bench, _ = run(tmp_path, lines)
    runs = [at_s for at_s, _ in bench.applied]
    assert runs[-1] - runs[0] == pytest.approx(21.3, abs=1e-3)
    rate_a = 50e-6 * 10 ** (-5.6e-3 / 0.12)
    assert bench.cell.damage_dose == pytest.approx(rate_a * 22.3 / 15e-3, rel=0.01)


def test_the_knock_line_pulses_before_the_quiet_time(tmp_path):
    bench = Table()
    launcher = EmulatedChi760(bench)
    knocks = []
    launcher.box.on_knock(knocks.append)
    program = launcher.start(write_macro(tmp_path, ["knockon", *CV, "run", "knockoff", "run", *QUIT]))
    wait(program, bench)
    assert [at_ps / 1e12 for at_ps in knocks] == [bench.applied[0][0]]


def test_a_box_whose_program_was_killed_goes_on_until_the_next_start(tmp_path):
    bench = Table()
    launcher = EmulatedChi760(bench)
    program = launcher.start(write_macro(tmp_path, [*HOLD[:3], "st=100", "run", *SAVE, *QUIT]))
    bench.clock.sleep(20.0)
    program.terminate()
    program.terminate()
    assert not program.running()
    bench.clock.sleep(20.0)
    assert launcher.box.cell_on
    again = launcher.start(write_macro(tmp_path, QUIT))
    bench.clock.sleep(4.0)
    assert not launcher.box.cell_on
    wait(again, bench)
    assert not (tmp_path / "a.txt").exists()


def test_the_open_circuit_potential_is_measured_with_the_cell_off(tmp_path):
    _, bench, _ = run(
        tmp_path, ["tech=ocpt", "st=5", "si=0.01", "eh=10", "el=-10", "qt=2", "run", *SAVE, *QUIT]
    )
    table = rows(tmp_path / "a.txt")
    assert not bench.applied
    assert len(table) == 499
    assert np.abs(table[:, 1]).max() < 5e-3


def test_the_dummy_is_a_thousand_ohm_and_leaves_the_cell_alone(tmp_path):
    _, bench, _ = run(tmp_path, ["dummyon", *CV, "sens=1e-4", "run", *SAVE, *QUIT])
    table = rows(tmp_path / "a.txt")
    assert not bench.applied
    assert "Data Source:  Int Dummy" in (tmp_path / "a.txt").read_text()
    assert np.polyfit(table[:, 0], table[:, 1], 1)[0] == pytest.approx(1e-3, rel=0.01)


# ---- instrument chain ----


def test_every_single_conversion_is_a_16_bit_code(tmp_path):
    run(tmp_path, [*CV, "v=2", "sens=1e-4", "run", *SAVE, *QUIT], form=TextFormat(digits=10))
    codes = rows(tmp_path / "a.txt")[:, 1] / 1e-4 / CODE_V
    assert np.abs(codes - np.rint(codes)).max() < 1e-4  # 654 codes in single precision
    assert len(np.unique(np.rint(codes))) > 3


def test_the_current_never_exceeds_the_converter_and_nothing_in_the_file_says_so(tmp_path):
    run(tmp_path, [*CV, "el=-2", "ei=-1.5", "eh=-1.5", "sens=1e-6", "run", *SAVE, *QUIT])
    text = (tmp_path / "a.txt").read_text()
    current_a = rows(tmp_path / "a.txt")[:, 1]
    assert current_a.min() == -FULL_SCALE_V * 1e-6
    assert "verf" not in text
    assert "verload" not in text


def test_abortov_stops_at_the_first_row_that_overflows(tmp_path):
    lines = [*CV, "el=-2", "ei=-1.5", "eh=-1.5", "sens=1e-6", "abortov", "run", *SAVE, *QUIT]
    _, bench, _ = run(tmp_path, lines)
    table = rows(tmp_path / "a.txt")
    assert np.flatnonzero(np.abs(table[:, 1]) >= 10e-6).tolist() == [len(table) - 1]
    assert bench.log[-1][0] - bench.applied[1][0] == pytest.approx(len(table) * 0.005, rel=1e-3)


def test_offset_and_noise_scale_with_the_range(tmp_path):
    for sens in ("1e-6", "1e-4"):
        run(tmp_path, [*HOLD, f"sens={sens}", "ei=0", "st=20", "run", "fileoverride", *SAVE, *QUIT])
        volts = rows(tmp_path / "a.txt")[20:, 1] / float(sens)
        assert 1e-5 < abs(volts.mean()) < 1.1e-3
        assert 1e-5 < volts.std() < 3e-4


def test_mains_pick_up_aliases_to_two_lines_at_a_tenth_of_a_volt_per_second(tmp_path):
    bench = Table()
    box = Chi760Box(bench, converter=Converter(offset_v=0.0, noise_v=0.0, mains_a=1e-6))
    program = EmulatedChi760(bench, box=box).start(
        write_macro(tmp_path, [*CV, "v=0.1", "sens=1e-6", "run", *SAVE, *QUIT])
    )
    wait(program, bench)
    current_a = rows(tmp_path / "a.txt")[20:80, 1]
    assert np.mean(current_a[::2]) - np.mean(current_a[1::2]) == pytest.approx(4 / math.pi * 1e-6, rel=0.05)


def test_polarity_turns_the_current_but_not_the_potential(tmp_path):
    run(tmp_path, [*CV, "run", *SAVE, *QUIT])
    anodic = rows(tmp_path / "a.txt")
    run(tmp_path, [*CV, "run", "fileoverride", *SAVE, *QUIT], polarity="cathodic_positive")
    cathodic = rows(tmp_path / "a.txt")
    assert np.array_equal(anodic, cathodic * [1, -1])
    assert anodic[50, 1] == pytest.approx(-2e-6, rel=0.01)


# ---- faults ----


def test_every_fault_has_the_prefix_and_a_sentence():
    assert all(name.startswith("chi_") and text.endswith(".") for name, text in FAULTS.items())


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("chi_port_locked", "Can not open com port"),
        ("chi_link_failed", "Link failed"),
        ("chi_dialog_on_start", "not connected"),
        ("chi_dialog_on_save", "Can not write"),
        ("chi_link_lost_in_run", "Link failed"),
    ],
)
def test_a_fault_with_a_dialog_leaves_the_program_waiting(tmp_path, fault, says):
    program, bench, _ = run(tmp_path, [*CV, "run", *SAVE, *QUIT], fault)
    bench.clock.sleep(60.0)
    assert program.running()
    assert says in program.dialog()
    assert not (tmp_path / "a.txt").exists()
    assert bool(bench.applied) == (fault in ("chi_dialog_on_save", "chi_link_lost_in_run"))
    program.terminate()
    assert program.dialog() is None


def test_a_crash_ends_the_program_but_not_the_run(tmp_path):
    program, bench, launcher = run(tmp_path, [*HOLD, "run", *SAVE, *QUIT], "chi_crash_in_run")
    assert not program.running()
    assert launcher.box.cell_on
    bench.clock.sleep(3.0)
    assert not launcher.box.cell_on
    assert not (tmp_path / "a.txt").exists()


def test_a_hanging_program_says_nothing_and_never_ends(tmp_path):
    program, *_ = run(tmp_path, [*HOLD, "run", *SAVE, *QUIT], "chi_hang")
    assert program.running()
    assert program.dialog() is None
    assert not (tmp_path / "a.txt").exists()


def test_a_truncated_result_ends_in_the_middle_of_a_row(tmp_path):
    run(tmp_path, [*CV, "run", *SAVE, *QUIT])
    whole = (tmp_path / "a.txt").read_bytes()
    run(tmp_path, ["fileoverride", *CV, "run", *SAVE, *QUIT], "chi_truncated_result")
    cut = (tmp_path / "a.txt").read_bytes()
    assert whole.startswith(cut)
    assert 0.5 < len(cut) / len(whole) < 0.61
    assert whole[len(cut) : len(cut) + 1].isdigit() or whole[len(cut) : len(cut) + 1] == b"."


def test_a_missing_result_is_missing_although_the_program_ended(tmp_path):
    program, *_ = run(tmp_path, [*CV, "run", *SAVE, *QUIT], "chi_missing_result")
    assert not program.running()
    assert (tmp_path / "a.bin").exists()
    assert not (tmp_path / "a.txt").exists()


def test_an_overload_clips_the_middle_third(tmp_path):
    run(tmp_path, [*CV, "run", *SAVE, *QUIT], "chi_overload")
    clipped = np.abs(rows(tmp_path / "a.txt")[:, 1]) >= 10 * 1e-5
    assert np.flatnonzero(clipped).tolist() == list(range(67, 134))


def test_a_stopped_run_is_short_in_rows_and_in_time_and_its_header_is_not(tmp_path):
    _, bench, _ = run(tmp_path, [*HOLD, "run", *SAVE, *QUIT], "chi_stopped_early")
    assert len(rows(tmp_path / "a.txt")) == 18
    assert "Run Time (sec) = 3\n" in (tmp_path / "a.txt").read_text()
    assert bench.log[-1][0] - bench.applied[0][0] == pytest.approx(1.8, rel=1e-3)


def test_a_wrong_polarity_turns_the_sign(tmp_path):
    run(tmp_path, [*CV, "run", *SAVE, *QUIT], "chi_wrong_polarity")
    assert rows(tmp_path / "a.txt")[50, 1] == pytest.approx(+2e-6, rel=0.01)


@pytest.mark.parametrize(("lines", "name"), [(CV, "Amperometric i-t Curve"), (HOLD, "Cyclic Voltammetry")])
def test_a_wrong_technique_is_named_in_the_file(tmp_path, lines, name):
    run(tmp_path, [*lines, "run", *SAVE, *QUIT], "chi_wrong_technique")
    assert (tmp_path / "a.txt").read_text().split("\n")[1] == name


# ---- the same at every speed, and as a program of its own ----


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix in (".txt", ".bin")}


def test_the_same_seed_writes_the_same_bytes_at_any_speed_and_cadence(tmp_path):
    lines = ["fileoverride", *CV, "run", *SAVE, *QUIT]
    run(tmp_path, lines)
    expected = files(tmp_path)
    bench = Table(speed=100.0)
    program = EmulatedChi760(bench, start_date=START).start(write_macro(tmp_path, lines))
    while program.running():
        bench.clock.sleep(0.037)
    assert files(tmp_path) == expected


def test_a_program_of_its_own_does_the_same_bit_for_bit(tmp_path):
    lines = ["fileoverride", *CV, "run", *SAVE, *QUIT]
    _, inside, _ = run(tmp_path, lines)
    expected = files(tmp_path)
    bench = Table()
    launcher = SubprocessChi760(bench, start_date=START)
    program = launcher.start(write_macro(tmp_path, lines))
    wait(program, bench)
    assert not program.running()
    assert files(tmp_path) == expected
    assert bench.log == inside.log


def test_a_program_of_its_own_shows_its_dialog_and_can_be_ended(tmp_path):
    bench = Table("chi_link_failed")
    launcher = SubprocessChi760(bench)
    program = launcher.start(write_macro(tmp_path, [*CV, "run", *QUIT]))
    wait(program, bench)
    assert program.running()
    assert program.dialog() == "Error: Link failed"
    program.terminate()
    program.terminate()
    assert not program.running()


def test_a_program_of_its_own_can_crash(tmp_path):
    bench = Table("chi_crash_in_run")
    launcher = SubprocessChi760(bench)
    program = launcher.start(write_macro(tmp_path, [*HOLD, "run", *QUIT]))
    wait(program, bench)
    assert not program.running()
    assert launcher.box.cell_on


def test_started_by_hand_it_has_a_cell_of_its_own(tmp_path):
    macro = write_macro(tmp_path, [*CV, "run", *SAVE, *QUIT])
    done = subprocess.run(
        [sys.executable, "-m", "qdlab.sim.emulators.chi760", f'/runmacro:"{macro}"'],
        env=os.environ | {"QDLAB_CHI760_TIME_FACTOR": "0"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "a.txt")) == 200
