"""The station panel: every instrument as a card, and everything safe at a click."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy import QtCore, QtWidgets

from .station.card import Elided, RoleCard, button
from .station.cards import card_of

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ..procedures.station_monitor import StationMonitor

REFRESH_MS = 200
HELD_BY = {
    "monitor": "under manual control",
    "run": "a run holds the station",
    "nobody": "not connected",
}


class StationPanel(QtWidgets.QWidget):
    """The cards of one station; asks its monitor how the instruments are five times a second."""

    def __init__(self, monitor: StationMonitor, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.monitor = monitor
        self.cards: dict[str, RoleCard] = {}
        self.name, self.holder = Elided(faint=False), Elided()
        self.name.setStyleSheet("font-weight: bold")
        self.safe = button("Everything safe", self.make_safe, tip="light off, cell off, stage stopped")
        self.alarm = QtWidgets.QLabel(wordWrap=True)
        self.alarm.setProperty("verdict", "bad")
        self.dismiss = button("OK", monitor.clear_alarm, tip="I have read it")
        self._safe: Future[list[str]] | None = None
        self._lay_out()
        self.refresh()
        self._timer = QtCore.QTimer(self, interval=REFRESH_MS)
        self._timer.timeout.connect(self.refresh)
        self._timer.start()

    def refresh(self) -> None:
        """Show how the station is now."""
        snapshot = self.monitor.snapshot()
        mine = snapshot.holder == "monitor"
        self.name.show_text(snapshot.station)
        phase = f": {snapshot.phase}" if snapshot.phase else ""
        self.holder.show_text(HELD_BY[snapshot.holder] + phase)
        for role, state in snapshot.roles.items():
            self.cards[role].show_state(state, mine=mine)
        self.alarm.setText(snapshot.alarm)
        for widget in (self.alarm, self.dismiss):
            widget.setVisible(bool(snapshot.alarm))
        busy = self._safe is not None and not self._safe.done()
        self.safe.setEnabled(mine and not busy)
        self.safe.setText("making safe …" if busy else "Everything safe")

    @property
    def told(self) -> str:
        """Who holds the station, and what the run that does is doing."""
        return self.holder.full

    def stop(self) -> None:
        """Ask the monitor no more."""
        self._timer.stop()

    def make_safe(self) -> None:
        """Make everything safe that the window holds; a run has the red stop."""
        self._safe = self.monitor.make_safe()
        self.refresh()

    # ---- inside ----

    def _ask(self, role: str, verb: str, arguments: dict[str, Any]) -> None:
        self.monitor.command(role, verb, **arguments)
        self.refresh()

    def _lay_out(self) -> None:
        head = QtWidgets.QHBoxLayout()
        head.setContentsMargins(0, 0, 6, 0)
        told = QtWidgets.QVBoxLayout()
        told.setSpacing(0)
        told.addWidget(self.name)
        told.addWidget(self.holder)
        head.addLayout(told, 1)
        head.addWidget(self.safe)
        alarm = QtWidgets.QHBoxLayout()
        alarm.addWidget(self.alarm, 1)
        alarm.addWidget(self.dismiss)
        column = QtWidgets.QWidget()
        cards = QtWidgets.QVBoxLayout(column)
        cards.setContentsMargins(0, 0, 6, 0)
        cards.setSpacing(8)
        for role in self.monitor.snapshot().roles:
            card = card_of(role)
            card.asked.connect(partial(self._ask, role))
            cards.addWidget(card)
            self.cards[role] = card
        cards.addStretch(1)
        scroll = QtWidgets.QScrollArea(widgetResizable=True)
        scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(column)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 2, 8)
        layout.addLayout(head)
        layout.addLayout(alarm)
        layout.addWidget(scroll, 1)
