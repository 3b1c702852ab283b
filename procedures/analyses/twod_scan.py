"""A 2DES scan: from the run file to its maps, what beats in them, and the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ...analysis.twodes.coherences import Coherences, find_coherences
from ...analysis.twodes.phase_cycling import NONREPHASING, REPHASING, Signature
from ...analysis.twodes.phasing import Phase
from ...analysis.twodes.scan import TwoDScanData
from ...analysis.twodes.spectra import Maps
from ...analysis.twodes.told import told_time
from ...analysis.twodes.units import FS_PER_CM, W
from ...formats.errors import FileFormatError
from ...formats.gridded import Gridded
from ...formats.run_file import RunFile
from ..spectra import beating_as_gridded, maps_as_gridded
from .pump_probe import load_pump_probe
from .run_analysis import RunAnalysis
from .stored_scan import beats_summary, stored_scan

if TYPE_CHECKING:
    from rich.console import Console

BEATS_CM = (120.0, 480.0, 850.0)
LEAST_T2 = 40
"""With fewer t2 nothing is said of beats."""


class TwoDScanAnalysis(RunAnalysis):
    """A 2DES scan, analyzed; its maps in the phase of a pump-probe run where one is given.

    Raises FileFormatError where the two have nothing in common.
    """

    def __init__(self, run: RunFile, pump_probe: Path | None = None) -> None:
        super().__init__(run)
        self.data = scan_of(run)
        self.phase: Phase | None = None
        if pump_probe is not None:
            try:
                self.phase = self.data.phase_from(load_pump_probe(pump_probe))
            except ValueError as error:
                raise FileFormatError(f"{pump_probe}: {error}") from None
        self.maps: Maps = self.data.maps(phase=self.phase)

    @cached_property
    def coherences(self) -> Coherences | None:
        """What beats; None where t2 is too short or too coarse to tell."""
        t2 = self.maps.t2_fs
        if len(t2) < LEAST_T2 or max(BEATS_CM) > FS_PER_CM / (2 * float(np.diff(t2).mean())):
            return None
        with threadpool_limits(limits=1):  # small products: more threads only wait for each other
            return find_coherences(self.maps, w2_cm=BEATS_CM)

    def summary(self) -> dict[str, Any]:
        """The results as one JSON object."""
        found: dict[str, Any] = {
            "kind": self._run.kind,
            "status": self._run.status,
            "t1_points": len(self.data.plan.t1_fs),
            "t2_points": len(self.maps.t2_fs),
            "phase_cycling": self.data.plan.scheme.name,
            "rotating_frame": self.data.plan.frame.g,
            "carrier_cm": self.data.plan.frame.carrier_cm,
            "strongest": dict(zip(("w1_cm", "w3_cm"), _strongest(self.maps), strict=True)),
        }
        if self.phase:
            found["phase"] = asdict(self.phase)
        if self.coherences:
            found["coherences"] = [
                {
                    "asked_cm": kind.asked_cm,
                    "frequency_cm": kind.frequency_cm.value,
                    "frequency_err_cm": kind.frequency_cm.error,
                    "dephasing_global_fit_fs": kind.dephasing_fs.value,
                    "dephasing_global_fit_err_fs": kind.dephasing_fs.error,
                }
                for kind in self.coherences.kinds
            ]
            found["global_fit"] = beats_summary(self.coherences.fit.beats)
            found["beating_maps"] = [
                {
                    "w2_cm": beat.w2_cm,
                    "strongest_w1_cm": beat.strongest[0],
                    "strongest_w3_cm": beat.strongest[1],
                    "amplitude": float(beat.amplitude.max()),
                }
                for beat in self.coherences.maps
            ]
        return found

    def print(self, console: Console) -> None:
        """Print where the signal is and what beats, as a short table."""
        plan, n, (w1, w3) = self.data.plan, len(self.maps.t2_fs), _strongest(self.maps)
        console.print(
            f"{n} map{'s' * (n != 1)} of {len(plan.t1_fs)} t1 x {plan.scheme.steps} phases; "
            f"absorptive maximum at (w1, w3) = ({w1:.0f}, {w3:.0f}) cm-1"
        )
        if self.phase:
            p, slope_fs = self.phase, 1 / W
            console.print(
                f"phase from pump-probe: {p.p0_rad:+.3f} ± {p.p0_err_rad:.3f} rad at {p.centre_cm:.0f} cm-1, "
                f"{p.p1_rad_per_cm * slope_fs:+.2f} ± {p.p1_err_rad_per_cm * slope_fs:.2f} fs along w3; "
                f"{p.mismatch:.0%} of the pump-probe signal differs"
            )
        if self.coherences is None:
            console.print("too few t2, or too coarse ones, to look for beats")
            return
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for column in ("coherence near (cm-1)", "found (cm-1)", "dephasing time of the global fit (fs)"):
            table.add_column(column)
        for kind in self.coherences.kinds:
            frequency, dephasing = kind.frequency_cm, kind.dephasing_fs
            table.add_row(
                f"{kind.asked_cm:.0f}",
                f"{frequency.value:.1f} ± {frequency.error:.1f}",
                told_time(dephasing.value, dephasing.error),
            )
        console.print(table)

    def draw(self, path: Path) -> None:
        """Draw the maps, the beating maps and the traces."""
        from ...analysis.figures.twodes import draw_twod

        draw_twod(path, self.maps, self.coherences, title=self.title_and_end)

    def spectra(self) -> tuple[Gridded, ...]:
        """The maps, and the beats where there are any."""
        maps = maps_as_gridded(self.maps)
        return (maps, beating_as_gridded(self.coherences.beating, self.maps)) if self.coherences else (maps,)

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Traces along t2 at the addresses, with their spectra."""
        found: dict[str, dict[str, NDArray[Any]]] = {}
        for trace in self.coherences.traces if self.coherences else ():
            where = f"{trace.w1_cm:.0f}_{trace.w3_cm:.0f}"
            found[f"trace_{where}"] = {
                "t2_fs": trace.t2_fs,
                "real": trace.signal.real,
                "imaginary": trace.signal.imag,
            }
            found[f"beats_{where}"] = {
                "w2_cm": trace.spectrum.w2_cm,
                "amplitude": np.abs(trace.spectrum.spectrum),
            }
        return found


def scan_of(run: RunFile, signatures: Sequence[Signature] = (REPHASING, NONREPHASING)) -> TwoDScanData:
    """The signals of a stored scan; raises FileFormatError where not one block was finished."""
    parameters = run.header["parameters"]
    return stored_scan(run, parameters["t1_step_fs"] * np.arange(parameters["t1_points"]), signatures)


def _strongest(maps: Maps) -> tuple[float, float]:
    """Address of the largest absorptive signal of all t2."""
    strongest = maps.absorptive.max(axis=0)
    k1, k3 = np.unravel_index(int(np.argmax(strongest)), strongest.shape)
    return float(maps.w1_cm[k1]), float(maps.w3_cm[k3])
