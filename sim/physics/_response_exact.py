"""Compiled: signals of an ensemble at single settings of t1 and t2, for all t3, in double precision.

For given t1 and t2 every pathway through a transition k -> F, or to the ground state from k, has the same
dependence on t3, so each dimer needs 496 + 16 complex coefficients, whatever the number of pathways, and any
number of settings can be added up before t3 is unrolled. Formulas: `reference_response`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .dimer_states import EXCITONS

REPHASING, NONREPHASING, DOUBLE_QUANTUM = 0, 1, 2
_STATES = EXCITONS


@njit(cache=True, nogil=True, error_model="numpy")
def add_settings(
    out, dimers, settings, amplitudes, shares, levels, light, links, link_exciton, link_pair, decays, step
):
    """Add the signals of `dimers` at t3 = 0, step, 2 step .. to `out` (complex128 [parts, t3]).

    One part is everything; of three, the first is absorption, the second emission, the third the bleach.

    `settings` is [s, 3]: kind of signal, t1, t2; `amplitudes` [s] multiply; `shares` [s, 16, 16] are
    exp(K t2); `levels` are frequencies in rad/fs [n, 16] and [n, 136], `light` dipoles and fields [n, 16];
    `links` are dipoles [n, 496] and dipoles times field; `decays` are rates in 1/fs: optical, ESA, double
    quantum, exciton.
    """
    energy, pair_energy = levels
    dipole, field = light
    climb, climb_lit = links
    count, pairs = len(link_pair), pair_energy.shape[1]
    apart = len(out) > 1
    size = count + 2 * _STATES if apart else count + _STATES
    ends = np.array([0, count, count + _STATES, size] if apart else [0, size])
    rising, falling = np.empty(count, np.complex128), np.empty(_STATES, np.complex128)
    bleaching = np.empty(_STATES, np.complex128)
    into, pair_turn = np.empty(pairs, np.complex128), np.empty(pairs, np.complex128)
    scratch = np.empty((6, _STATES), np.complex128)
    re, im, turn_re, turn_im = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    last_fall, pair_fall = math.exp(-decays[0] * step), math.exp(-decays[1] * step)
    for n in dimers:
        rising[:] = 0
        falling[:] = 0
        bleaching[:] = 0
        for s in range(len(settings)):
            if settings[s, 0] == DOUBLE_QUANTUM:
                _add_double_quantum(
                    rising, falling, into, scratch, settings[s], amplitudes[s], energy[n], pair_energy[n],
                    dipole[n], field[n], climb[n], climb_lit[n], link_exciton, link_pair, decays,
                )  # fmt: skip
            else:
                _add_single_quantum(
                    rising, falling, bleaching, apart, into, scratch, settings[s], amplitudes[s], shares[s],
                    energy[n], dipole[n], field[n], climb[n], climb_lit[n], link_exciton, link_pair, decays,
                )  # fmt: skip
        for f in range(pairs):
            pair_turn[f] = _turn(-pair_energy[n, f] * step) * pair_fall
        for k in range(_STATES):
            scratch[0, k] = _turn(energy[n, k] * step)
            re[count + k], im[count + k] = falling[k].real, falling[k].imag
            turn_re[count + k] = last_fall * scratch[0, k].real
            turn_im[count + k] = -last_fall * scratch[0, k].imag
        if apart:
            re[ends[2] :], im[ends[2] :] = bleaching.real, bleaching.imag
            turn_re[ends[2] :], turn_im[ends[2] :] = turn_re[count : ends[2]], turn_im[count : ends[2]]
        for link in range(count):
            re[link], im[link] = rising[link].real, rising[link].imag
            c = pair_turn[link_pair[link]] * scratch[0, link_exciton[link]]
            turn_re[link], turn_im[link] = c.real, c.imag
        for part in range(len(out)):
            here, line = slice(ends[part], ends[part + 1]), out[part]
            a, b, c, d = re[here], im[here], turn_re[here], turn_im[here]
            for t in range(0, len(line), 2):
                even, odd = _sum_and_turn(a, b, c, d)
                line[t] += even
                if t + 1 < len(line):
                    line[t + 1] += odd


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _turn(angle):
    """Return exp(i angle)."""
    return complex(math.cos(angle), math.sin(angle))


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _sum_and_turn(re, im, turn_re, turn_im):
    """Return the sums of complex numbers now and after a step, and turn each one by two steps."""
    even_re, even_im, odd_re, odd_im = 0.0, 0.0, 0.0, 0.0
    for k in range(len(re)):
        a, b, c, s = re[k], im[k], turn_re[k], turn_im[k]
        even_re += a
        even_im += b
        a, b = a * c - b * s, a * s + b * c
        odd_re += a
        odd_im += b
        re[k], im[k] = a * c - b * s, a * s + b * c
    return complex(even_re, even_im), complex(odd_re, odd_im)


@njit(cache=True, nogil=True, error_model="numpy")
def _add_double_quantum(
    rising, falling, into, scratch, setting, amplitude, energy, pair_energy,
    dipole, field, climb, climb_lit, link_exciton, link_pair, decays,
):  # fmt: skip
    """Add the coefficients of Q of one dimer: `falling` to the ground state, `rising` on the transitions."""
    t1, t2 = setting[1], setting[2]
    first = scratch[0]
    fall = amplitude * math.exp(-decays[0] * t1 - decays[2] * t2)
    for i in range(_STATES):
        first[i] = fall * dipole[i] * field[i] * _turn(-energy[i] * t1)
    into[:] = 0
    for link in range(len(link_pair)):
        into[link_pair[link]] += first[link_exciton[link]] * climb_lit[link]
    for f in range(len(into)):
        into[f] *= _turn(-pair_energy[f] * t2)
    for link in range(len(link_pair)):
        k = link_exciton[link]
        climbed = into[link_pair[link]]
        rising[link] -= dipole[k] * field[k] * climb[link] * climbed
        falling[k] += dipole[k] * climb_lit[link] * climbed


@njit(cache=True, nogil=True, error_model="numpy")
def _add_single_quantum(
    rising, falling, bleaching, apart, into, scratch, setting, amplitude, share,
    energy, dipole, field, climb, climb_lit, link_exciton, link_pair, decays,
):  # fmt: skip
    """Add the coefficients of R or N of one dimer; the bleach counts as emission if not kept `apart`."""
    t1, t2 = setting[1], setting[2]
    rephasing = setting[0] == REPHASING
    sign = 1.0 if rephasing else -1.0
    # `one` is the state that pulse 1 excites, over t1 and t2; `other` that of pulse 2, over t2
    one, other, born, settled = scratch[0], scratch[1], scratch[2], scratch[3]
    glow_one, glow_other = scratch[4], scratch[5]
    optical = amplitude * math.exp(-decays[0] * t1)
    both = optical * math.exp(-decays[3] * t2)
    bleached, total = 0j, 0j
    for k in range(_STATES):
        excited = dipole[k] * field[k]
        turn1, turn2 = _turn(sign * energy[k] * t1), _turn(sign * energy[k] * t2)
        born[k] = optical * excited**2 * turn1
        bleached += born[k]
        one[k] = both * excited * turn1 * turn2
        other[k] = excited * np.conj(turn2)
        if rephasing:  # fields E_i^2 E_j
            glow_one[k], glow_other[k] = one[k] * excited, other[k] * dipole[k]
            total += glow_one[k]
        else:  # E_i E_j^2
            glow_one[k], glow_other[k] = one[k] * dipole[k], other[k] * excited
            total += glow_other[k]
    joined = 0j if apart else bleached
    stays, lifted = (one, other) if rephasing else (other, one)
    glow, partner = (glow_other, glow_one) if rephasing else (glow_one, glow_other)
    for k in range(_STATES):
        relaxed = 0j
        for i in range(_STATES):
            relaxed += share[k, i] * born[i]
        shines = dipole[k] ** 2 * field[k]
        falling[k] += (total - partner[k]) * glow[k] + shines * (joined + relaxed)
        bleaching[k] += shines * (bleached - joined)
        settled[k] = relaxed
    into[:] = 0
    for link in range(len(link_pair)):
        into[link_pair[link]] += lifted[link_exciton[link]] * climb_lit[link]
    for link in range(len(link_pair)):
        k = link_exciton[link]
        coherent = stays[k] * (into[link_pair[link]] - lifted[k] * climb_lit[link])
        rising[link] -= climb[link] * (coherent + climb_lit[link] * settled[k])
