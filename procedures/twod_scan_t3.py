"""2DES with t3 scanned: the gate stage delays the local oscillator, a point detector reads the light."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..analysis.twodes.detection import Detection
from ..analysis.twodes.phase_cycling import REPHASING
from ..analysis.twodes.scanned_t3 import (
    LocalOscillator,
    ScannedT3,
    is_unfolded,
    nearest_step_fs,
    t3_axis_fs,
)
from ..analysis.twodes.units import FS_PER_CM
from ..instruments.base import InstrumentError
from ..instruments.pulse_shaper import BLANK, PulseTrain
from .analyses.stored_scan import block_of_slices
from .errors import RefusedError
from .parameters import count, exact_float
from .pulse_trains import MOVE_S
from .rig import Rig
from .rig_procedure import Plan, Progress
from .twod_procedure import TwoDProcedure

PHASE = "2D scan, t3 scanned"
BYTES_PER_SETTING = 16
"""A complex reading and its time, in the run file."""
CHECKED_PERIODS, CHECKS = (0.25, 0.75), 3
"""Places of the gate, in optical periods, and phase cycles at each, that tell whether there is a signal."""
SEEN = 5.0
"""It is there when it is so many times its noise in these."""


class TwoDScanT3(TwoDProcedure):
    """Two-dimensional spectra over t1 and t3 at each t2, all three scanned.

    The gate stage moves outside of t1 and its phases, which the shaper changes without moving anything.
    """

    kind = "twod_scan_t3"
    needs: ClassVar[tuple[str, ...]] = ("shaper", "gate", "point_detector")
    DATA_COLUMNS: ClassVar[list[str]] = [*TwoDProcedure.DATA_COLUMNS, "t3 (fs)"]

    t1_points: int = count("t1 points", default=16, minimum=2, maximum=10_000)
    t2_points: int = count("t2 points", default=1, minimum=1, maximum=100_000)
    t3_step_fs: float = exact_float("t3 step", units="fs", default=2.3, minimum=0.01, maximum=1e3)
    t3_points: int = count("t3 points", default=88, minimum=2, maximum=10_000)
    averages: int = count("Readings per setting", default=1, minimum=1, maximum=10_000)

    readings = 0

    def t3_fs(self, rig: Rig) -> NDArray[np.floating]:
        """Delays of the local oscillator behind pulse 3; a few before zero, where the signal begins."""
        return t3_axis_fs(self.t3_step_fs, self.t3_points, self._lo(rig))

    def preflight(self, rig: Rig) -> Plan:
        """Check band, steps and travel of both stages; raises RefusedError or OutOfRangeError."""
        t3_fs, lead_fs = self.t3_fs(rig), rig.interferometer.lo_lead_fs
        self.check_scan(rig)
        for t3 in (t3_fs[0], t3_fs[-1]):
            rig.gate.check(lead_fs + float(t3))
        steps = self.scheme().steps
        moves = self.t2_points * len(t3_fs) + len(CHECKED_PERIODS)
        settings = (self.t2_points * len(t3_fs) * self.t1_points + len(CHECKED_PERIODS) * CHECKS) * steps
        setting_s = rig.shaper.settle_s + self.averages * rig.point_detector.reading_s
        return Plan(
            settings * setting_s + moves * MOVE_S + self.t2_points * self.trains(rig).move_s,
            settings * BYTES_PER_SETTING,
            0,
            f"{self.t2_points} t2 of {len(t3_fs)} t3 x {self.t1_points} t1 x {steps} phases, "
            f"t1 to {self.t1_fs()[-1]:g} fs, t2 {self.t2_fs()[0]:g} to {self.t2_fs()[-1]:g} fs, "
            f"t3 {t3_fs[0]:g} to {t3_fs[-1]:g} fs",
        )

    def check_sampling(self) -> None:
        """Raise RefusedError where a step of t1, t2 or t3 folds a frequency of the band onto another."""
        super().check_sampling()
        if not is_unfolded(self.t3_step_fs, self.band_cm):
            nearest_fs = nearest_step_fs(self.t3_step_fs, self.band_cm)
            raise RefusedError(
                f"t3_step_fs = {self.t3_step_fs:g} folds {self.lowest_cm:g} to {self.highest_cm:g} cm-1 onto "
                f"itself; the nearest step that does not is {nearest_fs:g} fs; take that, a "
                "narrower band, or allow_aliasing = 1"
            )

    def begin_detection(self) -> Detection:
        """Let no pump through, and write down how the local oscillator was taken to be."""
        self.shape(BLANK)
        lo = self._lo(self.rig)
        self.record.header["laser_centre_cm"], self.record.header["laser_fwhm_cm"] = lo.centre_cm, lo.fwhm_cm
        self.record.header["lo_lead_fs"] = self.rig.interferometer.lo_lead_fs
        self.record.write_header()
        return ScannedT3(self.t3_step_fs, lo)

    def measure_t2(self, number: int, place: dict[str, float]) -> None:
        """At each place of the gate stage, every t1 and phase."""
        if number == 0:
            self._check_light(place["t2_fs"])
        lead_fs, slices = self.rig.interferometer.lo_lead_fs, []
        for t3 in self.t3_fs(self.rig).tolist():
            self.checkpoint()
            measured_fs = self.rig.gate.move_to(lead_fs + t3) - lead_fs
            readings = np.empty((self.t1_points, self.scheme().steps), np.complex64)
            times = np.empty(readings.shape)
            for i, j, train in self.settings(number):
                self.shape(train)
                readings[i, j] = self._read()
                times[i, j] = self.rig.clock.now()
            stored = {
                **place,
                "t3_fs": t3,
                "measured_t3_fs": measured_fs,
                "readings_v": readings,
                "time_s": times,
            }
            slices.append(stored)
            self.keep("slice", stored, block_of_slices(slices), **{"t3 (fs)": t3})

    def measured(self) -> Progress:
        """Readings so far."""
        return Progress(told=f"{self.readings:,} readings")

    # ---- inside ----

    def _check_light(self, t2_fs: float) -> None:
        """Raise InstrumentError unless readings at t1 = 0 turn round when the gate moves half a period.

        At a quarter and at three quarters of an optical period: what does not interfere with the local
        oscillator is the same at both.
        """
        period_fs = FS_PER_CM / self.rig.interferometer.laser_centre_cm
        train = partial(self.trains(self.rig).train, 0.0, t2_fs)
        found = []
        for periods in CHECKED_PERIODS:
            self.rig.gate.move_to(self.rig.interferometer.lo_lead_fs + periods * period_fs)
            found.append([self._cycle(train) for _ in range(CHECKS)])
        at = np.array(found)
        first, second = self.scheme().extract(at.mean(axis=1), REPHASING, axis=1)
        noise = math.sqrt(np.var(at, axis=1, ddof=1).mean() / (2 * CHECKS * self.scheme().steps))
        if abs(first - second) / 2 < SEEN * noise:
            raise InstrumentError(
                f"{CHECKS} phase cycles at t1 = t3 = 0 show no signal with the local oscillator: see whether "
                "both beams are open and overlap, the chopper turns and the lock-in follows it; or take "
                "more readings per setting (averages)"
            )

    def _cycle(self, train: Callable[[Sequence[float]], PulseTrain]) -> list[float]:
        """The readings of one phase cycle."""
        readings = []
        for phases in self.scheme().phases_rad:
            self.shape(train(phases))
            readings.append(self._read().real)
        return readings

    def _read(self) -> complex:
        """Mean of a setting's readings, in volts."""
        values = self.rig.point_detector.readings(self.averages).value
        self.readings += self.averages
        self.look_in(PHASE)
        return complex(values.mean())

    @staticmethod
    def _lo(rig: Rig) -> LocalOscillator:
        table = rig.interferometer
        if table.laser_fwhm_cm is None:
            raise RefusedError(
                f"{rig.station.path} [interferometer]: needs laser_fwhm_cm, the width of the local "
                "oscillator's spectrum, where t3 is scanned"
            )
        return LocalOscillator(table.laser_centre_cm, table.laser_fwhm_cm)
