"""A run is killed with SIGKILL: every confirmed word and record is in the recovered file, nothing else."""

import sys

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

CYCLES = 1
"""Of the sweep; the run takes about 3 s at the benchmark's speed."""


@pytest.fixture(scope="module")
def kills(load_benchmark):
    """The benchmark that kills runs, as a module."""
    return load_benchmark("kills")


@pytest.fixture(scope="module")
def reference(kills, tmp_path_factory):
    return kills.unkilled_words(tmp_path_factory.mktemp("whole"), CYCLES)


def check(kill):
    assert kill.status == "recovered"
    assert kill.same
    assert kill.words >= kill.confirmed_words
    assert kill.records >= kill.confirmed_records


@pytest.mark.parametrize("after_s", [0.0, 0.6, 1.6])
def test_nothing_confirmed_is_lost_by_a_kill(kills, reference, tmp_path, after_s):
    check(kills.kill_once(tmp_path, after_s, reference, CYCLES))


@pytest.mark.slow
@pytest.mark.parametrize("after_s", np.random.default_rng(2).uniform(0.0, 2.5, 50).round(3).tolist())
def test_nothing_confirmed_is_lost_by_fifty_kills(kills, reference, tmp_path, after_s):
    check(kills.kill_once(tmp_path, after_s, reference, CYCLES))
