"""What runs a folder holds: status, kind, start, length and photons of each, from the headers alone."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py

from ..formats.errors import FileFormatError
from ..formats.photon_packing import OWN
from ..formats.run_file import PART_SUFFIX

RUNNING, INTERRUPTED, UNREADABLE = "running", "interrupted", "unreadable"
"""Status words beside those of run files: of a folder that grows, of one that does not, of a damaged file."""
QUIET_S = 30.0
"""A run that goes on writes more often than this; a folder that is quiet for longer was left behind."""


@dataclass(frozen=True)
class RunEntry:
    """One run of a folder, as far as its header tells."""

    path: Path
    """The run file, or the part folder of a run that has none yet."""
    status: str
    """finished, aborted, failed, recovered, running, interrupted or unreadable."""
    reason: str
    """Why it did not finish; one sentence."""
    kind: str = ""
    title: str = ""
    sample: str = ""
    started: datetime | None = None
    duration_s: float | None = None
    """Length of the photon measurement; None where there was none, or it is not over."""
    photons: int | None = None
    simulated: bool = False

    @property
    def recoverable(self) -> bool:
        """True for what an interrupted run left: `recover_run` makes a run file of it."""
        return self.status == INTERRUPTED


class RunIndex:
    """Lists the runs of a folder; what has not changed since the last time is not read again.

    An instance belongs to one thread at a time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[Path, tuple[tuple[int, int], RunEntry]] = {}

    def runs(self) -> list[RunEntry]:
        """The runs of the folder, newest first; those of sub-folders are not looked for.

        A folder that does not exist has none.
        """
        entries: list[RunEntry] = []
        known: dict[Path, tuple[tuple[int, int], RunEntry]] = {}
        found = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        for path in found:
            if path.suffix == PART_SUFFIX and path.is_dir():
                entries += _part_entry(path)
            elif path.suffix == ".h5" and path.is_file():
                about = path.stat()
                stamp = about.st_mtime_ns, about.st_size
                before = self._known.get(path)
                known[path] = before if before and before[0] == stamp else (stamp, read_entry(path))
                entries.append(known[path][1])
        self._known = known
        return sorted(entries, key=_when, reverse=True)


def read_header(path: Path) -> dict[str, Any]:
    """The header of a run file; raises FileFormatError when it is none, or is damaged."""
    try:
        with h5py.File(path) as file:
            return json.loads(str(file[OWN].attrs["header"]))
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise FileFormatError(f"{path}: is damaged or not a run file: {error}") from error


def read_entry(path: Path) -> RunEntry:
    """What the header of a run file tells; a file that is none gives an entry that says so."""
    try:
        with h5py.File(path) as file:
            own = file[OWN].attrs
            header = json.loads(str(own["header"]))
            photons = duration_s = None
            if "photon_data" in file:
                photons = len(_dataset(file, "photon_data/timestamps"))
                duration_s = float(_dataset(file, "acquisition_duration")[()])
            return _entry(path, header, str(own["status"]), str(own["status_reason"]), photons, duration_s)
    except (OSError, KeyError, json.JSONDecodeError) as error:
        return RunEntry(path, UNREADABLE, f"{path}: is damaged or not a run file: {error}")


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise KeyError(f"{name} is not a dataset")
    return found


def _part_entry(part: Path) -> list[RunEntry]:
    """The entry of a run that has no run file yet; nothing when it was just finished or is no run."""
    try:
        header = json.loads((part / "header.json").read_text(encoding="utf-8"))
        quiet_s = time.time() - max(file.stat().st_mtime for file in part.iterdir())
    except (OSError, json.JSONDecodeError, ValueError):
        return []
    if quiet_s < QUIET_S:
        return [_entry(part, header, RUNNING, "")]
    if header["status"] == "running":
        reason = "the program ended before the run did"
    else:
        reason = f"its run file could not be written; the run itself: {header['status']}"
    return [_entry(part, header, INTERRUPTED, reason)]


def _entry(
    path: Path,
    header: dict[str, Any],
    status: str,
    reason: str,
    photons: int | None = None,
    duration_s: float | None = None,
) -> RunEntry:
    return RunEntry(
        path,
        status,
        reason,
        header["kind"],
        header["title"],
        header["sample"],
        datetime.fromisoformat(header["started"]).astimezone(),
        duration_s,
        photons,
        header["simulated"],
    )


def _when(entry: RunEntry) -> tuple[float, str]:
    when = entry.started
    return (when.timestamp() if when else entry.path.stat().st_mtime), entry.path.name
