"""Signals over common axes: what wt5, NeXus and table files of spectra hold, whatever their dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class GridAxis:
    """One axis: a name that can stand in a program, its values, and their unit.

    Units are written "fs", "ps", "cm-1", "eV", "nm", "um", ...; an empty text means none.
    """

    name: str
    values: NDArray[np.floating]
    """Shape (n,)."""
    units: str = ""
    long_name: str = ""
    """What a person reads beside the axis, without the unit."""

    @property
    def label(self) -> str:
        """Long name and unit, for plots and headers."""
        name = self.long_name or self.name
        return f"{name} ({self.units})" if self.units else name


@dataclass(frozen=True)
class Gridded:
    """Signals on a grid; raises ValueError when names are no identifiers or shapes do not fit."""

    name: str
    axes: tuple[GridAxis, ...]
    signals: Mapping[str, NDArray[Any]]
    """Real or complex arrays of the shape of the grid; the first is the one to be shown."""
    title: str = ""
    about: Mapping[str, str] = field(default_factory=dict)
    """What else is known of them, such as kind and time of creation."""

    def __post_init__(self) -> None:
        names = [self.name, *(axis.name for axis in self.axes), *self.signals]
        for name in names:
            if not name.isidentifier():
                raise ValueError(f"{name!r}: names of data, axes and signals are letters, digits and _ only")
        if len(set(names[1:])) < len(names) - 1:
            raise ValueError(f"{self.name}: axes and signals must differ in name, not {', '.join(names[1:])}")
        if not (self.axes and self.signals):
            raise ValueError(f"{self.name}: needs an axis and a signal at least")
        for name, values in self.signals.items():
            if values.shape != self.shape:
                raise ValueError(
                    f"{self.name}: signal {name} has the shape {values.shape}, its axes {self.shape}"
                )

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each axis."""
        return tuple(len(axis.values) for axis in self.axes)


def last_part(path: str) -> str:
    """The file's name of a path written on any system: folders tell of people and machines."""
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]


def identifier(text: str) -> str:
    """A name that can stand in a program, for any text."""
    name = "".join(c if c.isalnum() else "_" for c in text)
    return name if name.isidentifier() else f"_{name}"
