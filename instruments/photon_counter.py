"""Time-correlated single-photon counters: blocks of 32-bit time-tag words, rates, flags, markers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ..formats.tttr import RecordType
from .base import Device, InstrumentError


class CountingError(InstrumentError):
    """The counter lost data or its sync during a measurement; the run cannot go on."""


class TttrMode(IntEnum):
    """How photons are recorded; the numbers are the vendor's."""

    HISTOGRAM = 0
    T2 = 2
    T3 = 3


@dataclass(frozen=True)
class InputSettings:
    """One timing input (sync or detector): discriminator and electrical delay."""

    cfd_level_mv: int = -50
    cfd_zero_cross_mv: int = -10
    offset_ps: int = 0
    enabled: bool = True
    dead_time_code: int | None = None


@dataclass(frozen=True)
class CounterSettings:
    """How a measurement is recorded."""

    mode: TttrMode = TttrMode.T3
    binning: int = 0
    """Resolution = base resolution times 2**binning (histogram and T3)."""
    sync_divider: int = 1
    sync: InputSettings = InputSettings()
    inputs: tuple[InputSettings, ...] = (InputSettings(), InputSettings())
    marker_rising: tuple[bool, bool, bool, bool] = (True, True, True, True)
    marker_enabled: tuple[bool, bool, bool, bool] = (False, False, False, False)
    marker_holdoff_ns: int = 0


@dataclass(frozen=True)
class CounterFlags:
    """State of the counter during a measurement."""

    histogram_overflow: bool = False
    fifo_overrun: bool = False
    sync_lost: bool = False
    events_dropped: bool = False
    system_error: bool = False


class PhotonCounter(Device):
    """A photon counter with one sync input, detector inputs and marker inputs.

    A measurement is `configure`, `start`, then the words are drained in the background from `start` to
    `stop` and fetched with `take`; whoever fetches may be late without anything being lost, up to the
    buffer's size.
    """

    n_inputs: int
    buffer_words: int
    """How many words are kept between the card and `take()`."""
    record_type: RecordType
    """What a word means in the mode configured, as PTU files code it."""

    @abstractmethod
    def configure(self, settings: CounterSettings) -> None:
        """Set mode, inputs and markers, and wait until the rate meters are valid.

        Raises OutOfRangeError or InstrumentError.
        """

    @property
    @abstractmethod
    def resolution_ps(self) -> float:
        """Get the time resolution in picoseconds of the mode configured (float)."""

    @property
    @abstractmethod
    def sync_rate_hz(self) -> float:
        """Measure the sync rate in hertz (float)."""

    @abstractmethod
    def count_rates_hz(self) -> tuple[float, ...]:
        """Measure the count rate of each input in hertz."""

    @abstractmethod
    def flags(self) -> CounterFlags:
        """Get the flags of the present measurement."""

    @abstractmethod
    def warnings(self) -> tuple[str, ...]:
        """Get what the counter warns of, one sentence each."""

    @abstractmethod
    def start(self, duration_s: float) -> None:
        """Start a measurement of at most `duration_s` seconds and, in T2 and T3 mode, the drain."""

    @abstractmethod
    def take(self) -> NDArray[np.uint32]:
        """Fetch the words that arrived since the last call (own copy, uint32, may be empty).

        Raises CountingError on FiFo overrun, sync loss or a full buffer; what came before it can be
        fetched first.
        """

    @property
    @abstractmethod
    def measuring(self) -> bool:
        """Get whether the measurement or its drain is still going on (bool)."""

    @abstractmethod
    def stop(self) -> None:
        """End the measurement; words already recorded can still be fetched with `take`. Idempotent."""

    @abstractmethod
    def histogram(self) -> NDArray[np.uint32]:
        """Get the histograms of a measurement in histogram mode, shape (inputs, bins)."""
