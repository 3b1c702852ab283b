"""Do the results of the default experiment agree with what was planted, within their own errors?

    python benchmarks/accuracy.py [--runs 20] [--set key=value ...] [--station charging_simulated]

Runs `configs/cv_flid.toml` through the whole rig (drivers, emulated instruments, run file), analyzes each
run file as `qdlab analyze` does, and prints found, planted and pull = (found - planted) / error. Honest
errors give pulls with mean 0 and standard deviation 1.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import threading
from pathlib import Path

import numpy as np

from qdlab.formats.run_file import read_run_file
from qdlab.procedures.analyses.voltammetry_flid import VoltammetryFlidAnalysis
from qdlab.procedures.planted import planted_values
from qdlab.procedures.run import execute_run, prepare_run


def found_values(result) -> dict[str, tuple[float, float]]:
    """Value and error of every number that has an error."""
    x0, x_minus, vertex = result.states.x0, result.states.x_minus, result.at_vertex
    found = {}
    if x0:
        found["X0 lifetime (ns)"] = (x0.lifetime_ns, x0.lifetime_err_ns)
        found["X0 rate (Hz)"] = (x0.rate_hz, x0.rate_err_hz)
    if x_minus:
        found["X- lifetime (ns)"] = (x_minus.lifetime_ns, x_minus.lifetime_err_ns)
    if result.auger_ratio:
        found["gammaA/gamma0"] = tuple(result.auger_ratio)
    if vertex:
        found["vertex lifetime (ns)"] = (vertex.lifetime_ns, vertex.lifetime_err_ns)
        found["vertex rate (Hz)"] = (vertex.rate_hz, vertex.rate_err_hz)
    if result.enhancement:
        found["enhancement"] = tuple(result.enhancement)
    if result.drop:
        found["drop"] = tuple(result.drop)
    return found


def one_run(seed: int, out: Path, station: str | None, overrides: list[str]):
    """Found and planted values of one run."""
    run = prepare_run("cv_flid", station=station, out=out, overrides=overrides, seed=seed, speed=math.inf)
    outcome = execute_run(run, lambda procedure: None, threading.Event())
    if outcome.status != "finished":
        raise RuntimeError(f"seed {seed}: {outcome.status}: {outcome.reason}")
    result = VoltammetryFlidAnalysis(read_run_file(outcome.path)).result
    planted = planted_values(outcome.path)
    outcome.path.unlink()
    return found_values(result), planted


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--station")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    options = parser.parse_args()
    rows: dict[str, list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1, options.runs + 1):
            found, planted = one_run(seed, Path(folder), options.station, options.overrides)
            for name, (value, error) in found.items():
                rows.setdefault(name, []).append((value, error, planted[name]))
            pulls = "  ".join(f"{n} {(v - planted[n]) / e:+.1f}" for n, (v, e) in found.items())
            print(f"seed {seed:2d}: {pulls}", flush=True)
    print("\n| quantity | planted | mean found | scatter | mean error | pull mean | pull sd | runs |")
    print("|---|---|---|---|---|---|---|---|")
    for name, values in rows.items():
        value, error, plan = np.array(values).T
        pull = (value - plan) / error
        print(
            f"| {name} | {plan.mean():.5g} | {value.mean():.5g} | {value.std(ddof=1):.2g} "
            f"| {error.mean():.2g} | {pull.mean():+.2f} | {pull.std(ddof=1):.2f} | {len(value)} |"
        )


if __name__ == "__main__":
    main()
