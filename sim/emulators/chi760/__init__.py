"""An emulated CHI 760C: the box at the cell, and the vendor program that is started with a macro file."""

from .box import CODE_V, FULL_SCALE_V, Chi760Box, Converter
from .faults import FAULTS
from .launch import SIMULATED_STATION_FORMAT, EmulatedChi760, SubprocessChi760
from .techniques import DataLimits
from .text import TextFormat

__all__ = [
    "CODE_V",
    "FAULTS",
    "FULL_SCALE_V",
    "SIMULATED_STATION_FORMAT",
    "Chi760Box",
    "Converter",
    "DataLimits",
    "EmulatedChi760",
    "SubprocessChi760",
    "TextFormat",
]
