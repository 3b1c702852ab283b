"""Parameters of procedures that keep what they are given, to the last bit."""

from __future__ import annotations

import math
from typing import Any

from pymeasure.experiment import FloatParameter, IntegerParameter, Parameter


class ExactFloatParameter(FloatParameter):
    """A finite float stored and shown as its shortest exact text (pymeasure's own keeps six digits)."""

    def convert(self, value: Any) -> float:
        """The value as a float; raises ValueError with the allowed range for anything else."""
        if isinstance(value, bool):
            raise ValueError(f"{value!r} is not a number")
        if isinstance(value, str):
            value = value.strip().removesuffix(self.units or "").strip()
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"{value!r} is not a number") from None
        if not (math.isfinite(number) and self.minimum <= number <= self.maximum):
            raise ValueError(
                f"{value!r} is outside [{self.minimum}, {self.maximum}] {self.units or ''}".strip()
            )
        return number

    def __str__(self) -> str:
        return f"{self.value!r} {self.units}".strip() if self.units else repr(self.value)


class CountParameter(IntegerParameter):
    """A whole number within its range."""

    def convert(self, value: Any) -> int:
        """The value as an int; raises ValueError with the allowed range for anything else."""
        if isinstance(value, str):
            value = value.strip().removesuffix(self.units or "").strip()
        try:
            number = int(value)
            exact = not isinstance(value, bool) and float(value) == number
        except (TypeError, ValueError, OverflowError):
            exact, number = False, 0
        if not exact:
            raise ValueError(f"{value!r} is not a whole number")
        if not self.minimum <= number <= self.maximum:
            raise ValueError(f"{value!r} is outside [{self.minimum}, {self.maximum}]")
        return number


def exact_float(
    name: str, *, default: float, minimum: float, maximum: float, units: str | None = None
) -> Any:
    """Declare an ExactFloatParameter; the attribute is the float itself on a procedure."""
    return ExactFloatParameter(name, units=units, minimum=minimum, maximum=maximum, default=default)


def count(name: str, *, default: int, minimum: int, maximum: int) -> Any:
    """Declare a CountParameter; the attribute is the int itself on a procedure."""
    return CountParameter(name, minimum=minimum, maximum=maximum, default=default)


class FloatsParameter(Parameter):
    """A list of numbers in one unit: a TOML array, or text like "0, -1.4, -1.7, -2"; kept exactly."""

    def __init__(self, name: str, *, units: str, minimum: float, maximum: float, **kwargs: Any) -> None:
        self.units = units
        self._one = ExactFloatParameter(name, units=units, minimum=minimum, maximum=maximum)
        super().__init__(name, **kwargs)

    def convert(self, value: Any) -> tuple[float, ...]:
        """The numbers as floats, at least one; raises ValueError naming the one that is not allowed."""
        if isinstance(value, str):
            value = value.strip().removesuffix(self.units).split(",")
        elif not isinstance(value, list | tuple):
            value = [value]
        if not value:
            raise ValueError("at least one number is needed")
        return tuple(self._one.convert(item) for item in value)

    def __str__(self) -> str:
        return f"{', '.join(map(repr, self.value or ()))} {self.units}"


def exact_floats(name: str, *, default: tuple[float, ...], minimum: float, maximum: float, units: str) -> Any:
    """Declare a FloatsParameter; the attribute is a tuple of floats on a procedure."""
    return FloatsParameter(name, units=units, minimum=minimum, maximum=maximum, default=default)


class PointParameter(Parameter):
    """A point of the sample, x, y, z in micrometres: a TOML array, or text; empty for none."""

    units = "um"

    def convert(self, value: Any) -> tuple[float, ...]:
        """Three floats, or none; raises ValueError for anything else."""
        if isinstance(value, str):
            value = [part for part in value.strip().removesuffix(self.units).split(",") if part.strip()]
        if not isinstance(value, list | tuple) or len(value) not in (0, 3):
            raise ValueError(f"{value!r} is not a point: give x, y and z in micrometres, or nothing")
        one = ExactFloatParameter("coordinate", units=self.units)
        return tuple(one.convert(item) for item in value)

    def __str__(self) -> str:
        return f"{', '.join(map(repr, self.value))} {self.units}".strip() if self.value else ""


def point(name: str) -> Any:
    """Declare a PointParameter, none by default; the attribute is a tuple of three floats, or empty."""
    return PointParameter(name, default=())


class ChoiceParameter(Parameter):
    """One of a few words."""

    def __init__(self, name: str, *, choices: tuple[str, ...], **kwargs: Any) -> None:
        self.choices = choices
        super().__init__(name, **kwargs)

    def convert(self, value: Any) -> str:
        """The word as it is; raises ValueError with those allowed for any other."""
        if value not in self.choices:
            raise ValueError(f"{value!r} is not one of: {', '.join(self.choices)}")
        return value


def choice(name: str, *choices: str) -> Any:
    """Declare a ChoiceParameter, the first choice by default; the attribute is a str on a procedure."""
    return ChoiceParameter(name, choices=choices, default=choices[0])
