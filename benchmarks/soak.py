"""A simulated day on the twin: does memory stay flat, and is every photon that was made in a file?

    python benchmarks/soak.py                           # 12 h in one run, 12 h in 144 runs: half an hour
    python benchmarks/soak.py --long-h 0.5 --runs 6 --run-s 60              # a minute

The sample is an empty spot: dark counts, then laser background, some hundred photons a second. Counted are
the pulses that came to the counter's inputs while it measured, those closer to the one before than its dead
time, the photons among the words that it handed out, and the photons of the run file, in its words and in its
arrays. Memory is the resident set of this process.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdlab.formats.run_file import read_run_file
from qdlab.procedures.rig_procedure import RigProcedure
from qdlab.procedures.run import execute_run, prepare_run
from qdlab.sim.emulators.th260_recorder import TICKS_PER_S, Fifo, Recording

DEAD_TICKS = TICKS_PER_S * 25 // 10**9
"""A TimeHarp 260 P is blind for 25 ns."""
MOST_GROWTH_MB = 40.0
"""Largest growth of the memory after the first tenth of a soak that counts as none."""
SAMPLES = 20
_SPECIAL = np.uint32(1 << 31)


@dataclass
class Counted:
    """Photons on their way, and memory, over one run or several."""

    simulated_s: float = 0.0
    runs: int = 0
    made: int = 0
    """Pulses at the inputs while the counter measured."""
    too_close: int = 0
    """Of those, closer to the last counted one on the same input than the dead time."""
    handed_out: int = 0
    in_words: int = 0
    in_arrays: int = 0
    wall_s: float = 0.0
    memory_mb: list[float] = field(default_factory=list)

    @property
    def growth_mb(self) -> float:
        """How much more memory there is at most after the first tenth than at its end."""
        settled = len(self.memory_mb) // 10 + 1
        return max(self.memory_mb[settled:], default=math.nan) - self.memory_mb[settled - 1]

    @property
    def all_there(self) -> bool:
        """Whether every photon is accounted for; a run may end within the pulse period of one."""
        lost = self.made - self.too_close - self.handed_out
        return self.handed_out == self.in_words == self.in_arrays and 0 <= lost <= self.runs


def memory_mb() -> float:
    """Resident set of this process in megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _lost_in_dead_time(at: NDArray[np.int64], last_tick: int) -> tuple[int, int]:
    """How many pulses an input misses that saw its last one at `last_tick`, and which one it sees last.

    A pulse that is missed does not make the dead time longer.
    """
    seen, lost = np.concatenate([[last_tick], at]), set()
    for k in np.flatnonzero(np.diff(seen) < DEAD_TICKS).tolist():
        before = k
        while before in lost:
            before -= 1
        if seen[k + 1] - seen[before] < DEAD_TICKS:
            lost.add(k + 1)
    left = len(seen) - 1
    while left in lost:
        left -= 1
    return len(lost), int(seen[left])


@contextmanager
def counting(counted: Counted) -> Iterator[None]:
    """Look over the emulated counter's shoulder."""
    feed, push = Recording.feed, Fifo.push
    last: dict[int, int] = {}

    def counting_feed(self: Recording, until_tick: int, pulses: Any, markers: Any, **rest: Any) -> None:
        ticks, inputs = pulses
        for channel in np.unique(inputs).tolist():
            at = ticks[(inputs == channel) & (ticks >= self.settings.start_tick)]
            counted.made += len(at)
            lost, last[channel] = _lost_in_dead_time(at, last.get(channel, -DEAD_TICKS - 1))
            counted.too_close += lost
        feed(self, until_tick, pulses, markers, **rest)

    def counting_push(self: Fifo, words: Any, **rest: Any) -> None:
        counted.handed_out += int(np.count_nonzero(words < _SPECIAL))
        push(self, words, **rest)

    Recording.feed, Fifo.push = counting_feed, counting_push
    try:
        yield
    finally:
        Recording.feed, Fifo.push = feed, push


def count_file(path: Path, counted: Counted) -> None:
    """Count a run file's photons; its words are mapped into memory only until this returns."""
    photons = read_run_file(path).photons
    assert photons is not None
    counted.in_words += int(np.count_nonzero(photons.words < _SPECIAL))
    counted.in_arrays += photons.n_photons
    counted.simulated_s += photons.duration_s


def one_run(seconds: float, seed: int, counted: Counted, *, watched: bool) -> None:
    """Half in the dark and half with the laser on; the run file is read, counted and thrown away."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, counting(counted):
        overrides = [f"dark_s={seconds / 2}", f"scatter_s={seconds / 2}"]
        run = prepare_run("blank", out=Path(folder), overrides=overrides, seed=seed, speed=math.inf)
        due_s = [seconds * k / SAMPLES for k in range(1, SAMPLES)]

        def watch(procedure: RigProcedure) -> None:
            while watched and due_s and procedure.progress.elapsed_s >= due_s[0]:
                del due_s[0]
                counted.memory_mb.append(memory_mb())

        outcome = execute_run(run, watch, threading.Event())
        assert outcome.status == "finished", outcome.reason
        count_file(outcome.path, counted)
    counted.runs += 1
    counted.wall_s += time.perf_counter() - began
    gc.collect()
    counted.memory_mb.append(memory_mb())


def soak(long_h: float, runs: int, run_s: float) -> dict[str, Counted]:
    """One long run, then many short ones, after one that loads and compiles what they need."""
    one_run(10.0, 1, Counted(), watched=False)
    long, many = Counted(memory_mb=[memory_mb()]), Counted()
    if long_h:
        one_run(3600 * long_h, 2, long, watched=True)
    for k in range(runs):
        one_run(run_s, 3 + k, many, watched=False)
    return {"one run": long, "many runs": many}


def print_table(found: dict[str, Counted]) -> bool:
    """Print what was counted; whether all is as it must be."""
    rows = {
        "simulated (h)": lambda c: f"{c.simulated_s / 3600:.2f}",
        "runs": lambda c: f"{c.runs}",
        "wall (s)": lambda c: f"{c.wall_s:.0f}",
        "pulses at the inputs": lambda c: f"{c.made:,}",
        "within the dead time": lambda c: f"{c.too_close:,}",
        "handed out by the card": lambda c: f"{c.handed_out:,}",
        "in the words of the files": lambda c: f"{c.in_words:,}",
        "in the arrays of the files": lambda c: f"{c.in_arrays:,}",
        "every photon is there": lambda c: "yes" if c.all_there else "NO",
        "memory at first (MB)": lambda c: f"{c.memory_mb[0]:.0f}",
        "memory at the end (MB)": lambda c: f"{c.memory_mb[-1]:.0f}",
        "growth after a tenth (MB)": lambda c: f"{c.growth_mb:+.1f}",
    }
    soaked = {name: counted for name, counted in found.items() if counted.runs}
    print("| |" + "|".join(soaked) + "|\n|---|" + "---|" * len(soaked))
    for what, told in rows.items():
        print(f"| {what} | " + " | ".join(told(counted) for counted in soaked.values()) + " |")
    return all(c.all_there and not c.growth_mb > MOST_GROWTH_MB for c in soaked.values())


def main() -> int:
    """Soak and print the table; 1 where a photon is missing or the memory grew."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--long-h", type=float, default=12.0, help="simulated hours of the one long run")
    parser.add_argument("--runs", type=int, default=144)
    parser.add_argument("--run-s", type=float, default=300.0, help="simulated seconds of each of them")
    options = parser.parse_args()
    return 0 if print_table(soak(options.long_h, options.runs, options.run_s)) else 1


if __name__ == "__main__":
    sys.exit(main())
