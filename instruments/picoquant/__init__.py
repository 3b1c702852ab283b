"""PicoQuant: the TimeHarp 260 photon counter and the PDL 828 and PDL 800-D laser drivers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .pdl800d import PDL800D
    from .pdl828 import PDL828
    from .timeharp260 import TimeHarp260

__all__ = ["PDL800D", "PDL828", "TimeHarp260"]

_HOME = {"TimeHarp260": "timeharp260", "PDL828": "pdl828", "PDL800D": "pdl800d"}


def __getattr__(name: str) -> Any:
    """Import a driver when it is first asked for; the command line starts without them."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
