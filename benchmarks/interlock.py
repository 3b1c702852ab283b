"""How long after a block with too many counts has reached the program the laser is locked.

    python benchmarks/interlock.py [--runs 5]

Each run is on the twin at real speed, with a rate limit that the dot exceeds.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qdlab.instruments.picoquant import PDL828
from qdlab.procedures.config import locate
from qdlab.procedures.record import RunRecord
from qdlab.procedures.run import execute_run, prepare_run


def lock_delay_s(folder: Path) -> float:
    """Seconds from the last block's arrival to the laser's lock, of one run."""
    station = folder / "dim.toml"
    station.write_text(locate("charging_simulated").read_text().replace("limit_hz = 5e6", "limit_hz = 2e3"))
    arrived_s, took_s = [0.0], []
    append, lock = RunRecord.append_words, PDL828.make_safe

    def arrive(record: RunRecord, words: NDArray[np.uint32]) -> None:
        arrived_s[0] = time.perf_counter()
        append(record, words)

    def locked(laser: PDL828) -> None:
        lock(laser)
        took_s.append(time.perf_counter() - arrived_s[0])

    RunRecord.append_words, PDL828.make_safe = arrive, locked
    try:
        run = prepare_run("cv_flid", station=str(station), out=folder, speed=1.0)
        outcome = execute_run(run, lambda _: None, threading.Event())
    finally:
        RunRecord.append_words, PDL828.make_safe = append, lock
    assert outcome.exit_status == 3, outcome.reason
    return min(took_s)


def main() -> None:
    """Print the delay of each run."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    for _ in range(parser.parse_args().runs):
        with tempfile.TemporaryDirectory() as folder:
            print(f"{1e3 * lock_delay_s(Path(folder)):.2f} ms")


if __name__ == "__main__":
    main()
