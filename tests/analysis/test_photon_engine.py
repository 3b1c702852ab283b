from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qdlab.analysis import photon_engine
from qdlab.analysis._engine_kernels import count_words
from qdlab.analysis._pair_kernels import pair_words
from qdlab.analysis.decay_model import warped_edges
from qdlab.analysis.photon_engine import BiasBins, EngineSettings, PhotonEngine, warm_up
from qdlab.analysis.pulsed_g2 import G2Settings
from qdlab.analysis.traces import microtime_histogram
from qdlab.formats.tttr import RecordType, TttrDecoder, TttrEncoder

PERIOD_S, RESOLUTION_PS, PERIOD_BINS = 4e-7, 25.0, 16_000
EDGES = warped_edges(80.0, PERIOD_BINS, 0.025)
BIAS = BiasBins(np.array([30_000, 90_000, 250_000, 251_000]), np.array([0, 1, -1, 0]), 2)


def everything(kernels: str = "numba", **changes) -> EngineSettings:
    given = {"edges_bins": EDGES, "bias": BIAS, "g2": G2Settings(pulses=3, peak_pulses=40)}
    return EngineSettings(PERIOD_S, RESOLUTION_PS, kernels=kernels, **given | changes)


def recording(n: int, seed: int, duration_syncs: int = 400_000):
    """Photons in bursts, some of them beyond the period, and markers; in order of time."""
    rng = np.random.default_rng(seed)
    bursts = np.cumsum(rng.choice([0, 1, 5, 3000], n, p=[0.2, 0.2, 0.3, 0.3]))
    sync = bursts * duration_syncs // max(1, int(bursts[-1]) + 1) if n else bursts
    dtime = (80 + rng.exponential(2000, n)).astype(np.int64) % PERIOD_BINS
    dtime[::50] += PERIOD_BINS
    marker_sync = np.sort(rng.integers(0, duration_syncs, n // 7))
    return (
        sync.astype(np.int64),
        dtime.astype(np.uint16),
        rng.integers(0, 2, n).astype(np.uint8),
        marker_sync,
        rng.integers(1, 16, n // 7).astype(np.uint8),
    )


def words_of(record, until: int | None = None) -> np.ndarray:
    return TttrEncoder(3).encode(*record, until=until)


def assert_same(a: PhotonEngine, b: PhotonEngine) -> None:
    for name in ("trace", "coarse_trace", "histograms", "decay", "bias_decays", "photons"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    assert a.late_photons == b.late_photons
    assert (a.g2 is None) == (b.g2 is None)
    if a.g2 is not None and b.g2 is not None:
        assert np.array_equal(a.g2.lag_counts, b.g2.lag_counts)
        assert np.array_equal(a.g2.sync_pairs, b.g2.sync_pairs)


@given(
    n=st.integers(0, 400),
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(0, 600), max_size=12),
    kernels=st.sampled_from(["numba", "numpy"]),
)
@settings(max_examples=60, deadline=None)
def test_the_cut_into_blocks_changes_nothing(n, seed, cuts, kernels):
    words = words_of(recording(n, seed), until=400_000)
    whole, cut = PhotonEngine(everything()), PhotonEngine(everything(kernels))
    whole.feed(words)
    for block in np.split(words, sorted(min(c, len(words)) for c in cuts)):
        cut.feed(block)
    assert_same(whole, cut)
    assert np.array_equal(whole.marker_sync, cut.marker_sync)
    assert np.array_equal(whole.marker_bits, cut.marker_bits)
    assert (whole.last_sync, whole.overflow_records) == (cut.last_sync, cut.overflow_records)


@pytest.mark.parametrize("kernels", ["numba", "numpy"])
def test_blocks_of_one_word_give_the_same_as_the_whole(kernels):
    words = words_of(recording(1500, 3))
    whole, cut = PhotonEngine(everything(kernels)), PhotonEngine(everything(kernels))
    whole.feed(words)
    for k in range(len(words)):
        cut.feed(words[k : k + 1])
    assert_same(whole, cut)
    assert np.array_equal(whole.marker_sync, cut.marker_sync)


@pytest.mark.parametrize("kernels", ["numba", "numpy"])
def test_words_and_photons_give_the_same(kernels):
    record = recording(30_000, 4)
    from_words, from_photons = PhotonEngine(everything(kernels)), PhotonEngine(everything(kernels))
    from_words.feed(words_of(record))
    from_photons.feed_events(*record[:3])
    reached = from_words.last_sync + 1  # a marker may come after the last photon
    from_photons.reach(reached)
    assert_same(from_words, from_photons)


def test_compiled_loops_and_numpy_agree_over_several_of_their_blocks():
    record = recording(200_000, 5, duration_syncs=4_000_000)
    compiled, reference = PhotonEngine(everything()), PhotonEngine(everything("numpy"))
    for engine in (compiled, reference):
        engine.feed(words_of(record))
    assert_same(compiled, reference)
    assert np.array_equal(compiled.marker_bits, reference.marker_bits)


def test_markers_overflows_and_time_are_those_of_the_decoder():
    words = words_of(recording(30_000, 6), until=450_000)
    words = np.insert(words, [10, 500], np.uint32(100 << 25))  # records of no meaning
    engine = PhotonEngine(everything())
    engine.feed(words)
    decoder = TttrDecoder(RecordType.TIMEHARP_260P_T3)
    block = decoder.decode(words)
    assert np.array_equal(engine.marker_sync, block.marker_time)
    assert np.array_equal(engine.marker_bits, block.marker_bits)
    assert engine.overflow_records == block.overflow_records
    assert engine.reserved_records == block.reserved_records == 2
    assert engine.last_sync == decoder.last_time
    assert np.array_equal(engine.photons, np.bincount(block.channel))


def test_old_firmware_overflows_count_one_wrap():
    engine = PhotonEngine(everything())
    engine.feed(np.array([0xFE00_0000, 7], np.uint32))
    assert engine.last_sync == 1031


def test_every_photon_is_counted_where_numpy_would_count_it():
    sync, dtime, channel, *_ = recording(50_000, 7, duration_syncs=5_000_000)
    engine = PhotonEngine(everything())
    engine.feed_events(sync, dtime, channel)
    inside = dtime < PERIOD_BINS
    assert engine.late_photons == (~inside).sum() > 0
    for k in range(2):
        assert np.array_equal(engine.trace[:, k], np.bincount(sync[channel == k] // 2500))
        assert np.array_equal(engine.coarse_trace[:, k], np.bincount(sync[channel == k] // 50_000))
        assert np.array_equal(
            engine.decay[k], np.bincount(dtime[inside & (channel == k)], minlength=PERIOD_BINS)
        )
    assert np.array_equal(engine.histograms.sum(axis=0), microtime_histogram(dtime, EDGES))
    third, _ = np.histogram(dtime[(sync // 50_000 == 3) & inside], EDGES)
    assert np.array_equal(engine.histograms[3], third)
    first_bin = ((sync >= 30_000) & (sync < 90_000)) | (sync >= 251_000)
    for k, chosen in enumerate((first_bin, (sync >= 90_000) & (sync < 250_000))):
        for detector in range(2):
            expected = dtime[chosen & inside & (channel == detector)]
            assert np.array_equal(
                engine.bias_decays[k, detector], np.bincount(expected, minlength=PERIOD_BINS)
            )


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_no_photon_is_lost_between_trace_decay_and_flid(seed):
    record = recording(3000, seed)
    engine = PhotonEngine(everything())
    engine.feed(words_of(record))
    assert engine.trace.sum() == engine.coarse_trace.sum() == engine.photons.sum() == 3000
    assert engine.histograms.sum() == engine.decay.sum() == 3000 - engine.late_photons
    of_bins = engine.coarse_trace.sum(axis=1) - engine.histograms.sum(axis=1)
    assert of_bins.sum() == engine.late_photons
    assert (of_bins >= 0).all()


def test_what_is_not_asked_for_is_absent_and_changes_nothing_else():
    words = words_of(recording(20_000, 8))
    plain, full = PhotonEngine(everything(edges_bins=None, bias=None, g2=None)), PhotonEngine(everything())
    plain.feed(words)
    full.feed(words)
    assert plain.g2 is None
    assert plain.bias_decays.shape[0] == 0
    assert np.array_equal(plain.decay, full.decay)
    assert np.array_equal(plain.trace, full.trace)
    assert np.array_equal(plain.histograms[:, 0], full.histograms.sum(axis=1))


@pytest.mark.parametrize("kernels", ["numba", "numpy"])
@pytest.mark.parametrize("channels", [1, 2, 3, 8, 64])
def test_any_number_of_detectors_is_counted_apart(channels, kernels):
    rng = np.random.default_rng(9)
    n = 20_000
    sync = np.sort(rng.integers(0, 20_000, n))  # thousands of photons in each trace bin
    channel = rng.integers(0, channels, n).astype(np.uint8)
    engine = PhotonEngine(EngineSettings(PERIOD_S, RESOLUTION_PS, channels=channels, kernels=kernels))
    engine.feed(words_of((sync, rng.integers(0, 100, n).astype(np.uint16), channel, sync[:0], channel[:0])))
    for k in range(channels):
        assert np.array_equal(engine.trace[:, k], np.bincount(sync[channel == k] // 2500, minlength=8))


def test_photons_need_not_be_sorted_without_g2():
    sync, dtime, channel, *_ = recording(5000, 10)
    mixed = np.random.default_rng(0).permutation(5000)
    a, b = PhotonEngine(everything(g2=None)), PhotonEngine(everything(g2=None))
    a.feed_events(sync, dtime, channel)
    b.feed_events(sync[mixed], dtime[mixed], channel[mixed])
    assert_same(a, b)


def test_decays_of_more_records_than_a_cell_can_count_are_folded(monkeypatch):
    words = words_of(recording(5000, 11))
    whole, folding = PhotonEngine(everything()), PhotonEngine(everything())
    whole.feed(words)
    monkeypatch.setattr(photon_engine, "_FOLD_AT", 100)
    for block in np.array_split(words, 40):
        folding.feed(block)
    assert_same(whole, folding)


def test_empty_bins_after_the_last_photon_exist_once_the_run_has_reached_them():
    engine = PhotonEngine(everything())
    engine.feed_events(np.array([10]), np.array([100], np.uint16), np.array([0], np.uint8))
    assert len(engine.trace) == 1
    engine.reach(2_500_000)
    assert engine.trace.shape == (1000, 2)
    assert len(engine.histograms) == 50
    assert engine.trace.sum() == engine.histograms.sum() == 1


def test_bins_are_whole_sync_periods_and_say_so():
    engine = PhotonEngine(EngineSettings(3.3e-7, RESOLUTION_PS))
    assert engine.trace_bin_s == pytest.approx(3030 * 3.3e-7, rel=1e-12)
    assert engine.flid_bin_s == pytest.approx(60_606 * 3.3e-7, rel=1e-12)


def test_bins_of_potential_follow_the_pieces():
    bias = BiasBins.of_potential(np.arange(5) * 100, [-0.05, -0.15, -0.25, np.nan, -0.1], [-0.2, -0.1, 0.0])
    assert bias.bin_of_piece.tolist() == [1, 0, -1, -1, 1]


def test_a_snapshot_stays_as_it_was():
    record = recording(20_000, 12)
    words = words_of(record)
    engine = PhotonEngine(everything())
    engine.feed(words[:10_000])
    before = engine.snapshot(0.02)
    kept = before.trace.copy(), before.decay.copy(), before.g2.lag_counts.copy()
    engine.feed(words[10_000:])
    assert np.array_equal(before.trace, kept[0])
    assert np.array_equal(before.decay, kept[1])
    assert np.array_equal(before.g2.lag_counts, kept[2])
    assert len(before.trace) == 20
    assert len(before.histograms) == 1
    assert engine.snapshot().trace.sum() == len(record[0])


@pytest.mark.parametrize("kernels", ["numba", "numpy"])
def test_impossible_photons_are_refused(kernels):
    def engine(**changes):
        return PhotonEngine(everything(kernels, **changes))

    def photon(sync, dtime, channel):
        return np.array([sync]), np.array([dtime], np.uint16), np.array([channel], np.uint8)

    with pytest.raises(ValueError, match="-1 is negative"):
        engine().feed_events(*photon(-1, 5, 0))
    with pytest.raises(ValueError, match="detector 2"):
        engine().feed_events(*photon(1, 5, 2))
    with pytest.raises(ValueError, match="detector 2"):
        engine().feed(np.array([2 << 25], np.uint32))
    with pytest.raises(ValueError, match="40000 does not fit"):
        engine().feed_events(*photon(1, 40_000, 0))
    with pytest.raises(ValueError, match="beyond 2 s"):
        engine(longest_s=2.0).feed_events(*photon(5_000_000, 5, 0))
    with pytest.raises(ValueError, match="beyond 2 s"):
        engine(longest_s=2.0).feed(np.full(6, 0xFE00_03FF, np.uint32))
    with pytest.raises(ValueError, match="order of time"):
        engine().feed_events(np.array([9, 8]), np.zeros(2, np.uint16), np.zeros(2, np.uint8))


@given(words=st.lists(st.integers(0, 2**32 - 1), max_size=200))
@example(words=[0xFFFF_FFFA, 68, 0])  # a photon behind one of the next trace bin
@settings(max_examples=100, deadline=None)
def test_words_of_chance_are_counted_or_refused_but_never_written_out_of_bounds(words):
    engine = PhotonEngine(everything(longest_s=10.0))
    try:
        engine.feed(np.array(words, np.uint32))
    except ValueError:
        return
    photons = sum(word >> 25 < 2 for word in words)
    assert engine.photons.sum() == photons == engine.trace.sum()


def test_warming_up_leaves_nothing_to_compile():
    warm_up(everything())
    compiled = len(count_words.signatures), len(pair_words.signatures)
    PhotonEngine(everything()).feed(words_of(recording(100, 13)))
    assert (len(count_words.signatures), len(pair_words.signatures)) == compiled


@pytest.mark.parametrize("kernels", ["numba", "numpy"])
@pytest.mark.parametrize("forget_s", [0.05, 0.1399])
def test_what_was_forgotten_is_in_the_sums_and_the_rest_is_where_it_was(kernels, forget_s):
    record = recording(4000, 5)
    words = words_of(record, until=400_000)
    plain = everything(kernels, bias=None, trace_bin_s=1e-3, flid_bin_s=5e-3)
    whole, live = PhotonEngine(plain), PhotonEngine(plain)
    whole.feed(words)
    for block in np.array_split(words, 9):
        live.feed(block)
        live.forget_before(min(forget_s, live.duration_s - 0.01))
    assert live.kept_from_s == pytest.approx(forget_s // 5e-3 * 5e-3)
    from_s = live.kept_from_s
    for name, bin_s in (("trace", 1e-3), ("coarse_trace", 5e-3), ("histograms", 5e-3)):
        np.testing.assert_array_equal(getattr(live, name), getattr(whole, name)[round(from_s / bin_s) :])
    for name in ("decay", "photons", "late_photons", "last_sync", "duration_s"):
        np.testing.assert_array_equal(getattr(live, name), getattr(whole, name))
    np.testing.assert_array_equal(live.g2.lag_counts, whole.g2.lag_counts)
    later = whole.marker_sync >= round(from_s / PERIOD_S)
    np.testing.assert_array_equal(live.marker_sync, whole.marker_sync[later])
    np.testing.assert_array_equal(live.marker_bits, whole.marker_bits[later])
    snapshot, reference = live.snapshot(0.012), whole.snapshot(0.012)
    assert snapshot.trace_start_s == pytest.approx(reference.trace_start_s)
    np.testing.assert_array_equal(snapshot.trace, reference.trace)
    np.testing.assert_array_equal(snapshot.histograms, reference.histograms)


def test_events_after_forgetting_are_counted_where_they_belong():
    engine = PhotonEngine(everything(bias=None, g2=None, trace_bin_s=1e-3, flid_bin_s=2e-3))
    engine.feed_events(np.array([100, 30_000]), np.array([5, 6], np.uint16), np.array([0, 1], np.uint8))
    engine.forget_before(10e-3)
    engine.feed_events(np.array([30_100]), np.array([5], np.uint16), np.array([1], np.uint8))
    assert engine.kept_from_s == pytest.approx(10e-3)
    assert engine.trace.tolist() == [[0, 0], [0, 0], [0, 2]]
    assert engine.photons.tolist() == [1, 2]


def test_an_engine_with_bins_of_bias_forgets_nothing():
    with pytest.raises(ValueError, match="keeps the whole measurement"):
        PhotonEngine(everything()).forget_before(1.0)
