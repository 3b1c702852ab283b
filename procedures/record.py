"""The record of a run while it goes on: a folder that survives whatever ends the program.

`NAME.part/` holds `header.json` (rewritten whole, never half), `photons.u32` (the card's own words,
append-only), `potentiostat_NNN.npz` and `.json` with the vendor's files beside them, `groups/` with what a
procedure stores of its own, and `log.txt`.
`formats.run_file` makes the run file `NAME.h5` of such a folder, at the end of a run or in
`qdlab recover`; see docs/decisions/0001-part-folder.md.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..formats.file_lock import FileLock
from ..formats.h5_tree import write_tree
from ..formats.photon_packing import WORDS_FILE, EarlyPacking, PhotonPacking
from ..formats.run_file import (
    GROUPS,
    LEFTOVERS,
    LOCK,
    PART_SUFFIX,
    POTENTIOSTAT_ARRAYS,
    write_atomically,
)
from ..instruments.potentiostat import PotentiostatRecord
from .errors import DiskFullError, RefusedError

RESERVE_BYTES = 200_000_000
"""Free space that a run leaves on the disk."""
BYTES_TO_FINISH = 8.0
"""Per word, to make the run file beside the part folder: the word, and its photon packed."""
ASK_FREE_S = 1.0
BALLAST, BALLAST_BYTES = "ballast", 1_000_000
"""A file that is thrown away at the end, so that a full disk takes the header and the log."""


def new_run_stem(folder: Path, name: str) -> Path:
    """A path without suffix in `folder` that no run has used: date, time and name."""
    stamp = datetime.now().astimezone().strftime("%Y-%m-%d_%H%M%S")
    for k in range(1, 1000):
        stem = folder / (f"{stamp}_{name}" if k == 1 else f"{stamp}_{name}_{k}")
        if not any(Path(f"{stem}{suffix}").exists() for suffix in (".h5", ".csv", PART_SUFFIX)):
            return stem
    raise RefusedError(f"{folder}: a thousand runs began in this second; try again")


def check_folder(folder: Path, needed_bytes: float) -> None:
    """Make the output folder and check that the run fits; raises RefusedError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".qdlab-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise RefusedError(
            f"{folder}: cannot write runs there: {error.strerror}; choose another --out"
        ) from error
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + RESERVE_BYTES:
        raise RefusedError(
            f"{folder}: the run needs about {needed_bytes / 1e6:.0f} MB and a reserve of "
            f"{RESERVE_BYTES / 1e6:.0f} MB, but {free / 1e6:.0f} MB are free; choose another --out"
        )


def new_record(folder: Path, name: str, header: dict[str, Any]) -> RunRecord:
    """The record of a new run in `folder`; two programs that begin in the same second get two."""
    while True:
        stem = new_run_stem(folder, name)
        try:
            return RunRecord(stem, header)
        except FileExistsError:
            continue


class RunRecord:
    """Writes the part folder of one run; raises OSError when the disk refuses, nothing is lost silently."""

    def __init__(self, stem: Path, header: dict[str, Any]) -> None:
        self.stem = stem
        self.folder = Path(f"{stem}{PART_SUFFIX}")
        self.folder.mkdir()
        self._lock = FileLock(self.folder / LOCK, f"the run {self.folder}")
        self._lock.acquire()
        self.header = {**header, "status": "running", "status_reason": "", "started": _now()}
        self.confirmed_words = 0
        self._words = (self.folder / WORDS_FILE).open("ab", buffering=0)
        self._free_asked_s = -math.inf
        self._log = (self.folder / "log.txt").open("a", encoding="utf-8")
        self.confirmed_records = 0
        """Potentiostat records that are on the disk."""
        self._early: EarlyPacking | None = None
        self.packing: PhotonPacking | None = None
        """After `finish`: the photons that were packed while the run went on, for `write_run_file`."""
        self.refusal: DiskFullError | None = None
        """Why the disk has taken no more: then there is no room for the run file either."""
        (self.folder / BALLAST).write_bytes(bytes(BALLAST_BYTES))
        self.write_header()

    def write_header(self) -> None:
        """Write the header as it stands, whole or not at all."""
        write_atomically(self.folder / "header.json", json.dumps(self.header, indent=1, default=_plain))

    def log(self, message: str, clock_s: float) -> None:
        """Add a line to the run's log, with the rig's clock."""
        self._log.write(f"{clock_s:12.6f}  {message}\n")
        self._log.flush()

    def begin_words(self) -> None:
        """Write the header, which tells of the photons now, and begin to pack what `append_words` brings."""
        self.write_header()
        self._early = EarlyPacking(self.folder, self.header, lambda: self.confirmed_words)
        self._early.start()

    def append_words(self, words: NDArray[np.uint32]) -> None:
        """Append the card's words; they are confirmed when this returns (handed to the operating system)."""
        self._check_reserve()
        self._write_words(np.ascontiguousarray(words, "<u4").view(np.uint8).data)
        self.confirmed_words += len(words)

    def _write_words(self, content: memoryview) -> None:
        """Write whole words, none behind a gap; what a full disk takes of them in part is cut off again."""
        if self.refusal is not None:
            raise self.refusal
        whole = 4 * self.confirmed_words
        try:
            while content:
                content = content[self._words.write(content) or 0 :]
        except OSError as error:
            self.refusal = DiskFullError(
                f"{self.folder}: the disk takes no more words ({error.strerror}), so the run was ended early"
            )
            self._words.truncate(whole)
            raise self.refusal from error

    def _check_reserve(self) -> None:
        """Raise DiskFullError when what is left is needed to make the run file; asks once a second."""
        now_s = time.monotonic()
        if now_s - self._free_asked_s < ASK_FREE_S:
            return
        self._free_asked_s = now_s
        needed = BYTES_TO_FINISH * self.confirmed_words + RESERVE_BYTES
        if (free := shutil.disk_usage(self.folder).free) < needed:
            raise DiskFullError(
                f"{self.folder.parent}: {free / 1e6:.0f} MB are free and {needed / 1e6:.0f} MB are needed to "
                "end the run in order, so it was ended early with what it has; free space for the next one"
            )

    def add_potentiostat(self, records: Sequence[PotentiostatRecord]) -> None:
        """Store what the potentiostat brought, with the vendor's files as they were."""
        self._check_reserve()
        for record in records:
            name = f"potentiostat_{self.confirmed_records:03d}"
            arrays = {key: getattr(record, key) for key in POTENTIOSTAT_ARRAYS}
            np.savez(self.folder / f"{name}.npz", **arrays)
            for file, content in record.vendor_files.items():
                (self.folder / f"{name}_{file}").write_bytes(content)
            about = {
                "technique": type(record.technique).__name__,
                "settings": dataclasses.asdict(record.technique),
                "complete": record.complete,
                "first_cycle": record.first_cycle,
                "start_s": record.start_s,
                "start_uncertainty_s": record.start_uncertainty_s,
                "stop_reason": record.stop_reason,
                "warnings": list(record.warnings),
                "vendor_files": sorted(record.vendor_files),
            }
            write_atomically(self.folder / f"{name}.json", json.dumps(about, indent=1, default=_plain))
            self.confirmed_records += 1

    def add_group(self, name: str, tree: Mapping[str, Any]) -> None:
        """Store arrays and attributes as the next group called `name`; see `formats.run_file`."""
        self._check_reserve()
        folder = self.folder / GROUPS
        folder.mkdir(exist_ok=True)
        number = len(list(folder.glob(f"{name}.*.h5")))
        file = folder / f"{name}.{number:04d}.h5"
        temporary = file.with_suffix(".tmp")
        with h5py.File(temporary, "w") as written:
            write_tree(written, tree)
        temporary.replace(file)

    def keep_leftovers(self, folder: Path) -> None:
        """Store the files that a vendor's program left in its folder, for whoever looks into a failed run."""
        for file in sorted(f for f in folder.rglob("*") if f.is_file() and f.suffix != ".lock"):
            kept = self.folder / LEFTOVERS / file.relative_to(folder)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, kept)

    def store_truth(self, truth: Mapping[str, Any]) -> None:
        """Store what the bench planted; no analysis reads it."""
        with h5py.File(self.folder / "truth.h5", "w") as file:
            write_tree(file, truth)

    @property
    def ended(self) -> bool:
        """Whether `finish` was called."""
        return self.header["status"] != "running"

    def discard(self) -> None:
        """Remove the record of a run that did not begin."""
        self.finish("failed", "it did not begin")
        shutil.rmtree(self.folder)

    def finish(self, status: str, reason: str) -> None:
        """Write the final status and close; the folder is then ready for `write_run_file`."""
        self.header |= {"status": status, "status_reason": reason, "ended": _now()}
        (self.folder / BALLAST).unlink(missing_ok=True)
        try:
            self.write_header()
            for file in (self._words, self._log):
                file.flush()
                os.fsync(file.fileno())
        finally:
            self._words.close()
            with contextlib.suppress(OSError):  # the log alone is not worth more
                self._log.close()
            if self._early is not None:
                self.packing = self._early.end()
            self._lock.release()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
