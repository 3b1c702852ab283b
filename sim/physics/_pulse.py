"""What one laser pulse does at a constant charge: probability of a detecting pulse, and its pairs.

The pairs k form a Markov chain from pulse to pulse. As long as nothing is detected its distribution
settles (the leading left eigenvector of the no-detection transition matrix), and the chance that the
next period brings a detection is constant. A pulse is *proposed* with the chance that its pairs give a
detection at all; it counts when the first detection comes before the next pulse.
"""

from __future__ import annotations

import math

from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def require_row(s, trap, e):
    """Fill the pulse tables for the trap state and N_e = e - 1, unless they hold already."""
    if not s.ready[trap, e]:
        _fill_row(s, trap, e)
        s.ready[trap, e] = 1


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_row(s, trap, e):
    reach, cdf = s.reach[e], s.pairs_cdf[trap, e]
    missed = 1.0
    for k in range(1, reach.size):
        missed *= 1.0 - s.efficiency * s.quantum_yield[e, k]
        reach[k] = 1.0 - missed
    settled = s.scratch[0]
    if math.exp(-s.decay[e, 1] * s.period) > 1e-9:
        _settle(s, trap, e)
    else:
        for k in range(s.top + 1):
            settled[k] = s.poisson[trap, k]
    total = 0.0
    for k in range(s.top + 1):
        total += settled[k] * reach[k]
        cdf[k] = total
    for k in range(s.top + 1):
        cdf[k] /= total
    cdf[s.top] = 1.0
    s.proposal[trap, e] = total


@njit(cache=True, nogil=True, error_model="numpy")
def _settle(s, trap, e):
    """Distribution of k after a pulse, nothing detected for long, into row 0 of `scratch`."""
    top, poisson = s.top, s.poisson[trap]
    after, before, survive = s.scratch[0], s.scratch[1], s.scratch[3:]
    _survive_period(s, e, survive)
    before[: top + 1] = 0.0
    before[0] = 1.0
    for _ in range(400):
        for k in range(top + 1):
            after[k] = 0.0
            for b in range(k + 1):
                after[k] += before[b] * poisson[k - b]
        total, change = 0.0, 0.0
        for b in range(top + 1):
            kept = 0.0
            for k in range(b, top + 1):
                kept += after[k] * survive[k, b]
            s.scratch[2, b] = kept
            total += kept
        for b in range(top + 1):
            kept = s.scratch[2, b] / total
            change += abs(kept - before[b])
            before[b] = kept
        if change < 1e-7:
            break


@njit(cache=True, nogil=True, error_model="numpy")
def _survive_period(s, e, survive):
    """Probability that k pairs have become b after one period without a detection, into survive[k, b].

    A pure death chain: the probability of k -> b is the product of the rates from k to b + 1 times the
    divided difference of exp(-rate * time) over the rates of b ... k, with alternating sign.
    """
    rate = s.decay[e]
    for k in range(1, s.top + 1):
        difference = s.scratch[2]
        difference[k] = math.exp(-rate[k] * s.period)
        survive[k, k] = difference[k]
        gone, path, missed = 1.0 - difference[k], 1.0, 1.0
        for b in range(k - 1, 0, -1):
            # difference[b] still holds the divided difference over b ... k - 1
            difference[b] = (difference[b + 1] - difference[b]) / (rate[k] - rate[b])
            path *= -rate[b + 1]
            missed *= 1.0 - s.efficiency * s.quantum_yield[e, b + 1]
            survive[k, b] = path * difference[b] * missed
            gone -= path * difference[b]
        missed *= 1.0 - s.efficiency * s.quantum_yield[e, 1]
        survive[k, 0] = gone * missed
    survive[0, 0] = 1.0
