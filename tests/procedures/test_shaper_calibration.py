"""ShaperCalibration: from a rough beginning to a file with which the shaper is right."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from qdlab.analysis.twodes.panel_calibration import find_column_lines, find_grey_curves
from qdlab.instruments.pulse_shaper import PulseTrain
from qdlab.instruments.shaper.calibration import CalibrationError, LcosCalibration
from qdlab.procedures.shaper_calibration import rough_calibration
from qdlab.procedures.station import Station, open_rig
from qdlab.sim.coherence_bench import CoherenceBench
from qdlab.sim.emulators.shaper_screen import Panel
from qdlab.sim.physics.four_f import FourF

from .conftest import read_json

STATION = "coherence_simulated"
CHANGED = date(2026, 11, 1)
NM = np.linspace(470.0, 650.0, 2068)


def calibrated_by(path):
    return 'calibration = "exact" ', f'calibration = "{path}" '


@pytest.fixture
def rough(small_station, tmp_path):
    """A station whose panel has only been looked at with a ruler."""
    found = rough_calibration(
        columns=1272, levels=256, wavelength_nm=(452.0, 645.0), optics="4f line", on=CHANGED
    )
    found.save(tmp_path / "rough.toml")
    return small_station(tmp_path, STATION, calibrated_by(tmp_path / "rough.toml"), dimers=5)


@pytest.fixture
def run(qdlab, tmp_path):
    """Run ShaperCalibration; returns how it ended and the run file's path."""

    def call(where, *arguments, **parameters):
        sets = [word for key, value in parameters.items() for word in ("--set", f"{key}={value}")]
        there = ("--station", where, "--out", tmp_path / "runs")
        ended = qdlab("run", "shaper_calibration", *there, *sets, *arguments)
        lines = ended.out.strip().splitlines()
        return ended, Path(lines[-1]) if lines else None

    return call


# ---- on the twin ----


@pytest.mark.parametrize("fault", [pytest.param(None, marks=pytest.mark.slow), "lcos_phase_reversed"])
def test_a_calibration_from_a_rough_beginning_gives_delays_within_10_as(
    run, rough, qdlab, small_station, tmp_path, fault
):
    ended, path = run(rough, *(("--fault", fault) if fault else ()), averages=6, level_step=12, passes=2)
    assert ended.status == 0, ended.err
    assert qdlab("analyze", path, "--json", tmp_path / "a.json").status == 0
    result = read_json(tmp_path / "a.json")
    assert result["rms_columns"] < 0.05
    assert result["residual_fs"] == pytest.approx([80.0, 200.0], abs=3.0)
    for pair in result["pairs"]:
        assert pair["found_fs"] == pytest.approx(pair["delay_fs"], abs=0.010)
    file = path.with_name(result["calibration_file"])
    found = LcosCalibration.load(file, optics="4f line", optics_changed=CHANGED)
    assert found.date == date.today()
    assert found.phase_sign == (-1 if fault else 1)
    planted_nm = FourF().column_wavelength_nm
    lit = slice(180, 1240)  # where there is light
    off_columns = (found.column_wavelength_nm - planted_nm)[lit] / np.gradient(planted_nm)[lit]
    assert np.abs(off_columns).max() < 0.06
    for curve in found.grey:
        planted_rad = Panel().phase_rad(np.arange(256), curve.wavelength_nm)
        assert np.abs(curve.phase_rad - planted_rad).max() < 0.02
    assert path.with_suffix(".png").stat().st_size > 50_000
    _check_pulses(small_station(tmp_path, STATION, calibrated_by(file), dimers=5), fault)


def _check_pulses(path, fault):
    """With the calibration in the station file, the light that leaves the panel is what was asked for."""
    with open_rig(Station.load(path), faults=(fault,) if fault else ()) as rig:
        rig.shaper.connect()
        for t1_fs in (60.0, 150.0, 280.0):
            train = PulseTrain.pair(t1_fs, (0.0, 1.0), rotating_frame=0.0, carrier_cm=18_200.0)
            rig.shaper.set_pulses(train)
            rig.shaper.wait_settled()
            rig.clock.sleep(0.2)
            pulses = [pulse for pulse in rig.bench.pump if abs(pulse.amplitude) > 0.1]
            assert len(pulses) == 2
            first, second = sorted(pulses, key=lambda pulse: pulse.delay_fs)
            assert second.delay_fs - first.delay_fs == pytest.approx(t1_fs, abs=0.010)
            assert np.angle(second.amplitude / first.amplitude) == pytest.approx(1.0, abs=0.05)


def test_nobody_at_the_mirror_ends_the_run_before_anything_is_measured(run, rough, monkeypatch):
    monkeypatch.setattr(CoherenceBench, "answer", lambda self, question: "no")
    ended, _ = run(rough)
    assert ended.status == 130
    assert "nobody confirmed: Turn the mirror" in ended.err.replace("\n", " ")


def test_a_panel_that_shows_nothing_new_is_told(run, rough):
    ended, _ = run(rough, "--fault", "lcos_frame_not_shown", averages=1, level_step=16)
    assert ended.status == 1
    assert "the power does not follow the grey level" in ended.err.replace("\n", " ")


# ---- refused ----


@pytest.mark.parametrize(
    ("parameter", "sentence"),
    [
        ("level_step=32", "measures 9 of 256 grey levels; take 16 or less"),
        ("line_step=300", "take 127 or less"),
        ("passes=0", "outside [1, 20]"),
    ],
)
def test_too_little_to_calibrate_from_is_refused(run, small_station, tmp_path, parameter, sentence):
    key, _, value = parameter.partition("=")
    ended, _ = run(small_station(tmp_path, STATION, dimers=5), **{key: value})
    assert ended.status == 2
    assert sentence in ended.sentence


def test_a_shaper_without_a_panel_is_refused(run, small_station, tmp_path):
    text = small_station(tmp_path, STATION, dimers=5).read_text()
    before, _, rest = text.partition("[shaper]")
    _, _, after = rest.partition("[delay]")
    dazzler = 'driver = "dazzler"\nconnection = "simulated"\nwindow_fs = 4000.0\n'
    path = tmp_path / "dazzler.toml"
    path.write_text(f"{before}[shaper]\n{dazzler}wavelength_limits_nm = [470.0, 640.0]\n\n[delay]{after}")
    ended, _ = run(path)
    assert ended.status == 2
    assert "needs a liquid-crystal panel" in ended.sentence


def test_a_station_without_a_local_oscillator_is_refused(run, small_station, tmp_path):
    without = ("lo_lead_fs = 700.0", "lo_lead_fs = 0.0")
    ended, _ = run(small_station(tmp_path, STATION, without, dimers=5))
    assert ended.status == 2
    assert "needs a local oscillator" in ended.sentence


def test_a_wavelength_that_turns_round_is_refused():
    column = np.arange(50.0, 1200.0, 50.0)
    centre_nm = 600.0 - ((column - 600.0) / 80.0) ** 2
    power = np.array([np.exp(-(((NM - nm) / 0.5) ** 2)) for nm in centre_nm])
    with pytest.raises(ValueError, match="does not go one way"):
        find_column_lines(NM, column, power, np.ones(len(NM)), columns=1272)


def test_grey_curves_without_light_are_refused_with_the_wavelength():
    rng = np.random.default_rng(0)
    power = rng.poisson(100.0, (32, len(NM))).astype(float)
    with pytest.raises(ValueError, match=r"grey levels at \d+ nm: the power does not follow"):
        find_grey_curves(NM, np.arange(0, 256, 8), power, levels=256, curves=5)


def test_a_rough_calibration_that_cannot_be_a_panel_is_refused():
    with pytest.raises(CalibrationError, match="turns round"):
        rough_calibration(columns=1272, levels=256, wavelength_nm=(500.0, 500.0), optics="a", on=CHANGED)
