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
@pytest.mark.parametrize(("long_h", "runs"), [(0.0, 30), (1.0, 0)], ids=["many runs", "one long run"])
def test_memory_stays_flat_and_every_photon_is_there(soak, long_h, runs):
    assert soak.print_table(soak.soak(long_h, runs, 60.0))
