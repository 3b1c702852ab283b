from pathlib import Path

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from qdlab.instruments.base import OutOfRangeError
from qdlab.instruments.chi.blocks import plan_runs
from qdlab.instruments.chi.macro import encode_macro, macro_text
from qdlab.instruments.chi.parameters import RANGES, SENSITIVITIES_A_V
from qdlab.instruments.potentiostat import (
    CyclicVoltammetry,
    Hold,
    LinearSweep,
    OpenCircuit,
    PotentialSteps,
)
from qdlab.sim.emulators.chi760.macro import check, read_commands
from qdlab.sim.emulators.chi760.techniques import RECIPES, DataLimits


def test_a_voltammogram_becomes_the_macro_that_the_program_expects(tmp_path):
    runs = plan_runs([CyclicVoltammetry(0.0, -2.0, 0.2, quiet_s=2.0)], 128_000)
    lines = macro_text(runs, tmp_path).splitlines()
    assert lines[:3] == [f"folder: {tmp_path}", "fileoverride", "header: cv r001"]
    assert " ".join(lines[3:13]) == "tech=cv ei=0 eh=0 el=-2 pn=n v=0.2 cl=2 si=0.001 qt=2 sens=1e-05"
    assert lines[-5:] == ["celloff", "run", "tsave: r001", "save: r001", "forcequit: yesiamsure"]


def test_the_length_prefix_is_exact():
    raw = encode_macro("run\nforcequit: yesiamsure\n")
    assert int.from_bytes(raw[:4], "little") == len(raw) - 4 == len("run\r\nforcequit: yesiamsure\r\n")


def mostly(usual, *odd):
    """A value that is usually allowed, and now and then one at or beyond an edge."""
    return st.integers(0, 19).flatmap(lambda n: st.sampled_from(odd) if n == 0 else usual)


potentials = mostly(st.integers(-2500, 1000).map(lambda mv: mv / 1000), -10.5, 10.0, 0.0123, float("nan"))
rates = mostly(st.floats(-6, 4).map(lambda exponent: 10**exponent), 1e-7, 999.9, 1e4, 2e4)
intervals_v = mostly(st.sampled_from([0.001, 0.001, 0.01]), 0.0005, 0.064, 0.1)
intervals_s = mostly(st.sampled_from([0.005, 0.01, 0.1]), 1e-7, 0.0002, 0.001, 3.0, 60.0)
durations = mostly(st.integers(1, 500).map(float), 0.0, 0.0005, 1e4, 1e6)
sensitivities = mostly(st.sampled_from(SENSITIVITIES_A_V), 2e-6, 1.0)
quiets = mostly(st.sampled_from([0.0, 2.0, 0.1 + 0.2, 1e5]), -1.0, 1e6)
cycles = mostly(st.integers(1, 20_000), 0, -1)
techniques = st.one_of(
    st.builds(CyclicVoltammetry, potentials, potentials, rates, cycles, intervals_v, quiets, sensitivities),
    st.builds(LinearSweep, potentials, potentials, rates, intervals_v, quiets, sensitivities),
    st.builds(Hold, potentials, durations, intervals_s, quiets, sensitivities),
    st.builds(OpenCircuit, durations, intervals_s),
    st.builds(
        PotentialSteps,
        st.lists(st.tuples(potentials, durations), max_size=13).map(tuple),
        cycles,
        intervals_s,
        quiets,
        sensitivities,
    ),
)


@settings(max_examples=400, deadline=None)
@given(technique=techniques)
def test_every_accepted_technique_gives_numbers_inside_the_table(technique):
    try:
        runs = plan_runs([technique], 128_000)
    except OutOfRangeError:
        event("refused")
        return
    event(f"accepted {type(technique).__name__}")
    assert sum(r.part.duration_s for r in runs) == pytest.approx(technique.duration_s)
    for run in runs:
        fast = not isinstance(technique, CyclicVoltammetry | LinearSweep) or technique.scan_rate_v_s > 0.5
        slow_time = getattr(technique, "sample_interval_s", 0.0) > 0.002
        assert run.rows <= (65_536 if fast and not slow_time else 128_000)
    text = macro_text(runs[:3], Path("/lab"))
    tech = ""
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if name == "tech":
            tech = value
        elif equals and name == "sens":
            assert float(value) in SENSITIVITIES_A_V
        elif equals and name != "pn":
            lower, upper = RANGES[tech][name]
            assert lower <= float(value) <= upper


@settings(max_examples=300, deadline=None)
@given(technique=techniques)
def test_the_emulated_program_takes_every_macro_and_readjusts_nothing(technique):
    try:
        runs = plan_runs([technique], 128_000)
    except OutOfRangeError:
        return
    name, values = "", {}
    for step in check(read_commands(encode_macro(macro_text(runs[:1], Path("/"))))):
        if step.verb == "tech":
            name, values = step.value, dict(RECIPES[step.value].defaults)
        elif step.verb.startswith("set "):
            values[step.verb[4:]] = step.value
        elif step.verb == "run":
            plan = RECIPES[name].plan(values, DataLimits(data_length=128_000))
            assert plan.samples + plan.open_circuit == runs[0].rows  # it loses a row of OCPT
            assert plan.skipped == 0
            assert plan.sample_s == pytest.approx(runs[0].row_interval_s)


@given(value=st.floats(-10.0, 10.0))
def test_potentials_are_written_exactly(value):
    runs = plan_runs([Hold(value, 1.0)], 128_000)
    line = next(li for li in macro_text(runs, Path("/lab")).splitlines() if li.startswith("ei="))
    assert float(line[3:]) == value


# ---- blocks ----


def test_the_long_run_of_the_paper_comes_in_blocks_of_whole_cycles():
    runs = plan_runs([CyclicVoltammetry(0.0, -2.0, 0.2, cycles=540)], 128_000)
    assert max(run.rows for run in runs) <= 128_000
    assert sum(run.rows for run in runs) == 540 * 4000
    assert [r.first_cycle for r in runs] == np.cumsum([0, *(r.part.cycles for r in runs)])[:-1].tolist()
    assert len(runs) == 17


def test_fast_cycles_are_planned_for_the_instruments_memory():
    runs = plan_runs([CyclicVoltammetry(0.0, -2.0, 1.0, cycles=32)], 128_000)
    assert max(run.rows for run in runs) <= 65_536


@pytest.mark.parametrize(
    ("technique", "message"),
    [
        (PotentialSteps(((0.0, 400.0), (-1.0, 400.0)), sample_interval_s=0.005), "one cycle needs 160000"),
        (Hold(0.0, 20_000.0, sample_interval_s=0.1), "needs 200000 points"),
        (OpenCircuit(20_000.0, sample_interval_s=0.1), "needs 200000 points"),
        (Hold(0.0, 100.0, sample_interval_s=0.001), "holds 64000"),
        (CyclicVoltammetry(0.0, -2.0, 0.2, cycles=0), "whole number from 1"),
        (CyclicVoltammetry(0.0, -2.0, 0.2, sample_interval_v=0.003), "not a whole number of sample"),
        (CyclicVoltammetry(0.0, -2.0, 3000.0), "at least 0.005"),
        (CyclicVoltammetry(0.0, -0.005, 0.2), "span"),
        (CyclicVoltammetry(0.0, float("nan"), 0.2), "nan"),
        (CyclicVoltammetry(0.0, -2.0, 0.2, sensitivity_a_v=2e-6), "decade"),
        (PotentialSteps(()), "number of levels"),
        (PotentialSteps(((0.0, 0.05), (-1.0, 0.005))), "duration"),
        (OpenCircuit(0.5), "st"),
    ],
)
def test_what_the_program_would_change_or_ignore_is_refused(technique, message):
    with pytest.raises(OutOfRangeError, match=message):
        plan_runs([technique], 128_000)
