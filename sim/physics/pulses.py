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
_DAMPING = 1e-3
_PADDING = 2


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
        self._left = self._wanted
        points = _PADDING * len(w)
        self._delays_fs = 2 * np.pi * np.fft.fftfreq(points, w[1] - w[0])
        self.delays_fs = np.zeros(0)
        self.amplitudes = np.zeros(0, np.complex128)

    def largest_left(self) -> tuple[float, float]:
        """Delay and amplitude of the highest peak of what the pulses do not describe yet."""
        spectrum = np.abs(np.fft.fft(self._root * self._left, len(self._delays_fs)))
        k = int(np.argmax(spectrum))
        return float(self._delays_fs[k]), float(spectrum[k])

    def add(self, delay_fs: float) -> None:
        """Add a pulse and fit all of them (Levenberg-Marquardt in delays, real and imaginary parts)."""
        self.delays_fs = np.append(self.delays_fs, delay_fs)
        fields = self._fields(self.delays_fs)
        self.amplitudes = np.linalg.lstsq(fields, self._wanted, rcond=1e-9)[0]
        self._left = self._wanted - fields @ self.amplitudes
        misfit, damping = _square(self._left), _DAMPING
        for _ in range(_ITERATIONS):
            step = self._step(fields, damping)
            k = len(self.delays_fs)
            delays_fs = self.delays_fs + step[2 * k :]
            amplitudes = self.amplitudes + step[:k] + 1j * step[k : 2 * k]
            fields_there = self._fields(delays_fs)
            left = self._wanted - fields_there @ amplitudes
            now = _square(left)
            if now < misfit:
                fields, self.delays_fs, self.amplitudes, self._left = (
                    fields_there,
                    delays_fs,
                    amplitudes,
                    left,
                )
                settled, misfit, damping = now > (1 - _ENOUGH) * misfit, now, damping / 10
            else:
                settled, damping = damping > 1e6, damping * 10
            if settled or misfit < 1e-24:
                return

    def _fields(self, delays_fs: NDArray[np.float64]) -> NDArray[np.complex128]:
        return self._root[:, None] * np.exp(1j * self._w[:, None] * delays_fs)

    def _step(self, fields: NDArray[np.complex128], damping: float) -> NDArray[np.float64]:
        slopes = fields * (1j * self._w[:, None] * self.amplitudes)
        jacobian = np.concatenate([fields, 1j * fields, slopes], axis=1)
        normal = (jacobian.conj().T @ jacobian).real
        normal[np.diag_indices_from(normal)] *= 1 + damping
        normal[np.diag_indices_from(normal)] += 1e-14
        return np.linalg.solve(normal, (jacobian.conj().T @ self._left).real)


def _square(left: NDArray[np.complex128]) -> float:
    return float(np.vdot(left, left).real)
