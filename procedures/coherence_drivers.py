"""How the instruments of a 2DES station are built: shapers, delay stages, detectors."""

from __future__ import annotations

from datetime import date
from functools import cache, partial
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from ..instruments.base import Device, Limits
from .drivers import SIMULATED, Driver, DriverTable, Surroundings
from .errors import ConfigError

if TYPE_CHECKING:
    from ..instruments.links import SharedLink

# ---- liquid-crystal panel ----

SLMSUITE = "slmsuite:"
"""How a connection begins that goes through slmsuite to the software of a panel's maker."""


class LcosTable(DriverTable):
    """`[shaper]` with driver = "lcos"; connection is the screen's name, its number, or slmsuite:CLASS."""

    rows: int = Field(gt=0, description="the panel's height")
    calibration: str = Field(
        description='path of the calibration, from the station file; "exact" on the twin'
    )
    optics: str = Field(description="the name of the optics that the calibration must be of")
    optics_changed: date = Field(
        description="when the optics were last touched; older calibrations are refused"
    )
    mode: Literal["diffraction", "phase_only"] = "diffraction"
    grating_rows: int = Field(default=16, ge=4, description="period of the sawtooth, in rows")
    order: Literal[1, -1] = Field(default=1, description="the diffraction order that goes on")
    settle_s: float = Field(default=0.1, gt=0)
    panel: dict[str, bool | int | float | str | tuple[int | float, ...]] = Field(
        default={}, description="with slmsuite: what its class is made with, such as slm_number = 1"
    )

    @model_validator(mode="after")
    def _panel_of_slmsuite(self) -> LcosTable:
        if self.panel and not self.connection.startswith(SLMSUITE):
            raise ValueError(f'panel goes with connection = "{SLMSUITE}MODULE.CLASS" only')
        return self


def _build_lcos(table: LcosTable, around: Surroundings) -> Device:
    from ..instruments.shaper.calibration import LcosCalibration
    from ..instruments.shaper.frames import Diffraction, PhaseOnly
    from ..instruments.shaper.lcos import LcosShaper

    diffraction = table.mode == "diffraction"
    calibration = None
    if table.connection == SIMULATED:
        from ..sim.emulators.shaper_screen import EmulatedScreen, Panel, exact_calibration

        stop_rows = table.grating_rows if diffraction else None
        panel = Panel(rows=table.rows, stop_rows=stop_rows, stop_order=table.order)
        screen = EmulatedScreen(around.coherence_bench(), panel=panel)
        if table.calibration == "exact":
            calibration = exact_calibration(screen.optics, panel, name=table.optics, on=table.optics_changed)
    elif table.connection.startswith(SLMSUITE):
        from ..instruments.shaper.slmsuite_screen import SlmsuiteScreen

        try:
            screen = SlmsuiteScreen(table.connection.removeprefix(SLMSUITE), table.panel)
        except ValueError as error:
            raise ConfigError(f"[shaper]: {error}") from None
    else:
        from ..instruments.shaper.second_monitor import SecondMonitor

        screen = SecondMonitor(table.connection)
    return LcosShaper(
        screen,
        clock=around.clock,
        calibration=calibration
        or LcosCalibration.load(
            around.station_dir / table.calibration, optics=table.optics, optics_changed=table.optics_changed
        ),
        encoding=Diffraction(table.grating_rows, table.order) if diffraction else PhaseOnly(),
        rows=table.rows,
        settle_s=table.settle_s,
    )


# ---- Dazzler ----


class DazzlerTable(DriverTable):
    """`[shaper]` with driver = "dazzler"; connection is the program's default directory."""

    window_fs: float = Field(gt=0, description="the crystal's programmable window in femtoseconds")
    wavelength_limits_nm: tuple[float, float]
    folder_there: str = Field(default="", description="the same directory as the Dazzler's computer calls it")
    take_s: float = Field(default=5.0, gt=0, description="the program must take a request within this time")
    settle_s: float = Field(default=0.5, gt=0)


def _build_dazzler(table: DazzlerTable, around: Surroundings) -> Device:
    from ..instruments.shaper.dazzler import DazzlerShaper

    simulated = table.connection == SIMULATED
    folder = around.work_dir / "dazzler" if simulated else Path(table.connection)
    if simulated:
        from ..sim.emulators.dazzler import EmulatedDazzler

        folder.mkdir(exist_ok=True)
        EmulatedDazzler(around.coherence_bench(), folder, window_fs=table.window_fs).start()
    return DazzlerShaper(
        folder,
        clock=around.clock,
        window_fs=table.window_fs,
        wavelength_limits_nm=table.wavelength_limits_nm,
        take_s=table.take_s,
        settle_s=table.settle_s,
        folder_there=PureWindowsPath(table.folder_there) if table.folder_there else None,
        simulated=simulated,
    )


# ---- delay stages ----


class DelayTable(DriverTable):
    """What every delay stage's table has; connection is tcp://HOST:PORT, a serial port, or a VISA name."""

    limits_fs: tuple[float, float] = Field(description="[lower, upper] delay in femtoseconds")
    limits_mm: tuple[float, float] = Field(description="[lower, upper] position on the rail in millimetres")
    zero_mm: float = Field(default=0.0, description="the position of delay zero, as DelayZero finds it")
    sign: Literal[1, -1] = Field(default=1, description="1 where a larger position makes the path longer")
    passes: int = Field(default=2, ge=1, description="how often the light runs along the rail")
    correction_fs: tuple[float, ...] = Field(default=(), description="polynomial over millimetres from zero")
    calibrated: str = ""
    velocity_mm_s: float | None = Field(default=None, gt=0)
    approach_mm: float = Field(default=0.0, ge=0, description="targets are come to from so far below")
    scans: Literal["t2", "t3"] = Field(default="t2", description="on the twin: which delay it makes")

    @model_validator(mode="after")
    def _ordered(self) -> DelayTable:
        for name in ("limits_fs", "limits_mm"):
            lower, upper = getattr(self, name)
            if not lower < upper:
                raise ValueError(f"{name} must be [lower, upper] with lower < upper")
        return self

    def common(self, around: Surroundings) -> dict[str, Any]:
        """What every delay stage is made with."""
        from ..instruments.delay_stage import DelayScale

        return {
            "clock": around.clock,
            "limits_fs": Limits(*self.limits_fs),
            "limits_mm": Limits(*self.limits_mm),
            "velocity_mm_s": self.velocity_mm_s,
            "approach_mm": self.approach_mm,
            "scale": DelayScale.mirrors(
                zero_mm=self.zero_mm,
                sign=self.sign,
                passes=self.passes,
                correction_fs=self.correction_fs,
                calibrated=self.calibrated,
            ),
        }


class PiLinearTable(DelayTable):
    """`[delay]` with driver = "pi_linear": a C-863 or its relatives."""

    axis: str = "1"
    address: int | None = Field(default=None, description="number in a daisy chain")
    baud_rate: int = Field(default=115_200, gt=0)
    referencing: Literal["reference_switch", "negative_limit", "positive_limit"] | None = None


def _build_pi_linear(table: PiLinearTable, around: Surroundings) -> Device:
    from ..instruments.pi.linear_stage import PILinearStage

    if table.connection == SIMULATED:
        from ..sim.emulators.doors import EmulatedAdapter
        from ..sim.emulators.pi_linear import DaisyChain, LinearController

        bench = around.coherence_bench()
        controller = LinearController(bench.clock, bench.delays[table.scans].axis, faults=bench.faults)
        chained = (
            controller if table.address is None else DaisyChain(bench.clock, {table.address: controller})
        )
        link = partial(EmulatedAdapter, chained)
    else:
        link = _chain(table.connection, table.baud_rate)
    return PILinearStage(
        link, axis=table.axis, address=table.address, referencing=table.referencing, **table.common(around)
    )


@cache
def _chain(connection: str, baud_rate: int) -> SharedLink:
    """One link for all controllers of a daisy chain."""
    from ..instruments.links import SharedLink, open_link

    return SharedLink(partial(open_link, connection, baud_rate=baud_rate))


class EspTable(DelayTable):
    """`[delay]` with driver = "esp30x": a Newport ESP300 or ESP301."""

    axis: Literal[1, 2, 3] = 1
    baud_rate: int = Field(default=19_200, gt=0)
    homing: Literal["home_switch", "positive_limit", "negative_limit"] | None = None


ESP_TIMEOUT_S = 3.0
"""A reply later than this loses step with its query."""


def _build_esp30x(table: EspTable, around: Surroundings) -> Device:
    from ..instruments.links import open_link
    from ..instruments.newport.esp30x import ESP30xStage

    if table.connection == SIMULATED:
        from ..sim.emulators.doors import EmulatedAdapter
        from ..sim.emulators.esp30x import EspController

        bench = around.coherence_bench()
        controller = EspController(
            bench.clock, {table.axis: bench.delays[table.scans].axis}, faults=bench.faults
        )
        link = partial(EmulatedAdapter, controller, timeout_s=ESP_TIMEOUT_S)
    else:
        link = partial(
            open_link, table.connection, baud_rate=table.baud_rate, timeout_s=ESP_TIMEOUT_S, handshake=True
        )
    return ESP30xStage(link, axis=table.axis, homing=table.homing, **table.common(around))


# ---- spectrometers ----


class OceanTable(DriverTable):
    """`[detector]` with driver = "ocean"; connection is tcp://HOST:PORT, "usb" or "usb:SERIAL"."""

    model: Literal["HDX", "FX"] = Field(default="HDX", description="of a spectrometer on the network")
    shutter: bool = Field(default=False, description="whether it drives a shutter in front of its slit")


def _build_ocean(table: OceanTable, around: Surroundings) -> Device:
    from ..instruments.oceanoptics import network
    from ..instruments.oceanoptics.spectrometers import NetworkSpectrometer, UsbSpectrometer

    if table.connection == "usb" or table.connection.startswith("usb:"):
        return UsbSpectrometer(table.connection.partition(":")[2], clock=around.clock)
    if table.connection == SIMULATED:
        from ..sim.emulators.obp_spectrometer import EmulatedHandle, ObpSpectrometer

        handle = partial(EmulatedHandle, ObpSpectrometer(around.coherence_bench()))
    else:
        handle = partial(network.handle_at, table.connection)
    return NetworkSpectrometer(handle, clock=around.clock, model=table.model, shutter=table.shutter)


# ---- lock-in amplifiers ----


class LockinTable(DriverTable):
    """`[point_detector]` with driver = "lockin"; connection is a VISA name or a serial port."""

    model: Literal["SR830", "SR860", "DSP7225", "DSP7265"] = "SR830"
    time_constant_s: float = Field(gt=0, description="of the output filter; one that the lock-in has")
    settle_time_constants: float = Field(
        default=7.0, gt=0, description="how many of them pass before each reading"
    )

    @model_validator(mode="after")
    def _emulated(self) -> LockinTable:
        if self.connection == SIMULATED and self.model != "SR830":
            raise ValueError('only the model "SR830" is emulated')
        return self


def _build_lockin(table: LockinTable, around: Surroundings) -> Device:
    from pymeasure.instruments import signalrecovery, srs

    from ..instruments.lockin_detector import LockinDetector

    models = {
        "SR830": srs.SR830,
        "SR860": srs.SR860,
        "DSP7225": signalrecovery.DSP7225,
        "DSP7265": signalrecovery.DSP7265,
    }
    model = models[table.model]
    if table.connection == SIMULATED:
        from ..sim.emulators.doors import EmulatedAdapter
        from ..sim.emulators.sr830 import Sr830

        link = partial(EmulatedAdapter, Sr830(around.coherence_bench()))
    else:
        from ..instruments.links import open_link

        link = partial(open_link, table.connection)
    return LockinDetector(
        lambda: model(link()),
        clock=around.clock,
        time_constant_s=table.time_constant_s,
        settle_time_constants=table.settle_time_constants,
        name=table.model,
    )


LCOS = Driver("shaper", LcosTable, _build_lcos)
PI_LINEAR = Driver("delay", PiLinearTable, _build_pi_linear)
ESP30X = Driver("delay", EspTable, _build_esp30x)
OCEAN = Driver("detector", OceanTable, _build_ocean)
LOCKIN = Driver("point_detector", LockinTable, _build_lockin)
DAZZLER = Driver("shaper", DazzlerTable, _build_dazzler)
