"""TOML stations and experiments, and replies of controllers, made by chance and by malice."""

import math
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymeasure.adapters import ProtocolAdapter

from qdlab.instruments.base import InstrumentError, Limits
from qdlab.instruments.links import LineLink
from qdlab.instruments.pi import E545Stage
from qdlab.instruments.pi.gcs import GCSController
from qdlab.procedures.config import read_toml
from qdlab.procedures.errors import RefusedError
from qdlab.procedures.experiment import load_experiment
from qdlab.procedures.station import Station
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.doors import EmulatedAdapter
from qdlab.sim.emulators.pi_e545 import E545Controller
from qdlab.sim.physics.piezo import PiezoStage

QUICK = settings(derandomize=True, max_examples=60, deadline=None, database=None)
LONG = settings(max_examples=2000, deadline=None, database=None)
CONFIGS = Path(__file__).parents[2] / "configs"
STATION = (CONFIGS / "confocal_simulated.toml").read_text(encoding="utf-8")


def in_a_sentence(read, error=RefusedError):
    """Read; a refusal has to be one short line, and anything else is an error of ours."""
    try:
        return read()
    except error as refusal:
        sentence = str(refusal)
    assert "\n" not in sentence, sentence
    assert 10 < len(sentence) < 900, sentence
    return None


def load(folder, text, loader=Station.load):
    path = folder / "hostile.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return in_a_sentence(lambda: loader(path))


def load_both(folder, text):
    station = load(folder, text)
    load(folder, text, load_experiment)
    return station


# ---- TOML ----


HOSTILE = {
    "deep lists": "a = " + "[" * 20_000 + "]" * 20_000,
    "deep tables": "a" + ".a" * 20_000 + " = 1",
    "deep inline": "a = " + "{b=" * 5000 + "1" + "}" * 5000,
    "a number without end": "a = 1" + "0" * 10_000,
    "a text without end": 'a = "' + "x" * 900_000 + '"',
    "too large": "# " + "x" * (2 << 20),
    "no text": b"\xff\xfe\x00\x01",
    "a byte of nothing": "a = 1\x00",
    "a surrogate": "a = '\ud800'",
    "empty": "",
    "a thousand tables": "".join(f"[t{k}]\n" for k in range(1000)),
    "station is a number": "station = 3",
    "laser is a list": STATION.replace("[laser]", "[[laser]]"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_toml_is_refused_in_a_sentence(tmp_path, name):
    assert load_both(tmp_path, HOSTILE[name]) is None


VALUES = st.one_of(
    st.integers(-(1 << 70), 1 << 70).map(str),
    st.floats().map(lambda x: "nan" if math.isnan(x) else repr(x)),
    st.sampled_from(
        ["inf", "-inf", "nan", "true", "[]", "{}", "1979-05-27", "07:32:00", "[[1.0, 2.0]]", "''"]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="'"), max_size=40).map(
        "'{}'".format
    ),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4).map(repr),
)
LINES = [k for k, line in enumerate(STATION.splitlines()) if " = " in line and not line.startswith("#")]


def with_value(k, value):
    lines = STATION.splitlines()
    lines[k] = f"{lines[k].partition(' = ')[0]} = {value}"
    return "\n".join(lines) + "\n"


@QUICK
@given(k=st.sampled_from(LINES), value=VALUES)
def test_any_value_of_any_key_of_a_station_is_taken_or_refused(tmp_path_factory, k, value):
    station = load(tmp_path_factory.getbasetemp(), with_value(k, value))
    if station is not None:
        numbers = [n for table in tomllib.loads(station.text).values() for n in table.values()]
        assert not any(isinstance(n, float) and not math.isfinite(n) for n in numbers), "nan or inf was taken"


@QUICK
@given(raw=st.binary(max_size=300))
def test_any_bytes_are_a_toml_or_refused(tmp_path_factory, raw):
    load_both(tmp_path_factory.getbasetemp(), raw)


@pytest.mark.slow
@LONG
@given(k=st.sampled_from(LINES), value=VALUES)
def test_many_values_of_a_station_are_taken_or_refused(tmp_path_factory, k, value):
    load(tmp_path_factory.getbasetemp(), with_value(k, value))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_shipped_files_are_within_the_bounds(path):
    assert read_toml(path)


# ---- replies ----

REPLY = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"A=+0100.0000", b"A=1 ", b"A=nan", b"A=inf", b"=", b"0", b"1024", b"-", b" ", b"", b"A==1"]
    ),
    st.integers(-(1 << 80), 1 << 80).map(lambda n: str(n).encode()),
    st.just(b"9" * 5000),
).map(lambda line: line.replace(b"\n", b"") + b"\n")


class Scripted(LineLink):
    """A link whose other end says what it was told to say."""

    def __init__(self, lines):
        super().__init__("a script", 0.1)
        self.lines = list(lines)

    def _send(self, data):
        pass

    def _receive(self):
        if not self.lines:
            raise TimeoutError
        return self.lines.pop(0)


def controller_saying(lines):
    controller = GCSController(Scripted(lines))
    controller._identity = "PI, E-517"
    return controller


ASKS = {
    "error": lambda c: c.take_error(),
    "items": lambda c: c.ask_items("POS?"),
    "array": lambda c: c.ask_array("DRR? 1 2 1"),
    "names": lambda c: c.axis_names,
    "commands": lambda c: c.commands,
    "character": lambda c: c.ask_character(9),
    "ready": lambda c: c.ready,
    "identity": lambda c: c.identify(["E-517"]),
    "checked": lambda c: c.send("MOV A 1"),
}


@QUICK
@given(ask=st.sampled_from(sorted(ASKS)), lines=st.lists(REPLY, max_size=8))
def test_any_reply_of_a_controller_is_understood_or_refused(ask, lines):
    in_a_sentence(lambda: ASKS[ask](controller_saying(lines)), InstrumentError)


@pytest.mark.slow
@LONG
@given(ask=st.sampled_from(sorted(ASKS)), lines=st.lists(REPLY, max_size=8))
def test_many_replies_of_a_controller_are_understood_or_refused(ask, lines):
    in_a_sentence(lambda: ASKS[ask](controller_saying(lines)), InstrumentError)


def test_a_line_that_never_ends_is_given_up():
    controller = controller_saying([b"x" * 65_536] * 100)
    with pytest.raises(InstrumentError, match="does not end"):
        controller.ask("POS?")


def test_a_reply_of_lines_without_end_is_given_up():
    controller = controller_saying([b"A=1 \n" * 10_000] * 100)
    with pytest.raises(InstrumentError, match="does not end"):
        controller.ask("POS?")


@QUICK
@given(at=st.integers(0, 40), lines=st.lists(REPLY, min_size=1, max_size=3))
def test_a_stage_whose_controller_says_anything_never_believes_a_place_that_is_none(at, lines):
    clock, bench = SimulatedClock(), PiezoStage(seed=3)
    replies = iter(range(10**6))

    class Disturbed(EmulatedAdapter):
        """Puts other lines in the place of one reply."""

        def _receive(self):
            data = super()._receive()
            return b"".join(lines) if next(replies) == at else data

    limits = {axis: Limits(10.0, 190.0) for axis in ("x", "y", "z")}
    stage = E545Stage(lambda: Disturbed(E545Controller(clock, bench)), clock=clock, limits_um=limits)

    def move_about():
        stage.connect()
        for x_um in (50.0, 60.0, 70.0):
            there = stage.move_to(x_um=x_um, timeout_s=5.0)
            assert abs(there.x_um - x_um) < 0.11
            assert abs(there.y_um) < 200.0

    in_a_sentence(move_about, InstrumentError)


def test_a_protocol_adapter_of_pymeasure_is_read_like_any_other():
    adapter = ProtocolAdapter([(b"ERR?", b"not a number")])
    with pytest.raises(InstrumentError, match="not a number"):
        GCSController(adapter).take_error()
