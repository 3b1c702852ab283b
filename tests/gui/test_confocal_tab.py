"""The confocal tab: the image that grows, cross sections, places to go to, dots in their list."""

import math
from pathlib import Path

import numpy as np
import pytest

from qdlab.analysis.found_dots import FoundDot
from qdlab.analysis.scaling import Ratio
from qdlab.formats.run_file import read_run_file
from qdlab.gui.live import LiveView
from qdlab.gui.run_queue import RunQueue, RunRequest
from qdlab.gui.station_area import StationArea
from qdlab.gui.tabs.confocal import ConfocalTab, Field
from qdlab.gui.tabs.dot_table import Dot
from qdlab.procedures import station_monitor
from qdlab.procedures.analyses import analyze_run
from qdlab.procedures.station import Station

SHIPPED = Path(__file__).parents[2] / "configs" / "confocal_simulated.toml"
SMALL = ("pixels_x=40", "pixels_y=24", "x_um=98.95", "y_um=99.8")
A_DOT_UM = (98.95, 99.81)
SOON_MS = 20_000


@pytest.fixture
def tab(shown):
    return shown(ConfocalTab(), 1100, 760)


@pytest.fixture
def area(qtbot, tab, monkeypatch):
    monkeypatch.setattr(station_monitor, "BY_HAND_SPEED", 10.0)
    shown = StationArea(lambda _question: "")
    qtbot.addWidget(shown)
    shown.monitor_changed.connect(tab.use_monitor)
    shown.show_station(Station.load(SHIPPED))
    qtbot.waitUntil(lambda: "x_um" in shown.monitor.snapshot().roles["stage"].numbers)
    qtbot.waitUntil(tab.move_on_click.isEnabled)
    yield shown
    shown.close_station()


@pytest.fixture
def run(qtbot, tab, tmp_path):
    """Run an experiment in this tab; returns the run's file and what was looked at meanwhile."""
    queue, looked, lives, procedures = RunQueue(), [], [], []

    def begin(job):
        procedures.append(job.procedure)
        tab.begin(job.procedure)
        lives.append(LiveView(tab, job.procedure))
        lives[-1].start()

    show = tab.show_live
    tab.show_live = lambda field: (looked.append(field), show(field))
    queue.prepared.connect(begin)

    def call(experiment, *overrides, speed):
        with qtbot.waitSignal(queue.ended, timeout=SOON_MS) as ended:
            queue.add(RunRequest(experiment, SMALL + overrides, out=tmp_path, speed=speed))
        lives[-1].end()
        lives[-1].join()
        looked.append(tab.look(procedures[-1]))  # a run may end between two looks
        assert ended.args[1].status == "finished"
        return read_run_file(ended.args[1].path), looked

    yield call
    queue.wait()


def a_field(dots=(), single=None):
    """4 x 6 pixels of 0.5 um from (10, 20) um: 1000 * row + 100 * column hertz, the last row unknown."""
    rate_hz = 1000.0 * np.arange(4)[:, None] + 100.0 * np.arange(6)
    rate_hz[3] = np.nan
    return Field(rate_hz, 10 + 0.5 * np.arange(7), 20 + 0.5 * np.arange(5), 55.0, tuple(dots), single)


def stage_um(area):
    numbers = area.monitor.snapshot().roles["stage"].numbers
    return [numbers[f"{axis}_um"].value for axis in "xyz"]


# ---- places and sections ----


def test_a_click_shows_the_cross_sections_through_it(tab):
    tab.show_live(a_field())
    tab.image.clicked.emit(11.3, 20.6)
    assert tab.place.text() == "x 11.300, y 20.600 µm: 1.20 kc/s"
    x_um, along_x = tab.along_x.curves()["section"]
    y_um, along_y = tab.along_y.curves()["section"]
    assert x_um == pytest.approx(10.25 + 0.5 * np.arange(6))
    assert along_x == pytest.approx(1.0 + 0.1 * np.arange(6))
    assert y_um == pytest.approx(20.25 + 0.5 * np.arange(4))
    assert along_y[:3] == pytest.approx(0.2 + np.arange(3))
    assert math.isnan(along_y[3])
    assert tab.along_x.axis_name("left") == "intensity (kc/s)"
    assert tab.image.marks["chosen"] == (11.3, 20.6)


def test_a_place_outside_the_field_has_no_intensity(tab):
    tab.show_live(a_field())
    tab.image.clicked.emit(50.0, 60.0)
    assert tab.place.text() == "x 50.000, y 60.000 µm"


def test_the_chosen_place_becomes_that_of_the_next_run(tab, qtbot):
    assert not tab.use.isEnabled()
    tab.show_live(a_field([Dot(1, (11.0, 21.0, 54.5), 3e4)]))
    tab.image.clicked.emit(11.3, 20.6)
    with qtbot.waitSignal(tab.point_chosen) as chosen:
        tab.use.click()
    assert chosen.args == [11.3, 20.6, 55.0]  # the height of the field
    tab.table.cellClicked.emit(0, 0)
    with qtbot.waitSignal(tab.point_chosen) as chosen:
        tab.use.click()
    assert chosen.args == [11.0, 21.0, 54.5]  # the dot's own


def test_dots_are_marked_and_listed(tab):
    dots = [
        Dot(1, (11.0, 21.0, 54.5), 31_400.0, 0.143, (0.15, 0.02), single=True),
        Dot(2, (12.0, 20.5, 55.0), 9_900.0),
    ]
    tab.show_live(a_field(dots))
    assert tab.image.marks == {"1": (11.0, 21.0), "2": (12.0, 20.5)}
    rows = [[tab.table.item(row, column).text() for column in range(8)] for row in range(2)]
    assert rows == [
        ["1", "11.000", "21.000", "54.500", "31.4", "143", "0.15 ± 0.02", "single"],
        ["2", "12.000", "20.500", "55.000", "9.9", "–", "–", ""],
    ]
    tab.clear()
    assert (tab.table.rowCount(), tab.image.marks, tab.chosen_um) == (0, {}, None)


# ---- the stage ----


def test_a_click_moves_the_stage_and_the_cross_follows(tab, area, qtbot):
    tab.show_live(a_field())
    tab.image.clicked.emit(11.3, 20.6)
    qtbot.waitUntil(lambda: stage_um(area)[:2] == pytest.approx([11.3, 20.6], abs=0.02))
    qtbot.waitUntil(lambda: tab.image.position_um == pytest.approx((11.3, 20.6), abs=0.02))
    tab.move_on_click.setChecked(False)
    tab.image.clicked.emit(12.0, 21.0)
    qtbot.wait(200)
    assert stage_um(area)[:2] == pytest.approx([11.3, 20.6], abs=0.02)
    tab.go.click()
    qtbot.waitUntil(lambda: stage_um(area)[:2] == pytest.approx([12.0, 21.0], abs=0.02))


def test_a_double_click_on_a_dot_goes_there_with_its_height(tab, area, qtbot):
    tab.show_live(a_field([Dot(1, (11.0, 21.0, 54.5), 3e4)]))
    tab.table.cellDoubleClicked.emit(0, 0)
    qtbot.waitUntil(lambda: stage_um(area) == pytest.approx([11.0, 21.0, 54.5], abs=0.02))


def test_a_place_outside_the_travel_is_refused_in_words(tab, area, qtbot):
    before = stage_um(area)
    tab.image.clicked.emit(500.0, 20.0)
    qtbot.waitUntil(tab.message.isVisible)
    assert tab.message.text() == "PI E-545: x_um = 500.0 is outside [1.0, 199.0]"
    assert stage_um(area) == pytest.approx(before, abs=0.02)


def test_while_a_run_holds_the_station_a_click_moves_nothing(tab, area, qtbot):
    area.give_up()
    tab.follow_stage()
    tab.show_live(a_field())
    tab.image.clicked.emit(11.3, 20.6)
    assert not tab.go.isEnabled()
    assert tab.chosen_um is not None
    area.take_back()
    qtbot.waitUntil(lambda: "x_um" in area.monitor.snapshot().roles["stage"].numbers)
    assert stage_um(area)[0] < 5.0


# ---- runs ----


def test_the_image_of_a_scan_grows_and_its_spots_are_marked_at_the_end(tab, run):
    stored, looked = run("confocal_scan", speed=3.0)
    seen = [float(np.isfinite(field.rate_hz).mean()) for field in looked]
    assert len(seen) >= 3
    assert sorted(seen) == seen
    assert seen[0] < 0.8
    assert looked[-1].rate_hz.shape == (24, 40)
    analysis = analyze_run(stored)
    tab.show_result(stored, analysis, tab.digest(stored, analysis))
    assert tab.image.rate_hz == pytest.approx(analysis.image.rate_hz, nan_ok=True)
    assert tab.image.marks["1"] == pytest.approx(A_DOT_UM, abs=0.05)
    assert float(tab.table.item(0, 1).text()) == pytest.approx(A_DOT_UM[0], abs=0.05)
    assert 80 < float(tab.table.item(0, 5).text()) < 250  # the width of a focus in nanometres


def test_dots_are_listed_as_they_are_visited_and_the_chosen_one_is_chosen(tab, run):
    stored, looked = run("find_dots", "g2_s=1.0", speed=10.0)
    assert len(looked[-1].dots) == 1
    analysis = analyze_run(stored)
    tab.show_result(stored, analysis, tab.digest(stored, analysis))
    (dot,) = tab.field.dots
    assert dot.position_um == pytest.approx(tuple(analysis.dots[0].position_um))
    assert dot.rate_hz == pytest.approx(analysis.dots[0].rate_hz)
    assert 0.08 < dot.fwhm_um < 0.25
    assert looked[-1].dots[0].rate_hz == pytest.approx(dot.rate_hz, rel=0.02)
    assert tab.field.single == analysis.chosen
    if analysis.chosen is not None:
        assert tab.chosen_um == pytest.approx(dot.position_um)


def test_a_dot_without_g2_and_without_a_spot_has_no_numbers_for_these(tab):
    class Survey:
        image = type("Image", (), {"rate_hz": np.zeros((1, 2)), "grid": (np.arange(3.0), np.arange(2.0))})
        dots = (
            FoundDot(np.array([1.0, 0.5, 3.0]), np.zeros(3), 5e3, 70.0, None),
            FoundDot(np.array([1.5, 0.5, 3.0]), np.zeros(3), 5e3, 70.0, Ratio(0.1, 0.05)),
        )

    run = type("Run", (), {"header": {"parameters": {"z_um": 3.0}}})
    field = tab.digest(run, Survey)
    assert [dot.g2 for dot in field.dots] == [None, (0.1, 0.05)]
    assert [dot.single for dot in field.dots] == [False, True]
    assert all(math.isnan(dot.fwhm_um) for dot in field.dots)
