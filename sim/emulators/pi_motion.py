"""Motion commands of an emulated PI piezo controller: online, servo, targets, positions, stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..bench import Faults
from ..clock import PS_PER_S, SimulatedClock
from ..physics.piezo import PiezoAxis, PiezoStage
from .pi_gcs import CommandError, GcsController, command, groups, to_float, to_int

TRAVEL_UM = (0.0, 200.0)
TOLERANCE_UM = 0.005
SETTLE_S = 0.010
_QUANTUM_UM = 1e-4
_RAMP_STEP_PS = PS_PER_S // 1000
_UM_PER_VOLT = 2.0
_WAVE_ACTIVE = 73


@dataclass
class AxisState:
    """What the controller keeps of one axis."""

    channel: int
    piezo: PiezoAxis
    online: bool = False
    servo: bool = False
    velocity_control: bool = False
    velocity_um_s: float = 0.0
    drift_compensation: bool = False
    target_um: float = 0.0
    open_loop_um: float = 0.0


class PiezoMotion(GcsController):
    """Axes A, B and C on the channels 1, 2 and 3, all offline and with their servos off at power-on."""

    def __init__(
        self,
        clock: SimulatedClock,
        stage: PiezoStage,
        *,
        faults: Faults | None = None,
        needs_cr: bool = False,
    ) -> None:
        super().__init__(clock, needs_cr=needs_cr)
        self._stage, self._faults = stage, faults or Faults()
        self._axes = {
            name: AxisState(channel, piezo)
            for name, channel, piezo in zip("ABC", (1, 2, 3), stage.axes, strict=True)
        }
        for axis in self._axes.values():
            axis.piezo.compensate_drift(self.now_ps, False)

    # ---- hooks for subclasses ----

    def _before_move(self) -> None:
        """Called when a motion is about to start."""

    def _busy_with_wave(self, axis: AxisState) -> bool:
        return False

    # ---- which axes, which channels ----

    def _axis(self, name: str) -> AxisState:
        if name not in self._axes:
            raise CommandError(15)
        return self._axes[name]

    def _channel(self, text: str) -> AxisState:
        channel = to_int(text, 1, len(self._axes), code=23)
        return next(axis for axis in self._axes.values() if axis.channel == channel)

    def _per_axis(self, names: Sequence[str], value: Callable[[AxisState], str]) -> list[str]:
        return [f"{name}={value(self._axis(name))}" for name in names or self._axes]

    def _per_channel(self, numbers: Sequence[str], value: Callable[[AxisState], str]) -> list[str]:
        numbers = numbers or [str(axis.channel) for axis in self._axes.values()]
        return [f"{number}={value(self._channel(number))}" for number in numbers]

    def _switches(self, arguments: Sequence[str]) -> list[tuple[AxisState, bool]]:
        return [(self._axis(name), bool(to_int(on, 0, 1))) for name, on in groups(arguments, 2)]

    @command("SAI?")
    def _sai(self, arguments: Sequence[str]) -> list[str]:
        """Get the names of the axes."""
        return list(self._axes)

    @command("TPC?")
    def _tpc(self, arguments: Sequence[str]) -> list[str]:
        """Get the number of output channels."""
        return [str(len(self._axes))]

    @command("TSC?")
    def _tsc(self, arguments: Sequence[str]) -> list[str]:
        """Get the number of sensor channels."""
        return [str(len(self._axes))]

    # ---- switches ----

    @command("ONL")
    def _onl(self, arguments: Sequence[str]) -> None:
        """Set whether channels are commanded by the computer."""
        for axis, online in [(self._channel(n), bool(to_int(on, 0, 1))) for n, on in groups(arguments, 2)]:
            was, axis.online = axis.online, online and "e545_stays_offline" not in self._faults
            if axis.online and not was and axis.servo:
                self._take_over(axis)

    @command("ONL?")
    def _onl_(self, arguments: Sequence[str]) -> list[str]:
        """Get whether channels are commanded by the computer."""
        return self._per_channel(arguments, lambda axis: str(int(axis.online)))

    @command("SVO")
    def _svo(self, arguments: Sequence[str]) -> None:
        """Set whether axes are under closed-loop control."""
        for axis, servo in self._switches(arguments):
            stuck_off = "e545_servo_off" in self._faults and axis is self._axes["A"]
            self._switch_servo(axis, on=servo and not stuck_off)

    def _switch_servo(self, axis: AxisState, *, on: bool) -> None:
        was, axis.servo = axis.servo, on
        if on and not was and axis.online:
            self._take_over(axis)
        elif was and not on:
            axis.open_loop_um = axis.piezo.hold(self.now_ps)

    @command("SVO?")
    def _svo_(self, arguments: Sequence[str]) -> list[str]:
        """Get whether axes are under closed-loop control."""
        return self._per_axis(arguments, lambda axis: str(int(axis.servo)))

    def _take_over(self, axis: AxisState) -> None:
        """Closing the loop makes the present position the target, as far as it is within the travel."""
        here_um = axis.piezo.followed_um(self.now_ps)
        axis.target_um = _quantised(min(max(here_um, TRAVEL_UM[0]), TRAVEL_UM[1]))
        axis.piezo.set_target(self.now_ps, axis.target_um)

    @command("DCO")
    def _dco(self, arguments: Sequence[str]) -> None:
        """Set drift compensation."""
        for axis, enabled in self._switches(arguments):
            axis.drift_compensation = enabled
            axis.piezo.compensate_drift(self.now_ps, enabled)

    @command("DCO?")
    def _dco_(self, arguments: Sequence[str]) -> list[str]:
        """Get drift compensation."""
        return self._per_axis(arguments, lambda axis: str(int(axis.drift_compensation)))

    @command("VCO")
    def _vco(self, arguments: Sequence[str]) -> None:
        """Set velocity control."""
        for axis, enabled in self._switches(arguments):
            axis.velocity_control = enabled

    @command("VCO?")
    def _vco_(self, arguments: Sequence[str]) -> list[str]:
        """Get velocity control."""
        return self._per_axis(arguments, lambda axis: str(int(axis.velocity_control)))

    @command("VEL")
    def _vel(self, arguments: Sequence[str]) -> None:
        """Set the velocity for velocity control."""
        wanted = [(self._axis(name), to_float(value)) for name, value in groups(arguments, 2)]
        if not all(0 <= velocity < np.inf for _, velocity in wanted):
            raise CommandError(8)
        for axis, velocity_um_s in wanted:
            axis.velocity_um_s = velocity_um_s

    @command("VEL?")
    def _vel_(self, arguments: Sequence[str]) -> list[str]:
        """Get the velocity for velocity control."""
        return self._per_axis(arguments, lambda axis: _fixed(axis.velocity_um_s))

    # ---- moves ----

    @command("MOV")
    def _mov(self, arguments: Sequence[str]) -> None:
        """Set targets."""
        self._move([(self._axis(name), to_float(value)) for name, value in groups(arguments, 2)])

    @command("MVR")
    def _mvr(self, arguments: Sequence[str]) -> None:
        """Set targets relative to the last ones."""
        steps = [(self._axis(name), to_float(value)) for name, value in groups(arguments, 2)]
        self._move([(axis, axis.target_um + step_um) for axis, step_um in steps])

    def _move(self, wanted: Sequence[tuple[AxisState, float]]) -> None:
        if len({axis.channel for axis, _ in wanted}) < len(wanted):
            raise CommandError(22)
        for axis, target_um in wanted:
            self._require_movable(axis, (target_um,))
        self._before_move()
        for axis, target_um in wanted:
            axis.target_um = _quantised(target_um)
            if axis.online:
                self._start(axis)

    def _require_movable(self, axis: AxisState, targets_um: Sequence[float]) -> None:
        if self._busy_with_wave(axis):
            raise CommandError(_WAVE_ACTIVE)
        if axis.online and (not axis.servo or "e545_not_referenced" in self._faults):
            raise CommandError(5)
        if not all(TRAVEL_UM[0] <= target_um <= TRAVEL_UM[1] for target_um in targets_um):
            raise CommandError(7)

    def _start(self, axis: AxisState) -> None:
        if not axis.velocity_control:
            axis.piezo.set_target(self.now_ps, axis.target_um)
        elif axis.velocity_um_s > 0:
            start_um = axis.piezo.target_um(self.now_ps)
            step_um = axis.velocity_um_s * _RAMP_STEP_PS / PS_PER_S
            steps = max(1, int(np.ceil(abs(axis.target_um - start_um) / step_um)))
            ramp_um = np.linspace(start_um, axis.target_um, steps + 1)[1:]
            axis.piezo.plan(self.now_ps, _RAMP_STEP_PS, ramp_um.tolist())

    @command("MOV?")
    def _mov_(self, arguments: Sequence[str]) -> list[str]:
        """Get targets."""
        return self._per_axis(arguments, lambda axis: _fixed(axis.target_um))

    @command("POS?")
    def _pos_(self, arguments: Sequence[str]) -> list[str]:
        """Get positions."""
        return self._per_axis(arguments, lambda axis: _fixed(self._measured_um(axis)))

    @command("ONT?")
    def _ont_(self, arguments: Sequence[str]) -> list[str]:
        """Get whether axes have settled at their targets."""
        return self._per_axis(arguments, lambda axis: str(int(self._settled(axis))))

    @command("TMN?")
    def _tmn_(self, arguments: Sequence[str]) -> list[str]:
        """Get the lower ends of the travel."""
        return self._per_axis(arguments, lambda axis: _fixed(TRAVEL_UM[0]))

    @command("TMX?")
    def _tmx_(self, arguments: Sequence[str]) -> list[str]:
        """Get the upper ends of the travel."""
        return self._per_axis(arguments, lambda axis: _fixed(TRAVEL_UM[1]))

    @command("SVA")
    def _sva(self, arguments: Sequence[str]) -> None:
        """Set open-loop values."""
        wanted = [(self._axis(name), to_float(value)) for name, value in groups(arguments, 2)]
        if any(axis.servo for axis, _ in wanted):
            raise CommandError(303)
        for axis, value_um in wanted:
            axis.open_loop_um = value_um
            if axis.online:
                axis.piezo.set_target(self.now_ps, value_um)

    @command("SVA?")
    def _sva_(self, arguments: Sequence[str]) -> list[str]:
        """Get open-loop values."""
        return self._per_axis(arguments, lambda axis: _fixed(axis.open_loop_um))

    @command("VOL?")
    def _vol_(self, arguments: Sequence[str]) -> list[str]:
        """Get the voltages of output channels."""
        return self._per_channel(arguments, lambda axis: _fixed(self._measured_um(axis) / _UM_PER_VOLT))

    # ---- stopping and state ----

    @command("STP")
    def _stp(self, arguments: Sequence[str]) -> None:
        """Stop all axes."""
        self._stop(list(self._axes.values()))

    @command("#24")
    def _stop_character(self, arguments: Sequence[str]) -> None:
        """Stop all axes."""
        self._stop(list(self._axes.values()))

    @command("HLT")
    def _hlt(self, arguments: Sequence[str]) -> None:
        """Stop axes."""
        self._stop([self._axis(name) for name in arguments or self._axes])

    def _stop(self, axes: Sequence[AxisState]) -> None:
        for axis in axes:
            if axis.online and axis.servo and not axis.piezo.settled(self.now_ps, TOLERANCE_UM, SETTLE_S):
                axis.target_um = axis.piezo.hold(self.now_ps)
        raise CommandError(10)

    @command("#5")
    def _moving(self, arguments: Sequence[str]) -> list[str]:
        """Get which axes move."""
        moving = [
            axis for axis in self._axes.values() if axis.online and axis.servo and not self._settled(axis)
        ]
        return [f"{sum(1 << (axis.channel - 1) for axis in moving):X}"]

    @command("#7")
    def _ready(self, arguments: Sequence[str]) -> list[str]:
        """Get whether the controller is ready."""
        return ["\xb1"]

    def _measured_um(self, axis: AxisState) -> float:
        return float(axis.piezo.measured_um(np.array([self.now_ps], np.int64))[0])

    def _settled(self, axis: AxisState) -> bool:
        if not (axis.online and axis.servo) or self._busy_with_wave(axis):
            return False
        arrived = abs(axis.piezo.target_um(self.now_ps) - axis.target_um) < _QUANTUM_UM
        return arrived and axis.piezo.settled(self.now_ps, TOLERANCE_UM, SETTLE_S)


def _quantised(value_um: float) -> float:
    return round(value_um / _QUANTUM_UM) * _QUANTUM_UM


def _fixed(value: float) -> str:
    """A number as the E-517 prints it: signed, of fixed width."""
    return f"{value:+010.4f}"
