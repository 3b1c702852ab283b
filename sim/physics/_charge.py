"""Compiled charging and blinking: electrons from the electrode, trapped charge, hot-electron trap.

Every clock is a unit exponential that is spent at the present rate; nothing is drawn again when a
rate changes. Times are ticks (float64 holds them to better than a tick for hours).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ._pulse import require_row
from ._random import exponential, uniform
from ._state import HIDDEN

EMISSION, CHARGE, BLINK, TRAP = 0, 1, 2, 3
"""Random streams of the photon source."""

_TAIL = 1e-9  # charges rarer than this against the most probable one are left out
_FAST_TICKS = 8e5  # 20 us: N may only be forgotten where it relaxes faster
_FAST_PER_DETECTION = 0.15  # ... and by that factor faster than detections follow each other
_RELAXATIONS = 6.0  # N is followed for so many relaxation times after a detection
_JUMPY = 2.5e-5  # per tick, 1e6 per s: jumps during an exciton's life are not rare
_RARE = 1e-5  # charges rarer than this do not set how often a pulse is proposed


@njit(cache=True, nogil=True, error_model="numpy")
def advance_charge(s, until):
    """Let electrons come and go until `until`."""
    n, at = s.n, s.jump_at
    while at <= until:
        up = s.up[n]
        if uniform(s.rng, CHARGE) * (up + s.down[n]) <= up:
            n += 1
        else:
            n -= 1
        at += exponential(s.rng, CHARGE) / (s.up[n] + s.down[n])
    s.n, s.jump_at = n, at


@njit(cache=True, nogil=True, error_model="numpy")
def remember_charge(s, cumulative, at):
    """Draw the forgotten N from a `cumulative` table of the mixture; it is followed from `at` on."""
    u = uniform(s.rng, CHARGE) * cumulative[s.mix_high]
    n = s.mix_low
    while cumulative[n] < u:
        n += 1
    s.n, s.mixed = n, 0
    s.jump_at = at + _wait(s)


@njit(cache=True, nogil=True, error_model="numpy")
def follow_charge(s, at):
    """Keep following N for some relaxation times."""
    s.forget_n_at = at + _RELAXATIONS * s.relaxation


@njit(cache=True, nogil=True, error_model="numpy")
def forget_charge(s):
    """From `forget_n_at` on, N has its stationary distribution."""
    s.mixed = 1
    if not s.mix_ready:
        _mix(s)
    spend_pulses(s, s.forget_n_at)


@njit(cache=True, nogil=True, error_model="numpy")
def _wait(s):
    rate = s.up[s.n] + s.down[s.n]
    return exponential(s.rng, CHARGE) / rate if rate > 0.0 else np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def spend_pulses(s, at):
    """While k is hidden: pay for the pulses before `at`, and go on at the present hazard."""
    if s.knowledge != HIDDEN:
        return
    hazard = present_hazard(s)
    if hazard != s.hazard:
        due = np.int64(math.ceil(at / s.period))
        if due > s.pulse:
            s.budget = max(0.0, s.budget - (due - s.pulse) * s.hazard)
            s.pulse = due
        s.hazard = hazard


@njit(cache=True, nogil=True, error_model="numpy")
def present_hazard(s):
    """Unit budget that one pulse costs."""
    if not s.emitting:
        return 0.0
    if s.mixed:
        return s.mix_hazard
    return s.peak_hazard


# ---- bias ----


@njit(cache=True, nogil=True, error_model="numpy")
def set_bias(s, at, v):
    """Let the dot feel the bias `v` from `at` on."""
    s.v = v
    if s.charges:
        rate = 0.0
        if not s.mixed:
            advance_charge(s, at)
            rate = s.up[s.n] + s.down[s.n]
        _fill_exchange(s)
        s.mix_ready = 0
        if s.mixed:
            if not s.fast:
                remember_charge(s, s.mix, at)
        elif rate > 0.0:
            s.jump_at = at + (s.jump_at - at) * rate / (s.up[s.n] + s.down[s.n])
        else:
            s.jump_at = at + _wait(s)
        if s.fast:
            s.forget_n_at = max(s.forget_n_at, at)
    set_peak(s)
    if s.mixed:
        _mix(s)
    spend_pulses(s, at)
    spend_blinking(s, at)


@njit(cache=True, nogil=True, error_model="numpy")
def set_peak(s):
    """Find how often a pulse has to be proposed while N is followed.

    Proposals are thinned by the charge that they meet, so the brightest charge in use sets their rate.
    A charge that changes while a proposed pulse is undecided changes its chances: `headroom` allows for
    two electrons leaving during an exciton's life, where that is not rare.
    """
    s.peak, s.headroom = 0.0, 1.0
    if not s.emitting:
        s.peak_hazard = 0.0
        return
    for n in range(s.low, s.high + 1):
        if s.occupation[n] > _RARE or not s.fast:
            s.peak = max(s.peak, proposal_of(s, n))
    if s.up[s.mode_n] + s.down[s.mode_n] > _JUMPY:
        brighter = proposal_of(s, max(0, s.mode_n - 2)) / proposal_of(s, s.mode_n)
        s.headroom = max(1.0, min(brighter, 0.9 / s.peak))
    s.peak_hazard = -math.log1p(-s.headroom * s.peak)


@njit(cache=True, nogil=True, error_model="numpy")
def proposal_of(s, n):
    """Chance that a pulse is proposed at `n` electrons, with the present trapped charge, trap and light."""
    e = n + s.q + 1
    require_row(s, s.trap, e)
    return s.proposal[s.trap, e]


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_exchange(s):
    """Exchange rates and occupation of the charges in use at the bias `s.v`."""
    up, down, occupation, filling = s.up, s.down, s.occupation, s.filling
    mu = s.kt_per_v * (s.edge_v - s.v)
    g = s.g0 * math.exp(max(0.0, s.g_onset_v - s.v) / s.g_fold_v)
    n = s.mode_n
    while n < filling.size and filling[n] + mu > 0.0:
        n += 1
    while n > 0 and filling[n - 1] + mu < 0.0:
        n -= 1
    s.mode_n = low = high = n
    occupation[n] = 1.0
    while high < filling.size and (occupation[high] > _TAIL or (not s.mixed and high < s.n)):
        _fill_step(s, high, filling[high] + mu, g)
        high += 1
        occupation[high] = occupation[high - 1] * up[high - 1] / down[high]
    up[high] = 0.0
    while low > 0 and (occupation[low] > _TAIL or (not s.mixed and low > s.n)):
        low -= 1
        _fill_step(s, low, filling[low] + mu, g)
        occupation[low] = occupation[low + 1] * down[low + 1] / up[low]
    down[low] = 0.0
    s.low, s.high = low, high
    total = mean = square = flux = 0.0
    for n in range(low, high + 1):
        p = occupation[n]
        total += p
        mean += p * n
        square += p * n * n
        flux += p * up[n]
    for n in range(low, high + 1):
        occupation[n] /= total
    variance = max(0.0, square / total - (mean / total) ** 2)
    s.relaxation = variance * total / flux if flux > 0.0 else 0.0
    per_tick = proposal_of(s, s.mode_n) / s.period if s.emitting else 0.0
    s.fast = (
        flux > 0.0
        and not s.relaxing
        and s.relaxation < _FAST_TICKS
        and s.relaxation * per_tick < _FAST_PER_DETECTION
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_step(s, n, x, g):
    """Butler-Volmer rates between n and n + 1 electrons, capped in detailed balance."""
    rate = min(s.g_cap, g * s.growth[n])
    k_in, k_out = rate * math.exp(s.transfer * x), rate * math.exp((s.transfer - 1.0) * x)
    slowed = 1.0 + max(k_in, k_out) / s.g_cap
    s.up[n] = k_in / slowed
    s.down[n + 1] = k_out / slowed


@njit(cache=True, nogil=True, error_model="numpy")
def _mix(s):
    """Distribution of a forgotten N while nothing is detected, and its hazard per pulse.

    Detections deplete the bright charges. To first order in detection rate times relaxation time the
    logarithm of that depletion follows from the current it drives between neighbouring charges.
    """
    occupation = s.occupation
    mean = 0.0
    if s.emitting:
        for n in range(s.low, s.high + 1):
            mean += occupation[n] * proposal_of(s, n)
    total = proposed = current = log_tilt = 0.0
    for n in range(s.low, s.high + 1):
        proposal = proposal_of(s, n) if s.emitting else 0.0
        share = occupation[n] * math.exp(log_tilt)
        total += share
        proposed += share * proposal
        s.mix[n], s.propose[n] = total, proposed
        if n < s.high:
            current += (proposal - mean) / s.period * occupation[n]
            log_tilt += current / (occupation[n] * s.up[n])
    s.mix_low, s.mix_high = s.low, s.high
    s.mix_hazard = -math.log1p(-s.headroom * proposed / total)
    s.mix_ready = 1


# ---- blinking ----


@njit(cache=True, nogil=True, error_model="numpy")
def spend_blinking(s, at):
    """Pay both blinking clocks up to `at`, and go on at the present rates."""
    if not s.blinks:
        return
    s.q_budget = max(0.0, s.q_budget - (at - s.q_since) * s.q_rate)
    s.q_since = at
    if s.q == 0:
        s.q_rate = s.pump_scale / s.dwell
    elif s.q < 0:
        escape = s.hole_escape * math.exp((s.hole_escape_v - s.v) / s.hole_fold_v)
        s.q_rate = 1.0 / s.dwell + escape
    else:
        s.q_rate = 1.0 / s.dwell + s.electron_escape * math.exp(-s.v / s.electron_fold_v)
    s.trap_budget = max(0.0, s.trap_budget - (at - s.trap_since) * s.trap_rate)
    s.trap_since = at
    s.trap_rate = s.trap_close * math.exp(-s.v / s.trap_fold_v) if s.trap else s.trap_open
    s.q_at = at + s.q_budget / s.q_rate if s.q_rate > 0.0 else np.inf
    s.trap_at = at + s.trap_budget / s.trap_rate if s.trap_rate > 0.0 else np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def visit(s, at):
    """Begin a stay in the present charge state: draw its dwell class and budget."""
    u = uniform(s.rng, BLINK)
    j = 0
    while j < s.dwell_cdf.size - 1 and s.dwell_cdf[j] < u:
        j += 1
    s.dwell = s.dwells[s.q + 1, j]
    s.q_budget, s.q_since, s.q_rate = exponential(s.rng, BLINK), at, 0.0
    spend_blinking(s, at)


@njit(cache=True, nogil=True, error_model="numpy")
def blink(s, changes):
    """Change the trapped charge or the trap, whichever comes first, and note it in `changes`."""
    at = min(s.q_at, s.trap_at)
    if s.q_at <= s.trap_at:
        if s.q != 0:
            s.q = 0
        else:
            s.q = -1 if uniform(s.rng, BLINK) <= s.hole_share else 1
        visit(s, at)
    else:
        s.trap = 1 - s.trap
        s.trap_budget, s.trap_since, s.trap_rate = exponential(s.rng, TRAP), at, 0.0
        spend_blinking(s, at)
    s.mix_ready = 0
    set_peak(s)
    if s.mixed:
        _mix(s)
    spend_pulses(s, at)
    changes[s.changes, 0], changes[s.changes, 1], changes[s.changes, 2] = np.int64(at), s.q, s.trap
    s.changes += 1
