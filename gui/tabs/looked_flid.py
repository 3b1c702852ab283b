"""What is drawn alike of every run that goes on with a FLID: trace, potential, and the FLID's cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..plots.flid_map import FlidMap
from ..plots.intensity_trace import IntensityTrace


@dataclass(frozen=True)
class LookedFlid:
    """Trace, potential and FLID so far; times in seconds on the photons' clock."""

    time_s: NDArray[np.floating]
    rate_hz: NDArray[np.floating]
    potential_time_s: NDArray[np.floating]
    potential_v: NDArray[np.floating]
    span_s: float
    """Planned end of the run."""
    flid_counts: NDArray[np.int64]
    flid_bias_v: NDArray[np.floating]

    def draw(self, trace: IntensityTrace, flid: FlidMap) -> None:
        """Draw all of it."""
        trace.show_intensity(self.time_s, self.rate_hz)
        trace.show_potential(self.potential_time_s, self.potential_v)
        trace.show_span(0.0, self.span_s)
        flid.show_cells(self.flid_counts, self.flid_bias_v)
