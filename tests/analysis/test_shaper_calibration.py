"""Calibrations of a pulse shaper: the planted curves come back."""

import numpy as np
import pytest

from qdlab.analysis.twodes.shaper_calibration import (
    column_to_wavelength,
    fringe_delay,
    grey_to_phase,
    line_centre,
    residual_phase,
)
from qdlab.analysis.twodes.units import W


def planted_phase(x, turns):
    return 2 * np.pi * turns * (x - 0.07 * np.sin(2 * np.pi * x))


def grating_powers(turns, noise, levels=256, step=2):
    rng = np.random.default_rng(3)
    level = np.arange(0, levels, step)
    phase = np.stack([planted_phase(level / (levels - 1), t) for t in turns], axis=1)
    power = 200 + 4000 * np.linspace(0.3, 1, len(turns)) * np.sin(phase / 2) ** 2
    return level, power + noise * rng.standard_normal(power.shape)


@pytest.mark.parametrize("levels", [256, 1024])
def test_the_phase_of_every_grey_level_comes_back(levels):
    turns = np.linspace(1.05, 1.55, 6)
    level, power = grating_powers(turns, noise=0.0, levels=levels)
    found = grey_to_phase(level, power, levels)
    x = np.arange(levels) / (levels - 1)
    planted = np.stack([planted_phase(x, t) for t in turns])
    assert found.phase_rad.shape == (6, levels)
    assert np.abs(found.phase_rad - planted).max() < 2e-3


def test_noise_of_half_a_percent_costs_less_than_a_grey_level():
    turns = np.linspace(1.05, 1.55, 6)
    level, power = grating_powers(turns, noise=20.0)
    found = grey_to_phase(level, power, 256)
    planted = np.stack([planted_phase(np.arange(256) / 255, t) for t in turns])
    assert np.sqrt(np.mean((found.phase_rad - planted) ** 2)) < 2 * np.pi / 256
    assert np.all(found.misfit < 0.03)


def test_undiffracted_light_gives_the_same_phase():
    level, power = grating_powers([1.2], noise=0.0)
    found = grey_to_phase(level, 5000 - power, 256)
    assert np.abs(found.phase_rad[0] - planted_phase(np.arange(256) / 255, 1.2)).max() < 2e-3


def test_a_measurement_without_light_is_refused():
    noise = np.random.default_rng(1).standard_normal((128, 1))
    with pytest.raises(ValueError, match="wavelength 0"):
        grey_to_phase(np.arange(0, 256, 2), noise, 256)


def test_the_wavelength_of_every_column_comes_back():
    planted = (550.0, 100.0, -1.5, 0.3)
    column = np.arange(40.0, 1272, 60)
    exact = np.polynomial.polynomial.polyval(2 * column / 1271 - 1, planted)
    found = column_to_wavelength(column, exact, columns=1272)
    assert np.allclose(found.coefficients_nm, planted, atol=1e-9)
    assert found.rms_columns < 1e-6
    noisy = exact + 0.02 * np.random.default_rng(5).standard_normal(len(column))  # 0.13 column
    assert column_to_wavelength(column, noisy, columns=1272).rms_columns == pytest.approx(0.127, rel=0.4)


def test_too_few_lines_are_refused():
    with pytest.raises(ValueError, match="5 lines"):
        column_to_wavelength(np.arange(4.0), np.arange(4.0), columns=800)


def test_a_line_is_found_to_a_small_part_of_a_pixel():
    wavelength_nm = np.linspace(450, 650, 2068)
    line = 900 * np.exp(-((wavelength_nm - 561.234) ** 2) / 2 / 0.2**2)
    noise = np.random.default_rng(2).standard_normal(2068)
    assert line_centre(wavelength_nm, line + 3 * noise) == pytest.approx(561.234, abs=0.005)
    with pytest.raises(ValueError, match="no line"):
        line_centre(wavelength_nm, noise)


def test_the_residual_phase_comes_back_with_its_uncertainty():
    wavenumber_cm = np.linspace(16_500, 20_500, 1200)
    w = W * (wavenumber_cm - 18_200)
    weight = np.exp(-4 * np.log(2) * ((wavenumber_cm - 18_200) / 2600) ** 2)
    rng = np.random.default_rng(4)
    pulls = []
    for _ in range(40):
        noise = 0.01 * rng.standard_normal(1200) / np.sqrt(weight)
        phase = 0.4 + 12.5 * w + 80 * w**2 / 2 + 200 * w**3 / 6 + noise
        found = residual_phase(wavenumber_cm, np.angle(np.exp(1j * phase)), weight, centre_cm=18_200)
        pulls.append((np.array(found.residual_fs) - (80, 200)) / found.sigma_fs)
    assert found.delay_fs == pytest.approx(12.5, abs=0.05)
    assert np.all(np.abs(np.mean(pulls, axis=0)) < 0.5)
    assert np.all(np.abs(np.std(pulls, axis=0) - 1) < 0.35)


@pytest.mark.parametrize("delay_fs", [35.0, 99.9, 412.7])
def test_fringes_tell_the_delay_within_their_uncertainty(delay_fs):
    wavenumber_cm = np.linspace(16_500, 20_500, 2000)
    reference = np.exp(-4 * np.log(2) * ((wavenumber_cm - 18_200) / 2600) ** 2)
    w = W * (wavenumber_cm - 18_200)
    rng = np.random.default_rng(7)
    power = 1000 * reference * (1 + 0.8 * np.cos(w * delay_fs + 0.6)) + 2 * rng.standard_normal(2000)
    found = fringe_delay(wavenumber_cm, power, reference, centre_cm=18_200)
    assert found.sigma_fs < 0.003
    assert abs(found.delay_fs - delay_fs) < 4 * found.sigma_fs
    assert found.phase_rad == pytest.approx(0.6, abs=0.003)
    assert found.visibility == pytest.approx(0.8, abs=0.003)


def test_a_delay_without_fringes_is_refused():
    wavenumber_cm = np.linspace(16_500, 20_500, 2000)
    reference = np.exp(-4 * np.log(2) * ((wavenumber_cm - 18_200) / 2600) ** 2)
    with pytest.raises(ValueError, match="two fringes"):
        fringe_delay(
            wavenumber_cm, reference * (1 + np.cos(W * wavenumber_cm * 4)), reference, centre_cm=18_200
        )
