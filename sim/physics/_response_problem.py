"""The numbers of an ensemble as the compiled kernels take them, and threads of our own to run these in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import ThreadpoolController

from ._response_taps import Grid, grid
from .dimer_ensemble import RAD_PER_FS, Ensemble
from .dimer_states import LINKS
from .reference_response import Conditions

Float64 = NDArray[np.float64]
Complex64 = NDArray[np.complex64]
Run = Callable[[Callable, Iterable], None]
"""Calls a function for every item, on the threads."""
Band = tuple[float, float]

_OVERSAMPLING = ((2000, 1.6), (500, 2.0), (0, 4.0))
# grid frequencies per delay from so many dimers on: the errors of their pathways average out


class Problem:
    """An ensemble, delays and conditions; frequencies in rad/fs in the rotating frame.

    Raises ValueError for delays that are not evenly spaced and for an ensemble without dimers or with
    numbers that are not finite.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        t1: ArrayLike,
        t2: ArrayLike,
        t3: ArrayLike,
        on: Conditions,
        oversampling: float | None,
    ):
        self.t1, self.t2, self.t3 = _even(t1, "t1_fs"), _even(t2, "t2_fs"), _even(t3, "t3_fs")
        self.on, self.size = on, len(ensemble)
        if self.size == 0:
            raise ValueError("the ensemble has no dimers")
        self.dipole = ensemble.dipole
        self.field = on.laser.amplitude(ensemble.energy_cm)
        self.energy = RAD_PER_FS * (ensemble.energy_cm - on.frame_cm)
        self.pair_energy = RAD_PER_FS * (ensemble.pair_energy_cm - 2 * on.frame_cm)
        gap_cm = ensemble.pair_energy_cm[:, LINKS.pair] - ensemble.energy_cm[:, LINKS.exciton]
        lit = on.laser.amplitude(gap_cm) * ensemble.pair_dipole
        self.levels = (self.energy, self.pair_energy)
        self.links = (ensemble.pair_dipole.astype(np.float32), lit.astype(np.float32))
        for numbers in (*self.levels, *self.links, self.dipole):
            if not np.isfinite(numbers).all():
                raise ValueError("the ensemble has energies or dipoles that are not finite")
        fine = oversampling or next(fine for least, fine in _OVERSAMPLING if self.size >= least)
        self._oversampling = fine
        self.band = (float(self.energy.min()), float(self.energy.max()))
        absorbed = RAD_PER_FS * (on.frame_cm - gap_cm.max()), RAD_PER_FS * (on.frame_cm - gap_cm.min())
        self.absorption = grid(self.t3, absorbed, on.dephasing.esa_fs, fine)
        self.emission = grid(self.t3, (-self.band[1], -self.band[0]), on.dephasing.optical_fs, fine)
        both = np.concatenate([self.absorption.transform, self.emission.transform], axis=1)
        self.transform3 = np.ascontiguousarray(both.T)

    @property
    def section(self) -> int:
        """Points of absorption on the joint axis of absorption and emission along t3."""
        return self.absorption.transform.shape[1]

    @property
    def sections(self) -> tuple[slice, ...]:
        """What is summed on that axis: everything, or with phonons absorption and emission apart."""
        if self.on.phonons is None:
            return (slice(None),)
        return slice(None, self.section), slice(self.section, None)

    def grid1(self, sign: int) -> Grid:
        """Lay the grid of t1, where frequencies are `sign` times those of the one-exciton states."""
        low, high = sorted(sign * w for w in self.band)
        return grid(self.t1, (low, high), self.on.dephasing.optical_fs, self._oversampling)

    def grid2(self, band: Band, decay_fs: float) -> Grid:
        """Lay the grid of t2."""
        return grid(self.t2, band, decay_fs, self._oversampling)


def turned(angle: Float64, amplitude: Float64 | float = 1.0) -> Complex64:
    """Return amplitude exp(i angle)."""
    out = np.empty(angle.shape, dtype=np.complex64)
    out.real = amplitude * np.cos(angle)
    out.imag = amplitude * np.sin(angle)
    return out


def _even(times_fs: ArrayLike, name: str) -> Float64:
    """Check that times are evenly spaced."""
    times = np.atleast_1d(np.asarray(times_fs, dtype=np.float64))
    steps = np.diff(times)
    uneven = len(steps) > 0 and not (steps.min() > 0 and np.ptp(steps) <= 1e-6 * steps[0])
    if times.ndim != 1 or not len(times) or not np.isfinite(times).all() or uneven:
        raise ValueError(f"{name} must be evenly spaced and ascending")
    return times


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def own_threads(count: int | None) -> Iterator[Run]:
    """Run jobs on `count` threads (all cores by default) while the BLAS library keeps to one thread per job.

    The library's own threads are slower by far on a machine that others use too.
    """
    with (
        ThreadpoolController().limit(limits=1, user_api="blas"),
        ThreadPoolExecutor(count or cores()) as pool,
    ):

        def run(job: Callable, items: Iterable) -> None:
            for _ in pool.map(job, items):
                pass

        yield run
