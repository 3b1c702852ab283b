"""Photons of a pulsed dot that makes several excitons per pulse, as a sum of exponentials.

k excitons recombine one after the other, so the last one's photons begin to come only when the others are
gone: its exponential is stronger, and theirs weaker or negative, than if all began with the pulse. What is
left at the next pulse adds to what that pulse makes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_MOST_PERIODS = 200
_STEADY = 1e-9


def photons_in_exponentials(
    rates_per_ns: NDArray[np.floating],
    yields: NDArray[np.floating],
    pairs_per_pulse: float,
    period_ns: float,
) -> NDArray[np.floating]:
    """Photons per pulse, in the steady state, in the exponential of each decay rate; negative ones occur.

    Entry k - 1 of `rates_per_ns` and `yields` belongs to k pairs; rates must all differ. A pulse adds a
    Poisson number of pairs, and more than the last entry's count as that many. Each amount is that of an
    exponential folded into the period, the one that `decay_probabilities` gives for one photon.
    """
    top = len(rates_per_ns)
    made = np.array([math.exp(-pairs_per_pulse) * pairs_per_pulse**k / math.factorial(k) for k in range(top)])
    made = np.append(made, 1.0 - made.sum())
    survive = np.exp(-rates_per_ns * period_ns)
    at_pulse = made
    for _ in range(_MOST_PERIODS):
        left = _populations(at_pulse[1:], rates_per_ns) @ survive
        joined = np.convolve(made, np.append(1.0 - left.sum(), left))
        joined = np.append(joined[:top], joined[top:].sum())
        change = np.abs(joined - at_pulse).max()
        at_pulse = joined
        if change < _STEADY:
            break
    populations = _populations(at_pulse[1:], rates_per_ns)
    return (rates_per_ns * yields) @ populations * (1.0 - survive) / rates_per_ns


def _populations(at_pulse: NDArray[np.floating], rates_per_ns: NDArray[np.floating]) -> NDArray[np.floating]:
    """Amplitude of exp(-rate m * time) in the probability of k pairs, shape (k, m) counted from one pair.

    The solution of the chain k -> k - 1 by H. Bateman, Proc. Cambridge Philos. Soc. 15, 423 (1910).
    """
    top = len(rates_per_ns)
    amplitude = np.zeros((top, top))
    for k in range(top - 1, -1, -1):
        if k + 1 < top:
            above = slice(k + 1, top)
            fed = rates_per_ns[k + 1] * amplitude[k + 1, above]
            amplitude[k, above] = fed / (rates_per_ns[k] - rates_per_ns[above])
        amplitude[k, k] = at_pulse[k] - amplitude[k, k + 1 :].sum()
    return amplitude
