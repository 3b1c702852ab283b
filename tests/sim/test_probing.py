"""A train of three pulses: after phase cycling its signal is that of a pair and a probe, in sign and size."""

import cmath
import math

import numpy as np
import pytest

from qdlab.analysis.twodes.phase_cycling import DOUBLE_QUANTUM, NONREPHASING, REPHASING, scheme
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.coherence_bench import Beams, Blank, CoherenceBench
from qdlab.sim.physics.nonlinear_sample import NonlinearSample
from qdlab.sim.physics.pulses import RAD_PER_FS, Pulse
from qdlab.sim.probing import PROBING, ProbeInTrain

PIXELS_CM = np.linspace(16_600.0, 19_600.0, 61)
THIRD = 1 / 3
PIXELS_NM = np.linspace(500.0, 610.0, 400)


@pytest.fixture(scope="module")
def sample():
    return NonlinearSample.named("dimers_3.0_9", dimers=60, seed=3)


def train_field(sample, pulses):
    """What the whole train makes, in times from delay zero."""
    field = np.zeros(len(PIXELS_CM), complex)
    for pump, probe in ProbeInTrain().probed(pulses, 0.0):
        turn = np.exp(1j * RAD_PER_FS * PIXELS_CM * probe.delay_fs)
        field += sample.signal_field(pump, probe, PIXELS_CM) * turn
    return field


def cycled(sample, delays_fs, signature, cycle="3x3x1"):
    """The signal of a signature, with the phase cycle over trains at these delays of pulses 1, 2 and 3."""
    fields = [
        train_field(
            sample, [Pulse(d, THIRD * cmath.exp(1j * p)) for d, p in zip(delays_fs, step, strict=True)]
        )
        for step in scheme(cycle).phases_rad
    ]
    return scheme(cycle).extract(fields, signature)


def pair_and_probe(sample, t1_fs, t2_fs, signature):
    """The same signal with pulse 3 as a beam of its own."""
    fields = [
        sample.signal_field(
            (Pulse(-t1_fs, THIRD * cmath.exp(1j * one)), Pulse(0.0, THIRD * cmath.exp(1j * two))),
            Pulse(t2_fs, THIRD + 0j),
            PIXELS_CM,
        )
        for one, two, _ in scheme("3x3x1").phases_rad
    ]
    return scheme("3x3x1").extract(fields, signature)


@pytest.mark.parametrize("signature", [REPHASING, NONREPHASING, DOUBLE_QUANTUM])
@pytest.mark.parametrize(("t1_fs", "t2_fs"), [(20.0, 50.0), (35.0, 12.0), (0.0, 100.0)])
def test_nine_steps_leave_the_signal_of_pair_and_probe_and_nothing_else(sample, signature, t1_fs, t2_fs):
    found = cycled(sample, (-t1_fs - t2_fs, -t2_fs, 0.0), signature)
    expected = pair_and_probe(sample, t1_fs, t2_fs, signature)
    largest = np.abs(pair_and_probe(sample, t1_fs, t2_fs, REPHASING)).max()
    np.testing.assert_allclose(found, expected, atol=1e-3 * largest)


def test_a_pulse_that_acts_twice_is_there_and_is_cycled_away(sample):
    """Sixteen steps set (-1, 0, 2) apart: R of pulses 1, 3 and 3, of half weight for their order in time."""
    t1_fs, t2_fs = 10.0, 30.0
    found = cycled(sample, (-t1_fs - t2_fs, -t2_fs, 0.0), (-1, 0, 2), "4x4x1")
    expected = 0.5 * pair_and_probe(sample, t1_fs + t2_fs, 0.0, REPHASING)
    scale = np.abs(expected).max()
    assert scale > 0.1 * np.abs(pair_and_probe(sample, t1_fs, t2_fs, REPHASING)).max()
    np.testing.assert_allclose(found, expected, atol=0.01 * scale)


def test_pulses_in_the_wrong_order_exchange_rephasing_and_nonrephasing(sample):
    t1_fs, t2_fs = 30.0, 60.0
    found = cycled(sample, (-t2_fs, -t1_fs - t2_fs, 0.0), REPHASING)
    right, wrong = (pair_and_probe(sample, t1_fs, t2_fs, a) for a in (REPHASING, NONREPHASING))
    np.testing.assert_allclose(found, wrong, atol=1e-3 * np.abs(wrong).max())
    assert np.abs(found - right).max() > 0.5 * np.abs(right).max()


def test_replicas_far_behind_pulse_3_do_not_probe():
    probed = PROBING["shaper"].probed([Pulse(3000.0, 0.01), Pulse(0.0, 0.3), Pulse(-90.0, 0.3)], 0.0)
    assert [probe.delay_fs for _, probe in probed] == [-90.0, 0.0]


def spectrum(bench, pulses):
    bench.set_pump(pulses)
    began = bench.clock.now_ps
    bench.clock.sleep(0.01)
    return bench.detector_spectrum(PIXELS_NM, began, bench.clock.now_ps)


def test_with_all_pulses_from_the_shaper_no_stage_and_no_probe_beam_is_on_the_table():
    """Without a sample, all that is left beside the local oscillator is what the train scatters."""

    def bench(**beams):
        clock = SimulatedClock(math.inf)
        return CoherenceBench(clock, Blank(), seed=1, beams=Beams(drift=0.0, pulse_noise=0.0, **beams))

    shaped = bench(pulse_3="shaper")
    lo = spectrum(shaped, ())
    power = shaped.laser.amplitude(1e7 / PIXELS_NM) ** 2
    np.testing.assert_allclose(lo, 0.01 * shaped.beams.electrons_per_s * power, rtol=1e-9)
    turned = spectrum(shaped, [Pulse(0.0, THIRD + 0j)])
    scatter, lead = shaped.beams.pump_scatter, shaped.beams.lo_lead_fs
    fringes = np.abs(1 + scatter * THIRD * np.exp(1j * RAD_PER_FS * lead * 1e7 / PIXELS_NM)) ** 2
    np.testing.assert_allclose(turned, lo * fringes, rtol=1e-9)
    assert np.abs(spectrum(bench(), ()) / lo - 1).max() > 0.015  # there a probe beam scatters
