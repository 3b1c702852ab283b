"""The lab window on a station whose shaper makes all three pulses: nothing in it asks for a stage."""

import pytest

from qdlab.gui.tabs.twod import TwoDTab
from qdlab.gui.tabs.twod_tools import TwoDToolsTab
from qdlab.procedures.config import locate

LIMIT_MS = 60_000
SMALL = {"t1_points": "2", "t2_points": "2", "averages": "1"}


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    """The shipped station with a small ensemble."""
    text = locate("all_shaper_simulated").read_text(encoding="utf-8")
    path = tmp_path_factory.mktemp("station") / "small.toml"
    path.write_text(text.replace("dimers = 4000", "dimers = 40"), encoding="utf-8")
    return str(path)


def test_the_window_offers_what_needs_no_stage_and_runs_it(lab, judged, qtbot, station):
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
    with qtbot.waitSignal(window.queue.ended, timeout=LIMIT_MS) as ended:
        assert window.form.queue()
    assert ended.args[1].status == "finished"
    qtbot.waitUntil(lambda: not window.opener.busy, timeout=LIMIT_MS)
    assert len(window.tab.maps.t2_fs) == 2
    assert window.message.text == ""
