"""`qdlab emulate X --list-faults` names every fault of the emulators, and nothing else."""

import pytest

from qdlab.procedures.cli_faults import EMULATORS, faults_of, list_faults
from qdlab.procedures.errors import RefusedError
from qdlab.sim.coherence_bench import FAULTS as ON_THE_TABLE

from .matrix import all_sentences


def test_all_emulators_together_have_all_faults_but_those_of_the_table():
    together = {name: sentence for x in EMULATORS for name, sentence in faults_of(x).items()}
    assert together == {n: s for n, s in all_sentences().items() if n not in ON_THE_TABLE}


@pytest.mark.parametrize("instrument", EMULATORS)
def test_each_fault_is_printed_with_its_sentence(instrument, capsys):
    list_faults(instrument)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [
        list(pair) for pair in faults_of(instrument).items()
    ]


def test_an_unknown_emulator_is_refused_with_the_known_ones():
    with pytest.raises(RefusedError, match="timeharp260"):
        faults_of("timeharp270")
