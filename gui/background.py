"""Work in a thread of its own, one piece after the other, whose result comes back in the GUI thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from qtpy import QtCore

log = logging.getLogger(__name__)


class Background(QtCore.QObject):
    """Does pieces of work in order; `close` waits for the one that goes on and forgets the others."""

    _done = QtCore.Signal(object, object, object)

    def __init__(self, name: str, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(1, name)
        self._done.connect(self._tell)
        self.waiting = 0
        """Pieces of work that have not come back."""

    def do(
        self, work: Callable[[], Any], then: Callable[[Any], None], otherwise: Callable[[Exception], None]
    ) -> None:
        """Do `work` in the thread; `then` gets what it returned, or `otherwise` its error, in this one."""
        self.waiting += 1
        future = self._pool.submit(work)
        future.add_done_callback(lambda done: self._done.emit(done, then, otherwise))

    def close(self) -> None:
        """End the thread; what is still waiting is not done."""
        self._done.disconnect(self._tell)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _tell(
        self, done: Future[Any], then: Callable[[Any], None], otherwise: Callable[[Exception], None]
    ) -> None:
        self.waiting -= 1
        error = done.exception()
        if error is None:
            then(done.result())
        elif isinstance(error, Exception):
            log.info("%s", error, exc_info=error)
            otherwise(error)
        else:
            raise error
