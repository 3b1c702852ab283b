"""What a station looks like at one moment: plain values for whoever shows it, from any thread."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Holder = Literal["monitor", "run", "nobody"]


Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Abscissa and ordinate, of one length."""


@dataclass(frozen=True)
class Number:
    """A measured or set quantity, with the interval that the rig allows for it."""

    name: str
    value: float
    """nan where it is not known."""
    unit: str
    lower: float = -math.inf
    upper: float = math.inf

    @property
    def within(self) -> bool:
        """Whether the value is inside its limits; an unknown one is."""
        return math.isnan(self.value) or self.lower <= self.value <= self.upper


@dataclass(frozen=True)
class RoleState:
    """One instrument of the station."""

    role: str
    driver: str
    """Name of the driver, as the station file gives it."""
    simulated: bool = False
    connected: bool = False
    identity: str = ""
    doing: str = ""
    """The command under way, in words."""
    words: Mapping[str, str] = field(default_factory=dict)
    """States by name, such as lock or cell."""
    numbers: Mapping[str, Number] = field(default_factory=dict)
    """By key, such as `repetition_rate_hz` or `x_um`."""
    choices: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """The values that a number may be set to, where only some can be."""
    curves: Mapping[str, Curve] = field(default_factory=dict, compare=False)
    """What is measured against something else, such as a spectrum, by key."""
    error: str = ""
    """Why it cannot be connected or read."""
    refused: str = ""
    """Why the last command was refused or failed; empty once one has succeeded."""


@dataclass(frozen=True)
class StationSnapshot:
    """All instruments of a station, who holds them, and the last alarm."""

    station: str
    simulated: bool
    holder: Holder
    roles: Mapping[str, RoleState]
    phase: str = ""
    """What the run that holds the station is doing."""
    alarm: str = ""
    """Why light was shut off without anybody asking for it, or what could not be made safe."""
