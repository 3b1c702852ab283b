"""The log of the window: what procedures, instruments and the window itself had to say."""

from __future__ import annotations

import html
import logging
from collections import deque

from qtpy import QtCore, QtWidgets

from . import theme

LEVELS = ("INFO", "WARNING", "ERROR")
MOST_LINES = 5000
FLUSH_MS = 200
LINES_AT_ONCE = 100


class _Keeper(logging.Handler):
    """Keeps records until the panel takes them; they come from any thread."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: deque[logging.LogRecord] = deque(maxlen=MOST_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record; of other packages only errors."""
        if record.name.startswith("qdlab") or record.levelno >= logging.ERROR:
            self.records.append(record)


class LogPanel(QtWidgets.QWidget):
    """Lines of the log with time, level and place; drawn five times a second at most."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QtWidgets.QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setMaximumBlockCount(MOST_LINES)
        self.level = QtWidgets.QComboBox()
        self.level.addItems(LEVELS)
        self.level.currentTextChanged.connect(lambda name: self._keeper.setLevel(name))
        clear = QtWidgets.QPushButton("Clear")
        clear.clicked.connect(self._clear)
        bar = QtWidgets.QHBoxLayout()
        bar.addWidget(QtWidgets.QLabel("from level"))
        bar.addWidget(self.level)
        bar.addStretch(1)
        bar.addWidget(clear)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 6)
        layout.addLayout(bar)
        layout.addWidget(self.text, 1)
        self._shown: deque[logging.LogRecord] = deque(maxlen=MOST_LINES)
        theme.notifier.changed.connect(self._draw_again)
        self._format = logging.Formatter("%(asctime)s", "%H:%M:%S")
        self._keeper = _Keeper()
        self._own = logging.getLogger("qdlab")
        self._old_level = self._own.level
        self._own.setLevel(logging.INFO)
        logging.getLogger().addHandler(self._keeper)
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(FLUSH_MS)
        self._timer.timeout.connect(self.flush)
        self._timer.start()

    def flush(self) -> None:
        """Draw what has come since the last time."""
        records = self._keeper.records
        for _ in range(min(LINES_AT_ONCE, len(records))):
            self._shown.append(records.popleft())
            self.text.appendHtml(self._line(self._shown[-1]))

    def close_log(self) -> None:
        """Take no more records; called when the window closes."""
        self._timer.stop()
        logging.getLogger().removeHandler(self._keeper)
        self._own.setLevel(self._old_level)

    def _clear(self) -> None:
        self._shown.clear()
        self.text.clear()

    def _draw_again(self) -> None:
        """In the colours of another theme."""
        self.text.clear()
        for record in list(self._shown)[-LINES_AT_ONCE:]:
            self.text.appendHtml(self._line(record))

    def _line(self, record: logging.LogRecord) -> str:
        colours = theme.current()
        colour = {"WARNING": colours.warning, "ERROR": colours.bad, "CRITICAL": colours.bad}
        told = record.getMessage()
        if record.exc_info:
            told += "\n" + logging.Formatter().formatException(record.exc_info)
        escaped = html.escape(told).replace("\n", "<br>").replace("  ", "&nbsp;&nbsp;")
        return (
            f'<span style="color:{colours.faint}">{self._format.formatTime(record, "%H:%M:%S")}</span> '
            f'<span style="color:{colour.get(record.levelname, colours.text)}">'
            f"{record.levelname.lower():7} {escaped}</span>"
        )
