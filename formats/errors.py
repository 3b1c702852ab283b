"""Errors of files that are not what they should be."""

from __future__ import annotations


class FileFormatError(Exception):
    """A file is not what its name says; the message names the file, the place, and what was expected."""
