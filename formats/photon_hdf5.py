"""Photon-HDF5 0.5: the photons of a run file, appended while they come, and read back.

The format is described at http://photon-hdf5.org/. Everything else a run file holds goes to `/user`,
the one group that the format leaves free.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from .errors import FileFormatError
from .photon_hdf5_fields import FORMAT_NAME, FORMAT_URL, FORMAT_VERSION, TITLES

AnyPath: TypeAlias = str | os.PathLike[str]

CHUNK_PHOTONS = 1 << 16
_DATE = "%Y-%m-%d %H:%M:%S"
# gzip, not lzf: every HDF5 reader has it, and with the bytes shuffled a photon takes 3.4 bytes, not 11
_STORAGE = {"maxshape": (None,), "chunks": (CHUNK_PHOTONS,), "compression": 1, "shuffle": True}
# what PyTables, and with it phconvert, wants to find on a node that it did not write
_GROUP_MARKS = {"CLASS": "GROUP", "VERSION": "1.0"}
_ARRAY_MARKS = {"CLASS": "ARRAY", "VERSION": "2.4", "FLAVOR": "numpy"}
_SCALAR_MARKS = {"CLASS": "ARRAY", "VERSION": "2.4", "FLAVOR": "python"}
_EARRAY_MARKS = {"CLASS": "EARRAY", "VERSION": "1.1", "FLAVOR": "numpy"}


@dataclass(frozen=True)
class PhotonMeasurement:
    """What the photons of a file mean: one laser, and one detector or a pair behind a beam splitter."""

    timestamps_unit_s: float
    """T3: the sync period; T2: the resolution."""
    tcspc_unit_s: float | None = None
    """Unit of the micro times; None where there are none (T2)."""
    laser_repetition_rate_hz: float | None = None
    """None: continuous wave."""
    tcspc_num_bins: int = 0
    """Number of micro-time bins; 0 means one laser period."""
    detectors: tuple[int, ...] = (0, 1)
    """Numbers of the detectors as they occur in the data; two form the pair of a beam splitter."""
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
    """Name of the file these photons were converted from."""
    source_software: str = ""
    source_created: datetime | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.detectors) <= 2:
            raise ValueError(f"detectors = {self.detectors!r}: one or two can be described")
        if self.tcspc_unit_s is None:
            return
        if self.laser_repetition_rate_hz is None:
            raise ValueError("micro times (tcspc_unit_s) need a pulsed laser (laser_repetition_rate_hz)")
        if self.tcspc_num_bins == 0:
            bins = round(1 / (self.laser_repetition_rate_hz * self.tcspc_unit_s), 6)
            object.__setattr__(self, "tcspc_num_bins", math.ceil(bins))


class Photons(NamedTuple):
    """Photons in time order; nanotimes is None where the file has none."""

    timestamps: NDArray[np.int64]
    nanotimes: NDArray[np.uint16] | None
    detectors: NDArray[np.uint8]


class PhotonHdf5Writer:
    """Writes the Photon-HDF5 part of an open HDF5 file; the file is valid after every call.

    `file` stays open and belongs to the caller, who may put whatever else into its group `/user`.
    Raises ValueError when the file holds photons already.
    """

    def __init__(self, file: h5py.File, measurement: PhotonMeasurement) -> None:
        if "photon_data" in file:
            raise ValueError(f"{file.filename} holds photon data already")
        self._file = file
        self._measurement = measurement
        for name, value in _fields(measurement).items():
            _put(file, name, value)
        _mark(file, "/", {**_GROUP_MARKS, "PYTABLES_FORMAT_VERSION": "2.1"})
        for name, value in _root_attributes().items():
            file.attrs[name] = np.bytes_(value)
        self._timestamps = _growing(file, "/photon_data/timestamps", np.int64)
        self._detectors = _growing(file, "/photon_data/detectors", np.uint8)
        self._nanotimes = None
        if measurement.tcspc_unit_s is not None:
            self._nanotimes = _growing(file, "/photon_data/nanotimes", np.uint16)

    def append(
        self,
        timestamps: NDArray[np.int64],
        nanotimes: NDArray[np.uint16] | None,
        detectors: NDArray[np.uint8],
    ) -> None:
        """Append photons, arrays of one length; `nanotimes` is None exactly where the measurement has none.

        Raises ValueError for arrays of unequal length or for nanotimes missing or unexpected.
        """
        if (nanotimes is None) != (self._nanotimes is None):
            raise ValueError("nanotimes belong to measurements with tcspc_unit_s, and only to them")
        if not len(timestamps) == len(detectors) == (len(timestamps) if nanotimes is None else len(nanotimes)):
            raise ValueError("timestamps, nanotimes and detectors need equal lengths")
        if not len(timestamps):
            return
        start = len(self._timestamps)
        for dataset, values in (
            (self._timestamps, timestamps),
            (self._nanotimes, nanotimes),
            (self._detectors, detectors),
        ):
            if dataset is not None and values is not None:
                dataset.resize((start + len(values),))
                dataset[start:] = values
        self.set_duration(float(timestamps[-1]) * self._measurement.timestamps_unit_s)

    def set_duration(self, acquisition_duration_s: float) -> None:
        """State how long the measurement took, where that is not the time of the last photon."""
        self._file["acquisition_duration"][()] = acquisition_duration_s  # pyright: ignore[reportIndexIssue]


def read_photon_measurement(source: AnyPath | h5py.File) -> PhotonMeasurement:
    """Read what the photons of a Photon-HDF5 file mean.

    Raises FileFormatError when the file is no HDF5, holds no photons, or describes more than one spot or
    more than two detectors.
    """
    with _opened(source) as file:
        data = _photon_data(file)
        unit_s = _get(data, "timestamps_specs/timestamps_unit")
        if unit_s is None:
            raise FileFormatError(f"{file.filename} lacks /photon_data/timestamps_specs/timestamps_unit")
        tcspc_unit_s = _get(data, "nanotimes_specs/tcspc_unit") if "nanotimes" in data else None
        rate_hz = _get(data, "measurement_specs/laser_repetition_rate")
        if rate_hz is None:
            rate_hz = _get(file, "setup/laser_repetition_rates")
        detectors = _detector_numbers(data)
        if not 1 <= len(detectors) <= 2:
            raise FileFormatError(f"{file.filename} describes detectors {detectors}; only one or two are known")
        return PhotonMeasurement(
            timestamps_unit_s=float(unit_s),
            tcspc_unit_s=None if tcspc_unit_s is None else float(tcspc_unit_s),
            laser_repetition_rate_hz=float(rate_hz) if rate_hz else None,
            tcspc_num_bins=int(_get(data, "nanotimes_specs/tcspc_num_bins") or 0),
            detectors=detectors,
            excitation_wavelength_nm=_nanometres(_get(file, "setup/excitation_wavelengths")),
            detection_wavelength_nm=_nanometres(_get(file, "setup/detection_wavelengths")),
            description=_text(file, "description"),
            sample_name=_text(file, "sample/sample_name"),
            buffer_name=_text(file, "sample/buffer_name"),
            author=_text(file, "identity/author"),
            author_affiliation=_text(file, "identity/author_affiliation"),
            created=_time(file, "identity/creation_time"),
            source_file=_text(file, "provenance/filename"),
            source_software=_text(file, "provenance/software"),
            source_created=_time(file, "provenance/creation_time"),
        )


def iter_photons(source: AnyPath | h5py.File, size: int = 4 * CHUNK_PHOTONS) -> Iterator[Photons]:
    """Read the photons of a Photon-HDF5 file in blocks of at most `size`.

    Raises FileFormatError as `read_photon_measurement` does.
    """
    with _opened(source) as file:
        data = _photon_data(file)
        columns = {name: _array(data, name) for name in ("timestamps", "nanotimes", "detectors")}
        timestamps, nanotimes, detectors = columns.values()
        if timestamps is None:
            raise FileFormatError(f"{file.filename} lacks /photon_data/timestamps")
        n = len(timestamps)
        for name, column in columns.items():
            if column is not None and len(column) != n:
                raise FileFormatError(
                    f"{file.filename}: /photon_data/{name} has {len(column)} entries, timestamps has {n}"
                )
        for start in range(0, n, size):
            part = slice(start, min(start + size, n))
            yield Photons(
                timestamps[part].astype(np.int64, copy=False),
                None if nanotimes is None else nanotimes[part].astype(np.uint16, copy=False),
                np.zeros(part.stop - start, np.uint8) if detectors is None else detectors[part],
            )


def read_photons(source: AnyPath | h5py.File) -> Photons:
    """Read all photons of a Photon-HDF5 file.

    Raises FileFormatError as `read_photon_measurement` does.
    """
    with _opened(source) as file:
        n = max(1, len(_array(_photon_data(file), "timestamps") or ()))
        for photons in iter_photons(file, n):
            return photons
        nanotimes = np.empty(0, np.uint16) if "nanotimes" in _photon_data(file) else None
        return Photons(np.empty(0, np.int64), nanotimes, np.empty(0, np.uint8))
