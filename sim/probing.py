"""Which pulses probe the sample, and which have pumped it before them.

Times count from time zero, which the local oscillator leads: the probe's own time where a stage delays it,
delay zero of the shaper where the shaper makes every pulse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

from .physics.pulses import Pulse

Source = Literal["stage", "shaper"]
"""Where pulse 3 comes from."""
_LATEST_FS = 1000.0
"""Replicas later than this probe too, but their fringes are finer than any that an analysis keeps."""


class Probed(NamedTuple):
    """A pulse that probes, and what pumped before."""

    pump: Sequence[Pulse]
    probe: Pulse


class Probing(Protocol):
    """How one source of pulse 3 probes."""

    scatters: bool
    """Whether light of a separate probe beam is scattered into the spectrometer."""

    def zero_fs(self, stage_fs: float) -> float:
        """Time zero on the shaper's axis of delays when the stage is at a delay."""
        ...

    def probed(self, shaped: Sequence[Pulse], zero_fs: float) -> Iterator[Probed]:
        """Every pulse that probes when the shaper makes these pulses."""
        ...


class ProbeOnStage:
    """Pulse 3 is a beam of its own that a stage delays; all that the shaper makes is pump."""

    scatters = True

    def zero_fs(self, stage_fs: float) -> float:
        """The probe's time."""
        return stage_fs

    def probed(self, shaped: Sequence[Pulse], zero_fs: float) -> Iterator[Probed]:
        """The probe alone."""
        yield Probed(shaped, Pulse(zero_fs, 1.0 + 0j))


class ProbeInTrain:
    """The shaper makes all pulses; each probes what those before it have pumped, ties in their order.

    A pulse pumps for itself as well: when its middle passes, half of its field has. That gives an interaction
    of two or, nearly, of three fields of one pulse the weight of their orders in time.
    """

    scatters = False

    def zero_fs(self, stage_fs: float) -> float:
        """Delay zero of the shaper, wherever a stage may be."""
        return 0.0

    def probed(self, shaped: Sequence[Pulse], zero_fs: float) -> Iterator[Probed]:
        """Each pulse in turn."""
        train = sorted(shaped, key=lambda pulse: pulse.delay_fs)
        for k, probe in enumerate(train):
            if probe.delay_fs <= _LATEST_FS:
                yield Probed((*train[:k], probe._replace(amplitude=probe.amplitude / 2)), probe)


PROBING: dict[Source, Probing] = {"stage": ProbeOnStage(), "shaper": ProbeInTrain()}
"""By the source of pulse 3."""
