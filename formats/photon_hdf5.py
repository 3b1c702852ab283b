"""Photon-HDF5 0.5: the photons of a run file, appended while they come, and read back.

The format is described at http://photon-hdf5.org/. Everything else that a run file holds goes to
`/user`, the one group that the format leaves free.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from .errors import FileFormatError
from .photon_hdf5_fields import FORMAT_NAME, FORMAT_URL, FORMAT_VERSION, TITLES

CHUNK_PHOTONS = 1 << 16
_DATE_FORMAT = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class PhotonMeasurement:
    """What the photons of a file mean: one laser, and one detector or a pair behind a beam splitter."""

    timestamps_unit_s: float
    """T3: the sync period; T2: the resolution."""
    tcspc_unit_s: float | None = None
    """Unit of the micro times; None where there are none (T2)."""
    tcspc_num_bins: int | None = None
    """Number of micro-time bins; None means one laser period of them."""
    laser_repetition_rate_hz: float | None = None
    """None: continuous wave."""
    detectors: tuple[int, ...] = (0, 1)
    """Numbers of the detectors as they occur in the data."""
    excitation_wavelength_nm: float | None = None
    detection_wavelength_nm: float | None = None
    description: str = "Photons recorded with qdlab."
    sample_name: str = ""
    buffer_name: str = ""
    author: str = ""
    author_affiliation: str = ""
    created: datetime | None = None
    """Local time; None means now."""
    source_file: str = ""
    """Name of the file that these photons were converted from."""
    source_software: str = ""
    source_created: datetime | None = None


class Photons(NamedTuple):
    """Photons in time order, arrays of one length; nanotimes is None where the file has none."""

    timestamps: NDArray[np.int64]
    nanotimes: NDArray[np.uint16] | None
    detectors: NDArray[np.uint8]


class PhotonRecording(NamedTuple):
    """The photons of a file and what they mean."""

    photons: Photons
    measurement: PhotonMeasurement
    acquisition_duration_s: float


class PhotonHdf5Writer:
    """Writes the Photon-HDF5 part of an open HDF5 file, which is valid after every call.

    The file stays the caller's: to flush, to close, and to fill `/user` of.
    Raises ValueError when the file holds photons already, when there are more than two detectors, or
    when micro times come without a pulsed laser.
    """

    def __init__(self, file: h5py.File, measurement: PhotonMeasurement) -> None:
        if "photon_data" in file:
            raise ValueError(f"{file.filename} holds photon data already")
        fields = _fields(measurement)
        for name in ("format_name", "format_version", "format_url"):
            file.attrs[name] = np.bytes_(fields[f"/identity/{name}"])
        _mark(file, "/", CLASS="GROUP", VERSION="1.0", PYTABLES_FORMAT_VERSION="2.1")
        for path, value in fields.items():
            _put(file, path, value)
        self._unit_s = measurement.timestamps_unit_s
        self._duration = _dataset(file, "/acquisition_duration")
        self._timestamps = _PackedColumn(file, "/photon_data/timestamps", np.int64)
        self._detectors = _PackedColumn(file, "/photon_data/detectors", np.uint8)
        self._nanotimes = None
        if measurement.tcspc_unit_s is not None:
            self._nanotimes = _PackedColumn(file, "/photon_data/nanotimes", np.uint16)

    def append(
        self,
        timestamps: NDArray[np.int64],
        nanotimes: NDArray[np.uint16] | None,
        detectors: NDArray[np.uint8],
        *,
        threads: int | None = None,
    ) -> None:
        """Append photons, arrays of one length; `nanotimes` is None where the measurement has none.

        They are compressed by `threads` threads; None means all cores.
        Raises ValueError for unequal lengths and for nanotimes that are missing or not expected.
        """
        if (nanotimes is None) != (self._nanotimes is None):
            raise ValueError("nanotimes go with a measurement that has tcspc_unit_s, and only with such")
        if len(detectors) != len(timestamps) or (nanotimes is not None and len(nanotimes) != len(timestamps)):
            raise ValueError("timestamps, nanotimes and detectors need equal lengths")
        if not len(timestamps):
            return
        with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
            self._timestamps.append(timestamps, pool)
            self._detectors.append(detectors, pool)
            if self._nanotimes is not None and nanotimes is not None:
                self._nanotimes.append(nanotimes, pool)
        self.set_duration(float(timestamps[-1]) * self._unit_s)

    def set_duration(self, acquisition_duration_s: float) -> None:
        """State how long the measurement took, where that is not the time of the last photon."""
        self._duration[()] = acquisition_duration_s


def open_photon_hdf5(path: str | os.PathLike[str]) -> h5py.File:
    """Open a Photon-HDF5 file for reading.

    Raises FileFormatError when the file is no HDF5 or holds no group `/photon_data` with timestamps.
    """
    path = Path(path)
    if not h5py.is_hdf5(path):
        path.stat()  # a missing file is another error than a wrong one
        raise FileFormatError(f"{path} is not an HDF5 file")
    file = h5py.File(path, "r")
    for name in ("photon_data/timestamps", "photon_data/timestamps_specs/timestamps_unit"):
        if name not in file:
            file.close()
            raise FileFormatError(f"{path} lacks /{name}: it is not a Photon-HDF5 file of one spot")
    return file


def read_photon_measurement(file: h5py.File) -> PhotonMeasurement:
    """Read what the photons mean; fields that the file lacks are None or empty."""
    tcspc_unit_s = _number(file, "photon_data/nanotimes_specs/tcspc_unit")
    num_bins = _number(file, "photon_data/nanotimes_specs/tcspc_num_bins")
    return PhotonMeasurement(
        timestamps_unit_s=_number(file, "photon_data/timestamps_specs/timestamps_unit") or math.nan,
        tcspc_unit_s=tcspc_unit_s if "photon_data/nanotimes" in file else None,
        tcspc_num_bins=None if num_bins is None else int(num_bins),
        laser_repetition_rate_hz=_number(file, "photon_data/measurement_specs/laser_repetition_rate"),
        detectors=_detectors(file),
        excitation_wavelength_nm=_nanometres(file, "setup/excitation_wavelengths"),
        detection_wavelength_nm=_nanometres(file, "setup/detection_wavelengths"),
        description=_text(file, "description"),
        sample_name=_text(file, "sample/sample_name"),
        buffer_name=_text(file, "sample/buffer_name"),
        author=_text(file, "identity/author"),
        author_affiliation=_text(file, "identity/author_affiliation"),
        created=_date(file, "identity/creation_time"),
        source_file=_text(file, "provenance/filename"),
        source_software=_text(file, "provenance/software"),
        source_created=_date(file, "provenance/creation_time"),
    )


def iter_photons(file: h5py.File, size: int = 4 * CHUNK_PHOTONS) -> Iterator[Photons]:
    """Read the photons in blocks of at most `size`; without a detectors array all are of detector 0.

    Raises FileFormatError when the arrays differ in length.
    """
    timestamps = _dataset(file, "photon_data/timestamps")
    nanotimes, detectors = (
        _dataset(file, name) if name in file else None
        for name in ("photon_data/nanotimes", "photon_data/detectors")
    )
    n = len(timestamps)
    for column in (nanotimes, detectors):
        if column is not None and len(column) != n:
            raise FileFormatError(
                f"{file.filename}: {column.name} has {len(column)} entries, {timestamps.name} has {n}"
            )
    for start in range(0, n, size):
        part = slice(start, min(start + size, n))
        yield Photons(
            timestamps[part].astype(np.int64, copy=False),
            None if nanotimes is None else nanotimes[part].astype(np.uint16, copy=False),
            np.zeros(part.stop - start, np.uint8) if detectors is None else detectors[part],
        )


def read_photons(file: h5py.File) -> Photons:
    """Read all photons at once.

    Raises FileFormatError when the arrays differ in length.
    """
    nothing = Photons(
        np.empty(0, np.int64),
        np.empty(0, np.uint16) if "photon_data/nanotimes" in file else None,
        np.empty(0, np.uint8),
    )
    n = len(_dataset(file, "photon_data/timestamps"))
    return next(iter_photons(file, max(1, n)), nothing)


def read_photon_hdf5(path: str | os.PathLike[str]) -> PhotonRecording:
    """Read a whole Photon-HDF5 file; the duration is nan where the file does not state it.

    Raises FileFormatError when the file is no Photon-HDF5 of one spot or its arrays differ in length.
    """
    with open_photon_hdf5(path) as file:
        duration_s = _number(file, "acquisition_duration")
        return PhotonRecording(
            read_photons(file),
            read_photon_measurement(file),
            math.nan if duration_s is None else duration_s,
        )


def _fields(m: PhotonMeasurement) -> dict[str, object]:
    """The values of all fields but the photons; those without a value are left out."""
    if not 1 <= len(m.detectors) <= 2:
        raise ValueError(f"detectors = {m.detectors!r}: one or two can be described")
    if m.tcspc_unit_s is not None and m.laser_repetition_rate_hz is None:
        raise ValueError("micro times (tcspc_unit_s) need a pulsed laser (laser_repetition_rate_hz)")
    fields: dict[str, object] = {
        "/acquisition_duration": 0.0,
        "/description": m.description,
        "/format_name": FORMAT_NAME,
        "/format_version": FORMAT_VERSION,
        "/photon_data/timestamps_specs/timestamps_unit": m.timestamps_unit_s,
        "/photon_data/measurement_specs/measurement_type": "generic",
        "/setup/num_pixels": len(m.detectors),
        "/setup/num_spots": 1,
        "/setup/num_spectral_ch": 1,
        "/setup/num_polarization_ch": 1,
        "/setup/num_split_ch": len(m.detectors),
        "/setup/modulated_excitation": 0,
        "/setup/lifetime": int(m.tcspc_unit_s is not None),
        "/setup/excitation_cw": np.array([m.laser_repetition_rate_hz is None], np.uint8),
        "/setup/excitation_alternated": np.zeros(1, np.uint8),
        "/identity/format_name": FORMAT_NAME,
        "/identity/format_version": FORMAT_VERSION,
        "/identity/format_url": FORMAT_URL,
        "/identity/software": "qdlab",
        "/identity/software_version": version("qdlab"),
        "/identity/creation_time": (m.created or datetime.now()).strftime(_DATE_FORMAT),
        "/identity/author": m.author,
        "/identity/author_affiliation": m.author_affiliation,
        "/provenance/filename": m.source_file,
        "/provenance/software": m.source_software,
        "/sample/sample_name": m.sample_name,
        "/sample/buffer_name": m.buffer_name,
    }
    for k, detector in enumerate(m.detectors, start=1):
        path = f"/photon_data/measurement_specs/detectors_specs/split_ch{k}"
        fields[path] = np.array([detector], np.uint8)
    fields |= _laser_fields(m)
    for path, wavelength_nm in (
        ("/setup/excitation_wavelengths", m.excitation_wavelength_nm),
        ("/setup/detection_wavelengths", m.detection_wavelength_nm),
    ):
        if wavelength_nm is not None:
            fields[path] = np.array([wavelength_nm * 1e-9])
    if m.source_created is not None:
        fields["/provenance/creation_time"] = m.source_created.strftime(_DATE_FORMAT)
    return {path: value for path, value in fields.items() if value != ""}


def _laser_fields(m: PhotonMeasurement) -> dict[str, object]:
    """The fields that only a pulsed laser has, with those of the micro times."""
    rate_hz, unit_s = m.laser_repetition_rate_hz, m.tcspc_unit_s
    if rate_hz is None:
        return {}
    fields: dict[str, object] = {
        "/setup/laser_repetition_rates": np.array([rate_hz]),
        "/photon_data/measurement_specs/laser_repetition_rate": rate_hz,
    }
    if unit_s is not None:
        num_bins = m.tcspc_num_bins or math.ceil(round(1 / (rate_hz * unit_s), 6))
        fields |= {
            "/photon_data/nanotimes_specs/tcspc_unit": unit_s,
            "/photon_data/nanotimes_specs/tcspc_num_bins": num_bins,
            "/photon_data/nanotimes_specs/tcspc_range": num_bins * unit_s,
        }
    return fields


# PyTables, and with it the validator, reads nodes it did not write by the marks CLASS, VERSION and FLAVOR.


def _put(file: h5py.File, path: str, value: object) -> None:
    """Write one field: text as bytes of fixed length, numbers as scalars, arrays as they are."""
    data = np.bytes_(value.encode()) if isinstance(value, str) else np.asarray(value)
    file.create_dataset(path, data=data)
    flavor = "numpy" if np.ndim(data) else "python"
    _mark(file, path, CLASS="ARRAY", VERSION="2.4", FLAVOR=flavor)
    _mark_groups(file, path)


class _PackedColumn:
    """A dataset of photons that grows, compressed by several threads.

    Compressed as gzip, which every HDF5 reader has, with the bytes shuffled: a photon of a typical run
    takes 3.5 bytes instead of 11. Full chunks are packed here and stored as they are (HDF5's own filters
    would run in one thread and, with the search for long repeats, take three times as long).
    """

    def __init__(self, file: h5py.File, path: str, dtype: type[np.generic]) -> None:
        self._dataset = file.create_dataset(
            path, (0,), dtype, maxshape=(None,), chunks=(CHUNK_PHOTONS,), compression=1, shuffle=True
        )
        self._tail = np.empty(0, dtype)
        _mark(file, path, CLASS="EARRAY", VERSION="1.1", FLAVOR="numpy")
        self._dataset.attrs["EXTDIM"] = np.int32(0)

    def append(self, values: NDArray[np.generic], pool: ThreadPoolExecutor) -> None:
        """Write behind what is there; what does not fill a chunk is written again with the next call."""
        values = values.astype(self._tail.dtype, copy=False)
        first = len(self._dataset) - len(self._tail)
        self._dataset.resize((len(self._dataset) + len(values),))
        wanted = CHUNK_PHOTONS - len(self._tail)
        full = [values[at : at + CHUNK_PHOTONS] for at in range(wanted, len(values), CHUNK_PHOTONS)]
        pieces = [np.concatenate((self._tail, values[:wanted])), *full]
        self._tail = np.empty(0, self._tail.dtype)
        if len(pieces[-1]) < CHUNK_PHOTONS:
            self._tail = pieces.pop().copy()
        for k, chunk in enumerate(pool.map(_packed, pieces)):
            self._dataset.id.write_direct_chunk((first + k * CHUNK_PHOTONS,), chunk)
        self._dataset[len(self._dataset) - len(self._tail) :] = self._tail


def _packed(chunk: NDArray[np.generic]) -> bytes:
    """A chunk through HDF5's filters shuffle and gzip; photons repeat no longer stretches than runs."""
    shuffled = chunk.view(np.uint8).reshape(len(chunk), -1).T
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    return packer.compress(shuffled.tobytes()) + packer.flush()


def _mark_groups(file: h5py.File, path: str) -> None:
    """Mark the groups above a field."""
    parts = path.split("/")[1:-1]
    for depth in range(1, len(parts) + 1):
        _mark(file, "/" + "/".join(parts[:depth]), CLASS="GROUP", VERSION="1.0")


def _mark(file: h5py.File, path: str, **marks: str) -> None:
    attrs = file[path].attrs
    attrs["TITLE"] = np.bytes_(TITLES[path])
    for name, text in marks.items():
        attrs[name] = np.bytes_(text)


def _dataset(file: h5py.File, path: str) -> h5py.Dataset:
    node = file[path]
    if not isinstance(node, h5py.Dataset):
        raise FileFormatError(f"{file.filename}: {path} should be a dataset but is a group")
    return node


def _value(file: h5py.File, path: str) -> object:
    """The scalar, or the first entry of the array, at `path`; None where there is none."""
    if path not in file:
        return None
    values = np.atleast_1d(_dataset(file, path)[()])
    return values[0] if values.size else None


def _number(file: h5py.File, path: str) -> float | None:
    value = _value(file, path)
    return float(value) if isinstance(value, int | float | np.number | np.bool_) else None


def _nanometres(file: h5py.File, path: str) -> float | None:
    metres = _number(file, path)
    return None if metres is None else round(metres * 1e9, 6)


def _text(file: h5py.File, path: str) -> str:
    value = _value(file, path)
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


def _date(file: h5py.File, path: str) -> datetime | None:
    try:
        return datetime.strptime(_text(file, path), _DATE_FORMAT)
    except ValueError:
        return None


def _detectors(file: h5py.File) -> tuple[int, ...]:
    """The numbers named in detectors_specs, without those of events that are no photons."""
    path = "photon_data/measurement_specs/detectors_specs"
    specs = file.get(path)
    if not isinstance(specs, h5py.Group):
        return (0,)
    numbers: set[int] = set()
    for name in map(str, specs):
        if not name.startswith("non_photon_id"):
            numbers.update(np.atleast_1d(_dataset(file, f"{path}/{name}")[()]).tolist())
    return tuple(sorted(numbers))
