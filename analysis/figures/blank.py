"""The picture of a blank: counts over time, decay of the laser background, gaps between counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from ..blank import BlankResult
from .style import BIAS_COLOUR, TRACE_COLOUR, name_axes, new_figure

_SHOWN_NS = (-2.0, 6.0)
_GAP_BIN_NS = 10.0


def draw_blank(path: Path, result: BlankResult, *, title: str) -> None:
    """Draw the counts over time, the decay around the pulse with its fit, and the gaps between counts."""
    figure = new_figure((13, 4.2))
    trace, decay, gaps = figure.subplots(1, 3, width_ratios=(1.2, 1.3, 1))
    _trace(trace, result)
    _decay(decay, result)
    _gaps(gaps, result)
    ended = "" if result.status == "finished" else f" – run {result.status}"
    figure.suptitle(f"{title}{ended}", fontsize=13, x=0.01, ha="left")
    figure.savefig(path)


def _trace(axes: Axes, result: BlankResult) -> None:
    axes.step(np.arange(len(result.trace_hz)), result.trace_hz, where="post", lw=0.8, color=TRACE_COLOUR)
    axes.axvspan(0, result.dark_s, color="black", alpha=0.12, lw=0, label="laser locked")
    axes.set_xlim(0, len(result.trace_hz))
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, loc="upper left")
    name_axes(axes, "time (s)", "counts per second", "both detectors, 1 s bins")


def _decay(axes: Axes, result: BlankResult) -> None:
    fit = result.prompt
    if fit is None:
        axes.text(0.5, 0.5, "too few counts to fit", transform=axes.transAxes, ha="center")
    else:
        widths_ns = np.diff(fit.edges_ns)
        centres_ns = fit.edges_ns[:-1] + 0.5 * widths_ns
        zero_ns = fit.time_zero_ns.value
        shown = (centres_ns > zero_ns + _SHOWN_NS[0]) & (centres_ns < zero_ns + _SHOWN_NS[1])
        counts = np.where(fit.counts > 0, fit.counts / widths_ns, np.nan)
        axes.semilogy(centres_ns[shown], counts[shown], ".", ms=3, color=TRACE_COLOUR, label="laser on")
        axes.stairs(
            (fit.model / widths_ns)[shown], np.append(fit.edges_ns[:-1][shown], fit.edges_ns[1:][shown][-1:]),
            baseline=None, lw=1.2, color=BIAS_COLOUR,
            label=f"{fit.lifetime_ns.value:.2f} ns behind {fit.irf_fwhm_ns.value:.2f} ns (FWHM)",
        )  # fmt: skip
        axes.axvline(zero_ns, lw=0.8, ls="--", color="grey", label=f"time zero, {zero_ns:.3f} ns")
        axes.legend(frameon=False, fontsize=9)
    name_axes(axes, "micro time (ns)", "counts per ns", "laser background")


def _gaps(axes: Axes, result: BlankResult) -> None:
    after = result.afterpulsing
    if after is None or not len(after.gaps_ns):
        axes.text(0.5, 0.5, "no close pairs of counts", transform=axes.transAxes, ha="center")
    else:
        window_ns = np.ceil(after.gaps_ns.max() / _GAP_BIN_NS) * _GAP_BIN_NS
        edges_ns = np.arange(0.0, window_ns + _GAP_BIN_NS, _GAP_BIN_NS)
        axes.hist(after.gaps_ns, edges_ns.tolist(), color=TRACE_COLOUR, alpha=0.6)
        if after.lifetime_ns:
            lifetime_ns, excess = after.lifetime_ns.value, after.pairs - after.chance_pairs
            late_ns = np.linspace(after.delay_ns, window_ns, 300)
            density = excess / lifetime_ns * np.exp(-(late_ns - after.delay_ns) / lifetime_ns)
            axes.plot(
                late_ns, density * _GAP_BIN_NS, lw=1.2, color=BIAS_COLOUR,
                label=f"{after.probability.value:.2%}, {lifetime_ns:.0f} ns",
            )  # fmt: skip
            axes.legend(frameon=False)
    name_axes(
        axes, "gap to the next count of the detector (ns)", f"pairs per {_GAP_BIN_NS:g} ns", "afterpulsing"
    )
