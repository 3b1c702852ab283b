"""TOML files read into frozen models; whatever is wrong is refused with its place and what is allowed."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import ConfigError


class Table(BaseModel):
    """Base of every TOML table: frozen, unknown keys refused, nothing converted silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


_MOST_BYTES = 1 << 20
_DEEPEST = 16
_LONG_KEY = re.compile(rf"(?:\.\s*[\"'\w-]{{1,80}}\s*){{{2 * _DEEPEST}}}")

AnyTable = TypeVar("AnyTable", bound=Table)


def locate(name: str) -> Path:
    """The path of a TOML file given by path, or by name among those shipped in `qdlab.configs`."""
    path = Path(name)
    if path.suffix == ".toml":
        if path.is_file():
            return path
    elif path.name == name:
        shipped = resources.files("qdlab.configs") / f"{name}.toml"
        if shipped.is_file():
            return Path(str(shipped))
    raise ConfigError(
        f"no such file or shipped configuration: {name!r}; shipped: {', '.join(shipped_names())}"
    )


def shipped_names() -> list[str]:
    """Names of the TOML files that come with qdlab."""
    files = resources.files("qdlab.configs").iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; raises ConfigError with the line when it is not TOML."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError(f"{path}: is larger than {_MOST_BYTES:,} bytes, so it is no file of settings")
        text = path.read_text(encoding="utf-8")
        if _LONG_KEY.search(text):  # tomllib takes the square of its length
            raise ConfigError(f"{path}: has more than {_DEEPEST} tables inside each other")
        tables = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:  # tomllib's own is a ValueError
        raise ConfigError(f"{path}: is not valid TOML: {error}") from error
    if _depth(tables) > _DEEPEST:
        raise ConfigError(f"{path}: has more than {_DEEPEST} tables inside each other")
    return tables


def validated(model: type[AnyTable], table: object, *, where: str) -> AnyTable:
    """`table` as a `model`; raises ConfigError naming `where`, key, value and what is allowed."""
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: must be a table, not {table!r:.100}")
    try:
        return model.model_validate(_lists_to_tuples(table))
    except ValidationError as error:
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")  # a typo explains the rest
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ConfigError(
                f"{where}: unknown key {key!r:.100}; known keys: {', '.join(model.model_fields)}"
            ) from None
        if first["type"] == "missing":
            raise ConfigError(f"{where}: key {key!r} is missing; {_allowed(model, key)}") from None
        message = str(first["msg"]).removeprefix("Value error, ")
        value = f"{first['input']!r:.100}"
        raise ConfigError(f"{where}: {key} = {value}: {message[0].lower()}{message[1:]}") from None


def _depth(tables: object) -> int:
    """How many tables and lists stand inside each other; counted without recursion."""
    depth, level = 0, [tables]
    while level:
        inside: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inside += cast("dict[str, object]", item).values()
            elif isinstance(item, list):
                inside += cast("list[object]", item)
        depth, level = depth + 1, inside
        if depth > _DEEPEST:
            break
    return depth


def _allowed(model: type[Table], key: str) -> str:
    info = model.model_fields.get(key)
    return info.description if info and info.description else f"give {key} = ..."


def _lists_to_tuples(value: object) -> Any:
    """TOML arrays as tuples and whole numbers left alone, so that strict models accept them."""
    if isinstance(value, list):
        return tuple(_lists_to_tuples(item) for item in cast("list[object]", value))
    if isinstance(value, dict):
        return {key: _lists_to_tuples(item) for key, item in cast("dict[str, object]", value).items()}
    return value
