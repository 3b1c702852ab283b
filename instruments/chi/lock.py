"""One program per instrument: a lock that the operating system lets go of when its process ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

from .errors import ProgramBusyError

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


class ProgramLock:
    """A lock file that names its owner; what a dead process left behind does not hold."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def acquire(self) -> None:
        """Take the lock; raises ProgramBusyError, with the owner's process id, when another holds it."""
        if self._file is not None:
            return
        file = self.path.open("a+b")
        try:
            _take(file)
        except OSError:
            file.seek(0)
            owner = file.read(20).decode("ascii", "replace").strip() or "unknown"
            file.close()
            raise ProgramBusyError(
                f"the CHI program is in use by process {owner} (lock {self.path}); end that run first"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()).encode("ascii"))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Let go of the lock; does nothing when it is not held."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None
