"""How the readings at one t2 become fields against w3; here from fringes on a spectrometer.

`scanned_t3` has the other way. Both take readings whose phases were cycled, which are sums of fields and of
complex conjugates of fields, and keep what oscillates as exp(-i w t3) with positive w.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .interferometry import Interferometer

STEP_CM = 20.0
"""Spacing of w3; signals that last 300 fs have no finer structure."""


def _nothing() -> NDArray[np.floating]:
    return np.empty(0)


@dataclass(frozen=True)
class Block:
    """All readings at one t2."""

    t2_fs: float
    counts: NDArray[np.floating]
    """Shape (t1, phase steps, pixels) of a spectrometer, dark subtracted; (t1, phase steps, t3) where t3 is
    scanned, in volts."""
    lo_counts: NDArray[np.floating] = field(default_factory=_nothing)
    """Of a spectrometer: the local oscillator alone, shape (pixels,)."""
    t3_fs: NDArray[np.floating] = field(default_factory=_nothing)
    """Where t3 is scanned: the delays as they were measured, shape (t3,)."""


class Detector(Protocol):
    """Makes fields of one scan's readings."""

    @property
    def w3_cm(self) -> NDArray[np.floating]:
        """Axis of the fields, ascending and even."""
        ...

    def steadied(self, block: Block) -> NDArray[np.floating]:
        """The readings of a block without the drift that it knows of."""
        ...

    def fields(self, block: Block, cycled: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
        """Fields (t1, w3) of such readings after phase cycling, (t1, pixels) or (t1, t3)."""
        ...


class Detection(Protocol):
    """How a scan detects."""

    def detector(self, first: Block, band_cm: tuple[float, float]) -> Detector:
        """What makes fields within the band, given the first block."""
        ...


@dataclass(frozen=True)
class Spectrometer:
    """t3 by the spectrometer: fringes with a local oscillator that comes before pulse 3."""

    pixel_cm: NDArray[np.floating]
    lo_lead_fs: float

    def detector(self, first: Block, band_cm: tuple[float, float]) -> Detector:
        """Fields by spectral interferometry; raises ValueError when fringes are too fine for the pixels."""
        return _Fringes(Interferometer(self.pixel_cm, first.lo_counts, self.lo_lead_fs), band_cm)


class _Fringes:
    def __init__(self, interferometer: Interferometer, band_cm: tuple[float, float]) -> None:
        self._interferometer = interferometer
        axis_cm, (low, high) = interferometer.wavenumber_cm, band_cm
        every = max(1, round(STEP_CM / float(axis_cm[1] - axis_cm[0])))
        self._kept = (axis_cm >= low) & (axis_cm <= high) & (np.arange(len(axis_cm)) % every == 0)
        self.w3_cm = axis_cm[self._kept]

    def steadied(self, block: Block) -> NDArray[np.floating]:
        """Counts scaled to the first local oscillator's total, which takes out slow changes of the power.

        By the mean over each phase cycle, since the scatter of pulses 1 and 2 beats in single frames just as
        the signals do.
        """
        total = block.counts.sum(axis=-1, keepdims=True).mean(axis=1, keepdims=True)
        return block.counts * (self._interferometer.lo_counts.sum() / total)

    def fields(self, block: Block, cycled: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
        return self._interferometer.fields(cycled)[:, self._kept]
