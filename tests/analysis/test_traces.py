from __future__ import annotations

import numpy as np
import pytest

from qdlab.analysis.decay_model import warped_edges
from qdlab.analysis.traces import TraceAccumulator, microtime_histogram

EDGES = warped_edges(80.0, 16000.0, 0.025)


def accumulator() -> TraceAccumulator:
    return TraceAccumulator(sync_period_s=4e-7, trace_bin_s=1e-3, flid_bin_s=0.02, edges_bins=EDGES)


@pytest.fixture
def photons():
    rng = np.random.default_rng(0)
    n = 50_000
    sync = np.sort(rng.integers(0, 5_000_000, n))
    dtime = rng.integers(0, 16_020, n).astype(np.uint16)
    return sync, dtime, rng.integers(0, 2, n).astype(np.uint8)


def test_the_cut_into_blocks_changes_nothing(photons):
    whole, cut = accumulator(), accumulator()
    whole.add(*photons)
    rng = np.random.default_rng(1)
    first = 0
    while first < len(photons[0]):
        last = first + int(rng.integers(0, 900))
        cut.add(*(a[first:last] for a in photons))
        first = last
    assert np.array_equal(whole.trace, cut.trace)
    assert np.array_equal(whole.histograms, cut.histograms)
    assert np.array_equal(whole.decay, cut.decay)
    assert whole.late_photons == cut.late_photons


def test_every_photon_is_counted_where_numpy_would_count_it(photons):
    sync, dtime, channel = photons
    binned = accumulator()
    binned.add(sync, dtime, channel)
    inside = dtime < 16000
    assert binned.late_photons == (~inside).sum() > 0
    for k in range(2):
        assert np.array_equal(binned.trace[:, k], np.bincount(sync[channel == k] // 2500, minlength=2000))
        assert np.array_equal(binned.decay[k], np.bincount(dtime[inside & (channel == k)], minlength=16000))
    assert np.array_equal(binned.histograms.sum(axis=0), microtime_histogram(dtime, EDGES))
    third = (sync // 50_000 == 3) & inside
    expected, _ = np.histogram(dtime[third], EDGES)
    assert np.array_equal(binned.histograms[3], expected)


def test_empty_bins_after_the_last_photon_exist_once_the_run_has_reached_them():
    binned = accumulator()
    binned.add(np.array([10]), np.array([100], np.uint16), np.array([0], np.uint8))
    assert len(binned.trace) == 1
    binned.reach(2_500_000)
    assert binned.trace.shape == (1000, 2)
    assert len(binned.histograms) == 50
    assert binned.trace.sum() == binned.histograms.sum() == 1


def test_bins_are_whole_sync_periods_and_say_so():
    binned = TraceAccumulator(sync_period_s=3.3e-7, trace_bin_s=1e-3, flid_bin_s=0.02, edges_bins=EDGES)
    assert binned.trace_bin_s == pytest.approx(3030 * 3.3e-7, rel=1e-12)


def test_impossible_photons_are_refused():
    one = np.array([5], np.uint16)
    with pytest.raises(ValueError, match="negative"):
        accumulator().add(np.array([-1]), one, np.array([0], np.uint8))
    with pytest.raises(ValueError, match="detector 2"):
        accumulator().add(np.array([1]), one, np.array([2], np.uint8))
