"""PDL 828 "Sepia II" with an SLM 828 laser module, driven through the vendor's Sepia2_Lib."""

from __future__ import annotations

import atexit
import ctypes
import threading
from dataclasses import dataclass
from typing import Any

from ..base import Identity, InstrumentError, Limits, NotConnectedError, OutOfRangeError
from ..clock import Clock
from ..pulsed_laser import LaserLock, PulsedLaser
from . import sepia2lib
from .vendor_library import CLibrary

INTENSITY = Limits(0.0, 1.0)
_LOCK_WAIT_S = 0.05
_LOCK_TRIES = 10
_ABSENT = -9003


@dataclass(frozen=True)
class _Frame:
    """An open frame: USB index and the slots of the modules in use."""

    device: int
    scm_slot: int
    slm_slot: int
    identity: Identity


class PDL828(PulsedLaser):
    """The laser module of a PDL 828; it is soft-locked from `connect` on until `unlock`.

    `library` holds the C functions: `sepia2lib.load()` on a real rig. `serial` chooses the frame;
    without it the first one found is taken. With several laser modules the one in the lowest slot.
    """

    repetition_rates_hz = tuple(sepia2lib.RATES_HZ)

    def __init__(self, library: CLibrary, *, clock: Clock, serial: str = "", name: str = "PDL 828") -> None:
        self.name = name
        self._library, self._clock, self._serial = library, clock, serial
        self._lock = threading.RLock()
        self._frame: _Frame | None = None

    # ---- life ----

    def connect(self) -> Identity:
        """Open the frame, soft-lock the laser before anything else is set, and find the laser module.

        Raises InstrumentError when no frame can be opened, when its firmware reports an error, or when
        a module or the laser head is missing.
        """
        with self._lock:
            if self._frame is None:
                device, model, serial = self._open()
                try:
                    self._frame = self._explore(device, model, serial)
                except BaseException:
                    self._close(device)
                    raise
                atexit.register(self.disconnect)
            return self._frame.identity

    def disconnect(self) -> None:
        """Lock the laser and close the frame; does nothing when there is none.

        Raises InstrumentError when the laser may still emit; the frame is closed all the same.
        """
        with self._lock:
            if self._frame is None:
                return
            device = self._frame.device
            try:
                self.make_safe()
            finally:
                self._frame = None
                atexit.unregister(self.disconnect)
                self._close(device)

    def make_safe(self) -> None:
        """Soft-lock the laser and see that it is locked. Any thread, any number of times.

        Raises InstrumentError when the laser may still emit.
        """
        with self._lock:
            if self._frame is None:
                return
            try:
                self._scm("SetLaserSoftLock", 1)
                for _ in range(_LOCK_TRIES):
                    if self.lock is not LaserLock.UNLOCKED:
                        return
                    self._clock.sleep(_LOCK_WAIT_S)
            except InstrumentError as error:
                raise InstrumentError(f"{self.name} may still emit, turn its key to off: {error}") from error
            raise InstrumentError(
                f"{self.name} may still emit, turn its key to off: the soft lock has no effect"
            )

    def settings(self) -> dict[str, object]:
        """Identity, rate, intensity and slots, as a run file records them."""
        if self._frame is None:
            return {}
        version = _text()
        self._call("LIB_GetVersion", version)
        return {
            "identity": str(self._frame.identity),
            "library_version": _str(version),
            "slm_slot": self._frame.slm_slot,
            "repetition_rate_hz": self.repetition_rate_hz,
            "intensity": self.intensity,
            "lock": self.lock.name,
        }

    # ---- light ----

    @property
    def repetition_rate_hz(self) -> float:
        """Get the pulse repetition rate in hertz (float).

        Raises InstrumentError when the module is triggered externally.
        """
        code = self._pulse_parameters()[0]
        for rate_hz, known in sepia2lib.RATES_HZ.items():
            if known == code:
                return rate_hz
        raise InstrumentError(
            f"{self.name} is triggered externally (mode {code}); set a repetition rate first"
        )

    @property
    def intensity(self) -> float:
        """Get the control voltage as a fraction (0 to 1) of its scale; not proportional to the power."""
        step = ctypes.c_ushort()
        self._slm("GetIntensityFineStep", ctypes.byref(step))
        return step.value / sepia2lib.FULL_INTENSITY

    def set_pulses(self, repetition_rate_hz: float, intensity: float) -> None:
        """Set the repetition rate in hertz and the intensity as a fraction (0 to 1) of the control voltage.

        Raises OutOfRangeError for a rate that the module does not have, before anything is sent, and
        InstrumentError when the module does not take over what was sent.
        """
        if repetition_rate_hz not in sepia2lib.RATES_HZ:
            rates = ", ".join(f"{rate_hz:g}" for rate_hz in self.repetition_rates_hz)
            raise OutOfRangeError(f"repetition_rate_hz = {repetition_rate_hz!r} is none of {rates}")
        step = round(sepia2lib.FULL_INTENSITY * INTENSITY.check(intensity, "intensity"))
        with self._lock:
            self._slm("SetIntensityFineStep", 0)
            self._slm("SetPulseParameters", sepia2lib.RATES_HZ[repetition_rate_hz], sepia2lib.PULSED)
            self._slm("SetIntensityFineStep", step)
            code, pulsed, _ = self._pulse_parameters()
            wanted = (
                sepia2lib.RATES_HZ[repetition_rate_hz],
                sepia2lib.PULSED,
                step / sepia2lib.FULL_INTENSITY,
            )
            if (code, pulsed, self.intensity) != wanted:
                raise InstrumentError(
                    f"{self.name}: rate code, pulse mode and intensity read back as "
                    f"{(code, pulsed, self.intensity)} instead of {wanted}"
                )

    @property
    def lock(self) -> LaserLock:
        """Get what keeps the laser from emitting, from the true state of its power line and the register."""
        locked, soft_locked = ctypes.c_ubyte(), ctypes.c_ubyte()
        self._scm("GetLaserLocked", ctypes.byref(locked))
        self._scm("GetLaserSoftLock", ctypes.byref(soft_locked))
        if not locked.value:
            return LaserLock.UNLOCKED
        return LaserLock.SOFT if soft_locked.value else LaserLock.HARD

    def unlock(self) -> None:
        """Let the laser emit; raises InstrumentError when a key or interlock keeps it locked.

        Then the soft lock is set again, so that turning the key later does not start the laser.
        """
        with self._lock:
            self._scm("SetLaserSoftLock", 0)
            for _ in range(_LOCK_TRIES):
                if self.lock is LaserLock.UNLOCKED:
                    return
                self._clock.sleep(_LOCK_WAIT_S)
            self._scm("SetLaserSoftLock", 1)
            raise InstrumentError(f"{self.name} stays locked: check its key, interlock and power")

    # ---- finding the modules ----

    def _open(self) -> tuple[int, str, str]:
        """Open the wanted frame: USB index, model, serial number."""
        found, refusals = [], []
        for device in range(sepia2lib.MAX_DEVICES):
            model, serial = _text(), _text()
            code = self._library.SEPIA2_USB_OpenGetSerNumAndClose(device, model, serial)
            if code == _ABSENT:
                continue
            found.append(_str(serial))
            if self._serial in ("", _str(serial)):
                if code == 0:
                    self._call("USB_OpenDevice", device, model, serial)
                    return device, _str(model), _str(serial)
                refusals.append(sepia2lib.decode_error(self._library, "USB_OpenGetSerNumAndClose", code))
        wanted = f" with serial number {self._serial}" if self._serial else ""
        details = "; ".join(refusals) or (
            f"found {', '.join(found)}" if found else "is it on and plugged in?"
        )
        raise InstrumentError(f"{self.name}: no frame{wanted} could be opened: {details}")

    def _explore(self, device: int, model: str, serial: str) -> _Frame:
        """Walk the module map, lock the laser, and see that there is one."""
        count = ctypes.c_int()
        self._call("FWR_GetModuleMap", device, 0, ctypes.byref(count))
        slots = self._slots(device, count.value)
        if sepia2lib.MODULE_SCM not in slots:
            raise InstrumentError(f"{self.name}: no SCM 828 module found, so nothing can lock the laser")
        self._call("SCM_SetLaserSoftLock", device, slots[sepia2lib.MODULE_SCM], 1)
        self._refuse_firmware_error(device)
        if sepia2lib.MODULE_SLM not in slots:
            raise InstrumentError(f"{self.name}: no SLM 828 laser module found")
        has_head = ctypes.c_int()
        slot = slots[sepia2lib.MODULE_SLM]
        self._call("COM_HasSecondaryModule", device, slot, ctypes.byref(has_head))
        if not has_head.value:
            raise InstrumentError(f"{self.name}: no laser head on the SLM 828 in slot {slot:03d}")
        self._call("FWR_SetWorkingMode", device, sepia2lib.VOLATILE)  # spares the memory when scanning
        firmware = _text()
        self._call("FWR_GetVersion", device, firmware)
        simulated = getattr(self._library, "simulated", False)
        identity = Identity("PicoQuant", f"PDL 828 {model}", serial, _str(firmware), simulated)
        return _Frame(device, slots[sepia2lib.MODULE_SCM], slot, identity)

    def _slots(self, device: int, n_modules: int) -> dict[int, int]:
        """Slot of each type of module, the lowest where there are several.

        The backplane shares slot 000 with the SCM 828, so it is the flags that tell them apart.
        """
        slots: dict[int, int] = {}
        slot, module_type = ctypes.c_int(), ctypes.c_int()
        is_primary, is_backplane, has_uptime = (ctypes.c_ubyte() for _ in range(3))
        for map_index in range(n_modules):
            info = (ctypes.byref(value) for value in (slot, is_primary, is_backplane, has_uptime))
            self._call("FWR_GetModuleInfoByMapIdx", device, map_index, *info)
            if is_backplane.value or not is_primary.value:
                continue
            self._call("COM_GetModuleType", device, slot.value, 1, ctypes.byref(module_type))
            slots[module_type.value] = min(slot.value, slots.get(module_type.value, slot.value))
        return slots

    def _refuse_firmware_error(self, device: int) -> None:
        error, phase, location, slot = (ctypes.c_int() for _ in range(4))
        condition = _text()
        values = (ctypes.byref(value) for value in (error, phase, location, slot))
        self._call("FWR_GetLastError", device, *values, condition)
        if error.value:
            text = sepia2lib.decode_error(self._library, "firmware start-up", error.value)
            raise InstrumentError(
                f"{self.name}: {text}, slot {slot.value:03d}, {_str(condition)}; switch it off and on again"
            )

    def _close(self, device: int) -> None:
        """Give the frame back; it may be gone already, so nothing is made of errors."""
        self._library.SEPIA2_FWR_FreeModuleMap(device)
        self._library.SEPIA2_USB_CloseDevice(device)

    # ---- calling the library ----

    def _pulse_parameters(self) -> tuple[int, int, int]:
        code, pulsed, head = ctypes.c_int(), ctypes.c_ubyte(), ctypes.c_int()
        self._slm("GetPulseParameters", ctypes.byref(code), ctypes.byref(pulsed), ctypes.byref(head))
        return code.value, pulsed.value, head.value

    def _scm(self, function: str, *arguments: Any) -> None:
        frame = self._connected()
        self._call(f"SCM_{function}", frame.device, frame.scm_slot, *arguments)

    def _slm(self, function: str, *arguments: Any) -> None:
        frame = self._connected()
        self._call(f"SLM_{function}", frame.device, frame.slm_slot, *arguments)

    def _connected(self) -> _Frame:
        if self._frame is None:
            raise NotConnectedError(f"{self.name}: connect first")
        return self._frame

    def _call(self, function: str, *arguments: Any) -> None:
        with self._lock:
            code = getattr(self._library, f"SEPIA2_{function}")(*arguments)
            if code != 0:
                raise InstrumentError(f"{self.name}: {sepia2lib.decode_error(self._library, function, code)}")


def _text() -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(sepia2lib.TEXT_CHARS)


def _str(buffer: ctypes.Array[ctypes.c_char]) -> str:
    return buffer.value.decode("latin-1").strip()
