"""A pulse of the pump train, as it leaves the shaper."""

from __future__ import annotations

from typing import NamedTuple


class Pulse(NamedTuple):
    """One copy of the laser pulse: `E_pulse(w) = amplitude * exp(i w delay) * E_laser(w)`, with absolute w.

    The field is `E(t) = integral E(w) exp(-i w t) dw`, so a positive delay is a later pulse. A shaper that
    is asked for the phase `(w - g w0) tau + phi` makes `delay_fs = tau` and
    `amplitude = a exp(i (phi - g w0 tau))`.
    """

    delay_fs: float
    amplitude: complex
