"""Pump-probe spectra: from the run file to dS/S against t2 and w3, and the picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.twodes.pump_probe import PumpProbeData, PumpProbeSpectra, pump_probe_spectra
from ...formats.errors import FileFormatError
from ...formats.run_file import RunFile, read_run_file
from .run_analysis import RunAnalysis

if TYPE_CHECKING:
    from rich.console import Console


class PumpProbeAnalysis(RunAnalysis):
    """A pump-probe run, analyzed."""

    def __init__(self, run: RunFile) -> None:
        super().__init__(run)
        self.spectra = spectra_of(run)

    def summary(self) -> dict[str, Any]:
        """The results as one JSON object."""
        s = self.spectra
        t2_fs, w3_cm = s.strongest()
        return {
            "kind": self._run.kind,
            "status": self._run.status,
            "t2_points": len(s.t2_fs),
            "w3_points": len(s.w3_cm),
            "largest_change": float(s.change.max()),
            "smallest_change": float(s.change.min()),
            "strongest": {"t2_fs": t2_fs, "w3_cm": w3_cm},
            "typical_error": float(np.median(s.error)),
        }

    def print(self, console: Console) -> None:
        """Print where the change is largest, and how well it is known."""
        s = self.spectra
        t2_fs, w3_cm = s.strongest()
        console.print(
            f"{len(s.t2_fs)} pump-probe spectra, {s.w3_cm[0]:.0f} to {s.w3_cm[-1]:.0f} cm-1\n"
            f"dS/S              {s.change.min():+.4f} to {s.change.max():+.4f}, "
            f"± {np.median(s.error):.4f} at each point\n"
            f"largest           at t2 = {t2_fs:g} fs, w3 = {w3_cm:.0f} cm-1"
        )

    def draw(self, path: Path) -> None:
        """Draw the change against t2 and w3, spectra and traces."""
        from ...analysis.figures.pump_probe import draw_pump_probe

        draw_pump_probe(path, self.spectra, title=self.title_and_end)

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """dS/S, one column per t2."""
        s = self.spectra
        columns: dict[str, NDArray[Any]] = {"w3_cm": s.w3_cm}
        for t2_fs, change, error in zip(s.t2_fs, s.change, s.error, strict=True):
            columns[f"change_{t2_fs:g}_fs"], columns[f"error_{t2_fs:g}_fs"] = change, error
        return {"spectra": columns}


def load_pump_probe(path: Path) -> PumpProbeSpectra:
    """The pump-probe spectra of a run file, for phasing maps with `signal_at`; raises FileFormatError."""
    run = read_run_file(path)
    if run.kind != "pump_probe":
        raise FileFormatError(f"{path}: is a run of kind {run.kind!r}, not a pump-probe run")
    return spectra_of(run)


def spectra_of(run: RunFile) -> PumpProbeSpectra:
    """dS/S of a stored run; raises FileFormatError where not one t2 was finished."""
    parameters, before_fs = run.header["parameters"], run.header["parameters"]["before_fs"]
    blocks = run.groups("block")
    if not any(block["t2_fs"] > before_fs or not before_fs for block in blocks):
        raise FileFormatError(f"{run.path}: not one t2 was finished ({run.header['status_reason']})")
    data = PumpProbeData(
        pixel_cm=np.array(run.header["pixel_cm"]),
        t2_fs=np.array([block["t2_fs"] for block in blocks]),
        on=np.stack([block["on"] for block in blocks]).astype(np.float64),
        off=np.stack([block["off"] for block in blocks]).astype(np.float64),
    )
    band_cm = parameters["lowest_cm"], parameters["highest_cm"]
    try:
        return pump_probe_spectra(data, band_cm, before_fs=before_fs or None)
    except ValueError as error:
        raise FileFormatError(f"{run.path}: {error}") from error
