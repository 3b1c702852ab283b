"""From signals against t1 (and t3) to maps against w1 and w3.

A rephasing signal goes as exp(+i w1 t1), a non-rephasing one as exp(-i w1 t1), detection as exp(-i w3 t3);
both are put at positive w1. Half-line integrals by the trapezoid rule: the first sample counts half.
With a rotating frame of number g at the carrier w0, what is measured is w1 - g w0; the axis gets g w0 back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .units import W

Window = Literal["none", "half_hann"]


@dataclass(frozen=True)
class RotatingFrame:
    """How the shaper's carrier phase followed the delay: exp(i (w - g w0) tau)."""

    g: float
    carrier_cm: float

    @property
    def offset_cm(self) -> float:
        """What has to be added to a measured frequency, in cm-1."""
        return self.g * self.carrier_cm


@dataclass(frozen=True)
class Maps:
    """Two-dimensional spectra at each t2; complex arrays of shape (t2, w1, w3)."""

    t2_fs: NDArray[np.floating]
    w1_cm: NDArray[np.floating]
    w3_cm: NDArray[np.floating]
    rephasing: NDArray[np.complexfloating]
    nonrephasing: NDArray[np.complexfloating]

    @property
    def absorptive(self) -> NDArray[np.floating]:
        """Re(R + N): bleach and stimulated emission positive, excited-state absorption negative."""
        return (self.rephasing + self.nonrephasing).real


def half_line_transform(
    signal: NDArray[np.complexfloating],
    time_fs: NDArray[np.floating],
    wavenumber_cm: NDArray[np.floating],
    *,
    sign: Literal[-1, 1],
    axis: int,
    window: Window = "none",
) -> NDArray[np.complexfloating]:
    """integral from 0 of signal(t) exp(sign i w t) dt on any axis of w, by the trapezoid rule.

    `time_fs` must be even and start at 0 (half the first sample counts); raises ValueError otherwise.
    """
    step_fs = _even_step(time_fs)
    weights = np.full(len(time_fs), step_fs)
    weights[0] *= 0.5
    if window == "half_hann":
        weights *= 0.5 * (1 + np.cos(np.pi * np.arange(len(time_fs)) / len(time_fs)))
    kernel = np.exp(sign * 1j * W * np.multiply.outer(wavenumber_cm, time_fs)) * weights
    return np.moveaxis(np.tensordot(kernel, signal, axes=(1, axis)), 0, axis)


def maps_from_t1(
    rephasing: NDArray[np.complexfloating],
    nonrephasing: NDArray[np.complexfloating],
    *,
    t1_fs: NDArray[np.floating],
    t2_fs: NDArray[np.floating],
    w1_cm: NDArray[np.floating],
    w3_cm: NDArray[np.floating],
    frame: RotatingFrame,
    window: Window = "none",
) -> Maps:
    """Maps from signals of shape (t2, t1, w3), as a spectrometer gives them.

    Raises ValueError when w1_cm reaches beyond what the step of t1 can tell apart.
    """
    beat_cm = w1_cm - frame.offset_cm
    step_fs = _even_step(t1_fs)
    span_cm, widest_cm = float(np.ptp(beat_cm)), 2 * np.pi / (W * step_fs)
    if span_cm > widest_cm * (1 + 1e-9):
        raise ValueError(
            f"a t1 step of {step_fs:g} fs tells frequencies apart over {widest_cm:.0f} cm-1, "
            f"not {span_cm:.0f}"
        )
    r = half_line_transform(rephasing, t1_fs, beat_cm, sign=-1, axis=1, window=window)
    n = half_line_transform(nonrephasing, t1_fs, beat_cm, sign=1, axis=1, window=window)
    return Maps(t2_fs, w1_cm, w3_cm, r, n)


def detect_t3(
    signal: NDArray[np.complexfloating],
    t3_fs: NDArray[np.floating],
    w3_cm: NDArray[np.floating],
    frame: RotatingFrame,
    window: Window = "none",
) -> NDArray[np.complexfloating]:
    """S(w3) along the last axis of a signal scanned in t3 in a rotating frame."""
    return half_line_transform(signal, t3_fs, w3_cm - frame.offset_cm, sign=1, axis=-1, window=window)


def default_w1_axis(t1_fs: NDArray[np.floating], w3_cm: NDArray[np.floating], padding: int = 4):
    """An axis of w1 over the band of w3, `padding` times finer than the t1 range resolves."""
    resolution_cm = 2 * np.pi / (W * _even_step(t1_fs) * len(t1_fs))
    points = max(2, round(padding * float(np.ptp(w3_cm)) / resolution_cm) + 1)
    return np.linspace(float(w3_cm.min()), float(w3_cm.max()), points)


def _even_step(time_fs: NDArray[np.floating]) -> float:
    steps = np.diff(time_fs)
    if len(steps) == 0 or abs(time_fs[0]) > 1e-9 or np.ptp(steps) > 1e-6 * abs(steps).max() or steps[0] <= 0:
        raise ValueError("times must start at 0 and go up in even steps")
    return float(steps.mean())
