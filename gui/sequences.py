"""Sequences: lists of values for some parameters become one run for each combination."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from pymeasure.experiment import Parameter

MOST_RUNS = 1000


def expand(text: str, parameters: Mapping[str, Parameter]) -> list[dict[str, str]]:
    """The runs of a sequence, each as the values that differ; the last line changes fastest.

    One line per parameter, `hold_s = 1, 2, 5`; values that hold commas themselves (points, potentials) are
    divided by semicolons: `dot_um = 100, 100, 100; 102, 98, 100`. An empty text is one run with no
    differences. Raises ValueError naming the line, the key and what is allowed.
    """
    lists: dict[str, list[str]] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        key, equals, listed = (part.strip() for part in line.partition("="))
        if not equals:
            raise ValueError(f"sequence {line!r}: must be key = value, value, ...")
        if key not in parameters:
            raise ValueError(f"sequence: unknown key {key!r}; known keys: {', '.join(parameters)}")
        if key in lists:
            raise ValueError(f"sequence: {key} is there twice")
        lists[key] = _values(key, listed, parameters[key])
    n = 1
    for values in lists.values():
        n *= len(values)
    if n > MOST_RUNS:
        raise ValueError(f"sequence: would make {n} runs; {MOST_RUNS} are allowed")
    return [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]


def _values(key: str, listed: str, parameter: Parameter) -> list[str]:
    values = [value.strip() for value in listed.split(";" if _takes_lists(parameter) else ",")]
    for value in values:
        try:
            if not value:
                raise ValueError("a value is missing")
            parameter.convert(value)
        except ValueError as error:
            raise ValueError(f"sequence: {key} = {value!r}: {error}") from None
    return values


def _takes_lists(parameter: Parameter) -> bool:
    """Whether one value of a parameter is itself a list."""
    try:
        return isinstance(parameter.convert("0, 0, 0"), tuple)
    except ValueError:
        return False
