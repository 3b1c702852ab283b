"""Which part of a voltammetry is drawn: all of a short run, of a long one what a person can tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..plots.voltammogram import Sweep

MOST_POINTS = 40_000
"""Points of sweeps that are drawn at once."""
RAMPS_UP_TO = 40
"""Cycles above which the ramps of the potential over time would only fill the plot."""
MOST_TRAIL = 6000
"""Points of the potential over time that are drawn."""


class Sampled(Protocol):
    """A record of the potentiostat, of a run that goes on or from a run file; arrays of one length."""

    @property
    def time_s(self) -> NDArray[np.float64]:
        """Seconds, from the start of the technique."""
        ...

    @property
    def potential_v(self) -> NDArray[np.float64]:
        """Potential in volts."""
        ...

    @property
    def current_a(self) -> NDArray[np.float64]:
        """Current in amperes."""
        ...

    @property
    def overload(self) -> NDArray[np.bool_]:
        """Where the current was beyond the range."""
        ...


def drawn_sweeps(records: Sequence[Sampled], cycle_s: float, cycles: int) -> list[Sweep]:
    """The sweeps of these records, of many cycles the first and the last one; never more than can be drawn.

    `cycles` is how many the run has when it is whole, `cycle_s` how long each takes.
    """
    from ...analysis.cycles import MIN_CYCLES_FOR_SCATTER

    cuts = [slice(None)] * len(records)
    if cycles >= MIN_CYCLES_FOR_SCATTER and records and len(records[0].time_s) > 1:
        per_cycle = round(cycle_s / float(np.median(np.diff(records[0].time_s))))
        records, cuts = (records[0], records[-1]), [slice(None, per_cycle), slice(-per_cycle, None)]
    step = max(1, sum(len(r.time_s[cut]) for r, cut in zip(records, cuts, strict=True)) // MOST_POINTS)
    return [
        Sweep(r.potential_v[cut][::step], r.current_a[cut][::step], r.overload[cut][::step])
        for r, cut in zip(records, cuts, strict=True)
    ]


class PotentialTrail:
    """The commanded potential of a run that goes on: whole for the newest stretch, thinned for drawing."""

    def __init__(self) -> None:
        self._taken, self._every = 0, 1
        self._recent: list[tuple[float, float]] = []
        self._drawn: list[tuple[float, float]] = []

    def take(self, trail: Sequence[tuple[float, float]], from_s: float) -> None:
        """Take what is new of (time in s, potential in V); before `from_s` only drawing needs it."""
        new = trail[self._taken : len(trail)]
        self._drawn += new[-self._taken % self._every :: self._every]
        self._taken += len(new)
        if len(self._drawn) > 2 * MOST_TRAIL:
            self._drawn, self._every = self._drawn[::2], 2 * self._every
        self._recent += new
        first = next((k for k, (time_s, _) in enumerate(self._recent) if time_s >= from_s), len(self._recent))
        self._recent = self._recent[max(0, first - 1) :]

    @property
    def recent(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Times (s) and potentials (V) of the newest stretch."""
        return _columns(self._recent)

    @property
    def drawn(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Times (s) and potentials (V) of the whole run, thinned."""
        return _columns(self._drawn)


def _columns(points: list[tuple[float, float]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    time_s, potential_v = np.array(points, np.float64).reshape(-1, 2).T
    return time_s, potential_v
