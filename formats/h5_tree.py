"""Nested mappings of arrays, numbers and texts as HDF5 groups, datasets and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

_PACKED_BYTES = 100_000
"""Larger arrays are compressed."""


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
    """Read back what `write_tree` wrote; lists of mappings come back as mappings by number."""
    tree: dict[str, Any] = {key: _plain(value) for key, value in group.attrs.items()}
    for key, item in group.items():
        tree[key] = read_tree(item) if isinstance(item, h5py.Group) else item[()]
        if isinstance(item, h5py.Dataset):
            tree |= {f"{key}@{name}": _plain(value) for name, value in item.attrs.items()}
    return tree


def _plain(value: Any) -> Any:
    if isinstance(value, h5py.Empty):
        return None
    return value.item() if isinstance(value, np.generic) else value
