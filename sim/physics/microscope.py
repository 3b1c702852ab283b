"""The confocal microscope: detector pulses of the dots that the stage has brought near the focus.

Time is cut into light cells of half a millisecond on a grid that begins with the bench. A dot has constant
light within a cell, for where the stage is in the cell's middle; that is extrapolated from where it was at
the cell's start and half a millisecond before, so that it depends on nothing that is yet to come.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from . import _focus
from .cover_slip import CoverSlip, Focus
from .detection import REFERENCE_PERIOD_TICKS, TICKS_PER_S, Detection, Light, Photodiodes
from .photons import PAIRS_PER_PULSE, Emitter, check_cells, check_light, pairs_per_pulse, two_or_more

CELL_TICKS = TICKS_PER_S // 2000
_PS_PER_TICK = 25
_DARK = 1e-6
"""Excitation times collection below which a dot is left dark: a hundredth of a dark count per second."""
_AFTERGLOW_TICKS = CELL_TICKS
"""A dot that goes dark is followed for so long, until its last photons have come."""
_TOLERANCE = 0.005
"""Changes of the signal smaller than this are not followed; they are not larger than the shot noise of a
second."""
_REFERENCE_PUMP = two_or_more(PAIRS_PER_PULSE) / REFERENCE_PERIOD_TICKS


class Axis(Protocol):
    """One axis of the stage."""

    def positions_um(self, at_ps: NDArray[np.int64]) -> NDArray[np.float64]:
        """The true positions at ascending instants that have passed, in micrometres."""
        ...


@dataclass
class _Near:
    """One dot that has been near the focus, and how far its photons have been made."""

    emitter: Emitter
    used: NDArray[np.float64] = field(default_factory=lambda: np.array([-1.0, 1.0]))
    made_until: int = -1
    awake_until: int = -1


class MicroscopePhotons:
    """Detector pulses of a cover slip under the microscope, with one pair of photodiodes for all dots.

    Dots are made when they first come near the focus, in equilibrium at the bias of that moment. While a
    dot is dark nothing but its trapped charge goes on, at the bias of its return. The same seed gives the
    same pulses, bit for bit, whatever the calls' lengths.
    """

    def __init__(
        self,
        slip: CoverSlip,
        axes: Sequence[Axis],
        detection: Detection,
        *,
        seed: int,
        focus: Focus | None = None,
    ) -> None:
        self.slip, self.detection, self.focus = slip, detection, focus or Focus()
        self._axes = axes
        self._photodiodes = Photodiodes(detection, seed=seed)
        self._made_until_tick = 0
        self._light: Light | None = None
        self._near: dict[int, _Near] = {}
        self._reach_um = self._reach()
        self._next_cell = 0
        self._at_start = np.empty((0, 3))
        self._middle = np.empty((0, 3))

    def advance(
        self, until_tick: int, edges: NDArray[np.int64], bias_v: NDArray[np.float64], light: Light
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Make the detector pulses up to `until_tick`, in time order.

        `edges` are the start ticks (int64) of cells of constant bias, the first one at the last
        `until_tick`; `bias_v` (float64, the same shape) is the interface potential in each. `light` is that
        in the focus since the last call. Returns ticks (int64) and detectors 0 or 1 (uint8).
        Raises ValueError for cells that do not fit, and for light beyond the model.
        """
        since = self._made_until_tick
        check_cells(since, until_tick, edges, bias_v)
        if light != self._light:
            check_light(light, self.detection)
            self._light = light
            for near in self._near.values():
                near.used[:] = -1.0, 1.0
        cells, middle_um = self._cells(since, until_tick)
        edges, bias_v = np.ascontiguousarray(edges, np.int64), np.ascontiguousarray(bias_v, np.float64)
        step = _Step(since, until_tick, cells, edges, bias_v, light)
        photons = [np.empty(0, np.int64)]
        for index in self._candidates(middle_um, since):
            photons.append(self._emit(index, step, middle_um - self.slip.position_um[index]))
        self._made_until_tick = until_tick
        return self._photodiodes.advance(since, until_tick, np.sort(np.concatenate(photons)), light)

    def truth(self) -> dict[str, Any]:
        """The cover slip, and the dots that have been near the focus by their number on it."""
        dots = {f"{index:05d}": near.emitter.truth() for index, near in sorted(self._near.items())}
        return {"cover_slip": self.slip.truth(), "near": dots}

    # ---- where the focus is ----

    def _cells(self, since: int, until: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Start ticks of the light cells in [since, until), and where the focus is on the slip in each."""
        last = -(-until // CELL_TICKS)
        index = np.arange(self._next_cell, last)
        if len(index):
            starts = index * CELL_TICKS
            start_um = np.column_stack([axis.positions_um(starts * _PS_PER_TICK) for axis in self._axes])
            before_um = np.concatenate(
                [self._at_start if len(self._at_start) else start_um[:1], start_um[:-1]]
            )
            middle_s = (starts + CELL_TICKS // 2) / TICKS_PER_S
            new_um = 1.5 * start_um - 0.5 * before_um - self.slip.drift_um(middle_s)
            self._at_start = start_um[-1:]
            self._next_cell = last
        else:
            starts, new_um = np.empty(0, np.int64), np.empty((0, 3))
        if since % CELL_TICKS:
            starts = np.concatenate([[since], starts])
            new_um = np.concatenate([self._middle, new_um])
        self._middle = new_um[-1:]
        return starts, new_um

    def _reach(self) -> NDArray[np.float64]:
        """How far from the focus a dot can be and not be dark, along each axis."""
        across_um, along_um = (
            1 / math.sqrt(1 / e**2 + 1 / c**2)
            for e, c in zip(self.focus.excitation_um, self.focus.collection_um, strict=True)
        )
        sigmas = math.sqrt(-2 * math.log(_DARK)) / math.sqrt(8 * math.log(2))
        return sigmas * np.array([across_um, across_um, along_um])

    def _candidates(self, middle_um: NDArray[np.float64], since: int) -> list[int]:
        """Dots that may be seen somewhere in the step, and those that are still followed."""
        low, high = middle_um.min(axis=0) - self._reach_um, middle_um.max(axis=0) + self._reach_um
        inside = np.all((self.slip.position_um >= low) & (self.slip.position_um <= high), axis=1)
        awake = {index for index, near in self._near.items() if near.awake_until > since}
        return sorted(awake.union(np.flatnonzero(inside).tolist()))

    # ---- photons ----

    def _emit(self, index: int, step: _Step, away_um: NDArray[np.float64]) -> NDArray[np.int64]:
        """Photons of one dot that arrive within the step."""
        excitation, collection = self.focus.couplings(away_um)
        lit = (excitation * collection > _DARK) & step.light.emitting
        if index not in self._near:
            if not lit.any():
                return np.empty(0, np.int64)
            dot, seed = self.slip.dot(index), self.slip.dot_seed(index)
            self._near[index] = _Near(Emitter(dot, self.detection, seed=seed))
        near = self._near[index]
        pairs = np.where(lit, excitation * pairs_per_pulse(step.light), 0.0)
        efficiency = self.detection.efficiency * step.light.collection_coupling * self.slip.brightness[index]
        efficiencies = np.where(lit, collection * efficiency, 0.0)
        for start, stop in step.awake(near, lit):
            if start > near.made_until >= 0:
                bias = step.bias_v[np.searchsorted(step.edges, [start], "right") - 1]
                near.emitter.emit(start, np.array([near.made_until]), bias)
            self._emit_awake(near, step, start, stop, pairs, efficiencies)
            near.made_until = stop
        return near.emitter.take_arrived(step.until)

    def _emit_awake(
        self,
        near: _Near,
        step: _Step,
        start: int,
        stop: int,
        pairs: NDArray[np.float64],
        efficiencies: NDArray[np.float64],
    ) -> None:
        cells, bias = step.between(step.cells, start, stop), step.between(step.edges, start, stop)
        starts, edges = step.cells[cells].copy(), step.edges[bias].copy()
        starts[0] = edges[0] = start
        first = 0

        def make() -> bool:
            nonlocal first
            first = _focus.make_photons_in_focus(
                near.emitter.source, near.used, first, starts, pairs[cells], efficiencies[cells], _TOLERANCE,
                near.emitter.captured_fraction, step.light.period_ticks, _REFERENCE_PUMP,
                edges, step.bias_v[bias], stop, *near.emitter.room,
            )  # fmt: skip
            return first == _focus.DONE

        near.emitter.run(make)


@dataclass(frozen=True)
class _Step:
    """One call of `advance`: light cells and bias cells, both beginning at `since`."""

    since: int
    until: int
    cells: NDArray[np.int64]
    edges: NDArray[np.int64]
    bias_v: NDArray[np.float64]
    light: Light

    def awake(self, near: _Near, lit: NDArray[np.bool_]) -> list[tuple[int, int]]:
        """When in this step the dot is followed: while it is lit and for the afterglow, in ticks."""
        bounds = np.append(self.cells, self.until)
        change = np.flatnonzero(np.diff(lit, prepend=False, append=False))
        spans = [(self.since, near.awake_until)] if near.awake_until > self.since else []
        for start, stop in bounds[change].reshape(-1, 2).tolist():
            glow = stop + _AFTERGLOW_TICKS
            if spans and start <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(spans[-1][1], glow))
            else:
                spans.append((start, glow))
        if spans:
            near.awake_until = spans[-1][1]
        return [(start, min(stop, self.until)) for start, stop in spans]

    @staticmethod
    def between(starts: NDArray[np.int64], start: int, stop: int) -> slice:
        """The cells that have a part in [start, stop)."""
        return slice(
            int(np.searchsorted(starts, start, "right")) - 1, int(np.searchsorted(starts, stop, "left"))
        )
