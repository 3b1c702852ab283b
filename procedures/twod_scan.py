"""2DES: scan t1 with the shaper, t2 with the delay stage or the shaper, t3 by the spectrometer."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..analysis.twodes.detection import Detection, Spectrometer
from ..instruments.pulse_shaper import BLANK
from .analyses.stored_scan import block_of
from .coherence_procedure import CoherenceProcedure
from .rig import Rig
from .rig_procedure import Plan
from .twod_procedure import TwoDProcedure

PHASE = "2D scan"


class TwoDScan(TwoDProcedure, CoherenceProcedure):
    """Two-dimensional spectra over t1 and t3 at each t2."""

    kind = "twod_scan"
    DATA_COLUMNS: ClassVar[list[str]] = [*TwoDProcedure.DATA_COLUMNS, "LO counts"]

    def preflight(self, rig: Rig) -> Plan:
        """Check band, steps, travel and window; raises RefusedError or OutOfRangeError."""
        self.check_scan(rig)
        settings = self.t1_points * self.scheme().steps
        return self.frames_plan(
            rig,
            self.t2_points * (settings + 1),
            self.t2_points * self.trains(rig).move_s,
            f"{self.t2_points} t2 of {self.t1_points} t1 x {self.scheme().steps} phases, "
            f"t1 to {self.t1_fs()[-1]:g} fs, t2 {self.t2_fs()[0]:g} to {self.t2_fs()[-1]:g} fs",
        )

    def begin_detection(self) -> Detection:
        """Set the spectrometer, and choose the pixels that are kept."""
        self.set_up()
        margin_cm = 0.15 * (self.highest_cm - self.lowest_cm)
        self._pixels = self.keep_band(self.lowest_cm, self.highest_cm, margin_cm)
        pixel_cm = 1e7 / self.rig.detector.wavelength_nm[self._pixels]
        return Spectrometer(pixel_cm, self.rig.interferometer.lo_lead_fs)

    def measure_t2(self, number: int, place: dict[str, float]) -> None:
        """The local oscillator alone, then every t1 and phase."""
        if number == 0:
            self.check_light(self._pixels, PHASE)
        lo = self.spectrum(BLANK, PHASE)[self._pixels].astype(np.float32)
        counts = np.empty((self.t1_points, self.scheme().steps, len(lo)), np.float32)
        times = np.empty(counts.shape[:2])
        for i, j, train in self.settings(number):
            counts[i, j] = self.spectrum(train, PHASE)[self._pixels]
            times[i, j] = self.rig.clock.now()
        stored: dict[str, Any] = {**place, "counts": counts, "lo_counts": lo, "time_s": times}
        self.keep("block", stored, block_of(stored), **{"LO counts": float(lo.mean())})
