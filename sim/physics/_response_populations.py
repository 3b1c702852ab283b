"""Populations in t2: what has relaxed from state i to state k, on the grid of t1 and t3, and the bleach."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from ._response_problem import Float64, Problem, Run, turned
from ._response_spread import spread_lines, turn_states
from .dimer_states import EXCITONS, LINKS

_CHUNK = 128  # dimers worked on at once
_BLEACH = (EXCITONS, EXCITONS)


def populations(p: Problem, run: Run) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """Bleach and populations, summed over dimers, as two arrays complex64 [parts, t2, t1, t3].

    The first belongs to the real part of exp(-i w t1), the second to the imaginary part: R is the
    first - 1j * the second, N is the first + 1j * the second. There is one part, or with phonons there are
    absorption, emission and bleach.
    """
    n1, n3 = len(p.t1), len(p.t3)
    parts = _parts(p)
    pairs = [pair for _, among in parts for pair in among]
    matrices = np.zeros((len(pairs), 2 * n1, 2 * n3), dtype=np.float32)
    middle = p.absorption.middle_fs
    phases = (turned(p.energy * middle), turned(-p.pair_energy * middle))
    transform = np.ascontiguousarray(p.transform3[: p.section])
    optical = 1 / p.on.dephasing.optical_fs
    lock = threading.Lock()

    def turning(dimers: NDArray[np.int64], strength: Float64, times: Float64) -> NDArray[np.float32]:
        """Each state's oscillation, and the sum of all ([17, dimers, 2 times])."""
        out = np.empty((EXCITONS + 1, len(dimers), len(times), 2), dtype=np.float32)
        step = times[1] - times[0] if len(times) > 1 else 0.0
        turn_states(out, dimers, p.energy, strength, times[0], step, optical)
        return out.reshape(EXCITONS + 1, len(dimers), -1)

    def work(first: int) -> None:
        dimers = np.arange(first, min(first + _CHUNK, p.size))
        before = turning(dimers, (p.dipole * p.field) ** 2, p.t1)
        after = turning(dimers, p.dipole**2 * p.field, p.t3)
        lines = np.zeros((EXCITONS, len(dimers), 2 * p.section), dtype=np.float32)
        spread_lines(
            lines, dimers, p.absorption.axis, p.absorption.polynomials, p.levels, p.links, phases,
            LINKS.exciton, LINKS.pair,
        )  # fmt: skip
        absorbed = (lines.view(np.complex64) @ transform).view(np.float32)
        if p.on.phonons is None:
            after[:EXCITONS] += absorbed
        else:
            after = np.concatenate([after, absorbed])
        products = [before[i].T @ after[k] for k, i in pairs]
        with lock:
            for matrix, product in zip(matrices, products, strict=True):
                matrix += product

    run(work, range(0, p.size, _CHUNK))
    summed = np.empty((len(parts), len(p.t2), 4 * n1 * n3), dtype=np.float32)
    first = 0
    for total, (weight, among) in zip(summed, parts, strict=True):
        np.matmul(weight, matrices[first : first + len(among)].reshape(len(among), -1), out=total)
        first += len(among)
    by_part = summed.view(np.complex64).reshape(len(parts), len(p.t2), n1, 2, n3)
    return by_part[:, :, :, 0], by_part[:, :, :, 1]


def _parts(p: Problem) -> list[tuple[NDArray[np.float32], list[tuple[int, int]]]]:
    """Weights [t2, pairs] and pairs (k, i) of what is summed apart; k = 16 is the bleach, k > 16 absorbs."""
    weight, pairs = _propagator(p)
    stays = np.ones((len(p.t2), 1), dtype=np.float32)
    if p.on.phonons is None:
        return [(np.hstack([weight, stays]), [*pairs, _BLEACH])]
    absorbing = [(EXCITONS + 1 + k, i) for k, i in pairs]
    return [(weight, absorbing), (weight, pairs), (stays, [_BLEACH])]


def _propagator(p: Problem) -> tuple[NDArray[np.float32], list[tuple[int, int]]]:
    """exp(K t2) by the pairs (k, i) that it joins ([t2, pairs])."""
    rates = p.on.rates_per_fs
    if rates is None:
        rates = np.zeros((EXCITONS, EXCITONS))
    share = np.empty((len(p.t2), EXCITONS, EXCITONS))
    share[0] = expm(rates * p.t2[0])
    if len(p.t2) > 1:
        step = expm(rates * (p.t2[1] - p.t2[0]))
        for t in range(1, len(p.t2)):
            share[t] = step @ share[t - 1]
    pairs = [(int(k), int(i)) for k, i in np.argwhere((share != 0).any(axis=0))]
    return np.array([share[:, k, i] for k, i in pairs], dtype=np.float32).T, pairs
