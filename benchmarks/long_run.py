"""Three hours of voltammetry-FLID on the twin: simulated, recorded, packed, analyzed, and analyzed again.

    python benchmarks/long_run.py [--cycles 540] [--out FOLDER]

Prints wall and CPU seconds of every part. CPU seconds tell more where the machine is shared. The analysis of
the run file is done twice, in this process: the first time it also loads what it needs.
"""

from __future__ import annotations

import argparse
import math
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qdlab.formats.run_file import read_run_file
from qdlab.procedures.analyses import analyze_run
from qdlab.procedures.run import execute_run, prepare_run


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block took."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    print(f"{what:34} {time.perf_counter() - wall:7.1f} s wall {time.process_time() - cpu:7.1f} s CPU")


def main() -> None:
    """Run once and print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--cycles", type=int, default=540)
    parser.add_argument("--out", type=Path, help="keep the run file in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(options.cycles, options.out or Path(folder))


def measure(cycles: int, out: Path) -> None:
    """One run, its picture, and its analysis again."""
    with timed("everything"):
        with timed("simulated, recorded, packed"):
            run = prepare_run("cv_flid_long", out=out, overrides=[f"cycles={cycles}"], speed=math.inf)
            outcome = execute_run(run, lambda procedure: None, threading.Event())
        with timed("analyzed"):
            result = analyze_run(read_run_file(outcome.path))
        with timed("picture drawn"):
            result.draw(outcome.path.with_suffix(".png"))
    with timed("analyzed again from the run file"):
        again = analyze_run(read_run_file(outcome.path))
    assert again.summary() == result.summary()
    photons = read_run_file(outcome.path).photons
    assert photons is not None
    print(
        f"{outcome.status}: {photons.n_photons:,} photons in {photons.duration_s:.0f} s, "
        f"{outcome.path.stat().st_size / 1e9:.2f} GB; expected on disk {run.plan.disk_bytes / 1e9:.2f} GB; "
        f"largest memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB"
    )


if __name__ == "__main__":
    main()
