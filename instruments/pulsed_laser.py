"""Pulsed diode lasers: repetition rate, intensity, and the lock that keeps them dark."""

from __future__ import annotations

from abc import abstractmethod
from enum import Enum

from .base import Device


class LaserLock(Enum):
    """Whether the laser can emit, and what keeps it from emitting."""

    UNLOCKED = "unlocked"
    SOFT = "locked by software"
    HARD = "locked by key, interlock or power"


class PulsedLaser(Device):
    """A pulsed laser whose trigger also feeds the photon counter's sync input."""

    repetition_rates_hz: tuple[float, ...]
    """The rates this laser can be set to."""

    @property
    @abstractmethod
    def repetition_rate_hz(self) -> float:
        """Get the pulse repetition rate in hertz (float)."""

    @abstractmethod
    def set_pulses(self, repetition_rate_hz: float, intensity: float) -> None:
        """Set the repetition rate in hertz and the intensity as a fraction (0 to 1) of the driver's scale.

        Raises OutOfRangeError for a rate that the laser does not have, before anything is sent.
        """

    @property
    @abstractmethod
    def lock(self) -> LaserLock:
        """Get what keeps the laser from emitting."""

    @abstractmethod
    def unlock(self) -> None:
        """Let the laser emit; raises InstrumentError when a key or interlock keeps it locked."""

    @abstractmethod
    def make_safe(self) -> None:
        """Lock the laser. May be called twice, from any thread, and when disconnected."""
