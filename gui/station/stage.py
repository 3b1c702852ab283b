"""The stage's card: where it is, jog, go to a point."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy import QtWidgets

from .card import UNKNOWN, RoleCard, button, field, in_words, say, told_label

if TYPE_CHECKING:
    from ...procedures.station_snapshot import RoleState

AXES = ("x", "y", "z")
STEPS_UM = (0.01, 0.1, 1.0, 10.0)
USUAL_STEP = 2


class StageCard(RoleCard):
    """One row per axis: position, jog to both sides, target."""

    title = "Stage"

    def build(self) -> None:
        """Axes, then step and go."""
        self.position: dict[str, QtWidgets.QLabel] = {}
        self.minus: dict[str, QtWidgets.QPushButton] = {}
        self.plus: dict[str, QtWidgets.QPushButton] = {}
        self.target: dict[str, QtWidgets.QDoubleSpinBox] = {}
        for row, axis in enumerate(AXES):
            self._add_axis(row, axis)
        self.motion = told_label(faint=True)
        self.step = QtWidgets.QComboBox(toolTip="how far one jog goes")
        for um in STEPS_UM:
            self.step.addItem(f"{um:g} µm", um)
        self.step.setCurrentIndex(USUAL_STEP)
        self.go = button("Go to", self._go, tip="move x, y and z together")
        self.here = button("Here", self._take_position, tip="copy the position into the targets")
        row = len(AXES)
        self.body.addWidget(self.motion, row, 0, 1, 2)
        self.body.addWidget(self.step, row, 2, 1, 2)
        goes = QtWidgets.QHBoxLayout()
        goes.addWidget(self.here)
        goes.addWidget(self.go)
        self.body.addLayout(goes, row, 4)
        self.body.setColumnStretch(1, 1)
        self.controls += [
            self.step, self.go, self.here,
            *self.minus.values(), *self.plus.values(), *self.target.values(),
        ]  # fmt: skip
        self._know_targets = False

    def show_body(self, state: RoleState) -> None:
        """Show the position."""
        for axis in AXES:
            number = state.numbers.get(f"{axis}_um")
            label = self.position[axis]
            say(label, in_words(number) if number else UNKNOWN)
            if number:
                tip = f"{axis} may go from {number.lower:g} to {number.upper:g} µm"
                for widget in (label, self.target[axis]):
                    widget.setToolTip(tip)
        self.motion.setText(state.words.get("motion", ""))
        if state.numbers and not self._know_targets:
            self._know_targets = True
            self._take_position()

    def _add_axis(self, row: int, axis: str) -> None:
        self.position[axis] = told_label(UNKNOWN)
        self.minus[axis] = button("−", partial(self._jog, axis, -1), tip=f"{axis}: one step down")
        self.plus[axis] = button("+", partial(self._jog, axis, +1), tip=f"{axis}: one step up")
        self.target[axis] = field(0.0, -1e4, 1e4, decimals=3, step=1.0, unit="µm")
        for jog in (self.minus[axis], self.plus[axis]):
            jog.setMaximumWidth(34)
            jog.setAutoRepeat(False)
        widgets = told_label(axis), self.position[axis], self.minus[axis], self.plus[axis], self.target[axis]
        for column, widget in enumerate(widgets):
            self.body.addWidget(widget, row, column)

    def _jog(self, axis: str, direction: int) -> None:
        self.ask("jog", axis=axis, step_um=direction * self.step.currentData())

    def _go(self) -> None:
        self.ask("move_to", **{f"{axis}_um": self.target[axis].value() for axis in AXES})

    def _take_position(self) -> None:
        for axis in AXES:
            number = self.state.numbers.get(f"{axis}_um") if self.state else None
            if number:
                self.target[axis].setValue(number.value)
