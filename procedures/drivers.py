"""How a station file's tables become instruments: each driver's settings, and its two connections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ..instruments.base import Device, Limits
from .config import Table
from .errors import ConfigError

if TYPE_CHECKING:
    from ..instruments.clock import Clock
    from ..sim.bench import Bench, Faults
    from ..sim.clock import SimulatedClock
    from ..sim.coherence_bench import CoherenceBench

SIMULATED = "simulated"
SAME_KIND = {"gate": "delay"}
"""Roles that take the drivers of another one."""


class SimulatedBench(Protocol):
    """What every bench has, whatever stands on it."""

    clock: SimulatedClock
    seed: int
    faults: Faults

    def truth(self) -> dict[str, Any]:
        """Everything planted."""
        ...


@dataclass(frozen=True)
class Surroundings:
    """What a driver is built into: the clock, a folder for its files, the operator, the bench if any."""

    clock: Clock
    work_dir: Path
    ask: Callable[[str], str]
    bench: SimulatedBench | None = None
    station_dir: Path = Path()
    """Folder of the station file, where relative paths in it start."""

    def charging_bench(self) -> Bench:
        """The bench of a simulated connection, with a dot in a cell."""
        return cast("Bench", self.bench)

    def coherence_bench(self) -> CoherenceBench:
        """The bench of a simulated connection, with an ensemble between shaper and spectrometer."""
        return cast("CoherenceBench", self.bench)


class DriverTable(Table):
    """What every instrument's table has."""

    driver: str = Field(description="the name of the driver")
    connection: str = Field(
        description='"simulated", or where the instrument is: see the driver\'s page in docs/'
    )


def emulated_at(table: DriverTable) -> tuple[str, int] | None:
    """Host and port of a connection emulated://HOST:PORT (see `emulated_station`); None for any other."""
    parts = urlsplit(table.connection)
    return (parts.hostname or "", parts.port or 0) if parts.scheme == "emulated" else None


@dataclass(frozen=True)
class Driver:
    """One entry of the group `qdlab.instruments`: how to read its table and how to build it."""

    role: str
    """The station table that it can stand in, one of `rig.ROLES`; those in `SAME_KIND` take another one's."""
    table: type[DriverTable]
    build: Callable[[Any, Surroundings], Device]


def find_driver(name: str, role: str, *, where: str) -> Driver:
    """The driver called `name` for `role`; raises ConfigError naming those there are."""
    known = {point.name: point for point in entry_points(group="qdlab.instruments")}
    if name in known:
        driver: Driver = known[name].load()
        if driver.role == SAME_KIND.get(role, role):
            return driver
        raise ConfigError(f"{where}: driver = {name!r} is a {driver.role}, not a {role}")
    raise ConfigError(f"{where}: driver = {name!r} is not known; known drivers: {', '.join(sorted(known))}")


# ---- CHI 760C ----


class ChiTable(DriverTable):
    """`[potentiostat]` with driver = "chi760c"; connection is the path of chi760c.exe."""

    potential_limits_v: tuple[float, float] = Field(
        description="the potentials that this electrode and electrolyte stand: [lower, upper] in volts"
    )
    current_polarity: Literal["anodic_positive", "cathodic_positive"] = Field(
        description='as set in the program: "anodic_positive" or "cathodic_positive"'
    )
    data_length_points: int = Field(default=128_000, ge=1000, le=16_000_000)

    @field_validator("potential_limits_v")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not -10.0 <= value[0] < value[1] <= 10.0:
            raise ValueError("must be [lower, upper] with -10 <= lower < upper <= 10")
        return value


def _build_chi760c(table: ChiTable, around: Surroundings) -> Device:
    from ..instruments.chi import CHI760C

    if table.connection == SIMULATED:
        from ..sim.emulators.chi760 import EmulatedChi760

        launcher = EmulatedChi760(around.charging_bench(), polarity=table.current_polarity)
    elif at := emulated_at(table):
        from ..sim.emulators.chi760.served import ServedChi760

        launcher = ServedChi760(*at)
    else:
        from ..instruments.chi.windows_program import WindowsProgram

        launcher = WindowsProgram(Path(table.connection))
    launcher.check()
    return CHI760C(
        launcher,
        clock=around.clock,
        work_dir=around.work_dir,
        potential_limits_v=Limits(*table.potential_limits_v),
        current_polarity=table.current_polarity,
        data_length_points=table.data_length_points,
    )


# ---- TimeHarp 260 ----


class TimeHarpTable(DriverTable):
    """`[counter]` with driver = "timeharp260"; connection is the library's path, or "default"."""

    serial: str = ""
    sync_cfd_mv: tuple[int, int] = (-50, -10)
    input_cfd_mv: tuple[tuple[int, int], ...] = ((-50, -10), (-50, -10))
    sync_offset_ps: int = Field(default=0, ge=-99_999, le=99_999)
    input_offset_ps: tuple[int, ...] = (0, 0)
    count_rate_limit_hz: float = Field(
        default=5e6, gt=0, description="the rate above which a detector is damaged, in hertz"
    )


def _build_timeharp260(table: TimeHarpTable, around: Surroundings) -> Device:
    from ..instruments.picoquant import TimeHarp260, th260lib

    if table.connection == SIMULATED:
        from ..sim.emulators.timeharp260 import EmulatedTh260Lib

        library = EmulatedTh260Lib(around.charging_bench())
    elif at := emulated_at(table):
        from ..sim.emulators.served_library import TH260, ServedLibrary

        library = ServedLibrary(TH260, table.driver, *at)
    else:
        library = th260lib.load(None if table.connection == "default" else Path(table.connection))
    return TimeHarp260(library, clock=around.clock, serial=table.serial)


# ---- PDL 828 and PDL 800-D ----


class LaserTable(DriverTable):
    """What every pulsed laser's table has."""

    repetition_rate_hz: float = Field(gt=0, description="pulse repetition rate in hertz, such as 2.5e6")
    intensity: float = Field(ge=0.0, le=1.0, description="fraction (0 to 1) of the driver's scale")
    wavelength_nm: float = Field(default=442.0, gt=0)


class Pdl828Table(LaserTable):
    """`[laser]` with driver = "pdl828"; connection is the library's path, or "default"."""

    serial: str = ""


def _build_pdl828(table: Pdl828Table, around: Surroundings) -> Device:
    from ..instruments.picoquant import PDL828, sepia2lib

    if table.connection == SIMULATED:
        from ..sim.emulators.sepia2 import EmulatedSepia2Lib

        library = EmulatedSepia2Lib(around.charging_bench())
    elif at := emulated_at(table):
        from ..sim.emulators.served_library import SEPIA2, ServedLibrary

        library = ServedLibrary(SEPIA2, table.driver, *at)
    else:
        library = sepia2lib.load(None if table.connection == "default" else Path(table.connection))
    return PDL828(library, clock=around.clock, serial=table.serial)


class Pdl800dTable(LaserTable):
    """`[laser]` with driver = "pdl800d", set by hand; connection is "manual"."""


def _build_pdl800d(table: Pdl800dTable, around: Surroundings) -> Device:
    from ..instruments.picoquant import PDL800D

    ask = around.ask
    if table.connection == SIMULATED:
        from ..sim.emulators.sepia2 import EmulatedOperator

        ask = EmulatedOperator(around.charging_bench())
    return PDL800D(ask)


# ---- PI E-545 ----


class E545Table(DriverTable):
    """`[stage]` with driver = "e545"; connection is tcp://HOST:PORT, a serial port, or a VISA name."""

    x_limits_um: tuple[float, float] = Field(description="[lower, upper] in micrometres, within [0, 200]")
    y_limits_um: tuple[float, float] = Field(description="[lower, upper] in micrometres, within [0, 200]")
    z_limits_um: tuple[float, float] = Field(
        description="[lower, upper] in micrometres, within [0, 200]; mind the objective"
    )
    axes: tuple[str, str, str] = Field(default=("A", "B", "C"), description="the controller's x, y and z")
    baud_rate: int = Field(default=115_200, gt=0)
    trigger_output: Literal[1, 2, 3] | None = Field(
        default=None, description="trigger output of the controller that is wired to the counter"
    )
    trigger_marker: int | None = Field(
        default=None, ge=1, le=4, description="marker input of the counter that it is wired to, 1 to 4"
    )

    @field_validator("x_limits_um", "y_limits_um", "z_limits_um")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0.0 <= value[0] < value[1] <= 200.0:
            raise ValueError("must be [lower, upper] with 0 <= lower < upper <= 200")
        return value

    @model_validator(mode="after")
    def _wired_at_both_ends(self) -> E545Table:
        if (self.trigger_output is None) != (self.trigger_marker is None):
            raise ValueError("trigger_output and trigger_marker must be given together, or neither")
        return self


def _build_e545(table: E545Table, around: Surroundings) -> Device:
    from ..instruments.links import open_link
    from ..instruments.pi import E545Stage

    if table.connection == SIMULATED:
        from ..sim.emulators.doors import EmulatedAdapter
        from ..sim.emulators.pi_e545 import E545Controller

        bench = around.charging_bench()
        controller = E545Controller(bench.clock, bench.stage, faults=bench.faults)
        if table.trigger_output and table.trigger_marker:
            bench.wire_trigger(table.trigger_output, table.trigger_marker)
        open_connection = partial(EmulatedAdapter, controller)
    else:
        open_connection = partial(open_link, table.connection, baud_rate=table.baud_rate)
    return E545Stage(
        open_connection,
        clock=around.clock,
        limits_um={
            "x": Limits(*table.x_limits_um),
            "y": Limits(*table.y_limits_um),
            "z": Limits(*table.z_limits_um),
        },
        axes=table.axes,
        trigger_output=table.trigger_output,
    )


CHI760C = Driver("potentiostat", ChiTable, _build_chi760c)
TIMEHARP260 = Driver("counter", TimeHarpTable, _build_timeharp260)
PDL828 = Driver("laser", Pdl828Table, _build_pdl828)
PDL800D = Driver("laser", Pdl800dTable, _build_pdl800d)
E545 = Driver("stage", E545Table, _build_e545)
