"""Delay zero and scale of a delay stage, and delays of a shaper, from what its pump pulses scatter.

The pump's scatter meets the local oscillator on the spectrometer. With the pump's phase stepped through
`phi_k = 2 pi k / n`, `sum_k I_k exp(-i phi_k) / n` leaves `conj(E_LO) E_pump`, whose phase turns as
`exp(i w D)` where the pump comes D after the local oscillator (as in L. Lepetit, G. Cheriaux and M. Joffre,
J. Opt. Soc. Am. B 12, 2467 (1995), with phases instead of a transform). The probe comes `lead` after the
local oscillator, so that the pump is `lead - D` before the probe: that is the true t2. `lead` is found in the
same way from the fringes of the probe's own scatter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.signal.windows import tukey

from ..poisson import Measured
from .units import W

Real = NDArray[np.floating]

STEPS = 4
"""Phases of the pump per delay."""
COARSE_FS = 2.0
"""Step in which a delay is looked for first; a pulse lasts several of them."""
FARTHEST = 2.5
"""A stage may move the delay so many times as far as its station file says."""
TAPER = 0.4
"""Share of the pixels, at both ends together, over which the weight falls to nothing."""
NOISE_FS = np.arange(2500.0, 3500.0, 20.0)
"""Delays at which nothing but noise is expected, finer than any of interest and still resolved."""
LEAST_OVER_NOISE = 6.0
"""Fringes must stand so far above what those delays show."""


def pump_phases() -> Real:
    """The phases that the pump is stepped through, in radians."""
    return 2 * np.pi * np.arange(STEPS) / STEPS


def cross_term(counts: Real) -> NDArray[np.complexfloating]:
    """`conj(E_LO) E_pump` at each pixel, from counts of shape (..., steps, pixels) at `pump_phases`."""
    weights = np.exp(-1j * pump_phases()) / STEPS
    return np.tensordot(counts.astype(np.complex128), weights, axes=(-2, 0))


_SELF_HETERODYNED = (
    "the probe is its own local oscillator, so the sample's signal turns the phase of the fringes: without a "
    "sample delays are good to 10 as, with one to some tens"
)


@dataclass(frozen=True)
class FringeFinder:
    """Finds delays in fringes at the wavenumbers of a spectrometer, weighted by the light's amplitude."""

    wavenumber_cm: Real
    power: Real
    """The local oscillator's spectrum, any unit."""

    def find(self, fringes: NDArray[Any], around_fs: float, search_fs: float) -> tuple[float, float]:
        """Delay in fs at which fringes turn as `exp(i w delay)`, and the phase of the carrier there.

        The delay is the mean group delay over the spectrum. Raises ValueError when no fringes stand out
        within `search_fs` of `around_fs`.
        """
        coarse = np.arange(around_fs - search_fs, around_fs + search_fs + COARSE_FS, COARSE_FS)
        strength = np.abs(self._at(fringes, coarse))
        k = int(np.argmax(strength))
        if not strength[k] > LEAST_OVER_NOISE * float(np.median(np.abs(self._at(fringes, NOISE_FS)))):
            raise ValueError(
                f"no fringes between {coarse[0]:.0f} and {coarse[-1]:.0f} fs: look for overlap, scatter and "
                "the local oscillator, or search further"
            )
        found = minimize_scalar(
            lambda delay_fs: -abs(self._at(fringes, np.array([delay_fs]))[0]),
            bounds=(coarse[k] - COARSE_FS, coarse[k] + COARSE_FS),
            method="bounded",
            options={"xatol": 1e-6},
        )
        delay_fs = float(found.x)  # pyright: ignore[reportAttributeAccessIssue]  # scipy's stub knows no x
        return delay_fs, float(np.angle(self._at(fringes, np.array([delay_fs]))[0]))

    def strength(self, fringes: NDArray[Any], delay_fs: Real) -> Real:
        """How strongly fringes turn with each delay, 1 at the strongest."""
        strength = np.abs(self._at(fringes, delay_fs))
        return strength / strength.max()

    @property
    def carrier(self) -> float:
        """Mean angular frequency of the fringes in rad/fs: their phase turns so fast with the delay."""
        weight = self._weight * self.power
        return W * float(weight @ self.wavenumber_cm / weight.sum())

    def _at(self, fringes: NDArray[Any], delay_fs: Real) -> NDArray[np.complexfloating]:
        w = W * self.wavenumber_cm
        waves = np.exp(-1j * np.multiply.outer(delay_fs, w - self.carrier))
        return waves @ (self._weight * fringes).astype(np.complex128)

    @property
    def _weight(self) -> Real:
        """Tapered at the spectrometer's ends, where light that is cut off would show at every delay."""
        return np.sqrt(np.maximum(self.power, 0.0)) * tukey(len(self.power), TAPER)


def refined(delay_fs: Real, phase_rad: Real, carrier: float) -> Real:
    """Delays whose differences are those of the carrier's phase, and whose mean is that of `delay_fs`.

    `phase_rad` is taken at `delay_fs` with the envelope's part removed, so that it turns as
    `carrier * delay` plus a constant common to all; the group delays only say which turn it is. Raises
    ValueError where they do not.
    """
    rest = np.exp(1j * (phase_rad - carrier * delay_fs))
    common = np.angle(rest.mean())
    left = np.angle(rest * np.exp(-1j * common))
    if np.abs(left).max() > 0.5 * math.pi:
        raise ValueError(
            "the carrier's phase does not follow the group delay: something moves between the frames, or the "
            "fringes are too weak"
        )
    return delay_fs + (left - left.mean()) / carrier


@dataclass(frozen=True)
class DelayZeroData:
    """What was measured; counts without dark, in any unit."""

    wavenumber_cm: Real
    """Of each pixel."""
    command_fs: Real
    """What the stage was sent to, shape (positions,)."""
    reading_fs: Real
    """What the stage measured, by the station's scale."""
    counts: Real
    """Shape (positions, STEPS, pixels): a single pump pulse at the shaper's delay zero."""
    blank: Real
    """Shape (positions, pixels): no pump."""
    lo_lead_fs: float
    """As the station has it; 0 where the probe is its own local oscillator."""
    search_fs: float
    """How far delay zero may be from where the station has it."""
    shaper_fs: Real
    """Delays of the shaper that were verified, at the last position of the stage; may be empty."""
    shaper_counts: Real
    """Shape (shaper delays, STEPS, pixels)."""


@dataclass(frozen=True)
class DelayZero:
    """Delay zero and scale of the stage."""

    data: DelayZeroData
    true_fs: Real
    """Delay of the probe behind the pump at each position, from the fringes."""
    lead: Measured
    """How long the local oscillator comes before the probe, in fs; as the station has it where the probe's
    scatter is too weak (then the error is nan)."""
    scale: Measured
    """True delay per delay by the station's scale: 1, or -1 where its sign is wrong."""
    zero_fs: Measured
    """Command, by the station's scale, at which pump and probe coincide."""
    left_fs: Real
    """What the straight line leaves at each position."""
    shaper_found_fs: Real
    """Delays of the shaper, from the fringes, relative to its delay zero."""
    notes: tuple[str, ...]

    @property
    def off_as(self) -> float:
        """Largest difference from the commanded differences of delay, in attoseconds."""
        apart = self.true_fs - self.data.command_fs
        return 1e3 * float(np.abs(apart - apart.mean()).max())


def find_delay_zero(data: DelayZeroData) -> DelayZero:
    """Delay zero, scale and sign of the stage, delays of the shaper; raises ValueError without fringes."""
    notes: list[str] = [_SELF_HETERODYNED] if data.lo_lead_fs == 0 else []
    finder = FringeFinder(data.wavenumber_cm, data.blank.mean(axis=0))
    lead = _lead(data, finder, notes)
    pump_fs, together_fs = _pump_delays(data, finder, lead.value)
    true_fs = lead.value - pump_fs
    line, errors, left = _line(data.reading_fs, true_fs)
    scale = Measured(line[1], errors[1])
    zero_err_fs = math.hypot(errors[0], together_fs, np.nan_to_num(lead.error)) / abs(scale.value)
    zero_fs = Measured(-line[0] / line[1], zero_err_fs)
    if abs(abs(scale.value) - 1) > 0.01:
        notes.append(
            f"the true delay is {scale.value:.3f} of the station's: correct passes, or the stage's unit"
        )
    if scale.value < 0:
        notes.append("the true delay falls where the station's rises: change sign in its [delay] table")
    shaper_found = _shaper_delays(data, finder, float(pump_fs[-1]))
    return DelayZero(data, true_fs, lead, scale, zero_fs, left, shaper_found, tuple(notes))


# ---- inside ----


def _lead(data: DelayZeroData, finder: FringeFinder, notes: list[str]) -> Measured:
    """From the fringes of the probe's scatter; they do not depend on the stage, which moves both."""
    if data.lo_lead_fs == 0:
        return Measured(0.0, 0.0)
    reach_fs = 0.3 * data.lo_lead_fs
    try:
        middle = finder.find(data.blank.mean(axis=0), data.lo_lead_fs, reach_fs)[0]
        each = np.array([finder.find(blank, middle, 10 * COARSE_FS)[0] for blank in data.blank])
    except ValueError:
        notes.append(
            "the probe's scatter is too weak to find how long the local oscillator comes before it: "
            f"{data.lo_lead_fs:g} fs of the station file is taken"
        )
        return Measured(data.lo_lead_fs, math.nan)
    return Measured(middle, float(each.std(ddof=1)) / math.sqrt(len(each)))


def _pump_delays(data: DelayZeroData, finder: FringeFinder, lead_fs: float) -> tuple[Real, float]:
    """Delay of the pump behind the local oscillator at each position, and the error that all share.

    The position nearest to the station's zero comes first; the others are looked for around their nearest
    neighbour, as far away as a wrong sign or a wrong number of passes may have taken them.
    """
    fields, reading_fs = cross_term(data.counts), data.reading_fs
    found: dict[int, tuple[float, float]] = {}
    for k in np.argsort(np.abs(reading_fs)).tolist():
        if found:
            near = min(found, key=lambda other: abs(reading_fs[other] - reading_fs[k]))
            away_fs = FARTHEST * abs(float(reading_fs[near] - reading_fs[k]))
            found[k] = finder.find(fields[k], found[near][0], away_fs + 10 * COARSE_FS)
        else:
            found[k] = finder.find(fields[k], lead_fs - float(reading_fs[k]), data.search_fs)
    group, phases = np.array([found[k] for k in range(len(fields))]).T
    delays = refined(group, phases, finder.carrier)
    return delays, float(np.std(group - delays, ddof=1)) / math.sqrt(len(group))


def _shaper_delays(data: DelayZeroData, finder: FringeFinder, zero_fs: float) -> Real:
    """Group delays of the shaper's pulses from its delay zero, which comes `zero_fs` after the oscillator."""
    fields = cross_term(data.shaper_counts)
    found = [
        finder.find(field, zero_fs + float(delay), 10 * COARSE_FS)[0]
        for field, delay in zip(fields, data.shaper_fs, strict=True)
    ]
    return np.array(found) - zero_fs


def _line(x: Real, y: Real) -> tuple[Real, Real, Real]:
    """Coefficients of `y = a + b x` with their standard errors, and what it leaves."""
    design = np.stack([np.ones_like(x), x], axis=1)
    solution, *_ = np.linalg.lstsq(design, y, rcond=None)
    left = y - design @ solution
    variance = float(left @ left) / (len(x) - 2)
    return solution, np.sqrt(variance * np.diag(np.linalg.inv(design.T @ design))), left
