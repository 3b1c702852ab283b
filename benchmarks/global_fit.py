"""A whole beating map fitted at once, beside a fit of every trace with lmfit: one core, one run.

    python benchmarks/global_fit.py [--traces 4550] [--sample 12] [--repeats 5]

The map has three damped beats, a decay and a constant with complex amplitudes of each point, and noise. The
global fit finds the frequencies and times that all traces share; lmfit, as it is used per trace (complex
residual, all parameters of one trace free, the same starting values, no gradient given), finds them trace by
trace. lmfit's time for all traces is extrapolated from a sample of them, drawn at random. Times are processor
time of this process, with one BLAS thread for everybody; of the repeats the median.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import lmfit
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from qdlab.analysis.twodes.global_fit import GlobalFit, global_fit
from qdlab.analysis.twodes.units import W

T2_FS = np.arange(0.0, 960.0, 8.0)
SKIP_FS = 48.0
BEATS = ((125.0, 800.0), (480.0, 115.0), (850.0, 300.0))
"""w2 in cm-1 and dephasing in fs."""
LIFETIME_FS = 400.0
STARTS_CM, STARTS_FS, START_LIFETIME_FS = (120.0, 500.0, 870.0), (700.0, 120.0, 280.0), 300.0
NOISE = 0.02


def beating_map(traces: int) -> NDArray[np.complex128]:
    """Shape (t2, traces)."""
    rng = np.random.default_rng(1)

    def amplitudes() -> NDArray[np.complex128]:
        return rng.normal(size=traces) + 1j * rng.normal(size=traces)

    signal = np.multiply.outer(np.ones(len(T2_FS)), amplitudes())
    for w2_cm, tau_fs in (*BEATS, (0.0, LIFETIME_FS)):
        signal = signal + np.multiply.outer(np.exp(-T2_FS / tau_fs - 1j * W * w2_cm * T2_FS), amplitudes())
    return signal + NOISE * (rng.normal(size=signal.shape) + 1j * rng.normal(size=signal.shape))


def fit_globally(signal: NDArray[np.complex128]) -> GlobalFit:
    """All traces at once."""
    return global_fit(
        signal,
        T2_FS,
        w2_cm=STARTS_CM,
        dephasing_fs=STARTS_FS,
        lifetimes_fs=(START_LIFETIME_FS,),
        skip_fs=SKIP_FS,
    )


def fit_one(trace: NDArray[np.complex128]) -> lmfit.minimizer.MinimizerResult:
    """One trace: nothing is shared, every amplitude is a parameter."""
    late = T2_FS >= SKIP_FS
    t, data = T2_FS[late], trace[late]
    parameters = lmfit.Parameters()
    for k, (w2_cm, tau_fs) in enumerate(zip(STARTS_CM, STARTS_FS, strict=True)):
        parameters.add(f"w{k}", w2_cm)
        parameters.add(f"tau{k}", tau_fs, min=0.8)
    parameters.add("w3", 0.0, vary=False)
    parameters.add("tau3", START_LIFETIME_FS, min=0.8)
    for k in range(5):
        parameters.add(f"re{k}", 0.5)
        parameters.add(f"im{k}", 0.5)

    def residual(p: lmfit.Parameters) -> NDArray[np.float64]:
        v = p.valuesdict()
        model = np.full(len(t), v["re4"] + 1j * v["im4"])
        for k in range(4):
            model += (v[f"re{k}"] + 1j * v[f"im{k}"]) * np.exp(-t / v[f"tau{k}"] - 1j * W * v[f"w{k}"] * t)
        return (model - data).view(np.float64)

    return lmfit.minimize(residual, parameters)


def processor_s(work: Callable[[], object]) -> float:
    """Processor time of all threads of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Print the times, the ratio, and what both found."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--traces", type=int, default=4550)
    arguments.add_argument("--sample", type=int, default=12)
    arguments.add_argument("--repeats", type=int, default=5)
    options = arguments.parse_args()
    signal = beating_map(options.traces)
    sample = np.random.default_rng(2).choice(options.traces, options.sample, replace=False)
    fit_globally(signal[:, :50])
    with threadpool_limits(1):
        ours, theirs = [], []
        for _ in range(options.repeats):  # in turn, so that a busy neighbour slows both
            ours.append(processor_s(lambda: fit_globally(signal)))
            theirs.append(processor_s(lambda: [fit_one(signal[:, k]) for k in sample]) / options.sample)
        fit, single = fit_globally(signal), [fit_one(signal[:, k]) for k in sample]
    ours_s, per_trace_s = float(np.median(ours)), float(np.median(theirs))
    print(f"{options.traces} traces of {len(T2_FS)} times, 3 beats, 1 decay, 1 constant; complex")
    print(f"global fit                {ours_s:8.3f} s   (converged: {fit.converged})")
    print(f"lmfit {lmfit.__version__}, a trace      {per_trace_s * 1e3:8.1f} ms  (mean of {options.sample})")
    print(f"lmfit, all traces         {per_trace_s * options.traces:8.0f} s   (extrapolated)")
    print(f"ratio                     {per_trace_s * options.traces / ours_s:8.0f}")
    for k, (beat, (w2_cm, tau_fs)) in enumerate(zip(fit.beats, BEATS, strict=True)):
        w2, tau = beat.w2_cm, beat.dephasing_fs
        print(f"beat {w2_cm:g} cm-1, {tau_fs:g} fs, 95 % intervals and, of lmfit, the range over the traces")
        print(f"    global    {w2.value:8.2f} ± {w2.half_95:.2f}    {tau.value:7.1f} ± {tau.half_95:.1f}")
        for name in ("w", "tau"):
            values = [f.params[f"{name}{k}"].value for f in single if f.success]
            print(f"    lmfit {name:4s}{np.median(values):8.1f} ({min(values):.1f} to {max(values):.1f})")


if __name__ == "__main__":
    main()
