"""PTU, TTTR words, CHI and wt5 made by chance and by malice: read, or refused in a sentence."""

import struct

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdlab.formats import chi_bin, ptu
from qdlab.formats.chi_text import parse_chi_text
from qdlab.formats.errors import FileFormatError
from qdlab.formats.ptu_tags import TagType, pack_tags
from qdlab.formats.tttr import RecordType, TttrDecoder

QUICK = settings(derandomize=True, max_examples=60, deadline=None, database=None)
LONG = settings(max_examples=3000, deadline=None, database=None)

HEADER = {
    "Measurement_Mode": 3,
    "Measurement_SubMode": 0,
    "TTResultFormat_TTTRRecType": int(RecordType.TIMEHARP_260P_T3),
    "TTResultFormat_BitsPerRecord": 32,
    "MeasDesc_GlobalResolution": 4e-7,
    "MeasDesc_Resolution": 25e-12,
    "TTResult_SyncRate": 2_500_000,
    "TTResult_NumberOfRecords": 4,
}
WORDS = np.arange(4, dtype="<u4").tobytes()


def a_ptu(tags=(), words=WORDS):
    return b"PQTTTR\0\0" + b"1.0.00\0\0" + pack_tags(HEADER | dict(tags)) + words


def damaged(whole):
    """Bytes of a whole file with some of them changed, cut, doubled or put in."""

    def change(changes):
        raw = bytearray(whole)
        for kind, at, value in changes:
            k = at % max(1, len(raw))
            match kind:
                case "set":
                    raw[k : k + len(value)] = value
                case "insert":
                    raw[k:k] = value
                case "cut":
                    del raw[k : k + 1 + len(value) * 16]
        return bytes(raw)

    one = st.tuples(
        st.sampled_from(["set", "insert", "cut"]), st.integers(0, 1 << 20), st.binary(min_size=1, max_size=12)
    )
    return st.lists(one, min_size=1, max_size=6).map(change)


def refused_in_a_sentence(read, *arguments):
    """Read; anything but a result or a refusal of one short line is an error of ours."""
    try:
        return read(*arguments)
    except FileFormatError as error:
        sentence = str(error)
    assert "\n" not in sentence
    assert 10 < len(sentence) < 500
    return None


# ---- PTU and its words ----


def read_ptu_bytes(folder, raw):
    path = folder / "hostile.ptu"
    path.write_bytes(raw)
    refused_in_a_sentence(lambda: ptu.open_ptu(path).events())


@QUICK
@given(raw=damaged(a_ptu()))
def test_a_damaged_ptu_is_read_or_refused(tmp_path_factory, raw):
    read_ptu_bytes(tmp_path_factory.getbasetemp(), raw)


@pytest.mark.slow
@LONG
@given(raw=damaged(a_ptu()))
def test_many_damaged_ptu_are_read_or_refused(tmp_path_factory, raw):
    read_ptu_bytes(tmp_path_factory.getbasetemp(), raw)


@QUICK
@given(
    name=st.sampled_from(sorted(HEADER)),
    value=st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.floats(allow_nan=True, allow_infinity=True),
        st.binary(max_size=64),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
        st.lists(st.floats(), max_size=5).map(tuple),
    ),
)
def test_a_tag_of_any_type_and_value_is_read_or_refused(tmp_path_factory, name, value):
    read_ptu_bytes(tmp_path_factory.getbasetemp(), a_ptu({name: value}))


def a_tag(name, type_code, value, data=b""):
    return struct.pack("<32siI8s", name.encode(), -1, type_code, value) + data


MALICE = {
    "a blob of an exabyte": a_tag("Blob", TagType.BLOB, struct.pack("<Q", 1 << 60)),
    "a text of minus one byte": a_tag("Text", TagType.ANSI_STRING, b"\xff" * 8),
    "a date beyond all years": a_tag("Date", TagType.DATE_TIME, struct.pack("<d", 1e300)),
    "a date that is no number": a_tag("Date", TagType.DATE_TIME, struct.pack("<d", float("nan"))),
    "a type that is none": a_tag("Type", 0x12345678, bytes(8)),
    "a million tags": a_tag("Tag", TagType.INT, bytes(8)) * 20_000,
}


@pytest.mark.parametrize("name", MALICE)
def test_a_hostile_header_is_bounded(tmp_path, in_a_small_process, name):
    path = tmp_path / "hostile.ptu"
    path.write_bytes(b"PQTTTR\0\0" + b"1.0.00\0\0" + MALICE[name] + pack_tags(HEADER) + WORDS)
    read_ptu_bytes(tmp_path, path.read_bytes())


def test_hostile_recordings_stay_within_bounds_of_memory_and_time(tmp_path, in_a_small_process):
    endless = np.full(1000, 0xFE0003FF, "<u4").tobytes()
    hostile = {
        "header.ptu": b"PQTTTR\0\0" + b"1.0.00\0\0" + MALICE["a million tags"],
        "announced.ptu": a_ptu({"TTResult_NumberOfRecords": 1 << 60}),
        "ages.ptu": a_ptu({"MeasDesc_GlobalResolution": 0.9, "TTResult_NumberOfRecords": 1000}, endless),
    }
    for name, raw in hostile.items():
        (tmp_path / name).write_bytes(raw)
    ended = in_a_small_process("ptu", *(tmp_path / name for name in hostile))
    assert ended[str(tmp_path / "announced.ptu")] == "read"
    assert "longer than any counter" in ended[str(tmp_path / "ages.ptu")]


@QUICK
@given(
    record_type=st.sampled_from(list(RecordType)),
    words=st.lists(
        st.one_of(
            st.integers(0, (1 << 32) - 1), st.sampled_from([0xFE000000, 0xFE0003FF, 0xFFFFFFFF, 0xF000_0000])
        ),
        max_size=200,
    ),
    cut=st.integers(0, 200),
    start=st.sampled_from([0, 1 << 31, (1 << 32) - 5, 1 << 53, (1 << 62) - 1]),
)
def test_any_words_decode_the_same_however_they_are_cut(record_type, words, cut, start):
    words = np.array(words, np.uint32)

    def decoded(*pieces):
        decoder = TttrDecoder(record_type, start)
        return [decoder.decode(piece) for piece in pieces]

    whole = refused_in_a_sentence(decoded, words)
    pieces = refused_in_a_sentence(decoded, words[:cut], words[cut:])
    assert (whole is None) == (pieces is None)
    if whole and pieces:
        for name in ("time", "dtime", "channel", "marker_time", "marker_bits", "sync_time"):
            joined = np.concatenate([getattr(piece, name) for piece in pieces])
            assert np.array_equal(getattr(whole[0], name), joined)
        assert np.all(whole[0].time >= start)


@pytest.mark.parametrize("start", [0, (1 << 31) - 3, (1 << 32) - 3, (1 << 53) - 3])
def test_the_cards_clock_wraps_without_a_photon_out_of_place(start):
    """The ten bits of a T3 record wrap every 1024 pulses; what they add up to passes 32 and 53 bits."""
    photon, wrap = np.uint32(5), np.uint32(0xFE000001)
    words = np.array([photon, wrap] * 4096, np.uint32)
    time = TttrDecoder(RecordType.TIMEHARP_260P_T3, start).decode(words).time
    assert time.tolist() == [start + 1024 * k + 5 for k in range(4096)]


# ---- CHI ----

CHI = b"""Nov. 20, 2026   12:00:00
Cyclic Voltammetry
File: c:\\data\\a.bin
Data Source: Experiment
Instrument Model: CHI760C
Header:
Note:

Init E (V) = 0
High E (V) = 0
Low E (V) = -0.1
Init P/N = N
Scan Rate (V/s) = 0.1
Segment = 2
Sample Interval (V) = 0.01
Quiet Time (sec) = 2
Sensitivity (A/V) = 1e-6

Results:

Channel 1:
Segment 1:
Ep = -0.050V

Potential/V, Current/A
""" + b"".join(b"%.3f, %.3e\n" % (-0.01 * k, 1e-7 * k) for k in range(1, 20))


def everything_of(raw):
    text = parse_chi_text(raw, "hostile.txt")
    text.current_a("anodic_positive")
    return text.warnings, text.time_s, text.complete, text.planned_rows, text.overload, text.row_interval_s


@QUICK
@given(raw=damaged(CHI))
def test_a_damaged_chi_text_is_read_or_refused(raw):
    refused_in_a_sentence(everything_of, raw)


@pytest.mark.slow
@LONG
@given(raw=damaged(CHI))
def test_many_damaged_chi_texts_are_read_or_refused(raw):
    refused_in_a_sentence(everything_of, raw)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Segment = 2", b"Segment = 1e300"),
        (b"Segment = 2", b"Segment = 999999999999"),
        (b"Segment = 2", b"Segment = nan"),
        (b"Segment = 2", b"Segment = -4"),
        (b"Sample Interval (V) = 0.01", b"Sample Interval (V) = 1e-300"),
        (b"Sample Interval (V) = 0.01", b"Sample Interval (V) = inf"),
        (b"Scan Rate (V/s) = 0.1", b"Scan Rate (V/s) = 1e-320"),
        (b"Segment 1:", b"Segment " + b"9" * 5000 + b":"),
        (b"Channel 1:", b"Channel " + b"9" * 5000 + b":"),
        (b"Nov. 20, 2026", b"Nov. 99, 0000"),
        (b"Cyclic Voltammetry", b"Multi-Potential Steps\n\nT1 (s) = x\nT2 (s) = 1e999\nCycle = 3"),
        (b"Ep = -0.050V", b"a" * 100_000),
        (b"Potential/V, Current/A", b"a" * 50_000 + b"/V, " + b"(" * 50_000 + b"/A"),
        (b"Sensitivity (A/V) = 1e-6", b"Sensitivity (A/V) = nan"),
    ],
)
def test_a_hostile_number_in_a_chi_text_neither_hangs_nor_fills_the_memory(old, new):
    assert old in CHI
    refused_in_a_sentence(everything_of, CHI.replace(old, new))


@QUICK
@given(raw=st.binary(max_size=400), printed=st.lists(st.floats(), max_size=20))
def test_a_chi_binary_is_only_taken_where_it_agrees(raw, printed):
    printed = np.array(printed, np.float64)
    with np.errstate(all="ignore"):
        values = chi_bin.unrounded(chi_bin.MAGIC + raw, printed)
    assert values is None or len(values) == len(printed)


# ---- wt5 ----


def a_wt5(path, axes=b"w1{eV}", shape=(4, 1)):
    with h5py.File(path, "w") as file:
        file.attrs.update(
            {"class": "Data", "name": "hostile", "__version__": "1.0.3", "axes": np.array([axes])}
        )
        file.attrs["variable_names"], file.attrs["channel_names"] = np.array([b"w1"]), np.array([b"s"])
        file.create_dataset("w1", data=np.arange(4.0).reshape(shape)).attrs["units"] = "eV"
        file.create_dataset("s", data=np.ones((4, 1)))
    return path


@pytest.mark.parametrize(
    "axes",
    [
        b"__import__('os').system('touch sprung'){eV}",
        b"w1.__class__{eV}",
        b"1/0{eV}",
        b"9**9**9**9{eV}",
        b"(" * 5000 + b"w1" + b")" * 5000 + b"{eV}",
        b"-" * 5000 + b"w1{eV}",
        b"\xff\xfe{eV}",
        b"w1{parsec}",
    ],
)
def test_the_expression_of_an_axis_is_arithmetic_and_nothing_else(tmp_path, monkeypatch, axes):
    from qdlab.formats.wt5 import read_wt5

    monkeypatch.chdir(tmp_path)
    refused_in_a_sentence(lambda: [data.gridded() for data in read_wt5(a_wt5(tmp_path / "a.wt5", axes))])
    assert not (tmp_path / "sprung").exists()


def test_a_wt5_file_that_is_larger_than_itself_or_elsewhere_is_refused(tmp_path, in_a_small_process):
    huge, linked, looped = (tmp_path / f"{name}.wt5" for name in ("huge", "linked", "looped"))
    with h5py.File(a_wt5(huge), "r+") as file:
        del file["s"]
        file.create_dataset("s", (1 << 20, 1 << 20), np.float64, chunks=(1024, 1024))
    with h5py.File(a_wt5(linked), "r+") as file:
        del file["s"]
        file["s"] = h5py.ExternalLink(str(a_wt5(tmp_path / "other.wt5")), "/s")
    with h5py.File(looped, "w") as file:
        file.attrs.update({"class": "Collection", "name": "c", "item_names": np.array([b"again"])})
        file["again"] = file["/"]
    ended = in_a_small_process("wt5", huge, linked, looped)
    assert "read" not in ended.values()
