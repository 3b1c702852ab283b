"""Samples that can lie on the bench, by the names that station files use."""

from __future__ import annotations

from collections.abc import Iterable

from .bench import Bench, Comparator, Faults
from .clock import SimulatedClock
from .physics.cell import Cell, CellParameters
from .physics.charged_dot import ChargedDot
from .physics.cover_slip import CoverSlip
from .physics.detection import Detection
from .physics.microscope import MicroscopePhotons
from .physics.photons import DotPhotons
from .physics.piezo import PiezoStage

SAMPLES = {
    "batch_1": ChargedDot.batch_1,
    "batch_2": ChargedDot.batch_2,
    "not_charging": lambda: ChargedDot.batch_1(charges=False),
    "blank": lambda: None,
}

COVER_SLIP = "cover_slip"
"""The sample with many dots, which the stage brings into the focus."""

CELLS = {
    "ito": CellParameters(),
    "microelectrode": CellParameters(area_cm2=7.9e-7, solution_ohm=50e3),
}
"""`ito`: the paper's cell, whose interface follows in 1.2 ms. `microelectrode`: a disc of 10 um diameter
opened in an insulated electrode, behind 1/(4 kappa r) of solution with kappa = 10 mS/cm: 0.4 us."""


def make_bench(
    sample: str,
    *,
    seed: int,
    speed: float,
    cell: str = "ito",
    faults: Iterable[str] = (),
    comparator: Comparator | None = None,
    drift_um_h: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Bench:
    """A bench with one of `SAMPLES`, or `COVER_SLIP`, in an electrochemical cell; all follows from `seed`.

    One dot is always in the focus; a cover slip is moved by the stage, and drifts by `drift_um_h`.
    Raises KeyError for an unknown sample or cell, ValueError for an unknown fault.
    """
    names = frozenset(faults)
    if unknown := sorted(names - all_faults().keys()):
        raise ValueError(f"unknown faults {unknown}; known: {', '.join(sorted(all_faults()))}")
    stage = PiezoStage(seed=seed)
    if sample == COVER_SLIP:
        slip = CoverSlip.scattered(seed=seed, drift_um_h=drift_um_h)
        photons = MicroscopePhotons(slip, stage.axes, Detection(), seed=seed)
    else:
        photons = DotPhotons(SAMPLES[sample](), Detection(), seed=seed)
    return Bench(
        SimulatedClock(speed),
        seed=seed,
        cell=Cell(CELLS[cell], seed=seed),
        photons=photons,
        stage=stage,
        comparator=comparator,
        faults=Faults(names),
    )


def all_faults() -> dict[str, str]:
    """Every fault that an emulator knows: name and what it does."""
    from .emulators import chi760, pi_e545, sepia2, timeharp260

    return {**chi760.FAULTS, **timeharp260.FAULTS, **sepia2.FAULTS, **pi_e545.FAULTS}
