"""The emulated Sepia2_Lib, called as the vendor's library is: through C pointers, in good and bad order."""

import ctypes

import pytest

from qdlab.instruments.picoquant import sepia2lib
from qdlab.sim.bench import Faults
from qdlab.sim.emulators.sepia2 import EmulatedOperator, EmulatedSepia2Lib
from qdlab.sim.samples import make_bench

SCM, SLM = 0, 200


@pytest.fixture
def bench():
    return make_bench("blank", seed=1, speed=float("inf"))


@pytest.fixture
def lib(bench):
    return EmulatedSepia2Lib(bench)


def text(content=b""):
    return ctypes.create_string_buffer(content, sepia2lib.TEXT_CHARS)


def open_with_map(lib):
    count = ctypes.c_int()
    assert lib.SEPIA2_USB_OpenDevice(0, text(), text()) == 0
    assert lib.SEPIA2_FWR_GetModuleMap(0, 0, ctypes.byref(count)) == 0
    return count.value


def test_nothing_works_before_the_frame_is_open(lib):
    count = ctypes.c_int()
    assert lib.SEPIA2_FWR_GetModuleMap(0, 0, ctypes.byref(count)) == -9006
    assert lib.SEPIA2_SCM_SetLaserSoftLock(0, SCM, 0) == -9006


def test_module_calls_need_the_map(lib):
    assert lib.SEPIA2_USB_OpenDevice(0, text(), text()) == 0
    assert lib.SEPIA2_SLM_SetIntensityFineStep(0, SLM, 10) == -9020


def test_texts_that_are_not_empty_choose_the_frame(lib):
    assert lib.SEPIA2_USB_OpenDevice(0, text(), text(b"1999-001")) == -9003
    serial = text(b"2020-001")
    assert lib.SEPIA2_USB_OpenDevice(0, text(), serial) == 0
    assert serial.value == b"2020-001"
    assert lib.SEPIA2_USB_OpenDevice(0, text(), text()) == -9005
    assert lib.SEPIA2_USB_OpenDevice(8, text(), text()) == -9002


def test_the_backplane_shares_slot_000_with_the_scm(lib):
    modules = []
    for k in range(open_with_map(lib)):
        slot = ctypes.c_int()
        flags = [ctypes.c_ubyte() for _ in range(3)]
        pointers = (ctypes.byref(flag) for flag in flags)
        assert lib.SEPIA2_FWR_GetModuleInfoByMapIdx(0, k, ctypes.byref(slot), *pointers) == 0
        modules.append((slot.value, flags[1].value))
    assert modules == [(0, 1), (0, 0), (200, 0)]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (("SLM_SetPulseParameters", 0, SLM, 8, 1), -6001),
        (("SLM_SetIntensityFineStep", 0, SLM, 1001), -6002),
        (("SLM_SetIntensityFineStep", 0, SCM, 10), -9012),
        (("SCM_SetLaserSoftLock", 0, SLM, 1), -9010),
        (("SCM_SetLaserSoftLock", 0, 300, 1), -9009),
        (("FWR_SetWorkingMode", 0, 2), -9910),
    ],
)
def test_wrong_values_and_slots_are_refused(lib, call, code):
    open_with_map(lib)
    assert getattr(lib, f"SEPIA2_{call[0]}")(*call[1:]) == code


def test_arguments_are_converted_as_c_does(lib):
    open_with_map(lib)
    with pytest.raises(ctypes.ArgumentError):
        lib.SEPIA2_SLM_SetIntensityFineStep(0, SLM, 0.5)
    with pytest.raises(ctypes.ArgumentError):
        lib.SEPIA2_SLM_GetIntensityFineStep(0, SLM, ctypes.byref(ctypes.c_int()))


def test_the_light_follows_lock_rate_and_intensity(bench, lib):
    open_with_map(lib)
    assert not bench.light.emitting
    assert lib.SEPIA2_SLM_SetPulseParameters(0, SLM, sepia2lib.RATES_HZ[5e6], 1) == 0
    assert lib.SEPIA2_SLM_SetIntensityFineStep(0, SLM, 300) == 0
    assert not bench.light.emitting
    assert bench.light.period_ticks == 8000
    assert lib.SEPIA2_SCM_SetLaserSoftLock(0, SCM, 0) == 0
    assert bench.light.emitting
    assert bench.light.power_nw == pytest.approx(30.0)
    assert lib.SEPIA2_USB_CloseDevice(0) == 0
    assert bench.light.emitting, "closing the USB handle leaves the laser as it is"


def test_the_sync_runs_while_the_laser_is_locked_and_stops_without_a_trigger(bench, lib):
    open_with_map(lib)
    assert bench.sync_running
    assert lib.SEPIA2_SLM_SetPulseParameters(0, SLM, 6, 1) == 0
    assert not bench.sync_running


def test_a_hard_lock_overrides_the_soft_unlock(bench, lib):
    bench.faults = Faults(frozenset({"sepia_hard_locked"}))
    open_with_map(lib)
    locked, soft_locked = ctypes.c_ubyte(), ctypes.c_ubyte()
    lib.SEPIA2_SLM_SetIntensityFineStep(0, SLM, 300)
    assert lib.SEPIA2_SCM_SetLaserSoftLock(0, SCM, 0) == 0
    lib.SEPIA2_SCM_GetLaserLocked(0, SCM, ctypes.byref(locked))
    lib.SEPIA2_SCM_GetLaserSoftLock(0, SCM, ctypes.byref(soft_locked))
    assert (locked.value, soft_locked.value) == (1, 0)
    assert not bench.light.emitting


def test_the_operator_sets_the_light_and_refuses_what_he_does_not_understand(bench):
    operator = EmulatedOperator(bench)
    assert operator("Set the laser to 2.5 MHz (internal) and its intensity to 30 %. Done?") == "yes"
    assert operator("Switch the laser ON. Done?") == "yes"
    assert bench.light.emitting
    assert (bench.light.period_ticks, bench.light.power_nw) == (16000, 30.0)
    assert operator("Make coffee. Done?") == "no"
