"""The bench: one clock, one seed, one sample and one truth shared by all emulated instruments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .clock import PS_PER_S, SimulatedClock
from .physics.cell import Cell
from .physics.photons import Light
from .physics.piezo import PiezoStage

TICK_PS = 25
"""Time grid of the photon stream: the TimeHarp 260 P's base resolution."""

STEP_V = 0.02
"""A larger difference between two cells is a step of the potential, a smaller one a part of a ramp."""

_COMPARATOR = 0xC0  # spawn key of this module's random stream

PhotonListener = Callable[[int, NDArray[np.int64], NDArray[np.uint8]], None]
MarkerListener = Callable[[NDArray[np.int64], NDArray[np.uint8]], None]


class MarkerEdges(NamedTuple):
    """TTL edges in time order: ticks (int64) and the marker input each arrives at (uint8)."""

    ticks: NDArray[np.int64]
    numbers: NDArray[np.uint8]


NO_EDGES = MarkerEdges(np.empty(0, np.int64), np.empty(0, np.uint8))


class PhotonSource(Protocol):
    """The sample under the light, with its detectors: one dot in the focus, or a cover slip on the stage."""

    def advance(
        self, until_tick: int, edges: NDArray[np.int64], bias_v: NDArray[np.float64], light: Light
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Detector pulses up to `until_tick`; see `physics.photons.DotPhotons.advance`."""
        ...

    def truth(self) -> dict[str, Any]:
        """What was planted."""
        ...


@dataclass(frozen=True)
class Comparator:
    """Turns the potentiostat's potential output into two marker edges (see docs/wiring.md).

    One line goes to two marker inputs: `falling_marker` fires when the potential falls through the
    threshold, `rising_marker` when it rises back. The trimmer is off by `offset_v`, and noise of
    `noise_v` (standard deviation) shifts each edge.
    """

    threshold_v: float = -0.02
    offset_v: float = 0.0015
    noise_v: float = 0.0002
    falling_marker: int = 1
    rising_marker: int = 2


@dataclass
class _Applied:
    """A piece of potential against time: cells, the last value holds on."""

    starts_ps: NDArray[np.int64]
    cell_ps: int | NDArray[np.int64]
    applied_v: NDArray[np.float64]
    interface_v: NDArray[np.float64]
    edges: MarkerEdges

    @property
    def start_ps(self) -> int:
        """When the first cell begins."""
        return int(self.starts_ps[0])

    def cell_at(self, at_ps: int) -> int:
        """Index of the cell that holds at `at_ps`."""
        return max(0, int(np.searchsorted(self.starts_ps, at_ps, "right")) - 1)

    def past(self, end_ps: int) -> _Past:
        """What is remembered of the piece once another one has followed at `end_ps`."""
        applied_v, interface_v = self.applied_v.astype(np.float32), self.interface_v.astype(np.float32)
        return _Past(self.start_ps, end_ps, self.cell_ps, applied_v, interface_v)


class _Past(NamedTuple):
    """A piece of potential that is over: 8 bytes for each of a day's cells, exact to 0.1 microvolt."""

    start_ps: int
    end_ps: int
    cell_ps: int | NDArray[np.int64]
    applied_v: NDArray[np.float32]
    interface_v: NDArray[np.float32]


@dataclass(frozen=True)
class Faults:
    """Names of the faults switched on, over all emulators of the bench."""

    names: frozenset[str] = field(default_factory=frozenset)

    def __contains__(self, name: str) -> bool:
        return name in self.names


class Bench:
    """What stands on the table: the cell with the dot in it, the laser light, and the wires.

    Emulated instruments change it (`apply_potential`, `open_cell`, `set_light`) at the present instant
    and listen to what it does (`on_photons`, `on_markers`). Photons are made as the clock moves.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        *,
        seed: int,
        cell: Cell,
        photons: PhotonSource,
        stage: PiezoStage | None = None,
        comparator: Comparator | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.clock, self.seed, self.cell, self.photons = clock, seed, cell, photons
        self.stage = stage or PiezoStage(seed=seed)
        self.trigger_markers: dict[int, int] = {}
        self.comparator = comparator
        self.faults = faults or Faults()
        self.sync_running = True
        self._light = Light()
        self._comparator_noise = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_COMPARATOR,)))
        rest = np.array([cell.rest_potential_v])
        self._applied = _Applied(np.zeros(1, np.int64), PS_PER_S, rest, rest, NO_EDGES)
        self._history: list[_Past] = []
        self._photon_listeners: list[PhotonListener] = []
        self._marker_listeners: list[MarkerListener] = []
        self._made_until_tick = 0
        clock.follow(self._make_photons)

    # ---- what instruments do to the bench, at the present instant ----

    @property
    def light(self) -> Light:
        """The excitation light at this instant."""
        return self._light

    def set_light(self, light: Light) -> None:
        """Change the excitation light from now on."""
        self.clock.catch_up()
        self._light = light

    def apply_potential(
        self,
        cell_ps: int | NDArray[np.int64],
        applied_v: NDArray[np.float64],
        interface_v: NDArray[np.float64],
    ) -> None:
        """Apply a potential from now on: values per cell of `cell_ps`; the last one is held.

        `cell_ps` is the length of all cells, or an int64 array of the length of each.
        """
        self.clock.catch_up()
        now = self.clock.now_ps
        lengths_ps = np.broadcast_to(np.asarray(cell_ps, np.int64), len(applied_v))
        starts_ps = now + np.cumsum(lengths_ps) - lengths_ps
        edges = self._comparator_edges(starts_ps, lengths_ps, np.r_[self.applied_potential_v, applied_v])
        if now > self._applied.start_ps:
            self._history.append(self._applied.past(now))
        self._applied = _Applied(starts_ps, cell_ps, applied_v, interface_v, edges)

    def wire_trigger(self, output: int, marker: int) -> None:
        """Connect a trigger output of the stage's controller to a marker input."""
        self.trigger_markers[output] = marker

    def open_cell(self) -> None:
        """Switch the cell off: the interface goes back to its rest potential."""
        rest = np.array([self.cell.rest_potential_v])
        self.apply_potential(PS_PER_S, rest, rest)

    # ---- what instruments see of the bench ----

    def on_photons(self, listener: PhotonListener) -> None:
        """Call `listener(until_tick, ticks, inputs)` with the detector pulses of each step."""
        self._photon_listeners.append(listener)

    def on_markers(self, listener: MarkerListener) -> None:
        """Call `listener(ticks, marker_numbers)` with the TTL edges of each step."""
        self._marker_listeners.append(listener)

    @property
    def applied_potential_v(self) -> float:
        """The potential applied at this instant, as the potentiostat's output shows it."""
        return float(self._applied.applied_v[self._applied.cell_at(self.clock.now_ps)])

    def truth(self) -> dict[str, Any]:
        """Everything planted, for the truth group of a run file; no analysis reads it."""
        self.clock.catch_up()
        pieces = [*self._history, self._applied.past(self.clock.now_ps)]
        return {
            "seed": self.seed,
            "potential_pieces": [
                {
                    "start_s": p.start_ps / PS_PER_S,
                    "end_s": p.end_ps / PS_PER_S,
                    "cell_s": p.cell_ps / PS_PER_S,
                    "applied_v": p.applied_v,
                    "interface_v": p.interface_v,
                }
                for p in pieces
            ],
            "cell": self.cell.truth(),
            "dot": self.photons.truth(),
        }

    # ---- inside ----

    def _make_photons(self, now_ps: int) -> None:
        until = now_ps // TICK_PS
        if until <= self._made_until_tick:
            return
        edges, bias = self._cells(self._made_until_tick, until)
        ticks, inputs = self.photons.advance(until, edges, bias, self._light)
        markers = self._markers(self._made_until_tick, until)
        self._made_until_tick = until
        if len(markers.ticks):
            for on_markers in self._marker_listeners:
                on_markers(*markers)
        for on_photons in self._photon_listeners:
            on_photons(until, ticks, inputs)

    def _cells(self, since: int, until: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Start ticks of the potential cells in [since, until) and the interface potential in each."""
        a = self._applied
        held = slice(a.cell_at(since * TICK_PS), a.cell_at((until - 1) * TICK_PS) + 1)
        edges = a.starts_ps[held] // TICK_PS
        edges[0] = since
        return edges, a.interface_v[held]

    def _markers(self, since: int, until: int) -> MarkerEdges:
        edges = self._applied.edges
        now = slice(*np.searchsorted(edges.ticks, [since, until]))
        compared = MarkerEdges(edges.ticks[now], edges.numbers[now])
        pulses = [
            (at_ps // TICK_PS, self.trigger_markers[output])
            for at_ps, output in self.stage.pulses(since * TICK_PS, until * TICK_PS)
            if output in self.trigger_markers
        ]
        if not pulses:
            return compared
        ticks = np.concatenate([compared.ticks, np.array([tick for tick, _ in pulses], np.int64)])
        numbers = np.concatenate([compared.numbers, np.array([n for _, n in pulses], np.uint8)])
        order = np.argsort(ticks, kind="stable")
        return MarkerEdges(ticks[order], numbers[order])

    def _comparator_edges(
        self, starts_ps: NDArray[np.int64], lengths_ps: NDArray[np.int64], applied_v: NDArray[np.float64]
    ) -> MarkerEdges:
        """Edges of a piece; `applied_v` begins with the value before it.

        A small difference between neighbouring cells is a ramp through the cells' centres, a large one a
        step where the later cell begins.
        """
        if self.comparator is None:
            return NO_EDGES
        c = self.comparator
        threshold_v = c.threshold_v + c.offset_v
        below = applied_v < threshold_v
        (k,) = np.nonzero(below[1:] != below[:-1])
        v0, v1 = applied_v[k], applied_v[k + 1]
        level_v = threshold_v + c.noise_v * self._comparator_noise.standard_normal(len(k))
        fraction = np.clip((level_v - v0) / (v1 - v0), 0.0, 1.0)
        late = np.where(np.abs(v1 - v0) > STEP_V, 0.0, fraction - 0.5)
        at_ps = starts_ps[k] + late * lengths_ps[np.where(late < 0, np.maximum(k - 1, 0), k)]
        at_ps = np.maximum(at_ps, starts_ps[0])
        numbers = np.where(below[k + 1], c.falling_marker, c.rising_marker)
        return MarkerEdges(np.round(at_ps / TICK_PS).astype(np.int64), numbers.astype(np.uint8))
