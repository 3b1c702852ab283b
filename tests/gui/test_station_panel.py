"""The station panel on the simulated station: what its cards say, and what their buttons do."""

from pathlib import Path

import numpy as np
import pytest
from qtpy import QtCore

from qdlab.gui import theme
from qdlab.gui.run_queue import RunQueue, RunRequest
from qdlab.gui.station.card import RoleCard, in_words
from qdlab.gui.station.cards import card_of
from qdlab.gui.station.rate_bar import RateBar
from qdlab.gui.station_area import StationArea
from qdlab.gui.station_panel import StationPanel
from qdlab.procedures import station_monitor
from qdlab.procedures.station import Station
from qdlab.procedures.station_monitor import StationMonitor
from qdlab.procedures.station_snapshot import Number, RoleState

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = CONFIGS / "confocal_simulated.toml"
A_DOT_UM = {"x": 98.95, "y": 99.81, "z": 100.0}
SMALL = ("pixels_x=40", "pixels_y=24", "x_um=98.95", "y_um=99.8")
LEFT = QtCore.Qt.MouseButton.LeftButton


@pytest.fixture(autouse=True)
def ten_times_faster(monkeypatch):
    monkeypatch.setattr(station_monitor, "BY_HAND_SPEED", 10.0)


@pytest.fixture
def shown(qtbot):
    """Show the panel of a station that is held; released at the end."""
    monitors = []

    def show(path=SHIPPED, **options):
        monitor = StationMonitor(Station.load(path), **options)
        monitors.append(monitor)
        monitor.take_back()
        panel = StationPanel(monitor)
        qtbot.addWidget(panel)
        panel.show()
        qtbot.waitUntil(lambda: all(s.connected or s.error for s in monitor.snapshot().roles.values()))
        qtbot.waitUntil(lambda: panel.cards["stage"].position["x"].text().endswith("µm"))
        return panel

    yield show
    for monitor in monitors:
        monitor.release()


def click(qtbot, button):
    qtbot.waitUntil(button.isEnabled)
    qtbot.mouseClick(button, LEFT)


def position_um(panel):
    labels = panel.cards["stage"].position
    return np.array([float(labels[axis].text().removesuffix(" µm")) for axis in "xyz"])


def go_to(qtbot, panel, **um):
    card = panel.cards["stage"]
    for axis, value in um.items():
        card.target[axis].setValue(value)
    click(qtbot, card.go)


# ---- cards ----


def test_every_card_says_who_answers_and_that_it_is_simulated(shown):
    panel = shown()
    assert list(panel.cards) == ["laser", "counter", "potentiostat", "stage"]
    for card in panel.cards.values():
        assert card.simulated.isVisible()
        assert card.lamp.colour == "good"
        assert card.connection.text() == "Disconnect"
        assert not card.error.isVisible()
    assert "PDL 828" in panel.cards["laser"].identity.full
    assert panel.cards["laser"].lock_state.text() == "locked by software"
    assert panel.cards["laser"].pulses.text() == "442 nm, 2.5 MHz, intensity 30.0 %"
    assert panel.cards["counter"].sync.text() == "sync 2.5 MHz, limit 5 Mc/s per detector"
    assert panel.cards["potentiostat"].cell.text() == "cell off"
    assert panel.cards["potentiostat"].allowed.text() == "allowed -2 to 0.6 V"
    assert panel.told == "under manual control"


def test_unlocking_lets_the_bars_of_the_rates_rise(shown, qtbot):
    panel = shown()
    go_to(qtbot, panel, **A_DOT_UM)
    counter, laser = panel.cards["counter"], panel.cards["laser"]
    qtbot.waitUntil(lambda: len(counter.bars) == 2)
    dark = counter.bars["rate_0_hz"].fraction
    click(qtbot, laser.unlock)
    qtbot.waitUntil(lambda: "LIGHT ON" in laser.lock_state.text())
    assert not laser.unlock.isEnabled()
    qtbot.waitUntil(lambda: counter.bars["rate_0_hz"].rate_hz > 5000)
    assert counter.bars["rate_0_hz"].fraction > dark + 0.2
    assert counter.rates["rate_0_hz"].text().endswith("kc/s")
    click(qtbot, laser.lock)
    qtbot.waitUntil(lambda: laser.lock_state.text() == "locked by software")
    qtbot.waitUntil(lambda: counter.bars["rate_0_hz"].rate_hz < 1000)


def test_rate_and_intensity_are_set_together(shown, qtbot):
    panel = shown()
    laser = panel.cards["laser"]
    laser.rate.setCurrentIndex(laser.rate.findData(10e6))
    laser.intensity.setValue(12.5)
    click(qtbot, laser.set)
    qtbot.waitUntil(lambda: laser.pulses.text() == "442 nm, 10 MHz, intensity 12.5 %")
    qtbot.waitUntil(lambda: panel.cards["counter"].sync.text().startswith("sync 10 MHz"))


def test_a_held_potential_is_shown_with_its_time_until_the_cell_is_off(shown, qtbot):
    panel = shown()
    card = panel.cards["potentiostat"]
    card.potential.setValue(-1.0)
    click(qtbot, card.hold)
    qtbot.waitUntil(lambda: card.cell.text().startswith("cell on, -1 V, "))
    assert card.cell.text().endswith(" s left")
    click(qtbot, card.off)
    qtbot.waitUntil(lambda: card.connection.text() == "cell off …")
    assert not card.hold.isEnabled()
    qtbot.waitUntil(lambda: card.cell.text() == "cell off")


def test_a_potential_outside_the_window_is_refused_in_the_card(shown, qtbot):
    panel = shown()
    card = panel.cards["potentiostat"]
    card.potential.setValue(-3.0)
    click(qtbot, card.hold)
    qtbot.waitUntil(lambda: card.error.isVisible())
    assert card.error.text() == "Hold potential (V) = -3.0 is outside [-2.0, 0.6]"
    assert card.cell.text() == "cell off"


def test_jog_and_go_to_move_the_stage_and_a_place_outside_is_refused(shown, qtbot):
    panel = shown()
    card = panel.cards["stage"]
    go_to(qtbot, panel, x=100.0, y=90.0, z=80.0)
    qtbot.waitUntil(lambda: position_um(panel) == pytest.approx([100.0, 90.0, 80.0], abs=0.02))
    click(qtbot, card.plus["y"])
    qtbot.waitUntil(lambda: position_um(panel) == pytest.approx([100.0, 91.0, 80.0], abs=0.02))
    card.step.setCurrentIndex(card.step.findData(0.1))
    click(qtbot, card.minus["x"])
    qtbot.waitUntil(lambda: position_um(panel) == pytest.approx([99.9, 91.0, 80.0], abs=0.02))
    go_to(qtbot, panel, x=300.0)
    qtbot.waitUntil(card.error.isVisible)
    assert card.error.text() == "PI E-545: x_um = 300.0 is outside [1.0, 199.0]"
    assert position_um(panel) == pytest.approx([99.9, 91.0, 80.0], abs=0.02)


def test_a_device_that_does_not_answer_shows_why_and_can_be_connected_again(shown, qtbot):
    panel = shown(faults=["sepia_not_found"])
    card = panel.cards["laser"]
    qtbot.waitUntil(card.error.isVisible)
    assert "no frame could be opened" in card.error.text()
    assert (card.lamp.colour, card.connection.text()) == ("bad", "Connect")
    assert not card.unlock.isEnabled()
    assert panel.cards["stage"].go.isEnabled()
    click(qtbot, card.connection)
    qtbot.waitUntil(card.connection.isEnabled)
    assert "no frame could be opened" in card.error.text()


def test_an_alarm_is_shown_until_it_was_read(shown, qtbot):
    panel = shown()
    click(qtbot, panel.cards["laser"].unlock)
    qtbot.waitUntil(lambda: "LIGHT ON" in panel.cards["laser"].lock_state.text())
    click(qtbot, panel.cards["counter"].connection)
    qtbot.waitUntil(panel.alarm.isVisible)
    assert panel.alarm.text() == "the counter was disconnected; the laser was locked"
    click(qtbot, panel.dismiss)
    qtbot.waitUntil(lambda: not panel.alarm.isVisible())


def test_everything_safe_locks_the_laser(shown, qtbot):
    panel = shown()
    click(qtbot, panel.cards["laser"].unlock)
    qtbot.waitUntil(lambda: "LIGHT ON" in panel.cards["laser"].lock_state.text())
    click(qtbot, panel.safe)
    qtbot.waitUntil(lambda: panel.cards["laser"].lock_state.text() == "locked by software")


def test_a_role_without_a_card_of_its_own_lists_words_and_numbers(qtbot):
    card = card_of("chopper")
    qtbot.addWidget(card)
    assert type(card) is RoleCard
    words, numbers = {"frame": "blank"}, {"t": Number("temperature", 31.5, "C")}
    state = RoleState("shaper", "lcos", connected=True, words=words, numbers=numbers)
    card.show_state(state, mine=True)
    assert card._lines.text() == "frame: blank\ntemperature: 31.5 C"
    assert card.simulated.isHidden()


# ---- the bar, and numbers in words ----


def test_the_bar_of_a_rate_is_logarithmic_and_warns_near_the_limit(qtbot):
    bar = RateBar()
    qtbot.addWidget(bar)
    bar.show_rate(float("nan"), 5e6)
    assert bar.fraction == 0.0
    bar.show_rate(1e4, 5e6)  # 3 of 6 decades from 10 Hz to twice the limit
    assert (bar.fraction, bar.colour) == (pytest.approx(0.5), "good")
    bar.show_rate(3e6, 5e6)
    assert bar.colour == "warning"
    bar.show_rate(5.1e6, 5e6)
    assert bar.colour == "bad"
    assert bar.fraction > bar.limit_fraction
    bar.show_rate(1e9, 5e6)
    assert bar.fraction == 1.0


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (2.5e6, "Hz", "2.5 MHz"),
        (35_210.0, "c/s", "35.21 kc/s"),
        (74.6, "c/s", "75 c/s"),
        (100.00312, "um", "100.003 µm"),
        (442.0, "nm", "442 nm"),
        (float("nan"), "V", "–"),
    ],
)
def test_numbers_are_told_as_a_person_reads_them(value, unit, words):
    assert in_words(Number("it", value, unit)) == words


# ---- runs ----


@pytest.fixture
def area(qtbot):
    shown = StationArea(lambda _question: "")
    qtbot.addWidget(shown)
    shown.show()
    shown.show_station(Station.load(SHIPPED))
    qtbot.waitUntil(lambda: all(s.connected for s in shown.monitor.snapshot().roles.values()))
    yield shown
    shown.close_station()


@pytest.fixture
def queue(area):
    runs = RunQueue()
    runs.before_run, runs.after_run = area.give_up, area.take_back
    runs.prepared.connect(lambda job: area.watch(job.procedure))
    yield runs
    runs.hold()
    runs.abort()
    runs.wait()


def test_a_run_takes_the_station_and_gives_it_back(area, queue, qtbot, tmp_path):
    panel = area.panel
    click(qtbot, panel.cards["laser"].unlock)
    qtbot.waitUntil(lambda: "LIGHT ON" in panel.cards["laser"].lock_state.text())
    with qtbot.waitSignal(queue.ended, timeout=20_000) as ended:
        queue.add(RunRequest("confocal_scan", SMALL, out=tmp_path, speed=2.0))
        qtbot.waitUntil(lambda: panel.told == "a run holds the station: frame 1", timeout=10_000)
        qtbot.waitUntil(lambda: panel.cards["counter"].bars["rate_0_hz"].rate_hz > 100)
        for card in panel.cards.values():
            assert card.lamp.colour == "good"
            assert not card.connection.isEnabled()
            assert not any(control.isEnabled() for control in card.controls)
        assert not panel.safe.isEnabled()
    assert ended.args[1].status == "finished"
    qtbot.waitUntil(lambda: panel.told == "under manual control")
    qtbot.waitUntil(lambda: panel.cards["laser"].lock_state.text() == "locked by software")
    qtbot.waitUntil(panel.cards["stage"].go.isEnabled)


def test_another_station_takes_the_place_of_the_one_before(area, qtbot):
    before = area.monitor
    with qtbot.waitSignal(area.monitor_changed):
        area.show_station(Station.load(CONFIGS / "charging_simulated.toml"))
    qtbot.waitUntil(lambda: before.snapshot().holder == "nobody")
    qtbot.waitUntil(lambda: area.panel.cards["potentiostat"].lamp.colour == "good")
    assert list(area.panel.cards) == ["laser", "counter", "potentiostat"]
    same = area.monitor
    area.show_station(Station.load(CONFIGS / "charging_simulated.toml"))
    assert area.monitor is same


@pytest.mark.parametrize("name", ["light", "dark"])
def test_the_lamp_has_the_colour_of_the_theme(shown, name):
    panel = shown()
    try:
        theme.apply(name)
        image = panel.cards["laser"].lamp.grab().toImage()
        ratio = image.devicePixelRatio()
        centre = image.pixelColor(int(7 * ratio), int(7 * ratio)).name()
        assert centre == theme.THEMES[name].good
    finally:
        theme.apply("light")
