import math
import os
import threading

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QT_API"] = "pyqt5"
os.environ.setdefault("PYQTGRAPH_QT_LIB", "PyQt5")

import pytest

pytest.importorskip("PyQt5", reason="the lab window needs qdlab[gui]")
pytest.importorskip("pytestqt", reason="its tests need pytest-qt")

import pyqtgraph as pg
from qtpy import QtCore

SHORT = {"hold_s": "1", "cycles": "1", "scan_rate_v_s": "2"}
"""Makes the shipped voltammetry-FLID a run of a second."""
LIMIT_MS = 60_000


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    """Layouts are remembered in the test's own folder, and runs go there too."""
    QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
    QtCore.QSettings.setPath(
        QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, str(tmp_path / "settings")
    )
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def finish_run(tmp_path_factory):
    """Run an experiment on the twin to its end; returns its procedure and the run as it was stored."""
    from qdlab.formats.run_file import read_run_file
    from qdlab.procedures.run import execute_run, prepare_run

    def finish(experiment, *overrides, seed=2, **options):
        out = tmp_path_factory.mktemp(experiment)
        run = prepare_run(experiment, out=out, overrides=overrides, seed=seed, speed=math.inf, **options)
        outcome = execute_run(run, lambda _: None, threading.Event())
        assert outcome.status == "finished"
        return run.procedure, read_run_file(outcome.path)

    return finish


@pytest.fixture
def shown(qtbot):
    """Show a tab without a window around it."""

    def show(tab, width, height):
        qtbot.addWidget(tab)
        tab.resize(width, height)
        tab.show()
        return tab

    return show


@pytest.fixture
def lab(qtbot):
    """Make a lab window; whatever it still runs at the end of the test is ended."""
    from qdlab.gui.lab_window import LabWindow

    windows = []

    def make(*arguments):
        window = LabWindow(*arguments)
        window.show()
        windows.append(window)
        qtbot.waitUntil(lambda: window.ready, timeout=LIMIT_MS)
        return window

    yield make
    for window in windows:
        window.queue.hold()
        window.queue.abort()
        qtbot.waitUntil(lambda window=window: window.queue.running is None, timeout=LIMIT_MS)
        window.close()
        for plot in window.findChildren(pg.PlotWidget):
            plot.close()  # or its legend would follow the geometry of a box that is gone
        window.deleteLater()
    qtbot.wait(1)


@pytest.fixture
def judged(qtbot):
    """Wait for the verdict on what a form says now; returns whether it is allowed."""

    def wait(form):
        with qtbot.waitSignal(form.judged, timeout=LIMIT_MS) as verdict:
            form.ask_again()
        return verdict.args[0]

    return wait


@pytest.fixture
def run_to_end(qtbot):
    """Queue what a window's form says, wait for its end and its result; returns the job and its outcome."""

    def run(window):
        with qtbot.waitSignal(window.queue.ended, timeout=LIMIT_MS) as ended:
            assert window.form.queue()
        qtbot.waitUntil(lambda: not window.opener.busy, timeout=LIMIT_MS)
        return ended.args

    return run


@pytest.fixture
def run_short(run_to_end):
    """Fill a window's form with a short run, start it and wait for its end; returns the job."""

    def run(window, **values):
        window.form.set_values({**SHORT, **values})
        job, _ = run_to_end(window)
        return job

    return run
