"""The 4f line and the taking apart of masks into pulses."""

import numpy as np
import pytest

from qdlab.sim.physics.dimer_ensemble import Laser
from qdlab.sim.physics.four_f import FourF
from qdlab.sim.physics.pulses import Pulse, decompose

W = 2e-5 * np.pi * 2.99792458
CENTRE_CM = 1e7 / 550


def plain(columns, *, spot_columns=0.0, fwhm_cm=2600.0):
    """Columns equidistant over 200 nm about 550 nm, without a spectral phase."""
    return FourF(
        columns=columns,
        wavelength_nm=(550.0, 100.0),
        spot_columns=spot_columns,
        residual_fs=(),
        laser=Laser(CENTRE_CM, fwhm_cm),
    )


def delayed(optics, delay_fs):
    """The field of each column for one pulse, its carrier locked."""
    return np.exp(1j * W * (1e7 / optics.column_wavelength_nm - CENTRE_CM) * delay_fs)


def window_fs(optics):
    at_centre = np.abs(np.diff(1e7 / optics.column_wavelength_nm))[optics.columns // 2]
    return 2 * np.pi / (W * at_centre)


# ---- pixels ----


@pytest.mark.parametrize(("columns", "window_ps"), [(640, 3.23), (800, 4.04), (1272, 6.42), (1920, 9.69)])
def test_the_window_is_one_over_the_frequency_step_of_a_column(columns, window_ps):
    assert window_fs(plain(columns)) == pytest.approx(1e3 * window_ps, rel=2e-3)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_a_delayed_pulse_falls_as_the_sinc_of_its_share_of_the_window(share):
    optics = plain(1272, fwhm_cm=60.0)  # so narrow that the window is the same for all its light
    delay_fs = share * window_fs(optics)
    pulses = optics.pulses(delayed(optics, delay_fs))
    (pulse,) = (p for p in pulses if abs(p.delay_fs - delay_fs) < 20)
    assert abs(pulse.amplitude) == pytest.approx(np.sinc(share), rel=0.01)
    if share == 0.5:
        assert abs(pulse.amplitude) == pytest.approx(0.64, abs=0.005)


def test_a_pulse_of_half_a_window_has_an_equal_replica_half_a_window_early():
    optics = plain(1272, fwhm_cm=60.0)
    half_fs = window_fs(optics) / 2
    early = [p for p in optics.pulses(delayed(optics, half_fs)) if abs(p.delay_fs + half_fs) < 20]
    assert len(early) == 1
    assert abs(early[0].amplitude) == pytest.approx(0.637, abs=0.01)


def test_a_focus_larger_than_a_column_is_a_gaussian_window_in_time():
    optics = plain(1272, spot_columns=2.0, fwhm_cm=60.0)
    sigma = 2.0 / 2.35482
    for share in (0.1, 0.2):
        pulses = optics.pulses(delayed(optics, share * window_fs(optics)))
        expected = np.sinc(share) * np.exp(-((2 * np.pi * sigma * share) ** 2) / 2)
        assert max(abs(p.amplitude) for p in pulses) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("columns", "delay_fs", "replica"),
    [(640, 300, 0.017), (640, 1000, 0.05), (800, 300, 0.013), (1920, 300, 0.003)],
)
def test_the_first_replica_is_smeared_to_a_few_percent(columns, delay_fs, replica):
    """Field of the replica, as a share of the pulse; how far it is smeared depends on the spectrum."""
    optics = plain(columns)
    wavenumber_cm = np.linspace(15_500, 21_500, 40 * columns)
    field = optics.passed(delayed(optics, delay_fs), wavenumber_cm) * optics.laser.amplitude(wavenumber_cm)
    spectrum = np.abs(np.fft.fft(field))
    time_fs = 2 * np.pi * np.fft.fftfreq(len(field), W * (wavenumber_cm[1] - wavenumber_cm[0]))
    early = np.abs(time_fs - (delay_fs - window_fs(optics))) < 0.35 * window_fs(optics)
    found = spectrum[early].max() / spectrum.max()
    assert replica / 2 < found < 2 * replica


def test_light_beside_the_panel_is_lost():
    optics = plain(640)
    assert optics.passed(np.ones(640, complex), np.array([1e7 / 430, 1e7 / 550]))[0] == 0
    assert np.isnan(optics.column_at(np.array([1e7 / 700])))


def test_columns_and_wavelengths_belong_together():
    optics = FourF()
    column = np.arange(optics.columns, dtype=float)
    assert np.allclose(optics.column_at(1e7 / optics.column_wavelength_nm), column, atol=1e-4)


# ---- pulses ----


GRID_CM = np.linspace(15_385, 22_100, 3816)
POWER = Laser().amplitude(GRID_CM) ** 2


def mask_of(pulses):
    return sum(p.amplitude * np.exp(1j * W * GRID_CM * p.delay_fs) for p in pulses)


@pytest.mark.parametrize(
    "planted",
    [
        [Pulse(0.0, 1.0)],
        [Pulse(-100.0, 0.5j), Pulse(0.0, 0.5)],
        [Pulse(-412.3, 0.2 - 0.1j), Pulse(0.0, 0.3j), Pulse(333.3, -0.4)],
        [Pulse(-8.0, 0.5), Pulse(0.0, -0.5j)],
        [Pulse(-300.0, 0.01), Pulse(0.0, 0.9)],
        [Pulse(-3000.0, 0.3), Pulse(2900.0, 0.3), Pulse(0.0, 0.4)],
    ],
)
def test_planted_pulses_come_back(planted):
    found = decompose(mask_of(planted), GRID_CM, POWER)
    assert len(found) == len(planted)
    for pulse, wanted in zip(found, sorted(planted), strict=True):
        assert pulse.delay_fs == pytest.approx(wanted.delay_fs, abs=2e-3)
        turned = pulse.amplitude * np.exp(1j * W * 18_200 * (pulse.delay_fs - wanted.delay_fs))
        assert turned == pytest.approx(wanted.amplitude, abs=2e-3)


@pytest.mark.parametrize("delay_fs", [0.0, 0.3, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("phase", [0.0, 1.0, np.pi])
def test_overlapping_pulses_make_the_same_field_whatever_their_number(delay_fs, phase):
    planted = mask_of([Pulse(-delay_fs, 0.5), Pulse(0.0, 0.5 * np.exp(1j * phase))])
    found = decompose(planted, GRID_CM, POWER)
    left = planted - mask_of(found)
    rms = np.sqrt((POWER @ np.abs(left) ** 2) / POWER.sum())
    assert rms < 0.01 * max(np.sqrt((POWER @ np.abs(planted) ** 2) / POWER.sum()), 0.2)
    assert len(found) <= 2


def test_no_light_is_no_pulse():
    assert decompose(np.zeros(3816, complex), GRID_CM, POWER) == ()


def test_what_is_below_half_a_percent_is_left_out():
    assert len(decompose(mask_of([Pulse(0.0, 1.0), Pulse(200.0, 0.004)]), GRID_CM, POWER)) == 1
    assert len(decompose(mask_of([Pulse(0.0, 1.0), Pulse(200.0, 0.006)]), GRID_CM, POWER)) == 2


def test_a_chirp_is_described_by_several_pulses():
    w = W * (GRID_CM - 18_200)
    planted = np.exp(1j * 20 * w**2 / 2)
    left = planted - mask_of(decompose(planted, GRID_CM, POWER))
    assert POWER @ np.abs(left) ** 2 < 1e-3 * POWER.sum()
