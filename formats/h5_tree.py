"""Nested mappings of arrays, numbers and texts as HDF5 groups, datasets and attributes.

Files come from anywhere, so what is read is bounded: nothing outside the file is followed, a dataset is not
larger than what is stored of it can fill, and groups that contain themselves are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from .errors import FileFormatError

DAMAGES = (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError)
"""What h5py and numpy raise where a file is not what it should be; texts that are no JSON are among them."""

_PACKED_BYTES = 100_000
"""Larger arrays are compressed."""
_MOST_INFLATED = 1100
"""Gzip packs no more than 1032 bytes into one (zlib's technical details)."""
_ALWAYS_BYTES = 1 << 16


def write_tree(group: h5py.Group, tree: Mapping[str, Any]) -> None:
    """Write a mapping into `group`; raises TypeError for a value that HDF5 cannot hold.

    Arrays become datasets, mappings and lists of them groups, the rest attributes; the key "NAME@units"
    holds the attribute `units` of the dataset NAME.
    """
    for key, value in tree.items():
        if "@" in key:
            continue
        if isinstance(value, Mapping):
            write_tree(group.create_group(key), value)
        elif isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            for k, item in enumerate(value):
                write_tree(group.create_group(f"{key}/{k:04d}"), item)
        elif isinstance(value, np.ndarray) and value.ndim:
            packed = {"compression": 1, "shuffle": True} if value.nbytes > _PACKED_BYTES else {}
            group.create_dataset(key, data=value, **packed)
        elif value is None:
            group.attrs[key] = h5py.Empty("f8")
        else:
            group.attrs[key] = value
    for key, value in tree.items():
        name, at, attribute = key.partition("@")
        if at:
            group[name].attrs[attribute] = value


def read_tree(group: h5py.Group) -> dict[str, Any]:
    """Read back what `write_tree` wrote; lists of mappings come back as mappings by number.

    Raises FileFormatError for groups that contain themselves, and as `child` and `read_all`.
    """
    return _read_tree(group, set())


def child(parent: h5py.Group, path: str) -> h5py.Group | h5py.Dataset:
    """What stands at `path` inside `parent`.

    Raises KeyError where there is nothing, FileFormatError for what is not in the file itself: links to
    other places, datasets kept in other files, and virtual ones.
    """
    found: Any = parent
    for name in filter(None, path.split("/")):
        if not isinstance(found, h5py.Group):
            raise KeyError(f"{path} is not inside a group")
        if name not in found:
            raise KeyError(f"there is no {path}")
        if not isinstance(found.get(name, getlink=True), h5py.HardLink):
            raise FileFormatError(
                f"{parent.file.filename}: {path} is a link to elsewhere, which is not followed"
            )
        found = found[name]
    if isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
        raise FileFormatError(f"{parent.file.filename}: {path} is kept in another file, which is not read")
    if not isinstance(found, h5py.Group | h5py.Dataset):
        raise KeyError(f"{path} is neither a group nor a dataset")
    return found


def read_all(dataset: h5py.Dataset) -> Any:
    """The values of a dataset; raises FileFormatError when it says it is larger than it can be."""
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > _ALWAYS_BYTES + _MOST_INFLATED * stored:
        raise FileFormatError(
            f"{dataset.file.filename}: {dataset.name} announces {dataset.nbytes:,} bytes, "
            f"but {stored:,} are there"
        )
    return dataset[()]


def _read_tree(group: h5py.Group, seen: set[h5py.Group]) -> dict[str, Any]:
    if group in seen:
        raise FileFormatError(f"{group.file.filename}: {group.name} is met twice, or contains itself")
    seen.add(group)
    tree: dict[str, Any] = {key: _plain(value) for key, value in group.attrs.items()}
    for key in map(str, group):
        item = child(group, key)
        tree[key] = _read_tree(item, seen) if isinstance(item, h5py.Group) else read_all(item)
        if isinstance(item, h5py.Dataset):
            tree |= {f"{key}@{name}": _plain(value) for name, value in item.attrs.items()}
    return tree


def _plain(value: Any) -> Any:
    if isinstance(value, h5py.Empty):
        return None
    return value.item() if isinstance(value, np.generic) else value
