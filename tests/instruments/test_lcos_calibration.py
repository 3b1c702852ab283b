"""The calibration of a liquid-crystal shaper: kept, refused, and measured on the emulated panel."""

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from qdlab.analysis.twodes.shaper_calibration import (
    column_to_wavelength,
    fringe_delay,
    grey_to_phase,
    line_centre,
    residual_phase,
)
from qdlab.instruments.base import OutOfRangeError
from qdlab.instruments.pulse_shaper import PulseTrain
from qdlab.instruments.shaper.calibration import CalibrationError, GreyCurve, LcosCalibration
from qdlab.instruments.shaper.frames import Diffraction
from qdlab.instruments.shaper.lcos import LcosShaper
from qdlab.sim.bench import Faults
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.shaper_screen import EmulatedScreen, exact_calibration
from qdlab.sim.physics.four_f import FourF

CHANGED = date(2026, 9, 10)


class Table:
    """What an emulated shaper needs of the bench."""

    def __init__(self):
        self.clock, self.faults, self.shaper_mask, self.pump = SimulatedClock(), Faults(), None, None

    def set_pump(self, pulses):
        self.pump = pulses


@pytest.fixture(scope="module")
def panel():
    return EmulatedScreen(Table())


@pytest.fixture
def exact(panel):
    return exact_calibration(panel.optics, panel.panel, name="autumn", on=CHANGED)


# ---- the file ----


def test_a_calibration_comes_back_from_its_file_exactly(exact, tmp_path):
    path = tmp_path / "panel.toml"
    replace(exact, phase_sign=-1).save(path)
    found = LcosCalibration.load(path, optics="autumn", optics_changed=CHANGED)
    assert found.phase_sign == -1
    assert (found.date, found.optics, found.columns) == (CHANGED, "autumn", 1272)
    assert found.wavelength_nm == exact.wavelength_nm
    assert found.residual_fs == exact.residual_fs
    for one, other in zip(found.grey, exact.grey, strict=True):
        assert one.wavelength_nm == other.wavelength_nm
        assert np.array_equal(one.phase_rad, other.phase_rad)


def test_a_missing_calibration_is_refused(tmp_path):
    with pytest.raises(CalibrationError, match="there is no shaper calibration"):
        LcosCalibration.load(tmp_path / "panel.toml", optics="autumn", optics_changed=CHANGED)


@pytest.mark.parametrize(
    ("optics", "changed", "sentence"),
    [
        ("winter", CHANGED, "measured with optics 'autumn', but the station has 'winter'"),
        ("autumn", date(2026, 9, 11), "is of 2026-09-10, older than the optics change of 2026-09-11"),
    ],
)
def test_a_calibration_of_other_optics_or_before_their_change_is_refused(
    exact, tmp_path, optics, changed, sentence
):
    exact.save(tmp_path / "panel.toml")
    with pytest.raises(CalibrationError, match=sentence):
        LcosCalibration.load(tmp_path / "panel.toml", optics=optics, optics_changed=changed)


@pytest.mark.parametrize("text", ["columns = 3", "not toml", 'date = "today"\noptics = "a"'])
def test_a_file_that_is_no_calibration_is_refused_with_its_name(tmp_path, text):
    path = tmp_path / "panel.toml"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=r"panel\.toml"):
        LcosCalibration.load(path, optics="autumn", optics_changed=CHANGED)


def test_what_cannot_be_a_panel_is_refused(exact):
    with pytest.raises(CalibrationError, match="turns round"):
        replace(exact, wavelength_nm=(550.0, 0.0, 50.0))
    with pytest.raises(CalibrationError, match="does not rise"):
        replace(exact, grey=(GreyCurve(550.0, np.zeros(256)),))
    with pytest.raises(CalibrationError, match="ascending"):
        replace(exact, grey=exact.grey[::-1])
    short = GreyCurve(550.0, np.linspace(0, 2 * math.pi, 256))
    with pytest.raises(CalibrationError, match=r"1\.70 pi at 648\.8 nm"):
        replace(exact, grey=(short,)).column_phase_rad()


def test_phases_between_the_curves_are_those_of_the_panel(exact, panel):
    phase_rad = exact.column_phase_rad()
    planted = panel.panel.phase_rad(np.arange(256), panel.optics.column_wavelength_nm[:, None])
    assert np.abs(phase_rad - planted).max() < 1e-3


# ---- measured on the twin ----


@pytest.mark.slow
def test_a_calibration_measured_on_the_twin_shapes_as_well_as_an_exact_one():
    table = Table()
    screen = EmulatedScreen(table, FourF(wavelength_nm=(551.0, 98.0, -2.0, 0.4), residual_fs=(120.0, -300.0)))
    rough = replace(  # what the maker of the panel says, and a ruler
        exact_calibration(FourF(), screen.panel),
        residual_fs=(),
    )
    shaper = LcosShaper(screen, clock=table.clock, calibration=rough, encoding=Diffraction(16, 1), rows=1024)
    wavelength_nm = np.linspace(455, 645, 2068)
    spectrum = np.exp(-4 * np.log(2) * ((1e7 / wavelength_nm - 18_200) / 3600) ** 2)
    rng = np.random.default_rng(11)

    def field():
        shaper.wait_settled()
        table.clock.sleep(0.05)
        return screen.passed(1e7 / wavelength_nm)

    def power():
        counts = 40_000 * spectrum * np.abs(field()) ** 2
        return rng.poisson(counts).astype(float)

    shaper.connect()
    level = np.arange(0, 256, 8)
    rows = []
    for grey in level:
        shaper.show_grating(int(grey))
        rows.append(power())
    at = np.linspace(150, 1900, 9).astype(int)
    binned = np.array(rows)[:, at[:, None] + np.arange(-8, 9)].mean(axis=2)
    grey_phases = grey_to_phase(level, binned, 256)
    grey = tuple(
        GreyCurve(float(wavelength_nm[k]), p) for k, p in zip(at, grey_phases.phase_rad, strict=True)
    )

    opened, lines = np.arange(60, 1200, 30), []
    for first in opened:
        mask = np.zeros(1272, complex)
        mask[first : first + 7] = 1
        shaper.show_mask(mask)
        lines.append(line_centre(wavelength_nm, power() / spectrum))
    wavelength = column_to_wavelength(opened + 3.0, np.array(lines), columns=1272)
    assert wavelength.rms_columns < 0.1
    found = replace(rough, wavelength_nm=wavelength.coefficients_nm, grey=grey)
    shaper.disconnect()

    shaper = LcosShaper(screen, clock=table.clock, calibration=found, encoding=Diffraction(16, 1), rows=1024)
    shaper.connect()
    shaper.set_pulses(PulseTrain((0.0,), (0.0,), (1.0,), 1.0, 18_200.0))
    ascending = slice(None, None, -1)
    phase = np.angle(field())[ascending]
    wavenumber_cm, weight = (1e7 / wavelength_nm)[ascending], spectrum[ascending]
    residual = residual_phase(wavenumber_cm, phase, weight, centre_cm=18_200.0)
    assert residual.residual_fs == pytest.approx((120, -300), abs=3)
    shaper.disconnect()

    found = replace(found, residual_centre_cm=18_200.0, residual_fs=residual.residual_fs)
    shaper = LcosShaper(screen, clock=table.clock, calibration=found, encoding=Diffraction(16, 1), rows=1024)
    shaper.connect()
    for t1_fs in (60.0, 250.0):
        train = PulseTrain.pair(t1_fs, (0.0, 0.0), rotating_frame=0.0, carrier_cm=18_200.0)
        shaper.set_pulses(train)
        power_there = weight * np.abs(field()[ascending]) ** 2
        fringes = fringe_delay(wavenumber_cm, power_there, weight, centre_cm=18_200.0)
        assert fringes.delay_fs == pytest.approx(t1_fs, abs=0.010)
        assert len(table.pump) == 2


def test_calibration_frames_that_cannot_be_are_refused(panel):
    table = Table()
    screen = EmulatedScreen(table)
    calibration = exact_calibration(screen.optics, screen.panel)
    shaper = LcosShaper(
        screen, clock=table.clock, calibration=calibration, encoding=Diffraction(16, 1), rows=1024
    )
    shaper.connect()
    with pytest.raises(OutOfRangeError, match="grey level 256"):
        shaper.show_grating(256)
    with pytest.raises(OutOfRangeError, match="1272 values"):
        shaper.show_mask(np.ones(1271, complex))
    with pytest.raises(OutOfRangeError, match="1272 values"):
        shaper.show_mask(np.full(1272, 1.1 + 0j))
