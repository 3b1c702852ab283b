"""Phase cycling: which phases to step through, and how the signals come apart again.

A frame measured with the pulse phases phi carries `sum_a S(a) exp(i a . phi)`; over equidistant phases the
weights `exp(-i a . phi) / n` pick one signature a, and every other one that looks the same at these phases
(H.-S. Tan, J. Chem. Phys. 129, 124501 (2008)).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Signature = tuple[int, ...]
"""How often each pulse acts, with its sign: (-1, 1, 1) is -k1 + k2 + k3."""

REPHASING: Signature = (-1, 1, 1)
NONREPHASING: Signature = (1, -1, 1)
DOUBLE_QUANTUM: Signature = (1, 1, -1)
SIGNATURES = {"rephasing": REPHASING, "nonrephasing": NONREPHASING, "double_quantum": DOUBLE_QUANTUM}


@dataclass(frozen=True)
class Scheme:
    """The phases of all pulses, step by step."""

    name: str
    phases_rad: NDArray[np.floating]
    """Shape (steps, pulses)."""
    heterodyned: bool = True
    """True with an external local oscillator (signatures sum to one), False for populations (to zero)."""

    @property
    def steps(self) -> int:
        """Frames per delay setting."""
        return len(self.phases_rad)

    def weights(self, signature: Signature) -> NDArray[np.complexfloating]:
        """Complex weight of each frame in the sum that gives the signal of a signature; shape (steps,)."""
        turns = self.phases_rad @ np.asarray(signature, float)
        return (np.cos(turns) - 1j * np.sin(turns)) / self.steps

    def extract(self, frames: ArrayLike, signature: Signature, axis: int = 0) -> NDArray[np.complexfloating]:
        """The signal of a signature from frames whose `axis` runs over the steps."""
        return np.tensordot(self.weights(signature), np.moveaxis(np.asarray(frames), axis, 0), axes=1)

    def aliases(self, signature: Signature, order: int = 3) -> list[Signature]:
        """Other signatures of at most `order` interactions that the same weights let through."""
        weights = self.weights(signature)
        others = (a for a in self._signatures(order) if a != tuple(signature))
        return [
            a for a in others if abs(weights @ np.exp(1j * self.phases_rad @ np.asarray(a, float))) > 1e-9
        ]

    def separates(self, signature: Signature, among: Sequence[Signature]) -> bool:
        """True when none of the others comes through with this signature."""
        seen = set(self.aliases(signature, order=3))
        return not any(tuple(other) in seen for other in among if tuple(other) != tuple(signature))

    def _signatures(self, order: int) -> Iterator[Signature]:
        pulses, total = self.phases_rad.shape[1], int(self.heterodyned)
        for a in itertools.product(range(-order, order + 1), repeat=pulses):
            if sum(a) == total and 0 < sum(map(abs, a)) <= order:
                yield a


def equidistant(*steps: int, heterodyned: bool = True) -> Scheme:
    """A scheme L1 x L2 x ...: pulse j steps through 2 pi k / Lj, the last pulse fastest."""
    if not steps or min(steps) < 1:
        raise ValueError(f"phase cycling {'x'.join(map(str, steps))!r}: every pulse needs at least one step")
    axes = [2 * math.pi * np.arange(n) / n for n in steps]
    phases = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(steps))
    return Scheme("x".join(map(str, steps)), phases, heterodyned)


def _pump_probe(name: str, *phases: tuple[float, float]) -> Scheme:
    return Scheme(name, np.array([[*pair, 0.0] for pair in phases]))


PUMP_PROBE = {
    "pump-probe-2": _pump_probe("pump-probe-2", (0.0, 0.0), (0.0, math.pi)),
    "pump-probe-3": _pump_probe("pump-probe-3", *((0.0, 2 * math.pi * k / 3) for k in range(3))),
    "pump-probe-4": _pump_probe(
        "pump-probe-4", (0.0, 0.0), (math.pi, 0.0), (math.pi, math.pi), (0.0, math.pi)
    ),
}
"""Schemes of the pump pair alone; pulse 3 is its own local oscillator, so R and N come out together."""


def scheme(name: str) -> Scheme:
    """A scheme by its name: "4x4x1" (pulse 3 fixed), "1x3x3x3" (four pulses, populations), "pump-probe-4".

    Raises ValueError for anything else.
    """
    if name in PUMP_PROBE:
        return PUMP_PROBE[name]
    try:
        steps = tuple(int(part) for part in name.lower().split("x"))
    except ValueError:
        steps = ()
    if len(steps) not in (3, 4) or min(steps) < 1 or math.prod(steps) > 10_000:
        raise ValueError(
            f"{name!r} is no phase cycling scheme: give steps per pulse such as 4x4x1, or one of "
            f"{', '.join(PUMP_PROBE)}"
        )
    return equidistant(*steps, heterodyned=len(steps) == 3)
