"""An emulated SR830 lock-in amplifier, on a photodiode behind the sample; the pump beam is chopped."""

from __future__ import annotations

import math
import re
from typing import Protocol

import numpy as np

from ..bench import Faults
from ..clock import SimulatedClock
from .pi_gcs import Reply

FAULTS = {
    "sr830_not_found": "Nothing at the address answers.",
    "sr830_overload": "The sensitivity is too high for the signal.",
    "sr830_reference_lost": "The chopper stands still: the reference is unlocked.",
    "sr830_garbage": "Noise on the line: readings come back garbled.",
}
"""Name and what happens; active when the name is among the bench's faults."""

_IDENTITY = "Stanford_Research_Systems,SR830,s/n00042,ver1.07"
_TIME_CONSTANTS_S = [mantissa * 10.0**power for power in range(-5, 5) for mantissa in (1, 3)]
_VOLTS = 0.1
"""What the diode's preamplifier gives for all of the local oscillator."""
_RMS_OF_SQUARE = math.sqrt(2) / math.pi
_NOISE = 1e-5
"""Of the local oscillator's light, in the square root of a hertz."""
_INPUT_OVERLOAD, _UNLOCKED = 1, 8
_COMMAND = re.compile(r"\s*(\*?[A-Za-z]{3,4})\s*(\??)\s*([\d, ]*)\s*")


class LightBench(Protocol):
    """What the bench of a coherence experiment is to a photodiode with a chopper."""

    clock: SimulatedClock
    seed: int
    faults: Faults

    def chopped_light(self, at_ps: int, time_constant_s: float) -> float:
        """What follows the chopper, relative to the local oscillator's light."""
        ...


class Sr830:
    """The lock-in as it stands on the bench; it knows the time constant, the outputs and its status."""

    held_elsewhere = False
    link_broken = False

    def __init__(self, bench: LightBench) -> None:
        self.clock, self._bench = bench.clock, bench
        self._rng = np.random.default_rng((bench.seed, 0x5830))
        self._filter = 8
        self._line = b""

    def receive(self, data: bytes) -> list[Reply]:
        """Take bytes from the client; a line ends in LF or CR."""
        if "sr830_not_found" in self._bench.faults:
            return []
        *lines, self._line = re.split(rb"[\r\n]", self._line + data)
        answers = (self._answer(line.decode("latin-1")) for line in lines if line.strip())
        return [Reply(f"{answer}\n".encode("latin-1")) for answer in answers if answer is not None]

    def _answer(self, text: str) -> str | None:
        """The reply to one command; None where there is none, and for commands that it does not know."""
        match = _COMMAND.fullmatch(text)
        if match is None:
            return None
        name, values = match[1].upper() + match[2], [int(v) for v in match[3].replace(",", " ").split()]
        match name, values:
            case "*IDN?", []:
                return _IDENTITY
            case "OFLT", [index] if index < len(_TIME_CONSTANTS_S):
                self._filter = index
            case "OFLT?", []:
                return str(self._filter)
            case "OUTP?", [output] if 1 <= output <= 4:
                return self._printed([output])
            case "SNAP?", [*outputs] if 2 <= len(outputs) <= 6 and set(outputs) <= {1, 2, 3, 4}:
                return self._printed(outputs)
            case "LIAS?", []:
                return str(self._status())
        return None

    def _printed(self, outputs: list[int]) -> str:
        """X, Y, R, theta by their numbers 1 to 4, all of one instant."""
        if "sr830_garbage" in self._bench.faults:
            return "?!;.1,#"
        xy = self._xy()
        numbers = {1: xy.real, 2: xy.imag, 3: abs(xy), 4: math.degrees(math.atan2(xy.imag, xy.real))}
        return ",".join(f"{numbers[output]:.9e}" for output in outputs)

    def _xy(self) -> complex:
        time_constant_s = _TIME_CONSTANTS_S[self._filter]
        light = self._bench.chopped_light(self.clock.now_ps, time_constant_s)
        noise = _NOISE * math.sqrt(1 / (4 * time_constant_s)) * self._rng.standard_normal(2)
        return _VOLTS * _RMS_OF_SQUARE * complex(light + float(noise[0]), float(noise[1]))

    def _status(self) -> int:
        overload = _INPUT_OVERLOAD if "sr830_overload" in self._bench.faults else 0
        return overload | (_UNLOCKED if "sr830_reference_lost" in self._bench.faults else 0)
