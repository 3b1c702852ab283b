"""The compiled photon source of one dot while it moves through the focus: light cell by light cell."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ._emission import make_photons, set_light
from .charged_dot import MAX_PAIRS

DONE = -1
_TAIL = 1e-9  # pulse tables end where the pairs of a pulse are rarer
_SPARE_PAIRS = 6


@njit(cache=True, nogil=True, error_model="numpy")
def make_photons_in_focus(
    source, used, first, cells, pairs, efficiency, tolerance, captured, period, reference_pump,
    edges, bias, until, photons, changes,
):  # fmt: skip
    """Emit until `until` with the light of each cell; `cells` (int64) are the ticks at which they start.

    `pairs` (per pulse) and `efficiency` hold one value per cell, both 0 in the dark. The light is changed
    only where their product is off by more than `tolerance` (relative) from the one in use, which `used`
    (float64 of shape 2) keeps; a negative one stands for none. `first` is the cell to begin with. Returns
    DONE, or the cell to be called again with when `photons` or `changes` are full.
    """
    s = source[0]
    for cell in range(first, cells.size):
        end = cells[cell + 1] if cell + 1 < cells.size else until
        now, then = pairs[cell] * efficiency[cell], used[0] * used[1]
        if abs(now - then) > tolerance * then:
            used[0], used[1] = pairs[cell], efficiency[cell]
            _fill_pulses(s, pairs[cell], captured)
            emitting = 1 if now > 0.0 else 0
            pump = _two_or_more(pairs[cell]) / reference_pump / period
            set_light(source, cells[cell], emitting, period, efficiency[cell], pump, _top(s))
        low = np.searchsorted(edges, cells[cell], "right") - 1
        high = np.searchsorted(edges, end, "left")
        if not make_photons(source, edges[low:high], bias[low:high], end, photons, changes):
            return cell
    return DONE


@njit(cache=True, nogil=True, error_model="numpy")
def _two_or_more(mean):
    """Probability that a pulse makes two pairs or more."""
    return -math.expm1(-mean) - mean * math.exp(-mean)


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_pulses(s, mean, captured):
    """Poisson tables of the pairs that a pulse makes, with the hot-electron trap closed and open."""
    for trap in range(2):
        m = mean * (1.0 - captured) if trap else mean
        probability, total = math.exp(-m), 0.0
        for k in range(MAX_PAIRS + 1):
            total += probability
            s.poisson[trap, k], s.poisson_cdf[trap, k] = probability, total
            probability *= m / (k + 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _top(s):
    """Pairs that the pulse tables count to."""
    k = 0
    while k < MAX_PAIRS and 1.0 - s.poisson_cdf[0, k] >= _TAIL:
        k += 1
    return min(MAX_PAIRS, k + _SPARE_PAIRS)
