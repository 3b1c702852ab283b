"""T2Scan: planted beats come back, and on the twin the signal is that of its sample."""

from pathlib import Path

import numpy as np
import pytest

from qdlab.analysis.twodes.t2_traces import T2Signals, find_t2_traces
from qdlab.analysis.twodes.units import W
from qdlab.formats.run_file import read_run_file
from qdlab.procedures.analyses.t2_scan import T2ScanAnalysis, t2_signals
from qdlab.procedures.station import Station, open_rig
from qdlab.sim.physics.pulses import Pulse

from .conftest import read_json

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def run(qdlab, small_station, tmp_path):
    """Run T2Scan on a station with few dimers; returns how it ended and the run file's path."""

    def call(where, *arguments, **parameters):
        path = small_station(tmp_path, where, dimers=40)
        sets = [word for key, value in parameters.items() for word in ("--set", f"{key}={value}")]
        ended = qdlab("run", "t2_scan", "--station", path, "--out", tmp_path / "runs", *sets, *arguments)
        lines = ended.out.strip().splitlines()
        return ended, Path(lines[-1]) if lines else None

    return call


# ---- analysis ----

PLANTED = {-840.0: 400.0, -470.0: 150.0, 120.0: 800.0}


def planted_signals(noise, seed=3):
    rng = np.random.default_rng(seed)
    t2_fs, w3_cm = 8.0 * np.arange(120), np.arange(16_400.0, 20_000.0, 60.0)
    signal = np.multiply.outer(1 + np.exp(-t2_fs / 1500), np.exp(-(((w3_cm - 18_000) / 900) ** 2)))
    signal = signal.astype(complex)
    for w2_cm, dephasing_fs in PLANTED.items():
        beat = np.exp(-t2_fs / dephasing_fs - 1j * W * w2_cm * t2_fs)
        signal += 0.2 * np.multiply.outer(beat, np.exp(-(((w3_cm - 18_000 - w2_cm) / 500) ** 2)))
    signal += noise * (rng.standard_normal(signal.shape) + 1j * rng.standard_normal(signal.shape))
    return T2Signals(0.0, t2_fs, w3_cm, signal, signal.conj())


def test_planted_beats_come_back_with_their_sign_and_dephasing():
    found = find_t2_traces(planted_signals(0.01), [17_200.0])
    beats = {beat.w2_cm.value: beat for beat in found.fit.beats}
    for w2_cm, dephasing_fs in PLANTED.items():
        beat = beats[min(beats, key=lambda value: abs(value - w2_cm))]
        assert abs(beat.w2_cm.value - w2_cm) < 4 * beat.w2_cm.error < 4.0
        assert abs(beat.dephasing_fs.value - dephasing_fs) < 4 * beat.dephasing_fs.error
    (trace,) = found.traces
    assert trace.w3_cm == pytest.approx(17_200, abs=30)
    late = found.signals.t2_fs >= 48
    assert np.abs(trace.fitted - trace.signal)[late].max() < 0.06
    strongest = found.beating.w2_cm[np.argmax(np.abs(trace.spectrum))]
    assert strongest == pytest.approx(-840.0, abs=20.0)


def test_too_few_t2_tell_no_beats():
    signals = planted_signals(0.01)
    few = T2Signals(0.0, signals.t2_fs[:20], signals.w3_cm, signals.rephasing[:20], signals.nonrephasing[:20])
    with pytest.raises(ValueError, match="too few to tell beats: take 24 or more"):
        find_t2_traces(few, [])


# ---- on the twin ----

LATER = {"t2_start_fs": 40, "t2_step_fs": 60, "t2_points": 3, "allow_aliasing": 1}
"""Not at t2 = 0, where attoseconds of the stage decide which pulse comes first."""


@pytest.mark.parametrize("t1_fs", [0.0, 30.0])
def test_the_signals_on_the_twin_are_those_of_its_sample(run, tmp_path, t1_fs):
    _, path = run("coherence_simulated", **LATER, t1_fs=t1_fs, averages=25)
    found = t2_signals(read_run_file(path))
    frame = np.exp(-1j * W * 18_200 * t1_fs)
    with open_rig(Station.load(tmp_path / "coherence_simulated.toml")) as rig:
        for k, t2_fs in enumerate(found.t2_fs):
            rephasing = frame * planted_rephasing(rig.bench.sample, t1_fs, float(t2_fs), found.w3_cm)
            overlap = np.vdot(rephasing, found.rephasing[k])
            norms = np.linalg.norm(rephasing) * np.linalg.norm(found.rephasing[k])
            assert abs(overlap) / norms > 0.995
            assert np.angle(overlap) == pytest.approx(0.0, abs=0.03)


def planted_rephasing(sample, t1_fs, t2_fs, w3_cm):
    """R by hand: three phases of each pump pulse, as many fields, one signature."""
    probe, steps = Pulse(t2_fs, 1.0 + 0j), np.exp(2j * np.pi * np.arange(3) / 3)
    total = np.zeros(len(w3_cm), complex)
    for one in steps:
        for two in steps:
            pump = (Pulse(-t1_fs, 0.5 * one), Pulse(0.0, 0.5 * two))
            total += sample.signal_field(pump, probe, w3_cm) * one * np.conj(two)
    return total / 9


def test_a_scan_ends_in_a_table_of_beats_and_a_picture(run, qdlab, tmp_path):
    ended, path = run("coherence_simulated", t2_points=40, averages=1)
    assert ended.status == 0, ended.err
    assert path.with_suffix(".png").stat().st_size > 50_000
    assert qdlab("analyze", path, "--json", tmp_path / "a.json").status == 0
    result = read_json(tmp_path / "a.json")
    assert result["t2_points"] == 40
    assert len(result["global_fit"]) == 4
    assert len(result["addresses_w3_cm"]) == 4


def test_a_short_scan_says_why_it_tells_no_beats(run):
    ended, path = run("coherence_simulated", t2_points=2, averages=1)
    assert "too few to tell beats" in ended.out.replace("\n", " ")
    assert T2ScanAnalysis(read_run_file(path)).traces is None
    assert path.with_suffix(".png").exists()


# ---- refused ----


@pytest.mark.parametrize(
    ("where", "parameter", "sentence"),
    [
        ("coherence_simulated", "t2_step_fs=9", "take 8.34 fs or less"),
        ("coherence_simulated", "addresses_cm=17000,25000", "25000 is outside the band"),
        ("coherence_simulated", "lowest_cm=21000", "must be above lowest_cm"),
        ("coherence_simulated", "t1_fs=3300", "delay in fs of pulse 1"),
        ("coherence_simulated", "t2_start_fs=4900", "delay_fs"),
        ("coherence_simulated", "cycling=pump-probe-2", "is not one of: 3x3x1"),
        ("pump_probe_simulated", "t2_points=2", "has lo_lead_fs = 0"),
    ],
)
def test_what_cannot_give_the_signal_is_refused(run, where, parameter, sentence):
    key, _, value = parameter.partition("=")
    ended, _ = run(where, **{key: value})
    assert ended.status == 2
    assert sentence in ended.sentence
