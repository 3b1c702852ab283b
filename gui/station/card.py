"""A card of the station panel: one instrument, how it is and what one may ask of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qtpy import QtCore, QtGui, QtWidgets

from .. import theme

if TYPE_CHECKING:
    from ...procedures.station_snapshot import Number, RoleState

NARROW = 300
UNKNOWN = "–"


class RoleCard(QtWidgets.QFrame):
    """One instrument; by itself it lists states and numbers, which suits any role.

    A role of its own look subclasses it, fills `body` and shows what changed in `show_body`.
    """

    asked = QtCore.Signal(str, dict)
    """A verb of the instrument's keeper and its arguments."""
    title = ""

    def __init__(self, role: str, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.role = role
        self.state: RoleState | None = None
        self.setObjectName("card")
        self.setFrameShape(QtWidgets.QFrame.Shape.StyledPanel)
        self.lamp = Lamp()
        self.name = QtWidgets.QLabel(f"<b>{self.title or role.replace('_', ' ').capitalize()}</b>")
        self.simulated = QtWidgets.QLabel("SIMULATED", objectName="simulated")
        self.simulated.setStyleSheet("font-size: 9pt; padding: 1px 6px; border-radius: 4px;")
        self.simulated.hide()
        self.connection = button("Connect", lambda: self.ask(self._connection_verb()))
        self.identity = Elided()
        self.error = QtWidgets.QLabel(wordWrap=True)
        self.error.setProperty("verdict", "bad")
        self.error.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
        self.body = QtWidgets.QGridLayout()
        self.body.setVerticalSpacing(4)
        self.controls: list[QtWidgets.QWidget] = []
        """What is disabled while the instrument cannot be told anything."""
        self._lay_out()
        self.build()

    def show_state(self, state: RoleState, *, mine: bool) -> None:
        """Show an instrument; `mine` is False while a run holds it."""
        self.state = state
        self.simulated.setVisible(state.simulated)
        self.lamp.show_colour(_lamp_colour(state))
        self.lamp.setToolTip(state.doing or ("connected" if state.connected else "not connected"))
        self.identity.show_text(state.identity or ("" if state.connected else "not connected"))
        error = "\n".join(dict.fromkeys(filter(None, [state.error, state.refused])))
        self.error.setText(error)
        self.error.setVisible(bool(error))
        free = mine and not state.doing
        self.connection.setText(
            f"{state.doing} …" if state.doing else "Disconnect" if state.connected else "Connect"
        )
        self.connection.setEnabled(free)
        for control in self.controls:
            control.setEnabled(free and state.connected)
        self.show_body(state)

    def ask(self, verb: str, **arguments: Any) -> None:
        """Ask the instrument for something."""
        self.asked.emit(verb, arguments)

    # ---- what roles write ----

    def build(self) -> None:
        """Fill `body`."""
        self._lines = QtWidgets.QLabel(wordWrap=True)
        self.body.addWidget(self._lines, 0, 0)

    def show_body(self, state: RoleState) -> None:
        """Show states and numbers."""
        told = [f"{key.replace('_', ' ')}: {word}" for key, word in state.words.items()]
        told += [f"{number.name}: {in_words(number)}" for number in state.numbers.values()]
        self._lines.setText("\n".join(told))

    # ---- inside ----

    def _connection_verb(self) -> str:
        return "disconnect" if self.state is not None and self.state.connected else "connect"

    def _lay_out(self) -> None:
        head = QtWidgets.QHBoxLayout()
        for widget in (self.lamp, self.name, self.simulated):
            head.addWidget(widget)
        head.addStretch(1)
        head.addWidget(self.connection)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 8)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self.identity)
        layout.addLayout(self.body)
        layout.addWidget(self.error)
        self.setMinimumWidth(NARROW)


class Lamp(QtWidgets.QWidget):
    """A small round light in a colour of the theme."""

    def __init__(self) -> None:
        super().__init__()
        self.colour = "faint"
        self.setFixedSize(14, 14)
        theme.notifier.changed.connect(self.update)

    def show_colour(self, name: str) -> None:
        """Take a colour by its name in the theme."""
        if name != self.colour:
            self.colour = name
            self.update()

    def paintEvent(self, a0: QtGui.QPaintEvent | None) -> None:
        """Draw the light."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.setPen(QtCore.Qt.PenStyle.NoPen)
        painter.setBrush(QtGui.QColor(getattr(theme.current(), self.colour)))
        painter.drawEllipse(1, 1, 12, 12)


class Elided(QtWidgets.QLabel):
    """A line, mostly faint, that is cut where it does not fit; its tool tip has all of it."""

    def __init__(self, *, faint: bool = True) -> None:
        super().__init__()
        self.setProperty("faint", faint)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Preferred)
        self.full = ""

    def show_text(self, text: str) -> None:
        """Show a line."""
        if text != self.full:
            self.full = text
            self.setToolTip(text)
            self._fit()

    def resizeEvent(self, a0: QtGui.QResizeEvent | None) -> None:
        """Cut the line anew."""
        super().resizeEvent(a0)
        self._fit()

    def _fit(self) -> None:
        elide = QtCore.Qt.TextElideMode.ElideRight
        self.setText(self.fontMetrics().elidedText(self.full, elide, self.width()))


def _lamp_colour(state: RoleState) -> str:
    if state.doing:
        return "warning"
    if state.error:
        return "bad"
    return "good" if state.connected else "faint"


# ---- small parts that cards are made of ----


def button(text: str, action: Any, *, tip: str = "") -> QtWidgets.QPushButton:
    """A button that does something when it is clicked."""
    made = QtWidgets.QPushButton(text, toolTip=tip)
    made.clicked.connect(lambda _checked: action())
    return made


def field(
    value: float, lower: float, upper: float, *, decimals: int, step: float, unit: str
) -> QtWidgets.QDoubleSpinBox:
    """A field for a number with its unit; what the rig forbids can be typed, and is refused by it."""
    box = QtWidgets.QDoubleSpinBox(decimals=decimals, singleStep=step, suffix=f" {unit}" if unit else "")
    box.setRange(lower, upper)
    box.setValue(value)
    box.setKeyboardTracking(False)
    return box


def told_label(text: str = "", *, faint: bool = False) -> QtWidgets.QLabel:
    """A label, faint where it only explains."""
    label = QtWidgets.QLabel(text)
    label.setProperty("faint", faint)
    return label


def say(label: QtWidgets.QLabel, text: str, verdict: str = "") -> None:
    """Give a label another text, in the colour of a verdict: good, bad or none."""
    label.setText(text)
    if label.property("verdict") != verdict:
        label.setProperty("verdict", verdict)
        style = label.style()
        if style is not None:
            style.unpolish(label)
            style.polish(label)


def in_words(number: Number) -> str:
    """A number as a person reads it: 2.5 MHz, 35.2 kc/s, 100.003 µm."""
    if math.isnan(number.value):
        return UNKNOWN
    if number.unit in ("Hz", "c/s"):
        return rate_in_words(number.value, number.unit)
    if number.unit == "um":
        return f"{number.value:.3f} µm"
    return f"{number.value:.6g} {number.unit}".strip()


def rate_in_words(rate: float, unit: str = "Hz") -> str:
    """A rate with at most four digits and its unit."""
    for scale, prefix in ((1e6, "M"), (1e3, "k")):
        if abs(rate) >= scale:
            return f"{rate / scale:.4g} {prefix}{unit}"
    return f"{rate:.0f} {unit}"
