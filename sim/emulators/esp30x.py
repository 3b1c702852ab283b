"""An emulated Newport ESP301: two-letter commands with the axis number in front, and an error queue."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..bench import Faults
from ..clock import PS_PER_S, SimulatedClock
from ..physics.linear_motion import LinearAxis
from .link_faults import AFTER_PS, BehindLink, LinkFaults, link_fault_texts
from .pi_gcs import Reply

FAULTS = {
    **link_fault_texts("esp"),
    "esp_motor_off": "The motor cannot be switched on.",
    "esp_homing_fails": "The home switch is not found.",
    "esp_in_inches": "The axis counts in inches.",
}
"""Name and what happens; active when the name is among the bench's faults."""

_COMMAND = re.compile(r"\s*(\d*)\s*([A-Za-z]{2})\s*(\?|[-+.\d]*)\s*")
_QUEUE = 10
_NO_COMMAND, _OUT_OF_RANGE, _NO_SUCH_AXIS, _AXIS_MISSING, _VALUE_MISSING = 6, 7, 9, 37, 38
_BEYOND_RIGHT, _BEYOND_LEFT, _NOT_CONNECTED, _TOO_FAST, _MOTOR_OFF = 6, 7, 8, 10, 13
_HOMING_ABORTED, _NOT_WHILE_HOMING = 20, 30
_HOMING_MM_S, _TOP_SPEED_MM_S = 5.0, 50.0
_AXES = 3


class _RefusedError(Exception):
    """A command is refused with this error number; of an axis with the axis in the hundreds."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


@dataclass
class _Axis:
    """What the controller keeps of one axis; it counts from `origin_mm`, at first from power-on."""

    number: int
    rail: LinearAxis
    origin_mm: float
    velocity_mm_s: float
    motor_on: bool = False
    homing_ends_ps: int | None = None
    left_mm: float = -1000.0
    right_mm: float = 1000.0


class EspController(BehindLink):
    """An ESP301 as it stands on the bench, with a rail on each of the axes named (1 to 3)."""

    def __init__(
        self, clock: SimulatedClock, rails: Mapping[int, LinearAxis], *, faults: Faults | None = None
    ) -> None:
        self.clock = clock
        self._link = LinkFaults(clock, faults or Faults(), "esp")
        self._axes = {
            number: _Axis(number, rail, rail.motor_mm(clock.now_ps), rail.drive.velocity_mm_s)
            for number, rail in rails.items()
        }
        self._errors: deque[int] = deque(maxlen=_QUEUE)
        self._line = b""

    # ---- what doors use ----

    def receive(self, data: bytes) -> list[Reply]:
        """Take bytes from the client; a line ends in CR and may hold several commands, separated by ;."""
        if self._link.deaf:
            return []
        *lines, self._line = (self._line + data.replace(b"\n", b"")).split(b"\r")
        commands = [text for line in lines for text in line.decode("latin-1").split(";") if text.strip()]
        answers = (self._answer(text) for text in commands)
        return self._link.delayed([Reply(f"{a}\r\n".encode("latin-1")) for a in answers if a is not None])

    # ---- commands ----

    def _answer(self, text: str) -> str | None:
        """The reply to one command; None where there is none, and for refused ones."""
        self._finish_homing()
        try:
            match = _COMMAND.fullmatch(text)
            if match is None:
                raise _RefusedError(_NO_COMMAND)
            number, name, value = match[1], match[2].upper(), match[3]
            if name in _GLOBAL:
                return _GLOBAL[name](self)
            if name not in _OF_AXIS:
                raise _RefusedError(_NO_COMMAND)
            return _OF_AXIS[name](self, self._axis(number), value)
        except _RefusedError as refusal:
            self._errors.append(refusal.code)
            return None

    def _axis(self, number: str) -> _Axis:
        if not number:
            raise _RefusedError(_AXIS_MISSING)
        if not 1 <= int(number) <= _AXES:
            raise _RefusedError(_NO_SUCH_AXIS)
        if int(number) not in self._axes:
            raise _RefusedError(100 * int(number) + _NOT_CONNECTED)
        return self._axes[int(number)]

    def _version(self) -> str:
        return "ESP999 Version 1.0" if self._link.on("wrong_controller") else "ESP301 Version 3.0.1 01/18/12"

    def _next_error(self) -> str:
        return str(self._errors.popleft() if self._errors else 0)

    def _abort(self) -> None:
        for axis in self._axes.values():
            self._stop(axis, "")

    def _identity(self, axis: _Axis, value: str) -> str:
        return f"EMULATED{axis.rail.travel_mm:.0f}, SN{axis.number:04d}"

    def _position(self, axis: _Axis, value: str) -> str:
        if self._link.on("garbage"):
            return "?!;.1"
        return f"{axis.rail.measured_mm(self.clock.now_ps) - axis.origin_mm:.6f}"

    def _motion_done(self, axis: _Axis, value: str) -> str:
        busy = axis.homing_ends_ps is not None or axis.rail.moving(self.clock.now_ps)
        return str(int(not busy))

    def _motor(self, axis: _Axis, value: str) -> str | None:
        if value == "?":
            return str(int(axis.motor_on))
        axis.motor_on = not self._link.on("motor_off")
        return None

    def _motor_off(self, axis: _Axis, value: str) -> None:
        self._stop(axis, "")
        axis.motor_on = False

    def _move_to(self, axis: _Axis, value: str) -> str | None:
        if value == "?":
            return f"{axis.rail.target_mm() - axis.origin_mm:.6f}"
        self._start(axis, _number(value))
        return None

    def _move_by(self, axis: _Axis, value: str) -> None:
        self._start(axis, axis.rail.target_mm() - axis.origin_mm + _number(value))

    def _start(self, axis: _Axis, target_mm: float) -> None:
        of_axis = 100 * axis.number
        if axis.homing_ends_ps is not None:
            raise _RefusedError(of_axis + _NOT_WHILE_HOMING)
        if not axis.motor_on:
            raise _RefusedError(of_axis + _MOTOR_OFF)
        true_mm = target_mm + axis.origin_mm
        if target_mm < axis.left_mm or true_mm < 0:
            raise _RefusedError(of_axis + _BEYOND_LEFT)
        if target_mm > axis.right_mm or true_mm > axis.rail.travel_mm:
            raise _RefusedError(of_axis + _BEYOND_RIGHT)
        self._begin_motion(axis)
        axis.rail.move(self.clock.now_ps, true_mm, velocity_mm_s=axis.velocity_mm_s)

    def _begin_motion(self, axis: _Axis) -> None:
        if self._link.first_move() and self._link.on("stuck"):
            axis.rail.seize(self.clock.now_ps + AFTER_PS)

    def _stop(self, axis: _Axis, value: str) -> None:
        axis.homing_ends_ps = None
        axis.rail.stop(self.clock.now_ps)

    def _home(self, axis: _Axis, value: str) -> None:
        if value not in ("", "1", "2", "3", "4"):
            raise _RefusedError(_OUT_OF_RANGE)
        if not axis.motor_on:
            raise _RefusedError(100 * axis.number + _MOTOR_OFF)
        self._begin_motion(axis)
        switch_mm = {"3": axis.rail.travel_mm, "4": 0.0}.get(value, axis.rail.travel_mm / 2)
        axis.rail.move(self.clock.now_ps, switch_mm, velocity_mm_s=_HOMING_MM_S)
        axis.homing_ends_ps = axis.rail.end_ps() + round(0.1 * PS_PER_S)

    def _finish_homing(self) -> None:
        for axis in self._axes.values():
            if axis.homing_ends_ps is None or self.clock.now_ps < axis.homing_ends_ps:
                continue
            axis.homing_ends_ps = None
            if self._link.on("homing_fails"):
                self._errors.append(100 * axis.number + _HOMING_ABORTED)
            else:
                axis.origin_mm = axis.rail.target_mm()

    def _define(self, axis: _Axis, value: str) -> None:
        axis.origin_mm = axis.rail.target_mm() - (_number(value) if value else 0.0)

    def _left(self, axis: _Axis, value: str) -> str | None:
        if value == "?":
            return f"{axis.left_mm:.6f}"
        axis.left_mm = _number(value)
        return None

    def _right(self, axis: _Axis, value: str) -> str | None:
        if value == "?":
            return f"{axis.right_mm:.6f}"
        axis.right_mm = _number(value)
        return None

    def _velocity(self, axis: _Axis, value: str) -> str | None:
        if value == "?":
            return f"{axis.velocity_mm_s:.6f}"
        if not 0 < _number(value) <= _TOP_SPEED_MM_S:
            raise _RefusedError(100 * axis.number + _TOO_FAST)
        axis.velocity_mm_s = _number(value)
        return None

    def _units(self, axis: _Axis, value: str) -> str:
        if value != "?":
            raise _RefusedError(_OUT_OF_RANGE)
        return "4" if self._link.on("in_inches") else "2"


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise _RefusedError(_VALUE_MISSING) from None


_GLOBAL: dict[str, Callable[[EspController], str | None]] = {
    "VE": EspController._version,
    "TE": EspController._next_error,
    "AB": EspController._abort,
}
_OF_AXIS: dict[str, Callable[[EspController, _Axis, str], str | None]] = {
    "ID": EspController._identity,
    "TP": EspController._position,
    "MD": EspController._motion_done,
    "MO": EspController._motor,
    "MF": EspController._motor_off,
    "PA": EspController._move_to,
    "PR": EspController._move_by,
    "ST": EspController._stop,
    "OR": EspController._home,
    "DH": EspController._define,
    "SL": EspController._left,
    "SR": EspController._right,
    "VA": EspController._velocity,
    "SN": EspController._units,
}
