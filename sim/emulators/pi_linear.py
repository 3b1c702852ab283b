"""An emulated PI controller of one linear stage (C-863), and several of them in a daisy chain."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...instruments.pi import gcs_errors
from ..bench import Faults
from ..clock import PS_PER_S, SimulatedClock
from ..physics.linear_motion import LinearAxis
from .link_faults import AFTER_PS, BehindLink, LinkFaults, link_fault_texts
from .pi_gcs import CommandError, GcsController, Reply, command, to_float, to_int

FAULTS = {
    **link_fault_texts("pi_linear"),
    "pi_linear_servo_off": "The servo cannot be switched on.",
    "pi_linear_servo_trips": "One second after the first move the position error is too large: servo off.",
    "pi_linear_no_switch": "The stage has no reference switch.",
    "pi_linear_reference_fails": "The reference switch is not found.",
}
"""Name and what happens; active when the name is among the bench's faults."""

TOLERANCE_MM = 2e-6
SETTLE_S = 0.010
_BUSY = 1005
_MOTION_ERROR = 1024
_STOPPED = gcs_errors.STOPPED
_WHILE_REFERENCING = {"*IDN?", "ERR?", "STP", "HLT", "#5", "#7", "#24"}
_SEARCH_MM_S, _CREEP_MM_S, _OVERSHOOT_MM = 5.0, 0.5, 0.5
_TOP_SPEED_MM_S = 50.0
_ABRUPT = 20.0  # how much harder STP brakes than HLT


class LinearController(BehindLink, GcsController):
    """A C-863 as it stands on the bench; at power-on its servo is off and its axis not referenced.

    It counts from where the axis was at power-on, and after referencing from the lower end of the travel.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        axis: LinearAxis,
        *,
        faults: Faults | None = None,
        needs_cr: bool = False,
        name: str = "1",
    ) -> None:
        super().__init__(clock, needs_cr=needs_cr)
        self._axis, self._name = axis, name
        self._link = LinkFaults(clock, faults or Faults(), "pi_linear")
        self._servo = self._referenced = self._by_hand = self._servo_tripped = False
        self._search_ends_ps: int | None = None
        self._origin_mm = axis.motor_mm(clock.now_ps)
        self._target_mm = 0.0
        self._velocity_mm_s = axis.drive.velocity_mm_s
        self._acceleration_mm_s2 = axis.drive.acceleration_mm_s2

    @property
    def identity(self) -> str:
        """What *IDN? says."""
        if self._link.on("wrong_controller"):
            return "Physik Instrumente, E-517, 0123456789, V01.243"
        return "(c)2011-2021 Physik Instrumente (PI) GmbH & Co. KG, C-863.12, 0123456789, 1.3.2.2"

    def receive(self, data: bytes) -> list[Reply]:
        """Take bytes from the client, unless the connection is broken."""
        return [] if self._link.deaf else self._link.delayed(super().receive(data))

    def _run(self, name: str, arguments: Sequence[str]) -> list[Reply]:
        self._finish_search()
        if self._link.on("servo_trips") and self._link.struck and not self._servo_tripped:
            self._servo_tripped, self._servo, self._error = True, False, _MOTION_ERROR
            self._axis.stop(self.now_ps)
        if self._search_ends_ps is not None and name not in _WHILE_REFERENCING:
            self._error = _BUSY
            return []
        return super()._run(name, arguments)

    # ---- which axis ----

    def _only(self, arguments: Sequence[str], values: int) -> list[str]:
        """The values of a command for the one axis there is; a line takes one item."""
        if len(arguments) != 1 + values:
            raise CommandError(24)
        if arguments[0] != self._name:
            raise CommandError(15)
        return list(arguments[1:])

    def _answered(self, arguments: Sequence[str], value: str) -> list[str]:
        if arguments:
            self._only(arguments, 0)
        return [f"{self._name}={value}"]

    @command("SAI?")
    def _sai_(self, arguments: Sequence[str]) -> list[str]:
        """Get the names of the axes."""
        return [self._name]

    @command("CST?")
    def _cst_(self, arguments: Sequence[str]) -> list[str]:
        """Get the type of the stage."""
        return self._answered(arguments, "EMULATED-STAGE")

    @command("VER?")
    def _ver_(self, arguments: Sequence[str]) -> list[str]:
        """Get the versions of firmware and parts."""
        return ["FW: C-863.12 1.3.2.2", "emulated"]

    # ---- servo and referencing ----

    @command("SVO")
    def _svo(self, arguments: Sequence[str]) -> None:
        """Set whether the axis is under closed-loop control."""
        (on,) = self._only(arguments, 1)
        self._servo = bool(to_int(on, 0, 1)) and not self._link.on("servo_off")
        if not self._servo:
            self._axis.stop(self.now_ps)

    @command("SVO?")
    def _svo_(self, arguments: Sequence[str]) -> list[str]:
        """Get whether the axis is under closed-loop control."""
        return self._answered(arguments, str(int(self._servo)))

    @command("TRS?")
    def _trs_(self, arguments: Sequence[str]) -> list[str]:
        """Get whether there is a reference switch."""
        return self._answered(arguments, str(int(not self._link.on("no_switch"))))

    @command("LIM?")
    def _lim_(self, arguments: Sequence[str]) -> list[str]:
        """Get whether there are limit switches."""
        return self._answered(arguments, "1")

    @command("FRF")
    def _frf(self, arguments: Sequence[str]) -> None:
        """Start to search the reference switch."""
        if self._link.on("no_switch"):
            raise CommandError(31)
        self._search(arguments, self._axis.travel_mm / 2)

    @command("FNL")
    def _fnl(self, arguments: Sequence[str]) -> None:
        """Start to search the negative limit switch."""
        self._search(arguments, 0.0)

    @command("FPL")
    def _fpl(self, arguments: Sequence[str]) -> None:
        """Start to search the positive limit switch."""
        self._search(arguments, self._axis.travel_mm)

    @command("FRF?")
    def _frf_(self, arguments: Sequence[str]) -> list[str]:
        """Get whether the axis is referenced."""
        return self._answered(arguments, str(int(self._referenced)))

    @command("RON")
    def _ron(self, arguments: Sequence[str]) -> None:
        """Set the reference mode: 1 by a search, 0 by POS."""
        (mode,) = self._only(arguments, 1)
        self._by_hand = not to_int(mode, 0, 1)

    @command("RON?")
    def _ron_(self, arguments: Sequence[str]) -> list[str]:
        """Get the reference mode."""
        return self._answered(arguments, str(int(not self._by_hand)))

    @command("POS")
    def _pos(self, arguments: Sequence[str]) -> None:
        """Declare the present position."""
        (value,) = self._only(arguments, 1)
        if not self._by_hand:
            raise CommandError(88)
        here_mm = to_float(value)
        self._origin_mm = self._axis.motor_mm(self.now_ps) - here_mm
        self._target_mm, self._referenced = here_mm, True

    def _search(self, arguments: Sequence[str], switch_mm: float) -> None:
        """Run past the switch, then creep back onto it; a limit is run into at creeping speed."""
        self._only(arguments, 0)
        if self._by_hand:
            raise CommandError(88)
        if not self._servo:
            raise CommandError(5)
        self._begin_motion()
        self._referenced = False
        beyond_mm = min(max(switch_mm + _OVERSHOOT_MM, _OVERSHOOT_MM), self._axis.travel_mm - _OVERSHOOT_MM)
        self._axis.move(self.now_ps, beyond_mm, velocity_mm_s=_SEARCH_MM_S)
        self._axis.move(self._axis.end_ps(), switch_mm, velocity_mm_s=_CREEP_MM_S)
        self._search_ends_ps = self._axis.end_ps() + round(0.1 * PS_PER_S)

    def _finish_search(self) -> None:
        if self._search_ends_ps is None or self.now_ps < self._search_ends_ps:
            return
        self._search_ends_ps = None
        if self._link.on("reference_fails"):
            self._error = 45
            return
        self._origin_mm, self._target_mm, self._referenced = 0.0, self._axis.target_mm(), True

    # ---- moves ----

    @command("MOV")
    def _mov(self, arguments: Sequence[str]) -> None:
        """Set the target."""
        (target,) = self._only(arguments, 1)
        self._go(to_float(target))

    @command("MVR")
    def _mvr(self, arguments: Sequence[str]) -> None:
        """Set the target relative to the last one."""
        (step,) = self._only(arguments, 1)
        self._go(self._target_mm + to_float(step))

    def _go(self, target_mm: float) -> None:
        if not (self._servo and self._referenced):
            raise CommandError(5)
        if not 0.0 <= target_mm <= self._axis.travel_mm:
            raise CommandError(7)
        self._begin_motion()
        self._target_mm = target_mm
        self._axis.move(
            self.now_ps,
            target_mm + self._origin_mm,
            velocity_mm_s=self._velocity_mm_s,
            acceleration_mm_s2=self._acceleration_mm_s2,
        )

    def _begin_motion(self) -> None:
        if self._link.first_move() and self._link.on("stuck"):
            self._axis.seize(self.now_ps + AFTER_PS)

    @command("MOV?")
    def _mov_(self, arguments: Sequence[str]) -> list[str]:
        """Get the target."""
        return self._answered(arguments, f"{self._target_mm:.7f}")

    @command("POS?")
    def _pos_(self, arguments: Sequence[str]) -> list[str]:
        """Get the position."""
        read_mm = self._axis.measured_mm(self.now_ps) - self._origin_mm
        return self._answered(arguments, "?!;.1" if self._link.on("garbage") else f"{read_mm:.7f}")

    @command("ONT?")
    def _ont_(self, arguments: Sequence[str]) -> list[str]:
        """Get whether the axis has settled at its target."""
        settled = self._servo and self._axis.settled(self.now_ps, TOLERANCE_MM, SETTLE_S)
        return self._answered(arguments, str(int(settled)))

    @command("TMN?")
    def _tmn_(self, arguments: Sequence[str]) -> list[str]:
        """Get the lower end of the travel."""
        return self._answered(arguments, f"{0.0:.7f}")

    @command("TMX?")
    def _tmx_(self, arguments: Sequence[str]) -> list[str]:
        """Get the upper end of the travel."""
        return self._answered(arguments, f"{self._axis.travel_mm:.7f}")

    @command("VEL")
    def _vel(self, arguments: Sequence[str]) -> None:
        """Set the speed of moves."""
        (value,) = self._only(arguments, 1)
        if not 0 < to_float(value) <= _TOP_SPEED_MM_S:
            raise CommandError(8)
        self._velocity_mm_s = to_float(value)

    @command("VEL?")
    def _vel_(self, arguments: Sequence[str]) -> list[str]:
        """Get the speed of moves."""
        return self._answered(arguments, f"{self._velocity_mm_s:.7f}")

    @command("ACC")
    def _acc(self, arguments: Sequence[str]) -> None:
        """Set the acceleration of moves."""
        (value,) = self._only(arguments, 1)
        if not 0 < to_float(value) <= 1000.0:
            raise CommandError(17)
        self._acceleration_mm_s2 = to_float(value)

    @command("ACC?")
    def _acc_(self, arguments: Sequence[str]) -> list[str]:
        """Get the acceleration of moves."""
        return self._answered(arguments, f"{self._acceleration_mm_s2:.7f}")

    # ---- stopping and state ----

    @command("STP")
    def _stp(self, arguments: Sequence[str]) -> None:
        """Stop abruptly."""
        self._halt(_ABRUPT)

    @command("#24")
    def _stop_character(self, arguments: Sequence[str]) -> None:
        """Stop abruptly."""
        self._halt(_ABRUPT)

    @command("HLT")
    def _hlt(self, arguments: Sequence[str]) -> None:
        """Stop smoothly."""
        self._halt(1.0)

    def _halt(self, harder: float) -> None:
        self._search_ends_ps = None
        if self._axis.moving(self.now_ps):
            self._axis.stop(self.now_ps, acceleration_mm_s2=harder * self._acceleration_mm_s2)
            self._target_mm = self._axis.target_mm() - self._origin_mm
        raise CommandError(_STOPPED)

    @command("#5")
    def _moving(self, arguments: Sequence[str]) -> list[str]:
        """Get which axes move."""
        return [f"{int(self._axis.moving(self.now_ps)):X}"]

    @command("#7")
    def _ready(self, arguments: Sequence[str]) -> list[str]:
        """Get whether the controller is ready."""
        return ["\xb1" if self._search_ends_ps is None else "\xb0"]


_ADDRESSED = re.compile(rb"(?:(\d+) )?(.*?)([\r\n]|[\x05-\x09\x18])", re.DOTALL)


class DaisyChain:
    """Controllers on one line, told apart by their address; without one, number 1 is meant."""

    def __init__(self, clock: SimulatedClock, controllers: Mapping[int, LinearController]) -> None:
        self.clock, self._controllers = clock, dict(controllers)
        self._rest = b""

    @property
    def held_elsewhere(self) -> bool:
        """Whether another program holds the line."""
        return any(controller.held_elsewhere for controller in self._controllers.values())

    @property
    def link_broken(self) -> bool:
        """Whether the connection is broken."""
        return any(controller.link_broken for controller in self._controllers.values())

    def receive(self, data: bytes) -> list[Reply]:
        """Hand each command to the controller that it is for; replies to addressed ones name both ends."""
        self._rest += data
        replies: list[Reply] = []
        while match := _ADDRESSED.match(self._rest):
            self._rest = self._rest[match.end() :]
            controller = self._controllers.get(int(match[1] or 1))
            if controller is None:
                continue
            prefix = b"" if match[1] is None else b"0 " + match[1] + b" "
            answers = controller.receive(match[2] + match[3])
            replies += [reply._replace(data=prefix + reply.data) for reply in answers]
        return replies
