import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from qdlab.instruments.base import (
    InstrumentError,
    Limits,
    NotConnectedError,
    OutOfRangeError,
    VendorSoftwareMissingError,
)
from qdlab.instruments.chi import CHI760C, WindowsProgram
from qdlab.instruments.chi.errors import (
    ProgramBusyError,
    ProgramCrashedError,
    ProgramDialogError,
    ProgramTimeoutError,
    ResultIncompleteError,
    ResultMismatchError,
    ResultMissingError,
    ResultUnreadableError,
    RunAbortedError,
)
from qdlab.instruments.chi.windows_program import command_line
from qdlab.instruments.potentiostat import (
    CyclicVoltammetry,
    Hold,
    LinearSweep,
    OpenCircuit,
    PotentialSteps,
)

CV = CyclicVoltammetry(0.0, -2.0, 0.2, cycles=2)


@pytest.fixture
def chi(launcher, tmp_path):
    device = make_chi(launcher, tmp_path)
    device.connect()
    yield device
    launcher.dialog_text, launcher.crash_after_s, launcher.hangs = None, None, False
    device.disconnect()


def make_chi(launcher, folder, polarity="anodic_positive", **kwargs):
    return CHI760C(
        launcher,
        clock=launcher.clock,
        work_dir=folder,
        potential_limits_v=Limits(-3.0, 1.0),
        current_polarity=polarity,
        **kwargs,
    )


def finish(run, clock, poll_s=0.05, at_most_s=20_000.0):
    end_s = clock.now() + at_most_s
    while not run.done():
        assert clock.now() < end_s, "the run never ended"
        clock.sleep(poll_s)


def test_the_cell_stays_on_inside_a_sequence_and_goes_off_after_it(chi, launcher):
    run = chi.start([Hold(0.0, 3.0), CV, LinearSweep(0.0, -1.0, 0.5)])
    finish(run, launcher.clock)
    runs, lines = launcher.started[0].runs, launcher.started[0].lines
    assert [r.tech for r in runs] == ["i-t", "cv", "lsv"]
    assert ["cellon" in r.switches for r in runs] == [True, True, False]
    assert ["celloff" in r.switches for r in runs] == [False, False, True]
    assert lines[-1] == "forcequit: yesiamsure"
    assert len(launcher.started) == 1


def test_an_empty_program_is_refused(chi):
    with pytest.raises(OutOfRangeError, match="empty"):
        chi.start([])


def test_a_program_of_all_techniques_comes_back_as_records(chi, launcher):
    program = [
        Hold(0.0, 3.0),
        CV,
        LinearSweep(0.0, -1.0, 0.5, quiet_s=1.0),
        PotentialSteps(((0.0, 0.5), (-1.0, 0.25)), cycles=2),
        OpenCircuit(2.0),
    ]
    run = chi.start(program)
    finish(run, launcher.clock)
    hold, cv, lsv, step, ocp = run.result()
    assert [r.technique for r in (hold, cv, lsv, step, ocp)] == program
    assert all(r.complete and r.stop_reason == "" for r in (hold, cv, lsv, step, ocp))
    assert len(cv.potential_v) == len(cv.time_s) == len(cv.overload) == 8000
    assert cv.time_s[-1] == pytest.approx(40.0)
    assert cv.potential_v.min() == -2.0
    assert cv.warnings == ()
    assert np.all(hold.potential_v == 0.0)
    assert step.potential_v[[49, 50, 74, 75]].tolist() == [0.0, -1.0, -1.0, 0.0]
    assert np.all(np.isnan(ocp.current_a))
    assert np.all(ocp.potential_v == 2e-8)
    assert set(cv.vendor_files) == {"macro.mcr", "r002.txt"}
    assert run.partial_result()[1].vendor_files["r002.txt"] == cv.vendor_files["r002.txt"]
    assert launcher.clock.now() == pytest.approx(run.planned_s, abs=3.0)
    assert chi.estimate_s(program) == run.planned_s


def test_start_times_agree_with_the_truth_within_their_uncertainty(chi, launcher):
    for poll_s in (0.02, 0.2, 2.0):
        launcher.true_starts_s.clear()
        run = chi.start([Hold(0.0, 3.0, quiet_s=1.0), CV, LinearSweep(0.0, -1.0, 0.5)])
        finish(run, launcher.clock, poll_s)
        for record, true_s in zip(run.result(), launcher.true_starts_s, strict=True):
            assert 0 < record.start_uncertainty_s < 0.2 + poll_s
            assert abs(record.start_s - true_s) <= 1.75 * record.start_uncertainty_s


def test_cathodic_positive_programs_give_anodic_positive_records(launcher, tmp_path):
    launcher.edit = negated
    with make_chi(launcher, tmp_path, polarity="cathodic_positive") as chi:
        run = chi.start([CV])
        finish(run, launcher.clock)
        record = run.result()[0]
    assert record.current_a[:2000].mean() < 0 < record.current_a[2000:4000].mean()
    assert record.warnings == ()


def test_a_polarity_that_contradicts_the_charging_current_is_reported(chi, launcher):
    launcher.edit = negated
    run = chi.start([CV])
    finish(run, launcher.clock)
    assert "Current Polarity" in run.result()[0].warnings[0]


def negated(text):
    rows = [line.split(", ") for line in text.splitlines()]
    flip = {True: "", False: "-"}
    out = []
    for fields in rows:
        if len(fields) == 2 and fields[0][-1].isdigit() and "e-" in fields[1]:
            negative = fields[1].startswith("-")
            fields[1] = flip[negative] + fields[1].removeprefix("-")
        out.append(", ".join(fields))
    return "\n".join(out) + "\n"


def test_clipped_points_name_the_next_range(chi, launcher):
    launcher.edit = lambda text: text.replace("2.000e-8", "1.009e-4")
    run = chi.start([Hold(0.0, 3.0)])
    finish(run, launcher.clock)
    record = run.result()[0]
    assert record.overload.all()
    assert "take 0.0001 A/V next" in record.warnings[0]


def test_the_commanded_potential_follows_the_clock(chi, launcher):
    run = chi.start([Hold(-0.5, 10.0), CV])
    assert run.commanded_potential_v() is None
    shown = []
    while not run.done():
        shown.append(run.commanded_potential_v())
        launcher.clock.sleep(0.1)
    known = np.array([v for v in shown if v is not None])
    assert known[0] == -0.5
    assert known.min() == pytest.approx(-2.0, abs=0.03)
    assert run.commanded_potential_v() is None


def test_results_come_only_after_the_end(chi):
    run = chi.start([CV])
    with pytest.raises(InstrumentError, match="still going on"):
        run.result()
    assert run.partial_result() == []


# ---- what goes wrong ----


def test_a_dialog_ends_the_run_with_its_text(chi, launcher):
    launcher.dialog_text = "Error: Link failed"
    run = chi.start([CV])
    with pytest.raises(ProgramDialogError, match=r"Link failed.*switch the instrument on"):
        finish(run, launcher.clock)
    assert launcher.clock.now() < 3.0
    assert launcher.started[0].terminated
    with pytest.raises(ProgramDialogError):
        run.done()


def test_a_program_that_hangs_is_given_up_and_its_data_kept(chi, launcher):
    launcher.hangs = True
    run = chi.start([CV])
    with pytest.raises(ProgramTimeoutError, match="1 of 1 results"):
        finish(run, launcher.clock)
    assert launcher.started[0].terminated
    assert run.partial_result()[0].complete


def test_a_program_that_dies_early_has_crashed_and_what_it_saved_is_kept(chi, launcher):
    launcher.crash_after_s = 20.0
    run = chi.start([Hold(0.0, 3.0), CV])
    with pytest.raises(ProgramCrashedError, match="1 of 2 results"):
        finish(run, launcher.clock)
    assert [type(r.technique) for r in run.partial_result()] == [Hold]


def test_a_missing_result_is_named(chi, launcher):
    launcher.withheld = {"r002"}
    run = chi.start([Hold(0.0, 3.0), CV])
    with pytest.raises(ResultMissingError, match=r"r002\.txt"):
        finish(run, launcher.clock)
    assert len(run.partial_result()) == 1
    chi.make_safe()
    assert len(launcher.started) == 1, "the last run was saved, so its celloff was carried out"


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        (lambda t: t[: len(t) // 2], ResultIncompleteError, "of 8000 rows"),
        (lambda t: "\n".join(t.split("\n")[:3000]) + "\n", ResultIncompleteError, "of 8000 rows"),
        (lambda t: "no voltammogram", ResultUnreadableError, "no CHI text"),
        (lambda t: "", ResultUnreadableError, "empty"),
        (lambda t: t.replace("Cyclic", "Square Wave"), ResultMismatchError, "technique"),
        (lambda t: t.replace("Rate (V/s) = 0.2", "Rate (V/s) = 0.25"), ResultMismatchError, "Scan Rate"),
        (
            lambda t: t.replace("Interval (V) = 0.001", "Interval (V) = 0.002"),
            ResultMismatchError,
            "Interval",
        ),
        (lambda t: t.replace("Low E (V) = -2\n", "Low E (V) = -1.8\n"), ResultMismatchError, "Low E"),
        (lambda t: t.replace("P/N = N", "P/N = P"), ResultMismatchError, "P/N"),
        (lambda t: t.replace("Sensitivity (A/V) = 1e-05\n", ""), ResultMismatchError, "Sensitivity"),
        (lambda t: t.replace("cv r001", "cv r009"), ResultMismatchError, "another run"),
        (lambda t: t.replace("Experiment", "Int Dummy"), ResultMismatchError, "no cell"),
        (lambda t: t.replace("-1.500,", "-1.400,"), ResultMismatchError, "ramp"),
        (lambda t: t + "0.000, 1.000e-7\n" * 3, ResultMismatchError, "number of rows"),
    ],
)
def test_a_result_that_is_not_the_planned_run_is_refused(chi, launcher, edit, error, message):
    launcher.edit = edit
    run = chi.start([CV])
    finish(run, launcher.clock)
    with pytest.raises(error, match=message):
        run.result()
    assert all(not record.complete and record.stop_reason for record in run.partial_result())


@pytest.mark.parametrize("lost", [0, 1])
def test_one_lost_row_is_tolerated(chi, launcher, lost):
    launcher.edit = lambda text: "\n".join(text.split("\n")[: -1 - lost]) + "\n"
    run = chi.start([Hold(0.0, 3.0)])
    finish(run, launcher.clock)
    assert len(run.result()[0].time_s) == 30 - lost


# ---- safe end ----


def test_an_aborted_run_is_ended_and_the_cell_switched_off(chi, launcher):
    run = chi.start([Hold(0.0, 3.0), CV])
    while launcher.clock.now() < 15.0:
        assert not run.done()
        launcher.clock.sleep(0.1)
    run.abort()
    run.abort()
    with pytest.raises(RunAbortedError):
        run.done()
    assert launcher.started[0].terminated
    assert len(launcher.started) == 2
    safe = launcher.started[1]
    assert [r.tech for r in safe.runs] == ["ocpt"]
    assert "celloff" in safe.runs[0].switches
    assert len(run.partial_result()) == 1
    finish(chi.start([CV]), launcher.clock)


def test_a_run_that_ended_in_order_needs_no_safe_macro(chi, launcher):
    finish(chi.start([CV]), launcher.clock)
    chi.make_safe()
    chi.make_safe()
    assert len(launcher.started) == 1


def test_make_safe_works_when_never_connected_and_from_any_thread(launcher, tmp_path):
    chi = make_chi(launcher, tmp_path)
    chi.make_safe()
    chi.connect()
    run = chi.start([CV])
    thread = threading.Thread(target=chi.make_safe)
    thread.start()
    thread.join(timeout=10.0)
    assert not thread.is_alive()
    assert run.over
    assert len(launcher.started) == 2
    chi.disconnect()
    chi.make_safe()
    assert len(launcher.started) == 2


@pytest.mark.parametrize("fault", ["dialog", "hang", "crash", "missing program"])
def test_a_cell_that_could_not_be_switched_off_is_said_aloud(launcher, tmp_path, fault):
    chi = make_chi(launcher, tmp_path)
    chi.connect()
    chi.start([CV])
    launcher.dialog_text = "Error: Link failed" if fault == "dialog" else None
    launcher.hangs, launcher.missing = fault == "hang", fault == "missing program"
    launcher.crash_after_s = 0.5 if fault == "crash" else None
    with pytest.raises(InstrumentError, match="press the cell switch"):
        chi.make_safe()
    with pytest.raises(InstrumentError, match="make_safe"):
        chi.start([CV])
    launcher.dialog_text, launcher.hangs, launcher.missing, launcher.crash_after_s = None, False, False, None
    chi.disconnect()


def test_one_run_at_a_time(chi):
    chi.start([CV])
    with pytest.raises(ProgramBusyError, match="running already"):
        chi.start([CV])


def test_nothing_starts_before_connect_or_outside_the_rigs_limits(launcher, tmp_path):
    chi = make_chi(launcher, tmp_path)
    with pytest.raises(NotConnectedError):
        chi.start([CV])
    with chi, pytest.raises(OutOfRangeError, match=r"-3\.5"):
        chi.start([CyclicVoltammetry(0.0, -3.5, 0.2)])
    assert launcher.started == []


# ---- connection ----


def test_two_drivers_do_not_share_one_program(chi, launcher, tmp_path):
    other = make_chi(launcher, tmp_path)
    with pytest.raises(ProgramBusyError, match="process"):
        other.connect()
    chi.disconnect()
    other.connect()
    other.disconnect()


def test_a_lock_of_a_dead_process_does_not_hold(launcher, tmp_path):
    code = (
        "import sys; from pathlib import Path; from qdlab.formats.file_lock import FileLock;"
        "FileLock(Path(sys.argv[1]), 'the program').acquire()"
    )
    lock = make_chi(launcher, tmp_path)._lock_path("scripted program")
    subprocess.run([sys.executable, "-c", code, str(lock)], check=True)
    assert json.loads(lock.read_text())["pid"] > 0
    with make_chi(launcher, tmp_path):
        pass


@pytest.mark.parametrize("name", ["with blank", "ümlaut", "x" * 200])
def test_folders_that_the_program_stumbles_over_are_refused(launcher, tmp_path, name):
    with pytest.raises(InstrumentError, match="work_dir"):
        make_chi(launcher, tmp_path / name).connect()


def test_settings_of_the_driver_that_cannot_be_are_refused(launcher, tmp_path):
    with pytest.raises(OutOfRangeError, match="current_polarity"):
        make_chi(launcher, tmp_path, polarity="positive")
    with pytest.raises(OutOfRangeError, match="data_length"):
        make_chi(launcher, tmp_path, data_length_points=0)


def test_the_identity_says_that_it_is_simulated(chi):
    assert "SIMULATED" in str(chi.connect())
    assert chi.capabilities.live_samples is False


@pytest.mark.skipif(sys.platform == "win32", reason="the real program may be there")
def test_the_real_program_is_refused_where_it_cannot_run(tmp_path):
    with pytest.raises(VendorSoftwareMissingError, match="Windows only"):
        WindowsProgram(tmp_path / "chi760c.exe").check()


def test_the_command_is_one_string_with_the_path_in_quotes():
    assert command_line(Path("chi760c.exe"), Path("run.mcr")) == '"chi760c.exe" /runmacro:"run.mcr"'
