"""The window on the second monitor: bit for bit, refused where it would not be."""

import os
import threading
from datetime import date

import numpy as np
import pytest

pytest.importorskip("PyQt5.QtWidgets")
os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QT_API"] = "pyqt5"

from PyQt5.QtGui import QImage

from qdlab.instruments.base import InstrumentError, NotConnectedError
from qdlab.instruments.shaper.calibration import GreyCurve, LcosCalibration
from qdlab.instruments.shaper.frames import Diffraction, GreyTable, pack, tile
from qdlab.instruments.shaper.lcos import LcosShaper
from qdlab.instruments.shaper.qt_window import FrameWindow, find_screen
from qdlab.instruments.shaper.second_monitor import SecondMonitor
from qdlab.sim.clock import SimulatedClock


@pytest.fixture(autouse=True)
def offscreen(monkeypatch, tmp_path):
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    tmp_path.chmod(0o700)


@pytest.fixture
def monitor():
    monitor = SecondMonitor("1")
    yield monitor
    monitor.close()


def grabbed(window):
    """Red, green and blue of what the window paints."""
    image = window.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


# ---- the window ----


@pytest.mark.parametrize("shape", [(600, 800), (600, 800, 3), (511, 373), (511, 373, 3)], ids=str)
def test_a_frame_is_painted_bit_for_bit(qapp, shape):
    frame = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    window = FrameWindow()
    window.resize(shape[1], shape[0])
    window.show()
    window.show_frame(frame)
    painted = grabbed(window)
    window.close()
    wanted = frame if frame.ndim == 3 else np.repeat(frame[:, :, None], 3, axis=2)
    assert np.array_equal(painted, wanted)


def test_a_screen_is_found_by_number_and_the_others_are_named(qapp):
    assert find_screen("1") is qapp.screens()[0]
    with pytest.raises(ValueError, match=r"no screen 'DP-9'; found: 1 \("):
        find_screen("DP-9")


# ---- the program of its own ----


def test_the_second_monitor_says_what_it_is_and_shows_frames_from_any_thread(monitor):
    info = monitor.open()
    assert info.pixel_ratio == 1
    frame = np.zeros((info.rows, info.columns), np.uint8)
    threads = [threading.Thread(target=monitor.show, args=(frame,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monitor.show(np.zeros((info.rows, info.columns, 3), np.uint8))


def test_a_screen_that_is_not_there_is_refused():
    with pytest.raises(InstrumentError, match="no screen 'HDMI-7'; found: 1"):
        SecondMonitor("HDMI-7").open()


def test_showing_without_a_screen_or_on_a_lost_one_is_refused(monitor):
    frame = np.zeros((600, 800), np.uint8)
    with pytest.raises(NotConnectedError, match="not open"):
        monitor.show(frame)
    monitor.open()
    monitor._program.kill()
    monitor._program.wait()
    with pytest.raises(InstrumentError, match="has gone"):
        monitor.show(frame)
    monitor.close()
    monitor.close()


def lcos(monitor, columns, rows):
    curves = tuple(GreyCurve(nm, np.linspace(0, 2.2 * np.pi * 650 / nm, 256)) for nm in (450.0, 650.0))
    calibration = LcosCalibration(
        date=date(2026, 5, 1),
        optics="test",
        columns=columns,
        wavelength_nm=(550.0, 100.0),
        grey=curves,
        residual_centre_cm=18_200.0,
    )
    clock = SimulatedClock()
    return LcosShaper(monitor, clock=clock, calibration=calibration, encoding=Diffraction(16, 1), rows=rows)


def test_the_shaper_works_on_a_screen_of_its_size_and_refuses_another(monitor):
    info = monitor.open()
    with lcos(monitor, info.columns, info.rows) as shaper:
        assert not shaper.settled
    with pytest.raises(InstrumentError, match=f"has {info.columns} x {info.rows} pixels"):
        lcos(monitor, info.columns - 2, info.rows).connect()


def test_a_scaled_screen_is_refused(monitor, monkeypatch):
    info = monitor.open()
    monkeypatch.setenv("QT_SCALE_FACTOR", "2")
    with pytest.raises(InstrumentError, match="scaled by 2"):
        lcos(monitor, info.columns, info.rows).connect()


# ---- frames ----


def test_ten_bits_are_packed_from_the_top_of_red_green_and_blue():
    levels = np.array([[0b1010110011, 0, 1023]], np.uint16)
    assert pack(levels, 10).tolist() == [[[0b10100000, 0b01100000, 0b00110000], [0, 0, 0], [224, 224, 240]]]
    assert pack(np.array([[7, 255]], np.uint16), 8).tolist() == [[7, 255]]


def test_a_frame_repeats_its_pattern_from_the_top():
    pattern = np.arange(6, dtype=np.uint8).reshape(3, 2)
    assert tile(pattern, 7).tolist() == [[0, 1], [2, 3], [4, 5], [0, 1], [2, 3], [4, 5], [0, 1]]


def test_the_grey_level_is_the_nearest_of_its_column():
    curves = np.cumsum(0.01 + 0.04 * np.random.default_rng(2).random((50, 256)), axis=1)
    curves -= curves[:, :1]
    phases = 2 * np.pi * np.random.default_rng(3).random((7, 50))
    levels = GreyTable(curves).levels(phases)
    nearest = np.abs(curves[None] - phases[..., None]).argmin(axis=2)
    assert np.array_equal(levels, nearest)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("rows", [4, 12, 16])
def test_a_sawtooth_of_exact_phases_is_the_mask(order, rows):
    rng = np.random.default_rng(5)
    mask = np.sqrt(rng.random(400)) * np.exp(2j * np.pi * rng.random(400))
    mask[:4] = 0, 1, 1j, 0.5
    encoding = Diffraction(rows, order)
    phases = encoding.phases(mask)
    assert phases.min() >= 0
    assert phases.max() <= 2 * np.pi
    assert np.abs(encoding.field(phases) - mask).max() < 1e-7


def test_the_amplitude_follows_the_inverted_sinc_of_the_depth():
    many = Diffraction(400, 1)
    for depth in (0.2, 0.5, 0.9):
        phases = many.phases(np.array([np.sinc(1 - depth)], complex))
        assert np.ptp(phases) / (2 * np.pi) == pytest.approx(depth, abs=0.005)
