"""The lab window on a station whose shaper makes all three pulses: nothing in it asks for a stage."""

import pytest

from qdlab.gui.tabs.twod import TwoDTab
from qdlab.gui.tabs.twod_tools import TwoDToolsTab

LIMIT_MS = 60_000
SMALL = {"t1_points": "2", "t2_points": "2", "averages": "1"}


@pytest.fixture(scope="module")
def station(small_station, tmp_path_factory):
    return str(small_station(tmp_path_factory.mktemp("station"), "all_shaper_simulated", dimers=40))


def test_the_window_offers_what_needs_no_stage_and_runs_it(lab, judged, run_to_end, qtbot, station):
    window = lab(station)
    visible = [window.tabs.widget(i) for i in range(window.tabs.count()) if window.tabs.isTabVisible(i)]
    assert {type(tab) for tab in visible} == {TwoDTab, TwoDToolsTab}
    tools = next(tab for tab in visible if isinstance(tab, TwoDToolsTab))
    assert window.form_of(tools).experiment.procedure == "T2Scan"
    cards = window.station_area.panel.cards
    assert set(cards) == {"shaper", "detector"}
    qtbot.waitUntil(lambda: all(card.lamp.colour == "good" for card in cards.values()), timeout=LIMIT_MS)
    assert window.form.experiment.procedure == "TwoDScan"
    window.form.set_values(SMALL)
    planned = "2 t2 of 2 t1 x 9 phases"
    qtbot.waitUntil(lambda: planned in window.form.verdict.text(), timeout=LIMIT_MS)
    assert judged(window.form)
    _, outcome = run_to_end(window)
    assert outcome.status == "finished"
    assert len(window.tab.maps.t2_fs) == 2
    assert window.message.text == ""
