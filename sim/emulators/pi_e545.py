"""The emulated E-545: its identity and its named faults."""

from __future__ import annotations

from collections.abc import Sequence

from ..clock import PS_PER_S
from .pi_gcs import CommandError, Reply, command
from .pi_waves import PiezoWaves

FAULTS = {
    "e545_not_found": "Nothing at the address answers.",
    "e545_wrong_controller": "A controller of linear stages (C-863) answers at the address.",
    "e545_held_elsewhere": "Another program holds the controller; new clients are turned away.",
    "e545_stays_offline": "The channels stay offline, whatever ONL says.",
    "e545_servo_off": "The servo of the x axis cannot be switched on.",
    "e545_not_referenced": "Every move is refused although the servo is on.",
    "e545_axis_stuck": "The x axis jams one second after the first move.",
    "e545_link_dropped": "The connection breaks one second after the first move.",
    "e545_garbage": "Noise on the line: the replies to POS? are garbled.",
    "e545_late_reply": "After the first move every tenth reply comes 1.5 s late.",
}
"""Name and what happens; active when the name is among the bench's faults."""

_AFTER_PS = PS_PER_S
_LATE_S = 1.5
_LATE_EVERY = 10


class E545Controller(PiezoWaves):
    """An E-545 as it stands on the bench; it moves the axes of a `PiezoStage`."""

    @property
    def identity(self) -> str:
        """What *IDN? says: an E-545 calls itself E-517."""
        if "e545_wrong_controller" in self._faults:
            return "(c)2011-2021 Physik Instrumente (PI) GmbH & Co. KG, C-863.12, 0123456789, 1.3.2.2"
        return "Physik Instrumente, E-517, 0123456789, V01.243"

    _moved_ps: int | None = None
    _sent_since = 0

    @property
    def held_elsewhere(self) -> bool:
        """Whether another program holds the controller."""
        return "e545_held_elsewhere" in self._faults

    @property
    def link_broken(self) -> bool:
        """Whether the connection is broken."""
        broken = "e545_link_dropped" in self._faults and self._moved_ps is not None
        return broken and self.now_ps >= (self._moved_ps or 0) + _AFTER_PS

    def receive(self, data: bytes) -> list[Reply]:
        """Take bytes from the client, unless the connection is broken."""
        return [] if self.link_broken or "e545_not_found" in self._faults else super().receive(data)

    def _before_move(self) -> None:
        if self._moved_ps is None:
            self._moved_ps = self.now_ps
            if "e545_axis_stuck" in self._faults:
                self._stage.x.seize(self.now_ps + _AFTER_PS)

    def _sent(self, name: str, text: str) -> Reply:
        if "e545_garbage" in self._faults and name == "POS?":
            text = text.replace("+0", "\x7f;")
        reply = super()._sent(name, text)
        if "e545_late_reply" in self._faults and self._moved_ps is not None:
            self._sent_since += 1
            if self._sent_since % _LATE_EVERY == 0:
                return reply._replace(delay_s=_LATE_S)
        return reply

    @command("VER?")
    def _ver_(self, arguments: Sequence[str]) -> list[str]:
        """Get the versions of firmware and parts."""
        return ["FW: E-517 V01.243", "DSP: V01.243", "emulated"]

    @command("SPA?")
    def _spa_(self, arguments: Sequence[str]) -> list[str]:
        """Get a parameter: item, parameter; of them tolerance, settle time and servo cycle."""
        if len(arguments) != 2:
            raise CommandError(24)
        known = {0x07000900: "0.005", 0x07000901: "0.010", 0x0E000200: "3.9999984e-5"}
        try:
            parameter = int(arguments[1], 0)
        except ValueError:
            raise CommandError(25) from None
        if parameter not in known:
            raise CommandError(54)
        return [f"{arguments[0]} 0x{parameter:X}={known[parameter]}"]
