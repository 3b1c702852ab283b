"""The stream of detector pulses from one dot, made as time goes on.

Between detections nothing is drawn but when the next one comes; see `_emission`. The pulses depend on
the seed and on what was done to the dot, not on how the time axis is cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _emission
from ._state import make_source
from .charged_dot import MAX_PAIRS, Blinking, ChargedDot
from .detection import REFERENCE_PERIOD_TICKS, Detection, Light, Photodiodes

__all__ = ["PAIRS_PER_PULSE", "DotPhotons", "Emitter", "Light", "pairs_per_pulse", "pump_scale"]

PAIRS_PER_PULSE = 0.6
"""Mean electron-hole pairs per pulse at 30 nW, 2.5 MHz and full excitation coupling; assumed."""
_MOST_PAIRS = 10.0
_PAIRS = np.arange(MAX_PAIRS + 1, dtype=np.float64)
_FACTORIAL = np.cumprod(np.maximum(_PAIRS, 1.0))


def pairs_per_pulse(light: Light) -> float:
    """Mean number of pairs that one pulse makes; 0 without light."""
    return PAIRS_PER_PULSE * light.relative_energy * light.excitation_coupling if light.emitting else 0.0


def two_or_more(mean: float) -> float:
    """Probability that a pulse of `mean` pairs makes two or more."""
    return -math.expm1(-mean) - mean * math.exp(-mean)


def pump_scale(light: Light) -> float:
    """Rate of pulses with two pairs or more, over that at 30 nW and 2.5 MHz."""

    per_pulse = two_or_more(pairs_per_pulse(light)) / two_or_more(PAIRS_PER_PULSE)
    return per_pulse * REFERENCE_PERIOD_TICKS / light.period_ticks


class Emitter:
    """The photons of one dot that the optics send to the photodiodes, before these see them."""

    def __init__(self, dot: ChargedDot, detection: Detection, *, seed: int) -> None:
        self.dot, self.detection = dot, detection
        self.captured_fraction = (dot.blinking or Blinking()).captured_fraction
        self.source = make_source(dot, detection, seed=seed)
        self._photons = np.empty(1024, np.int64)
        self._changes = np.empty((64, 3), np.int64)
        self._history: list[NDArray[np.int64]] = [np.zeros((1, 3), np.int64)]

    def set_light(self, at_tick: int, light: Light) -> None:
        """Change the light at `at_tick`; `light` must have passed `check_light`."""
        mean = pairs_per_pulse(light)
        efficiency = self.detection.efficiency * light.collection_coupling
        for trap, pairs in enumerate((mean, mean * (1 - self.captured_fraction))):
            poisson = _poisson(pairs)
            self.source["poisson"][0, trap] = poisson
            self.source["poisson_cdf"][0, trap] = np.cumsum(poisson)
        above = 1 - self.source["poisson_cdf"][0, 0]
        top = min(MAX_PAIRS, int(np.argmax(above < 1e-9)) + 6)
        seen = int(mean > 0 and efficiency > 0)
        _emission.set_light(
            self.source, at_tick, seen, light.period_ticks, efficiency, pump_scale(light), top
        )

    def emit(self, until_tick: int, edges: NDArray[np.int64], bias_v: NDArray[np.float64]) -> None:
        """Emit until `until_tick`; `edges` and `bias_v` as in `DotPhotons.advance`."""
        self.run(lambda: _emission.make_photons(self.source, edges, bias_v, until_tick, *self.room))

    @property
    def room(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the compiled source writes photons and changes of the trapped charge."""
        return self._photons, self._changes

    def run(self, make: Callable[[], bool]) -> None:
        """Call the compiled source until it is done, with more room each time that it returns False."""
        while not make():
            self._note_changes()
            if self.source["photons"][0] == len(self._photons):
                self._photons = np.concatenate([self._photons, np.empty_like(self._photons)])
        self._note_changes()

    def take_arrived(self, until_tick: int) -> NDArray[np.int64]:
        """Photons that arrive before `until_tick`, once, as sorted 2 * tick + detector."""
        made = self._photons[: int(self.source["photons"][0])]
        arrived = int(np.searchsorted(made, 2 * until_tick))
        photons = made[:arrived].copy()
        left = len(made) - arrived
        self._photons[:left] = made[arrived:].copy()
        self.source["photons"] = left
        return photons

    def truth(self) -> dict[str, Any]:
        """The dot, and the paths of its trapped charge and trap.

        `trapped_charge` and `trap_open` hold the ticks (int64) from which each value holds, and the values.
        """
        ticks, q, trap = np.concatenate(self._history).T
        return {
            **self.dot.truth(),
            "trapped_charge": _changes_of(ticks, q),
            "trap_open": _changes_of(ticks, trap),
        }

    def _note_changes(self) -> None:
        count = int(self.source["changes"][0])
        if count:
            self._history.append(self._changes[:count].copy())
            self.source["changes"] = 0


def check_light(light: Light, detection: Detection) -> None:
    """Raise ValueError for light that the model does not hold for."""
    mean, efficiency = pairs_per_pulse(light), detection.efficiency * light.collection_coupling
    if light.period_ticks < 1 or not 0 <= mean <= _MOST_PAIRS or not 0 <= efficiency <= 0.5:
        raise ValueError(
            f"{light} makes {mean:.3g} pairs per pulse and detects {efficiency:.3g} of the photons; "
            f"the model holds up to {_MOST_PAIRS:g} pairs and 0.5"
        )


def check_cells(
    since_tick: int, until_tick: int, edges: NDArray[np.int64], bias_v: NDArray[np.float64]
) -> None:
    """Raise ValueError for bias cells that do not fit a step from `since_tick` to `until_tick`."""
    if len(edges) != len(bias_v) or not len(edges) or edges[0] != since_tick or edges[-1] >= until_tick:
        raise ValueError(
            f"bias cells must start at tick {since_tick}, end before {until_tick} and have one bias each"
        )
    if not np.isfinite(bias_v).all():
        raise ValueError(f"the bias from tick {since_tick} to {until_tick} must be finite numbers of volt")


class DotPhotons:
    """Detector pulses of one dot, or of an empty spot where `dot` is None.

    Times are int64 ticks of 25 ps since the bench was made; laser pulses fire at the multiples of the
    light's period. The same seed gives the same pulses, bit for bit, whatever the calls' lengths.
    """

    def __init__(self, dot: ChargedDot | None, detection: Detection, *, seed: int) -> None:
        self.dot, self.detection = dot, detection
        self._photodiodes = Photodiodes(detection, seed=seed)
        self._made_until_tick = 0
        self._light: Light | None = None
        self._emitter = None if dot is None else Emitter(dot, detection, seed=seed)

    def advance(
        self, until_tick: int, edges: NDArray[np.int64], bias_v: NDArray[np.float64], light: Light
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Make the detector pulses up to `until_tick`, in time order.

        `edges` are the start ticks (int64) of cells of constant bias, the first one at the last
        `until_tick`; `bias_v` (float64, the same shape) is the interface potential in each. `light` has
        been on since the last call. Returns ticks (int64) and detectors 0 or 1 (uint8).
        Raises ValueError for cells that do not fit, and for light beyond the model.
        """
        since = self._made_until_tick
        check_cells(since, until_tick, edges, bias_v)
        if light != self._light:
            check_light(light, self.detection)
            self._light = light
            if self._emitter is not None:
                self._emitter.set_light(since, light)
        photons = np.empty(0, np.int64)
        if self._emitter is not None:
            edges, bias_v = np.ascontiguousarray(edges, np.int64), np.ascontiguousarray(bias_v, np.float64)
            self._emitter.emit(until_tick, edges, bias_v)
            photons = self._emitter.take_arrived(until_tick)
        pulses = self._photodiodes.advance(since, until_tick, photons, light)
        self._made_until_tick = until_tick
        return pulses

    def truth(self) -> dict[str, Any]:
        """What was planted: the dot, whether it charges, and the paths of its trapped charge and trap."""
        return {"dot": None} if self._emitter is None else self._emitter.truth()


def _poisson(mean: float) -> NDArray[np.float64]:
    return mean**_PAIRS * (math.exp(-mean) / _FACTORIAL)


def _changes_of(ticks: NDArray[np.int64], values: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    changed = np.concatenate([[True], np.diff(values) != 0])
    return {"tick": ticks[changed], "value": values[changed]}
