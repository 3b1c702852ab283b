"""What 2DES experiments share: shaped pulses, and with a spectrometer frames of their settings."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..analysis.twodes.units import FS_PER_CM
from ..instruments.base import InstrumentError
from ..instruments.pulse_shaper import BLANK, PulseTrain
from .errors import AbortedError, InterlockError, RefusedError
from .parameters import count, exact_float
from .pulse_trains import PulseTrains, pulse_trains
from .rig import Rig
from .rig_procedure import POLL_S, Plan, Progress, RigProcedure

DARK_FRAMES = 20
BYTES_PER_FRAME = 2500
"""The pixels of the band in the run file, compressed."""
LEAST_PIXELS = 64
"""With fewer in the band there is no spectrum to speak of."""
DIM_COUNTS = 100.0
"""Mean counts per pixel below which there is no local oscillator."""
SEEN = 2.0
"""The pulses change the spectrum at least so many times as much as noise does."""


class ShapedProcedure(RigProcedure):
    """A procedure with pulses 1 and 2 from a shaper, whatever delays pulse 3 and whatever detects."""

    needs: ClassVar[tuple[str, ...]] = ("shaper",)

    rotating_frame: float = exact_float("Rotating frame g", default=1.0, minimum=0.0, maximum=1.0)
    carrier_cm: float = exact_float("Carrier", units="1/cm", default=18200.0, minimum=1000.0, maximum=1e5)

    _looked_s = 0.0

    def trains(self, rig: Rig) -> PulseTrains:
        """The pulses of the rig's geometry, in this run's rotating frame."""
        return pulse_trains(rig, self.rotating_frame, self.carrier_cm)

    def shape(self, train: PulseTrain) -> None:
        """Let the shaper make these pulses, and wait until it does."""
        self.rig.shaper.set_pulses(train)
        self.rig.shaper.wait_settled()

    def look_in(self, phase: str) -> None:
        """Look at the rig now and then; raises AbortedError when the operator wants to stop."""
        if self.rig.clock.now() - self._looked_s >= POLL_S:
            self._looked_s = self.rig.clock.now()
            self.look(phase)
        if self.should_stop():
            raise AbortedError("stopped by the operator")


class CoherenceProcedure(ShapedProcedure):
    """One that takes spectra with a local oscillator."""

    needs: ClassVar[tuple[str, ...]] = ("shaper", "detector")

    integration_s: float = exact_float("Integration", units="s", default=0.008, minimum=1e-5, maximum=65.0)
    averages: int = count("Frames per setting", default=2, minimum=1, maximum=10_000)

    frames = 0

    # ---- plans ----

    def frame_s(self, rig: Rig) -> float:
        """Time of one setting's frames, without what moves between them."""
        return self.averages * (self.integration_s + rig.detector.readout_s)

    def frames_plan(self, rig: Rig, settings: int, moves_s: float, sentence: str) -> Plan:
        """The plan of so many settings, each with a new mask, and so many seconds of moves."""
        duration_s = settings * (self.frame_s(rig) + rig.shaper.settle_s) + moves_s
        return Plan(duration_s, settings * BYTES_PER_FRAME, 0, sentence)

    # ---- what experiments use ----

    def set_up(self) -> None:
        """Set the detector, take its dark counts where it has a shutter, and let no pump through."""
        detector = self.rig.detector
        detector.integration_time_s = self.integration_s
        if detector.has_shutter:
            detector.take_dark(DARK_FRAMES)
            self.note(f"dark counts: mean of {DARK_FRAMES} frames with the shutter closed")
        else:
            self.warn("the spectrometer has no shutter: no dark counts were taken off")
        self.shape(BLANK)

    def keep_band(self, lowest_cm: float, highest_cm: float, margin_cm: float) -> NDArray[np.bool_]:
        """Find the pixels of a band and a margin on both sides, and write their wavenumbers into the header.

        The margin keeps fringes from being cut where they matter. Raises RefusedError where the spectrometer
        sees too little of the band.
        """
        wavenumber_cm = 1e7 / self.rig.detector.wavelength_nm
        kept = (wavenumber_cm > lowest_cm - margin_cm) & (wavenumber_cm < highest_cm + margin_cm)
        if kept.sum() < LEAST_PIXELS:
            raise RefusedError("the spectrometer sees too little of the band; check lowest_cm and highest_cm")
        self.record.header["pixel_cm"] = wavenumber_cm[kept].tolist()
        self.record.header["lo_lead_fs"] = self.rig.interferometer.lo_lead_fs
        self.record.write_header()
        return kept

    def spectrum(self, train: PulseTrain, phase: str) -> NDArray[np.floating]:
        """Counts of one setting without dark, the mean of its frames, shape (pixels,)."""
        self.shape(train)
        return self.expose(phase)

    def expose(self, phase: str) -> NDArray[np.floating]:
        """Counts of the setting as it is; raises AbortedError when the operator wants to stop."""
        detector = self.rig.detector
        frames = detector.frames(self.averages)
        self.frames += self.averages
        if detector.saturated(frames).any():
            raise InterlockError(
                "the spectrometer is saturated; take a shorter integration_s, or attenuate the local "
                "oscillator"
            )
        self.look_in(phase)
        counts = frames.counts[0] if self.averages == 1 else frames.counts.mean(axis=0)
        return counts if detector.dark is None else counts - detector.dark

    def check_light(self, pixels: NDArray[np.bool_], phase: str) -> None:
        """Raise InstrumentError unless the local oscillator and the shaper's pulses are seen on the pixels.

        No instrument can tell that a beam is blocked or that a screen stays dark.
        """
        lo, again = (_even(self.spectrum(BLANK, phase)[pixels]) for _ in range(2))
        if lo is None or again is None:
            raise InstrumentError(
                "no local oscillator on the spectrometer: open its beam, or take a longer integration_s"
            )
        pulses = _even(self.spectrum(self.trains(self.rig).train(0.0, 0.0), phase)[pixels])
        if pulses is None or np.std(pulses - lo) < SEEN * np.std(again - lo):
            raise InstrumentError(
                "the spectrum stays the same when the shaper lets pulses through: see whether its screen "
                "shows the frames and the pump beam is open"
            )

    def measured(self) -> Progress:
        """Frames so far."""
        return Progress(told=f"{self.frames:,} frames")


def _even(counts: NDArray[np.floating]) -> NDArray[np.floating] | None:
    """A spectrum over its mean, so that the laser's power does not matter; None without light."""
    mean = float(counts.mean())
    return counts / mean if mean > DIM_COUNTS else None


def check_band(lowest_cm: float, highest_cm: float) -> None:
    """Raise RefusedError unless a band has a width."""
    if highest_cm <= lowest_cm:
        raise RefusedError(f"highest_cm = {highest_cm:g} must be above lowest_cm = {lowest_cm:g}")


def check_t2_step(t2_step_fs: float, fastest_beat_cm: float) -> None:
    """Raise RefusedError where beats as fast as that are sampled less than twice a period."""
    widest_fs = FS_PER_CM / (2 * fastest_beat_cm)
    if t2_step_fs > widest_fs:
        raise RefusedError(
            f"t2_step_fs = {t2_step_fs:g} folds beats of {fastest_beat_cm:.0f} cm-1 back; take "
            f"{widest_fs:.3g} fs or less, a slower fastest_beat_cm, or allow_aliasing = 1"
        )
