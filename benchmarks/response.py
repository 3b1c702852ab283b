"""How fast the response of an ensemble of dimers is, against matrix products, explicit sums, other packages.

    python benchmarks/response.py [DIMERS]

Everything runs in one process, in turn, the BLAS library at one thread; own threads on all cores. Busy
machines stretch wall time, so work is stated as processor time times the complex64 matrix-product rate per
processor second (GFLOP): what the same time would have multiplied. Peers loop over dimers, so they are timed
on one or a few and extrapolated.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from qdlab.sim.physics.dimer_ensemble import NO_DEPHASING, RAD_PER_FS, Ensemble, Laser, quasi_homodimers
from qdlab.sim.physics.dimer_states import ESA_PATHWAYS, EXCITONS
from qdlab.sim.physics.exact_response import NONREPHASING, REPHASING, ExactResponse
from qdlab.sim.physics.nonlinear_sample import NonlinearSample
from qdlab.sim.physics.pulses import Pulse
from qdlab.sim.physics.reference_response import Conditions, nonrephasing, rephasing
from qdlab.sim.physics.response_engine import Responses, double_quantum, rephasing_and_nonrephasing

T1, T2, T3 = 5.0 * np.arange(64), 8.0 * np.arange(100), 5.0 * np.arange(64)
CORES = len(os.sched_getaffinity(0))
PIXELS = np.linspace(15500.0, 21000.0, 1024)


def timed(work: Callable, repeats: int = 3) -> tuple[float, float]:
    """Least wall and least processor seconds of some repeats."""
    times = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(t[0] for t in times), min(t[1] for t in times)


def product_rate() -> tuple[float, float]:
    """GFLOP of complex64 matrix products per wall second on all cores, and per processor second."""
    n, repeats = 768, 20
    factor = np.random.default_rng(0).random((2, n, n), dtype=np.float32).astype(np.complex64)

    def multiply() -> None:
        out = np.empty((n, n), dtype=np.complex64)
        for _ in range(repeats):
            np.matmul(factor[0], factor[1], out=out)

    def everywhere() -> None:
        threads = [threading.Thread(target=multiply) for _ in range(CORES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    wall, cpu = timed(everywhere, 5)
    work = 8e-9 * n**3 * repeats * CORES
    return work / wall, work / cpu


def by_dimer(ensemble: Ensemble) -> Responses:
    """Factorised products by dimer, complex64: [t1, i] times [i, (t2, t3)]; populations do not relax."""
    on = Conditions()
    decay, laser = on.dephasing, on.laser
    out = np.zeros((2, len(T1), len(T2) * len(T3)), dtype=np.complex64)
    fall2 = np.where(np.eye(EXCITONS, dtype=bool), 0.0, 1 / decay.exciton_fs)[:, :, None] * T2
    for n in range(len(ensemble)):
        one = ensemble.system(n)
        mu, field = one.dipole, laser.amplitude(one.energy_cm)
        once, twice = (mu**2 * field)[:, None], (mu**2 * field**2)[:, None]
        w = RAD_PER_FS * (one.energy_cm - on.frame_cm)
        gap_cm = one.pair_energy_cm - one.energy_cm[:, None]
        lit = one.pair_dipole * laser.amplitude(gap_cm) * (mu * field)[:, None]
        first = np.exp(np.multiply.outer(T1, 1j * w) - T1[:, None] / decay.optical_fs).astype(np.complex64)
        last = np.exp(np.multiply.outer(-1j * w, T3) - T3 / decay.optical_fs).astype(np.complex64)
        turns = np.exp(-1j * (w - w[:, None])[:, :, None] * T2 - fall2).astype(np.complex64)
        gap = RAD_PER_FS * (gap_cm - on.frame_cm)[:, :, None]
        rise = np.exp(-1j * gap * T3 - T3 / decay.esa_fs).astype(np.complex64)
        rise *= ((mu * field)[:, None] * one.pair_dipole)[:, :, None].astype(np.float32)
        lift = np.matmul(lit.astype(np.complex64), rise)  # [i, j, t3]
        bleach = twice[:, None] * (once * last).sum(axis=0)
        between = (twice[:, None] * (once * last) - lift).astype(np.complex64)
        after = np.matmul(turns.transpose(0, 2, 1), between) + bleach.astype(np.complex64)
        out[0] += first @ after.reshape(EXCITONS, -1)
        between = (twice * (once * last)[:, None] - lift.transpose(1, 0, 2)).astype(np.complex64)
        after = np.matmul(turns.transpose(0, 2, 1).conj(), between) + bleach.astype(np.complex64)
        out[1] += first.conj() @ after.reshape(EXCITONS, -1)
    shape = (len(T1), len(T2), len(T3))
    return Responses(*(signal.reshape(shape).transpose(1, 0, 2) / len(ensemble) for signal in out))


def by_einsum(ensemble: Ensemble) -> None:
    """The reference of the tests, dimer by dimer in complex128."""
    for n in range(len(ensemble)):
        rephasing(ensemble.system(n), T1, T2, T3, Conditions())
        nonrephasing(ensemble.system(n), T1, T2, T3, Conditions())


def by_ufss(ensemble: Ensemble) -> float:
    """Processor seconds of ufss for one dimer, R and N without decay, from 64 x 4 of the 64 x 100 delays."""
    import ufss

    one = ensemble.system(0)
    energies = {
        "0": np.zeros((1, 1)),
        "1": np.diag(RAD_PER_FS * (one.energy_cm - 18200.0)),
        "2": np.diag(RAD_PER_FS * (one.pair_energy_cm - 2 * 18200.0)),
    }
    singles, pairs = len(one.energy_cm), len(one.pair_energy_cm)
    up = {"0_to_1": np.zeros((singles, 1, 3)), "1_to_2": np.zeros((pairs, singles, 3))}
    up["0_to_1"][:, 0, 0], up["1_to_2"][..., 0] = one.dipole, one.pair_dipole.T
    found = np.zeros((2, 4, len(T1), len(T3)), dtype=complex)

    def scan(engine, out: NDArray[np.complex128]) -> None:
        for b in range(out.shape[0]):
            for a, t1 in enumerate(T1 + 1.0):  # it halves pulses that coincide
                arrivals = [0.0, t1, t1 + T2[b] + 1, t1 + T2[b] + 1]
                engine.set_pulse_times(arrivals)
                engine.set_current_diagram_instructions(arrivals)
                for diagrams in engine.current_instructions.values():
                    for diagram in diagrams:
                        rho = engine.execute_diagram(diagram)
                        out[b, a] += engine.mu_exp_val(
                            arrivals[-1] + T3 + 1, rho, -1, mu_type="H", up_flag=False
                        )

    engines = []
    with tempfile.TemporaryDirectory() as folder:
        ufss.HLG.manual_H_and_D_input.manualH(energies, up, savedir=folder)
        for order in ((-1, 1, 1), (1, -1, 1)):
            engine = ufss.UF2Wavefunctions(
                str(Path(folder) / "closed"), detection_type="complex_polarization"
            )
            engine.set_polarization_sequence(["x"] * 4)
            pulses = tuple((1, 0) if sign > 0 else (0, 1) for sign in order)
            engine.set_efields([np.array([0])] * 4, [np.array([1])] * 4, [0] * 4, pulses)
            engines.append(engine)
        start = time.process_time()
        for engine, out in zip(engines, found, strict=True):
            scan(engine, out)
        seconds = time.process_time() - start
    still = Conditions(Laser(fwhm_cm=np.inf), NO_DEPHASING, None)
    for signal, out in ((rephasing, found[0]), (nonrephasing, found[1])):
        expected = signal(one, T1 + 1, T2[:4] + 1, T3 + 1, still).total
        assert np.abs(1j * out - expected).max() < 1e-9 * np.sum(one.dipole**2) ** 2
    return seconds * len(T2) / found.shape[1]


def by_finufft(pathways: int) -> float:
    """Processor seconds of one transform of as many points as R has pathways of absorption, to 1e-4."""
    import finufft

    rng = np.random.default_rng(0)
    places = rng.uniform(-np.pi, np.pi, (3, pathways)).astype(np.float32)
    strengths = rng.random(pathways, dtype=np.float32).astype(np.complex64)
    modes = (len(T1), len(T2), len(T3))
    return timed(lambda: finufft.nufft3d1(*places, strengths, modes, eps=1e-4, nthreads=CORES), 2)[1]


def error(ensemble: Ensemble, found: Responses) -> float:
    """Largest difference from every pathway in double precision over 14 settings, relative to the maximum."""
    exact, worst = ExactResponse(ensemble), 0.0
    rng = np.random.default_rng(1)
    places = [(0, 0), (0, 99), (63, 0), *zip(rng.integers(0, 64, 4), rng.integers(0, 100, 4), strict=True)]
    for kind, signal in ((REPHASING, found.rephasing), (NONREPHASING, found.nonrephasing)):
        for a, b in places:
            expected = exact.signal([kind, T1[a], T2[b]], [1.0], T3[1], len(T3))
            worst = max(worst, np.abs(signal[b, a] - expected).max() / np.abs(signal).max())
    return worst


def engine_and_peers(dimers: int) -> float:
    """Print the table of the engine and its peers; return the processor seconds of the engine."""
    ensemble = quasi_homodimers(3.0, 0.09, dimers, seed=1)
    few = quasi_homodimers(3.0, 0.09, 4, seed=1)
    rephasing_and_nonrephasing(few, T1[:8], T2[:8], T3[:8])
    wall_rate, cpu_rate = product_rate()
    print(
        f"complex64 products: {wall_rate:.0f} GFLOP/s on {CORES} cores, {cpu_rate:.0f} per processor second"
    )
    wall, cpu = timed(lambda: rephasing_and_nonrephasing(ensemble, T1, T2, T3), 5)
    off = error(ensemble, rephasing_and_nonrephasing(ensemble, T1, T2, T3))
    print(
        f"R + N, {dimers} dimers: {wall:.2f} s wall, {cpu:.2f} s processor = {cpu * cpu_rate:.0f} GFLOP "
        f"(wall x rate {wall * wall_rate:.0f}); error {off:.1e}"
    )
    _, q_cpu = timed(lambda: double_quantum(ensemble, T1, T2, T3))
    print(f"Q: {q_cpu:.2f} s processor")
    with threadpool_limits(1, user_api="blas"):
        still = Conditions(rates_per_fs=None)
        pairs = zip(by_dimer(few), rephasing_and_nonrephasing(few, T1, T2, T3, still), strict=True)
        assert all(np.abs(one - other).max() < 1e-4 * np.abs(one).max() for one, other in pairs)
        _, gemm = timed(lambda: by_dimer(few))
        _, einsum = timed(lambda: by_einsum(few), 1)
        peers = {
            "factorised products, complex64": gemm / len(few),
            "reference by einsum, complex128": einsum / len(few),
        }
        peers["ufss, closed, impulsive, without decay"] = by_ufss(few)
    transform = by_finufft(len(ESA_PATHWAYS.i) * dimers)
    print(
        f"  finufft, absorption of R alone: {transform:.2f} s processor, {transform / cpu:.1f} x the engine"
    )
    for name, seconds in peers.items():
        print(
            f"  {name}: {1e3 * seconds:.1f} ms processor per dimer, {seconds * dimers / cpu:.0f} x the engine"
        )
    return cpu


def growth(dimers: int, cpu: float) -> None:
    """Print how processor time grows with dimers and with delays."""
    larger = quasi_homodimers(3.0, 0.09, 5 * dimers, seed=1)
    print(
        f"5 x the dimers: {timed(lambda: rephasing_and_nonrephasing(larger, T1, T2, T3), 2)[1] / cpu:.2f} x"
    )
    ensemble = quasi_homodimers(3.0, 0.09, dimers, seed=1)
    for name, scale in (("finer", 0.5), ("longer", 1.0)):
        t1, t2, t3 = (scale * t[1] * np.arange(2 * len(t)) for t in (T1, T2, T3))
        more = timed(lambda t1=t1, t2=t2, t3=t3: rephasing_and_nonrephasing(ensemble, t1, t2, t3), 2)[1]
        print(f"8 x the delays, {name}: {more / cpu:.2f} x")


def instrument(dimers: int) -> None:
    """Print what settings of the emulated instrument cost."""
    rng = np.random.default_rng(2)

    def setting() -> tuple[tuple[Pulse, Pulse], Pulse]:
        first, second = rng.uniform(0, 200, 2)
        phases = np.exp(2j * np.pi * rng.random(2))
        probe = Pulse(max(first, second) + rng.uniform(0, 800), 1.0)
        return (Pulse(first, phases[0]), Pulse(second, phases[1])), probe

    with tempfile.TemporaryDirectory() as folder:
        made = timed(
            lambda: NonlinearSample.named("dimers_3.0_9", dimers=dimers, seed=3, cache_dir=Path(folder)), 1
        )
        again = timed(
            lambda: NonlinearSample.named("dimers_3.0_9", dimers=dimers, seed=3, cache_dir=Path(folder))
        )
        shaken = timed(
            lambda: NonlinearSample.named(
                "dimers_3.0_9", dimers=dimers, seed=3, phonons=True, cache_dir=Path(folder)
            ),
            1,
        )
        sample = NonlinearSample.named("dimers_3.0_9", dimers=dimers, seed=3, cache_dir=Path(folder))
    print(f"with phonons: made in {shaken[0]:.1f} s wall, {shaken[1]:.1f} s processor")
    print(f"sample: made in {made[0]:.1f} s wall, {made[1]:.1f} s processor; read again in {again[0]:.2f} s")
    settings = [setting() for _ in range(1000)]
    sample.exact(*settings[0], PIXELS)
    off = max(np.abs(sample.signal_field(*s, PIXELS) - sample.exact(*s, PIXELS)).max() for s in settings[:40])
    with threadpool_limits(1, user_api="blas"):
        one = timed(lambda: [sample.signal_field(*s, PIXELS) for s in settings])
        many = timed(lambda: sample.signal_fields(settings, PIXELS))
        all_of_them = timed(lambda: [sample.signal_fields(settings, PIXELS) for _ in range(100)], 1)
    exact = timed(lambda: [sample.exact(*s, PIXELS) for s in settings[:20]])
    print(f"error between grid points: {off:.1e} of the strongest signal")
    print(f"a setting ({len(PIXELS)} pixels): {one[0]:.3f} ms wall, {one[1]:.3f} ms processor")
    print(f"in batches of 1000: {1e3 * many[0]:.0f} us wall, {1e3 * many[1]:.0f} us processor")
    print(f"1e5 settings: {all_of_them[0]:.1f} s wall, {all_of_them[1]:.1f} s processor")
    print(f"exact: {50 * exact[0]:.0f} ms wall, {50 * exact[1]:.0f} ms processor on {CORES} cores")


def main() -> None:
    dimers = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    cpu = engine_and_peers(dimers)
    growth(dimers, cpu)
    instrument(dimers)


if __name__ == "__main__":
    main()
