import math

import numpy as np
import pytest

from qdlab.analysis.decay_model import warped_edges
from qdlab.analysis.flid_data import Calibration
from qdlab.analysis.lifetime import LifetimeEstimator
from qdlab.analysis.live_flid import FIT_TIME_ZERO_AT, LiveFlid, RunningTrace
from qdlab.analysis.photon_engine import EngineSettings, PhotonEngine

PERIOD_S, RESOLUTION_PS = 4e-7, 25.0
CALIBRATION = Calibration(dark_rates_hz=(75.0, 75.0), prompt_rate_hz=0.0)
LIFETIMES_NS, RATES_HZ = np.geomspace(0.3, 300.0, 61), np.geomspace(500.0, 80e3, 46)


def settings():
    edges = warped_edges(2000 / RESOLUTION_PS, PERIOD_S * 1e12 / RESOLUTION_PS, RESOLUTION_PS / 1000)
    return EngineSettings(PERIOD_S, RESOLUTION_PS, edges_bins=edges, longest_s=math.inf, kernels="numpy")


def photons(rng, seconds, rate_hz, lifetime_ns):
    n = rng.poisson(seconds * rate_hz)
    sync = np.sort(rng.integers(0, round(seconds / PERIOD_S), n))
    delay_ns = 2.0 + rng.normal(0, 0.17, n) + rng.exponential(lifetime_ns, n)
    dtime = (delay_ns * 1000 / RESOLUTION_PS) % (PERIOD_S * 1e12 / RESOLUTION_PS)
    return sync.astype(np.int64), dtime.astype(np.uint16), rng.integers(0, 2, n).astype(np.uint8)


@pytest.fixture
def pieces():
    """An engine's snapshots of the last stretch, as a live view takes them, and the engine at the end."""
    sync, dtime, channel = photons(np.random.default_rng(5), 6.0, 30e3, 30.0)
    engine = PhotonEngine(settings())
    snapshots = []
    for part in np.array_split(np.arange(len(sync)), 37):
        engine.feed_events(sync[part], dtime[part], channel[part])
        snapshots.append(engine.snapshot(last_s=0.5))
    return snapshots, engine


def test_a_running_trace_counts_what_the_engine_counted_wherever_the_snapshots_were_cut(pieces):
    snapshots, engine = pieces
    trace = RunningTrace(engine.trace_bin_s, joined=10, most_bins=10_000)
    for snapshot in snapshots:
        trace.add(snapshot)
    n = len(trace.rate_hz)
    assert n == (len(engine.trace) - 1) // 10
    expected = engine.trace[: n * 10].sum(axis=1, dtype=int).reshape(-1, 10).sum(axis=1)
    np.testing.assert_array_equal(np.round(trace.rate_hz * trace.bin_s), expected)
    np.testing.assert_allclose(trace.time_s, (np.arange(n) + 0.5) * 0.01)


@pytest.mark.parametrize("most_bins", [7, 50, 101])
def test_a_full_running_trace_joins_its_bins_and_loses_nothing(pieces, most_bins):
    snapshots, engine = pieces
    trace = RunningTrace(engine.trace_bin_s, joined=10, most_bins=most_bins)
    for snapshot in snapshots:
        trace.add(snapshot)
    n, joined = len(trace.rate_hz), round(trace.bin_s / engine.trace_bin_s)
    assert most_bins / 2 - 1 <= n <= most_bins
    expected = engine.trace[: n * joined].sum(axis=1, dtype=int).reshape(-1, joined).sum(axis=1)
    np.testing.assert_array_equal(np.round(trace.rate_hz * trace.bin_s), expected)


def test_a_stretch_that_no_snapshot_held_counts_as_nothing(pieces):
    snapshots, engine = pieces
    trace = RunningTrace(engine.trace_bin_s)
    for snapshot in (*snapshots[:5], *snapshots[20:]):
        trace.add(snapshot)
    assert trace.taken_s == pytest.approx((len(engine.trace) - 1) * engine.trace_bin_s)
    assert (trace.rate_hz == 0).any()
    np.testing.assert_allclose(trace.rate_hz[-20:].mean(), 30e3, rtol=0.05)


def test_live_flid_points_are_those_of_the_estimator(pieces):
    snapshots, engine = pieces
    live = LiveFlid(settings(), CALIBRATION, LIFETIMES_NS, RATES_HZ)
    time_s, lifetime_ns, net_hz, potential_v = [], [], [], []
    for snapshot in snapshots:
        before = live.taken_s
        live.add(snapshot, np.array([0.0, 10.0]), np.array([0.0, -2.0]))
        if live.taken_s > before:
            for kept, new in zip(
                (time_s, lifetime_ns, net_hz, potential_v),
                (
                    live.points.time_s,
                    live.points.lifetime_ns,
                    live.points.net_rate_hz,
                    live.points.potential_v,
                ),
                strict=True,
            ):
                kept.append(new)
    time_s, lifetime_ns, net_hz, potential_v = map(np.concatenate, (time_s, lifetime_ns, net_hz, potential_v))
    n = len(engine.histograms) - 1
    np.testing.assert_allclose(time_s, (np.arange(n) + 0.5) * engine.flid_bin_s)
    np.testing.assert_allclose(potential_v, -0.2 * time_s)
    photons_in_bin = engine.histograms[:n].sum(axis=1)
    np.testing.assert_allclose(net_hz, photons_in_bin / engine.flid_bin_s - 150.0)
    first = engine.histograms[: round(0.3 / engine.flid_bin_s)]  # before time zero was fitted
    response = CALIBRATION.response(PERIOD_S * 1e9)
    estimator = LifetimeEstimator(engine.edges_bins, RESOLUTION_PS / 1000, response, CALIBRATION.background)
    expected = estimator.estimate(first, engine.flid_bin_s).lifetime_ns
    np.testing.assert_allclose(lifetime_ns[: len(first)], expected, rtol=1e-9)
    assert engine.photons.sum() > FIT_TIME_ZERO_AT
    assert np.median(lifetime_ns) == pytest.approx(30.0, rel=0.03)


def test_the_live_histogram_holds_every_point_inside_its_edges_with_its_mean_potential(pieces):
    snapshots, engine = pieces
    live = LiveFlid(settings(), CALIBRATION, LIFETIMES_NS, RATES_HZ)
    for snapshot in snapshots:
        live.add(snapshot, np.array([0.0, 10.0]), np.array([-1.0, -1.0]))
    assert live.counts.shape == (60, 45)
    assert live.counts.sum() == len(engine.histograms) - 1
    bias = live.mean_potential_v
    np.testing.assert_array_equal(np.isfinite(bias), live.counts > 0)
    np.testing.assert_allclose(bias[live.counts > 0], -1.0)


def test_where_the_potential_is_not_known_a_cell_has_no_bias(pieces):
    snapshots, _ = pieces
    live = LiveFlid(settings(), CALIBRATION, LIFETIMES_NS, RATES_HZ)
    for snapshot in snapshots:
        live.add(snapshot, np.array([0.0, 10.0]), np.array([np.nan, np.nan]))
    assert live.counts.sum() > 100
    assert np.isnan(live.mean_potential_v).all()


def test_a_decay_spread_over_full_resolution_keeps_its_photons(pieces):
    _, engine = pieces
    live = LiveFlid(settings(), CALIBRATION, LIFETIMES_NS, RATES_HZ)
    spread = live.spread(engine.histograms)
    assert spread.shape == (engine.edges_bins[-1],)
    assert spread.sum() == pytest.approx(engine.histograms.sum())
