"""An emulated PI controller's side of the wire: framing, error register, silence on bad queries."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from ...instruments.pi import gcs_errors
from ..clock import SimulatedClock

LINE_CHARS = 800
"""Length of the line buffer, roughly that of the real unit, which takes 72 points of a wave and not 73."""

_SEPARATORS = re.compile(rb"([\r\n\x04-\x09\x18])")
_LINE_ENDS = (b"\r", b"\n")

Method = TypeVar("Method", bound=Callable[..., Any])


class CommandError(Exception):
    """A command is refused with this error number."""

    def __init__(self, code: int) -> None:
        super().__init__(gcs_errors.TEXTS.get(code, ""))
        self.code = code


class Reply(NamedTuple):
    """Bytes that go back to the client, and how late."""

    data: bytes
    delay_s: float = 0.0


def command(name: str) -> Callable[[Method], Method]:
    """Mark a method as what a command does; `name` is its mnemonic, or #n for a single character."""

    def mark(method: Method) -> Method:
        # functions take attributes, which the type of a callable does not tell
        method.command = name  # pyright: ignore[reportFunctionMemberAccess]
        return method

    return mark


class GcsController:
    """Takes bytes and gives replies; subclasses add commands.

    A command is a method marked with `command`: it gets the arguments as strings, returns the lines of the
    reply (None where there is none) and raises `CommandError`. With `needs_cr` a line feed alone does not end
    a command, as on the USB port of a real E-545.
    """

    def __init__(self, clock: SimulatedClock, *, needs_cr: bool = False) -> None:
        self.clock = clock
        self._needs_cr = needs_cr
        self._error = 0
        self._line = b""
        methods = ((name, getattr(type(self), name)) for name in dir(type(self)))
        self._commands: dict[str, Callable[[Sequence[str]], list[str] | None]] = {
            method.command: getattr(self, name) for name, method in methods if hasattr(method, "command")
        }

    @property
    def identity(self) -> str:
        """What *IDN? says."""
        return "Physik Instrumente, GCS, 0, 0"

    # ---- what doors use ----

    @property
    def held_elsewhere(self) -> bool:
        """Whether somebody else holds the controller, so that this client is turned away."""
        return False

    @property
    def link_broken(self) -> bool:
        """Whether the connection is broken."""
        return False

    def receive(self, data: bytes) -> list[Reply]:
        """Take bytes from the client; single-character commands act at once, lines when they end."""
        replies: list[Reply] = []
        for part in _SEPARATORS.split(data.replace(b"\0", b"")):
            if part in _LINE_ENDS:
                if part == b"\n" and self._needs_cr:
                    continue
                line, self._line = self._line, b""
                replies += self._answer(line.decode("latin-1"))
            elif len(part) == 1 and part < b" ":
                replies += self._run(f"#{part[0]}", [])
            else:
                self._line += part
        return replies

    # ---- inside ----

    @property
    def now_ps(self) -> int:
        """The present instant."""
        return self.clock.now_ps

    def _answer(self, line: str) -> list[Reply]:
        if len(line) > LINE_CHARS:
            self._error = 3
            return []
        words = line.split()
        return self._run(words[0].upper(), words[1:]) if words else []

    def _run(self, name: str, arguments: Sequence[str]) -> list[Reply]:
        try:
            if name not in self._commands:
                raise CommandError(gcs_errors.UNKNOWN_COMMAND)
            lines = self._commands[name](arguments)
        except CommandError as refusal:
            self._error = refusal.code
            return []
        if lines is None:
            return []
        return [self._sent(name, " \n".join(lines) + "\n")]

    def _sent(self, name: str, text: str) -> Reply:
        """The reply as it leaves the controller."""
        return Reply(text.encode("latin-1"))

    # ---- commands that every controller has ----

    @command("*IDN?")
    def _idn(self, arguments: Sequence[str]) -> list[str]:
        """Get the identification."""
        return [self.identity]

    @command("ERR?")
    def _err(self, arguments: Sequence[str]) -> list[str]:
        """Get and clear the error number."""
        code, self._error = self._error, 0
        return [str(code)]

    @command("CSV?")
    def _csv(self, arguments: Sequence[str]) -> list[str]:
        """Get the version of the command syntax."""
        return ["2.0"]

    @command("HLP?")
    def _hlp(self, arguments: Sequence[str]) -> list[str]:
        """Get the list of commands."""
        known = sorted(self._commands.items())
        return [
            "The following commands are valid:",
            *(f"{name} {(do.__doc__ or '').strip()}" for name, do in known),
            "end of help",
        ]


def groups(arguments: Sequence[str], size: int) -> list[Sequence[str]]:
    """Arguments in groups of `size`; refuses an incomplete one."""
    if not arguments or len(arguments) % size:
        raise CommandError(24)
    return [arguments[k : k + size] for k in range(0, len(arguments), size)]


def to_float(text: str) -> float:
    """A number; refuses anything else."""
    try:
        return float(text)
    except ValueError:
        raise CommandError(25) from None


def to_int(text: str, lower: int, upper: int, code: int = 17) -> int:
    """A whole number within limits; refuses with `code` beyond them."""
    if not re.fullmatch(r"[+-]?\d+", text):
        raise CommandError(25)
    if not lower <= int(text) <= upper:
        raise CommandError(code)
    return int(text)
