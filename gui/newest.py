"""Work in a thread of its own where only the newest request counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy import QtCore, QtWidgets

from .background import Background

Request = tuple[Callable[[], Any], Callable[[Any], None]]


class Newest(QtCore.QObject):
    """Does one piece of work at a time for a widget; of the requests that come meanwhile the last is done.

    What was found for a request that is no longer the newest is not told.
    """

    failed = QtCore.Signal(str)
    """Why a piece of work could not be done; its `then` is not called."""

    def __init__(self, name: str, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        background = self._background = Background(name, self)
        self._next: Request | None = None
        parent.destroyed.connect(lambda: background.close())

    @property
    def busy(self) -> bool:
        """True while something is done or waits for it."""
        return bool(self._background.waiting) or self._next is not None

    def do(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Have `work` done in the thread, and `then` called with what it returned in this one."""
        if self._background.waiting:
            self._next = work, then
        else:
            self._background.do(work, lambda found: self._end(then, found), self._fail)

    def forget(self) -> None:
        """Forget the request that waits; what is being done is told all the same."""
        self._next = None

    def _end(self, then: Callable[[Any], None], found: Any) -> None:
        if not self._go_on():
            then(found)

    def _fail(self, error: Exception) -> None:
        if not self._go_on():
            self.failed.emit(str(error))

    def _go_on(self) -> bool:
        """Begin with the request that waits; False where there is none."""
        request, self._next = self._next, None
        if request is not None:
            self.do(*request)
        return request is not None
