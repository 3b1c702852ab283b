"""A station file becomes a rig: every table checked, every driver found, a bench where it is simulated."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..instruments.clock import RealClock
from .config import Table, read_toml, validated
from .drivers import SIMULATED, DriverTable, SimulatedBench, Surroundings, find_driver
from .errors import ConfigError
from .instrument_lock import InstrumentLocks
from .rig import ROLES, Rig
from .station_tables import (
    BenchTable,
    CalibrationRunTable,
    CalibrationTable,
    CoherenceSimulationTable,
    SimulationTable,
    StationFile,
)

if TYPE_CHECKING:
    from ..instruments.base import Device

CHARGING_TABLES = ("laser", "counter", "potentiostat", "calibration")
"""What a station for photons needs."""
COHERENCE_TABLES = ("shaper", "interferometer")
"""What a station for 2DES needs, [delay] where a stage delays pulse 3, and one of the following."""
DETECTION_TABLES = (("detector",), ("gate", "point_detector"))
"""What detects at a station for 2DES: a spectrometer, or a point detector whose light is gated."""


@dataclass(frozen=True)
class Station:
    """A station file, read and checked; nothing is built yet."""

    path: Path
    text: str
    file: StationFile
    tables: dict[str, DriverTable]
    simulation: BenchTable

    @classmethod
    def load(cls, path: Path) -> Station:
        """Read and check a station file; raises ConfigError."""
        file = validated(StationFile, read_toml(path), where=str(path))
        _complete(file, path)
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
        if file.calibration is not None:
            calibration = CalibrationRunTable if "run" in file.calibration else CalibrationTable
            validated(calibration, file.calibration, where=f"{path} [calibration]")
        return cls(path, path.read_text(encoding="utf-8"), file, tables, _simulation(file, path))

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
        if table is None:
            return self
        if "run" in table:
            table = calibration_from_run(table["run"], self.path.parent, where=where)
        numbers = validated(CalibrationTable, table, where=where).model_dump()
        return replace(self, file=self.file.model_copy(update={"calibration": numbers}))

    def with_sample(self, sample: str) -> Station:
        """This simulated station with another sample on its bench; raises ConfigError for a real one."""
        if not self.simulated:
            raise ConfigError(f"{self.path}: only a simulated station can be given a sample by name")
        table = {**self.simulation.model_dump(), "sample": sample}
        file = self.file.model_copy(update={"simulation": table})
        return replace(self, file=file, simulation=_simulation(file, self.path))

    def build(
        self,
        *,
        seed: int | None = None,
        speed: float | None = None,
        faults: Sequence[str] = (),
        ask: Callable[[str], str] = input,
    ) -> Rig:
        """The instruments of this station, not yet connected.

        Raises ConfigError, RefusedError when another program holds one of them, or VendorSoftwareMissingError
        when a vendor's library or program is not there.
        """
        bench = make_bench(self, seed, speed, faults) if self.simulated else None
        if bench is None and faults:
            raise ConfigError(f"{self.path}: --fault needs a simulated station")
        locks = InstrumentLocks(self.tables.values())
        locks.acquire()
        work = tempfile.TemporaryDirectory(prefix="qdlab-", ignore_cleanup_errors=True)
        around = Surroundings(
            bench.clock if bench else RealClock(), Path(work.name), ask, bench, self.path.parent
        )
        try:
            built = {role: self._device(role, around) for role in self.tables}
        except BaseException:
            work.cleanup()
            locks.release()
            raise
        return Rig(self, around.clock, bench, work, built, ask, locks)

    @contextmanager
    def one_device(self, role: str, *, ask: Callable[[str], str] = input) -> Iterator[Device]:
        """One instrument of this station by itself, disconnected at the end; not yet connected."""
        bench = make_bench(self, None, math.inf, ()) if self.simulated else None
        with (
            InstrumentLocks([self.tables[role]]),
            tempfile.TemporaryDirectory(prefix="qdlab-", ignore_cleanup_errors=True) as work,
        ):
            around = Surroundings(
                bench.clock if bench else RealClock(), Path(work), ask, bench, self.path.parent
            )
            device = self._device(role, around)
            try:
                yield device
            finally:
                device.disconnect()

    def warm_up(self) -> None:
        """Load what every driver needs, so that nothing has to be when it is urgent."""
        with tempfile.TemporaryDirectory(prefix="qdlab-", ignore_cleanup_errors=True) as work:
            for role in self.tables:
                self._device(role, Surroundings(RealClock(), Path(work), input))

    def _device(self, role: str, around: Surroundings) -> Device:
        table = self.tables[role]
        return find_driver(table.driver, role, where=str(self.path)).build(table, around)


@contextmanager
def open_rig(station: Station, **options: Any) -> Iterator[Rig]:
    """Build a station's rig and close it at the end."""
    rig = station.build(**options)
    try:
        yield rig
    finally:
        rig.close()


def _complete(file: StationFile, path: Path) -> None:
    """Raise ConfigError when the file is neither a whole charging station nor a whole 2DES station."""
    needed: tuple[str, ...] = CHARGING_TABLES
    if file.shaper or file.detector or file.point_detector:
        _check_pulse_3(file, path)
        scanned = file.point_detector is not None and file.detector is None
        needed = COHERENCE_TABLES + DETECTION_TABLES[scanned]
    if missing := [name for name in needed if getattr(file, name) is None]:
        raise ConfigError(f"{path}: needs the table{'s' * (len(missing) > 1)} [{'], ['.join(missing)}]")
    if file.potentiostat is not None and not file.station.reference_electrode:
        raise ConfigError(
            f"{path} [station]: reference_electrode must say what potentials are measured against, "
            'such as "Pt quasi-reference"'
        )


def _check_pulse_3(file: StationFile, path: Path) -> None:
    """Raise ConfigError unless pulse 3 has exactly one source."""
    shaped = file.interferometer is not None and file.interferometer.pulse_3 == "shaper"
    if file.delay is None and not shaped:
        raise ConfigError(
            f"{path}: nothing delays pulse 3; add the table [delay] of its stage, or, where the shaper makes "
            'pulse 3 as well, pulse_3 = "shaper" in [interferometer]'
        )
    if file.delay is not None and shaped:
        raise ConfigError(
            f'{path}: [interferometer] has pulse_3 = "shaper", but there is a [delay] stage for it as well; '
            "take one of the two out"
        )


def _simulation(file: StationFile, path: Path) -> BenchTable:
    model: type[Table] = SimulationTable if file.interferometer is None else CoherenceSimulationTable
    simulation = validated(model, file.simulation or {}, where=f"{path} [simulation]")
    assert isinstance(simulation, BenchTable)
    return simulation


def make_bench(
    station: Station, seed: int | None, speed: float | None, faults: Sequence[str]
) -> SimulatedBench:
    """The bench that a station's [simulation] table tells; raises ConfigError."""
    simulation = station.simulation
    seed = simulation.seed if seed is None else seed
    speed = simulation.factor if speed is None else speed
    try:
        if isinstance(simulation, SimulationTable):
            return _charging_bench(station, simulation, seed, speed, faults)
        assert isinstance(simulation, CoherenceSimulationTable)
        return _coherence_bench(station, simulation, seed, speed, faults)
    except ValueError as error:
        raise ConfigError(f"{station.path}: {error}") from error


def _charging_bench(
    station: Station, simulation: SimulationTable, seed: int, speed: float, faults: Sequence[str]
) -> SimulatedBench:
    from ..sim.bench import Comparator
    from ..sim.samples import make_bench as make_charging_bench

    markers = station.file.markers
    return make_charging_bench(
        simulation.sample,
        seed=seed,
        speed=speed,
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


def _coherence_bench(
    station: Station, simulation: CoherenceSimulationTable, seed: int, speed: float, faults: Sequence[str]
) -> SimulatedBench:
    from ..sim.coherence_bench import Beams, make_coherence_bench

    interferometer = station.file.interferometer
    assert interferometer is not None
    return make_coherence_bench(
        simulation.sample,
        seed=seed,
        speed=speed,
        faults=faults,
        dimers=simulation.dimers,
        phonons=simulation.phonons,
        beams=Beams(pulse_3=interferometer.pulse_3, lo_lead_fs=interferometer.lo_lead_fs),
    )
