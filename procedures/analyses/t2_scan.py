"""A scan of t2 at one t1: from the run file to traces, their beats and damped fits, and the picture."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.twodes.t2_traces import T2Signals, T2Traces, find_t2_traces
from ...formats.run_file import RunFile
from .run_analysis import RunAnalysis
from .stored_scan import beats_summary, print_beats, stored_scan

if TYPE_CHECKING:
    from rich.console import Console


class T2ScanAnalysis(RunAnalysis):
    """A scan of t2, analyzed."""

    def __init__(self, run: RunFile) -> None:
        super().__init__(run)
        self.signals = t2_signals(run)
        self.note = ""

    @cached_property
    def traces(self) -> T2Traces | None:
        """What beats; None where t2 does not tell, and then `note` says why."""
        try:
            return find_t2_traces(self.signals, self._run.header["parameters"]["addresses_cm"])
        except ValueError as error:
            self.note = str(error)
            return None

    def summary(self) -> dict[str, Any]:
        """The results as one JSON object."""
        signals = self.signals
        found: dict[str, Any] = {
            "kind": self._run.kind,
            "status": self._run.status,
            "t1_fs": signals.t1_fs,
            "t2_points": len(signals.t2_fs),
            "phase_cycling": self._run.header["parameters"]["cycling"],
            "strongest_w3_cm": float(signals.w3_cm[int(np.abs(signals.rephasing).max(axis=0).argmax())]),
        }
        if self.traces:
            found["addresses_w3_cm"] = [trace.w3_cm for trace in self.traces.traces]
            found["global_fit"] = beats_summary(self.traces.fit.beats)
        else:
            found["note"] = self.note
        return found

    def print(self, console: Console) -> None:
        """Print the beats of the global fit."""
        signals = self.signals
        console.print(
            f"{len(signals.t2_fs)} t2 from {signals.t2_fs[0]:g} to {signals.t2_fs[-1]:g} fs at t1 = "
            f"{signals.t1_fs:g} fs",
            soft_wrap=True,
        )
        if self.traces is None:
            console.print(f"note: {self.note}", soft_wrap=True)
            return
        print_beats(console, self.traces.fit.beats, decimals=1)

    def draw(self, path: Path) -> None:
        """Draw the signal against t2 and w3, the traces, and their beats."""
        from ...analysis.figures.t2_scan import draw_t2_scan

        draw_t2_scan(path, self.signals, self.traces, title=self.title_and_end)

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """The traces, and their spectra in w2."""
        found: dict[str, dict[str, NDArray[Any]]] = {}
        for trace in self.traces.traces if self.traces else ():
            found[f"trace_{trace.w3_cm:.0f}"] = {
                "t2_fs": self.signals.t2_fs,
                "real": trace.signal.real,
                "imaginary": trace.signal.imag,
                "fitted_real": trace.fitted.real,
                "fitted_imaginary": trace.fitted.imag,
            }
        if self.traces:
            found["beats"] = {
                "w2_cm": self.traces.beating.w2_cm,
                **{f"amplitude_{t.w3_cm:.0f}": np.abs(t.spectrum) for t in self.traces.traces},
            }
        return found


def t2_signals(run: RunFile) -> T2Signals:
    """The signals of a stored scan; raises FileFormatError where not one t2 was finished."""
    return T2Signals.of(stored_scan(run, np.array([run.header["parameters"]["t1_fs"]])))
