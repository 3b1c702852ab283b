"""Kill a run with SIGKILL at random moments: is every confirmed word and record in the recovered file?

    python benchmarks/kills.py [--kills 50] [--seed 1]

Each run is a process of its own on the twin. It says on its standard output what it has confirmed (words of
the counter, records of the potentiostat); after the kill the run is recovered as `qdlab recover` does, and
its words are compared one by one with those of a run of the same seed that nobody killed.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qdlab.formats.run_file import read_run_file, recover_run
from qdlab.procedures.rig_procedure import RigProcedure
from qdlab.procedures.run import execute_run, prepare_run

HOLD_S, CYCLES = 10, 3
SEED, SPEED = 5, 14.0


@dataclass(frozen=True)
class Kill:
    """One killed run."""

    after_s: float
    """From the first confirmed word to the kill."""
    confirmed_words: int
    confirmed_records: int
    status: str
    words: int
    records: int
    same: bool
    """True when the recovered words are the first ones of the run that was not killed."""

    @property
    def lost(self) -> bool:
        """True when anything confirmed is missing or wrong."""
        return not (
            self.same and self.words >= self.confirmed_words and self.records >= self.confirmed_records
        )


def confirming_run(out: Path, report: bool, cycles: int = CYCLES) -> Path:
    """A run that prints what it has confirmed, ten times a second."""
    overrides = (f"hold_s={HOLD_S}", f"cycles={cycles}")
    run = prepare_run("cv_flid", out=out, overrides=overrides, seed=SEED, speed=SPEED if report else math.inf)

    def watch(procedure: RigProcedure) -> None:
        if report:
            record = procedure.record
            print(record.confirmed_words, record.confirmed_records, flush=True)

    return execute_run(run, watch, threading.Event()).path


def unkilled_words(folder: Path, cycles: int = CYCLES) -> NDArray[np.uint32]:
    """The words of the same run when nobody kills it."""
    photons = read_run_file(confirming_run(folder, False, cycles)).photons
    assert photons is not None
    return np.array(photons.words)


def kill_once(folder: Path, after_s: float, reference: NDArray[np.uint32], cycles: int = CYCLES) -> Kill:
    """Start a run, kill it so many seconds after its first words, recover it, and compare."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--child", str(folder), "--cycles", str(cycles)],
        stdout=subprocess.PIPE,
        text=True,
    )
    told = ["0 0"]

    def listen() -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            told.extend(line for line in lines if line.endswith("\n"))

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    while told[-1].split()[0] == "0":
        if process.poll() is not None:
            raise RuntimeError("the run ended before it confirmed a word")
        time.sleep(0.01)
    time.sleep(after_s)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    listener.join()
    words, records = map(int, told[-1].split())
    parts = list(folder.glob("*.part"))
    path = recover_run(parts[0]) if parts else next(folder.glob("*.h5"))
    found = read_run_file(path)
    assert found.photons is not None
    stored = found.photons.words
    return Kill(
        after_s,
        words,
        records,
        found.status,
        len(stored),
        len(found.potentiostat),
        bool(np.array_equal(stored, reference[: len(stored)])),
    )


def main() -> None:
    """Kill so many runs and print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cycles", type=int, default=CYCLES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        confirming_run(options.child, True, options.cycles)
        return
    moments = np.random.default_rng(options.seed).uniform(0.0, 6.0, options.kills)
    with tempfile.TemporaryDirectory() as folder:
        reference = unkilled_words(Path(folder) / "whole")
        print(f"the whole run: {len(reference):,} words")
        print("after (s)  confirmed words  recovered words  confirmed records  recovered records  status")
        kills = []
        for k, after_s in enumerate(moments):
            kill = kill_once(Path(folder) / str(k), float(after_s), reference)
            kills.append(kill)
            print(
                f"{kill.after_s:9.2f}{kill.confirmed_words:17,}{kill.words:17,}"
                f"{kill.confirmed_records:19}{kill.records:19}  {kill.status}{'  LOST' * kill.lost}",
                flush=True,
            )
    print(f"{len(kills)} kills, {sum(kill.lost for kill in kills)} with something confirmed lost")


if __name__ == "__main__":
    main()
