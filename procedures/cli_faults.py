"""`qdlab emulate X --list-faults`: what can be switched on to go wrong with an emulated instrument."""

from __future__ import annotations

from importlib import import_module

from .errors import RefusedError

EMULATORS = {
    "chi760": "chi760",
    "timeharp260": "timeharp260",
    "pdl828": "sepia2",
    "e545": "pi_e545",
    "c863": "pi_linear",
    "esp30x": "esp30x",
    "lcos": "shaper_screen",
    "dazzler": "dazzler",
    "spectrometer": "obp_spectrometer",
    "sr830": "sr830",
}
"""Instrument, and the module of its emulator."""


def faults_of(instrument: str) -> dict[str, str]:
    """Name and sentence of every fault of an emulated instrument; raises RefusedError for an unknown one."""
    if instrument not in EMULATORS:
        raise RefusedError(f"{instrument!r} is not emulated; there are: {', '.join(sorted(EMULATORS))}")
    return import_module(f"..sim.emulators.{EMULATORS[instrument]}", __package__).FAULTS


def list_faults(instrument: str) -> None:
    """Print every fault of an emulated instrument on a line, with what it does."""
    faults = faults_of(instrument)
    width = max(map(len, faults))
    for name, sentence in faults.items():
        print(f"{name:{width}}  {sentence}")
