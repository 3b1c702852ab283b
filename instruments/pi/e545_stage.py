"""The E-545 as the stage of a microscope: connect, move and settle, scan lines, stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from pymeasure.adapters import Adapter

from ..base import InstrumentError, Limits
from ..clock import Clock
from ..controlled_stage import ControlledStage
from ..stage import (
    AXES,
    Axis,
    LineScan,
    NotOnTargetError,
    Position,
    ScanRecord,
    ServoOffError,
    Stage,
    StageCapabilities,
)
from .e545 import E545, E545Axis
from .gcs_errors import UnexpectedReplyError
from .line_plan import LinePlan, plan_lines

_POLL_S = 0.005
_HOME_TIMEOUT_S = 2.0


class E545Stage(ControlledStage[E545], Stage):
    """A three-axis piezo stage on an E-545.

    `limits_um` is how far each axis may travel on this rig. `axes` are the controller's names of x, y and z.
    With `trigger_output` (1 to 3) that output pulses at the start of each line pair of a scan. An axis that
    was off rises from its rest position to the lower end of its travel when connecting; `connect` raises
    ServoOffError, and InstrumentError when the travel is less than the limits.
    """

    danger = "a scan may still be running"
    capabilities = StageCapabilities(scans_lines=True, lead_s=0.036, lead_um=0.15, delay_s=0.012)

    def __init__(
        self,
        open_link: Callable[[], Adapter],
        *,
        clock: Clock,
        limits_um: Mapping[Axis, Limits],
        axes: tuple[str, str, str] = ("A", "B", "C"),
        trigger_output: int | None = None,
        name: str = "PI E-545",
    ) -> None:
        super().__init__(open_link)
        self.name = name
        self.limits_um = dict(limits_um)
        self._clock = clock
        self._letters = dict(zip(AXES, axes, strict=True))
        self._trigger_output = trigger_output
        self._scan: tuple[LineScan, LinePlan] | None = None

    def settings(self) -> dict[str, object]:
        """Identity, travel limits, axis names and servo settings, as a run file records them."""
        if self._controller is None:
            return {}
        controller = self._controller
        return {
            "identity": str(self._identity),
            "axes": dict(self._letters),
            "limits_um": {axis: list(self.limits_um[axis]) for axis in AXES},
            "trigger_output": self._trigger_output,
            "drift_compensation": {
                axis: getattr(controller, axis).drift_compensation_enabled for axis in AXES
            },
        }

    # ---- to a point ----

    @property
    def position(self) -> Position:
        """Measure where the stage is, in micrometres."""
        values = self._numbers("POS?")
        return Position(*(values[letter] for letter in self._letters.values()))

    @property
    def on_target(self) -> bool:
        """Get whether all axes have settled at their targets (bool)."""
        return not self._unsettled()

    def _start_move(self, targets_um: Mapping[Axis, float]) -> None:
        self.controller.move({self._letters[axis]: target_um for axis, target_um in targets_um.items()})

    def _wait_settled(self, timeout_s: float) -> None:
        deadline_s = self._clock.now() + timeout_s
        while axes := self._unsettled():
            if self._clock.now() >= deadline_s:
                raise NotOnTargetError(self._where_it_hangs(axes, timeout_s))
            self._clock.sleep(_POLL_S)

    def _unsettled(self) -> list[Axis]:
        on_target = self._numbers("ONT?")
        return [axis for axis in AXES if on_target[self._letters[axis]] != 1]

    def _where_it_hangs(self, axes: list[Axis], timeout_s: float) -> str:
        controller = self.controller
        hanging = []
        for axis in axes:
            channel: E545Axis = getattr(controller, axis)
            if not channel.servo_enabled:
                raise ServoOffError(f"{self.name}: the servo of axis {axis} went off; check the front panel")
            hanging.append(f"{axis} at {channel.position_um:.3f} um instead of {channel.target_um:.3f} um")
        return (
            f"{self.name}: not settled within {timeout_s:g} s: {', '.join(hanging)}; see whether something "
            "touches the stage, and whether the amplifier is on"
        )

    # ---- along lines ----

    def check_lines(self, scan: LineScan) -> None:
        """Raise OutOfRangeError when the scan leaves the limits or does not fit into the controller."""
        super().check_lines(scan)
        plan_lines(scan, self.lead_s(scan))

    def _start_lines(self, scan: LineScan) -> float:
        plan = plan_lines(scan, self.lead_s(scan))
        controller = self.controller
        fast, slow = AXES.index(scan.fast) + 1, AXES.index(scan.slow) + 1
        with self._lock:
            self._start_move({scan.fast: float(plan.fast_um[0]), scan.slow: scan.slow_um[0]})
            controller.load_wave(fast, plan.fast_um)
            controller.set_generator(fast, plan.fast_cycles, plan.repeats)
            controller.load_wave(slow, plan.slow_um)
            controller.set_generator(slow, plan.slow_cycles, 1)
            controller.record_positions(
                [self._letters[scan.fast], self._letters[scan.slow]], plan.sample_cycles
            )
            if self._trigger_output is not None:
                controller.pulse_at_point_1(self._trigger_output)
            self._wait_settled(_HOME_TIMEOUT_S)
            self._scan = scan, plan
            _compensate_drift(controller, scan, False)
            controller.start_generators(sorted((fast, slow)))
        return plan.duration_s

    @property
    def scanning(self) -> bool:
        """Get whether the wave generators are still running (bool)."""
        return bool(self.controller.generators_running)

    def take_lines(self) -> ScanRecord:
        """Fetch the positions measured during the scan that has ended.

        Raises InstrumentError when there is none or it is still running, UnexpectedReplyError when the
        recorder has missed samples.
        """
        with self._lock:
            if self._scan is None or self.scanning:
                raise InstrumentError(f"{self.name}: there is no finished scan to fetch")
            scan, plan = self._scan
            if self.controller.recorded_points < plan.samples:
                raise UnexpectedReplyError(f"{self.name}: the recorder has missed part of the scan")
            record = self.controller.recorded_positions(2, plan.samples)
            _compensate_drift(self.controller, scan, True)
            self._scan = None
        pulses = plan.repeats if self._trigger_output is not None else 0
        sample_s = float(record.header["SAMPLE_TIME"])
        return ScanRecord(
            time_s=np.arange(plan.samples, dtype=np.float64) * sample_s,
            fast_um=record.columns[0],
            slow_um=record.columns[1],
            pulse_s=np.arange(pulses, dtype=np.float64) * plan.period_s,
        )

    # ---- inside ----

    def _controller_on(self, link: Adapter) -> E545:
        return E545(link, self.name, axes=tuple(self._letters.values()))

    def _take_over(self, controller: E545) -> None:
        if controller.generators_running:
            controller.stop()  # a scan that a program left running when it died
        self._check_axes(controller)
        for axis in AXES:
            _close_loop(getattr(controller, axis), f"{self.name}: axis {axis}")
        self._wait_settled(_HOME_TIMEOUT_S)

    def _stop(self, controller: E545) -> None:
        controller.stop()
        interrupted, self._scan = self._scan, None
        if interrupted:
            _compensate_drift(controller, interrupted[0], True)

    def _numbers(self, query: str) -> dict[str, float]:
        """Values of all axes by their letter; raises UnexpectedReplyError."""
        items = self.controller.ask_items(query)
        try:
            values = {axis: float(value) for axis, value in items.items()}
        except ValueError as error:
            raise UnexpectedReplyError(f"{self.name}: {query} was answered with garbage: {error}") from None
        if missing := [letter for letter in self._letters.values() if letter not in values]:
            raise UnexpectedReplyError(f"{self.name}: {query} said nothing about axis {', '.join(missing)}")
        return values

    def _check_axes(self, controller: E545) -> None:
        names = controller.axis_names
        if missing := [letter for letter in self._letters.values() if letter not in names]:
            raise InstrumentError(
                f"{self.name}: there is no axis {', '.join(missing)}; "
                f"this controller has {', '.join(names):.60}"
            )
        lower_um, upper_um = self._numbers("TMN?"), self._numbers("TMX?")
        for axis, letter in self._letters.items():
            travel = Limits(lower_um[letter], upper_um[letter])
            getattr(controller, axis).target_um_values = tuple(travel)
            if self.limits_um[axis].within(travel) != self.limits_um[axis]:
                raise InstrumentError(
                    f"{self.name}: limits {list(self.limits_um[axis])} um of {axis} exceed the travel "
                    f"{list(travel)} um of axis {letter}; correct the station file"
                )


def _compensate_drift(controller: E545, scan: LineScan, enabled: bool) -> None:
    """Drift compensation overshoots at every turn, so it is off during a scan."""
    for axis in (scan.fast, scan.slow):
        getattr(controller, axis).drift_compensation_enabled = enabled


def _close_loop(axis: E545Axis, name: str) -> None:
    """Bring an axis online with its servo on, velocity control off and drift compensation on."""
    if not axis.online:
        axis.online = True
    if not axis.online:
        raise InstrumentError(f"{name} stays offline; set the front panel to remote control")
    axis.velocity_control_enabled = False
    axis.servo_enabled = True
    if not axis.servo_enabled:
        raise ServoOffError(
            f"{name}: the servo stays off; set the SERVO switch at the front as the manual says"
        )
    axis.drift_compensation_enabled = True
