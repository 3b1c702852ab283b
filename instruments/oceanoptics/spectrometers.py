"""Ocean Optics spectrometers through seabreeze: on the network (HDX, FX) and on USB."""

from __future__ import annotations

import logging
import struct
import threading
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from seabreeze.pyseabreeze import SeaBreezeAPI
from seabreeze.pyseabreeze.devices import SeaBreezeDevice
from seabreeze.pyseabreeze.exceptions import SeaBreezeError
from seabreeze.pyseabreeze.transport import USBTransportError

from ..base import Identity, Limits, NotConnectedError
from ..clock import Clock
from ..links import LinkDroppedError, LinkError, ReplyTimeoutError
from ..pi.gcs_errors import UnexpectedReplyError
from ..spectrum_detector import SpectrometerError, SpectrumDetector
from .network import NetworkHandle, network_device

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_GET_SPECTRUM = 0x0010_1000
_SET_INTEGRATION_US = 0x0011_0010
_SET_LAMP = 0x0011_0410
_LATE_S = 2.0
_FIRST_INTEGRATION_S = 0.01


class OceanSpectrometer(SpectrumDetector):
    """What the spectrometers have in common: the calibration is read when connecting."""

    def __init__(self, *, clock: Clock, name: str) -> None:
        super().__init__(name)
        self._clock = clock
        self._lock = threading.RLock()
        self._device: SeaBreezeDevice | None = None
        self._identity: Identity | None = None
        self._wavelength_nm = np.empty(0)
        self._integration_s = _FIRST_INTEGRATION_S

    def connect(self) -> Identity:
        """Open the connection, read serial number and wavelengths, and set the integration time.

        Raises LinkError when nobody answers.
        """
        with self._lock:
            if self._device is None or self._identity is None:
                self._device = self._opened()
                try:
                    feature = self._feature
                    self._wavelength_nm = self._guarded(feature.get_wavelengths)
                    lowest_us, highest_us = feature.get_integration_time_micros_limits()
                    self.integration_limits_s = Limits(lowest_us / 1e6, (highest_us - 1) / 1e6)
                    self.saturation_counts = feature.get_maximum_intensity()
                    self._set_integration_time(self._integration_s)
                    self._identity = Identity(
                        "Ocean Optics", self._device.model, self._device.serial_number, "", self._simulated
                    )
                except BaseException:
                    self._close()
                    raise
            return self._identity

    def disconnect(self) -> None:
        """Close the connection; does nothing when there is none."""
        with self._lock:
            self._close()

    def settings(self) -> dict[str, object]:
        """Identity, integration time and wavelengths, as a run file records them."""
        if self._device is None:
            return {}
        return {
            "identity": str(self._identity),
            "integration_time_s": self._integration_s,
            "wavelength_nm": [float(self._wavelength_nm[0]), float(self._wavelength_nm[-1])],
            "pixels": len(self._wavelength_nm),
        }

    @property
    def wavelength_nm(self) -> NDArray[np.float64]:
        """Get the vacuum wavelength at the centre of each pixel in nanometres (float64, ascending)."""
        self._require_device()
        return self._wavelength_nm

    def _integration_time_s(self) -> float:
        return self._integration_s

    def _expose(self, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        with self._lock:
            self._require_device()
            counts = np.empty((n, len(self._wavelength_nm)))
            time_s = np.empty(n)
            for k in range(n):
                time_s[k], counts[k] = self._frame()
        return counts, time_s

    # ---- for the two kinds ----

    _simulated = False

    @abstractmethod
    def _opened(self) -> SeaBreezeDevice:
        """The device, opened; raises LinkError."""

    @abstractmethod
    def _frame(self) -> tuple[float, NDArray[Any]]:
        """Take one frame: when it began, and its counts."""

    @abstractmethod
    def _guarded(self, exchange: Callable[[], Answer], what: str = "an exchange") -> Answer:
        """Run an exchange and tell in our words what went wrong with it."""

    @property
    def _feature(self) -> Any:
        """Seabreeze's face of the spectrometer; it has no type of its own."""
        return self._require_device().f.spectrometer

    def _require_device(self) -> SeaBreezeDevice:
        if self._device is None:
            raise NotConnectedError(f"{self.name}: connect first")
        return self._device

    def _close(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            device.close()


class NetworkSpectrometer(OceanSpectrometer):
    """A spectrometer that speaks the Ocean binary protocol over TCP.

    `open_handle` makes the connection's handle (see `network.handle_at`), `model` is seabreeze's name of the
    spectrometer. An exposure begins with the request for it; a frame that is lost on the way (no reply,
    broken connection, wrong checksum) is taken again, once, over a new connection. With `shutter` the
    lamp-enable line drives a shutter in front of the slit, open when high.
    """

    readout_s = 1e-3

    def __init__(
        self,
        open_handle: Callable[[], NetworkHandle],
        *,
        clock: Clock,
        model: str = "HDX",
        shutter: bool = False,
        name: str = "Ocean Optics spectrometer",
    ) -> None:
        super().__init__(clock=clock, name=name)
        self._open_handle, self._model = open_handle, model
        self.has_shutter = shutter
        self._shutter_open = True
        self._handle: NetworkHandle | None = None

    def _opened(self) -> SeaBreezeDevice:
        self._handle = self._open_handle()
        self._simulated = getattr(self._handle, "simulated", False)
        device = network_device(self._handle, self._model)
        try:
            self._guarded(device.open, "open")
        except (SpectrometerError, LinkError, ReplyTimeoutError) as error:
            device.close()
            host, port = self._handle.get_address()
            raise LinkError(
                f"{self.name}: no {self._model} answers at {host}:{port} ({error}); check address, cable, "
                "power, and that no other program holds it"
            ) from error
        if self.has_shutter:
            feature: Any = device.f.spectrometer
            protocol = feature.protocol
            protocol.msgs = {**protocol.msgs, _SET_LAMP: struct.Struct("<B").pack}
        return device

    def _frame(self) -> tuple[float, NDArray[Any]]:
        try:
            return self._exposed()
        except (ReplyTimeoutError, LinkDroppedError, UnexpectedReplyError) as error:
            _log.warning("%s: a frame was lost and is taken again: %s", self.name, error)
            self._reconnect()
            return self._exposed()

    def _exposed(self) -> tuple[float, NDArray[Any]]:
        protocol = self._feature.protocol
        start_s = self._clock.now()
        self._guarded(lambda: protocol.send(_GET_SPECTRUM, (), request_ack=False))
        self._clock.sleep(self._integration_s)
        counts = np.frombuffer(self._guarded(protocol.receive), "<u2")
        if len(counts) != len(self._wavelength_nm):
            raise UnexpectedReplyError(
                f"{self.name}: a spectrum of {len(counts)} pixels came, not of {len(self._wavelength_nm)}; "
                "check the model in the station file"
            )
        return start_s, counts

    def _set_integration_time(self, value_s: float) -> None:
        self._command(_SET_INTEGRATION_US, round(1e6 * value_s), f"an integration time of {value_s!r} s")
        self._integration_s = value_s

    def _set_shutter(self, is_open: bool) -> None:
        with self._lock:
            self._command(_SET_LAMP, int(is_open), "to move the shutter")
        self._shutter_open = is_open

    def _command(self, message: int, value: int, what: str) -> None:
        """Send a setting; seabreeze itself says nothing when it is refused, but returns 0."""
        protocol = self._feature.protocol
        if not self._guarded(lambda: protocol.send(message, value, request_ack=True)):
            raise SpectrometerError(f"{self.name}: the spectrometer refuses {what}")

    def _reconnect(self) -> None:
        self._close()
        self._device = self._opened()
        self._set_integration_time(self._integration_s)
        if self.has_shutter:
            self._set_shutter(self._shutter_open)

    def _guarded(self, exchange: Callable[[], Answer], what: str = "an exchange") -> Answer:
        handle = self._handle
        try:
            if handle is not None and not handle.closed:
                handle.expect(_LATE_S)
            return exchange()
        except UserWarning as error:
            raise UnexpectedReplyError(f"{self.name}: a reply came with a wrong checksum") from error
        except TimeoutError as error:
            # after a refusal seabreeze waits for more, which does not come
            if isinstance(error.__context__, SeaBreezeError):
                raise SpectrometerError(f"{self.name}: refused: {error.__context__}") from error
            raise ReplyTimeoutError(f"{self.name}: no reply to {what} within {_LATE_S:g} s") from error
        except OSError as error:
            raise LinkDroppedError(f"{self.name}: the connection broke ({error})") from error
        except (SeaBreezeError, AssertionError, struct.error, TypeError) as error:
            raise UnexpectedReplyError(f"{self.name}: {error or 'a reply is garbled'}") from error


class UsbSpectrometer(OceanSpectrometer):
    """A spectrometer on USB: the one with this serial number, or the only one.

    It integrates all the time and delivers the exposure that ends next, which may have begun before it was
    asked; so the first one of each call is thrown away.
    """

    def __init__(self, serial: str = "", *, clock: Clock, name: str = "Ocean Optics spectrometer") -> None:
        super().__init__(clock=clock, name=name)
        self._serial = serial

    def _opened(self) -> SeaBreezeDevice:
        try:
            devices: list[Any] = SeaBreezeAPI().list_devices()
        except (OSError, ValueError, RuntimeError, SeaBreezeError, USBTransportError) as error:
            raise LinkError(
                f"{self.name}: USB cannot be searched ({error}); install libusb and its rules for the devices"
            ) from error
        matching = [d for d in devices if not self._serial or d.serial_number == self._serial]
        if len(matching) != 1:
            found = ", ".join(f"{d.model} s/n {d.serial_number}" for d in devices) or "none"
            raise LinkError(
                f"{self.name}: need exactly one spectrometer on USB{self._serial and ' with serial number '}"
                f"{self._serial}; found: {found}"
            )
        matching[0].open()
        return matching[0]

    def _expose(self, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        counts, time_s = super()._expose(n + 1)
        return counts[1:], time_s[1:]

    def _frame(self) -> tuple[float, NDArray[Any]]:
        start_s = self._clock.now()
        return start_s, self._guarded(self._feature.get_intensities)

    def _set_integration_time(self, value_s: float) -> None:
        self._guarded(lambda: self._feature.set_integration_time_micros(round(1e6 * value_s)))
        self._integration_s = value_s

    def _guarded(self, exchange: Callable[[], Answer], what: str = "an exchange") -> Answer:
        try:
            return exchange()
        except SeaBreezeError as error:
            raise SpectrometerError(f"{self.name}: {what} was refused: {error}") from error
        except (OSError, USBTransportError) as error:
            raise LinkDroppedError(f"{self.name}: the connection broke ({error}); check the cable") from error
