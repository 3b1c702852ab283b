"""What can go wrong between an emulated motion controller and its client, the same for each make."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..bench import Faults
from ..clock import PS_PER_S, SimulatedClock
from .pi_gcs import Reply

AFTER_PS = PS_PER_S
"""How long after the first move a fault strikes."""
_GONE_PS = PS_PER_S // 2
_LATE_S = 1.5
_EVERY = 10


def line_fault_texts(prefix: str) -> dict[str, str]:
    """Name and sentence of the faults of a line whose replies are not what they should be."""
    return {
        f"{prefix}_link_back": "The connection breaks one second after the first move, for half a second.",
        f"{prefix}_half_reply": "After the first move the end of every tenth reply is lost.",
        f"{prefix}_other_reply": "Ten replies after the first move one is that to the query before it.",
    }


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
        **line_fault_texts(prefix),
    }


class LinkFaults:
    """The faults of one controller; it is told when the first move begins."""

    def __init__(self, clock: SimulatedClock, faults: Faults, prefix: str) -> None:
        self._clock, self._faults, self._prefix = clock, faults, prefix
        self._moved_ps: int | None = None
        self._sent_since = 0
        self._last = b""
        self._swapped = False

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
    def struck(self) -> bool:
        """Whether the first move began a second ago or earlier."""
        return self._moved_ps is not None and self._clock.now_ps >= self._moved_ps + AFTER_PS

    @property
    def held_elsewhere(self) -> bool:
        """Whether another program holds the controller."""
        return self.on("held_elsewhere")

    @property
    def link_broken(self) -> bool:
        """Whether the connection is broken."""
        if self._moved_ps is None or not self.struck:
            return False
        back_ps = self._moved_ps + AFTER_PS + _GONE_PS
        return self.on("link_dropped") or (self.on("link_back") and self._clock.now_ps < back_ps)

    @property
    def deaf(self) -> bool:
        """Whether nothing that is sent arrives."""
        return self.link_broken or self.on("not_found")

    def delayed(self, replies: Sequence[Reply]) -> list[Reply]:
        """The replies as they come out of the line: some late, cut or changed when such a fault is on."""
        return [self._through_the_line(reply) for reply in replies]

    @property
    def _to_be_swapped(self) -> bool:
        return self.on("other_reply") and self._sent_since >= _EVERY and not self._swapped

    def _through_the_line(self, reply: Reply) -> Reply:
        before, self._last = self._last, reply.data
        if self._moved_ps is None:
            return reply
        self._sent_since += 1
        if self._to_be_swapped and _shape(before) != _shape(reply.data):
            self._swapped = True
            return reply._replace(data=before)
        if self._sent_since % _EVERY:
            return reply
        if self.on("late_reply"):
            return reply._replace(delay_s=_LATE_S)
        return reply._replace(data=reply.data[: len(reply.data) // 2]) if self.on("half_reply") else reply


def _shape(reply: bytes) -> bytes:
    """What is left of a reply without its numbers: by this, replies to different queries are told apart."""
    return re.sub(rb"[-+\d]+", b"", reply)


class BehindLink:
    """A controller whose link has `LinkFaults`, as doors see it."""

    _link: LinkFaults

    @property
    def held_elsewhere(self) -> bool:
        """Whether another program holds the controller."""
        return self._link.held_elsewhere

    @property
    def link_broken(self) -> bool:
        """Whether the connection is broken."""
        return self._link.link_broken
