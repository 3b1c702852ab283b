"""The real CHI program on Windows: started with one command string, its windows watched by process id."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ..base import InstrumentError, VendorSoftwareMissingError

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _user32 = ctypes.WinDLL("user32", use_last_error=True)
    _EnumProc = ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.HWND, wintypes.LPARAM)
    _GW_OWNER = 4
    _WM_GETTEXT = 0x000D
    _SMTO_ABORTIFHUNG = 0x0002
    _TEXT_TIMEOUT_MS = 200
    _user32.EnumWindows.argtypes = (_EnumProc, wintypes.LPARAM)
    _user32.EnumChildWindows.argtypes = (wintypes.HWND, _EnumProc, wintypes.LPARAM)
    _user32.GetWindowThreadProcessId.argtypes = (wintypes.HWND, ctypes.POINTER(wintypes.DWORD))
    _user32.GetClassNameW.argtypes = (wintypes.HWND, wintypes.LPWSTR, ctypes.c_int)
    _user32.IsWindowVisible.argtypes = (wintypes.HWND,)
    _user32.IsWindowEnabled.argtypes = (wintypes.HWND,)
    _user32.GetWindow.argtypes = (wintypes.HWND, wintypes.UINT)
    _user32.GetWindow.restype = wintypes.HWND
    _user32.SendMessageTimeoutW.argtypes = (
        wintypes.HWND,
        wintypes.UINT,
        wintypes.WPARAM,
        wintypes.LPWSTR,
        wintypes.UINT,
        wintypes.UINT,
        ctypes.c_void_p,
    )
    _user32.SendMessageTimeoutW.restype = ctypes.c_ssize_t

    def modal_dialog(process_id: int) -> str | None:
        """Title and text of a modal window of the process, or None."""
        for window in _windows_in(None):
            if _process_of(window) == process_id and _is_modal(window):
                labels = [_text_of(child) for child in _windows_in(window) if _class_of(child) == "Static"]
                return ": ".join(text for text in (_text_of(window), " ".join(filter(None, labels))) if text)
        return None

    def _windows_in(parent: int | None) -> list[int]:
        """All windows inside `parent`, or all top-level windows for None."""
        found: list[int] = []

        def keep(window: int, _: int) -> bool:
            found.append(window)
            return True

        if parent is None:
            _user32.EnumWindows(_EnumProc(keep), 0)
        else:
            _user32.EnumChildWindows(parent, _EnumProc(keep), 0)
        return found

    def _process_of(window: int) -> int:
        process_id = wintypes.DWORD()
        _user32.GetWindowThreadProcessId(window, ctypes.byref(process_id))
        return process_id.value

    def _class_of(window: int) -> str:
        buffer = ctypes.create_unicode_buffer(64)
        _user32.GetClassNameW(window, buffer, len(buffer))
        return buffer.value

    def _is_modal(window: int) -> bool:
        """A visible dialog box that keeps its owner from being used."""
        if _class_of(window) != "#32770" or not _user32.IsWindowVisible(window):
            return False
        owner = _user32.GetWindow(window, _GW_OWNER)
        return not owner or not _user32.IsWindowEnabled(owner)

    def _text_of(window: int) -> str:
        """A control's text; asked by message, since GetWindowText does not reach into other processes."""
        buffer = ctypes.create_unicode_buffer(512)
        _user32.SendMessageTimeoutW(
            window, _WM_GETTEXT, len(buffer), buffer, _SMTO_ABORTIFHUNG, _TEXT_TIMEOUT_MS, None
        )
        return buffer.value.strip()

else:

    def modal_dialog(process_id: int) -> str | None:
        """Title and text of a modal window of the process, or None; there are none outside Windows."""
        return None


class WindowsProgram:
    """Launcher of the real program; `executable` is `chi760c.exe` in its own folder."""

    simulated = False
    shared = True

    def __init__(self, executable: Path) -> None:
        self._executable = Path(executable)

    def check(self) -> str:
        """The program's path; raises VendorSoftwareMissingError where it cannot be started."""
        if sys.platform != "win32":
            raise VendorSoftwareMissingError(
                f"the CHI program {self._executable} runs on Windows only; "
                'set connection = "simulated" for the CHI 760C here'
            )
        if not self._executable.is_file():
            raise VendorSoftwareMissingError(
                f"the CHI program {self._executable} does not exist; correct its path in the station file"
            )
        return str(self._executable)

    def start(self, macro: Path) -> StartedProgram:
        """Start the program with the macro; raises VendorSoftwareMissingError or InstrumentError."""
        self.check()
        try:
            process = subprocess.Popen(command_line(self._executable, macro), cwd=self._executable.parent)
        except OSError as error:
            raise InstrumentError(f"{self._executable} could not be started: {error}") from error
        return StartedProgram(process)


class StartedProgram:
    """A running CHI program."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.process_id = process.pid

    def running(self) -> bool:
        """True while the process has not ended."""
        return self._process.poll() is None

    def dialog(self) -> str | None:
        """Title and text of a modal window that waits for a person, or None."""
        return modal_dialog(self._process.pid)

    def terminate(self) -> None:
        """End the process by force and wait until its port is free; does nothing when it has ended."""
        if not self.running():
            return
        self._process.kill()
        try:
            self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            raise InstrumentError(
                f"the CHI program (process {self._process.pid}) could not be ended; "
                "end it in the Task Manager"
            ) from None


def command_line(executable: Path, macro: Path) -> str:
    """The one command string; a list would have its inner quotes escaped, which the program never saw."""
    return f'"{executable}" /runmacro:"{macro}"'
