"""What spectra on a grid hold, in a few numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.gridded import Gridded


def summarize_gridded(data: Gridded) -> dict[str, Any]:
    """Axes with their ranges; of each signal its extremes, where it is strongest, and what is missing.

    A complex signal has no least value: its largest modulus is told.
    """
    return {
        "name": data.name,
        **data.about,
        "axes": {
            axis.name: {
                "points": len(axis.values),
                "first": float(axis.values[0]),
                "last": float(axis.values[-1]),
                "units": axis.units,
            }
            for axis in data.axes
        },
        "signals": {name: _of_signal(data, values) for name, values in data.signals.items()},
    }


def strongest(values: NDArray[Any]) -> tuple[int, ...]:
    """Indices of the largest modulus, nan left out; raises ValueError when nothing is left."""
    modulus = np.abs(values)
    if np.all(np.isnan(modulus)):
        raise ValueError("holds no numbers")
    return tuple(int(k) for k in np.unravel_index(int(np.nanargmax(modulus)), modulus.shape))


def _of_signal(data: Gridded, values: NDArray[Any]) -> dict[str, Any]:
    missing = int(np.isnan(values).sum())
    told: dict[str, Any] = {"type": str(values.dtype), "missing": missing}
    if missing == values.size:
        return told
    if np.iscomplexobj(values):
        told["largest_modulus"] = float(np.nanmax(np.abs(values)))
    else:
        told |= {"min": float(np.nanmin(values)), "max": float(np.nanmax(values))}
    where = strongest(values)
    told["strongest_at"] = {
        axis.name: float(axis.values[k]) for axis, k in zip(data.axes, where, strict=True)
    }
    return told
