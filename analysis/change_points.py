"""Where a blinking emitter changes state: the best cut of a photon record into stretches of constant decay.

Photons are counted per time bin in a few micro-time classes. Within a stretch each class is a Poisson
process of constant rate, so counts and delays enter one likelihood: a state that differs in lifetime only
is told apart as well as one that differs in brightness. The cut with the largest penalized likelihood is
found by dynamic programming with pruning (Killick, Fearnhead, Eckley, J. Am. Stat. Assoc. 107, 1590
(2012)). Their pruning is exact, but quadratic in the length of a stretch; here a start that has not earned
half the price of a change within `PATIENCE_BINS` is given up as well. What that loses are changes of a few
per cent.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

PATIENCE_BINS = 256
"""Time bins in which a possible change must show itself."""


def change_points(class_counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Edges of the stretches, from 0 to the number of time bins; input shape (time bins, classes).

    Every change costs ln(bins) (classes + 1) / 2, the Bayesian information criterion.
    """
    n_bins, n_classes = class_counts.shape
    if n_bins == 0:
        return np.zeros(1, np.int64)
    cumulative = np.zeros((n_bins + 1, n_classes), np.int64)
    np.cumsum(class_counts, axis=0, out=cumulative[1:])
    n = np.arange(int(cumulative[-1].max()) + 1, dtype=np.float64)
    n_log_n = n * np.log(np.maximum(n, 1.0))
    bins = np.arange(n_bins + 1, dtype=np.float64)
    log_length = np.log(np.maximum(bins, 1.0))
    penalty = 0.5 * (n_classes + 1) * np.log(n_bins)
    previous = _best_cut(cumulative, n_log_n, log_length, penalty)
    edges = [n_bins]
    while edges[-1] > 0:
        edges.append(int(previous[edges[-1]]))
    return np.array(edges[::-1], np.int64)


@njit(cache=True, nogil=True)
def _best_cut(
    cumulative: NDArray[np.int64],
    n_log_n: NDArray[np.floating],
    log_length: NDArray[np.floating],
    penalty: float,
) -> NDArray[np.int64]:
    """Start of the last stretch of the best cut of the first t bins, for every t."""
    n_bins = cumulative.shape[0] - 1
    n_classes = cumulative.shape[1]
    cost = np.empty(n_bins + 1)
    cost[0] = -penalty
    previous = np.zeros(n_bins + 1, np.int64)
    starts = np.zeros(n_bins + 1, np.int64)
    costs = np.empty(n_bins + 1)
    n_starts = 1
    for t in range(1, n_bins + 1):
        best = np.inf
        for i in range(n_starts):
            s = starts[i]
            total = 0
            gain = 0.0
            for j in range(n_classes):
                n = cumulative[t, j] - cumulative[s, j]
                total += n
                gain += n_log_n[n]
            costs[i] = cost[s] - gain + total * log_length[t - s]
            if costs[i] + penalty < best:
                best = costs[i] + penalty
                previous[t] = s
        cost[t] = best
        kept = 0
        for i in range(n_starts):  # a start that loses by more than a change costs can never win again
            patient = t - starts[i] < PATIENCE_BINS
            if costs[i] <= (best if patient else best - 0.5 * penalty):
                starts[kept] = starts[i]
                kept += 1
        starts[kept] = t
        n_starts = kept + 1
    return previous
