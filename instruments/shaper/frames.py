"""From a complex mask to the grey levels of a two-dimensional phase panel, and back to what they mean.

Each column of the panel repeats a short pattern of rows. *Diffraction-based* (Turner, Stone, Gundogdu,
Nelson, Rev. Sci. Instrum. 82, 081301 (2011)): a sawtooth of P rows, of which only the first diffraction
order goes on; its depth sets the amplitude and its vertical shift the phase. *Phase-only*: rows alternate
between two phases, of which only the undiffracted light, their mean, goes on.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .screen import Frame

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]

_DEPTHS = np.linspace(0.0, 1.0, 4097)


class Encoding(Protocol):
    """How the rows of a column carry amplitude and phase."""

    @property
    def rows(self) -> int:
        """After how many rows a column repeats itself (int)."""
        ...

    def phases(self, mask: Complex) -> Real:
        """Phases in [0, 2 pi) of the rows (float64 [rows, columns]) that make `mask` (|mask| <= 1)."""
        ...

    def field(self, phase_rad: Real) -> Complex:
        """What such rows pass on (complex [columns]), relative to the most they can."""
        ...


class Diffraction:
    """A sawtooth of `rows` rows; the field goes on in its order `order`, +1 or -1.

    Rows are counted from the top of the frame, and order +1 is the one that a phase rising with the row
    number sends light into. In the continuous limit a sawtooth of depth D (in turns) diffracts the field
    sinc(1 - D); with P rows it is sin(pi (1 - D)) / (P sin(pi (1 - D) / P)), relative to D = 1. A shift by a
    part of a row would add a phase of up to pi (1 - D) / P, which is known and taken off each column.
    """

    def __init__(self, rows: int, order: int) -> None:
        if rows < 4 or order not in (1, -1):
            raise ValueError(f"a sawtooth needs 4 rows or more and order 1 or -1, not {rows} and {order}")
        self.rows, self.order = rows, order
        missing = np.pi * (1 - _DEPTHS[:-1])
        self._amplitudes = np.append(np.sin(missing) / (rows * np.sin(missing / rows)), 1.0)

    def phases(self, mask: Complex) -> Real:
        """Phases of the rows; see `Encoding`."""
        if self.order == -1:
            return 2 * np.pi - self._rising(mask.conj())
        return self._rising(mask)

    def field(self, phase_rad: Real) -> Complex:
        """The field in the order; see `Encoding`."""
        turns = self.order * np.arange(self.rows)[:, None] / self.rows
        return np.mean(np.exp(1j * (phase_rad - 2 * np.pi * turns)), axis=0)

    def _rising(self, mask: Complex) -> Real:
        depth = np.interp(np.abs(mask), self._amplitudes, _DEPTHS)
        shift_rows = np.angle(mask) / (2 * np.pi) * self.rows
        whole_rows = np.floor(shift_rows)
        part = shift_rows - whole_rows
        turns = ((np.arange(self.rows)[:, None] + whole_rows) % self.rows + part) / self.rows
        taken_off = (1 - depth) * (part - 0.5) / self.rows
        return 2 * np.pi * (0.5 + depth * (turns - 0.5) + taken_off)


class PhaseOnly:
    """Two alternating rows phi + alpha and phi - alpha, whose mean is cos(alpha) exp(i phi)."""

    rows = 2

    def phases(self, mask: Complex) -> Real:
        """Phases of the rows; see `Encoding`."""
        alpha = np.arccos(np.clip(np.abs(mask), 0.0, 1.0))
        return (np.angle(mask) + np.stack([alpha, -alpha])) % (2 * np.pi)

    def field(self, phase_rad: Real) -> Complex:
        """The undiffracted field; see `Encoding`."""
        return np.mean(np.exp(1j * phase_rad), axis=0)


class GreyTable:
    """The grey level nearest to a phase, column by column, from phases that rise with the level."""

    def __init__(self, phase_rad: Real) -> None:
        """`phase_rad` is float64 [columns, levels], from 0 to about 2 pi or beyond."""
        self.phase_rad = phase_rad
        columns, self._levels = phase_rad.shape
        # one ascending list for all columns: each is lifted above the one before
        self._lift = (phase_rad.max() + 10.0) * np.arange(columns)
        self._between = ((phase_rad[:, 1:] + phase_rad[:, :-1]) / 2 + self._lift[:, None]).ravel()

    def levels(self, phase_rad: Real) -> NDArray[np.uint16]:
        """Grey levels (uint16) for phases in [0, 2 pi] of shape [rows, columns]."""
        columns = np.arange(phase_rad.shape[1])
        found = np.searchsorted(self._between, phase_rad + self._lift)
        return (found - columns * (self._levels - 1)).astype(np.uint16)

    def phases(self, levels: NDArray[np.uint16]) -> Real:
        """What grey levels of shape [rows, columns] mean (float64, same shape)."""
        return self.phase_rad[np.arange(levels.shape[1]), levels]


def pack(levels: NDArray[np.uint16], bits: int, *, raw: bool = False) -> Frame:
    """Grey levels as the screen takes them: uint8 for 8 bits, and for 10 bits spread over the colours.

    `raw` leaves more than 8 bits together, as uint16.

    Bits 9 to 7 go to the top of red, 6 to 4 to the top of green, 3 to 0 to the top of blue; this packing
    (Santec's, over DVI) has not been checked on a panel.
    """
    if bits == 8:
        return levels.astype(np.uint8)
    if raw:
        return levels
    colours = ((levels >> 7) << 5, ((levels >> 4) & 7) << 5, (levels & 15) << 4)
    return np.stack(colours, axis=-1).astype(np.uint8)


def tile(pattern: Frame, rows: int) -> Frame:
    """A frame of `rows` rows that repeats the rows of `pattern`."""
    return np.ascontiguousarray(pattern[np.arange(rows) % len(pattern)])
