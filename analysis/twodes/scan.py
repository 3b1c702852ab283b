"""A 2DES scan, block by block (one t2 each), to maps: the same code live and afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .detection import Block, Detection, Detector
from .phase_cycling import NONREPHASING, REPHASING, Scheme, Signature
from .phasing import Phase, fit_phase
from .pump_probe import PumpProbeSpectra
from .spectra import Maps, RotatingFrame, Window, default_w1_axis, maps_from_t1

HETERODYNE = -1j
"""The field that leaves the sample is i times the polarisation: bleaching is positive after this factor."""

OVERLAP_FS = 20.0
"""Pulses overlap at shorter t2: no phase is taken from there."""


@dataclass(frozen=True)
class ScanPlan:
    """What all blocks of a scan share."""

    t1_fs: NDArray[np.floating]
    scheme: Scheme
    frame: RotatingFrame
    detection: Detection
    band_cm: tuple[float, float]
    """Where maps are made, along both axes."""


class TwoDScanData:
    """Signals of the blocks so far."""

    def __init__(self, plan: ScanPlan, signatures: Sequence[Signature] = (REPHASING, NONREPHASING)) -> None:
        self.plan = plan
        self._detector: Detector | None = None
        self._t2_fs: list[float] = []
        self._signals: dict[Signature, list[NDArray[np.complexfloating]]] = {kind: [] for kind in signatures}

    def __len__(self) -> int:
        return len(self._t2_fs)

    def add(self, block: Block) -> None:
        """Find the signals of one block; blocks may come in any order of t2, the last one of a t2 counts.

        Raises ValueError when the fringes of a spectrometer are too fine for its pixels.
        """
        if self._detector is None:
            self._detector = self.plan.detection.detector(block, self.plan.band_cm)
        readings = self._detector.steadied(block)
        if block.t2_fs in self._t2_fs:
            self._drop(self._t2_fs.index(block.t2_fs))
        self._t2_fs.append(block.t2_fs)
        for signature, signals in self._signals.items():
            cycled = self.plan.scheme.extract(readings, signature, axis=1)
            signals.append(HETERODYNE * self._detector.fields(block, cycled))

    def phase_from(self, pump_probe: PumpProbeSpectra) -> Phase:
        """The phase that makes the signal at t1 = 0 that of pump-probe spectra, where both were measured.

        t2 at which pulses overlap are left out. Raises ValueError where nothing was measured by both.
        """
        t2_fs, r = self.signals(REPHASING)
        _, n = self.signals(NONREPHASING)
        late = (t2_fs >= max(OVERLAP_FS, pump_probe.t2_fs.min())) & (t2_fs <= pump_probe.t2_fs.max())
        seen = (self.w3_cm >= pump_probe.w3_cm[0]) & (self.w3_cm <= pump_probe.w3_cm[-1])
        if not late.any() or seen.sum() < 2:
            raise ValueError(
                f"no map has a t2 of {OVERLAP_FS:g} fs or more, and a w3, where there are pump-probe spectra"
            )
        at_t1_zero = (r + n)[late, 0][:, seen] / 2
        w3_cm = self.w3_cm[seen]
        return fit_phase(at_t1_zero, pump_probe.signal_at(t2_fs[late], w3_cm), w3_cm)

    def _drop(self, k: int) -> None:
        for values in (self._t2_fs, *self._signals.values()):
            del values[k]

    @property
    def w3_cm(self) -> NDArray[np.floating]:
        """Detection axis; empty before the first block."""
        return self._detector.w3_cm if self._detector else np.empty(0)

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
