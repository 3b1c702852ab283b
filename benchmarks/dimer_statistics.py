"""Do ensembles of 4000 dimers hold the beats, widths and localisation that they were built for?

    python benchmarks/dimer_statistics.py [--seeds 6] [--dimers 4000]

Draws each of the three samples with several seeds and prints the target (the paper's, where it states one),
the value that the model was tuned to, and what this ensemble holds: mean and standard deviation over seeds.
Everything is of the whole ensemble, before any pulse; sources in docs/models/dimers.md.
"""

from __future__ import annotations

import argparse
import time
from typing import NamedTuple

import numpy as np

from qdlab.sim.physics.dimer_ensemble import quasi_homodimers
from qdlab.sim.physics.dimer_truth import dephasing_truth

SAMPLES = {"3.0 nm / 9 %": (3.0, 0.09), "2.8 nm / 5 %": (2.8, 0.05), "2.8 nm / 9 %": (2.8, 0.09)}


class Quantity(NamedTuple):
    name: str
    key: str
    unit: str
    paper: str
    tuned: tuple[float | None, float | None, float | None]
    digits: int = 0


QUANTITIES = (
    Quantity("rho_I frequency", "rho_I_frequency_cm", "cm-1", "120-140", (125.8, 131.9, 131.9), 1),
    Quantity("rho_I, all bands", "rho_I_all_bands_frequency_cm", "cm-1", "", (119.2, None, None), 1),
    Quantity("rho_I dephasing", "rho_I_dephasing_fs", "fs", "750", (837, 1624, 1024)),
    Quantity("rho_II frequency", "rho_II_frequency_cm", "cm-1", "850", (852.3, 880.1, 876), 1),
    Quantity("rho_II dephasing", "rho_II_dephasing_fs", "fs", "275", (235, 390, 242)),
    Quantity("rho_III frequency", "rho_III_frequency_cm", "cm-1", "480", (480.6, 546.6, 523), 1),
    Quantity("rho_III dephasing", "rho_III_dephasing_fs", "fs", "115", (141, 212, 139)),
    Quantity(
        "rho_III dephasing, any polarisation",
        "rho_III_any_polarisation_dephasing_fs",
        "fs",
        "115",
        (96, 115, None),
    ),
    Quantity("interbranch frequency", "interbranch_frequency_cm", "cm-1", "", (1180, None, None)),
    Quantity("interbranch dephasing", "interbranch_dephasing_fs", "fs", "", (21, None, None), 1),
    Quantity("lowest band, mean", "lowest_band_cm", "cm-1", "", (16963, 17538, None)),
    Quantity("lowest band, standard deviation", "lowest_width_cm", "cm-1", "", (452, 284, None)),
    Quantity("localisation M, 1S", "localisation_1s", "", "> 1", (1.371, 1.558, 1.380), 3),
    Quantity("localisation M, 2S", "localisation_2s", "", "> 1", (1.290, 1.453, None), 3),
    Quantity("evenness", "evenness", "", "more at 9 %", (0.240, 0.122, None), 3),
    Quantity("absorption maximum", "absorption_max_cm", "cm-1", "", (18025, 18680, None)),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--dimers", type=int, default=4000)
    arguments = parser.parse_args()

    truths = {}
    drawing_s = []
    for sample, (mean_nm, dispersion) in SAMPLES.items():
        for seed in range(1, arguments.seeds + 1):
            start = time.perf_counter()
            ensemble = quasi_homodimers(mean_nm, dispersion, arguments.dimers, seed=seed)
            drawing_s.append(time.perf_counter() - start)
            truths.setdefault(sample, []).append(dephasing_truth(ensemble))

    print(
        f"{arguments.dimers} dimers, {arguments.seeds} seeds; one ensemble in {np.median(drawing_s):.2f} s\n"
    )
    columns = " | ".join(f"{sample}: tuned | found" for sample in SAMPLES)
    print(f"| quantity | paper, 3.0 nm | {columns} |")
    print("|---" * (2 + 2 * len(SAMPLES)) + "|")
    for quantity in QUANTITIES:
        cells = [f"{quantity.name} {quantity.unit}".strip(), quantity.paper]
        for tuned, rows in zip(quantity.tuned, truths.values(), strict=True):
            values = np.array([row[quantity.key] for row in rows])
            cells.append("" if tuned is None else f"{tuned:g}")
            cells.append(f"{values.mean():.{quantity.digits}f} ± {values.std(ddof=1):.{quantity.digits}f}")
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
