"""What is run with a fault on, and what is seen of the rig and of the data afterwards."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from pymeasure.instruments.srs import SR830

from qdlab.formats.run_file import read_run_file
from qdlab.instruments.base import Device, InstrumentError, Limits
from qdlab.instruments.delay_stage import DelayScale, DelayStage
from qdlab.instruments.lockin_detector import LockinDetector
from qdlab.instruments.newport.esp30x import ESP30xStage
from qdlab.instruments.oceanoptics.spectrometers import NetworkSpectrometer
from qdlab.instruments.pi.linear_stage import PILinearStage
from qdlab.instruments.pulse_shaper import PulseTrain
from qdlab.instruments.shaper.dazzler import DazzlerShaper
from qdlab.instruments.shaper.frames import Diffraction
from qdlab.instruments.shaper.lcos import LcosShaper
from qdlab.procedures.run import execute_run, prepare_run
from qdlab.sim.bench import Bench, Faults
from qdlab.sim.clock import PS_PER_S, SimulatedClock
from qdlab.sim.coherence_bench import Blank, CoherenceBench
from qdlab.sim.emulators.dazzler import EmulatedDazzler
from qdlab.sim.emulators.doors import EmulatedAdapter
from qdlab.sim.emulators.esp30x import EspController
from qdlab.sim.emulators.obp_spectrometer import EmulatedHandle, ObpSpectrometer
from qdlab.sim.emulators.pi_linear import LinearController
from qdlab.sim.emulators.shaper_screen import EmulatedScreen, Panel, exact_calibration
from qdlab.sim.emulators.sr830 import Sr830
from qdlab.sim.physics.linear_motion import LinearAxis
from qdlab.sim.physics.pulses import Pulse

CARRIER_CM = 18_200.0
SPECTRA = 20


@dataclass(frozen=True)
class Seen:
    """How a run with a fault ended, and what it left."""

    ended: str
    exit_status: int | None
    message: str
    rig: str
    data: str
    photons_s: float | None = None


def charging_run(experiment: str, *overrides: str) -> Callable[[str, Path], Seen]:
    """A run of the charging rig as `qdlab run` does it."""

    def run(fault: str, folder: Path) -> Seen:
        prepared = prepare_run(
            experiment, out=folder, overrides=overrides, seed=5, speed=math.inf, faults=[fault]
        )
        outcome = execute_run(prepared, lambda procedure: None, threading.Event())
        assert isinstance(prepared.rig.bench, Bench)
        assert not list(folder.glob("*.part"))
        photons_s, data = _stored(outcome.path)
        message = "; ".join([outcome.reason, *outcome.warnings]).strip("; ")
        return Seen(
            outcome.status,
            outcome.exit_status,
            message,
            charging_rig(prepared.rig.bench),
            data,
            photons_s,
        )

    return run


def charging_rig(bench: Bench) -> str:
    """What the bench shows: light, cell and stage, read a moment apart."""
    light = "LASER ON" if bench.light.emitting else "laser locked"
    applied_v, rest_v = bench.applied_potential_v, bench.cell.rest_potential_v
    cell = "cell off" if applied_v == rest_v else f"CELL AT {applied_v:.2f} V"
    now_ps = bench.clock.now_ps
    targets = [[axis.target_um(now_ps + later) for axis in bench.stage.axes] for later in (0, 10**12)]
    stage = "stage stopped" if np.allclose(*targets, atol=1e-6) else "STAGE MOVES"
    return f"{light}, {cell}, {stage}"


def _stored(path: Path) -> tuple[float | None, str]:
    """Seconds of photons in a run file, and what else was measured."""
    run = read_run_file(path)
    found = [
        f"{record.about['technique']}: {len(record.time_s)} rows"
        + ("" if record.about["complete"] else ", partial")
        for record in run.potentiostat
    ]
    with h5py.File(path) as file:
        own = file["user/qdlab"]
        assert isinstance(own, h5py.Group)
        names = {"scans": "lines of a scan", "images": "image", "leftovers": "files of the program"}
        found += [says for name, says in names.items() if name in own]
    if run.photons is None:
        return None, "; ".join(found)
    photons = run.photons
    assert len(photons.sync) == photons.n_photons
    assert photons.n_photons == 0 or photons.sync[-1] * photons.sync_period_s <= photons.duration_s
    return photons.duration_s, "; ".join(found)


# ---- a driver of 2DES by itself, on its emulator ----


@contextmanager
def _ending_safe(device: Device) -> Iterator[list[str]]:
    """Disconnect in the end as a rig does; the list gets what was said, its first entry by an error."""
    said: list[str] = []
    try:
        yield said
    except InstrumentError as error:
        said += [type(error).__name__, str(error)]
    try:
        device.disconnect()
    except InstrumentError as error:
        said += ([] if said else [type(error).__name__]) + [str(error)]
    device.disconnect()


def _seen(said: list[str], rig: str, data: str) -> Seen:
    return Seen(said[0] if said else "no error", 1 if said else None, "; ".join(said[1:]), rig, data)


def delay_stage(make: str) -> Callable[[str, Path], Seen]:
    """Connect, reference, and go to five delays, a second apart."""

    def run(fault: str, folder: Path) -> Seen:
        clock, rail = SimulatedClock(), LinearAxis(seed=5, key=0)
        faults = Faults(frozenset([fault]))
        stage: DelayStage
        common: dict[str, Any] = {"clock": clock, "limits_fs": Limits(-1000.0, 4000.0), "velocity_mm_s": 10.0}
        if make == "esp":
            controller = EspController(clock, {1: rail}, faults=faults)
            stage = ESP30xStage(
                lambda: EmulatedAdapter(controller, timeout_s=3.0),
                scale=DelayScale.mirrors(),
                limits_mm=Limits(-1.0, 1.0),
                homing="home_switch",
                **common,
            )
        else:
            linear = LinearController(clock, rail, faults=faults)
            stage = PILinearStage(
                lambda: EmulatedAdapter(linear, timeout_s=3.0),
                scale=DelayScale.mirrors(zero_mm=75.0),
                limits_mm=Limits(74.0, 76.0),
                referencing="reference_switch",
                **common,
            )
        arrived, wrong = 0, 0
        with _ending_safe(stage) as said:
            stage.connect()
            for delay_fs in (100.0, 2000.0, 500.0, 3000.0, 0.0):
                read_fs = stage.move_to(delay_fs, timeout_s=10.0)
                true_fs = stage.scale.delay_fs(rail.position_mm(clock.now_ps) - 75.0 + stage.scale.zero_mm)
                arrived += 1
                wrong += abs(read_fs - true_fs) > 1.0 or abs(true_fs - delay_fs) > 1.0
                clock.sleep(1.0)
        clock.sleep(1.0)  # it brakes
        rests = "CARRIAGE MOVES" if rail.moving(clock.now_ps) else "carriage stopped"
        return _seen(said, rests, f"{arrived} of 5 delays" + (f", {wrong} WRONG" if wrong else ""))

    return run


def spectrometer(fault: str, folder: Path) -> Seen:
    """Take spectra of the local oscillator."""
    bench = _coherence_bench(fault)
    device = ObpSpectrometer(bench)
    detector = NetworkSpectrometer(lambda: EmulatedHandle(device), clock=bench.clock, shutter=True)
    taken, saturated = [], 0
    with _ending_safe(detector) as said:
        detector.connect()
        for _ in range(SPECTRA):
            frame = detector.frames(1)
            taken.append(frame.counts[0])
            saturated += int(np.any(frame.counts >= detector.saturation_counts))
    data = f"{len(taken)} of {SPECTRA} spectra"
    if taken and not saturated:
        means = np.mean(taken, axis=1)
        assert np.ptp(means) < 0.1 * np.mean(means), "a damaged spectrum was taken for a good one"
    return _seen(said, "nothing of it moves", data + (f", {saturated} saturated" if saturated else ""))


def lockin(fault: str, folder: Path) -> Seen:
    """Read the chopped light five times."""
    bench = _coherence_bench(fault)
    device = Sr830(bench)
    detector = LockinDetector(
        lambda: SR830(EmulatedAdapter(device)), clock=bench.clock, time_constant_s=0.1, name="SR830"
    )
    taken = 0
    with _ending_safe(detector) as said:
        detector.connect()
        for _ in range(5):
            taken += len(detector.readings(1).value)
    return _seen(said, "nothing of it moves", f"{taken} of 5 readings")


def _coherence_bench(fault: str) -> CoherenceBench:
    return CoherenceBench(SimulatedClock(), Blank(), seed=3, faults=Faults(frozenset([fault])))


def _pair(t1_fs: float) -> PulseTrain:
    return PulseTrain.pair(t1_fs, (0.0, 0.0), rotating_frame=1.0, carrier_cm=CARRIER_CM)


def _shaped(bench: CoherenceBench, shaper: LcosShaper | DazzlerShaper) -> Seen:
    """Have a pair 100 fs apart and then one 150 fs apart shaped; what came of it, and what in the end."""
    came = "nothing"
    with _ending_safe(shaper) as said:
        shaper.connect()
        for t1_fs in (100.0, 150.0):
            shaper.set_pulses(_pair(t1_fs))
            shaper.wait_settled()
        came = _train(bench)
    bench.clock.sleep(2.0)
    dark = all(abs(pulse.amplitude) < 0.01 for pulse in bench.pump)
    return _seen(said, "pump dark" if dark else f"PUMP ON: {_train(bench)}", f"asked 0, -150 fs; came {came}")


def _train(bench: CoherenceBench) -> str:
    delays = sorted(
        {round(pulse.delay_fs) for pulse in bench.pump if abs(pulse.amplitude) > 0.1}, reverse=True
    )
    if len(delays) > 4:
        return "no train of pulses"
    return ", ".join(map(str, delays)) + " fs" if delays else "nothing"


def lcos(fault: str, folder: Path) -> Seen:
    """Shape two pairs on the liquid-crystal panel."""
    bench = _coherence_bench(fault)
    panel = Panel(bits=8, stop_rows=16)
    screen = EmulatedScreen(bench, None, panel)
    calibration = exact_calibration(screen.optics, panel)
    shaper = LcosShaper(
        screen, clock=bench.clock, calibration=calibration, encoding=Diffraction(16, 1), rows=panel.rows
    )
    return _shaped(bench, shaper)


def dazzler(fault: str, folder: Path) -> Seen:
    """Shape two pairs through the Dazzler's folder."""
    bench = _coherence_bench(fault)
    program = EmulatedDazzler(bench, folder, window_fs=4000.0)
    program.start()
    shaper = DazzlerShaper(
        folder, clock=bench.clock, window_fs=4000.0, wavelength_limits_nm=(470.0, 640.0), take_s=3.0
    )
    seen = _shaped(bench, shaper)
    program.stop()
    return seen


def light_on_the_table(fault: str, folder: Path) -> Seen:
    """What falls on the spectrometer, compared with the same bench without the fault."""
    faulty, sound = _light(_coherence_bench(fault)), _light(_coherence_bench("none"))
    lo, scatter, drift = (f / s for f, s in zip(faulty[:3], sound[:3], strict=True))
    data = f"local oscillator x {lo:.1f}, scatter x {scatter:.1f}, drift x {drift:.1f}, "
    return Seen("no error", None, "", "nothing of it moves", data + f"probe {faulty[3] - sound[3]:+.1f} fs")


def _light(bench: CoherenceBench) -> tuple[float, float, float, float]:
    """The local oscillator, the largest ripple by the pump, the spread in 2000 s, the probe's delay (fs)."""
    nm = ObpSpectrometer(bench).wavelength_nm
    bench.clock.sleep(2000.0)
    each = [bench.detector_spectrum(nm, k * PS_PER_S, k * PS_PER_S + 10**10) for k in range(0, 2000, 50)]
    lo = np.mean(each, axis=0)
    start_ps = bench.clock.now_ps
    bench.set_pump((Pulse(-100.0, 0.5 + 0j), Pulse(0.0, 0.5 + 0j)))
    bench.clock.sleep(0.01)
    ripple = float(np.abs(bench.detector_spectrum(nm, start_ps, bench.clock.now_ps) / lo - 1).max())
    sums = np.sum(each, axis=1)
    return float(lo.sum()), ripple, float(np.ptp(sums) / sums.mean()), bench.delays["t2"].delay_fs(start_ps)


RUNS: dict[str, Callable[[str, Path], Seen]] = {
    "voltammetry": charging_run("cv_flid", "hold_s=2", "cycles=1", "scan_rate_v_s=1"),
    "scan": charging_run("confocal_scan", "pixels_x=16", "pixels_y=64"),
    "ESP30x stage": delay_stage("esp"),
    "PI linear stage": delay_stage("pi_linear"),
    "spectrometer": spectrometer,
    "lock-in": lockin,
    "LCOS shaper": lcos,
    "Dazzler": dazzler,
    "light on the table": light_on_the_table,
}
"""What a row of the matrix can name as run."""
