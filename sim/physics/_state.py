"""What the compiled photon source remembers between calls, and its tables."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .charged_dot import MAX_ELECTRONS, MAX_PAIRS, Blinking, ChargedDot
from .detection import TICKS_PER_NS, TICKS_PER_S, Detection

HIDDEN, FORCED, FOLLOWED = 0, 1, 2
"""How much is known of the pairs k.

HIDDEN: nothing was detected for a while, k has its stationary distribution under that condition and
only proposals for a detecting pulse are drawn. FORCED: such a pulse, up to its first detection.
FOLLOWED: after a detection, every pulse and recombination is drawn.
"""

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
        ("peak", np.float64, (2,)),  # trap closed, open: largest proposal probability of any charge
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
        ("mixed", np.int64),  # N is forgotten and has the distribution in Tables.mix
        ("jump_at", np.float64),
        ("mode_n", np.int64),
        ("low", np.int64),
        ("high", np.int64),
        ("relaxation", np.float64),
        ("fast", np.int64),
        ("headroom", np.float64),
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
        ("trap", np.int64),
        ("trap_rate", np.float64),
        ("trap_budget", np.float64),
        ("trap_since", np.float64),
        # ---- pairs ----
        ("knowledge", np.int64),
        ("k", np.int64),
        ("decay_at", np.float64),
        ("weight", np.float64),
        ("pulse", np.int64),  # next laser pulse; in HIDDEN the first one not paid from the budget
        ("forget_k_pulse", np.int64),
        ("hazard", np.float64),
        ("budget", np.float64),
        # ---- output ----
        ("photons", np.int64),
        ("changes", np.int64),
    ],
    align=True,
)


class Tables(NamedTuple):
    """Arrays of the photon source. Rows `e` = N_e + 1 start at one extra hole; columns count pairs."""

    filling: NDArray[np.float64]  # ln P(N+1)/P(N) with the Fermi level at the lowest level
    growth: NDArray[np.float64]  # exchange rate against N = 0
    dwells: NDArray[np.float64]  # (3, classes): mean dwell time in ticks by q + 1
    dwell_cdf: NDArray[np.float64]
    decay: NDArray[np.float64]  # total rate per tick of (e, k)
    quantum_yield: NDArray[np.float64]
    up: NDArray[np.float64]  # rates per tick of N -> N + 1
    down: NDArray[np.float64]  # rates per tick of N -> N - 1
    occupation: NDArray[np.float64]
    mix: NDArray[np.float64]  # cumulative distribution of N
    propose: NDArray[np.float64]  # cumulative P(N) x proposal probability
    poisson: NDArray[np.float64]  # (trap, k): pairs made by a pulse
    poisson_cdf: NDArray[np.float64]
    ready: NDArray[np.bool_]  # (trap, e): the rows below hold for the present light
    proposal: NDArray[np.float64]  # (trap, e): probability per pulse
    pairs_cdf: NDArray[np.float64]  # (trap, e, k): pairs after a proposed pulse
    reach: NDArray[np.float64]  # (e, k): at least one detection on the way from k to no pairs
    scratch: NDArray[np.float64]


def make_tables(dot: ChargedDot) -> Tables:
    """Tables of one dot, with room for what depends on bias and light."""
    rows, pairs = MAX_ELECTRONS + 3, MAX_PAIRS + 1
    blinking = dot.blinking or Blinking()
    decay, quantum_yield = np.zeros((rows, pairs)), np.zeros((rows, pairs))
    for e in range(rows):
        for k in range(1, pairs):
            decay[e, k] = sum(dot.pair_rates_hz(e - 1, k)) / TICKS_PER_S
            quantum_yield[e, k] = dot.quantum_yield(e - 1, k)
    return Tables(
        filling=dot.filling_steps,
        growth=np.exp(np.arange(MAX_ELECTRONS) / 6),
        dwells=np.outer(blinking.dwell_scale, blinking.dwell_s) * TICKS_PER_S,
        dwell_cdf=np.cumsum(blinking.class_weights),
        decay=decay,
        quantum_yield=quantum_yield,
        up=np.zeros(MAX_ELECTRONS + 1),
        down=np.zeros(MAX_ELECTRONS + 1),
        occupation=np.zeros(MAX_ELECTRONS + 1),
        mix=np.zeros(MAX_ELECTRONS + 1),
        propose=np.zeros(MAX_ELECTRONS + 1),
        poisson=np.zeros((2, pairs)),
        poisson_cdf=np.zeros((2, pairs)),
        ready=np.zeros((2, rows), np.bool_),
        proposal=np.zeros((2, rows)),
        pairs_cdf=np.zeros((2, rows, pairs)),
        reach=np.zeros((rows, pairs)),
        scratch=np.zeros((pairs + 4, pairs)),
    )


def make_source(dot: ChargedDot, detection: Detection) -> NDArray[np.void]:
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
        "q_budget": np.nan,
    }
    for name, value in values.items():
        source[name] = value
    return source
