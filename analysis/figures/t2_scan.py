"""The picture of a scan of t2: the signal against t2 and w3, traces with their fit, and what beats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from ..twodes.t2_traces import T2Signals, T2Traces
from ..twodes.told import told_time
from .style import TRACE_COLOUR, name_axes, new_figure
from .twodes import BEAT_COLOURS, MAP_COLOURS, TRACE_COLOURS

WIDEST_CM = 1250.0


def draw_t2_scan(path: Path, signals: T2Signals, traces: T2Traces | None, *, title: str) -> None:
    """Draw the rephasing signal, and with `traces` what beats in it."""
    figure = new_figure((14, 8.5) if traces else (9, 4.8))
    grid = figure.add_gridspec(2 if traces else 1, 2)
    _signal(figure.add_subplot(grid[0, 0]), signals, signals.rephasing.real, "rephasing, real")
    if traces:
        _traces(figure.add_subplot(grid[0, 1]), traces)
        _beats(figure.add_subplot(grid[1, 0]), traces)
        _spectra(figure.add_subplot(grid[1, 1]), traces)
    else:
        shown = signals.nonrephasing.real
        _signal(figure.add_subplot(grid[0, 1]), signals, shown, "non-rephasing, real")
    figure.suptitle(f"{title}, t1 = {signals.t1_fs:g} fs", fontsize=13, x=0.01, ha="left")
    figure.savefig(path)


def _signal(axes: Axes, s: T2Signals, values: np.ndarray, title: str) -> None:
    reach = float(np.abs(values).max()) or 1.0
    if len(s.t2_fs) == 1:
        axes.plot(s.w3_cm / 1e3, values[0] / reach, lw=1.2, color=TRACE_COLOUR)
        name_axes(axes, "detection ω3 (10³ cm⁻¹)", "signal / largest", title)
        return
    mesh = axes.pcolormesh(
        s.t2_fs, s.w3_cm / 1e3, values.T / reach, cmap=MAP_COLOURS, vmin=-1, vmax=1, rasterized=True
    )
    axes.figure.colorbar(mesh, ax=axes, label="signal / largest")
    name_axes(axes, "t2 (fs)", "detection ω3 (10³ cm⁻¹)", title)


def _traces(axes: Axes, found: T2Traces) -> None:
    t2 = found.signals.t2_fs
    for trace, colour in zip(found.traces, TRACE_COLOURS, strict=False):
        label = f"ω3 = {trace.w3_cm:.0f} cm⁻¹"
        axes.plot(t2, trace.signal.real, "o", ms=2.5, color=colour, label=label)
        axes.plot(t2, trace.fitted.real, lw=1, color=colour)
    axes.axhline(0, lw=0.8, color="0.7")
    axes.margins(y=0.2)
    axes.legend(frameon=False, fontsize=9, ncol=2, loc="upper right")
    name_axes(axes, "t2 (fs)", "Re R (√counts)", "traces, lines: global fit")


def _beats(axes: Axes, found: T2Traces) -> None:
    mesh = axes.pcolormesh(
        found.beating.w2_cm,
        found.signals.w3_cm / 1e3,
        np.abs(found.beating.spectrum).T,
        cmap=BEAT_COLOURS,
        vmin=0,
        rasterized=True,
    )
    axes.figure.colorbar(mesh, ax=axes, label="amplitude (√counts)")
    axes.set_xlim(-WIDEST_CM, WIDEST_CM)
    name_axes(axes, "ω2 (cm⁻¹)", "detection ω3 (10³ cm⁻¹)", "beats")


def _spectra(axes: Axes, found: T2Traces) -> None:
    for trace, colour in zip(found.traces, TRACE_COLOURS, strict=False):
        axes.plot(found.beating.w2_cm, np.abs(trace.spectrum), lw=1.2, color=colour)
    for beat in found.fit.beats:
        time = beat.dephasing_fs
        told = f"{beat.w2_cm.value:+.0f} cm⁻¹: {told_time(time.value, time.error)}"
        axes.axvline(beat.w2_cm.value, lw=0.8, ls=":", color=TRACE_COLOUR, label=told)
    axes.legend(frameon=False, fontsize=9, title="global fit: dephasing (fs)", loc="upper right")
    axes.set_xlim(-WIDEST_CM, WIDEST_CM)
    axes.set_ylim(bottom=0)
    name_axes(axes, "ω2 (cm⁻¹)", "amplitude (√counts)", "spectra of the traces")
