"""The emulated liquid-crystal panel: a frame on its screen becomes, through the 4f line, the pump pulses.

The panel follows a frame from the next refresh on; while the liquid crystal turns, the light is a mixture of
the old field and the new one, whose share grows as 1 - exp(-t/response). A stop behind the line lets one
diffraction order through, so that what the panel leaves undiffracted is blocked.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ...instruments.base import InstrumentError
from ...instruments.shaper.calibration import GreyCurve, LcosCalibration
from ...instruments.shaper.screen import Frame, Screen, ScreenInfo
from ..bench import Faults
from ..clock import PS_PER_S, SimulatedClock
from ..physics.four_f import FourF
from ..physics.pulses import Pulse

FAULTS = {
    "lcos_screen_missing": "The panel is not among the computer's screens.",
    "lcos_screen_scaled": "The system scales the panel's screen to 150 %.",
    "lcos_frame_not_shown": "After the first frame the panel shows nothing new.",
    "lcos_half_frame": "The lower half of the panel keeps the frame before.",
    "lcos_slow_settle": "The panel is cold: its liquid crystal takes ten times as long.",
    "lcos_phase_reversed": "Phase falls with grey, the stop is where light then goes: delays change sign.",
}
"""Name and what happens; active when the name is among the bench's faults."""

_KEPT = 1024
_PROBED_ROWS = 48
_SLOW = 10.0
_STEPS = 7
_ROWS_AT_ONCE = 64
_DESKTOP_LEVEL = 0.5
NAME = "emulated"


class PumpBench(Protocol):
    """What the bench of a coherence experiment is to a pulse shaper."""

    clock: SimulatedClock
    faults: Faults
    shaper_mask: Callable[[NDArray[np.float64]], NDArray[np.complex128]] | None
    """M(w) of the shaper at this instant, from wavenumbers in cm-1: for masks that are no pulse trains."""

    def set_pump(self, pulses: Sequence[Pulse]) -> None:
        """Let these pulses come from the shaper from now on."""
        ...


@dataclass(frozen=True)
class Panel:
    """The panel and the stop behind it."""

    rows: int = 1024
    bits: int = 8
    """8: grey levels; 10: packed over the three colours."""
    stop_rows: int | None = 16
    """The stop is where a grating of this period sends order `stop_order`; None: in the undiffracted beam."""
    stop_order: int = 1
    refresh_hz: float = 60.0
    response_s: float = 0.01
    waist_rows: float = 256.0
    """Radius of the beam at 1/e^2 of its power, across the columns."""

    def phase_rad(
        self, levels: NDArray[np.integer], wavelength_nm: float | NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Phase of grey levels, broadcast against wavelengths: S-shaped, larger for shorter waves."""
        x = levels / (2**self.bits - 1)
        ratio = 550.0 / wavelength_nm
        return 2 * np.pi * (x - 0.07 * np.sin(2 * np.pi * x)) * 1.26 * ratio * (1 + 0.02 * (ratio**2 - 1))

    def levels(self, frame: Frame) -> NDArray[np.uint16]:
        """Grey levels of a frame (uint16 [rows, columns])."""
        if self.bits == 8:
            return frame.astype(np.uint16)
        red, green, blue = np.moveaxis(frame.astype(np.uint16), -1, 0)
        return (red >> 5 << 7) | (green >> 5 << 4) | (blue >> 4)


def exact_calibration(
    optics: FourF, panel: Panel, *, name: str = NAME, on: date = date(2000, 1, 1)
) -> LcosCalibration:
    """The calibration that measuring such a panel without any error would give."""
    wavelengths_nm = np.linspace(optics.column_wavelength_nm[0], optics.column_wavelength_nm[-1], 11)
    levels = np.arange(2**panel.bits)
    return LcosCalibration(
        date=on,
        optics=name,
        columns=optics.columns,
        wavelength_nm=optics.wavelength_nm,
        grey=tuple(GreyCurve(float(nm), panel.phase_rad(levels, nm)) for nm in wavelengths_nm),
        residual_centre_cm=optics.residual_centre_cm,
        residual_fs=optics.residual_fs,
    )


class Decoded(NamedTuple):
    """What a frame means."""

    columns: NDArray[np.complex128]
    """Field that each column passes through the stop."""
    pulses: tuple[Pulse, ...]


class EmulatedScreen(Screen):
    """The panel's screen; what is shown on it becomes the bench's pump."""

    simulated = True

    def __init__(self, bench: PumpBench, optics: FourF | None = None, panel: Panel | None = None) -> None:
        self._bench, self.optics, self.panel = bench, optics or FourF(), panel or Panel()
        self._decoder = FrameDecoder(self.optics, self.panel, reverse="lcos_phase_reversed" in bench.faults)
        self._frame = self._desktop = self._grey_frame()
        self._before = self._now = self._next = self._decoder.decode(self._frame)
        self._switched_ps = -PS_PER_S
        self._frames = 0
        bench.shaper_mask = self.passed
        bench.set_pump(self._now.pulses)

    # ---- the screen ----

    def open(self) -> ScreenInfo:
        """The screen as the system sees it."""
        faults = self._bench.faults
        if "lcos_screen_missing" in faults:
            raise InstrumentError(f"there is no screen {NAME!r}; found: 'built-in'")
        ratio = 1.5 if "lcos_screen_scaled" in faults else 1.0
        return ScreenInfo(NAME, self.optics.columns, self.panel.rows, ratio)

    def show(self, frame: Frame) -> None:
        """Take a frame; the panel begins to follow it at the next refresh."""
        if frame.shape != self._desktop.shape or frame.dtype != np.uint8:
            raise ValueError(
                f"a frame of this panel is uint8 {self._desktop.shape}, not {frame.dtype} {frame.shape}"
            )
        faults = self._bench.faults
        self._frames += 1
        if "lcos_frame_not_shown" in faults and self._frames > 1:
            return
        if "lcos_half_frame" in faults:
            half = self.panel.rows // 2
            frame = np.concatenate([frame[:half], self._frame[half:]])
        self._frame = frame
        period_ps = round(PS_PER_S / self.panel.refresh_hz)
        refresh_ps = (self._bench.clock.now_ps // period_ps + 1) * period_ps
        self._next = self._decoder.decode(frame)
        self._bench.clock.schedule(refresh_ps, partial(self._turn, self._next))

    def close(self) -> None:
        """The system shows its desktop again, an even grey."""
        if self._frame is not self._desktop:
            self.show(self._desktop)

    # ---- the light ----

    @property
    def frame(self) -> Frame:
        """What is on the screen."""
        return self._frame

    @property
    def decoded(self) -> Decoded:
        """What the panel is turning to, or has turned to."""
        return self._now

    def passed(self, wavenumber_cm: NDArray[np.float64]) -> NDArray[np.complex128]:
        """M(w) at this instant, for light of any wavenumber (complex, shape of the argument)."""
        old = self._share_of_old()
        columns = old * self._before.columns + (1 - old) * self._now.columns
        return self.optics.passed(columns, wavenumber_cm)

    def _turn(self, decoded: Decoded) -> None:
        """The liquid crystal starts to turn: the pump changes in steps until nothing is left of the old."""
        if decoded is self._now or decoded is not self._next:
            return
        old = self._share_of_old()
        columns = old * self._before.columns + (1 - old) * self._now.columns
        self._before = Decoded(columns, _mixed(self._before.pulses, self._now.pulses, old))
        self._now, self._switched_ps = decoded, self._bench.clock.now_ps
        for step in range(_STEPS + 1):
            at_ps = self._switched_ps + round(step * self._response_s * PS_PER_S)
            self._bench.clock.schedule(at_ps, partial(self._pump, step, self._switched_ps))

    def _pump(self, step: int, switched_ps: int) -> None:
        if switched_ps == self._switched_ps:
            old = math.exp(-step - 0.5) if step < _STEPS else 0.0
            self._bench.set_pump(_mixed(self._before.pulses, self._now.pulses, old))

    def _share_of_old(self) -> float:
        passed_s = (self._bench.clock.now_ps - self._switched_ps) / PS_PER_S
        return math.exp(-passed_s / self._response_s)

    @property
    def _response_s(self) -> float:
        return self.panel.response_s * (_SLOW if "lcos_slow_settle" in self._bench.faults else 1.0)

    def _grey_frame(self) -> Frame:
        shape = (self.panel.rows, self.optics.columns) + ((3,) if self.panel.bits == 10 else ())
        return np.full(shape, round(255 * _DESKTOP_LEVEL), np.uint8)


class FrameDecoder:
    """Frames to what they mean, remembered by their content.

    A scan shows some hundred masks ten thousands of times. A frame is known again by the digest of 48 of its
    rows, spread over the panel, and the sum of all its bytes taken eight at a time: two frames that differ
    in one row only have another sum, and a grating shifted by rows differs in the rows looked at.
    """

    def __init__(self, optics: FourF, panel: Panel, *, reverse: bool = False) -> None:
        self._optics, self._panel = optics, panel
        self._wavelength_nm = optics.column_wavelength_nm
        row = np.arange(panel.rows)
        beam = np.exp(-2 * ((row - (panel.rows - 1) / 2) / panel.waist_rows) ** 2)
        turns = panel.stop_order * row / panel.stop_rows if panel.stop_rows else np.zeros(panel.rows)
        self._stop = beam / beam.sum() * np.exp(-2j * np.pi * turns)
        self._reverse = reverse
        self._probed = np.unique(np.linspace(0, panel.rows - 1, _PROBED_ROWS).astype(int))
        self._known: OrderedDict[tuple[bytes, int], Decoded] = OrderedDict()

    def decode(self, frame: Frame) -> Decoded:
        """Fields of the columns, and pulses."""
        key = self._fingerprint(frame)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        columns = self._columns(frame)
        decoded = self._known[key] = Decoded(columns, self._optics.pulses(columns))
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return decoded

    def _fingerprint(self, frame: Frame) -> tuple[bytes, int]:
        flat = np.ascontiguousarray(frame).reshape(-1)
        whole = len(flat) // 8 * 8
        total = int(flat[:whole].view(np.uint64).sum()) + int(flat[whole:].sum())
        return hashlib.blake2b(frame[self._probed].tobytes(), digest_size=16).digest(), total

    def _columns(self, frame: Frame) -> NDArray[np.complex128]:
        """The order's field at each column: rows that are alike are taken together."""
        rows = np.ascontiguousarray(frame).reshape(len(frame), -1)
        different, which = np.unique(rows.view(f"V{rows.shape[1]}")[:, 0], return_inverse=True)
        share = np.zeros(len(different), np.complex128)
        np.add.at(share, which, self._stop)
        kinds = different.view(np.uint8).reshape(len(different), *frame.shape[1:])
        field = np.zeros(self._optics.columns, np.complex128)
        for start in range(0, len(kinds), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            phase = self._panel.phase_rad(self._panel.levels(kinds[part]), self._wavelength_nm)
            field += share[part] @ np.exp(1j * phase)
        return field.conj() if self._reverse else field


def _mixed(old: tuple[Pulse, ...], new: tuple[Pulse, ...], share: float) -> tuple[Pulse, ...]:
    """Pulses of a field of which `share` is still the old one."""
    if share < 1e-4:
        return new
    scaled = [pulse._replace(amplitude=share * pulse.amplitude) for pulse in old]
    scaled += [pulse._replace(amplitude=(1 - share) * pulse.amplitude) for pulse in new]
    return tuple(pulse for pulse in sorted(scaled, key=lambda p: p.delay_fs) if abs(pulse.amplitude) > 1e-4)
