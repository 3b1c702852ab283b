"""Parameters of procedures that keep what they are given, to the last bit."""

from __future__ import annotations

import math
from typing import Any

from pymeasure.experiment import FloatParameter, IntegerParameter


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
