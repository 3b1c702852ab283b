"""The potentiostat itself: what it does with the cell from a downloaded technique on, by its own clock.

Instrument chain and numbers: docs/models/cell.md and the vendor's help pages (docs/chi760c.md).
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ...clock import PS_PER_S, SimulatedClock
from .techniques import Plan

if TYPE_CHECKING:  # the started program needs no cell of its own
    from ...physics.cell import Cell

FULL_SCALE_V = 10.08
"""Where the converter clips, at its input; 65536 codes over twice this (seen in public 760E data)."""
CODE_V = 2 * FULL_SCALE_V / 65536

_CELL_S = 1e-3
_STEP_V = 0.02  # a larger change between two cells is a step, after which cells are cut finer
_FINE_CELLS_PS = np.concatenate(
    [
        np.arange(start, stop, step)
        for start, stop, step in (
            (100_000, 2_000_000, 100_000),
            (2_000_000, 6_000_000, 500_000),
            (6_000_000, 20_000_000, 2_000_000),
            (20_000_000, 100_000_000, 10_000_000),
            (100_000_000, 1_000_000_000, 50_000_000),
            (1_000_000_000, 5_000_000_001, 250_000_000),
        )
    ]
)
"""Where cells are cut after a step: 0.1 us while the electronics settle, a twentieth of the time later."""
_RELAXATIONS = 12
"""Cuts end when the double layer has relaxed for so many time constants; at least 2 us are cut."""
_CELLS_PER_SAMPLE = 100
_CELLS_PER_CHUNK = 20_000
_SETTLING_S = 0.1
_DUMMY_OHM = 1000.0
_STOP_PRESSED_AFTER = 0.6


class CellBench(Protocol):
    """What the box needs of a bench."""

    @property
    def clock(self) -> SimulatedClock:
        """The clock that everything waits on."""
        ...

    @property
    def seed(self) -> int:
        """The seed of all noise."""
        ...

    @property
    def cell(self) -> Cell:
        """The cell at the electrode leads."""
        ...

    @property
    def faults(self) -> Container[str]:
        """Names of the faults switched on."""
        ...

    def apply_potential(
        self,
        cell_ps: int | NDArray[np.int64],
        applied_v: NDArray[np.float64],
        interface_v: NDArray[np.float64],
    ) -> None:
        """Apply a potential from now on, in cells of one length or of one each; the last value is held."""
        ...

    def open_cell(self) -> None:
        """Switch the cell off."""
        ...


class LinkError(Exception):
    """The serial link failed; the text is what the program's dialog says."""


@dataclass(frozen=True)
class Converter:
    """Current-to-voltage converter and 16-bit conversion, in volts at the converter."""

    offset_v: float = 1e-3
    """Largest offset; one value per run, drawn evenly from both signs."""
    noise_v: float = 3e-4
    """White noise of one conversion, rms; assumed."""
    mains_a: float = 0.0
    """Amplitude of 50 Hz pick-up in ampere."""


@dataclass(frozen=True)
class Order:
    """What the program downloads into the box for one run."""

    plan: Plan
    keep_cell_on: bool = False
    return_to_initial: bool = False
    stop_on_overflow: bool = False
    dummy: bool = False
    knock: bool = False


class _Run:
    """A run that is going on: rows so far and when it will end."""

    def __init__(self, order: Order, rows: int, offset_v: float, noise: np.random.Generator) -> None:
        self.order, self.rows, self.offset_v, self.noise = order, rows, offset_v, noise
        self.per_sample = max(1, min(_CELLS_PER_SAMPLE, math.ceil(order.plan.sample_s / _CELL_S - 1e-6)))
        self.ends = list(itertools.accumulate(piece.samples for piece in order.plan.pieces))
        self.values: list[NDArray[np.float64]] = []
        self.done = 0
        self.end_ps = 0

    def applied_v(self, first: int, last: int) -> NDArray[np.float64]:
        """Potential in the middle of every cell of rows [first, last)."""
        parts, row, k = [], first, bisect.bisect_right(self.ends, first)
        while row < last:
            piece = self.order.plan.pieces[k]
            origin, until = self.ends[k] - piece.samples, min(last, self.ends[k])
            cells = np.arange((row - origin) * self.per_sample, (until - origin) * self.per_sample)
            slope = (piece.end_v - piece.start_v) / max(1, piece.samples * self.per_sample)
            parts.append(piece.start_v + slope * (cells + 0.5))
            row, k = until, k + 1
        return np.concatenate(parts)


class Chi760Box:
    """The instrument at the other end of the serial link; it goes on without the program.

    `connect` starts from a stopped instrument with the cell off. Its seconds are `1 + clock_error`
    times as short as the bench's. Rows are simulated up to 20 000 cells ahead: when a run is stopped,
    the damage of the electrode counts to the end of such a stretch.
    """

    def __init__(
        self, bench: CellBench, *, clock_error: float = 20e-6, converter: Converter | None = None
    ) -> None:
        self.cell_on = False
        """True while the cell is connected and a potential is applied."""
        self._bench, self._second_ps = bench, PS_PER_S / (1 + clock_error)
        self._converter = converter or Converter()
        self._run: _Run | None = None
        self._result: NDArray[np.float64] | None = None
        self._held: tuple[int, float] | None = None
        self._applied_v, self._since_step_ps = bench.cell.rest_potential_v, int(_FINE_CELLS_PS[-1])
        self._runs = itertools.count()
        self._owner: int | None = None
        self._knock_listeners: list[Callable[[int], None]] = []

    def on_knock(self, listener: Callable[[int], None]) -> None:
        """Call `listener(now_ps)` at the pulse on the knock line, just before a run's quiet time."""
        self._knock_listeners.append(listener)

    # ---- the link ----

    def connect(self, process_id: int) -> None:
        """Open the port for a program and reset the instrument: what was going on stops, the cell goes off.

        Raises LinkError.
        """
        if self._owner is not None or "chi_port_locked" in self._bench.faults:
            raise LinkError("Can not open com port")
        self._owner = process_id
        if "chi_link_failed" in self._bench.faults:
            raise LinkError("Link failed")
        self._run = self._result = None
        self._open_cell()

    def disconnect(self, process_id: int) -> None:
        """Close the port if this program holds it; the instrument goes on with what it does."""
        if self._owner == process_id:
            self._owner = None

    def start(self, order: Order) -> None:
        """Begin a run with its quiet time; raises LinkError when one is going on."""
        if self._run is not None:
            raise LinkError("The instrument is busy")
        if order.knock:
            for listener in self._knock_listeners:
                listener(self._bench.clock.now_ps)
        self._catch_up()
        plan = order.plan
        noise = np.random.default_rng([self._bench.seed, 0x760C, next(self._runs)])
        offset_v = self._converter.offset_v * noise.uniform(-1, 1)
        early = "chi_stopped_early" in self._bench.faults
        rows = max(1, round(plan.samples * _STOP_PRESSED_AFTER)) if early else plan.samples
        run = self._run = _Run(order, rows, offset_v, noise)
        self._result = None
        if plan.open_circuit or order.dummy:
            self._open_cell()
        elif plan.quiet_s > 0:
            self._hold(plan.initial_v, plan.quiet_s)
        now_ps = self._bench.clock.now_ps
        quiet_ps = round(plan.quiet_s * self._second_ps)
        run.end_ps = now_ps + quiet_ps + rows * run.per_sample * self._cell_ps(run)
        self._bench.clock.schedule(now_ps + quiet_ps, partial(self._advance, run))

    def remaining_s(self) -> float:
        """Seconds until the run will be over, on the bench's clock; 0 when none is going on.

        Raises LinkError when the link is broken.
        """
        if "chi_link_lost_in_run" in self._bench.faults and self._run is not None and self._run.done:
            raise LinkError("Link failed")
        if self._run is None:
            return 0.0
        return max(1, self._run.end_ps - self._bench.clock.now_ps) / PS_PER_S

    def fetch(self) -> NDArray[np.float64]:
        """The rows of the last run: current in ampere (anodic positive), or open-circuit potential in volt.

        Raises LinkError when there are none.
        """
        if self._result is None:
            raise LinkError("The instrument has no data")
        return self._result

    # ---- the run ----

    def _cell_ps(self, run: _Run) -> int:
        return max(1, round(run.order.plan.sample_s / run.per_sample * self._second_ps))

    def _advance(self, run: _Run) -> None:
        """Do the next stretch of a run, unless it was stopped."""
        if run is not self._run:
            return
        if run.done >= run.rows:
            self._finish(run)
            return
        last = min(run.rows, run.done + max(1, _CELLS_PER_CHUNK // run.per_sample))
        if run.order.plan.open_circuit:
            signal_v = np.full((last - run.done) * run.per_sample, self._bench.cell.rest_potential_v)
        else:
            current_a = self._drive(run, run.applied_v(run.done, last))
            signal_v = (current_a + self._mains_a(run, len(current_a))) / run.order.plan.sensitivity_a_v
        rows_v = self._convert(run, signal_v)
        overflow = np.flatnonzero(np.abs(rows_v) >= 10.0)
        if run.order.stop_on_overflow and len(overflow):
            rows_v = rows_v[: overflow[0] + 1]
            run.rows = run.done + len(rows_v)
        run.values.append(rows_v)
        run.done += len(rows_v)
        at_ps = self._bench.clock.now_ps + len(rows_v) * run.per_sample * self._cell_ps(run)
        if run.done >= run.rows:
            run.end_ps = at_ps
        self._bench.clock.schedule(at_ps, partial(self._advance, run))

    def _drive(self, run: _Run, applied_v: NDArray[np.float64]) -> NDArray[np.float64]:
        """Apply a potential cell by cell; the mean current in each."""
        if run.order.dummy:
            return applied_v / _DUMMY_OHM
        return self._apply(run.order.plan.sample_s / run.per_sample, self._cell_ps(run), applied_v)

    def _convert(self, run: _Run, signal_v: NDArray[np.float64]) -> NDArray[np.float64]:
        """Offset, noise, clipping and 16-bit codes of every conversion, then the mean of each row."""
        volts = signal_v + run.offset_v + self._converter.noise_v * run.noise.standard_normal(len(signal_v))
        rows = run.done + np.arange(len(volts)) // run.per_sample
        if "chi_overload" in self._bench.faults:
            volts += 2 * FULL_SCALE_V * ((rows >= run.rows / 3) & (rows < run.rows * 2 / 3))
        codes = np.rint(np.clip(volts, -FULL_SCALE_V, FULL_SCALE_V) / CODE_V)
        return codes.reshape(-1, run.per_sample).mean(axis=1) * CODE_V

    def _mains_a(self, run: _Run, count: int) -> NDArray[np.float64]:
        step_s = run.order.plan.sample_s / run.per_sample
        time_s = (run.done * run.per_sample + np.arange(count) + 0.5) * step_s
        return self._converter.mains_a * np.sin(2 * np.pi * 50 * time_s)

    def _finish(self, run: _Run) -> None:
        order = run.order
        scale = 1.0 if order.plan.open_circuit else order.plan.sensitivity_a_v
        self._run, self._result = None, np.concatenate(run.values) * scale
        if order.keep_cell_on and not order.dummy and not order.plan.open_circuit:
            last_v = order.plan.initial_v if order.return_to_initial else order.plan.pieces[-1].end_v
            self._hold(last_v, _SETTLING_S)
            self._held = self._bench.clock.now_ps, last_v
        else:
            self._open_cell()

    # ---- the cell ----

    def _apply(self, cell_s: float, cell_ps: int, applied_v: NDArray[np.float64]) -> NDArray[np.float64]:
        """Apply a potential in cells of `cell_ps`, finer ones after a step; the mean current in each."""
        first, lengths_ps = self._cut(cell_ps, applied_v)
        self.cell_on = True
        if len(lengths_ps) == len(applied_v):
            response = self._bench.cell.respond(cell_s, applied_v)
            self._bench.apply_potential(cell_ps, applied_v, response.interface_v)
            return response.current_a
        fine_v = np.repeat(applied_v, np.diff(np.r_[first, len(lengths_ps)]))
        changes = np.flatnonzero(np.diff(lengths_ps)) + 1
        responses = [
            self._bench.cell.respond(part_ps[0] / self._second_ps, part_v)
            for part_ps, part_v in zip(np.split(lengths_ps, changes), np.split(fine_v, changes), strict=True)
        ]
        self._bench.apply_potential(
            lengths_ps, fine_v, np.concatenate([response.interface_v for response in responses])
        )
        current_a = np.concatenate([response.current_a for response in responses])
        return np.add.reduceat(current_a * lengths_ps, first) / cell_ps

    def _cut(
        self, cell_ps: int, applied_v: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Cut the cells behind a step: index of each cell's first part, and the length of every part."""
        settled_ps = max(2_000_000, _RELAXATIONS * self._bench.cell.relaxation_s * PS_PER_S)
        grid_ps = _FINE_CELLS_PS[: np.searchsorted(_FINE_CELLS_PS, settled_ps, "right")]
        index = np.arange(len(applied_v))
        steps = np.abs(np.diff(applied_v, prepend=self._applied_v)) > _STEP_V
        last_step = np.maximum.accumulate(np.where(steps, index, -1))
        since_ps = (index - last_step) * cell_ps
        before = last_step < 0
        since_ps[before] = self._since_step_ps + index[before] * cell_ps
        self._applied_v, self._since_step_ps = float(applied_v[-1]), int(since_ps[-1]) + cell_ps
        low = np.searchsorted(grid_ps, since_ps, "right")
        cuts = np.searchsorted(grid_ps, since_ps + cell_ps, "left") - low
        first = index + np.cumsum(cuts) - cuts
        owner = np.repeat(index, cuts + 1)
        part = np.arange(len(owner)) - first[owner]
        cut_ps = grid_ps[np.minimum(low[owner] + part - 1, len(grid_ps) - 1)]
        starts_ps = owner * cell_ps + np.where(part > 0, cut_ps - since_ps[owner], 0)
        return first, np.diff(starts_ps, append=len(applied_v) * cell_ps)

    def _hold(self, potential_v: float, duration_s: float) -> None:
        """Apply a constant potential for a time: fine steps while it settles, coarse ones afterwards."""
        settling_s = min(duration_s, _SETTLING_S)
        count = math.ceil(settling_s / _CELL_S - 1e-6)
        cell_s = settling_s / count
        self._apply(cell_s, round(cell_s * self._second_ps), np.full(count, potential_v))
        self._endure(potential_v, duration_s - settling_s)

    def _endure(self, potential_v: float, duration_s: float) -> None:
        """Let the cell live through a constant potential that it has settled to."""
        if duration_s > 1e-9:
            count = math.ceil(min(1000, duration_s / _SETTLING_S))
            self._bench.cell.respond(duration_s / count, np.full(count, potential_v))

    def _catch_up(self) -> None:
        """Account for the time since the potential between two runs was applied."""
        if self._held is not None:
            since_ps, potential_v = self._held
            self._held = None
            self._endure(potential_v, (self._bench.clock.now_ps - since_ps) / PS_PER_S - _SETTLING_S)

    def _open_cell(self) -> None:
        self._catch_up()
        self.cell_on = False
        self._bench.cell.open()
        self._applied_v, self._since_step_ps = self._bench.cell.rest_potential_v, int(_FINE_CELLS_PS[-1])
        self._bench.open_cell()
