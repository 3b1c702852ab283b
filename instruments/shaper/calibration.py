"""What a liquid-crystal shaper must know of itself: wavelength of each column, phase of each grey level.

Kept as a TOML file with its date and the name of the optics it was measured with.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base import InstrumentError
from ..pulse_shaper import NM_CM, RAD_FS_PER_CM


class CalibrationError(InstrumentError):
    """A calibration is missing, unreadable, impossible, or of another time or optics."""


@dataclass(frozen=True)
class GreyCurve:
    """Phase in radians against grey level at one wavelength, rising, 0 at level 0."""

    wavelength_nm: float
    phase_rad: NDArray[np.float64]
    """One value per grey level of the panel: 256 for 8 bits, 1024 for 10."""


@dataclass(frozen=True)
class LcosCalibration:
    """A panel in a 4f line, as it was measured; raises CalibrationError when it cannot be one."""

    date: date
    optics: str
    """Name of the state of the optics: a new one whenever something between the gratings was moved."""
    columns: int
    wavelength_nm: tuple[float, ...]
    """Coefficients of the wavelength in nm against u, constant first; u is -1 at the centre of the first
    column and 1 at that of the last."""
    grey: tuple[GreyCurve, ...]
    """By ascending wavelength; between them the phase is interpolated in wavenumber."""
    residual_centre_cm: float
    phase_sign: int = 1
    """1 where a higher grey level delays the light, -1 where it advances it. Powers do not tell; the delay of
    a pulse against a reference does."""
    residual_fs: tuple[float, ...] = ()
    """Spectral phase of the optics that the mask takes away: GDD in fs2, TOD in fs3, and so on, the
    derivatives of the phase by angular frequency at `residual_centre_cm`."""

    def __post_init__(self) -> None:
        steps = np.diff(self.column_wavelength_nm)
        if not (np.all(steps > 0) or np.all(steps < 0)):
            raise CalibrationError(
                "wavelength against column turns round: measure the wavelength polynomial again"
            )
        if self.phase_sign not in (1, -1):
            raise CalibrationError(f"phase_sign must be 1 or -1, not {self.phase_sign}")
        if not self.grey or len({len(curve.phase_rad) for curve in self.grey}) != 1:
            raise CalibrationError("there must be at least one grey curve, all with one value per grey level")
        wavelengths = [curve.wavelength_nm for curve in self.grey]
        if sorted(set(wavelengths)) != wavelengths:
            raise CalibrationError(f"grey curves must come by ascending wavelength, not {wavelengths}")
        for curve in self.grey:
            if not np.all(np.diff(curve.phase_rad) > 0):
                raise CalibrationError(
                    f"the phase at {curve.wavelength_nm:g} nm does not rise with every grey level"
                )

    @property
    def levels(self) -> int:
        """Number of grey levels of the panel (int)."""
        return len(self.grey[0].phase_rad)

    @property
    def column_wavelength_nm(self) -> NDArray[np.float64]:
        """Wavelength in nm at the centre of each column (float64 [columns])."""
        u = np.linspace(-1.0, 1.0, self.columns)
        return np.asarray(np.polynomial.polynomial.polyval(u, self.wavelength_nm), np.float64)

    def column_phase_rad(self) -> NDArray[np.float64]:
        """Phase of each grey level at each column (float64 [columns, levels]), 0 at level 0.

        Raises CalibrationError where a column cannot reach a whole turn.
        """
        wavenumber_cm = NM_CM / self.column_wavelength_nm
        known_cm = NM_CM / np.array([curve.wavelength_nm for curve in self.grey])[::-1]
        curves = np.stack([curve.phase_rad - curve.phase_rad[0] for curve in self.grey])[::-1]
        upper = np.clip(np.searchsorted(known_cm, wavenumber_cm), 1, max(1, len(known_cm) - 1))
        if len(known_cm) == 1:
            phase_rad = curves[0] * (wavenumber_cm / known_cm[0])[:, None]
        else:
            share = (wavenumber_cm - known_cm[upper - 1]) / (known_cm[upper] - known_cm[upper - 1])
            phase_rad = (1 - share)[:, None] * curves[upper - 1] + share[:, None] * curves[upper]
        least = 2 * math.pi * (1 - 1 / self.levels)
        k = int(np.argmin(phase_rad[:, -1]))
        if phase_rad[k, -1] < least:
            raise CalibrationError(
                f"the panel reaches {phase_rad[k, -1] / math.pi:.2f} pi at {NM_CM / wavenumber_cm[k]:.1f} nm "
                "instead of 2 pi: raise its drive voltage, or measure the grey levels again"
            )
        return phase_rad

    def compensation_rad(self, wavenumber_cm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Phase that the mask adds to undo that of the optics (float64, shape of the argument)."""
        w = RAD_FS_PER_CM * (wavenumber_cm - self.residual_centre_cm)
        phase = sum(fs * w**n / math.factorial(n) for n, fs in enumerate(self.residual_fs, start=2))
        return -np.asarray(phase * np.ones_like(w))

    def save(self, path: Path) -> None:
        """Write the calibration as TOML."""
        lines = [
            f"date = {self.date.isoformat()}",
            f"optics = {_quoted(self.optics)}",
            f"columns = {self.columns}",
            f"wavelength_nm = {_numbers(self.wavelength_nm)}",
            f"phase_sign = {self.phase_sign}",
            f"residual_centre_cm = {float(self.residual_centre_cm)!r}",
            f"residual_fs = {_numbers(self.residual_fs)}",
        ]
        for curve in self.grey:
            lines += ["", "[[grey]]", f"wavelength_nm = {float(curve.wavelength_nm)!r}"]
            lines += [f"phase_rad = {_numbers(curve.phase_rad)}"]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path, *, optics: str, optics_changed: date) -> LcosCalibration:
        """Read a calibration that was measured with `optics`, not before `optics_changed`.

        Raises CalibrationError when the file is missing, no calibration, of other optics, or too old.
        """
        if not path.is_file():
            raise CalibrationError(
                f"there is no shaper calibration at {path}: measure one for optics {optics!r}"
            )
        try:
            found = cls(**_fields(tomllib.loads(path.read_text(encoding="utf-8"))))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"{path}: is no shaper calibration: {error}") from error
        except CalibrationError as error:
            raise CalibrationError(f"{path}: {error}") from error
        if found.optics != optics:
            raise CalibrationError(
                f"{path}: was measured with optics {found.optics!r}, but the station has {optics!r}: "
                "calibrate again"
            )
        if found.date < optics_changed:
            raise CalibrationError(
                f"{path}: is of {found.date}, older than the optics change of {optics_changed}: "
                "calibrate again"
            )
        return found


def _fields(table: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(table["date"], date):
        raise ValueError("date must be a date such as 2026-05-31")
    grey = [
        GreyCurve(float(curve["wavelength_nm"]), np.array(curve["phase_rad"], float))
        for curve in table["grey"]
    ]
    tuples = {key: tuple(map(float, table[key])) for key in ("wavelength_nm", "residual_fs")}
    return {**table, **tuples, "grey": tuple(grey)}


def _numbers(values: object) -> str:
    return "[" + ", ".join(repr(float(value)) for value in np.asarray(values)) + "]"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
