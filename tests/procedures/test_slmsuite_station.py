"""A station whose panel is driven through slmsuite: refused in one sentence where it cannot be."""

import sys
from pathlib import Path

import pytest

CONFIGS = Path(__file__).parents[2] / "configs"


def station(tmp_path, connection, more=""):
    text = (CONFIGS / "coherence_simulated.toml").read_text()
    text = text.replace('connection = "simulated"\nrows', f'connection = "{connection}"\n{more}rows')
    path = tmp_path / "lab.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("command", [("station", "check"), ("run", "twod_scan", "--station")])
def test_a_panel_needs_slmsuite_which_the_sentence_tells_how_to_install(
    qdlab, tmp_path, monkeypatch, command
):
    monkeypatch.setitem(sys.modules, "slmsuite", None)
    ended = qdlab(*command, station(tmp_path, "slmsuite:santec.Santec", "panel = { slm_number = 1 }\n"))
    assert ended.status == 2
    assert "pip install 'qdlab[slmsuite]'" in ended.sentence


def test_options_of_a_panel_are_refused_on_another_connection(qdlab, tmp_path):
    ended = qdlab("station", "check", station(tmp_path, "HDMI-2", "panel = { slm_number = 1 }\n"))
    assert ended.status == 2
    assert 'panel goes with connection = "slmsuite:MODULE.CLASS" only' in ended.sentence
