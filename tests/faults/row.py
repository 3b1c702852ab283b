"""A row of the fault matrix."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One fault; the texts are compared with what is seen, `says` with ... for anything."""

    fault: str
    run: str
    ended: str
    """Status of a run; of a driver by itself the error's class."""
    exit_status: int | None
    says: str
    rig: str
    data: str = ""
    photons_s: float | None = None
    """Photons of at least so many seconds are in the file; None: no measurement was begun."""

    @property
    def pattern(self) -> str:
        """`says` as a regular expression for the whole message."""
        return ".*".join(re.escape(part) for part in self.says.split("..."))
