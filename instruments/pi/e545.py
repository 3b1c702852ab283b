"""PI E-545 three-axis piezo controller (E-517 digital interface): commands, wave generators, recorder.

Facts of the real unit and their sources are in docs/e545.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymeasure.adapters import Adapter
from pymeasure.instruments import Channel
from pymeasure.instruments.validators import strict_discrete_set, strict_range

from ..base import Identity
from .gcs import GcsArray, GcsAxis, GCSController, number, switch, whole_number
from .gcs_errors import UnexpectedReplyError

MODELS = ("E-517", "E-518", "E-545")
"""What the controller may call itself; an E-545 says E-517, after the interface module inside."""
SERVO_CYCLE_S = 40e-6
TABLE_POINTS = 8192
"""Points of a wave table, and of a record table."""
MAX_POINT_CYCLES = 1000
"""Servo cycles per wave point: the largest value known to work."""

_POINTS_PER_LINE = 50  # the firmware's line buffer takes 72
_ACTUAL_POSITION = 2
_WITH_GENERATOR = 0
_GENERATOR_TRIGGER = 4
_WAVE_TOLERANCE_UM = 2e-4


class E545Axis(GcsAxis):
    """One axis; commands name it by its letter, hardware channels by their number."""

    def __init__(self, parent: E545, id: str, number: int) -> None:
        super().__init__(parent, id)
        self.number = number

    def insert_id(self, command: str) -> str:
        """Put the axis name for {ch} and the channel number for {number}."""
        return command.format_map({"ch": self.id, "number": self.number})

    online = switch(
        "ONL? {number}",
        "ONL {number} %d",
        """Control whether the computer commands this axis (bool); off after power-on.""",
    )
    target_um = Channel.control(
        "MOV? {ch}",
        "MOV {ch} %.4f",
        """Control the target in micrometres (float strictly within the travel, 0 to 200 by default).""",
        validator=strict_range,
        values=(0.0, 200.0),
        dynamic=True,
        get_process=number,
        check_set_errors=True,
    )
    position_um = Channel.measurement(
        "POS? {ch}", """Measure the position in micrometres (float).""", get_process=number
    )
    lower_um = Channel.measurement(
        "TMN? {ch}", """Get the lower end of the travel in micrometres (float).""", get_process=number
    )
    upper_um = Channel.measurement(
        "TMX? {ch}", """Get the upper end of the travel in micrometres (float).""", get_process=number
    )
    voltage_v = Channel.measurement(
        "VOL? {number}", """Measure the piezo voltage in volts (float).""", get_process=number
    )
    drift_compensation_enabled = switch(
        "DCO? {ch}",
        "DCO {ch} %d",
        """Control drift compensation (bool): no static error, but it overshoots and settles later.""",
    )
    velocity_control_enabled = switch(
        "VCO? {ch}",
        "VCO {ch} %d",
        """Control whether moves are slowed down to `velocity_um_s` (bool); at 0 um/s nothing moves.""",
    )
    velocity_um_s = Channel.control(
        "VEL? {ch}",
        "VEL {ch} %.4f",
        """Control the speed of moves with velocity control, in um/s (float strictly from 0 to 1e5).""",
        validator=strict_range,
        values=(0.0, 1e5),
        get_process=number,
        check_set_errors=True,
    )


class E545(GCSController):
    """The controller; `x`, `y` and `z` are the axes named in `axes`, on the channels 1, 2 and 3."""

    x: E545Axis
    y: E545Axis
    z: E545Axis

    def __init__(
        self,
        adapter: Adapter | str,
        name: str = "PI E-545 piezo controller",
        axes: Sequence[str] = ("A", "B", "C"),
        **kwargs: Any,
    ) -> None:
        super().__init__(adapter, name, **kwargs)
        cls: Any = E545Axis  # pymeasure's own annotation fits no channel class
        for attribute, channel, axis in zip("xyz", (1, 2, 3), axes, strict=True):
            self.add_child(cls, axis, collection="axes", attr_name=attribute, number=channel)

    def identify(self, models: Iterable[str] = MODELS) -> Identity:
        """Find the terminator and return who answers; raises WrongControllerError for no E-545."""
        return super().identify(models)

    def move(self, targets_um: Mapping[str, float]) -> None:
        """Set the targets of several axes by their letters; they start together, or none does."""
        self.send("MOV " + " ".join(f"{axis} {target_um:.4f}" for axis, target_um in targets_um.items()))

    # ---- wave generators: generator i plays table i on axis i ----

    @property
    def generators_running(self) -> int:
        """Get which wave generators run (int, bit 0 is generator 1)."""
        return self.ask_character(9)

    def load_wave(self, table: int, values_um: NDArray[np.float64]) -> None:
        """Write positions in micrometres into a wave table, read it back and compare.

        Raises UnexpectedReplyError when the table holds something else, ValueError for too many points.
        """
        if not 1 <= len(values_um) <= TABLE_POINTS:
            raise ValueError(f"a wave table takes 1 to {TABLE_POINTS} points, not {len(values_um)}")
        self.send(f"WCL {table}")
        for start in range(0, len(values_um), _POINTS_PER_LINE):
            points = values_um[start : start + _POINTS_PER_LINE]
            append = "&" if start else "X"
            text = " ".join(f"{value_um:.4f}" for value_um in points)
            self.send(f"WAV {table} {append} PNT 1 {len(points)} {text}")
        held_um = self.ask_array(f"GWD? 1 {len(values_um)} {table}").columns[0]
        if not np.allclose(held_um, values_um, rtol=0, atol=_WAVE_TOLERANCE_UM):
            raise UnexpectedReplyError(f"{self.name}: wave table {table} does not read back as written")

    def set_generator(self, generator: int, point_cycles: int, repeats: int) -> None:
        """Set the servo cycles per point (1 to 1000) and how often the table is played (1 or more)."""
        strict_range(point_cycles, (1, MAX_POINT_CYCLES))
        strict_range(repeats, (1, 65_535))
        self.send(f"WTR {generator} {point_cycles} 0")
        self.send(f"WGC {generator} {repeats}")
        self.send(f"WOS {generator} 0")

    def start_generators(self, generators: Iterable[int]) -> None:
        """Start wave generators together; the recorder starts with them."""
        self.send("WGO " + " ".join(f"{generator} 1" for generator in generators))

    def stop_generators(self) -> None:
        """Stop all wave generators; the axes hold where they are."""
        self.send("WGO 1 0 2 0 3 0")

    def pulse_at_point_1(self, output: int) -> None:
        """Pulse a trigger output whenever the first running generator is at its first point."""
        strict_discrete_set(output, (1, 2, 3))
        self.send("TWC")
        self.send(f"TWS {output} 1 1")
        self.send(f"CTO {output} 3 {_GENERATOR_TRIGGER}")

    # ---- data recorder ----

    @property
    def recorded_points(self) -> int:
        """Get how many samples the recorder has taken since it was started (int)."""
        return whole_number(self.ask_items("DRL? 1").get("1", ""), "DRL? 1")

    def record_positions(self, axes: Sequence[str], sample_cycles: int) -> None:
        """Have the recorder take the measured positions, one sample in `sample_cycles` servo cycles."""
        for table, axis in enumerate(axes, start=1):
            self.send(f"DRC {table} {axis} {_ACTUAL_POSITION}")
        self.send(f"DRT 0 {_WITH_GENERATOR} 0")
        self.send(f"RTR {sample_cycles}")

    def recorded_positions(self, tables: int, points: int) -> GcsArray:
        """Read the first `points` samples of the first `tables` record tables, in micrometres."""
        numbers = " ".join(str(table) for table in range(1, tables + 1))
        return self.ask_array(f"DRR? 1 {points} {numbers}")
