"""A blank run: from the run file to its results, its table, its picture, and a station's calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.blank import BlankData, BlankResult, analyze_blank
from ...analysis.poisson import Measured
from ...formats.errors import FileFormatError
from ...formats.run_file import RunFile, read_run_file
from ..errors import ConfigError
from .run_analysis import ResultAnalysis
from .stored import stored_photons


class BlankAnalysis(ResultAnalysis[BlankResult]):
    """A blank run, analyzed."""

    def __init__(self, run: RunFile) -> None:
        super().__init__(run)
        photons, header = stored_photons(run), run.header
        unlocked = header.get("laser_unlocked_s")
        self.result = analyze_blank(
            BlankData(
                sync=photons.sync,
                dtime=photons.dtime,
                channel=photons.channel,
                resolution_ps=photons.resolution_s * 1e12,
                sync_period_s=photons.sync_period_s,
                duration_s=photons.duration_s,
                detectors=header["photons"]["n_inputs"],
                unlocked_s=unlocked and (unlocked[0] - photons.start_s, unlocked[1] - photons.start_s),
                status=run.status,
            )
        )

    def rows(self) -> list[tuple[str, str]]:
        """Dark counts, laser background, response and afterpulsing."""
        return _rows(self.result)

    def draw(self, path: Path) -> None:
        """Draw the counts over time, the decay with its fit, and the gaps between counts."""
        from ...analysis.figures.blank import draw_blank

        draw_blank(path, self.result, title=self.title)

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Decays with the laser locked and on, at the card's resolution."""
        r = self.result
        micro_time_ns = (np.arange(len(r.dark_decay)) + 0.5) * r.resolution_ns
        return {
            "decay": {
                "micro_time_ns": micro_time_ns,
                "counts_dark": r.dark_decay,
                "counts_laser_on": r.scatter_decay,
            }
        }


def calibration_from_run(run: str, folder: Path, *, where: str) -> dict[str, Any]:
    """The numbers of a station's `[calibration]` from the blank run file `run` (relative to `folder`).

    Raises ConfigError, beginning with `where`, when it is no finished blank that tells every number.
    """
    path = folder / Path(run).expanduser()
    told = f"{where}: run = {run!r}"
    if not path.is_file():
        raise ConfigError(f"{told}: there is no file {path}; measure one with: qdlab run blank")
    try:
        blank = read_run_file(path)
        if blank.kind != "blank":
            raise ConfigError(f"{told}: is a run of kind {blank.kind!r}, not of kind 'blank'")
        result = BlankAnalysis(blank).result
    except (FileFormatError, OSError) as error:
        raise ConfigError(f"{told}: {error}") from error
    if blank.status != "finished":
        raise ConfigError(f"{told}: this blank was not finished but {blank.status}; measure a whole one")
    if result.prompt is None or result.prompt_rate_hz is None:
        raise ConfigError(f"{told}: this blank does not tell the response: {result.warnings[-1]}")
    started = blank.header["started"]
    fit, after = result.prompt, result.afterpulsing
    numbers: dict[str, Any] = {
        "dark_rate_hz": [rate.value for rate in result.dark_rates_hz],
        "prompt_rate_hz": result.prompt_rate_hz.value,
        "prompt_lifetime_ns": fit.lifetime_ns.value,
        "irf_fwhm_ps": 1000 * fit.irf_fwhm_ns.value,
        "blank_s": result.scatter_s,
        "time_zero_ns": fit.time_zero_ns.value,
        "source": f"blank of {started}",
        "run": str(path.resolve()),
        "run_started": started,
    }
    if after is None or after.lifetime_ns is None:
        return numbers | {"source": f"blank of {started}, too short to measure afterpulsing: taken as none"}
    return numbers | {
        "afterpulsing": after.probability.value,
        "afterpulse_delay_ns": after.delay_ns,
        "afterpulse_lifetime_ns": after.lifetime_ns.value,
    }


def _rows(r: BlankResult) -> list[tuple[str, str]]:
    rows = [("counts", f"{r.photons:,}: {r.dark_s:.1f} s in the dark, {r.scatter_s:.1f} s with the laser on")]
    for detector, rate in enumerate(r.dark_rates_hz):
        rows.append((f"dark counts, detector {detector}", _told(rate, "c/s", 1)))
    if r.prompt_rate_hz:
        rows.append(("laser background", _told(r.prompt_rate_hz, "c/s", 1)))
    if fit := r.prompt:
        rows.append(("its decay time", _told(fit.lifetime_ns, "ns", 3)))
        rows.append(("response, full width at half maximum", _told(fit.irf_fwhm_ns, "ns", 3)))
        rows.append(("time zero", _told(fit.time_zero_ns, "ns", 3)))
    after = r.afterpulsing
    if after and after.lifetime_ns:
        rows.append(("afterpulsing", _told(Measured(*(100 * x for x in after.probability)), "%", 2)))
        rows.append(
            ("afterpulses come", f"after {after.delay_ns:.1f} ns, then {_told(after.lifetime_ns, 'ns', 0)}")
        )
    else:
        rows.append(("afterpulsing", "not measured"))
    return rows


def _told(quantity: Measured, unit: str, digits: int) -> str:
    return f"{quantity.value:.{digits}f} ± {quantity.error:.{digits}f} {unit}"
