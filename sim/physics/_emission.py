"""The compiled photon source: from proposal to proposal of a detecting pulse, then pair by pair.

Times that do not change how many photons come (a chunk's end, a cell of unchanged bias) are never
events here, so the record does not depend on how it is cut.

Compiled code is kept by the date of this file alone: after a change in `_charge`, `_pulse`, `_state`
or `_random`, touch this file or delete what lies in `__pycache__`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ._charge import (
    CHARGE,
    EMISSION,
    TRAP,
    advance_charge,
    blink,
    follow_charge,
    forget_charge,
    present_hazard,
    proposal_of,
    remember_charge,
    set_bias,
    spend_pulses,
    visit,
)
from ._pulse import require_row
from ._random import exponential, next_bits, normal, uniform
from ._state import FOLLOWED, FORCED, HIDDEN
from .detection import insert

_SNAP_V = 2.5e-3  # smaller bias steps (2 % of kT in Fermi level) skip the electronics' pole
_SETTLED_V = 2.5e-4
_SLICE = 4000  # 100 ns: the bias is constant within a slice while it settles
_MEMORY = 2.6  # k is forgotten after so many exciton lifetimes, rounded up to whole periods


@njit(cache=True, nogil=True, error_model="numpy")
def set_light(source, at, emitting, period, efficiency, pump_scale, top):
    """Change the light at tick `at`; `poisson` must hold the new pulses already."""
    s = source[0]
    if s.started:
        s.emitting, pending = 0, s.emitting
        spend_pulses(s, at)
        s.emitting = pending
    s.emitting, s.period, s.efficiency, s.pump_scale, s.top = emitting, period, efficiency, pump_scale, top
    s.pulse = -(-at // period)
    s.ready[:] = 0
    if not s.started:
        return
    s.forget_k_pulse = s.pulse + 1
    s.mix_ready = 0
    if s.knowledge == FOLLOWED and s.k == 0:
        _hide(s)
    set_bias(s, at, s.v)


@njit(cache=True, nogil=True, error_model="numpy")
def make_photons(source, edges, bias, until, photons, changes):
    """Emit until `until`; False when `photons` or `changes` are full, to be called again with more room."""
    s = source[0]
    for cell in range(s.cell, edges.size):
        s.cell = cell
        end = edges[cell + 1] if cell + 1 < edges.size else until
        if not s.started:
            _start(s, edges[cell], bias[cell])
        elif bias[cell] != s.target_v:
            _step_bias(s, edges[cell], bias[cell])
        while True:
            stop = min(end, s.step_at + (s.slice + 1) * _SLICE) if s.relaxing else end
            if not _run(s, stop, photons, changes):
                return False
            if stop == end:
                break
            s.slice += 1
            _relax_bias(s, stop)
    s.cell = 0
    return True


# ---- bias ----


@njit(cache=True, nogil=True, error_model="numpy")
def _start(s, at, v):
    """Begin in equilibrium at the bias `v`, without trapped charges."""
    s.started, s.target_v, s.knowledge = 1, v, HIDDEN
    s.budget = exponential(s.rng, EMISSION)
    s.trap_budget, s.trap_since = exponential(s.rng, TRAP), at
    s.jump_at = s.q_at = s.trap_at = np.inf
    if s.blinks:
        visit(s, at)
    set_bias(s, at, v)
    if s.charges:
        u, n = uniform(s.rng, CHARGE), s.low
        while n < s.high and s.occupation[n] < u:
            u -= s.occupation[n]
            n += 1
        s.n = n
        s.jump_at = at + exponential(s.rng, CHARGE) / (s.up[n] + s.down[n])
        follow_charge(s, at)


@njit(cache=True, nogil=True, error_model="numpy")
def _step_bias(s, at, v):
    """The bias in front of the electronics becomes `v`."""
    now = s.v
    if s.relaxing:
        now = s.target_v + (s.from_v - s.target_v) * math.exp(-(at - s.step_at) / s.pole)
    s.target_v = v
    if abs(v - now) <= _SNAP_V:
        s.relaxing = 0
        set_bias(s, at, v)
        return
    if s.mixed:
        remember_charge(s, s.mix, at)
    s.relaxing, s.from_v, s.step_at, s.slice = 1, now, at, 0
    _relax_bias(s, at)


@njit(cache=True, nogil=True, error_model="numpy")
def _relax_bias(s, at):
    """Begin the present slice of the electronics' response."""
    rest = (s.from_v - s.target_v) * math.exp(-(s.slice + 0.5) * _SLICE / s.pole)
    if abs(rest) > _SETTLED_V:
        set_bias(s, at, s.target_v + rest)
        return
    s.relaxing = 0
    set_bias(s, at, s.target_v)
    follow_charge(s, at)


# ---- pairs and photons ----


@njit(cache=True, nogil=True, error_model="numpy")
def _run(s, until, photons, changes):
    """Emit until `until` at constant bias and light; False when out of room."""
    while s.photons < photons.size and s.changes < changes.shape[0]:
        stop = min(s.q_at, s.trap_at)
        if s.knowledge == HIDDEN:
            at, pulse = np.inf, np.int64(0)
            if s.hazard > 0.0 and s.budget / s.hazard < 1e15:
                pulse = s.pulse + np.int64(s.budget / s.hazard)
                at = np.float64(pulse * s.period)
            if s.fast and not s.mixed and s.forget_n_at < min(at, stop, until):
                forget_charge(s)
            elif at < min(stop, until):
                _propose(s, pulse)
            elif stop < until:
                blink(s, changes)
            else:
                return True
            continue
        pulse_at = np.float64(s.pulse * s.period) if s.emitting else np.inf
        at = min(s.decay_at, s.jump_at) if s.k > 0 else np.inf
        if min(at, pulse_at) >= min(stop, until):
            if stop >= until:
                return True
            e = s.n + s.q + 1
            blink(s, changes)
            _change_charge(s, stop, e)
        elif pulse_at <= at:
            _pulse(s, pulse_at)
        elif s.jump_at <= s.decay_at:
            e = s.n + s.q + 1
            advance_charge(s, at)
            _change_charge(s, at, e)
        else:
            _recombine(s, photons)
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _propose(s, pulse):
    """Try whether the present charge makes `pulse` a detecting one, and if so draw its pairs."""
    at = np.float64(pulse * s.period)
    s.pulse = pulse + 1
    if s.mixed:
        remember_charge(s, s.propose, at)
        follow_charge(s, at)
        e = s.n + s.q + 1
    else:
        advance_charge(s, at)
        e = s.n + s.q + 1
        proposal = proposal_of(s, s.n)
        if proposal < s.peak and uniform(s.rng, EMISSION) * s.peak > proposal:
            s.budget, s.hazard = exponential(s.rng, EMISSION), present_hazard(s)
            return
    u, k = uniform(s.rng, EMISSION), 1
    while s.pairs_cdf[s.trap, e, k] < u:
        k += 1
    s.knowledge, s.k, s.weight = FORCED, k, 1.0 / s.headroom
    s.decay_at = at + exponential(s.rng, EMISSION) / s.decay[e, k]


@njit(cache=True, nogil=True, error_model="numpy")
def _hide(s):
    """Forget k: the next thing to know is the next proposed pulse."""
    s.knowledge, s.k = HIDDEN, 0
    s.budget, s.hazard = exponential(s.rng, EMISSION), present_hazard(s)


@njit(cache=True, nogil=True, error_model="numpy")
def _change_charge(s, at, old):
    """Let the living pairs go on under another charge; `old` is N_e + 1 before."""
    e = s.n + s.q + 1
    if s.k == 0 or e == old:
        return
    s.decay_at = at + (s.decay_at - at) * s.decay[old, s.k] / s.decay[e, s.k]
    if s.knowledge == FORCED:
        require_row(s, s.trap, old)
        require_row(s, s.trap, e)
        s.weight *= s.reach[e, s.k] / s.reach[old, s.k]


@njit(cache=True, nogil=True, error_model="numpy")
def _pulse(s, at):
    """A laser pulse meets pairs that are being followed."""
    if s.knowledge == FORCED or s.pulse >= s.forget_k_pulse:
        _hide(s)  # FORCED: its first detection came too late, so this pulse has none
        return
    s.pulse += 1
    u, made = uniform(s.rng, EMISSION), 0
    while made < s.poisson_cdf.shape[1] - 1 and s.poisson_cdf[s.trap, made] < u:
        made += 1
    if made == 0:
        return
    if s.k == 0:
        advance_charge(s, at)
    e, k = s.n + s.q + 1, min(s.k + made, s.top)
    if s.k == 0:
        s.decay_at = at + exponential(s.rng, EMISSION) / s.decay[e, k]
    else:
        s.decay_at = at + (s.decay_at - at) * s.decay[e, s.k] / s.decay[e, k]
    s.k = k


@njit(cache=True, nogil=True, error_model="numpy")
def _recombine(s, photons):
    """One pair recombines, with or without a detected photon."""
    e, k, at = s.n + s.q + 1, s.k, s.decay_at
    detected = s.efficiency * s.quantum_yield[e, k]
    if s.knowledge == FORCED:
        require_row(s, s.trap, e)
        if uniform(s.rng, EMISSION) * s.reach[e, k] < detected:
            if uniform(s.rng, EMISSION) > s.weight:
                _hide(s)
                return
            _photon(s, e, at, photons)
    elif uniform(s.rng, EMISSION) <= detected:
        _photon(s, e, at, photons)
    s.k = k - 1
    if s.k > 0:
        s.decay_at = at + exponential(s.rng, EMISSION) / s.decay[e, s.k]
    elif not s.emitting:
        _hide(s)


@njit(cache=True, nogil=True, error_model="numpy")
def _photon(s, e, at, photons):
    """Write a detected photon, and follow the pairs pulse by pulse for a while."""
    tick = np.int64(math.floor(at + s.offset + s.sigma * normal(s.rng, EMISSION, s.spare)))
    insert(photons, s.photons, 2 * tick + np.int64(next_bits(s.rng, EMISSION) >> np.uint64(63)))
    s.photons += 1
    s.knowledge = FOLLOWED
    s.forget_k_pulse = s.pulse + np.int64(math.ceil(_MEMORY / (s.decay[e, 1] * s.period)))
    follow_charge(s, at)
