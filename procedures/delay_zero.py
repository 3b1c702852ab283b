"""DelayZero: where pump and probe coincide, by what their scatter tells, and how the stage's delay goes."""

from __future__ import annotations

from dataclasses import asdict
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..analysis.twodes.delay_zero import STEPS, pump_phases
from ..instruments.pulse_shaper import BLANK, PulseTrain
from .coherence_procedure import CoherenceProcedure
from .parameters import count, exact_float
from .pulse_trains import MOVE_S
from .rig import Rig
from .rig_procedure import Plan

PHASE = "delay zero"


class DelayZero(CoherenceProcedure):
    """Fringes between pump and local oscillator along the stage, and along the shaper's own delay."""

    kind = "delay_zero"
    needs: ClassVar[tuple[str, ...]] = ("shaper", "delay", "detector")
    DATA_COLUMNS: ClassVar[list[str]] = ["Delay (fs)", "Measured delay (fs)", "LO counts"]

    averages: int = count("Frames per setting", default=25, minimum=1, maximum=10_000)
    span_fs: float = exact_float("Stage, up to", units="fs", default=300.0, minimum=1.0, maximum=1e5)
    positions: int = count("Positions of the stage", default=12, minimum=4, maximum=1000)
    search_fs: float = exact_float(
        "Zero is expected within", units="fs", default=300.0, minimum=20.0, maximum=5000.0
    )
    shaper_span_fs: float = exact_float("Shaper, up to", units="fs", default=300.0, minimum=1.0, maximum=1e5)
    shaper_delays: int = count("Delays of the shaper verified", default=6, minimum=0, maximum=1000)

    def stage_fs(self) -> NDArray[np.floating]:
        """Delays that the stage is sent to, even about zero."""
        return np.linspace(-self.span_fs, self.span_fs, self.positions)

    def shaper_fs(self) -> NDArray[np.floating]:
        """Delays of the shaper that are verified: before its zero, where pulse 1 is."""
        return -self.shaper_span_fs / max(1, self.shaper_delays) * np.arange(1, self.shaper_delays + 1)

    def preflight(self, rig: Rig) -> Plan:
        """Check travel and window; raises RefusedError or OutOfRangeError."""
        _ = rig.interferometer
        for delay_fs in (-self.span_fs, self.span_fs):
            rig.delay.check(delay_fs)
        for delay_fs in (0.0, *self.shaper_fs().tolist()):
            rig.shaper.check(self.pulse(delay_fs))
        return self.frames_plan(
            rig,
            self.positions * (1 + STEPS) + self.shaper_delays * STEPS,
            self.positions * MOVE_S,
            f"{self.positions} positions of the stage up to {self.span_fs:g} fs, {self.shaper_delays} delays "
            f"of the shaper up to {self.shaper_span_fs:g} fs",
        )

    def perform(self) -> None:
        """Position by position: without pump, then a single pump pulse in steps of its phase."""
        self.set_up()
        self.record.header["pixel_cm"] = (1e7 / self.rig.detector.wavelength_nm).tolist()
        self.record.header["lo_lead_fs"] = self.rig.interferometer.lo_lead_fs
        self.record.header["delay_scale"] = asdict(self.rig.delay.scale)
        self.record.write_header()
        for command_fs in self.stage_fs().tolist():
            reading_fs = self.rig.delay.move_to(command_fs)
            blank = self.spectrum(BLANK, PHASE)
            place = {"command_fs": command_fs, "reading_fs": reading_fs, "blank": blank.astype(np.float32)}
            self.record.add_group("position", {**place, "counts": self._phase_steps(0.0)})
            row = {"Delay (fs)": command_fs, "Measured delay (fs)": reading_fs}
            self.emit_row({**row, "LO counts": float(blank.mean())})
        for delay_fs in self.shaper_fs().tolist():
            about = {"delay_fs": delay_fs, "counts": self._phase_steps(delay_fs)}
            self.record.add_group("shaper_delay", about)

    def pulse(self, delay_fs: float, phase_rad: float = 0.0) -> PulseTrain:
        """A single pump pulse, as strong as it can be."""
        return PulseTrain((delay_fs,), (phase_rad,), (1.0,), self.rotating_frame, self.carrier_cm)

    def _phase_steps(self, delay_fs: float) -> NDArray[np.float32]:
        """Counts of a single pulse in steps of its phase, shape (STEPS, pixels)."""
        trains = [self.pulse(delay_fs, phase) for phase in pump_phases().tolist()]
        return np.array([self.spectrum(train, PHASE) for train in trains], np.float32)
