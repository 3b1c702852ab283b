"""The bench of two-dimensional spectroscopy: pump pulses, a delayed probe, a local oscillator, a sample.

The shaper's pump pulses and pulse 3, the probe, meet in the sample. What it radiates and what the pulses
scatter falls on the spectrometer together with the local oscillator, which comes `lo_lead_fs` before the
probe. With times counted from the probe and the laser's spectrum L(w), 1 at its centre, a pixel collects

    rate |L e^{-i w lead} + i A S(w) + s_3 L + s_p L sum_k c_k e^{i w (d_k - d_3)}|^2

electrons per second. The field that leaves the sample is A S itself, in phase with the probe where it
bleaches; the i stands for a local oscillator that has come another way, a quarter of a wave off, and is not
there where the probe is its own local oscillator (lead = 0). Where the shaper makes pulse 3 as well, S is
the sum over the pulses that probe, d_3 the shaper's delay zero, and s_3 = 0 (see `probing`). The delay stages
move the probe ("t2", with the local oscillator) and the local oscillator alone ("t3"). Everything is a
function of the instant: nothing here advances time.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .bench import Faults
from .clock import PS_PER_S, SimulatedClock
from .physics.dimer_ensemble import RAD_PER_FS, Laser
from .physics.linear_motion import Drive, LinearAxis
from .physics.pulses import Pulse
from .probing import PROBING, Source

FAULTS = {
    "lo_blocked": "Nothing of the local oscillator arrives: the spectrum has no fringes.",
    "pump_scatters": "A speck on the sample scatters ten times as much of the pulses into the spectrometer.",
    "laser_drifts": "The laser's power wanders by ten per cent within minutes.",
    "t2_zero_shifted": "Somebody moved a mirror: zero delay of the probe is 12.3 fs away.",
}
"""Name and what happens; active when the name is among the bench's faults."""

_FS_PER_MM = 1e12 / 299_792_458.0
_SHIFT_FS = 12.3
_DELAY_DIGITS = 3  # an attosecond is 0.003 rad of the carrier
_STILL_FS, _MOST_SLICES = 0.01, 16
_DRIFT_S = (1733.0, 311.0, 47.0)
_DRIFT_SHARES = (0.6, 0.3, 0.1)
_KEPT_SPECTRA, _KEPT_SIGNALS, _KEPT_WAVES, _KEPT_STATES, _KEPT_DETECTORS = 2048, 2048, 256, 256, 4
_MEMORY, _MEMORY_SLICES = 16.0, 64  # how many time constants a filter looks back


class Sample(Protocol):
    """What radiates: the signal field at given wavenumbers, |S| about 1 at its largest."""

    def signal_field(
        self, pump: Sequence[Pulse], probe: Pulse, wavenumber_cm: NDArray[np.float64]
    ) -> NDArray[np.complexfloating[Any, Any]]:
        """S(w) of these pulses, with times counted from the probe."""
        ...

    def truth(self) -> dict[str, Any]:
        """What was planted."""
        ...


class Blank:
    """A clean substrate, which radiates nothing."""

    def signal_field(
        self, pump: Sequence[Pulse], probe: Pulse, wavenumber_cm: NDArray[np.float64]
    ) -> NDArray[np.complexfloating]:
        """No field."""
        return np.zeros(len(wavenumber_cm), np.complex128)

    def truth(self) -> dict[str, Any]:
        """Nothing planted."""
        return {}


class OnDemand:
    """A sample whose responses are computed when light first falls on it: seconds for thousands of dimers."""

    def __init__(self, make: Callable[[], Sample]) -> None:
        self._make = make

    @cached_property
    def made(self) -> Sample:
        """The sample itself."""
        return self._make()

    def signal_field(
        self, pump: Sequence[Pulse], probe: Pulse, wavenumber_cm: NDArray[np.float64]
    ) -> NDArray[np.complexfloating]:
        """S(w) of these pulses, with times counted from the probe."""
        return self.made.signal_field(pump, probe, wavenumber_cm)

    def truth(self) -> dict[str, Any]:
        """What was planted."""
        return self.made.truth()


@dataclass(frozen=True)
class Beams:
    """How strong the beams are on the spectrometer, as fields relative to the local oscillator."""

    pulse_3: Source = "stage"
    """Where the probe comes from."""
    lo_lead_fs: float = 700.0
    """By how much the local oscillator comes before the probe; 0 where the probe is its own (pump-probe)."""
    signal: float = 0.03
    pump_scatter: float = 0.02
    probe_scatter: float = 0.01
    electrons_per_s: float = 8e6
    """Photoelectrons per second in the pixel with most of the local oscillator."""
    drift: float = 0.01
    """Largest slow change of the laser's power."""
    pulse_noise: float = 0.01
    """Standard deviation of a laser pulse's energy."""
    repetition_hz: float = 1000.0


@dataclass(frozen=True)
class DelayLine:
    """A rail with a retroreflector that makes a beam later; delay zero is where the paths are equal."""

    axis: LinearAxis
    zero_mm: float = 75.0
    sign: int = 1
    passes: int = 2

    def delay_fs(self, at_ps: int) -> float:
        """The true delay at an instant, in femtoseconds."""
        return self.sign * self.passes * _FS_PER_MM * (self.axis.position_mm(at_ps) - self.zero_mm)


class _State(NamedTuple):
    """What instruments have set."""

    pump: tuple[Pulse, ...] = ()
    shutter_open: bool = True
    view: Literal["signal", "pump"] = "signal"


class CoherenceBench:
    """What stands on the table for 2DES; emulated instruments change it at the present instant.

    `delays` are the delay lines by the time that they scan: "t2" moves the probe and its local oscillator,
    "t3" the local oscillator alone. `shaper_mask` is M(w) of the shaper at this instant, where it has one.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        sample: Sample,
        *,
        seed: int,
        faults: Faults | None = None,
        beams: Beams | None = None,
        laser: Laser | None = None,
        drive: Drive | None = None,
    ) -> None:
        self.clock, self.sample, self.seed = clock, sample, seed
        self.faults, self.beams, self.laser = faults or Faults(), beams or Beams(), laser or Laser()
        self._probing = PROBING[self.beams.pulse_3]
        shift_mm = _SHIFT_FS / (2 * _FS_PER_MM) if "t2_zero_shifted" in self.faults else 0.0
        self.delays = {
            role: DelayLine(LinearAxis(seed=seed, key=key, start_mm=75.0, drive=drive), 75.0 + shift)
            for key, (role, shift) in enumerate({"t2": shift_mm, "t3": 0.0}.items())
        }
        self.shaper_mask: Callable[[NDArray[np.float64]], NDArray[np.complex128]] | None = None
        self._states: list[tuple[int, _State]] = [(-PS_PER_S, _State())]
        phases = np.random.default_rng((seed, 0x2DE5)).uniform(0, 2 * math.pi, len(_DRIFT_S))
        self._drift_phases = [float(phase) for phase in phases]
        self._pixels: list[_Pixels] = []
        self._diode_nm = 1e7 / np.arange(15_000.0, 21_400.0, 10.0)

    # ---- what instruments do to the bench, at the present instant ----

    def set_pump(self, pulses: Sequence[Pulse]) -> None:
        """Let these pulses come from the shaper from now on."""
        self._change(pump=tuple(pulses))

    def set_shutter(self, is_open: bool) -> None:
        """Open or close the shutter in front of the spectrometer."""
        self._change(shutter_open=is_open)

    def set_view(self, view: Literal["signal", "pump"]) -> None:
        """Turn the mirror that sends the signal, or the shaped pump beam itself, into the spectrometer."""
        self._change(view=view)

    def answer(self, question: str) -> str:
        """What the person at the table does and says when asked: turns the spectrometer's mirror."""
        if "mirror" not in question:
            return "no"
        self.set_view("pump" if "pump beam" in question else "signal")
        return "yes"

    # ---- what instruments see of the bench ----

    @property
    def pump(self) -> tuple[Pulse, ...]:
        """The pump pulses at this instant."""
        return self._states[-1][1].pump

    def detector_spectrum(
        self, wavelength_nm: NDArray[np.float64], start_ps: int, stop_ps: int
    ) -> NDArray[np.float64]:
        """Photoelectrons expected in each pixel from one instant to another, both not in the future."""
        pixels = self._pixels_at(wavelength_nm)
        electrons = np.zeros(len(wavelength_nm))
        for since_ps, until_ps, state in self._pieces(start_ps, stop_ps):
            if state.shutter_open:
                electrons += (
                    (until_ps - since_ps) / PS_PER_S * self._intensity(pixels, state, since_ps, until_ps)
                )
        electrons *= self.beams.electrons_per_s * self._power(start_ps, stop_ps)
        return electrons

    def chopped_light(self, at_ps: int, time_constant_s: float) -> float:
        """What a lock-in finds of all the light when the pump is chopped, relative to the local oscillator's.

        The difference between pump on and off, behind a filter of one pole with this time constant.
        """
        pixels = self._pixels_at(self._diode_nm)
        edges_s = time_constant_s * np.linspace(0.0, _MEMORY, _MEMORY_SLICES + 1)
        shares = -np.diff(np.exp(-edges_s / time_constant_s))
        total = 0.0
        for share, before_s in zip(shares, (edges_s[1:] + edges_s[:-1]) / 2, strict=True):
            then_ps = at_ps - round(float(before_s) * PS_PER_S)
            state = next(state for since_ps, state in reversed(self._states) if since_ps <= then_ps)
            if state.shutter_open and state.pump:
                setting = self._setting(then_ps)
                off = self._at_rest(pixels, state._replace(pump=()), setting)
                total += float(share) * float((self._at_rest(pixels, state, setting) - off).sum())
        return total / float((pixels.amplitude**2).sum())

    def lo_lead_fs(self, at_ps: int) -> float:
        """By how much the local oscillator comes before the probe, in femtoseconds."""
        return self.beams.lo_lead_fs - self.delays["t3"].delay_fs(at_ps)

    def truth(self) -> dict[str, Any]:
        """Everything planted, for the truth group of a run file; no analysis reads it."""
        return {
            "seed": self.seed,
            "beams": asdict(self.beams),
            "laser": self.laser._asdict(),
            "delays": {
                role: {"zero_mm": line.zero_mm, "sign": line.sign, "passes": line.passes}
                for role, line in self.delays.items()
            },
            "sample": self.sample.truth(),
        }

    # ---- inside ----

    def _change(self, **changed: Any) -> None:
        now_ps, last = self.clock.now_ps, self._states[-1][1]
        self._states.append((now_ps, last._replace(**changed)))
        del self._states[:-_KEPT_STATES]

    def _pixels_at(self, wavelength_nm: NDArray[np.float64]) -> _Pixels:
        """What was worked out for these pixels; a detector hands over the same array each time."""
        for pixels in self._pixels:
            if pixels.wavelength_nm is wavelength_nm:
                return pixels
        self._pixels.append(_Pixels(wavelength_nm, self.laser))
        del self._pixels[:-_KEPT_DETECTORS]
        return self._pixels[-1]

    def _pieces(self, start_ps: int, stop_ps: int) -> Iterable[tuple[int, int, _State]]:
        """Spans of an interval in which nothing is switched, and what holds in them."""
        until_ps = stop_ps
        for since_ps, state in reversed(self._states):
            if since_ps < until_ps:
                yield max(since_ps, start_ps), until_ps, state
                until_ps = since_ps
            if since_ps <= start_ps:
                return

    def _intensity(self, pixels: _Pixels, state: _State, since_ps: int, until_ps: int) -> NDArray[np.float64]:
        """Mean intensity over a span, relative to the local oscillator's; stages may be moving."""
        moved_fs = np.subtract(self._setting(since_ps), self._setting(until_ps))
        slices = int(np.clip(np.ceil(np.abs(moved_fs).max() / _STILL_FS), 1, _MOST_SLICES))
        edges = np.linspace(since_ps, until_ps, 2 * slices + 1).astype(np.int64)
        parts = [self._at_rest(pixels, state, self._setting(int(at_ps))) for at_ps in edges[1::2]]
        return parts[0] if len(parts) == 1 else np.mean(parts, axis=0)

    def _setting(self, at_ps: int) -> tuple[float, float]:
        """Time zero and lead of the local oscillator, to an attosecond."""
        zero_fs = self._probing.zero_fs(self.delays["t2"].delay_fs(at_ps))
        return round(zero_fs, _DELAY_DIGITS), round(self.lo_lead_fs(at_ps), _DELAY_DIGITS)

    def _at_rest(self, pixels: _Pixels, state: _State, setting: tuple[float, float]) -> NDArray[np.float64]:
        if state.view == "pump":
            mask = self.shaper_mask
            return pixels.power(mask(pixels.wavenumber_cm) if mask else pixels.train(state.pump))
        key = (state.pump, setting)
        if (known := pixels.spectra.get(key)) is None:
            known = pixels.keep(
                pixels.spectra, key, self._fringes(pixels, state.pump, *setting), _KEPT_SPECTRA
            )
        return known

    def _fringes(
        self, pixels: _Pixels, pump: tuple[Pulse, ...], zero_fs: float, lead_fs: float
    ) -> NDArray[np.float64]:
        """Intensity with everything at rest, as the equation above."""
        b = self.beams
        more = 10.0 if "pump_scatters" in self.faults else 1.0
        stray = b.probe_scatter * more if self._probing.scatters and b.lo_lead_fs else 0.0
        field = np.full(len(pixels.amplitude), stray, np.complex128)
        if pump:
            field += b.pump_scatter * more * pixels.train(pump) * pixels.wave(-zero_fs)
        if "lo_blocked" not in self.faults:
            field += pixels.wave(-lead_fs)
        field *= pixels.amplitude
        turn = 1j if b.lo_lead_fs else 1.0
        field += turn * b.signal * self._signal(pixels, pump, zero_fs)
        return field.real**2 + field.imag**2

    def _signal(
        self, pixels: _Pixels, pump: tuple[Pulse, ...], zero_fs: float
    ) -> NDArray[np.complexfloating[Any, Any]]:
        """The sample's field, which stays as it is while the local oscillator alone is moved."""
        key = (pump, zero_fs)
        if (known := pixels.signals.get(key)) is None:
            field = np.zeros(len(pixels.amplitude), np.complex128)
            for earlier, probe in self._probing.probed(pump, zero_fs):
                made = self.sample.signal_field(earlier, probe, pixels.wavenumber_cm)
                field += made * pixels.wave(probe.delay_fs - zero_fs)
            known = pixels.keep(pixels.signals, key, field, _KEPT_SIGNALS)
        return known

    def _power(self, start_ps: int, stop_ps: int) -> float:
        """The laser's power over an interval, relative to its mean: slow drift, and noise of the pulses."""
        at_s = (start_ps + stop_ps) / 2 / PS_PER_S
        waves = zip(_DRIFT_S, _DRIFT_SHARES, self._drift_phases, strict=True)
        slow = sum(
            share * math.sin(2 * math.pi * at_s / period_s + phase) for period_s, share, phase in waves
        )
        pulses = max(1.0, (stop_ps - start_ps) / PS_PER_S * self.beams.repetition_hz)
        fast = np.random.default_rng((self.seed, 0x5407, max(0, start_ps))).standard_normal()
        drift = 0.1 if "laser_drifts" in self.faults else self.beams.drift
        return 1.0 + drift * slow + self.beams.pulse_noise / math.sqrt(pulses) * float(fast)


class _Pixels:
    """A detector's pixels: laser amplitude, waves and spectra worked out before."""

    def __init__(self, wavelength_nm: NDArray[np.float64], laser: Laser) -> None:
        self.wavelength_nm = wavelength_nm
        self.wavenumber_cm = 1e7 / wavelength_nm
        self.amplitude = laser.amplitude(self.wavenumber_cm)
        self._rad_per_fs = RAD_PER_FS * self.wavenumber_cm
        self.spectra: OrderedDict[Any, NDArray[np.float64]] = OrderedDict()
        self.signals: OrderedDict[Any, NDArray[np.complexfloating[Any, Any]]] = OrderedDict()
        self._waves: OrderedDict[float, NDArray[np.complex128]] = OrderedDict()

    def wave(self, delay_fs: float) -> NDArray[np.complexfloating]:
        """exp(i w delay) at the pixels."""
        if (known := self._waves.get(delay_fs)) is None:
            wave = np.exp(1j * (self._rad_per_fs * delay_fs))
            known = self.keep(self._waves, delay_fs, wave, _KEPT_WAVES)
        return known

    def train(self, pulses: Sequence[Pulse]) -> NDArray[np.complexfloating]:
        """M(w) of a pulse train at the pixels."""
        mask = np.zeros(len(self.amplitude), np.complex128)
        for pulse in pulses:
            mask += pulse.amplitude * self.wave(pulse.delay_fs)
        return mask

    def power(self, mask: NDArray[np.complexfloating]) -> NDArray[np.float64]:
        """Intensity of the laser behind a mask."""
        return (mask.real**2 + mask.imag**2) * self.amplitude**2

    @staticmethod
    def keep(store: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> Any:
        """Remember a value, and forget the oldest when there are too many."""
        store[key] = value
        if len(store) > most:
            store.popitem(last=False)
        return value


def make_coherence_bench(
    sample: str,
    *,
    seed: int,
    speed: float,
    faults: Iterable[str] = (),
    dimers: int = 4000,
    phonons: bool = False,
    beams: Beams | None = None,
) -> CoherenceBench:
    """A bench with a sample of `dimers` dimers, such as "dimers_3.0_9", or "blank"; all follows from `seed`.

    With `phonons` the dots vibrate. Raises KeyError for an unknown sample, ValueError for an unknown fault.
    """
    names = frozenset(faults)
    if unknown := sorted(names - all_faults().keys()):
        raise ValueError(f"unknown faults {unknown}; known: {', '.join(sorted(all_faults()))}")
    made = _sample(sample, dimers, seed, phonons)
    return CoherenceBench(SimulatedClock(speed), made, seed=seed, faults=Faults(names), beams=beams)


def all_faults() -> dict[str, str]:
    """Every fault that this bench and its emulators know: name and what it does."""
    from .emulators import dazzler, esp30x, obp_spectrometer, pi_linear, shaper_screen, sr830

    emulators = (esp30x, obp_spectrometer, pi_linear, shaper_screen, dazzler, sr830)
    return FAULTS | {name: text for emulator in emulators for name, text in emulator.FAULTS.items()}


def _sample(name: str, dimers: int, seed: int, phonons: bool) -> Sample:
    if name == "blank":
        return Blank()
    from .physics.nonlinear_sample import SAMPLES, NonlinearSample

    if name not in SAMPLES:
        raise KeyError(name)
    return OnDemand(partial(NonlinearSample.named, name, dimers=dimers, seed=seed, phonons=phonons))
