import json
import shutil
import threading

import numpy as np
import pytest
from qtpy import QtWidgets

from qdlab.formats.run_file import read_run_file
from qdlab.gui.compare import flattened
from qdlab.gui.picture_tab import PictureTab
from qdlab.gui.quick_look import QuickLook
from qdlab.gui.run_exports import EXPORTS
from qdlab.gui.runs_model import photons_told
from qdlab.gui.runs_panel import RunsPanel
from qdlab.gui.tabs.voltammetry_flid import VoltammetryFlidTab
from qdlab.procedures import run_index
from qdlab.procedures.run import execute_run, prepare_run
from qdlab.procedures.run_index import RunIndex, read_entry, read_header

LIMIT_MS = 20_000
CV = ("hold_s=2", "cycles=1", "scan_rate_v_s=1")
HELD = ("hold_s=2", "potentials_v=0.0, -1.8")


def recorded(experiment, out, *overrides, stop=None, faults=()):
    """A short run on the twin; returns its path."""
    run = prepare_run(experiment, out=out, overrides=overrides, seed=5, speed=float("inf"), faults=faults)
    return execute_run(run, lambda _: None, stop or threading.Event()).path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One run of each fate, made once: finished, held potentials, blank, failed, aborted, interrupted."""
    folder = tmp_path_factory.mktemp("runs")
    stopped = threading.Event()
    stopped.set()
    paths = {
        "cv": recorded("cv_flid", folder, *CV),
        "held": recorded("static_bias", folder, *HELD),
        "blank": recorded("blank", folder, "dark_s=2", "scatter_s=2"),
        "failed": recorded("cv_flid", folder, *CV, faults=["chi_dialog_on_save"]),
        "aborted": recorded("cv_flid", folder, *CV, stop=stopped),
    }
    run = read_run_file(paths["cv"])
    part = folder / "2026-01-01_000000_voltammetry_flid.part"
    part.mkdir()
    header = {**run.header, "status": "running", "started": "2026-01-01T00:00:00.000+00:00"}
    (part / "header.json").write_text(json.dumps(header))
    (part / "log.txt").write_text(run.log)
    run.photons.words.tofile(part / "photons.u32")
    (folder / "damaged.h5").write_bytes(b"no run at all")
    return folder, paths | {"part": part}


@pytest.fixture
def runs(made, tmp_path):
    """A copy of these runs; returns folder and paths by their fates."""
    folder, paths = made
    shutil.copytree(folder, tmp_path / "runs")
    return tmp_path / "runs", {fate: tmp_path / "runs" / path.name for fate, path in paths.items()}


@pytest.fixture
def left_behind(monkeypatch):
    """Part folders count as left behind at once."""
    monkeypatch.setattr(run_index, "QUIET_S", -1.0)


@pytest.fixture
def panel(qtbot, runs):
    """The panel with all runs listed."""
    panel = RunsPanel(runs[0])
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: len(panel.model.entries) == 7, timeout=LIMIT_MS)
    yield panel
    panel.end()


def by_path(entries):
    return {entry.path: entry for entry in entries}


# ---- the index ----


def test_index_tells_the_fate_kind_and_photons_of_every_run(runs, left_behind):
    folder, paths = runs
    entries = by_path(RunIndex(folder).runs())
    fates = {fate: entries[path].status for fate, path in paths.items()}
    assert fates == {
        "cv": "finished", "held": "finished", "blank": "finished", "failed": "failed",
        "aborted": "aborted", "part": "interrupted",
    }  # fmt: skip
    assert entries[folder / "damaged.h5"].status == "unreadable"
    cv, whole = entries[paths["cv"]], read_run_file(paths["cv"])
    assert cv.kind == "voltammetry_flid"
    assert cv.photons == whole.photons.n_photons
    assert cv.duration_s == whole.photons.duration_s
    assert cv.simulated
    assert entries[paths["failed"]].reason == read_run_file(paths["failed"]).header["status_reason"] != ""
    assert entries[paths["part"]].recoverable


def test_index_lists_the_newest_run_first(runs, left_behind):
    entries = RunIndex(runs[0]).runs()
    started = [entry.started for entry in entries if entry.started]
    assert started == sorted(started, reverse=True)


def test_index_reads_a_file_again_only_when_it_has_changed(runs, monkeypatch):
    folder, paths = runs
    index, read = RunIndex(folder), []
    monkeypatch.setattr(run_index, "read_entry", lambda path: read.append(path) or read_entry(path))
    index.runs()
    assert len(read) == 6
    index.runs()
    assert len(read) == 6
    shutil.copy(paths["held"], paths["cv"])
    index.runs()
    assert read[6:] == [paths["cv"]]


def test_a_part_folder_that_grows_is_a_running_run(runs):
    folder, paths = runs
    (paths["part"] / "log.txt").write_text("just now")
    assert by_path(RunIndex(folder).runs())[paths["part"]].status == "running"


def test_a_folder_that_does_not_exist_has_no_runs(tmp_path):
    assert RunIndex(tmp_path / "none").runs() == []


# ---- the table ----


def test_panel_lists_all_runs_and_tells_why_one_failed(panel, runs):
    panel.select(runs[1]["failed"])
    assert panel.selected[0].status == "failed"
    assert panel.reason.text().startswith("failed: ")
    assert panel.selected[0].reason in panel.reason.text()
    panel.select(runs[1]["cv"])
    assert panel.reason.text() == ""
    row = panel.model.paths.index(runs[1]["cv"])
    cells = [panel.model.index(row, column).data() for column in range(panel.model.columnCount())]
    assert cells[1:3] == ["finished", "voltammetry flid"]
    assert cells[4] == photons_told(panel.selected[0].photons)


def test_panel_shows_a_new_run_by_itself_and_keeps_the_selection(panel, runs, qtbot):
    folder, paths = runs
    panel.select(paths["held"])
    shutil.copy(paths["cv"], folder / "another.h5")
    qtbot.waitUntil(lambda: folder / "another.h5" in panel.model.paths, timeout=LIMIT_MS)
    assert [entry.path for entry in panel.selected] == [paths["held"]]


def test_what_is_typed_narrows_the_list(panel):
    panel.find.setText("static bias")
    assert panel.table.model().rowCount() == 1
    panel.find.setText("")
    assert panel.table.model().rowCount() == 7


@pytest.mark.parametrize(
    ("chosen", "allowed"),
    [
        ((), ""),
        (("cv",), "open look reuse export"),
        (("cv", "held"), "compare"),
        (("cv", "blank"), ""),
        (("part",), ""),
    ],
)
def test_only_what_can_be_done_with_the_selection_is_offered(panel, runs, chosen, allowed):
    panel.select(*(runs[1][fate] for fate in chosen))
    buttons = {
        name: getattr(panel, f"{name}_button") for name in ("open", "look", "compare", "reuse", "export")
    }
    assert {name for name, button in buttons.items() if button.isEnabled()} == set(allowed.split())


def test_open_and_use_parameters_tell_the_window_what_is_wanted(panel, runs, qtbot):
    panel.select(runs[1]["cv"])
    with qtbot.waitSignal(panel.open_wanted) as opened:
        panel.open_button.click()
    assert opened.args == [runs[1]["cv"]]
    with qtbot.waitSignal(panel.reuse_wanted) as reused:
        panel.reuse_button.click()
    values, kind = reused.args
    assert kind == "voltammetry_flid"
    assert values == read_header(runs[1]["cv"])["parameters"]
    assert values["scan_rate_v_s"] == 1.0


def test_what_a_dead_run_left_is_recovered(runs, qtbot, left_behind):
    folder, paths = runs
    panel = RunsPanel(folder)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: paths["part"] in panel.model.paths, timeout=LIMIT_MS)
    panel.select(paths["part"])
    assert panel.recover_button.isVisible()
    panel.recover_run(panel.selected[0])
    recovered = paths["part"].with_suffix(".h5")
    qtbot.waitUntil(lambda: recovered in panel.model.paths, timeout=LIMIT_MS)
    entry = by_path(panel.model.entries)[recovered]
    assert entry.status == "recovered"
    assert entry.photons == by_path(panel.model.entries)[paths["cv"]].photons
    assert not paths["part"].exists()
    panel.end()


def test_photons_are_told_as_one_says_them():
    assert [photons_told(n) for n in (0, 12_345, 999_999, 1_000_000, 385_687_211)] == [
        "0", "12 345", "999 999", "1e6", "3.86e8",
    ]  # fmt: skip


# ---- exports ----


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.text)
def test_a_run_is_exported_in_every_form(panel, runs, qtbot, tmp_path, export):
    panel.select(runs[1]["cv"])
    out = tmp_path / f"exported{export.suffix}"
    with qtbot.waitSignal(
        panel.told, check_params_cb=lambda told: told == f"written: {out}", timeout=LIMIT_MS
    ):
        panel.export_run(panel.selected[0], export, out)
    if export.suffix:
        assert out.stat().st_size > 1000
    else:
        assert {"flid.csv", "trace.csv", "decay.csv"} <= {file.name for file in out.iterdir()}


def test_photons_are_offered_for_export_only_where_there_are_any(panel, runs):
    for fate in ("cv", "aborted"):
        panel.select(runs[1][fate])
        offered = {export.to for export, action in panel._exports.items() if action.isEnabled()}
        photons = {"ptu-t3", "ptu-t2", "photon-hdf5"} if fate == "cv" else set()
        assert offered == {"picture", "csv"} | photons


def test_an_export_that_would_overwrite_data_is_refused_with_its_reason(panel, runs, qtbot, tmp_path):
    panel.select(runs[1]["cv"])
    out = tmp_path / "there.ptu"
    out.write_text("mine")
    panel._exports[EXPORTS[2]].trigger()
    dialog = panel.findChild(QtWidgets.QFileDialog)
    dialog.setDirectory(str(tmp_path))
    dialog.selectFile(out.name)
    with qtbot.waitSignal(panel.refused, timeout=LIMIT_MS) as refused:
        dialog.accept()
    assert "exists already" in refused.args[0]
    assert not panel.findChildren(QtWidgets.QMessageBox)  # a yes would not have helped
    assert out.read_text() == "mine"


# ---- quick look ----


def test_quick_look_shows_the_numbers_of_the_analysis_in_its_plots(panel, runs, qtbot):
    panel.select(runs[1]["cv"])
    with qtbot.waitSignal(panel.quick_look.shown, timeout=LIMIT_MS):
        panel.look_button.click()
    look = panel.quick_look
    assert isinstance(look.view, VoltammetryFlidTab)
    result = look.opened.analysis.result
    time_s, rate_khz = look.view.trace.curves()["intensity"]
    assert np.mean(rate_khz) == pytest.approx(result.trace_hz.mean() / 1e3, rel=0.02)
    assert time_s[-1] < result.duration_s
    assert look.view.flid.counts.sum() > 0.5 * len(result.flid.time_s)
    assert f"{result.photons:,} in" in look.numbers.toPlainText()
    assert not look.progress.isVisible()


def test_quick_look_follows_the_selection(panel, runs, qtbot):
    look = panel.quick_look
    panel.select(runs[1]["cv"])
    with qtbot.waitSignal(look.shown, timeout=LIMIT_MS):
        panel.look_at_selected()
    with qtbot.waitSignal(look.shown, timeout=LIMIT_MS):
        panel.select(runs[1]["held"])
    assert look.opened.run.path == runs[1]["held"]


def test_of_several_runs_wanted_meanwhile_only_the_last_is_opened(qtbot, runs):
    look = QuickLook()
    qtbot.addWidget(look)
    shown = []
    look.shown.connect(lambda opened: shown.append(opened.run.path))
    for fate in ("cv", "blank", "held"):
        look.look_at(read_entry(runs[1][fate]))
    qtbot.waitUntil(lambda: not look.busy and bool(shown), timeout=LIMIT_MS)
    assert shown == [runs[1]["held"]]
    look.end()


def test_a_kind_without_plots_of_its_own_is_shown_by_its_picture(qtbot, runs):
    look = QuickLook()
    qtbot.addWidget(look)
    look.show()
    with qtbot.waitSignal(look.shown, timeout=LIMIT_MS):
        look.look_at(read_entry(runs[1]["blank"]))
    assert isinstance(look.view, PictureTab)
    assert look.view.picture.pixmap().width() > 300
    look.end()


def test_a_failed_run_says_so_above_what_it_recorded(qtbot, runs):
    look = QuickLook()
    qtbot.addWidget(look)
    look.show()
    with qtbot.waitSignal(look.shown, timeout=LIMIT_MS):
        look.look_at(read_entry(runs[1]["failed"]))
    assert look.status.isVisible()
    assert look.status.text() == f"run failed: {read_entry(runs[1]['failed']).reason}"
    assert look.view.trace.curves()["intensity"][1].max() > 1
    look.end()


def test_a_run_that_recorded_nothing_says_why(qtbot, runs):
    look = QuickLook()
    qtbot.addWidget(look)
    look.show()
    with qtbot.waitSignal(look.refused, timeout=LIMIT_MS):
        look.look_at(read_entry(runs[1]["aborted"]))
    assert look.status.text().startswith("run aborted: ")
    assert "recorded no photons" in look.status.text()
    look.end()


def test_a_file_that_is_no_run_is_refused_with_its_name(qtbot, runs):
    look = QuickLook()
    qtbot.addWidget(look)
    path = runs[0] / "damaged.h5"
    with qtbot.waitSignal(look.refused, timeout=LIMIT_MS) as refused:
        look.look_at(read_entry(path))
    assert refused.args[0] == path
    assert "damaged" in refused.args[1]
    look.end()


# ---- comparison ----


def test_two_runs_are_compared_side_by_side_and_over_each_other(panel, runs, qtbot):
    panel.select(runs[1]["cv"], runs[1]["held"])
    with qtbot.waitSignal(panel.comparison.shown, timeout=LIMIT_MS):
        panel.compare_button.click()
    compared = panel.comparison
    counts = [plot.counts for plot in compared.maps]
    for alone, over in zip(counts, compared.overlay.counts, strict=True):
        np.testing.assert_array_equal(alone, over)
    assert counts[0].sum() > 0
    assert counts[1].sum() > 0
    differing = [compared.table.item(row, 0).text() for row in range(compared.table.rowCount())]
    assert "photons" in differing
    assert "kind" in differing


def test_nested_results_are_told_by_one_name_each():
    summary = {"x0": {"lifetime_ns": 125.0}, "flid": {"bin_s": 0.02}, "photons": 3, "peaks": [1, 2]}
    assert flattened(summary) == {"x0 lifetime_ns": 125.0, "flid bin_s": 0.02, "photons": 3}
