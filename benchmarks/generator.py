"""How many times faster than real time the photon generator runs, on one core.

    python benchmarks/generator.py [SECONDS]

The sweep is 0 -> -2 -> 0 V at 0.2 V/s in bias cells of 1 ms; the paper's rates: 2.5 MHz, 30 nW.
SECONDS (20 by default) is the simulated time of each static potential.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from qdlab.sim.physics.charged_dot import ChargedDot
from qdlab.sim.physics.detection import TICKS_PER_S, Detection
from qdlab.sim.physics.photons import DotPhotons, Light

CELL = TICKS_PER_S // 1000
STEP = TICKS_PER_S // 10


def run(dot: ChargedDot, seconds: float, bias_v: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> str:
    photons, light = DotPhotons(dot, Detection(), seed=1), Light(emitting=True)
    counts, cpu_s = 0, 0.0
    for since in range(0, round(seconds * TICKS_PER_S), STEP):
        edges = np.arange(since, since + STEP, CELL)
        bias = bias_v((edges + CELL / 2) / TICKS_PER_S)
        start = time.process_time()
        ticks, _ = photons.advance(since + STEP, edges, bias, light)
        cpu_s += time.process_time() - start
        counts += len(ticks)
    rate_khz, ms_per_s = counts / seconds / 1e3, 1e3 * cpu_s / seconds
    return f"{rate_khz:7.2f} kc/s {ms_per_s:7.2f} ms/s {1e3 / ms_per_s:6.0f} x real time"


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    start = time.perf_counter()
    run(ChargedDot.batch_1(), 0.1, lambda t: -1.8 - 0.2 * t)
    print(f"first call (compiling, or loading what was compiled): {time.perf_counter() - start:.1f} s")
    for name, dot in (("batch 1", ChargedDot.batch_1()), ("batch 2", ChargedDot.batch_2())):
        print(f"{name}, sweep 0 -> -2 -> 0 V:", run(dot, 20.0, lambda t: 0.2 * np.abs(t - 10) - 2))
        for v in (0.0, -1.0, -1.4, -1.5, -1.6, -1.7, -1.8, -2.0):
            print(f"{name}, static {v:5.2f} V:       ", run(dot, seconds, lambda t, v=v: np.full(t.shape, v)))


if __name__ == "__main__":
    main()
