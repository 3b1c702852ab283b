"""Spectra as NeXus NXdata groups: what h5web, silx and NeXpy draw without being told how.

Each signal is an NXdata group of its own, so that viewers take the drawing that suits it, a complex one with
its modulus and phase; the signals of one grid stand side by side in an NXentry. Attributes lead from the root
to what is to be shown (`default`), to the values (`signal`) and to their axes (`axes`, `NAME_indices`,
`units`, `long_name`), as in the NeXus definition of NXdata (manual.nexusformat.org/classes/base_classes).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .errors import FileFormatError
from .gridded import GridAxis, Gridded, identifier, last_part
from .h5_tree import DAMAGES, child, read_all, write_tree

_DEEPEST = 20
_ABOUT = ("kind", "created", "source")


def nexus_entry(data: Gridded) -> dict[str, Any]:
    """The tree of an NXentry for `h5_tree.write_tree` or the run file: one NXdata group per signal."""
    entry: dict[str, Any] = {
        "NX_class": "NXentry",
        "default": next(iter(data.signals)),
        "title": data.title or data.name,
        **{key: last_part(data.about[key]) for key in _ABOUT if key in data.about},
    }
    return entry | {name: _nexus_data(data, name, values) for name, values in data.signals.items()}


def write_nexus(path: Path, *data: Gridded) -> None:
    """Write one NXentry for each data, the first to be shown; the file appears when it is complete.

    Raises ValueError for two data of one name.
    """
    if len({each.name for each in data}) < len(data) or not data:
        raise ValueError(f"{path}: needs data of different names, not {[each.name for each in data]}")
    temporary = path.with_name(path.name + ".tmp")
    with h5py.File(temporary, "w") as file:
        write_tree(file, {"NX_class": "NXroot", "creator": "qdlab", "default": data[0].name})
        for each in data:
            write_tree(file.create_group(each.name), nexus_entry(each))
    temporary.replace(path)


def mark_default(file: h5py.File, path: str) -> None:
    """Lead viewers from the root of a file to the group `path`: each on the way names the next."""
    group: Any = file
    for part in PurePosixPath(path.strip("/")).parts:
        group.attrs["default"] = part
        group = group[part]


def is_nexus(path: Path) -> bool:
    """True for an HDF5 file whose root says that it is a NeXus file."""
    with h5py.File(path) as file:
        return file.attrs.get("NX_class") == "NXroot"


def read_nexus(path: Path) -> tuple[Gridded, ...]:
    """All NXdata groups of a file, told by their attributes alone; those of one grid in an entry together.

    Groups whose signal is no number, or that lack an axis, are passed over. Raises FileFormatError when the
    file is damaged or no HDF5.
    """
    try:
        with h5py.File(path) as file:
            found: dict[str, Gridded] = {}
            for group in _nexus_groups(file):
                if data := _read_group(group):
                    found[data.name] = _together(found[data.name], data) if data.name in found else data
            return tuple(found.values())
    except DAMAGES as error:
        raise FileFormatError(f"{path}: is damaged or no NeXus file: {error}") from error


# ---- inside ----


def _nexus_data(data: Gridded, name: str, values: NDArray[Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {
        "NX_class": "NXdata",
        "signal": name,
        "axes": [axis.name for axis in data.axes],
        "title": f"{data.title or data.name}: {name}",
        name: values,
    }
    if values.ndim > 1:
        tree[f"{name}@interpretation"] = "image"
    for k, axis in enumerate(data.axes):
        tree |= {f"{axis.name}_indices": k, axis.name: axis.values}
        tree[f"{axis.name}@long_name"] = axis.label
        if axis.units:
            tree[f"{axis.name}@units"] = axis.units
    return tree


def _nexus_groups(file: h5py.Group) -> Iterator[h5py.Group]:
    """Depth first; in each group the one to be shown before the others."""
    names = sorted(file, key=lambda name: name != file.attrs.get("default"))
    if str(file.name).count("/") > _DEEPEST:
        raise FileFormatError(f"{file.file.filename}: {file.name} is a group in groups without end")
    for name in names:
        item = file.get(name) if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
        if isinstance(item, h5py.Group):
            if item.attrs.get("NX_class") == "NXdata":
                yield item
            else:
                yield from _nexus_groups(item)


def _read_group(group: h5py.Group) -> Gridded | None:
    signal = str(group.attrs.get("signal", ""))
    names = np.atleast_1d(group.attrs.get("axes", [])).tolist()
    others = np.atleast_1d(group.attrs.get("auxiliary_signals", [])).tolist()
    if not all(name in group for name in [signal, *others, *names]):
        return None
    stored = {name: child(group, name) for name in [signal, *others, *names]}
    datasets = {name: each for name, each in stored.items() if isinstance(each, h5py.Dataset)}
    if len(datasets) < len(stored) or any(each.dtype.kind not in "biufc" for each in datasets.values()):
        return None
    arrays = {name: np.asarray(read_all(each)) for name, each in datasets.items()}
    parts = PurePosixPath(str(group.name)).parts[1:]
    own = parts[-1] == signal and len(parts) > 1  # as `nexus_entry` lays them out
    entry = group.parent if own else group
    try:
        return Gridded(
            identifier("_".join(parts[:-1] if own else parts)),
            tuple(_axis(stored[name], name, arrays[name]) for name in names),
            {name: arrays[name] for name in [signal, *others]},
            str(entry.attrs.get("title", "")),
            {key: str(entry.attrs[key]) for key in _ABOUT if key in entry.attrs},
        )
    except ValueError:
        return None


def _axis(dataset: h5py.Group | h5py.Dataset, name: str, values: NDArray[Any]) -> GridAxis:
    units = str(dataset.attrs.get("units", ""))
    long_name = str(dataset.attrs.get("long_name", "")).removesuffix(f" ({units})")
    return GridAxis(name, values, units, "" if long_name == name else long_name)


def _together(known: Gridded, more: Gridded) -> Gridded:
    """Both signals on the grid they share; raises ValueError when it is not the same."""
    for a, b in zip(known.axes, more.axes, strict=True):
        if (a.name, a.units) != (b.name, b.units) or not np.array_equal(a.values, b.values):
            raise ValueError(f"{known.name}: its signals differ in axis {a.name}")
    return Gridded(known.name, known.axes, {**known.signals, **more.signals}, known.title, known.about)
