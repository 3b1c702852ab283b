"""What a window keeps of a run that goes on is bounded, however long the run is, and its sums are whole."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from qdlab.analysis.live_flid import RunningTrace
from qdlab.formats.tttr import TttrEncoder
from qdlab.gui.tabs.drawn_sweeps import MOST_POINTS, MOST_TRAIL, PotentialTrail, drawn_sweeps
from qdlab.procedures.live_photons import KEPT_S, LivePhotons

PERIOD_S = 4e-7
MINUTE_SYNCS = round(60 / PERIOD_S) // 1024 * 1024
"""A whole number of the syncs that one overflow stands for: minutes follow each other without a gap."""
PHOTONS = 6000
MB = 1 << 20


@pytest.fixture(scope="module")
def minute():
    """Words of a minute of sparse photons."""
    rng = np.random.default_rng(1)
    sync = np.sort(rng.integers(0, MINUTE_SYNCS, PHOTONS))
    dtime = rng.integers(80, 8000, PHOTONS).astype(np.uint16)
    channel = rng.integers(0, 2, PHOTONS).astype(np.uint8)
    none = np.zeros(0, np.int64), np.zeros(0, np.uint8)
    return TttrEncoder(3).encode(sync, dtime, channel, *none, until=MINUTE_SYNCS)


class Watched:
    """Live photons with a view that looks every few seconds of the run, fed minute by minute."""

    def __init__(self):
        self.live = LivePhotons(SimpleNamespace(n_inputs=2, resolution_ps=25.0))
        self.live.start(PERIOD_S)
        self.trace = RunningTrace(1e-3)

    def run(self, words, minutes):
        for _ in range(minutes):
            for block in np.array_split(words, 4):
                self.live.feed(block, PHOTONS / 60)
                self.trace.add(self.live.snapshot(1.0, since_s=self.trace.taken_s))
        return self.live.snapshot(60.0)


def test_live_memory_does_not_grow_with_the_run_and_no_photon_is_missed(minute):
    watched = Watched()
    tracemalloc.start()
    try:
        snapshot = watched.run(minute, 40)  # everything has its size
        before, _ = tracemalloc.get_traced_memory()
        snapshot = watched.run(minute, 80)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < MB
    assert snapshot.duration_s == pytest.approx(120 * MINUTE_SYNCS * PERIOD_S, abs=1.0)
    assert snapshot.photons.sum() == snapshot.decay.sum() == 120 * PHOTONS
    last = round(60.0 / snapshot.trace_bin_s)
    assert len(snapshot.trace) == last
    assert snapshot.trace_start_s == pytest.approx(snapshot.duration_s - 60.0, abs=2e-3)
    counted = (watched.trace.rate_hz * watched.trace.bin_s).sum()
    rest = watched.trace.bin_s * PHOTONS / 60  # the last bins are not whole
    assert 120 * PHOTONS - 3 * rest < counted <= 120 * PHOTONS


def test_snapshots_of_a_long_run_reach_back_as_far_as_is_said(minute):
    snapshot = (watched := Watched()).run(minute, 30)
    whole = watched.live.snapshot(np.inf)
    assert KEPT_S <= whole.duration_s - whole.trace_start_s <= 1.6 * KEPT_S + 60
    assert whole.flid_start_s == pytest.approx(whole.trace_start_s)
    np.testing.assert_array_equal(whole.trace[-len(snapshot.trace) :], snapshot.trace)


@pytest.mark.slow
def test_live_memory_is_flat_over_a_day(minute):
    watched = Watched()
    tracemalloc.start()
    try:
        kept = []
        for _ in range(24):
            watched.run(minute, 60)
            kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(kept[1:]) - kept[0] < MB


def test_the_potential_of_a_day_is_drawn_by_few_points_and_known_where_it_is_new():
    trail, taken, hundreds = [], PotentialTrail(), 24 * 36
    for k in range(hundreds):
        trail += [(100.0 * k + i / 10, float(k)) for i in range(1000)]
        taken.take(trail, 100.0 * k + 50.0)
    time_s, potential_v = taken.drawn
    assert MOST_TRAIL / 2 < len(time_s) <= 2 * MOST_TRAIL
    np.testing.assert_allclose(np.diff(time_s), np.diff(time_s)[0])
    np.testing.assert_array_equal(potential_v, time_s // 100)
    recent_s, _ = taken.recent
    assert len(recent_s) < 1100
    assert recent_s[0] <= 100.0 * (hundreds - 1) + 50.0 <= recent_s[1]


def cycles_record(cycles, first=0, points=200):
    phase = np.arange(cycles * points) / points
    potential_v = -2 * (1 - np.abs(2 * (phase % 1) - 1))
    return SimpleNamespace(
        time_s=phase * 20.0,
        potential_v=potential_v,
        current_a=(first + phase // 1) * 1e-6,
        overload=np.zeros(len(phase), bool),
    )


def test_of_many_cycles_the_first_and_the_last_are_drawn():
    first, last = drawn_sweeps([cycles_record(30), cycles_record(20, first=30)], 20.0, 50)
    assert set(first.current_a) == {0.0}
    np.testing.assert_allclose(last.current_a, 49e-6)
    assert len(first.potential_v) == len(last.potential_v) == 200
    assert first.potential_v[0] == last.potential_v[0] == 0.0


def test_of_few_cycles_all_are_drawn_by_no_more_points_than_a_screen_shows():
    (sweep,) = drawn_sweeps([cycles_record(3)], 20.0, 3)
    assert len(sweep.potential_v) == 600
    sweeps = drawn_sweeps([cycles_record(3, points=50_000)], 20.0, 3)
    assert MOST_POINTS / 2 < sum(len(sweep.potential_v) for sweep in sweeps) < 2 * MOST_POINTS
