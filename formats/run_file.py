"""The run file: one HDF5 file per run, whole in itself, made of the part folder that a run leaves.

With photons in it, it is a Photon-HDF5 file. What is qdlab's own stands in `/user/qdlab`:

    attributes      kind, status, status_reason, header (JSON: parameters, station, settings, versions)
    markers/        timestamps (int64, sync number), bits (uint8, the four marker lines)
    potentiostat/NNNN/  time_s, potential_v, current_a (float64), overload (bool); attribute about (JSON);
                    vendor/ the program's own files, byte for byte (uint8)
    leftovers/      of a failed run: what the vendor's program had in its folder (uint8)
    log             text, one line per event with the rig's clock in seconds
    truth/          what a simulated bench planted; no analysis reads it
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .errors import FileFormatError
from .photon_hdf5 import PhotonHdf5Writer, PhotonMeasurement, read_photons
from .tttr import RecordType, TttrDecoder

PART_SUFFIX = ".part"
POTENTIOSTAT_ARRAYS = ("time_s", "potential_v", "current_a", "overload")
LEFTOVERS = "leftovers"
WORDS_FILE = "photons.u32"
WORDS_PER_BLOCK = 4 << 20
_OWN = "/user/qdlab"


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old one or the new one, never a part."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


# ---- writing ----


def write_run_file(part: Path) -> Path:
    """Make `NAME.h5` of the folder `NAME.part`, verify it, then remove the folder; returns its path.

    Raises OSError when the disk refuses; the folder then stays.
    """
    path = part.with_suffix(".h5")
    temporary = part.with_suffix(".h5.tmp")
    header = json.loads((part / "header.json").read_text(encoding="utf-8"))
    with h5py.File(temporary, "w") as file:
        own = file.create_group(_OWN)
        own.attrs["kind"] = header["kind"]
        own.attrs["status"] = header["status"]
        own.attrs["status_reason"] = header["status_reason"]
        own.attrs["header"] = json.dumps(header)
        photons = _write_photons(file, part, header) if "photons" in header else 0
        _write_potentiostat(own.create_group("potentiostat"), part)
        for left in sorted(f for f in (part / LEFTOVERS).rglob("*") if f.is_file()):
            own[left.relative_to(part).as_posix()] = np.fromfile(left, np.uint8)
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


def _write_photons(file: h5py.File, part: Path, header: dict[str, Any]) -> int:
    about = header["photons"]
    decoder = TttrDecoder(RecordType(about["record_type"]))
    words_file = part / WORDS_FILE
    n_words = words_file.stat().st_size // 4
    writer = PhotonHdf5Writer(file, _measurement(header))
    marker_times, marker_bits = [np.empty(0, np.int64)], [np.empty(0, np.uint8)]
    n_photons = 0
    with words_file.open("rb") as stream:
        for _ in range(0, n_words, WORDS_PER_BLOCK):
            words = np.fromfile(stream, np.uint32, WORDS_PER_BLOCK)
            block = decoder.decode(words)
            writer.append(block.time, block.dtime, block.channel)
            n_photons += len(block.time)
            marker_times.append(block.marker_time)
            marker_bits.append(block.marker_bits)
    writer.set_duration(decoder.last_time * about["sync_period_s"])
    markers = _group(file, _OWN).create_group("markers")
    markers["timestamps"] = np.concatenate(marker_times)
    markers["bits"] = np.concatenate(marker_bits)
    return n_photons


def _measurement(header: dict[str, Any]) -> PhotonMeasurement:
    about = header["photons"]
    station = header["station"]
    return PhotonMeasurement(
        timestamps_unit_s=about["sync_period_s"],
        tcspc_unit_s=about["resolution_s"],
        laser_repetition_rate_hz=1.0 / about["sync_period_s"],
        detectors=tuple(range(about["n_inputs"])),
        excitation_wavelength_nm=station["laser"].get("wavelength_nm", 442.0),
        description=header["title"] or f"{header['kind']} run recorded with qdlab",
        sample_name=header["sample"],
        created=datetime.fromisoformat(header["started"]).astimezone(),
    )


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
    """Photons and markers of a run, in T3 form."""

    sync: NDArray[np.int64]
    dtime: NDArray[np.uint16]
    channel: NDArray[np.uint8]
    marker_sync: NDArray[np.int64]
    marker_bits: NDArray[np.uint8]
    sync_period_s: float
    resolution_s: float
    duration_s: float
    n_inputs: int
    start_s: float
    """The rig's clock when the measurement started, in seconds."""


@dataclass(frozen=True)
class RunFile:
    """A whole run, read into memory."""

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


def is_hdf5(path: Path) -> bool:
    """True when the file begins as HDF5 files do."""
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def read_run_file(path: Path) -> RunFile:
    """Read a run file; raises FileFormatError when it is not one, or is damaged."""
    try:
        with h5py.File(path) as file:
            if _OWN not in file:
                raise FileFormatError(f"{path}: is HDF5, but holds no qdlab run (no group {_OWN})")
            own = _group(file, _OWN)
            header = json.loads(str(own.attrs["header"]))
            records = _group(own, "potentiostat")
            return RunFile(
                path,
                header,
                _dataset(own, "log").asstr()[()],
                _read_photons(file, header) if "photon_data" in file else None,
                [_read_record(_group(records, name)) for name in sorted(records)],
            )
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise FileFormatError(f"{path}: is damaged or not a run file: {error}") from error


def _read_photons(file: h5py.File, header: dict[str, Any]) -> StoredPhotons:
    own, about = _group(file, _OWN), header["photons"]
    sync, dtime, channel = read_photons(file)
    if dtime is None:
        raise FileFormatError(f"{file.filename}: its photons have no micro times")
    return StoredPhotons(
        sync=sync,
        dtime=dtime,
        channel=channel,
        marker_sync=_dataset(own, "markers/timestamps")[:],
        marker_bits=_dataset(own, "markers/bits")[:],
        sync_period_s=about["sync_period_s"],
        resolution_s=about["resolution_s"],
        duration_s=float(_dataset(file, "acquisition_duration")[()]),
        n_inputs=about["n_inputs"],
        start_s=about["start_s"],
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
