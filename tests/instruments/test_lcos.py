"""The liquid-crystal shaper on the emulated panel: what it is asked for is what leaves the 4f line."""

import threading
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from qdlab.analysis.twodes.shaper_calibration import fringe_delay
from qdlab.instruments.base import InstrumentError, NotConnectedError, OutOfRangeError
from qdlab.instruments.pulse_shaper import RAD_FS_PER_CM, PulseTrain
from qdlab.instruments.shaper.frames import Diffraction, PhaseOnly
from qdlab.instruments.shaper.lcos import LcosShaper
from qdlab.sim.bench import Faults
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.shaper_screen import EmulatedScreen, Panel, exact_calibration
from qdlab.sim.physics.four_f import FourF

CARRIER_CM = 18_200.0
LOPSIDED = PulseTrain((-200.0, 0.0, 330.0), (1.0, 2.0, 3.0), (0.2, 0.3, 0.5), 0.5, 18_000.0)


class Table:
    """What an emulated shaper needs of the bench."""

    def __init__(self, *faults):
        self.clock = SimulatedClock()
        self.faults = Faults(frozenset(faults))
        self.shaper_mask = None
        self.pump = None
        self.changes = 0

    def set_pump(self, pulses):
        self.pump = tuple(pulses)
        self.changes += 1


MODES = {
    "diffraction": (Diffraction(16, 1), Panel(bits=8, stop_rows=16)),
    "diffraction, other order": (Diffraction(16, -1), Panel(bits=8, stop_rows=16, stop_order=-1)),
    "diffraction, 10 bits": (Diffraction(12, 1), Panel(bits=10, stop_rows=12)),
    "phase only": (PhaseOnly(), Panel(bits=8, stop_rows=None)),
    "phase only, 10 bits": (PhaseOnly(), Panel(bits=10, stop_rows=None)),
}


def make(mode="diffraction", *faults, optics=None, phase_sign=1, **options):
    table = Table(*faults)
    encoding, panel = MODES[mode]
    screen = EmulatedScreen(table, optics, panel)
    calibration = replace(exact_calibration(screen.optics, panel), phase_sign=phase_sign)
    shaper = LcosShaper(
        screen, clock=table.clock, calibration=calibration, encoding=encoding, rows=panel.rows, **options
    )
    return table, screen, shaper


def rounding(mode, calibration):
    """Root mean square error of a field from steps of phase that are all as large as the largest."""
    step = max(np.diff(curve.phase_rad).max() for curve in calibration.grey)
    independent_rows = 1 if "phase" in mode else MODES[mode][0].rows
    return step / np.sqrt(12 * independent_rows)


def pair(t1_fs, phases=(0.0, 0.0), g=1.0):
    return PulseTrain.pair(t1_fs, phases, rotating_frame=g, carrier_cm=CARRIER_CM)


def asked(train):
    """Delay and field at the carrier of each pulse asked for, by delay."""
    shift = RAD_FS_PER_CM * train.rotating_frame * train.carrier_cm
    pulses = zip(train.delays_fs, train.phases_rad, train.amplitudes, strict=True)
    return sorted((d, a * np.exp(1j * (p - shift * d))) for d, p, a in pulses)


# ---- the mask ----


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("train", [pair(100.0), pair(300.0, (0.3, 2.0), 0.9), pair(0.0), LOPSIDED], ids=str)
def test_the_decoded_frame_is_the_train_within_grey_rounding(mode, train):
    _, screen, shaper = make(mode)
    shaper.connect()
    applied = shaper.set_pulses(train)
    wanted = train.mask(applied.wavenumber_cm)
    assert np.sqrt(np.mean(np.abs(applied.field - wanted) ** 2)) < rounding(mode, shaper.calibration)
    shaper.wait_settled()
    decoded = screen.decoded.columns[::-1] * np.exp(
        -1j * shaper.calibration.compensation_rad(applied.wavenumber_cm)
    )
    assert np.abs(decoded - applied.field).max() < 1e-3  # the promised mask is the real one


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("train", [pair(100.0), pair(300.0, (0.3, 2.0), 0.9), LOPSIDED], ids=str)
def test_the_pulses_on_the_bench_are_those_asked_for(mode, train):
    table, _, shaper = make(mode)
    shaper.connect()
    shaper.set_pulses(train)
    shaper.wait_settled()
    assert len(table.pump) == len(train.delays_fs)
    for pulse, (delay_fs, field) in zip(table.pump, asked(train), strict=True):
        assert pulse.delay_fs == pytest.approx(delay_fs, abs=0.010)
        turned = pulse.amplitude * np.exp(1j * RAD_FS_PER_CM * CARRIER_CM * (pulse.delay_fs - delay_fs))
        assert turned == pytest.approx(field, abs=0.012)  # 330 fs of a window of 6.4 ps costs 1.4 %


@pytest.mark.parametrize("mode", ["diffraction", "phase only"])
def test_a_wrong_phase_sign_shows_as_opposite_delays_and_phases(mode):
    table, _, shaper = make(mode, "lcos_phase_reversed", optics=FourF(residual_fs=()))
    shaper.connect()
    shaper.set_pulses(LOPSIDED)
    shaper.wait_settled()
    mirrored = sorted((-delay_fs, np.conj(field)) for delay_fs, field in asked(LOPSIDED))
    for pulse, (delay_fs, field) in zip(table.pump, mirrored, strict=True):
        assert pulse.delay_fs == pytest.approx(delay_fs, abs=0.010)
        turned = pulse.amplitude * np.exp(1j * RAD_FS_PER_CM * CARRIER_CM * (pulse.delay_fs - delay_fs))
        assert turned == pytest.approx(field, abs=0.012)


def test_the_calibration_undoes_a_reversed_panel():
    table, _, shaper = make("diffraction", "lcos_phase_reversed", phase_sign=-1)
    shaper.connect()
    shaper.set_pulses(LOPSIDED)
    shaper.wait_settled()
    assert [pulse.delay_fs for pulse in table.pump] == pytest.approx([-200, 0, 330], abs=0.010)


def test_the_wrong_order_of_a_blazed_grating_is_nearly_dark():
    table = Table()
    screen = EmulatedScreen(table, panel=Panel(stop_order=-1))
    calibration = exact_calibration(screen.optics, screen.panel)
    shaper = LcosShaper(
        screen, clock=table.clock, calibration=calibration, encoding=Diffraction(16, 1), rows=1024
    )
    shaper.connect()
    shaper.set_pulses(PulseTrain((50.0,), (0.0,), (1.0,), 1.0, CARRIER_CM))
    shaper.wait_settled()
    assert table.pump == ()


@pytest.mark.parametrize("t1_fs", [40.0, 123.4, 300.0])
@pytest.mark.parametrize("mode", ["diffraction", "phase only"])
def test_the_fringes_of_a_pair_tell_its_delay_within_10_as(mode, t1_fs):
    table, _, shaper = make(mode)
    wavenumber_cm = np.linspace(16_500, 20_500, 2068)
    reference = np.exp(-4 * np.log(2) * ((wavenumber_cm - CARRIER_CM) / 2600) ** 2)
    shaper.connect()
    shaper.set_pulses(pair(t1_fs, g=0.0))
    shaper.wait_settled()
    power = reference * np.abs(table.shaper_mask(wavenumber_cm)) ** 2
    found = fringe_delay(wavenumber_cm, power, reference, centre_cm=CARRIER_CM)
    assert found.delay_fs == pytest.approx(t1_fs, abs=0.010)


def test_phase_cycling_steps_arrive_as_phases():
    table, _, shaper = make()
    shaper.connect()
    fields = []
    for phase in 2 * np.pi * np.arange(3) / 3:
        shaper.set_pulses(pair(80.0, (phase, 0.0)))
        shaper.wait_settled()
        fields.append(table.pump[0].amplitude / table.pump[1].amplitude)
    steps = np.angle(np.array(fields) / fields[0]) % (2 * np.pi)
    assert np.allclose(steps, 2 * np.pi * np.arange(3) / 3, atol=0.005)


# ---- refusals: nothing is shown ----


def test_a_delay_beyond_half_the_window_is_refused():
    table, _, shaper = make()
    shaper.connect()
    before = table.changes
    assert shaper.limits_fs.upper == pytest.approx(shaper.window_fs / 2)
    for train in (pair(shaper.window_fs * 0.51), pair(float("nan"))):
        with pytest.raises(OutOfRangeError, match="delay in fs of pulse 1"):
            shaper.set_pulses(train)
    table.clock.sleep(0.2)
    assert table.changes <= before + 8  # the blank frame of connect() only
    assert table.pump == ()


@pytest.mark.parametrize("amplitudes", [(0.6, 0.5), (1.2, -0.3), (float("nan"), 0.1)])
def test_amplitudes_above_one_in_all_are_refused(amplitudes):
    _, _, shaper = make()
    with pytest.raises(OutOfRangeError, match="add up"):
        shaper.check(PulseTrain((0.0, 100.0), (0.0, 0.0), amplitudes, 1.0, CARRIER_CM))


def test_a_train_of_unequal_lists_cannot_be_made():
    with pytest.raises(ValueError, match="2, 1 and 2"):
        PulseTrain((0.0, 100.0), (0.0,), (0.5, 0.5), 1.0, CARRIER_CM)


def test_nothing_is_shown_before_connect():
    _, _, shaper = make()
    with pytest.raises(NotConnectedError, match="connect"):
        shaper.set_pulses(pair(100.0))
    shaper.make_safe()
    shaper.disconnect()


@pytest.mark.parametrize(
    ("fault", "sentence"), [("lcos_screen_missing", "no screen"), ("lcos_screen_scaled", "scaled by 1.5")]
)
def test_a_screen_that_is_missing_or_scaled_is_refused(fault, sentence):
    _, _, shaper = make("diffraction", fault)
    with pytest.raises(InstrumentError, match=sentence):
        shaper.connect()
    with pytest.raises(NotConnectedError):
        shaper.set_pulses(pair(100.0))


def test_a_screen_of_another_size_is_refused():
    table = Table()
    screen = EmulatedScreen(table)
    calibration = exact_calibration(screen.optics, screen.panel)
    shaper = LcosShaper(
        screen, clock=table.clock, calibration=calibration, encoding=Diffraction(16, 1), rows=1080
    )
    with pytest.raises(InstrumentError, match="1272 x 1024 pixels, the panel 1272 x 1080"):
        shaper.connect()


# ---- time ----


def test_it_is_settled_when_its_settle_time_has_passed():
    table, _, shaper = make(settle_s=0.1)
    shaper.connect()
    shaper.set_pulses(pair(100.0))
    assert not shaper.settled
    table.clock.sleep(0.06)
    assert shaper.settle_remaining_s == pytest.approx(0.04)
    shaper.wait_settled()
    assert shaper.settled
    assert len(table.pump) == 2


def test_while_the_liquid_crystal_turns_the_old_pulses_are_still_there():
    table, _, shaper = make()
    shaper.connect()
    shaper.set_pulses(pair(100.0))
    shaper.wait_settled()
    shaper.set_pulses(pair(150.0))
    table.clock.sleep(0.030)  # a refresh, and about two response times
    delays = {round(pulse.delay_fs) for pulse in table.pump}
    assert {-150, -100, 0} <= delays
    shaper.wait_settled()
    assert {round(pulse.delay_fs) for pulse in table.pump} == {-150, 0}


def test_a_settle_time_too_short_for_a_cold_panel_shows_in_the_light():
    table, _, shaper = make("diffraction", "lcos_slow_settle")
    shaper.connect()
    for t1_fs in (100.0, 150.0):
        shaper.set_pulses(pair(t1_fs))
        shaper.wait_settled()
    assert any(abs(pulse.delay_fs + 100) < 1 for pulse in table.pump)


# ---- safe, and faults ----


@pytest.mark.parametrize("mode", MODES)
def test_safe_is_dark_and_may_be_asked_for_twice_and_from_any_thread(mode):
    table, _, shaper = make(mode)
    shaper.connect()
    shaper.wait_settled()
    left_over = 0.005 if mode == "phase only" else 0.0  # 8 bits round the half turn between its rows
    assert all(abs(pulse.amplitude) < left_over for pulse in table.pump)
    shaper.set_pulses(pair(100.0))
    shaper.wait_settled()
    assert len(table.pump) == 2
    thread = threading.Thread(target=shaper.make_safe)
    thread.start()
    thread.join()
    shaper.make_safe()
    table.clock.sleep(0.2)
    assert all(abs(pulse.amplitude) < left_over for pulse in table.pump)
    shaper.disconnect()
    shaper.disconnect()


def test_a_frame_that_is_not_shown_leaves_the_light_as_it_was():
    table, _, shaper = make("diffraction", "lcos_frame_not_shown")
    shaper.connect()
    shaper.set_pulses(pair(100.0))
    shaper.wait_settled()
    assert table.pump == ()


def test_a_half_frame_is_half_of_the_old_light_and_half_of_the_new():
    table, _, shaper = make("diffraction", "lcos_half_frame")
    shaper.connect()
    shaper.set_pulses(pair(100.0))
    shaper.wait_settled()
    sizes = sorted((abs(pulse.amplitude) for pulse in table.pump), reverse=True)
    assert sizes[:2] == pytest.approx([0.25, 0.25], abs=0.01)
    assert all(size < 0.02 for size in sizes[2:])  # the edge in the middle of the beam scatters


def test_a_mask_shown_again_is_not_decoded_again(monkeypatch):
    *_, shaper = make()
    shaper.connect()
    decoded = []
    decode = FourF.pulses
    monkeypatch.setattr(FourF, "pulses", lambda *arguments: decoded.append(1) or decode(*arguments))
    for _ in range(3):
        for phase in (0.0, 1.0, 2.0):
            shaper.set_pulses(pair(100.0, (phase, 0.0)))
            shaper.wait_settled()
    assert len(decoded) == 3


def test_frames_that_differ_anywhere_are_told_apart():
    table, screen, shaper = make()
    shaper.connect()
    shaper.set_pulses(pair(100.0))
    shaper.wait_settled()
    frame = screen.frame
    first = screen.decoded
    for change in ("a pixel", "rows shifted"):
        other = frame.copy()
        if change == "a pixel":
            other[501, 700] ^= 64
        else:
            other = np.ascontiguousarray(np.roll(other, 1, axis=0))
        screen.show(other)
        table.clock.sleep(0.2)
        assert screen.decoded is not first, change


def test_settings_name_optics_and_date_of_the_calibration():
    _, _, shaper = make()
    assert shaper.settings()["optics"] == "emulated"
    assert date.fromisoformat(str(shaper.settings()["calibration_date"])).year == 2000
