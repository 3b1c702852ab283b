"""Damped beats and decays common to all points of a map, by variable projection.

Model, after A. Volpato et al., Opt. Express 24, 24773 (2016):
`X(p, t2) = sum_n A_n(p) exp(-t2/tau_n) exp(-i w_n t2) + sum_d B_d(p) exp(-t2/tau_d) + C(p)`,
with common w_n, tau_n, tau_d and amplitudes of each point p. The amplitudes are linear and are eliminated
(G. H. Golub and V. Pereyra, SIAM J. Numer. Anal. 10, 413 (1973); Jacobian without the term that vanishes with
the residual, L. Kaufman, BIT 15, 49 (1975)); data are first compressed onto their singular vectors. The maps
|A_n| are the beating maps. "Dephasing time" here is that of the global fit: it can differ by a third from the
decay of a trace at one address or of the ensemble's coherence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.signal import find_peaks
from scipy.stats import t as student

from .beating import beating_spectrum, nyquist_cm, without_decay
from .units import W

ENERGY_LEFT = 1e-6
"""Share of the data's energy that compression may leave out (its noise is counted all the same)."""


@dataclass(frozen=True)
class Interval:
    """A fitted number, its standard error, and half the width of its 95 % interval."""

    value: float
    error: float
    half_95: float


@dataclass(frozen=True)
class Beat:
    """One damped oscillation; `amplitude` is complex, one per point of the map."""

    w2_cm: Interval
    dephasing_fs: Interval
    amplitude: NDArray[np.complexfloating]


@dataclass(frozen=True)
class Decay:
    """One population decay."""

    lifetime_fs: Interval
    amplitude: NDArray[np.complexfloating]


@dataclass(frozen=True)
class GlobalFit:
    """What was found, with what is left."""

    beats: tuple[Beat, ...]
    decays: tuple[Decay, ...]
    constant: NDArray[np.complexfloating]
    of_real_data: bool
    residual_rms: float
    """Root mean square of what is left, per sample."""
    converged: bool

    def model(self, t2_fs: NDArray[np.floating]) -> NDArray[np.floating] | NDArray[np.complexfloating]:
        """The fitted signal, t2 along the first axis."""
        beats = sum(_oscillation(t2_fs, b.w2_cm.value, b.dephasing_fs.value, b.amplitude) for b in self.beats)
        rest = sum(_oscillation(t2_fs, 0.0, d.lifetime_fs.value, d.amplitude) for d in self.decays)
        constant = np.multiply.outer(np.ones(len(t2_fs)), self.constant)
        return (
            (2 * np.real(beats) + np.real(rest + constant)) if self.of_real_data else beats + rest + constant
        )


def global_fit(
    signal: NDArray[np.floating] | NDArray[np.complexfloating],
    t2_fs: NDArray[np.floating],
    *,
    w2_cm: Sequence[float],
    dephasing_fs: Sequence[float],
    lifetimes_fs: Sequence[float] = (),
    skip_fs: float = 0.0,
) -> GlobalFit:
    """Fit beats and decays to a map, or to one trace; t2 runs along the first axis.

    Parameters
    ----------
    signal: array of shape (t2, ...). Complex data keep the sign of a beat. In real data every beat is a
        damped cosine, 2 Re of the amplitude that is returned.
    t2_fs: times of the first axis in fs.
    w2_cm, dephasing_fs: where each beat starts from, in cm-1 and fs.
    lifetimes_fs: where each decay starts from, in fs.
    skip_fs: leave out earlier times, where coherences between the branches rule (the first 50 fs).

    Raises ValueError when there are fewer samples in time than unknowns.
    """
    kept = t2_fs >= skip_fs
    t = t2_fs[kept]
    data = signal[kept].reshape(len(t), -1)
    problem = _Projection(t, _compressed(data), len(w2_cm), len(lifetimes_fs))
    start = np.concatenate([np.asarray(w2_cm, float), np.log(dephasing_fs), np.log(lifetimes_fs)])
    parts = 2 if np.iscomplexobj(signal) else 1  # real numbers in a sample, and in an amplitude
    if parts * len(t) <= parts * problem.columns + len(start):
        raise ValueError(f"{len(t)} times are too few for {len(w2_cm)} beats and {len(lifetimes_fs)} decays")
    found = least_squares(
        problem.residual,
        start,
        jac=problem.jacobian,  # pyright: ignore[reportArgumentType]  # the stub knows only the names
        x_scale=problem.scale(),
        bounds=problem.bounds(),
    )
    basis = problem.basis(found.x)
    amplitudes = np.linalg.lstsq(basis, data.astype(complex), rcond=None)[0]
    left = data - basis @ amplitudes
    freedom = parts * (data.size - amplitudes.size) - len(start)
    error = np.sqrt(np.diag(_covariance(problem, found.x, amplitudes, left, freedom / data.shape[1])))
    intervals = _intervals(found.x, error, float(student.ppf(0.975, freedom)), len(w2_cm))
    maps = amplitudes.reshape(-1, *signal.shape[1:])
    n = len(w2_cm)
    return GlobalFit(
        tuple(Beat(intervals[k], intervals[n + k], maps[k]) for k in range(n)),
        tuple(Decay(intervals[2 * n + d], maps[n + d]) for d in range(len(lifetimes_fs))),
        maps[n + len(lifetimes_fs)],
        not np.iscomplexobj(signal),
        float(np.sqrt(np.mean(np.abs(left) ** 2))),
        bool(found.success),
    )


def starting_beats(
    signal: NDArray[np.complexfloating],
    t2_fs: NDArray[np.floating],
    count: int,
    *,
    lowest_cm: float = 60.0,
    lifetimes_fs: tuple[float, ...] = (300.0,),
) -> list[float]:
    """The `count` strongest beats of a map, |w2| above `lowest_cm`, as starting values in cm-1."""
    widest_cm = nyquist_cm(t2_fs)
    w2_cm = np.linspace(-widest_cm, widest_cm, 8 * len(t2_fs) + 1)
    left = without_decay(signal, t2_fs, lifetimes_fs)
    power = (np.abs(beating_spectrum(left, t2_fs, w2_cm).spectrum) ** 2).reshape(len(w2_cm), -1).sum(axis=1)
    power[np.abs(w2_cm) < lowest_cm] = 0.0
    peaks, _ = find_peaks(power)
    strongest = peaks[np.argsort(power[peaks])[::-1]]
    return [float(w2_cm[k]) for k in strongest[:count]]


# ---- inside ----


_Outer = tuple[NDArray[np.complexfloating], NDArray[np.complexfloating]]


class _Projection:
    """Residual and Jacobian of the compressed data once the linear amplitudes are eliminated.

    Columns of the basis: beats, decays, a constant, and for real data the beats' conjugates.
    """

    def __init__(
        self,
        t2_fs: NDArray[np.floating],
        data: NDArray[np.floating] | NDArray[np.complexfloating],
        n_beats: int,
        n_decays: int,
    ) -> None:
        self._t, self._data, self._beats, self._decays = t2_fs, data.astype(complex), n_beats, n_decays
        self._real = not np.iscomplexobj(data)

    @property
    def columns(self) -> int:
        """How many linear amplitudes there are."""
        return self._beats * (1 + self._real) + self._decays + 1

    def basis(self, theta: NDArray[np.floating]) -> NDArray[np.complexfloating]:
        """Complex array of shape (t2, columns)."""
        n = self._beats
        w2 = np.concatenate([theta[:n], np.zeros(self._decays)])
        moving = np.exp(-np.multiply.outer(self._t, np.exp(-theta[n:]) + 1j * W * w2)).astype(complex)
        constant = np.ones((len(self._t), 1), complex)
        return np.hstack([moving, constant, moving[:, :n].conj()] if self._real else [moving, constant])

    def residual(self, theta: NDArray[np.floating]) -> NDArray[np.floating]:
        """What the basis leaves."""
        q, _ = np.linalg.qr(self.basis(theta))
        return self._flat(self._data - q @ (q.conj().T @ self._data))

    def jacobian(self, theta: NDArray[np.floating]) -> NDArray[np.floating]:
        """Derivatives of the residual, shape (residuals, parameters)."""
        basis, n = self.basis(theta), self._beats
        q, r = np.linalg.qr(basis)
        amplitudes = np.linalg.lstsq(r, q.conj().T @ self._data, rcond=None)[0]
        derivatives = []
        for k in range(len(theta)):
            column, course = self._derivative(k, theta, basis)
            change = np.multiply.outer(course, amplitudes[column])
            if self._real and column < n:
                change = change + change.conj()
            derivatives.append(self._flat(q @ (q.conj().T @ change) - change))
        return np.stack(derivatives, axis=1)

    def slopes(
        self, theta: NDArray[np.floating], amplitudes: NDArray[np.complexfloating]
    ) -> list[list[_Outer]]:
        """The Jacobian's columns at all points, as outer products of a time course and a map."""
        basis, n = self.basis(theta), self._beats
        q, _ = np.linalg.qr(basis)
        found = []
        for k in range(len(theta)):
            column, course = self._derivative(k, theta, basis)
            parts = [(course, amplitudes[column])]
            if self._real and column < n:
                parts.append((course.conj(), amplitudes[self.columns - n + column]))
            found.append([(c - q @ (q.conj().T @ c), a) for c, a in parts])
        return found

    def _derivative(
        self, k: int, theta: NDArray[np.floating], basis: NDArray[np.complexfloating]
    ) -> tuple[int, NDArray[np.complexfloating]]:
        """The one column of the basis that parameter `k` changes, and its derivative."""
        n = self._beats
        column, by_theta = (k, -1j * W * self._t) if k < n else (k - n, self._t * np.exp(-theta[k]))
        return column, by_theta * basis[:, column]

    def scale(self) -> NDArray[np.floating]:
        """Natural step of each parameter: the resolution in w2, and a logarithm."""
        resolution_cm = 1.0 / (W * float(np.ptp(self._t)))
        return np.concatenate([np.full(self._beats, resolution_cm), np.ones(self._beats + self._decays)])

    def bounds(self) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Any frequency; times from a tenth of a step, when nothing is left, to 100 times the range."""
        shortest = np.log(0.1 * float(np.diff(self._t).min()))
        longest = np.log(100 * float(np.ptp(self._t)))
        n_times = self._beats + self._decays
        reach = np.full(self._beats, np.inf)
        return np.r_[-reach, np.full(n_times, shortest)], np.r_[reach, np.full(n_times, longest)]

    def _flat(self, values: NDArray[np.complexfloating]) -> NDArray[np.floating]:
        if self._real:
            return values.real.ravel()
        return np.concatenate([values.real.ravel(), values.imag.ravel()])


def _compressed(
    data: NDArray[np.floating] | NDArray[np.complexfloating],
) -> NDArray[np.floating] | NDArray[np.complexfloating]:
    """The data in the frame of their singular vectors, the weakest left out; shape (t2, rank)."""
    if data.shape[1] <= data.shape[0]:
        return data
    energies, vectors = np.linalg.eigh(data @ data.conj().T)
    energies = np.maximum(energies, 0.0)
    weak = np.cumsum(energies) <= ENERGY_LEFT * float(energies.sum())
    return vectors[:, ~weak] * np.sqrt(energies[~weak])


def _covariance(
    problem: _Projection,
    theta: NDArray[np.floating],
    amplitudes: NDArray[np.complexfloating],
    left: NDArray[np.complexfloating],
    freedom: float,
) -> NDArray[np.floating]:
    """Covariance of the parameters for noise that is white in time, whatever it is among the points.

    Neighbouring points of a zero-padded map share their noise, and some are noisier than others: what is left
    tells how (the sandwich of P. J. Huber, Proc. 5th Berkeley Symp. 1, 221 (1967)). `freedom` is that of one
    point.
    """
    slopes = problem.slopes(theta, amplitudes)
    bread = np.array([[_real_product(a, b) for b in slopes] for a in slopes])
    noise = [[(across, along @ left.conj().T) for across, along in parts] for parts in slopes]
    meat = np.array([[_real_product(a, b) for b in noise] for a in noise]) / freedom
    unit = 1 / np.sqrt(np.diag(bread))
    inverse = np.linalg.pinv(bread * np.outer(unit, unit), hermitian=True) * np.outer(unit, unit)
    return inverse @ meat @ inverse


def _real_product(a: Sequence[_Outer], b: Sequence[_Outer]) -> float:
    """Re of the sum of conj(a) b, each a sum of outer products."""
    return float(sum((np.vdot(a0, b0) * np.vdot(a1, b1)).real for a0, a1 in a for b0, b1 in b))


def _intervals(
    theta: NDArray[np.floating], error: NDArray[np.floating], wide: float, n_beats: int
) -> list[Interval]:
    """Frequencies as they are; times from their logarithms."""
    times = np.exp(theta[n_beats:])
    value = np.concatenate([theta[:n_beats], times])
    scale = np.concatenate([np.ones(n_beats), times])
    return [Interval(float(v), float(e), float(wide * e)) for v, e in zip(value, error * scale, strict=True)]


def _oscillation(
    t2_fs: NDArray[np.floating], w2_cm: float, tau_fs: float, amplitude: NDArray[np.complexfloating]
) -> NDArray[np.complexfloating]:
    return np.multiply.outer(np.exp(-t2_fs / tau_fs - 1j * W * w2_cm * t2_fs), amplitude)
