"""Fluorescence decays on a logarithmic scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from qtpy import QtWidgets

from .plot import TOP_RIGHT, Plot

SHOWN_NS = 400.0
"""Longest delay shown, where the period is longer."""
RARELY_BELOW = 0.03
"""Part of a decay's bins that may lie below what is shown."""


class DecayPlot(Plot):
    """Counts against micro time, several named decays; normalized ones start at 1.

    Counts of `bin_ns` are drawn together, whatever the card's resolution is.
    """

    def __init__(
        self, *, bin_ns: float = 1.0, normalized: bool = False, parent: QtWidgets.QWidget | None = None
    ) -> None:
        counts = "normalized counts" if normalized else "counts"
        super().__init__(
            "micro time (ns)", f"{counts} per {bin_ns:g} ns", log_y=True, legend=TOP_RIGHT, parent=parent
        )
        self.bin_ns, self.normalized = bin_ns, normalized
        self._scale: dict[str, float] = {}
        self._highest: dict[str, float] = {}
        self._lowest: dict[str, float] = {}

    def show_decay(
        self, name: str, counts: ArrayLike, resolution_ns: float, *, pen: str = "trace", told: str = ""
    ) -> None:
        """Show a decay of `counts` per micro-time bin of `resolution_ns`; `told` is added to its name."""
        counts = np.asarray(counts, np.float64)
        joined = max(1, round(self.bin_ns / resolution_ns))
        shown = counts[: len(counts) // joined * joined].reshape(-1, joined).sum(axis=1)
        self._scale[name] = max(1.0, shown.max(initial=0.0)) if self.normalized else 1.0
        time_ns = (np.arange(len(shown)) + 0.5) * joined * resolution_ns
        self.draw(
            name, time_ns, shown / self._scale[name], pen, width=1.6, connect="finite",
            legend=f"{name}: {told}" if told else name,
        )  # fmt: skip
        self._highest[name] = float(shown.max(initial=0.0)) / self._scale[name]
        self._lowest[name] = _decade_below(shown / self._scale[name])
        if len(time_ns):
            self.follow_x(0.0, min(SHOWN_NS, len(counts) * resolution_ns), steady=False)
            low = min(self._lowest.values()) if self.normalized else 0.7
            self.follow_y(low, max(2.0, *self._highest.values()))

    def show_fit(self, name: str, time_ns: ArrayLike, counts: ArrayLike, *, pen: str = "fit") -> None:
        """Show the model of the decay `name`: counts per `bin_ns` at delays in nanoseconds."""
        scaled = np.asarray(counts, np.float64) / self._scale[name]
        self.draw(f"{name} fit", time_ns, scaled, pen, width=2.0)

    def clear(self) -> None:
        """Take away all decays."""
        super().clear()
        self._scale.clear()
        self._highest.clear()
        self._lowest.clear()


def _decade_below(shown: NDArray[np.float64]) -> float:
    """The power of ten below nearly all of a normalized decay that is not empty, 0.0001 at least."""
    filled = shown[shown > 0]
    if not len(filled):
        return 0.1
    return float(np.clip(10.0 ** np.floor(np.log10(np.quantile(filled, RARELY_BELOW))), 1e-4, 0.1))
