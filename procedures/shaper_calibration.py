"""ShaperCalibration: grey to phase, column to wavelength and residual phase of a liquid-crystal shaper.

First the shaped pump beam itself goes to the spectrometer: gratings of each grey level, lines of a few open
columns, pulse pairs as a check. Then the pump's scatter meets the local oscillator again: that tells the sign
of the phase, and the residual spectral phase, which is measured and taken away until little is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..analysis.twodes.delay_zero import STEPS, pump_phases
from ..analysis.twodes.panel_calibration import (
    find_column_lines,
    find_grey_curves,
    find_pair_delay,
    find_spectral_phase,
    phase_is_reversed,
)
from ..analysis.twodes.shaper_calibration import ResidualPhase
from ..instruments.pulse_shaper import BLANK, PulseTrain
from ..instruments.shaper.calibration import CalibrationError, GreyCurve, LcosCalibration
from ..instruments.shaper.lcos import LcosShaper
from .coherence_drivers import LcosTable
from .coherence_procedure import CoherenceProcedure
from .errors import AbortedError, RefusedError
from .parameters import count
from .rig import Rig
from .rig_procedure import Plan

PAIRS_FS = (60.0, 120.0, 200.0, 300.0)
"""Delays of the pairs that check the calibration."""
SINGLE_FS = 40.0
"""Delay of the single pulse that they are compared with."""
APART_FS = 100.0
"""Pulses this far to either side of zero must be as far apart against the local oscillator."""
LEAST_LEVELS, LEAST_LINES = 16, 8
MOST_OFF_COLUMNS = 0.1
"""Residuals of the wavelengths above this blur the replicas and make delays wrong."""
MOST_OFF_AS = 10.0

Found = TypeVar("Found")


class ShaperCalibration(CoherenceProcedure):
    """Calibrates the panel; the result is a TOML file beside the run file."""

    kind = "shaper_calibration"
    DATA_COLUMNS: ClassVar[list[str]] = ["Grey level", "Column", "Counts"]

    averages: int = count("Frames per setting", default=10, minimum=1, maximum=10_000)
    level_step: int = count("Grey levels, every", default=8, minimum=1, maximum=64)
    curves: int = count("Wavelengths of grey curves", default=11, minimum=1, maximum=100)
    line_columns: int = count("Columns opened together", default=7, minimum=1, maximum=101)
    line_step: int = count("Lines, every so many columns", default=30, minimum=1, maximum=400)
    passes: int = count("Passes over the residual phase", default=3, minimum=1, maximum=20)

    def preflight(self, rig: Rig) -> Plan:
        """Check that there is a panel, a local oscillator, and enough to show; raises RefusedError."""
        table = rig.station.tables["shaper"]
        if not isinstance(table, LcosTable):
            raise RefusedError(
                f"ShaperCalibration needs a liquid-crystal panel, but [shaper] of {rig.station.path} is a "
                f"{table.driver}, which its own program calibrates"
            )
        if rig.interferometer.lo_lead_fs == 0:
            raise RefusedError(
                "ShaperCalibration needs a local oscillator to measure the residual phase against, but "
                f"{rig.station.path} has lo_lead_fs = 0; take the station file with the local oscillator"
            )
        self.trains(rig).check(0.0, (0.0, 0.0))
        known = _panel(rig).calibration
        levels, lines = len(self._levels(known)), len(self._first_columns(known))
        if levels < LEAST_LEVELS:
            raise RefusedError(
                f"level_step = {self.level_step} measures {levels} of {known.levels} grey levels; take "
                f"{known.levels // LEAST_LEVELS} or less"
            )
        if lines < LEAST_LINES:
            raise RefusedError(
                f"line_step = {self.line_step} opens {lines} lines on {known.columns} columns; take "
                f"{known.columns // (LEAST_LINES + 2)} or less"
            )
        settings = levels + 1 + lines + 1 + len(PAIRS_FS) + 1 + (3 + self.passes) * STEPS
        return self.frames_plan(
            rig,
            settings,
            0.0,
            f"{levels} grey levels, {lines} lines, {len(PAIRS_FS)} pairs, {self.passes} passes over the "
            "residual phase; somebody must turn the mirror before the spectrometer twice"
            + self._sample_out(rig),
        )

    @staticmethod
    def _sample_out(rig: Rig) -> str:
        """Pulses that come the way of pulse 3 carry the phase of what they make in the sample."""
        return ", and take the sample out" if rig.interferometer.pulse_3 == "shaper" else ""

    def perform(self) -> None:
        """Step by step, each used by the next; the calibration is written at the end."""
        self._table = self.rig.station.tables["shaper"]
        self._wavelength_nm = self.rig.detector.wavelength_nm
        self.record.header["wavelength_nm"] = self._wavelength_nm.tolist()
        self.record.header["lo_lead_fs"] = self.rig.interferometer.lo_lead_fs
        self.record.header["levels"] = self._shaper.calibration.levels
        self.record.header["columns"] = self._shaper.calibration.columns
        self.record.header["centre_cm"] = self.rig.interferometer.laser_centre_cm
        self.record.write_header()
        self._turn_mirror("shaped pump beam")
        self.set_up()
        self._find_grey()
        self._find_wavelengths()
        self._check_pairs()
        self._turn_mirror("signal")
        self._find_phase()
        self._write()

    # ---- the steps ----

    def _find_grey(self) -> None:
        known, rows = self._shaper.calibration, []
        level = self._levels(known)
        for grey in level.tolist():
            self._shaper.show_grating(grey)
            rows.append(self._settled("grey levels"))
            self.emit_row({"Grey level": grey, "Column": "", "Counts": float(rows[-1].mean())})
        power = np.array(rows, np.float64)
        self.record.add_group("grey", {"level": level, "power": power.astype(np.float32)})
        found = self._or_refuse(
            lambda: find_grey_curves(
                self._wavelength_nm, level, power, levels=known.levels, curves=self.curves
            )
        )
        grey = tuple(
            GreyCurve(float(nm), phase)
            for nm, phase in zip(found.wavelength_nm, found.phase_rad, strict=True)
        )
        self.note(f"grey curves: largest misfit {100 * found.misfit.max():.2f} % of the modulation")
        self._use(grey=grey, residual_fs=(), residual_centre_cm=self.rig.interferometer.laser_centre_cm)

    def _find_wavelengths(self) -> None:
        known, rows = self._shaper.calibration, []
        first = self._first_columns(known)
        reference = self._masked(np.ones(known.columns, np.complex128))
        for k in first.tolist():
            mask = np.zeros(known.columns, np.complex128)
            mask[k : k + self.line_columns] = 1.0
            rows.append(self._masked(mask))
            self.emit_row({"Grey level": "", "Column": k, "Counts": float(rows[-1].mean())})
        column = first.astype(np.float64) + (self.line_columns - 1) / 2
        power = np.array(rows, np.float64)
        self.record.add_group(
            "lines", {"column": column, "power": power.astype(np.float32), "reference": reference}
        )
        found = self._or_refuse(
            lambda: find_column_lines(self._wavelength_nm, column, power, reference, columns=known.columns)
        )
        self.note(f"{len(found.column)} lines, residuals of {found.fit.rms_columns:.3f} columns rms")
        if found.fit.rms_columns > MOST_OFF_COLUMNS:
            self.warn(
                f"the wavelengths fit to {found.fit.rms_columns:.2f} columns only, delays will be off by "
                f"more than {MOST_OFF_AS:g} as; look at the lines in the picture"
            )
        self._use(wavelength_nm=found.fit.coefficients_nm)

    def _check_pairs(self) -> None:
        """No pulse is at zero, where it would have one phase at all columns, and so one rounding error."""
        carrier_cm = self.rig.interferometer.laser_centre_cm
        train = PulseTrain((SINGLE_FS,), (0.0,), (0.5,), 0.0, carrier_cm)
        single = np.asarray(self.spectrum(train, "pulse pairs"), np.float64)
        trains = [
            PulseTrain((-delay_fs / 2, delay_fs / 2), (0.0, 0.0), (0.5, 0.5), 0.0, carrier_cm)
            for delay_fs in PAIRS_FS
        ]
        powers = np.array([self.spectrum(train, "pulse pairs") for train in trains], np.float64)
        self.record.add_group("pairs", {"delay_fs": np.array(PAIRS_FS), "power": powers, "single": single})
        for delay_fs, power in zip(PAIRS_FS, powers, strict=True):
            found = self._or_refuse(
                lambda power=power: find_pair_delay(
                    1e7 / self._wavelength_nm, power, single, centre_cm=carrier_cm
                )
            )
            off_as = 1e3 * (found.delay_fs - delay_fs)
            self.note(f"a pair of {delay_fs:g} fs is off by {off_as:+.1f} as")
            if abs(off_as) > MOST_OFF_AS + 3e3 * found.sigma_fs:
                self.warn(f"a pair of {delay_fs:g} fs comes out {off_as:+.1f} as wrong")

    def _find_phase(self) -> None:
        self.trains(self.rig).move_to(0.0)
        self._blank = np.asarray(self.spectrum(BLANK, "residual phase"), np.float64)
        lead_fs, cm = self.rig.interferometer.lo_lead_fs, 1e7 / self._wavelength_nm
        counts = self._phase_steps(0.0, "sign")
        if self._or_refuse(lambda: phase_is_reversed(cm, counts, self._blank, around_fs=lead_fs)):
            self._use(phase_sign=-self._shaper.calibration.phase_sign)
            self.note(f"phase_sign is {self._shaper.calibration.phase_sign}: it was the other one before")
        for _ in range(self.passes):
            self._take_away(self._found_phase(0.0, "residual"))
        apart_fs = np.diff([self._found_phase(at_fs, "delay").delay_fs for at_fs in (-APART_FS, APART_FS)])
        if abs(float(apart_fs[0]) - 2 * APART_FS) > 0.01 * APART_FS:
            raise CalibrationError(
                f"pulses {2 * APART_FS:g} fs apart come {float(apart_fs[0]):.1f} fs apart: something moves, "
                "or the lines of the columns were others"
            )

    def _take_away(self, found: ResidualPhase) -> None:
        known = self._shaper.calibration.residual_fs or (0.0,) * len(found.residual_fs)
        self._use(residual_fs=tuple(a + b for a, b in zip(known, found.residual_fs, strict=True)))
        told = ", ".join(f"{fs:+.2f} fs{n}" for n, fs in enumerate(found.residual_fs, start=2))
        self.note(f"spectral phase found: {told}")

    def _found_phase(self, delay_fs: float, purpose: str) -> ResidualPhase:
        """Spectral phase of a single pulse at a delay of the shaper."""
        counts = self._phase_steps(delay_fs, purpose)
        found = self._or_refuse(
            lambda: find_spectral_phase(
                1e7 / self._wavelength_nm,
                counts,
                self._blank,
                around_fs=self.rig.interferometer.lo_lead_fs,
                centre_cm=self.rig.interferometer.laser_centre_cm,
            )
        )
        return found.fit

    def _phase_steps(self, delay_fs: float, purpose: str) -> NDArray[np.float64]:
        """Counts of a single pulse in steps of its phase, shape (STEPS, pixels), stored with the run."""
        carrier_cm = self.rig.interferometer.laser_centre_cm
        trains = [PulseTrain((delay_fs,), (phase,), (1.0,), 0.0, carrier_cm) for phase in pump_phases()]
        counts = np.array([self.spectrum(train, "residual phase") for train in trains], np.float64)
        known = np.array(self._shaper.calibration.residual_fs)
        about = {"purpose": purpose, "delay_fs": delay_fs, "residual_fs": known}
        self.record.add_group("phase", {**about, "counts": counts.astype(np.float32), "blank": self._blank})
        return counts

    def _write(self) -> None:
        """The calibration, as a file beside the run file and in its header."""
        path = Path(f"{self.record.stem}_lcos.toml")
        self._shaper.calibration.save(path)
        self.record.header["calibration_toml"] = path.read_text(encoding="utf-8")
        self.record.header["calibration_file"] = path.name
        self.record.write_header()
        self.note(f"calibration written: {path}")

    # ---- what the steps use ----

    @property
    def _shaper(self) -> LcosShaper:
        return _panel(self.rig)

    def _levels(self, known: LcosCalibration) -> NDArray[np.int64]:
        """Every so many, and the last one, so that no phase is extrapolated."""
        return np.unique(np.append(np.arange(0, known.levels, self.level_step), known.levels - 1))

    def _first_columns(self, known: LcosCalibration) -> NDArray[np.int64]:
        return np.arange(self.line_step, known.columns - self.line_columns - self.line_step, self.line_step)

    def _use(self, **changed: Any) -> None:
        """Go on with a calibration that is better in these points; dated today, of the station's optics."""
        assert isinstance(self._table, LcosTable)
        self._shaper.calibration = replace(
            self._shaper.calibration, date=date.today(), optics=self._table.optics, **changed
        )

    def _masked(self, field: NDArray[np.complex128]) -> NDArray[np.float64]:
        self._shaper.show_mask(field)
        return self._settled("wavelengths")

    def _settled(self, phase: str) -> NDArray[np.float64]:
        self.rig.shaper.wait_settled()
        return np.asarray(self.expose(phase), np.float64)

    def _turn_mirror(self, beam: str) -> None:
        """Have the operator send a beam to the spectrometer; anything but a yes ends the run."""
        request = f"Turn the mirror so that the {beam} goes to the spectrometer"
        try:
            answer = self.rig.ask(f"{request}. Done? [yes/no] ").strip()
        except EOFError:
            answer = ""
        self.note(f"{request}: {answer or 'no answer'}")
        if answer.lower() not in ("y", "yes"):
            raise AbortedError(f"nobody confirmed: {request}")

    @staticmethod
    def _or_refuse(find: Callable[[], Found]) -> Found:
        """What an analysis finds; raises CalibrationError where it finds nothing."""
        try:
            return find()
        except ValueError as error:
            raise CalibrationError(str(error)) from error


def rough_calibration(
    *, columns: int, levels: int, wavelength_nm: tuple[float, float], optics: str, on: date
) -> LcosCalibration:
    """A first calibration for a panel that has none: even wavelengths and straight grey curves.

    `wavelength_nm` are those of the first and last column, from a ruler and the grating's data sheet; a panel
    is taken to reach 2.4 pi at the longest of them. Good enough for `ShaperCalibration` to begin with.
    """
    first, last = wavelength_nm
    longest = max(wavelength_nm)
    rising = np.linspace(0.0, 2.4 * np.pi, levels)
    ends = sorted(wavelength_nm)
    return LcosCalibration(
        date=on,
        optics=optics,
        columns=columns,
        wavelength_nm=((first + last) / 2, (last - first) / 2),
        grey=tuple(GreyCurve(nm, rising * longest / nm) for nm in ends),
        residual_centre_cm=2e7 / (first + last),
    )


def _panel(rig: Rig) -> LcosShaper:
    assert isinstance(rig.shaper, LcosShaper)
    return rig.shaper
