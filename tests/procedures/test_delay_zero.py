"""DelayZero: fringes to delays, and on the twin the zero, the scale and the sign that were planted."""

from pathlib import Path

import numpy as np
import pytest

from qdlab.analysis.twodes.delay_zero import FringeFinder, cross_term, pump_phases, refined
from qdlab.analysis.twodes.units import W
from qdlab.instruments.delay_stage import FS_PER_MM

from .conftest import read_json

STATION = "coherence_simulated"
CM = 1e7 / np.linspace(470.0, 650.0, 2068)
POWER = 25_000 * np.exp(-4 * np.log(2) * ((CM - 18_200) / 2600) ** 2)


@pytest.fixture
def found(qdlab, small_station, tmp_path):
    """Run DelayZero and analyze it; returns how the run ended and the results."""

    def call(*changes, arguments=(), **parameters):
        sets = [word for key, value in parameters.items() for word in ("--set", f"{key}={value}")]
        where = (
            "--station",
            small_station(tmp_path, STATION, *changes, dimers=5),
            "--out",
            tmp_path / "runs",
        )
        ended = qdlab("run", "delay_zero", *where, *sets, *arguments)
        if ended.status:
            return ended, {}
        path = Path(ended.out.strip().splitlines()[-1])
        assert path.with_suffix(".png").stat().st_size > 20_000
        assert qdlab("analyze", path, "--json", tmp_path / "a.json").status == 0
        return ended, read_json(tmp_path / "a.json")

    return call


# ---- fringes ----


@pytest.mark.parametrize("delay_fs", [-340.0, 35.0, 412.345, 1003.21])
def test_the_delay_of_noiseless_fringes_comes_back_within_a_tenth_of_an_attosecond(delay_fs):
    scattered = 0.03 * np.exp(1j * (pump_phases()[:, None] + W * CM * delay_fs + 1.1))
    counts = POWER * np.abs(1 + scattered) ** 2
    found_fs, _ = FringeFinder(CM, POWER).find(cross_term(counts), delay_fs + 60.0, 200.0)
    assert found_fs == pytest.approx(delay_fs, abs=1e-4)


def test_the_phase_of_the_carrier_makes_differences_of_delays_finer_than_group_delays():
    rng = np.random.default_rng(5)
    true_fs = np.linspace(-300, 300, 12)
    carrier = W * 18_200
    group_fs = true_fs + 0.02 * rng.standard_normal(12)
    phase = np.angle(np.exp(1j * (carrier * true_fs + 0.8 + 0.002 * rng.standard_normal(12))))
    better = refined(group_fs, phase, carrier)
    assert better.mean() == pytest.approx(group_fs.mean(), abs=1e-9)
    assert np.std(better - true_fs) < 0.001 < np.std(group_fs - true_fs)


def test_a_carrier_that_does_not_follow_the_group_delay_is_refused():
    phase = np.array([0.0, 2.0, -2.5, 1.0])
    with pytest.raises(ValueError, match="does not follow the group delay"):
        refined(np.zeros(4), phase, W * 18_200)


def test_noise_is_not_taken_for_fringes():
    counts = np.random.default_rng(1).poisson(np.tile(POWER, (4, 1))).astype(float)
    with pytest.raises(ValueError, match="no fringes between 300 and 500 fs"):
        FringeFinder(CM, POWER).find(cross_term(counts), 400.0, 100.0)


# ---- on the twin ----


def test_a_moved_mirror_is_found_and_delays_agree_with_the_command_within_10_as(found):
    ended, result = found(arguments=("--fault", "t2_zero_shifted"), positions=8, shaper_delays=3)
    assert result["zero_fs"] == pytest.approx(12.3, abs=0.010)
    assert result["zero_mm"] == pytest.approx(75.0 + 12.3 / (2 * FS_PER_MM), abs=2e-6)
    assert result["scale"] == pytest.approx(1.0, abs=4e-5)
    assert result["lo_lead_fs"] == pytest.approx(700.0, abs=0.010)
    assert result["largest_deviation_as"] < 10.0
    for delay in result["shaper"]:
        assert delay["found_fs"] == pytest.approx(delay["delay_fs"], abs=0.010)
    assert "[delay] zero_mm = 75.0018" in ended.out.replace("\n", "")


def test_a_wrong_sign_in_the_station_file_is_told(found):
    few = {"positions": 6, "averages": 4, "shaper_delays": 0}
    _, result = found(("zero_mm = 75.0 ", "sign = -1\nzero_mm = 75.01 "), **few)
    assert result["scale"] == pytest.approx(-1.0, abs=1e-3)
    assert result["zero_mm"] == pytest.approx(75.0, abs=1e-5)
    (note,) = result["notes"]
    assert "change sign" in note


def test_a_wrong_number_of_passes_is_told(found):
    few = {"positions": 6, "averages": 4, "shaper_delays": 0, "span_fs": 200}
    _, result = found(("zero_mm = 75.0 ", "passes = 1\nzero_mm = 75.0 "), **few)
    assert result["scale"] == pytest.approx(2.0, abs=1e-3)
    assert "correct passes" in result["notes"][0]


def test_a_blocked_local_oscillator_is_told_and_the_run_file_stays(qdlab, small_station, tmp_path):
    few = ("--set", "positions=4", "--set", "averages=1", "--set", "shaper_delays=0")
    where = (
        "--station",
        small_station(tmp_path, STATION, dimers=5),
        "--out",
        tmp_path / "runs",
        "--fault",
        "lo_blocked",
    )
    ended = qdlab("run", "delay_zero", *where, *few)
    assert "nothing to analyze" in ended.out
    assert "no fringes" in ended.out.replace("\n", " ")


@pytest.mark.parametrize(
    ("parameter", "sentence"),
    [
        ("span_fs=2500", "delay_fs"),
        ("shaper_span_fs=3300", "delay in fs of pulse 1"),
        ("positions=3", "outside [4, 1000]"),
        ("search_fs=nan", "outside"),
    ],
)
def test_what_the_rig_cannot_do_is_refused_before_anything_moves(
    qdlab, small_station, tmp_path, parameter, sentence
):
    where = ("--station", small_station(tmp_path, STATION, dimers=5), "--out", tmp_path / "runs")
    ended = qdlab("run", "delay_zero", *where, "--set", parameter)
    assert ended.status == 2
    assert sentence in ended.sentence
    assert not list((tmp_path / "runs").glob("*.h5"))
