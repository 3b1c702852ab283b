"""How the instruments of a 2DES station are built: shapers, delay stages, spectrometers."""

from __future__ import annotations

from datetime import date
from pathlib import Path, PureWindowsPath
from typing import Literal

from pydantic import Field

from ..instruments.base import Device
from .drivers import SIMULATED, Driver, DriverTable, Surroundings

# ---- liquid-crystal panel ----


class LcosTable(DriverTable):
    """`[shaper]` with driver = "lcos"; connection is the screen's name or number."""

    rows: int = Field(gt=0, description="the panel's height")
    calibration: str = Field(description='path of the calibration; "exact" on the twin')
    optics: str = Field(description="the name of the optics that the calibration must be of")
    optics_changed: date = Field(
        description="when the optics were last touched; older calibrations are refused"
    )
    mode: Literal["diffraction", "phase_only"] = "diffraction"
    grating_rows: int = Field(default=16, ge=4, description="period of the sawtooth, in rows")
    order: Literal[1, -1] = Field(default=1, description="the diffraction order that goes on")
    settle_s: float = Field(default=0.1, gt=0)


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
    else:
        from ..instruments.shaper.second_monitor import SecondMonitor

        screen = SecondMonitor(table.connection)
    return LcosShaper(
        screen,
        clock=around.clock,
        calibration=calibration
        or LcosCalibration.load(
            Path(table.calibration), optics=table.optics, optics_changed=table.optics_changed
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


LCOS = Driver("shaper", LcosTable, _build_lcos)
DAZZLER = Driver("shaper", DazzlerTable, _build_dazzler)
