"""The emulated E-545: its identity and its named faults."""

from __future__ import annotations

from collections.abc import Sequence

from ..bench import Faults
from ..clock import SimulatedClock
from ..physics.piezo import PiezoStage
from .link_faults import AFTER_PS, BehindLink, LinkFaults, line_fault_texts
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
    "e545_servo_trips": "The servo of the x axis goes off by itself one second after the first move.",
    **line_fault_texts("e545"),
}
"""Name and what happens; active when the name is among the bench's faults."""


class E545Controller(BehindLink, PiezoWaves):
    """An E-545 as it stands on the bench; it moves the axes of a `PiezoStage`."""

    def __init__(
        self,
        clock: SimulatedClock,
        stage: PiezoStage,
        *,
        faults: Faults | None = None,
        needs_cr: bool = False,
    ) -> None:
        super().__init__(clock, stage, faults=faults, needs_cr=needs_cr)
        self._link = LinkFaults(clock, self._faults, "e545")
        self._servo_tripped = False

    @property
    def identity(self) -> str:
        """What *IDN? says: an E-545 calls itself E-517."""
        if "e545_wrong_controller" in self._faults:
            return "(c)2011-2021 Physik Instrumente (PI) GmbH & Co. KG, C-863.12, 0123456789, 1.3.2.2"
        return "Physik Instrumente, E-517, 0123456789, V01.243"

    def receive(self, data: bytes) -> list[Reply]:
        """Take bytes from the client, unless the connection is broken."""
        if self._link.deaf:
            return []
        if self._link.on("servo_trips") and self._link.struck and not self._servo_tripped:
            self._servo_tripped = True
            self._switch_servo(self._axes["A"], on=False)
        return self._link.delayed(super().receive(data))

    def _before_move(self) -> None:
        if self._link.first_move() and self._link.on("axis_stuck"):
            self._stage.x.seize(self.now_ps + AFTER_PS)

    def _sent(self, name: str, text: str) -> Reply:
        garbled = self._link.on("garbage") and name == "POS?"
        return super()._sent(name, text.replace("+0", "\x7f;") if garbled else text)

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
