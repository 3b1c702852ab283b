"""Signals along t2 at one t1: traces at detection frequencies, their beats, and damped fits common to all.

A trace here is not resolved in w1: at t1 = 0 it is the integral over all of w1, so that what beats at
w3 - w1 > 0 and < 0 comes together, told apart by the sign of w2 only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .beating import Beating, beating_spectrum, nyquist_cm, without_decay
from .coherences import POPULATION_FS, SKIP_FS, WIDEST_CM
from .global_fit import GlobalFit, global_fit, starting_beats
from .phase_cycling import NONREPHASING, REPHASING
from .scan import TwoDScanData

BEATS = 4
"""How many beats are fitted: the strongest."""
FIRST_DEPHASING_FS = 200.0
STEP_CM = 10.0
LEAST_T2 = 24
"""With fewer t2 nothing is said of beats."""


@dataclass(frozen=True)
class T2Signals:
    """Complex signals, bleaching positive when phased; shape (t2, w3)."""

    t1_fs: float
    t2_fs: NDArray[np.floating]
    w3_cm: NDArray[np.floating]
    rephasing: NDArray[np.complexfloating]
    nonrephasing: NDArray[np.complexfloating]

    @classmethod
    def of(cls, data: TwoDScanData) -> T2Signals:
        """The signals of a scan that has one t1."""
        t2_fs, rephasing = data.signals(REPHASING)
        _, nonrephasing = data.signals(NONREPHASING)
        t1_fs = float(data.plan.t1_fs[0])
        return cls(t1_fs, t2_fs, data.w3_cm, rephasing[:, 0], nonrephasing[:, 0])


@dataclass(frozen=True)
class T2Trace:
    """The rephasing signal at one detection frequency, with its spectrum in w2."""

    w3_cm: float
    signal: NDArray[np.complexfloating]
    spectrum: NDArray[np.complexfloating]
    """At the frequencies of `T2Traces.beating`."""
    fitted: NDArray[np.complexfloating]
    """The global fit at this address, along all t2."""


@dataclass(frozen=True)
class T2Traces:
    """What beats along t2."""

    signals: T2Signals
    beating: Beating
    """Amplitudes of shape (w2, w3)."""
    fit: GlobalFit
    """Beats and decays common to all w3; its dephasing times are those of the global fit."""
    traces: tuple[T2Trace, ...]


def find_t2_traces(signals: T2Signals, addresses_cm: Sequence[float]) -> T2Traces:
    """Traces nearest to the addresses, beats of all w3, and a fit of them.

    Raises ValueError when t2 is too short, uneven, or has too few points.
    """
    t2, signal = signals.t2_fs, signals.rephasing
    late = t2 >= SKIP_FS
    if late.sum() < LEAST_T2:
        raise ValueError(
            f"{late.sum()} t2 from {SKIP_FS:g} fs on are too few to tell beats: take {LEAST_T2} or more"
        )
    widest_cm = min(WIDEST_CM, nyquist_cm(t2))
    w2_cm = np.arange(-widest_cm, widest_cm + 1e-9, STEP_CM)
    beating = beating_spectrum(without_decay(signal[late], t2[late], POPULATION_FS), t2[late], w2_cm)
    slow = [w2 for w2 in starting_beats(signal[late], t2[late], 3 * BEATS) if abs(w2) <= widest_cm]
    fit = global_fit(
        signal,
        t2,
        w2_cm=slow[:BEATS],
        dephasing_fs=[FIRST_DEPHASING_FS] * len(slow[:BEATS]),
        lifetimes_fs=POPULATION_FS[1:],
        skip_fs=SKIP_FS,
    )
    model = fit.model(t2)
    at = [int(np.argmin(np.abs(signals.w3_cm - address))) for address in addresses_cm]
    traces = tuple(
        T2Trace(
            float(signals.w3_cm[k]), signal[:, k], beating.spectrum[:, k], np.asarray(model[:, k], complex)
        )
        for k in at
    )
    return T2Traces(signals, beating, fit, traces)
