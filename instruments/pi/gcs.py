"""PI General Command Set (GCS 2.0): what all PI controllers share, over any adapter.

A reply of several lines ends by rule: each line but the last ends in space and LF, the last in LF alone.
A setter gives no reply, and a bad query none either: the reason waits in a one-slot register that ERR?
reads and clears. Controllers in a daisy chain are told apart by a number in front of each command, and of
each reply. (PI manual MS249E for the C-863.12; PI's own client PIPython; odemis.)
"""

from __future__ import annotations

import logging
import math
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pymeasure.adapters import Adapter
from pymeasure.instruments import Channel, Instrument

from ..base import Identity, InstrumentError
from ..links import LineLink, LinkDroppedError, ReplyTimeoutError, open_link
from ..stage import NotReferencedError, ServoOffError
from .gcs_errors import STOPPED, UNALLOWABLE_MOVE, GcsError, UnexpectedReplyError, WrongControllerError

_log = logging.getLogger(__name__)

STOP_ALL = b"\x18"
READY = "\xb1"
_MOST_LINES = 1 << 18
_PROBE_S = 0.3
_PROBE_TRIES = 4
_MNEMONIC = re.compile(r"\s*(\*IDN\?|#\d+|[A-Z]{3}\??)")


def number(reply: object) -> float:
    """The number that pymeasure made of a reply; raises UnexpectedReplyError where it is none."""
    if not (isinstance(reply, float) and math.isfinite(reply)):
        raise UnexpectedReplyError(f"{reply!r:.60} came where a number was expected: the line is disturbed")
    return reply


def whole_number(reply: str, command: str) -> int:
    """The integer in a reply to `command`; raises UnexpectedReplyError where there is none."""
    try:
        return int(reply)
    except ValueError:
        raise UnexpectedReplyError(
            f"{reply!r:.60} came back at {command!r} instead of a whole number"
        ) from None


def switch(query: str, command: str, about: str) -> property:
    """A property of an axis that is on or off (bool); `command` takes 1 or 0."""
    return Channel.control(
        query,
        command,
        about,
        values={True: 1, False: 0},
        map_values=True,
        get_process=number,
        check_set_errors=True,
    )


class GcsArray(NamedTuple):
    """Columns of numbers, such as recorded data, with their header."""

    header: dict[str, str]
    columns: NDArray[np.float64]
    """Shape (columns, rows)."""


class GcsAxis(Channel):
    """One axis of a PI controller; queries check that the reply is about this axis."""

    # narrower than pymeasure's, whose channels may sit on any instrument
    parent: GCSController  # pyright: ignore[reportIncompatibleVariableOverride]

    servo_enabled = switch(
        "SVO? {ch}",
        "SVO {ch} %d",
        """Control whether the axis is under closed-loop control (bool).""",
    )
    on_target = Channel.measurement(
        "ONT? {ch}",
        """Get whether the axis has settled at its target (bool).""",
        values={True: 1, False: 0},
        map_values=True,
        get_process=number,
    )

    def ask(self, command: str, query_delay: float | None = None) -> str:
        """Ask and return the value that belongs to this axis; raises UnexpectedReplyError for another."""
        command = self.insert_id(command)
        reply = self.parent.ask(command)
        item, equals, value = reply.partition("=")
        if not equals or item.strip() != command.split()[-1]:
            raise UnexpectedReplyError(f"{self.parent.name}: {reply!r:.60} came back at {command!r}")
        return value


class GCSController(Instrument):
    """A controller that speaks GCS 2.0.

    `adapter` is an address for `open_link` or any pymeasure adapter that delivers lines ending in LF.
    `address` (1 to 16) is the controller's number in a daisy chain, None where it stands alone.
    Making one sends nothing; `identify` finds out who is there and must come first.
    """

    def __init__(
        self,
        adapter: Adapter | str,
        name: str = "PI controller",
        *,
        address: int | None = None,
        **kwargs: Any,
    ) -> None:
        link = open_link(adapter, **kwargs) if isinstance(adapter, str) else adapter
        super().__init__(link, name, includeSCPI=False)
        if address is not None and not 1 <= address <= 16:
            raise ValueError(f"{name}: address = {address!r} must be from 1 to 16, or None")
        self._to = "" if address is None else f"{address} "
        self._from = "" if address is None else f"0 {address} "
        self._lock: threading.RLock = getattr(link, "lock", None) or threading.RLock()
        self._identity = ""
        self._last_command = ""
        self._commands: frozenset[str] | None = None

    # ---- who is there ----

    def identify(self, models: Iterable[str]) -> Identity:
        """Find the command terminator, clear the error register, and return who answers.

        Raises WrongControllerError when it is none of `models`, LinkError when the line is held, and
        InstrumentError when nobody answers.
        """
        with self._lock:
            if isinstance(self.adapter, LineLink):
                self._find_terminator(self.adapter)
            identity = self.ask("*IDN?")
            while identity.isdigit():  # a reply to the search for the terminator that came late
                identity = self.read()
            self._identity = identity
            for _ in range(_PROBE_TRIES):
                if self.take_error() == 0:
                    break
        vendor, model, serial, version, *_ = *(part.strip() for part in self._identity.split(",")), "", "", ""
        if model.partition(".")[0] not in models:  # C-863.12 is a C-863
            raise WrongControllerError(
                f"{self.name}: {self._identity!r:.120} answers at {self._address}, "
                f"not a {' or '.join(models)}; check the address"
            )
        return Identity(vendor, model, serial, version, getattr(self.adapter, "simulated", False))

    @property
    def commands(self) -> frozenset[str]:
        """Get the commands that this firmware knows (set of mnemonics); asked once."""
        if self._commands is None:
            lines = self.ask("HLP?").splitlines()
            self._commands = frozenset(m[1] for line in lines if (m := _MNEMONIC.match(line)))
        return self._commands

    @property
    def axis_names(self) -> list[str]:
        """Get the names of the axes (list of str)."""
        return [line.strip() for line in self.ask("SAI?").splitlines()]

    # ---- the exchange ----

    def write(self, command: str, **kwargs: Any) -> None:
        """Send one command."""
        self._last_command = command
        super().write(self._to + command, **kwargs)

    def read(self, **kwargs: Any) -> str:
        """Read a whole reply: its lines joined by newlines, without terminators.

        A reply that comes late is still matched to its query. Raises GcsError when there is none because
        the controller refused the query, ReplyTimeoutError when it gives no reason, and LinkDroppedError
        when it does not answer any more.
        """
        try:
            return self._read_reply()
        except ReplyTimeoutError:
            if not self._identity:
                raise
        return self._late_reply(self._last_command)

    def ask(self, command: str, query_delay: float | None = None) -> str:
        """Send a query and read its reply, undisturbed by other threads."""
        with self._lock:
            self.write(command)
            return self.read()

    def ask_character(self, code: int) -> int:
        """Send a single-character query, which needs no terminator, and read its hexadecimal reply."""
        with self._lock:
            reply = self._ask_code(code)
        try:
            return int(reply, 16)
        except ValueError:
            raise UnexpectedReplyError(f"{self.name}: {reply!r:.60} came back at #{code}") from None

    @property
    def ready(self) -> bool:
        """Get whether the controller takes commands (bool); it does not while it references."""
        with self._lock:
            return self._ask_code(7) == READY

    def ask_items(self, command: str) -> dict[str, str]:
        """Ask for values by item, such as "POS?", and return them by the item's name."""
        pairs = [line.partition("=") for line in self.ask(command).splitlines()]
        if not all(equals for _, equals, _ in pairs):
            raise UnexpectedReplyError(f"{self.name}: {command!r} was answered without item names")
        return {item.strip(): value.strip() for item, _, value in pairs}

    def ask_array(self, command: str) -> GcsArray:
        """Ask for an array; raises UnexpectedReplyError when its rows are not what its header says."""
        head, end, body = self.ask(command).partition("# END_HEADER")
        lines = (line.lstrip("# ").partition("=") for line in head.splitlines())
        header = {key.strip(): value.strip() for key, _, value in lines if key.strip()}
        try:
            rows = np.array([row.split() for row in body.splitlines() if row.strip()], dtype=np.float64)
            expected = int(header["NDATA"]), int(header["DIM"])
        except (KeyError, ValueError) as error:
            raise UnexpectedReplyError(
                f"{self.name}: no array with NDATA and DIM came back at {command!r} ({error!s:.60})"
            ) from error
        if not end or rows.shape != expected:
            raise UnexpectedReplyError(
                f"{self.name}: {rows.shape} numbers at {command!r}, announced {expected}"
            )
        return GcsArray(header, rows.T)

    # ---- errors and stopping ----

    def take_error(self) -> int:
        """Read and clear the error register (0 is none)."""
        return whole_number(self.ask("ERR?"), "ERR?")

    def check_set_errors(self) -> list[Any]:
        """See whether the last command was accepted; raises ServoOffError, NotReferencedError or GcsError."""
        command = self._last_command
        if code := self.take_error():
            if code == UNALLOWABLE_MOVE:
                self._explain_refused_move(command)
            raise GcsError(self.name, code, command)
        return []

    def send(self, command: str) -> None:
        """Send a command without reply and see that it was accepted; raises as `check_set_errors`."""
        with self._lock:
            self.write(command)
            self.check_set_errors()

    def stop(self) -> None:
        """Stop all axes at once, from any thread; targets become the present positions."""
        self.write_bytes(self._to.encode() + STOP_ALL)
        with self._lock:
            code = self.take_error()
        if code not in (0, STOPPED):
            raise GcsError(self.name, code, "stop")

    def shutdown(self) -> None:
        """Close the connection; moves nothing."""
        self.adapter.close()
        super().shutdown()

    # ---- inside ----

    @property
    def _address(self) -> str:
        return getattr(self.adapter, "address", "this address")

    def _ask_code(self, code: int) -> str:
        self._last_command = f"#{code}"
        self.write_bytes(self._to.encode() + bytes([code]))
        return self.read()

    def _read_reply(self) -> str:
        reply = self.adapter.read()
        if reply.endswith(" "):
            lines = [reply]
            while lines[-1].endswith(" ") and lines != [self._from + " "]:  # that is an empty reply
                if len(lines) == _MOST_LINES:
                    raise UnexpectedReplyError(f"{self.name}: a reply does not end after {_MOST_LINES} lines")
                lines.append(self.adapter.read())
            reply = "\n".join(lines)
        if self._from:
            sender, reply = reply.lstrip("\0")[: len(self._from)], reply.lstrip("\0")[len(self._from) :]
            if sender != self._from:
                raise UnexpectedReplyError(
                    f"{self.name}: {sender!r} came back where controller {self._to}of the chain should answer"
                )
        return "\n".join(line.strip("\0\r ") for line in reply.splitlines()).strip("\n")

    def _late_reply(self, command: str) -> str:
        """Ask for the identity: whatever comes before it is the late reply to `command`."""
        try:
            super().write(self._to + "*IDN?")
            before = []
            while (reply := self._read_reply()) != self._identity:
                if reply.endswith(self._identity):
                    half = reply.removesuffix(self._identity)
                    raise UnexpectedReplyError(
                        f"{self.name}: the end of {half!r:.60}, the reply to {command!r}, is lost"
                    )
                before.append(reply)
            if before:
                _log.warning("%s: the reply to %r came late", self.name, command)
                return before[-1]
            super().write(self._to + "ERR?")
            code = whole_number(self._read_reply(), "ERR?")
        except ReplyTimeoutError as error:
            raise LinkDroppedError(
                f"{self.name}: {self._address} does not answer any more; check cable and power"
            ) from error
        if code:
            raise GcsError(self.name, code, command)
        raise ReplyTimeoutError(f"{self.name}: no reply to {command!r}, and no reason given")

    def _explain_refused_move(self, command: str) -> None:
        """Tell the two meanings of error 5 apart for the axes of a move."""
        moved = set(command.split()[1::2])
        off = sorted(moved & {axis for axis, on in self.ask_items("SVO?").items() if on != "1"})
        if off:
            raise ServoOffError(
                f"{self.name}: the servo of axis {', '.join(off)} is off, so {command!r} was refused; switch "
                "it on, and check the SERVO switch at the front"
            )
        if moved <= set(self.axis_names):
            raise NotReferencedError(
                f"{self.name}: {command!r} was refused although the servo is on: axis "
                f"{', '.join(sorted(moved))} is not referenced; reference or autozero it"
            )

    def _find_terminator(self, link: LineLink) -> None:
        """Try what may end a command until ERR? is answered by a whole number."""
        with _reply_time(link, _PROBE_S):
            for terminator in link.terminators:
                link.write_termination = terminator
                self.write_bytes(terminator.encode())  # ends a half line, if there is one
                link.flush_read_buffer()
                try:
                    whole_number(self.ask("ERR?"), "ERR?")
                    return
                except (ReplyTimeoutError, UnexpectedReplyError):
                    continue
        raise InstrumentError(
            f"{self.name}: no GCS controller answers at {self._address}; check power, cable and baud rate"
        )


@contextmanager
def _reply_time(link: LineLink, timeout_s: float) -> Iterator[None]:
    usual_s, link.timeout_s = link.timeout_s, min(timeout_s, link.timeout_s)
    try:
        yield
    finally:
        link.timeout_s = usual_s
