"""The picture of a potential-step run: count rate and lifetime against the time after the step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ..potential_step import Folded, PotentialStepResult
from ..step_response import StepResponse
from .style import BIAS_COLOUR, TRACE_COLOUR, name_axes, new_figure

_BAND_COLOUR = "#f5cba7"


def draw_potential_step(path: Path, result: PotentialStepResult, *, title: str, reference: str) -> None:
    """Draw rate (above) and lifetime (below) after the steps down (left) and up (right)."""
    figure = new_figure((12.5, 7.5))
    panels = figure.subplots(2, 2, sharex=True, sharey="row")
    for column, (folded, ends) in enumerate(
        (
            (result.falling, (result.high_v, result.low_v)),
            (result.rising, (result.low_v, result.high_v)),
        )
    ):
        step = f"{ends[0]:g} → {ends[1]:g} V vs. {reference}"
        _rate(panels[0, column], folded, step)
        _lifetime(panels[1, column], folded)
    panels[0, 0].set_xlim(0.3 * result.resolution_us, result.period_s / 2 * 1e6)
    ended = "" if result.status == "finished" else f" – run {result.status}"
    figure.suptitle(f"{title}{ended}", fontsize=13, x=0.01, ha="left")
    figure.savefig(path)


def _rate(axes: Axes, folded: Folded | None, step: str) -> None:
    name_axes(axes, "time after the step (µs)", "count rate (kc/s)", step)
    if folded is None:
        axes.text(0.5, 0.5, "too few photons to fold", transform=axes.transAxes, ha="center")
        return
    axes.set_title(f"{step}, {folded.steps:,} steps", fontsize=11, loc="left")
    error_hz = np.sqrt(np.maximum(folded.counts, 1)) / folded.exposure_s
    _points(axes, folded.edges_us, folded.rate_hz / 1e3, error_hz / 1e3)
    _response(axes, folded.rate, folded.edges_us, 1e-3)
    axes.set_ylim(bottom=0)


def _lifetime(axes: Axes, folded: Folded | None) -> None:
    name_axes(axes, "time after the step (µs)", "lifetime (ns)", "one exponential per time bin")
    if folded is None:
        return
    error_ns = np.where(np.isfinite(folded.lifetime_err_ns), folded.lifetime_err_ns, 0.0)
    _points(axes, folded.lifetime_edges_us, folded.lifetime_ns, error_ns)
    _response(axes, folded.lifetime, folded.edges_us, 1.0)
    axes.set_yscale("log")


def _points(
    axes: Axes, edges_us: NDArray[np.floating], value: NDArray[np.floating], error: NDArray[np.floating]
) -> None:
    centres_us = 0.5 * (edges_us[1:] + edges_us[:-1])
    axes.errorbar(
        centres_us, value, yerr=error, xerr=0.5 * np.diff(edges_us), fmt=".", ms=3, lw=0.8,
        color=TRACE_COLOUR, alpha=0.8,
    )  # fmt: skip
    axes.set_xscale("log")


def _response(
    axes: Axes, response: StepResponse | None, edges_us: NDArray[np.floating], scale: float
) -> None:
    if response is None:
        return
    time_us = np.geomspace(edges_us[1] / 5, edges_us[-1], 600)
    axes.plot(time_us, response.curve(time_us) * scale, lw=1.3, color=BIAS_COLOUR, zorder=3)
    taken = response.t10_90_us
    unit, factor, digits = ("ms", 1e-3, 3) if taken.value >= 1000 else ("µs", 1.0, 2)
    axes.axvspan(
        response.t10_us.value, response.t90_us.value, color=_BAND_COLOUR, alpha=0.5, lw=0, zorder=0,
        label=f"10–90 %: {taken.value * factor:.{digits}f} ± {taken.error * factor:.{digits}f} {unit}",
    )  # fmt: skip
    axes.axhline(response.before.value * scale, lw=0.8, ls="--", color="grey", label="before the step")
    axes.legend(frameon=False, fontsize=9)
