"""The numbers of a series of rephasing maps, by estimators that need no truth, and their noise.

Numbers are names and values, so that the same estimators on other maps (a replica with more noise, another
sample, a response without instruments) can be compared name by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.stats import gmean

from .coherences import (
    FIT_FROM_FS,
    FittedBeat,
    Trace,
    beating_map,
    beats_apart,
    beats_of,
    both_signs,
    fit_trace,
    fit_variants,
    trace_at,
)
from .global_fit import GlobalFit
from .phase_cycling import Signature
from .spectra import Maps

Numbers = dict[str, float]

EMPTY: Signature = (-1, -1, 3)
"""No third-order signal of three pulses goes there: the fringes behind it are noise alone."""
SATELLITE_CM = 125.0
"""Beats between the polarisations lie so far below and above the strong one."""
TOP = 0.8
"""The strongest address is the centre of what reaches this share of the maximum."""
EDGE = (0.1, 0.4)
"""Shares of the maximum between which the diagonal's red edge is measured."""
POPULATED_FS = 100.0
"""From here on the diagonal shows levels rather than beats between branches."""
SLICE_CM = 150.0
"""Addresses this close to the diagonal belong to it."""
NEAR_CM = 200.0
"""Beats of both signs meet at an address so near to the diagonal."""
DIAGONAL_STEP_CM = 40.0
LEAST_T2 = 40
"""Fewer t2 do not tell beats."""


class Kind(NamedTuple):
    """A coherence by its name, and where fits of it start."""

    name: str
    w2_cm: float
    dephasing_fs: float


KINDS = (Kind("I", 120.0, 700.0), Kind("II", 850.0, 280.0), Kind("III", 480.0, 120.0))
"""The three that the paper names."""

Addresses = dict[str, tuple[float, float]]


def diagonal(maps: Maps) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Wavenumbers, and the rephasing signal along the diagonal after the first beats, 1 at its largest."""
    late = maps.rephasing[maps.t2_fs >= POPULATED_FS].mean(axis=0).real
    first, last = max(maps.w1_cm[0], maps.w3_cm[0]), min(maps.w1_cm[-1], maps.w3_cm[-1])
    axis = np.arange(first, last, DIAGONAL_STEP_CM)
    near = np.exp(-2.0 * (np.subtract.outer(maps.w1_cm, maps.w3_cm) / SLICE_CM) ** 2)
    middle = np.add.outer(maps.w1_cm, maps.w3_cm) / 2
    place = np.clip((middle - first) // DIAGONAL_STEP_CM, 0, len(axis) - 1).astype(int).ravel()
    along = np.bincount(place, (late * near).ravel(), len(axis)) / np.bincount(place, near.ravel(), len(axis))
    return axis + DIAGONAL_STEP_CM / 2, along / along.max()


def diagonal_numbers(maps: Maps) -> Numbers:
    """Of the diagonal the centre of what reaches a tenth of its maximum, and how gently its red edge rises.

    The edge is the way from a tenth to four tenths: the wider the lowest level, the longer.
    """
    axis, along = diagonal(maps)
    weight = np.where(along > EDGE[0], along, 0.0)
    low, high = (_first_crossing(axis, along, share) for share in EDGE)
    return {"diagonal.centre_cm": float(weight @ axis / weight.sum()), "diagonal.edge_cm": high - low}


def beating_numbers(maps: Maps) -> Numbers:
    """Of each kind the strongest address and the maximum relative to that of rho_III; rho_II's satellites.

    Maxima are those of both signs together. Addresses are those of the negative beat, below the diagonal,
    where the paper's lie: which of the two sides is the stronger would hang on the noise. Satellites are the
    amplitudes of negative beats beside rho_II on the spot of rho_II, relative to its own.
    """
    asked = np.array([kind.w2_cm for kind in KINDS])
    beside = KINDS[1].w2_cm + SATELLITE_CM * np.array([-1, 1])
    beating = beats_of(maps, np.concatenate([asked, -asked, -beside]))
    tops = {kind.name: beating_map(beating, kind.w2_cm, maps).amplitude.max() for kind in KINDS}
    spots = {kind.name: _top(np.abs(beating.at(-kind.w2_cm))) for kind in KINDS}
    found: Numbers = {}
    for name, spot in spots.items():
        found[f"{name}.w1_cm"] = float(spot.sum(axis=1) @ maps.w1_cm)
        found[f"{name}.w3_cm"] = float(spot.sum(axis=0) @ maps.w3_cm)
        found[f"{name}.maximum"] = float(tops[name] / tops["III"])

    def power(w2_cm: float) -> float:
        return float(np.sum(spots["II"] * np.abs(beating.at(w2_cm)) ** 2))

    for where, w2 in zip(("below", "above"), beside, strict=True):
        found[f"II.{where}"] = float(np.sqrt(power(-w2) / power(-KINDS[1].w2_cm)))
    return found


def addresses_of(numbers: Numbers) -> Addresses:
    """The strongest address of each kind."""
    return {kind.name: (numbers[f"{kind.name}.w1_cm"], numbers[f"{kind.name}.w3_cm"]) for kind in KINDS}


def fitted_numbers(maps: Maps, addresses: Addresses, from_fs: Sequence[float] = FIT_FROM_FS) -> list[Numbers]:
    """Frequencies and dephasing times of the global fit and of the traces, for several models.

    The first is quoted. Then come fits that begin elsewhere, and (last but one and last, only with more than
    one beginning) the quoted fit above and below the diagonal, where the traces are left as quoted.
    """
    kinds = range(len(KINDS))
    fits = list(fit_variants(maps, [k.w2_cm for k in KINDS], [k.dephasing_fs for k in KINDS], from_fs))
    traces = [_trace_numbers(maps, addresses, begin_fs) for begin_fs in from_fs]
    variants = [
        _named([both_signs(fit, n) for n in kinds]) | trace for fit, trace in zip(fits, traces, strict=True)
    ]
    if len(from_fs) > 1:
        sides = [beats_apart(fits[0], n) for n in kinds]
        variants += [_named([side[k] for side in sides]) | traces[0] for k in (0, 1)]
    return variants


def fit_kind(
    trace: Trace, kind: Kind, address: tuple[float, float], *, from_fs: float = FIT_FROM_FS[0]
) -> GlobalFit:
    """A kind's beat along the trace at its address.

    Away from the diagonal it has one sign: positive above, negative below. Near the diagonal both signs of it
    meet, and those of rho_III, which is broad: first the positive ones, the kind's own before the other.
    """
    w1, w3 = address
    if abs(w3 - w1) > NEAR_CM:
        return fit_trace(
            trace, [kind.w2_cm if w3 > w1 else -kind.w2_cm], [kind.dephasing_fs], from_fs=from_fs
        )
    beats = [kind, *(other for other in KINDS[2:] if other != kind)]
    w2_cm = [beat.w2_cm for beat in beats]
    times_fs = [beat.dephasing_fs for beat in beats]
    return fit_trace(trace, [*w2_cm, *(-w2 for w2 in w2_cm)], times_fs * 2, from_fs=from_fs)


def replicas(maps: Maps, noise: NDArray[np.complexfloating], count: int, *, seed: int) -> Iterator[Maps]:
    """Rephasing maps with as much noise again: that of another t2 and with another phase each time."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        order = rng.permutation(len(noise))
        turn = np.exp(2j * np.pi * rng.random(len(noise)))[:, None, None]
        yield Maps(
            maps.t2_fs, maps.w1_cm, maps.w3_cm, maps.rephasing + turn * noise[order], maps.nonrephasing
        )


def noise_of(
    maps: Maps,
    noise: NDArray[np.complexfloating],
    count: int,
    *,
    quoted: Numbers,
    addresses: Addresses | None,
) -> tuple[Numbers, Numbers]:
    """Standard error by noise of each quoted number, and what noise adds to it, from `count` replicas.

    Maxima and dephasing times come out too large in noisy maps, by as much as adding that noise again makes
    them still larger. Of a dephasing time it is a factor, so that none becomes negative. `addresses` are
    those of the traces; None where there are too few t2 for beats.
    """
    found: list[Numbers] = []
    for replica in replicas(maps, noise, count, seed=count):
        numbers = diagonal_numbers(replica)
        if addresses is not None:
            numbers |= beating_numbers(replica) | fitted_numbers(replica, addresses, FIT_FROM_FS[:1])[0]
        found.append(numbers)
    error, bias = {}, {}
    for name, value in quoted.items():
        values = np.array([each[name] for each in found])
        if name.endswith("dephasing_fs"):
            spread, added = value * np.std(np.log(values), ddof=1), value - value**2 / gmean(values)
        else:
            spread, added = np.std(values, ddof=1), values.mean() - value
        error[name], bias[name] = float(spread * np.sqrt(1 + 1 / count)), float(added)
    return error, bias


# ---- inside ----


def _named(beats: Sequence[FittedBeat]) -> Numbers:
    numbers: Numbers = {}
    for kind, beat in zip(KINDS, beats, strict=True):
        numbers[f"{kind.name}.frequency_cm"] = beat.w2_cm
        numbers[f"{kind.name}.dephasing_fs"] = beat.dephasing_fs
    return numbers


def _trace_numbers(maps: Maps, addresses: Addresses, from_fs: float) -> Numbers:
    numbers: Numbers = {}
    for kind in KINDS:
        address = addresses[kind.name]
        fit = fit_kind(trace_at(maps, *address), kind, address, from_fs=from_fs)
        beat = fit.beats[0]
        found = FittedBeat(abs(beat.w2_cm.value), beat.dephasing_fs.value)
        if len(fit.beats) > 1:
            found = both_signs(fit, 0)
        numbers[f"{kind.name}.trace_frequency_cm"] = found.w2_cm
        numbers[f"{kind.name}.trace_dephasing_fs"] = found.dephasing_fs
    return numbers


def _first_crossing(axis: NDArray[np.floating], along: NDArray[np.floating], share: float) -> float:
    """Where a curve from the red first reaches a share of its maximum of 1, between the points."""
    k = max(1, int(np.argmax(along >= share)))
    return float(np.interp(share, along[k - 1 : k + 1], axis[k - 1 : k + 1]))


def _top(amplitude: NDArray[np.floating]) -> NDArray[np.floating]:
    """The connected region around the maximum, as weights that add up to 1."""
    regions = np.empty(amplitude.shape, np.int32)
    label(amplitude >= TOP * amplitude.max(), output=regions)
    mine = regions == regions[np.unravel_index(int(np.argmax(amplitude)), amplitude.shape)]
    weight = np.where(mine, amplitude, 0.0)
    return weight / weight.sum()
