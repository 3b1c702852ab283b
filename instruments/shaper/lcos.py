"""A liquid-crystal panel in the Fourier plane of a 4f line, driven as a screen.

What to connect, calibrate and check is in docs/pulse_shaper.md.
"""

from __future__ import annotations

import threading
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..base import Identity, InstrumentError, NotConnectedError, OutOfRangeError
from ..clock import Clock
from ..pulse_shaper import BLANK, NM_CM, RAD_FS_PER_CM, AppliedMask, PulseShaper, PulseTrain
from .calibration import LcosCalibration
from .frames import Encoding, GreyTable, pack, tile
from .screen import Frame, Screen, ScreenInfo

_MASKS_KEPT = 1024
"""How many trains a scan may go through before one has to be computed again (about 40 MB)."""


class LcosShaper(PulseShaper):
    """The panel; it passes nothing from `connect` on until a train is set."""

    def __init__(
        self,
        screen: Screen,
        *,
        clock: Clock,
        calibration: LcosCalibration,
        encoding: Encoding,
        rows: int,
        settle_s: float = 0.1,
        name: str = "LCOS shaper",
    ) -> None:
        """`rows` is the panel's height; its columns and grey levels are the calibration's.

        Raises CalibrationError when a column does not reach a whole turn, ValueError for a number of grey
        levels that the screen cannot carry: 256 or 1024 over a video link, else 256 to 4096.
        """
        super().__init__(clock=clock, settle_s=settle_s)
        depths = {2**bits: bits for bits in (range(8, 13) if screen.raw_levels else (8, 10))}
        if calibration.levels not in depths:
            known = ", ".join(map(str, depths))
            raise ValueError(f"a panel on this screen has {known} grey levels, not {calibration.levels}")
        self.name, self._screen, self._encoding, self._rows = name, screen, encoding, rows
        self._bits = depths[calibration.levels]
        self._lock = threading.RLock()
        self._info: ScreenInfo | None = None
        self._apply(calibration)

    # ---- what it is ----

    @property
    def window_fs(self) -> float:
        """Get the window T at the middle of the panel: one over the frequency step of a column."""
        middle = len(self._column_cm) // 2
        step_cm = abs(self._column_cm[middle] - self._column_cm[middle - 1])
        return float(2 * np.pi / (RAD_FS_PER_CM * step_cm))

    @property
    def wavenumber_cm(self) -> NDArray[np.float64]:
        """Get the wavenumbers at the centres of the columns, ascending, in cm-1 (float64)."""
        return self._column_cm[self._order]

    @property
    def calibration(self) -> LcosCalibration:
        """What the panel knows of itself; one that replaces it counts from the next mask on.

        Raises CalibrationError when a column does not reach a whole turn, ValueError for another panel.
        """
        return self._calibration

    @calibration.setter
    def calibration(self, value: LcosCalibration) -> None:
        known = self._calibration
        if (value.columns, value.levels) != (known.columns, known.levels):
            raise ValueError(
                f"a panel of {known.columns} columns and {known.levels} levels cannot take a calibration of "
                f"{value.columns} and {value.levels}"
            )
        with self._lock:
            self._apply(value)

    def settings(self) -> dict[str, object]:
        """What a run file records."""
        return {
            "columns": self._calibration.columns,
            "rows": self._rows,
            "bits": self._bits,
            "encoding": type(self._encoding).__name__,
            "pattern_rows": self._encoding.rows,
            "window_fs": self.window_fs,
            "settle_s": self.settle_s,
            "optics": self._calibration.optics,
            "calibration_date": self._calibration.date.isoformat(),
            "phase_sign": self._calibration.phase_sign,
            "wavelength_nm": list(self._calibration.wavelength_nm),
            "residual_centre_cm": self._calibration.residual_centre_cm,
            "residual_fs": list(self._calibration.residual_fs),
        }

    # ---- connection ----

    def connect(self) -> Identity:
        """Take the screen and blank it; raises InstrumentError when it is missing, scaled or too small."""
        with self._lock:
            info = self._screen.open()
            try:
                self._check_screen(info)
                self._info = info
                self.set_pulses(BLANK)
            except BaseException:
                self._info = None
                self._screen.close()
                raise
        model = f"{info.columns} x {info.rows} panel on screen {info.name}"
        return Identity("LCOS", model, simulated=self._screen.simulated)

    def make_safe(self) -> None:
        """Show a blank frame: nothing is diffracted, or for phase-only the rows cancel."""
        with self._lock:
            if self._info is not None:
                self.set_pulses(BLANK)

    def disconnect(self) -> None:
        """Blank the panel and give the screen back, which then shows the desktop."""
        with self._lock:
            try:
                self.make_safe()
            finally:
                self._info = None
                self._screen.close()

    # ---- frames ----

    def show_mask(self, field: NDArray[np.complex128]) -> None:
        """Show any mask, one value (absolute value 1 at most) per column, with the compensation added.

        Columns run as on the panel. For calibrations: a line of a few columns, a chirp.
        """
        if field.shape != self._column_cm.shape or not np.all(np.abs(field) <= 1 + 1e-9):
            raise OutOfRangeError(
                f"{self.name}: a mask is {self._column_cm.size} values of absolute value 1 at most"
            )
        pattern, _ = self._pattern(field)
        self._show_pattern(pattern)
        self._changed_s = self._clock.now()

    def show_grating(self, level: int) -> None:
        """Show a grating of rows of `level` and rows of level 0, to measure the phase between them.

        The power that goes on is sin^2 of half that phase, and with phase-only cos^2.
        """
        if not 0 <= level < self._calibration.levels:
            raise OutOfRangeError(
                f"{self.name}: grey level {level} is outside [0, {self._calibration.levels - 1}]"
            )
        levels = np.zeros((self._encoding.rows, self._calibration.columns), np.uint16)
        levels[: self._encoding.rows // 2] = level
        self._show_pattern(self._pack(levels))
        self._changed_s = self._clock.now()

    def _apply(self, calibration: LcosCalibration) -> None:
        grey = GreyTable(calibration.column_phase_rad())
        column_cm = NM_CM / calibration.column_wavelength_nm
        self._calibration, self._grey, self._column_cm = calibration, grey, column_cm
        self._order = np.argsort(column_cm)
        self._compensation = np.exp(1j * calibration.compensation_rad(column_cm))
        self._encode = lru_cache(maxsize=_MASKS_KEPT)(self._encode_train)

    def _show(self, train: PulseTrain) -> AppliedMask:
        pattern, applied = self._encode(train)
        self._show_pattern(pattern)
        return applied

    def _encode_train(self, train: PulseTrain) -> tuple[Frame, AppliedMask]:
        pattern, passed = self._pattern(train.mask(self._column_cm))
        field = (passed * self._compensation.conj())[self._order]
        field.flags.writeable = False
        return pattern, AppliedMask(train, self.wavenumber_cm, field)

    def _pattern(self, field: NDArray[np.complex128]) -> tuple[Frame, NDArray[np.complex128]]:
        """Rows of one period as the screen takes them, and the field that they pass."""
        levels = self._grey.levels(self._encoding.phases(self._signed(field * self._compensation)))
        return self._pack(levels), self._signed(self._encoding.field(self._grey.phases(levels)))

    def _pack(self, levels: NDArray[np.uint16]) -> Frame:
        return pack(levels, self._bits, raw=self._screen.raw_levels)

    def _signed(self, field: NDArray[np.complex128]) -> NDArray[np.complex128]:
        return field if self._calibration.phase_sign == 1 else field.conj()

    def _show_pattern(self, pattern: Frame) -> None:
        with self._lock:
            if self._info is None:
                raise NotConnectedError(f"{self.name} is not connected: call connect() first")
            self._screen.show(tile(pattern, self._rows))

    def _check_screen(self, info: ScreenInfo) -> None:
        wanted = (self._calibration.columns, self._rows)
        if info.pixel_ratio != 1:
            raise InstrumentError(
                f"{self.name}: screen {info.name} is scaled by {info.pixel_ratio:g}; set its scaling to "
                "100 % in the system's display settings"
            )
        if (info.columns, info.rows) != wanted:
            raise InstrumentError(
                f"{self.name}: screen {info.name} has {info.columns} x {info.rows} pixels, the panel "
                f"{wanted[0]} x {wanted[1]}: choose the panel's screen and its own resolution"
            )
        if info.bits is not None and info.bits != self._bits:
            raise InstrumentError(
                f"{self.name}: panel {info.name} has {2**info.bits} grey levels, the calibration "
                f"{self._calibration.levels}: set the depth that the panel was calibrated with"
            )
