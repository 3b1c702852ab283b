from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdlab.analysis.pulsed_g2 import G2Settings, PairCounter
from qdlab.formats.tttr import TttrEncoder


def photons(n: int, per_sync: float, period_bins: float, seed: int, channels: int = 2):
    rng = np.random.default_rng(seed)
    sync = np.sort(rng.integers(0, max(1, int(n / per_sync)), n))
    dtime = rng.integers(0, int(period_bins) + 3, n).astype(np.uint16)
    return sync, dtime, rng.integers(0, channels, n).astype(np.uint8)


def brute_force(sync, dtime, channel, period_bins: float, setting: G2Settings):
    """All pairs by one comparison of everything with everything."""
    inside = dtime < np.ceil(period_bins)
    first, second = (inside & (channel == detector) for detector in setting.detectors)
    syncs = sync[second][:, None] - sync[first][None, :]
    offset = np.sign(syncs) * np.round(np.abs(syncs) * period_bins)
    lag = (offset + dtime[second].astype(int)[:, None] - dtime[first].astype(int)[None, :]).astype(int)
    max_lag = int((setting.pulses + 0.5) * period_bins)
    peaks = setting.pulses if setting.peak_pulses is None else setting.peak_pulses
    return (
        np.bincount(lag[abs(lag) <= max_lag] + max_lag, minlength=2 * max_lag + 1),
        np.bincount(syncs[abs(syncs) <= peaks] + peaks, minlength=2 * peaks + 1),
    )


def counter(
    period_bins: float, setting: G2Settings, kernels: str = "numba", channels: int = 2
) -> PairCounter:
    return PairCounter(
        setting, period_bins=period_bins, resolution_ps=25.0, channels=channels, kernels=kernels
    )


@given(
    n=st.integers(0, 700),
    per_sync=st.sampled_from([0.01, 0.2, 3.0, 40.0]),
    period_bins=st.sampled_from([16.0, 52.6, 1000.0]),
    pulses=st.integers(0, 9),
    peak_pulses=st.sampled_from([None, 0, 3, 60]),
    seed=st.integers(0, 2**32 - 1),
    kernels=st.sampled_from(["numba", "numpy"]),
)
@settings(max_examples=80, deadline=None)
def test_all_pairs_are_counted_as_brute_force_counts_them(
    n, per_sync, period_bins, pulses, peak_pulses, seed, kernels
):
    events = photons(n, per_sync, period_bins, seed)
    setting = G2Settings(pulses, peak_pulses)
    pairs = counter(period_bins, setting, kernels)
    pairs.feed_events(*events)
    lags, peaks = brute_force(*events, period_bins, setting)
    assert np.array_equal(pairs.result.lag_counts, lags)
    assert np.array_equal(pairs.result.sync_pairs, peaks)


@pytest.mark.parametrize("kernels", ["numba", "numpy"])
def test_a_buffer_full_of_photons_that_all_pair_is_enlarged(kernels):
    n = 12_000
    sync = np.repeat(np.arange(3), n // 3)
    rng = np.random.default_rng(1)
    dtime, channel = rng.integers(0, 16, n).astype(np.uint16), rng.integers(0, 2, n).astype(np.uint8)
    setting = G2Settings(2)
    pairs = counter(16.0, setting, kernels)
    for part in np.array_split(np.arange(n), 5):
        pairs.feed_events(sync[part], dtime[part], channel[part])
    first, second = (np.bincount(sync[channel == k], minlength=3) for k in (0, 1))
    assert np.array_equal(pairs.result.sync_pairs, np.correlate(second, first, "full"))
    by_cell = [np.bincount(sync[channel == k] * 16 + dtime[channel == k], minlength=48) for k in (0, 1)]
    lags = np.correlate(by_cell[1], by_cell[0], "full")  # lags -47 to 47
    assert np.array_equal(pairs.result.lag_counts, lags[47 - 40 : 47 + 41])


@pytest.mark.parametrize("kernels", ["numba", "numpy"])
def test_words_pair_as_their_photons_do(kernels):
    sync, dtime, channel = photons(5000, 0.02, 1000.0, 2)
    words = TttrEncoder(3).encode(sync, dtime, channel, sync[::50], np.full(100, 3, np.uint8))
    from_words, from_photons = (counter(1000.0, G2Settings(5), kernels) for _ in range(2))
    from_photons.feed_events(sync, dtime, channel)
    for block in np.array_split(words, 37):
        from_words.feed(block)
    assert from_photons.result.lag_counts.sum() > 200
    assert np.array_equal(from_words.result.lag_counts, from_photons.result.lag_counts)
    assert np.array_equal(from_words.result.sync_pairs, from_photons.result.sync_pairs)


def test_other_detectors_do_not_pair_and_the_order_of_the_two_turns_time_round():
    events = photons(600, 0.5, 100.0, 3, channels=4)
    ahead, back = (counter(100.0, G2Settings(4, detectors=d), channels=4) for d in ((1, 3), (3, 1)))
    for pairs in (ahead, back):
        pairs.feed_events(*events)
    lags, _ = brute_force(*events, 100.0, G2Settings(4, detectors=(1, 3)))
    assert np.array_equal(ahead.result.lag_counts, lags)
    assert np.array_equal(back.result.lag_counts, lags[::-1])


@pytest.mark.parametrize("period_bins", [100.0, 52.6, 53.0])
def test_every_lag_belongs_to_the_peak_it_is_nearest_to(period_bins):
    pairs = counter(period_bins, G2Settings(3))
    pairs.feed_events(*photons(3000, 0.5, period_bins, 4))
    g2 = pairs.result
    lag = np.arange(-g2.max_lag, g2.max_lag + 1)
    nearest = np.floor(lag / period_bins + 0.5).astype(int)
    expected = [g2.lag_counts[nearest == k].sum() for k in g2.order]
    assert g2.window_pairs.tolist() == expected
    assert g2.lag_ns[0] == pytest.approx(-g2.max_lag * 0.025)


def test_wider_bins_of_lag_keep_every_pair_they_span_and_one_is_centred():
    pairs = counter(100.0, G2Settings(3))
    pairs.feed_events(*photons(3000, 0.5, 100.0, 5))
    g2 = pairs.result
    centre_ns, counts = g2.binned(0.2)
    middle = len(centre_ns) // 2
    assert centre_ns[middle] == 0
    assert counts[middle] == g2.lag_counts[g2.max_lag - 4 : g2.max_lag + 5].sum()
    assert np.diff(centre_ns) == pytest.approx(0.225)


def test_uncorrelated_light_gives_peaks_of_one_height():
    rng = np.random.default_rng(6)
    pulses, p = 2_000_000, 0.02
    per_pulse = rng.random((pulses, 2)) < p
    sync, channel = np.nonzero(per_pulse)
    pairs = counter(16_000.0, G2Settings(8))
    pairs.feed_events(sync, rng.integers(80, 900, len(sync)).astype(np.uint16), channel.astype(np.uint8))
    expected = pulses * p**2
    assert pairs.result.sync_pairs.sum() == pytest.approx(17 * expected, abs=5 * np.sqrt(17 * expected) * 1.5)
    assert np.abs(pairs.result.sync_pairs.astype(float) - expected).max() < 5 * np.sqrt(expected)
    assert np.array_equal(pairs.result.sync_pairs, pairs.result.window_pairs)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="must be two"):
        G2Settings(detectors=(1, 1))
    with pytest.raises(ValueError, match="0 or more"):
        G2Settings(-1)
    with pytest.raises(ValueError, match="only 1 exist"):
        counter(100.0, G2Settings(), channels=1)
    with pytest.raises(ValueError, match="order of time"):
        counter(100.0, G2Settings()).feed_events(
            np.array([5, 4]), np.zeros(2, np.uint16), np.zeros(2, np.uint8)
        )


@pytest.mark.peers
def test_pycorrelate_counts_the_same_pairs():
    pycorrelate = pytest.importorskip("pycorrelate")
    sync, dtime, channel = photons(20_000, 0.03, 16_000.0, 7)
    dtime = np.minimum(dtime, 15_999).astype(np.uint16)
    pairs = counter(16_000.0, G2Settings(8))
    pairs.feed_events(sync, dtime, channel)
    time = sync * 16_000 + dtime
    order = np.argsort(time, kind="stable")
    time, channel = time[order], channel[order]
    edges = np.arange(1, 100_000, 400)
    per_width = pycorrelate.pcorrelate(time[channel == 0], time[channel == 1], edges)
    found = np.round(per_width * 400)  # pairs with edges[k] <= time of detector 1 - detector 0 < edges[k + 1]
    lags, zero = pairs.result.lag_counts, pairs.result.max_lag
    expected = [lags[zero + a : zero + b].sum() for a, b in pairwise(edges)]
    assert found.tolist() == expected
