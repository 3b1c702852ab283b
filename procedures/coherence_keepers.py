"""What is read from the instruments of a 2DES station and told to them by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..instruments.base import Device, Limits, NotConnectedError
from ..instruments.delay_stage import DelayStage
from ..instruments.point_detector import PointDetector
from ..instruments.pulse_shaper import BLANK, PulseShaper, PulseTrain
from ..instruments.spectrum_detector import SpectrumDetector
from ..instruments.stage import MotionError
from .station_keepers import Keeper
from .station_snapshot import Number

ROTATING_FRAME = 1.0
"""Pulses shown by hand keep their carrier under an envelope that moves, as scans do unless told otherwise."""
DARK_FRAMES = 20
LONGEST_S = 1.0
"""Longest integration by hand: the spectrum is live, and the other instruments are read after it."""


class ShaperKeeper(Keeper[PulseShaper]):
    """The pulse shaper: a pair of pulses, or no light."""

    _t1_fs = math.nan
    _phases_rad = (math.nan, math.nan)

    @property
    def verbs(self) -> dict[str, Callable[..., Any]]:
        """Show a pair, blank."""
        return super().verbs | {"show_pair": self.show_pair, "blank": self.blank}

    def prepare(self) -> None:
        """Nothing: a freshly connected shaper lets no light through."""
        self._forget()

    def show_pair(self, t1_fs: float, phase_1_rad: float = 0.0, phase_2_rad: float = 0.0) -> None:
        """Show pulses 1 and 2, the first `t1_fs` before the second; raises OutOfRangeError before it changes.

        The carrier is the laser's centre as the station file gives it.
        """
        phases = phase_1_rad, phase_2_rad
        carrier_cm = self.hold.rig.interferometer.laser_centre_cm
        train = PulseTrain.pair(t1_fs, phases, rotating_frame=ROTATING_FRAME, carrier_cm=carrier_cm)
        self.device.set_pulses(train)
        self._t1_fs, self._phases_rad = t1_fs, phases

    def blank(self) -> None:
        """Let no light through."""
        self.device.set_pulses(BLANK)
        self._forget()

    def make_safe(self) -> None:
        """Let no light through, connected or not."""
        self._forget()
        super().make_safe()

    def disconnect(self) -> None:
        """Let no light through, and disconnect."""
        self._forget()
        super().disconnect()

    def read(self) -> tuple[Mapping[str, str], Mapping[str, Number]]:
        """What is shown, whether it is there yet, and how far delays may go."""
        device, (phase_1, phase_2) = self.device, self._phases_rad
        words = {
            "shown": "no light" if math.isnan(self._t1_fs) else "pulse pair",
            "settled": "settled" if device.settled else "settling",
        }
        return words, {
            "t1_fs": Number("t1", self._t1_fs, "fs", *device.limits_fs),
            "phase_1_rad": Number("phase 1", phase_1, "rad"),
            "phase_2_rad": Number("phase 2", phase_2, "rad"),
            "window_fs": Number("window", device.window_fs, "fs"),
        }

    def _forget(self) -> None:
        self._t1_fs, self._phases_rad = math.nan, (math.nan, math.nan)


class DelayKeeper(Keeper[DelayStage]):
    """A delay stage: where it is, go to a delay, jog, stop."""

    urgent = ("stop",)

    _target_fs: float | None = None

    @property
    def verbs(self) -> dict[str, Callable[..., Any]]:
        """Go to, jog, stop."""
        return super().verbs | {"move_to": self.move_to, "jog": self.jog, "stop": self.stop}

    def prepare(self) -> None:
        """Nothing: it holds where it is."""
        self._target_fs = None

    def move_to(self, delay_fs: float) -> float:
        """Go to a delay (fs) and settle; returns the measured one. Raises OutOfRangeError before it moves."""
        self.device.check(delay_fs)
        self.state = replace(self.state, words={"motion": "moving"})
        try:
            there_fs = self.device.move_to(delay_fs)
        except MotionError:
            self._target_fs = None
            raise
        self._target_fs = delay_fs
        return there_fs

    def jog(self, step_fs: float) -> float:
        """Go a step (fs) from where the stage was last sent, or from where it is."""
        if not self.state.connected:
            raise NotConnectedError(f"{self.device.name}: connect first")
        here_fs = self.device.delay_fs if self._target_fs is None else self._target_fs
        return self.move_to(here_fs + step_fs)

    def stop(self) -> None:
        """Stop where it is, also in the middle of a move, which then says that it was stopped."""
        self.device.make_safe()

    def make_safe(self) -> None:
        """Stop where it is."""
        self._target_fs = None
        super().make_safe()

    def read(self) -> tuple[Mapping[str, str], Mapping[str, Number]]:
        """Delay and position with their limits, and whether the stage has settled."""
        position_mm = self.device.position_mm
        delay_fs = self.device.scale.delay_fs(position_mm)
        return {"motion": "settled" if self.device.on_target else "moving"}, {
            "delay_fs": Number("delay", delay_fs, "fs", *self.device.limits_fs),
            "position_mm": Number("position", position_mm, "mm", *self.device.limits_mm),
        }


class DetectorKeeper(Keeper[SpectrumDetector]):
    """The spectrometer: a live spectrum, the integration time, the dark counts."""

    @property
    def verbs(self) -> dict[str, Callable[..., Any]]:
        """Integration time, dark."""
        return super().verbs | {"set_integration": self.set_integration, "take_dark": self.take_dark}

    @property
    def integration_limits_s(self) -> Limits:
        """Integration times that may be set by hand."""
        lower_s, upper_s = self.device.integration_limits_s
        return Limits(lower_s, min(upper_s, LONGEST_S))

    def prepare(self) -> None:
        """Nothing: it exposes whenever it is read."""

    def set_integration(self, integration_s: float) -> None:
        """Set the integration time (s); the dark counts of another time are forgotten."""
        self.integration_limits_s.check(integration_s, f"{self.device.name}: integration_s")
        self.device.integration_time_s = integration_s

    def take_dark(self) -> None:
        """Take dark counts with the shutter closed; without a shutter, block the light before."""
        self.device.take_dark(DARK_FRAMES)

    def read(self) -> tuple[Mapping[str, str], Mapping[str, Number]]:
        """One exposure: its spectrum without dark, and how full its fullest pixel is."""
        device = self.device
        frames = device.frames(1)
        counts, dark = frames.counts[0], device.dark
        shown = counts if dark is None else counts - dark
        self.state = replace(self.state, curves={"spectrum": (device.wavelength_nm, shown)})
        words = {
            "saturation": "saturated" if device.saturated(frames)[0] else "not saturated",
            "dark": "not taken" if dark is None else f"taken off, mean {dark.mean():.0f} counts",
            "shutter": "yes" if device.has_shutter else "none",
        }
        limits_s = self.integration_limits_s
        return words, {
            "integration_s": Number("integration", device.integration_time_s, "s", *limits_s),
            "peak_counts": Number("peak", float(counts.max()), "counts", upper=device.saturation_counts),
        }


class PointDetectorKeeper(Keeper[Device]):
    """The point detector: a live reading."""

    def read(self) -> tuple[Mapping[str, str], Mapping[str, Number]]:
        """One reading, beside what was set."""
        assert isinstance(self.device, PointDetector)
        words, numbers = super().read()
        value = complex(self.device.readings(1).value[0])
        return words, {**numbers, "x_v": Number("X", value.real, "V"), "y_v": Number("Y", value.imag, "V")}


COHERENCE_KEEPERS: dict[str, type[Keeper[Any]]] = {
    "shaper": ShaperKeeper,
    "delay": DelayKeeper,
    "gate": DelayKeeper,
    "detector": DetectorKeeper,
    "point_detector": PointDetectorKeeper,
}
"""Keepers by role."""
