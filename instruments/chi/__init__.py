"""Potentiostats of CH Instruments."""

from .chi760 import CHI760C
from .program import ProgramLauncher, RunningProgram
from .windows_program import WindowsProgram

__all__ = ["CHI760C", "ProgramLauncher", "RunningProgram", "WindowsProgram"]
