"""The tables of a station file that are not an instrument's."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from .config import Table
from .rig_limits import LimitsTable


class StationTable(Table):
    """`[station]`: what the rig is called and what its potentials refer to."""

    name: str = Field(description="what the lab calls this rig")
    reference_electrode: str = Field(
        default="", description='what potentials are measured against, e.g. "Pt quasi-reference"'
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


class InterferometerTable(Table):
    """`[interferometer]`: how the local oscillator meets the signal on the detector."""

    pulse_3: Literal["stage", "shaper"] = Field(
        default="stage",
        description="what delays pulse 3: the stage of [delay], or the shaper that makes pulses 1 and 2",
    )
    lo_lead_fs: float = Field(
        description="how long the local oscillator comes before pulse 3, with the gate stage at zero"
    )
    laser_centre_cm: float = Field(gt=0, description="centre of the laser's spectrum in cm-1")
    laser_fwhm_cm: float | None = Field(
        default=None,
        gt=0,
        description="full width at half maximum of its intensity in cm-1, needed where t3 is scanned",
    )

    @model_validator(mode="after")
    def _heterodyned(self) -> InterferometerTable:
        if self.pulse_3 == "shaper" and self.lo_lead_fs <= 0:
            raise ValueError(
                'pulse_3 = "shaper" needs a local oscillator that comes before it: lo_lead_fs above 0'
            )
        return self


class BenchTable(Table):
    """What `[simulation]` tells of any bench."""

    seed: int = Field(default=1, ge=0)
    speed: float | Literal["real", "max"] = Field(default="max", description="real, max, or a factor")

    @property
    def factor(self) -> float:
        """Simulated seconds per second; infinity for "max"."""
        return {"real": 1.0, "max": math.inf}.get(str(self.speed)) or float(self.speed)


class SimulationTable(BenchTable):
    """`[simulation]` of a charging rig: the sample in the cell."""

    sample: Literal["batch_1", "batch_2", "not_charging", "blank", "cover_slip"] = "batch_1"
    drift_um_h: tuple[float, float, float] = Field(
        default=(0.0, 0.0, 0.0), description="drift of a cover slip along x, y, z in micrometres per hour"
    )
    cell: Literal["ito", "microelectrode"] = Field(
        default="ito", description="ito: the paper's cell, follows in 1.2 ms; microelectrode: in 0.4 us"
    )


class CoherenceSimulationTable(BenchTable):
    """`[simulation]` of a 2DES rig: the ensemble in the beam."""

    sample: Literal["dimers_3.0_9", "dimers_2.8_5", "dimers_2.8_9", "blank"] = Field(
        default="dimers_3.0_9", description="mean diameter in nm and dispersion in percent"
    )
    dimers: int = Field(default=4000, ge=1, le=100_000, description="how many dimers the ensemble has")
    phonons: bool = Field(
        default=False, description="whether excitons shake the dots: an optical and an acoustic vibration"
    )


class StationFile(Table):
    """A whole station file, except the tables of instruments and calibration, which are read one by one."""

    station: StationTable
    laser: dict[str, Any] | None = None
    counter: dict[str, Any] | None = None
    potentiostat: dict[str, Any] | None = None
    stage: dict[str, Any] | None = None
    shaper: dict[str, Any] | None = None
    delay: dict[str, Any] | None = None
    gate: dict[str, Any] | None = None
    detector: dict[str, Any] | None = None
    point_detector: dict[str, Any] | None = None
    markers: MarkersTable | None = None
    limits: LimitsTable | None = None
    calibration: dict[str, Any] | None = None
    interferometer: InterferometerTable | None = None
    simulation: dict[str, Any] | None = None
