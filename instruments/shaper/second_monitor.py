"""A real panel: a screen of this computer, covered by a window of a program of its own (`qt_window`)."""

from __future__ import annotations

import contextlib
import importlib.util
import queue
import subprocess
import sys
import threading
from typing import IO

from ..base import InstrumentError, NotConnectedError, VendorSoftwareMissingError
from .screen import Frame, Screen, ScreenInfo

_START_S = 30.0
_SHOW_S = 5.0
_END_S = 5.0


class SecondMonitor(Screen):
    """A screen given by the name that the system has for it, or by its number counted from 1."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.RLock()
        self._program: subprocess.Popen[bytes] | None = None
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def open(self) -> ScreenInfo:
        """Start the program and cover the screen; raises InstrumentError when there is no such screen."""
        if importlib.util.find_spec("PyQt5") is None:
            raise VendorSoftwareMissingError('a screen needs PyQt5: install "qdlab[gui]"')
        with self._lock:
            self.close()
            command = [sys.executable, "-m", f"{__package__}.qt_window"]
            self._program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._answers = queue.SimpleQueue()
            reader = (self._program.stdout, self._answers)
            threading.Thread(target=_collect, args=reader, name="second monitor", daemon=True).start()
            try:
                answer = self._order(f"open {self._name}\n".encode(), within_s=_START_S)
            except InstrumentError:
                self.close()
                raise
            columns, rows, ratio = answer.split()[-3:]
            return ScreenInfo(self._name, int(columns), int(rows), float(ratio))

    def show(self, frame: Frame) -> None:
        """Paint a frame; see `Screen.show`."""
        rows, columns = frame.shape[:2]
        channels = 1 if frame.ndim == 2 else frame.shape[2]
        with self._lock:
            self._order(f"show {rows} {columns} {channels}\n".encode(), frame.tobytes(), within_s=_SHOW_S)

    def close(self) -> None:
        """End the program; the screen shows the desktop again."""
        with self._lock:
            program, self._program = self._program, None
            if program is None:
                return
            if program.stdin:
                with contextlib.suppress(OSError):  # a program that has ended reads nothing more
                    program.stdin.close()
            try:
                program.wait(_END_S)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()

    def _order(self, *parts: bytes, within_s: float) -> str:
        if self._program is None or self._program.stdin is None:
            raise NotConnectedError(f"screen {self._name!r} is not open")
        gone = f"the window on screen {self._name!r} has gone: connect the shaper again"
        try:
            for part in parts:
                self._program.stdin.write(part)
            self._program.stdin.flush()
            answer = self._answers.get(timeout=within_s)
        except OSError as error:
            raise InstrumentError(gone) from error
        except queue.Empty:
            self.close()  # a late answer must not be taken for the next one's
            raise InstrumentError(
                f"the window on screen {self._name!r} did not answer within {within_s:g} s: "
                "connect the shaper again"
            ) from None
        if answer is None:
            raise InstrumentError(gone)
        if answer.startswith("refused "):
            raise InstrumentError(answer.removeprefix("refused "))
        return answer


def _collect(source: IO[bytes], answers: queue.SimpleQueue[str | None]) -> None:
    with source:
        for line in source:
            answers.put(line.decode().rstrip("\n"))
    answers.put(None)
