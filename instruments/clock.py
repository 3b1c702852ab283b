"""The time that drivers and procedures wait on: the wall's on a real rig, the bench's on a simulated one."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What every driver and procedure uses instead of `time`."""

    def now(self) -> float:
        """Seconds since this clock was made (float)."""
        ...

    def sleep(self, duration_s: float) -> None:
        """Let `duration_s` seconds of this clock pass."""
        ...


class RealClock:
    """The wall's time, for real instruments."""

    def __init__(self) -> None:
        self._origin = time.monotonic()

    def now(self) -> float:
        """Seconds since this clock was made (float)."""
        return time.monotonic() - self._origin

    def sleep(self, duration_s: float) -> None:
        """Let `duration_s` seconds pass."""
        time.sleep(max(0.0, duration_s))
