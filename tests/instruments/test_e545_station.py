"""The stage in a station file: optional, checked when read, made safe last, simulated by one word."""

from pathlib import Path

import pytest

from qdlab.instruments.base import InstrumentError
from qdlab.instruments.links import LinkError
from qdlab.instruments.pi import E545Stage
from qdlab.procedures.errors import ConfigError, RefusedError
from qdlab.procedures.station import Station, open_rig
from qdlab.sim.samples import all_faults

SHIPPED = Path(__file__).parents[2] / "configs" / "charging_simulated.toml"
TABLE = """
[stage]
driver = "e545"
connection = "simulated"
x_limits_um = [5.0, 195.0]
y_limits_um = [5.0, 195.0]
z_limits_um = [0.0, 100.0]
trigger_output = 1
trigger_marker = 3
"""


@pytest.fixture
def load(tmp_path):
    """A simulated station with a stage, after one text is replaced by another."""

    def make(old: str = "", new: str = "") -> Station:
        assert old in TABLE
        path = tmp_path / "station.toml"
        text = SHIPPED.read_text(encoding="utf-8").partition("[stage]")[0]
        path.write_text(text + TABLE.replace(old, new) if old else text + TABLE, encoding="utf-8")
        return Station.load(path)

    return make


def test_a_station_without_a_stage_has_none(tmp_path):
    path = tmp_path / "station.toml"
    path.write_text(SHIPPED.read_text(encoding="utf-8").partition("[stage]")[0], encoding="utf-8")
    with open_rig(Station.load(path)) as rig:
        with pytest.raises(RefusedError, match=r"has no \[stage\] table"):
            _ = rig.stage
        assert [role for role, _ in rig.devices()] == ["laser", "counter", "potentiostat"]


def test_a_station_with_a_stage_moves_the_bench_and_makes_it_safe_last(load):
    with open_rig(load()) as rig:
        assert isinstance(rig.stage, E545Stage)
        assert [role for role, _ in rig.devices()][-1] == "stage"
        assert rig.stage.connect().simulated
        rig.stage.move_to(x_um=50.0)
        assert rig.bench.stage.x.position_um(rig.bench.clock.now_ps) == pytest.approx(50.0, abs=0.01)
        assert rig.make_safe() == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[5.0, 195.0]", "[5.0, 250.0]", ["[stage]", "x_limits_um", "200"]),
        ("z_limits_um = [0.0, 100.0]", "", ["[stage]", "z_limits_um", "missing"]),
        ("[0.0, 100.0]", "[100.0, 0.0]", ["z_limits_um", "lower"]),
        ("trigger_marker = 3", "", ["[stage]", "trigger_marker", "together"]),
        ("trigger_marker = 3", "trigger_marker = 2", ["trigger_marker = 2", "potential"]),
        ("trigger_output = 1", "trigger_output = 4", ["trigger_output", "4"]),
        ("e545", "chi760c", ["[stage]", "potentiostat"]),
        ("trigger_output", "triger_output", ["triger_output", "known keys"]),
    ],
)
def test_a_bad_stage_table_is_refused_with_table_key_and_value(load, old, new, words):
    with pytest.raises(ConfigError) as refused:
        load(old, new)
    assert all(word in str(refused.value) for word in words)


def test_a_stage_that_is_not_there_says_where_it_was_looked_for(load):
    station = load('"simulated"', '"/dev/no_such_port"')
    with open_rig(station) as rig:
        assert rig.stage is not None
        with pytest.raises(LinkError, match="/dev/no_such_port"):
            rig.stage.connect()


def test_the_faults_of_the_stage_can_be_switched_on_by_name(load):
    assert "e545_axis_stuck" in all_faults()
    with open_rig(load(), faults=["e545_wrong_controller"]) as rig:
        assert rig.stage is not None
        with pytest.raises(InstrumentError, match="C-863"):
            rig.stage.connect()
