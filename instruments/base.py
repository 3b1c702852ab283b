"""What every instrument has: limits checked before anything is sent, an identity, a safe state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self


class InstrumentError(Exception):
    """An instrument refused, failed or answered what it should not; the message says what to do."""


class OutOfRangeError(InstrumentError, ValueError):
    """A setpoint lies outside the allowed range; nothing was sent."""


class NotConnectedError(InstrumentError):
    """The instrument was used before `connect()` or after `disconnect()`."""


class VendorSoftwareMissingError(InstrumentError):
    """The vendor's library or program is not where the station file says."""


class Limits(NamedTuple):
    """Closed interval of allowed setpoints, in the unit of the quantity."""

    lower: float
    upper: float

    def check(self, value: float, what: str) -> float:
        """Return `value`, or raise OutOfRangeError before anything moves; nan is refused too."""
        if not self.lower <= value <= self.upper:
            raise OutOfRangeError(f"{what} = {value!r} is outside [{self.lower}, {self.upper}]")
        return value

    def within(self, other: Limits) -> Limits:
        """The part of this interval that `other` allows as well."""
        return Limits(max(self.lower, other.lower), min(self.upper, other.upper))


@dataclass(frozen=True)
class Identity:
    """Who answered at the other end of the connection."""

    vendor: str
    model: str
    serial: str = ""
    version: str = ""
    simulated: bool = False

    def __str__(self) -> str:
        parts = [self.vendor, self.model, self.serial and f"s/n {self.serial}", self.version]
        return " ".join(p for p in parts if p) + (" [SIMULATED]" if self.simulated else "")


class Device(ABC):
    """One instrument of the rig; making one sends nothing, `connect()` opens the connection."""

    name: str
    manual = False
    """True where a person has to act: such an instrument is made safe after all the others."""

    @abstractmethod
    def connect(self) -> Identity:
        """Open the connection, identify the instrument, and return who it is.

        Raises VendorSoftwareMissingError or InstrumentError.
        """

    @abstractmethod
    def make_safe(self) -> None:
        """Bring the instrument to its safe state.

        May be called twice, from any thread, and when disconnected. Raises InstrumentError only
        when the instrument may have stayed unsafe.
        """

    def assume_unsafe(self) -> None:  # noqa: B027 - where make_safe acts in any case there is nothing to forget
        """Forget what is known of the instrument's state, so that the next `make_safe` acts in any case."""

    @abstractmethod
    def disconnect(self) -> None:
        """Make safe and close the connection; does nothing when there is none."""

    def settings(self) -> dict[str, object]:
        """What a run file records of this instrument (JSON types only)."""
        return {}

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()
