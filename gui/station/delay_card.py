"""A delay stage's card: its delay and position, go to, jog, stop."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy import QtWidgets

from .card import UNKNOWN, RoleCard, button, field, say, told_label

if TYPE_CHECKING:
    from ...procedures.station_snapshot import RoleState

STEPS_FS = (0.1, 1.0, 8.0, 100.0, 1000.0)
USUAL_STEP = 2


class DelayCard(RoleCard):
    """Position in fs and mm; the stop works in the middle of a move."""

    title = "Delay stage, t2"

    def build(self) -> None:
        """Where it is, then where to go."""
        self.place = told_label(UNKNOWN)
        self.allowed = told_label(faint=True)
        self.minus = button("−", partial(self._jog, -1), tip="one step earlier")
        self.plus = button("+", partial(self._jog, +1), tip="one step later")
        self.step = QtWidgets.QComboBox()
        self.step.setToolTip("how far one jog goes")
        for fs in STEPS_FS:
            self.step.addItem(f"{fs:g} fs", fs)
        self.step.setCurrentIndex(USUAL_STEP)
        self.target = field(0.0, -1e8, 1e8, decimals=3, step=8.0, unit="fs")
        self.go = button("Go to", self._go, tip="move to this delay")
        self.stop = button("Stop", lambda: self.ask("stop"), tip="stop where it is, at once")
        for jog in (self.minus, self.plus):
            jog.setMaximumWidth(34)
        self.controls += [self.minus, self.plus, self.step, self.target, self.go]
        self.body.addWidget(self.place, 0, 0, 1, 3)
        self.body.addWidget(self.stop, 0, 3)
        self.body.addWidget(self.allowed, 1, 0, 1, 4)
        jogs = QtWidgets.QHBoxLayout()
        for widget in (self.minus, self.step, self.plus):
            jogs.addWidget(widget)
        self.body.addLayout(jogs, 2, 0, 1, 2)
        self.body.addWidget(self.target, 2, 2)
        self.body.addWidget(self.go, 2, 3)
        self.body.setColumnStretch(2, 1)

    def show_state(self, state: RoleState, *, mine: bool) -> None:
        """Show the stage; it can be stopped whatever it does."""
        super().show_state(state, mine=mine)
        self.stop.setEnabled(mine and state.connected)

    def show_body(self, state: RoleState) -> None:
        """Show delay and position."""
        delay, position = state.numbers.get("delay_fs"), state.numbers.get("position_mm")
        motion = state.words.get("motion", "")
        if delay is None or position is None:
            say(self.place, motion or UNKNOWN)
            return
        say(self.place, f"<b>{delay.value:.2f} fs</b> &nbsp; {position.value:.6f} mm, {motion}")
        self.allowed.setText(
            f"allowed {delay.lower:g} to {delay.upper:g} fs, {position.lower:g} to {position.upper:g} mm"
        )

    def _jog(self, direction: int) -> None:
        self.ask("jog", step_fs=direction * self.step.currentData())

    def _go(self) -> None:
        self.ask("move_to", delay_fs=self.target.value())


class GateCard(DelayCard):
    """The same for the stage that delays the local oscillator."""

    title = "Gate stage, t3"
