"""Do the results at held potentials agree with what was planted, within their own errors?

    python benchmarks/static_bias_pulls.py [--runs 12] [--first-seed 11] [--hold 60] [--batch 1 2]

Runs `configs/static_bias.toml` through the whole rig (drivers, emulated instruments, run file) with 0 V and
the potentials of the charge isotherm, analyzes each run file as `qdlab analyze` does, and prints for rate,
lifetime and number of electrons what was planted, what was found and pull = (found - planted) / error.
Planted electrons are the mean of the equilibrium distribution at the potential of the interface; planted
rates and lifetimes are those of 1000 s of the dot itself.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qdlab.formats.run_file import read_run_file
from qdlab.procedures.analyses import analyze_run
from qdlab.procedures.planted import Planted, PlantedPoint
from qdlab.procedures.run import execute_run, prepare_run

POTENTIALS_V = {1: (-1.2, -1.3, -1.4, -1.5, -1.6), 2: (-1.2, -1.3, -1.4, -1.5, -1.6, -1.7)}
QUANTITIES = {"rate_hz": "rate_err_hz", "lifetime_ns": "lifetime_err_ns", "electrons": "electrons_err"}
Found = dict[tuple[str, float], tuple[float, float, float]]


def one_run(batch: int, seed: int, hold_s: float, out: Path, points: dict[float, PlantedPoint]) -> Found:
    """Value, error and planted value of every quantity at every potential; `points` holds known truths."""
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
    summary = analyze_run(read_run_file(outcome.path)).summary()
    planted = Planted(outcome.path)
    found: Found = {}
    for row in summary["potentials"][1:]:
        v = row["potential_v"]
        if v not in points:
            points[v] = planted.held(v)
        truth = {
            "rate_hz": points[v].rate_hz,
            "lifetime_ns": points[v].lifetime_ns,
            "electrons": planted.dot.mean_electrons(planted.held_interface_v(v)),
        }
        for name, error in QUANTITIES.items():
            if row[name] is not None and row[error] is not None:
                found[name, v] = (row[name], row[error], truth[name])
    outcome.path.unlink()
    return found


def table(rows: dict[tuple[str, float], list[tuple[float, float, float]]]) -> Iterator[str]:
    """Lines of the table, then one line per quantity over all potentials."""
    yield "| quantity | potential (V) | planted | mean found | scatter | mean error | pull mean | pull sd | n |"
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
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=11)
    parser.add_argument("--hold", type=float, default=60.0)
    parser.add_argument("--batch", type=int, nargs="+", choices=(1, 2), default=[1, 2])
    options = parser.parse_args()
    for batch in options.batch:
        rows: dict[tuple[str, float], list[tuple[float, float, float]]] = {}
        points: dict[float, PlantedPoint] = {}
        with tempfile.TemporaryDirectory() as folder:
            for seed in range(options.first_seed, options.first_seed + options.runs):
                for key, value in one_run(batch, seed, options.hold, Path(folder), points).items():
                    rows.setdefault(key, []).append(value)
                electrons = [rows["electrons", v][-1] for v in POTENTIALS_V[batch] if ("electrons", v) in rows]
                pulls = " ".join(f"{(v - p) / e:+.1f}" for v, e, p in electrons)
                print(f"batch {batch}, seed {seed}: pulls of the electrons {pulls}", flush=True)
        print(f"\nBatch {batch}, {options.hold:g} s at each potential:\n")
        print("\n".join(table(rows)), flush=True)


if __name__ == "__main__":
    main()
