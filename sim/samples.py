"""Samples that can lie on the bench, by the names that station files use."""

from __future__ import annotations

from collections.abc import Iterable

from .bench import Bench, Comparator, Faults
from .clock import SimulatedClock
from .physics.cell import Cell
from .physics.charged_dot import ChargedDot
from .physics.detection import Detection
from .physics.photons import DotPhotons

SAMPLES = {
    "batch_1": ChargedDot.batch_1,
    "batch_2": ChargedDot.batch_2,
    "not_charging": lambda: ChargedDot.batch_1(charges=False),
    "blank": lambda: None,
}


def make_bench(
    sample: str, *, seed: int, speed: float, faults: Iterable[str] = (), comparator: Comparator | None = None
) -> Bench:
    """A bench with one dot, or none, in the electrochemical cell; all randomness follows from `seed`.

    Raises KeyError for an unknown sample, ValueError for an unknown fault.
    """
    names = frozenset(faults)
    if unknown := sorted(names - all_faults().keys()):
        raise ValueError(f"unknown faults {unknown}; known: {', '.join(sorted(all_faults()))}")
    return Bench(
        SimulatedClock(speed),
        seed=seed,
        cell=Cell(seed=seed),
        photons=DotPhotons(SAMPLES[sample](), Detection(), seed=seed),
        comparator=comparator,
        faults=Faults(names),
    )


def all_faults() -> dict[str, str]:
    """Every fault that an emulator knows: name and what it does."""
    from .emulators import chi760, sepia2, timeharp260

    return {**chi760.FAULTS, **timeharp260.FAULTS, **sepia2.FAULTS}
