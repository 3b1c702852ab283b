"""Text files of two acquisition programs of multidimensional spectroscopy: PyCMDS and KENT.

PyCMDS (Wright group, Madison) writes a header of `# key: value` lines, lists in brackets with tabs, then one
row per point: the indices along the scanned axes, the time, the reading of every motor, and the channels.
KENT, its forerunner, writes rows alone, one file per line of the scan. Both are described after their files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import FileFormatError
from .gridded import GridAxis, Gridded, identifier

PYCMDS_START = b"# PyCMDS version:"
KENT_AXES = ("w1", "w2", "wm", "d1", "d2")
KENT_SIGNALS = ("signal", "OPA1", "OPA2")
_KENT_UNITS = {"w": "cm-1", "d": "ps"}
_NEEDED = ("axis names", "axis units", "kind", "name", "data name", "data origin", "file created")
_UNITS = {"wn": "cm-1", "None": ""}


@dataclass(frozen=True)
class PyCmdsFile:
    """Header and rows of a PyCMDS `.data` file."""

    path: Path
    header: dict[str, Any]
    """Texts, or lists of texts."""
    columns: dict[str, NDArray[np.float64]]
    """Every column, one value per point in order of acquisition."""

    def gridded(self) -> Gridded:
        """The channels over the planned points of the axes; nan where a scan was stopped before.

        Raises FileFormatError where the header does not tell the points of an axis, or rows lie beyond them.
        """
        try:
            return self._gridded()
        except (KeyError, IndexError, ValueError) as error:
            raise FileFormatError(f"{self.path}: header and rows do not agree: {error}") from error

    def _gridded(self) -> Gridded:
        axes = tuple(
            GridAxis(name, self._points(name), _UNITS.get(units, units) or "")
            for name, units in zip(self.header["axis names"], self.header["axis units"], strict=True)
        )
        where = tuple(self.columns[f"{axis.name}_index"].astype(int) for axis in axes)
        shape = tuple(len(axis.values) for axis in axes)
        signals = {}
        for name, kind in zip(self.header["name"], self.header["kind"], strict=True):
            if kind == "channel":
                signals[name] = np.full(shape, np.nan)
                signals[name][where] = self.columns[name]
        name = self.header["data name"] or self.header["data origin"]
        about = {"kind": "PyCMDS", "created": self.header["file created"], "source": self.path.name}
        return Gridded(identifier(name), axes, signals, name, about)

    def _points(self, name: str) -> NDArray[np.float64]:
        return np.array(self.header[f"{name} points"], float)


def read_pycmds(path: Path) -> PyCmdsFile:
    """Read a PyCMDS `.data` file; raises FileFormatError when it is none, or is cut."""
    with path.open("rb") as file:
        if file.read(len(PYCMDS_START)) != PYCMDS_START:
            raise FileFormatError(f"{path}: is no PyCMDS file: does not begin with {PYCMDS_START.decode()!r}")
    lines = path.read_text(encoding="utf-8").splitlines()
    header = dict(_header_entry(line) for line in lines if line.startswith("#"))
    missing = [key for key in _NEEDED if key not in header]
    if missing:
        raise FileFormatError(f"{path}: its header lacks {', '.join(missing)}")
    try:
        rows = np.array([line.split() for line in lines if line and not line.startswith("#")], float)
        columns = dict(zip(header["name"], rows.T, strict=True))
    except ValueError as error:
        raise FileFormatError(f"{path}: is cut or damaged: {error}") from error
    return PyCmdsFile(path, header, columns)


def _header_entry(line: str) -> tuple[str, Any]:
    """Key and value of "# key: value"; a list is tab-separated in brackets."""
    key, _, value = line.removeprefix("#").partition(":")
    value = value.strip()
    if value.startswith("[") and value.endswith("]"):
        return key.strip(), [_plain(item) for item in value[1:-1].split("\t")]
    return key.strip(), _plain(value)


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text.strip().removeprefix("'").removesuffix("'"))


def read_kent(
    paths: Iterable[Path],
    *,
    axes: tuple[str, ...] = ("d1", "d2"),
    tolerance_ps: float = 1e-3,
    tolerance_cm: float = 0.5,
) -> Gridded:
    """A scan that KENT left, one file per line, over the given axes in their order.

    The axes hold the motors' readings, those within the tolerance taken as one: a tolerance above the step of
    the scan would merge its points. Raises FileFormatError when rows are no ten numbers, or fill no grid.
    """
    files = sorted(paths)
    if not files:
        raise FileFormatError("a KENT scan has a file per line; none was given")
    folder = files[0].parent
    try:
        rows = np.concatenate([np.loadtxt(path, ndmin=2) for path in files])
    except ValueError as error:
        raise FileFormatError(f"{folder}: is no KENT scan: {error}") from error
    if rows.shape[1] != 10:
        raise FileFormatError(f"{folder}: KENT writes 10 columns, not {rows.shape[1]}")
    tolerance = {"w": tolerance_cm, "d": tolerance_ps}
    grouped = [_grouped(rows[:, KENT_AXES.index(name)], tolerance[name[0]]) for name in axes]
    where = tuple(index for _, index in grouped)
    shape = tuple(len(values) for values, _ in grouped)
    if len(rows) != np.prod(shape) or len(np.unique(np.ravel_multi_index(where, shape))) != len(rows):
        grid = " x ".join(map(str, shape))
        raise FileFormatError(f"{folder}: {len(rows)} rows fill no grid of {grid}; check axes and tolerances")
    signals = {}
    for k, name in enumerate(KENT_SIGNALS, start=len(KENT_AXES)):
        signals[name] = np.empty(shape)
        signals[name][where] = rows[:, k]
    points = (
        GridAxis(name, values, _KENT_UNITS[name[0]]) for name, (values, _) in zip(axes, grouped, strict=True)
    )
    return Gridded(identifier(folder.name), tuple(points), signals, about={"kind": "KENT"})


def _grouped(values: NDArray[np.float64], tolerance: float) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Ascending means of values that lie within the tolerance of each other, and which each belongs to."""
    order = np.argsort(values, kind="stable")
    group = np.concatenate([[0], np.cumsum(np.diff(values[order]) > tolerance)])
    index = np.empty(len(values), np.intp)
    index[order] = group
    return np.bincount(index, values) / np.bincount(index), index
