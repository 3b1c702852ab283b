"""The run file: one HDF5 file per run, whole in itself, made of the part folder that a run leaves.

With photons in it, it is a Photon-HDF5 file. What is qdlab's own stands in `/user/qdlab`:

    attributes      kind, status, status_reason, header (JSON: parameters, station, settings, versions)
    words           the counter's own records (uint32, contiguous: can be memory-mapped)
    words_overflow  time (int64, sync number) of the overflows before every INDEX_WORDS-th word
    markers/        timestamps (int64, sync number), bits (uint8, the four marker lines)
    potentiostat/NNNN/  time_s, potential_v, current_a (float64), overload (bool); attribute about (JSON);
                    vendor/ the program's own files, byte for byte (uint8)
    NAME/NNNN/      what a procedure stores of its own, such as scans, images (NXdata) and dots
    leftovers/      of a failed run: what the vendor's program had in its folder (uint8)
    log             text, one line per event with the rig's clock in seconds
    truth/          what a simulated bench planted; no analysis reads it
"""

from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .errors import FileFormatError
from .file_lock import FileLock, HeldError
from .h5_tree import DAMAGES, child, read_all, read_tree
from .photon_hdf5 import read_photons
from .photon_packing import INDEX_WORDS, OWN, WORDS_FILE, PhotonPacking, StoredEvents
from .tttr import RecordType, TttrDecoder

PART_SUFFIX = ".part"
POTENTIOSTAT_ARRAYS = ("time_s", "potential_v", "current_a", "overload")
LEFTOVERS = "leftovers"
LOCK, GUARDIAN_LOG = "run.lock", "guardian.txt"
"""In the part folder: held while the run goes on, and what the guardian did when it had to."""
GROUPS = "groups"
"""Folder of the part folder with one file NAME.NNNN.h5 per group NAME/NNNN of the run file."""
_WORDS_AT_ONCE = 1 << 22
_LONGEST_WRAP = 1 << 16
"""A record lies less than this behind the overflows before it, in any T3 format."""
LONGEST_S = 4e5
"""No counter measures longer; a TimeHarp 260 takes 100 hours."""
_LONGEST_PERIOD_S = 1e-4
_MOST_INPUTS = 64
_HEADER_TYPES = {
    "kind": str, "status": str, "status_reason": str, "title": str, "sample": str, "simulated": bool,
    "parameters": dict, "station": dict, "versions": dict, "warnings": list,
}  # fmt: skip
"""What every header holds."""
_NO_MICRO_TIMES = np.empty(0, np.uint16)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old one or the new one, never a part."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


# ---- writing ----


def write_run_file(part: Path, packing: PhotonPacking | None = None) -> Path:
    """Make `NAME.h5` of the folder `NAME.part`, verify it, then remove the folder; returns its path.

    `packing` is what was packed while the run went on. Raises OSError when the disk refuses; the folder
    then stays.
    """
    path = part.with_suffix(".h5")
    header = json.loads((part / "header.json").read_text(encoding="utf-8"))
    if packing is None and "photons" in header:
        packing = PhotonPacking(part, header)
    photons = packing.finish() if packing else 0
    temporary = packing.path if packing else part / "run.h5"
    with packing.file if packing else h5py.File(temporary, "w") as file:
        own = file.require_group(OWN)
        own.attrs["kind"] = header["kind"]
        own.attrs["status"] = header["status"]
        own.attrs["status_reason"] = header["status_reason"]
        own.attrs["header"] = json.dumps(header)
        _write_potentiostat(own.create_group("potentiostat"), part)
        for left in sorted(f for f in (part / LEFTOVERS).rglob("*") if f.is_file()):
            own[left.relative_to(part).as_posix()] = np.fromfile(left, np.uint8)
        for stored in sorted((part / GROUPS).glob("*.h5")):
            with h5py.File(stored) as tree:
                file.copy(tree["/"], own, stored.stem.replace(".", "/"))
        own["log"] = "".join(
            file.read_text(encoding="utf-8", errors="replace")
            for file in (part / "log.txt", part / GUARDIAN_LOG)
            if file.exists()
        )
        if (part / "truth.h5").exists():
            with h5py.File(part / "truth.h5") as truth:
                file.copy(truth["/"], own, "truth")
    _verify(temporary, part, photons)
    os.replace(temporary, path)
    shutil.rmtree(part)
    return path


def _verify(temporary: Path, part: Path, photons: int) -> None:
    """Read back what was written and compare it with the part folder; raises OSError when they differ."""
    with temporary.open("rb+") as written:
        os.fsync(written.fileno())
    with h5py.File(temporary) as file:
        found = len(_dataset(file, "photon_data/timestamps")) if "photon_data" in file else 0
        if found != photons:
            raise OSError(f"{temporary}: holds {found} photons where {photons} were written; {part} was kept")
        records, expected = (
            len(_group(file, f"{OWN}/potentiostat")),
            len(list(part.glob("potentiostat_*.json"))),
        )
        if records != expected:
            raise OSError(f"{temporary}: holds {records} records of {expected}; {part} was kept")
        if "photon_data" not in file:
            return
        stored, spool = _dataset(file, f"{OWN}/words"), part / WORDS_FILE
        for start in range(0, len(stored), _WORDS_AT_ONCE):
            words = np.fromfile(spool, "<u4", _WORDS_AT_ONCE, offset=4 * start)
            if not np.array_equal(stored[start : start + len(words)], words):
                raise OSError(f"{temporary}: its words differ from {spool}; both were kept")


def recover_run(part: Path) -> Path:
    """Make a whole run file, status `recovered`, of what an interrupted run left; returns its path.

    Raises FileFormatError when `part` is not such a folder or the run still goes on, FileExistsError when the
    run file exists.
    """
    header_file = part / "header.json"
    if part.suffix != PART_SUFFIX or not header_file.is_file():
        raise FileFormatError(
            f"{part}: is not the {PART_SUFFIX} folder of a run; give the folder that it left"
        )
    if part.with_suffix(".h5").exists():
        raise FileExistsError(f"{part.with_suffix('.h5')}: exists already, so {part} was left as it is")
    lock = FileLock(part / LOCK, f"the run {part}")
    try:
        lock.acquire()
    except HeldError as error:
        raise FileFormatError(str(error)) from None
    lock.release()
    header = json.loads(header_file.read_text(encoding="utf-8"))
    if header["status"] == "running":
        header |= {"status": "recovered", "status_reason": "the program ended before the run did"}
        write_atomically(header_file, json.dumps(header, indent=1))
    return write_run_file(part)


def _write_potentiostat(group: h5py.Group, part: Path) -> None:
    for k, about_file in enumerate(sorted(part.glob("potentiostat_*.json"))):
        record = group.create_group(f"{k:04d}")
        record.attrs["about"] = about_file.read_text(encoding="utf-8")
        with np.load(about_file.with_suffix(".npz"), allow_pickle=False) as arrays:
            for name in POTENTIOSTAT_ARRAYS:
                record[name] = arrays[name]
        vendor = record.create_group("vendor")
        for name in json.loads(str(record.attrs["about"]))["vendor_files"]:
            vendor[name] = np.fromfile(part / f"{about_file.stem}_{name}", np.uint8)


# ---- reading ----


@dataclass(frozen=True)
class StoredPotentiostatRecord:
    """One record of the potentiostat as the run file holds it; `about` tells technique and timing."""

    about: dict[str, Any]
    time_s: NDArray[np.float64]
    potential_v: NDArray[np.float64]
    current_a: NDArray[np.float64]
    overload: NDArray[np.bool_]


@dataclass(frozen=True)
class StoredPhotons:
    """Photons and markers of a run, in T3 form; the photons stay on disk until they are asked for.

    `sync`, `dtime` and `channel` hold all of them in memory, 11 bytes each; long runs are better read
    from `words`, or in pieces by `between`.
    """

    path: Path
    record_type: RecordType
    n_photons: int
    marker_sync: NDArray[np.int64]
    marker_bits: NDArray[np.uint8]
    sync_period_s: float
    resolution_s: float
    duration_s: float
    n_inputs: int
    start_s: float
    """The rig's clock when the measurement started, in seconds."""
    words_overflow: NDArray[np.int64] | None
    """Sync number that the overflows before every INDEX_WORDS-th word come to; None in files without words,
    which older versions wrote."""

    @cached_property
    def words(self) -> NDArray[np.uint32]:
        """The counter's own records, memory-mapped (read-only)."""
        try:
            with h5py.File(self.path) as file:
                stored = _dataset(file, f"{OWN}/words")
                offset, n_words = stored.id.get_offset(), len(stored)
                if stored.dtype != np.dtype("<u4") or stored.ndim != 1:
                    raise FileFormatError(f"{self.path}: its words are no row of 32-bit words")
                if offset is None:  # empty, or repacked by another program
                    return read_all(stored)
            return np.asarray(np.memmap(self.path, "<u4", "r", offset, (n_words,)))
        except DAMAGES as error:
            raise FileFormatError(f"{self.path}: its words cannot be read: {error}") from error

    def between(self, first_sync: int, end_sync: int) -> StoredEvents:
        """The photons of the laser pulses `first_sync` <= number < `end_sync`."""
        index = self.words_overflow
        if index is None:
            return _inside(self.events, first_sync, end_sync)
        first = max(0, int(np.searchsorted(index, first_sync - _LONGEST_WRAP, "right")) - 1)
        last = int(np.searchsorted(index, end_sync, "left"))
        return _inside(self._decoded(first, last), first_sync, end_sync)

    def some_micro_times(self, blocks: int = 32) -> NDArray[np.uint16]:
        """Micro times of a part of the photons: of so many blocks of words, spread over the measurement."""
        if self.words_overflow is None:
            return self.dtime
        first = np.unique(np.linspace(0, len(self.words_overflow) - 1, blocks).astype(int))
        return np.concatenate([_NO_MICRO_TIMES, *(self._decoded(k, k + 1).dtime for k in first if k >= 0)])

    @cached_property
    def events(self) -> StoredEvents:
        """All photons."""
        if self.words_overflow is None:
            try:
                with h5py.File(self.path) as file:
                    photons = read_photons(file)
            except DAMAGES as error:
                raise FileFormatError(f"{self.path}: its photons cannot be read: {error}") from error
            if photons.nanotimes is None:
                raise FileFormatError(f"{self.path}: its photons have no micro times")
            return StoredEvents(photons.timestamps, photons.nanotimes, photons.detectors)
        return self._decoded(0, len(self.words_overflow))

    @property
    def sync(self) -> NDArray[np.int64]:
        """Number of the laser pulse of each photon."""
        return self.events.sync

    @property
    def dtime(self) -> NDArray[np.uint16]:
        """Micro time of each photon in bins of the resolution."""
        return self.events.dtime

    @property
    def channel(self) -> NDArray[np.uint8]:
        """Detector of each photon, from 0."""
        return self.events.channel

    def _decoded(self, first: int, last: int) -> StoredEvents:
        """Photons of the index blocks [first, last)."""
        words = self.words[first * INDEX_WORDS : last * INDEX_WORDS]
        photons, n = StoredEvents.room_for(min(len(words), self.n_photons)), 0
        if len(words) and self.words_overflow is not None:
            decoder = TttrDecoder(self.record_type, int(self.words_overflow[first]))
            for start in range(0, len(words), INDEX_WORDS):
                block = decoder.decode(words[start : start + INDEX_WORDS])
                if n + len(block.time) > self.n_photons or decoder.last_time > self._last_sync:
                    raise FileFormatError(f"{self.path}: its words hold more photons or time than it says")
                n = photons.put(block, n)
        return photons.part(0, n)

    @property
    def _last_sync(self) -> float:
        return self.duration_s / self.sync_period_s + _LONGEST_WRAP


def _inside(events: StoredEvents, first_sync: int, end_sync: int) -> StoredEvents:
    return events.part(*np.searchsorted(events.sync, [first_sync, end_sync]))


@dataclass(frozen=True)
class RunFile:
    """A run: everything but its photons read into memory."""

    path: Path
    header: dict[str, Any]
    log: str
    photons: StoredPhotons | None
    potentiostat: list[StoredPotentiostatRecord] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """What kind of run it is, such as "voltammetry_flid"."""
        return self.header["kind"]

    @property
    def status(self) -> str:
        """How the run ended: finished, aborted, failed or recovered."""
        return self.header["status"]

    def groups(self, name: str) -> list[dict[str, Any]]:
        """What the run's procedure stored as `name`, in order: arrays and attributes by their names."""
        try:
            with h5py.File(self.path) as file:
                own = _group(file, OWN)
                if name not in own:
                    return []
                stored = _group(own, name)
                numbers = [str(number) for number in stored]
                return [read_tree(_group(stored, number)) for number in sorted(numbers, key=int)]
        except DAMAGES as error:
            raise FileFormatError(f"{self.path}: its {name} cannot be read: {error}") from error


def is_hdf5(path: Path) -> bool:
    """True when the file begins as HDF5 files do."""
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def read_run_file(path: Path) -> RunFile:
    """Read a run file; raises FileFormatError when it is not one, or is damaged."""
    try:
        with h5py.File(path) as file:
            if OWN not in file:
                raise FileFormatError(f"{path}: is HDF5, but holds no qdlab run (no group {OWN})")
            own = _group(file, OWN)
            header = _header(path, own)
            records = _group(own, "potentiostat")
            return RunFile(
                path,
                header,
                str(_dataset(own, "log").asstr()[()]),
                _read_photons(path, file, header) if "photon_data" in file else None,
                [_read_record(_group(records, name)) for name in sorted(records)],
            )
    except DAMAGES as error:
        raise FileFormatError(f"{path}: is damaged or not a run file: {_one_line(error)}") from error


def _header(path: Path, own: h5py.Group) -> dict[str, Any]:
    """The header, with what every run has of the types that it has."""
    header = json.loads(str(own.attrs["header"]))
    for key, kind in _HEADER_TYPES.items():
        if not isinstance(header, dict) or not isinstance(header.get(key), kind):
            raise FileFormatError(f"{path}: is damaged: its header has no {key!r} of the right type")
    return header


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def _read_photons(path: Path, file: h5py.File, header: dict[str, Any]) -> StoredPhotons:
    own, about = _group(file, OWN), header["photons"]
    n_words = len(_dataset(own, "words")) if "words" in own else None
    photons = StoredPhotons(
        path=path,
        record_type=RecordType(about["record_type"]),
        n_photons=len(_dataset(file, "photon_data/timestamps")),
        marker_sync=_row(own, "markers/timestamps", np.int64),
        marker_bits=_row(own, "markers/bits", np.uint8),
        sync_period_s=about["sync_period_s"],
        resolution_s=about["resolution_s"],
        duration_s=float(_dataset(file, "acquisition_duration")[()]),
        n_inputs=about["n_inputs"],
        start_s=about["start_s"],
        words_overflow=_row(own, "words_overflow", np.int64) if "words_overflow" in own else None,
    )
    if not (
        0 < photons.sync_period_s <= _LONGEST_PERIOD_S
        and 0 < photons.resolution_s <= _LONGEST_PERIOD_S
        and 0 <= photons.duration_s <= LONGEST_S
        and 1 <= photons.n_inputs <= _MOST_INPUTS
        and math.isfinite(photons.start_s)
        and len(photons.marker_sync) == len(photons.marker_bits)
    ):
        raise FileFormatError(
            f"{path}: is damaged: its photons have no possible time scale, inputs or markers"
        )
    if photons.words_overflow is not None and len(photons.words_overflow) != -(
        -(n_words or 0) // INDEX_WORDS
    ):
        raise FileFormatError(f"{path}: is damaged: the index of its words does not fit them")
    return photons


def _read_record(group: h5py.Group) -> StoredPotentiostatRecord:
    time_s, potential_v, current_a = (_row(group, name, np.float64) for name in POTENTIOSTAT_ARRAYS[:3])
    overload = _row(group, POTENTIOSTAT_ARRAYS[3], np.bool_)
    about = json.loads(str(group.attrs["about"]))
    lengths = {len(column) for column in (time_s, potential_v, current_a, overload)}
    if len(lengths) > 1 or not isinstance(about, dict):
        raise KeyError(f"{group.name} has columns of different lengths, or does not say what it is")
    return StoredPotentiostatRecord(about, time_s, potential_v, current_a, overload)


def _row(parent: h5py.Group, name: str, dtype: type[np.generic]) -> NDArray[Any]:
    """A dataset of one dimension and this type."""
    found = _dataset(parent, name)
    if found.ndim != 1 or found.dtype != dtype:
        raise KeyError(f"{name} is {found.dtype} of shape {found.shape}, not a row of {np.dtype(dtype)}")
    return read_all(found)


def _group(parent: h5py.Group, name: str) -> h5py.Group:
    found = child(parent, name)
    if not isinstance(found, h5py.Group):
        raise KeyError(f"{name} is not a group")
    return found


def _dataset(parent: h5py.Group, name: str) -> Any:
    found = child(parent, name)
    if not isinstance(found, h5py.Dataset):
        raise KeyError(f"{name} is not a dataset")
    return found
