"""The station's place in the window: its panel, and the hand-over of the instruments to runs and back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from qtpy import QtCore, QtWidgets

from .station_panel import StationPanel

if TYPE_CHECKING:
    from ..procedures.rig_procedure import RigProcedure
    from ..procedures.station import Station
    from ..procedures.station_monitor import StationMonitor

log = logging.getLogger(__name__)


class StationArea(QtWidgets.QWidget):
    """Holds the station that is shown while no run holds one; nothing here waits in the GUI thread.

    `give_up` and `take_back` belong around every run and may be called from its thread. `ask` puts a
    question of a manual instrument to the operator.
    """

    monitor_changed = QtCore.Signal(object)
    """StationMonitor of the station that is shown from now on."""
    failed = QtCore.Signal(str)
    """Why the station could not be built, or what could not be made safe."""

    def __init__(self, ask: Callable[[str], str], parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.monitor: StationMonitor | None = None
        self.panel: StationPanel | None = None
        self._ask = ask
        self._in_turn = ThreadPoolExecutor(max_workers=1, thread_name_prefix="station hand-over")
        self._runs = 0
        self._column = QtWidgets.QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)

    def show_station(self, station: Station) -> None:
        """Show this station and take hold of it once the one before is safe; nothing if it is shown."""
        from ..procedures.station_monitor import StationMonitor

        if self.monitor is not None and self.monitor.station == station:
            return
        before, self.monitor = self.monitor, StationMonitor(station, ask=self._ask)
        if before is not None:
            self._submit(before.release)
        self._submit(self._hold_if_free)
        if self.panel is not None:
            self.panel.close()
            self.panel.deleteLater()
        self.panel = StationPanel(self.monitor)
        self._column.addWidget(self.panel)
        self.monitor_changed.emit(self.monitor)

    # ---- around runs ----

    def give_up(self) -> None:
        """Make everything safe and disconnect it for a run; waits until it is done."""
        self._runs += 1
        self._submit(self._release).result()

    def take_back(self) -> None:
        """Hold the station again after a run."""
        self._runs -= 1
        self._submit(self._hold_if_free)

    def watch(self, procedure: RigProcedure) -> None:
        """Show what a run knows of the instruments while it holds them."""
        if self.monitor is not None:
            self.monitor.watch(procedure)

    def make_safe(self) -> None:
        """Make everything that is held here safe at once; does nothing while a run holds it."""
        if self.panel is not None:
            self.panel.make_safe()

    def close_station(self) -> None:
        """Make everything safe and disconnect it, for good; waits."""
        if self.panel is not None:
            self.panel.stop()
        self._submit(self._release).result()
        self._in_turn.shutdown()

    # ---- in the thread of hand-overs ----

    def _submit(self, action: Callable[[], object]) -> Future[None]:
        return self._in_turn.submit(self._attempt, action)

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # told in the window; a run that needs the station will fail by itself
            log.exception("station")
            self.failed.emit(str(error))

    def _release(self) -> None:
        if self.monitor is not None and (problems := self.monitor.release()):
            self.failed.emit("; ".join(problems))

    def _hold_if_free(self) -> None:
        if self.monitor is not None and not self._runs:
            self.monitor.take_back()
