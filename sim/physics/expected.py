"""What a dot at constant bias must give in the long run, in closed form: count rate and decay.

Independent of the generator's tables: the pairs are a continuous-time Markov chain between laser
pulses, averaged over the electrons, the trapped charge and the trap as they are occupied in
equilibrium. Charges that change during an exciton's life are neglected (below 1 % in rate).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from .charged_dot import ChargedDot
from .detection import TICKS_PER_NS, TICKS_PER_S, Detection, Light
from .photons import pairs_per_pulse, pump_scale

_RARE = 1e-6


def expected_rate_hz(dot: ChargedDot, detection: Detection, v: float, light: Light) -> float:
    """Mean count rate at a constant bias, background and afterpulses included.

    What dead time takes is left out; at the paper's rates it is below 0.1 %.
    """
    photons = float(expected_decay(dot, v, light, light.period_ticks / TICKS_PER_NS).sum())
    efficiency = detection.efficiency * light.collection_coupling
    signal_hz = efficiency * photons * TICKS_PER_S / light.period_ticks
    return (signal_hz + detection.background_hz(light)) / (1 - detection.afterpulse_probability)


def expected_decay(dot: ChargedDot, v: float, light: Light, bin_ns: float) -> NDArray[np.float64]:
    """Photons emitted per laser pulse by time since the pulse, in bins over one period (float64).

    Multi-excitons and what is left from earlier pulses are in it; response and background are not.
    """
    bins = max(1, round(light.period_ticks / TICKS_PER_NS / bin_ns))
    decay = np.zeros(bins)
    for weight, n_e, mean in _states(dot, v, light):
        decay += weight * _decay(dot, n_e, mean, bins, bin_ns)
    return decay


def photons_per_pulse(dot: ChargedDot, n_e: int, light: Light) -> float:
    """Mean photons that a pulse of `light` makes beside `n_e` extra electrons (-1: one extra hole)."""
    period_ns = light.period_ticks / TICKS_PER_NS
    return float(_decay(dot, n_e, pairs_per_pulse(light), 1, period_ns)[0])


def _states(dot: ChargedDot, v: float, light: Light) -> Iterator[tuple[float, int, float]]:
    """Probability, extra electrons and mean pairs per pulse of every state that matters."""
    mean = pairs_per_pulse(light)
    charge, trap_open, captured = np.array([0.0, 1.0, 0.0]), 0.0, 0.0
    if dot.blinking:
        charge = dot.blinking.charge_occupation(v, pump_scale(light))
        trap_open, captured = dot.blinking.trap_open_share(v), dot.blinking.captured_fraction
    n_e = np.convolve(dot.occupation(v), charge)
    for row in np.flatnonzero(n_e > _RARE):
        yield float(n_e[row] * (1 - trap_open)), int(row) - 1, mean
        if trap_open > _RARE:
            yield float(n_e[row] * trap_open), int(row) - 1, mean * (1 - captured)


def _decay(dot: ChargedDot, n_e: int, mean: float, bins: int, bin_ns: float) -> NDArray[np.float64]:
    """Photons per pulse and bin at a constant charge, in the steady state."""
    top = 12 + int(4 * mean)
    chain = np.zeros((top + 2, top + 2))  # 0 ... top pairs; the last column counts photons
    for k in range(1, top + 1):
        radiative, auger = (rate * 1e-9 for rate in dot.pair_rates_hz(n_e, k))
        chain[k, k - 1] = radiative + auger
        chain[k, k] = -(radiative + auger)
        chain[k, -1] = radiative
    step = np.asarray(expm(chain * bin_ns), np.float64)
    period = np.asarray(expm(chain * bin_ns * bins), np.float64)[:-1, :-1]
    pairs = _after_pulse(period, mean)
    photons = np.empty(bins)
    for i in range(bins):
        photons[i] = pairs @ step[:-1, -1]
        pairs = pairs @ step[:-1, :-1]
    return photons


def _after_pulse(period: NDArray[np.float64], mean: float) -> NDArray[np.float64]:
    """Steady distribution of the pairs after a pulse that adds Poisson ones."""
    top = len(period) - 1
    poisson = np.exp(-mean) * np.cumprod(np.concatenate([[1.0], mean / np.arange(1, top + 1)]))
    add = np.array([np.concatenate([np.zeros(b), poisson[: top + 1 - b]]) for b in range(top + 1)])
    add[:, -1] += 1 - add.sum(axis=1)
    # the left eigenvector of eigenvalue 1, normalised: one equation is replaced by the sum
    system = (period @ add).T - np.eye(top + 1)
    system[-1] = 1.0
    return np.linalg.solve(system, np.eye(top + 1)[-1])
