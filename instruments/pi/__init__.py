"""Physik Instrumente: the E-545 piezo stage, linear stages, and the General Command Set."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .e545 import E545
    from .e545_stage import E545Stage
    from .gcs import GCSController

__all__ = ["E545", "E545Stage", "GCSController"]

_HOME = {"E545": "e545", "E545Stage": "e545_stage", "GCSController": "gcs"}


def __getattr__(name: str) -> Any:
    """Import a driver when it is first asked for; the command line starts without them."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
