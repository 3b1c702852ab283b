"""Pictures of confocal images: the field with the spots found in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from ..charging import ChargingCurve
from ..confocal import Spot
from ..found_dots import SINGLE_BELOW, FoundDot
from ..scan_image import ScanImage
from .style import BIAS_COLOUR, TRACE_COLOUR, name_axes, new_figure

IMAGE_MAP = "inferno"
MARK_COLOUR, SINGLE_COLOUR = "#35a7dd", "#2fb84f"
_CIRCLE_UM = 0.25
_CHARGING = {True: "charges", False: "does not charge", None: "not known"}


def draw_confocal(path: Path, image: ScanImage, spots: Sequence[Spot], *, title: str, status: str) -> None:
    """Draw the rate over the field, with a numbered circle about each spot."""
    height, width = _extent(image)
    figure = new_figure((9.0, float(np.clip(9.0 * height / width + 1.2, 3.2, 11.0))))
    axes = figure.subplots()
    shown = image_panel(axes, image)
    figure.colorbar(shown, ax=axes, label="intensity (kc/s)", shrink=0.9, aspect=35, pad=0.02)
    for k, spot in enumerate(spots, start=1):
        mark(axes, spot.fast_um, spot.slow_um, str(k))
    ended = "" if status == "finished" else f" – run {status}"
    found = f"{len(spots)} spots" if len(spots) != 1 else "1 spot"
    name_axes(axes, "x (µm)", "y (µm)", f"{title}{ended}: {found}")
    figure.savefig(path)


def draw_dots(
    path: Path, image: ScanImage, dots: Sequence[FoundDot], chosen: int | None, *, title: str, status: str
) -> None:
    """Draw the field with its dots, single ones in green, the chosen one filled, and rate against g2(0)."""
    height, width = _extent(image)
    figure = new_figure((13.0, float(np.clip(7.0 * height / width + 1.0, 4.0, 10.0))))
    field, scatter = figure.subplots(1, 2, width_ratios=(1.9, 1))
    shown = image_panel(field, image)
    figure.colorbar(shown, ax=field, label="intensity (kc/s)", shrink=0.9, aspect=35, pad=0.02)
    for k, dot in enumerate(dots):
        name = f"{k + 1}" + (" chosen" if k == chosen else "")
        mark(
            field,
            float(dot.position_um[0]),
            float(dot.position_um[1]),
            name,
            SINGLE_COLOUR if dot.single else MARK_COLOUR,
        )
    ended = "" if status == "finished" else f" – run {status}"
    name_axes(field, "x (µm)", "y (µm)", f"{title}{ended}: {len(dots)} dots")
    for k, dot in enumerate(dots):
        if dot.g2 is None:
            continue
        colour = SINGLE_COLOUR if dot.single else MARK_COLOUR
        filled = {} if k == chosen else {"mfc": "white"}
        rate, error = dot.rate_hz / 1e3, dot.rate_err_hz / 1e3
        scatter.errorbar(rate, dot.g2.value, dot.g2.error, error, "o", color=colour, **filled)
        scatter.annotate(
            str(k + 1), (rate, dot.g2.value), xytext=(6, 4), textcoords="offset points", fontsize=9
        )
    scatter.axhline(SINGLE_BELOW, color="#888888", lw=1, ls="--")
    scatter.set_xlim(left=0)
    scatter.set_ylim(0, max([0.6, *(1.15 * dot.g2.value for dot in dots if dot.g2)]))
    scatter.margins(x=0.1)
    name_axes(scatter, "intensity (kc/s)", "g2(0), background subtracted", "green: one dot alone")
    figure.savefig(path)


def draw_survey(
    path: Path,
    image: ScanImage,
    dots: Sequence[FoundDot],
    curves: Mapping[int, ChargingCurve],
    *,
    title: str,
    status: str,
    reference: str,
) -> None:
    """Draw the field with its dots, and the lifetime of each against its bias; charging dots in orange."""
    height, width = _extent(image)
    figure = new_figure((13.5, float(np.clip(6.0 * height / width + 1.0, 4.2, 10.0))))
    field, lifetimes = figure.subplots(1, 2, width_ratios=(1.15, 1))
    shown = image_panel(field, image)
    figure.colorbar(shown, ax=field, label="intensity (kc/s)", shrink=0.9, aspect=35, pad=0.02)
    for k, dot in enumerate(dots):
        colour = _charging_colour(curves[k].charges) if k in curves else MARK_COLOUR
        mark(field, float(dot.position_um[0]), float(dot.position_um[1]), str(k + 1), colour)
    ended = "" if status == "finished" else f" – run {status}"
    name_axes(field, "x (µm)", "y (µm)", f"{title}{ended}")
    for curve in curves.values():
        colour = _charging_colour(curve.charges)
        lifetimes.errorbar(
            curve.potential_v, curve.lifetime_ns, curve.lifetime_err_ns, fmt=".-", lw=1, ms=5, color=colour
        )
    kinds = {curve.charges for curve in curves.values()}
    for charges, text in _CHARGING.items():
        if charges in kinds:
            lifetimes.plot([], [], ".-", color=_charging_colour(charges), label=text)
    lifetimes.legend(frameon=False, loc="lower right")
    lifetimes.set_yscale("log")
    charging = sum(bool(curve.charges) for curve in curves.values())
    name_axes(
        lifetimes,
        f"bias (V vs. {reference})",
        "lifetime (ns), median of the sweeps",
        f"{charging} of {len(curves)} dots charge",
    )
    figure.savefig(path)


def _charging_colour(charges: bool | None) -> str:
    return {True: BIAS_COLOUR, False: MARK_COLOUR, None: TRACE_COLOUR}[charges]


def image_panel(axes: Axes, image: ScanImage) -> AxesImage:
    """Show the rate of an image in kc/s."""
    grid = image.grid
    axes.set_facecolor("#777777")
    extent = (grid.fast_um[0], grid.fast_um[-1], grid.slow_um[0], grid.slow_um[-1])
    shown = axes.imshow(
        image.rate_hz / 1e3, extent=extent, origin="lower", cmap=IMAGE_MAP, vmin=0, aspect="equal"
    )
    axes.set_autoscale_on(False)
    return shown


def mark(axes: Axes, x_um: float, y_um: float, text: str, colour: str = MARK_COLOUR) -> None:
    """Put a circle with a name about a spot; the name stands where there is room in the field."""
    angle = np.linspace(0, 2 * np.pi, 60)
    axes.plot(x_um + _CIRCLE_UM * np.cos(angle), y_um + _CIRCLE_UM * np.sin(angle), lw=1.2, color=colour)
    right, top = axes.get_xlim()[1] - x_um > 4 * _CIRCLE_UM, axes.get_ylim()[1] - y_um > 2 * _CIRCLE_UM
    axes.annotate(
        text,
        (x_um + _CIRCLE_UM * (0.75 if right else -0.75), y_um + _CIRCLE_UM * (0.75 if top else -0.75)),
        color=colour,
        fontsize=9,
        ha="left" if right else "right",
        va="bottom" if top else "top",
        annotation_clip=True,
    )


def _extent(image: ScanImage) -> tuple[float, float]:
    return (
        float(image.grid.slow_um[-1] - image.grid.slow_um[0]),
        float(image.grid.fast_um[-1] - image.grid.fast_um[0]),
    )
