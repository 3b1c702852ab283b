"""The laser drivers: PDL 828 over the emulated library, PDL 800-D over the operator."""

import dataclasses

import pytest

from qdlab.instruments.base import (
    InstrumentError,
    NotConnectedError,
    OutOfRangeError,
    VendorSoftwareMissingError,
)
from qdlab.instruments.picoquant import PDL800D, PDL828, sepia2lib
from qdlab.instruments.pulsed_laser import LaserLock
from qdlab.sim.bench import Faults
from qdlab.sim.emulators.sepia2 import EmulatedOperator, EmulatedSepia2Lib
from qdlab.sim.samples import make_bench


@pytest.fixture
def bench():
    return make_bench("blank", seed=1, speed=float("inf"))


def pdl828(bench):
    return PDL828(EmulatedSepia2Lib(bench), clock=bench.clock)


def pdl800d(bench):
    return PDL800D(EmulatedOperator(bench))


def break_(bench, name):
    bench.faults = Faults(frozenset({name}))


# ---- what every pulsed laser does ----


@pytest.fixture(params=[pdl828, pdl800d])
def laser(request, bench):
    with request.param(bench) as laser:
        yield laser


def test_a_laser_is_dark_from_connect_until_unlock(bench, laser):
    assert laser.lock is not LaserLock.UNLOCKED
    laser.set_pulses(2.5e6, 0.3)
    assert not bench.light.emitting
    laser.unlock()
    assert laser.lock is LaserLock.UNLOCKED
    assert bench.light.emitting
    assert bench.light.power_nw == pytest.approx(30.0)


def test_every_rate_it_claims_reaches_the_sync(bench, laser):
    for rate_hz in laser.repetition_rates_hz:
        laser.set_pulses(rate_hz, 0.1)
        assert laser.repetition_rate_hz == rate_hz
        assert bench.light.period_ticks == round(40e9 / rate_hz)


def test_a_rate_or_intensity_it_does_not_have_changes_nothing(bench, laser):
    laser.set_pulses(5e6, 0.2)
    before = bench.light
    with pytest.raises(OutOfRangeError, match="3000000"):
        laser.set_pulses(3e6, 0.2)
    with pytest.raises(OutOfRangeError, match=r"1\.2"):
        laser.set_pulses(5e6, 1.2)
    with pytest.raises(OutOfRangeError, match="nan"):
        laser.set_pulses(5e6, float("nan"))
    assert bench.light == before


def test_make_safe_darkens_as_often_as_it_is_called(bench, laser):
    laser.set_pulses(2.5e6, 0.3)
    laser.unlock()
    laser.make_safe()
    laser.make_safe()
    assert not bench.light.emitting
    laser.unlock()
    laser.disconnect()
    laser.disconnect()
    laser.make_safe()
    assert not bench.light.emitting


# ---- PDL 828 ----


def test_it_tells_who_it_is_and_what_is_set(bench):
    with pdl828(bench) as laser:
        identity = laser.connect()
        laser.set_pulses(2.5e6, 0.3)
        assert str(identity) == "PicoQuant PDL 828 Sepia II s/n 2020-001 2.01.624 [SIMULATED]"
        settings = laser.settings()
    assert settings["repetition_rate_hz"] == 2.5e6
    assert settings["intensity"] == 0.3
    assert settings["slm_slot"] == 200
    assert settings["lock"] == "SOFT"


def test_connecting_locks_a_laser_that_was_left_on(bench):
    library = EmulatedSepia2Lib(bench)
    first = PDL828(library, clock=bench.clock)
    first.connect()
    first.set_pulses(2.5e6, 0.3)
    first.unlock()
    library.SEPIA2_USB_CloseDevice(0)  # the program died
    assert bench.light.emitting
    with PDL828(library, clock=bench.clock):
        assert not bench.light.emitting
    with pytest.raises(InstrumentError, match="unknown USB handle"):
        first.disconnect()


def test_the_frame_is_chosen_by_its_serial_number(bench):
    laser = PDL828(EmulatedSepia2Lib(bench), clock=bench.clock, serial="1999-001")
    with pytest.raises(InstrumentError, match="1999-001 could be opened: found 2020-001"):
        laser.connect()


def test_two_drivers_cannot_hold_one_frame(bench):
    library = EmulatedSepia2Lib(bench)
    second = PDL828(library, clock=bench.clock)
    with PDL828(library, clock=bench.clock), pytest.raises(InstrumentError, match=r"opened \(-9005\)"):
        second.connect()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("sepia_not_found", "no frame could be opened: is it on and plugged in"),
        ("sepia_busy", "USB device busy or blocked"),
        ("sepia_firmware_error", "CRC of module data wrong .*slot 200.*switch it off and on"),
        ("sepia_no_head", "no laser head on the SLM 828 in slot 200"),
        ("sepia_soft_lock_refused", "SEPIA2_SCM_SetLaserSoftLock failed: LIB: illegal parameter"),
    ],
)
def test_a_frame_that_is_not_fit_is_refused_in_words_and_closed(bench, fault, sentence):
    library = EmulatedSepia2Lib(bench)
    laser = PDL828(library, clock=bench.clock)
    break_(bench, fault)
    with pytest.raises(InstrumentError, match=sentence):
        laser.connect()
    bench.faults = Faults()
    with PDL828(library, clock=bench.clock):
        assert not bench.light.emitting


def test_a_key_that_is_off_is_told_and_turning_it_later_starts_nothing(bench):
    with pdl828(bench) as laser:
        laser.set_pulses(2.5e6, 0.3)
        break_(bench, "sepia_hard_locked")
        with pytest.raises(InstrumentError, match="check its key, interlock and power"):
            laser.unlock()
        bench.faults = Faults()
        assert laser.lock is LaserLock.SOFT
        assert not bench.light.emitting


def test_a_laser_that_may_still_emit_is_told(bench):
    laser = pdl828(bench)
    laser.connect()
    break_(bench, "sepia_usb_gone")
    with pytest.raises(InstrumentError, match="unknown USB handle"):
        laser.unlock()
    for _ in range(2):
        with pytest.raises(InstrumentError, match="may still emit, turn its key to off"):
            laser.make_safe()
    with pytest.raises(InstrumentError, match="may still emit"):
        laser.disconnect()
    laser.disconnect()


def test_a_refused_soft_lock_at_the_end_is_told(bench):
    laser = pdl828(bench)
    laser.connect()
    laser.set_pulses(2.5e6, 0.3)
    laser.unlock()
    break_(bench, "sepia_soft_lock_refused")
    with pytest.raises(InstrumentError, match="may still emit"):
        laser.disconnect()


def test_it_must_be_connected_first(bench):
    with pytest.raises(NotConnectedError, match="connect first"):
        pdl828(bench).set_pulses(2.5e6, 0.3)


def test_a_missing_library_is_told_with_what_to_do(tmp_path):
    with pytest.raises(VendorSoftwareMissingError, match=r"no_such.*Install the vendor's software, or give"):
        sepia2lib.load(tmp_path / "no_such.dll")


# ---- PDL 800-D ----


def test_what_the_operator_said_is_recorded(bench):
    with pdl800d(bench) as laser:
        laser.set_pulses(2.5e6, 0.3)
        settings = laser.settings()
    assert settings["repetition_rate_hz"] == 2.5e6
    assert settings["intensity"] == 0.3
    assert settings["operator"][1] == [
        "Set the PDL 800-D to 2.5 MHz (internal) and its intensity to 30 %. Done? [yes/no] ",
        "yes",
    ]


def test_without_a_yes_nothing_is_taken_for_done():
    laser = PDL800D(lambda question: "no")
    with pytest.raises(InstrumentError, match="nobody confirmed: Switch the PDL 800-D OFF"):
        laser.connect()
    assert laser.lock is LaserLock.UNLOCKED


def test_without_a_terminal_it_says_at_once_that_nobody_switched_it_off():
    answers = iter(["yes", "yes"])

    def ask(question):
        try:
            return next(answers)
        except StopIteration:
            raise EOFError from None

    laser = PDL800D(ask)
    laser.connect()
    laser.unlock()
    with pytest.raises(InstrumentError, match="nobody confirmed: Switch the PDL 800-D OFF"):
        laser.make_safe()


@pytest.mark.parametrize(
    ("measured_hz", "fits"), [(2.51e6, True), (2.49e6, True), (2.53e6, False), (0.0, False)]
)
def test_the_sync_rate_must_fit_what_was_said(bench, measured_hz, fits):
    with pdl800d(bench) as laser:
        laser.set_pulses(2.5e6, 0.3)
        if fits:
            laser.check_sync_rate(measured_hz)
        else:
            with pytest.raises(InstrumentError, match="check the rate switch and the sync cable"):
                laser.check_sync_rate(measured_hz)


def test_a_laser_on_the_wrong_rate_is_found_by_its_sync(bench):
    break_(bench, "sepia_wrong_rate")
    with pdl800d(bench) as laser:
        laser.set_pulses(2.5e6, 0.3)
        measured_hz = 40e9 / bench.light.period_ticks
        with pytest.raises(InstrumentError, match=r"1\.25e"):
            laser.check_sync_rate(measured_hz)
    assert dataclasses.replace(bench.light, emitting=False) == bench.light
