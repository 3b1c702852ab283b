"""The cards of a 2DES station on the simulated one: what they say, and what their buttons do."""

import math
from pathlib import Path

import numpy as np
import pytest
from qtpy import QtCore

from qdlab.gui.station_panel import StationPanel
from qdlab.procedures import station_monitor
from qdlab.procedures.station import Station
from qdlab.procedures.station_monitor import StationMonitor

SHIPPED = Path(__file__).parents[2] / "configs" / "coherence_simulated.toml"
LIMIT_MS = 60_000


@pytest.fixture
def panel(qtbot, monkeypatch, request):
    """The panel of the shipped station without a sample, held by hand; ten times as fast, or as asked for."""
    monkeypatch.setattr(station_monitor, "BY_HAND_SPEED", getattr(request, "param", 10.0))
    monitor = StationMonitor(Station.load(SHIPPED).with_sample("blank"))
    monitor.take_back()
    made = StationPanel(monitor)
    qtbot.addWidget(made)
    made.show()
    roles = monitor.snapshot().roles
    qtbot.waitUntil(
        lambda: all(state(made, role).connected and state(made, role).numbers for role in roles),
        timeout=LIMIT_MS,
    )
    qtbot.waitUntil(lambda: all(made.cards[role].connection.isEnabled() for role in roles), timeout=LIMIT_MS)
    yield made
    made.stop()
    assert monitor.release() == []


def state(panel, role):
    return panel.monitor.snapshot().roles[role]


def click(qtbot, button):
    qtbot.waitUntil(button.isEnabled, timeout=LIMIT_MS)
    qtbot.mouseClick(button, QtCore.Qt.MouseButton.LeftButton)


def refusal(qtbot, panel, role):
    card = panel.cards[role]
    qtbot.waitUntil(lambda: card.error.isVisible() and card.connection.isEnabled(), timeout=LIMIT_MS)
    return card.error.text()


def test_every_card_says_who_answers_and_that_no_light_goes_through(panel):
    assert set(panel.cards) == {"shaper", "delay", "detector"}
    for card in panel.cards.values():
        assert card.simulated.isVisible()
        assert card.lamp.colour == "good"
    shaper = panel.cards["shaper"]
    assert shaper.shown.text().startswith("no light")
    window_fs = state(panel, "shaper").numbers["window_fs"].value
    assert f"{window_fs / 1e3:.2f} ps" in shaper.allowed.text()
    assert state(panel, "shaper").numbers["t1_fs"].upper == pytest.approx(window_fs / 2)


def test_a_pair_is_shown_with_its_phases_until_it_is_blanked(panel, qtbot):
    card = panel.cards["shaper"]
    card.t1.setValue(150.0)
    card.phases[0].setValue(120.0)
    click(qtbot, card.show_pair)
    qtbot.waitUntil(lambda: "t1 = 150 fs" in card.shown.text() and card.shown.text().endswith(", settled"))
    assert "120°, 0°" in card.shown.text()
    numbers = state(panel, "shaper").numbers
    assert numbers["phase_1_rad"].value == pytest.approx(2 * math.pi / 3)
    click(qtbot, card.blank)
    qtbot.waitUntil(lambda: card.shown.text().startswith("no light"))
    assert math.isnan(state(panel, "shaper").numbers["t1_fs"].value)


def test_everything_safe_blanks_the_shaper(panel, qtbot):
    card = panel.cards["shaper"]
    click(qtbot, card.show_pair)
    qtbot.waitUntil(lambda: "PAIR" in card.shown.text())
    click(qtbot, panel.safe)
    qtbot.waitUntil(lambda: card.shown.text().startswith("no light"), timeout=LIMIT_MS)


def test_a_pair_beyond_the_window_is_refused_and_nothing_changes(panel, qtbot):
    card = panel.cards["shaper"]
    card.t1.setValue(1e4)
    click(qtbot, card.show_pair)
    assert "delay in fs of pulse 1" in refusal(qtbot, panel, "shaper")
    assert card.shown.text().startswith("no light")


def test_go_to_and_jog_move_the_stage(panel, qtbot):
    card = panel.cards["delay"]
    card.target.setValue(100.0)
    click(qtbot, card.go)
    qtbot.waitUntil(lambda: abs(delay_fs(panel) - 100.0) < 0.1, timeout=LIMIT_MS)
    position_mm = state(panel, "delay").numbers["position_mm"].value
    assert position_mm == pytest.approx(75.0 + 100.0 * 299_792_458.0 / 2e12, abs=1e-4)
    card.step.setCurrentIndex(card.step.findData(8.0))
    click(qtbot, card.minus)
    qtbot.waitUntil(lambda: abs(delay_fs(panel) - 92.0) < 0.1, timeout=LIMIT_MS)
    qtbot.waitUntil(lambda: card.place.text().endswith("mm, settled"), timeout=LIMIT_MS)
    assert "allowed -2000 to 5000 fs, 0 to 150 mm" in card.allowed.text()


def test_a_delay_beyond_the_limits_is_refused_before_the_stage_moves(panel, qtbot):
    card, before = panel.cards["delay"], delay_fs(panel)
    card.target.setValue(6000.0)
    click(qtbot, card.go)
    assert "6000.0 is outside [-2000.0, 5000.0]" in refusal(qtbot, panel, "delay")
    assert delay_fs(panel) == pytest.approx(before, abs=0.1)


@pytest.mark.parametrize("panel", [1.0], indirect=True)
def test_stop_works_in_the_middle_of_a_move(panel, qtbot):
    card = panel.cards["delay"]
    card.target.setValue(5000.0)
    click(qtbot, card.go)
    qtbot.waitUntil(lambda: state(panel, "delay").words.get("motion") == "moving", timeout=LIMIT_MS)
    click(qtbot, card.stop)
    assert "stopped on the way" in refusal(qtbot, panel, "delay")
    assert -10.0 < delay_fs(panel) < 4900.0


def delay_fs(panel):
    return state(panel, "delay").numbers["delay_fs"].value


def test_the_spectrum_is_live_and_fuller_with_a_longer_integration(panel, qtbot):
    card = panel.cards["detector"]
    before = state(panel, "detector").numbers["peak_counts"].value
    assert card.integration.value() == pytest.approx(10.0)
    card.integration.setValue(20.0)
    click(qtbot, card.set)
    qtbot.waitUntil(lambda: state(panel, "detector").numbers["peak_counts"].value > 1.6 * before)
    qtbot.waitUntil(lambda: card._shown is state(panel, "detector").curves["spectrum"])
    wavelength_nm, counts = state(panel, "detector").curves["spectrum"]
    x, y = card.plot.curves()["spectrum"]
    assert len(x) == len(wavelength_nm)
    assert np.ptp(x) > 150
    assert 500 < x[np.argmax(y)] < 600  # the laser's centre is at 549 nm
    assert y.max() == pytest.approx(counts.max() / 1e3, rel=0.05)
    assert not card.told_full.text().startswith("SATURATED")
    card.integration.setValue(100.0)
    click(qtbot, card.set)
    qtbot.waitUntil(lambda: card.told_full.text() == "SATURATED", timeout=LIMIT_MS)


def test_dark_counts_are_taken_off_until_the_integration_changes(panel, qtbot):
    card = panel.cards["detector"]
    assert "not taken" in card.dark.text()
    edge = np.median(state(panel, "detector").curves["spectrum"][1][:20])
    click(qtbot, card.take_dark)
    qtbot.waitUntil(lambda: "taken off" in card.dark.text(), timeout=LIMIT_MS)
    qtbot.waitUntil(lambda: np.median(state(panel, "detector").curves["spectrum"][1][:20]) < edge - 1000)
    card.integration.setValue(12.0)
    click(qtbot, card.set)
    qtbot.waitUntil(lambda: "not taken" in card.dark.text(), timeout=LIMIT_MS)


def test_an_integration_that_would_stop_the_live_view_is_refused(panel, qtbot):
    card = panel.cards["detector"]
    card.integration.setValue(5000.0)
    click(qtbot, card.set)
    assert "is outside [0.006, 1.0]" in refusal(qtbot, panel, "detector")
