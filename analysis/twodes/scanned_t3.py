"""t3 scanned on a point detector: from readings against the local oscillator's delay to fields against w3.

The detector collects all of the spectrum, `integral |L(w) exp(-i w lead) + F(w)|^2 dw` with the field F of
the signal. With the local oscillator t3 behind pulse 3, lead = -t3, what oscillates with t3 is

    x(t3) = 2 Re integral L(w) F(w) exp(-i w t3) dw ,

at the optical frequency itself. All readings are real, so that the phases at which pulse 1 and 2 give the
rephasing signal leave R(t3) + conj(N(t3)); R lies at positive and conj(N) at negative frequencies of t3.

The samples are `t3_step_fs` apart, which repeats the spectrum every FS_PER_CM / t3_step_fs and folds its
negative half between: nothing lies on anything else as long as the band lies within one Nyquist zone,
[k, k + 1] FS_PER_CM / (2 t3_step_fs) with a whole k (R. G. Vaughan, N. L. Scott and D. R. White, IEEE Trans.
Signal Process. 39, 1973 (1991)). k = 0 is a step below half an optical period, larger ones are band-pass
sampling, which takes fewer readings and loses nothing.

L F has the local oscillator's width, so x(t3) begins softly, before t3 = 0, by as much as the local
oscillator lasts. Scanned from there on there is no edge: the plain sum over the samples is the transform, no
sample counts half, and division by L leaves F with its own sharp beginning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .detection import STEP_CM, Block, Detector
from .interferometry import WEAKEST_LO
from .units import FS_PER_CM, W

EDGE = 4.0
"""Standard deviations of the local oscillator's field, a Gaussian in time, that are scanned before zero."""
_DIGITS = 3  # of steps in messages: a thousandth of a femtosecond


@dataclass(frozen=True)
class LocalOscillator:
    """Its spectrum: a Gaussian, `fwhm_cm` wide in intensity, flat in phase."""

    centre_cm: float
    fwhm_cm: float

    def amplitude(self, wavenumber_cm: NDArray[np.floating]) -> NDArray[np.floating]:
        """Field against wavenumber, 1 at the centre."""
        return np.exp(-2 * math.log(2) * ((wavenumber_cm - self.centre_cm) / self.fwhm_cm) ** 2)

    @property
    def edge_fs(self) -> float:
        """How long before t3 = 0 its field has risen from nothing."""
        return EDGE * 2 * math.sqrt(math.log(2)) / (W * self.fwhm_cm)


@dataclass(frozen=True)
class ScannedT3:
    """t3 by a delay of the local oscillator, in even steps.

    Fields are the transform of the readings over L, which is 1 at its centre: in volts times femtoseconds.
    Phase and sign are those of the spectrometer's fields, the scale is another.
    """

    t3_step_fs: float
    lo: LocalOscillator

    def detector(self, first: Block, band_cm: tuple[float, float]) -> Detector:
        """Fields within the band, where the local oscillator is strong enough."""
        axis_cm = np.arange(band_cm[0], band_cm[1] + 1e-9, STEP_CM)
        return _Scanned(self, axis_cm[self.lo.amplitude(axis_cm) ** 2 > WEAKEST_LO])


class _Scanned:
    def __init__(self, scan: ScannedT3, w3_cm: NDArray[np.floating]) -> None:
        self.w3_cm = w3_cm
        self._weights = scan.t3_step_fs / scan.lo.amplitude(w3_cm)

    def steadied(self, block: Block) -> NDArray[np.floating]:
        """The readings as they are: a lock-in tells nothing of the laser's power."""
        return block.counts

    def fields(self, block: Block, cycled: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
        """Without what does not change with t3: the light of the signal and of the pumps without the rest."""
        oscillating = cycled - cycled.mean(axis=-1, keepdims=True)
        kernel = np.exp(1j * W * np.multiply.outer(block.t3_fs, self.w3_cm))
        return (oscillating @ kernel) * self._weights


def t3_axis_fs(step_fs: float, points: int, lo: LocalOscillator) -> NDArray[np.floating]:
    """So many t3 from 0 on, and those before it at which the signal begins."""
    return step_fs * np.arange(-math.ceil(lo.edge_fs / step_fs), points)


def is_unfolded(step_fs: float, band_cm: tuple[float, float]) -> bool:
    """Whether a step of t3 puts the whole band into one Nyquist zone."""
    return any(low <= step_fs <= high for low, high in unfolded_steps_fs(band_cm))


def nearest_step_fs(step_fs: float, band_cm: tuple[float, float]) -> float:
    """The step nearest to this one that puts the band into one Nyquist zone, in whole attoseconds."""
    scale = 10**_DIGITS
    ends = [
        (math.ceil(low * scale) / scale, math.floor(high * scale) / scale)
        for low, high in unfolded_steps_fs(band_cm)
    ]
    allowed = [min(max(step_fs, low), high) for low, high in ends if low <= high]
    return min(allowed, key=lambda allowed_fs: abs(allowed_fs - step_fs))


def unfolded_steps_fs(band_cm: tuple[float, float]) -> list[tuple[float, float]]:
    """All steps that put the band into one Nyquist zone: shortest and longest, zone by zone."""
    low_cm, high_cm = band_cm
    zones = range(math.floor(low_cm / (high_cm - low_cm)) + 1)
    steps = [(k * FS_PER_CM / (2 * low_cm), (k + 1) * FS_PER_CM / (2 * high_cm)) for k in zones]
    return [(shortest, longest) for shortest, longest in steps if shortest <= longest]
