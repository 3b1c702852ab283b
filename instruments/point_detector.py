"""Point detectors: one number per setting of the rig, from a lock-in amplifier or from counted photons."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Readings(NamedTuple):
    """Readings in the order they were taken."""

    value: NDArray[np.complex128]
    """In phase and quadrature (X + iY, in volts), or counts; shape (readings,)."""
    tag: NDArray[np.int64]
    """What the reading belongs to, such as the phase step; shape (readings,)."""
    time_s: NDArray[np.float64]
    """When each reading began, in seconds of the rig's clock; shape (readings,)."""


class PointDetector(ABC):
    """Whatever turns the light of one setting into a number."""

    reading_s: float
    """How long a reading takes, in seconds."""

    @abstractmethod
    def readings(self, n: int, *, tag: int = 0) -> Readings:
        """Take `n` readings one after the other; raises InstrumentError."""
