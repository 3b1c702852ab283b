"""PTU files: PicoQuant's container of TTTR words, read whole or in part, and written as a TimeHarp 260 would.

Container and tags are those of PicoQuant's published description (repository
PicoQuant-Time-Tagged-File-Format-Demos, `doc/`).
"""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import FileFormatError
from .ptu_tags import HEADER_END, Tags, pack_tag, pack_tags, read_tags
from .tttr import RecordType, TttrBlock, TttrDecoder

AnyPath: TypeAlias = str | os.PathLike[str]

BLOCK_WORDS = 1 << 17
"""Words per block where a file is read in blocks: they stay in the processor's cache."""

_MAGIC = b"PQTTTR\0\0"
_VERSION = b"1.0.00\0\0"
_RECORD_BYTES = 4
_LONGEST_S = 4e5
_TAGS_OF_THE_WRITER = {
    "Measurement_Mode",
    "Measurement_SubMode",
    "MeasDesc_GlobalResolution",
    "MeasDesc_Resolution",
    "TTResultFormat_TTTRRecType",
    "TTResultFormat_BitsPerRecord",
    "TTResult_NumberOfRecords",
    HEADER_END,
}


@dataclass(frozen=True)
class PtuHeader:
    """The header of a PTU file."""

    version: str
    tags: Tags
    size_bytes: int
    """Length of the header; the records follow at once."""


@dataclass(frozen=True)
class PtuFile:
    """A PTU file whose records are mapped, not loaded."""

    path: Path
    header: PtuHeader
    record_type: RecordType
    resolution_s: float
    """Unit of T3 micro times, or of T2 times."""
    time_unit_s: float
    """Unit of `TttrBlock.time`: the sync period in T3, the resolution in T2."""
    sync_rate_hz: float | None
    """Rate the counter measured at its sync input; None where there was none."""
    records_announced: int
    """Number of records by the header; 0 in a recording that was aborted."""
    words: NDArray[np.uint32]
    """The records there are, mapped read-only, shape (records,)."""
    warnings: tuple[str, ...]
    """What is wrong with the file though it loads, one sentence each."""

    @property
    def tttr_mode(self) -> Literal[2, 3]:
        """2 or 3."""
        return self.record_type.mode

    def blocks(self, size: int = BLOCK_WORDS) -> Iterator[NDArray[np.uint32]]:
        """The records in blocks of at most `size` words."""
        for start in range(0, len(self.words), size):
            yield self.words[start : start + size]

    def events(self) -> TttrBlock:
        """All events of the file at once (11 bytes per photon); raises FileFormatError past 111 hours."""
        decoder = TttrDecoder(self.record_type)
        events = decoder.decode(self.words)
        if decoder.last_time * self.time_unit_s > _LONGEST_S:
            raise FileFormatError(f"{self.path} says that it was recorded for longer than any counter can")
        return events


def read_ptu_header(path: AnyPath) -> PtuHeader:
    """Read the header of a PTU file.

    Raises FileFormatError when the file is empty, is no PTU or ends inside its header.
    """
    path = Path(path)
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise FileFormatError(f"{path} is empty (0 bytes): nothing was recorded, or it was not copied")
        magic, file_version = file.read(8), file.read(8)
        if magic == b"PQHISTO\0":
            raise FileFormatError(f"{path} is a PHU file (histograms), which holds no photon records")
        if magic != _MAGIC:
            raise FileFormatError(f"{path} is not a PTU file: it starts with {magic!r}, not with 'PQTTTR'")
        tags = read_tags(file, size, str(path))
        return PtuHeader(file_version.rstrip(b"\0").decode("latin-1"), tags, file.tell())


def open_ptu(path: AnyPath) -> PtuFile:
    """Open a PTU file of T2 or T3 records; a recording that was cut or aborted opens with a warning.

    Raises FileFormatError when the file is no PTU, holds other records, or lacks what gives them meaning.
    """
    path = Path(path)
    header = read_ptu_header(path)
    record_type = _record_type(path, header.tags)
    resolution_s, time_unit_s, sync_rate_hz = _scales(path, header.tags, record_type.mode)
    announced = _integer(path, header.tags, "TTResult_NumberOfRecords") or 0
    payload_bytes = path.stat().st_size - header.size_bytes
    found = payload_bytes // _RECORD_BYTES
    used = min(found, announced) if announced > 0 else found
    words = np.empty(0, np.uint32)
    if used:
        words = np.asarray(np.memmap(path, "<u4", "r", offset=header.size_bytes, shape=(used,)))
    warnings = tuple(_complaints(path, announced, payload_bytes))
    return PtuFile(
        path, header, record_type, resolution_s, time_unit_s, sync_rate_hz, announced, words, warnings
    )


def read_ptu(path: AnyPath) -> TttrBlock:
    """Read all events of a PTU file; `open_ptu` tells their units and the file's warnings.

    Raises FileFormatError as `open_ptu` does.
    """
    return open_ptu(path).events()


def write_ptu(
    path: AnyPath,
    words: NDArray[np.uint32] | Iterable[NDArray[np.uint32]],
    *,
    mode: Literal[2, 3],
    resolution_s: float,
    sync_rate_hz: float | None = None,
    model: Literal["P", "N"] = "P",
    comment: str = "",
    created: datetime | None = None,
    tags: Tags | None = None,
    overwrite: bool = False,
) -> Path:
    """Write TTTR words as a PTU file of a TimeHarp 260 and return its path.

    `words` is one array or blocks of them, in the form that `TttrEncoder` makes. `resolution_s` is the
    unit of T3 micro times or of T2 times, a multiple of the model's base resolution (P 25 ps, N 250 ps).
    `sync_rate_hz` is needed in T3. `created` is local time, now by default. `tags` adds to the header or
    replaces what is descriptive in it (`HW_SerialNo`, `HWInpChan_CFDLevel`, `ParName`, ...).

    The file appears under its name only when it is complete. Raises FileExistsError unless `overwrite`,
    ValueError for settings that no TimeHarp 260 has, TypeError for words that are not uint32.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already: choose another name, or ask to overwrite it")
    header = _timeharp_tags(mode, resolution_s, sync_rate_hz, model, comment, created or datetime.now())
    if tags:
        if taken := sorted(_TAGS_OF_THE_WRITER & tags.keys()):
            raise ValueError(f"tags {taken} follow from the records and cannot be given")
        header |= tags
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(_MAGIC + _VERSION + pack_tag("TTResult_NumberOfRecords", 0) + pack_tags(header))
            records = 0
            for block in [words] if isinstance(words, np.ndarray) else words:
                if block.dtype != np.uint32:
                    raise TypeError(f"TTTR words must be uint32, not {block.dtype}")
                file.write(np.ascontiguousarray(block, "<u4").data)
                records += block.size
            file.seek(len(_MAGIC + _VERSION))
            file.write(pack_tag("TTResult_NumberOfRecords", records))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _timeharp_tags(
    mode: int,
    resolution_s: float,
    sync_rate_hz: float | None,
    model: Literal["P", "N"],
    comment: str,
    created: datetime,
) -> Tags:
    if mode not in (2, 3):
        raise ValueError(f"mode = {mode!r} must be 2 or 3")
    base_s = {"P": 25e-12, "N": 250e-12}[model]
    binning = round(resolution_s / base_s)
    if binning < 1 or abs(resolution_s / base_s - binning) > 1e-6:
        raise ValueError(
            f"resolution_s = {resolution_s!r} is not a multiple of the base resolution {base_s!r}"
        )
    if mode == 3 and not (sync_rate_hz and sync_rate_hz > 0):
        raise ValueError(f"sync_rate_hz = {sync_rate_hz!r} must be positive in T3 mode")
    return {
        "File_GUID": f"{{{str(uuid.uuid4()).upper()}}}",
        "File_CreatingTime": created,
        "File_Comment": comment,
        "CreatorSW_Name": "qdlab",
        "CreatorSW_Version": version("qdlab"),
        "Measurement_Mode": mode,
        "Measurement_SubMode": 0,
        "TTResult_StopReason": 0,
        "TTResultFormat_TTTRRecType": int(RecordType[f"TIMEHARP_260{model}_T{mode}"]),
        "TTResultFormat_BitsPerRecord": 8 * _RECORD_BYTES,
        "HW_Type": f"TimeHarp260{model}",
        "HW_BaseResolution": base_s,
        "HW_InpChannels": 2,
        "HWSync_Divider": 1,
        "HW_Markers": 4,
        "MeasDesc_BinningFactor": binning,
        "MeasDesc_Offset": 0,
        "MeasDesc_Resolution": resolution_s,
        "MeasDesc_GlobalResolution": 1 / sync_rate_hz if mode == 3 and sync_rate_hz else resolution_s,
        "TTResult_SyncRate": round(sync_rate_hz or 0),
    }


def _record_type(path: Path, tags: Tags) -> RecordType:
    mode = _integer(path, tags, "Measurement_Mode")
    if mode not in (2, 3):
        raise FileFormatError(
            f"{path} was recorded in measurement mode {mode}; only T2 (2) and T3 (3) hold photon records"
        )
    if (bits := _integer(path, tags, "TTResultFormat_BitsPerRecord") or 32) != 32:
        raise FileFormatError(f"{path} has records of {bits} bits; only 32 bits are known")
    code = _integer(path, tags, "TTResultFormat_TTTRRecType") or 0
    try:
        record_type = RecordType.from_code(code)
    except ValueError:
        raise FileFormatError(
            f"{path} has records of the unknown type 0x{code & 0xFFFFFFFF:08X} (TTResultFormat_TTTRRecType)"
        ) from None
    if record_type.mode != mode:
        raise FileFormatError(f"{path} says T{mode} (Measurement_Mode) but holds {record_type.name} records")
    return record_type


def _scales(path: Path, tags: Tags, mode: int) -> tuple[float, float, float | None]:
    """Resolution in s, unit of times in s, sync rate in Hz."""
    global_s = _number(path, tags, "MeasDesc_GlobalResolution") or 0.0
    rate_hz = _number(path, tags, "TTResult_SyncRate") or 0.0
    # T2 files carry the resolution of the histogram view in MeasDesc_Resolution: it scales no record
    resolution_s = global_s if mode == 2 else _number(path, tags, "MeasDesc_Resolution") or 0.0
    if mode == 3 and not global_s and rate_hz > 0:
        global_s = 1 / rate_hz
    if not (0 < resolution_s < 1 and 0 < global_s < 1):
        raise FileFormatError(
            f"{path}: MeasDesc_Resolution and MeasDesc_GlobalResolution give no time scale "
            f"({resolution_s!r} s and {global_s!r} s)"
        )
    if mode == 3 and not rate_hz > 0:
        rate_hz = 1 / global_s
    return resolution_s, global_s, float(rate_hz) if 0 < rate_hz < math.inf else None


def _integer(path: Path, tags: Tags, name: str) -> int | None:
    value = tags.get(name)
    if value is not None and not isinstance(value, int):
        raise FileFormatError(f"{path}: tag {name} should be an integer but is {value!r:.40}")
    return value


def _number(path: Path, tags: Tags, name: str) -> float | int | None:
    value = tags.get(name)
    if value is not None and not isinstance(value, int | float):
        raise FileFormatError(f"{path}: tag {name} should be a number but is {value!r:.40}")
    return value


def _complaints(path: Path, announced: int, payload_bytes: int) -> Iterator[str]:
    found, rest = divmod(payload_bytes, _RECORD_BYTES)
    behind = payload_bytes - announced * _RECORD_BYTES
    if payload_bytes == 0:
        yield f"{path.name} holds no records ({announced} announced)"
    elif announced > 0 and behind > 0:
        yield f"{path.name} has {behind} bytes behind its {announced} announced records; they are left unread"
    else:
        if announced <= 0:
            yield f"{path.name} announces no records (aborted recording); the {found} that are there are read"
        elif found < announced:
            yield f"{path.name} was cut: {found} of {announced} announced records are there"
        if rest:
            yield f"{path.name} ends inside a record; its last {rest} bytes are left unread"
