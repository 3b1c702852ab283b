"""The maps of a scan that goes on, t2 by t2: each new block is made into a map once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...analysis.twodes.spectra import Maps

if TYPE_CHECKING:
    from ...procedures.twod_procedure import TwoDProcedure

T = TypeVar("T", bound=np.generic)

FIRST_ROOM = 16
"""Maps that there is room for at first; the room doubles when it is full."""


class MapSeries:
    """The maps so far; of one thread, while what it has given may be read by others."""

    def __init__(self, procedure: TwoDProcedure) -> None:
        self._procedure, self._t2_fs = procedure, procedure.t2_fs()
        self._known: Maps | None = None
        self._n = self._pieces = 0

    def look(self) -> Maps | None:
        """The maps of all t2 so far; None where there is none that was not given before."""
        pieces = self._procedure.pieces
        last = self._procedure.live_maps() if pieces > self._pieces else None
        if last is None:
            return None
        n = 1 + int(np.argmin(np.abs(self._t2_fs - last.t2_fs[-1])))
        if n > self._n + 1:  # more than one t2 came meanwhile
            last = self._procedure.live_series()
            assert last is not None, "there was a block before"
        self._take(last, at=n - len(last.t2_fs))
        self._pieces = pieces
        return self._shown()

    def _take(self, maps: Maps, at: int) -> None:
        """Put maps at a place; where there are others of the same t2, these stay as they were given."""
        end = at + len(maps.t2_fs)
        if self._known is None or at < self._n or end > len(self._known.t2_fs):
            self._grow(maps, max(FIRST_ROOM, 2 * end))
        known, here = self._known, slice(at, end)
        assert known is not None
        known.t2_fs[here] = maps.t2_fs
        known.rephasing[here] = maps.rephasing
        known.nonrephasing[here] = maps.nonrephasing
        self._n = end

    def _grow(self, like: Maps, room: int) -> None:
        def larger(part: NDArray[T]) -> NDArray[T]:
            made = np.empty((room, *part.shape[1:]), part.dtype)
            made[: self._n] = part[: self._n]
            return made

        known = self._known or like
        self._known = replace(
            like,
            t2_fs=larger(known.t2_fs),
            rephasing=larger(known.rephasing),
            nonrephasing=larger(known.nonrephasing),
        )

    def _shown(self) -> Maps:
        known, n = self._known, self._n
        assert known is not None
        return Maps(known.t2_fs[:n], known.w1_cm, known.w3_cm, known.rephasing[:n], known.nonrephasing[:n])
