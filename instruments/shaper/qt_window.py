"""The program that fills one screen with frames: started by `SecondMonitor`, fed through standard input.

It runs beside the measuring program, so that neither a busy window nor a long computation delays a frame,
and so that frames can be shown from any thread. Each order is a line, and is answered by a line: `open NAME`
by `screen NAME COLUMNS ROWS RATIO`, `show ROWS COLUMNS CHANNELS` and the frame's bytes by `shown`, anything
that cannot be done by `refused SENTENCE`. It ends with its standard input.
"""

from __future__ import annotations

import sys
from typing import BinaryIO

import numpy as np
from PyQt5.QtCore import QObject, Qt, QThread, pyqtSignal
from PyQt5.QtGui import QImage, QPainter, QPaintEvent, QScreen
from PyQt5.QtWidgets import QApplication, QWidget

from .screen import Frame


class FrameWindow(QWidget):
    """A frameless widget that shows one frame, each of its values as one screen pixel, untouched."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowFlag(Qt.WindowType.FramelessWindowHint)
        self.setWindowFlag(Qt.WindowType.WindowStaysOnTopHint)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setCursor(Qt.CursorShape.BlankCursor)
        self._image = QImage()

    def fill(self, screen: QScreen) -> None:
        """Cover a whole screen."""
        self.setGeometry(screen.geometry())
        self.showFullScreen()

    def show_frame(self, frame: Frame) -> None:
        """Paint a frame at once: uint8 (rows, columns) of grey, or (rows, columns, 3) of red, green, blue."""
        rows, columns = frame.shape[:2]
        grey = frame.ndim == 2
        form = QImage.Format.Format_Grayscale8 if grey else QImage.Format.Format_RGB888
        # copied, since QImage only borrows the bytes
        self._image = QImage(frame.tobytes(), columns, rows, columns * (1 if grey else 3), form).copy()
        self.repaint()

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Copy the frame to the screen, pixel by pixel."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        painter.drawImage(0, 0, self._image)
        painter.end()


def find_screen(name: str) -> QScreen:
    """The screen of that name, or of that number counted from 1; raises ValueError naming those there are."""
    screens = QApplication.screens()
    for number, screen in enumerate(screens, start=1):
        if name in (screen.name(), str(number)):
            return screen
    found = ", ".join(f"{number} ({screen.name()!r})" for number, screen in enumerate(screens, start=1))
    raise ValueError(f"there is no screen {name!r}; found: {found}")


class _Orders(QThread):
    """Reads orders as they come, without holding up the painting."""

    open_screen = pyqtSignal(str)
    show_frame = pyqtSignal(object)

    def __init__(self, source: BinaryIO, parent: QObject) -> None:
        super().__init__(parent)
        self._source = source

    def run(self) -> None:
        """Until the end of the input."""
        while line := self._source.readline():
            order, _, rest = line.decode().rstrip("\n").partition(" ")
            if order == "open":
                self.open_screen.emit(rest)
            else:
                rows, columns, channels = map(int, rest.split())
                shape = (rows, columns) if channels == 1 else (rows, columns, channels)
                data = self._source.read(rows * columns * channels)
                if len(data) < rows * columns * channels:
                    return
                self.show_frame.emit(np.frombuffer(data, np.uint8).reshape(shape))


class _Program(QObject):
    def __init__(self, source: BinaryIO) -> None:
        super().__init__()
        self._window: FrameWindow | None = None
        self._orders = _Orders(source, self)
        self._orders.open_screen.connect(self._open)
        self._orders.show_frame.connect(self._show)
        self._orders.finished.connect(QApplication.quit)
        self._orders.start()

    def _open(self, name: str) -> None:
        try:
            screen = find_screen(name)
        except ValueError as refusal:
            _say(f"refused {refusal}")
            return
        self._window = FrameWindow()
        self._window.fill(screen)
        ratio = screen.devicePixelRatio()
        size = screen.size() * ratio
        _say(f"screen {name} {size.width()} {size.height()} {ratio!r}")

    def _show(self, frame: Frame) -> None:
        if self._window is None:
            _say("refused no screen is open")
            return
        self._window.show_frame(frame)
        _say("shown")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run until the input ends."""
    app = QApplication(sys.argv[:1])
    app.setQuitOnLastWindowClosed(False)
    program = _Program(sys.stdin.buffer)
    code = app.exec()
    program.deleteLater()
    return code


if __name__ == "__main__":
    sys.exit(main())
