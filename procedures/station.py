"""A station: what its TOML file lists, built into instruments on the rig or on the bench."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ..instruments.clock import Clock, RealClock
from ..instruments.photon_counter import PhotonCounter
from ..instruments.potentiostat import Potentiostat
from ..instruments.pulsed_laser import PulsedLaser
from .config import Table, read_toml, validated
from .drivers import SIMULATED, DriverTable, LaserTable, Surroundings, TimeHarpTable, find_driver
from .errors import ConfigError

if TYPE_CHECKING:
    from ..instruments.base import Device
    from ..sim.bench import Bench

ROLES = ("laser", "counter", "potentiostat")
"""Instrument tables of a station, in the order in which they are made safe: light off first."""


class StationTable(Table):
    """`[station]`: what the rig is called and what its potentials refer to."""

    name: str = Field(description="what the lab calls this rig")
    reference_electrode: str = Field(
        description='what potentials are measured against, e.g. "Pt quasi-reference"'
    )


class MarkersTable(Table):
    """`[markers]`: which marker inputs of the counter see the comparator on the potential output."""

    potential_falling: int = Field(ge=1, le=4, description="marker input of the falling edge, 1 to 4")
    potential_rising: int = Field(ge=1, le=4, description="marker input of the rising edge, 1 to 4")
    threshold_v: float = Field(description="comparator threshold in volts")
    threshold_uncertainty_v: float = Field(gt=0, description="its standard uncertainty in volts")


class CalibrationTable(Table):
    """`[calibration]`: what a blank (empty spot) measurement on this rig gave."""

    dark_rate_hz: tuple[float, ...] = Field(
        description="rate of each detector with the laser locked, in hertz"
    )
    prompt_rate_hz: float = Field(ge=0, description="laser-synchronous background of all detectors, in hertz")
    prompt_lifetime_ns: float = Field(gt=0, description="its decay time in nanoseconds")
    irf_fwhm_ps: float = Field(gt=0, description="full width at half maximum of the response, in picoseconds")
    blank_s: float = Field(gt=0, description="how long the blank was counted, in seconds")
    afterpulsing: float = Field(default=0.0, ge=0, lt=0.2)
    source: str = Field(description="which measurement this is from, and when")


class SimulationTable(Table):
    """`[simulation]`: the sample on the bench."""

    sample: Literal["batch_1", "batch_2", "not_charging", "blank"] = "batch_1"
    seed: int = Field(default=1, ge=0)
    speed: float | Literal["real", "max"] = Field(default="max", description="real, max, or a factor")

    @property
    def factor(self) -> float:
        """Simulated seconds per second; infinity for "max"."""
        return {"real": 1.0, "max": math.inf}.get(str(self.speed)) or float(self.speed)


class StationFile(Table):
    """A whole station file, except the instruments' tables, which their drivers read."""

    station: StationTable
    laser: dict[str, Any]
    counter: dict[str, Any]
    potentiostat: dict[str, Any]
    markers: MarkersTable | None = None
    calibration: CalibrationTable
    simulation: SimulationTable | None = None


@dataclass(frozen=True)
class Station:
    """A station file, read and checked; nothing is built yet."""

    path: Path
    text: str
    file: StationFile
    tables: dict[str, DriverTable]

    @classmethod
    def load(cls, path: Path) -> Station:
        """Read and check a station file; raises ConfigError."""
        file = validated(StationFile, read_toml(path), where=str(path))
        tables: dict[str, DriverTable] = {}
        for role in ROLES:
            table, where = getattr(file, role), f"{path} [{role}]"
            driver = find_driver(str(table.get("driver")), role, where=where)
            tables[role] = validated(driver.table, table, where=where)
        return cls(path, path.read_text(encoding="utf-8"), file, tables)

    @property
    def simulated(self) -> bool:
        """True when any instrument of the station is simulated."""
        return any(table.connection == SIMULATED for table in self.tables.values())

    def build(
        self,
        *,
        seed: int | None = None,
        speed: float | None = None,
        faults: Sequence[str] = (),
        ask: Callable[[str], str] = input,
    ) -> Rig:
        """The instruments of this station, not yet connected.

        Raises ConfigError, or VendorSoftwareMissingError when a vendor's library or program is not there.
        """
        bench = _make_bench(self, seed, speed, faults) if self.simulated else None
        if bench is None and faults:
            raise ConfigError(f"{self.path}: --fault needs a simulated station")
        work = tempfile.TemporaryDirectory(prefix="qdlab-", ignore_cleanup_errors=True)
        around = Surroundings(bench.clock if bench else RealClock(), Path(work.name), ask, bench)
        try:
            built: dict[str, Any] = {role: self._device(role, around) for role in self.tables}
        except BaseException:
            work.cleanup()
            raise
        return Rig(self, around.clock, bench, work, **built)

    @contextmanager
    def one_device(self, role: str, *, ask: Callable[[str], str] = input) -> Iterator[Device]:
        """One instrument of this station by itself, disconnected at the end; not yet connected."""
        bench = _make_bench(self, None, math.inf, ()) if self.simulated else None
        with tempfile.TemporaryDirectory(prefix="qdlab-", ignore_cleanup_errors=True) as work:
            around = Surroundings(bench.clock if bench else RealClock(), Path(work), ask, bench)
            device = self._device(role, around)
            try:
                yield device
            finally:
                device.disconnect()

    def _device(self, role: str, around: Surroundings) -> Device:
        table = self.tables[role]
        return find_driver(table.driver, role, where=str(self.path)).build(table, around)


@dataclass
class Rig:
    """The instruments of a station, ready to be connected."""

    station: Station
    clock: Clock
    bench: Bench | None
    work: tempfile.TemporaryDirectory[str]
    laser: PulsedLaser
    counter: PhotonCounter
    potentiostat: Potentiostat

    @property
    def laser_table(self) -> LaserTable:
        """The station's settings of the laser."""
        table = self.station.tables["laser"]
        assert isinstance(table, LaserTable)
        return table

    @property
    def count_rate_limit_hz(self) -> float:
        """The rate per detector above which a run is ended, in hertz."""
        table = self.station.tables["counter"]
        return table.count_rate_limit_hz if isinstance(table, TimeHarpTable) else math.inf

    def devices(self) -> Iterator[tuple[str, Device]]:
        """Role and instrument, in the order in which they are made safe: nobody waits for a person."""
        pairs: list[tuple[str, Device]] = [(role, getattr(self, role)) for role in ROLES]
        yield from sorted(pairs, key=lambda pair: pair[1].manual)

    def make_safe(self) -> list[str]:
        """Make every instrument safe; returns what went wrong, one sentence each, and never raises."""
        return self._on_each("make_safe")

    def close(self) -> list[str]:
        """Make safe and disconnect everything; returns what went wrong, and never raises."""
        problems = self._on_each("disconnect")
        self.work.cleanup()
        return problems

    def _on_each(self, verb: str) -> list[str]:
        problems: list[str] = []
        for role, device in self.devices():
            try:
                getattr(device, verb)()
            except Exception as error:  # one instrument's failure must not keep the others unsafe
                problems.append(f"{role}: {error}")
        return problems


@contextmanager
def open_rig(station: Station, **options: Any) -> Iterator[Rig]:
    """Build a station's rig and close it at the end."""
    rig = station.build(**options)
    try:
        yield rig
    finally:
        rig.close()


def _make_bench(station: Station, seed: int | None, speed: float | None, faults: Sequence[str]) -> Bench:
    from ..sim.bench import Comparator
    from ..sim.samples import make_bench

    simulation = station.file.simulation or SimulationTable()
    markers = station.file.markers
    try:
        return make_bench(
            simulation.sample,
            seed=simulation.seed if seed is None else seed,
            speed=simulation.factor if speed is None else speed,
            faults=faults,
            comparator=markers
            and Comparator(
                threshold_v=markers.threshold_v,
                falling_marker=markers.potential_falling,
                rising_marker=markers.potential_rising,
            ),
        )
    except ValueError as error:
        raise ConfigError(f"{station.path}: {error}") from error
