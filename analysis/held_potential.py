"""When each potential of a sequence of steps was held, on the photons' clock.

The potentiostat's record tells the lengths of the holds; when the first began is known to some tenths of a
second from the host's clock, and to milliseconds where a step crosses the threshold of the comparator that
marks it among the photons. What is uncertain is cut off both ends of a hold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .potential import CLOCK_TOLERANCE, MarkerWiring

MARK_UNCERTAINTY_S = 0.002
"""Standard uncertainty of a step's time from its mark: the step's own rise, and the program's timing."""
SETTLING_S = 0.01
"""Cut off the beginning of a hold at least: ten times the cell's own time constant."""
GUARD = 3.0
"""Standard uncertainties cut off both ends of a hold."""


@dataclass(frozen=True)
class StepsRecord:
    """Potentials held one after the other by one program, as the potentiostat recorded them."""

    levels: tuple[tuple[float, float], ...]
    """Potential in volts and duration in seconds of each hold; the last may be shorter than planned."""
    start_s: float
    """When the first hold began, on the photons' clock, as the host saw it."""
    start_uncertainty_s: float


@dataclass(frozen=True)
class HeldPotential:
    """One potential, and the time on the photons' clock during which it was certainly held."""

    potential_v: float
    start_s: float
    end_s: float
    uncertainty_s: float
    """Standard uncertainty of both ends before they were cut."""
    source: Literal["marker", "clock"]

    @property
    def exposure_s(self) -> float:
        """Length of the window, 0 where nothing of the hold is certain."""
        return max(0.0, self.end_s - self.start_s)

    @property
    def window_s(self) -> NDArray[np.floating]:
        """The window as an array of shape (1, 2)."""
        return np.array([[self.start_s, self.end_s]])


def align_holds(
    records: Sequence[StepsRecord],
    marker_time_s: NDArray[np.floating],
    marker_line: NDArray[np.uint8],
    wiring: MarkerWiring | None,
) -> tuple[HeldPotential, ...]:
    """Every hold of the records on the photons' clock, by marks where a step crosses the threshold.

    `wiring` is None when no marker carries the potential.
    """
    holds: list[HeldPotential] = []
    for record in records:
        ends_s = np.concatenate(([0.0], np.cumsum([duration_s for _, duration_s in record.levels])))
        late_s = None if wiring is None else _late_s(record, ends_s, marker_time_s, marker_line, wiring)
        drift_s = CLOCK_TOLERANCE * float(ends_s[-1])
        uncertainty_s = math.hypot(
            record.start_uncertainty_s if late_s is None else MARK_UNCERTAINTY_S, drift_s
        )
        source: Literal["marker", "clock"] = "clock" if late_s is None else "marker"
        starts_s = record.start_s + (late_s or 0.0) + ends_s
        cut_s = GUARD * uncertainty_s
        for (potential_v, _), start_s, end_s in zip(record.levels, starts_s[:-1], starts_s[1:], strict=True):
            first_s = max(0.0, float(start_s) + max(cut_s, SETTLING_S))
            holds.append(HeldPotential(potential_v, first_s, float(end_s) - cut_s, uncertainty_s, source))
    return tuple(holds)


def _late_s(
    record: StepsRecord,
    ends_s: NDArray[np.floating],
    marker_time_s: NDArray[np.floating],
    marker_line: NDArray[np.uint8],
    wiring: MarkerWiring,
) -> float | None:
    """How much later the record began than the host saw, from the marks of its steps; None without marks.

    A mark may belong to any step that crosses the threshold in its direction; the delay that most marks
    agree on, within what the host's clock allows, is the true one.
    """
    below = np.array([potential_v < wiring.threshold_v for potential_v, _ in record.levels])
    late: list[NDArray[np.floating]] = []
    for line, crosses in (
        (wiring.falling_line, ~below[:-1] & below[1:]),
        (wiring.rising_line, below[:-1] & ~below[1:]),
    ):
        expected_s = record.start_s + ends_s[1:-1][crosses]
        late.append(np.subtract.outer(marker_time_s[marker_line == line], expected_s).ravel())
    possible = np.concatenate(late)
    possible = np.sort(possible[np.abs(possible) < 5 * record.start_uncertainty_s])
    if len(possible) == 0:
        return None
    reach_s = 5 * MARK_UNCERTAINTY_S + CLOCK_TOLERANCE * float(ends_s[-1])
    agreeing = np.abs(possible[:, None] - possible[None, :]) < reach_s
    return float(np.median(possible[agreeing[agreeing.sum(axis=1).argmax()]]))
