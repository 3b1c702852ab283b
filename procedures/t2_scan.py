"""T2Scan: the signal along t2 at one t1, with phase cycling; much faster than maps."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..analysis.twodes.phase_cycling import scheme
from ..instruments.pulse_shaper import BLANK
from .coherence_procedure import CoherenceProcedure, check_band, check_t2_step
from .errors import RefusedError
from .parameters import choice, count, exact_float, exact_floats
from .rig import Rig
from .rig_procedure import Plan

PHASE = "t2 scan"
MARGIN_CM = 600.0
"""Pixels beyond the band that are kept."""


class T2Scan(CoherenceProcedure):
    """Traces along t2 at fixed t1."""

    kind = "t2_scan"
    pausable = True
    DATA_COLUMNS: ClassVar[list[str]] = ["t2 (fs)", "Measured t2 (fs)", "Signal", "LO counts"]

    t1_fs: float = exact_float("t1", units="fs", default=0.0, minimum=0.0, maximum=1e4)
    t2_start_fs: float = exact_float("First t2", units="fs", default=0.0, minimum=-1e6, maximum=1e7)
    t2_step_fs: float = exact_float("t2 step", units="fs", default=8.0, minimum=0.01, maximum=1e6)
    t2_points: int = count("t2 points", default=120, minimum=1, maximum=100_000)
    cycling: str = choice("Phase cycling", "3x3x1", "4x4x1", "5x5x1")
    lowest_cm: float = exact_float("Band from", units="1/cm", default=16200.0, minimum=1000.0, maximum=1e5)
    highest_cm: float = exact_float("Band to", units="1/cm", default=20200.0, minimum=1000.0, maximum=1e5)
    fastest_beat_cm: float = exact_float(
        "Fastest beat", units="1/cm", default=2000.0, minimum=1.0, maximum=1e5
    )
    allow_aliasing: int = count("Allow aliasing (0 or 1)", default=0, minimum=0, maximum=1)
    addresses_cm: tuple[float, ...] = exact_floats(
        "Traces at w3",
        units="1/cm",
        default=(17000.0, 17600.0, 18200.0, 18800.0),
        minimum=1000.0,
        maximum=1e5,
    )

    def t2_fs(self) -> NDArray[np.floating]:
        """Delays between pulses 2 and 3."""
        return self.t2_start_fs + self.t2_step_fs * np.arange(self.t2_points)

    def preflight(self, rig: Rig) -> Plan:
        """Check geometry, band, steps, travel and window; raises RefusedError or OutOfRangeError."""
        if rig.interferometer.lo_lead_fs == 0:
            raise RefusedError(
                f"T2Scan needs a local oscillator that comes before pulse 3, but {rig.station.path} has "
                "lo_lead_fs = 0; take PumpProbe, or a station file with a local oscillator"
            )
        check_band(self.lowest_cm, self.highest_cm)
        self._check_addresses()
        if self.t2_points > 1 and not self.allow_aliasing:
            check_t2_step(self.t2_step_fs, self.fastest_beat_cm)
        t2, steps, trains = self.t2_fs(), scheme(self.cycling).steps, self.trains(rig)
        trains.check(self.t1_fs, (float(t2[0]), float(t2[-1])))
        return self.frames_plan(
            rig,
            self.t2_points * (steps + 1),
            self.t2_points * trains.move_s,
            f"{self.t2_points} t2 from {t2[0]:g} to {t2[-1]:g} fs x {steps} phases at t1 = {self.t1_fs:g} fs",
        )

    def perform(self) -> None:
        """At each t2: the local oscillator alone, then every phase."""
        self.set_up()
        kept = self.keep_band(self.lowest_cm, self.highest_cm, MARGIN_CM)
        trains, cycle = self.trains(self.rig), scheme(self.cycling).phases_rad.tolist()
        for t2_fs in self.t2_fs().tolist():
            self.checkpoint()
            measured_fs = trains.move_to(t2_fs)
            lo = self.spectrum(BLANK, PHASE)[kept]
            steps = [trains.train(self.t1_fs, t2_fs, phases) for phases in cycle]
            counts = np.array([self.spectrum(train, PHASE)[kept] for train in steps], np.float32)
            self._keep(t2_fs, measured_fs, lo, counts)

    # ---- inside ----

    def _check_addresses(self) -> None:
        outside = [a for a in self.addresses_cm if not self.lowest_cm <= a <= self.highest_cm]
        if outside:
            raise RefusedError(
                f"addresses_cm: {outside[0]:g} is outside the band from {self.lowest_cm:g} to "
                f"{self.highest_cm:g} cm-1"
            )

    def _keep(
        self, t2_fs: float, measured_fs: float, lo: NDArray[np.floating], counts: NDArray[np.float32]
    ) -> None:
        place = {"t2_fs": t2_fs, "measured_t2_fs": measured_fs}
        self.record.add_group("block", {**place, "counts": counts[None], "lo_counts": lo.astype(np.float32)})
        self.emit_row(
            {
                "t2 (fs)": t2_fs,
                "Measured t2 (fs)": measured_fs,
                "Signal": float(np.std(counts, axis=0).mean()),
                "LO counts": float(lo.mean()),
            }
        )
