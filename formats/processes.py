"""Other processes of this computer: told apart for good, how busy they are, and ended by force."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

FORCE = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL
"""The signal that no process survives; Windows ends it with any."""

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _QUERY = 0x1000  # PROCESS_QUERY_LIMITED_INFORMATION
    _STILL_ACTIVE = 259
    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel.OpenProcess.restype = wintypes.HANDLE

    def _times(pid: int) -> tuple[int, float] | None:
        """Birth (in 100 ns) and processor time (s) of a process that lives."""
        handle = wintypes.HANDLE(_kernel.OpenProcess(_QUERY, False, pid))
        if not handle:
            return None
        try:
            code, times = wintypes.DWORD(), [wintypes.FILETIME() for _ in range(4)]
            told = _kernel.GetProcessTimes(handle, *map(ctypes.byref, times))
            alive = _kernel.GetExitCodeProcess(handle, ctypes.byref(code)) and code.value == _STILL_ACTIVE
        finally:
            _kernel.CloseHandle(handle)
        if not (told and alive):
            return None
        born, _, kernel, user = (time.dwHighDateTime << 32 | time.dwLowDateTime for time in times)
        return born, (kernel + user) * 1e-7
else:

    def _times(pid: int) -> tuple[int, float] | None:
        """Birth (in ticks since boot) and processor time (s) of a process that lives."""
        process = Path(f"/proc/{pid}")
        try:
            born = int((process / "stat").read_text().rpartition(")")[2].split()[19])
            spent_ns = [int(task.read_text().split()[0]) for task in process.glob("task/*/schedstat")]
        except (OSError, ValueError, IndexError):
            return None
        return born, 1e-9 * sum(spent_ns)


def birth_of(pid: int) -> str:
    """When a process began, as the system tells it; empty when there is none or the system does not tell.

    Together with the id it names one process for good, where ids alone are used again.
    """
    times = _times(pid)
    return str(times[0]) if times else ""


def processor_s_of(pid: int) -> float | None:
    """Processor time that a process has spent so far, in seconds; None when it cannot be told."""
    times = _times(pid)
    return times[1] if times else None


def end_process(pid: int) -> bool:
    """End a process by force; whether there was one."""
    try:
        os.kill(pid, FORCE)
    except OSError:
        return False
    return True


def end_program(program: tuple[int, str]) -> bool:
    """End a program, given by id and birth, by force if it is still that one; whether it was."""
    pid, birth = program
    return bool(birth) and birth_of(pid) == birth and end_process(pid)
