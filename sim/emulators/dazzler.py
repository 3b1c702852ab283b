"""The emulated Dazzler: a program that looks into its folder, and the acousto-optic filter that it drives.

As in Fastlite's manual, the program takes `request.txt`, does what it understands of it, deletes it, and says
nothing. How a wave file looks is assumed, as in the driver: see docs/pulse_shaper.md.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..clock import PS_PER_S
from ..physics.dimer_ensemble import Laser
from ..physics.pulses import Pulse, decompose
from .shaper_screen import PumpBench

FAULTS = {
    "dazzler_not_running": "The program does not run: a request stays where it is.",
    "dazzler_deaf": "Requests are deleted, but after the first one no wave is loaded.",
    "dazzler_skips_phase": "The lines of the phase are faulty for this version, and skipped.",
}
"""Name and what happens; active when the name is among the bench's faults."""

_LOOKS_S = 0.1
_LOADS_S = 0.15
_KEPT = 1024
_GRID_POINTS = 4096
_REACH_FWHM = 1.5

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


class _Wave(NamedTuple):
    """Amplitude, and phase in the program's sign, against wavelength; and what they make of a pulse."""

    amplitude: Curve
    phase: Curve
    pulses: tuple[Pulse, ...]

    def mask(self, wavenumber_cm: NDArray[np.float64]) -> NDArray[np.complex128]:
        """M(w) in this project's sign."""
        wavelength_nm = 1e7 / wavenumber_cm
        amplitude = np.interp(wavelength_nm, *self.amplitude, left=0.0, right=0.0)
        phase_rad = np.interp(wavelength_nm, *self.phase)
        return amplitude * (np.cos(phase_rad) - 1j * np.sin(phase_rad))


class EmulatedDazzler:
    """The program and its filter; `start` makes it look into the folder as the bench's clock goes."""

    def __init__(
        self, bench: PumpBench, folder: Path, *, window_fs: float, laser: Laser | None = None
    ) -> None:
        self._bench, self._folder, self._window_fs = bench, folder, window_fs
        laser = laser or Laser()
        reach_cm = _REACH_FWHM * laser.fwhm_cm
        self._grid_cm = np.linspace(laser.centre_cm - reach_cm, laser.centre_cm + reach_cm, _GRID_POINTS)
        self._power = laser.amplitude(self._grid_cm) ** 2
        self._wave = _Wave(_curve([]), _curve([]), ())
        self._known: OrderedDict[bytes, _Wave] = OrderedDict()
        self._loaded = 0
        self._running = False

    def start(self) -> None:
        """Run the program: the filter is empty, and the folder is looked into ten times a second."""
        self._running = True
        self._bench.shaper_mask = self.passed
        self._bench.set_pump(())
        self._look_again()

    def stop(self) -> None:
        """Quit the program; the filter keeps what it has."""
        self._running = False

    def passed(self, wavenumber_cm: NDArray[np.float64]) -> NDArray[np.complex128]:
        """M(w) of the loaded wave (complex, shape of the argument); 0 beyond what its file lists."""
        return self._wave.mask(wavenumber_cm)

    # ---- the program ----

    def _look_again(self) -> None:
        at_ps = self._bench.clock.now_ps + round(_LOOKS_S * PS_PER_S)
        self._bench.clock.schedule(at_ps, self._look)

    def _look(self) -> None:
        if not self._running:
            return
        request = self._folder / "request.txt"
        if "dazzler_not_running" not in self._bench.faults and request.is_file():
            lines = request.read_text(encoding="utf-8").splitlines()
            request.unlink()
            self._obey(lines)
        self._look_again()

    def _obey(self, lines: list[str]) -> None:
        """Load the wave file that the first line names; what cannot be read is skipped silently."""
        self._loaded += 1
        if not lines or ("dazzler_deaf" in self._bench.faults and self._loaded > 1):
            return
        wave = Path(lines[0].strip())
        if not (wave.is_absolute() and wave.is_file()):
            return
        content = wave.read_bytes()
        if content not in self._known:
            self._known[content] = self._read(content.decode("ascii", errors="replace").splitlines())
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        at_ps = self._bench.clock.now_ps + round(_LOADS_S * PS_PER_S)
        self._bench.clock.schedule(at_ps, partial(self._load, self._known[content]))

    def _load(self, wave: _Wave) -> None:
        self._wave = wave
        self._bench.set_pump(wave.pulses)

    def _read(self, lines: list[str]) -> _Wave:
        """A wave, and what the filter makes of a laser pulse: nothing outside the crystal's window."""
        sections = dict(_sections(lines))
        skipped = "dazzler_skips_phase" in self._bench.faults
        amplitude, phase = (
            _curve(sections.get("#amp", [])),
            _curve([] if skipped else sections.get("#phase", [])),
        )
        wave = _Wave(amplitude, phase, ())
        low_nm, high_nm = amplitude[0][[0, -1]]
        listed = (self._grid_cm >= 1e7 / high_nm) & (self._grid_cm <= 1e7 / low_nm)
        pulses = decompose(wave.mask(self._grid_cm), self._grid_cm, self._power * listed)
        inside = tuple(pulse for pulse in pulses if abs(pulse.delay_fs) <= self._window_fs / 2)
        return wave._replace(pulses=inside)


def _sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Lines under each `#name`; names without regard to case."""
    name, held = "", list[str]()
    for line in lines:
        if line.startswith("#"):
            yield name, held
            name, held = line.strip().lower(), []
        else:
            held.append(line)
    yield name, held


def _curve(lines: list[str]) -> Curve:
    """Wavelengths and values of the lines that are two numbers; zero where there are none."""
    rows: list[tuple[float, float]] = []
    for line in lines:
        try:
            wavelength_nm, value = map(float, line.split())
        except ValueError:
            continue
        rows.append((wavelength_nm, value))
    if not rows:
        return np.array([400.0, 800.0]), np.zeros(2)
    wavelengths_nm, values = np.array(sorted(rows)).T
    return wavelengths_nm, values
