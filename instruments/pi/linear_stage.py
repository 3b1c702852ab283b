"""Linear stages on PI's C-863 and relatives as optical delay lines; lengths in millimetres.

Facts and what is not yet seen on a real unit are in docs/delay_stages.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from pymeasure.adapters import Adapter
from pymeasure.instruments import Channel
from pymeasure.instruments.validators import strict_range

from ..base import Identity, InstrumentError, Limits
from ..clock import Clock
from ..controlled_stage import ControlledStage
from ..delay_stage import DelayScale, DelayStage
from ..stage import NotReferencedError, ServoOffError
from .gcs import GcsAxis, GCSController, number

MODELS = ("C-663", "C-863", "C-867", "C-884")
"""Controllers of one linear stage that speak GCS 2.0 themselves; Hydra and Pollux do not."""

Referencing = Literal["reference_switch", "negative_limit", "positive_limit"]
_COMMANDS: dict[Referencing, str] = {
    "reference_switch": "FRF",
    "negative_limit": "FNL",
    "positive_limit": "FPL",
}
_REFERENCE_TIMEOUT_S = 120.0


class GcsLinearAxis(GcsAxis):
    """One linear axis."""

    position_mm = Channel.measurement(
        "POS? {ch}", """Measure the position in millimetres (float).""", get_process=number
    )
    target_mm = Channel.control(
        "MOV? {ch}",
        "MOV {ch} %.6f",
        """Control the target in millimetres (float strictly within the travel, dynamic).""",
        validator=strict_range,
        values=(0.0, 1000.0),
        dynamic=True,
        get_process=number,
        check_set_errors=True,
    )
    velocity_mm_s = Channel.control(
        "VEL? {ch}",
        "VEL {ch} %.6f",
        """Control the speed of moves in mm/s (float strictly from 1e-6 to 1e4); works at once.""",
        validator=strict_range,
        values=(1e-6, 1e4),
        get_process=number,
        check_set_errors=True,
    )
    lower_mm = Channel.measurement(
        "TMN? {ch}", """Get the lower end of the travel in millimetres (float).""", get_process=number
    )
    upper_mm = Channel.measurement(
        "TMX? {ch}", """Get the upper end of the travel in millimetres (float).""", get_process=number
    )
    referenced = Channel.measurement(
        "FRF? {ch}",
        """Get whether the axis knows its position since power-on (bool).""",
        values={True: 1, False: 0},
        map_values=True,
        get_process=number,
    )


class GCSLinear(GCSController):
    """A controller of one linear stage; `stage` is its axis, `address` its number in a daisy chain."""

    stage: GcsLinearAxis

    def __init__(
        self,
        adapter: Adapter | str,
        name: str = "PI linear stage controller",
        axis: str = "1",
        **kwargs: Any,
    ) -> None:
        super().__init__(adapter, name, **kwargs)
        cls: Any = GcsLinearAxis  # pymeasure's own annotation fits no channel class
        self.add_child(cls, axis, collection="axes", attr_name="stage")

    def identify(self, models: Iterable[str] = MODELS) -> Identity:
        """Find the terminator and return who answers; raises WrongControllerError for another kind."""
        return super().identify(models)

    def start_referencing(self, how: Referencing) -> None:
        """Start to search the reference switch or a limit switch; the axis may cross its whole travel."""
        self.send(f"{_COMMANDS[how]} {self.stage.id}")


class PILinearStage(ControlledStage[GCSLinear], DelayStage):
    """A delay line on a PI linear stage.

    `axis` is the controller's name of the axis and `address` its number in a daisy chain. With `referencing`
    an axis that does not know its position searches it when connecting, over its whole travel; without, it is
    not moved before `reference` was called. The rest is as in `DelayStage`. `connect` raises ServoOffError,
    NotReferencedError when the search failed, and InstrumentError when the travel is less than the limits.
    """

    def __init__(
        self,
        open_link: Callable[[], Adapter],
        *,
        clock: Clock,
        scale: DelayScale,
        limits_fs: Limits,
        limits_mm: Limits,
        axis: str = "1",
        address: int | None = None,
        referencing: Referencing | None = None,
        velocity_mm_s: float | None = None,
        approach_mm: float = 0.0,
        tolerance_mm: float = 1e-4,
        name: str = "PI linear stage",
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
        )
        self._axis, self._address = axis, address
        self._referencing: Referencing | None = referencing
        self._wanted_velocity_mm_s = velocity_mm_s

    def settings(self) -> dict[str, object]:
        """Identity, axis, scale, limits and speed, as a run file records them."""
        if self._controller is None:
            return {}
        return {
            **super().settings(),
            "identity": str(self._identity),
            "axis": self._axis,
            "address": self._address,
            "velocity_mm_s": self.velocity_mm_s,
        }

    # ---- motion ----

    @property
    def referenced(self) -> bool:
        """Get whether the stage knows its position (bool)."""
        return bool(self.controller.stage.referenced)

    def reference(self, how: Referencing = "reference_switch", *, timeout_s: float | None = None) -> None:
        """Search the reference switch or a limit switch, so that the stage knows its position.

        The carriage may cross its whole travel: see that nothing is in the way. Raises GcsError when there is
        no such switch and NotReferencedError when it was not found within `timeout_s` (by default 120 s).
        """
        controller = self.controller
        with self._lock:
            controller.start_referencing(how)
            found_in_time = self._wait(lambda: controller.ready, timeout_s or _REFERENCE_TIMEOUT_S)
            if not (found_in_time and self.referenced):
                controller.stop()
                raise NotReferencedError(
                    f"{self.name}: referencing at the {how.replace('_', ' ')} did not succeed; see whether "
                    "the carriage is blocked, and whether the stage has that switch"
                )

    @property
    def position_mm(self) -> float:
        """Measure the position in millimetres (float)."""
        return number(self.controller.stage.position_mm)

    @property
    def on_target(self) -> bool:
        """Get whether the controller finds the stage settled at its target (bool)."""
        return bool(self.controller.stage.on_target)

    @property
    def velocity_mm_s(self) -> float:
        """Control the speed of moves in millimetres per second (float)."""
        return number(self.controller.stage.velocity_mm_s)

    @velocity_mm_s.setter
    def velocity_mm_s(self, value: float) -> None:
        self.controller.stage.velocity_mm_s = value

    def _start_move(self, target_mm: float) -> None:
        self.controller.stage.target_mm = target_mm

    # ---- inside ----

    def _controller_on(self, link: Adapter) -> GCSLinear:
        return GCSLinear(link, self.name, self._axis, address=self._address)

    def _take_over(self, controller: GCSLinear) -> None:
        names = controller.axis_names
        if self._axis not in names:
            raise InstrumentError(
                f"{self.name}: there is no axis {self._axis}; this controller has {', '.join(names):.60}"
            )
        stage = controller.stage
        travel = Limits(number(stage.lower_mm), number(stage.upper_mm))
        if self.limits_mm.within(travel) != self.limits_mm:
            raise InstrumentError(
                f"{self.name}: limits {list(self.limits_mm)} mm exceed the travel {list(travel)} mm of the "
                "stage; correct the station file"
            )
        stage.target_mm_values = tuple(travel)
        stage.servo_enabled = True
        if not stage.servo_enabled:
            raise ServoOffError(f"{self.name}: the servo stays off; see whether the stage is plugged in")
        if self._wanted_velocity_mm_s is not None:
            stage.velocity_mm_s = self._wanted_velocity_mm_s
        if self._referencing and not stage.referenced:
            self.reference(self._referencing)

    def _stop(self, controller: GCSLinear) -> None:
        controller.stop()
