"""Potentiostats: techniques as data, runs as handles, currents anodic positive (IUPAC)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .base import Device, Limits


@dataclass(frozen=True)
class CyclicVoltammetry:
    """Potential cycles initial -> vertex -> initial, as a triangle of constant scan rate."""

    initial_v: float
    vertex_v: float
    scan_rate_v_s: float
    cycles: int = 1
    sample_interval_v: float = 0.001
    quiet_s: float = 0.0
    sensitivity_a_v: float = 1e-5

    @property
    def cycle_s(self) -> float:
        """Duration of one cycle in seconds."""
        return 2 * abs(self.vertex_v - self.initial_v) / self.scan_rate_v_s

    @property
    def duration_s(self) -> float:
        """Duration in seconds, without the quiet time."""
        return self.cycles * self.cycle_s


@dataclass(frozen=True)
class LinearSweep:
    """One ramp from initial to final potential."""

    initial_v: float
    final_v: float
    scan_rate_v_s: float
    sample_interval_v: float = 0.001
    quiet_s: float = 0.0
    sensitivity_a_v: float = 1e-5

    @property
    def duration_s(self) -> float:
        """Duration in seconds, without the quiet time."""
        return abs(self.final_v - self.initial_v) / self.scan_rate_v_s


@dataclass(frozen=True)
class PotentialSteps:
    """A sequence of (potential in volts, duration in seconds), repeated."""

    levels: tuple[tuple[float, float], ...]
    cycles: int = 1
    sample_interval_s: float = 0.01
    quiet_s: float = 0.0
    sensitivity_a_v: float = 1e-5

    @property
    def duration_s(self) -> float:
        """Duration in seconds, without the quiet time."""
        return self.cycles * sum(duration_s for _, duration_s in self.levels)


@dataclass(frozen=True)
class Hold:
    """Constant potential for a time."""

    potential_v: float
    hold_s: float
    sample_interval_s: float = 0.1
    quiet_s: float = 0.0
    sensitivity_a_v: float = 1e-5

    @property
    def duration_s(self) -> float:
        """Duration in seconds, without the quiet time."""
        return self.hold_s


@dataclass(frozen=True)
class OpenCircuit:
    """Open-circuit potential against time; no current flows."""

    watch_s: float
    sample_interval_s: float = 0.1

    @property
    def duration_s(self) -> float:
        """Duration in seconds."""
        return self.watch_s


Technique: TypeAlias = CyclicVoltammetry | LinearSweep | PotentialSteps | Hold | OpenCircuit


@dataclass(frozen=True)
class PotentiostatCapabilities:
    """What this potentiostat and its connection can do."""

    live_samples: bool
    """False: current arrives when the run has ended; the live view shows the commanded potential."""
    techniques: tuple[type, ...]
    max_points_per_run: int
    sensitivities_a_v: tuple[float, ...]
    scan_rate_v_s: Limits


@dataclass(frozen=True)
class PotentiostatRecord:
    """What one technique of a run brought; one row per sample, all arrays of one length.

    `time_s` counts from the start of the technique (after quiet time) on the potentiostat's own clock.
    A planned technique that had to be cut into blocks gives one record per block.
    """

    technique: Technique
    time_s: NDArray[np.float64]
    potential_v: NDArray[np.float64]
    current_a: NDArray[np.float64]
    overload: NDArray[np.bool_]
    complete: bool
    first_cycle: int = 0
    """Index of the first cycle in this record, counted over the blocks of one technique."""
    start_s: float = 0.0
    """Estimated start of the technique on the host's clock (seconds of `Clock.now()`)."""
    start_uncertainty_s: float = 0.0
    """Standard uncertainty of `start_s`."""
    stop_reason: str = ""
    warnings: tuple[str, ...] = ()
    vendor_files: dict[str, bytes] = field(default_factory=dict)


class PotentiostatRun(ABC):
    """A run that is going on; poll it from the thread that owns the clock."""

    planned_s: float
    """Planned wall duration in seconds, quiet times and start-up included."""

    @abstractmethod
    def done(self) -> bool:
        """True when the run has ended and its results can be read.

        Raises InstrumentError as soon as the run is known to have failed.
        """

    @abstractmethod
    def commanded_potential_v(self) -> float | None:
        """The potential that should be applied now by the host's clock, or None while it is unknown."""

    @abstractmethod
    def abort(self) -> None:
        """Stop the run and switch the cell off; may be called twice."""

    @abstractmethod
    def result(self) -> list[PotentiostatRecord]:
        """The records in order of the program; raises InstrumentError on missing or wrong results."""

    @abstractmethod
    def partial_result(self) -> list[PotentiostatRecord]:
        """What can be read of a run that failed or was aborted; may be empty, never raises."""


class Potentiostat(Device):
    """A potentiostat with one working electrode; potentials against the station's reference."""

    capabilities: PotentiostatCapabilities
    potential_limits_v: Limits
    """What this rig allows (electrode, electrolyte), inside what the instrument can do."""

    def check(self, program: Sequence[Technique]) -> None:
        """Check every setpoint of a program against the rig's limits.

        Raises OutOfRangeError before anything is sent.
        """
        for technique in program:
            for potential_v in _setpoints_v(technique):
                self.potential_limits_v.check(potential_v, f"{type(technique).__name__} potential (V)")

    @abstractmethod
    def estimate_s(self, program: Sequence[Technique]) -> float:
        """Expected duration of the program in seconds, start-up and pauses included."""

    def start(self, program: Sequence[Technique]) -> PotentiostatRun:
        """Check the program, then start it; the cell stays on from one technique to the next."""
        self.check(program)
        return self._start(program)

    @abstractmethod
    def _start(self, program: Sequence[Technique]) -> PotentiostatRun:
        """Start a checked program."""


def _setpoints_v(technique: Technique) -> list[float]:
    match technique:
        case CyclicVoltammetry():
            return [technique.initial_v, technique.vertex_v]
        case LinearSweep():
            return [technique.initial_v, technique.final_v]
        case PotentialSteps():
            return [potential_v for potential_v, _ in technique.levels]
        case Hold():
            return [technique.potential_v]
        case OpenCircuit():
            return []
