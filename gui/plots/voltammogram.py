"""Current against potential, sweeps forward and back in their own colours."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from qtpy import QtWidgets

from .plot import BOTTOM_RIGHT, Plot

UNITS = (("mA", 1e3), ("µA", 1e6), ("nA", 1e9), ("pA", 1e12))


class Sweep(NamedTuple):
    """Potential and current of one recorded sweep, and where the amplifier was overloaded."""

    potential_v: NDArray[np.float64]
    current_a: NDArray[np.float64]
    overload: NDArray[np.bool_] | None = None


class Voltammogram(Plot):
    """Current (anodic positive) in the unit that suits it, against the potential.

    Curves: `forward` (away from where a sweep begins), `backward`, `overload`.
    """

    def __init__(self, reference: str = "", parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__("potential (V)", "current (µA)", legend=BOTTOM_RIGHT, parent=parent)
        self.unit = "µA"
        self.item.addLine(y=0.0, pen={"color": "#888888", "width": 1})
        self.set_reference(reference)

    def set_reference(self, electrode: str) -> None:
        """Name the reference electrode of the potential."""
        self.name_axis("bottom", f"potential (V vs. {electrode})" if electrode else "potential (V)")

    def show_sweeps(self, sweeps: list[Sweep]) -> None:
        """Show whole sweeps; their first direction is forward."""
        self._choose_unit([sweep.current_a for sweep in sweeps])
        parts: dict[str, list[NDArray[np.float64]]] = {"forward": [], "backward": [], "overload": []}
        for sweep in sweeps:
            points = np.column_stack([sweep.potential_v, sweep.current_a * dict(UNITS)[self.unit]])
            forward = _forward(sweep.potential_v)
            for name, mine in (("forward", forward), ("backward", ~forward)):
                parts[name] += [np.where(mine[:, None], points, np.nan), np.full((1, 2), np.nan)]
            if sweep.overload is not None:
                parts["overload"].append(points[sweep.overload])
        for name, pen, style in (
            ("forward", "x0", {"connect": "finite"}),
            ("backward", "x_minus", {"connect": "finite"}),
            ("overload", "warning", {"symbol": "o", "symbolSize": 5}),
        ):
            x, y = np.concatenate([np.empty((0, 2)), *parts[name]]).T
            if len(x) or name in self.curves():
                self.draw(name, x, y, pen, width=0.0 if "symbol" in style else 1.8, legend=name, **style)
        self._fit([s.potential_v for s in sweeps], [s.current_a * dict(UNITS)[self.unit] for s in sweeps])

    def show_sweep(self, potential_v: ArrayLike, current_a: ArrayLike) -> None:
        """Show one sweep as it arrives: potential in V and current in A, arrays of one length."""
        self.show_sweeps([Sweep(np.asarray(potential_v, float), np.asarray(current_a, float))])

    def _choose_unit(self, currents_a: list[NDArray[np.float64]]) -> None:
        """The unit in which the largest current is 0.5 or more; it is kept until that is far off."""
        highest = max((float(np.abs(c).max()) for c in currents_a if len(c)), default=0.0)
        if highest == 0.0 or 0.1 <= highest * dict(UNITS)[self.unit] < 1000.0:
            return
        self.unit = next((name for name, factor in UNITS if highest * factor >= 0.5), "pA")
        self.name_axis("left", f"current ({self.unit})")

    def _fit(self, potentials: list[NDArray[np.float64]], currents: list[NDArray[np.float64]]) -> None:
        x, y = (np.concatenate([np.empty(0), *parts]) for parts in (potentials, currents))
        if len(x):
            self.follow_x(x.min(), x.max())
            self.follow_y(y.min(), y.max())


def _forward(potential_v: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where the potential moves as it did at first; turning points belong to what comes before them."""
    step = np.diff(potential_v)
    moving = np.flatnonzero(step)
    if not len(moving):
        return np.ones(len(potential_v), np.bool_)
    sign = np.sign(step)[moving]
    which = np.searchsorted(moving, np.arange(len(potential_v)) - 1, "right") - 1
    return sign[np.clip(which, 0, len(moving) - 1)] == sign[0]
