"""Pictures of recordings of other programs: PTU files and CHI text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...formats.chi_text import ChiText
from ...formats.tttr import TttrBlock
from .style import TRACE_COLOUR, name_axes, new_figure

_DECAY_BINS = 16
"""Micro-time bins of the card per point of a decay."""


def draw_ptu(path: Path, events: TttrBlock, time_unit_s: float, resolution_s: float, *, title: str) -> None:
    """Draw the intensity trace of a recording and, where it has micro times, its decay."""
    figure = new_figure((11, 4))
    has_decay = bool(events.dtime.any())
    trace, *rest = figure.subplots(1, 1 + has_decay, squeeze=False)[0]
    seconds = events.time * time_unit_s
    bins = max(1, min(2000, int(len(seconds) / 20)))
    counts, edges = np.histogram(seconds, bins=bins)
    width = edges[1] - edges[0]
    trace.step(edges[:-1], counts / width / 1e3, where="post", lw=0.7, color=TRACE_COLOUR)
    name_axes(
        trace, "time (s)", "intensity (kc/s)", f"{title}: {len(seconds):,} photons, {width * 1e3:.3g} ms bins"
    )
    if rest:
        (decay,) = rest
        bin_ns = _DECAY_BINS * resolution_s * 1e9
        for channel in np.unique(events.channel):
            histogram = np.bincount(events.dtime[events.channel == channel] // _DECAY_BINS)
            time_ns = np.arange(len(histogram)) * bin_ns
            decay.semilogy(
                time_ns, np.where(histogram, histogram, np.nan), lw=0.7, label=f"detector {channel}"
            )
        decay.legend(frameon=False)
        name_axes(decay, "delay after the pulse (ns)", f"counts per {bin_ns:g} ns", "decay")
    figure.savefig(path)


def draw_chi(path: Path, text: ChiText) -> None:
    """Draw what a CHI text file holds: its second column against its first, overloaded points marked."""
    figure = new_figure((7, 5))
    axes = figure.subplots()
    x, y = text.data[:, 0], text.data[:, 1]
    axes.plot(x, y, lw=0.9, color=TRACE_COLOUR)
    overload = text.overload
    if overload.any():
        axes.plot(
            x[overload], y[overload], ".", ms=3, color="red", label=f"{overload.sum()} overloaded points"
        )
        axes.legend(frameon=False)
    name_axes(
        axes, text.columns[0], f"{text.columns[1]} (sign as in the file)", f"{text.technique}, {text.model}"
    )
    figure.savefig(path)
