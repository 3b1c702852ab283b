"""Random streams inside compiled kernels: xoshiro256++ states, one row of an array per stream.

Algorithm: D. Blackman and S. Vigna, "Scrambled linear pseudorandom number generators" (2021).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

_17, _23, _41, _45, _19, _11 = (np.uint64(n) for n in (17, 23, 41, 45, 19, 11))
_ONE = np.uint64(1)
_2_POW_MINUS_53 = 2.0**-53


def streams(seed: int, purpose: int, count: int) -> NDArray[np.uint64]:
    """Independent random streams for one purpose (uint64 of shape (count, 4))."""
    words = np.random.SeedSequence([seed, purpose]).generate_state(4 * count, np.uint64)
    return words.astype(np.uint64, copy=False).reshape(count, 4)


@njit(cache=True, nogil=True, error_model="numpy")
def next_bits(rng, i):
    """Draw 64 random bits from stream `i` (uint64)."""
    s0, s1, s2, s3 = rng[i, 0], rng[i, 1], rng[i, 2], rng[i, 3]
    total = s0 + s3
    bits = ((total << _23) | (total >> _41)) + s0
    s2 ^= s0
    s3 ^= s1
    rng[i, 1] = s1 ^ s2
    rng[i, 0] = s0 ^ s3
    rng[i, 2] = s2 ^ (s1 << _17)
    rng[i, 3] = (s3 << _45) | (s3 >> _19)
    return bits


@njit(cache=True, nogil=True, error_model="numpy")
def uniform(rng, i):
    """Draw from (0, 1]."""
    return np.float64((next_bits(rng, i) >> _11) + _ONE) * _2_POW_MINUS_53


@njit(cache=True, nogil=True, error_model="numpy")
def exponential(rng, i):
    """Draw an exponential number of mean 1."""
    return -math.log(uniform(rng, i))


@njit(cache=True, nogil=True, error_model="numpy")
def normal(rng, i, spare):
    """Draw a standard normal number (Marsaglia's polar method).

    The method makes two at a time; `spare`, one float64, keeps the second one and is nan without it.
    """
    if not math.isnan(spare[0]):
        x = spare[0]
        spare[0] = math.nan
        return x
    while True:
        x = 2.0 * uniform(rng, i) - 1.0
        y = 2.0 * uniform(rng, i) - 1.0
        r2 = x * x + y * y
        if 0.0 < r2 < 1.0:
            stretch = math.sqrt(-2.0 * math.log(r2) / r2)
            spare[0] = y * stretch
            return x * stretch
