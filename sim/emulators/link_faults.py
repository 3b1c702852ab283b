"""What can go wrong between an emulated motion controller and its client, the same for each make."""

from __future__ import annotations

from collections.abc import Sequence

from ..bench import Faults
from ..clock import PS_PER_S, SimulatedClock
from .pi_gcs import Reply

AFTER_PS = PS_PER_S
"""How long after the first move a fault strikes."""
_LATE_S = 1.5
_LATE_EVERY = 10


def link_fault_texts(prefix: str) -> dict[str, str]:
    """Name and sentence of the faults that `LinkFaults` knows for a make."""
    return {
        f"{prefix}_not_found": "Nothing at the address answers.",
        f"{prefix}_wrong_controller": "Another kind of controller answers at the address.",
        f"{prefix}_held_elsewhere": "Another program holds the controller; new clients are turned away.",
        f"{prefix}_link_dropped": "The connection breaks one second after the first move.",
        f"{prefix}_garbage": "Noise on the line: positions come back garbled.",
        f"{prefix}_late_reply": "After the first move every tenth reply comes 1.5 s late.",
        f"{prefix}_stuck": "The carriage jams one second after the first move.",
    }


class LinkFaults:
    """The faults of one controller; it is told when the first move begins."""

    def __init__(self, clock: SimulatedClock, faults: Faults, prefix: str) -> None:
        self._clock, self._faults, self._prefix = clock, faults, prefix
        self._moved_ps: int | None = None
        self._sent_since = 0

    def on(self, name: str) -> bool:
        """Whether a fault of this make is switched on."""
        return f"{self._prefix}_{name}" in self._faults

    def first_move(self) -> bool:
        """A move begins; True for the first one."""
        first = self._moved_ps is None
        if self._moved_ps is None:
            self._moved_ps = self._clock.now_ps
        return first

    @property
    def held_elsewhere(self) -> bool:
        """Whether another program holds the controller."""
        return self.on("held_elsewhere")

    @property
    def link_broken(self) -> bool:
        """Whether the connection is broken."""
        if self._moved_ps is None or not self.on("link_dropped"):
            return False
        return self._clock.now_ps >= self._moved_ps + AFTER_PS

    @property
    def deaf(self) -> bool:
        """Whether nothing that is sent arrives."""
        return self.link_broken or self.on("not_found")

    def delayed(self, replies: Sequence[Reply]) -> list[Reply]:
        """The replies, some of them late when that fault is on."""
        if self._moved_ps is None or not self.on("late_reply"):
            return list(replies)
        late = []
        for reply in replies:
            self._sent_since += 1
            is_late = self._sent_since % _LATE_EVERY == 0
            late.append(reply._replace(delay_s=_LATE_S) if is_late else reply)
        return late
