"""Pulses of finite strength, propagated without perturbation theory, against the explicit response."""

import numpy as np
import pytest

from qdlab.sim.physics import reference_response
from qdlab.sim.physics.dimer_ensemble import (
    NO_DEPHASING,
    RAD_PER_FS,
    Laser,
    LevelSystem,
    Relaxation,
    coupled_dimers,
)
from qdlab.sim.physics.dimer_states import LABELS
from qdlab.sim.physics.reference_response import Conditions
from qdlab.sim.physics.shaped_pulse_oracle import ORDERS, ShapedPulseOracle, pulse_propagator

DELAYS = [(60.0, 80.0, 50.0), (90.0, 150.0, 70.0), (75.0, 400.0, 45.0)]
"""In fs; pulses of 8 fs do not overlap."""
LABELS_15 = ("Ll perp", "Lh perp")
LABELS_45 = ("Ll perp", "Ll par", "Lh perp", "H perp")
COS_THETA = (0.0, 0.3, 0.6, 0.8, 0.95)
"""Orientations: all dipoles of the 15 states are proportional to sin theta."""
TARGET = 3e-6
"""Of the difference at a field of 1e-3."""
MEETING_TARGET = {
    "rephasing": {0.6, 0.8, 0.95},
    "nonrephasing": {0.6, 0.8, 0.95},
    "double_quantum": {0.8, 0.95},
}


def dimer(labels, cos_theta: float = 0.8) -> tuple[LevelSystem, Conditions]:
    system = coupled_dimers([[3.1, 2.9]], [cos_theta]).system(0, labels)
    return system, Conditions(rates_per_fs=Relaxation().matrix(labels))


def difference_and_excited(
    labels, signal: str, strength: float, delays=DELAYS, cos_theta: float = 0.8
) -> tuple[float, float]:
    """Largest difference of projected and explicit signal, relative to the largest signal; share excited."""
    system, on = dimer(labels, cos_theta)
    oracle = ShapedPulseOracle(system, strength, on)
    explicit = getattr(reference_response, signal)
    expected = np.array([explicit(system, *at, on).total.item() for at in delays])
    found = np.array([oracle.projected(signal, *at) for at in delays])
    difference = np.max(np.abs(found - expected)) / np.max(np.abs(expected))
    return float(difference), float(1 - abs(oracle.pulse[0, 0]) ** 2)


@pytest.mark.parametrize("signal", ORDERS)
def test_differences_from_the_response_are_two_more_interactions(signal):
    """They are proportional to the field squared and, whatever the orientation, to the share excited.

    What both laws leave out is four more interactions, smaller again by a few times that share. So the
    target of 3e-6 at a field of 1e-3 is a matter of the orientation. Cos theta = 0.8 and 0.95 meet it; 0.6
    meets it in the rephasing and the nonrephasing signal, not in the double-quantum one (3.4e-6); 0.3 and 0
    meet it in none (3.1e-6 to 5.2e-6).
    """
    strong = {c: difference_and_excited(LABELS_15, signal, 1e-2, cos_theta=c) for c in COS_THETA}
    weak = {c: difference_and_excited(LABELS_15, signal, 1e-3, cos_theta=c) for c in COS_THETA}
    per_share = weak[0.0][0] / weak[0.0][1]
    for c in COS_THETA:
        (difference, share), (weak_difference, _) = strong[c], weak[c]
        assert difference / weak_difference == pytest.approx(100, rel=5 * share)
        assert difference / share == pytest.approx(per_share, rel=5 * share)
    assert {c for c in COS_THETA if weak[c][0] <= TARGET} == MEETING_TARGET[signal]


@pytest.mark.parametrize("signal", ORDERS)
def test_a_dimer_of_45_states_differs_by_no_more_than_its_excitation_allows(signal):
    assert_difference_is_excitation(LABELS_45, signal)


@pytest.mark.slow
@pytest.mark.parametrize("signal", ORDERS)
def test_a_whole_dimer_of_153_states_differs_by_no_more_than_its_excitation_allows(signal):
    assert_difference_is_excitation(LABELS, signal)


def assert_difference_is_excitation(labels, signal: str):
    """Two more interactions change a signal by a few times the share that a pulse excites."""
    for strength in (1e-2, 1e-3):
        difference, excited = difference_and_excited(labels, signal, strength, DELAYS[:1])
        assert difference < 5 * excited


def cycling_error(signal: str, strength: float, steps: int) -> float:
    """Largest difference of the cycled from the projected signal, relative to the largest signal."""
    system, on = dimer(LABELS_15)
    oracle = ShapedPulseOracle(system, strength, on)
    exact = np.array([oracle.projected(signal, *at) for at in DELAYS])
    cycled = np.array([oracle.cycled(signal, *at, steps=steps) for at in DELAYS])
    return float(np.max(np.abs(cycled - exact)) / np.max(np.abs(exact)))


@pytest.mark.parametrize("signal", ORDERS)
def test_two_steps_cannot_tell_the_signals_apart(signal):
    assert cycling_error(signal, 0.03, 2) > 0.5
    assert cycling_error(signal, 0.003, 2) == pytest.approx(cycling_error(signal, 0.03, 2), rel=0.05)


@pytest.mark.parametrize("signal", ORDERS)
def test_three_steps_leave_fifth_order_signals(signal):
    strong, weak = cycling_error(signal, 0.1, 3), cycling_error(signal, 0.01, 3)
    assert 1e-4 < strong < 3e-2
    assert strong / weak == pytest.approx(100, rel=0.1)  # two more interactions


@pytest.mark.parametrize("signal", ["rephasing", "nonrephasing"])
def test_four_steps_are_exact_for_rephasing_and_nonrephasing(signal):
    assert cycling_error(signal, 0.1, 4) < 1e-12


def test_four_steps_leave_a_trace_of_seventh_order_in_the_double_quantum_signal():
    strong, weak = cycling_error("double_quantum", 0.1, 4), cycling_error("double_quantum", 0.03, 4)
    assert 1e-7 < strong < 1e-4
    assert strong / weak == pytest.approx((0.1 / 0.03) ** 4, rel=0.1)  # four more interactions


@pytest.mark.parametrize("signal", ORDERS)
def test_five_steps_are_exact(signal):
    assert cycling_error(signal, 0.1, 5) < 1e-11


def test_a_pulse_on_two_levels_is_a_rotation():
    """On resonance the populations follow the area of the pulse, whatever its shape."""
    dipole = np.array([[0.0, 0.0], [1.0, 0.0]])
    for area in (0.1, np.pi / 2, np.pi):
        u = pulse_propagator(np.zeros(2), dipole, area, Laser(), 18200.0)
        np.testing.assert_allclose(np.abs(u[:, 0]), np.abs([np.cos(area), np.sin(area)]), atol=1e-7)
        np.testing.assert_allclose(u @ u.conj().T, np.eye(2), atol=1e-7)


def test_a_weak_pulse_has_the_spectrum_of_the_laser():
    laser = Laser()
    offsets = np.array([-2000.0, -500.0, 0.0, 900.0])
    energies = RAD_PER_FS * np.r_[0.0, offsets]
    dipole = np.zeros((5, 5))
    dipole[1:, 0] = 1
    u = pulse_propagator(energies, dipole, 1e-5, laser, laser.centre_cm)
    np.testing.assert_allclose(u[1:, 0] / 1e-5j, laser.amplitude(18200 + offsets), atol=1e-9)


def test_the_frame_does_not_matter_to_the_propagator():
    """A laser off the frame carries its detuning in the envelope."""
    laser, shift = Laser(), 300.0
    dipole = np.array([[0.0, 0.0], [1.0, 0.0]])
    here = pulse_propagator(np.array([0.0, RAD_PER_FS * 500.0]), dipole, 0.2, laser, 18200.0)
    there = pulse_propagator(
        np.array([0.0, RAD_PER_FS * (500.0 - shift)]), dipole, 0.2, laser, 18200.0 + shift
    )
    np.testing.assert_allclose(here, there, atol=1e-10)


def test_without_light_there_is_no_polarisation():
    system, on = dimer(LABELS_15)
    dark = ShapedPulseOracle(system, 0.0, on._replace(dephasing=NO_DEPHASING))
    assert dark.polarisation(60, 80, 50, (0.0, 1.0, 2.0)) == 0
