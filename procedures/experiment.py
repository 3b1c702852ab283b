"""Experiment files: which procedure, with which parameters, on which station."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from .config import Table, read_toml, validated
from .errors import ConfigError
from .parameters import ChoiceParameter

if TYPE_CHECKING:
    from .rig_procedure import RigProcedure


class Experiment(Table):
    """One experiment as its TOML file tells it."""

    procedure: str = Field(description="the name of the procedure to run")
    station: str = Field(description="the station to run it on, a TOML file or the name of a shipped one")
    title: str = ""
    sample: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> tuple[Experiment, RigProcedure]:
    """The experiment of a file with `key=value` overrides, and its procedure with all parameters set.

    Raises ConfigError naming file, table, key, value and what is allowed.
    """
    experiment = validated(Experiment, read_toml(path), where=str(path))
    procedure = _procedure_class(experiment.procedure, where=str(path))()
    for key, value in experiment.parameters.items():
        _set(procedure, key, value, where=f"{path} [parameters]", exact_type=True)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise ConfigError(f"--set {override!r}: must be key=value")
        _set(procedure, key.strip(), value.strip(), where="--set")
    return experiment, procedure


def experiment_of(about: Experiment, values: Mapping[str, object]) -> tuple[Experiment, RigProcedure]:
    """An experiment like `about` with these values of parameters, as text or as numbers, and its procedure.

    The parameters of the experiment returned are all there, exact. Raises ConfigError naming the key, the
    value and what is allowed.
    """
    procedure = _procedure_class(about.procedure, where="experiment")()
    for key, value in {**about.parameters, **values}.items():
        _set(procedure, key, value, where="parameter")
    values = procedure.parameter_values()
    return about.model_copy(
        update={"parameters": {key: values[key] for key in _as_written(procedure)}}
    ), procedure


def save_experiment(path: Path, experiment: Experiment) -> None:
    """Write an experiment so that `load_experiment` gives the same one; raises OSError."""
    from ..formats.run_file import write_atomically

    lines = [
        f"{key} = {_toml(value)}"
        for key, value in experiment.model_dump(exclude={"parameters"}).items()
        if value != ""
    ]
    lines += ["", "[parameters]"]
    lines += [f"{key} = {_toml(value)}" for key, value in experiment.parameters.items()]
    write_atomically(path, "\n".join(lines) + "\n")


def _as_written(procedure: RigProcedure) -> list[str]:
    """The keys of the parameters in the order in which the class, and before it its bases, declare them."""
    known = procedure.parameter_objects()
    return [key for part in reversed(type(procedure).__mro__) for key in vars(part) if key in known]


def _toml(value: object) -> str:
    """A value as TOML; floats by their shortest exact text."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return f"[{', '.join(_toml(item) for item in value)}]"
    raise TypeError(f"{type(value).__name__} cannot be written as TOML")


def _procedure_class(name: str, *, where: str) -> type[RigProcedure]:
    found = {point.name: point for point in entry_points(group="qdlab.procedures")}
    if name not in found:
        raise ConfigError(f"{where}: procedure = {name!r} is not known; known procedures: {', '.join(found)}")
    return found[name].load()


def _set(procedure: RigProcedure, key: str, value: object, *, where: str, exact_type: bool = False) -> None:
    """Set one parameter; with `exact_type`, numbers written as text are refused."""
    parameters = procedure.parameter_objects()
    if key not in parameters:
        raise ConfigError(f"{where}: unknown key {key!r}; known keys: {', '.join(parameters)}")
    if exact_type and isinstance(value, str) and not isinstance(parameters[key], ChoiceParameter):
        raise ConfigError(f"{where}: {key} = {value!r}: must be a number, not text")
    try:
        procedure.set_parameters({key: value})
    except ValueError as error:
        raise ConfigError(f"{where}: {key} = {value!r}: {error}") from None
