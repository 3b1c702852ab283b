"""A 2DES scan, block by block (one t2 each), to maps: the same code live and afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .interferometry import Interferometer
from .phase_cycling import NONREPHASING, REPHASING, Scheme, Signature
from .phasing import Phase
from .spectra import Maps, RotatingFrame, Window, default_w1_axis, maps_from_t1

HETERODYNE = -1j
"""The field that leaves the sample is i times the polarisation: bleaching is positive after this factor."""
STEP_CM = 20.0
"""Spacing of w3; signals that last 300 fs have no finer structure."""


@dataclass(frozen=True)
class ScanPlan:
    """What all blocks of a scan share."""

    t1_fs: NDArray[np.floating]
    scheme: Scheme
    frame: RotatingFrame
    pixel_cm: NDArray[np.floating]
    lo_lead_fs: float
    band_cm: tuple[float, float]
    """Where maps are made, along both axes."""


@dataclass(frozen=True)
class Block:
    """All frames at one t2, dark subtracted."""

    t2_fs: float
    counts: NDArray[np.floating]
    """Shape (t1, phase steps, pixels)."""
    lo_counts: NDArray[np.floating]
    """The local oscillator alone, shape (pixels,)."""


class TwoDScanData:
    """Signals of the blocks so far."""

    def __init__(self, plan: ScanPlan, signatures: Sequence[Signature] = (REPHASING, NONREPHASING)) -> None:
        self.plan = plan
        self._interferometer: Interferometer | None = None
        self._kept: NDArray[np.bool_] = np.zeros(0, bool)
        self._t2_fs: list[float] = []
        self._signals: dict[Signature, list[NDArray[np.complexfloating]]] = {kind: [] for kind in signatures}

    def __len__(self) -> int:
        return len(self._t2_fs)

    def add(self, block: Block) -> None:
        """Find the signals of one block; blocks may come in any order of t2.

        Frames are scaled to the first local oscillator's total, which takes out slow changes of the laser's
        power: by the mean over each phase cycle, since the scatter of pulses 1 and 2 beats in single frames
        just as the signals do. Raises ValueError when the fringes are too fine for the pixels.
        """
        if self._interferometer is None:
            self._interferometer = Interferometer(self.plan.pixel_cm, block.lo_counts, self.plan.lo_lead_fs)
            self._kept = self._thinned(self._interferometer.wavenumber_cm)
        lo = self._interferometer.lo_counts
        total = block.counts.sum(axis=-1, keepdims=True).mean(axis=1, keepdims=True)
        scaled = block.counts * (lo.sum() / total)
        self._t2_fs.append(block.t2_fs)
        for signature, signals in self._signals.items():
            cycled = self.plan.scheme.extract(scaled, signature, axis=1)
            signals.append(HETERODYNE * self._interferometer.fields(cycled)[:, self._kept])

    @property
    def w3_cm(self) -> NDArray[np.floating]:
        """Detection axis; empty before the first block."""
        return self._interferometer.wavenumber_cm[self._kept] if self._interferometer else np.empty(0)

    def signals(self, signature: Signature) -> tuple[NDArray[np.floating], NDArray[np.complexfloating]]:
        """t2 in order, and the signals of shape (t2, t1, w3)."""
        order = np.argsort(self._t2_fs)
        return np.array(self._t2_fs)[order], np.stack([self._signals[signature][k] for k in order])

    def maps(self, *, phase: Phase | None = None, window: Window = "none", last: int | None = None) -> Maps:
        """Maps of all blocks, or of the `last` ones; raises ValueError before the first block."""
        if not len(self):
            raise ValueError("no block has been measured yet")
        t2_fs, r = self.signals(REPHASING)
        _, n = self.signals(NONREPHASING)
        kept = slice(None if last is None else -last, None)
        w3 = self.w3_cm
        turn = 1.0 if phase is None else phase.factor(w3)
        return maps_from_t1(
            r[kept] * turn,
            n[kept] * turn,
            t1_fs=self.plan.t1_fs,
            t2_fs=t2_fs[kept],
            w1_cm=default_w1_axis(self.plan.t1_fs, w3),
            w3_cm=w3,
            frame=self.plan.frame,
            window=window,
        )

    def _thinned(self, wavenumber_cm: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Every so many wavenumbers within the band."""
        low, high = self.plan.band_cm
        step = max(1, round(STEP_CM / float(wavenumber_cm[1] - wavenumber_cm[0])))
        inside = (wavenumber_cm >= low) & (wavenumber_cm <= high)
        return inside & (np.arange(len(wavenumber_cm)) % step == 0)
