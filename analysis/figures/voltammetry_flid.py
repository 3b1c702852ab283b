"""The picture of a voltammetry-FLID run: intensity over bias, FLID, decays, voltammogram."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from numpy.typing import NDArray

from ..cycles import MIN_CYCLES_FOR_SCATTER
from ..voltammetry_flid import FlidPoints, VoltammetryFlidResult
from .cycles import draw_cycles
from .style import BIAS_COLOUR, BIAS_MAP, TRACE_COLOUR, name_axes, new_figure

Sweep = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]
"""Potential (V), current (A), overload flag of one recorded sweep."""

X0_COLOUR, X_MINUS_COLOUR = "#1f4e9c", "#c0392b"
DECAY_BIN_NS = 1.0
MOST_RAMPS = 40
"""With more cycles the ramps of the bias would be one solid block and are not drawn."""
MOST_POINTS = 20_000
"""Points of the FLID that are drawn: evenly chosen where there are more."""


def draw_voltammetry_flid(
    path: Path, result: VoltammetryFlidResult, sweeps: Sequence[Sweep], *, title: str, reference: str
) -> None:
    """Draw intensity over the bias ramp, FLID coloured by bias, decays of X0 and X-, and voltammogram."""
    cycles = result.cycle_average
    many = cycles is not None and cycles.cycles >= MIN_CYCLES_FOR_SCATTER
    figure = new_figure((13, 12.2 if many else 8.2))
    parts = figure.add_gridspec(3 if many else 2, 1, height_ratios=(1, 1.5, 1.3)[: 3 if many else 2])
    top, bottom = figure.add_subfigure(parts[0]), figure.add_subfigure(parts[1])
    _trace(top.subplots(), result, reference)
    flid, decays, voltammogram = bottom.subplots(1, 3, width_ratios=(1.75, 1, 1))
    _flid(flid, result, reference)
    _decays(decays, result)
    _voltammogram(voltammogram, sweeps, reference)
    if many and cycles is not None:
        draw_cycles(figure.add_subfigure(parts[2]), cycles, result.charge, reference)
    ended = "" if result.status == "finished" else f" – run {result.status}"
    figure.suptitle(f"{title}{ended}", fontsize=13, x=0.01, ha="left")
    figure.savefig(path)


# ---- panels of the voltammetry-FLID picture ----


def _trace(axes: Axes, result: VoltammetryFlidResult, reference: str) -> None:
    trace = result.trace_hz
    coarse = max(1, len(trace) // 6000)
    trace = trace[: len(trace) // coarse * coarse].reshape(-1, coarse).mean(axis=1)
    bin_s = result.trace_bin_s * coarse
    time_s = np.arange(len(trace)) * bin_s
    axes.plot(time_s, trace / 1e3, lw=0.5, color=TRACE_COLOUR)
    axes.set_xlim(0, result.duration_s)
    axes.set_ylim(bottom=0)
    title = f"intensity ({bin_s * 1e3:.0f} ms bins)"
    if result.cycles > MOST_RAMPS:
        name_axes(axes, "time (s)", "intensity (kc/s)", title)
        return
    name_axes(axes, "time (s)", "intensity (kc/s)", f"{title} and bias")
    bias = axes.twinx()
    for points in (result.hold_flid, result.flid):
        for cycle in np.unique(points.cycle):
            own = points.cycle == cycle
            bias.plot(points.time_s[own], points.potential_v[own], color=BIAS_COLOUR, lw=1.6)
    bias.set_ylabel(f"bias (V vs. {reference})", color=BIAS_COLOUR)
    bias.tick_params(axis="y", colors=BIAS_COLOUR)


def _flid(axes: Axes, result: VoltammetryFlidResult, reference: str) -> None:
    background_hz = result.background.rate_hz
    hold = _shown(result.hold_flid, background_hz)
    axes.scatter(*hold[:2], s=5, color="#bbbbbb", lw=0, label="hold", zorder=1)
    lifetime, rate, potential = _shown(result.flid, background_hz)
    points = axes.scatter(lifetime, rate, c=potential, s=7, lw=0, cmap=BIAS_MAP, zorder=2)
    if result.scaling:
        curve = result.scaling
        reach = curve.lifetime_ns > 0.4
        label = "scaling law"
        if result.auger_ratio:
            label += rf", $\gamma_A/\gamma_0$ = {result.auger_ratio.value:.2f}"
        axes.plot(
            curve.lifetime_ns[reach], curve.rate_hz[reach] / 1e3, "o-", ms=3.5, lw=1, color="black", zorder=3,
            label=label,
        )  # fmt: skip
        for n in (1, 2, 3, 5):
            name = ("X0", "X-")[n - 1] if n < 3 else f"X{n - 1}-"
            axes.annotate(
                name, (curve.lifetime_ns[n - 1], curve.rate_hz[n - 1] / 1e3), xytext=(4, -12),
                textcoords="offset points", fontsize=9,
            )  # fmt: skip
    if vertex := result.at_vertex:
        axes.errorbar(
            vertex.lifetime_ns, vertex.net_rate_hz / 1e3, xerr=vertex.lifetime_err_ns,
            yerr=vertex.net_rate_err_hz / 1e3, fmt="s", ms=5, color="red", zorder=4,
            label=f"last {vertex.window_v * 1e3:.0f} mV before {vertex.potential_v:g} V",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(0.3, 300)
    axes.set_ylim(0.5, 80)
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    name_axes(
        axes, "lifetime (ns)", "intensity, background subtracted (kc/s)",
        f"FLID, {result.flid_bin_s * 1e3:g} ms bins",
    )  # fmt: skip
    if len(potential):
        bar: Colorbar = axes.figure.colorbar(points, ax=axes, pad=0.02)
        bar.set_label(f"bias (V vs. {reference})")


def _shown(points: FlidPoints, background_hz: float) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Lifetime (ns), net rate (kc/s) and potential of the points that a logarithmic plot can show."""
    net = points.rate_hz - background_hz
    good = np.flatnonzero(np.isfinite(points.lifetime_ns) & (net > 0))
    good = good[:: -(-len(good) // MOST_POINTS) or 1]
    return points.lifetime_ns[good], net[good] / 1e3, points.potential_v[good]


def _decays(axes: Axes, result: VoltammetryFlidResult) -> None:
    states = [
        (s, c) for s, c in ((result.states.x0, X0_COLOUR), (result.states.x_minus, X_MINUS_COLOUR)) if s
    ]
    for state, colour in states:
        curve = result.state_decay(state, DECAY_BIN_NS)
        if curve is None:
            continue
        scale = curve.counts.max()
        label = f"{state.name}: {state.lifetime_ns:.1f} ± {state.lifetime_err_ns:.1f} ns"
        axes.semilogy(curve.micro_time_ns, curve.counts / scale, ".", ms=2, color=colour, label=label)
        axes.semilogy(curve.micro_time_ns, curve.fit_counts / scale, lw=1, color=colour)
    if states:
        axes.legend(frameon=False, fontsize=9, handlelength=1)
        axes.set_ylim(1e-3, 2)
    else:
        axes.text(0.5, 0.5, "no state found in the hold", transform=axes.transAxes, ha="center")
    name_axes(axes, "delay (ns)", f"normalized counts ({DECAY_BIN_NS:g} ns bins)", "decays of X0 and X-")


def _voltammogram(axes: Axes, sweeps: Sequence[Sweep], reference: str) -> None:
    for potential_v, current_a, overload in sweeps:
        axes.plot(potential_v, current_a * 1e6, lw=0.9, color=TRACE_COLOUR, alpha=0.8)
        if overload.any():
            axes.plot(
                potential_v[overload], current_a[overload] * 1e6, ".", ms=3, color="red", label="overload"
            )
    if not sweeps:
        axes.text(0.5, 0.5, "no current recorded", transform=axes.transAxes, ha="center")
    axes.axhline(0, lw=0.5, color="grey")
    name_axes(axes, f"bias (V vs. {reference})", "current (µA, anodic positive)", "voltammogram")
