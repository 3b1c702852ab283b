"""Speed of the photon engine beside that of other packages, one core, in one run.

    python benchmarks/engine.py [--photons 5e7] [--repeats 3]

A blinking dot is drawn with numpy (2.5 MHz; 70, 35 and 21 kcps with 125, 42 and 8 ns; response, background,
markers), encoded, and written into a temporary PTU file that everybody reads. ptufile, tttrlib and
pycorrelate are measured where they are installed. Times are processor time of this process (of all its
threads), the best of the repeats; in every repeat everything is measured again, so that a busy neighbour
slows all contestants. On a shared machine the ratios mean more than the rates.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from qdlab.analysis.decay_model import Background, Response, decay_probabilities, warped_edges
from qdlab.analysis.lifetime import LifetimeEstimator
from qdlab.analysis.photon_engine import BiasBins, EngineSettings, PhotonEngine
from qdlab.analysis.pulsed_g2 import G2Settings, PairCounter
from qdlab.formats.ptu import PtuFile, open_ptu, write_ptu
from qdlab.formats.tttr import TttrEncoder

PERIOD_S, RESOLUTION_PS, PERIOD_BINS = 4e-7, 25.0, 16_000
EDGES = warped_edges(80.0, PERIOD_BINS, RESOLUTION_PS / 1000)
TRACE_SYNCS, FLID_SYNCS = 2500, 50_000
BLOCK = 1 << 17
"""Records at a time: what a live run of a fast card brings in a few milliseconds."""
PYCORRELATE_PHOTONS, PYCORRELATE_BINS = 2_000_000, 512


Stream = tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.uint8]]
"""Sync number, micro time in bins, detector."""


def blinking_dot(n: int, speed_up: float = 1.0) -> Stream:
    """Photons of a dot that changes its state every 0.2 s on average, in order of time."""
    rng = np.random.default_rng(1)
    rates_hz, lifetimes_ns = np.array([70e3, 35e3, 21e3]) * speed_up, np.array([125.0, 42.0, 8.0])
    stays = int(1.2 * n / (0.2 * rates_hz.mean())) + 100
    state, stay_s = rng.integers(0, 3, stays), rng.exponential(0.2, stays)
    photons = rng.poisson(rates_hz[state] * stay_s)
    of_stay = np.repeat(np.arange(stays), photons)[:n]
    begin_s = np.cumsum(stay_s) - stay_s
    sync = ((begin_s[of_stay] + stay_s[of_stay] * rng.random(len(of_stay))) / PERIOD_S).astype(np.int64)
    sync.sort()  # within a stay photons are alike, so sorting exchanges nothing
    micro_ns = (
        2 + rng.normal(0, 0.17, len(sync)) + rng.exponential(1, len(sync)) * lifetimes_ns[state[of_stay]]
    )
    flat = rng.random(len(sync)) < 0.01
    micro_ns[flat] = 400 * rng.random(flat.sum())
    dtime = (micro_ns * 1000 / RESOLUTION_PS % PERIOD_BINS).astype(np.uint16)
    return sync, dtime, rng.integers(0, 2, len(sync)).astype(np.uint8)


def bias_bins(last_sync: int) -> BiasBins:
    """A triangle of 0.2 V/s over 2 V in 40 bins of 50 mV."""
    start = np.arange(0, last_sync + 1, 625_000)
    return BiasBins(start, np.abs(np.arange(len(start)) % 80 - 40).clip(0, 39), 40)


def run_engine(ptu: PtuFile, **changes) -> PhotonEngine:
    """The whole file through a new engine, block by block."""
    engine = PhotonEngine(EngineSettings(PERIOD_S, RESOLUTION_PS, edges_bins=EDGES, **changes))
    for block in ptu.blocks(BLOCK):
        engine.feed(block)
    return engine


def run_numpy(sync: NDArray, dtime: NDArray, channel: NDArray) -> int:
    """What a user writes today: trace and decay of two detectors, mean arrival time of every 20 ms."""
    bins = sync // FLID_SYNCS
    n_bins = int(bins[-1]) + 1
    for k in (0, 1):
        np.bincount(bins[channel == k], minlength=n_bins)
        np.bincount(dtime[channel == k], minlength=PERIOD_BINS)
    counts = np.bincount(bins)
    mean = np.bincount(bins, weights=dtime) / np.maximum(counts, 1)
    return int(counts.sum()) + 0 * len(mean)


def run_ptufile(ptufile: ModuleType, path: Path) -> int:
    """ptufile's records, then numpy; returns the photons counted."""
    with ptufile.PtuFile(path) as file:
        records = file.decode_records()
    photons = records[records["channel"] >= 0]
    return run_numpy(photons["time"].astype(np.int64), photons["dtime"], photons["channel"])


def run_tttrlib(tttrlib: ModuleType, path: Path) -> int:
    """tttrlib's arrays, then numpy; returns the photons counted."""
    data = tttrlib.TTTR(str(path), "PTU")
    photons = data.event_types == 0
    return run_numpy(
        data.macro_times[photons].astype(np.int64), data.micro_times[photons], data.routing_channels[photons]
    )


def run_pairs(words: NDArray[np.uint32]) -> int:
    """Pairs within 8 peaks at 25 ps, g2 alone."""
    pairs = PairCounter(G2Settings(), period_bins=PERIOD_BINS, resolution_ps=RESOLUTION_PS)
    for first in range(0, len(words), BLOCK):
        pairs.feed(words[first : first + BLOCK])
    return int(pairs.result.lag_counts.sum(dtype=np.int64))


def run_pycorrelate(pycorrelate: ModuleType, times: tuple[NDArray, NDArray]) -> None:
    """Both signs of the delay with 512 bins on either side."""
    edges = np.linspace(0, 8.5 * PERIOD_BINS, PYCORRELATE_BINS + 1)
    pycorrelate.pcorrelate(*times, edges)
    pycorrelate.pcorrelate(times[1], times[0], edges)


def photon_times(stream: Stream, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted times of both detectors in micro-time bins, of the first `n` photons."""
    sync, dtime, channel = (array[:n] for array in stream)
    time = sync * PERIOD_BINS + dtime
    return np.sort(time[channel == 0]), np.sort(time[channel == 1])


def lifetime_histograms(n: int) -> tuple[LifetimeEstimator, NDArray[np.uint32]]:
    """FLID bins of 100 to 900 photons of 42 ns with a known background, and their estimator."""
    response = Response(400.0, 2.0, 0.17)
    p = decay_probabilities(42.0, EDGES * RESOLUTION_PS / 1000, response)[0]
    rng = np.random.default_rng(2)
    counts = rng.multinomial(rng.integers(100, 900, n), p / p.sum())
    estimator = LifetimeEstimator(EDGES, RESOLUTION_PS / 1000, response, Background(200.0))
    return estimator, counts.astype(np.uint32)


class Race:
    """Runs every contestant once per round and keeps the best time of each."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[float, str, Callable[[], object]]] = {}
        self.best_s: dict[str, float] = {}

    def enter(self, name: str, amount: float, unit: str, run: Callable[[], object]) -> None:
        """Let `run` process `amount` of `unit`."""
        self._entries[name] = amount, unit, run

    def run(self, rounds: int) -> None:
        """Run all rounds; the first call of each is not counted (it compiles)."""
        for k in range(rounds):
            for name, (_, _, contestant) in self._entries.items():
                start = time.process_time()
                contestant()
                if k:
                    took = time.process_time() - start
                    self.best_s[name] = min(took, self.best_s.get(name, took))

    def rate(self, name: str) -> float:
        """Amount per second, best round."""
        return self._entries[name][0] / self.best_s[name]

    def table(self, reference: str | None) -> str:
        """Rates as a Markdown table; with a reference, also how many times its rate."""
        lines = ["| what | rate | ratio |", "|---|---|---|"]
        for name, (_, unit, _) in self._entries.items():
            ratio = f"{self.rate(name) / self.rate(reference):.3g}" if reference in self.best_s else ""
            lines.append(f"| {name} | {self.rate(name) / 1e6:.3g} M{unit}/s | {ratio} |")
        return "\n".join(lines)


def peer(name: str) -> ModuleType | None:
    """A package to compare with, None where it is not installed."""
    return import_module(name) if find_spec(name) else None


def whole_files(path: Path, words: int, rounds: int) -> Race:
    """Engine and peers from the file to the numbers."""
    ptu, race = open_ptu(path), Race()
    bias = bias_bins(int(run_engine(ptu).last_sync))
    race.enter("trace, decay, FLID", words, "rec", lambda: run_engine(ptu))
    race.enter("trace, decay, FLID, g2", words, "rec", lambda: run_engine(ptu, g2=G2Settings()))
    race.enter(
        "trace, decay, FLID, g2, 40 bias bins",
        words,
        "rec",
        lambda: run_engine(ptu, g2=G2Settings(), bias=bias),
    )
    race.enter(
        "trace, decay, FLID, by the numpy loops", words, "rec", lambda: run_engine(ptu, kernels="numpy")
    )
    if ptufile := peer("ptufile"):
        race.enter("ptufile + numpy, mean arrival time", words, "rec", lambda: run_ptufile(ptufile, path))
    if tttrlib := peer("tttrlib"):
        race.enter("tttrlib + numpy, mean arrival time", words, "rec", lambda: run_tttrlib(tttrlib, path))
    race.run(rounds + 1)
    return race


def g2_alone(stream: Stream, words: NDArray[np.uint32], rounds: int) -> tuple[Race, float]:
    """g2 without the rest; also how many pairs there are per photon."""
    race, pairs = Race(), run_pairs(words)
    race.enter("g2 at 25 ps, all pairs", len(stream[0]), "photon", lambda: run_pairs(words))
    if pycorrelate := peer("pycorrelate"):
        times = photon_times(stream, PYCORRELATE_PHOTONS)
        n = len(times[0]) + len(times[1])
        name = f"pycorrelate, {PYCORRELATE_BINS} bins per side"
        race.enter(name, n, "photon", lambda: run_pycorrelate(pycorrelate, times))
    race.run(rounds + 1)
    return race, pairs / len(stream[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photons", type=float, default=5e7)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    n = round(options.photons)
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for label, speed_up, photons in (("paper's stream", 1.0, n), ("24 times as bright", 24.0, n // 4)):
        stream = blinking_dot(photons, speed_up)
        markers = np.arange(0, int(stream[0][-1]), 250_000)
        words = TttrEncoder(3).encode(*stream, markers, np.ones(len(markers), np.uint8))
        rate_khz = len(stream[0]) / (stream[0][-1] * PERIOD_S) / 1e3
        print(f"\n{label}: {len(stream[0])} photons, {rate_khz:.3g} kcps, {len(words)} words")
        with tempfile.TemporaryDirectory() as folder:
            path = write_ptu(
                Path(folder) / "dot.ptu", words, mode=3, resolution_s=25e-12, sync_rate_hz=1 / PERIOD_S
            )
            race = whole_files(path, len(words), options.repeats)
            print(race.table("ptufile + numpy, mean arrival time"))
        race, pairs = g2_alone(stream, words, options.repeats)
        print(race.table(f"pycorrelate, {PYCORRELATE_BINS} bins per side"))
        rate = pairs * race.rate("g2 at 25 ps, all pairs") / 1e6
        print(f"g2 alone: {pairs:.3f} pairs per photon, {rate:.3g} Mpair/s")
        del stream, words
    estimator, counts = lifetime_histograms(200_000)
    race = Race()
    race.enter("lifetimes of FLID bins", len(counts), "bin", lambda: estimator.estimate(counts, 0.02))
    race.run(options.repeats + 1)
    print("\n" + race.table(None))
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
