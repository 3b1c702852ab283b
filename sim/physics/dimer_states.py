"""Names and indices of the 1 + 16 + 136 electronic states of a quantum-dot dimer.

A label is one bright exciton level of a dot: a band and a polarisation. Two equal dots turn a label into
two one-exciton states, branch 0 (lower) and branch 1 (upper). A pair of labels f < g makes a block of four
two-exciton states, a label with itself a block of three. The order of every array of the dimer modules is
fixed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BANDS = ("Ll", "Lh", "H", "S")
"""Low and high part of 1S3/2^L, 1S3/2^H, 1S1/2^H."""
POLARISATIONS = ("perp", "par")
"""Transition dipole perpendicular (the +-1U exciton) or parallel (0U) to the c axis."""
LABELS = tuple(f"{band} {polarisation}" for band in BANDS for polarisation in POLARISATIONS)
"""Label l is band l // 2 with polarisation l % 2."""
EXCITONS = 2 * len(LABELS)
"""One-exciton state i is label i // 2 in branch i % 2."""
MIXED_BLOCKS = np.array(list(combinations(range(len(LABELS)), 2)))
"""The labels (f, g), f < g, of the 28 blocks of four two-exciton states (int64 [28, 2])."""
PAIRS = 4 * len(MIXED_BLOCKS) + 3 * len(LABELS)
"""Two-exciton states: the 28 blocks of four in the order of `MIXED_BLOCKS`, then the 8 blocks of three."""
PAIR_LABELS = np.vstack(
    [np.repeat(MIXED_BLOCKS, 4, axis=0), np.repeat(np.arange(len(LABELS)), 3)[:, None].repeat(2, axis=1)]
)
"""The two labels of each two-exciton state (int64 [136, 2])."""


def exciton(label: str, branch: int) -> int:
    """Index of the one-exciton state with this label, as in `LABELS`, and branch 0 (lower) or 1 (upper)."""
    return 2 * LABELS.index(label) + branch


def states_of(labels: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One-exciton and two-exciton states that are made of these labels only (int64 each, ascending)."""
    chosen = [LABELS.index(label) for label in labels]
    singles = np.flatnonzero(np.isin(np.arange(EXCITONS) // 2, chosen))
    return singles, np.flatnonzero(np.isin(PAIR_LABELS, chosen).all(axis=1))


class Links(NamedTuple):
    """The 496 transitions from one to two excitons that are not zero, int64 [496] each."""

    exciton: NDArray[np.int64]
    pair: NDArray[np.int64]


class EsaPathways(NamedTuple):
    """The 1888 triples (i, j, F) with both i -> F and j -> F allowed, int64 [1888] each.

    `link_i` and `link_j` are the places of i -> F and j -> F in `LINKS`.
    """

    i: NDArray[np.int64]
    j: NDArray[np.int64]
    pair: NDArray[np.int64]
    link_i: NDArray[np.int64]
    link_j: NDArray[np.int64]


def _links() -> Links:
    """List the transitions block by block; within a block the exciton is the slow index."""
    members = []
    for block, (f, g) in enumerate(MIXED_BLOCKS):
        excitons = (2 * f, 2 * f + 1, 2 * g, 2 * g + 1)
        members += [(i, 4 * block + state) for i in excitons for state in range(4)]
    for label in range(len(LABELS)):
        first = 4 * len(MIXED_BLOCKS) + 3 * label
        members += [(i, first + state) for i in (2 * label, 2 * label + 1) for state in range(3)]
    table = np.array(members, dtype=np.int64)
    return Links(table[:, 0], table[:, 1])


def _esa_pathways(links: Links) -> EsaPathways:
    """Join the transitions that end in the same two-exciton state."""
    into = [np.flatnonzero(links.pair == pair) for pair in range(PAIRS)]
    joined = np.array([(a, b) for group in into for a in group for b in group], dtype=np.int64)
    link_i, link_j = joined[:, 0], joined[:, 1]
    return EsaPathways(links.exciton[link_i], links.exciton[link_j], links.pair[link_i], link_i, link_j)


LINKS = _links()
ESA_PATHWAYS = _esa_pathways(LINKS)
