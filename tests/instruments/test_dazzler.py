"""The Dazzler behind its folder: what is asked for is rendered, what is not taken is told."""

import os
from pathlib import PureWindowsPath

import numpy as np
import pytest

from qdlab.instruments.base import InstrumentError, NotConnectedError, OutOfRangeError
from qdlab.instruments.pulse_shaper import RAD_FS_PER_CM, PulseTrain
from qdlab.instruments.shaper.dazzler import DazzlerShaper
from qdlab.instruments.shaper.dazzler_files import LAYOUT, wave_text
from qdlab.sim.bench import Faults
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.dazzler import EmulatedDazzler

CARRIER_CM = 18_200.0
LOPSIDED = PulseTrain((-200.0, 0.0, 330.0), (1.0, 2.0, 3.0), (0.2, 0.3, 0.5), 0.5, 18_000.0)


class Table:
    """What an emulated shaper needs of the bench."""

    def __init__(self, *faults):
        self.clock, self.faults = SimulatedClock(), Faults(frozenset(faults))
        self.shaper_mask = self.pump = None

    def set_pump(self, pulses):
        self.pump = pulses


def make(folder, *faults, **options):
    table = Table(*faults)
    program = EmulatedDazzler(table, folder, window_fs=4000.0)
    program.start()
    shaper = DazzlerShaper(
        folder, clock=table.clock, window_fs=4000.0, wavelength_limits_nm=(470.0, 640.0), **options
    )
    return table, program, shaper


def asked(train):
    shift = RAD_FS_PER_CM * train.rotating_frame * train.carrier_cm
    pulses = zip(train.delays_fs, train.phases_rad, train.amplitudes, strict=True)
    return sorted((d, a * np.exp(1j * (p - shift * d))) for d, p, a in pulses)


@pytest.mark.parametrize(
    "train",
    [
        PulseTrain.pair(100.0, (0.0, 0.0), rotating_frame=1.0, carrier_cm=CARRIER_CM),
        PulseTrain.pair(1500.0, (0.3, 2.0), rotating_frame=0.9, carrier_cm=CARRIER_CM),
        LOPSIDED,
    ],
    ids=str,
)
def test_the_pulses_on_the_bench_are_those_asked_for(tmp_path, train):
    table, _, shaper = make(tmp_path)
    shaper.connect()
    applied = shaper.set_pulses(train)
    assert np.abs(applied.field - train.mask(applied.wavenumber_cm)).max() < 1e-5
    shaper.wait_settled()
    assert len(table.pump) == len(train.delays_fs)
    for pulse, (delay_fs, field) in zip(table.pump, asked(train), strict=True):
        assert pulse.delay_fs == pytest.approx(delay_fs, abs=0.005)
        turned = pulse.amplitude * np.exp(1j * RAD_FS_PER_CM * CARRIER_CM * (pulse.delay_fs - delay_fs))
        assert turned == pytest.approx(field, abs=0.006)


def test_nothing_passes_from_connect_until_a_train_is_set_and_after_make_safe(tmp_path):
    table, _, shaper = make(tmp_path)
    shaper.make_safe()
    with pytest.raises(NotConnectedError):
        shaper.set_pulses(LOPSIDED)
    shaper.connect()
    shaper.wait_settled()
    assert table.pump == ()
    shaper.set_pulses(LOPSIDED)
    shaper.wait_settled()
    assert len(table.pump) == 3
    shaper.make_safe()
    shaper.make_safe()
    shaper.wait_settled()
    assert table.pump == ()


def test_the_program_takes_renamed_requests_only(tmp_path):
    table, program, shaper = make(tmp_path)
    shaper.connect()
    waves = set(tmp_path.glob("qdlab-*"))
    assert len(waves) == 1
    unfinished = tmp_path / "request.tmp"
    unfinished.write_text(str(waves.pop()) + "\n")
    table.clock.sleep(10.0)
    assert unfinished.exists()
    os.replace(unfinished, tmp_path / "request.txt")
    table.clock.sleep(0.15)
    assert not (tmp_path / "request.txt").exists()
    program.stop()


def test_a_request_that_is_not_taken_is_told_and_withdrawn(tmp_path):
    table, _, shaper = make(tmp_path, "dazzler_not_running", take_s=3.0)
    with pytest.raises(InstrumentError, match=r"did not take .*request\.txt within 3 s"):
        shaper.connect()
    assert table.clock.now() == pytest.approx(3.0, abs=0.1)
    assert not (tmp_path / "request.txt").exists()
    shaper.disconnect()


def test_an_older_request_is_not_overwritten(tmp_path):
    (tmp_path / "request.txt").write_text("somebody's\n")
    _, _, shaper = make(tmp_path, "dazzler_not_running")
    with pytest.raises(InstrumentError, match="an older"):
        shaper.connect()
    assert (tmp_path / "request.txt").read_text() == "somebody's\n"


def test_a_missing_folder_is_refused(tmp_path):
    shaper = DazzlerShaper(
        tmp_path / "none", clock=SimulatedClock(), window_fs=4000.0, wavelength_limits_nm=(470.0, 640.0)
    )
    with pytest.raises(InstrumentError, match="there is no folder"):
        shaper.connect()


def test_a_program_that_skips_lines_acknowledges_all_the_same(tmp_path):
    table, _, shaper = make(tmp_path, "dazzler_skips_phase")
    shaper.connect()
    shaper.set_pulses(PulseTrain((100.0,), (0.0,), (1.0,), 1.0, CARRIER_CM))
    shaper.wait_settled()
    (pulse,) = table.pump
    assert pulse.delay_fs == pytest.approx(0.0, abs=1e-3)


def test_a_deaf_program_keeps_what_it_had(tmp_path):
    table, _, shaper = make(tmp_path, "dazzler_deaf")
    shaper.connect()
    shaper.set_pulses(LOPSIDED)
    shaper.wait_settled()
    assert table.pump == ()


def test_lines_that_are_no_numbers_are_skipped_without_a_word(tmp_path):
    table, _, shaper = make(tmp_path)
    shaper.connect()
    wavelength_nm = np.linspace(470, 640, 50)
    text = wave_text(wavelength_nm, np.full(50, 0.5), np.zeros(50))
    wave = tmp_path / "mine.txt"
    wave.write_text(text.replace("#phase", "what is this\n#phase"))
    (tmp_path / "request.txt").write_text(f"{wave}\n*FOO 3\n")
    table.clock.sleep(0.5)
    (pulse,) = table.pump
    assert pulse.amplitude == pytest.approx(0.5, abs=1e-3)


def test_requests_name_the_folder_as_the_other_computer_knows_it(tmp_path):
    table, _, shaper = make(
        tmp_path, "dazzler_not_running", folder_there=PureWindowsPath(r"C:\dazzler\data"), take_s=1.0
    )
    seen = []
    look = table.clock.schedule
    look(round(0.5e12), lambda: seen.append((tmp_path / "request.txt").read_text()))
    with pytest.raises(InstrumentError):
        shaper.connect()
    assert seen[0].startswith("C:\\dazzler\\data\\qdlab-")


def test_the_phase_in_a_file_has_the_programs_sign():
    text = wave_text(np.array([550.0]), np.array([1.0]), np.array([0.25]))
    assert text.splitlines()[-2:] == ["#phase", f"550.000000{LAYOUT.separator}-0.25000"]


def test_delays_beyond_half_the_window_are_refused_before_anything_is_written(tmp_path):
    _, _, shaper = make(tmp_path)
    shaper.connect()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OutOfRangeError, match="pulse 1"):
        shaper.set_pulses(PulseTrain.pair(2001.0, (0.0, 0.0), rotating_frame=1.0, carrier_cm=CARRIER_CM))
    assert sorted(tmp_path.iterdir()) == before


def test_wave_files_are_written_once_and_removed_at_the_end(tmp_path):
    _, _, shaper = make(tmp_path)
    shaper.connect()
    for _ in range(3):
        shaper.set_pulses(LOPSIDED)
    assert len(list(tmp_path.glob("qdlab-*"))) == 2
    shaper.disconnect()
    shaper.disconnect()
    assert list(tmp_path.iterdir()) == []
