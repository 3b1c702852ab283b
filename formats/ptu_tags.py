"""Tags of PicoQuant's unified file header: 48-byte entries to Python values, and back.

Tag layout and type codes are those of PicoQuant's published description (repository
PicoQuant-Time-Tagged-File-Format-Demos, `doc/apx_tagtypes.html`).
"""

from __future__ import annotations

import struct
from datetime import datetime, timedelta
from enum import IntEnum
from typing import BinaryIO, TypeAlias

from .errors import FileFormatError

TagValue: TypeAlias = bool | int | float | str | bytes | datetime | tuple[float, ...] | None
Tags: TypeAlias = dict[str, TagValue | dict[int, TagValue]]
"""Tags by name; the entries of an indexed tag by their index."""

HEADER_END = "Header_End"
_ENTRY = struct.Struct("<32s i I 8s")  # name, index (-1: none), type, value
_DAY_ZERO = datetime(1899, 12, 30)
_DAY = timedelta(days=1)


class TagType(IntEnum):
    """How the value of a tag is stored."""

    EMPTY = 0xFFFF0008
    BOOL = 0x00000008
    INT = 0x10000008
    BIT_SET = 0x11000008
    COLOR = 0x12000008
    FLOAT = 0x20000008
    DATE_TIME = 0x21000008
    FLOAT_ARRAY = 0x2001FFFF
    ANSI_STRING = 0x4001FFFF
    WIDE_STRING = 0x4002FFFF
    BLOB = 0xFFFFFFFF

    @property
    def has_data(self) -> bool:
        """True where the value is the length of data that follow the entry."""
        return self & 0xFFFF == 0xFFFF


def read_tags(file: BinaryIO, size: int, name: str) -> Tags:
    """Read tags from the present position up to and with `Header_End`.

    `size` is the file's size in bytes, which bounds every length in the header; `name` is for messages.
    Raises FileFormatError where the header is cut or an entry cannot be one.
    """
    tags: Tags = {}
    while True:
        at = file.tell()
        entry = file.read(_ENTRY.size)
        if len(entry) < _ENTRY.size:
            raise FileFormatError(
                f"{name} ends at byte {size} inside its header: the file was cut before any photon; "
                f"copy it again from where it was recorded"
            )
        raw_name, index, type_code, value = _ENTRY.unpack(entry)
        tag = raw_name.split(b"\0")[0].decode("latin-1")
        try:
            tag_type = TagType(type_code)
        except ValueError:
            raise FileFormatError(
                f"{name}: tag {tag!r} at byte {at} has the unknown type 0x{type_code:08X}: "
                f"the header is damaged"
            ) from None
        data = b""
        if tag_type.has_data:
            length = int.from_bytes(value, "little")
            if length > size - file.tell():
                raise FileFormatError(
                    f"{name}: tag {tag!r} at byte {at} announces {length} bytes but the file has only "
                    f"{size - file.tell()} more; it was cut inside its header or is damaged"
                )
            data = file.read(length)
        if tag == HEADER_END:
            return tags
        _put(tags, tag, index, _decode(tag_type, value, data))


def pack_tag(name: str, value: TagValue, index: int = -1) -> bytes:
    """The bytes of one tag; the type follows from the value's Python type.

    Text that is not ASCII becomes a wide string. Raises ValueError for a name longer than 32 bytes.
    """
    raw_name = name.encode("ascii")
    if not 0 < len(raw_name) <= 32:
        raise ValueError(f"tag name {name!r} must have 1 to 32 ASCII characters")
    tag_type, raw = _encode(value)
    if not tag_type.has_data:
        return _ENTRY.pack(raw_name, index, tag_type, raw)
    data = raw + bytes(-len(raw) % 8)
    return _ENTRY.pack(raw_name, index, tag_type, struct.pack("<q", len(data))) + data


def pack_tags(tags: Tags) -> bytes:
    """The bytes of all tags in their order, closed by `Header_End`."""
    packed = []
    for name, value in tags.items():
        if isinstance(value, dict):
            packed += [pack_tag(name, item, index) for index, item in value.items()]
        else:
            packed.append(pack_tag(name, value))
    return b"".join([*packed, pack_tag(HEADER_END, None)])


def _put(tags: Tags, tag: str, index: int, value: TagValue) -> None:
    if index < 0:
        tags[tag] = value
        return
    items = tags.setdefault(tag, {})
    if isinstance(items, dict):
        items[index] = value
    else:  # once without and once with index: the indexed entries win
        tags[tag] = {index: value}


def _decode(tag_type: TagType, value: bytes, data: bytes) -> TagValue:
    match tag_type:
        case TagType.EMPTY:
            return None
        case TagType.BOOL:
            return any(value)
        case TagType.INT:
            return int.from_bytes(value, "little", signed=True)
        case TagType.BIT_SET | TagType.COLOR:
            return int.from_bytes(value, "little")
        case TagType.FLOAT:
            return struct.unpack("<d", value)[0]
        case TagType.DATE_TIME:
            return _date(struct.unpack("<d", value)[0])
        case TagType.FLOAT_ARRAY:
            return struct.unpack(f"<{len(data) // 8}d", data[: len(data) // 8 * 8])
        case TagType.ANSI_STRING:
            text = data.split(b"\0")[0]
            try:
                return text.decode("utf-8")
            except UnicodeDecodeError:
                return text.decode("cp1252", errors="replace")
        case TagType.WIDE_STRING:
            return data.decode("utf-16-le", errors="replace").split("\0")[0]
        case TagType.BLOB:
            return data


def _encode(value: TagValue) -> tuple[TagType, bytes]:
    match value:
        case None:
            return TagType.EMPTY, bytes(8)
        case bool():
            return TagType.BOOL, struct.pack("<q", -value)  # PicoQuant writes all bits for true
        case int():
            return TagType.INT, struct.pack("<q", value)
        case float():
            return TagType.FLOAT, struct.pack("<d", value)
        case datetime():
            local = value.astimezone().replace(tzinfo=None) if value.tzinfo else value
            return TagType.DATE_TIME, struct.pack("<d", (local - _DAY_ZERO) / _DAY)
        case tuple():
            return TagType.FLOAT_ARRAY, struct.pack(f"<{len(value)}d", *value)
        case bytes():
            return TagType.BLOB, value
        case str() if value.isascii():
            return TagType.ANSI_STRING, value.encode() + b"\0"
        case str():
            return TagType.WIDE_STRING, (value + "\0").encode("utf-16-le")


def _date(days: float) -> datetime | None:
    """The date of a TDateTime; None where the number is no date."""
    try:
        return _DAY_ZERO + timedelta(days=days)
    except (OverflowError, ValueError):
        return None
