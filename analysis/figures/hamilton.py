"""The figures of the dimer paper from the twin: ensembles and levels, beating maps, traces along t2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ..twodes.coherences import Coherences, Trace, both_signs
from ..twodes.global_fit import GlobalFit
from ..twodes.spectra import Maps
from .style import TRACE_COLOUR, name_axes, new_figure
from .twodes import SHOWN_T2_FS, TRACE_COLOURS, draw_beating_map, draw_signed_map

SIZE_COLOURS = "viridis"


@dataclass(frozen=True)
class SizeMap:
    """Numbers of ensembles over their mean size and dispersion."""

    mean_nm: NDArray[np.floating]
    dispersion: NDArray[np.floating]
    numbers: Mapping[str, NDArray[np.floating]]
    """By name, shape (dispersion, mean)."""


class TraceAt(NamedTuple):
    """A trace at the address of a coherence, the same without instruments, and what was fitted to it."""

    name: str
    trace: Trace
    clean: Trace
    fit: GlobalFit


Diagonal = tuple[NDArray[np.floating], NDArray[np.floating]]


def draw_ensembles(path: Path, sizes: SizeMap, diagonals: Mapping[str, Diagonal]) -> None:
    """Figure 2: maps over size and dispersion (computed), and the measured diagonals of the samples."""
    figure = new_figure((16, 4.2))
    all_axes = figure.subplots(1, 1 + len(sizes.numbers))
    for axes, (name, values) in zip(all_axes, sizes.numbers.items(), strict=False):
        mesh = axes.pcolormesh(
            sizes.mean_nm, 100 * sizes.dispersion, values, cmap=SIZE_COLOURS, shading="nearest"
        )
        lines = axes.contour(sizes.mean_nm, 100 * sizes.dispersion, values, colors="w", linewidths=0.7)
        axes.clabel(lines, fontsize=7)
        figure.colorbar(mesh, ax=axes)
        name_axes(axes, "mean diameter (nm)", "dispersion (%)", f"{name}, computed")
    for (label, (axis, along)), colour in zip(diagonals.items(), TRACE_COLOURS, strict=False):
        all_axes[-1].plot(axis / 1e3, along, color=colour, label=label)
    all_axes[-1].legend(fontsize=8, frameon=False, loc="upper right")
    all_axes[-1].set_ylim(top=1.3)
    name_axes(all_axes[-1], "ω1 = ω3 (10³ cm⁻¹)", "rephasing signal / largest", "diagonal on the twin")
    figure.savefig(path)


def draw_beats(path: Path, samples: Mapping[str, tuple[Maps, Coherences]]) -> None:
    """Figure 3: for each sample its absorptive map and the beating maps, these on one scale."""
    figure = new_figure((15, 4.1 * len(samples)))
    rows = figure.subfigures(len(samples), 1, squeeze=False)[:, 0]
    for row, (label, (maps, found)) in zip(rows, samples.items(), strict=True):
        all_axes = row.subplots(1, 1 + len(found.maps), sharey=True)
        k = min(int(np.searchsorted(maps.t2_fs, SHOWN_T2_FS)), len(maps.t2_fs) - 1)
        draw_signed_map(
            all_axes[0], maps, maps.absorptive[k], f"{label}: absorptive, t2 = {maps.t2_fs[k]:.0f} fs"
        )
        top = max(float(beat.amplitude.max()) for beat in found.maps)
        meshes = [
            draw_beating_map(axes, maps, beat, highest=top)
            for axes, beat in zip(all_axes[1:], found.maps, strict=True)
        ]
        row.colorbar(meshes[-1], ax=all_axes, label="amplitude (arb. units)", shrink=0.8)
    figure.savefig(path)


def draw_traces(path: Path, samples: Mapping[str, Sequence[TraceAt]]) -> None:
    """Figure 4: for each sample and coherence the trace at its address, and the trace's spectrum."""
    figure = new_figure((7.5 * len(samples), 9))
    columns = figure.subfigures(1, len(samples), squeeze=False)[0]
    for column, (label, traces) in zip(columns, samples.items(), strict=True):
        all_axes = column.subplots(len(traces), 2, width_ratios=(1.8, 1), squeeze=False)
        for (left, right), each, colour in zip(all_axes, traces, TRACE_COLOURS, strict=False):
            _trace(left, each, colour)
            _spectrum(right, each, colour)
        column.suptitle(label)
    figure.savefig(path)


def _trace(axes: Axes, each: TraceAt, colour: str) -> None:
    trace, beats = each.trace, each.fit.beats
    axes.plot(trace.t2_fs, trace.signal.real, ".", ms=3, color=colour, label="measured on the twin")
    axes.plot(trace.t2_fs, _clean(each).real, lw=0.9, color=TRACE_COLOUR, label="without instruments")
    fitted = each.fit.model(trace.t2_fs)
    axes.plot(trace.t2_fs, fitted.real, "--", lw=1.1, color=colour, label="fitted")
    axes.legend(fontsize=7, frameon=False, ncols=3, loc="upper right")
    low, high = float(trace.signal.real.min()), float(trace.signal.real.max())
    axes.set_ylim(low - 0.1 * (high - low), high + 0.3 * (high - low))
    found = f"{beats[0].w2_cm.value:+.0f} cm⁻¹, {beats[0].dephasing_fs.value:.0f} fs"
    if len(beats) > 1:
        both = both_signs(each.fit, 0)
        found = f"±{both.w2_cm:.0f} cm⁻¹, {both.dephasing_fs:.0f} fs"
    title = f"{each.name} at ({trace.w1_cm:.0f}, {trace.w3_cm:.0f}): {found}"
    name_axes(axes, "t2 (fs)", "Re R (arb. units)", title)


def _spectrum(axes: Axes, each: TraceAt, colour: str) -> None:
    w2 = each.trace.spectrum.w2_cm
    scale = abs(_scale(each))
    axes.plot(w2, np.abs(each.trace.spectrum.spectrum), color=colour)
    axes.plot(w2, scale * np.abs(each.clean.spectrum.spectrum), lw=0.9, color=TRACE_COLOUR)
    axes.set_xlim(-1400, 1400)
    name_axes(axes, "ω2 (cm⁻¹)", "amplitude (arb. units)", "")


def _clean(each: TraceAt) -> NDArray[np.complexfloating]:
    """On the scale of the measured one."""
    return each.clean.signal * _scale(each)


def _scale(each: TraceAt) -> complex:
    clean = each.clean.signal
    return complex(np.vdot(clean, each.trace.signal) / np.vdot(clean, clean))
