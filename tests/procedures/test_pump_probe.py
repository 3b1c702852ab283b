"""PumpProbe: dS/S as planted, and maps put into its phase."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from qdlab.analysis.twodes.phasing import fit_phase
from qdlab.analysis.twodes.pump_probe import PumpProbeData, pump_probe_spectra
from qdlab.analysis.twodes.units import W
from qdlab.formats.errors import FileFormatError
from qdlab.formats.run_file import read_run_file
from qdlab.procedures.analyses import analyze_run
from qdlab.procedures.analyses.pump_probe import load_pump_probe
from qdlab.procedures.analyses.t2_scan import t2_signals
from qdlab.procedures.station import Station, open_rig
from qdlab.sim.physics.pulses import Pulse

from .conftest import read_json

CONFIGS = Path(__file__).parents[2] / "configs"
CM = np.linspace(15_400.0, 21_200.0, 2000)


@pytest.fixture
def run(qdlab, small_station, tmp_path):
    """Run an experiment on a station with few dimers; returns how it ended and the run file's path."""

    def call(experiment, where, *arguments, **parameters):
        sets = [word for key, value in parameters.items() for word in ("--set", f"{key}={value}")]
        there = ("--station", small_station(tmp_path, where, dimers=40), "--out", tmp_path / "runs")
        ended = qdlab("run", experiment, *there, *sets, *arguments)
        lines = ended.out.strip().splitlines()
        return ended, Path(lines[-1]) if lines else None

    return call


# ---- analysis ----


def synthetic(t2_fs, repeats, noise, seed=2):
    rng = np.random.default_rng(seed)
    probe = 2e4 * np.exp(-4 * np.log(2) * ((CM - 18_200) / 2600) ** 2)
    line = 0.05 / (1 + ((CM - 18_000) / 400) ** 2)
    change = np.multiply.outer(np.where(t2_fs >= 0, np.exp(-t2_fs / 500), 0.0), line) + 4e-4
    off = np.broadcast_to(probe, (len(t2_fs), repeats, len(CM)))
    on = off * (1 + change[:, None])
    noisy = [counts + noise * rng.standard_normal(counts.shape) for counts in (on, off)]
    return PumpProbeData(CM, t2_fs, *noisy), lambda w3: 0.05 / (1 + ((w3 - 18_000) / 400) ** 2)


def test_a_planted_change_comes_back_within_its_errors_and_without_the_background():
    t2_fs = np.array([-600.0, 0.0, 100.0, 300.0])
    data, line = synthetic(t2_fs, repeats=6, noise=15.0)
    found = pump_probe_spectra(data, (16_500.0, 20_000.0), before_fs=-600.0)
    assert found.t2_fs.tolist() == [0.0, 100.0, 300.0]
    expected = np.multiply.outer(np.exp(-found.t2_fs / 500), line(found.w3_cm))
    away = (found.change - expected) / found.error
    assert np.sqrt(np.mean(away**2)) < 1.6  # t of five degrees of freedom: 1.3
    assert abs(np.mean(found.change - expected)) < 1e-4


def test_spectra_are_not_extrapolated():
    data, _ = synthetic(np.array([0.0, 100.0]), repeats=2, noise=1.0)
    found = pump_probe_spectra(data, (17_000.0, 19_000.0))
    with pytest.raises(ValueError, match="do not tell of t2 = 0 to 200 fs"):
        found.signal_at(np.array([0.0, 200.0]), found.w3_cm)
    with pytest.raises(ValueError, match="do not tell of w3"):
        found.signal_at(np.array([0.0]), np.array([16_000.0, 18_000.0]))
    between = found.signal_at(np.array([50.0]), found.w3_cm)[0]
    assert between == pytest.approx(found.signal.mean(axis=0))


def test_one_repeat_or_a_dark_band_is_refused():
    data, _ = synthetic(np.array([0.0]), repeats=1, noise=1.0)
    with pytest.raises(ValueError, match="two or more"):
        pump_probe_spectra(data, (17_000.0, 19_000.0))
    data, _ = synthetic(np.array([0.0]), repeats=2, noise=1.0)
    with pytest.raises(ValueError, match="lights nothing"):
        pump_probe_spectra(data, (12_000.0, 13_000.0))


# ---- on the twin ----

LATER = {"t2_start_fs": 40, "t2_step_fs": 60, "t2_points": 3}
"""Not at t2 = 0, where attoseconds of the stage decide which pulse comes first."""


def test_the_change_on_the_twin_is_that_of_its_sample(run, qdlab, tmp_path):
    _, path = run("pump_probe", "pump_probe_simulated", **LATER, repeats=6)
    found = load_pump_probe(path)
    fine_cm = np.concatenate([w3 + np.arange(-8.0, 9.0, 4.0) for w3 in found.w3_cm])
    pump, planted = (Pulse(0.0, 1.0 + 0j),), []
    with open_rig(Station.load(tmp_path / "pump_probe_simulated.toml")) as rig:
        laser = rig.bench.laser.amplitude(fine_cm)
        for t2_fs in found.t2_fs:
            field = 0.03 * rig.bench.sample.signal_field(pump, Pulse(float(t2_fs), 1.0 + 0j), fine_cm)
            planted.append((np.abs(laser + field) ** 2 / laser**2 - 1).reshape(-1, 5).mean(axis=1))
    away = (found.change - planted) / found.error
    assert np.abs(planted).max() > 0.03
    assert np.median(np.abs(away)) < 1.6
    assert np.corrcoef(found.change.ravel(), np.ravel(planted))[0, 1] > 0.995
    assert qdlab("analyze", path, "--json", tmp_path / "a.json").status == 0
    assert read_json(tmp_path / "a.json")["largest_change"] == pytest.approx(np.max(planted), abs=0.004)
    assert path.with_suffix(".png").stat().st_size > 20_000


def test_a_heterodyned_signal_is_put_into_the_phase_of_the_pump_probe_run(run):
    _, reference = run("pump_probe", "pump_probe_simulated", **LATER, repeats=3)
    _, heterodyned = run("t2_scan", "coherence_simulated", **LATER, allow_aliasing=1)
    signals, spectra = t2_signals(read_run_file(heterodyned)), load_pump_probe(reference)
    inside = (signals.w3_cm > spectra.w3_cm[0]) & (signals.w3_cm < spectra.w3_cm[-1])
    w3_cm = signals.w3_cm[inside]
    turned = signals.rephasing[:, inside] * np.exp(-1j * (0.7 + 2e-4 * (w3_cm - w3_cm.mean())))
    phase = fit_phase(turned, spectra.signal_at(signals.t2_fs, w3_cm), w3_cm)
    assert phase.p0_rad == pytest.approx(0.7, abs=0.03)
    assert phase.p1_rad_per_cm == pytest.approx(2e-4, abs=3e-5)
    assert phase.mismatch < 0.1


def test_maps_are_phased_with_a_pump_probe_run(run, qdlab, tmp_path):
    """A local oscillator that comes 4 fs earlier than the station says turns the maps along w3."""
    _, reference = run("pump_probe", "pump_probe_simulated", **LATER, repeats=3)
    _, scan = run("twod_scan", "coherence_simulated", **LATER, t1_points=3, averages=8, allow_aliasing=1)
    right = analyze_run(read_run_file(scan)).maps
    with h5py.File(scan, "r+") as file:
        own = file["user/qdlab"]
        own.attrs["header"] = json.dumps(json.loads(own.attrs["header"]) | {"lo_lead_fs": 704.0})
    turned = analyze_run(read_run_file(scan)).maps
    assert qdlab("analyze", scan, "--pump-probe", reference, "--json", tmp_path / "a.json").status == 0
    phase = read_json(tmp_path / "a.json")["phase"]
    assert phase["p1_rad_per_cm"] / W == pytest.approx(4.0, abs=0.3)
    phased = analyze_run(read_run_file(scan), reference).maps
    off = [np.linalg.norm(maps.absorptive - right.absorptive) for maps in (turned, phased)]
    assert off[1] < 0.1 * off[0]
    assert qdlab("export", scan, tmp_path / "maps.wt5", "--to", "wt5", "--pump-probe", reference).status == 0


def test_only_maps_of_2des_are_phased(run, qdlab):
    _, path = run("pump_probe", "pump_probe_simulated", **LATER, repeats=2)
    refused = qdlab("analyze", path, "--pump-probe", path)
    assert refused.status == 2
    assert "phases 2DES scans only" in refused.sentence


def test_a_run_of_another_kind_is_not_taken_for_pump_probe(run):
    _, path = run("t2_scan", "coherence_simulated", t2_points=1, averages=1)
    with pytest.raises(FileFormatError, match="'t2_scan', not a pump-probe run"):
        load_pump_probe(path)


# ---- refused ----


@pytest.mark.parametrize(
    ("where", "parameter", "sentence"),
    [
        ("coherence_simulated", "repeats=4", "has lo_lead_fs = 700"),
        ("pump_probe_simulated", "highest_cm=16000", "must be above lowest_cm"),
        ("pump_probe_simulated", "t2_start_fs=-700", "before_fs = -600 must come before"),
        ("pump_probe_simulated", "fastest_beat_cm=2000", "take 8.34 fs or less"),
        ("pump_probe_simulated", "t2_step_fs=300", "delay_fs"),
        ("pump_probe_simulated", "repeats=1", "outside [2, 10000]"),
    ],
)
def test_what_cannot_give_pump_probe_spectra_is_refused(run, where, parameter, sentence):
    key, _, value = parameter.partition("=")
    ended, _ = run("pump_probe", where, **{key: value})
    assert ended.status == 2
    assert sentence in ended.sentence
