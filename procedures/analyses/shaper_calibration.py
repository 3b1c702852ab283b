"""A shaper's calibration: from the run file to its curves and residuals, and the picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.twodes.panel_calibration import (
    ColumnLines,
    GreyCurves,
    SpectralPhase,
    find_column_lines,
    find_grey_curves,
    find_pair_delay,
    find_spectral_phase,
)
from ...analysis.twodes.shaper_calibration import Fringes
from ...formats.errors import FileFormatError
from ...formats.run_file import RunFile
from .run_analysis import RunAnalysis

if TYPE_CHECKING:
    from rich.console import Console


class ShaperCalibrationAnalysis(RunAnalysis):
    """A calibration, analyzed step by step as far as the run went."""

    def __init__(self, run: RunFile) -> None:
        super().__init__(run)
        if not run.groups("grey"):
            raise FileFormatError(f"{run.path}: no grey level was measured ({run.header['status_reason']})")
        try:
            self.grey = _grey(run)
            self.lines = _lines(run)
            self.pairs = _pairs(run)
            self.phases = _phases(run)
        except ValueError as error:
            raise FileFormatError(f"{run.path}: {error}") from error

    @property
    def file(self) -> str | None:
        """Name of the calibration file beside the run file; None where the run did not come so far."""
        return self._run.header.get("calibration_file")

    def summary(self) -> dict[str, Any]:
        """The results as one JSON object."""
        found: dict[str, Any] = {
            "kind": self._run.kind,
            "status": self._run.status,
            "calibration_file": self.file,
            "grey_curves": [
                {"wavelength_nm": float(nm), "largest_phase_rad": float(phase[-1]), "misfit": float(misfit)}
                for nm, phase, misfit in zip(
                    self.grey.wavelength_nm, self.grey.phase_rad, self.grey.misfit, strict=True
                )
            ],
        }
        if self.lines:
            found["wavelength_nm"] = list(self.lines.fit.coefficients_nm)
            found["lines"] = len(self.lines.column)
            found["rms_columns"] = self.lines.fit.rms_columns
        found["pairs"] = [
            {"delay_fs": delay_fs, "found_fs": fringes.delay_fs, "found_err_fs": fringes.sigma_fs}
            for delay_fs, fringes in self.pairs
        ]
        if self.phases:
            applied, last = self.phases[-1]
            found["residual_fs"] = [a + b for a, b in zip(applied, last.fit.residual_fs, strict=True)]
            found["residual_err_fs"] = list(last.fit.sigma_fs)
            found["left_in_last_pass_fs"] = list(last.fit.residual_fs)
        return found

    def print(self, console: Console) -> None:
        """Print the residuals of each step, and where the calibration is."""
        turns = self.grey.phase_rad[:, -1] / np.pi
        text = [
            f"grey to phase       {len(turns)} wavelengths, {turns.min():.2f} to {turns.max():.2f} pi, "
            f"misfit up to {100 * self.grey.misfit.max():.2f} %"
        ]
        if self.lines:
            rms = self.lines.fit.rms_columns
            text += [f"column to wavelength {len(self.lines.column)} lines, {rms:.3f} columns rms"]
        for delay_fs, fringes in self.pairs:
            off_as, sigma_as = 1e3 * (fringes.delay_fs - delay_fs), 1e3 * fringes.sigma_fs
            text += [f"pair of {delay_fs:3.0f} fs      off by {off_as:+.1f} ± {sigma_as:.1f} as"]
        if self.phases:
            residual = self.summary()["residual_fs"]
            told = ", ".join(f"{fs:+.2f} fs{n}" for n, fs in enumerate(residual, start=2))
            text += [f"residual phase      {told}"]
        if self.file:
            text += [f'station file        [shaper] calibration = "{self._run.path.with_name(self.file)}"']
        console.print("\n".join(text), soft_wrap=True, markup=False)

    def draw(self, path: Path) -> None:
        """Draw the grey curves, the wavelengths, the pairs and the residual phase."""
        from ...analysis.figures.shaper_calibration import draw_shaper_calibration

        draw_shaper_calibration(
            path,
            self.grey,
            self.lines,
            self.pairs,
            [phase for _, phase in self.phases],
            columns=self._run.header["columns"],
            title=self.title_and_end,
        )

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Grey curves, and the lines with what the polynomial leaves of them."""
        grey: dict[str, NDArray[Any]] = {"level": np.arange(self.grey.phase_rad.shape[1])}
        for nm, phase in zip(self.grey.wavelength_nm, self.grey.phase_rad, strict=True):
            grey[f"phase_rad_at_{nm:.1f}_nm"] = phase
        found = {"grey": grey}
        if self.lines:
            found["lines"] = {"column": self.lines.column, "wavelength_nm": self.lines.wavelength_nm}
        return found


def _grey(run: RunFile) -> GreyCurves:
    (grey,) = run.groups("grey")
    return find_grey_curves(
        np.array(run.header["wavelength_nm"]),
        grey["level"],
        grey["power"].astype(np.float64),
        levels=run.header["levels"],
        curves=run.header["parameters"]["curves"],
    )


def _lines(run: RunFile) -> ColumnLines | None:
    for lines in run.groups("lines"):
        return find_column_lines(
            np.array(run.header["wavelength_nm"]),
            lines["column"],
            lines["power"].astype(np.float64),
            lines["reference"],
            columns=run.header["columns"],
        )
    return None


def _pairs(run: RunFile) -> list[tuple[float, Fringes]]:
    """Delay asked for, and fringes found."""
    cm, centre_cm = 1e7 / np.array(run.header["wavelength_nm"]), run.header["centre_cm"]
    return [
        (float(delay_fs), find_pair_delay(cm, power.astype(np.float64), pairs["single"], centre_cm=centre_cm))
        for pairs in run.groups("pairs")
        for delay_fs, power in zip(pairs["delay_fs"], pairs["power"], strict=True)
    ]


def _phases(run: RunFile) -> list[tuple[tuple[float, ...], SpectralPhase]]:
    """What was taken away already, and the spectral phase found, pass by pass."""
    cm = 1e7 / np.array(run.header["wavelength_nm"])
    passes = []
    for phase in run.groups("phase"):
        if phase["purpose"] == "residual":
            found = find_spectral_phase(
                cm,
                phase["counts"].astype(np.float64),
                phase["blank"],
                around_fs=run.header["lo_lead_fs"],
                centre_cm=run.header["centre_cm"],
            )
            applied = tuple(map(float, phase["residual_fs"])) or (0.0,) * len(found.fit.residual_fs)
            passes.append((applied, found))
    return passes
