"""What three hours of cycling and the card's line rate need, in short: benchmarks/ has the long versions."""

import math

import h5py
import numpy as np
import pytest

from qdlab.analysis.cycles import average_cycles
from qdlab.analysis.decay_model import Background, Response, decay_probabilities, warped_edges
from qdlab.analysis.lifetime import LifetimeEstimator
from qdlab.analysis.potential import PotentialRecord, align_potential
from qdlab.formats.photon_hdf5 import CHUNK_PHOTONS, PhotonHdf5Writer, PhotonMeasurement
from qdlab.formats.photon_packing import INDEX_WORDS
from qdlab.formats.run_file import read_run_file
from qdlab.instruments.photon_counter import CounterSettings, TttrMode
from qdlab.instruments.picoquant.timeharp260 import TimeHarp260
from qdlab.procedures.analyses import analyze_run
from qdlab.procedures.config import locate
from qdlab.procedures.experiment import load_experiment
from qdlab.procedures.record import RunRecord
from qdlab.sim.clock import PS_PER_S, SimulatedClock
from qdlab.sim.emulators.timeharp260 import EmulatedTh260Lib
from qdlab.sim.physics.photons import Light
from qdlab.sim.samples import make_bench

CYCLES, SCAN_RATE_V_S = 34, 8.0


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    """Cycles that the potentiostat's memory holds in three blocks; the run file, and the words recorded."""
    from qdlab.procedures.run import execute_run, prepare_run

    words: list[np.ndarray] = []
    append = RunRecord.append_words
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunRecord, "append_words", lambda self, w: (words.append(w.copy()), append(self, w))[1])
        settings = (
            "hold_s=2",
            "flid_bin_s=0.002",
            f"cycles={CYCLES}",
            f"scan_rate_v_s={SCAN_RATE_V_S}",
            "sensitivity_a_v=1e-4",
        )
        run = prepare_run("cv_flid", out=tmp_path_factory.mktemp("runs"), overrides=settings, speed=math.inf)
        outcome = execute_run(run, lambda procedure: None, _never())
    assert outcome.status == "finished", outcome.reason
    return outcome.path, np.concatenate(words)


def _never():
    import threading

    return threading.Event()


@pytest.fixture(scope="module")
def line_rate(load_benchmark):
    """The benchmark that feeds the emulated card at its line rate, as a module."""
    return load_benchmark("line_rate")


# ---- the run file ----


def test_the_run_file_keeps_the_cards_own_words_where_they_can_be_mapped(long_run):
    path, words = long_run
    photons = read_run_file(path).photons
    np.testing.assert_array_equal(photons.words, words)
    assert not photons.words.flags.writeable
    with h5py.File(path) as file:
        assert file["user/qdlab/words"].id.get_offset() is not None
        np.testing.assert_array_equal(file["photon_data/timestamps"][:], photons.sync)
        np.testing.assert_array_equal(file["photon_data/nanotimes"][:], photons.dtime)
        np.testing.assert_array_equal(file["photon_data/detectors"][:], photons.channel)


def test_any_stretch_of_a_run_reads_as_the_same_part_of_the_whole(long_run):
    path, words = long_run
    photons = read_run_file(path).photons
    assert len(words) > 5 * INDEX_WORDS
    whole, rng = photons.events, np.random.default_rng(3)
    ends = np.sort(rng.integers(-10, whole.sync[-1] + 2000, (300, 2)), axis=1)
    borders = np.repeat(photons.words_overflow, 3) + np.tile([-1, 0, 700], len(photons.words_overflow))
    for first, end in [*ends.tolist(), *np.column_stack((borders, borders + 1500)).tolist(), (0, 0)]:
        found = photons.between(first, end)
        expected = whole.part(*np.searchsorted(whole.sync, [first, end]))
        for column, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(column, other)


def test_a_file_without_words_gives_the_same_results(long_run, tmp_path):
    path, _ = long_run
    old = tmp_path / "old.h5"
    old.write_bytes(path.read_bytes())
    with h5py.File(old, "r+") as file:
        del file["user/qdlab/words"], file["user/qdlab/words_overflow"]
    assert analyze_run(read_run_file(old)).summary() == analyze_run(read_run_file(path)).summary()


def test_words_repacked_by_another_program_are_still_read(long_run, tmp_path):
    path, words = long_run
    repacked = tmp_path / "repacked.h5"
    with h5py.File(path) as source, h5py.File(repacked, "w") as file:
        for name in source:
            source.copy(name, file)
        del file["user/qdlab/words"]
        file["user/qdlab"].create_dataset("words", data=words, chunks=True, compression=1)
    np.testing.assert_array_equal(read_run_file(repacked).photons.words, words)


def test_photons_appended_in_any_pieces_are_packed_alike(tmp_path):
    rng = np.random.default_rng(5)
    n = 3 * CHUNK_PHOTONS + 17
    sync = np.cumsum(rng.integers(0, 200, n))
    dtime, channel = rng.integers(0, 16000, n).astype(np.uint16), rng.integers(0, 2, n).astype(np.uint8)
    about = PhotonMeasurement(4e-7, 25e-12, laser_repetition_rate_hz=2.5e6)
    for k, cuts in enumerate(
        ([n], [1, CHUNK_PHOTONS, CHUNK_PHOTONS + 1, n], np.sort(rng.integers(0, n, 40)))
    ):
        with h5py.File(tmp_path / f"{k}.h5", "w") as file:
            writer, start = PhotonHdf5Writer(file, about), 0
            for stop in [*map(int, cuts), n]:
                writer.append(sync[start:stop], dtime[start:stop], channel[start:stop])
                start = stop
        with h5py.File(tmp_path / f"{k}.h5") as file:
            np.testing.assert_array_equal(file["photon_data/timestamps"][:], sync)
            np.testing.assert_array_equal(file["photon_data/nanotimes"][:], dtime)
            np.testing.assert_array_equal(file["photon_data/detectors"][:], channel)


def test_the_disk_is_estimated_to_hold_the_run(long_run):
    path, _ = long_run
    _, procedure = load_experiment(locate("cv_flid_long"))
    assert procedure.cycles == 540
    photons = read_run_file(path).photons
    with h5py.File(path) as file:
        packed = sum(
            file[f"photon_data/{name}"].id.get_storage_size()
            for name in file["photon_data"]
            if isinstance(file[f"photon_data/{name}"], h5py.Dataset)
        )
    assert packed / photons.n_photons == pytest.approx(3.5, abs=0.2)


# ---- many cycles ----


def test_cycles_stay_right_over_the_blocks_of_the_potentiostat(long_run):
    run = read_run_file(long_run[0])
    blocks = [r.about["first_cycle"] for r in run.potentiostat if r.about["technique"] == "CyclicVoltammetry"]
    assert len(blocks) == 3
    assert blocks[0] == 0
    result = analyze_run(run).result
    assert [s.source for s in result.timeline.sweeps] == ["marker"] * 3
    per_cycle = np.bincount(result.flid.cycle, minlength=CYCLES)
    assert len(per_cycle) == CYCLES
    assert np.ptp(per_cycle) <= 2
    for cycle in range(CYCLES):
        own = result.flid.potential_v[result.flid.cycle == cycle]
        assert own.min() < -1.9
        assert own[0] > -0.2
        assert own[-1] > -0.2


def test_the_tables_hold_both_sweeps_and_every_cycles_charge(long_run):
    tables = analyze_run(read_run_file(long_run[0])).tables()
    assert {"cycles_forward", "cycles_backward", "charge", "flid"} <= set(tables)
    assert len(tables["charge"]["cycle"]) == CYCLES
    both = [tables[f"cycles_{sweep}"] for sweep in ("forward", "backward")]
    total = sum(int(table["photons"].sum()) for table in both)
    assert total == pytest.approx(tables["flid"]["photons"].sum(), rel=0.02)
    for table in both:
        assert np.all(np.diff(table["potential_v"]) < 0)
        assert table["lifetime_ns"][-1] < 3 < 60 < table["lifetime_ns"][0]


def test_the_charge_is_the_one_that_the_electrode_lost(short_run):
    _, path = short_run("--set", "cycles=3", "--set", "hold_s=0")
    charge = analyze_run(read_run_file(path)).result.charge
    with h5py.File(path) as file:
        lost = file["user/qdlab/truth/cell"].attrs["damage_dose"] * 15e-3
    assert charge.dose_c_cm2 == pytest.approx(lost, rel=0.02)


@pytest.mark.parametrize("vertex_v", [-2.0, 2.0])
def test_a_planted_lag_of_the_dot_is_found_with_its_sign(vertex_v):
    found = averaged(lag_v=0.01, vertex_v=vertex_v)
    assert found.lag_v.value == pytest.approx(0.01, abs=4 * found.lag_v.error)
    assert found.lag_v.error < 0.002
    without = averaged(lag_v=0.0, vertex_v=vertex_v)
    assert abs(without.lag_v.value) < 4 * without.lag_v.error


def test_a_drift_is_found_where_there_is_one_and_nowhere_else():
    for loss in (0.0, 0.2):
        for drift in averaged(loss=loss).drifts:
            change = drift.rate_change
            mean = 1 - loss / 2
            assert change.value == pytest.approx(-loss / mean, abs=4 * change.error + 1e-3)
            assert change.error < 0.02


def averaged(*, lag_v: float = 0.0, loss: float = 0.0, vertex_v: float = -2.0, cycles: int = 40):
    """Cycles of a dot whose lifetime falls with the bias, as Poisson histograms, analyzed."""
    rng, bin_s, cycle_s = np.random.default_rng(11), 0.02, 4.0
    record_s = np.arange(1, round(cycles * cycle_s / 0.01) + 1) * 0.01
    speed_v_s = 2 * abs(vertex_v) / cycle_s

    def bias(time_s):
        return vertex_v * (1 - np.abs(1 - 2 * np.mod(time_s / cycle_s, 1.0)))

    record = PotentialRecord(record_s, bias(record_s), np.empty(0), 0.0, 1e-4, cycle_s)
    centre_s = (np.arange(round(cycles * cycle_s / bin_s)) + 0.5) * bin_s
    felt = np.abs(bias(centre_s - lag_v / 2 / speed_v_s))
    edges = warped_edges(80.0, 16000.0, 0.025)
    response = Response(400.0, 2.0, 0.17)
    grid_ns = np.geomspace(1.0, 100.0, 2000)
    shapes = decay_probabilities(grid_ns, edges * 0.025, response)
    row = np.rint((1 - 2 * felt / np.log(100.0)) * (len(grid_ns) - 1)).astype(int)
    rate_hz = 30e3 * (1 - loss * centre_s / centre_s[-1])
    histograms = rng.poisson(shapes[row] * rate_hz[:, None] * bin_s).astype(np.uint32)
    estimator = LifetimeEstimator(edges, 0.025, response, Background(0.0, 0.0, 0.3))
    timeline = align_potential([record], np.empty(0), np.empty(0, np.uint8), None)
    result = average_cycles(histograms, bin_s, estimator, timeline, 0.0, vertex_v)
    assert result is not None
    return result


# ---- the clock that lets its followers lag ----


def test_a_lagging_clock_calls_its_followers_rarely_and_never_too_late():
    clock, seen = SimulatedClock(), []
    clock.follow(seen.append)
    with clock.lagging():
        for _ in range(35):
            clock.sleep(0.1)
            assert clock.now_ps - (seen[-1] if seen else 0) < clock.max_lag_s * PS_PER_S
        assert len(seen) == 3
    assert seen[-1] == clock.now_ps
    clock.sleep(0.1)
    assert seen[-1] == clock.now_ps


def test_a_paced_clock_never_lags():
    clock, seen = SimulatedClock(1000.0), []
    clock.follow(seen.append)
    with clock.lagging():
        clock.sleep(0.05)
        assert seen[-1] == clock.now_ps


def test_light_that_changes_while_the_clock_lags_changes_at_its_instant():
    pulses = {}
    for lags in (False, True):
        bench = make_bench("batch_1", seed=4, speed=math.inf)
        pulses[lags] = []
        bench.on_photons(lambda _, ticks, inputs, into=pulses[lags]: into.append(ticks))

        def run(bench=bench):
            for k in range(9):
                bench.clock.sleep(0.1)
                bench.set_light(Light(emitting=k % 2 == 0))

        if lags:
            with bench.clock.lagging():
                run()
        else:
            run()
    np.testing.assert_array_equal(np.concatenate(pulses[True]), np.concatenate(pulses[False]))


# ---- line rate ----


def test_at_forty_million_counts_per_second_every_word_is_fetched(line_rate):
    bench = make_bench("blank", seed=1, speed=math.inf)
    source = line_rate.CountedPhotons(40e6)
    bench.photons = source
    bench.set_light(Light(emitting=True))
    counter = TimeHarp260(EmulatedTh260Lib(bench), clock=bench.clock)
    counter.connect()
    counter.configure(CounterSettings(mode=TttrMode.T3))
    counter.start(10.0)
    source.sent, words = 0, 0
    for _ in range(3):
        bench.clock.sleep(0.1)
        words += len(counter.take())
    counter.stop()
    words += len(counter.take())
    assert not counter.flags().fifo_overrun
    overflows = round(0.3 * 2.5e6 / 1024)
    assert source.sent == pytest.approx(0.3 * 40e6, rel=1e-3)
    assert words == pytest.approx(source.sent + overflows, abs=100)
    counter.disconnect()


def test_photons_at_a_high_rate_are_stored_in_order_and_whole(line_rate, tmp_path):
    result = line_rate.measure(2e6, 0.5, math.inf, tmp_path)
    assert result.status == "finished"
    assert result.stored == result.sent > 5e6
