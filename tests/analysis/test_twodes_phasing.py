import numpy as np
import pytest

from qdlab.analysis.twodes.phasing import fit_phase
from qdlab.analysis.twodes.units import W

W3 = np.linspace(16500.0, 19500.0, 120)


def signal():
    peak = sum(a / (1 - 1j * (W3 - c) / 250) for a, c in ((1.0, 17900), (-0.6, 18700)))
    return np.stack([peak, 0.8 * peak + 0.1j])


@pytest.mark.parametrize("p0", [-2.9, -0.3, 0.3, 1.7, 3.1])
def test_a_phase_error_is_found(p0):
    turned = signal() * np.exp(-1j * (p0 + 2e-4 * (W3 - W3.mean())))
    phase = fit_phase(turned, 7.0 * signal().real, W3)
    assert np.exp(1j * phase.p0_rad) == pytest.approx(np.exp(1j * p0), abs=2e-5)
    assert phase.p1_rad_per_cm == pytest.approx(2e-4, abs=1e-8)
    np.testing.assert_allclose(turned * phase.factor(W3), signal(), atol=1e-4)


def test_its_error_is_that_of_the_noise():
    rng = np.random.default_rng(2)
    clean, pulls = signal(), []
    for _ in range(60):
        noisy = clean.real + 0.05 * rng.normal(size=clean.shape)
        phase = fit_phase(clean * np.exp(-0.3j), noisy, W3)
        pulls.append((phase.p0_rad - 0.3) / phase.p0_err_rad)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.3)


def test_no_signal_is_refused():
    with pytest.raises(ValueError, match="nothing to find a phase from"):
        fit_phase(np.zeros((1, 120), complex), np.zeros((1, 120)), W3)


@pytest.mark.parametrize("lead_error_fs", [-55.0, -20.0, 5.0, 40.0])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_lead_that_is_far_off_is_found(lead_error_fs, noise):
    rng = np.random.default_rng(3)
    slope = W * lead_error_fs
    turned = signal() * np.exp(-1j * (1.2 + slope * (W3 - W3.mean())))
    kick = noise * rng.normal(size=turned.shape)
    phase = fit_phase(turned, signal().real + kick, W3)
    assert phase.p1_rad_per_cm == pytest.approx(slope, abs=5 * phase.p1_err_rad_per_cm + 1e-9)
    assert phase.p0_rad == pytest.approx(1.2, abs=5 * phase.p0_err_rad + 1e-6)


def test_a_bleach_stays_a_bleach():
    """The scale is positive: a phase off by pi is found, not taken for a negative signal."""
    phase = fit_phase(-signal(), signal().real, W3)
    assert abs(phase.p0_rad) == pytest.approx(np.pi, abs=1e-5)


def test_a_constant_phase_alone_can_be_asked_for():
    phase = fit_phase(signal() * np.exp(-0.4j), signal().real, W3, linear=False)
    assert phase.p0_rad == pytest.approx(0.4, abs=1e-6)
    assert (phase.p1_rad_per_cm, phase.p1_err_rad_per_cm) == (0.0, 0.0)
