"""The text files through which the Dazzler program is told what to do.

From Fastlite's manual (Dazzler, V3.00, 2019): the program looks for `request.txt` in its default directory,
processes it and deletes it; the deletion is the only answer, and faulty lines are skipped without a word.
The first line is the absolute path of a wave file. Section names are the manual's. **Not
verified on an instrument**: everything in `LAYOUT`. Compare it with a wave file that your own program saved
(docs/pulse_shaper.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REQUEST = "request.txt"
UNFINISHED = "request.tmp"
"""Written first and then renamed, so that the program never reads half a request."""

WAVE = "#wave"
AMPLITUDE = "#amp"
PHASE = "#phase"


@dataclass(frozen=True)
class WaveLayout:
    """What a wave file looks like, as far as the manual leaves it open."""

    settings: tuple[tuple[str, str], ...] = (("ampsource", "file"), ("phasesource", "file"))
    """Keys and values that make the program take amplitude and phase from the file."""
    separator: str = "\t"
    """Between the two columns: wavelength in nm, ascending, then amplitude (0 to 1) or phase in radians."""
    phase_sign: int = -1
    """The manual's dials subtract a delay times the frequency from the phase, so its fields go as exp(+i w t)
    and its phase is the negative of ours. That a file has the same sign is inferred."""


LAYOUT = WaveLayout()


def wave_text(
    wavelength_nm: NDArray[np.float64], amplitude: NDArray[np.float64], phase_rad: NDArray[np.float64]
) -> str:
    """A wave file for a mask `amplitude * exp(i phase)`; the phase is continuous, not wrapped."""
    lines = [WAVE, *(f"{key}={value}" for key, value in LAYOUT.settings)]
    columns = ((AMPLITUDE, amplitude), (PHASE, LAYOUT.phase_sign * phase_rad))
    for section, values in columns:
        lines.append(section)
        lines += [
            f"{nm:.6f}{LAYOUT.separator}{value:.5f}" for nm, value in zip(wavelength_nm, values, strict=True)
        ]
    return "\n".join(lines) + "\n"


def as_written(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Amplitudes or phases rounded as `wave_text` writes them."""
    return np.round(values, 5)


def request_text(wave_path: str) -> str:
    """A request to load a wave file, given by its absolute path as the program's computer knows it."""
    return wave_path + "\n"
