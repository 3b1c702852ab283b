"""The emulated card at its line rate into a run file, with all live analysis: is every word on disk?

    python benchmarks/line_rate.py [--rate 40e6] [--seconds 60] [--speed max|real] [--out FOLDER]

A stand-in for the dot sends photons at random micro times to both detectors; everything behind the detectors
is what every run uses: the emulated card with its FiFo of two million words (52 ms at 40 Mcps), the drain,
the record, the live decoding, the run file. Photons are counted at the source, words in the card, and both
again in the run file.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qdlab.formats.run_file import StoredPhotons, read_run_file
from qdlab.procedures.rig_procedure import RigProcedure
from qdlab.procedures.run import execute_run, prepare_run
from qdlab.sim.bench import TICK_PS
from qdlab.sim.physics.photons import Light

DEAD_TICKS = 1000 * 26 // TICK_PS
"""Shortest distance of two photons at one detector: just above the converter's 25 ns."""
PATTERN = 1 << 20


class CountedPhotons:
    """Photons at a steady rate, alternately at either detector, never within its dead time.

    Stands in for the dot: distances are random and repeat after a million photons.
    """

    def __init__(self, rate_hz: float, *, seed: int = 1) -> None:
        mean_ticks = 1e12 / TICK_PS / rate_hz
        if mean_ticks < DEAD_TICKS / 2:
            raise SystemExit(f"--rate {rate_hz:g}: two detectors with 25 ns of dead time cannot count this")
        spread = int(mean_ticks - DEAD_TICKS / 2)
        distances = np.random.default_rng(seed).integers(
            math.ceil(mean_ticks) - spread, math.floor(mean_ticks) + spread + 1, PATTERN
        )
        self._offsets = np.cumsum(distances)
        self._inputs = (np.arange(PATTERN) % 2).astype(np.uint8)
        self._length = int(self._offsets[-1])
        self._until = 0
        self.sent = 0

    def advance(
        self, until_tick: int, edges: NDArray[np.int64], bias_v: NDArray[np.float64], light: Light
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """The pulses up to `until_tick`, if there is light."""
        first, last = self._index(self._until), self._index(until_tick)
        self._until = until_tick
        if not light.emitting:
            return np.empty(0, np.int64), np.empty(0, np.uint8)
        repeats = range(first // PATTERN, last // PATTERN + 1)
        pieces = [slice(max(first - r * PATTERN, 0), min(last - r * PATTERN, PATTERN)) for r in repeats]
        ticks = np.concatenate(
            [self._offsets[p] + r * self._length for p, r in zip(pieces, repeats, strict=True)]
        )
        inputs = np.concatenate([self._inputs[p] for p in pieces])
        self.sent += len(ticks)
        return ticks, inputs

    def truth(self) -> dict[str, int]:
        """How many photons were sent."""
        return {"sent": self.sent}

    def _index(self, tick: int) -> int:
        """How many photons come before a tick."""
        repeats, rest = divmod(tick, self._length)
        return repeats * PATTERN + int(np.searchsorted(self._offsets, rest))


def main() -> None:
    """Run once and print what was sent, recorded and stored."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rate", type=float, default=40e6)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--speed", default="max", help="max, real, or a factor")
    parser.add_argument("--out", type=Path, help="keep the run file in this folder")
    options = parser.parse_args()
    speed = {"max": math.inf, "real": 1.0}.get(options.speed) or float(options.speed)
    with tempfile.TemporaryDirectory() as folder:
        print(measure(options.rate, options.seconds, speed, options.out or Path(folder)))


@dataclass(frozen=True)
class LineRateResult:
    """What became of the photons."""

    status: str
    sent: int
    """Photons that the source sent during the measurement."""
    stored: int
    """Photons in the run file that are the ones sent, in order."""
    words: int
    recorded_s: float
    """Simulated seconds."""
    run_wall_s: float
    run_cpu_s: float
    file_wall_s: float
    file_cpu_s: float
    file_bytes: int

    def __str__(self) -> str:
        rate = self.stored / self.recorded_s / 1e6
        return (
            f"{self.status}: {self.sent:,} photons sent, {self.stored:,} stored in order ({rate:.2f} Mcps), "
            f"{self.words:,} words\n"
            f"measured {self.recorded_s:.1f} s in {self.run_wall_s:.1f} s (CPU {self.run_cpu_s:.1f} s), "
            f"run file of {self.file_bytes / 1e9:.2f} GB in {self.file_wall_s:.1f} s "
            f"(CPU {self.file_cpu_s:.1f} s)"
        )


def measure(rate_hz: float, seconds: float, speed: float, out: Path) -> LineRateResult:
    """One run at a rate; raises AssertionError when a photon in the file is not the one sent."""
    station = out / "line_rate.toml"
    out.mkdir(parents=True, exist_ok=True)
    shipped = (Path(__file__).parents[1] / "configs" / "charging_simulated.toml").read_text()
    station.write_text(shipped.replace("count_rate_limit_hz = 5e6", "count_rate_limit_hz = 1e8"))
    run = prepare_run(
        "cv_flid", station=str(station), out=out, overrides=["cycles=0", f"hold_s={seconds}"], speed=speed
    )
    assert run.rig.bench is not None
    run.rig.bench.photons = CountedPhotons(rate_hz)
    began, cpu = time.perf_counter(), time.process_time()
    ended: list[float] = []

    def watch(procedure: RigProcedure) -> None:
        if not ended and procedure.status_name != "running":
            ended.extend((time.perf_counter(), time.process_time()))

    outcome = execute_run(run, watch, threading.Event())
    now, now_cpu = time.perf_counter(), time.process_time()
    wall, total_cpu = ended or (now, now_cpu)
    photons = read_run_file(outcome.path).photons
    assert photons is not None
    sent, stored = compare(photons, rate_hz)
    return LineRateResult(
        outcome.status,
        sent,
        stored,
        len(photons.words),
        photons.duration_s,
        wall - began,
        total_cpu - cpu,
        now - wall,
        now_cpu - total_cpu,
        outcome.path.stat().st_size,
    )


def compare(photons: StoredPhotons, rate_hz: float) -> tuple[int, int]:
    """How many photons were sent while it was measured, and how many of them are stored, in order.

    Raises AssertionError at the first stored photon that is not the next one sent.
    """
    period = round(photons.sync_period_s * 1e12 / TICK_PS)
    start = -(-round(photons.start_s * 1e12 / TICK_PS) // period) * period
    end_sync = round(photons.duration_s / photons.sync_period_s)
    light, source = Light(emitting=True), CountedPhotons(rate_hz)
    nothing = np.empty(0, np.int64), np.empty(0)
    source.advance(start, *nothing, light)
    source.sent = stored = 0
    step = max(1, round(0.1 / photons.sync_period_s))
    for first in range(0, end_sync, step):
        last = min(first + step, end_sync)
        ticks, inputs = source.advance(start + last * period, *nothing, light)
        found = photons.between(first, last)
        np.testing.assert_array_equal(start + found.sync * period + found.dtime, ticks)
        np.testing.assert_array_equal(found.channel, inputs)
        stored += len(found.sync)
    return source.sent, stored


if __name__ == "__main__":
    main()
