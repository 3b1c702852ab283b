import sys
from pathlib import Path

import numpy as np
import pytest
from qtpy import QtCore, QtGui, QtWidgets

from qdlab.formats.run_file import read_run_file
from qdlab.gui import theme
from qdlab.gui.defects import Defects
from qdlab.gui.dialogs import ask_yes, open_file, save_file
from qdlab.gui.lab_window import CLOSE_QUESTION
from qdlab.gui.run_queue import State
from qdlab.procedures.config import locate

LIMIT_MS = 60_000


def start_long_run(window, qtbot):
    """A run that goes on until it is ended, at twenty times the wall's speed."""
    window.options.speed.setCurrentText("20")
    window.form.set_values({"hold_s": 900, "cycles": 0})
    assert window.form.queue()
    job = window.queue.running
    qtbot.waitUntil(lambda: job.progress is not None and job.progress.photons > 1000, timeout=LIMIT_MS)
    return job


def wait_for_end(window, qtbot):
    qtbot.waitUntil(lambda: window.queue.running is None, timeout=LIMIT_MS)
    qtbot.waitUntil(lambda: not window.opener.busy, timeout=LIMIT_MS)


def drop(window, path):
    mime = QtCore.QMimeData()
    mime.setUrls([QtCore.QUrl.fromLocalFile(str(path))])
    where, copy, left = QtCore.QPoint(5, 5), QtCore.Qt.CopyAction, QtCore.Qt.LeftButton
    enter = QtGui.QDragEnterEvent(where, copy, mime, left, QtCore.Qt.NoModifier)
    window.dragEnterEvent(enter)
    assert enter.isAccepted()
    window.dropEvent(QtGui.QDropEvent(QtCore.QPointF(where), copy, mime, left, QtCore.Qt.NoModifier))


@pytest.fixture
def dim_station(tmp_path):
    path = tmp_path / "dim.toml"
    text = locate("charging_simulated").read_text()
    path.write_text(text.replace("count_rate_limit_hz = 5e6", "count_rate_limit_hz = 500.0"))
    return str(path)


def test_a_simulated_station_says_so_loudly_and_a_real_one_has_neither_seed_nor_speed(lab, tmp_path):
    window = lab()
    assert window.simulated.isVisible()
    assert "[SIMULATED]" in window.windowTitle()
    assert window.options.simulated
    real = lab(str(locate("charging_rig")))
    assert not real.simulated.isVisible()
    assert "SIMULATED" not in real.windowTitle()
    assert not real.options.simulated
    assert real._run_options().seed is None


def test_a_run_from_the_form_to_its_file_with_progress_and_result(lab, run_short, qtbot):
    window = lab()
    told = []
    window.queue.progressed.connect(lambda job: told.append(window.status.label.text()))
    job = run_short(window)
    assert job.state is State.FINISHED
    assert job.path.parent.name == "runs"
    assert any(text.startswith("run 1: ") for text in told)
    assert window.queue_panel.table.item(0, 2).text() == "finished"
    assert window.tab.trace.curves()["intensity"][1].sum() > 0
    run = read_run_file(job.path)
    assert run.header["seed"] == 1
    assert run.header["parameters"]["scan_rate_v_s"] == 2.0


def test_a_wrong_seed_or_speed_queues_nothing(lab):
    window = lab()
    window.options.seed.setText("one")
    assert not window.form.queue()
    assert "seed = 'one': must be a whole number from 0" in window.form.verdict.text()
    window.options.seed.setText("1")
    window.options.speed.setCurrentText("-3")
    assert not window.form.queue()
    assert "speed = '-3'" in window.form.verdict.text()
    assert window.queue.jobs == []


def test_abort_in_the_middle_of_a_run_keeps_what_was_recorded(lab, qtbot):
    window = lab()
    job = start_long_run(window, qtbot)
    qtbot.mouseClick(window.queue_panel.abort, QtCore.Qt.LeftButton)
    wait_for_end(window, qtbot)
    assert job.state is State.ABORTED
    assert read_run_file(job.path).photons.n_photons > 1000
    assert window.tab.trace.curves()["intensity"][1].sum() > 0


def test_the_red_stop_makes_the_rig_safe_and_holds_the_queue(lab, qtbot):
    window = lab()
    job = start_long_run(window, qtbot)
    window.form.set_values({"hold_s": 1})
    window.form.queue()
    bench = job.procedure.rig.bench
    assert bench.light.emitting
    with qtbot.waitSignal(window.queue.made_safe, timeout=LIMIT_MS):
        qtbot.mousePress(window.stop_button, QtCore.Qt.LeftButton)
    assert not bench.light.emitting
    assert bench.applied_potential_v == bench.cell.rest_potential_v
    assert window.queue.held
    wait_for_end(window, qtbot)
    assert [job.state for job in window.queue.jobs] == [State.ABORTED, State.WAITING]
    assert window.message.text.startswith("RED STOP: everything is off")


def test_the_keys_of_the_red_stop_do_what_the_button_does(lab, qtbot, monkeypatch):
    window = lab()
    for number, key in enumerate((QtCore.Qt.Key_F12, QtCore.Qt.Key_Escape), 1):
        window.queue.hold(False)
        window.message.dismiss()
        qtbot.keyClick(window, key)
        assert window.queue.held, number
        assert window.message.text.startswith("RED STOP: everything is off")


def _ask(window):
    window.asker._show("Is the key on?")


def _tell_a_defect(window):
    Defects(window)._show("ZeroDivisionError: planted", "details")


DIALOGS = {
    "close": lambda window: window._ask_to_close(),
    "asker": _ask,
    "defect": _tell_a_defect,
    "folder": lambda window: window.options.choose_folder(),
    "yes": lambda window: ask_yes(window, "yes", "Shall I?", lambda: None),
    "open": lambda window: open_file(window, "Open", "", "*", window.open_path),
    "save": lambda window: save_file(window, "Save", Path("a.toml"), "*.toml", window.save_experiment),
}


@pytest.mark.parametrize("name", DIALOGS)
def test_the_red_stop_works_while_a_question_is_open(lab, qtbot, name):
    window = lab()
    DIALOGS[name](window)
    [dialog] = window.findChildren(QtWidgets.QDialog)
    assert dialog.isVisible()
    assert QtWidgets.QApplication.activeModalWidget() is None
    qtbot.mousePress(window.stop_button, QtCore.Qt.LeftButton)
    assert window.queue.held
    window.queue.hold(False)
    if name != "asker":  # a red stop answers the instrument's question
        qtbot.keyClick(dialog, QtCore.Qt.Key_F12)
        assert window.queue.held
        dialog.close()


def test_saving_over_a_file_asks_first(lab, qtbot, tmp_path):
    window, there = lab(), tmp_path / "there.toml"
    there.write_text("mine")
    saved = []
    save_file(window, "Save", there, "*.toml", saved.append)
    window.findChild(QtWidgets.QFileDialog).accept()
    [box] = window.findChildren(QtWidgets.QMessageBox)
    assert str(there) in box.text()
    assert not saved
    qtbot.mouseClick(box.button(QtWidgets.QMessageBox.Yes), QtCore.Qt.LeftButton)
    assert saved == [there]


def test_a_paused_run_says_so_in_the_queue_and_goes_on(lab, qtbot):
    window = lab()
    window.options.speed.setCurrentText("20")
    window.form.set_values({"hold_s": 2, "cycles": 60, "scan_rate_v_s": 4, "keep_in_focus_s": 0})
    window.form.queue()
    job, panel = window.queue.running, window.queue_panel
    qtbot.waitUntil(lambda: panel.pause.isVisible(), timeout=LIMIT_MS)
    qtbot.mouseClick(panel.pause, QtCore.Qt.LeftButton)
    qtbot.waitUntil(lambda: panel.table.item(0, 2).text() == "paused", timeout=LIMIT_MS)
    assert job.procedure.progress.paused
    qtbot.mouseClick(panel.pause, QtCore.Qt.LeftButton)
    qtbot.waitUntil(lambda: panel.table.item(0, 2).text().endswith("s"), timeout=LIMIT_MS)
    assert not job.procedure.progress.paused


def test_the_red_stop_works_while_a_plot_keeps_the_window_busy(lab, qtbot, monkeypatch):
    window = lab()
    job = start_long_run(window, qtbot)
    bench = job.procedure.rig.bench
    seen = []

    def busy(_looked):
        if not seen:
            thread = window.queue.red_stop()
            thread.join(10)  # the window's thread does nothing else meanwhile
            seen.append((bench.light.emitting, bench.applied_potential_v))

    monkeypatch.setattr(window.tab, "show_live", busy)
    wait_for_end(window, qtbot)
    assert seen == [(False, bench.cell.rest_potential_v)]


@pytest.mark.parametrize("go_on", [False, True], ids=["held", "goes on"])
def test_a_failed_run_says_why_on_the_screen_and_the_queue_does_as_chosen(lab, dim_station, qtbot, go_on):
    window = lab(dim_station)
    window.queue_panel.go_on.setChecked(go_on)
    window.form.set_values({"hold_s": 1, "cycles": 1, "scan_rate_v_s": 2})
    window.form.repeats.setValue(2)
    with qtbot.waitSignals([window.queue.failed] * (1 + go_on), timeout=LIMIT_MS):
        window.form.queue()
    wait_for_end(window, qtbot)
    assert [job.state for job in window.queue.jobs] == [
        State.FAILED,
        State.FAILED if go_on else State.WAITING,
    ]
    assert "above its limit of 500 Hz; the laser was locked" in window.message.text
    assert window.message.text.startswith(f"Run {1 + go_on} failed:")
    assert ("The queue is held" in window.message.text) is not go_on


def test_closing_during_a_run_asks_and_no_goes_on(lab, qtbot):
    window = lab()
    start_long_run(window, qtbot)
    window.close()
    box = window.findChild(QtWidgets.QMessageBox, "close")
    assert box.text() == CLOSE_QUESTION
    qtbot.mouseClick(box.button(QtWidgets.QMessageBox.No), QtCore.Qt.LeftButton)
    assert window.isVisible()
    assert window.queue.running is not None


def test_closing_during_a_run_ends_it_safely_first(lab, qtbot):
    window = lab()
    job = start_long_run(window, qtbot)
    bench = job.procedure.rig.bench
    window.close()
    box = window.findChild(QtWidgets.QMessageBox, "close")
    qtbot.mouseClick(box.button(QtWidgets.QMessageBox.Yes), QtCore.Qt.LeftButton)
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=LIMIT_MS)
    assert job.state is State.ABORTED
    assert not bench.light.emitting
    assert bench.applied_potential_v == bench.cell.rest_potential_v
    assert read_run_file(job.path).status == "aborted"


def test_a_run_file_is_reopened_by_dropping_it(lab, run_short, qtbot):
    window = lab()
    job = run_short(window)
    again = lab()
    assert "intensity" not in again.tab.trace.curves()
    with qtbot.waitSignal(again.opener.opened, timeout=LIMIT_MS):
        drop(again, job.path)
    for name, (x, y) in window.tab.trace.curves().items():
        np.testing.assert_array_equal(again.tab.trace.curves()[name][0], x)
        np.testing.assert_array_equal(again.tab.trace.curves()[name][1], y)


def test_a_file_that_is_no_run_is_refused_on_the_screen(lab, qtbot, tmp_path):
    (tmp_path / "notes.h5").write_text("not HDF5")
    window = lab()
    with qtbot.waitSignal(window.opener.refused, timeout=LIMIT_MS):
        window.open_path(tmp_path / "notes.h5")
    assert "notes.h5: is damaged or not a run file" in window.message.text


def test_a_dropped_experiment_fills_the_form_of_its_tab(lab, tmp_path):
    window = lab()
    text = locate("cv_flid").read_text().replace("hold_s = 30.0", "hold_s = 12.5")
    (tmp_path / "mine.toml").write_text(text)
    window.tabs.setCurrentIndex(window.tabs.count() - 1)
    drop(window, tmp_path / "mine.toml")
    assert type(window.tab).__name__ == "VoltammetryFlidTab"
    assert window.form.values()["hold_s"] == "12.5"


def test_a_defect_in_a_slot_is_shown_and_logged_and_the_window_lives(lab, qtbot, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    window = lab()
    monkeypatch.setattr("threading.excepthook", lambda _args: None)
    Defects(window).catch()

    def fail():
        raise ZeroDivisionError("a slot that fails")

    try:
        fail()
    except ZeroDivisionError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    qtbot.waitUntil(lambda: window.findChild(QtWidgets.QMessageBox, "defect") is not None)
    box = window.findChild(QtWidgets.QMessageBox, "defect")
    assert "a slot that fails" in box.text()
    assert "Traceback" in box.detailedText()
    box.close()
    window.log.flush()
    assert "a slot that fails" in window.log.text.toPlainText()
    assert window.isVisible()


def test_a_live_view_that_fails_does_not_end_the_run(lab, qtbot, monkeypatch):
    window = lab()

    def fail(_procedure):
        raise ZeroDivisionError("a look that fails")

    monkeypatch.setattr(window.tab, "look", fail)
    job = start_long_run(window, qtbot)
    qtbot.waitUntil(lambda: "a look that fails; the run goes on" in window.message.text, timeout=LIMIT_MS)
    assert job.state is State.RUNNING


def test_layout_theme_and_folder_are_remembered(lab, qtbot, tmp_path):
    window = lab()
    window.docks["Log"].hide()
    window.tabs.setCurrentIndex(1)
    window.options.out.setText(str(tmp_path / "elsewhere"))
    window.set_theme("dark")
    window.close()
    again = lab()
    assert not again.docks["Log"].isVisible()
    assert again.tabs.currentIndex() == 1
    assert Path(again.options.out.text()) == tmp_path / "elsewhere"
    assert theme.current().name == "dark"


def test_every_tab_has_a_form_whose_runs_the_rig_allows(lab, judged):
    window = lab()
    for index in range(window.tabs.count()):
        window.tabs.setCurrentIndex(index)
        assert judged(window.form), window.form.verdict.text()


def test_a_question_of_an_instrument_is_answered_in_the_window(lab, qtbot):
    from concurrent.futures import ThreadPoolExecutor

    window = lab()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(window.asker.ask, "Is the key on?")
        qtbot.waitUntil(lambda: window.asker.dialog is not None)
        assert window.asker.dialog.labelText() == "Is the key on?"
        window.asker.dialog.setTextValue("yes")
        window.asker.dialog.accept()
        assert answer.result(10) == "yes"
        refused = pool.submit(window.asker.ask, "And now?")
        qtbot.waitUntil(lambda: window.asker.dialog is not None)
        window.red_stop()
        assert refused.result(10) == ""
