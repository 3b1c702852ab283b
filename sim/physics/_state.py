"""What the compiled photon source remembers between calls: one record, numbers and tables.

One record, because the kernels pass it around as a bare pointer; a tuple of arrays would be counted
in and out at every call, which costs more than the physics.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._random import streams
from .charged_dot import MAX_ELECTRONS, MAX_PAIRS, Blinking, ChargedDot
from .detection import TICKS_PER_NS, TICKS_PER_S, Detection

HIDDEN, FORCED, FOLLOWED = 0, 1, 2
"""How much is known of the pairs k.

HIDDEN: nothing was detected for a while, k has its stationary distribution under that condition and
only proposals for a detecting pulse are drawn. FORCED: such a pulse, up to its first detection.
FOLLOWED: after a detection, every pulse and recombination is drawn.
"""

_STEPS, _STATES = (MAX_ELECTRONS,), (MAX_ELECTRONS + 1,)
_CLASSES = 7
_PAIRS = (MAX_ELECTRONS + 3, MAX_PAIRS + 1)

SOURCE = np.dtype(
    [
        # ---- constants of the dot and the detection; rates per tick, energies in kT ----
        ("charges", np.int64),
        ("kt_per_v", np.float64),
        ("edge_v", np.float64),
        ("g0", np.float64),
        ("g_cap", np.float64),
        ("g_onset_v", np.float64),
        ("g_fold_v", np.float64),
        ("transfer", np.float64),
        ("pole", np.float64),  # ticks
        ("blinks", np.int64),
        ("hole_share", np.float64),
        ("hole_escape", np.float64),
        ("hole_escape_v", np.float64),
        ("hole_fold_v", np.float64),
        ("electron_escape", np.float64),
        ("electron_fold_v", np.float64),
        ("trap_open", np.float64),
        ("trap_close", np.float64),
        ("trap_fold_v", np.float64),
        ("offset", np.float64),
        ("sigma", np.float64),
        # ---- light ----
        ("emitting", np.int64),
        ("period", np.int64),
        ("efficiency", np.float64),
        ("pump_scale", np.float64),  # rate of biexcitons against the reference light
        ("top", np.int64),  # pairs that the pulse tables count to
        # ---- bias ----
        ("started", np.int64),
        ("cell", np.int64),  # cell in work, for a call that ran out of room
        ("target_v", np.float64),
        ("v", np.float64),  # what the dot feels
        ("relaxing", np.int64),
        ("from_v", np.float64),
        ("step_at", np.int64),
        ("slice", np.int64),
        # ---- electrons ----
        ("n", np.int64),
        ("mixed", np.int64),  # N is forgotten and has the distribution in `mix`
        ("jump_at", np.float64),
        ("mode_n", np.int64),
        ("low", np.int64),
        ("high", np.int64),
        ("relaxation", np.float64),
        ("fast", np.int64),
        ("peak", np.float64),  # largest proposal probability of the charges in use
        ("headroom", np.float64),  # proposals are drawn so many times too often, for charges that change
        ("peak_hazard", np.float64),
        ("mix_ready", np.int64),
        ("mix_low", np.int64),
        ("mix_high", np.int64),
        ("mix_hazard", np.float64),
        ("forget_n_at", np.float64),
        # ---- trapped charge and trap ----
        ("q", np.int64),
        ("dwell", np.float64),  # mean of the class drawn
        ("q_rate", np.float64),
        ("q_budget", np.float64),
        ("q_since", np.float64),
        ("q_at", np.float64),
        ("trap", np.int64),
        ("trap_rate", np.float64),
        ("trap_budget", np.float64),
        ("trap_since", np.float64),
        ("trap_at", np.float64),
        # ---- pairs ----
        ("knowledge", np.int64),
        ("k", np.int64),
        ("decay_at", np.float64),
        ("weight", np.float64),  # chance that a forced detection stands
        ("pulse", np.int64),  # next laser pulse; in HIDDEN the first one not paid from the budget
        ("forget_k_pulse", np.int64),
        ("hazard", np.float64),
        ("budget", np.float64),
        # ---- output ----
        ("photons", np.int64),
        ("changes", np.int64),
        # ---- tables; row e = N_e + 1 starts at one extra hole, columns count pairs ----
        ("rng", np.uint64, (4, 4)),
        ("spare", np.float64, (1,)),  # second half of a pair of normal numbers
        ("filling", np.float64, _STEPS),  # ln P(N+1)/P(N) with the Fermi level at the lowest level
        ("growth", np.float64, _STEPS),  # exchange rate against N = 0
        ("dwells", np.float64, (3, _CLASSES)),  # mean dwell times in ticks by q + 1
        ("dwell_cdf", np.float64, (_CLASSES,)),
        ("decay", np.float64, _PAIRS),  # total rate per tick
        ("quantum_yield", np.float64, _PAIRS),
        ("up", np.float64, _STATES),  # rates per tick of N -> N + 1
        ("down", np.float64, _STATES),  # rates per tick of N -> N - 1
        ("occupation", np.float64, _STATES),
        ("mix", np.float64, _STATES),  # cumulative distribution of a forgotten N
        ("propose", np.float64, _STATES),  # cumulative: that times the proposal probability
        ("poisson", np.float64, (2, MAX_PAIRS + 1)),  # trap closed, open: pairs made by a pulse
        ("poisson_cdf", np.float64, (2, MAX_PAIRS + 1)),
        ("ready", np.int8, (2, _PAIRS[0])),  # (trap, e): the rows below hold for the present light
        ("proposal", np.float64, (2, _PAIRS[0])),  # probability per pulse
        ("pairs_cdf", np.float64, (2, *_PAIRS)),  # pairs after a proposed pulse
        ("reach", np.float64, _PAIRS),  # at least one detection on the way from k to no pairs
        ("scratch", np.float64, (MAX_PAIRS + 4, MAX_PAIRS + 1)),
    ],
    align=True,
)


def make_source(dot: ChargedDot, detection: Detection, *, seed: int) -> NDArray[np.void]:
    """The state of a dot that nothing has happened to (one `SOURCE` record)."""
    blinking = dot.blinking or Blinking()
    source = np.zeros(1, SOURCE)
    values = {
        "charges": dot.charges,
        "kt_per_v": dot.fermi_level_kt(dot.edge_v - 1.0),
        "edge_v": dot.edge_v,
        "g0": dot.exchange_hz / TICKS_PER_S,
        "g_cap": dot.exchange_cap_hz / TICKS_PER_S,
        "g_onset_v": dot.exchange_onset_v,
        "g_fold_v": dot.exchange_fold_v,
        "transfer": dot.transfer_coefficient,
        "pole": dot.electronics_us * 1e3 * TICKS_PER_NS,
        "blinks": dot.blinking is not None,
        "hole_share": blinking.hole_share,
        "hole_escape": blinking.hole_escape_hz / TICKS_PER_S,
        "hole_escape_v": blinking.hole_escape_v,
        "hole_fold_v": blinking.hole_escape_fold_v,
        "electron_escape": blinking.electron_escape_hz / TICKS_PER_S,
        "electron_fold_v": blinking.electron_escape_fold_v,
        "trap_open": blinking.trap_open_hz / TICKS_PER_S,
        "trap_close": blinking.trap_close_hz / TICKS_PER_S,
        "trap_fold_v": blinking.trap_fold_v,
        "offset": detection.response_offset_ns * TICKS_PER_NS,
        "sigma": detection.response_sigma_ticks,
        "period": 1,
        "headroom": 1.0,
        "spare": np.nan,
        "rng": streams(seed, 0, 4),
        "filling": dot.filling_steps,
        "growth": np.exp(np.arange(MAX_ELECTRONS) / 6),
        "dwells": np.outer(blinking.dwell_scale, blinking.dwell_s) * TICKS_PER_S,
        "dwell_cdf": np.cumsum(blinking.class_weights),
    }
    for name, value in values.items():
        source[name] = value
    for e in range(_PAIRS[0]):
        for k in range(1, MAX_PAIRS + 1):
            source["decay"][0, e, k] = sum(dot.pair_rates_hz(e - 1, k)) / TICKS_PER_S
            source["quantum_yield"][0, e, k] = dot.quantum_yield(e - 1, k)
    return source
