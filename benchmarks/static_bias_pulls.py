"""Do the results at held potentials agree with what was planted, within their own errors?

    python benchmarks/static_bias_pulls.py [--runs 16] [--first-seed 11] [--hold 60] [--batch 1 2]

Runs `configs/static_bias.toml` through the whole rig (drivers, emulated instruments, run file) with 0 V and
the potentials of the charge isotherm, analyzes each run file as `qdlab analyze` does, and prints for rate,
lifetime and number of electrons what was planted, what was found and pull = (found - planted) / error.
Planted electrons are the mean of the equilibrium distribution at the potential of the interface, with the
trapped charge; planted rates and lifetimes are those of 1000 s of the dot itself, moved to each run's
potential of the interface, which differs by some 0.1 mV.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from qdlab.formats.run_file import read_run_file
from qdlab.procedures.analyses import analyze_run
from qdlab.procedures.planted import Planted
from qdlab.procedures.run import execute_run, prepare_run

POTENTIALS_V = {1: (-1.2, -1.3, -1.4, -1.5, -1.6), 2: (-1.2, -1.3, -1.4, -1.5, -1.6, -1.7)}
QUANTITIES = {"rate_hz": "rate_err_hz", "lifetime_ns": "lifetime_err_ns", "electrons": "electrons_err"}
Rows = dict[tuple[str, float], list[tuple[float, float, float]]]
"""Found value, its error and the planted value of every run, by quantity and potential."""


class Truth:
    """What each potential must give; long records are made for the first run and moved for the others."""

    def __init__(self, planted: Planted, potentials_v: tuple[float, ...]) -> None:
        self._interface_v = {v: planted.held_interface_v(v) for v in potentials_v}
        points = [planted.held(v) for v in potentials_v]
        self._logs = np.log([(point.rate_hz, point.lifetime_ns) for point in points])
        self._slopes = np.gradient(self._logs, list(self._interface_v.values()), axis=0)

    def at(self, planted: Planted, v: float) -> dict[str, float]:
        """Rate, lifetime and electrons of one run at an applied potential."""
        interface_v = planted.held_interface_v(v)
        place = list(self._interface_v).index(v)
        moved = self._logs[place] + self._slopes[place] * (interface_v - self._interface_v[v])
        rate_hz, lifetime_ns = np.exp(moved)
        trapped = 0.0
        if planted.dot.blinking:
            trapped = planted.dot.blinking.charge_occupation(interface_v) @ np.array([-1.0, 0.0, 1.0])
        electrons = planted.dot.mean_electrons(interface_v) + trapped
        return {"rate_hz": rate_hz, "lifetime_ns": lifetime_ns, "electrons": float(electrons)}


def one_run(batch: int, seed: int, hold_s: float, out: Path) -> tuple[dict[str, Any], Planted]:
    """Summary of one analyzed run and what lay under it."""
    potentials = ", ".join(f"{v:g}" for v in (0.0, *POTENTIALS_V[batch]))
    run = prepare_run(
        "static_bias",
        out=out,
        overrides=[f"potentials_v={potentials}", f"hold_s={hold_s:g}"],
        seed=seed,
        speed=math.inf,
        sample=f"batch_{batch}",
    )
    outcome = execute_run(run, lambda procedure: None, threading.Event())
    if outcome.status != "finished":
        raise RuntimeError(f"seed {seed}: {outcome.status}: {outcome.reason}")
    summary, planted = analyze_run(read_run_file(outcome.path)).summary(), Planted(outcome.path)
    outcome.path.unlink()
    return summary, planted


def add_run(rows: Rows, summary: dict[str, Any], planted: Planted, truth: Truth) -> str:
    """Enter one run into `rows`; returns the pulls of its electrons, to be printed."""
    pulls = []
    for row in summary["potentials"][1:]:
        v = row["potential_v"]
        expected = truth.at(planted, v)
        for name, error in QUANTITIES.items():
            if row[name] is None or row[error] is None:
                continue
            rows.setdefault((name, v), []).append((row[name], row[error], expected[name]))
            if name == "electrons":
                pulls.append(f"{(row[name] - expected[name]) / row[error]:+.1f}")
    return " ".join(pulls)


def table(rows: Rows) -> Iterator[str]:
    """Lines of the table, then one line per quantity over all potentials."""
    yield "| quantity | V | planted | mean found | scatter | mean error | pull mean | pull sd | n |"
    yield "|---|---|---|---|---|---|---|---|---|"
    pulls: dict[str, list[float]] = {}
    for (name, v), values in sorted(rows.items(), key=lambda item: (item[0][0], -item[0][1])):
        value, error, planted = np.array(values).T
        pull = (value - planted) / error
        pulls.setdefault(name, []).extend(pull.tolist())
        yield (
            f"| {name} | {v:g} | {planted.mean():.5g} | {value.mean():.5g} | {value.std(ddof=1):.2g} "
            f"| {error.mean():.2g} | {pull.mean():+.2f} | {pull.std(ddof=1):.2f} | {len(values)} |"
        )
    for name, all_pulls in pulls.items():
        yield f"{name}: pulls {np.mean(all_pulls):+.2f} with sd {np.std(all_pulls, ddof=1):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=16)
    parser.add_argument("--first-seed", type=int, default=11)
    parser.add_argument("--hold", type=float, default=60.0)
    parser.add_argument("--batch", type=int, nargs="+", choices=(1, 2), default=[1, 2])
    options = parser.parse_args()
    for batch in options.batch:
        rows: Rows = {}
        truth: Truth | None = None
        with tempfile.TemporaryDirectory() as folder:
            for seed in range(options.first_seed, options.first_seed + options.runs):
                summary, planted = one_run(batch, seed, options.hold, Path(folder))
                truth = truth or Truth(planted, POTENTIALS_V[batch])
                pulls = add_run(rows, summary, planted, truth)
                print(f"batch {batch}, seed {seed}: pulls of the electrons {pulls}", flush=True)
        print(f"\nBatch {batch}, {options.hold:g} s at each potential:\n")
        print("\n".join(table(rows)), flush=True)


if __name__ == "__main__":
    main()
