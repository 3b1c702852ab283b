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
from .h5_tree import read_tree
from .photon_hdf5 import read_photons
from .photon_packing import INDEX_WORDS, OWN, PhotonPacking, StoredEvents
from .tttr import RecordType, TttrDecoder

PART_SUFFIX = ".part"
POTENTIOSTAT_ARRAYS = ("time_s", "potential_v", "current_a", "overload")
LEFTOVERS = "leftovers"
GROUPS = "groups"
"""Folder of the part folder with one file NAME.NNNN.h5 per group NAME/NNNN of the run file."""
_LONGEST_WRAP = 1 << 16
"""A record lies less than this behind the overflows before it, in any T3 format."""
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
        own["log"] = (part / "log.txt").read_text(encoding="utf-8")
        if (part / "truth.h5").exists():
            with h5py.File(part / "truth.h5") as truth:
                file.copy(truth["/"], own, "truth")
    with h5py.File(temporary) as file:
        found = len(_dataset(file, "photon_data/timestamps")) if "photon_data" in file else 0
    if found != photons:
        raise OSError(f"{temporary}: holds {found} photons where {photons} were written; {part} was kept")
    os.replace(temporary, path)
    shutil.rmtree(part)
    return path


def recover_run(part: Path) -> Path:
    """Make a whole run file, status `recovered`, of what an interrupted run left; returns its path.

    Raises FileFormatError when `part` is not such a folder, FileExistsError when the run file exists.
    """
    header_file = part / "header.json"
    if part.suffix != PART_SUFFIX or not header_file.is_file():
        raise FileFormatError(
            f"{part}: is not the {PART_SUFFIX} folder of a run; give the folder that it left"
        )
    if part.with_suffix(".h5").exists():
        raise FileExistsError(f"{part.with_suffix('.h5')}: exists already, so {part} was left as it is")
    header = json.loads(header_file.read_text(encoding="utf-8"))
    if header["status"] == "running":
        header |= {"status": "recovered", "status_reason": "the program ended before the run did"}
        write_atomically(header_file, json.dumps(header, indent=1))
    return write_run_file(part)


def _write_potentiostat(group: h5py.Group, part: Path) -> None:
    for k, about_file in enumerate(sorted(part.glob("potentiostat_*.json"))):
        record = group.create_group(f"{k:04d}")
        record.attrs["about"] = about_file.read_text(encoding="utf-8")
        with np.load(about_file.with_suffix(".npz")) as arrays:
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
        with h5py.File(self.path) as file:
            stored = _dataset(file, f"{OWN}/words")
            offset, n_words = stored.id.get_offset(), len(stored)
            if offset is None:  # empty, or repacked by another program
                return stored[:]
        return np.asarray(np.memmap(self.path, "<u4", "r", offset, (n_words,)))

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
            with h5py.File(self.path) as file:
                photons = read_photons(file)
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
                n = photons.put(decoder.decode(words[start : start + INDEX_WORDS]), n)
        return photons.part(0, n)


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
        with h5py.File(self.path) as file:
            own = _group(file, OWN)
            stored = _group(own, name) if name in own else {}
            return [read_tree(_group(_group(own, name), number)) for number in sorted(stored)]


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
            header = json.loads(str(own.attrs["header"]))
            records = _group(own, "potentiostat")
            return RunFile(
                path,
                header,
                _dataset(own, "log").asstr()[()],
                _read_photons(path, file, header) if "photon_data" in file else None,
                [_read_record(_group(records, name)) for name in sorted(records)],
            )
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise FileFormatError(f"{path}: is damaged or not a run file: {error}") from error


def _read_photons(path: Path, file: h5py.File, header: dict[str, Any]) -> StoredPhotons:
    own, about = _group(file, OWN), header["photons"]
    return StoredPhotons(
        path=path,
        record_type=RecordType(about["record_type"]),
        n_photons=len(_dataset(file, "photon_data/timestamps")),
        marker_sync=_dataset(own, "markers/timestamps")[:],
        marker_bits=_dataset(own, "markers/bits")[:],
        sync_period_s=about["sync_period_s"],
        resolution_s=about["resolution_s"],
        duration_s=float(_dataset(file, "acquisition_duration")[()]),
        n_inputs=about["n_inputs"],
        start_s=about["start_s"],
        words_overflow=_dataset(own, "words_overflow")[:] if "words_overflow" in own else None,
    )


def _read_record(group: h5py.Group) -> StoredPotentiostatRecord:
    time_s, potential_v, current_a, overload = (_dataset(group, name)[:] for name in POTENTIOSTAT_ARRAYS)
    about = json.loads(str(group.attrs["about"]))
    return StoredPotentiostatRecord(about, time_s, potential_v, current_a, overload)


def _group(parent: h5py.Group, name: str) -> h5py.Group:
    found = parent[name]
    if not isinstance(found, h5py.Group):
        raise KeyError(f"{name} is not a group")
    return found


def _dataset(parent: h5py.Group, name: str) -> Any:
    found = parent[name]
    if not isinstance(found, h5py.Dataset):
        raise KeyError(f"{name} is not a dataset")
    return found
