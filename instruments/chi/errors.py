"""How a run of the CHI program can fail; each way has a class of its own."""

from __future__ import annotations

from ..base import InstrumentError


class ProgramBusyError(InstrumentError):
    """Another process, or an earlier run, uses this instrument's program."""


class ProgramDialogError(InstrumentError):
    """The program shows a window that waits for a person; the message holds its text."""


class ProgramTimeoutError(InstrumentError):
    """The program did not end in the time that its runs can take."""


class ProgramCrashedError(InstrumentError):
    """The program ended before its runs could have ended."""


class RunAbortedError(InstrumentError):
    """The run was stopped from our side."""


class ResultMissingError(InstrumentError):
    """The program ended in order but left no result."""


class ResultUnreadableError(InstrumentError):
    """A result is there but is not a CHI text."""


class ResultIncompleteError(InstrumentError):
    """A result has fewer rows than planned; what is there is kept."""


class ResultMismatchError(InstrumentError):
    """A result is not of the run that was asked for: technique, parameters or potentials differ."""
