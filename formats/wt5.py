"""wt5, the HDF5 files of WrightTools: multidimensional spectra with their axes and units.

A `Data` group holds `Variable` datasets (what was scanned or read: mostly of length 1 in all directions but
one) and `Channel` datasets; its attribute `axes` lists expressions of variables, such as "w1=wm {eV}", in an
order that need not be that of the array's directions. A `Collection` holds data and collections. Described
after the files of WrightTools 3.6 (format 1.0.3) and of format 1.0.0.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .errors import FileFormatError
from .gridded import GridAxis, Gridded, identifier, last_part
from .h5_tree import DAMAGES, child, read_all
from .spectral_units import converted

WT5_VERSION = "1.0.3"
_DEEPEST = 20
_LONGEST_EXPRESSION = 200
_TO_TOKEN = {"cm-1": "wn", "degC": "deg_C", "": None}
_FROM_TOKEN = {"wn": "cm-1", "wavenumber": "cm-1", "deg_C": "degC", "None": "", None: ""}
_OPERATORS = {"__d__": "/", "__e__": "=", "__m__": "-", "__p__": "+", "__t__": "*"}
"""How operators are written in identifiers; files before 1.0.3 have them in the axes too."""


@dataclass(frozen=True)
class Wt5Variable:
    """What was scanned or read, broadcastable to the shape of the data."""

    values: NDArray[Any]
    units: str


@dataclass(frozen=True)
class Wt5Data:
    """One `Data` group, in memory."""

    path: Path
    name: str
    """With the collections it stands in, separated by /."""
    kind: str
    created: str
    source: str
    """Name of the file it was made of, without folders."""
    axes: tuple[tuple[str, str], ...]
    """Expression and unit of each."""
    variables: dict[str, Wt5Variable]
    channels: dict[str, NDArray[Any]]

    @property
    def shape(self) -> tuple[int, ...]:
        """Points in each direction of the arrays; see `gridded` for the order of the axes."""
        shapes = [v.values.shape for v in self.variables.values()] + [c.shape for c in self.channels.values()]
        return np.broadcast_shapes(*shapes)

    def axis(self, number: int) -> NDArray[Any]:
        """Values of an axis in its unit, broadcastable to the shape of the data.

        An axis of equal variables, "w1=wm", has the values of the first. Raises FileFormatError for an
        expression or a unit that cannot be followed.
        """
        expression, units = self.axes[number]
        if len(expression) > _LONGEST_EXPRESSION:
            raise FileFormatError(
                f"{self.path}: axis {expression:.40}... of {self.name} is no sum of variables"
            )
        try:
            variables = {
                name: converted(v.values, v.units, units)
                for name, v in self.variables.items()
                if name in _names(expression)
            }
            return np.asarray(_evaluated(expression.partition("=")[0], variables))
        except (ValueError, KeyError, TypeError, SyntaxError, ArithmeticError) as error:
            raise FileFormatError(
                f"{self.path}: axis {expression} {{{units}}} of {self.name}: {error}"
            ) from error

    def gridded(self) -> Gridded:
        """All channels over the axes, the array's directions in the axes' order.

        Raises FileFormatError when the axes are not one line each, or do not tell every direction.
        """
        shape = self.shape
        values = [self.axis(k) for k in range(len(self.axes))]
        along = [[d for d, n in enumerate(v.shape) if n > 1] for v in values]
        told = [d for directions in along for d in directions]
        if len(told) != len(set(told)) or max(map(len, along), default=2) > 1:
            raise FileFormatError(f"{self.path}: the axes of {self.name} are not straight lines of its grid")
        if set(told) != {d for d, n in enumerate(shape) if n > 1}:
            raise FileFormatError(f"{self.path}: the axes of {self.name} do not tell all of its directions")
        axes = tuple(
            GridAxis(identifier(expression.partition("=")[0]), v.astype(float).ravel(), units, expression)
            for (expression, units), v in zip(self.axes, values, strict=True)
        )
        order = told + [d for d in range(len(shape)) if d not in told]
        grid = tuple(len(axis.values) for axis in axes)
        signals = {
            name: np.broadcast_to(channel, shape).transpose(order).reshape(grid)
            for name, channel in self.channels.items()
        }
        about = {"kind": self.kind, "created": self.created, "source": self.source}
        return Gridded(identifier(self.name), axes, signals, self.name, {k: v for k, v in about.items() if v})


def is_wt5(path: Path) -> bool:
    """True for an HDF5 file whose root says that it is data or a collection of WrightTools."""
    with h5py.File(path) as file:
        return _text(file.attrs.get("class")) in ("Data", "Collection") and "__version__" in file.attrs


def read_wt5(path: Path) -> tuple[Wt5Data, ...]:
    """Every `Data` group of a wt5 file; raises FileFormatError when it is none, or is damaged."""
    try:
        with h5py.File(path) as file:
            if _text(file.attrs.get("class")) not in ("Data", "Collection"):
                raise FileFormatError(f"{path}: is HDF5, but its root is no wt5 data or collection")
            return tuple(_read_data(path, group, name) for name, group in _data_groups(file, ""))
    except DAMAGES as error:
        raise FileFormatError(f"{path}: is damaged or not a wt5 file: {error}") from error


def write_wt5(path: Path, *data: Gridded) -> None:
    """Write data, or a collection of several; the file appears under its name when it is complete.

    Values are written as they are, complex ones too. Raises ValueError for two data of one name.
    """
    if len({each.name for each in data}) < len(data) or not data:
        raise ValueError(f"{path}: needs data of different names, not {[each.name for each in data]}")
    temporary = path.with_name(path.name + ".tmp")
    with h5py.File(temporary, "w") as file:
        file.attrs["__version__"] = WT5_VERSION
        if len(data) == 1:
            _write_data(file, data[0])
        else:
            file.attrs.update({"class": "Collection", "name": last_part(path.stem), "created": _now()})
            file.attrs["item_names"] = _texts(each.name for each in data)
            for each in data:
                _write_data(file.create_group(each.name), each)
    temporary.replace(path)


# ---- reading ----


def _data_groups(group: h5py.Group, name: str) -> Iterator[tuple[str, h5py.Group]]:
    if _text(group.attrs.get("class")) == "Data":
        yield name or _text(group.attrs["name"]), group
        return
    for key in _listed(group, "item_names"):
        item = child(group, key)
        if name.count("/") > _DEEPEST:
            raise KeyError(f"{name} is a collection in collections without end")
        if isinstance(item, h5py.Group):
            yield from _data_groups(item, f"{name}/{key}" if name else key)


def _read_data(path: Path, group: h5py.Group, name: str) -> Wt5Data:
    variables = {
        key: Wt5Variable(_values(group, key), _units(group[key].attrs.get("units")))
        for key in _listed(group, "variable_names")
    }
    return Wt5Data(
        path=path,
        name=name,
        kind=_known(group.attrs.get("kind")),
        created=_known(group.attrs.get("created")),
        source=last_part(_known(group.attrs.get("source"))),
        axes=tuple(map(_axis, _listed(group, "axes"))),
        variables=variables,
        channels={key: _values(group, key) for key in _listed(group, "channel_names")},
    )


def _listed(group: h5py.Group, attribute: str) -> list[str]:
    return [_text(item) for item in np.asarray(group.attrs[attribute]).tolist()]


def _values(group: h5py.Group, key: str) -> NDArray[Any]:
    dataset = child(group, key)
    if not isinstance(dataset, h5py.Dataset):
        raise KeyError(f"{key} is not a dataset")
    return np.asarray(read_all(dataset))


def _axis(identity: str) -> tuple[str, str]:
    """Expression and unit of "w1=wm {eV}"."""
    expression, _, units = identity.partition("{")
    for written, sign in _OPERATORS.items():
        expression = expression.replace(written, sign)
    return expression.replace(" ", ""), _units(units.rstrip("} "))


def _units(token: object) -> str:
    text = None if token is None else _text(token)
    return _FROM_TOKEN.get(text, text or "")


def _known(value: object) -> str:
    """A text attribute; what WrightTools writes for none, and lists, are no text."""
    text = _text(value) if isinstance(value, str | bytes) else ""
    return "" if text == "None" else text


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


# ---- expressions of axes ----

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def _names(expression: str) -> set[str]:
    tree = ast.parse(expression.partition("=")[0], mode="eval")
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _evaluated(expression: str, variables: dict[str, NDArray[Any]]) -> Any:
    """Sums, differences, products and ratios of variables and numbers."""

    def value(node: ast.expr) -> Any:
        match node:
            case ast.Name(id=name):
                return variables[name]
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _BINARY[type(op)](value(left), value(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -value(operand)
        raise ValueError(f"{ast.unparse(node)} is not understood")

    return value(ast.parse(expression, mode="eval").body)


# ---- writing ----


def _write_data(group: h5py.Group, data: Gridded) -> None:
    group.attrs.update(
        {
            "class": "Data",
            "name": data.name,
            "created": data.about.get("created") or _now(),
            "kind": data.about.get("kind") or "qdlab",
            "source": last_part(data.about.get("source") or "None"),
            "axes": _texts(f"{axis.name} {{{_token(axis.units)}}}" for axis in data.axes),
            "constants": _texts(()),
            "item_names": _texts(()),
            "variable_names": _texts(axis.name for axis in data.axes),
            "channel_names": _texts(data.signals),
        }
    )
    for k, axis in enumerate(data.axes):
        shape = [1] * len(data.axes)
        shape[k] = len(axis.values)
        variable = group.create_dataset(axis.name, data=axis.values.reshape(shape))
        variable.attrs.update({"class": "Variable", "name": axis.name, "label": axis.name.lstrip("wdt")})
        if axis.units:
            variable.attrs["units"] = _token(axis.units)
    for name, values in data.signals.items():
        channel = group.create_dataset(name, data=values, chunks=True if values.size > 1 else None)
        channel.attrs.update({"class": "Channel", "name": name, "signed": True})


def _token(units: str) -> str | None:
    return _TO_TOKEN.get(units, units)


def _texts(texts: Any) -> NDArray[np.bytes_]:
    return np.array([text.encode() for text in texts], dtype="S")


def _now() -> str:
    return datetime.now(UTC).isoformat()
