"""A giant-shell CdSe/CdS quantum dot that fills with electrons: levels, charging, Auger rates, blinking.

Everything here is the model in closed form: it builds the photon generator's tables and it is the
planted truth. Model, constants and what is assumed: docs/models/charged_dot.md;
"the paper" is Morozov et al., Science Advances 6, eabb1821 (2020).

Names: N is the number of electrons the electrode has put in, q a trapped charge, N_e = N + q the extra
electrons that the exciton sees (-1 is one extra hole), k the number of electron-hole pairs. Bias in
volt against the platinum quasi-reference, negative puts electrons in. Rates are per second.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

KT_MEV = 25.7
"""Thermal energy at 298 K."""
CHARGING_FRACTION = 0.30
"""Share of dots that charge at all (the paper: 30 % go beyond two electrons)."""
MAX_PAIRS = 32
"""Largest number of electron-hole pairs that the tables hold."""

# Zeros of the spherical Bessel functions and 2(2l+1) states: 1S 1P 1D 2S 1F 2P 1G 2D.
_WELL_ZEROS = np.array([np.pi, 4.493409, 5.763459, 2 * np.pi, 6.987932, 7.725252, 8.182561, 9.095011])
_DEGENERACIES = np.array([2, 6, 10, 2, 14, 6, 18, 10])
MAX_ELECTRONS = int(_DEGENERACIES.sum())
"""Electrons that fill every level of the model."""


@dataclass(frozen=True)
class Blinking:
    """Photo-charging (q = -1, 0, +1) and the hot-electron trap of B-type blinking; all values assumed.

    A visit to a charge state draws one of seven exponential dwell classes, 1 ms x 4^j with weight
    4^(-j/2): a power law of exponent 1.5 between 1 ms and 4 s that stays Markovian.
    """

    dwell_s: tuple[float, ...] = tuple(1e-3 * 4.0**j for j in range(7))
    dwell_scale: tuple[float, float, float] = (1.0, 3.0, 1.6)
    """Factor on the dwell times in q = -1, 0, +1."""
    hole_share: float = 0.55
    """Share of the exits from q = 0 that lead to q = -1 (an extra hole)."""
    hole_escape_hz: float = 2e4
    """Extra exit rate from q = -1 at `hole_escape_v`, one e-fold more per `hole_escape_fold_v` below it."""
    hole_escape_v: float = -1.4
    hole_escape_fold_v: float = 0.040
    electron_escape_hz: float = 1.7e-3
    """Extra exit rate from q = +1 at 0 V, one e-fold more per `electron_escape_fold_v` below it."""
    electron_escape_fold_v: float = 0.12
    trap_open_hz: float = 0.25
    trap_close_hz: float = 2.5
    """Closing rate of the hot-electron trap at 0 V, one e-fold more per `trap_fold_v` below it."""
    trap_fold_v: float = 0.15
    captured_fraction: float = 0.45
    """Share of the pairs that an open trap takes before they reach the band edge."""

    @property
    def class_weights(self) -> NDArray[np.float64]:
        """Probability of each dwell class (float64, adds up to 1)."""
        weights = np.asarray(self.dwell_s) ** -0.5
        return weights / weights.sum()

    def escape_rates_hz(self, v: float) -> tuple[float, float]:
        """Extra exit rates from q = -1 and q = +1 at the bias `v`."""
        hole = self.hole_escape_hz * np.exp((self.hole_escape_v - v) / self.hole_escape_fold_v)
        return float(hole), float(self.electron_escape_hz * np.exp(-v / self.electron_escape_fold_v))

    def charge_occupation(self, v: float, pump_scale: float = 1.0) -> NDArray[np.float64]:
        """Share of time in q = -1, 0, +1 at a constant bias (float64 of shape 3).

        `pump_scale` is the rate of biexcitons, which charge the dot, against 30 nW at 2.5 MHz.
        """
        if pump_scale == 0:
            return np.array([0.0, 1.0, 0.0])
        dwell = np.asarray(self.dwell_s)[:, None] * np.asarray(self.dwell_scale)
        hole, electron = self.escape_rates_hz(v)
        exit_hz = 1 / dwell * np.array([1.0, pump_scale, 1.0]) + np.array([hole, 0.0, electron])
        time = np.array([self.hole_share, 1.0, 1 - self.hole_share]) * (self.class_weights @ (1 / exit_hz))
        return time / time.sum()

    def trap_open_share(self, v: float) -> float:
        """Share of time with the hot-electron trap open at a constant bias."""
        return self.trap_open_hz / (self.trap_open_hz + self.trap_close_hz * np.exp(-v / self.trap_fold_v))


@dataclass(frozen=True)
class Mixture:
    """What the excitons of a dot at constant bias look like: one component per electron number N."""

    electrons: NDArray[np.int64]
    share: NDArray[np.float64]
    """Share of the dot's exciton photons; adds up to 1."""
    lifetime_ns: NDArray[np.float64]

    @property
    def mean_lifetime_ns(self) -> float:
        """Mean over the photons."""
        return float(self.share @ self.lifetime_ns)


@dataclass(frozen=True)
class ChargedDot:
    """One dot; the defaults are those of the paper's batch 1."""

    charges: bool = True
    """Whether the electrode can put electrons in; see `CHARGING_FRACTION`."""
    blinking: Blinking | None = field(default_factory=Blinking)
    """None for a dot without trapped charges."""
    tau0_ns: float = 125.0
    """Radiative lifetime of the neutral exciton X0."""
    auger_ratio: float = 0.5
    """a: negative-trion Auger rate over the radiative rate (the paper's Eqs. 1-2)."""
    hole_auger_ratio: float = 6.7
    """h: the same for two holes; X+ has the yield 1/(1+h)."""
    screening_electrons: float = 5.0
    """n*: electrons in the conduction band above which Eqs. 1-2 fail."""
    overlap_loss: float = 1.10
    """s: loss of electron-hole overlap past n*; assumed, equal for both batches."""
    auger_growth: float = 0.150
    """c: growth of the Auger ratio past n*; assumed, equal for both batches."""
    edge_v: float = -1.320
    """Bias that brings the Fermi level to the lowest electron level."""
    level_2s_mev: float = 150.0
    """2S above 1S."""
    core_binding_mev: float = 65.0
    """How much deeper than in an empty well the CdSe core binds 1S."""
    charging_mev: float = 2.7
    gating: float = 0.24
    """Shift of the Fermi level in eV per volt of bias."""
    exchange_hz: float = 1e3
    """G0: electron exchange with the electrode at threshold."""
    exchange_cap_hz: float = 2e7
    exchange_onset_v: float = -1.40
    exchange_fold_v: float = 0.030
    transfer_coefficient: float = 0.3
    electronics_us: float = 0.91
    """Time constant of the one pole through which the dot follows the bias."""

    def __post_init__(self) -> None:
        for name in ("tau0_ns", "screening_electrons", "level_2s_mev", "gating", "exchange_hz",
                     "exchange_cap_hz", "exchange_fold_v", "electronics_us"):  # fmt: skip
            if not getattr(self, name) > 0:
                raise ValueError(f"ChargedDot.{name} = {getattr(self, name)!r} must be greater than 0")

    @classmethod
    def batch_1(cls, *, charges: bool = True) -> ChargedDot:
        """The paper's batch 1: 10.6 nm, X- with 42 ns, Eqs. 1-2 valid up to X4-."""
        return cls(charges=charges)

    @classmethod
    def batch_2(cls, *, charges: bool = True) -> ChargedDot:
        """The paper's batch 2: 13.1 nm, weaker Auger, Eqs. 1-2 valid up to X12-."""
        return cls(
            charges=charges,
            tau0_ns=150.0,
            auger_ratio=0.08,
            screening_electrons=13.0,
            edge_v=-1.286,
            level_2s_mev=98.0,
            core_binding_mev=43.0,
            charging_mev=2.2,
        )

    # ---- excitons: section 3 of the page ----

    def pair_rates_hz(self, n_e: int, k: int) -> tuple[float, float]:
        """Radiative and Auger rate of `k` pairs beside `n_e` extra electrons (-1: one extra hole)."""
        n, p = k + max(n_e, 0), k + max(-n_e, 0)
        crowding = max(0.0, n / self.screening_electrons - 1)
        overlap = 1 / (1 + self.overlap_loss * crowding)
        gamma0_hz = 1e9 / self.tau0_ns
        electron_auger = (self.auger_ratio + self.auger_growth * crowding) * n * (n - 1) * p
        hole_auger = self.hole_auger_ratio * n * overlap * p * (p - 1)
        return gamma0_hz * n * p * overlap, gamma0_hz * (electron_auger + hole_auger)

    def lifetime_ns(self, n_e: int, k: int = 1) -> float:
        """Lifetime of `k` pairs beside `n_e` extra electrons."""
        return 1e9 / sum(self.pair_rates_hz(n_e, k))

    def quantum_yield(self, n_e: int, k: int = 1) -> float:
        """Probability that the next recombination of `k` pairs emits a photon."""
        radiative, auger = self.pair_rates_hz(n_e, k)
        return radiative / (radiative + auger)

    # ---- electrons: section 1 of the page ----

    @cached_property
    def levels_mev(self) -> NDArray[np.float64]:
        """Energies of 1S 1P 1D 2S 1F 2P 1G 2D above 1S (float64 of shape 8)."""
        per_mev = self.level_2s_mev / (3 * np.pi**2)
        squeeze = (self.level_2s_mev - self.core_binding_mev) / self.level_2s_mev
        levels = squeeze * per_mev * (_WELL_ZEROS**2 - np.pi**2) + self.core_binding_mev
        levels[0] = 0.0
        return levels

    @cached_property
    def log_partition(self) -> NDArray[np.float64]:
        """ln Z_N of N electrons on the levels, N = 0 ... `MAX_ELECTRONS` (float64)."""
        z = np.ones(1)
        for energy, degeneracy in zip(self.levels_mev, _DEGENERACIES, strict=True):
            for _ in range(degeneracy):
                z = np.convolve(z, [1.0, np.exp(-energy / KT_MEV)])
        return np.log(z)

    @cached_property
    def filling_steps(self) -> NDArray[np.float64]:
        """ln P_(N+1)/P_N with the Fermi level at the lowest level, N = 0 ... (float64)."""
        electrons = np.arange(MAX_ELECTRONS)
        return np.diff(self.log_partition) - self.charging_mev * (electrons + 0.5) / KT_MEV

    def fermi_level_kt(self, v: float) -> float:
        """Fermi level above the lowest electron level at the bias `v`, in units of kT."""
        return -self.gating * 1e3 * (v - self.edge_v) / KT_MEV

    def occupation(self, v: float) -> NDArray[np.float64]:
        """Probability of N = 0 ... `MAX_ELECTRONS` electrons at a constant bias (float64, adds up to 1)."""
        if not self.charges:
            return np.eye(1, MAX_ELECTRONS + 1)[0]
        log_p = np.concatenate([[0.0], np.cumsum(self.filling_steps + self.fermi_level_kt(v))])
        p = np.exp(log_p - log_p.max())
        return p / p.sum()

    def mean_electrons(self, v: float) -> float:
        """Mean number of electrons N at a constant bias."""
        return float(self.occupation(v) @ np.arange(MAX_ELECTRONS + 1))

    def exchange_rates_hz(self, v: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rates N -> N+1 and N+1 -> N, N = 0 ... (two float64 arrays); zero in a dot that does not charge."""
        if not self.charges:
            return np.zeros(MAX_ELECTRONS), np.zeros(MAX_ELECTRONS)
        x = self.filling_steps + self.fermi_level_kt(v)
        onset = max(0.0, self.exchange_onset_v - v) / self.exchange_fold_v
        g = np.minimum(self.exchange_cap_hz, self.exchange_hz * np.exp(np.arange(MAX_ELECTRONS) / 6 + onset))
        k_in = g * np.exp(self.transfer_coefficient * x)
        k_out = g * np.exp((self.transfer_coefficient - 1) * x)
        slowed = 1 + np.maximum(k_in, k_out) / self.exchange_cap_hz
        return k_in / slowed, k_out / slowed

    # ---- what an analysis should find ----

    def mixture(self, v: float, *, least_share: float = 1e-6) -> Mixture:
        """Exciton photons at a constant bias without blinking: share and lifetime of each N.

        The share is P_N times the exciton's quantum yield; photons of multi-excitons are left out.
        """
        electrons = np.arange(MAX_ELECTRONS + 1)
        share = self.occupation(v) * [self.quantum_yield(int(n)) for n in electrons]
        share /= share.sum()
        seen = share >= least_share
        lifetimes = np.array([self.lifetime_ns(int(n)) for n in electrons[seen]])
        return Mixture(electrons[seen], share[seen] / share[seen].sum(), lifetimes)

    def mean_lifetime_ns(self, v: float) -> float:
        """Mean exciton lifetime over the photons at a constant bias without blinking."""
        return self.mixture(v).mean_lifetime_ns

    def truth(self) -> dict[str, Any]:
        """Every parameter, and the lifetimes that follow from them."""
        names = ["X+", "X0", *(f"X{n if n > 1 else ''}-" for n in range(1, 21))]
        bias_v = np.linspace(-2.0, 0.0, 41)
        return {
            **asdict(self),
            "exciton_lifetime_ns": {name: self.lifetime_ns(n) for n, name in enumerate(names, start=-1)},
            "bias_v": bias_v,
            "mean_electrons": np.array([self.mean_electrons(v) for v in bias_v]),
            "mean_lifetime_ns": np.array([self.mean_lifetime_ns(v) for v in bias_v]),
        }
