"""Wedges: group and phase delay per millimetre, from the glass and from fringes."""

import math

import numpy as np
import pytest

from qdlab.instruments.base import Limits
from qdlab.instruments.pi.linear_stage import PILinearStage
from qdlab.instruments.wedge_delay import CALCIUM_FLUORIDE, FUSED_SILICA, WedgeScale
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.doors import EmulatedAdapter
from qdlab.sim.emulators.pi_linear import LinearController
from qdlab.sim.physics.linear_motion import LinearAxis

W_550 = 2 * math.pi * 299.792458 / 550.0  # rad/fs


@pytest.mark.parametrize(
    ("glass", "index", "group_index", "gvd"),
    [(FUSED_SILICA, 1.45991, 1.48311, 62.9), (CALCIUM_FLUORIDE, 1.43483, 1.45057, 44.9)],
)
def test_glasses_have_their_published_indices_at_550_nm(glass, index, group_index, gvd):
    assert glass.index(550.0) == pytest.approx(index, abs=5e-6)
    assert glass.group_index(550.0) == pytest.approx(group_index, abs=6e-6)
    assert glass.gvd_fs2_per_mm(550.0) == pytest.approx(gvd, abs=0.05)


@pytest.mark.parametrize(
    ("glass", "apex_deg", "group", "phase"),
    [
        (FUSED_SILICA, 1.0, 28.13, None),
        (FUSED_SILICA, 2.0, 56.27, None),
        (FUSED_SILICA, 4.0, 112.7, 107.3),
        (CALCIUM_FLUORIDE, 1.0, 26.23, None),
        (CALCIUM_FLUORIDE, 2.0, 52.48, None),
        (CALCIUM_FLUORIDE, 4.0, 105.1, 101.4),
    ],
)
def test_a_wedge_delays_the_envelope_more_than_the_carrier(glass, apex_deg, group, phase):
    scale = WedgeScale.of_glass(glass, apex_deg, 550.0)
    assert scale.fs_per_mm == pytest.approx(group, rel=5e-4)
    if phase:
        assert scale.phase_fs_per_mm == pytest.approx(phase, rel=5e-4)
    assert scale.delay_fs(0.01) > scale.phase_delay_fs(0.01) > 0


def test_a_hundred_femtoseconds_cost_little_dispersion():
    for glass, cost in ((CALCIUM_FLUORIDE, 3.0), (FUSED_SILICA, 3.9)):
        scale = WedgeScale.of_glass(glass, 4.0, 550.0)
        assert scale.dispersion_fs2(scale.position_mm(100.0)) == pytest.approx(cost, abs=0.05)


def test_a_scan_of_the_wedge_gives_its_scale_back():
    apex_deg, rng = 4.0, np.random.default_rng(3)
    truth = WedgeScale.of_glass(CALCIUM_FLUORIDE, apex_deg, 550.0)
    wavelength_nm = np.linspace(520.0, 580.0, 400)
    frequency = 2 * math.pi * 299.792458 / wavelength_nm
    index = np.array([CALCIUM_FLUORIDE.index(nm) for nm in wavelength_nm])
    position_mm = np.linspace(0.0, 3.0, 121)
    per_mm = frequency * math.tan(math.radians(apex_deg)) * (index - 1) / 2.99792458e-4
    phase = np.outer(position_mm, per_mm) + 0.02 * rng.standard_normal((121, 400))
    found = WedgeScale.of_fringes(position_mm, phase, frequency, reference_rad_fs=W_550)
    assert found.phase_fs_per_mm == pytest.approx(truth.phase_fs_per_mm, abs=1e-3)
    assert found.fs_per_mm == pytest.approx(truth.fs_per_mm, abs=0.02)
    assert found.gvd_fs2_per_mm == pytest.approx(truth.gvd_fs2_per_mm, abs=0.5)


def test_any_delay_stage_can_carry_wedges():
    clock, rail = SimulatedClock(), LinearAxis(seed=1, key=0)
    scale = WedgeScale.of_glass(CALCIUM_FLUORIDE, 4.0, 550.0, zero_mm=75.0)
    controller = LinearController(clock, rail)
    with PILinearStage(
        lambda: EmulatedAdapter(controller),
        clock=clock,
        scale=scale,
        limits_fs=Limits(-1500.0, 1500.0),
        limits_mm=Limits(60.0, 90.0),
        referencing="reference_switch",
    ) as stage:
        stage.move_to(100.07)
        true_mm = rail.position_mm(clock.now_ps)
    assert scale.delay_fs(true_mm) == pytest.approx(100.07, abs=2e-3)
    assert 1e3 * abs(scale.position_mm(0.07) - 75.0) == pytest.approx(0.67, abs=0.01)


@pytest.mark.parametrize("wrong", [{"apex_deg": 0.0}, {"apex_deg": 50.0}, {"sign": 2}])
def test_a_wedge_has_an_angle_and_a_direction(wrong):
    with pytest.raises(ValueError, match="degrees"):
        WedgeScale.of_glass(FUSED_SILICA, **{"apex_deg": 4.0, **wrong}, wavelength_nm=550.0)
