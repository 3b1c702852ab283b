"""The 2DES tab on a station with a gate stage and a point detector."""

import pytest

from qdlab.gui.tabs.twod import TwoDTab

SMALL = {"t1_points": "2", "t2_points": "2", "t3_points": "8"}
LIMIT_MS = 60_000


@pytest.fixture(scope="module")
def station(small_station, tmp_path_factory):
    return str(small_station(tmp_path_factory.mktemp("station"), "coherence_gated_simulated", dimers=40))


def test_the_window_shows_this_tab_alone_and_its_maps(lab, judged, run_to_end, qtbot, station):
    window = lab(station)
    visible = [window.tabs.widget(i) for i in range(window.tabs.count()) if window.tabs.isTabVisible(i)]
    assert visible == [window.tab]
    assert isinstance(window.tab, TwoDTab)
    assert window.form.experiment.procedure == "TwoDScanT3"
    window.form.set_values(SMALL)
    planned = "2 t2 of 14 t3 x 2 t1 x 9 phases"
    qtbot.waitUntil(lambda: planned in window.form.verdict.text(), timeout=LIMIT_MS)
    assert judged(window.form)
    _, outcome = run_to_end(window)
    assert outcome.status == "finished"
    assert len(window.tab.maps.t2_fs) == 2
    assert window.tab.scan_told.text() == "2 t2 of 2 t1 × 9 phases, run finished"
    assert window.message.text == ""


def test_the_cards_show_both_stages_and_the_lock_ins_reading(lab, qtbot, station):
    window = lab(station)
    cards = window.station_area.panel.cards
    assert set(cards) == {"shaper", "delay", "gate", "point_detector"}

    def told():
        return cards["point_detector"]._lines.text()

    qtbot.waitUntil(lambda: "X: " in told(), timeout=LIMIT_MS)
    assert "time_constant_s: 0.01" in told()
