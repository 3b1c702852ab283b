"""Response of an ensemble at single settings of t1 and t2: every pathway, double precision, tens of ms."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._response_exact import DOUBLE_QUANTUM, NONREPHASING, REPHASING, add_settings
from ._response_problem import Float64, Run, own_threads
from .dimer_ensemble import RAD_PER_FS, Ensemble
from .dimer_states import EXCITONS, LINKS
from .phonons import N_PATHWAYS, Q_PATHWAYS, R_PATHWAYS, phonon_factors
from .reference_response import Complex, Conditions

__all__ = ["DOUBLE_QUANTUM", "NONREPHASING", "REPHASING", "ExactResponse"]

_SHARES = 8  # of the ensemble, for the threads
_PATHWAYS = {REPHASING: R_PATHWAYS, NONREPHASING: N_PATHWAYS, DOUBLE_QUANTUM: Q_PATHWAYS}


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
        phonons = self.conditions.phonons
        with own_threads(threads) as run:
            if phonons is None:
                return self._parts(chosen, amplitudes, step_fs, (1, number), run)[0]
            total = np.zeros(number, dtype=np.complex128)
            t3 = step_fs * np.arange(number)
            for k, (kind, t1, t2) in enumerate(chosen):
                one = slice(k, k + 1)
                parts = self._parts(chosen[one], amplitudes[one], step_fs, (3, number), run)
                moving = phonon_factors(_PATHWAYS[int(kind)], t1, t2, t3, phonons)
                for factor, part in zip(moving, parts, strict=False):  # Q has no bleach
                    total += factor[0, 0] * part
            return total

    def _parts(
        self, settings: Float64, factors: Complex, step_fs: float, shape: tuple[int, int], run: Run
    ) -> Complex:
        """Signal [parts, t3] of `shape`: in one part, or absorption, emission and bleach apart."""
        on = self.conditions
        shares = np.array(on.propagator(settings[:, 2], EXCITONS), dtype=np.float64)
        falls = tuple(1 / time for time in on.dephasing)
        dimers = np.array_split(np.arange(self._size), _SHARES)
        sums = np.zeros((_SHARES, *shape), dtype=np.complex128)

        def work(share: int) -> None:
            add_settings(
                sums[share], dimers[share], settings, factors, shares, self._levels, self._light,
                self._links, LINKS.exciton, LINKS.pair, falls, step_fs,
            )  # fmt: skip

        run(work, range(_SHARES))
        return sums.sum(axis=0) / self._size
