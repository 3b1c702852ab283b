"""What was planted in a simulated 2DES scan: its maps without instruments, and the numbers of its ensemble.

Makes the run's sample anew, which no analysis does, and asks it for the response at the very delays and
phases of the run. For checking the analysis; nothing else uses it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..analysis.twodes.phase_cycling import NONREPHASING, REPHASING
from ..analysis.twodes.scan import ScanPlan
from ..analysis.twodes.spectra import Maps, RotatingFrame, maps_from_t1
from ..formats.run_file import RunFile
from ..sim.physics.nonlinear_sample import NonlinearSample, Setting
from ..sim.physics.pulses import Pulse

ABSOLUTE = RotatingFrame(0.0, 0.0)
"""Bare pulses are not in a rotating frame."""


class PlantedTwoD:
    """What lay under one simulated scan."""

    def __init__(self, run: RunFile) -> None:
        simulation = run.header["station"]["simulation"]
        self._sample = NonlinearSample.named(
            simulation["sample"], dimers=simulation["dimers"], seed=run.header["seed"]
        )

    def ensemble_numbers(self) -> dict[str, float]:
        """Numbers of the ensemble itself, as `dephasing_truth` names them."""
        return {name: value for name, value in self._sample.truth().items() if isinstance(value, float)}

    def maps(self, plan: ScanPlan, like: Maps) -> Maps:
        """The maps of the scan on the axes of `like`, without shaper, stage, spectrometer and noise."""
        wanted = (REPHASING, NONREPHASING)
        signals = np.empty((2, len(like.t2_fs), len(plan.t1_fs), len(like.w3_cm)), np.complex64)
        for k, t2_fs in enumerate(like.t2_fs):
            frames = self._frames(plan, float(t2_fs), like.w3_cm)
            for signal, signature in zip(signals, wanted, strict=True):
                signal[k] = plan.scheme.extract(frames, signature, axis=1)
        return maps_from_t1(
            signals[0],
            signals[1],
            t1_fs=plan.t1_fs,
            t2_fs=like.t2_fs,
            w1_cm=like.w1_cm,
            w3_cm=like.w3_cm,
            frame=ABSOLUTE,
        )

    def _frames(self, plan: ScanPlan, t2_fs: float, w3_cm: NDArray[np.floating]) -> NDArray[np.complex64]:
        """Signal fields of every t1 and phase step, shape (t1, steps, w3)."""
        settings: list[Setting] = [
            ((Pulse(-float(t1), np.exp(1j * first)), Pulse(0.0, np.exp(1j * second))), Pulse(t2_fs, 1.0 + 0j))
            for t1 in plan.t1_fs
            for first, second, _ in plan.scheme.phases_rad
        ]
        fields = self._sample.signal_fields(settings, np.asarray(w3_cm, np.float64))
        return fields.reshape(len(plan.t1_fs), plan.scheme.steps, len(w3_cm))
