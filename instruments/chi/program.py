"""The driver's one seam: a vendor program started with a macro file, its windows, and its end."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class RunningProgram(Protocol):
    """A started program; every call returns at once."""

    def running(self) -> bool:
        """True while the program has not ended."""
        ...

    def dialog(self) -> str | None:
        """Title and text of a modal window that waits for a person, or None."""
        ...

    def terminate(self) -> None:
        """End the program by force; does nothing when it has ended."""
        ...


class ProgramLauncher(Protocol):
    """Starts the vendor program; the simulator plugs in here."""

    simulated: bool
    shared: bool
    """Whether other processes of this computer can start the same program on the same instrument."""

    def check(self) -> str:
        """Say what would be started, or raise VendorSoftwareMissingError where it is not there."""
        ...

    def start(self, macro: Path) -> RunningProgram:
        """Start the program with `/runmacro:"macro"` and return at once."""
        ...
