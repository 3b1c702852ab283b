"""The potential at each photon: the potentiostat's record carried over to the photon counter's clock.

The two instruments have clocks of their own. A comparator on the potentiostat's potential output marks,
among the photons, when the potential falls and rises through a threshold. The marks fix three numbers by
least squares with priors: when the record began, how fast the potentiostat's clock runs against the
photons', and the true threshold. A falling and a rising mark of one cycle lie on either side of the vertex,
so the time of the vertex does not depend on the threshold. Without marks the start is what the program's
clock says, and its uncertainty is what it is.

Potentials are the applied ones; the drop across the solution (some mV at -2 V) is not taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

CLOCK_TOLERANCE = 50e-6
"""Standard uncertainty of the ratio of the two clocks before any mark is seen."""


@dataclass(frozen=True)
class PotentialRecord:
    """One uninterrupted sweep as recorded (or, where nothing was recorded, as programmed).

    `time_s` counts on the potentiostat's clock; `start_s` is when time 0 was, on the photons' clock, as the
    host saw it.
    """

    time_s: NDArray[np.floating]
    potential_v: NDArray[np.floating]
    current_a: NDArray[np.floating]
    """Empty where nothing was recorded."""
    start_s: float
    start_uncertainty_s: float
    cycle_s: float
    """Duration of one cycle on the potentiostat's clock."""
    first_cycle: int = 0


@dataclass(frozen=True)
class MarkerWiring:
    """Which marker lines carry the comparator's edges, and where it switches."""

    falling_line: int = 1
    rising_line: int = 2
    threshold_v: float = -0.02
    threshold_err_v: float = 0.005
    hysteresis_err_v: float = 0.0005
    """Standard uncertainty of half the difference between the rising and the falling threshold."""


@dataclass(frozen=True)
class SweepAlignment:
    """How one record lies on the photons' clock: photon time = start + (1 + drift) * record time."""

    record: PotentialRecord
    source: Literal["marker", "clock"]
    start_s: float
    drift: float
    covariance: NDArray[np.floating]
    """Of (start_s, drift), shape (2, 2); seconds and dimensionless."""
    marks_used: int
    threshold_v: float
    """Fitted threshold; the wiring's where no mark was used."""

    @property
    def span_s(self) -> tuple[float, float]:
        """First and last moment of the record on the photons' clock."""
        ends = self.record.time_s[[0, -1]]
        first, last = self.start_s + (1.0 + self.drift) * ends
        return float(first), float(last)

    def record_time_s(self, photon_time_s: NDArray[np.floating]) -> NDArray[np.floating]:
        """Time on the potentiostat's clock at times of the photons' clock."""
        return (photon_time_s - self.start_s) / (1.0 + self.drift)

    def time_uncertainty_s(self, record_time_s: NDArray[np.floating]) -> NDArray[np.floating]:
        """Standard uncertainty of the alignment at times of the record."""
        c = self.covariance
        return np.sqrt(c[0, 0] + 2 * record_time_s * c[0, 1] + record_time_s**2 * c[1, 1])


@dataclass(frozen=True)
class PotentialTimeline:
    """Potential against the photons' clock, over all records of a run."""

    sweeps: tuple[SweepAlignment, ...]

    @property
    def source(self) -> Literal["marker", "clock"]:
        """ "marker" when every sweep was aligned by marks."""
        marked = bool(self.sweeps) and all(s.source == "marker" for s in self.sweeps)
        return "marker" if marked else "clock"

    @property
    def uncertainty_s(self) -> float:
        """Largest standard uncertainty of the alignment anywhere in a sweep, nan without sweeps."""
        worst = [s.time_uncertainty_s(s.record.time_s[[0, -1]]).max() for s in self.sweeps]
        return float(max(worst, default=np.nan))

    def at(self, time_s: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Potential and its standard uncertainty in volts at photon times; nan outside the sweeps."""
        potential = np.full(len(time_s), np.nan)
        uncertainty = np.full(len(time_s), np.nan)
        for sweep in self.sweeps:
            first, last = sweep.span_s
            inside = (time_s >= first) & (time_s <= last)
            t = sweep.record_time_s(time_s[inside])
            potential[inside] = np.interp(t, sweep.record.time_s, sweep.record.potential_v)
            uncertainty[inside] = _scan_rate_v_s(sweep.record) * sweep.time_uncertainty_s(t)
        return potential, uncertainty

    def cycle_at(self, time_s: NDArray[np.floating]) -> NDArray[np.int64]:
        """Index of the cycle at photon times; -1 outside the sweeps."""
        cycle = np.full(len(time_s), -1, np.int64)
        for sweep in self.sweeps:
            begin, end = sweep.span_s
            inside = (time_s >= begin) & (time_s <= end)
            turns = sweep.record_time_s(time_s[inside]) / sweep.record.cycle_s
            last = int(np.ceil(sweep.record.time_s[-1] / sweep.record.cycle_s)) - 1
            cycle[inside] = sweep.record.first_cycle + np.clip(turns.astype(np.int64), 0, last)
        return cycle

    def windows_near(self, potential_v: float, within_v: float) -> list[tuple[float, float]]:
        """Intervals of photon time during which the potential is within `within_v` of `potential_v`."""
        windows = []
        for sweep in self.sweeps:
            times = _level_crossings(sweep.record, potential_v - within_v)[0]
            times = np.append(times, _level_crossings(sweep.record, potential_v + within_v)[0])
            cuts = np.unique(np.concatenate((sweep.record.time_s[[0, -1]], times)))
            middle = np.interp(0.5 * (cuts[1:] + cuts[:-1]), sweep.record.time_s, sweep.record.potential_v)
            near = np.abs(middle - potential_v) < within_v
            on_photons = sweep.start_s + (1.0 + sweep.drift) * cuts
            windows += [(float(on_photons[i]), float(on_photons[i + 1])) for i in np.flatnonzero(near)]
        return windows


def align_potential(
    records: Sequence[PotentialRecord],
    marker_time_s: NDArray[np.floating],
    marker_line: NDArray[np.uint8],
    wiring: MarkerWiring | None,
) -> PotentialTimeline:
    """Lay every record on the photons' clock, by markers where they fit and by the program's clock elsewhere.

    `wiring` is None when no marker carries the potential.
    """
    falling = rising = np.empty(0)
    if wiring is not None:
        falling = np.sort(marker_time_s[marker_line == wiring.falling_line])
        rising = np.sort(marker_time_s[marker_line == wiring.rising_line])
    return PotentialTimeline(
        tuple(_align(record, falling, rising, wiring) for record in records if len(record.time_s) > 1)
    )


def _align(
    record: PotentialRecord,
    falling: NDArray[np.floating],
    rising: NDArray[np.floating],
    wiring: MarkerWiring | None,
) -> SweepAlignment:
    clock = np.diag([record.start_uncertainty_s**2, CLOCK_TOLERANCE**2])
    unmarked = SweepAlignment(
        record, "clock", record.start_s, 0.0, clock, 0, np.nan if wiring is None else wiring.threshold_v
    )
    if wiring is None:
        return unmarked
    crossing, slope = _level_crossings(record, wiring.threshold_v)
    start = _rough_start(record, wiring, crossing, slope, falling, rising)
    if start is None:
        return unmarked
    observed, at, rate = _matched(start, _reach_s(record, wiring), crossing, slope, falling, rising)
    # photon time = start + (1 + drift) * (crossing + (threshold - nominal) / slope)
    design = np.column_stack((np.ones_like(at), at, 1.0 / rate))
    late = observed - at - record.start_s
    prior = np.diag(np.array([record.start_uncertainty_s, CLOCK_TOLERANCE, wiring.threshold_err_v]) ** -2.0)
    scatter_s = float(np.median(np.diff(record.time_s))) / np.sqrt(12)  # at worst the ramp is a staircase
    solution, information = _with_prior(design, late, scatter_s, prior)
    residual = late - design @ solution
    scatter_s = max(scatter_s, float(np.sqrt((residual**2).sum() / max(1, len(late) - 2))))
    solution, information = _with_prior(design, late, scatter_s, prior)
    covariance = np.linalg.inv(information)[:2, :2]
    covariance[0, 0] += (wiring.hysteresis_err_v / _scan_rate_v_s(record)) ** 2
    return SweepAlignment(
        record,
        "marker",
        record.start_s + float(solution[0]),
        float(solution[1]),
        covariance,
        len(observed),
        wiring.threshold_v + float(solution[2]),
    )


def _with_prior(
    design: NDArray[np.floating], late: NDArray[np.floating], scatter_s: float, prior: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Least squares with Gaussian priors around zero: solution and its information matrix."""
    information = design.T @ design / scatter_s**2 + prior
    return np.linalg.solve(information, design.T @ late / scatter_s**2), information


def _scan_rate_v_s(record: PotentialRecord) -> float:
    return float(np.median(np.abs(np.diff(record.potential_v) / np.diff(record.time_s))))


def _reach_s(record: PotentialRecord, wiring: MarkerWiring) -> float:
    """How far a mark may lie from its crossing while threshold and clock are not yet fitted."""
    length_s = record.time_s[-1] - record.time_s[0]
    unknown = 4 * wiring.threshold_err_v / _scan_rate_v_s(record) + 3 * CLOCK_TOLERANCE * length_s
    return min(0.02 + unknown, 0.25 * record.cycle_s)


def _rough_start(
    record: PotentialRecord,
    wiring: MarkerWiring,
    crossing: NDArray[np.floating],
    slope: NDArray[np.floating],
    falling: NDArray[np.floating],
    rising: NDArray[np.floating],
) -> float | None:
    """The start that most marks agree on, among equals the nearest to the host's estimate; or None."""
    reach_s = _reach_s(record, wiring)
    offsets = np.concatenate(
        [
            np.subtract.outer(falling, crossing[slope < 0]).ravel(),
            np.subtract.outer(rising, crossing[slope > 0]).ravel(),
        ]
    )
    offsets = np.sort(offsets[np.abs(offsets - record.start_s) < 5 * record.start_uncertainty_s + reach_s])
    if len(offsets) == 0:
        return None
    agreeing = np.searchsorted(offsets, offsets + reach_s) - np.searchsorted(offsets, offsets - reach_s)
    best = offsets[agreeing == agreeing.max()]
    centre = best[np.abs(best - record.start_s).argmin()]
    return float(np.median(offsets[np.abs(offsets - centre) < reach_s]))


def _matched(
    start_s: float,
    reach_s: float,
    crossing: NDArray[np.floating],
    slope: NDArray[np.floating],
    falling: NDArray[np.floating],
    rising: NDArray[np.floating],
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """Marks with the crossings they belong to: photon time, record time, slope (V/s)."""
    rows = []
    for at, rate in zip(crossing, slope, strict=True):
        marks = falling if rate < 0 else rising
        if len(marks) == 0:
            continue
        nearest = marks[np.abs(marks - start_s - at).argmin()]
        if abs(nearest - start_s - at) < reach_s:
            rows.append((nearest, at, rate))
    columns = np.array(rows).reshape(-1, 3).T
    return columns[0], columns[1], columns[2]


def _level_crossings(
    record: PotentialRecord, level_v: float
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Record times at which the potential crosses a level, and its slope there in V/s."""
    above = record.potential_v > level_v
    i = np.flatnonzero(above[1:] != above[:-1])
    dt, dv = np.diff(record.time_s)[i], np.diff(record.potential_v)[i]
    return record.time_s[i] + dt * (level_v - record.potential_v[i]) / dv, dv / dt
