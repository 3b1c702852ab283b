"""The piezo axis follows its targets as the real closed loop does, whenever somebody looks."""

import numpy as np
import pytest

from qdlab.sim.clock import PS_PER_S
from qdlab.sim.physics.piezo import PiezoAxis, PiezoStage, Servo

STILL = Servo(line_um=0.0, sensor_noise_um=0.0, wander_um=0.0)
MS = PS_PER_S // 1000


def instants_ps(duration_ms: float, step_ms: float = 0.05) -> np.ndarray:
    return np.round(np.arange(0, duration_ms, step_ms) * MS).astype(np.int64)


def step_nm(step_um: float, *, compensated: bool) -> tuple[np.ndarray, np.ndarray]:
    """Times in ms and positions in nm after a step from 10 um, without noise."""
    axis = PiezoAxis(seed=1, key=0, rest_um=10.0, servo=STILL)
    axis.compensate_drift(-MS, compensated)
    axis.set_target(0, 10.0 + step_um)
    at_ps = instants_ps(400)
    return at_ps / MS, 1e3 * (axis.positions_um(at_ps) - 10.0)


def crossing_ms(time_ms, position_nm, level_nm):
    k = int(np.argmax(position_nm >= level_nm))
    return np.interp(level_nm, position_nm[k - 1 : k + 1], time_ms[k - 1 : k + 1])


# measured on one real unit: settling, 10-90 %, half-way time and overshoot of a 2 um step
@pytest.mark.parametrize(
    ("compensated", "settles_ms", "rise_ms", "bump_nm", "bump_ms"),
    [(True, (140, 163), 18.7, (43, 65), (50, 62)), (False, (51, 137), 19.6, (4.5, 6.5), (40, 90))],
)
def test_a_step_of_2_um_is_followed_as_measured(compensated, settles_ms, rise_ms, bump_nm, bump_ms):
    time_ms, position_nm = step_nm(2.0, compensated=compensated)
    assert crossing_ms(time_ms, position_nm, 1800) - crossing_ms(time_ms, position_nm, 200) == pytest.approx(
        rise_ms, rel=0.05
    )
    assert 10.0 <= crossing_ms(time_ms, position_nm, 1000) <= 11.6
    assert bump_nm[0] <= position_nm.max() - 2000 <= bump_nm[1]
    assert bump_ms[0] <= time_ms[position_nm.argmax()] <= bump_ms[1]
    assert settles_ms[0] <= time_ms[np.nonzero(np.abs(position_nm - 2000) > 5)[0][-1]] <= settles_ms[1]


@pytest.mark.parametrize("step_um", [0.02, 2.0, 100.0])
def test_half_of_a_step_takes_the_same_time_for_all_sizes(step_um):
    time_ms, position_nm = step_nm(step_um, compensated=True)
    assert crossing_ms(time_ms, position_nm, 500 * step_um) == pytest.approx(11.1, abs=0.8)


@pytest.mark.parametrize("speed_um_s", [0.25, 50.0, 3150.0])
def test_a_ramp_is_followed_12_ms_late(speed_um_s):
    axis = PiezoAxis(seed=1, key=0, rest_um=10.0, servo=STILL)
    axis.plan(0, MS // 10, 10.0 + speed_um_s * 1e-4 * np.arange(5000))
    at_ps = 450 * MS
    lag_ms = (axis.target_um(at_ps) - axis.position_um(at_ps)) / speed_um_s * 1e3
    assert 11.0 <= lag_ms <= 12.4  # as measured; without drift compensation the model lags 13.5 ms


def test_a_reading_at_rest_has_the_noise_of_the_real_unit():
    axis = PiezoAxis(seed=5, key=1, rest_um=50.0)
    readings_nm = 1e3 * axis.measured_um(instants_ps(2000))
    assert 1.1 <= readings_nm.std() <= 1.7
    mains = np.exp(-2j * np.pi * 50 * np.arange(0, 2.0, 0.05e-3))
    assert 2 * abs(np.mean((readings_nm - readings_nm.mean()) * mains)) == pytest.approx(1.9, rel=0.05)


def test_without_drift_compensation_the_position_wanders_by_nanometres_in_tens_of_minutes():
    axis = PiezoAxis(seed=2, key=0, rest_um=50.0, servo=Servo(line_um=0.0))
    axis.compensate_drift(0, False)
    error_nm = 1e3 * (axis.positions_um(np.arange(0, 7200, 10) * PS_PER_S) - 50.0)
    assert abs(error_nm[1]) < 0.5
    assert 2.0 < np.ptp(error_nm) <= 10.0
    axis.compensate_drift(7200 * PS_PER_S, True)
    assert axis.position_um(7201 * PS_PER_S) == pytest.approx(50.0, abs=1e-6)


def test_the_path_does_not_depend_on_who_looks_when():
    def path(looks):
        axis = PiezoAxis(seed=7, key=2, rest_um=20.0)
        for k, target_um in enumerate((25.0, 22.0, 22.1)):
            axis.set_target(k * 7 * MS, target_um)
            for look_ms in looks:
                axis.position_um((k * 7 + look_ms) * MS)
        return axis.measured_um(instants_ps(60))

    np.testing.assert_array_equal(path([]), path([0, 1, 3, 6]))


def test_a_plan_is_the_same_as_its_steps_set_one_by_one():
    targets_um = 30.0 + np.sin(np.arange(200) / 20)
    planned, stepped = (PiezoAxis(seed=7, key=2, rest_um=20.0) for _ in range(2))
    planned.plan(0, MS, targets_um)
    for k, target_um in enumerate(targets_um):
        stepped.set_target(k * MS, target_um)
    np.testing.assert_array_equal(
        planned.positions_um(instants_ps(300)), stepped.positions_um(instants_ps(300))
    )


def test_holding_forgets_the_plan_and_keeps_the_past():
    axis = PiezoAxis(seed=7, key=2, rest_um=20.0, servo=STILL)
    axis.plan(0, MS, 20.0 + 0.1 * np.arange(200))
    before = axis.positions_um(instants_ps(100))
    here_um = axis.hold(100 * MS)
    np.testing.assert_array_equal(axis.positions_um(instants_ps(100)), before)
    assert axis.position_um(5000 * MS) == pytest.approx(here_um, abs=1e-6)


def test_axes_and_seeds_have_noise_of_their_own():
    at_ps = instants_ps(100)
    stage, other = PiezoStage(seed=1), PiezoStage(seed=2)
    readings = [axis.measured_um(at_ps) - axis.target_um(0) for axis in (*stage.axes, *other.axes)]
    spread = np.corrcoef(np.diff(readings, axis=1)) - np.eye(6)
    assert np.abs(spread).max() < 0.2
    np.testing.assert_array_equal(PiezoStage(seed=1).position_um(at_ps), stage.position_um(at_ps))
    assert stage.position_um(at_ps).shape == (len(at_ps), 3)


def test_a_seized_axis_stays_where_it_jammed():
    axis = PiezoAxis(seed=1, key=0, rest_um=10.0, servo=STILL)
    axis.set_target(0, 20.0)
    axis.seize(10 * MS)
    assert axis.position_um(900 * MS) == axis.position_um(10 * MS) != pytest.approx(20.0, abs=1.0)
