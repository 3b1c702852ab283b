"""Third-order response of thousands of dimers on a whole grid of delays, in a fraction of a second.

The pathways of all dimers are collected on a three-dimensional grid of frequencies (`_response_spread`), and
matrix products turn the grid into delays: the cost of a pathway does not depend on the number of delays.
Populations are different, because they move among the states in t2: each pair (i, k) of states that
relaxation joins has one matrix over t1 and t3, weighted with exp(K t2) (`_response_populations`).
Phonons are the same for all dimers, so bleach, emission and absorption are summed apart and then multiplied.

Formulas, signs and frame are those of `reference_response`, the measure of this module. It works in single
precision; the error stays below 1e-4 of the maximum.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._response_populations import populations
from ._response_problem import Complex64, Float64, Problem, Run, own_threads, turned
from ._response_spread import spread, spread_double_quantum
from ._response_taps import TAPS, Grid
from .dimer_ensemble import Ensemble
from .dimer_states import ESA_PATHWAYS, EXCITONS, LINKS, PAIRS
from .phonons import N_PATHWAYS, Q_PATHWAYS, R_PATHWAYS, phonon_factors
from .reference_response import Conditions

_PARTS = 4  # the planes of the grid are worked on in so many parts


class Responses(NamedTuple):
    """Mean signals per dimer, complex64 [t2, t1, t3] each."""

    rephasing: Complex64
    nonrephasing: Complex64


def rephasing_and_nonrephasing(
    ensemble: Ensemble,
    t1_fs: ArrayLike,
    t2_fs: ArrayLike,
    t3_fs: ArrayLike,
    conditions: Conditions | None = None,
    *,
    threads: int | None = None,
    oversampling: float | None = None,
) -> Responses:
    """Compute -k1 + k2 + k3 and +k1 - k2 + k3 for evenly spaced delays; negative ones are continued.

    `threads` is the number of cores by default. `oversampling` is the number of grid frequencies per delay: 4
    for few dimers to 1.6 for many, whose errors average out. Raises ValueError for delays that are not evenly
    spaced, and for an ensemble without dimers or with numbers that are not finite.
    """
    p = Problem(ensemble, t1_fs, t2_fs, t3_fs, conditions or Conditions(), oversampling)
    signals = []
    with own_threads(threads) as run:
        real, imaginary = populations(p, run)
        for sign, pathways in ((1, R_PATHWAYS), (-1, N_PATHWAYS)):
            parts = real.copy()
            parts -= sign * 1j * imaginary
            coherent = _coherent(p, sign, run)
            parts[: len(coherent)] += coherent
            signals.append(_vibrating(p, parts, pathways, run) / p.size)
    return Responses(*signals)


def double_quantum(
    ensemble: Ensemble,
    t1_fs: ArrayLike,
    t2_fs: ArrayLike,
    t3_fs: ArrayLike,
    conditions: Conditions | None = None,
    *,
    threads: int | None = None,
    oversampling: float | None = None,
) -> Complex64:
    """Compute +k1 + k2 - k3, mean per dimer, complex64 [t2, t1, t3]; else as `rephasing_and_nonrephasing`."""
    p = Problem(ensemble, t1_fs, t2_fs, t3_fs, conditions or Conditions(), oversampling)
    grid1 = p.grid1(-1)
    band = (-float(p.pair_energy.max()), -float(p.pair_energy.min()))
    grid2 = p.grid2(band, p.on.dephasing.double_quantum_fs)
    middle3 = p.absorption.middle_fs
    phases = (
        turned(-p.energy * grid1.middle_fs, p.dipole * p.field),
        turned(-p.pair_energy * grid2.middle_fs),
        turned(-p.pair_energy * middle3),
        turned(p.energy * middle3, p.dipole * p.field),
        turned(-p.energy * p.emission.middle_fs, p.dipole),
    )

    def add(part: _Part) -> None:
        spread_double_quantum(*part, p.levels, p.links, phases, _LADDER)

    with own_threads(threads) as run:
        parts = _on_grid(p, -p.energy, grid1, grid2, add, run)
        return _vibrating(p, parts, Q_PATHWAYS, run) / p.size


def _vibrating(p: Problem, parts: Complex64, pathways: Sequence[str], run: Run) -> Complex64:
    """Sum the parts ([parts, t2, t1, t3]), if there are phonons each times the factor of its pathway."""
    phonons = p.on.phonons
    if phonons is None:
        return parts[0]
    out = np.zeros(parts.shape[1:], dtype=np.complex64)

    def work(b: int) -> None:
        factors = phonon_factors(pathways, p.t1, p.t2[b], p.t3, phonons)
        for part, factor in zip(parts[:, b], factors, strict=True):
            out[b] += part * factor[0]

    run(work, range(len(p.t2)))
    return out


def _coherent(p: Problem, sign: int, run: Run) -> Complex64:
    """Absorption and emission with two different states in t2, as `_on_grid`: `sign` 1 is R, -1 is N."""
    grid1 = p.grid1(sign)
    width = p.band[1] - p.band[0]
    grid2 = p.grid2((-width, width), p.on.dephasing.exciton_fs)
    first, second = grid1.middle_fs, grid2.middle_fs
    absorbing, emitting = p.absorption.middle_fs, p.emission.middle_fs
    once, twice, amplitude = p.dipole**2 * p.field, (p.dipole * p.field) ** 2, p.dipole * p.field
    raised = turned(-p.pair_energy * absorbing)
    if sign > 0:
        phases = (
            turned(p.energy * (first + second + absorbing), amplitude),
            turned(-p.energy * second, amplitude),
            raised,
            turned(p.energy * (first + second), twice),
            turned(-p.energy * (second + emitting), once),
        )
        rows = _ROWS_R
    else:
        phases = (
            turned(-p.energy * (first + second), amplitude),
            turned(p.energy * (second + absorbing), amplitude),
            raised,
            turned(-p.energy * (first + second + emitting), once),
            turned(p.energy * second, twice),
        )
        rows = _ROWS_N

    def add(part: _Part) -> None:
        spread(*part, (float(sign), -float(sign)), p.levels, p.links, phases, rows)

    return _on_grid(p, sign * p.energy, grid1, grid2, add, run)


class _Part(NamedTuple):
    """Four planes of the grid and pathways that go there, as the kernels take them."""

    grid: NDArray[np.float32]
    shape: tuple[int, int, int]
    plane: int
    items: NDArray[np.int64]
    places: Float64
    axes: tuple
    taps: tuple


def _on_grid(
    p: Problem, frequency1: Float64, grid1: Grid, grid2: Grid, add: Callable[[_Part], None], run: Run
) -> Complex64:
    """Collect pathways by `add`, transform the grid to delays (complex64 [`p.sections`, t2, t1, t3])."""
    grids = (grid1, grid2, p.absorption, p.emission)
    axes, taps = tuple(g.axis for g in grids[1:]), tuple(g.polynomials for g in grids)
    at = (frequency1.ravel() - grid1.lowest) / grid1.spacing
    at -= grid1.points * np.floor(at / grid1.points)
    cell = np.minimum(at.astype(np.int16), grid1.points - 1)
    order = np.argsort(cell, kind="stable")
    start = np.searchsorted(cell[order], np.arange(grid1.points + 1))
    shape = (grid2.transform.shape[1], p.section, len(p.transform3))
    along = (len(p.sections), len(p.t2), len(p.t3))
    out = np.zeros((len(p.t1), math.prod(along)), dtype=np.complex64)
    lock = threading.Lock()

    def work(cells: NDArray[np.int64]) -> None:
        """Collect cell by cell; a plane is done when the next cell begins."""
        planes = np.arange(cells[0], cells[-1] + TAPS)
        four = np.zeros((shape[0], shape[2], TAPS), dtype=np.complex64)
        along2 = np.empty((len(planes), *along), dtype=np.complex64)
        for k, plane in enumerate(planes):
            if plane <= cells[-1]:
                mine = order[start[plane] : start[plane + 1]]
                places = at[mine] - plane
                add(_Part(four.view(np.float32).ravel(), shape, int(plane), mine, places, axes, taps))
            done = np.ascontiguousarray(four[:, :, plane % TAPS])
            for section, part in zip(p.sections, along2[k], strict=True):
                np.matmul(grid2.transform, done[:, section] @ p.transform3[section], out=part)
            four[:, :, plane % TAPS] = 0
        along1 = grid1.transform[:, planes] @ along2.reshape(len(planes), -1)
        with lock:
            np.add(out, along1, out=out)

    shares = np.linspace(0, len(order), _PARTS + 1)[1:-1]
    run(work, [c for c in np.split(np.arange(grid1.points), np.searchsorted(start, shares)) if len(c)])
    return out.reshape(len(p.t1), *along).transpose(1, 2, 0, 3)


def _sorted_by(key: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the members of each key start in the order of the keys, and that order."""
    return np.concatenate([[0], np.cumsum(np.bincount(key, minlength=size))]), np.argsort(key, kind="stable")


def _unsigned(*arrays: NDArray[np.int64]) -> tuple[NDArray[np.uint32], ...]:
    """Indices for which compiled code need not look whether they are negative."""
    return tuple(array.astype(np.uint32) for array in arrays)


_row_start, _row = _sorted_by(ESA_PATHWAYS.i * EXCITONS + ESA_PATHWAYS.j, EXCITONS**2)
_ROW_START, _LINK_I, _LINK_J, _LINK_EXCITON, _LINK_PAIR = _unsigned(
    _row_start, ESA_PATHWAYS.link_i[_row], ESA_PATHWAYS.link_j[_row], *LINKS
)
_ROWS_R = (_ROW_START, _LINK_I, _LINK_J, _LINK_PAIR)
_ROWS_N = (_ROW_START, _LINK_J, _LINK_I, _LINK_PAIR)
"""Where the pathways of states m and o start, the transition of state i and that of state j, their F."""
_LADDER = (
    _LINK_EXCITON,
    _LINK_PAIR,
    *_unsigned(*_sorted_by(LINKS.exciton, EXCITONS), *_sorted_by(LINKS.pair, PAIRS)),
)
"""For the double quantum: both ends of each transition, the transitions from each exciton, into each pair."""
