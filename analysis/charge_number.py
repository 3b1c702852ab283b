"""How many electrons a dot holds, from its lifetime and its intensity against those of X0.

Eqs. 1-2 of Morozov et al., Science Advances 6, eabb1821 (2020), solved for the number N of electrons beside
one hole; N - 1 of them were in the dot before the light made a pair. Intensity and lifetime give one number
each; where they disagree the law does not hold. Their ratio, lifetime over intensity, is 1/N whatever the
Auger rate.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .scaling import Ratio, intensity_ratio

LAW_TOLERANCE = 0.1
"""Eqs. 1-2 are said to hold while the intensity is within this of what the lifetime predicts."""


class ChargeNumber(NamedTuple):
    """Extra electrons of the dot by Eqs. 1-2, and how well the equations hold."""

    from_lifetime: Ratio
    from_intensity: Ratio
    law: Ratio
    """Measured intensity over the one that Eqs. 1-2 predict from the lifetime."""

    @property
    def holds(self) -> bool:
        """True where the intensity agrees with the lifetime, within the tolerance and its error."""
        return abs(self.law.value - 1.0) < LAW_TOLERANCE + self.law.error


def charge_number(enhancement: Ratio, drop: Ratio, auger_ratio: Ratio) -> ChargeNumber:
    """Extra electrons from lifetime enhancement and intensity drop against X0 (both background-free).

    Errors are propagated to first order from the three numbers, taken as independent.
    """

    def by_lifetime(e: float, _: float, a: float) -> float:
        # N (1 + (N - 1) a) = e; the root without cancellation, which is e itself for a = 0
        return 2 * e / ((1 - a) + math.sqrt((1 - a) ** 2 + 4 * a * e)) - 1

    def by_intensity(_: float, d: float, a: float) -> float:
        return (d - 1) / a

    def law(e: float, d: float, a: float) -> float:
        return 1 / d / float(intensity_ratio(by_lifetime(e, d, a) + 1, a))

    given = (enhancement, drop, auger_ratio)
    return ChargeNumber(*(_propagated(function, given) for function in (by_lifetime, by_intensity, law)))


def _propagated(function, given: tuple[Ratio, ...]) -> Ratio:
    values = [ratio.value for ratio in given]
    value = function(*values)
    changes = []
    for i, ratio in enumerate(given):
        shifted = [*values[:i], values[i] + 1e-3 * ratio.error, *values[i + 1 :]]
        changes.append((function(*shifted) - value) / 1e-3 if ratio.error > 0 else 0.0)
    return Ratio(value, math.hypot(*changes))
