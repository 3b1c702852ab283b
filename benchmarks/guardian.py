"""Kill or freeze a run whose instruments go on without it: how long until the guardian has made them safe?

    python benchmarks/guardian.py [--repeat 5]

The instruments are emulated in a process of their own in real time, and a run in another process uses them
through the same drivers as on a rig. What the bench then shows (light, cell, stage) is timed from the signal.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from qdlab.procedures.config import locate

CELL_ON = ("cv_flid", "cell_on", ("hold_s=20", "cycles=1"))
"""Experiment, what must be on beside the light before the run is killed, and its parameters."""
STAGE_MOVING = ("confocal_scan", "stage_moving", ())


def served_station(folder: Path) -> Path:
    """A station file whose instruments are those of `qdlab emulate station`, at free ports."""
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        port, stage_port = first.getsockname()[1], second.getsockname()[1]
    text = locate("confocal_simulated").read_text(encoding="utf-8")
    before, _, stage = text.partition("[stage]")
    before = before.replace('connection = "simulated"', f'connection = "emulated://127.0.0.1:{port}"')
    stage = stage.replace('connection = "simulated"', f'connection = "tcp://127.0.0.1:{stage_port}"')
    path = folder / "served.toml"
    path.write_text(f"{before}[stage]{stage}", encoding="utf-8")
    return path


class ServedBench:
    """A bench in a process of its own, and what is seen there."""

    def __init__(self, station: Path, *arguments: str) -> None:
        self.station = station
        self._process = subprocess.Popen(
            [sys.executable, "-m", "qdlab.procedures.emulated_station", str(station), *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._changed = threading.Condition()
        self.seen: list[tuple[float, dict[str, bool]]] = []
        """When (s) light, cell or stage changed, and what was on from then on."""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.wait_for(lambda state: True, 60.0)

    def wait_for(self, wanted: Callable[[dict[str, bool]], bool], timeout_s: float) -> float:
        """Wait until the bench is as wanted; when it became so (s of time.monotonic)."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.seen and wanted(self.seen[-1][1]), timeout_s):
                raise TimeoutError(f"not seen within {timeout_s:g} s; last: {self.seen[-1:]}")
            return self.seen[-1][0]

    def off_since(self, what: str, timeout_s: float) -> float:
        """Wait until something is off; since when (s of time.monotonic)."""
        self.wait_for(lambda state: not state[what], timeout_s)
        with self._changed:
            since_s = self.seen[-1][0]
            for at_s, state in reversed(self.seen):
                if state[what]:
                    break
                since_s = at_s
            return since_s

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()
        self._listener.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if line.startswith("{"):
                    with self._changed:
                        self.seen.append((time.monotonic(), json.loads(line)))
                        self._changed.notify_all()


@contextmanager
def run_on(
    bench: ServedBench, out: Path, experiment: str, parameters: tuple[str, ...]
) -> Iterator[subprocess.Popen[str]]:
    """A run in a process of its own, on the instruments of a served bench; killed at the end."""
    command = [sys.executable, "-m", "qdlab.procedures.cli", "run", experiment, "--out", str(out)]
    settings = [word for parameter in parameters for word in ("--set", parameter)]
    process = subprocess.Popen(
        [*command, "--station", str(bench.station), *settings],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@dataclass(frozen=True)
class Rescue:
    """How long after the signal each was off, in seconds; None for what had not been on."""

    light_s: float
    cell_s: float | None
    stage_s: float | None
    log: str
    """What the guardian wrote."""


def rescue(bench: ServedBench, out: Path, case: tuple[str, str, tuple[str, ...]], number: int) -> Rescue:
    """Start a run, send it a signal when light and cell or stage are on, and time what the guardian does."""
    experiment, what, parameters = case
    with run_on(bench, out, experiment, parameters) as process:
        try:
            bench.wait_for(lambda state: state["emitting"] and state[what], 60.0)
        except TimeoutError as error:
            process.kill()
            raise RuntimeError(f"the run did not begin: {process.communicate()[1]}") from error
        time.sleep(0.3)
        began_s = time.monotonic()
        os.kill(process.pid, number)
        times = {key: bench.off_since(key, 20.0) - began_s for key in ("emitting", what)}
        log = _guardian_log(out)
    return Rescue(times["emitting"], times.get("cell_on"), times.get("stage_moving"), log)


def _guardian_log(out: Path) -> str:
    """What the guardian wrote, once it has dealt with all four instruments."""
    until_s, text = time.monotonic() + 30.0, ""
    while time.monotonic() < until_s and len(text.splitlines()) < 5:
        time.sleep(0.1)
        text = "".join(path.read_text() for path in out.glob("*.part/guardian.txt"))
    return text


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    print("signal   experiment      light off (s)  stage stopped (s)  cell off (s)")
    with tempfile.TemporaryDirectory() as folder, ServedBench(served_station(Path(folder))) as bench:
        for number in (signal.SIGKILL, signal.SIGSTOP):
            for case in (CELL_ON, STAGE_MOVING):
                for k in range(repeat):
                    found = rescue(bench, Path(folder) / f"{number}{case[0]}{k}", case, number)
                    stage, cell = (
                        f"{s:.2f}" if s is not None else "-" for s in (found.stage_s, found.cell_s)
                    )
                    print(
                        f"{number.name:9}{case[0]:16}{found.light_s:13.2f}{stage:>19}{cell:>14}", flush=True
                    )


if __name__ == "__main__":
    main()
