"""What a series of maps tells of the coherences: beating maps, traces at addresses, times of dephasing.

"Dephasing time" has three meanings that differ by up to a half: the decay of the ensemble's coherence, of the
trace at one address, and of a global fit of the whole map. Here it is always said which.

The global fit's model is the simplest that holds: each beat with both signs, one population decay, a
constant. Beats of an ensemble do not fall off exponentially, so its numbers depend on where it begins and on
the part of the map; they are quoted with what that does to them. More terms fit better and tell less:
docs/reproduce_hamilton.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .beating import Beating, beating_spectrum, nyquist_cm, without_decay
from .global_fit import Beat, GlobalFit, global_fit
from .spectra import Maps

POPULATION_FS = (300.0, 1500.0)
"""Decays that are taken out before beats are looked at."""
SKIP_FS = 48.0
"""Coherences between the branches rule before."""
WIDEST_CM = 1200.0
FIT_FROM_FS = (64.0, 48.0, 80.0)
"""Where the global fit begins: the first is quoted, the others say how much that matters."""
FIT_POPULATION_FS = (1000.0,)
"""Where the one population decay of the global fit starts from."""
_PARTS = 24  # singular vectors of a map; what the weaker ones hold is below the noise
_THINNED = (2, 3)  # every so many of w1 and w3, which are finer than t1 and t3 resolve


class Estimate(NamedTuple):
    """A number from a fit, and two doubts about it."""

    value: float
    fit_error: float
    """Standard error of the fit."""
    model_error: float
    """What beginning the fit elsewhere, and taking one side of the diagonal alone, does to it."""

    @property
    def error(self) -> float:
        """Both together."""
        return math.hypot(self.fit_error, self.model_error)


class FittedBeat(NamedTuple):
    """One kind of coherence: both signs of its beat together, weighted by what they carry."""

    w2_cm: float
    dephasing_fs: float


@dataclass(frozen=True)
class Coherence:
    """One kind of coherence over the whole map."""

    asked_cm: float
    frequency_cm: Estimate
    dephasing_fs: Estimate
    """Of the global fit."""


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
    """The quoted fit; its errors are those of this one model."""
    kinds: tuple[Coherence, ...]
    """What is quoted of each frequency that was asked for."""
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
    if max(w2_cm) > nyquist_cm(t2):
        raise ValueError(
            f"t2 steps of {np.diff(t2).mean():g} fs hold beats up to {nyquist_cm(t2):.0f} cm-1 only"
        )
    widest_cm = min(WIDEST_CM, nyquist_cm(t2))
    beating = beats_of(maps, np.arange(-widest_cm, widest_cm + 1e-9, 10.0))
    fits = list(fit_variants(maps, w2_cm, dephasing_fs))
    first = fits[0]
    fit = global_fit(
        signal,
        t2,
        w2_cm=[beat.w2_cm.value for beat in first.beats],
        dephasing_fs=[beat.dephasing_fs.value for beat in first.beats],
        lifetimes_fs=[decay.lifetime_fs.value for decay in first.decays],
        skip_fs=FIT_FROM_FS[0],
    )
    found = tuple(beating_map(beating, w2, maps) for w2 in w2_cm)
    where = [*addresses, *(each.strongest for each in found)]
    return Coherences(
        beating,
        found,
        fit,
        tuple(_coherence(fits, n, w2) for n, w2 in enumerate(w2_cm)),
        tuple(trace_at(maps, *address) for address in where),
    )


def beats_of(maps: Maps, w2_cm: NDArray[np.floating]) -> Beating:
    """Beats of the rephasing map once the branches' coherences are gone, without what only decays."""
    late = maps.t2_fs >= SKIP_FS
    t2 = maps.t2_fs[late]
    return beating_spectrum(without_decay(maps.rephasing[late], t2, POPULATION_FS), t2, w2_cm)


def beating_map(beating: Beating, w2_cm: float, maps: Maps) -> BeatingMap:
    """Both signs together, as the amplitude of an oscillation in a real map would be."""
    amplitude = np.hypot(np.abs(beating.at(w2_cm)), np.abs(beating.at(-w2_cm)))
    k1, k3 = np.unravel_index(int(np.argmax(amplitude)), amplitude.shape)
    return BeatingMap(w2_cm, amplitude, (float(maps.w1_cm[k1]), float(maps.w3_cm[k3])))


def trace_at(maps: Maps, w1_cm: float, w3_cm: float) -> Trace:
    """The rephasing signal along t2 at the nearest point of the map, with its spectrum in w2."""
    k1, k3 = int(np.argmin(np.abs(maps.w1_cm - w1_cm))), int(np.argmin(np.abs(maps.w3_cm - w3_cm)))
    signal = maps.rephasing[:, k1, k3]
    late = maps.t2_fs >= SKIP_FS
    widest_cm = nyquist_cm(maps.t2_fs)
    left = without_decay(signal[late], maps.t2_fs[late], POPULATION_FS)
    spectrum = beating_spectrum(left, maps.t2_fs[late], np.arange(-widest_cm, widest_cm, 5.0))
    return Trace(float(maps.w1_cm[k1]), float(maps.w3_cm[k3]), maps.t2_fs, signal, spectrum)


def fit_trace(
    trace: Trace,
    w2_cm: Sequence[float],
    dephasing_fs: Sequence[float],
    *,
    from_fs: float = FIT_FROM_FS[0],
) -> GlobalFit:
    """Damped beats with the signs of `w2_cm`, one decay and a constant along a trace.

    Beats at the address that are not asked for stay in the residual, and so in the errors.
    """
    return global_fit(
        trace.signal,
        trace.t2_fs,
        w2_cm=w2_cm,
        dephasing_fs=dephasing_fs,
        lifetimes_fs=FIT_POPULATION_FS,
        skip_fs=from_fs,
    )


def fit_variants(
    maps: Maps,
    w2_cm: Sequence[float],
    dephasing_fs: Sequence[float],
    from_fs: Sequence[float] = FIT_FROM_FS,
) -> Iterator[GlobalFit]:
    """The global fit of the map's strongest parts from each beginning, the quoted one first.

    Beats come as all the positive ones, then all the negative ones. Amplitudes are those of the parts.
    """
    parts = _strongest_parts(maps.rephasing)
    for begin_fs in from_fs:
        yield global_fit(
            parts,
            maps.t2_fs,
            w2_cm=[*w2_cm, *(-w2 for w2 in w2_cm)],
            dephasing_fs=[*dephasing_fs] * 2,
            lifetimes_fs=FIT_POPULATION_FS,
            skip_fs=begin_fs,
        )


def both_signs(fit: GlobalFit, n: int) -> FittedBeat:
    """The `n`th frequency of a fit: its two beats, weighted by their energy."""
    pair = _pair(fit, n)
    share = _shares(pair)
    return FittedBeat(
        sum(s * abs(beat.w2_cm.value) for s, beat in zip(share, pair, strict=True)),
        sum(s * beat.dephasing_fs.value for s, beat in zip(share, pair, strict=True)),
    )


def beats_apart(fit: GlobalFit, n: int) -> tuple[FittedBeat, FittedBeat]:
    """The `n`th frequency of a fit above and below the diagonal."""
    above, below = (FittedBeat(abs(b.w2_cm.value), b.dephasing_fs.value) for b in _pair(fit, n))
    return above, below


# ---- inside ----


def _coherence(fits: Sequence[GlobalFit], n: int, asked_cm: float) -> Coherence:
    quoted = both_signs(fits[0], n)
    others = [*(both_signs(fit, n) for fit in fits[1:]), *beats_apart(fits[0], n)]
    doubt = np.sqrt(np.mean(np.square(np.subtract(others, quoted)), axis=0))
    pair = _pair(fits[0], n)
    share = _shares(pair)
    fit_cm = math.hypot(*(s * beat.w2_cm.error for s, beat in zip(share, pair, strict=True)))
    fit_fs = math.hypot(*(s * beat.dephasing_fs.error for s, beat in zip(share, pair, strict=True)))
    return Coherence(
        asked_cm,
        Estimate(quoted.w2_cm, fit_cm, float(doubt[0])),
        Estimate(quoted.dephasing_fs, fit_fs, float(doubt[1])),
    )


def _pair(fit: GlobalFit, n: int) -> tuple[Beat, Beat]:
    return fit.beats[n], fit.beats[n + len(fit.beats) // 2]


def _shares(pair: tuple[Beat, Beat]) -> tuple[float, float]:
    energies = [float(np.sum(np.abs(beat.amplitude) ** 2)) for beat in pair]
    return energies[0] / sum(energies), energies[1] / sum(energies)


def _strongest_parts(signal: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
    """Time courses of the map's strongest singular vectors, shape (t2, parts)."""
    thinned = signal[:, :: _THINNED[0], :: _THINNED[1]].reshape(len(signal), -1).astype(complex)
    energies, vectors = np.linalg.eigh(thinned @ thinned.conj().T)
    return vectors[:, -_PARTS:] * np.sqrt(np.maximum(energies[-_PARTS:], 0.0))
