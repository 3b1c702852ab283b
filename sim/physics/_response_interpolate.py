"""Compiled: which interactions of a pulse train make the signal, and their responses between grid points."""

from __future__ import annotations

import cmath
import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ._response_exact import DOUBLE_QUANTUM, NONREPHASING, REPHASING

TAPS = 8
"""Points per axis; half of them lie before a delay."""
_BAND = 0.42  # of the frequencies below half the sampling rate; the responses have little beyond
_FRACTIONS = 2048


def tap_table() -> NDArray[np.float64]:
    """Taps at fractions 0 to 1 of a step (float64 [2049, 8]).

    They interpolate oscillations within the band with the least mean square error, for the responses a third
    of that of a sinc in a Kaiser window.
    """
    point = np.arange(TAPS) - (TAPS // 2 - 1)
    fraction = np.linspace(0, 1, _FRACTIONS + 1)
    among = np.sinc(_BAND * (point[:, None] - point))
    with_point = np.sinc(_BAND * (point[:, None] - fraction))
    taps = np.linalg.lstsq(among, with_point, rcond=1e-13)[0]
    return np.array(taps.T, dtype=np.float64, order="C")


@njit(cache=True, nogil=True, error_model="numpy")
def list_terms(terms, factors, delays, amplitudes, probe_delay, probe_amplitude, frame, decays, least):
    """List every way to make -k + m + probe or k + m - probe; return their number.

    `terms` [.., 4] becomes kind of response, t1, t2 (fs) and the pulse that comes last (its index, or -1 for
    the probe); `factors` its complex amplitude, with the rotation of the `frame` (rad/fs) undone. Terms below
    `least` of the strongest pair of pulses are left out; `decays` are the optical and double-quantum rates.
    """
    count = len(delays)
    strongest = 0.0
    for k in range(count):
        strongest = max(strongest, abs(amplitudes[k]) ** 2)
    made = 0
    for k in range(count):
        for m in range(count):
            if abs(amplitudes[k] * amplitudes[m]) < least * strongest:
                continue
            for conjugate_probe in (False, True):
                if conjugate_probe:
                    if m < k:
                        continue
                    c = amplitudes[k] * amplitudes[m] * np.conj(probe_amplitude)
                    if m == k:
                        c *= 0.5
                    conjugate, x, y = probe_delay, delays[k], delays[m]
                    last_x, last_y, last_conjugate = k, m, -1
                else:
                    c = np.conj(amplitudes[k]) * amplitudes[m] * probe_amplitude
                    conjugate, x, y = delays[k], delays[m], probe_delay
                    last_x, last_y, last_conjugate = m, -1, k
                if x > y:
                    x, y, last_x, last_y = y, x, last_y, last_x
                if conjugate <= x:
                    kind, t1, t2, last = REPHASING, x - conjugate, y - x, last_y
                    turn, fall = t1, decays[0] * t1
                elif conjugate <= y:
                    kind, t1, t2, last = NONREPHASING, conjugate - x, y - conjugate, last_y
                    turn, fall = -t1, decays[0] * t1
                else:
                    kind, t1, t2, last = DOUBLE_QUANTUM, y - x, conjugate - y, last_conjugate
                    turn, fall = -t1 - 2 * t2, decays[0] * t1 + decays[1] * t2
                if abs(c) * math.exp(-fall) < least * strongest * abs(probe_amplitude):
                    continue
                terms[made, 0], terms[made, 1], terms[made, 2], terms[made, 3] = kind, t1, t2, last
                factors[made] = c * cmath.exp(1j * frame * turn)
                made += 1
    return made


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def add_terms(lines, terms, factors, cubes, axes, table):
    """Add interpolated responses to lines[1 + pulse that comes last] (complex64 [.., t3]).

    `cubes` are float32 [t2, t1, 2 t3] of R, N and Q; row k of `axes` is (first t2, step, number, first t1,
    step, number) of cube k. Returns -1, or the index of the first term that lies outside its cube.
    """
    row = np.empty(2 * lines.shape[1], np.float32)
    for k in range(len(terms)):
        kind = int(terms[k, 0])
        axis = axes[kind]
        at2, at1 = (terms[k, 2] - axis[0]) / axis[1], (terms[k, 1] - axis[3]) / axis[4]
        low2, low1 = math.floor(at2), math.floor(at1)
        first2, first1 = low2 - 3, low1 - 3
        if first2 < 0 or first1 < 0 or first2 + TAPS > axis[2] or first1 + TAPS > axis[5]:
            return k
        cube = cubes[kind]
        row[:] = 0
        for b in range(TAPS):
            weight2 = _between(table, at2 - low2, b)
            for a in range(TAPS):
                weight = np.float32(weight2 * _between(table, at1 - low1, a))
                source = cube[first2 + b, first1 + a]
                for t in range(len(row)):
                    row[t] += weight * source[t]
        line = lines[1 + int(terms[k, 3])]
        re, im = np.float32(factors[k].real), np.float32(factors[k].imag)
        for t in range(len(line)):
            line[t] += complex(re * row[2 * t] - im * row[2 * t + 1], re * row[2 * t + 1] + im * row[2 * t])
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def _between(table, fraction, tap):
    """Tap at a fraction of a step."""
    at = fraction * (len(table) - 1)
    low = min(int(at), len(table) - 2)
    return table[low, tap] + (at - low) * (table[low + 1, tap] - table[low, tap])
