"""The picture of an HBT run: cross-correlation, pairs per peak, intensity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from ..hbt import HbtResult
from .style import BIAS_COLOUR, TRACE_COLOUR, name_axes, new_figure

SHOWN_PEAKS = 5
"""Peaks of the cross-correlation shown on either side."""
BINS_PER_PERIOD = 25


def draw_hbt(path: Path, result: HbtResult, *, title: str, reference: str) -> None:
    """Draw the cross-correlation, the pairs per peak with g2(0), and the intensity."""
    figure = new_figure((13, 7))
    grid = figure.add_gridspec(2, 2, width_ratios=(1.6, 1), height_ratios=(1.7, 1))
    _cross_correlation(figure.add_subplot(grid[0, 0]), result)
    _peaks(figure.add_subplot(grid[0, 1]), result)
    _trace(figure.add_subplot(grid[1, :]), result)
    where = "cell at rest" if result.potential_v is None else f"{result.potential_v:g} V vs. {reference}"
    ended = "" if result.status == "finished" else f" – run {result.status}"
    figure.suptitle(f"{title}, {where}{ended}", fontsize=13, x=0.01, ha="left")
    figure.savefig(path)


def _cross_correlation(axes: Axes, result: HbtResult) -> None:
    pairs = result.antibunching.pairs
    period_ns = pairs.period_bins * pairs.resolution_ns
    delay_ns, counts = pairs.binned(period_ns / BINS_PER_PERIOD)
    axes.fill_between(delay_ns / 1e3, counts, step="mid", lw=0, color=TRACE_COLOUR)
    reach_us = (SHOWN_PEAKS + 0.5) * period_ns / 1e3
    axes.set_xlim(-reach_us, reach_us)
    axes.set_ylim(bottom=0)
    width_ns = delay_ns[1] - delay_ns[0]
    name_axes(
        axes, "delay, detector 1 after detector 0 (µs)", f"pairs per {width_ns:.3g} ns",
        f"cross-correlation, {result.duration_s:.0f} s, {result.photons:,} photons",
    )  # fmt: skip


def _peaks(axes: Axes, result: HbtResult) -> None:
    g2 = result.antibunching
    order = g2.pairs.order
    for pairs, marker, colour, shift, found, name in (
        (g2.pairs.window_pairs, "o", TRACE_COLOUR, -0.12, g2.window, "± T/2 window"),
        (g2.pairs.sync_pairs, "s", BIAS_COLOUR, 0.12, g2.sync, "by sync number"),
    ):
        label = name
        if found is not None:
            label += f": g2(0) = {found.value:.3f} ± {found.error:.3f}"
        axes.errorbar(
            order + shift, pairs, np.sqrt(pairs), fmt=marker, ms=4, lw=1, color=colour, label=label
        )  # fmt: skip
    accidental = g2.accidental_pairs.value
    corrected = g2.background_corrected
    label = "pairs with background"
    if corrected is not None:
        label += f"; without: {corrected.value:.3f} ± {corrected.error:.3f}"
    axes.axhline(accidental, color="grey", ls="--", lw=1, label=label)
    highest = max(int(g2.pairs.window_pairs.max()), int(g2.pairs.sync_pairs.max()), 1)
    axes.set_ylim(0, 1.5 * highest)
    axes.set_xticks(order[::2])
    axes.legend(frameon=False, fontsize=9, loc="upper center")
    name_axes(axes, "delay (laser periods)", "pairs in the peak", "peaks")


def _trace(axes: Axes, result: HbtResult) -> None:
    time_s = np.arange(len(result.trace_hz)) * result.trace_bin_s
    axes.plot(time_s, result.trace_hz / 1e3, lw=0.6, color=TRACE_COLOUR)
    axes.axhline(result.background_hz / 1e3, color="grey", ls="--", lw=1, label="background")
    axes.set_xlim(0, max(result.duration_s, result.trace_bin_s))
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    name_axes(
        axes, "time in the hold (s)", "intensity (kc/s)", f"intensity, {result.trace_bin_s * 1e3:.3g} ms bins"
    )
