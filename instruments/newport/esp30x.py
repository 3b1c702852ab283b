"""Newport ESP300 and ESP301: pymeasure's classes with positions at full precision, and a delay stage on them.

What pymeasure 0.16 does otherwise: positions, limits and definitions are written with %g, six digits, so
that 123.456789 mm becomes 123.457 mm (a delay is then off by up to 3.3 fs); listing the axes reads every
property and so empties the error queue; an error number that it does not know is a KeyError; closing switches
the motors off. All of that is different here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal

from pymeasure.adapters import Adapter
from pymeasure.instruments import Instrument
from pymeasure.instruments.newport import esp300
from pymeasure.instruments.validators import strict_range

from ..base import Identity, InstrumentError, Limits
from ..clock import Clock
from ..controlled_stage import ControlledStage
from ..delay_stage import DelayScale, DelayStage
from ..links import LineLink
from ..pi.gcs import number
from ..pi.gcs_errors import UnexpectedReplyError, WrongControllerError
from ..stage import NotReferencedError

Homing = Literal["home_switch", "positive_limit", "negative_limit"]
_HOME_MODES: dict[Homing, int] = {"home_switch": 1, "positive_limit": 3, "negative_limit": 4}
_HOME_TIMEOUT_S = 120.0
_MOST_ERRORS = 20


class EspError(InstrumentError):
    """The controller refused a command; `code` is its error number, with the axis in the hundreds."""

    def __init__(self, name: str, code: int, command: str) -> None:
        axis, of_axis = divmod(code, 100)
        table = esp300.AxisError.MESSAGES if axis else esp300.GeneralError.MESSAGES
        text = table.get(f"{of_axis:02d}" if axis else str(code), "see the controller's manual").lower()
        of = f" of axis {axis}" if axis else ""
        super().__init__(f"{name}: error {code}{of} ({text}) at {command!r}")
        self.code = code


class ESP30xAxis(esp300.Axis):
    """One axis; lengths in the controller's unit, which `ESP30xStage` requires to be millimetres."""

    position = Instrument.control(
        "TP",
        "PA%.6f",
        """Control the position (float, to 1e-6); reading measures, writing starts a move.""",
        get_process=number,
        check_set_errors=True,
    )
    left_limit = Instrument.control(
        "SL?",
        "SL%.6f",
        """Control the negative software limit (float).""",
        get_process=number,
        check_set_errors=True,
    )
    right_limit = Instrument.control(
        "SR?",
        "SR%.6f",
        """Control the positive software limit (float).""",
        get_process=number,
        check_set_errors=True,
    )
    velocity = Instrument.control(
        "VA?",
        "VA%.6f",
        """Control the speed of moves per second (float strictly from 1e-6 to 1e4).""",
        validator=strict_range,
        values=(1e-6, 1e4),
        get_process=number,
        check_set_errors=True,
    )

    def define_position(self, position: float) -> None:
        """Call the present position `position`, to 1e-6."""
        self.write(f"DH{position:.6f}")
        self.check_set_errors()

    def check_set_errors(self) -> list[Any]:
        """See whether the last command was accepted; raises EspError."""
        return self.controller.check_set_errors()


class ESP30x(esp300.ESP300):
    """The controller; `x`, `y` and `phi` are the axes 1, 2 and 3."""

    def __init__(
        self, adapter: Adapter, name: str = "Newport ESP30x motion controller", **kwargs: Any
    ) -> None:
        # ESP300's own __init__ says on every start that it does not know whether the ESP300 speaks SCPI
        Instrument.__init__(self, adapter, name, includeSCPI=False, **kwargs)
        if isinstance(adapter, LineLink):
            adapter.write_termination = "\r"
        self.x, self.y, self.phi = (ESP30xAxis(axis, self) for axis in (1, 2, 3))
        self._lock = threading.RLock()
        self._last_command = ""

    @property
    def axes(self) -> list[ESP30xAxis]:
        """The axes 1, 2 and 3; sends nothing."""
        return [self.x, self.y, self.phi]

    def identify(self) -> Identity:
        """Ask who is there and empty the error queue; raises WrongControllerError for another instrument."""
        with self._lock:
            if isinstance(self.adapter, LineLink):
                self.write_bytes(b"\r")  # ends a half line, if there is one
                self.adapter.flush_read_buffer()
            version = self.ask("VE?")
            model, _, rest = version.partition(" ")
            if model not in ("ESP300", "ESP301"):
                raise WrongControllerError(
                    f"{self.name}: {version!r:.60} answers, not an ESP300 or ESP301; check the address"
                )
            self.take_errors()
        return Identity(
            "Newport", model, "", rest.replace("Version ", ""), getattr(self.adapter, "simulated", False)
        )

    # ---- the exchange ----

    def write(self, command: str, **kwargs: Any) -> None:
        """Send one command."""
        self._last_command = command
        super().write(command, **kwargs)

    def read(self, **kwargs: Any) -> str:
        """Read one reply, without its line end."""
        return super().read(**kwargs).strip("\r\n ")

    def ask(self, command: str, query_delay: float | None = None) -> str:
        """Send a query and read its reply, undisturbed by other threads."""
        with self._lock:
            self.write(command)
            return self.read()

    def values(self, command: str, *args: Any, **kwargs: Any) -> Any:
        """Ask for numbers, undisturbed by other threads."""
        with self._lock:
            return super().values(command, *args, **kwargs)

    def take_errors(self) -> list[int]:
        """Read the error queue until it is empty (list of int)."""
        codes: list[int] = []
        while len(codes) < _MOST_ERRORS:
            reply = self.ask("TE?")
            if not reply.isdigit():
                raise UnexpectedReplyError(f"{self.name}: {reply!r:.60} came back at 'TE?'")
            if not int(reply):
                break
            codes.append(int(reply))
        return codes

    def check_set_errors(self) -> list[Any]:
        """See whether the last command was accepted; raises EspError for the first error in the queue."""
        command = self._last_command
        if codes := self.take_errors():
            raise EspError(self.name, codes[0], command)
        return []

    def shutdown(self) -> None:
        """Close the connection; the motors stay as they are."""
        self.adapter.close()
        Instrument.shutdown(self)


class ESP30xStage(ControlledStage[ESP30x], DelayStage):
    """A delay line on one axis (1 to 3) of an ESP300 or ESP301.

    The controller does not tell whether it was homed since power-on. With `homing` it is homed each time it
    is connected, which may take the carriage over its whole travel; without, see to it yourself.
    The rest is as in `DelayStage`. `connect` raises NotReferencedError when homing failed, and
    InstrumentError when the axis does not count millimetres, its motor stays off, or its software limits are
    narrower than ours.
    """

    def __init__(
        self,
        open_link: Callable[[], Adapter],
        *,
        clock: Clock,
        scale: DelayScale,
        limits_fs: Limits,
        limits_mm: Limits,
        axis: int = 1,
        homing: Homing | None = None,
        velocity_mm_s: float | None = None,
        approach_mm: float = 0.0,
        tolerance_mm: float = 1e-4,
        settle_s: float = 0.1,
        name: str = "Newport ESP30x",
    ) -> None:
        ControlledStage.__init__(self, open_link)
        DelayStage.__init__(
            self,
            name=name,
            clock=clock,
            scale=scale,
            limits_fs=limits_fs,
            limits_mm=limits_mm,
            approach_mm=approach_mm,
            tolerance_mm=tolerance_mm,
            settle_s=settle_s,
        )
        if axis not in (1, 2, 3):
            raise ValueError(f"{name}: axis = {axis!r} must be 1, 2 or 3")
        self._number = axis
        self._homing: Homing | None = homing
        self._wanted_velocity_mm_s = velocity_mm_s
        self._target_mm: float | None = None

    def settings(self) -> dict[str, object]:
        """Identity, axis, scale, limits and speed, as a run file records them."""
        if self._controller is None:
            return {}
        return {
            **super().settings(),
            "identity": str(self._identity),
            "axis": self._number,
            "velocity_mm_s": self.velocity_mm_s,
        }

    # ---- motion ----

    @property
    def axis(self) -> ESP30xAxis:
        """The axis, for what a `DelayStage` has no word for; raises NotConnectedError."""
        return self.controller.axes[self._number - 1]

    def home(self, how: Homing = "home_switch", *, timeout_s: float = _HOME_TIMEOUT_S) -> None:
        """Search the home switch or a limit, and count from there.

        The carriage may cross its whole travel: see that nothing is in the way. Raises NotReferencedError
        when it was not found in time.
        """
        axis = self.axis
        self._target_mm = None
        axis.home(_HOME_MODES[how])
        axis.check_set_errors()
        in_time = self._wait(lambda: bool(axis.motion_done), timeout_s)
        errors = axis.controller.take_errors()
        if not in_time or errors:
            axis.write("ST")
            axis.controller.take_errors()
            raise NotReferencedError(
                f"{self.name}: homing at the {how.replace('_', ' ')} did not succeed (errors {errors}); see "
                "whether the carriage is blocked, and whether the stage has that switch"
            )

    @property
    def position_mm(self) -> float:
        """Measure the position in millimetres (float)."""
        return number(self.axis.position)

    @property
    def on_target(self) -> bool:
        """Get whether the move has ended and the position is the target within the tolerance (bool)."""
        if not self.axis.motion_done:
            return False
        return self._target_mm is None or abs(self.position_mm - self._target_mm) <= self.tolerance_mm

    @property
    def velocity_mm_s(self) -> float:
        """Control the speed of moves in millimetres per second (float)."""
        return number(self.axis.velocity)

    @velocity_mm_s.setter
    def velocity_mm_s(self, value: float) -> None:
        self.axis.velocity = value

    def _start_move(self, target_mm: float) -> None:
        self.axis.position = target_mm
        self._target_mm = target_mm

    # ---- inside ----

    def _controller_on(self, link: Adapter) -> ESP30x:
        return ESP30x(link, self.name)

    def _take_over(self, controller: ESP30x) -> None:
        axis = self.axis
        if axis.units != "millimeter":
            raise InstrumentError(
                f"{self.name}: axis {self._number} counts in {axis.units}; set it to millimetres (SN2)"
            )
        travel = Limits(number(axis.left_limit), number(axis.right_limit))
        if self.limits_mm.within(travel) != self.limits_mm:
            raise InstrumentError(
                f"{self.name}: limits {list(self.limits_mm)} mm exceed the controller's software limits "
                f"{list(travel)} mm; correct the station file"
            )
        axis.enable()
        axis.check_set_errors()
        if not axis.enabled:
            raise InstrumentError(
                f"{self.name}: the motor of axis {self._number} stays off; see the controller's front panel"
            )
        if self._wanted_velocity_mm_s is not None:
            axis.velocity = self._wanted_velocity_mm_s
        if self._homing:
            self.home(self._homing)

    def _stop(self, controller: ESP30x) -> None:
        controller.write(f"{self._number}ST")
        controller.take_errors()
