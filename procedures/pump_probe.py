"""PumpProbe: spectra of the probe with and without pump against t2, on a station in pump-probe geometry."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..analysis.twodes.phase_cycling import scheme
from ..analysis.twodes.units import FS_PER_CM
from ..instruments.pulse_shaper import BLANK
from .coherence_procedure import CoherenceProcedure, check_band
from .errors import RefusedError
from .parameters import choice, count, exact_float
from .pulse_trains import MOVE_S, PulseTrains
from .rig import Rig
from .rig_procedure import Plan

PHASE = "pump-probe"
MARGIN_CM = 50.0
"""Pixels beyond the band that are kept."""


class PumpProbe(CoherenceProcedure):
    """Pump-probe spectra, for phasing maps and by themselves.

    Both pump pulses come at the same time (t1 = 0), so that a phase of pi between them switches the pump off:
    "pump-probe-2" is on and off, "pump-probe-4" on, off, on with the opposite sign, off, which takes out the
    interference of scattered pump with the probe.
    """

    kind = "pump_probe"
    needs: ClassVar[tuple[str, ...]] = ("shaper", "delay", "detector")
    pausable = True
    DATA_COLUMNS: ClassVar[list[str]] = ["t2 (fs)", "Measured t2 (fs)", "Change", "Probe counts"]

    t2_start_fs: float = exact_float("First t2", units="fs", default=0.0, minimum=-1e6, maximum=1e7)
    t2_step_fs: float = exact_float("t2 step", units="fs", default=20.0, minimum=0.01, maximum=1e6)
    t2_points: int = count("t2 points", default=25, minimum=1, maximum=100_000)
    before_fs: float = exact_float(
        "Background at (0 for none)", units="fs", default=-600.0, minimum=-1e5, maximum=0.0
    )
    cycling: str = choice("Phases of the pump", "pump-probe-4", "pump-probe-2")
    repeats: int = count("Repeats per t2", default=4, minimum=2, maximum=10_000)
    lowest_cm: float = exact_float("Band from", units="1/cm", default=16200.0, minimum=1000.0, maximum=1e5)
    highest_cm: float = exact_float("Band to", units="1/cm", default=20200.0, minimum=1000.0, maximum=1e5)
    fastest_beat_cm: float = exact_float(
        "Fastest beat (0 for any)", units="1/cm", default=0.0, minimum=0.0, maximum=1e5
    )

    def t2_fs(self) -> NDArray[np.floating]:
        """Delays of the probe behind the pump; the one for the background first, if there is one."""
        scanned = self.t2_start_fs + self.t2_step_fs * np.arange(self.t2_points)
        return np.concatenate([[self.before_fs] if self.before_fs else [], scanned])

    def preflight(self, rig: Rig) -> Plan:
        """Check geometry, band, steps and travel; raises RefusedError or OutOfRangeError."""
        lead_fs = rig.interferometer.lo_lead_fs
        if lead_fs != 0:
            raise RefusedError(
                f"PumpProbe needs pulse 3 as its own local oscillator, but {rig.station.path} has "
                f"lo_lead_fs = {lead_fs:g}; block that one and use a station file with lo_lead_fs = 0"
            )
        check_band(self.lowest_cm, self.highest_cm)
        if self.before_fs and self.before_fs >= self.t2_start_fs:
            raise RefusedError(
                f"before_fs = {self.before_fs:g} must come before t2_start_fs = {self.t2_start_fs:g}, where "
                "there is no signal yet, or be 0 for no background"
            )
        if self.fastest_beat_cm and self.t2_step_fs > (widest := FS_PER_CM / (2 * self.fastest_beat_cm)):
            raise RefusedError(
                f"t2_step_fs = {self.t2_step_fs:g} folds beats of {self.fastest_beat_cm:.0f} cm-1 back; take "
                f"{widest:.3g} fs or less, or a slower fastest_beat_cm"
            )
        t2 = self.t2_fs()
        self.trains(rig).check(0.0, (float(t2.min()), float(t2.max())))
        return self.frames_plan(
            rig,
            len(t2) * self.repeats * scheme(self.cycling).steps,
            len(t2) * MOVE_S,
            f"{self.t2_points} t2 from {self.t2_start_fs:g} to {t2.max():g} fs, {self.repeats} times "
            f"{self.cycling}" + (f", background at {self.before_fs:g} fs" if self.before_fs else ""),
        )

    def perform(self) -> None:
        """At each t2: spectra with and without pump in turn."""
        self.set_up()
        self._pixels = self.keep_band(self.lowest_cm, self.highest_cm, MARGIN_CM)
        trains = self.trains(self.rig)
        for t2_fs in self.t2_fs().tolist():
            self.checkpoint()
            measured_fs = trains.move_to(t2_fs)
            pairs = [self._on_and_off(trains) for _ in range(self.repeats)]
            on, off = np.moveaxis(np.array(pairs), 1, 0)
            place = {"t2_fs": t2_fs, "measured_t2_fs": measured_fs}
            self.record.add_group(
                "block", {**place, "on": on.astype(np.float32), "off": off.astype(np.float32)}
            )
            self.emit_row(
                {
                    "t2 (fs)": t2_fs,
                    "Measured t2 (fs)": measured_fs,
                    "Change": float(on.sum() / off.sum() - 1),
                    "Probe counts": float(off.mean()),
                }
            )

    def _on_and_off(self, trains: PulseTrains) -> NDArray[np.floating]:
        """Counts of one cycle, with the pump and without, shape (2, pixels)."""
        sums = np.zeros((2, int(self._pixels.sum())))
        steps = scheme(self.cycling).phases_rad.tolist()
        for phases in steps:
            is_on = float(np.cos(phases[0] - phases[1])) > 0
            train = trains.train(0.0, 0.0, phases) if is_on else BLANK
            sums[0 if is_on else 1] += self.spectrum(train, PHASE)[self._pixels]
        return 2 * sums / len(steps)
