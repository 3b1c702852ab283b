"""What oscillates along t2: beating maps at a w2, and spectra of traces, with the sign of the beat kept.

A coherence that goes as exp(-i w2 t2) appears at +w2. In rephasing maps w2 = w3 - w1 on average: positive
beats live above the diagonal, negative ones below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .units import FS_PER_CM, W


def nyquist_cm(t2_fs: NDArray[np.floating]) -> float:
    """The fastest beat that even steps of t2 hold."""
    return FS_PER_CM / (2 * float(np.diff(t2_fs).mean()))


@dataclass(frozen=True)
class Beating:
    """Amplitudes of beats; `spectrum` is complex with the shape (w2, w1, w3), or (w2,) of a trace."""

    w2_cm: NDArray[np.floating]
    spectrum: NDArray[np.complexfloating]

    def at(self, w2_cm: float) -> NDArray[np.complexfloating]:
        """The map at the nearest w2."""
        return self.spectrum[int(np.argmin(np.abs(self.w2_cm - w2_cm)))]


def without_decay(
    signal: NDArray[np.complexfloating], t2_fs: NDArray[np.floating], lifetimes_fs: tuple[float, ...]
) -> NDArray[np.complexfloating]:
    """What is left along the first axis without a constant and exponentials of lifetimes common to all.

    Linear least squares, the same basis for every point of the map, so that no beat is taken for a decay.
    """
    basis = np.stack([np.ones_like(t2_fs), *(np.exp(-t2_fs / tau) for tau in lifetimes_fs)], axis=1)
    flat = signal.reshape(len(t2_fs), -1)
    amplitudes, *_ = np.linalg.lstsq(basis.astype(complex), flat, rcond=None)
    return (flat - basis @ amplitudes).reshape(signal.shape)


def beating_spectrum(
    signal: NDArray[np.complexfloating], t2_fs: NDArray[np.floating], w2_cm: NDArray[np.floating]
) -> Beating:
    """Fourier transform over t2 (first axis), with a half-Hann window; raises ValueError past Nyquist."""
    steps = np.diff(t2_fs)
    widest_cm = nyquist_cm(t2_fs)
    if np.ptp(steps) > 1e-6 * steps.max():
        raise ValueError("t2 must go up in even steps")
    if np.abs(w2_cm).max() > widest_cm * (1 + 1e-9):
        raise ValueError(
            f"steps of {steps.mean():g} fs hold beats up to {widest_cm:.0f} cm-1, "
            f"not {np.abs(w2_cm).max():.0f}: beats beyond fold back"
        )
    window = 0.5 * (1 + np.cos(np.pi * np.arange(len(t2_fs)) / len(t2_fs)))
    kernel = np.exp(1j * W * np.multiply.outer(w2_cm, t2_fs)) * (window / window.sum())
    return Beating(w2_cm, np.tensordot(kernel, signal, axes=(1, 0)))
