"""Response of an ensemble at single settings of t1 and t2: every pathway, double precision, tens of ms."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._response_exact import DOUBLE_QUANTUM, NONREPHASING, REPHASING, add_settings
from ._response_problem import own_threads
from .dimer_ensemble import RAD_PER_FS, Ensemble
from .dimer_states import EXCITONS, LINKS
from .reference_response import Conditions

__all__ = ["DOUBLE_QUANTUM", "NONREPHASING", "REPHASING", "ExactResponse"]

_PARTS = 8  # of the ensemble, shared among the threads


class ExactResponse:
    """Signals of an ensemble at any t1 and t2, for all t3; agrees with `reference_response` to rounding."""

    def __init__(self, ensemble: Ensemble, conditions: Conditions | None = None):
        self.conditions, self._size = conditions or Conditions(), len(ensemble)
        on = self.conditions
        gaps = ensemble.pair_energy_cm[:, LINKS.pair] - ensemble.energy_cm[:, LINKS.exciton]
        self._levels = (
            RAD_PER_FS * (ensemble.energy_cm - on.frame_cm),
            RAD_PER_FS * (ensemble.pair_energy_cm - 2 * on.frame_cm),
        )
        self._light = (ensemble.dipole, on.laser.amplitude(ensemble.energy_cm))
        self._links = (ensemble.pair_dipole, ensemble.pair_dipole * on.laser.amplitude(gaps))

    def signal(
        self,
        settings: ArrayLike,
        factors: ArrayLike,
        step_fs: float,
        number: int,
        *,
        threads: int | None = None,
    ) -> NDArray[np.complex128]:
        """Sum of factors * responses, mean per dimer, at t3 = 0, step, .. (complex128 [number]).

        `settings` is [s, 3]: REPHASING, NONREPHASING or DOUBLE_QUANTUM, t1, t2 (fs); `factors` complex [s].
        """
        chosen = np.asarray(settings, dtype=np.float64).reshape(-1, 3)
        amplitudes = np.asarray(factors, dtype=np.complex128)
        on = self.conditions
        shares = np.array(on.propagator(chosen[:, 2], EXCITONS), dtype=np.float64)
        falls = tuple(1 / time for time in on.dephasing)
        parts = np.array_split(np.arange(self._size), _PARTS)
        sums = np.zeros((_PARTS, number), dtype=np.complex128)

        def work(part: int) -> None:
            add_settings(
                sums[part], parts[part], chosen, amplitudes, shares, self._levels, self._light,
                self._links, LINKS.exciton, LINKS.pair, falls, step_fs,
            )  # fmt: skip

        with own_threads(threads) as run:
            run(work, range(_PARTS))
        return sums.sum(axis=0) / self._size
