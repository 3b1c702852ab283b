"""Compiled: signals of an ensemble at single settings of t1 and t2, for all t3, in double precision.

For given t1 and t2 every pathway through a transition k -> F, or to the ground state from k, has the same
dependence on t3, so each dimer needs 496 + 16 complex coefficients, whatever the number of pathways, and any number
of settings can be added up before t3 is unrolled. Formulas: `reference_response`.
"""

from __future__ import annotations

import cmath
import math

import numpy as np
from numba import njit

from .dimer_states import EXCITONS

REPHASING, NONREPHASING, DOUBLE_QUANTUM = 0, 1, 2
_STATES = EXCITONS


@njit(cache=True, nogil=True, error_model="numpy")
def add_settings(
    out, dimers, settings, amplitudes, shares, levels, light, links, link_exciton, link_pair, decays, times
):
    """Add the signals of `dimers` to out[t3] (complex128).

    `settings` is [s, 3]: kind of signal, t1, t2; `amplitudes` [s] multiply; `shares` [s, 16, 16] are exp(K t2);
    `levels` are frequencies in rad/fs [n, 16] and [n, 136], `light` dipoles and fields [n, 16]; `links` are dipoles
    [n, 496] and dipoles times field; `decays` are rates in 1/fs: optical, ESA, double quantum, exciton;
    `times` is (first t3, step, number).
    """
    energy, pair_energy = levels
    dipole, field = light
    climb, climb_lit = links
    count, pairs = len(link_pair), pair_energy.shape[1]
    start, step, n3 = times
    rising = np.empty(count, np.complex128)
    falling = np.empty(_STATES, np.complex128)
    re, im = np.empty(count + _STATES), np.empty(count + _STATES)
    turn_re, turn_im = np.empty(count + _STATES), np.empty(count + _STATES)
    into = np.empty(pairs, np.complex128)
    state, pair_start, pair_turn = np.empty((2, _STATES), np.complex128), into.copy(), into.copy()
    for n in dimers:
        rising[:] = 0
        falling[:] = 0
        for s in range(len(settings)):
            kind, t1, t2 = settings[s, 0], settings[s, 1], settings[s, 2]
            _add_setting(
                rising, falling, into, kind, t1, t2, amplitudes[s], shares[s], energy[n], pair_energy[n],
                dipole[n], field[n], climb[n], climb_lit[n], link_exciton, link_pair, decays,
            )  # fmt: skip
        for k in range(_STATES):
            state[0, k] = cmath.exp(1j * energy[n, k] * start)
            state[1, k] = cmath.exp(1j * energy[n, k] * step)
            c = falling[k] * np.conj(state[0, k]) * math.exp(-decays[0] * start)
            re[count + k], im[count + k] = c.real, c.imag
            c = np.conj(state[1, k]) * math.exp(-decays[0] * step)
            turn_re[count + k], turn_im[count + k] = c.real, c.imag
        for f in range(pairs):
            pair_start[f] = cmath.exp(-1j * pair_energy[n, f] * start) * math.exp(-decays[1] * start)
            pair_turn[f] = cmath.exp(-1j * pair_energy[n, f] * step) * math.exp(-decays[1] * step)
        for link in range(count):
            k, f = link_exciton[link], link_pair[link]
            c = rising[link] * pair_start[f] * state[0, k]
            re[link], im[link] = c.real, c.imag
            c = pair_turn[f] * state[1, k]
            turn_re[link], turn_im[link] = c.real, c.imag
        for t in range(n3):
            out[t] += _sum_and_turn(re, im, turn_re, turn_im)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _sum_and_turn(re, im, turn_re, turn_im):
    """Return the sum of complex numbers and turn each one by a step."""
    sum_re, sum_im = 0.0, 0.0
    for k in range(len(re)):
        a, b, c, s = re[k], im[k], turn_re[k], turn_im[k]
        sum_re += a
        sum_im += b
        re[k] = a * c - b * s
        im[k] = a * s + b * c
    return complex(sum_re, sum_im)


@njit(cache=True, nogil=True, error_model="numpy")
def _add_setting(
    rising, falling, into, kind, t1, t2, amplitude, share, energy, pair_energy,
    dipole, field, climb, climb_lit, link_exciton, link_pair, decays,
):  # fmt: skip
    """Add one setting's coefficients of one dimer: `falling` to the ground state, `rising` on the transitions."""
    excited = dipole * field
    into[:] = 0
    if kind == DOUBLE_QUANTUM:
        first = amplitude * excited * np.exp(-1j * energy * t1) * math.exp(-decays[0] * t1 - decays[2] * t2)
        for link in range(len(link_pair)):
            into[link_pair[link]] += first[link_exciton[link]] * climb_lit[link]
        into *= np.exp(-1j * pair_energy * t2)
        for link in range(len(link_pair)):
            k = link_exciton[link]
            climbed = into[link_pair[link]]
            rising[link] -= excited[k] * climb[link] * climbed
            falling[k] += dipole[k] * climb_lit[link] * climbed
        return
    sign = 1j if kind == REPHASING else -1j
    born = (
        amplitude * excited**2 * np.exp(sign * energy * t1) * math.exp(-decays[0] * t1)
    )  # all that t1 leaves
    both = math.exp(-decays[0] * t1 - decays[3] * t2)
    # the state that was excited by pulse 1 and the one by pulse 2, over t1 and t2
    one = amplitude * both * excited * np.exp(sign * energy * (t1 + t2))
    other = excited * np.exp(-sign * energy * t2)
    if kind == REPHASING:
        stays, lifted = one, other
        glow_one, glow_other = one * excited, other * dipole  # fields E_i^2 E_j
        total = glow_one.sum()
        for k in range(_STATES):
            falling[k] += (total - glow_one[k]) * glow_other[k]
    else:
        stays, lifted = other, one
        glow_one, glow_other = one * dipole, other * excited  # fields E_i E_j^2
        total = glow_other.sum()
        for k in range(_STATES):
            falling[k] += (total - glow_other[k]) * glow_one[k]
    bleached = born.sum()
    relaxed = np.zeros(_STATES, np.complex128)
    for k in range(_STATES):
        for i in range(_STATES):
            relaxed[k] += share[k, i] * born[i]
        falling[k] += dipole[k] ** 2 * field[k] * (bleached + relaxed[k])
    for link in range(len(link_pair)):
        into[link_pair[link]] += lifted[link_exciton[link]] * climb_lit[link]
    for link in range(len(link_pair)):
        k = link_exciton[link]
        coherent = stays[k] * (into[link_pair[link]] - lifted[k] * climb_lit[link])
        rising[link] -= climb[link] * (coherent + climb_lit[link] * relaxed[k])
