"""Many cycles of one dot: FLID averaged over the cycles, drift, hysteresis, and the electrode's charge.

The bins of the FLID are sorted by sweep direction and potential. Errors are taken from the scatter between
blocks of whole cycles, since blinking makes a cycle's photons scatter by more than their number tells; with
fewer than eight cycles they are those of the counts alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .lifetime import LifetimeEstimator
from .potential import PotentialRecord, PotentialTimeline
from .scaling import Ratio

POTENTIAL_BIN_V = 0.05
"""Where a bin of the FLID spans more than half of this, potentials are sorted into bins of twice that."""
MIN_CYCLES_FOR_SCATTER = 8
_MOST_BLOCKS = 20
_DRIFT_AT = (0.0, 0.25, 0.5, 0.75, 1.0)
_QUIET_SHARE = 0.25

Direction = Literal["forward", "backward"]
"""`forward` runs from the initial potential to the vertex."""


@dataclass(frozen=True)
class SweepAverage:
    """The dot against potential in one sweep direction, all cycles together; arrays of one length."""

    direction: Direction
    potential_v: NDArray[np.floating]
    """Mean potential in the bin."""
    photons: NDArray[np.int64]
    exposure_s: NDArray[np.floating]
    rate_hz: NDArray[np.floating]
    """As recorded, background included."""
    rate_err_hz: NDArray[np.floating]
    lifetime_ns: NDArray[np.floating]
    """One exponential by maximum likelihood."""
    lifetime_err_ns: NDArray[np.floating]


@dataclass(frozen=True)
class Drift:
    """Rate and lifetime near one potential against the cycle number, both sweep directions together."""

    potential_v: float
    cycle: NDArray[np.floating]
    """Mean cycle number of each block."""
    rate_hz: NDArray[np.floating]
    lifetime_ns: NDArray[np.floating]
    rate_change: Ratio
    """Relative change from the first to the last cycle by a straight line, with its standard error."""
    lifetime_change: Ratio


@dataclass(frozen=True)
class ElectrodeCharge:
    """Charge that the electrode took irreversibly (reduction of the ITO), from the recorded current."""

    cycle: NDArray[np.int64]
    charge_c: NDArray[np.floating]
    """Cathodic charge of each cycle that was not given back, in coulomb; the double layer's cancels."""
    zero_current_a: float
    """Mean zero of the current: both directions' mean in the quarter of the sweep next to the initial
    potential, where nothing reacts."""
    area_cm2: float | None

    @property
    def total_c(self) -> float:
        """Charge of all cycles in coulomb."""
        return float(self.charge_c.sum())

    @property
    def dose_c_cm2(self) -> float | None:
        """Charge per area; None where the station does not tell the electrode's area."""
        return None if self.area_cm2 is None else self.total_c / self.area_cm2


@dataclass(frozen=True)
class CycleResult:
    """What the cycles of a run have in common, and how they change."""

    cycles: int
    forward: SweepAverage
    backward: SweepAverage
    lag_v: Ratio | None
    """Hysteresis: potential between the two curves of the lifetime, positive when the dot lags behind the
    sweep; None with fewer than eight cycles."""
    drifts: tuple[Drift, ...]
    """At five potentials; empty with fewer than eight cycles."""


def average_cycles(
    histograms: NDArray[np.uint32],
    flid_bin_s: float,
    estimator: LifetimeEstimator,
    timeline: PotentialTimeline,
    initial_v: float,
    vertex_v: float,
) -> CycleResult | None:
    """Average the FLID, `histograms` of shape (bins, micro-time bins) from time 0 on, over all cycles.

    None where no sweep was recorded.
    """
    edges_s = np.arange(len(histograms) + 1) * flid_bin_s
    edge_v, _ = timeline.at(edges_s)
    potential_v, _ = timeline.at(0.5 * (edges_s[1:] + edges_s[:-1]))
    cycle = timeline.cycle_at(0.5 * (edges_s[1:] + edges_s[:-1]))
    whole = np.isfinite(edge_v[1:]) & np.isfinite(edge_v[:-1]) & np.isfinite(potential_v) & (cycle >= 0)
    if not whole.any():
        return None
    n_cycles = int(cycle.max()) + 1
    n_blocks = min(n_cycles, _MOST_BLOCKS)
    bin_v = max(POTENTIAL_BIN_V, 2 * float(np.median(np.abs(np.diff(edge_v)[whole]))))
    n_bins = max(1, round(abs(vertex_v - initial_v) / bin_v))
    place = (potential_v - initial_v) / (vertex_v - initial_v) * n_bins
    backward = (edge_v[1:] - edge_v[:-1]) * (vertex_v - initial_v) < 0
    whole &= (place > -0.5) & (place < n_bins + 0.5)
    shape = (n_blocks, 2, n_bins)
    cell = np.full(len(histograms), -1)
    cell[whole] = np.ravel_multi_index(
        (
            cycle[whole] * n_blocks // n_cycles,
            backward[whole].astype(int),
            np.clip(place[whole].astype(int), 0, n_bins - 1),
        ),
        shape,
    )
    counts = np.zeros((math.prod(shape), histograms.shape[1]), np.int64)
    bins = np.zeros(math.prod(shape), np.int64)
    _add_rows(histograms, cell, counts, bins)
    folded = _Folded(
        estimator,
        counts.reshape(*shape, -1),
        bins.reshape(shape) * flid_bin_s,
        np.bincount(cell[whole], potential_v[whole], math.prod(shape)).reshape(shape) * flid_bin_s,
        n_cycles,
    )
    forward, back = folded.average("forward"), folded.average("backward")
    enough = n_cycles >= MIN_CYCLES_FOR_SCATTER
    return CycleResult(
        n_cycles,
        forward,
        back,
        _lag(forward, back) if enough else None,
        tuple(folded.drift(round(at * (n_bins - 1))) for at in _DRIFT_AT) if enough else (),
    )


@dataclass(frozen=True)
class _Folded:
    """Micro-time histograms by block of cycles, direction and potential bin."""

    estimator: LifetimeEstimator
    counts: NDArray[np.int64]
    """Shape (blocks, 2, potential bins, micro-time bins)."""
    exposure_s: NDArray[np.floating]
    """Shape (blocks, 2, potential bins)."""
    potential_v_s: NDArray[np.floating]
    """Potential integrated over the exposure, of the same shape."""
    n_cycles: int

    def average(self, direction: Direction) -> SweepAverage:
        """All blocks of one direction together."""
        side = int(direction == "backward")
        counts, exposure_s = self.counts[:, side], self.exposure_s[:, side]
        photons, total_s = counts.sum(axis=(0, 2)), exposure_s.sum(axis=0)
        pooled = [
            self.estimator.estimate_pooled(histogram, float(time_s))
            for histogram, time_s in zip(counts.sum(axis=0), total_s, strict=True)
        ]
        rate = _quotient(photons, total_s)
        rate_err = _quotient(np.sqrt(photons), total_s)
        lifetime_err = np.array([lifetime.error_ns for lifetime in pooled])
        if self.n_cycles >= MIN_CYCLES_FOR_SCATTER:
            rate_err = np.fmax(rate_err, _error_of_mean(_quotient(counts.sum(axis=2), exposure_s)))
            lifetime_err = np.fmax(lifetime_err, _error_of_mean(self._lifetimes(counts, exposure_s)))
        return SweepAverage(
            direction,
            _quotient(self.potential_v_s[:, side].sum(axis=0), total_s),
            photons,
            total_s,
            rate,
            rate_err,
            np.array([lifetime.lifetime_ns for lifetime in pooled]),
            lifetime_err,
        )

    def drift(self, index: int) -> Drift:
        """One potential bin, block after block."""
        counts, exposure_s = self.counts[:, :, index].sum(axis=1), self.exposure_s[:, :, index].sum(axis=1)
        n_blocks = len(counts)
        cycle = (np.arange(n_blocks) + 0.5) * self.n_cycles / n_blocks - 0.5
        rate, lifetime = _quotient(counts.sum(axis=1), exposure_s), self._lifetimes(counts, exposure_s)
        return Drift(
            float(self.potential_v_s[:, :, index].sum() / self.exposure_s[:, :, index].sum()),
            cycle,
            rate,
            lifetime,
            _relative_change(cycle, rate, self.n_cycles),
            _relative_change(cycle, lifetime, self.n_cycles),
        )

    def _lifetimes(self, counts: NDArray[np.int64], exposure_s: NDArray[np.floating]) -> NDArray[np.floating]:
        found = self.estimator.estimate(counts.reshape(-1, counts.shape[-1]), exposure_s.ravel())
        return found.lifetime_ns.reshape(exposure_s.shape)


def electrode_charge(
    records: Sequence[PotentialRecord],
    initial_v: float,
    vertex_v: float,
    area_cm2: float | None,
) -> ElectrodeCharge | None:
    """The charge of every whole cycle, currents anodic positive; None where no current was recorded.

    The converter's zero is not known to better than the charge of some cycles, so it is taken from each
    record where nothing reacts.
    """
    cycles, charges_c, zeros_a = [], [], []
    for record in records:
        if len(record.time_s) < 2 or len(record.current_a) != len(record.time_s):
            continue
        n_whole = int(record.time_s[-1] / record.cycle_s + 1e-6)
        from_initial = np.abs(record.potential_v - initial_v) / abs(vertex_v - initial_v)
        quiet = from_initial < _QUIET_SHARE
        zero_a = float(record.current_a[quiet].mean()) if quiet.any() else 0.0
        of_row = np.minimum((record.time_s / record.cycle_s - 1e-9).astype(np.int64), n_whole)
        rows = np.bincount(of_row, minlength=n_whole)[:n_whole]
        mean_a = np.bincount(of_row, record.current_a - zero_a, n_whole)[:n_whole] / rows
        cycles.append(record.first_cycle + np.arange(n_whole))
        charges_c.append(-mean_a * record.cycle_s)
        zeros_a.append(zero_a)
    if not cycles:
        return None
    return ElectrodeCharge(
        np.concatenate(cycles),
        np.concatenate(charges_c),
        float(np.mean(zeros_a)),
        area_cm2,
    )


def _lag(forward: SweepAverage, backward: SweepAverage) -> Ratio | None:
    """Lag between the curves in volts: log lifetimes differ by the lag times their slope."""
    log_f, log_b = np.log(forward.lifetime_ns), np.log(backward.lifetime_ns)
    sense = np.sign(forward.potential_v[0] - forward.potential_v[-1])
    error = np.hypot(
        forward.lifetime_err_ns / forward.lifetime_ns, backward.lifetime_err_ns / backward.lifetime_ns
    )
    slope = np.gradient(0.5 * (log_f + log_b), 0.5 * (forward.potential_v + backward.potential_v))
    difference = log_f - log_b - slope * (forward.potential_v - backward.potential_v)
    good = np.isfinite(error) & np.isfinite(slope) & (error > 0)
    weight = (slope[good] / error[good]) ** 2
    if not weight.sum() > 0:
        return None
    lag_v = sense * (difference[good] * slope[good] / error[good] ** 2).sum() / weight.sum()
    return Ratio(float(lag_v), float(weight.sum() ** -0.5))


def _relative_change(cycle: NDArray[np.floating], values: NDArray[np.floating], n_cycles: int) -> Ratio:
    """Change over all cycles, relative to the mean, of a straight line through the blocks."""
    good = np.isfinite(values)
    if good.sum() < 3:
        return Ratio(math.nan, math.nan)
    at, values = cycle[good] - cycle[good].mean(), values[good]
    slope = (at * values).sum() / (at**2).sum()
    residual = values - values.mean() - slope * at
    error = math.sqrt((residual**2).sum() / (len(at) - 2) / (at**2).sum())
    scale = (n_cycles - 1) / values.mean()
    return Ratio(float(slope * scale), float(error * scale))


def _error_of_mean(blocks: NDArray[np.floating]) -> NDArray[np.floating]:
    """Standard error of the mean over the first axis."""
    return np.std(blocks, axis=0, ddof=1) / math.sqrt(len(blocks))


def _quotient(above: NDArray[np.generic], below: NDArray[np.floating]) -> NDArray[np.floating]:
    """above / below, nan where nothing was measured."""
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)


@njit(cache=True, nogil=True)
def _add_rows(rows, cell, sums, n_rows):
    """Add each row to the sum of its cell; -1 is no cell."""
    for i in range(len(rows)):
        k = cell[i]
        if k >= 0:
            n_rows[k] += 1
            for j in range(rows.shape[1]):
                sums[k, j] += rows[i, j]
