"""Three hours of bias sweeps on one dot of a drifting cover slip, with and without KeepInFocus.

Prints, for each hour, the mean rate during the sweeps against that of a run without drift.

    python benchmarks/keep_in_focus.py [HOURS]
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from qdlab.formats.run_file import read_run_file
from qdlab.procedures.cli import main

DOT_UM = "103.6513, 103.9082, 99.9892"
DRIFT_UM_H = "[0.6, -0.6, 0.53]"
SHIPPED = Path(__file__).parents[1] / "configs" / "confocal_simulated.toml"


def rates_hz(out: Path, hours: float, drift_um_h: str, keep_s: float) -> np.ndarray:
    """Run the sweeps; the mean rate within each record of the potentiostat, and when it began."""
    station = out / "station.toml"
    text = SHIPPED.read_text().replace("drift_um_h = [0.0, 0.0, 0.0]", f"drift_um_h = {drift_um_h}")
    station.write_text(text)
    cycles = round(hours * 3600 / 20)
    arguments = [f"dot_um={DOT_UM}", f"keep_in_focus_s={keep_s}", "hold_s=0", f"cycles={cycles}"]
    sets = [word for argument in arguments for word in ("--set", argument)]
    sys.argv = ["qdlab", "run", "cv_flid", "--station", str(station), "--out", str(out), *sets]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise RuntimeError("the run did not finish") from ended
    run = read_run_file(sorted(out.glob("*.h5"))[-1])
    rows = []
    for record in run.potentiostat:
        if record.about["technique"] != "CyclicVoltammetry":
            continue
        for cycle_s in np.arange(0.0, record.time_s[-1] - 19.0, 20.0):
            start_s = record.about["start_s"] - run.photons.start_s + cycle_s
            first, end = (round(s / run.photons.sync_period_s) for s in (start_s, start_s + 20.0))
            rows.append((start_s, len(run.photons.between(first, end).sync) / 20.0))
    return np.array(rows)


def table(hours: float) -> None:
    """Print the rates hour by hour."""
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for name, drift, keep_s in (
            ("no drift", "[0.0, 0.0, 0.0]", 0.0),
            ("drift, KeepInFocus", DRIFT_UM_H, 60.0),
            ("drift", DRIFT_UM_H, 0.0),
        ):
            out = Path(folder) / name.replace(" ", "_")
            out.mkdir()
            found[name] = rates_hz(out, hours, drift, keep_s)
    mean = found["no drift"][:, 1].mean()
    third_s = hours * 1200
    for name, rows in found.items():
        parts = [
            rows[(rows[:, 0] >= k * third_s) & (rows[:, 0] < (k + 1) * third_s), 1].mean() for k in range(3)
        ]
        told = "  ".join(f"{100 * part / mean:6.1f}" for part in parts)
        print(f"{name:20}  {told}  all {100 * rows[:, 1].mean() / mean:6.1f} %  of {mean:.0f} c/s")


if __name__ == "__main__":
    table(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0)
