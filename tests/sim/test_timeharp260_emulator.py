"""The emulated TH260Lib, called as the vendor's library is: through C pointers, in good and bad order."""

import ctypes
import threading

import numpy as np
import pytest

from qdlab.formats.tttr import RecordType, TttrDecoder
from qdlab.instruments.picoquant import th260lib
from qdlab.instruments.picoquant.th260lib import Feature, Flag, Warn
from qdlab.sim.bench import Bench, Comparator, Faults
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.timeharp260 import EmulatedTh260Lib
from qdlab.sim.physics.cell import Cell

CODE = {name: code for code, name in th260lib.ERRORS.items()}
PERIOD = 16_000
NS = 40
SECOND = 40_000_000_000


class ListedPhotons:
    """Detector pulses from a list."""

    def __init__(self, ticks, inputs):
        order = np.argsort(ticks, kind="stable")
        self.ticks, self.inputs = np.asarray(ticks, np.int64)[order], np.asarray(inputs, np.uint8)[order]
        self.done = 0

    def advance(self, until, edges, bias, light):
        n = int(np.searchsorted(self.ticks, until))
        since, self.done = self.done, n
        return self.ticks[since:n], self.inputs[since:n]

    def truth(self):
        return {}


def make_bench(ticks=(), inputs=(), **options):
    return Bench(SimulatedClock(), seed=1, cell=Cell(seed=1), photons=ListedPhotons(ticks, inputs), **options)


def random_photons(n=40_000, seconds=2.0, seed=5):
    rng = np.random.default_rng(seed)
    ticks = np.sort(rng.integers(0, round(seconds * SECOND), n))
    return ticks, rng.integers(0, 2, n)


def initialised(bench, mode=3, **options):
    lib = EmulatedTh260Lib(bench, **options)
    assert lib.TH260_OpenDevice(0, ctypes.create_string_buffer(8)) == 0
    assert lib.TH260_Initialize(0, mode) == 0
    return lib


def get(lib, function, *arguments, kind=ctypes.c_int):
    value = kind()
    assert getattr(lib, f"TH260_{function}")(0, *arguments, ctypes.byref(value)) == 0
    return value.value


def read(lib, count=th260lib.READ_MAX_WORDS):
    buffer, n = (ctypes.c_uint * count)(), ctypes.c_int()
    code = lib.TH260_ReadFiFo(0, buffer, count, ctypes.byref(n))
    assert code == 0, th260lib.ERRORS[code]
    return np.array(buffer[: n.value], np.uint32)


def record(lib, bench, duration_ms, step_s=0.1, count=th260lib.READ_MAX_WORDS):
    """All words of one measurement, read between steps of the clock."""
    assert lib.TH260_StartMeas(0, duration_ms) == 0
    words = []
    while get(lib, "CTCStatus") == 0:
        bench.clock.sleep(step_s)
        while len(block := read(lib, count)):
            words.append(block)
    assert lib.TH260_StopMeas(0) == 0
    return np.concatenate(words) if words else np.empty(0, np.uint32)


def decode(words, mode=3):
    types = {2: RecordType.TIMEHARP_260P_T2, 3: RecordType.TIMEHARP_260P_T3}
    return TttrDecoder(types[mode]).decode(words)


# ---- refusals ----


def test_order_is_kept():
    lib = EmulatedTh260Lib(make_bench())
    assert lib.TH260_Initialize(0, 3) == CODE["DEVICE_NOT_OPEN"]
    assert lib.TH260_OpenDevice(1, ctypes.create_string_buffer(8)) == CODE["DEVICE_OPEN_FAIL"]
    assert lib.TH260_OpenDevice(4, ctypes.create_string_buffer(8)) == CODE["INVALID_ARGUMENT"]
    assert lib.TH260_OpenDevice(0, ctypes.create_string_buffer(8)) == 0
    assert lib.TH260_OpenDevice(0, ctypes.create_string_buffer(8)) == CODE["DEVICE_BUSY"]
    assert lib.TH260_SetSyncDiv(0, 1) == CODE["NOT_INITIALIZED"]
    assert lib.TH260_StartMeas(0, 1000) == CODE["NOT_INITIALIZED"]
    assert lib.TH260_Initialize(0, 1) == CODE["INVALID_ARGUMENT"]
    assert lib.TH260_Initialize(0, 3) == 0
    assert lib.TH260_StartMeas(0, 1000) == 0
    assert lib.TH260_StartMeas(0, 1000) == CODE["INSTANCE_RUNNING"]
    assert lib.TH260_SetBinning(0, 1) == CODE["INSTANCE_RUNNING"]
    assert lib.TH260_StopMeas(0) == 0
    assert [lib.TH260_CloseDevice(index) for index in range(4)] == [0, 0, 0, 0]
    assert lib.TH260_SetSyncDiv(0, 1) == CODE["DEVICE_NOT_OPEN"]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("SetSyncDiv", (3,)),
        ("SetSyncCFD", (1, -10)),
        ("SetSyncCFD", (-50, -41)),
        ("SetInputCFD", (2, -50, -10)),
        ("SetInputCFD", (0, -1201, -10)),
        ("SetInputChannelOffset", (0, 100_000)),
        ("SetSyncChannelOffset", (-100_000,)),
        ("SetInputChannelEnable", (0, 2)),
        ("SetInputDeadTime", (0, 8)),
        ("SetBinning", (22,)),
        ("SetOffset", (100_000_001,)),
        ("SetMarkerEdges", (0, 1, 2, 1)),
        ("SetMarkerHoldoffTime", (25_501,)),
        ("SetTriggerOutput", (16_777_216,)),
        ("StartMeas", (0,)),
        ("StartMeas", (360_000_001,)),
        ("SetStopOverflow", (1, 0)),
    ],
)
def test_values_outside_the_limits_are_invalid_arguments(function, arguments):
    lib = initialised(make_bench())
    assert getattr(lib, f"TH260_{function}")(0, *arguments) == CODE["INVALID_ARGUMENT"]


@pytest.mark.parametrize("count", [0, 127, 131_073])
def test_readfifo_takes_a_number_of_records(count):
    lib = initialised(make_bench())
    n = ctypes.c_int()
    assert (
        lib.TH260_ReadFiFo(0, (ctypes.c_uint * 131_073)(), count, ctypes.byref(n)) == CODE["INVALID_ARGUMENT"]
    )


def test_calls_belong_to_their_mode():
    n = ctypes.c_int()
    histogram = initialised(make_bench(), mode=0)
    assert histogram.TH260_ReadFiFo(0, (ctypes.c_uint * 128)(), 128, ctypes.byref(n)) == CODE["INVALID_MODE"]
    assert histogram.TH260_SetMarkerEnable(0, 1, 0, 0, 0) == CODE["INVALID_MODE"]
    t3 = initialised(make_bench(), mode=3)
    assert t3.TH260_GetHistogram(0, (ctypes.c_uint * 32768)(), 0, 0) == CODE["INVALID_MODE"]
    assert t3.TH260_ClearHistMem(0) == CODE["INVALID_MODE"]


def test_unlicensed_options_are_refused():
    lib = initialised(make_bench(), mode=0, features=Feature.DLL)
    assert lib.TH260_Initialize(0, 3) == CODE["INVALID_OPTION"]
    assert lib.TH260_SetInputDeadTime(0, 0, 1) == CODE["INVALID_OPTION"]
    assert lib.TH260_SetTimingMode(0, 1) == CODE["INVALID_OPTION"]
    no_markers = initialised(make_bench(), mode=3, features=Feature.DLL | Feature.TTTR)
    assert no_markers.TH260_SetMarkerEnable(0, 1, 0, 0, 0) == CODE["INVALID_OPTION"]


def test_each_board_type_has_its_own_inputs():
    p, n = (initialised(make_bench(), model=f"TimeHarp 260 {kind}") for kind in "PN")
    assert p.TH260_SetSyncEdgeTrg(0, -50, 0) == CODE["UNSUPPORTED_FUNCTION"]
    assert p.TH260_SetInputEdgeTrg(0, 0, -50, 0) == CODE["UNSUPPORTED_FUNCTION"]
    assert n.TH260_SetSyncCFD(0, -50, -10) == CODE["UNSUPPORTED_FUNCTION"]
    assert n.TH260_SetInputCFD(0, 0, -50, -10) == CODE["UNSUPPORTED_FUNCTION"]
    assert n.TH260_SetInputDeadTime(0, 0, 1) == CODE["UNSUPPORTED_FUNCTION"]
    assert n.TH260_SetInputEdgeTrg(0, 0, 1200, 1) == 0
    assert n.TH260_SetTimingMode(0, 0) == CODE["UNSUPPORTED_FUNCTION"]


def test_arguments_are_converted_as_c_does():
    lib = initialised(make_bench())
    buffer = (ctypes.c_uint * 128)()
    with pytest.raises(ctypes.ArgumentError):
        lib.TH260_ReadFiFo(0, buffer, 128, ctypes.byref(ctypes.c_int64()))
    with pytest.raises(ctypes.ArgumentError):
        lib.TH260_GetWarningsText(0, 1, ctypes.create_string_buffer(16384))
    with pytest.raises(ctypes.ArgumentError):
        lib.TH260_SetSyncDiv(0, 1.0)
    with pytest.raises(AttributeError, match="SetMarkerHoldoff"):
        lib.TH260_SetMarkerHoldoff(0, 100)


# ---- meters ----


def test_rates_are_those_of_the_last_100_ms_gate():
    ticks = np.arange(0, SECOND, 10_000_000)  # 4 kHz
    bench = make_bench(ticks, np.zeros(len(ticks)))
    lib = initialised(bench)
    assert get(lib, "GetSyncRate") == 0, "no gate has passed yet"
    assert get(lib, "GetSyncPeriod", kind=ctypes.c_double) == pytest.approx(400e-9)
    bench.clock.sleep(0.15)
    assert get(lib, "GetSyncRate") == 2_500_000
    assert [get(lib, "GetCountRate", k) for k in (0, 1)] == [4000, 0]
    bench.clock.sleep(1.2)
    assert get(lib, "GetCountRate", 0) == 0
    bench.sync_running = False
    assert get(lib, "GetSyncRate") == 0


def test_the_sync_rate_does_not_depend_on_the_divider():
    bench = make_bench()
    lib = initialised(bench)
    lib.TH260_SetSyncDiv(0, 8)
    bench.clock.sleep(0.15)
    assert get(lib, "GetSyncRate") == 2_500_000


def test_a_level_above_the_pulses_counts_nothing():
    bench = make_bench(*random_photons())
    lib = initialised(bench)
    lib.TH260_SetInputCFD(0, 0, -300, -10)
    words = record(lib, bench, 500)
    assert get(lib, "GetCountRate", 0) == 0
    assert get(lib, "GetCountRate", 1) > 0
    assert set(decode(words).channel) == {1}


def test_warnings_follow_from_the_rates_that_were_read():
    rng = np.random.default_rng(2)
    bench = make_bench(np.sort(rng.integers(0, SECOND, 500_000)), np.zeros(500_000))
    lib = initialised(bench)
    assert get(lib, "GetWarnings") == 0, "no rate was read yet"
    lib.TH260_SetOffset(0, 5)
    bench.clock.sleep(0.5)
    for function, *arguments in (("GetSyncRate",), ("GetCountRate", 0), ("GetCountRate", 1)):
        get(lib, function, *arguments)
    warnings = Warn(get(lib, "GetWarnings"))
    assert warnings == Warn.INPUT_RATE_ZERO | Warn.INPUT_RATE_RATIO | Warn.OFFSET_UNNECESSARY
    text = ctypes.create_string_buffer(16384)
    assert lib.TH260_GetWarningsText(0, text, int(warnings)) == 0
    assert text.value.decode().split() == ["INPUT_RATE_ZERO", "INPUT_RATE_RATIO", "OFFSET_UNNECESSARY"]


# ---- records ----


def test_t3_words_hold_sync_number_and_micro_time_from_the_first_sync_on():
    pulses = [7 * PERIOD + 3, 7 * PERIOD + 9_000, 5_000_000 * PERIOD + 15_999]
    bench = make_bench(pulses, [0, 1, 1])
    lib = initialised(bench)
    bench.clock.sleep(2.5 * PERIOD * 25e-12)  # StartMeas between sync 2 and sync 3
    events = decode(record(lib, bench, 3000))
    assert events.time.tolist() == [4, 4, 4_999_997]
    assert events.dtime.tolist() == [3, 9_000, 15_999]
    assert events.channel.tolist() == [0, 1, 1]


def test_t2_and_t3_show_the_same_photons():
    ticks, inputs = random_photons()
    runs = {}
    for mode in (2, 3):
        bench = make_bench(ticks, inputs)
        runs[mode] = decode(record(initialised(bench, mode), bench, 2000), mode)
    np.testing.assert_array_equal(runs[2].time, runs[3].time * PERIOD + runs[3].dtime)
    np.testing.assert_array_equal(runs[2].channel, runs[3].channel)
    assert len(runs[3].time) > 39_000
    np.testing.assert_array_equal(np.unique(runs[2].sync_time % PERIOD), [0])
    assert len(runs[2].sync_time) == 5_000_000


def test_t2_can_keep_only_the_syncs_that_photons_follow():
    ticks, inputs = random_photons()
    bench = make_bench(ticks, inputs)
    lib = initialised(bench, 2, t2_sync_records="with_photons")
    events = decode(record(lib, bench, 2000), 2)
    np.testing.assert_array_equal(events.sync_time, np.unique(events.time // PERIOD) * PERIOD)


def test_the_sync_divider_thins_out_the_syncs_of_t2():
    bench = make_bench()
    lib = initialised(bench, 2)
    lib.TH260_SetSyncDiv(0, 8)
    syncs = decode(record(lib, bench, 10), 2).sync_time
    assert set(np.diff(syncs)) == {8 * PERIOD}


@pytest.mark.parametrize("mode", [2, 3])
def test_words_do_not_depend_on_steps_or_read_sizes(mode):
    ticks, inputs = random_photons()
    shown = ticks % SECOND < 0.6 * SECOND  # dark pauses, and flashes around the ends of the steps
    flashes = (np.arange(1, 150) * 12_300_000_000 // 25)[:, None] + np.arange(-120, 120, 30) * NS
    ticks = np.append(ticks[shown], flashes)
    inputs = np.append(inputs[shown], np.arange(flashes.size) % 2)
    recorded = []
    for step_s, count in ((0.1, 131_072), (0.0123, 128), (0.7, 4096)):
        bench = make_bench(ticks, inputs)
        lib = initialised(bench, mode, t2_sync_records="with_photons")
        lib.TH260_SetInputChannelOffset(0, 1, -77_777)
        lib.TH260_SetInputDeadTime(0, 0, 5)
        recorded.append(record(lib, bench, 2000, step_s, count))
    assert len(recorded[0]) > 20_000
    for other in recorded[1:]:
        np.testing.assert_array_equal(recorded[0], other)


def test_an_idle_stream_still_tells_that_time_goes_on():
    bench = make_bench()
    lib = initialised(bench)
    decoder = TttrDecoder(RecordType.TIMEHARP_260P_T3)
    assert lib.TH260_StartMeas(0, 10_000) == 0
    for second in (1, 2, 3):
        bench.clock.sleep(1.0)
        decoder.decode(read(lib))
        assert decoder.last_time == pytest.approx(second * 2_500_000, abs=1024)


def test_channel_offsets_delay_and_disabled_inputs_are_silent():
    pulses = np.arange(1, 100) * 10 * PERIOD
    bench = make_bench(np.append(pulses, pulses), np.repeat([0, 1], 99))
    lib = initialised(bench)
    lib.TH260_SetInputChannelOffset(0, 0, 10_000)
    lib.TH260_SetSyncChannelOffset(0, -2_500)
    lib.TH260_SetInputChannelEnable(0, 1, 0)
    events = decode(record(lib, bench, 100))
    assert set(events.dtime) == {(10_000 + 2_500) // 25}
    assert set(events.channel) == {0}


def test_binning_and_offset_change_the_micro_time_and_late_ones_are_lost():
    bench = make_bench([10 * PERIOD + 8_000, 20 * PERIOD + 399], [0, 0])
    lib = initialised(bench)
    lib.TH260_SetBinning(0, 2)
    lib.TH260_SetOffset(0, 10)
    assert get(lib, "GetResolution", kind=ctypes.c_double) == 100.0
    events = decode(record(lib, bench, 10))
    assert events.dtime.tolist() == [(8_000 - 10 * NS) >> 2], "a photon before the offset is not recorded"


@pytest.mark.parametrize(("code", "dead_ns"), [(None, 25), (1, 44), (7, 180)])
def test_dead_times_hold_per_input(code, dead_ns):
    start = 1000 * PERIOD
    pulses = start + np.arange(300) * NS  # one per nanosecond, on both inputs
    bench = make_bench(np.append(pulses, pulses), np.repeat([0, 1], 300))
    lib = initialised(bench, 2)
    if code is not None:
        assert lib.TH260_SetInputDeadTime(0, 0, code) == 0
    events = decode(record(lib, bench, 10), 2)
    times = events.time[events.channel == 0]
    converted = np.arange(0, 300, 25)  # the converter itself is blind for 25 ns
    expected = [0]
    for t in converted:
        if t - expected[-1] >= dead_ns:
            expected.append(t)
    assert ((times - times[0]) // NS).tolist() == expected
    other = events.time[events.channel == 1]
    assert ((other - other[0]) // NS).tolist() == converted.tolist()


def test_the_histogram_is_that_of_the_t3_micro_times():
    ticks, inputs = random_photons()
    t3_bench, bench = make_bench(ticks, inputs), make_bench(ticks, inputs)
    events = decode(record(initialised(t3_bench), t3_bench, 2000))
    lib = initialised(bench, 0)
    assert lib.TH260_ClearHistMem(0) == 0
    assert lib.TH260_StartMeas(0, 2000) == 0
    bench.clock.sleep(2.0)
    assert get(lib, "CTCStatus") != 0
    assert lib.TH260_StopMeas(0) == 0
    for channel in (0, 1):
        counts = (ctypes.c_uint * 32768)()
        assert lib.TH260_GetHistogram(0, counts, channel, 1) == 0
        expected = np.bincount(events.dtime[events.channel == channel], minlength=32768)
        np.testing.assert_array_equal(np.array(counts), expected)
    assert lib.TH260_GetHistogram(0, counts, 1, 0) == 0
    assert sum(counts) == 0


def test_the_nano_has_its_own_resolution():
    bench = make_bench([10 * PERIOD + 8_000], [0])
    lib = initialised(bench, model="TimeHarp 260 N")
    resolution, steps = ctypes.c_double(), ctypes.c_int()
    assert lib.TH260_GetBaseResolution(0, ctypes.byref(resolution), ctypes.byref(steps)) == 0
    assert (resolution.value, steps.value) == (250.0, 22)
    assert decode(record(lib, bench, 10)).dtime.tolist() == [800]


# ---- markers ----


def edges(bench, *potentials_v):
    for potential_v in potentials_v:
        bench.apply_potential(1_000_000_000, np.full(2, potential_v), np.full(2, potential_v))
        bench.clock.sleep(0.05)


@pytest.mark.parametrize(
    ("rising", "bits"),
    [
        ((0, 1, 1, 1), [1, 2]),  # as wired: input 1 falling, input 2 rising
        ((1, 1, 1, 1), [3]),  # both on the rising edge: one record with both bits
    ],
)
def test_the_comparators_line_fires_each_input_on_the_edge_it_is_set_to(rising, bits):
    bench = make_bench(comparator=Comparator())
    lib = initialised(bench)
    assert lib.TH260_SetMarkerEdges(0, *rising) == 0
    assert lib.TH260_SetMarkerEnable(0, 1, 1, 0, 0) == 0
    bench.apply_potential(1_000_000_000, np.zeros(2), np.zeros(2))
    bench.clock.sleep(0.01)
    assert lib.TH260_StartMeas(0, 10_000) == 0
    edges(bench, -0.5, 0.0)
    events = decode(read(lib))
    assert events.marker_bits.tolist() == bits
    assert len(events.time) == 0


def test_lines_that_are_not_enabled_give_no_markers():
    bench = make_bench(comparator=Comparator())
    lib = initialised(bench)
    lib.TH260_SetMarkerEdges(0, 0, 1, 1, 1)
    lib.TH260_SetMarkerEnable(0, 0, 1, 0, 0)
    lib.TH260_StartMeas(0, 10_000)
    edges(bench, 0.0, -0.5, 0.0)
    assert decode(read(lib)).marker_bits.tolist() == [2]


def test_a_line_is_blind_for_the_holdoff_time():
    bench = make_bench()
    lib = initialised(bench)
    lib.TH260_SetMarkerEnable(0, 1, 1, 0, 0)
    lib.TH260_SetMarkerHoldoffTime(0, 10_000)
    lib.TH260_StartMeas(0, 1000)
    start = 1000 * PERIOD
    ticks = start + np.array([0, 9_000, 9_500, 10_000, 30_000]) * NS
    for listener in bench._marker_listeners:
        listener(ticks, np.array([1, 1, 2, 1, 1], np.uint8))
    bench.clock.sleep(0.1)
    events = decode(read(lib))
    assert events.marker_bits.tolist() == [1, 2, 1, 1]
    assert events.marker_time.tolist() == [
        1000,
        1000 + 9_500 // 400,
        1000 + 10_000 // 400,
        1000 + 30_000 // 400,
    ]


# ---- end, FiFo, faults ----


def test_queued_records_stay_readable_when_the_time_is_over():
    ticks, inputs = random_photons()
    bench = make_bench(ticks, inputs)
    lib = initialised(bench)
    lib.TH260_StartMeas(0, 500)
    bench.clock.sleep(2.0)
    assert get(lib, "CTCStatus") != 0
    assert get(lib, "GetElapsedMeasTime", kind=ctypes.c_double) == 500.0
    events = decode(read(lib))
    assert len(events.time) == np.count_nonzero(ticks < SECOND // 2) - dead_time_losses(
        ticks, inputs, SECOND // 2
    )


def dead_time_losses(ticks, inputs, until):
    lost = 0
    for channel in (0, 1):
        last = -(10**9)
        for tick in ticks[(inputs == channel) & (ticks < until)]:
            if tick - last < 25 * NS:
                lost += 1
            else:
                last = tick
    return lost


def test_a_full_fifo_raises_its_flag_and_takes_nothing_more():
    bench = make_bench(*random_photons())
    lib = initialised(bench, fifo_words=1000)
    lib.TH260_StartMeas(0, 2000)
    bench.clock.sleep(1.0)
    assert Flag(get(lib, "GetFlags")) == Flag.FIFO_FULL
    assert len(read(lib)) == 1000
    bench.clock.sleep(0.5)
    assert len(read(lib)) == 0


def test_the_clock_waits_for_a_host_that_reads_in_a_thread_of_its_own():
    bench = make_bench(*random_photons())
    lib = initialised(bench, fifo_words=5_000)
    lib.TH260_StartMeas(0, 2000)
    words = []
    reading = threading.Event()

    def host():
        while get(lib, "CTCStatus") == 0:
            words.append(read(lib))
            reading.set()
        words.append(read(lib))
        lib.TH260_StopMeas(0)

    thread = threading.Thread(target=host)
    thread.start()
    reading.wait()
    bench.clock.sleep(2.0)
    thread.join()
    assert get(lib, "GetFlags") == 0
    assert len(decode(np.concatenate(words)).time) > 39_000


@pytest.mark.parametrize(
    ("fault", "flag"),
    [
        ("th260_fifo_overrun", Flag.FIFO_FULL),
        ("th260_sync_lost", Flag.SYNC_LOST),
        ("th260_hardware_error", Flag.SYSTEM_ERROR),
    ],
)
@pytest.mark.parametrize("step_s", [0.03, 0.7])
def test_faults_end_the_records_after_one_second(fault, flag, step_s):
    ticks, inputs = random_photons()
    bench = make_bench(ticks, inputs, faults=Faults(frozenset({fault})))
    lib = initialised(bench)
    events = decode(record(lib, bench, 2000, step_s))
    assert Flag(get(lib, "GetFlags")) == flag
    expected = np.count_nonzero(ticks < SECOND) - dead_time_losses(ticks, inputs, SECOND)
    assert len(events.time) == expected


def test_a_sync_that_changes_its_rate_is_lost():
    bench = make_bench(*random_photons())
    lib = initialised(bench)
    lib.TH260_StartMeas(0, 2000)
    bench.clock.sleep(0.5)
    bench.sync_running = False
    bench.clock.sleep(0.5)
    assert Flag(get(lib, "GetFlags")) == Flag.SYNC_LOST
    assert decode(read(lib)).time.max() < 1_250_000


def test_dropped_events_are_told():
    ticks, inputs = random_photons()
    bench = make_bench(ticks, inputs, faults=Faults(frozenset({"th260_events_dropped"})))
    lib = initialised(bench)
    events = decode(record(lib, bench, 2000))
    assert Flag(get(lib, "GetFlags")) == Flag.EVENTS_DROPPED
    early, late = np.histogram(events.time, [0, 2_500_000, 5_000_000])[0]
    assert late / early == pytest.approx(0.9, abs=0.03)
