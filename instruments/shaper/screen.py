"""The seam of a liquid-crystal shaper: a screen that shows a frame of grey levels, bit for bit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8 | np.uint16]
"""Grey levels (rows, columns), or uint8 colours (rows, columns, 3) that carry the bits of a finer panel."""


class ScreenInfo(NamedTuple):
    """What the computer says of a screen."""

    name: str
    columns: int
    rows: int
    pixel_ratio: float
    """Screen pixels per pixel of the program; anything but 1 means that frames would be scaled."""
    bits: int | None = None
    """Depth of its grey levels, where the panel itself is asked."""


class Screen(ABC):
    """One screen that nothing else is shown on."""

    simulated = False
    raw_levels = False
    """True where frames are grey levels of any depth, uint8 up to 8 bits, else uint16; False where they go
    over a video link: grey levels of 8 bits, or 10 bits packed over the colours."""

    @abstractmethod
    def open(self) -> ScreenInfo:
        """Take the screen and say what it is; raises InstrumentError when it is not there."""

    @abstractmethod
    def show(self, frame: Frame) -> None:
        """Show a frame of exactly the screen's size; returns when it is painted, from any thread.

        The frame is C-contiguous and is not changed afterwards. Raises InstrumentError when it could not
        be shown.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the screen back; does nothing when it is not open."""
