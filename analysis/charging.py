"""Which dots charge: their lifetime against the bias, and how much it falls from the start to the vertex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .scaling import Ratio
from .voltammetry_flid import VoltammetryFlidResult

CHARGED_ABOVE = 3.0
"""A dot charges when its lifetime falls by more: two electrons divide it by (2 + 2)(1 + a) or so, which is
3.5 and 6 for the two batches of Morozov et al., Science Advances 6, eabb1821 (2020), and one by 2 and 3."""
_NEAR_V = 0.2
_BINS = 20


@dataclass(frozen=True)
class ChargingCurve:
    """Lifetime of one dot against its bias, the sweeps of all cycles together; one entry per bin of bias."""

    potential_v: NDArray[np.floating]
    lifetime_ns: NDArray[np.floating]
    lifetime_err_ns: NDArray[np.floating]
    shortening: Ratio | None
    """Lifetime near the start of the sweeps over that at the vertex; None where either is unknown."""

    @property
    def charges(self) -> bool | None:
        """Whether the dot charges; None where it cannot be told."""
        if self.shortening is None:
            return None
        away = self.shortening.value - CHARGED_ABOVE
        return None if abs(away) < self.shortening.error else away > 0


def charging_curve(result: VoltammetryFlidResult, initial_v: float, vertex_v: float) -> ChargingCurve:
    """The curve of one dot's voltammetry-FLID."""
    points = result.flid
    known = np.isfinite(points.lifetime_ns) & np.isfinite(points.potential_v)
    potential_v, lifetime_ns = points.potential_v[known], points.lifetime_ns[known]
    edges = np.linspace(min(initial_v, vertex_v), max(initial_v, vertex_v), _BINS + 1)
    index = np.clip(np.searchsorted(edges, potential_v, "right") - 1, 0, _BINS - 1)
    filled = [np.flatnonzero(index == k) for k in range(_BINS)]
    filled = [own for own in filled if len(own)]
    medians = np.array([_median(lifetime_ns[own]) for own in filled]).reshape(-1, 2)
    centres = np.array([potential_v[own].mean() for own in filled])
    near = np.abs(potential_v - initial_v) < _NEAR_V
    shortening = None
    if near.any() and result.at_vertex is not None and result.at_vertex.lifetime_ns > 0:
        start_ns, start_err_ns = _median(lifetime_ns[near])
        vertex = result.at_vertex
        value = start_ns / vertex.lifetime_ns
        error = value * float(np.hypot(start_err_ns / start_ns, vertex.lifetime_err_ns / vertex.lifetime_ns))
        shortening = Ratio(value, error)
    return ChargingCurve(centres, medians[:, 0], medians[:, 1], shortening)


def _median(values: NDArray[np.floating]) -> tuple[float, float]:
    """Median and its standard error, 1.25 times that of the mean, from the median deviation."""
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    return middle, 1.25 * spread / float(np.sqrt(len(values)))
