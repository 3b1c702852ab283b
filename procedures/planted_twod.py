"""What was planted in a simulated 2DES scan: its maps without instruments, and the numbers of its ensemble.

Makes the run's sample anew, which no analysis does, and asks it for the response at the very delays of the
run. For checking the analysis; nothing else uses it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..analysis.twodes.phase_cycling import REPHASING, equidistant
from ..analysis.twodes.scan import ScanPlan
from ..analysis.twodes.spectra import Maps, RotatingFrame, maps_from_t1
from ..formats.run_file import RunFile
from ..sim.physics.nonlinear_sample import NonlinearSample, Setting
from ..sim.physics.pulses import Pulse

ABSOLUTE = RotatingFrame(0.0, 0.0)
"""Bare pulses are in no rotating frame."""
CYCLE = equidistant(4, 1, 1)
"""Four phases of pulse 1 set the rephasing signal apart: nothing else is conjugated in that pulse alone."""


class PlantedTwoD:
    """What lay under one simulated scan."""

    def __init__(self, run: RunFile) -> None:
        simulation = run.header["station"]["simulation"]
        self._sample = NonlinearSample.named(
            simulation["sample"],
            dimers=simulation["dimers"],
            seed=run.header["seed"],
            phonons=simulation.get("phonons", False),
        )

    def ensemble_numbers(self) -> dict[str, float]:
        """Numbers of the ensemble itself, as `dephasing_truth` names them."""
        return {name: value for name, value in self._sample.truth().items() if isinstance(value, float)}

    def maps(self, plan: ScanPlan, like: Maps) -> Maps:
        """Rephasing maps of the scan on the axes of `like`, without shaper, stage, spectrometer and noise.

        The non-rephasing ones are left at zero: no number is taken from them.
        """
        signal = np.stack([self._rephasing(plan, float(t2_fs), like.w3_cm) for t2_fs in like.t2_fs])
        return maps_from_t1(
            signal,
            np.zeros_like(signal),
            t1_fs=plan.t1_fs,
            t2_fs=like.t2_fs,
            w1_cm=like.w1_cm,
            w3_cm=like.w3_cm,
            frame=ABSOLUTE,
        )

    def _rephasing(
        self, plan: ScanPlan, t2_fs: float, w3_cm: NDArray[np.floating]
    ) -> NDArray[np.complexfloating]:
        """Signal of shape (t1, w3)."""
        probe = Pulse(t2_fs, 1.0 + 0j)
        settings: list[Setting] = [
            ((Pulse(-float(t1), complex(np.exp(1j * phase))), Pulse(0.0, 1.0 + 0j)), probe)
            for t1 in plan.t1_fs
            for phase in CYCLE.phases_rad[:, 0]
        ]
        fields = self._sample.signal_fields(settings, np.asarray(w3_cm, np.float64))
        return CYCLE.extract(fields.reshape(len(plan.t1_fs), CYCLE.steps, len(w3_cm)), REPHASING, axis=1)
