"""A station: what its TOML file lists, built into instruments on the rig or on the bench."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ..instruments.clock import Clock, RealClock
from ..instruments.photon_counter import PhotonCounter
from ..instruments.potentiostat import Potentiostat
from ..instruments.pulsed_laser import PulsedLaser
from ..instruments.stage import Stage
from .config import Table, read_toml, validated
from .drivers import SIMULATED, DriverTable, LaserTable, Surroundings, TimeHarpTable, find_driver
from .errors import ConfigError

if TYPE_CHECKING:
    from ..instruments.base import Device
    from ..sim.bench import Bench

ROLES = ("laser", "counter", "potentiostat", "stage")
"""Instrument tables of a station, in the order in which they are made safe: light off first; the stage may be
missing."""


class StationTable(Table):
    """`[station]`: what the rig is called and what its potentials refer to."""

    name: str = Field(description="what the lab calls this rig")
    reference_electrode: str = Field(
        description='what potentials are measured against, e.g. "Pt quasi-reference"'
    )
    electrode_area_cm2: float | None = Field(
        default=None, gt=0, description="wetted area of the working electrode, for charges per area"
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
    afterpulse_delay_ns: float = Field(
        default=24.0, ge=0, description="shortest delay of an afterpulse, in nanoseconds"
    )
    afterpulse_lifetime_ns: float = Field(default=60.0, gt=0)
    time_zero_ns: float = Field(
        default=2.0,
        description="delay of the pulse's light, used where a run has too few photons for its own",
    )
    source: str = Field(description="which measurement this is from, and when")
    run: str = Field(default="", description="run file of the blank that these numbers were read from")
    run_started: str = ""


class CalibrationRunTable(Table):
    """`[calibration]` with `run` instead of numbers: a blank run, measured with the procedure Blank."""

    run: str = Field(description="path of the blank's run file; a relative one starts at the station file")


class SimulationTable(Table):
    """`[simulation]`: the sample on the bench."""

    sample: Literal["batch_1", "batch_2", "not_charging", "blank", "cover_slip"] = "batch_1"
    drift_um_h: tuple[float, float, float] = Field(
        default=(0.0, 0.0, 0.0), description="drift of a cover slip along x, y, z in micrometres per hour"
    )
    cell: Literal["ito", "microelectrode"] = Field(
        default="ito", description="ito: the paper's cell, follows in 1.2 ms; microelectrode: in 0.4 us"
    )
    seed: int = Field(default=1, ge=0)
    speed: float | Literal["real", "max"] = Field(default="max", description="real, max, or a factor")

    @property
    def factor(self) -> float:
        """Simulated seconds per second; infinity for "max"."""
        return {"real": 1.0, "max": math.inf}.get(str(self.speed)) or float(self.speed)


class StationFile(Table):
    """A whole station file, except the tables of instruments and calibration, which are read one by one."""

    station: StationTable
    laser: dict[str, Any]
    counter: dict[str, Any]
    potentiostat: dict[str, Any]
    stage: dict[str, Any] | None = None
    markers: MarkersTable | None = None
    calibration: dict[str, Any]
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
            if table is None:
                continue
            driver = find_driver(str(table.get("driver")), role, where=where)
            tables[role] = validated(driver.table, table, where=where)
        trigger = getattr(tables.get("stage"), "trigger_marker", None)
        if file.markers and trigger in (file.markers.potential_falling, file.markers.potential_rising):
            raise ConfigError(
                f"{path} [stage]: trigger_marker = {trigger} is the potential's; wire it to another input"
            )
        calibration = CalibrationRunTable if "run" in file.calibration else CalibrationTable
        validated(calibration, file.calibration, where=f"{path} [calibration]")
        return cls(path, path.read_text(encoding="utf-8"), file, tables)

    @property
    def simulated(self) -> bool:
        """True when any instrument of the station is simulated."""
        return any(table.connection == SIMULATED for table in self.tables.values())

    def calibrated(self) -> Station:
        """This station with its calibration as numbers, read from the blank run that it names, if it does.

        Raises ConfigError when that run is missing, is no finished blank, or does not tell every number.
        """
        from .analyses.blank import calibration_from_run

        table, where = self.file.calibration, f"{self.path} [calibration]"
        if "run" in table:
            table = calibration_from_run(table["run"], self.path.parent, where=where)
        numbers = validated(CalibrationTable, table, where=where).model_dump()
        return replace(self, file=self.file.model_copy(update={"calibration": numbers}))

    def with_sample(self, sample: str) -> Station:
        """This simulated station with another sample on its bench; raises ConfigError for a real one."""
        if not self.simulated:
            raise ConfigError(f"{self.path}: only a simulated station can be given a sample by name")
        where = f"{self.path} [simulation]"
        table = {**(self.file.simulation or SimulationTable()).model_dump(), "sample": sample}
        simulation = validated(SimulationTable, table, where=where)
        return replace(self, file=self.file.model_copy(update={"simulation": simulation}))

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
    stage: Stage | None = None

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
        pairs: list[tuple[str, Device]] = [(role, getattr(self, role)) for role in self.station.tables]
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
            cell=simulation.cell,
            drift_um_h=simulation.drift_um_h,
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
