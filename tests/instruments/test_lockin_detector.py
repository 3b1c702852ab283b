"""A lock-in as a point detector, by the exchanges of pymeasure's own drivers."""

from contextlib import contextmanager

import numpy as np
import pytest
from pymeasure.adapters import ProtocolAdapter
from pymeasure.instruments.signalrecovery import DSP7265
from pymeasure.instruments.srs import SR830, SR860
from scipy.signal import hilbert

from qdlab.instruments.base import InstrumentError, NotConnectedError, OutOfRangeError
from qdlab.instruments.delay_stage import FS_PER_MM
from qdlab.instruments.lockin_detector import LockinDetector
from qdlab.sim.bench import Faults
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.coherence_bench import Beams, CoherenceBench
from qdlab.sim.emulators.doors import EmulatedAdapter
from qdlab.sim.emulators.sr830 import Sr830
from qdlab.sim.physics.dimer_ensemble import RAD_PER_FS
from qdlab.sim.physics.pulses import Pulse

GAMMA = 1 / 60.0

IDENTITY = ("*IDN?", "Stanford_Research_Systems,SR830,s/n12345,ver1.07")
START = [IDENTITY, ("OFLT8", None), ("OFLT?", "8")]


@contextmanager
def lockin_with(exchange, *, kind=SR830, time_constant_s=0.1):
    adapter = ProtocolAdapter([(c.encode(), r and r.encode()) for c, r in exchange])
    clock = SimulatedClock()
    detector = LockinDetector(lambda: kind(adapter), clock=clock, time_constant_s=time_constant_s)
    yield detector, clock
    assert adapter._index == len(adapter.comm_pairs)


def test_a_reading_waits_for_the_filter_and_takes_both_phases_at_once():
    exchange = [*START, ("SNAP? 1,2", "1.5e-3,-2.5e-3"), ("LIAS?", "0")]
    exchange += [("SNAP? 1,2", "1.0e-3,0.0"), ("LIAS?", "0")]
    with lockin_with(exchange) as (detector, clock), detector:
        assert (detector.connect().model, detector.connect().version) == ("SR830", "ver1.07")
        readings = detector.readings(2, tag=5)
        assert readings.value.tolist() == [0.0015 - 0.0025j, 0.001 + 0j]
        assert readings.tag.tolist() == [5, 5]
        assert readings.time_s == pytest.approx([0.0, 0.7])
        assert clock.now() == pytest.approx(1.4)
        assert detector.settings()["time_constant_s"] == 0.1


def test_a_time_constant_that_the_lock_in_does_not_have_is_refused_and_not_rounded():
    exchange = [IDENTITY, ("OFLT9", None), ("OFLT?", "9")]
    with (
        lockin_with(exchange, time_constant_s=0.2) as (detector, _),
        pytest.raises(OutOfRangeError, match=r"0.2 is none .* 0.3"),
    ):
        detector.connect()


@pytest.mark.parametrize(
    ("status", "says"), [("1", "overloaded"), ("4", "overloaded"), ("8", "reference is lost")]
)
def test_an_overload_or_a_lost_reference_is_no_reading(status, says):
    exchange = [*START, ("SNAP? 1,2", "1,2"), ("LIAS?", status)]
    with (
        lockin_with(exchange) as (detector, _),
        detector,
        pytest.raises(InstrumentError, match=says),
    ):
        detector.readings(1)


def test_garbage_is_no_reading():
    with (
        lockin_with([*START, ("SNAP? 1,2", "1.5,?#")]) as (detector, _),
        detector,
        pytest.raises(InstrumentError, match="X and Y"),
    ):
        detector.readings(1)


@pytest.mark.parametrize(
    ("kind", "exchange"),
    [
        (SR860, [("*IDN?", "SRS,SR860,1,1"), ("OFLT 10", None), ("OFLT?", "10"), ("SNAP? X, Y", "1.0,2.0")]),
        (DSP7265, [("ID", "7265"), ("TC 11", None), ("TC", "11"), ("XY.", "1.0,2.0")]),
    ],
)
def test_other_lock_ins_of_pymeasure_do_as_well(kind, exchange):
    with lockin_with(exchange, kind=kind) as (detector, _), detector:
        assert detector.readings(1).value.tolist() == [1 + 2j]


def test_nothing_is_read_before_connecting_or_for_no_readings():
    with lockin_with([]) as (detector, _):
        with pytest.raises(NotConnectedError):
            detector.readings(1)
        with pytest.raises(OutOfRangeError):
            detector.readings(0)
        detector.make_safe()
        detector.disconnect()


# ---- on the bench ----


class Line:
    """A sample with one narrow line, which answers to the pump."""

    def signal_field(self, pump, probe, wavenumber_cm):
        strength = sum(np.conj(a.amplitude) * b.amplitude for a in pump for b in pump)
        return strength * GAMMA / (GAMMA - 1j * RAD_PER_FS * (wavenumber_cm - 18_000.0))

    def truth(self):
        return {}


def test_scanning_the_local_oscillator_gives_the_signal_against_t3():
    bench = CoherenceBench(SimulatedClock(), Line(), seed=2, beams=Beams(pump_scatter=0.0, signal=0.05))
    bench.set_pump((Pulse(0.0, 1.0 + 0j),))
    emulated = Sr830(bench)
    detector = LockinDetector(
        lambda: SR830(EmulatedAdapter(emulated)), clock=bench.clock, time_constant_s=0.01
    )
    t3_fs, values = np.arange(-60.0, 240.0, 0.6), []
    rail = bench.delays["t3"].axis
    with detector:
        assert detector.connect().simulated
        for t3 in t3_fs:
            rail.move(bench.clock.now_ps, 75.0 + (700.0 + t3) / (2 * FS_PER_MM))
            bench.clock.sleep(0.2 if t3 > t3_fs[0] else 1.0)
            values.append(detector.readings(1).value[0])
    signal = np.array(values)
    assert signal.imag.std() < 5e-3 * np.abs(signal.real).max()
    analytic = hilbert(signal.real - signal.real[:20].mean())  # less |S|^2
    after = (t3_fs > 30) & (t3_fs < 180)
    decay, _ = np.polyfit(t3_fs[after], np.log(np.abs(analytic[after])), 1)
    turn, _ = np.polyfit(t3_fs[after], np.unwrap(np.angle(analytic[after])), 1)
    assert -decay == pytest.approx(GAMMA, rel=0.03)
    assert turn / RAD_PER_FS == pytest.approx(18_000.0, abs=15.0)
    assert np.abs(analytic[t3_fs < -40]).max() < 0.05 * np.abs(analytic).max()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("sr830_not_found", "no reply"),
        ("sr830_overload", "larger sensitivity"),
        ("sr830_reference_lost", "check the chopper"),
        ("sr830_garbage", "X and Y were expected"),
    ],
)
def test_a_fault_of_the_lock_in_ends_in_an_error(fault, says):
    bench = CoherenceBench(SimulatedClock(), Line(), seed=2, faults=Faults(frozenset([fault])))
    emulated = Sr830(bench)
    detector = LockinDetector(
        lambda: SR830(EmulatedAdapter(emulated)), clock=bench.clock, time_constant_s=0.01
    )
    with pytest.raises(InstrumentError, match=says), detector:
        detector.readings(1)
