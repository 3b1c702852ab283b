"""How a line scan is played: a triangle on the fast axis, a staircase on the slow one, in whole servo cycles.

The position lags behind the target by about 12 ms, so the fast axis gets a lead before and after each
line in which it runs on at constant speed; the slow axis steps when the fast one turns round.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base import OutOfRangeError
from ..stage import LineScan
from .e545 import MAX_POINT_CYCLES, SERVO_CYCLE_S, TABLE_POINTS

_POINT_CYCLES = 25  # 1 ms: well below the servo's response time
_POINTS_PER_STEP = 10


@dataclass(frozen=True)
class LinePlan:
    """Wave tables, their timing in servo cycles, and the recorder's sampling of one line scan."""

    fast_um: NDArray[np.float64]
    fast_cycles: int
    """Servo cycles per point of the fast table."""
    repeats: int
    slow_um: NDArray[np.float64]
    slow_cycles: int
    sample_cycles: int
    samples: int

    @property
    def period_s(self) -> float:
        """Time in seconds in which the fast table is played once."""
        return len(self.fast_um) * self.fast_cycles * SERVO_CYCLE_S

    @property
    def duration_s(self) -> float:
        """Time in seconds from the start to the end of the last line."""
        return self.repeats * self.period_s


def plan_lines(scan: LineScan, lead_s: float) -> LinePlan:
    """Plan a scan; leads become a little longer than `lead_s` to come out in whole points.

    Raises OutOfRangeError when it is longer than the controller's tables.
    """
    lines = len(scan.slow_um)
    there_and_back = min(lines, 2)
    cycles, points, per_step = _timing(lines, scan.line_s + 2 * lead_s)
    um_per_point = math.copysign(scan.speed_um_s, scan.stop_um - scan.start_um) * cycles * SERVO_CYCLE_S
    centre_um = (scan.start_um + scan.stop_um) / 2
    forth_um = centre_um + um_per_point * (np.arange(points, dtype=np.float64) + 0.5 - points / 2)
    repeats = math.ceil(lines / there_and_back)
    total = repeats * there_and_back * points * cycles
    sample_cycles = max(_POINT_CYCLES, math.ceil(total / TABLE_POINTS))
    return LinePlan(
        fast_um=forth_um if lines == 1 else np.concatenate([forth_um, forth_um[::-1]]),
        fast_cycles=cycles,
        repeats=repeats,
        slow_um=np.repeat(np.asarray(scan.slow_um, np.float64), points // per_step),
        slow_cycles=cycles * per_step,
        sample_cycles=sample_cycles,
        samples=min(TABLE_POINTS, total // sample_cycles),
    )


def _timing(lines: int, line_s: float) -> tuple[int, int, int]:
    """Servo cycles per fast point, fast points per line, and fast points per slow point."""
    for cycles in range(_POINT_CYCLES, MAX_POINT_CYCLES + 1):
        points = math.ceil(line_s / (cycles * SERVO_CYCLE_S))
        fewest = math.ceil(lines * points / TABLE_POINTS)
        per_step = max(fewest, min(_POINTS_PER_STEP, MAX_POINT_CYCLES // cycles))
        points = per_step * math.ceil(points / per_step)
        slow_points = lines * points // per_step
        if max(min(lines, 2) * points, slow_points) <= TABLE_POINTS and cycles * per_step <= MAX_POINT_CYCLES:
            return cycles, points, per_step
    longest_s = TABLE_POINTS * MAX_POINT_CYCLES * SERVO_CYCLE_S
    raise OutOfRangeError(
        f"{lines} lines of {line_s:.3g} s with turns: the wave generator plays at most {longest_s:.0f} s at "
        "once; scan fewer lines"
    )
