"""The cells in which lifetime-intensity distributions are counted and shown."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike, NDArray
from qtpy import QtCore

LIFETIME_EDGES_NS: NDArray[np.float64] = np.geomspace(0.3, 300.0, 121)
RATE_EDGES_HZ: NDArray[np.float64] = np.geomspace(500.0, 80_000.0, 91)
"""Edges of the cells, of equal width on a logarithmic scale."""
CELLS = len(LIFETIME_EDGES_NS) - 1, len(RATE_EDGES_HZ) - 1


def cells_of(lifetime_ns: ArrayLike, net_rate_hz: ArrayLike) -> NDArray[np.int64]:
    """Flat number of the cell that each point lies in, -1 for none; arrays of one length."""
    columns, rows = (
        _part_of(np.asarray(values, np.float64), edges)
        for values, edges in ((lifetime_ns, LIFETIME_EDGES_NS), (net_rate_hz, RATE_EDGES_HZ))
    )
    return np.where((columns >= 0) & (rows >= 0), columns * CELLS[1] + rows, -1)


def count_in_cells(cell: NDArray[np.int64]) -> NDArray[np.int64]:
    """Points in each cell, shape (lifetimes, rates), of what `cells_of` gave."""
    return np.bincount(cell[cell >= 0], minlength=CELLS[0] * CELLS[1]).reshape(CELLS)


def mean_in_cells(cell: NDArray[np.int64], values: ArrayLike) -> NDArray[np.float64]:
    """Mean of a value of the points in each cell, shape (lifetimes, rates); nan where none is known."""
    values = np.asarray(values, np.float64)
    known = (cell >= 0) & np.isfinite(values)
    n = np.bincount(cell[known], minlength=CELLS[0] * CELLS[1])
    total = np.bincount(cell[known], values[known], minlength=CELLS[0] * CELLS[1])
    return np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0).reshape(CELLS)


def place(image: pg.ImageItem) -> None:
    """Put an image of the cells where they lie on logarithmic axes of lifetime (ns) and rate (kc/s)."""
    x, y = np.log10(LIFETIME_EDGES_NS), np.log10(RATE_EDGES_HZ / 1e3)
    image.setRect(QtCore.QRectF(x[0], y[0], x[-1] - x[0], y[-1] - y[0]))


def _part_of(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which part between geometric edges each value lies in, -1 for none: faster than a search."""
    inside = (values >= edges[0]) & (values < edges[-1])  # False for nan
    parts = len(edges) - 1
    scale = parts / np.log(edges[-1] / edges[0])
    part = np.log(np.where(inside, values, edges[0]) / edges[0]) * scale
    return np.where(inside, np.minimum(part.astype(np.int64), parts - 1), -1)
