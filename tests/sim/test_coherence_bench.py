"""The 2DES bench: its rails, and fringes from which delays and fields come back as they were planted."""

import time

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from qdlab.instruments.base import Limits
from qdlab.instruments.delay_stage import DelayScale
from qdlab.instruments.newport.esp30x import ESP30xStage
from qdlab.instruments.oceanoptics.spectrometers import NetworkSpectrometer
from qdlab.instruments.pi.linear_stage import PILinearStage
from qdlab.sim.bench import Faults
from qdlab.sim.clock import PS_PER_S, SimulatedClock
from qdlab.sim.coherence_bench import Beams, Blank, CoherenceBench, all_faults, make_coherence_bench
from qdlab.sim.emulators.doors import EmulatedAdapter
from qdlab.sim.emulators.esp30x import EspController
from qdlab.sim.emulators.obp_spectrometer import EmulatedHandle, ObpSpectrometer
from qdlab.sim.emulators.pi_linear import LinearController
from qdlab.sim.physics.linear_motion import Drive, LinearAxis
from qdlab.sim.physics.pulses import Pulse

W = 2 * np.pi * 2.99792458e-5  # rad/fs per cm-1
QUIET = {"drift": 0.0, "pulse_noise": 0.0}
W0_CM, GAMMA = 18_400.0, 1 / 60.0


class TwoLevels:
    """One transition: a Lorentzian line, with the phases that two interactions of the pump leave behind."""

    calls = 0

    def signal_field(self, pump, probe, wavenumber_cm):
        self.calls += 1
        w0 = W * W0_CM
        line = GAMMA / (GAMMA - 1j * (W * wavenumber_cm - w0))
        strength = 0j
        for k in pump:
            for p in pump:
                t1 = p.delay_fs - k.delay_fs
                decay = np.exp(1j * w0 * t1 - GAMMA * abs(t1))
                strength += np.conj(k.amplitude) * p.amplitude * probe.amplitude * decay
        return strength * line / 4

    def truth(self):
        return {"transition_cm": W0_CM}


def bench_with(sample=None, *faults, beams=None, **keywords):
    return CoherenceBench(
        SimulatedClock(),
        sample or TwoLevels(),
        seed=11,
        faults=Faults(frozenset(faults)),
        beams=beams,
        **keywords,
    )


def spectrometer_on(bench):
    emulated = ObpSpectrometer(bench)
    return NetworkSpectrometer(lambda: EmulatedHandle(emulated), clock=bench.clock, shutter=True)


def stage_on(bench, role="t2", make="pi", **keywords):
    common = {
        "clock": bench.clock,
        "limits_fs": Limits(-2000.0, 4000.0),
        **keywords,
    }
    axis = bench.delays[role].axis
    if make == "esp":
        controller = EspController(bench.clock, {1: axis}, faults=bench.faults)
        return ESP30xStage(
            lambda: EmulatedAdapter(controller),
            scale=DelayScale.mirrors(),
            limits_mm=Limits(-1.0, 1.0),
            homing="home_switch",
            settle_s=0.1,
            **common,
        )
    controller = LinearController(bench.clock, axis, faults=bench.faults)
    return PILinearStage(
        lambda: EmulatedAdapter(controller),
        scale=DelayScale.mirrors(zero_mm=75.0),
        limits_mm=Limits(74.0, 76.0),
        referencing="reference_switch",
        **common,
    )


def fringes(wavelength_nm, counts, window_fs):
    """Spectral interferometry by hand: the part of the spectrum within a window of delays, and its w axis."""
    w = W * 1e7 / wavelength_nm
    grid = np.linspace(w[-1], w[0], 4096)
    signal = CubicSpline(w[::-1], counts[::-1] * (wavelength_nm[::-1] ** 2))(grid) / (1e7 * W / grid) ** 2
    delay_fs = 2 * np.pi * np.fft.fftfreq(len(grid), grid[1] - grid[0])
    inside = (delay_fs > window_fs[0]) & (delay_fs < window_fs[1])
    spectrum = np.fft.fft(signal)  # e^{-i w t}: what goes as e^{+i w tau} lands at +tau
    return grid, np.fft.ifft(np.where(inside, spectrum, 0.0))


def delay_of(wavelength_nm, counts, window_fs):
    """Delay from the fringe spacing: slope of the phase of the fringes, weighted by their strength."""
    w, part = fringes(wavelength_nm, counts, window_fs)
    middle = (w > W * 17_000) & (w < W * 19_400)
    phase = np.unwrap(np.angle(part[middle]))
    return np.polyfit(w[middle], phase, 1, w=np.abs(part[middle]))[0]


# ---- rails ----


@pytest.mark.parametrize("distance_mm", [1e-3, 0.05, 3.0, -3.0])
def test_a_move_is_a_trapezoid_that_the_carriage_follows(distance_mm):
    axis = LinearAxis(seed=0, key=0, start_mm=70.0, drive=Drive(follow_s=5e-3))
    axis.move(0, 70.0 + distance_mm)
    ends_s = axis.end_ps() / PS_PER_S
    a, v = 100.0, 10.0
    expected_s = (
        abs(distance_mm) / v + v / a if abs(distance_mm) > v**2 / a else 2 * np.sqrt(abs(distance_mm) / a)
    )
    assert ends_s == pytest.approx(expected_s, rel=1e-6)
    at_ps = np.linspace(0, axis.end_ps(), 4001).astype(np.int64)
    x_mm = np.array([axis.motor_mm(int(t)) for t in at_ps])
    assert np.all(np.diff(x_mm) * np.sign(distance_mm) >= 0)
    speed = np.abs(np.gradient(x_mm, at_ps / PS_PER_S))
    assert speed.max() <= v * 1.001
    target = np.array([axis._trajectory(int(t))[0] for t in at_ps])
    lag = (target - x_mm)[100:-100]  # lag' = v - lag / tau, by differences
    rate = np.gradient(target - x_mm, at_ps / PS_PER_S)[100:-100]
    trajectory_speed = np.gradient(target, at_ps / PS_PER_S)[100:-100]
    assert rate == pytest.approx(trajectory_speed - lag / 5e-3, abs=0.02 * np.abs(trajectory_speed).max())
    assert axis.motor_mm(axis.end_ps() + PS_PER_S) == pytest.approx(70.0 + distance_mm, abs=1e-12)


def test_a_move_given_while_moving_brakes_first():
    axis = LinearAxis(seed=0, key=0, start_mm=70.0)
    axis.move(0, 75.0)
    axis.move(PS_PER_S // 5, 69.0)
    x_mm = [axis.motor_mm(k * PS_PER_S // 100) for k in range(150)]
    assert max(x_mm) == pytest.approx(70.0 + 1.5 + 0.5, abs=0.01)
    assert np.abs(np.diff(x_mm, 2)).max() < 100.0 * 0.01**2 * 1.2  # no jump of the speed
    assert x_mm[-1] == pytest.approx(69.0, abs=1e-9)


def test_a_move_that_is_stopped_as_it_begins_goes_nowhere():
    axis = LinearAxis(seed=1, key=0)
    axis.move(PS_PER_S, 60.0)
    assert axis.stop(PS_PER_S) == PS_PER_S
    assert not axis.moving(PS_PER_S)
    for later_s in (1, 2, 100):
        assert axis.position_mm(later_s * PS_PER_S) == pytest.approx(41.3, abs=1e-9)


def test_positions_follow_from_the_moves_and_not_from_when_somebody_looks():
    looked, unseen = (LinearAxis(seed=4, key=0) for _ in range(2))
    for axis in (looked, unseen):
        axis.move(0, 41.9)
        if axis is looked:
            for k in range(100):
                axis.measured_mm(k * PS_PER_S // 97)
        axis.move(PS_PER_S, 41.1)
    at_ps = 1_234_567_890_123
    assert looked.measured_mm(at_ps) == unseen.measured_mm(at_ps)


def test_readings_are_whole_steps_of_the_encoder():
    axis = LinearAxis(seed=4, key=0, start_mm=70.0, drive=Drive(resolution_mm=1e-4))
    axis.move(0, 70.00123)
    read_mm = axis.measured_mm(PS_PER_S)
    assert read_mm == pytest.approx(70.0012, abs=1e-9)


# ---- fringes ----


@pytest.mark.parametrize("make", ["pi", "esp"])
def test_the_delay_from_the_fringes_is_the_delay_commanded_to_10_as(make):
    beams = Beams(signal=0.0, pump_scatter=0.3, probe_scatter=0.0)
    bench = bench_with(Blank(), beams=beams)
    bench.set_pump((Pulse(0.0, 1.0 + 0j),))
    with stage_on(bench, make=make) as stage, spectrometer_on(bench) as detector:
        commanded = [0.0, -250.0, -100.003, 37.71, 140.0, 300.0]
        found = []
        for delay_fs in commanded:
            assert stage.move_to(delay_fs) == pytest.approx(delay_fs, abs=0.02)
            counts = detector.frames(20).counts.mean(axis=0)
            found.append(700.0 - delay_of(detector.wavelength_nm, counts, (300.0, 1100.0)))
    assert found == pytest.approx(commanded, abs=0.010)


def test_a_mirror_that_was_moved_shows_in_the_fringes():
    beams = Beams(signal=0.0, pump_scatter=0.3, probe_scatter=0.0)
    bench = bench_with(Blank(), "t2_zero_shifted", beams=beams)
    bench.set_pump((Pulse(0.0, 1.0 + 0j),))
    with stage_on(bench) as stage, spectrometer_on(bench) as detector:
        stage.move_to(0.0)
        counts = detector.frames(10).counts.mean(axis=0)
        assert 700.0 - delay_of(detector.wavelength_nm, counts, (300.0, 1100.0)) == pytest.approx(
            -12.3, abs=0.02
        )


def test_the_local_oscillators_own_stage_moves_its_lead():
    bench = bench_with(Blank(), beams=Beams(signal=0.0, pump_scatter=0.3, probe_scatter=0.0))
    bench.set_pump((Pulse(0.0, 1.0 + 0j),))
    with stage_on(bench, "t3") as stage, spectrometer_on(bench) as detector:
        stage.move_to(150.0)
        counts = detector.frames(10).counts.mean(axis=0)
        assert delay_of(detector.wavelength_nm, counts, (300.0, 1100.0)) == pytest.approx(550.0, abs=0.02)


def planted_and_found(bench, wavelength_nm, difference):
    lo = bench.laser.amplitude(1e7 / wavelength_nm) ** 2 * bench.beams.electrons_per_s
    w, part = fringes(wavelength_nm, difference, (450.0, 2500.0))
    level = CubicSpline(1e7 * W / wavelength_nm[::-1], lo[::-1])(w)
    amplitude = bench.laser.amplitude(w / W)
    found = part / (level / amplitude) * np.exp(-1j * w * 700.0)  # conj(LO) i A S over |LO|^2, times |LO|
    planted = 1j * bench.beams.signal * bench.sample.signal_field(bench.pump, Pulse(0.0, 1.0 + 0j), w / W)
    middle = (w > W * 17_000) & (w < W * 19_600)
    return w[middle], planted[middle], found[middle]


PUMP = (Pulse(-40.0, 0.5 * np.exp(0.7j)), Pulse(0.0, 0.5 + 0j))


def test_spectral_interferometry_of_an_expected_frame_returns_the_planted_field():
    bench = bench_with(beams=Beams(pump_scatter=0.0, probe_scatter=0.0, **QUIET))
    bench.set_pump(PUMP)
    wavelength_nm = ObpSpectrometer(bench).wavelength_nm
    with_signal = bench.detector_spectrum(wavelength_nm, 0, PS_PER_S)
    bench.clock.sleep(1.0)
    bench.set_pump(())
    without = bench.detector_spectrum(wavelength_nm, PS_PER_S, 2 * PS_PER_S)
    bench.set_pump(PUMP)
    _, planted, found = planted_and_found(bench, wavelength_nm, with_signal - without)
    assert np.abs(found - planted).max() < 0.01 * np.abs(planted).max()


def test_it_does_so_through_the_detector_within_its_noise_when_scatter_is_cycled_away():
    bench = bench_with()
    with spectrometer_on(bench) as detector:
        detector.take_dark(50)
        total = np.zeros(2068)
        for turn in np.exp(2j * np.pi * np.arange(3) / 3):  # both pulses turned: R and N stay, scatter goes
            bench.set_pump([Pulse(p.delay_fs, p.amplitude * turn) for p in PUMP])
            on = detector.frames(100).counts.mean(axis=0) - detector.dark
            bench.set_pump(())
            off = detector.frames(100).counts.mean(axis=0) - detector.dark
            total += (on - off * on.sum() / off.sum()) / 3
        electrons_s = 3.0 * total / detector.integration_time_s
        bench.set_pump(PUMP)
        _, planted, found = planted_and_found(bench, detector.wavelength_nm, electrons_s)
    error = np.abs(found - planted) / np.abs(planted).max()
    assert np.sqrt(np.mean(error**2)) < 0.03
    assert error.max() < 0.12


def test_the_pump_phases_turn_the_scatter_and_the_signal_as_they_should():
    bench = bench_with(beams=Beams(probe_scatter=0.0, **QUIET))
    wavelength_nm = ObpSpectrometer(bench).wavelength_nm
    phases = 2 * np.pi * np.arange(4) / 4
    frames = np.zeros((4, 4, 2068))
    at_ps = 0
    for i, phi1 in enumerate(phases):
        for j, phi2 in enumerate(phases):
            bench.set_pump((Pulse(-40.0, 0.5 * np.exp(1j * phi1)), Pulse(0.0, 0.5 * np.exp(1j * phi2))))
            bench.clock.sleep(0.01)
            frames[i, j] = bench.detector_spectrum(wavelength_nm, at_ps, bench.clock.now_ps)
            at_ps = bench.clock.now_ps
    orders = np.fft.fft2(frames, axes=(0, 1)) / 16
    strength = np.abs(orders).max(axis=2) / np.abs(orders).max()
    signal, scatter = strength[3, 1], strength[1, 0]  # (-1, +1) and (+1, 0)
    assert signal > 1e-3
    assert scatter > 5e-3
    for order in ((1, 1), (2, 2), (1, 2), (2, 1)):  # what signal times scatter leaves
        assert strength[order] < 0.01 * signal
    w = W * 1e7 / wavelength_nm
    lead, line = np.exp(1j * w * 700.0), GAMMA / (GAMMA - 1j * (w - W * W0_CM))
    expected = 1j * 0.03 * line / 16 * np.exp(-1j * W * W0_CM * -40.0 - 40.0 * GAMMA) * lead
    lo = bench.laser.amplitude(1e7 / wavelength_nm)
    of_signal = orders[3, 1] / (bench.beams.electrons_per_s * 0.01)
    positive = fringes(wavelength_nm, of_signal, (450.0, 2500.0))
    wanted = fringes(wavelength_nm, lo * expected, (450.0, 2500.0))
    middle = slice(1200, 2800)
    assert np.abs(positive[1] - wanted[1])[middle].max() < 0.02 * np.abs(wanted[1]).max()


# ---- time, cost and faults ----


def test_a_frame_sees_what_held_while_it_was_exposed():
    bench = bench_with(Blank(), beams=Beams(signal=0.0, pump_scatter=0.0, probe_scatter=0.0, **QUIET))
    nm = ObpSpectrometer(bench).wavelength_nm
    bench.clock.sleep(1.0)
    bench.set_shutter(False)
    bench.clock.sleep(1.0)
    bench.set_shutter(True)
    bench.clock.sleep(1.0)
    open_all = bench.detector_spectrum(nm, 0, PS_PER_S)
    assert bench.detector_spectrum(nm, PS_PER_S, 2 * PS_PER_S).max() == 0.0
    half = bench.detector_spectrum(nm, PS_PER_S // 2, 5 * PS_PER_S // 2)
    assert half == pytest.approx(open_all)


def test_fringes_wash_out_while_the_stage_moves():
    bench = bench_with(Blank(), beams=Beams(signal=0.0, pump_scatter=0.3, probe_scatter=0.0, **QUIET))
    bench.set_pump((Pulse(0.0, 1.0 + 0j),))
    nm = ObpSpectrometer(bench).wavelength_nm
    contrast = []
    for target_mm in (75.0, 75.0 + 0.003):  # 20 fs: eleven periods of the carrier
        start_ps = bench.clock.now_ps
        bench.delays["t2"].axis.move(start_ps, target_mm)
        bench.clock.sleep(0.02)
        _, part = fringes(nm, bench.detector_spectrum(nm, start_ps, bench.clock.now_ps), (300.0, 1100.0))
        contrast.append(np.abs(part[1500:2500]).mean())
    assert contrast[1] < 0.4 * contrast[0]


def test_a_setting_is_worked_out_once():
    sample = TwoLevels()
    bench = bench_with(sample)
    with spectrometer_on(bench) as detector:
        for _ in range(3):
            for phase in range(4):
                bench.set_pump((Pulse(-40.0, 0.5 * 1j**phase), Pulse(0.0, 0.5 + 0j)))
                detector.frames(5)
    assert sample.calls == 4


def test_a_frame_costs_half_a_millisecond_at_most():
    bench = bench_with(Blank())
    with spectrometer_on(bench) as detector:
        best_s = np.inf
        for block in range(5):
            start_s = time.process_time()
            for k in range(40):
                bench.set_pump((Pulse(-10.0 * block, np.exp(1j * k)), Pulse(0.0, 0.5 + 0j)))
                detector.frames(1)
            best_s = min(best_s, (time.process_time() - start_s) / 40)
    assert best_s < 0.5e-3


def test_the_laser_drifts_slowly_and_its_pulses_scatter():
    bench = bench_with(Blank(), beams=Beams(pump_scatter=0.0, probe_scatter=0.0))
    nm = ObpSpectrometer(bench).wavelength_nm
    light = np.array(
        [bench.detector_spectrum(nm, k * PS_PER_S, k * PS_PER_S + PS_PER_S // 100).sum() for k in range(2000)]
    )
    light /= light.mean()
    slow = np.convolve(light, np.ones(20) / 20, "valid")
    assert 0.003 < slow.std() < 0.012
    assert np.diff(light).std() / np.sqrt(2) == pytest.approx(0.01 / np.sqrt(10), rel=0.1)


def test_the_shaped_beam_itself_can_be_looked_at():
    bench = bench_with(Blank(), beams=Beams(**QUIET))
    nm = ObpSpectrometer(bench).wavelength_nm
    bench.set_view("pump")
    bench.set_pump((Pulse(-100.0, 0.5 + 0j), Pulse(100.0, 0.5 + 0j)))
    bench.clock.sleep(1.0)
    seen = bench.detector_spectrum(nm, 0, PS_PER_S) / bench.beams.electrons_per_s
    w = W * 1e7 / nm
    assert seen == pytest.approx(np.cos(100.0 * w) ** 2 * bench.laser.amplitude(1e7 / nm) ** 2, abs=1e-5)
    bench.shaper_mask = lambda wavenumber_cm: np.where(wavenumber_cm > 18_200, 1.0 + 0j, 0.0)
    seen = bench.detector_spectrum(nm, 0, PS_PER_S)
    assert np.array_equal(seen > 0, 1e7 / nm > 18_200)


def test_faults_show():
    quiet = Beams(**QUIET)
    nm = ObpSpectrometer(bench_with()).wavelength_nm

    def light(*faults, pump=PUMP):
        bench = bench_with(Blank(), *faults, beams=quiet)
        bench.set_pump(pump)
        return bench.detector_spectrum(nm, 0, PS_PER_S)

    plain = light(pump=())
    assert light("lo_blocked", pump=()).max() < 1e-3 * plain.max()
    ripple, strong = (
        np.abs(light(*faults) - light(*faults, pump=())).max() for faults in ((), ("pump_scatters",))
    )
    assert strong > 8 * ripple
    drifting = bench_with(Blank(), "laser_drifts")
    sums = [
        drifting.detector_spectrum(nm, k * PS_PER_S, k * PS_PER_S + 10**10).sum() for k in range(0, 2000, 40)
    ]
    assert np.ptp(sums) / np.mean(sums) > 0.08


def test_an_unknown_fault_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"lo_blockt.*known: .*lo_blocked"):
        make_coherence_bench("blank", seed=1, speed=np.inf, faults=["lo_blockt"])
    assert {"esp_stuck", "obp_saturated", "pi_linear_stuck", "lo_blocked"} <= all_faults().keys()
    assert all(text.endswith(".") for text in all_faults().values())


def test_the_truth_tells_what_was_planted():
    truth = bench_with().truth()
    assert truth["sample"] == {"transition_cm": W0_CM}
    assert truth["beams"]["lo_lead_fs"] == 700.0
    assert truth["delays"]["t2"]["zero_mm"] == 75.0
    assert make_coherence_bench("blank", seed=1, speed=np.inf).truth()["sample"] == {}


def test_the_same_seed_gives_the_same_light_at_every_speed():
    light = []
    for speed in (np.inf, 200.0):
        bench = make_coherence_bench("blank", seed=3, speed=speed)
        with spectrometer_on(bench) as detector:
            bench.set_pump(PUMP)
            light.append(detector.frames(5).counts)
    assert np.array_equal(*light)
