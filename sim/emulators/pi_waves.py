"""Wave generators, data recorder and trigger outputs of an emulated PI piezo controller.

As on the real unit (firmware V01.243) there is no WSL: generator i plays table i on axis i. Of the wave
shapes it knows PNT and LIN; a falling LIN comes out flat, as it did there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..clock import PS_PER_S
from .pi_gcs import CommandError, command, groups, to_float, to_int
from .pi_motion import AxisState, PiezoMotion

CYCLE_PS = 40_000_000
TABLE_POINTS = 8192
_N = 3
_WAVE_TRIGGER_MODE = 4
_TARGET, _ACTUAL, _ERROR = 1, 2, 3


@dataclass
class Generator:
    """One wave generator and its table."""

    axis: AxisState
    table_um: list[float] = field(default_factory=list)
    point_cycles: int = 1
    repeats: int = 1
    offset_um: float = 0.0
    start_ps: int | None = None
    """When it was started; None while it does not run."""
    stop_ps: int = 0

    @property
    def step_ps(self) -> int:
        """Time per point."""
        return self.point_cycles * CYCLE_PS

    @property
    def period_ps(self) -> int:
        """Time in which the table is played once."""
        return len(self.table_um) * self.step_ps


@dataclass
class RecordTable:
    """What a record table takes."""

    source: str
    option: int


class PiezoWaves(PiezoMotion):
    """Adds three wave generators, three record tables and three trigger outputs."""

    def __init__(self, *arguments: object, **keywords: object) -> None:
        # the arguments are PiezoMotion's; naming them here would only repeat them
        super().__init__(*arguments, **keywords)  # pyright: ignore[reportArgumentType]
        self._generators = {k: Generator(axis) for k, axis in enumerate(self._axes.values(), start=1)}
        self._records = {k: RecordTable(name, _ACTUAL) for k, name in enumerate(self._axes, start=1)}
        self._record_start_ps: int | None = None
        self._record_cycles = 1
        self._trigger_modes = dict.fromkeys(range(1, _N + 1), 0)
        self._trigger_points: list[tuple[int, int]] = []

    @property
    def generating(self) -> bool:
        """Whether any wave generator runs."""
        return any(generator.start_ps is not None for generator in self._generators.values())

    # ---- tables ----

    def _generator(self, text: str) -> Generator:
        return self._generators[to_int(text, 1, _N, code=23)]

    @command("TWG?")
    def _twg_(self, arguments: Sequence[str]) -> list[str]:
        """Get the number of wave generators."""
        return [str(_N)]

    @command("WMS?")
    def _wms_(self, arguments: Sequence[str]) -> list[str]:
        """Get the size of wave tables."""
        return [f"{table}={TABLE_POINTS}" for table in arguments or self._generators]

    @command("WCL")
    def _wcl(self, arguments: Sequence[str]) -> None:
        """Clear wave tables."""
        for generator in [self._generator(text) for (text,) in groups(arguments, 1)]:
            self._require_idle(generator)
            generator.table_um = []

    @command("WAV")
    def _wav(self, arguments: Sequence[str]) -> None:
        """Define a wave: table, X or & or +, shape, numbers."""
        if len(arguments) < 4:
            raise CommandError(26)
        generator = self._generator(arguments[0])
        self._require_idle(generator)
        values = _shape_um(arguments[2].upper(), arguments[3:])
        match arguments[1].upper():
            case "X":
                table = values
            case "&":
                table = generator.table_um + values
            case "+" if len(values) == len(generator.table_um):
                table = [a + b for a, b in zip(generator.table_um, values, strict=True)]
            case _:
                raise CommandError(405)
        if len(table) > TABLE_POINTS:
            raise CommandError(403)
        generator.table_um = table

    @command("GWD?")
    def _gwd_(self, arguments: Sequence[str]) -> list[str]:
        """Get wave tables: first point, number of points, tables."""
        if len(arguments) < 3:
            raise CommandError(26)
        start, count = to_int(arguments[0], 1, TABLE_POINTS), to_int(arguments[1], 1, TABLE_POINTS)
        waves = [self._generator(text).table_um[start - 1 : start - 1 + count] for text in arguments[2:]]
        if any(len(wave) < count for wave in waves):
            raise CommandError(17)
        names = [f"Wave Table {text}" for text in arguments[2:]]
        return _array(np.array(waves), CYCLE_PS / PS_PER_S, names)

    # ---- generators ----

    @command("WTR")
    def _wtr(self, arguments: Sequence[str]) -> None:
        """Set servo cycles per point: generator, cycles, interpolation."""
        wanted = [(self._generator(g), to_int(n, 1, 10**6)) for g, n, _ in groups(arguments, 3)]
        for generator, cycles in wanted:
            self._require_idle(generator)
            generator.point_cycles = cycles

    @command("WGC")
    def _wgc(self, arguments: Sequence[str]) -> None:
        """Set how often waves are played; 0 is without end."""
        for generator, repeats in [
            (self._generator(g), to_int(n, 0, 65_535)) for g, n in groups(arguments, 2)
        ]:
            generator.repeats = repeats

    @command("WOS")
    def _wos(self, arguments: Sequence[str]) -> None:
        """Set offsets of waves."""
        for generator, offset_um in [(self._generator(g), to_float(v)) for g, v in groups(arguments, 2)]:
            generator.offset_um = offset_um

    @command("WGO")
    def _wgo(self, arguments: Sequence[str]) -> None:
        """Start or stop wave generators; the recorder starts with them."""
        wanted = [(self._generator(g), to_int(mode, 0, 1, code=406)) for g, mode in groups(arguments, 2)]
        starting = [generator for generator, mode in wanted if mode]
        for generator in starting:
            self._require_idle(generator)
            if not generator.table_um:
                raise CommandError(401)
            ends = [
                point + generator.offset_um for point in (min(generator.table_um), max(generator.table_um))
            ]
            self._require_movable(generator.axis, ends)
        for generator, mode in wanted:
            if not mode:
                self._end(generator)
        if starting:
            self._before_move()
            start_ps = -(-self.now_ps // CYCLE_PS) * CYCLE_PS
            self._record_start_ps = start_ps
            for generator in starting:
                generator.start_ps = start_ps
                self._play(generator, start_ps, 0, triggers=generator is starting[0])

    @command("WGO?")
    def _wgo_(self, arguments: Sequence[str]) -> list[str]:
        """Get which wave generators run."""
        return [
            f"{g}={int(self._generator(g).start_ps is not None)}"
            for g in arguments or map(str, self._generators)
        ]

    @command("#9")
    def _running(self, arguments: Sequence[str]) -> list[str]:
        """Get which wave generators run."""
        return [f"{sum(1 << (k - 1) for k, g in self._generators.items() if g.start_ps is not None):X}"]

    def _play(self, generator: Generator, start_ps: int, repeat: int, *, triggers: bool) -> None:
        """Plan one run through the table and what follows it."""
        if not generator.axis.online:
            generator.start_ps = None
            return
        wave_um = [point_um + generator.offset_um for point_um in generator.table_um]
        generator.axis.piezo.plan(start_ps, generator.step_ps, wave_um)
        if triggers:
            for output, point in self._trigger_points:
                if self._trigger_modes[output] == _WAVE_TRIGGER_MODE and point <= len(wave_um):
                    self._stage.plan_pulse(start_ps + (point - 1) * generator.step_ps, output)
        started_ps, end_ps = generator.start_ps, start_ps + generator.period_ps

        def go_on() -> None:
            if generator.start_ps != started_ps:
                return
            if generator.repeats and repeat + 1 >= generator.repeats:
                self._end(generator)
            else:
                self._play(generator, end_ps, repeat + 1, triggers=triggers)

        self.clock.schedule(end_ps, go_on)

    def _end(self, generator: Generator) -> None:
        """Stop; the axis holds the value that was last played."""
        if generator.start_ps is not None:
            generator.start_ps, generator.stop_ps = None, self.now_ps
            generator.axis.piezo.drop_plan(self.now_ps)
            self._stage.drop_pulses(self.now_ps)
            generator.axis.target_um = generator.axis.piezo.target_um(self.now_ps)

    def _require_idle(self, generator: Generator) -> None:
        if generator.start_ps is not None:
            raise CommandError(73)

    def _busy_with_wave(self, axis: AxisState) -> bool:
        return self._generators[axis.channel].start_ps is not None

    def _stop(self, axes: Sequence[AxisState]) -> None:
        for generator in self._generators.values():
            self._end(generator)
        super()._stop(axes)

    # ---- recorder ----

    @command("TNR?")
    def _tnr_(self, arguments: Sequence[str]) -> list[str]:
        """Get the number of record tables."""
        return [str(_N)]

    @command("DRC")
    def _drc(self, arguments: Sequence[str]) -> None:
        """Set what is recorded: table, source, option."""
        wanted = [
            (to_int(table, 1, _N, code=57), source, to_int(option, _TARGET, _ERROR, code=58))
            for table, source, option in groups(arguments, 3)
        ]
        if any(source not in self._axes for _, source, _ in wanted):
            raise CommandError(59)
        for table, source, option in wanted:
            self._records[table] = RecordTable(source, option)

    @command("DRT")
    def _drt(self, arguments: Sequence[str]) -> None:
        """Set what starts the recorder: 0, with the wave generators."""
        for _, mode, _ in groups(arguments, 3):
            to_int(mode, 0, 0)

    @command("RTR")
    def _rtr(self, arguments: Sequence[str]) -> None:
        """Set servo cycles per sample."""
        ((cycles,),) = groups(arguments, 1)[:1]
        self._record_cycles = to_int(cycles, 1, 10**6)

    @command("RTR?")
    def _rtr_(self, arguments: Sequence[str]) -> list[str]:
        """Get servo cycles per sample."""
        return [str(self._record_cycles)]

    @command("DRL?")
    def _drl_(self, arguments: Sequence[str]) -> list[str]:
        """Get the number of samples recorded."""
        return [f"{table}={self._recorded()}" for table in arguments or map(str, self._records)]

    @command("DRR?")
    def _drr_(self, arguments: Sequence[str]) -> list[str]:
        """Get samples: first one, number, tables."""
        if len(arguments) < 2:
            raise CommandError(26)
        start, count = to_int(arguments[0], 1, TABLE_POINTS), to_int(arguments[1], 1, TABLE_POINTS)
        if self._record_start_ps is None or start + count - 1 > self._recorded():
            raise CommandError(77)
        tables = [to_int(text, 1, _N, code=57) for text in arguments[2:]] or list(self._records)
        at_ps = self._record_start_ps + np.arange(start - 1, start - 1 + count) * (
            self._record_cycles * CYCLE_PS
        )
        columns = np.array([self._recorded_um(self._records[table], at_ps) for table in tables])
        options = {_TARGET: "Target Position", _ACTUAL: "Current Position", _ERROR: "Position Error"}
        names = [f"{options[self._records[t].option]} of axis {self._records[t].source}" for t in tables]
        return _array(columns, self._record_cycles * CYCLE_PS / PS_PER_S, names)

    def _recorded(self) -> int:
        if self._record_start_ps is None or self.now_ps < self._record_start_ps:
            return 0
        elapsed = (self.now_ps - self._record_start_ps) // (self._record_cycles * CYCLE_PS) + 1
        return min(TABLE_POINTS, elapsed)

    def _recorded_um(self, table: RecordTable, at_ps: NDArray[np.int64]) -> NDArray[np.float64]:
        axis = self._axes[table.source]
        actual_um = axis.piezo.measured_um(at_ps)
        if table.option == _ACTUAL:
            return actual_um
        target_um = np.array([axis.piezo.target_um(int(at)) for at in at_ps])
        if table.option == _ERROR:
            return target_um - actual_um
        generator = self._generators[axis.channel]
        running = generator.start_ps is not None
        return target_um if running else np.where(at_ps < generator.stop_ps, target_um, 0.0)

    # ---- trigger outputs ----

    @command("CTO")
    def _cto(self, arguments: Sequence[str]) -> None:
        """Configure trigger outputs: output, parameter, value; of the modes (parameter 3) 0 and 4."""
        for output, parameter, value in groups(arguments, 3):
            line = to_int(output, 1, _N, code=23)
            if to_int(parameter, 1, 12) == 3:
                self._trigger_modes[line] = to_int(value, 0, _WAVE_TRIGGER_MODE)

    @command("TWC")
    def _twc(self, arguments: Sequence[str]) -> None:
        """Clear the trigger points of waves."""
        self._trigger_points = []

    @command("TWS")
    def _tws(self, arguments: Sequence[str]) -> None:
        """Set trigger points of waves: output, point, level."""
        for output, point, level in groups(arguments, 3):
            if to_int(level, 0, 1):
                line = to_int(output, 1, _N, code=23)
                self._trigger_points.append((line, to_int(point, 1, TABLE_POINTS)))


def _shape_um(shape: str, arguments: Sequence[str]) -> list[float]:
    numbers = [to_float(text) for text in arguments]
    if shape == "PNT" and len(numbers) >= 3:
        if numbers[0] != 1 or numbers[1] != len(numbers) - 2:
            raise CommandError(404)
        return numbers[2:]
    if shape == "LIN" and len(numbers) == 6:
        length, amplitude, offset, rise, start, bend = numbers
        if bend != 0 or min(length, rise) < 1 or length > TABLE_POINTS:
            raise CommandError(405)
        ramp = np.clip((np.arange(int(length)) - start) / rise, 0, 1)
        return (offset + max(amplitude, 0.0) * ramp).tolist()
    raise CommandError(402)


def _array(columns: NDArray[np.float64], sample_s: float, names: Sequence[str]) -> list[str]:
    """Lines of a GCS array: header, then one row of all columns per line."""
    head = {
        "REM": "",
        "VERSION": 1,
        "TYPE": 1,
        "SEPARATOR": 32,
        "DIM": len(columns),
        "SAMPLE_TIME": f"{sample_s:.9f}",
        "NDATA": columns.shape[1],
        **{f"NAME{k}": name for k, name in enumerate(names)},
    }
    rows = [" ".join(f"{value:.4f}" for value in row) for row in columns.T]
    return [*(f"# {key} = {value}" for key, value in head.items()), "# END_HEADER", *rows]
