"""A lock file with its owner's name, which the operating system lets go of when the owner's process ends."""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from .processes import birth_of

if sys.platform == "win32":
    import msvcrt

    _FAR_BYTE = 1 << 30  # past the text, so that others can read who holds it

    def _take(file: BinaryIO) -> None:
        file.seek(_FAR_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
else:
    import fcntl

    def _take(file: BinaryIO) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


class HeldError(Exception):
    """Another process holds the lock; the message says which."""


@dataclass(frozen=True)
class Owner:
    """Who holds a lock."""

    pid: int = 0
    host: str = ""
    since: str = ""
    what: str = ""
    """What is held, and for what."""
    program: tuple[int, str] | None = None
    """Process id and birth of a program that the owner has started and that may outlive it."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"


class FileLock:
    """A lock on a file of its own; what a dead process left behind does not hold."""

    def __init__(self, path: Path, what: str) -> None:
        self.path, self.what = path, what
        self._file: BinaryIO | None = None
        self._owner = Owner()

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._file is not None

    def acquire(self) -> Owner | None:
        """Take the lock; returns the owner before, if that one died without letting go.

        Raises HeldError, naming the owner, when another holds it. Does nothing when it is held already.
        """
        if self._file is not None:
            return None
        file = self.path.open("a+b")
        try:
            _take(file)
        except OSError:
            owner = _read(file)
            file.close()
            raise HeldError(
                f"{self.what} is in use by {owner or 'another process'} (lock {self.path}); end that first"
            ) from None
        before, self._file = _read(file), file
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        self._write(Owner(os.getpid(), platform.node(), now, self.what))
        return before

    def note_program(self, pid: int) -> None:
        """Write down a program that this process has started; it is known then even if this one dies."""
        if self._file is not None:
            self._write(replace(self._owner, program=(pid, birth_of(pid))))

    def release(self) -> None:
        """Let go of the lock; does nothing when it is not held."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None

    def _write(self, owner: Owner) -> None:
        assert self._file is not None
        self._owner = owner
        self._file.truncate(0)
        self._file.write(json.dumps(asdict(owner)).encode("utf-8"))
        self._file.flush()


def _read(file: BinaryIO) -> Owner | None:
    file.seek(0)
    try:
        fields = json.loads(file.read(4096).decode("utf-8"))
        program = fields.pop("program")
        return Owner(**fields, program=program and (int(program[0]), str(program[1])))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):  # empty, or not ours
        return None
