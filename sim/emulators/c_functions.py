"""Vendor libraries made of Python methods: real C function pointers with the vendor's prototypes.

A driver that calls them goes through the same conversion of arguments as with the vendor's library,
and compiled code can call them by address.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., None])


class Refusal(Exception):  # noqa: N818 - what the instrument answers, not a failure of the emulator
    """Makes an emulated C function return this error code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def exported(name: str) -> Callable[[Method], Method]:
    """Mark a method as the C function `name`; it returns 0, or the code of the Refusal it raises."""

    def mark(method: Method) -> Method:
        method.__dict__["c_name"] = name
        return method

    return mark


class EmulatedLibrary:
    """A library whose C functions are the exported methods of the subclass."""

    simulated = True

    def __init__(self, prototypes: Mapping[str, Sequence[Any]]) -> None:
        methods = {
            member.c_name: getattr(self, key)
            for cls in type(self).__mro__
            for key, member in vars(cls).items()
            if hasattr(member, "c_name")
        }
        if methods.keys() != prototypes.keys():
            raise TypeError(f"exported functions and prototypes differ: {methods.keys() ^ prototypes.keys()}")
        self._functions = {
            name: ctypes.CFUNCTYPE(ctypes.c_int, *types)(_answering(methods[name]))
            for name, types in prototypes.items()
        }

    def __getattr__(self, name: str) -> Callable[..., int]:
        """The C function of this name."""
        try:
            return self.__dict__["_functions"][name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no function {name}") from None


def require(condition: bool, otherwise: int) -> None:
    """Refuse with the error code `otherwise` unless the condition holds."""
    if not condition:
        raise Refusal(otherwise)


def put_text(pointer: Any, text: str) -> None:
    """Write a NUL-terminated text where a `char*` argument points."""
    data = text.encode("ascii") + b"\0"
    ctypes.memmove(pointer, data, len(data))


def _answering(method: Callable[..., None]) -> Callable[..., int]:
    def answer(*arguments: Any) -> int:
        try:
            method(*arguments)
        except Refusal as refusal:
            return refusal.code
        return 0

    return answer
