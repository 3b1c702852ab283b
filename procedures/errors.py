"""How a run can be refused or ended, with the exit status of each."""

from __future__ import annotations


class QdlabError(Exception):
    """An error that a person can act on; its message is one sentence. Exit status 1."""

    exit_status = 1


class RefusedError(QdlabError):
    """Refused before anything moved: bad input or a plan that the rig cannot do. Exit status 2."""

    exit_status = 2


class ConfigError(RefusedError):
    """A station or experiment file is not right; names the file, the table, the key and the value."""


class InterlockError(QdlabError):
    """A limit of the rig was crossed during a run; the rig was made safe. Exit status 3."""

    exit_status = 3


class DiskFullError(QdlabError):
    """The disk has no more room than what ends the run in order; it was ended early."""


class AbortedError(QdlabError):
    """The operator ended the run. Exit status 130."""

    exit_status = 130
