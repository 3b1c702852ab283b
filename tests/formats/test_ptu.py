from __future__ import annotations

import json
import os
import struct
from datetime import datetime
from pathlib import Path

import numpy as np
import ptufile
import pytest
import tttrlib
from hypothesis import given, settings
from hypothesis import strategies as st

from qdlab.analysis.ptu_summary import summarize_ptu
from qdlab.formats.errors import FileFormatError
from qdlab.formats.ptu import open_ptu, read_ptu, read_ptu_header, write_ptu
from qdlab.formats.ptu_tags import HEADER_END, pack_tag
from qdlab.formats.tttr import RecordType, TttrEncoder

SHARED = Path(os.environ.get("QDLAB_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "ptu"
needs_shared_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no recorded files at {SHARED}")

MAGIC = b"PQTTTR\0\0" + b"1.0.00\0\0"
SUMMARY_KEYS = [
    "kind",
    "tttr_mode",
    "records",
    "photons",
    "markers",
    "overflow_records",
    "duration_s",
    "resolution_ps",
    "sync_rate_hz",
    "first_photon",
    "last_photon",
    "time_sum",
    "dtime_sum",
    "warnings",
]


def events(mode: int, n: int = 4000) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(mode)
    span = 5_000_000 if mode == 3 else 10_000_000_000
    found = {
        "time": np.sort(rng.integers(0, span, n)),
        "dtime": rng.integers(0, 16000 if mode == 3 else 1, n).astype(np.uint16),
        "channel": rng.integers(0, 2, n).astype(np.uint8),
        "marker_time": np.sort(rng.integers(0, span, 20)),
        "marker_bits": rng.integers(1, 16, 20).astype(np.uint8),
    }
    return found | ({"sync_time": np.sort(rng.integers(0, span, 50))} if mode == 2 else {})


def write(path: Path, mode: int = 3, **options) -> dict[str, np.ndarray]:
    given_events = events(mode)
    words = TttrEncoder(mode).encode(**given_events)
    write_ptu(path, words, mode=mode, resolution_s=25e-12, sync_rate_hz=2.5e6, **options)
    return given_events


def header(**tags) -> bytes:
    usual = {
        "Measurement_Mode": 3,
        "TTResultFormat_TTTRRecType": 0x00010306,
        "TTResultFormat_BitsPerRecord": 32,
        "MeasDesc_Resolution": 25e-12,
        "MeasDesc_GlobalResolution": 4e-7,
        "TTResult_SyncRate": 2_500_000,
        "TTResult_NumberOfRecords": 2,
    }
    chosen = {name: value for name, value in (usual | tags).items() if value is not None}
    return MAGIC + b"".join(pack_tag(n, v) for n, v in chosen.items()) + pack_tag(HEADER_END, None)


def words_of(path: Path) -> np.ndarray:
    return np.array(open_ptu(path).words)


# ---- what is written, others read ----


@pytest.mark.parametrize("model", ["P", "N"])
@pytest.mark.parametrize("mode", [2, 3])
def test_a_written_file_reads_back(tmp_path, mode, model):
    given_events = events(mode)
    words = TttrEncoder(mode).encode(**given_events)
    resolution_s = {"P": 25e-12, "N": 250e-12}[model]
    path = write_ptu(
        tmp_path / "a.ptu", words, mode=mode, resolution_s=resolution_s, sync_rate_hz=2.5e6, model=model
    )
    ptu, block = open_ptu(path), read_ptu(path)
    for name, expected in given_events.items():
        assert np.array_equal(getattr(block, name), expected), name
    assert ptu.record_type.name == f"TIMEHARP_260{model}_T{mode}"
    assert (ptu.resolution_s, ptu.sync_rate_hz, ptu.warnings) == (resolution_s, 2.5e6, ())
    assert ptu.time_unit_s == (4e-7 if mode == 3 else resolution_s)
    assert ptu.records_announced == len(words)


@pytest.mark.parametrize("mode", [2, 3])
def test_ptufile_reads_what_is_written(tmp_path, mode):
    e = write(tmp_path / "a.ptu", mode, comment="blinking, 20 µW")
    with ptufile.PtuFile(tmp_path / "a.ptu") as ptu:
        records = ptu.decode_records()
        assert ptu.tags["File_Comment"] == "blinking, 20 µW"
        assert ptu.record_type == {2: 0x00010206, 3: 0x00010306}[mode]
    photons = records[records["channel"] >= 0]
    markers = records[records["marker"] > 0]
    time, channel = e["time"], e["channel"]
    if mode == 2:  # ptufile shows T2 sync events as channel 0, like the first detector
        order = np.argsort(np.concatenate([e["sync_time"], time]), kind="stable")
        time = np.concatenate([e["sync_time"], time])[order]
        channel = np.concatenate([np.zeros(len(e["sync_time"]), np.uint8), channel])[order]
    else:
        assert np.array_equal(photons["dtime"], e["dtime"])
    assert np.array_equal(photons["time"], time)
    assert np.array_equal(photons["channel"], channel)
    assert np.array_equal(markers["time"], e["marker_time"])
    assert np.array_equal(markers["marker"], e["marker_bits"])


@pytest.mark.parametrize("mode", [2, 3])
def test_tttrlib_reads_what_is_written(tmp_path, mode):
    e = write(tmp_path / "a.ptu", mode)
    read = tttrlib.TTTR(str(tmp_path / "a.ptu"), "PTU")
    photon = read.event_types == 0  # markers and T2 syncs have a routing channel too
    assert np.array_equal(read.macro_times[photon], e["time"])
    assert np.array_equal(read.routing_channels[photon], e["channel"])
    marker = (read.event_types == 1) & (read.routing_channels > 0)
    assert np.array_equal(read.macro_times[marker], e["marker_time"])
    assert np.array_equal(read.routing_channels[marker], e["marker_bits"])
    if mode == 3:
        assert np.array_equal(read.micro_times[photon], e["dtime"])
    assert read.header.macro_time_resolution == pytest.approx(4e-7 if mode == 3 else 25e-12)


def test_blocks_give_the_same_file_as_one_array(tmp_path):
    write(tmp_path / "a.ptu")
    words = words_of(tmp_path / "a.ptu")
    blocks = iter(np.array_split(words, 7))
    write_ptu(tmp_path / "b.ptu", blocks, mode=3, resolution_s=25e-12, sync_rate_hz=2.5e6)
    assert np.array_equal(words_of(tmp_path / "b.ptu"), words)
    assert open_ptu(tmp_path / "b.ptu").records_announced == len(words)


def test_given_tags_stand_in_the_header(tmp_path):
    tags = {"HW_SerialNo": "1", "HWInpChan_CFDLevel": {0: -50, 1: -60}, "ParBias": -1.5, "AutoHV": True}
    write(tmp_path / "a.ptu", tags=tags, created=datetime(2024, 2, 29, 12, 30))
    found = read_ptu_header(tmp_path / "a.ptu").tags
    assert {name: found[name] for name in tags} == tags
    assert found["File_CreatingTime"] == datetime(2024, 2, 29, 12, 30)


def test_a_written_file_is_not_overwritten_unless_asked(tmp_path):
    write(tmp_path / "a.ptu", comment="first")
    with pytest.raises(FileExistsError, match=r"a\.ptu exists already"):
        write(tmp_path / "a.ptu", comment="second")
    assert read_ptu_header(tmp_path / "a.ptu").tags["File_Comment"] == "first"
    write(tmp_path / "a.ptu", comment="second", overwrite=True)
    assert read_ptu_header(tmp_path / "a.ptu").tags["File_Comment"] == "second"


def test_a_write_that_fails_leaves_no_file(tmp_path):
    def blocks():
        yield np.zeros(10, np.uint32)
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="source is gone"):
        write_ptu(tmp_path / "a.ptu", blocks(), mode=3, resolution_s=25e-12, sync_rate_hz=2.5e6)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"resolution_s": 1e-12}, ValueError, "not a multiple of the base resolution"),
        ({"resolution_s": 30e-12}, ValueError, "not a multiple of the base resolution"),
        ({"sync_rate_hz": None}, ValueError, "must be positive in T3"),
        ({"mode": 4}, ValueError, "must be 2 or 3"),
        ({"tags": {"TTResult_NumberOfRecords": 7}}, ValueError, "cannot be given"),
        ({"tags": {"N" * 33: 7}}, ValueError, "1 to 32"),
        ({"words": np.zeros(3, np.int64)}, TypeError, "must be uint32"),
    ],
)
def test_what_no_timeharp_writes_is_refused(tmp_path, change, error, message):
    options = {"words": np.zeros(3, np.uint32), "mode": 3, "resolution_s": 25e-12, "sync_rate_hz": 2.5e6}
    with pytest.raises(error, match=message):
        write_ptu(tmp_path / "a.ptu", **options | change)
    assert list(tmp_path.iterdir()) == []


# ---- tags ----


def raw_tag(type_code: int, value: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<32siI8s", b"X", -1, type_code, value) + data


def sized(type_code: int, data: bytes) -> bytes:
    return raw_tag(type_code, struct.pack("<q", len(data)), data)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (raw_tag(0xFFFF0008, bytes(8)), None),
        (raw_tag(0x00000008, bytes(8)), False),
        (raw_tag(0x00000008, b"\xff" * 8), True),
        (raw_tag(0x10000008, struct.pack("<q", -5)), -5),
        (raw_tag(0x11000008, struct.pack("<Q", 2**63)), 2**63),
        (raw_tag(0x12000008, struct.pack("<Q", 0xFF0080)), 0xFF0080),
        (raw_tag(0x20000008, struct.pack("<d", 2.5e-11)), 2.5e-11),
        (raw_tag(0x21000008, struct.pack("<d", 25569.5)), datetime(1970, 1, 1, 12)),
        (raw_tag(0x21000008, struct.pack("<d", 1e300)), None),
        (raw_tag(0x21000008, struct.pack("<d", float("nan"))), None),
        (sized(0x2001FFFF, struct.pack("<2d", 1.5, -2.0)), (1.5, -2.0)),
        (sized(0x4001FFFF, b"dot\0\0\0\0\0"), "dot"),
        (sized(0x4001FFFF, b"20 \xb5W\0\0\0"), "20 µW"),
        (sized(0x4001FFFF, "20 µW\0\0".encode()), "20 µW"),
        (sized(0x4002FFFF, "τ = 1\0\0\0".encode("utf-16-le")), "τ = 1"),
        (sized(0xFFFFFFFF, b"\x01\x02\0\0\0\0\0\0"), b"\x01\x02\0\0\0\0\0\0"),
    ],
)
def test_every_tag_type_is_read(tmp_path, raw, expected):
    (tmp_path / "a.ptu").write_bytes(MAGIC + raw + pack_tag(HEADER_END, None))
    assert read_ptu_header(tmp_path / "a.ptu").tags == {"X": expected}


@pytest.mark.parametrize(
    "value", [None, True, False, -(2**63), 0.1, "dot", "", "τ", datetime(2024, 1, 2, 3, 4, 5), (1.0, 2.0)]
)
def test_every_value_that_is_packed_reads_back(tmp_path, value):
    (tmp_path / "a.ptu").write_bytes(MAGIC + pack_tag("X", value) + pack_tag(HEADER_END, None))
    assert read_ptu_header(tmp_path / "a.ptu").tags == {"X": value}


def test_indexed_tags_come_as_one(tmp_path):
    raw = pack_tag("Level", 5, 0) + pack_tag("Level", 7, 2) + pack_tag(HEADER_END, None)
    (tmp_path / "a.ptu").write_bytes(MAGIC + raw)
    assert read_ptu_header(tmp_path / "a.ptu").tags == {"Level": {0: 5, 2: 7}}


# ---- recordings that were cut ----


@pytest.mark.parametrize(
    ("announced", "payload", "found", "warnings"),
    [
        (2, bytes(8), 2, []),
        (3, bytes(8), 2, ["2 of 3 announced records"]),
        (3, bytes(10), 2, ["2 of 3 announced records", "last 2 bytes"]),
        (2, b"", 0, ["holds no records"]),
        (0, b"", 0, ["holds no records"]),
        (0, bytes(8), 2, ["aborted recording"]),
        (0, bytes(9), 2, ["aborted recording", "last 1 bytes"]),
        (2, bytes(3), 0, ["0 of 2 announced records", "last 3 bytes"]),
        (1, bytes(8), 1, ["4 bytes behind its 1 announced"]),
        (-7, bytes(8), 2, ["aborted recording"]),
        (2**62, bytes(8), 2, ["2 of 4611686018427387904"]),
    ],
)
def test_a_recording_that_was_cut_loads_with_a_warning(tmp_path, announced, payload, found, warnings):
    path = tmp_path / "a.ptu"
    path.write_bytes(header(TTResult_NumberOfRecords=announced) + payload)
    ptu, summary = open_ptu(path), summarize_ptu(path)
    assert len(ptu.words) == summary["records"] == sum(summary["photons"].values()) == found
    assert len(summary["warnings"]) == len(warnings)
    assert all(text in warning for text, warning in zip(warnings, summary["warnings"], strict=True))
    assert (summary["first_photon"] is None) == (found == 0)
    json.dumps(summary)


def test_a_header_cut_anywhere_is_refused_in_one_sentence(tmp_path):
    whole, path = header(File_Comment="a dot"), tmp_path / "a.ptu"
    for size in range(1, len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(FileFormatError, match=r"a\.ptu"):
            open_ptu(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"Binning = 1\n", "is not a PTU file"),
        (b"PQHISTO\0" + bytes(100), "is a PHU file"),
        (header(Measurement_Mode=0), "measurement mode 0"),
        (header(Measurement_Mode=None), "measurement mode None"),
        (header(Measurement_Mode="three"), "Measurement_Mode should be an integer"),
        (header(Measurement_Mode=2), r"says T2 .* holds TIMEHARP_260P_T3"),
        (header(TTResultFormat_TTTRRecType=0x00020306), "unknown type 0x00020306"),
        (header(TTResultFormat_TTTRRecType=None), "unknown type"),
        (header(TTResultFormat_BitsPerRecord=64), "64 bits"),
        (header(TTResult_NumberOfRecords=float("nan")), "NumberOfRecords should be an integer"),
        (header(MeasDesc_Resolution="fine"), "MeasDesc_Resolution should be a number"),
        (header(MeasDesc_Resolution=0.0), "give no time scale"),
        (header(MeasDesc_Resolution=float("nan")), "give no time scale"),
        (header(MeasDesc_GlobalResolution=-1.0), "give no time scale"),
        (MAGIC + raw_tag(0x4001FFFF, struct.pack("<q", 2**62)), "announces 4611686018427387904 bytes"),
        (MAGIC + sized(0x4001FFFF, bytes(40))[:-30], "announces 40 bytes but the file has only 10 more"),
        (MAGIC + raw_tag(0xFFFFFFFF, b"\xff" * 8), "announces 18446744073709551615 bytes"),
        (MAGIC + raw_tag(0x30000008, bytes(8)), "unknown type 0x30000008"),
    ],
)
def test_what_is_no_photon_recording_is_refused_in_one_sentence(tmp_path, content, message):
    path = tmp_path / "a.ptu"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=message) as refused:
        open_ptu(path)
    assert "a.ptu" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_missing_not_wrong(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_ptu(tmp_path / "a.ptu")


@given(data=st.data())
@settings(deadline=None, max_examples=300)
def test_a_damaged_file_loads_or_is_refused_but_nothing_else(tmp_path_factory, data):
    content = bytearray(header(File_Comment="a dot") + bytes(range(64)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.ptu"
    path.write_bytes(content)
    try:
        summary = summarize_ptu(path)
    except FileFormatError:
        return
    assert summary["records"] <= len(content) // 4


# ---- scales ----


def test_t3_without_a_global_resolution_takes_it_from_the_sync_rate(tmp_path):
    (tmp_path / "a.ptu").write_bytes(header(MeasDesc_GlobalResolution=None) + bytes(8))
    assert open_ptu(tmp_path / "a.ptu").time_unit_s == 4e-7


def test_t3_without_a_sync_rate_takes_it_from_the_global_resolution(tmp_path):
    (tmp_path / "a.ptu").write_bytes(header(TTResult_SyncRate=None) + bytes(8))
    assert open_ptu(tmp_path / "a.ptu").sync_rate_hz == pytest.approx(2.5e6)


def test_an_impossible_sync_rate_is_unknown(tmp_path):
    (tmp_path / "a.ptu").write_bytes(header(TTResult_SyncRate=float("inf")) + bytes(8))
    assert open_ptu(tmp_path / "a.ptu").sync_rate_hz is None


def test_t2_times_count_in_the_global_resolution_whatever_the_histogram_view_had(tmp_path):
    content = header(
        Measurement_Mode=2,
        TTResultFormat_TTTRRecType=0x01010204,
        MeasDesc_Resolution=8e-12,
        MeasDesc_GlobalResolution=1e-12,
        TTResult_SyncRate=0,
    )
    (tmp_path / "a.ptu").write_bytes(content + struct.pack("<2I", 5, 9))
    summary = summarize_ptu(tmp_path / "a.ptu")
    assert (summary["resolution_ps"], summary["sync_rate_hz"], summary["dtime_sum"]) == (1.0, None, None)
    assert (summary["first_photon"], summary["last_photon"], summary["time_sum"]) == ([5, 0], [9, 0], 14)
    assert summary["duration_s"] == pytest.approx(9e-12)


@pytest.mark.parametrize("code", [*RecordType, 0x01010205, 0x01010206, 0x01010207])
def test_every_record_type_opens(tmp_path, code):
    mode = RecordType.from_code(code).mode
    content = header(Measurement_Mode=mode, TTResultFormat_TTTRRecType=int(code))
    (tmp_path / "a.ptu").write_bytes(content + struct.pack("<2I", 1 << 28, 2 << 28))
    summary = summarize_ptu(tmp_path / "a.ptu")
    assert (summary["tttr_mode"], sum(summary["photons"].values())) == (mode, 2)


# ---- the summary ----


def test_the_summary_has_its_fixed_keys_and_counts_every_kind(tmp_path):
    special = 1 << 31
    words = [
        5 << 10 | 7,
        special | 3 << 25 | 8,
        special | 20 << 25,
        special | 63 << 25 | 2,
        1 << 25 | 6 << 10,
    ]
    content = header(TTResult_NumberOfRecords=5) + struct.pack("<5I", *words)
    (tmp_path / "a.ptu").write_bytes(content)
    summary = summarize_ptu(tmp_path / "a.ptu")
    assert list(summary) == SUMMARY_KEYS
    assert summary["photons"] == {"0": 1, "1": 1}
    assert summary["markers"] == {"1": 1, "2": 1}
    assert summary["overflow_records"] == 1
    assert summary["first_photon"] == [7, 0, 5]
    assert summary["last_photon"] == [2048, 1, 6]
    assert (summary["time_sum"], summary["dtime_sum"]) == (2055, 11)
    assert summary["duration_s"] == pytest.approx(2048 * 4e-7)
    assert summary["warnings"] == ["a.ptu holds 1 records of undefined meaning; they were skipped"]


def test_sums_beyond_64_bits_are_exact(tmp_path):
    overflow = np.full(4000, 1 << 31 | 63 << 25 | 2**25 - 1, np.uint32)
    words = np.concatenate([overflow, np.full(5000, 3, np.uint32)])
    write_ptu(tmp_path / "a.ptu", words, mode=2, resolution_s=25e-12)
    expected = 5000 * (4000 * (2**25 - 1) * 2**25 + 3)
    assert expected > 2**64
    assert summarize_ptu(tmp_path / "a.ptu")["time_sum"] == expected


# ---- recorded files ----


@needs_shared_data
@pytest.mark.parametrize("name", ["th260p_t3.ptu", "th260p_t2.ptu"])
def test_synthetic_recordings_give_the_expected_values(name):
    expected = json.loads((SHARED / "synthetic" / "expected.json").read_text())[name]
    summary = summarize_ptu(SHARED / "synthetic" / name)
    for key in ("records", "photons", "overflow_records", "markers", "first_photon", "last_photon"):
        assert summary[key] == expected[key], key
    assert summary["time_sum"] == expected.get("nsync_sum", expected.get("timetag_sum"))
    assert summary["dtime_sum"] == expected.get("dtime_sum")
    assert (summary["resolution_ps"], summary["sync_rate_hz"], summary["warnings"]) == (25.0, 2.5e6, [])
    block = read_ptu(SHARED / "synthetic" / name)
    assert int(block.marker_time.sum()) == expected.get("marker_nsync_sum", 0)
    assert (len(block.sync_time), int(block.sync_time.sum())) == (
        expected.get("syncs", 0),
        expected.get("sync_sum", 0),
    )
    assert block.reserved_records == expected["other_special"]


@needs_shared_data
def test_a_real_hydraharp_recording_gives_the_expected_values():
    path = SHARED / "real" / "hydraharp400_v3_t2.ptu"
    summary = summarize_ptu(path)
    assert summary["photons"] == {"0": 305565}
    assert (summary["records"], summary["overflow_records"], summary["markers"]) == (435319, 129754, {})
    assert (summary["first_photon"], summary["last_photon"]) == ([24433765, 0], [4999964931763, 0])
    assert (summary["time_sum"], summary["dtime_sum"]) == (763828286071656274, None)
    assert (summary["tttr_mode"], summary["resolution_ps"], summary["sync_rate_hz"]) == (2, 1.0, None)
    assert summary["duration_s"] == pytest.approx(4.99998, abs=1e-6)
    assert read_ptu(path).time[:5].tolist() == [24433765, 42010976, 42303858, 65241860, 71933885]
    assert read_ptu_header(path).size_bytes == 4392


@needs_shared_data
@pytest.mark.parametrize("name", ["th260p_t3.ptu", "th260p_t2.ptu"])
def test_decoding_and_encoding_a_recording_gives_its_words_again(name):
    ptu = open_ptu(SHARED / "synthetic" / name)
    e = ptu.events()
    encoder = TttrEncoder(ptu.tttr_mode)
    syncs = e.sync_time if ptu.tttr_mode == 2 else None
    words = encoder.encode(e.time, e.dtime, e.channel, e.marker_time, e.marker_bits, sync_time=syncs)
    assert np.array_equal(words, ptu.words)


@needs_shared_data
def test_a_histogram_text_file_is_refused_in_one_sentence():
    with pytest.raises(FileFormatError, match="is not a PTU file: it starts with b'Binning '"):
        read_ptu_header(SHARED / "real" / "timeharp260p_histomode_25ps.txt")
