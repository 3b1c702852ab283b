"""One program per instrument: a lock for each real or served connection that a rig holds.

Simulated instruments live in the process that made them and need none. Within one process the locks are
shared, since its parts know of each other.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from ..formats.file_lock import FileLock, HeldError
from .drivers import SIMULATED, DriverTable
from .errors import RefusedError

MANUAL = "manual"

_held: dict[Path, tuple[FileLock, int]] = {}
_guard = threading.Lock()


class InstrumentLocks:
    """The locks of some instruments, from `acquire` to `release`."""

    def __init__(self, tables: Iterable[DriverTable]) -> None:
        self._locks = [_lock_of(table) for table in tables if table.connection not in (SIMULATED, MANUAL)]
        self._mine: list[Path] = []

    def acquire(self) -> None:
        """Take all of them; raises RefusedError, naming the owner, when another process has one."""
        with _guard:
            for lock in self._locks:
                held, users = _held.get(lock.path, (lock, 0))
                try:
                    held.acquire()
                except HeldError as error:
                    self._release()
                    raise RefusedError(str(error)) from None
                except OSError as error:
                    self._release()
                    raise RefusedError(
                        f"{lock.what} cannot be locked for this program ({error}); remove {lock.path}"
                    ) from error
                _held[lock.path] = held, users + 1
                self._mine.append(lock.path)

    def release(self) -> None:
        """Let go of those taken; may be called twice."""
        with _guard:
            self._release()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def _release(self) -> None:
        while self._mine:
            path = self._mine.pop()
            held, users = _held.pop(path)
            if users > 1:
                _held[path] = held, users - 1
            else:
                held.release()


def _lock_of(table: DriverTable) -> FileLock:
    where = " ".join(filter(None, [table.driver, table.connection, getattr(table, "serial", "")]))
    return FileLock(lock_folder() / f"qdlab-{zlib.crc32(where.encode()):08x}.lock", f"the instrument {where}")


def lock_folder() -> Path:
    """Where all programs of this computer look."""
    shared = os.environ.get("PROGRAMDATA") if sys.platform == "win32" else None
    return Path(shared or tempfile.gettempdir())
