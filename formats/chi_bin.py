"""The numbers at the end of a CHI `.bin` file, used to undo the four-digit rounding of the text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAGIC = b"\x80\xf2\x1d\x00"
"""First four bytes of every such file seen (760E, macro runs)."""


def unrounded(raw: bytes, printed: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Full-precision values (float64, shape of `printed`) of the column printed, or None.

    The format is undocumented: the last 4 N bytes of the files seen are N little-endian 32-bit floats in row
    order with the text's sign. So every value is checked against the printed four digits, and one that does
    not fit discards them all.
    """
    size = 4 * len(printed)
    if not raw.startswith(MAGIC) or len(raw) < len(MAGIC) + size or not size:
        return None
    values = np.frombuffer(raw[-size:], dtype="<f4").astype(np.float64)
    if not np.all(np.isfinite(values)):
        return None
    with np.errstate(divide="ignore"):
        last_digit = 10.0 ** (np.floor(np.log10(np.abs(printed))) - 3)
    return values if np.all(np.abs(values - printed) <= 0.501 * last_digit) else None
