"""The picture of a static-bias run: trace, FLID, decays, and what depends on the potential."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from ..scaling import Ratio
from ..static_bias import StaticBiasResult
from .style import BIAS_COLOUR, BIAS_MAP, TRACE_COLOUR, name_axes, new_figure

RGBA = tuple[float, float, float, float]
DECAY_BIN_NS = 0.5
SHOWN_NS = 300.0


def draw_static_bias(path: Path, result: StaticBiasResult, *, title: str, reference: str) -> None:
    """Draw the intensity over time, FLID and decays coloured by potential, and numbers against potential."""
    figure = new_figure((13, 11))
    rows = figure.add_gridspec(3, 1, height_ratios=(0.8, 1.3, 1))
    top, middle, bottom = (figure.add_subfigure(row) for row in rows)
    _trace(top.subplots(), result, reference)
    flid, decays = middle.subplots(1, 2, width_ratios=(1.2, 1))
    _flid(flid, result, reference)
    _decays(decays, result)
    lifetimes, pairs, electrons = bottom.subplots(1, 3)
    bias = f"bias (V vs. {reference})"
    _lifetimes_and_rates(lifetimes, result, bias)
    _antibunching(pairs, result, bias)
    _electrons(electrons, result, bias)
    ended = "" if result.status == "finished" else f" – run {result.status}"
    figure.suptitle(f"{title}{ended}", fontsize=13, x=0.01, ha="left")
    figure.savefig(path)


def _colours(result: StaticBiasResult) -> list[RGBA]:
    """One colour per hold, in the order of the potentials: they are seldom evenly spaced."""
    held = [at.hold.potential_v for at in result.potentials]
    distinct = sorted(set(held))
    return [colormaps[BIAS_MAP](distinct.index(v) / max(1, len(distinct) - 1)) for v in held]


def _trace(axes: Axes, result: StaticBiasResult, reference: str) -> None:
    coarse = max(1, len(result.trace_hz) // 6000)
    trace = result.trace_hz[: len(result.trace_hz) // coarse * coarse].reshape(-1, coarse).mean(axis=1)
    bin_s = result.trace_bin_s * coarse
    axes.plot(np.arange(len(trace)) * bin_s, trace / 1e3, lw=0.5, color=TRACE_COLOUR)
    axes.set_xlim(0, result.duration_s)
    axes.set_ylim(bottom=0)
    name_axes(axes, "time (s)", "intensity (kc/s)", f"intensity ({bin_s * 1e3:.0f} ms bins) and bias")
    bias = axes.twinx()
    for at in result.potentials:
        bias.plot([at.hold.start_s, at.hold.end_s], [at.hold.potential_v] * 2, color=BIAS_COLOUR, lw=2)
    bias.set_ylabel(f"bias (V vs. {reference})", color=BIAS_COLOUR)
    bias.tick_params(axis="y", colors=BIAS_COLOUR)


def _flid(axes: Axes, result: StaticBiasResult, reference: str) -> None:
    for at, colour in zip(result.potentials, _colours(result), strict=True):
        net_hz = at.flid.rate_hz - result.background.rate_hz
        good = np.isfinite(at.flid.lifetime_ns) & (net_hz > 0)
        axes.scatter(at.flid.lifetime_ns[good], net_hz[good] / 1e3, s=4, lw=0, alpha=0.35, color=colour)
        axes.plot(
            at.lifetime_ns.value, at.net_rate_hz.value / 1e3, "s", ms=6, mec="black", mew=0.8,
            color=colour, label=f"{at.hold.potential_v:g} V",
        )  # fmt: skip
    if result.scaling is not None:
        axes.plot(
            result.scaling.lifetime_ns, result.scaling.rate_hz / 1e3, "o-", ms=3, lw=1, color="black",
            label="Eqs. 1-2",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(0.3, 300)
    axes.set_ylim(0.5, 80)
    axes.legend(frameon=False, fontsize=8, loc="upper left", ncols=2)
    name_axes(
        axes, "lifetime (ns)", "intensity, background subtracted (kc/s)",
        f"FLID ({result.flid_bin_s * 1e3:g} ms bins) and the mean of each hold",
    )  # fmt: skip


def _decays(axes: Axes, result: StaticBiasResult) -> None:
    group = max(1, round(DECAY_BIN_NS / result.resolution_ns))
    for at, colour in zip(result.potentials, _colours(result), strict=True):
        counts = at.decay[: len(at.decay) // group * group].reshape(-1, group).sum(axis=1)
        time_ns = np.arange(len(counts)) * group * result.resolution_ns
        shown = counts / max(1, counts.max())
        axes.semilogy(time_ns, np.where(shown > 0, shown, np.nan), lw=0.8, color=colour)
    axes.set_xlim(0, min(SHOWN_NS, result.period_ns))
    axes.set_ylim(1e-4, 2)
    name_axes(axes, "delay (ns)", f"normalized counts ({DECAY_BIN_NS:g} ns bins)", "decays")


def _lifetimes_and_rates(axes: Axes, result: StaticBiasResult, bias: str) -> None:
    _points(axes, result, [at.lifetime_ns for at in result.potentials], "o", TRACE_COLOUR)
    _plain_log_scale(axes)
    name_axes(axes, bias, "lifetime (ns)", "lifetime and intensity")
    rates = axes.twinx()
    net_khz = [Ratio(at.net_rate_hz.value / 1e3, at.net_rate_hz.error / 1e3) for at in result.potentials]
    _points(rates, result, net_khz, "s", BIAS_COLOUR)
    _plain_log_scale(rates)
    rates.set_ylabel("net intensity (kc/s)", color=BIAS_COLOUR)
    rates.tick_params(axis="y", which="both", colors=BIAS_COLOUR)


def _antibunching(axes: Axes, result: StaticBiasResult, bias: str) -> None:
    g2 = [at.antibunching for at in result.potentials]
    _points(axes, result, [a.window for a in g2], "o", TRACE_COLOUR, "± T/2 window")
    _points(axes, result, [a.background_corrected for a in g2], "s", BIAS_COLOUR, "sync, no background")
    axes.axhline(0.5, color="grey", ls="--", lw=1)
    axes.set_ylim(0, 1.2)
    axes.legend(frameon=False, fontsize=9)
    name_axes(axes, bias, "g2(0)", "antibunching")


def _electrons(axes: Axes, result: StaticBiasResult, bias: str) -> None:
    charges = [at.charge if at.charge and at.charge.holds else None for at in result.potentials]
    means = [
        c and at.distribution and at.distribution.mean
        for c, at in zip(charges, result.potentials, strict=True)
    ]
    _points(axes, result, means, "o", TRACE_COLOUR, "from the whole decay")
    for name, marker, label in (
        ("from_lifetime", "v", "from the mean lifetime"),
        ("from_intensity", "^", "from the mean intensity"),
    ):
        _points(axes, result, [c and getattr(c, name) for c in charges], marker, BIAS_COLOUR, label)
    if any(means):
        axes.legend(frameon=False, fontsize=9)
    else:
        axes.text(0.5, 0.5, "no X0 and X- to compare with", transform=axes.transAxes, ha="center")
    name_axes(axes, bias, "extra electrons", "charge where Eqs. 1-2 hold")


def _points(
    axes: Axes,
    result: StaticBiasResult,
    ratios: Sequence[Ratio | None],
    marker: str,
    colour: str,
    label: str | None = None,
) -> None:
    """Points with error bars against the potential; what is None is left out."""
    shown = [
        (at.hold.potential_v, r.value, r.error) for at, r in zip(result.potentials, ratios, strict=True) if r
    ]
    held = [at.hold.potential_v for at in result.potentials]
    if held:
        axes.set_xlim(min(held) - 0.1, max(held) + 0.1)
    columns: NDArray[np.float64] = np.array(shown, np.float64).reshape(-1, 3).T
    axes.errorbar(columns[0], columns[1], columns[2], fmt=marker, ms=5, lw=1, color=colour, label=label)


def _plain_log_scale(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
