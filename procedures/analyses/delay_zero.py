"""A search of delay zero: from the run file to the numbers that go into the station file, and the picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.twodes.delay_zero import STEPS, DelayZeroData, find_delay_zero
from ...formats.errors import FileFormatError
from ...formats.run_file import RunFile
from ...instruments.delay_stage import DelayScale
from .run_analysis import RunAnalysis

if TYPE_CHECKING:
    from rich.console import Console

LEAST_POSITIONS = 4


class DelayZeroAnalysis(RunAnalysis):
    """A search of delay zero, analyzed."""

    def __init__(self, run: RunFile) -> None:
        super().__init__(run)
        data = delay_zero_data(run)
        try:
            self.result = find_delay_zero(data)
        except ValueError as error:
            raise FileFormatError(f"{run.path}: {error}") from error
        self.zero_mm = _zero_mm(run, self.result.zero_fs.value)

    def summary(self) -> dict[str, Any]:
        """The results as one JSON object."""
        r = self.result
        return {
            "kind": self._run.kind,
            "status": self._run.status,
            "positions": len(r.true_fs),
            "zero_fs": r.zero_fs.value,
            "zero_err_fs": r.zero_fs.error,
            "zero_mm": self.zero_mm,
            "scale": r.scale.value,
            "scale_err": r.scale.error,
            "lo_lead_fs": r.lead.value,
            "lo_lead_err_fs": None if np.isnan(r.lead.error) else r.lead.error,
            "largest_deviation_as": r.off_as,
            "shaper": [
                {"delay_fs": float(asked), "found_fs": float(found)}
                for asked, found in zip(r.data.shaper_fs, r.shaper_found_fs, strict=True)
            ],
            "notes": list(r.notes),
        }

    def print(self, console: Console) -> None:
        """Print what was found and what to write into the station file."""
        r = self.result
        lead = f"{r.lead.value:.3f}" + ("" if np.isnan(r.lead.error) else f" ± {r.lead.error:.3f}")
        lines = [
            f"delay zero        {r.zero_fs.value:+.3f} ± {r.zero_fs.error:.3f} fs off the station's",
            f"scale             {r.scale.value:.6f} ± {r.scale.error:.6f} of the station's",
            f"delays            as commanded within {r.off_as:.1f} as, apart from zero",
            f"local oscillator  {lead} fs before the probe",
        ]
        if len(r.shaper_found_fs):
            off_as = 1e3 * np.abs(r.shaper_found_fs - r.data.shaper_fs).max()
            lines.append(f"shaper            delays as commanded within {off_as:.1f} as")
        lines.append(f"station file      [delay] zero_mm = {self.zero_mm:.6f}")
        console.print("\n".join(lines), soft_wrap=True, markup=False)
        for note in r.notes:
            console.print(f"note: {note}", soft_wrap=True)

    def draw(self, path: Path) -> None:
        """Draw the fringes, the delays found, and what is left."""
        from ...analysis.figures.delay_zero import draw_delay_zero

        draw_delay_zero(path, self.result, title=self.title_and_end)

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Delays of the stage and of the shaper, commanded and found."""
        r = self.result
        return {
            "stage": {
                "command_fs": r.data.command_fs,
                "reading_fs": r.data.reading_fs,
                "true_fs": r.true_fs,
                "left_fs": r.left_fs,
            },
            "shaper": {"delay_fs": r.data.shaper_fs, "found_fs": r.shaper_found_fs},
        }


def delay_zero_data(run: RunFile) -> DelayZeroData:
    """What a stored run measured; raises FileFormatError where there is too little."""
    positions = run.groups("position")
    if len(positions) < LEAST_POSITIONS:
        raise FileFormatError(
            f"{run.path}: {len(positions)} positions of the stage are too few ({run.header['status_reason']})"
        )
    shaper = run.groups("shaper_delay")
    pixel_cm = np.array(run.header["pixel_cm"])
    return DelayZeroData(
        wavenumber_cm=pixel_cm,
        command_fs=np.array([each["command_fs"] for each in positions]),
        reading_fs=np.array([each["reading_fs"] for each in positions]),
        counts=np.stack([each["counts"] for each in positions]).astype(np.float64),
        blank=np.stack([each["blank"] for each in positions]).astype(np.float64),
        lo_lead_fs=run.header["lo_lead_fs"],
        search_fs=run.header["parameters"]["search_fs"],
        shaper_fs=np.array([each["delay_fs"] for each in shaper]),
        shaper_counts=np.array([each["counts"] for each in shaper], np.float64).reshape(
            len(shaper), STEPS, len(pixel_cm)
        ),
    )


def _zero_mm(run: RunFile, zero_fs: float) -> float:
    """The position of delay zero on the stage's rail."""
    about = run.header["delay_scale"]
    scale = DelayScale(about["fs_per_mm"], about["zero_mm"], tuple(about["correction_fs"]))
    return scale.position_mm(zero_fs)
