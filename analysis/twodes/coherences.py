"""What a series of maps tells of the coherences: beating maps, traces at addresses, times of dephasing.

"Dephasing time" has three meanings that differ by up to a half: the decay of the ensemble's coherence, of the
trace at one address, and of a global fit of the whole map. Here it is always said which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .beating import Beating, beating_spectrum, without_decay
from .global_fit import GlobalFit, global_fit
from .spectra import Maps
from .units import FS_PER_CM

POPULATION_FS = (300.0, 1500.0)
"""Decays that are taken out before beats are looked at."""
SKIP_FS = 48.0
"""Coherences between the branches rule before."""
WIDEST_CM = 1200.0


@dataclass(frozen=True)
class Trace:
    """A signal along t2 at one address of the rephasing map, with its spectrum in w2."""

    w1_cm: float
    w3_cm: float
    t2_fs: NDArray[np.floating]
    signal: NDArray[np.complexfloating]
    spectrum: Beating


@dataclass(frozen=True)
class BeatingMap:
    """Amplitude of one beat over the rephasing map."""

    w2_cm: float
    amplitude: NDArray[np.floating]
    """Shape (w1, w3)."""
    strongest: tuple[float, float]
    """Address (w1, w3) of its maximum."""


@dataclass(frozen=True)
class Coherences:
    """Everything that beats."""

    beating: Beating
    maps: tuple[BeatingMap, ...]
    fit: GlobalFit
    traces: tuple[Trace, ...]


def find_coherences(
    maps: Maps,
    *,
    w2_cm: Sequence[float] = (120.0, 480.0, 850.0),
    dephasing_fs: Sequence[float] = (700.0, 120.0, 280.0),
    addresses: Sequence[tuple[float, float]] = (),
) -> Coherences:
    """Beats of the rephasing maps near the given frequencies; both signs are fitted.

    Traces are taken at the given addresses and at the strongest one of each beat. Raises ValueError when the
    t2 steps do not hold the beats.
    """
    t2, signal = maps.t2_fs, maps.rephasing
    nyquist_cm = FS_PER_CM / (2 * float(np.diff(t2).mean()))
    if max(w2_cm) > nyquist_cm:
        raise ValueError(f"t2 steps of {np.diff(t2).mean():g} fs hold beats up to {nyquist_cm:.0f} cm-1 only")
    late = t2 >= SKIP_FS
    axis = np.arange(-min(WIDEST_CM, nyquist_cm), min(WIDEST_CM, nyquist_cm) + 1e-9, 10.0)
    beating = beating_spectrum(without_decay(signal[late], t2[late], POPULATION_FS), t2[late], axis)
    both = [*w2_cm, *(-w2 for w2 in w2_cm)]
    fit = global_fit(
        signal,
        t2,
        w2_cm=both,
        dephasing_fs=[*dephasing_fs] * 2,
        lifetimes_fs=POPULATION_FS,
        skip_fs=SKIP_FS,
    )
    found = tuple(_beating_map(beating, w2, maps) for w2 in w2_cm)
    where = [*addresses, *(each.strongest for each in found)]
    return Coherences(beating, found, fit, tuple(trace_at(maps, *address) for address in where))


def trace_at(maps: Maps, w1_cm: float, w3_cm: float) -> Trace:
    """The rephasing signal along t2 at the nearest point of the map, with its spectrum in w2."""
    k1, k3 = int(np.argmin(np.abs(maps.w1_cm - w1_cm))), int(np.argmin(np.abs(maps.w3_cm - w3_cm)))
    signal = maps.rephasing[:, k1, k3]
    late = maps.t2_fs >= SKIP_FS
    nyquist_cm = FS_PER_CM / (2 * float(np.diff(maps.t2_fs).mean()))
    left = without_decay(signal[late], maps.t2_fs[late], POPULATION_FS)
    spectrum = beating_spectrum(left, maps.t2_fs[late], np.arange(-nyquist_cm, nyquist_cm, 5.0))
    return Trace(float(maps.w1_cm[k1]), float(maps.w3_cm[k3]), maps.t2_fs, signal, spectrum)


def _beating_map(beating: Beating, w2_cm: float, maps: Maps) -> BeatingMap:
    """Both signs together, as the amplitude of an oscillation in a real map would be."""
    amplitude = np.hypot(np.abs(beating.at(w2_cm)), np.abs(beating.at(-w2_cm)))
    k1, k3 = np.unravel_index(int(np.argmax(amplitude)), amplitude.shape)
    return BeatingMap(w2_cm, amplitude, (float(maps.w1_cm[k1]), float(maps.w3_cm[k3])))
