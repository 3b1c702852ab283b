"""The TimeHarp 260 driver over the emulated library, and its drain over a compiled one."""

import ctypes
import os
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from qdlab.formats.tttr import RecordType, TttrDecoder
from qdlab.instruments.base import (
    InstrumentError,
    NotConnectedError,
    OutOfRangeError,
    VendorSoftwareMissingError,
)
from qdlab.instruments.photon_counter import (
    CounterSettings,
    CountingError,
    InputSettings,
    PhotonCounter,
    TttrMode,
)
from qdlab.instruments.picoquant import TimeHarp260, th260lib
from qdlab.instruments.picoquant.drain import DEFAULT_BUFFER_WORDS, FifoDrain
from qdlab.instruments.picoquant.th260lib import Feature
from qdlab.sim.bench import Bench, Comparator, Faults
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.timeharp260 import EmulatedTh260Lib
from qdlab.sim.physics.cell import Cell

PERIOD = 16_000
SECOND = 40_000_000_000
MIN_BUFFER = 2 * th260lib.READ_MAX_WORDS


class RandomPhotons:
    """Detector pulses at 40 kHz for three seconds, a fixed list for each seed."""

    def __init__(self, seed=5):
        rng = np.random.default_rng(seed)
        self.ticks = np.sort(rng.integers(0, 3 * SECOND, 120_000))
        self.inputs = rng.integers(0, 2, len(self.ticks)).astype(np.uint8)
        self.done = 0

    def advance(self, until, edges, bias, light):
        n = int(np.searchsorted(self.ticks, until))
        since, self.done = self.done, n
        return self.ticks[since:n], self.inputs[since:n]

    def truth(self):
        return {}


def make_bench(*faults, **options):
    return Bench(
        SimulatedClock(),
        seed=1,
        cell=Cell(seed=1),
        photons=RandomPhotons(),
        faults=Faults(frozenset(faults)),
        **options,
    )


def make_counter(bench, *, buffer_words=MIN_BUFFER, serial="", **options):
    library = EmulatedTh260Lib(bench, **options)
    return TimeHarp260(library, clock=bench.clock, serial=serial, buffer_words=buffer_words)


@pytest.fixture
def bench():
    return make_bench()


@pytest.fixture
def counter(bench):
    with make_counter(bench) as counter:
        yield counter


def with_input(**settings):
    """Settings whose second input is not the usual one."""
    return CounterSettings(inputs=(InputSettings(), InputSettings(**settings)))


def fetch(counter, words, wait, times=1000):
    """Fetch into the list `words` until the counter fails."""
    for _ in range(times):
        wait()
        words.append(counter.take())


def record(counter, bench, duration_s, step_s=0.1):
    """All words of one measurement."""
    counter.start(duration_s)
    words = []
    while counter.measuring:
        bench.clock.sleep(step_s)
        words.append(counter.take())
    words.append(counter.take())
    counter.stop()
    return np.concatenate(words)


# ---- what every photon counter does ----


def test_it_is_a_photon_counter_with_inputs_and_an_identity(counter):
    assert isinstance(counter, PhotonCounter)
    assert counter.n_inputs == 2
    assert str(counter.connect()) == "PicoQuant TimeHarp 260 P s/n 1000001 emulated [SIMULATED]"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (CounterSettings(sync_divider=3), "sync_divider"),
        (CounterSettings(binning=22), "binning"),
        (CounterSettings(mode=TttrMode.T2, binning=1), "T2"),
        (CounterSettings(marker_holdoff_ns=25_501), "marker_holdoff_ns"),
        (CounterSettings(sync=InputSettings(cfd_level_mv=10)), "sync.cfd_level_mv"),
        (CounterSettings(sync=InputSettings(dead_time_code=1)), "sync"),
        (
            CounterSettings(inputs=(InputSettings(), InputSettings(offset_ps=100_000))),
            r"inputs\[1\].offset_ps",
        ),
        (CounterSettings(inputs=(InputSettings(cfd_zero_cross_mv=-41),)), r"inputs\[0\].cfd_zero_cross_mv"),
        (CounterSettings(inputs=(InputSettings(dead_time_code=8),)), r"inputs\[0\].dead_time_code"),
        (CounterSettings(inputs=(InputSettings(),) * 3), "3 inputs"),
    ],
)
def test_settings_out_of_range_are_refused_by_name_and_nothing_is_sent(counter, settings, named):
    counter.configure(CounterSettings(binning=2))
    with pytest.raises(OutOfRangeError, match=named):
        counter.configure(settings)
    assert counter.resolution_ps == 100.0
    assert counter.settings()["binning"] == 2


def test_durations_out_of_range_are_refused(counter):
    counter.configure(CounterSettings())
    for duration_s in (0.0, 360_001.0, float("nan")):
        with pytest.raises(OutOfRangeError, match="duration_s"):
            counter.start(duration_s)
    assert not counter.measuring


def test_it_must_be_connected_and_configured_first(bench):
    counter = make_counter(bench)
    with pytest.raises(NotConnectedError):
        counter.configure(CounterSettings())
    with counter, pytest.raises(InstrumentError, match="configure a measurement first"):
        counter.start(1.0)
    with pytest.raises(NotConnectedError):
        counter.take()


def test_making_safe_stops_and_may_be_repeated_from_any_thread_and_when_disconnected(bench, counter):
    counter.make_safe()
    counter.configure(CounterSettings())
    counter.start(10.0)
    thread = threading.Thread(target=counter.make_safe)
    thread.start()
    thread.join()
    assert not counter.measuring
    counter.make_safe()
    counter.disconnect()
    counter.make_safe()
    counter.disconnect()


def test_rates_and_state_are_known_before_and_during_a_measurement(bench, counter):
    counter.configure(CounterSettings())
    assert counter.sync_rate_hz == 2.5e6
    assert sum(counter.count_rates_hz()) == pytest.approx(40_000, rel=0.1)
    counter.start(2.0)
    bench.clock.sleep(0.5)
    assert counter.sync_rate_hz == 2.5e6
    assert sum(counter.count_rates_hz()) == pytest.approx(40_000, rel=0.1)
    assert counter.flags().fifo_overrun is False
    assert counter.warnings() == ()
    counter.stop()


@pytest.mark.parametrize(
    ("mode", "record_type", "resolution_ps"),
    [
        (TttrMode.T2, RecordType.TIMEHARP_260P_T2, 25.0),
        (TttrMode.T3, RecordType.TIMEHARP_260P_T3, 25.0),
    ],
)
def test_every_photon_comes_out_once_whatever_the_read_cadence(mode, record_type, resolution_ps):
    recorded = []
    for step_s in (0.1, 0.013, 1.0):
        bench = make_bench()
        with make_counter(bench, t2_sync_records="with_photons") as counter:
            counter.configure(CounterSettings(mode=mode))
            assert (counter.record_type, counter.resolution_ps) == (record_type, resolution_ps)
            recorded.append(record(counter, bench, 1.0, step_s))
    events = TttrDecoder(record_type).decode(recorded[0])
    assert len(events.time) == pytest.approx(40_000, rel=0.05)
    for other in recorded[1:]:
        np.testing.assert_array_equal(other, recorded[0])


def test_t2_and_t3_show_the_same_photons_through_the_driver():
    events = {}
    for mode in (TttrMode.T2, TttrMode.T3):
        bench = make_bench()
        with make_counter(bench, t2_sync_records="with_photons") as counter:
            counter.configure(CounterSettings(mode=mode))
            events[mode] = TttrDecoder(counter.record_type).decode(record(counter, bench, 1.0))
    t2, t3 = events.values()
    np.testing.assert_array_equal(t2.time, t3.time * PERIOD + t3.dtime)
    np.testing.assert_array_equal(t2.channel, t3.channel)


def test_stopping_early_keeps_what_was_recorded(bench, counter):
    counter.configure(CounterSettings())
    counter.start(100.0)
    bench.clock.sleep(1.0)
    counter.stop()
    events = TttrDecoder(counter.record_type).decode(counter.take())
    assert len(events.time) == pytest.approx(40_000, rel=0.05)
    assert len(counter.take()) == 0


def test_a_second_measurement_starts_anew(bench, counter):
    counter.configure(CounterSettings())
    first = record(counter, bench, 0.5)
    second = record(counter, bench, 0.5)
    decoded = [TttrDecoder(counter.record_type).decode(words) for words in (first, second)]
    assert all(events.time.max() < 1_250_000 for events in decoded)
    assert not np.array_equal(first, second)


def test_a_running_measurement_is_not_disturbed(bench, counter):
    counter.configure(CounterSettings())
    counter.start(1.0)
    with pytest.raises(InstrumentError, match="stop the measurement"):
        counter.configure(CounterSettings())
    with pytest.raises(InstrumentError, match="already running"):
        counter.start(1.0)
    counter.stop()


def test_the_histogram_equals_that_of_the_t3_micro_times():
    histograms = []
    for mode in (TttrMode.HISTOGRAM, TttrMode.T3):
        bench = make_bench()
        with make_counter(bench) as counter:
            counter.configure(CounterSettings(mode=mode))
            words = record(counter, bench, 1.0)
            if mode is TttrMode.HISTOGRAM:
                histograms.append(counter.histogram())
            else:
                events = TttrDecoder(counter.record_type).decode(words)
                per_input = [np.bincount(events.dtime[events.channel == k], minlength=32_768) for k in (0, 1)]
                histograms.append(np.array(per_input))
                with pytest.raises(InstrumentError, match="HISTOGRAM"):
                    counter.histogram()
    assert histograms[0].sum() > 35_000
    np.testing.assert_array_equal(*histograms)


def test_markers_of_the_potential_arrive():
    bench = make_bench(comparator=Comparator())
    with make_counter(bench) as counter:
        counter.configure(
            CounterSettings(
                marker_rising=(False, True, True, True), marker_enabled=(True, True, False, False)
            )
        )
        bench.apply_potential(1_000_000_000, np.zeros(2), np.zeros(2))
        bench.clock.sleep(0.01)
        counter.start(10.0)
        started_s = bench.clock.now()
        ramp = -np.abs(np.linspace(-1.0, 1.0, 1000)) + 0.999
        bench.apply_potential(1_000_000_000, -0.5 * ramp, -0.5 * ramp)
        bench.clock.sleep(1.5)
        assert bench.clock.now() == pytest.approx(started_s + 1.5)
        counter.stop()
        events = TttrDecoder(counter.record_type).decode(counter.take())
    assert events.marker_bits.tolist() == [1, 2]
    expected_s = np.array([0.02, 0.98])  # -0.02 V on a triangle of 0.5 V in 0.5 s
    np.testing.assert_allclose(events.marker_time / 2.5e6, expected_s, atol=0.005)


# ---- boards and libraries ----


def test_the_board_is_chosen_by_its_serial_number(bench):
    with make_counter(bench, serial="1000001") as counter:
        assert counter.connect().serial == "1000001"
    with pytest.raises(InstrumentError, match=r"no board with serial number 1000002.*found 1000001"):
        make_counter(bench, serial="1000002").connect()


def test_the_nano_is_set_by_its_edge_triggers(bench):
    with make_counter(bench, model="TimeHarp 260 N") as counter:
        counter.configure(CounterSettings(inputs=(InputSettings(cfd_level_mv=-100),)))
        assert counter.record_type is RecordType.TIMEHARP_260N_T3
        assert counter.resolution_ps == 250.0
        events = TttrDecoder(counter.record_type).decode(record(counter, bench, 0.5))
    assert set(events.channel) == {0}, "an input that is not named is off"
    assert events.dtime.max() < 1600


def test_a_nano_with_an_old_library_is_refused(bench, monkeypatch):
    counter = make_counter(bench, model="TimeHarp 260 N")
    monkeypatch.setattr("qdlab.instruments.picoquant.timeharp260.library_version", lambda library: "3.1")
    with pytest.raises(InstrumentError, match=r"3\.1 inverts the trigger edges"):
        counter.connect()


@pytest.mark.parametrize(
    ("features", "settings", "option"),
    [
        (Feature.DLL, CounterSettings(), "TTTR"),
        (Feature.DLL | Feature.TTTR, CounterSettings(marker_enabled=(True, False, False, False)), "MARKERS"),
        (
            Feature.DLL | Feature.TTTR,
            CounterSettings(inputs=(InputSettings(dead_time_code=3),)),
            "PROGRAMMABLE_DEAD_TIME",
        ),
    ],
)
def test_missing_options_are_named(bench, features, settings, option):
    with make_counter(bench, features=features) as counter:
        with pytest.raises(InstrumentError, match=f"needs the option {option}"):
            counter.configure(settings)
        counter.configure(CounterSettings(mode=TttrMode.HISTOGRAM))


def test_a_board_without_the_dll_option_is_refused_and_closed(bench):
    library = EmulatedTh260Lib(bench, features=Feature.TTTR)
    for _ in range(2):
        with pytest.raises(InstrumentError, match="INVALID_OPTION"):
            TimeHarp260(library, clock=bench.clock).connect()


def test_a_missing_library_is_told_with_what_to_do(tmp_path):
    with pytest.raises(VendorSoftwareMissingError, match=r"no_such.so.*Install the vendor's software"):
        th260lib.load(tmp_path / "no_such.so")


def test_errors_are_named_with_function_and_code():
    assert th260lib.error_text("SetSyncDiv", -17) == "TH260_SetSyncDiv failed: INVALID_ARGUMENT (-17)"
    assert "another program" in th260lib.error_text("OpenDevice", -16)
    assert "another program" in th260lib.error_text("OpenDevice", -11)
    assert "another program" in th260lib.error_text("OpenDevice", -2)
    assert "unknown error (-99)" in th260lib.error_text("ReadFiFo", -99)
    assert len(th260lib.ERRORS) == 12 + 15 + 6 + 17 + 11 + 1
    assert {code: th260lib.ERRORS[code] for code in (-12, -30, -37, -48, -56, -74, -80)} == {
        -12: "DEVICE_DRIVERVER_MISMATCH",
        -30: "THREADLOCK_FAIL",
        -37: "USB_BULKRD_FAIL",
        -48: "STATUS_FAIL",
        -56: "INVALID_LENGTH",
        -74: "EEPROM_F11",
        -80: "UNSUPPORTED_FUNCTION",
    }


# ---- faults ----


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("th260_fifo_overrun", "FiFo overrun: the count rate is higher"),
        ("th260_sync_lost", "sync lost: check that the laser runs"),
        ("th260_hardware_error", "hardware error: .*the board says: emulated board"),
        ("th260_dll_error", r"TH260_ReadFiFo failed: DMA_FAIL \(-24\)"),
    ],
)
def test_a_fault_during_a_measurement_is_raised_after_all_words_before_it(fault, sentence):
    bench = make_bench(fault)
    with make_counter(bench) as counter:
        counter.configure(CounterSettings())
        counter.start(3.0)
        words = []
        with pytest.raises(CountingError, match=sentence):
            fetch(counter, words, lambda: bench.clock.sleep(0.1))
        with pytest.raises(CountingError, match=sentence):
            counter.take()
        assert not counter.measuring
        events = TttrDecoder(counter.record_type).decode(np.concatenate(words))
    assert len(events.time) == pytest.approx(40_000, rel=0.05)
    assert events.time.max() == pytest.approx(2_500_000, rel=0.11)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("th260_open_fails", "no board could be opened: check that it is seated"),
        ("th260_busy", r"DEVICE_LOCKED \(-11\); another program may hold the board: close it"),
    ],
)
def test_a_board_that_cannot_be_opened_is_told_in_words(fault, sentence):
    with pytest.raises(InstrumentError, match=sentence):
        make_counter(make_bench(fault)).connect()


def test_a_failed_start_tells_what_the_board_says():
    bench = make_bench("th260_start_fails")
    with make_counter(bench) as counter:
        counter.configure(CounterSettings())
        with pytest.raises(InstrumentError, match=r"STATUS_FAIL \(-48\).*the board says: emulated board"):
            counter.start(1.0)
        assert not counter.measuring


def test_dark_detectors_and_dropped_events_are_told():
    bench = make_bench("th260_no_photons", "th260_events_dropped")
    with make_counter(bench) as counter:
        counter.configure(CounterSettings())
        assert "check shutter, detector and input level" in counter.warnings()[0]
        record(counter, bench, 1.5)
        assert counter.flags().events_dropped


def test_no_sync_is_a_warning_before_and_an_error_during_a_measurement():
    bench = make_bench()
    bench.sync_running = False
    with make_counter(bench) as counter:
        counter.configure(CounterSettings())
        assert counter.sync_rate_hz == 0.0
        assert "No pulses at the sync input" in counter.warnings()[0]
        counter.start(1.0)
        bench.clock.sleep(0.2)
        with pytest.raises(CountingError, match="sync lost"):
            counter.take()


def test_words_that_nobody_fetches_end_the_run_by_name(monkeypatch):
    monkeypatch.setattr("qdlab.sim.emulators.th260_recorder._HOST_WAIT_S", 0.2)
    bench = make_bench()
    bench.photons.ticks = np.arange(0, 3 * SECOND, 2_000)  # 20 MHz
    bench.photons.inputs = np.zeros(len(bench.photons.ticks), np.uint8)
    with make_counter(bench, fifo_words=300_000) as counter:
        counter.configure(CounterSettings())
        counter.start(3.0)
        for _ in range(70):  # the buffer is full after 13 ms, the FiFo after 28 ms
            bench.clock.sleep(0.001)
        words = []
        with pytest.raises(CountingError, match="nobody fetched until the buffer of 262144 words"):
            fetch(counter, words, lambda: time.sleep(0.005))
    assert 262_144 < sum(map(len, words)) <= 262_144 + 300_000


# ---- the drain against the interpreter lock, with a compiled library ----

STAND_IN = """
#include <time.h>
#include <unistd.h>
static double last, longest; static unsigned next;
static double now(void) {
  struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
int TH260_ReadFiFo(int d, unsigned *words, int count, int *n) {
  double t = now(); if (last && t - last > longest) longest = t - last; last = t;
  usleep(2000); for (int i = 0; i < 500; i++) words[i] = next++; *n = 500; return 0; }
int TH260_GetFlags(int d, int *flags) { *flags = 0; return 0; }
int TH260_CTCStatus(int d, int *over) { *over = 0; return 0; }
int TH260_GetSyncRate(int d, int *rate) { *rate = 1; return 0; }
int TH260_GetCountRate(int d, int channel, int *rate) { *rate = 10 + channel; return 0; }
int TH260_GetWarnings(int d, int *bits) { *bits = 0; return 0; }
int TH260_StopMeas(int d) { return 0; }
double longest_gap(void) { double g = longest; longest = 0; return g; }
"""


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """A compiled library with the functions that the drain calls."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform == "win32":
        pytest.skip("no C compiler on this machine")
    folder = tmp_path_factory.mktemp("stand_in")
    (folder / "th260.c").write_text(STAND_IN)
    subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", "-o", folder / "libth260.so", folder / "th260.c"], check=True
    )
    library = ctypes.CDLL(str(folder / "libth260.so"))
    for name, types in th260lib.PROTOTYPES.items():
        if name.removeprefix("TH260_") in STAND_IN:
            getattr(library, name).argtypes = types
    library.longest_gap.restype = ctypes.c_double
    return library


def test_a_library_that_lacks_a_function_is_told(stand_in):
    with pytest.raises(VendorSoftwareMissingError, match="no function TH260_GetLibraryVersion: it is too"):
        th260lib.load(stand_in._name)


def test_nothing_in_the_process_keeps_the_drain_from_the_fifo(stand_in):
    drain = FifoDrain(stand_in, 0, 2, buffer_words=MIN_BUFFER)
    drain.start()
    stand_in.longest_gap()
    started = time.monotonic()
    ctypes.PyDLL(None).usleep(500_000)  # called with the interpreter lock held: no other Python code runs
    held_s = time.monotonic() - started
    gap_s = stand_in.longest_gap()
    words = drain.take()
    assert drain.meters()[:2] == (1.0, (10.0, 11.0))
    drain.stop()
    assert held_s >= 0.5
    assert gap_s < 0.25, "half a second is what a drain in Python would have waited"
    assert len(words) > 500 * 20
    rest = drain.take()
    np.testing.assert_array_equal(np.append(words, rest), np.arange(len(words) + len(rest)))


def share_in_memory(array):
    """Which part of an array's pages the system has provided already, from the process's page table."""
    page = os.sysconf("SC_PAGE_SIZE")
    with open("/proc/self/pagemap", "rb") as table:
        table.seek(8 * -(-array.ctypes.data // page))
        entries = np.frombuffer(table.read(8 * (array.nbytes // page - 1)), np.uint64)
    return np.mean(entries >> np.uint64(62) != 0)  # present, or swapped


@pytest.mark.skipif(sys.platform != "linux", reason="the page table is read from /proc")
def test_the_buffer_has_all_its_memory_before_the_first_word_so_that_a_long_run_takes_no_more():
    drain = FifoDrain(EmulatedTh260Lib(make_bench()), 0, 2)
    assert drain._ring.nbytes == 4 * DEFAULT_BUFFER_WORDS
    assert share_in_memory(drain._ring) == 1.0
    assert len(drain.take()) == 0
