"""A panel driven by its maker's own software, through one of slmsuite's classes (MIT; the extra `slmsuite`).

slmsuite's rule from phase to grey level and its corrections are left out: an array of integers of the panel's
own type goes to the maker's software as it is (`SLM.set_phase` of slmsuite 0.5), so that the grey levels are
those of our calibration. Failures are told as the makers' modules tell them: by any exception, or, where
Santec's software refuses a frame, by no more than a warning in slmsuite's log.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import pkgutil
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from ..base import InstrumentError, NotConnectedError, VendorSoftwareMissingError
from .screen import Frame, Screen, ScreenInfo

_PANELS = "slmsuite.hardware.slms"


class _Panel(Protocol):
    """What is used of an object of slmsuite's class SLM."""

    shape: tuple[int, int]
    """Rows and columns."""
    bitdepth: int

    def set_phase(self, phase: Frame, *, settle: bool) -> object:
        """Send integers of `bitdepth` bits (uint8 up to 8, else uint16) as they are, refuse others."""
        ...

    def close(self) -> None:
        """Let go of the panel."""
        ...


class SlmsuiteScreen(Screen):
    """A panel that slmsuite has a class for; frames are its grey levels at its own depth."""

    raw_levels = True

    def __init__(self, kind: str, options: Mapping[str, Any]) -> None:
        """`kind` is MODULE.CLASS below slmsuite.hardware.slms; `options` are what the class is made with.

        Raises VendorSoftwareMissingError when slmsuite or the maker's software is not there, ValueError when
        slmsuite has no such class or the class takes no such options.
        """
        self._kind, self._options = kind, dict(options)
        self._class = _find(kind)
        _check(self._class, kind, options)
        self.simulated = kind.startswith("simulated.")
        self._lock = threading.RLock()
        self._panel: _Panel | None = None

    def open(self) -> ScreenInfo:
        """Connect the panel, which then shows slmsuite's blank frame; raises InstrumentError."""
        with self._lock:
            self.close()
            with _told(f"slmsuite's {self._kind} cannot be opened"):
                panel = self._made()
            self._panel = panel
            rows, columns = panel.shape
            return ScreenInfo(self._kind, int(columns), int(rows), 1.0, int(panel.bitdepth))

    def show(self, frame: Frame) -> None:
        """Hand a frame to the maker's software; see `Screen.show`."""
        with self._lock:
            if self._panel is None:
                raise NotConnectedError(f"slmsuite's {self._kind} is not open")
            if frame.shape != tuple(self._panel.shape):  # which slmsuite would crop without a word
                raise ValueError(f"a frame of this panel is {tuple(self._panel.shape)}, not {frame.shape}")
            with _told(f"slmsuite's {self._kind} did not show a frame"), _warnings_raised():
                self._panel.set_phase(frame, settle=False)

    def close(self) -> None:
        """Let go of the panel."""
        with self._lock:
            panel, self._panel = self._panel, None
            if panel is not None:
                with _told(f"slmsuite's {self._kind} did not close"):
                    panel.close()
                    # slmsuite closes again when Python drops the object, be the panel open anew by then
                    panel.close = _nothing

    def _made(self) -> _Panel:
        try:
            return self._class(**self._options)
        except Exception as error:  # whatever it is, raised again
            # a half-made panel closes itself when it is dropped, and the error would keep it
            traceback.clear_frames(error.__traceback__)
            raise


def _nothing() -> None:
    """Instead of closing a second time."""


def _find(kind: str) -> type:
    try:
        return _find_in_slmsuite(kind)
    except ImportError as error:
        raise VendorSoftwareMissingError(
            f"the panel slmsuite:{kind} needs slmsuite ({error}): pip install 'qdlab[slmsuite]'"
        ) from error


def _find_in_slmsuite(kind: str) -> type:
    # its messages otherwise stand among the results, on standard output
    importlib.import_module("slmsuite").configure_logging(logging.WARNING, sys.stderr)
    module_name, _, class_name = kind.rpartition(".")
    modules = sorted(found.name for found in pkgutil.iter_modules(importlib.import_module(_PANELS).__path__))
    if module_name not in modules:
        raise ValueError(
            f"slmsuite has no panel {kind!r}: give MODULE.CLASS, such as santec.Santec; its modules: "
            f"{', '.join(modules)}"
        )
    panels = _panels_of(f"{_PANELS}.{module_name}")
    if class_name not in panels:
        raise ValueError(f"slmsuite has no panel {kind!r}; in {module_name}: {', '.join(panels) or 'none'}")
    return panels[class_name]


def _panels_of(module_name: str) -> dict[str, type]:
    """The classes of panels of a module, which says by a warning when what it needs is not installed."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        module = importlib.import_module(module_name)
    for warning in said:
        if warning.filename == module.__file__:
            del sys.modules[module_name]  # so that it looks again when it is asked for again
            raise VendorSoftwareMissingError(f"{module_name}: {_one_line(warning.message)}")
    base = importlib.import_module(f"{_PANELS}.slm").SLM
    return {
        name: found
        for name, found in vars(module).items()
        if isinstance(found, type) and issubclass(found, base) and not inspect.isabstract(found)
    }


def _check(panel: type, kind: str, options: Mapping[str, Any]) -> None:
    """Refuse options that would be found wrong only when the panel is already being written to."""
    known: list[str] = []
    for base in panel.__mro__:
        parameters = inspect.signature(base.__init__).parameters
        kinds = {name: parameter.kind for name, parameter in parameters.items() if name != "self"}
        variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        known += [name for name, kind_of in kinds.items() if kind_of not in variable and name not in known]
        if inspect.Parameter.VAR_KEYWORD not in kinds.values():
            break
    if unknown := [name for name in options if name not in known]:
        raise ValueError(f"slmsuite's {kind} takes no {', '.join(unknown)}; it takes {', '.join(known)}")
    try:
        inspect.signature(panel).bind(**options)
    except TypeError as error:
        raise ValueError(f"slmsuite's {kind}: {error}") from None


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Any error of a maker's module as an InstrumentError that says it."""
    try:
        yield
    except Exception as error:  # a maker's module raises what it likes
        raise InstrumentError(f"{what} ({type(error).__name__}: {_one_line(error)})") from error


@contextmanager
def _warnings_raised() -> Iterator[None]:
    """What this thread makes slmsuite log as a warning or worse is raised as a RuntimeError."""
    logger, heard = logging.getLogger("slmsuite"), _Heard()
    logger.addHandler(heard)
    try:
        yield
    finally:
        logger.removeHandler(heard)
    if heard.messages:
        raise RuntimeError("; ".join(heard.messages))


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.messages.append(record.getMessage())


def _one_line(said: object) -> str:
    return " ".join(str(said).split())
