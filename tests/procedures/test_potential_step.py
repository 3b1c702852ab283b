"""Potential steps on the twin, from the command line to microseconds."""

from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import expm

from qdlab.formats.run_file import read_run_file
from qdlab.sim.physics.charged_dot import ChargedDot
from qdlab.sim.physics.detection import Detection, Light
from qdlab.sim.physics.expected import photons_per_pulse
from qdlab.sim.samples import CELLS

from .conftest import read_json

SHIPPED = Path(__file__).parents[2] / "configs"
RESPONSE_KEYS = {
    *("t10_90_us", "t10_90_err_us", "t10_us", "t10_err_us", "t90_us", "t90_err_us", "delay_us"),
    *(
        "delay_err_us",
        "time_constants_us",
        "time_constants_err_us",
        "shares",
        "chi2_per_bin",
        "times_from",
        "resolved",
    ),
}


def run_path(ended) -> Path:
    return Path(ended.out.strip().splitlines()[-1])


@pytest.fixture
def station(tmp_path):
    """The station for steps with a comparator threshold and a cell of one's own."""

    def make(threshold_v: float, cell: str = "microelectrode") -> Path:
        text = (SHIPPED / "steps_simulated.toml").read_text()
        assert "threshold_v = -1.85" in text
        assert 'cell = "microelectrode"' in text
        path = tmp_path / "steps.toml"
        text = text.replace("threshold_v = -1.85", f"threshold_v = {threshold_v}")
        path.write_text(text.replace('cell = "microelectrode"', f'cell = "{cell}"'))
        return path

    return make


@pytest.fixture
def steps(qdlab, tmp_path):
    """Run the experiment with settings; returns how it ended."""

    def run(*arguments: object, **settings: float):
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        return qdlab("run", "potential_step", "--out", tmp_path / "runs", "--speed", "max", *sets, *arguments)

    return run


def planted_rates_hz(from_v: float, to_v: float, time_us: np.ndarray) -> np.ndarray:
    """Mean rate of the dot after a step: the master equation of its charge, behind cell and electronics."""
    dot, detection, light, most = ChargedDot.batch_1(), Detection(), Light(emitting=True), 40
    cell = CELLS["microelectrode"]
    relaxation_us = (cell.sheet_ohm + cell.solution_ohm) * cell.double_layer_f_cm2 * cell.area_cm2 * 1e6
    bright = np.array([photons_per_pulse(dot, n, light) for n in range(most)])
    occupied, felt_v, rates = dot.occupation(from_v)[:most], from_v, []
    step_us, index = time_us[1] - time_us[0], np.arange(most - 1)
    for t in time_us:
        rates.append(occupied @ bright)
        interface_v = to_v + (from_v - to_v) * np.exp(-(t + step_us / 2) / relaxation_us)
        felt_v = interface_v + (felt_v - interface_v) * np.exp(-step_us / dot.electronics_us)
        up, down = (rate[: most - 1] * 1e-6 * step_us for rate in dot.exchange_rates_hz(felt_v))
        flow = np.zeros((most, most))
        flow[index + 1, index] += up
        flow[index, index] -= up
        flow[index, index + 1] += down
        flow[index + 1, index + 1] -= down
        occupied = expm(flow) @ occupied
    return np.array(rates) * detection.efficiency * 2.5e6 + detection.background_hz(light)


def planted_10_90_us(from_v: float, to_v: float) -> float:
    time_us = np.arange(0.0, 15.0, 0.05)
    rates = planted_rates_hz(from_v, to_v, time_us)
    done = (rates - rates[0]) / (rates[-1] - rates[0])
    return float(np.interp(0.9, done, time_us) - np.interp(0.1, done, time_us))


def test_the_switching_of_two_microseconds_is_resolved(steps, qdlab, tmp_path):
    ended = steps(cycles=15_000)
    assert ended.status == 0, ended.err
    path = run_path(ended)
    assert path.with_suffix(".png").stat().st_size > 50_000
    assert qdlab("analyze", path, "--json", tmp_path / "a.json").status == 0
    found = read_json(tmp_path / "a.json")
    assert found["kind"] == "potential_step"
    assert found["marker_resolution_us"] == pytest.approx(0.4)
    assert found["cell_time_constant_us"] is None
    for direction, ends in (("falling", (-1.7, -2.0)), ("rising", (-2.0, -1.7))):
        part = found[direction]
        assert part["steps"] == pytest.approx(15_000, abs=20)
        rate = part["rate"]
        assert set(rate) == RESPONSE_KEYS | {
            *("before_rate_hz", "before_rate_err_hz", "after_rate_hz", "after_rate_err_hz")
        }
        planted_us = planted_10_90_us(*ends)
        assert 1.5 < planted_us < 3.2  # what the physics plants: the paper says about 2 us
        # a delay and one exponential stand for a course that is neither: 0.15 us of the difference
        assert rate["t10_90_us"] == pytest.approx(planted_us, abs=3 * rate["t10_90_err_us"] + 0.15)
        assert rate["t10_90_err_us"] < 0.9
        levels = planted_rates_hz(ends[0], ends[1], np.array([0.0, 10.0]))
        assert rate["before_rate_hz"] == pytest.approx(levels[0], rel=0.03)
        lifetime = part["lifetime"]
        assert lifetime["t10_90_us"] < 5.0
        quick, slow = sorted((lifetime["before_lifetime_ns"], lifetime["after_lifetime_ns"]))
        assert quick == pytest.approx(0.89, abs=0.05)
        assert slow == pytest.approx(6.8, abs=0.3)


def test_the_default_cell_limits_the_switching_and_the_result_says_so(steps, station, qdlab, tmp_path):
    ended = steps("--station", station(-1.4, "ito"), high_v=-1.0, low_v=-1.8, period_s=0.04, cycles=500)
    assert ended.status == 0, ended.err
    qdlab("analyze", run_path(ended), "--json", tmp_path / "a.json")
    found = read_json(tmp_path / "a.json")
    assert found["cell_time_constant_us"] == pytest.approx(1200, rel=0.01)
    assert found["falling"]["rate"]["t10_90_us"] > 1000
    assert any("cell charges with 1.2 ms" in warning for warning in found["warnings"])
    assert "ms (resistance times double layer" in " ".join(ended.out.split())


def test_analyze_opens_to_the_same_numbers_and_tables(steps, qdlab, tmp_path):
    path = run_path(steps(cycles=2000))
    for name in ("a", "b"):
        qdlab("analyze", path, "--json", tmp_path / f"{name}.json")
    assert read_json(tmp_path / "a.json") == read_json(tmp_path / "b.json")
    assert qdlab("export", path, "--to", "csv", tmp_path / "csv").status == 0
    tables = {p.stem for p in (tmp_path / "csv").glob("*.csv")}
    assert any("falling_rate" in name for name in tables)
    assert any("rising_lifetime" in name for name in tables)


def test_each_cycle_marks_one_step_down_and_one_up(steps):
    run = read_run_file(run_path(steps(cycles=500)))
    assert run.photons is not None
    bits = run.photons.marker_bits
    assert np.count_nonzero(bits & 1) == 500
    assert np.count_nonzero(bits & 2) == 500  # the last one is the cell being switched off
    gaps_s = np.diff(run.photons.marker_sync) * run.photons.sync_period_s
    np.testing.assert_allclose(gaps_s[:-1], 1e-3, atol=0.5e-6)
    assert {r.about["technique"] for r in run.potentiostat} == {"PotentialSteps"}


def test_a_run_with_few_photons_says_that_it_cannot_fold(steps, qdlab, tmp_path):
    ended = steps(cycles=20)
    assert ended.status == 0, ended.err
    qdlab("analyze", run_path(ended), "--json", tmp_path / "a.json")
    found = read_json(tmp_path / "a.json")
    assert found["falling"] is None
    assert any("too few to fold" in warning for warning in found["warnings"])


def test_a_comparator_that_does_not_switch_between_the_potentials_is_refused(steps):
    ended = steps("--station", "charging_simulated")
    assert ended.status == 2
    for word in ("[markers]", "threshold_v = -0.02", "-1.7", "-2.0", "trimmer", "-1.85"):
        assert word in ended.sentence


def test_a_threshold_too_near_to_a_potential_is_refused(steps, station):
    ended = steps("--station", station(-1.71))
    assert ended.status == 2
    assert "0.015 V" in ended.sentence


def test_a_station_without_a_comparator_is_refused(steps, tmp_path):
    text = (SHIPPED / "steps_simulated.toml").read_text()
    path = tmp_path / "none.toml"
    path.write_text(text[: text.index("[markers]")] + text[text.index("[calibration]") :])
    ended = steps("--station", path)
    assert ended.status == 2
    assert "[markers]" in ended.sentence


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"low_v": -1.7}, ["low_v", "below", "high_v"]),
        ({"low_v": -2.2}, ["-2.2", "-2.0"]),
        ({"period_s": 1e-3}, ["0.0005", "0.001"]),
        ({"cycles": 0}, ["cycles", "0"]),
    ],
)
def test_an_impossible_square_wave_is_refused(steps, settings, words):
    ended = steps(**settings)
    assert ended.status == 2
    for word in words:
        assert word in ended.sentence


def test_an_unknown_cell_is_refused(steps, station):
    ended = steps("--station", station(-1.85, "bathtub"))
    assert ended.status == 2
    for word in ("cell", "bathtub", "microelectrode"):
        assert word in ended.sentence
