"""Live views: a thread looks at the run that goes on, the GUI thread draws what was found, never more.

The next look waits until the last one was drawn, so that a slow view slows itself and nothing else.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from qtpy import QtCore

if TYPE_CHECKING:
    from ..procedures.rig_procedure import RigProcedure
    from .experiment_tab import ExperimentTab

log = logging.getLogger(__name__)

PERIOD_S = 0.08
"""Shortest time from one view to the next."""


class LiveView(QtCore.QObject):
    """Keeps one tab up to date with one run, until `end`."""

    broke = QtCore.Signal(str)
    """The tab's `look` raised: no further views of this run; the run itself goes on."""
    _looked = QtCore.Signal(object)

    def __init__(
        self, tab: ExperimentTab, procedure: RigProcedure, parent: QtCore.QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.tab, self.views = tab, 0
        self._procedure = procedure
        self._ended, self._drawn = threading.Event(), threading.Event()
        self._drawn.set()
        self._looked.connect(self._draw)
        self._thread = threading.Thread(target=self._look_on, name="live view")

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def end(self) -> None:
        """Draw nothing more of this run."""
        self._ended.set()
        self._drawn.set()

    @property
    def alive(self) -> bool:
        """True while its thread runs."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait for its thread, after `end`."""
        self._thread.join()

    def _draw(self, looked: object) -> None:
        try:
            if not self._ended.is_set():
                self.tab.show_live(looked)
                self.views += 1
        finally:
            self._drawn.set()

    def _look_on(self) -> None:
        while not self._ended.is_set():
            began_s = time.monotonic()
            if self._procedure.progress.duration_s:  # set by its first look at the rig
                try:
                    looked = self.tab.look(self._procedure)
                except Exception as error:  # of a view, whatever it is: told in the window; the run goes on
                    log.exception("live view")
                    self.broke.emit(
                        f"the live view stopped: {type(error).__name__}: {error}; the run goes on"
                    )
                    return
                if looked is not None:
                    self._drawn.clear()
                    self._looked.emit(looked)
                    while not (self._drawn.wait(PERIOD_S) or self._ended.is_set()):
                        pass  # `end` may have come before `clear`
            self._ended.wait(max(0.0, PERIOD_S - (time.monotonic() - began_s)))
