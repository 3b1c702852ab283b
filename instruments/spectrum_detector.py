"""Spectrometers with an array detector: frames of counts per pixel, with tags and time stamps."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .base import Device, InstrumentError, Limits, OutOfRangeError


class SpectrometerError(InstrumentError):
    """The spectrometer refused a command or delivered something that is no spectrum."""


class Frames(NamedTuple):
    """Exposures in the order they were taken."""

    counts: NDArray[np.float64]
    """Counts as read, dark included; shape (frames, pixels)."""
    tag: NDArray[np.int64]
    """What the frame belongs to (a phase step, a chopper state), as the caller says; shape (frames,)."""
    time_s: NDArray[np.float64]
    """When each exposure began, in seconds of the rig's clock; (frames,)."""

    @classmethod
    def joined(cls, parts: list[Frames]) -> Frames:
        """Frames of several calls in one, in the order given."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class SpectrumDetector(Device):
    """A spectrometer; what an exposure begins with is the state of the rig when `frames` is called."""

    integration_limits_s: Limits
    """Allowed integration times in seconds."""
    saturation_counts: float
    """Counts of a full pixel."""
    readout_s = 0.0
    """Time in seconds that a frame takes beyond its integration, for estimates."""
    has_shutter = False
    """Whether `open_shutter` works: a shutter in front of the slit that the spectrometer drives."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._dark: NDArray[np.float64] | None = None

    # ---- settings ----

    @property
    @abstractmethod
    def wavelength_nm(self) -> NDArray[np.float64]:
        """Get the vacuum wavelength at the centre of each pixel in nanometres (float64, ascending)."""

    @property
    def integration_time_s(self) -> float:
        """Control the integration time in seconds (float within `integration_limits_s`)."""
        return self._integration_time_s()

    @integration_time_s.setter
    def integration_time_s(self, value: float) -> None:
        self.integration_limits_s.check(value, f"{self.name}: integration_time_s")
        if value != self._integration_time_s():
            self._set_integration_time(value)
            self._dark = None

    @property
    def frame_s(self) -> float:
        """Estimate how long a frame takes, in seconds."""
        return self.integration_time_s + self.readout_s

    # ---- frames ----

    def frames(self, n: int, *, tag: int = 0) -> Frames:
        """Take `n` exposures one after the other, all with this tag.

        Raises OutOfRangeError for no frames, SpectrometerError or LinkError when they cannot be taken.
        """
        if n < 1:
            raise OutOfRangeError(f"{self.name}: {n!r} frames are none")
        counts, time_s = self._expose(n)
        return Frames(counts, np.full(n, tag, np.int64), time_s)

    @property
    def dark(self) -> NDArray[np.float64] | None:
        """Get the mean dark counts per pixel at this integration time; None until `take_dark`."""
        return self._dark

    def take_dark(self, n: int) -> NDArray[np.float64]:
        """Take `n` frames without light, and keep and return their mean.

        A shutter is closed for it and opened again; without one, block the light before.
        """
        if self.has_shutter:
            self.open_shutter(False)
        try:
            dark = self._dark = np.mean(self.frames(n).counts, axis=0)
        finally:
            if self.has_shutter:
                self.open_shutter(True)
        return dark

    def open_shutter(self, is_open: bool) -> None:
        """Open or close the shutter in front of the slit; raises InstrumentError where there is none."""
        if not self.has_shutter:
            raise InstrumentError(f"{self.name}: has no shutter; block the light by hand")
        self._set_shutter(is_open)

    def saturated(self, frames: Frames) -> NDArray[np.bool_]:
        """Whether any pixel of each frame is full; shape (frames,)."""
        return frames.counts.max(axis=1) >= self.saturation_counts

    def make_safe(self) -> None:
        """A spectrometer harms nothing: it stays as it is."""

    # ---- for drivers ----

    @abstractmethod
    def _integration_time_s(self) -> float:
        """The integration time in force."""

    @abstractmethod
    def _set_integration_time(self, value_s: float) -> None:
        """Set an integration time that was checked."""

    @abstractmethod
    def _expose(self, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Take frames: counts [n, pixels], and when each began."""

    def _set_shutter(self, is_open: bool) -> None:
        """Drive the shutter that `has_shutter` promises."""
        raise NotImplementedError(f"{type(self).__name__} has a shutter: it must write _set_shutter()")
