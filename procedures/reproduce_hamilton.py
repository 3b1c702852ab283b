"""`qdlab reproduce hamilton`: figures 2 to 4 of the dimer paper on the twin, and what the scans find.

Each sample is scanned as `qdlab run twod_scan` does, through shaper, stage and spectrometer, and analyzed
from its run file without any truth. Only then each number is compared: with the paper (Hamilton et al.,
"Harvesting a wide spectral range of electronic coherences with disordered quasi-homo dimeric assemblies at
room temperature") and with what was planted: what the same estimator makes of the sample's response itself,
at the same delays, without instruments and noise. The number of the ensemble stands beside it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ..analysis.twodes import coherence_numbers as cn
from ..analysis.twodes.coherences import Coherences, find_coherences, trace_at
from ..analysis.twodes.phase_cycling import NONREPHASING, REPHASING
from ..analysis.twodes.scan import ScanPlan
from ..analysis.twodes.spectra import Maps, maps_from_t1
from ..formats.run_file import read_run_file
from ..sim.ensemble_sweep import Numbers, SweepPoint, sweep
from .analyses.twod_scan import scan_of
from .comparison import Row, Study, told
from .planted_twod import PlantedTwoD

SAMPLES = {"dimers_3.0_9": "3.0 nm / 9 %", "dimers_2.8_5": "2.8 nm / 5 %", "dimers_2.8_9": "2.8 nm / 9 %"}
MAIN, OTHER, THIRD = SAMPLES
FULL = {"t2_points": 161}
QUICK = {"t1_points": 24, "t2_points": 81}
FEW = {"t1_points": 24, "t2_start_fs": 104, "t2_step_fs": 24, "t2_points": 12, "fastest_beat_cm": 600}
"""Enough to see where the levels are: some t2 behind the first beats."""
REPLICAS, REPLICAS_OF_LEVELS = 16, 60
"""Of the noise, for scans with beats and for those that only tell levels."""

PAPER: dict[str, tuple[float, float | None]] = {
    "I.frequency_cm": (130.0, 10.0),
    "I.dephasing_fs": (750.0, None),
    "II.frequency_cm": (850.0, None),
    "II.dephasing_fs": (275.0, None),
    "II.w1_cm": (17905.0, None),
    "II.w3_cm": (17018.0, None),
    "III.frequency_cm": (480.0, None),
    "III.dephasing_fs": (115.0, None),
}
"""What the paper gives of 3.0 nm / 9 %, with its error or None."""
ENSEMBLE = {"I": "rho_I_all_bands", "II": "rho_II", "III": "rho_III"}
"""The kinds of `dephasing_truth` that a map shows; the last of equal polarisations."""

GLOBAL = "global fit of the rephasing map"
ADDRESS = "centre of the top of the beating map, negative beat"


@dataclass(frozen=True)
class Scan:
    """One sample's scan, analyzed: numbers by name, several models of the fits, the quoted one first."""

    maps: Maps
    plan: ScanPlan
    numbers: cn.Numbers
    fits: list[cn.Numbers]
    """Empty where the scan has too few t2 for beats."""
    noise: cn.Numbers
    """Standard error by noise."""
    bias: cn.Numbers
    """What noise adds on average."""


class Sample(NamedTuple):
    """A scan and what lay under it."""

    label: str
    scan: Scan
    planted: Scan
    planted_maps: Maps
    ensemble: Numbers


@dataclass(frozen=True)
class Computed:
    """A quantity that no scan gives: of the ensembles, in the order of the samples."""

    quantity: str
    unit: str
    paper: str
    ensembles: dict[str, float]


class Reproduced(NamedTuple):
    """Everything that is printed and written."""

    rows: list[Row]
    computed: list[Computed]


def reproduce_hamilton(study: Study) -> Reproduced:
    """Scan the samples, draw the three figures, and compare.

    On one BLAS thread: its own threads make small products many times slower on a busy machine.
    """
    with threadpool_limits(1, user_api="blas"):
        return _reproduced(study)


def _reproduced(study: Study) -> Reproduced:
    main = scanned(study, MAIN, QUICK if study.quick else FULL)
    other = scanned(study, OTHER, FEW if study.quick else FULL)
    samples = [main, other] if study.quick else [main, other, scanned(study, THIRD, FULL)]
    rows = [*map_rows(main), *level_rows(main, other)]
    for sample in (sample for sample in samples if sample.scan.fits):
        rows += beat_rows(sample)
    ensembles = {sample.label: sample.ensemble for sample in samples}
    draw_figures(study, samples)
    return Reproduced(rows, list(computed(ensembles)))


def write_reproduced(found: Reproduced, path: Path) -> None:
    """Write the rows, and what only the ensembles give, as JSON."""
    both = {"rows": told(found.rows), "ensembles": [asdict(each) for each in found.computed]}
    path.write_text(json.dumps(both, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# ---- scans ----


def scanned(study: Study, sample: str, parameters: Mapping[str, float]) -> Sample:
    """Scan a sample, find its numbers, and those of the response that lay under it."""
    path = study.record("twod_scan", sample, **parameters)
    study.tell(f"analyzing {sample}")
    run = read_run_file(path)
    data = scan_of(run, (REPHASING, NONREPHASING, cn.EMPTY))
    maps = data.maps()
    noise = data.signals(cn.EMPTY)[1]
    plan = data.plan
    nothing = maps_from_t1(
        noise, noise, t1_fs=plan.t1_fs, t2_fs=maps.t2_fs, w1_cm=maps.w1_cm, w3_cm=maps.w3_cm, frame=plan.frame
    ).rephasing
    scan = analyzed(maps, plan, nothing)
    under = PlantedTwoD(run)
    clean = under.maps(plan, maps)
    planted = analyzed(clean, plan, None, cn.addresses_of(scan.numbers) if scan.fits else None)
    return Sample(SAMPLES.get(sample, sample), scan, planted, clean, under.ensemble_numbers())


def analyzed(
    maps: Maps,
    plan: ScanPlan,
    noise: NDArray[np.complexfloating] | None,
    addresses: cn.Addresses | None = None,
) -> Scan:
    """All numbers of one series of maps; traces at the strongest addresses, or at those that are given."""
    beats = len(maps.t2_fs) >= cn.LEAST_T2
    numbers = cn.diagonal_numbers(maps) | (cn.beating_numbers(maps) if beats else {})
    where = (addresses or cn.addresses_of(numbers)) if beats else None
    fits = cn.fitted_numbers(maps, where) if where else []
    if noise is None:
        return Scan(maps, plan, numbers, fits, {}, {})
    quoted = numbers | (fits[0] if fits else {})
    replicas = REPLICAS if beats else REPLICAS_OF_LEVELS
    errors, bias = cn.noise_of(maps, noise, replicas, quoted=quoted, addresses=where)
    return Scan(maps, plan, numbers, fits, errors, bias)


# ---- rows ----


def map_rows(sample: Sample) -> Iterator[Row]:
    """Figure 3: where the beats are strongest, and in which order."""
    for name in ("II", "I"):
        quantity = f"maximum of ρ_{name} over that of ρ_III"
        yield _row(sample, "3", f"{name}.maximum", quantity, "", "beating maps at 120, 480, 850", below=1.0)
    for kind in cn.KINDS:
        for axis in ("w1", "w3"):
            quantity = f"ρ_{kind.name} strongest at {axis}"
            yield _row(sample, "3", f"{kind.name}.{axis}_cm", quantity, "cm-1", ADDRESS)
    for where, side in (("below", -1), ("above", 1)):
        w2 = cn.KINDS[1].w2_cm + side * cn.SATELLITE_CM
        quantity = f"satellite {where} ρ_II over ρ_II"
        yield _row(
            sample,
            "3",
            f"II.{where}",
            quantity,
            "",
            f"beating map at {w2:.0f} on the spot of ρ_II, negative beat",
        )


def beat_rows(sample: Sample) -> Iterator[Row]:
    """Figure 4: frequencies and times of dephasing, each kind of time by its name."""
    for kind in cn.KINDS:
        name, rho, truth = kind.name, f"ρ_{kind.name}", ENSEMBLE[kind.name]
        yield _row(sample, "3", f"{name}.frequency_cm", rho, "cm-1", GLOBAL, ensemble=f"{truth}_frequency_cm")
        in_ensemble = f"{truth}_dephasing_fs"
        quantity = f"{rho} dephasing, global fit"
        yield _row(sample, "4", f"{name}.dephasing_fs", quantity, "fs", GLOBAL, ensemble=in_ensemble)
        w1, w3 = cn.addresses_of(sample.scan.numbers)[name]
        quantity = f"{rho} dephasing, trace at its address"
        how = f"damped beat along the trace at ({w1:.0f}, {w3:.0f})"
        yield _row(sample, "4", f"{name}.trace_dephasing_fs", quantity, "fs", how, ensemble=in_ensemble)


def level_rows(main: Sample, other: Sample) -> Iterator[Row]:
    """Figure 2: levels of the two samples as the diagonals of their maps show them."""
    how = "diagonal of the rephasing map, mean over t2 ≥ 100 fs"
    versus = f"{main.label} against {other.label}"
    name = "diagonal.centre_cm"
    (a, da), (b, db) = _corrected(main.scan, name), _corrected(other.scan, name)
    planted = main.planted.numbers[name] - other.planted.numbers[name]
    yield Row(
        "2", f"energy, {versus}", "cm-1", 0.0, 0.0, planted, a - b, math.hypot(da, db), how, below=True,
        ensemble=main.ensemble["lowest_band_cm"] - other.ensemble["lowest_band_cm"],
    )  # fmt: skip
    name, how = "diagonal.edge_cm", "red edge of the diagonal, from 10 to 40 % of its maximum"
    (a, da), (b, db) = _corrected(main.scan, name), _corrected(other.scan, name)
    planted = main.planted.numbers[name] / other.planted.numbers[name]
    error = a / b * math.hypot(da / a, db / b)
    yield Row(
        "2", f"width, {versus}", "", 2.0, None, planted, a / b, error, how,
        ensemble=main.ensemble["lowest_width_cm"] / other.ensemble["lowest_width_cm"],
    )  # fmt: skip


def computed(ensembles: dict[str, Numbers]) -> Iterator[Computed]:
    """Figure 2: what only the computation has."""
    for quantity, unit, paper, name in (
        ("mean M of 1S", "", "> 1, less at 9 % than at 5 %", "localisation_1s"),
        ("mean M of 2S", "", "> 1, less at 9 % than at 5 %", "localisation_2s"),
        ("lowest exciton, mean", "cm-1", "lower for 3.0 nm / 9 % than for 2.8 nm / 5 %", "lowest_band_cm"),
        ("lowest exciton, width", "cm-1", "3.0 nm / 9 % about twice 2.8 nm / 5 %", "lowest_width_cm"),
        ("upper branch over lower", "", "more even at 9 %", "evenness"),
        ("absorption maximum", "cm-1", "–", "absorption_max_cm"),
    ):
        yield Computed(quantity, unit, paper, {label: found[name] for label, found in ensembles.items()})


def _row(
    sample: Sample,
    figure: str,
    name: str,
    quantity: str,
    unit: str,
    how: str,
    *,
    below: float | None = None,
    ensemble: str | None = None,
) -> Row:
    """A number of the scan beside the same of the planted maps.

    Error: noise, and how much the models of the fit differ. For the pull only as far as they differ
    differently in the scan and in the planted maps.
    """
    paper, paper_err = PAPER.get(name, (None, None)) if sample.label == SAMPLES[MAIN] else (None, None)
    if below is not None:
        paper, paper_err = below, 0.0
    found, noise = _corrected(sample.scan, name)
    fits, planted = sample.scan.fits, sample.planted.numbers | sample.planted.fits[0]
    model = chain = 0.0
    if name in fits[0]:
        values = np.array([fit[name] for fit in fits])
        apart = values - [fit[name] for fit in sample.planted.fits]
        model, chain = _spread(values), _spread(apart)
    return Row(
        figure,
        f"{quantity}, {sample.label}",
        unit,
        paper,
        paper_err,
        planted[name],
        found,
        math.hypot(noise, model),
        how,
        below is not None,
        math.hypot(noise, chain),
        sample.ensemble[ensemble] if ensemble else None,
    )


def _corrected(scan: Scan, name: str) -> tuple[float, float]:
    """A number without what noise adds to it, and its error by noise."""
    quoted = scan.numbers | (scan.fits[0] if scan.fits else {})
    return quoted[name] - scan.bias[name], scan.noise[name]


def _spread(values: NDArray[np.floating]) -> float:
    """Root mean square of how the other models differ from the quoted one."""
    return float(np.sqrt(np.mean((values[1:] - values[0]) ** 2)))


# ---- figures ----

MEANS_NM = tuple(np.linspace(2.6, 3.4, 5).round(2).tolist())
DISPERSIONS = tuple(np.linspace(0.01, 0.13, 7).round(3).tolist())


def draw_figures(study: Study, samples: Sequence[Sample]) -> None:
    """Figures 2, 3 and 4 as pictures."""
    from ..analysis.figures.hamilton import SizeMap, TraceAt, draw_beats, draw_ensembles, draw_traces

    study.tell("ensembles of many sizes")
    dimers = 500 if study.quick else 4000
    points = [SweepPoint(mean, part, dimers, study.seed) for part in DISPERSIONS for mean in MEANS_NM]
    truths = sweep(points, study.out / "ensembles")

    def over_sizes(name: str) -> NDArray[np.float64]:
        return np.reshape([truth[name] for truth in truths], (len(DISPERSIONS), len(MEANS_NM)))

    sizes = SizeMap(
        np.array(MEANS_NM),
        np.array(DISPERSIONS),
        {
            "mean M of 1S": over_sizes("localisation_1s"),
            "lowest exciton, mean (cm⁻¹)": over_sizes("lowest_band_cm"),
            "lowest exciton, width (cm⁻¹)": over_sizes("lowest_width_cm"),
        },
    )
    draw_ensembles(study.out / "figure_2.png", sizes, {s.label: cn.diagonal(s.scan.maps) for s in samples})
    beating: dict[str, tuple[Maps, Coherences]] = {
        s.label: (s.scan.maps, find_coherences(s.scan.maps)) for s in samples if s.scan.fits
    }
    draw_beats(study.out / "figure_3.png", beating)
    traces: dict[str, list[TraceAt]] = {}
    for sample in (s for s in samples if s.scan.fits):
        traces[sample.label] = []
        for kind in cn.KINDS:
            address = cn.addresses_of(sample.scan.numbers)[kind.name]
            trace, clean = trace_at(sample.scan.maps, *address), trace_at(sample.planted_maps, *address)
            fit = cn.fit_kind(trace, kind, address)
            traces[sample.label].append(TraceAt(f"ρ_{kind.name}", trace, clean, fit))
    draw_traces(study.out / "figure_4.png", traces)
