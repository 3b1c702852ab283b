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


def count_cells(lifetime_ns: ArrayLike, net_rate_hz: ArrayLike) -> NDArray[np.int64]:
    """Points in each cell, shape (lifetimes, rates); what lies outside, and nan, is left out."""
    cell = _cell_of(lifetime_ns, net_rate_hz)
    return np.bincount(cell[cell >= 0], minlength=CELLS[0] * CELLS[1]).reshape(CELLS)


def mean_in_cells(lifetime_ns: ArrayLike, net_rate_hz: ArrayLike, values: ArrayLike) -> NDArray[np.float64]:
    """Mean of a value of the points in each cell; nan where none is known."""
    cell, values = _cell_of(lifetime_ns, net_rate_hz), np.asarray(values, np.float64)
    known = (cell >= 0) & np.isfinite(values)
    n = np.bincount(cell[known], minlength=CELLS[0] * CELLS[1])
    total = np.bincount(cell[known], values[known], minlength=CELLS[0] * CELLS[1])
    return np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0).reshape(CELLS)


def place(image: pg.ImageItem) -> None:
    """Put an image of the cells where they lie on logarithmic axes of lifetime (ns) and rate (kc/s)."""
    x, y = np.log10(LIFETIME_EDGES_NS), np.log10(RATE_EDGES_HZ / 1e3)
    image.setRect(QtCore.QRectF(x[0], y[0], x[-1] - x[0], y[-1] - y[0]))


def _cell_of(lifetime_ns: ArrayLike, net_rate_hz: ArrayLike) -> NDArray[np.int64]:
    """Flat cell of each point, -1 where it lies in none."""
    columns, rows = (
        np.where(np.isfinite(v) & (v < edges[-1]), np.searchsorted(edges, v, "right") - 1, -1)
        for v, edges in (
            (np.asarray(lifetime_ns, np.float64), LIFETIME_EDGES_NS),
            (np.asarray(net_rate_hz, np.float64), RATE_EDGES_HZ),
        )
    )
    return np.where((columns >= 0) & (rows >= 0), columns * CELLS[1] + rows, -1)
