"""The spectrometer through seabreeze: exposures on the rig's clock, the wire, and what goes wrong."""

import hashlib
import struct
import time

import numpy as np
import pytest

from qdlab.instruments.base import InstrumentError, NotConnectedError, OutOfRangeError
from qdlab.instruments.clock import RealClock
from qdlab.instruments.links import LinkError, ReplyTimeoutError
from qdlab.instruments.oceanoptics.network import NetworkHandle, handle_at
from qdlab.instruments.oceanoptics.spectrometers import NetworkSpectrometer, UsbSpectrometer
from qdlab.instruments.spectrum_detector import Frames, SpectrometerError
from qdlab.sim.bench import Faults
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.doors import WallTime, serve_tcp
from qdlab.sim.emulators.obp_spectrometer import EmulatedHandle, ObpSpectrometer, Sensor


class Lamp:
    """A bench whose light is what a test says, as a function of time in seconds."""

    seed = 7

    def __init__(self, *faults, rate_hz=1e6):
        self.clock, self.faults = SimulatedClock(), Faults(frozenset(faults))
        self.collected_until = lambda t_s: rate_hz * t_s
        self.is_open = True

    def detector_spectrum(self, wavelength_nm, start_ps, stop_ps):
        electrons = self.collected_until(stop_ps * 1e-12) - self.collected_until(start_ps * 1e-12)
        return np.full(len(wavelength_nm), electrons if self.is_open else 0.0)

    def set_shutter(self, is_open):
        self.is_open = is_open


def detector_on(lamp, **keywords):
    spectrometer = ObpSpectrometer(lamp)
    return NetworkSpectrometer(
        lambda: EmulatedHandle(spectrometer), clock=lamp.clock, shutter=True, **keywords
    )


# ---- what a detector is ----


def test_connecting_reads_identity_wavelengths_and_limits():
    lamp = Lamp()
    with detector_on(lamp) as detector:
        assert (detector.connect().model, detector.connect().serial) == ("HDX", "HDX00042")
        assert detector.connect().simulated
        assert len(detector.wavelength_nm) == 2068
        assert np.all(np.diff(detector.wavelength_nm) > 0)
        assert detector.wavelength_nm[0] == pytest.approx(470.0)
        assert detector.integration_limits_s == (0.006, 9.999999)
        assert detector.saturation_counts == 65_535
    with pytest.raises(NotConnectedError):
        detector.frames(1)


def test_an_exposure_takes_its_time_on_the_rigs_clock_and_sees_the_light_of_that_time():
    lamp = Lamp()
    lamp.collected_until = lambda t_s: 1.6e6 * max(0.0, t_s - 1.05)  # the light goes on at 1.05 s
    with detector_on(lamp) as detector:
        detector.integration_time_s = 0.1
        dark = detector.take_dark(5)
        lamp.clock.sleep(1.0 - lamp.clock.now())
        before_s = lamp.clock.now()
        frames = detector.frames(3, tag=4)
        assert lamp.clock.now() - before_s == pytest.approx(0.3)
    assert frames.time_s == pytest.approx([1.0, 1.1, 1.2])
    assert frames.tag.tolist() == [4, 4, 4]
    electrons = 3.0 * (frames.counts - dark).mean(axis=1)
    assert electrons == pytest.approx([0.8e5, 1.6e5, 1.6e5], rel=2e-3)


def test_shot_noise_is_the_root_of_the_photoelectrons():
    lamp = Lamp(rate_hz=4e6)
    with detector_on(lamp) as detector:
        dark = detector.take_dark(400)
        counts = detector.frames(400).counts
    gain = Sensor().electrons_per_count
    collected = gain * (counts - dark).mean()
    variance = gain**2 * counts.var(axis=0, ddof=1).mean()
    own = 12.0**2 + 3000.0 * 0.01 + gain**2 / 12  # read noise, dark current, rounding
    assert collected == pytest.approx(4e4, rel=1e-3)
    assert variance - own == pytest.approx(collected, rel=0.01)


def test_dark_frames_are_forgotten_with_the_integration_time():
    with detector_on(Lamp()) as detector:
        assert detector.dark is None
        mean = detector.take_dark(20)
        assert detector.dark is mean
        assert mean.mean() == pytest.approx(1510.0, abs=2.0)
        detector.integration_time_s = 0.01
        assert detector.dark is mean
        detector.integration_time_s = 0.02
        assert detector.dark is None


def test_a_detector_without_a_shutter_says_so():
    lamp = Lamp()
    spectrometer = ObpSpectrometer(lamp)
    with (
        NetworkSpectrometer(lambda: EmulatedHandle(spectrometer), clock=lamp.clock) as detector,
        pytest.raises(InstrumentError, match="block the light by hand"),
    ):
        detector.open_shutter(False)


def test_full_pixels_are_seen():
    with detector_on(Lamp("obp_saturated", rate_hz=4e6)) as detector:
        frames = detector.frames(2)
        assert detector.saturated(frames).tolist() == [True, True]
    with detector_on(Lamp(rate_hz=4e6)) as detector:
        assert not detector.saturated(detector.frames(1)).any()


@pytest.mark.parametrize("integration_s", [0.005, 10.0, float("nan")])
def test_integration_times_out_of_range_are_not_sent(integration_s):
    with detector_on(Lamp()) as detector:
        with pytest.raises(OutOfRangeError, match="integration_time_s"):
            detector.integration_time_s = integration_s
        assert detector.integration_time_s == 0.01
        assert detector.frame_s == pytest.approx(0.011)


def test_no_frames_are_refused():
    with detector_on(Lamp()) as detector, pytest.raises(OutOfRangeError, match="0 frames"):
        detector.frames(0)


def test_frames_of_several_calls_are_joined_in_order():
    with detector_on(Lamp()) as detector:
        joined = Frames.joined([detector.frames(2, tag=1), detector.frames(1, tag=2)])
    assert joined.tag.tolist() == [1, 1, 2]
    assert joined.counts.shape == (3, 2068)
    assert np.all(np.diff(joined.time_s) > 0)


def test_the_same_seed_gives_the_same_counts():
    counts = []
    for _ in range(2):
        with detector_on(Lamp()) as detector:
            counts.append(detector.frames(3).counts)
    assert np.array_equal(*counts)


# ---- what goes wrong ----


@pytest.mark.parametrize("fault", ["obp_link_dropped", "obp_wrong_checksum"])
def test_a_frame_lost_on_the_way_is_taken_again_over_a_new_connection(fault, caplog):
    lamp = Lamp(fault)
    with detector_on(lamp) as detector:
        detector.integration_time_s = 0.02
        frames = detector.frames(12)
        assert detector.integration_time_s == 0.02
    assert frames.counts.std(axis=1).max() < 300
    assert frames.counts.mean(axis=1) == pytest.approx([1500 + 2e4 / 3 + 20] * 12, rel=2e-3)
    assert "taken again" in caplog.text


def test_a_late_reply_delays_the_run_and_is_not_taken_for_another():
    lamp = Lamp("obp_late_reply")
    lamp.collected_until = lambda t_s: 1e6 * t_s**2
    with detector_on(lamp) as detector:
        frames = detector.frames(15)
    assert np.diff(frames.time_s)[9] == pytest.approx(1.01)
    electrons = 3.0 * (frames.counts.mean(axis=1) - 1510.0)
    expected = 1e6 * ((frames.time_s + 0.01) ** 2 - frames.time_s**2)
    assert electrons == pytest.approx(expected, abs=100)


def test_a_spectrometer_that_is_gone_ends_in_an_error_within_simulated_seconds():
    lamp = Lamp("obp_no_answer")
    with detector_on(lamp) as detector:
        began_s = lamp.clock.now()
        with pytest.raises(ReplyTimeoutError, match="no reply"):
            detector.frames(12)
        assert lamp.clock.now() - began_s < 30.0


def test_a_refused_spectrum_says_why():
    with detector_on(Lamp("obp_refuses")) as detector, pytest.raises(SpectrometerError, match="not ready"):
        detector.frames(1)


def test_nobody_at_the_address_is_named():
    with pytest.raises(LinkError, match="no HDX answers at 127"):
        detector_on(Lamp("obp_not_found")).connect()


def test_a_refused_setting_is_not_lost():
    with detector_on(Lamp()) as detector:
        detector.integration_limits_s = detector.integration_limits_s._replace(upper=100.0)
        with pytest.raises(SpectrometerError, match="refuses an integration time of 20"):
            detector.integration_time_s = 20.0
        assert detector.integration_time_s == 0.01
        assert detector.frames(1).counts.shape == (1, 2068)


# ---- the wire ----


def message(kind, payload=b"", *, flags=0, version=0x1100, checksum=0):
    header = struct.pack(
        "<HHHHLL6sBB16sL", 0xC0C1, version, flags, 0, kind, 0, b"", checksum, len(payload), payload, 20
    )
    return header + struct.pack("<16sL", hashlib.md5(header + b"!").digest(), 0xC2C3C4C5)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (message(0x123), 2),
        (message(0x100, version=0x1000), 1),
        (message(0x100, checksum=1), 3),
        (message(0x110010, b"\1\2"), 5),
        (message(0x110010, struct.pack("<L", 5999)), 6),
        (message(0x110110, b"\1"), 6),
        (message(0x180101, b"\x09"), 12),
    ],
)
def test_the_emulated_spectrometer_refuses_with_the_protocols_numbers(sent, error):
    (reply,) = ObpSpectrometer(Lamp()).receive(sent)
    flags, code = struct.unpack_from("<HH", reply.data, 4)
    assert flags & 8
    assert code == error


def test_messages_may_arrive_in_pieces():
    spectrometer = ObpSpectrometer(Lamp())
    whole = message(0x100) + message(0x110000)
    replies = [reply for k in range(len(whole)) for reply in spectrometer.receive(whole[k : k + 1])]
    assert [reply.data[24:32] for reply in replies[:1]] == [b"HDX00042"]
    assert struct.unpack_from("<L", replies[1].data, 24) == (10_000,)


def test_over_tcp_the_same_driver_takes_frames_in_real_time():
    lamp = Lamp()
    spectrometer = ObpSpectrometer(lamp)
    with serve_tcp(spectrometer, before_exchange=WallTime(lamp.clock)) as door:
        detector = NetworkSpectrometer(lambda: handle_at(door.address), clock=RealClock())
        for _ in range(2):  # the socket is given back, or the second client would be turned away
            with detector:
                started = time.monotonic()
                frames = detector.frames(10)
                assert time.monotonic() - started > 0.1
                assert frames.counts.mean() == pytest.approx(1510 + 1e4 / 3, rel=5e-3)


def test_a_server_that_hangs_up_is_an_error_and_not_an_endless_loop():
    lamp = Lamp()
    door = serve_tcp(ObpSpectrometer(lamp), before_exchange=WallTime(lamp.clock))
    detector = NetworkSpectrometer(lambda: handle_at(door.address), clock=RealClock())
    with detector:
        detector.frames(1)
        door.close()
        with pytest.raises(LinkError):
            detector.frames(1)


def test_addresses_that_are_none_are_named():
    for address in ("HDX", "tcp://", "tcp://localhost:99999999"):
        with pytest.raises(LinkError, match="no spectrometer can be there"):
            handle_at(address)
    assert handle_at("tcp://127.0.0.1").get_address() == ("127.0.0.1", 57357)
    assert isinstance(handle_at("tcp://127.0.0.1:50"), NetworkHandle)


# ---- on USB ----


class UsbFeature:
    taken = 0

    def get_wavelengths(self):
        return np.linspace(400.0, 800.0, 8)

    def get_integration_time_micros_limits(self):
        return 1000, 65_000_000

    def get_maximum_intensity(self):
        return 65_535.0

    def set_integration_time_micros(self, integration_time_micros):
        self.integration_us = integration_time_micros

    def get_intensities(self):
        self.taken += 1
        return np.full(8, float(self.taken))


class UsbDevice:
    model, serial_number = "USB2000PLUS", "USB123"
    closed = False

    def __init__(self):
        self.f = type("Features", (), {"spectrometer": UsbFeature()})()

    def open(self):
        self.closed = False

    def close(self):
        self.closed = True


@pytest.fixture
def usb(monkeypatch):
    devices = [UsbDevice()]
    monkeypatch.setattr(
        "qdlab.instruments.oceanoptics.spectrometers.SeaBreezeAPI",
        lambda: type("Api", (), {"list_devices": lambda self: devices})(),
    )
    return devices


def test_on_usb_the_first_frame_of_each_call_is_thrown_away(usb):
    with UsbSpectrometer(clock=SimulatedClock()) as detector:
        assert detector.frames(2).counts[:, 0].tolist() == [2.0, 3.0]
        assert detector.frames(1).counts[:, 0].tolist() == [5.0]
        detector.integration_time_s = 0.0035
        assert usb[0].f.spectrometer.integration_us == 3500
    assert usb[0].closed


def test_on_usb_the_right_spectrometer_is_taken_or_none(usb):
    with pytest.raises(LinkError, match="found: USB2000PLUS s/n USB123"):
        UsbSpectrometer("OTHER", clock=SimulatedClock()).connect()
    usb.append(UsbDevice())
    with pytest.raises(LinkError, match="exactly one"):
        UsbSpectrometer(clock=SimulatedClock()).connect()
    usb[1].serial_number = "USB124"
    assert UsbSpectrometer("USB124", clock=SimulatedClock()).connect().serial == "USB124"
