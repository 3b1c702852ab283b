from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import cast

import numpy as np

from qdlab.formats.tttr import TttrEncoder
from qdlab.instruments.photon_counter import PhotonCounter
from qdlab.procedures.live_photons import LivePhotons

COUNTER = cast(PhotonCounter, SimpleNamespace(n_inputs=2, resolution_ps=25.0))
PERIOD_S = 4e-7


def words_of(n: int, rate_hz: float) -> np.ndarray:
    rng = np.random.default_rng(1)
    sync = np.cumsum(rng.integers(1, 2 / (rate_hz * PERIOD_S), n))
    dtime, channel = rng.integers(80, 5000, n).astype(np.uint16), rng.integers(0, 2, n).astype(np.uint8)
    return TttrEncoder(3).encode(sync, dtime, channel, sync[:0], channel[:0])


def test_the_live_view_shows_what_was_fed_and_nothing_before_the_start():
    live = LivePhotons(COUNTER)
    words = words_of(20_000, 40e3)
    live.feed(words, 0.0)
    assert live.snapshot() is None
    live.start(PERIOD_S)
    for block in np.array_split(words, 13):
        live.feed(block, 40e3)
    shown = live.snapshot(0.1)
    assert shown is not None
    assert shown.photons.sum() == shown.decay.sum() == 20_000
    assert len(shown.trace) == 100
    assert len(shown.histograms) == 5
    assert shown.g2 is not None
    assert shown.g2.lag_counts.sum() > 500


def test_a_new_start_begins_at_zero():
    live = LivePhotons(COUNTER)
    for _ in range(2):
        live.start(PERIOD_S)
        live.feed(words_of(1000, 40e3), 40e3)
    shown = live.snapshot()
    assert shown is not None
    assert shown.photons.sum() == 1000


def test_pairs_are_given_up_at_rates_at_which_they_would_hold_up_the_run():
    live = LivePhotons(COUNTER)
    live.start(PERIOD_S)
    live.feed(words_of(1000, 100e3), 1e6)
    before = live.snapshot()
    live.feed(words_of(1000, 100e3), 10e6)
    shown = live.snapshot()
    assert before is not None
    assert before.g2 is not None
    assert shown is not None
    assert shown.g2 is None
    assert shown.photons.sum() == 2000


def test_a_window_may_look_from_another_thread_while_photons_come():
    live = LivePhotons(COUNTER)
    live.start(PERIOD_S)
    words, seen = words_of(200_000, 40e3), []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            shown = live.snapshot(1.0)
            assert shown is not None
            seen.append(bool(shown.photons.sum() == shown.decay.sum()))

    watcher = threading.Thread(target=look)
    watcher.start()
    for block in np.array_split(words, 200):
        live.feed(block, 40e3)
    done.set()
    watcher.join()
    assert seen
    assert all(seen)
