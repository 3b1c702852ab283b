"""The Dazzler, an acousto-optic filter, told what to do through a folder that its program watches."""

from __future__ import annotations

import hashlib
import math
import os
import threading
from functools import lru_cache
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from ..base import Identity, InstrumentError, NotConnectedError
from ..clock import Clock
from ..pulse_shaper import BLANK, NM_CM, RAD_FS_PER_CM, AppliedMask, PulseShaper, PulseTrain
from .dazzler_files import REQUEST, UNFINISHED, as_written, request_text, wave_text

_PHASE_STEP_RAD = 0.25  # at half the window: |M| has cusps, which an interpolating program rounds off
_LOOK_S = 0.02
_MASKS_KEPT = 1024


class DazzlerShaper(PulseShaper):
    """A Dazzler behind its folder; it answers by deleting the request only, so verify it by a spectrum."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        window_fs: float,
        wavelength_limits_nm: tuple[float, float],
        folder_there: PurePath | None = None,
        take_s: float = 5.0,
        settle_s: float = 0.5,
        simulated: bool = False,
        name: str = "Dazzler",
    ) -> None:
        """`folder_there` is what the program's computer calls the folder, where that is another computer.

        `take_s` is how long the program may take to delete a request.
        """
        super().__init__(clock=clock, settle_s=settle_s)
        self.name, self._folder, self._simulated = name, folder, simulated
        self._folder_there = folder_there or folder.absolute()
        self._window_fs, self._take_s = window_fs, take_s
        short_nm, long_nm = wavelength_limits_nm
        band_cm = NM_CM / short_nm - NM_CM / long_nm
        points = math.ceil(RAD_FS_PER_CM * band_cm * window_fs / 2 / _PHASE_STEP_RAD)
        self._wavenumber_cm = np.linspace(NM_CM / long_nm, NM_CM / short_nm, points)
        self._encode = lru_cache(maxsize=_MASKS_KEPT)(self._encode_train)
        self._lock = threading.RLock()
        self._waves: set[Path] = set()
        self._connected = False

    @property
    def window_fs(self) -> float:
        """Get the window T that the crystal's length gives, in femtoseconds (float)."""
        return self._window_fs

    @property
    def wavenumber_cm(self) -> NDArray[np.float64]:
        """Get the wavenumbers at which the mask is written, ascending, in cm-1 (float64)."""
        return self._wavenumber_cm

    def settings(self) -> dict[str, object]:
        """What a run file records."""
        limits = (self._wavenumber_cm[0], self._wavenumber_cm[-1])
        return {
            "window_fs": self._window_fs,
            "wavenumber_limits_cm": [float(limit) for limit in limits],
            "points": len(self._wavenumber_cm),
            "settle_s": self.settle_s,
        }

    def connect(self) -> Identity:
        """Ask the program for an empty mask; raises InstrumentError when it does not take the request."""
        if not self._folder.is_dir():
            raise InstrumentError(
                f"{self.name}: there is no folder {self._folder}: give the Dazzler program's own directory"
            )
        with self._lock:
            self._connected = True
            try:
                self.set_pulses(BLANK)
            except BaseException:
                self._connected = False
                raise
        return Identity("Fastlite", "Dazzler", simulated=self._simulated)

    def make_safe(self) -> None:
        """Ask for an empty mask; raises InstrumentError when the program does not take the request."""
        with self._lock:
            if self._connected:
                self.set_pulses(BLANK)

    def disconnect(self) -> None:
        """Make safe and remove the wave files."""
        with self._lock:
            try:
                self.make_safe()
            finally:
                self._connected = False
                self._encode.cache_clear()
                while self._waves:
                    self._waves.pop().unlink(missing_ok=True)

    # ---- inside ----

    def _show(self, train: PulseTrain) -> AppliedMask:
        with self._lock:
            if not self._connected:
                raise NotConnectedError(f"{self.name} is not connected: call connect() first")
            wave, applied = self._encode(train)
            self._request(request_text(str(self._folder_there / wave)))
            return applied

    def _encode_train(self, train: PulseTrain) -> tuple[str, AppliedMask]:
        """Write a train's wave file; returns its name and what it says."""
        mask = train.mask(self._wavenumber_cm)
        amplitude = as_written(np.abs(mask))
        phase_rad = as_written(np.unwrap(np.angle(mask)))
        text = wave_text(NM_CM / self._wavenumber_cm[::-1], amplitude[::-1], phase_rad[::-1])
        path = self._folder / f"qdlab-{hashlib.sha256(text.encode()).hexdigest()[:16]}.txt"
        path.write_text(text, encoding="ascii")
        self._waves.add(path)
        field = amplitude * (np.cos(phase_rad) + 1j * np.sin(phase_rad))
        field.flags.writeable = False
        return path.name, AppliedMask(train, self._wavenumber_cm, field)

    def _request(self, text: str) -> None:
        request, unfinished = self._folder / REQUEST, self._folder / UNFINISHED
        if not self._gone(request):
            raise InstrumentError(
                f"{self.name}: an older {request} has not been taken for {self._take_s:g} s: is the "
                "Dazzler program running, and is this its default directory?"
            )
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, request)
        if not self._gone(request):
            request.unlink(missing_ok=True)  # or it would be obeyed whenever the program comes back
            raise InstrumentError(
                f"{self.name}: the Dazzler program did not take {request} within {self._take_s:g} s: is it "
                "running, and is this its default directory?"
            )

    def _gone(self, request: Path) -> bool:
        until_s = self._clock.now() + self._take_s
        while request.exists():
            if self._clock.now() >= until_s:
                return False
            self._clock.sleep(_LOOK_S)
        return True
