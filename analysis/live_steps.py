"""Photons folded on potential steps while they come in, for watching: the run file's analysis is exact.

Blocks of records may be given with others missing between them: only levels of which a block holds both
steps are counted.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .potential_step import time_edges

Direction = Literal["falling", "rising"]
"""Of the potential: falling is from high to low."""
_WHOLE = 0.01
"""A level is whole when its length is the planned one within this part."""


class FoldedRate(NamedTuple):
    """Count rate after all steps of one direction so far; arrays of one entry per time bin."""

    steps: int
    time_us: NDArray[np.float64]
    """Centres of the bins, after the step."""
    rate_hz: NDArray[np.float64]
    error_hz: NDArray[np.float64]
    """Poisson error, an empty bin counted as one photon."""


class LiveSteps:
    """Counts photons behind the steps of a square wave whose levels last `level_s` each.

    `falling_line` and `rising_line` are the marker inputs (1 to 4) of the comparator's edges.
    """

    def __init__(self, level_s: float, sync_period_s: float, falling_line: int, rising_line: int) -> None:
        self._sync_period_s, self._level_syncs = sync_period_s, level_s / sync_period_s
        self._lines: dict[Direction, int] = {"falling": falling_line, "rising": rising_line}
        self._edges = time_edges(max(1, int((1.0 - _WHOLE) * self._level_syncs) - 2))
        self._steps: dict[Direction, int] = {"falling": 0, "rising": 0}
        self._counts = {name: np.zeros(len(self._edges) - 1, np.int64) for name in self._lines}

    def add(
        self, sync: NDArray[np.int64], marker_sync: NDArray[np.int64], marker_bits: NDArray[np.uint8]
    ) -> None:
        """Take a block: sync numbers of its photons, and of its markers with their lines as bits."""
        bits = {name: (marker_bits >> (line - 1)) & 1 == 1 for name, line in self._lines.items()}
        mine = bits["falling"] | bits["rising"]
        steps, falling = marker_sync[mine], bits["falling"][mine]
        whole = np.abs(np.diff(steps) - self._level_syncs) < 2 + _WHOLE * self._level_syncs
        whole = np.append(whole & (falling[1:] != falling[:-1]), False)
        step_of = np.searchsorted(steps, sync, "right") - 1
        inside = step_of >= 0
        step_of, behind = step_of[inside], sync[inside] - steps[step_of[inside]]
        directions: dict[Direction, NDArray[np.bool_]] = {
            "falling": whole & falling,
            "rising": whole & ~falling,
        }
        for name, chosen in directions.items():
            self._steps[name] += int(chosen.sum())
            self._counts[name] += np.histogram(behind[chosen[step_of]], self._edges)[0]

    def folded(self, direction: Direction) -> FoldedRate | None:
        """What came after the steps of one direction; None before the first whole level."""
        steps = self._steps[direction]
        if steps == 0:
            return None
        edges_us = (self._edges - 1) * self._sync_period_s * 1e6  # a pulse fires within a period of its step
        exposure_s = steps * np.diff(self._edges) * self._sync_period_s
        counts = self._counts[direction]
        return FoldedRate(
            steps,
            np.asarray(0.5 * (edges_us[1:] + edges_us[:-1]), np.float64),
            counts / exposure_s,
            np.sqrt(np.maximum(counts, 1)) / exposure_s,
        )
