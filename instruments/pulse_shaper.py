"""Pulse shapers: a train of copies of the laser pulse, each with its delay, phase and amplitude.

Conventions: `E(t) = integral E(w) exp(-i w t) dw`, so a pulse is delayed by tau through `exp(+i w tau)`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .base import Device, InstrumentError, Limits, OutOfRangeError
from .clock import Clock

RAD_FS_PER_CM = 2e-5 * math.pi * 2.99792458
"""Angular frequency in rad/fs of 1 cm-1: 2 pi c."""
NM_CM = 1e7
"""Wavelength in nm times wavenumber in cm-1."""

_ROUNDING = 1e-9
_CLOCK_STEP_S = 1e-9


class NotSettledError(InstrumentError):
    """The shaper does not pass yet what it was told to pass."""


@dataclass(frozen=True)
class PulseTrain:
    """What a shaper is asked for: one entry per pulse, all seen from the unshaped pulse at delay 0.

    Pulse j is the laser's pulse times `a_j exp{i [(w - g w0) tau_j + phi_j]}`: with `rotating_frame`
    g = 0 its carrier moves with its envelope, with g = 1 the envelope moves under a carrier that stays,
    and what oscillates along the delay oscillates at w - g w0. Whoever records a scan stores g and w0.
    """

    delays_fs: tuple[float, ...]
    phases_rad: tuple[float, ...]
    amplitudes: tuple[float, ...]
    """Field of each pulse as a fraction of the unshaped one; a passive shaper has no more than 1 in all."""
    rotating_frame: float
    """g, usually 0 to 1."""
    carrier_cm: float
    """w0 in cm-1."""

    def __post_init__(self) -> None:
        if not len(self.delays_fs) == len(self.phases_rad) == len(self.amplitudes):
            raise ValueError(
                f"a pulse train needs one delay, phase and amplitude per pulse, not {len(self.delays_fs)}, "
                f"{len(self.phases_rad)} and {len(self.amplitudes)}"
            )

    @classmethod
    def pair(
        cls, t1_fs: float, phases_rad: tuple[float, float], *, rotating_frame: float, carrier_cm: float
    ) -> PulseTrain:
        """Two equal pulses as strong as they can be, the first `t1_fs` before the second, which is at 0."""
        return cls((-t1_fs, 0.0), phases_rad, (0.5, 0.5), rotating_frame, carrier_cm)

    @classmethod
    def triple(
        cls,
        t1_fs: float,
        t2_fs: float,
        phases_rad: tuple[float, float, float],
        *,
        rotating_frame: float,
        carrier_cm: float,
    ) -> PulseTrain:
        """Three equal pulses as strong as they can be, `t1_fs` and `t2_fs` apart, the last one at 0."""
        delays_fs = (-t1_fs - t2_fs, -t2_fs, 0.0)
        return cls(delays_fs, phases_rad, (1 / 3, 1 / 3, 1 / 3), rotating_frame, carrier_cm)

    def mask(self, wavenumber_cm: NDArray[np.float64]) -> NDArray[np.complex128]:
        """M(w) = sum of the pulses' factors at each wavenumber (complex, shape of `wavenumber_cm`)."""
        w = RAD_FS_PER_CM * (wavenumber_cm - self.rotating_frame * self.carrier_cm)
        mask = np.zeros(wavenumber_cm.shape, np.complex128)
        for delay_fs, phase, amplitude in zip(self.delays_fs, self.phases_rad, self.amplitudes, strict=True):
            mask += amplitude * np.exp(1j * (w * delay_fs + phase))
        return mask


BLANK = PulseTrain((), (), (), 0.0, 0.0)
"""No pulses: no light through."""


@dataclass(frozen=True)
class AppliedMask:
    """What the shaper really passes, after rounding to what it can show, without its own compensation."""

    train: PulseTrain
    wavenumber_cm: NDArray[np.float64]
    """Ascending."""
    field: NDArray[np.complex128]
    """Factor on the laser's field at each wavenumber."""


class PulseShaper(Device):
    """A shaper that turns each laser pulse into a train of pulses."""

    def __init__(self, *, clock: Clock, settle_s: float) -> None:
        self._clock = clock
        self.settle_s = settle_s
        self._changed_s = -math.inf

    @property
    @abstractmethod
    def window_fs(self) -> float:
        """Get the time window T in femtoseconds (float): delays up to half of it, either way, are usable."""

    @property
    @abstractmethod
    def wavenumber_cm(self) -> NDArray[np.float64]:
        """Get the wavenumbers at which the mask is set, ascending, in cm-1 (float64)."""

    @property
    def limits_fs(self) -> Limits:
        """Get the usable delays in femtoseconds."""
        return Limits(-0.5 * self.window_fs, 0.5 * self.window_fs)

    def check(self, train: PulseTrain) -> None:
        """Raise OutOfRangeError when the train cannot be made; sends nothing."""
        for k, delay_fs in enumerate(train.delays_fs, start=1):
            self.limits_fs.check(delay_fs, f"{self.name}: delay in fs of pulse {k}")
        if not all(map(math.isfinite, (*train.phases_rad, train.rotating_frame, train.carrier_cm))):
            raise OutOfRangeError(f"{self.name}: a phase, the rotating frame or the carrier is not a number")
        total = math.fsum(train.amplitudes)
        if not (all(a >= 0 for a in train.amplitudes) and total <= 1 + _ROUNDING):
            raise OutOfRangeError(
                f"{self.name}: amplitudes {train.amplitudes} add up to {total:.6g}; a shaper cannot amplify: "
                f"they must not be negative and add up to 1 at most (each of {len(train.amplitudes)} equal "
                f"pulses to 1/{len(train.amplitudes)})"
            )

    def set_pulses(self, train: PulseTrain) -> AppliedMask:
        """Show a train that `check` passes and return the exact mask; `settled` tells when it is there.

        Raises OutOfRangeError before anything is shown, InstrumentError when it cannot be shown.
        """
        self.check(train)
        applied = self._show(train)
        self._changed_s = self._clock.now()
        return applied

    @property
    def settled(self) -> bool:
        """Get whether the last change was `settle_s` ago (bool)."""
        return self.settle_remaining_s <= 0

    @property
    def settle_remaining_s(self) -> float:
        """Get the time in seconds until `settled` (float, 0 when it is)."""
        remaining_s = self._changed_s + self.settle_s - self._clock.now()
        return remaining_s if remaining_s > _CLOCK_STEP_S else 0.0

    def wait_settled(self) -> None:
        """Let the rig's clock run until `settled`."""
        while (remaining_s := self.settle_remaining_s) > 0:
            self._clock.sleep(remaining_s)

    @abstractmethod
    def make_safe(self) -> None:
        """Let no light through. May be called twice, from any thread, and when disconnected."""

    # ---- for drivers ----

    @abstractmethod
    def _show(self, train: PulseTrain) -> AppliedMask:
        """Show a train that was checked."""
