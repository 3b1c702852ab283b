"""What a live view shows of the photons: the engine of the analysis, fed while the run goes on."""

from __future__ import annotations

import math
import threading

import numpy as np
from numpy.typing import NDArray

from ..analysis.decay_model import warped_edges
from ..analysis.photon_engine import EngineSettings, EngineSnapshot, PhotonEngine, warm_up
from ..analysis.pulsed_g2 import G2Settings
from ..instruments.photon_counter import PhotonCounter

LARGEST_PAIR_RATE_HZ = 5e7
"""Photon pairs per second, of all detectors, that are counted live at most; the run file has them all."""
KEPT_S = 600.0
"""Traces and FLID bins are kept for so long; views count them into bounded tables of their own meanwhile."""
_ABOUT_TIME_ZERO_NS = 2.0  # where micro-time bins are narrowest; time zero itself is fitted afterwards


class LivePhotons:
    """Counts the photons of a run for whoever looks at it; compiled in the background when it is made."""

    def __init__(self, counter: PhotonCounter) -> None:
        self._counter = counter
        self._engine: PhotonEngine | None = None
        self._lock = threading.Lock()
        settings = _settings(2, 4e-7, 25.0)  # the compiled code is the same for all values
        self._warming = threading.Thread(
            target=warm_up, args=(settings,), name="warm photon engine", daemon=True
        )
        self._warming.start()

    def start(self, sync_period_s: float) -> None:
        """Begin anew; waits until the kernels are compiled, so that no block of the run has to."""
        self._warming.join()
        settings = _settings(self._counter.n_inputs, sync_period_s, self._counter.resolution_ps)
        with self._lock:
            self._engine = PhotonEngine(settings)

    @property
    def settings(self) -> EngineSettings | None:
        """How the photons are counted; None before the first start."""
        return self._engine.settings if self._engine else None

    def feed(self, words: NDArray[np.uint32], rate_hz: float) -> None:
        """Count words that are already on disk; above `LARGEST_PAIR_RATE_HZ` g2 is given up for the run."""
        engine = self._engine
        if engine is None:
            return
        with self._lock:
            if engine.g2 and rate_hz**2 * engine.g2.window_s > LARGEST_PAIR_RATE_HZ:
                engine.drop_g2()
            engine.feed(words)
            if engine.duration_s > engine.kept_from_s + 1.5 * KEPT_S:  # seldom: what is kept is moved
                engine.forget_before(engine.duration_s - KEPT_S)

    def snapshot(self, last_s: float = 60.0, *, since_s: float = math.inf) -> EngineSnapshot | None:
        """Copies of what was counted so far, of traces and FLID the last `last_s` seconds; from any thread.

        More of them where they are to reach back to the time `since_s`, but no further than `KEPT_S` in a
        long run. None before the first start.
        """
        with self._lock:
            if self._engine is None:
                return None
            return self._engine.snapshot(max(last_s, self._engine.duration_s - since_s))


def _settings(n_inputs: int, sync_period_s: float, resolution_ps: float) -> EngineSettings:
    period_bins, about_bins = sync_period_s * 1e12 / resolution_ps, _ABOUT_TIME_ZERO_NS * 1000 / resolution_ps
    edges_bins = warped_edges(about_bins, period_bins, resolution_ps / 1000)
    return EngineSettings(
        sync_period_s=sync_period_s,
        resolution_ps=resolution_ps,
        channels=n_inputs,
        edges_bins=edges_bins,
        longest_s=math.inf,
        g2=G2Settings() if n_inputs > 1 else None,
    )
