"""An HBT run: from the run file to the analysis' input, its table and its picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.hbt import HbtData, HbtResult, analyze_hbt
from ...formats.run_file import RunFile, StoredPhotons
from .run_analysis import ResultAnalysis
from .stored import HOST_CLOCK_UNCERTAINTY_S, photon_fields, start_uncertainty_s, stored_photons

GUARD = 3.0
"""Standard uncertainties cut off the end of the hold."""


class HbtAnalysis(ResultAnalysis[HbtResult]):
    """An HBT run, analyzed."""

    def __init__(self, run: RunFile) -> None:
        super().__init__(run)
        parameters = run.header["parameters"]
        self.result = analyze_hbt(
            HbtData(
                **photon_fields(run),
                window_s=_window_s(run, stored_photons(run)),
                potential_v=parameters["potential_v"] if parameters["use_potentiostat"] else None,
                trace_bin_s=parameters["trace_bin_s"],
                status=run.status,
            )
        )

    def rows(self) -> list[tuple[str, str]]:
        """Rates, g2(0) in three ways, and the peaks."""
        r = self.result
        where = "cell at rest" if r.potential_v is None else f"{r.potential_v:g} V"
        rows = [
            ("photons", f"{r.photons:,} in {r.duration_s:.1f} s, {where}"),
            ("rate", " + ".join(f"{rate / 1e3:.2f}" for rate in r.rates_hz) + " kc/s"),
        ]
        told = (
            ("window", "g2(0), ± T/2 window"),
            ("sync", "g2(0), by sync number"),
            ("background_corrected", "the same without background"),
        )
        for name, title in told:
            g2 = getattr(r.antibunching, name)
            rows.append((title, f"{g2.value:.3f} ± {g2.error:.3f}" if g2 else "no lagging pairs"))
        peaks = {peak["order"]: peak for peak in r.antibunching.peaks()}
        lagging = ", ".join(f"{peaks[k]['window_pairs']}" for k in range(5))
        rows.append(("pairs in peaks 0 to 4", lagging))
        if first := r.antibunching.first_over_far:
            rows.append(("first peaks over far ones", f"{first.value:.3f} ± {first.error:.3f}"))
        return rows

    def draw(self, path: Path) -> None:
        """Draw the cross-correlation, its peaks and the trace."""
        from ...analysis.figures.hbt import draw_hbt

        draw_hbt(path, self.result, title=self.title, reference=self.reference_electrode)

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """The peaks, and the cross-correlation in bins of a nanosecond."""
        g2 = self.result.antibunching
        peaks = g2.peaks()
        delay_ns, pairs = g2.pairs.binned(1.0)
        return {
            "peaks": {name: np.array([peak[name] for peak in peaks]) for name in peaks[0]},
            "cross_correlation": {"delay_ns": delay_ns, "pairs": pairs},
        }


def _window_s(run: RunFile, photons: StoredPhotons) -> tuple[float, float] | None:
    """When the potential was certainly held, at most as long as asked for; None where nothing tells.

    The first hold of the program only settles: the potential is on before its end and after it.
    """
    parameters = run.header["parameters"]
    if not parameters["use_potentiostat"]:
        return 0.0, photons.duration_s
    holds = [record.about for record in run.potentiostat if record.about["complete"]]
    if not holds:
        return None
    start_s = holds[0]["start_s"] + holds[0]["settings"]["hold_s"]
    if len(holds) > 1:
        end_s = holds[1]["start_s"] + holds[1]["settings"]["hold_s"] - GUARD * start_uncertainty_s(holds[1])
    elif run.status in ("finished", "aborted"):
        end_s = run.header["potentiostat_end_s"] - GUARD * HOST_CLOCK_UNCERTAINTY_S
    else:
        return None
    end_s = min(end_s, start_s + parameters["duration_s"])
    return start_s - photons.start_s, max(start_s, end_s) - photons.start_s
