"""A pulse of the pump train, and how a spectral mask is taken apart into such pulses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RAD_PER_FS = 2 * np.pi * 2.99792458e-5
"""Angular frequency of 1 cm-1 in rad/fs."""
SMALLEST = 0.005
"""A pulse below this fraction of the largest one is left out."""
FAINTEST = 0.002
"""So is one below this fraction of the unshaped pulse: rounding to grey levels makes such everywhere."""
MOST = 12
"""A mask that is no train of pulses is described by so many."""

_ITERATIONS = 30
_ENOUGH = 1e-6  # relative fall of the squared misfit that ends a fit
_EXACT = 1e-20  # squared misfit
_DAMPING = 1e-3
_RIDGE = 1e-13  # keeps pulses at one and the same delay soluble
_REFINED = 6  # of more pulses the delays stay those of the peaks: such a mask is no train
_PADDING = 2
_PASSIVE = 1.05  # a shaper does not amplify: two huge pulses at one delay that cancel are no solution
_STUCK = 1e9

Complex = NDArray[np.complex128]


class Pulse(NamedTuple):
    """One copy of the laser pulse: `E_pulse(w) = amplitude * exp(i w delay) * E_laser(w)`, with absolute w.

    The field is `E(t) = integral E(w) exp(-i w t) dw`, so a positive delay is a later pulse. A shaper that
    is asked for the phase `(w - g w0) tau + phi` makes `delay_fs = tau` and
    `amplitude = a exp(i (phi - g w0 tau))`.
    """

    delay_fs: float
    amplitude: complex


def decompose(
    mask: NDArray[np.complex128], wavenumber_cm: NDArray[np.float64], power: NDArray[np.float64]
) -> tuple[Pulse, ...]:
    """The pulses, by ascending delay, whose sum is a mask M(w) given on a uniform grid of wavenumbers.

    The largest peak of the Fourier transform is added as a pulse, the delays and amplitudes of all pulses are
    fitted together (least squares weighted by the laser's spectrum `power`), and what remains is searched
    again, down to `SMALLEST` of the largest amplitude, to `FAINTEST`, or to `MOST` pulses. Pulses much closer
    than the laser's own length cannot be told apart and come out as one.
    """
    w = RAD_PER_FS * wavenumber_cm
    fit = _Train(mask, w, power)
    floor = FAINTEST
    while len(fit.delays_fs) < MOST:
        delay_fs, amplitude = fit.largest_left()
        floor = max(floor, SMALLEST * amplitude)
        if amplitude <= floor:
            break
        fit.add(delay_fs)
    amplitudes = fit.amplitudes * np.exp(-1j * fit.centre * fit.delays_fs)
    order = np.argsort(fit.delays_fs)
    return tuple(Pulse(float(fit.delays_fs[k]), complex(amplitudes[k])) for k in order)


class _Train:
    """Delays and amplitudes fitted to a mask; phases are those at the spectrum's centre."""

    def __init__(
        self, mask: NDArray[np.complex128], w: NDArray[np.float64], power: NDArray[np.float64]
    ) -> None:
        weight = power / power.sum()
        self.centre = float(weight @ w)
        self._w = w - self.centre
        self._root = np.sqrt(weight)
        self._wanted = self._root * mask
        points = _PADDING * len(w)
        self._delays_fs = 2 * np.pi * np.fft.fftfreq(points, w[1] - w[0])
        self._take(np.zeros(0), *self._solve(np.zeros(0)))

    def largest_left(self) -> tuple[float, float]:
        """Delay and amplitude of the highest peak of what the pulses do not describe yet."""
        spectrum = np.abs(np.fft.fft(self._root * self._left, len(self._delays_fs)))
        k = int(np.argmax(spectrum))
        return float(self._delays_fs[k]), float(spectrum[k])

    def add(self, delay_fs: float) -> None:
        """Add a pulse and fit all of them (Levenberg-Marquardt in the delays; amplitudes are solved for)."""
        self._take(np.append(self.delays_fs, delay_fs), *self._solve(np.append(self.delays_fs, delay_fs)))
        damping = _DAMPING
        for _ in range(_ITERATIONS if len(self.delays_fs) <= _REFINED else 0):
            if self._misfit < _EXACT:
                return
            delays_fs = self.delays_fs + self._step(damping)
            solution = self._solve(delays_fs)
            gained = 1 - _square(solution[-1]) / self._misfit
            if gained > 0 and np.abs(solution[1]).max() <= _PASSIVE:
                self._take(delays_fs, *solution)
                damping /= 10
            else:
                damping *= 10
            if abs(gained) < _ENOUGH or damping > _STUCK:
                return

    def _solve(self, delays_fs: NDArray[np.float64]) -> tuple[Complex, Complex, Complex]:
        """Fields of pulses at these delays, their best amplitudes, and what is left."""
        fields = self._root[:, None] * np.exp(1j * self._w[:, None] * delays_fs)
        overlap = fields.conj().T @ fields + _RIDGE * np.eye(len(delays_fs))
        amplitudes = np.linalg.solve(overlap, fields.conj().T @ self._wanted)
        return fields, amplitudes, self._wanted - fields @ amplitudes

    def _take(
        self, delays_fs: NDArray[np.float64], fields: Complex, amplitudes: Complex, left: Complex
    ) -> None:
        self.delays_fs, self._fields, self.amplitudes, self._left = delays_fs, fields, amplitudes, left
        self._misfit = _square(left)

    def _step(self, damping: float) -> NDArray[np.float64]:
        """Change of the delays."""
        slopes = self._fields * (1j * self._w[:, None] * self.amplitudes)
        jacobian = np.concatenate([self._fields, 1j * self._fields, slopes], axis=1)
        normal = (jacobian.conj().T @ jacobian).real
        normal[np.diag_indices_from(normal)] *= 1 + damping
        normal[np.diag_indices_from(normal)] += _RIDGE
        step = np.linalg.solve(normal, (jacobian.conj().T @ self._left).real)
        return np.asarray(step[2 * len(self.delays_fs) :], np.float64)


def _square(left: NDArray[np.complex128]) -> float:
    return float(np.vdot(left, left).real)
