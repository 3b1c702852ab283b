"""An emulated Ocean HDX spectrometer: the Ocean binary protocol, and the sensor behind it.

A message is a 44-byte header (0xC0C1, version, flags, error, type, regarding, 6 reserved, checksum type,
length of 16 immediate bytes, those, bytes to come), a payload, a 16-byte checksum and 0xC2C3C4C5. (Layout and
numbers as in seabreeze and in Ocean Optics' own libseabreeze.)
"""

from __future__ import annotations

import hashlib
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...instruments.oceanoptics.network import NetworkHandle
from ..bench import Faults
from ..clock import PS_PER_S, SimulatedClock
from .pi_gcs import Reply

FAULTS = {
    "obp_not_found": "Nothing at the address answers.",
    "obp_saturated": "Ten times too much light falls on the sensor.",
    "obp_link_dropped": "The connection breaks at the tenth spectrum; a new one works.",
    "obp_wrong_checksum": "Every tenth spectrum is damaged on the way.",
    "obp_late_reply": "Every tenth spectrum comes a second late.",
    "obp_no_answer": "From the tenth spectrum on nothing is answered.",
    "obp_refuses": "Every spectrum is refused: the device is not ready.",
}
"""Name and what happens; active when the name is among the bench's faults."""

_HEADER = struct.Struct("<HHHHLL6sBB16sL")
_FOOTER = struct.Struct("<16sL")
_START, _VERSION, _END = 0xC0C1, 0x1100, 0xC2C3C4C5
_RESPONSE, _ACK, _WANTS_ACK, _NACK = 1, 2, 4, 8
_PLAIN, _MD5 = 0, 1
_IMMEDIATE = 16
_BAD_VERSION, _UNKNOWN, _BAD_CHECKSUM, _BAD_LENGTH, _BAD_DATA, _NOT_READY, _NO_SUCH = 1, 2, 3, 5, 6, 7, 12
_SHORTEST_US, _LONGEST_US = 6000, 10_000_000
_STRIKES_AT = 10
_LATE_S = 1.0


class SpectrumBench(Protocol):
    """What the bench of a coherence experiment is to a spectrometer."""

    clock: SimulatedClock
    seed: int
    faults: Faults

    def detector_spectrum(
        self, wavelength_nm: NDArray[np.float64], start_ps: int, stop_ps: int
    ) -> NDArray[np.float64]:
        """Photoelectrons expected in each pixel between two instants."""
        ...

    def set_shutter(self, is_open: bool) -> None:
        """Open or close the shutter in front of the slit."""
        ...


@dataclass(frozen=True)
class Sensor:
    """The array and its converter."""

    pixels: int = 2068
    wavelength_nm: tuple[float, ...] = (470.0, 0.088, -5e-7)
    """Coefficients against the pixel number, constant first."""
    electrons_per_count: float = 3.0
    read_noise_electrons: float = 12.0
    dark_electrons_per_s: float = 3000.0
    offset_counts: float = 1500.0
    pattern_counts: float = 8.0
    """Standard deviation of the pixels' own offsets."""
    full_counts: int = 65_535


class _Refused(Exception):  # noqa: N818 - a NACK, not a fault of the program
    """A message is answered with this error number."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class _Exposure:
    """A reply that is there when the exposure has ended, read out when it is sent."""

    def __init__(self, delay_s: float, read_out: Callable[[], bytes]) -> None:
        self.delay_s, self._read_out = delay_s, read_out

    @property
    def data(self) -> bytes:
        """The bytes that go back."""
        return self._read_out()


Sent = Reply | _Exposure


class ObpSpectrometer:
    """An HDX as it stands on the bench; an exposure begins when asked for, or after the one before."""

    def __init__(self, bench: SpectrumBench, sensor: Sensor | None = None) -> None:
        self.clock, self._bench, self.sensor = bench.clock, bench, sensor or Sensor()
        self._faults = bench.faults
        self._rng = np.random.default_rng((bench.seed, 0x0B9))
        pixel = np.arange(self.sensor.pixels, dtype=np.float64)
        sent = np.array(self.sensor.wavelength_nm, np.float32)  # as they go over the wire
        self.wavelength_nm: NDArray[np.float64] = np.polynomial.Polynomial(sent.astype(np.float64))(pixel)
        self._offset = self.sensor.offset_counts + self.sensor.pattern_counts * self._rng.standard_normal(
            self.sensor.pixels
        )
        self._integration_us = 10_000
        self._busy_until_ps = 0
        self._spectra = 0
        self._received = b""
        self._dropped = False

    # ---- what doors use ----

    @property
    def held_elsewhere(self) -> bool:
        """Whether another program holds the spectrometer."""
        return False

    @property
    def link_broken(self) -> bool:
        """Whether this connection is broken."""
        return self._dropped

    def connected(self) -> None:
        """A client has connected anew; raises ConnectionRefusedError where there is no spectrometer."""
        if "obp_not_found" in self._faults:
            raise ConnectionRefusedError("nothing listens there")
        self._received, self._dropped = b"", False

    def receive(self, data: bytes) -> list[Sent]:
        """Take bytes from the client and give the replies to whole messages."""
        self._received += data
        sent: list[Sent] = []
        while len(self._received) >= _HEADER.size:
            header = _HEADER.unpack_from(self._received)
            size = _HEADER.size + header[10]
            if len(self._received) < size:
                break
            message, self._received = self._received[:size], self._received[size:]
            reply = self._answer(header, message)
            if reply is not None:
                sent.append(reply)
        return sent

    # ---- messages ----

    def _answer(self, header: tuple[Any, ...], message: bytes) -> Sent | None:
        flags, kind, checked = header[2], header[4], header[7]
        try:
            if header[0] != _START or header[1] != _VERSION:
                raise _Refused(_BAD_VERSION)
            checksum, end = _FOOTER.unpack_from(message, len(message) - _FOOTER.size)
            if end != _END or (
                checked == _MD5 and checksum != hashlib.md5(message[: -_FOOTER.size]).digest()
            ):
                raise _Refused(_BAD_CHECKSUM)
            immediate = header[9][: header[8]]
            payload = immediate or message[_HEADER.size : -_FOOTER.size]
            return self._do(kind, payload, flags)
        except _Refused as refusal:
            return Reply(_message(kind, b"", _RESPONSE | _NACK, refusal.code))

    def _do(self, kind: int, payload: bytes, flags: int) -> Sent | None:
        match kind:
            case 0x0000_0100:
                return _reply(kind, b"HDX00042")
            case 0x0000_0101:
                return _reply(kind, bytes([8]))
            case 0x0018_0100:
                return _reply(kind, bytes([len(self.sensor.wavelength_nm)]))
            case 0x0018_0101:
                return _reply(kind, struct.pack("<f", self._coefficient(payload)))
            case 0x0018_1100:
                return _reply(kind, bytes([0]))
            case 0x0018_1101:
                raise _Refused(_NO_SUCH)
            case 0x0011_0000:
                return _reply(kind, struct.pack("<L", self._integration_us))
            case 0x0011_0010:
                self._set_integration(payload)
            case 0x0011_0110:
                if _byte(payload) != 0:  # nothing is wired to the trigger input
                    raise _Refused(_BAD_DATA)
            case 0x0011_0410:
                self._bench.set_shutter(bool(_byte(payload)))
            case 0x0010_1000 | 0x0010_1100:
                return self._expose(kind)
            case _:
                raise _Refused(_UNKNOWN)
        return Reply(_message(kind, b"", _RESPONSE | _ACK, 0)) if flags & _WANTS_ACK else None

    def _coefficient(self, payload: bytes) -> float:
        if _byte(payload) >= len(self.sensor.wavelength_nm):
            raise _Refused(_NO_SUCH)
        return self.sensor.wavelength_nm[_byte(payload)]

    def _set_integration(self, payload: bytes) -> None:
        if len(payload) != 4:
            raise _Refused(_BAD_LENGTH)
        (wanted_us,) = struct.unpack("<L", payload)
        if not _SHORTEST_US <= wanted_us <= _LONGEST_US:
            raise _Refused(_BAD_DATA)
        self._integration_us = wanted_us

    # ---- spectra ----

    def _expose(self, kind: int) -> Sent | None:
        if "obp_refuses" in self._faults:
            raise _Refused(_NOT_READY)
        self._spectra += 1
        struck = self._spectra % _STRIKES_AT == 0
        if "obp_no_answer" in self._faults and self._spectra >= _STRIKES_AT:
            return None
        if "obp_link_dropped" in self._faults and self._spectra == _STRIKES_AT:
            self._dropped = True
            return None
        start_ps = max(self.clock.now_ps, self._busy_until_ps)
        stop_ps = start_ps + self._integration_us * 1_000_000
        self._busy_until_ps = stop_ps
        late_s = _LATE_S if struck and "obp_late_reply" in self._faults else 0.0
        damaged = struck and "obp_wrong_checksum" in self._faults
        delay_s = (stop_ps - self.clock.now_ps) / PS_PER_S + late_s
        return _Exposure(delay_s, lambda: self._read_out(kind, start_ps, stop_ps, damaged))

    def _read_out(self, kind: int, start_ps: int, stop_ps: int, damaged: bool) -> bytes:
        message = _message(kind, self.counts(start_ps, stop_ps).tobytes(), _RESPONSE, 0)
        if damaged:
            at = _HEADER.size + 1001
            message = message[:at] + bytes([message[at] ^ 0x40]) + message[at + 1 :]
        return message

    def counts(self, start_ps: int, stop_ps: int) -> NDArray[np.uint16]:
        """What the converter reads after an exposure: shot noise, dark current, read noise, full pixels."""
        s = self.sensor
        electrons = self._bench.detector_spectrum(self.wavelength_nm, start_ps, stop_ps)
        if "obp_saturated" in self._faults:
            electrons = 10.0 * electrons
        electrons = electrons + s.dark_electrons_per_s * (stop_ps - start_ps) / PS_PER_S
        collected = self._rng.poisson(electrons) + s.read_noise_electrons * self._rng.standard_normal(
            s.pixels
        )
        levels = np.rint(collected / s.electrons_per_count + self._offset)
        return np.clip(levels, 0, s.full_counts).astype("<u2")


def _byte(payload: bytes) -> int:
    if len(payload) != 1:
        raise _Refused(_BAD_LENGTH)
    return payload[0]


def _reply(kind: int, payload: bytes) -> Reply:
    return Reply(_message(kind, payload, _RESPONSE, 0))


def _message(kind: int, payload: bytes, flags: int, error: int) -> bytes:
    """A message with its MD5 checksum."""
    immediate, rest = (payload, b"") if len(payload) <= _IMMEDIATE else (b"", payload)
    remaining = len(rest) + _FOOTER.size
    header = _HEADER.pack(
        _START, _VERSION, flags, error, kind, 0, b"", _MD5, len(immediate), immediate, remaining
    )
    return header + rest + _FOOTER.pack(hashlib.md5(header + rest).digest(), _END)


class _EmulatedSocket:
    """A connection without a wire: waiting for a reply moves the bench's clock."""

    def __init__(self, spectrometer: ObpSpectrometer) -> None:
        self._spectrometer = spectrometer
        self._on_the_way: deque[tuple[int, Sent]] = deque()
        self._arrived = b""
        self._timeout_s: float | None = None

    def settimeout(self, timeout_s: float | None) -> None:
        """How long `recv_into` waits, in simulated seconds."""
        self._timeout_s = timeout_s

    def gettimeout(self) -> float | None:
        """How long `recv_into` waits."""
        return self._timeout_s

    def close(self) -> None:
        """Forget what is on the way."""
        self._on_the_way.clear()

    def send(self, data: bytes) -> int:
        """Hand bytes to the spectrometer."""
        self._require_link()
        for sent in self._spectrometer.receive(data):
            due_ps = self._spectrometer.clock.now_ps + round(sent.delay_s * PS_PER_S)
            self._on_the_way.append((due_ps, sent))
        return len(data)

    def recv_into(self, buffer: memoryview, nbytes: int) -> int:
        """Wait until there is something, and take up to `nbytes` of it."""
        while not self._arrived:
            self._require_link()
            self._wait()
        taken = self._arrived[:nbytes]
        self._arrived = self._arrived[nbytes:]
        buffer[: len(taken)] = taken
        return len(taken)

    def _wait(self) -> None:
        clock = self._spectrometer.clock
        wait_ps = self._on_the_way[0][0] - clock.now_ps if self._on_the_way else None
        if self._timeout_s is not None and (wait_ps is None or wait_ps > self._timeout_s * PS_PER_S):
            clock.sleep(self._timeout_s)
            raise TimeoutError("timed out")
        if wait_ps is None:
            raise RuntimeError("a reply is waited for that cannot come, and there is no time-out")
        clock.sleep(wait_ps / PS_PER_S)
        self._arrived = self._on_the_way.popleft()[1].data

    def _require_link(self) -> None:
        if self._spectrometer.link_broken:
            raise ConnectionResetError("the spectrometer closed the connection")


class EmulatedHandle(NetworkHandle):
    """The handle of an emulated spectrometer, in process."""

    simulated = True

    def __init__(self, spectrometer: ObpSpectrometer) -> None:
        super().__init__("127.0.0.1")
        self._spectrometer = spectrometer

    def open(self) -> None:
        """Connect to the spectrometer."""
        self._spectrometer.connected()
        # seabreeze asks for no more of a socket than this one has
        self.socket: socket.socket = _EmulatedSocket(self._spectrometer)  # pyright: ignore
        self._is_open = True
