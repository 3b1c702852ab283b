"""A soak on the twin, much shorter than the day of benchmarks/soak.py: all photons there, memory flat."""

import importlib.util
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.fixture(scope="module")
def soak():
    spec = importlib.util.spec_from_file_location("soak", SOAK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module
    spec.loader.exec_module(module)
    return module


def test_every_photon_of_a_short_run_is_in_its_file(soak):
    counted = soak.Counted()
    soak.one_run(20.0, 5, counted, watched=False)
    assert counted.all_there
    assert counted.in_words > 2000
    assert counted.simulated_s == pytest.approx(20.0, abs=0.5)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the resident set is read from /proc")
def test_memory_stays_flat_over_a_long_run_and_many_short_ones(soak):
    found = soak.soak(1.0, 20, 60.0)
    assert soak.print_table(found)
