from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from qdlab.formats.errors import FileFormatError
from qdlab.formats.tttr import (
    T2_WRAP,
    T3_WRAP,
    RecordType,
    TttrBlock,
    TttrDecoder,
    TttrEncoder,
    marker_line_counts,
)

SPECIAL = 1 << 31
OVERFLOW = SPECIAL | 63 << 25
V2_T2 = RecordType.TIMEHARP_260P_T2
V2_T3 = RecordType.TIMEHARP_260P_T3

in_any_examples = settings(deadline=None, max_examples=150)


def decode(words: list[int], record_type: RecordType) -> TttrBlock:
    return TttrDecoder(record_type).decode(np.array(words, np.uint32))


def reference(words: np.ndarray, record_type: RecordType) -> dict[str, np.ndarray]:
    """The record tables as whole-array expressions, with nothing in common with the kernels."""
    word = words.astype(np.int64)
    t3, name = record_type.mode == 3, record_type.name
    if name.startswith("PICOHARP"):
        code = word >> 28
        tag = word & (0xFFFF if t3 else 0xFFFFFFF)
        dtime = (word >> 16) & 0xFFF if t3 else 0 * word
        special, bits = code == 15, dtime if t3 else tag & 15
        photon = (code >= 1) & (code <= 4) if t3 else code <= 4
        channel = code - 1 if t3 else code
        overflow, marker = special & (bits == 0), special & (bits >= 1) & (bits <= 15)
        added = np.where(overflow, 65536 if t3 else 210698240, 0)
        tag = np.where(marker & (not t3), tag // 16 * 16, tag)
        sync = np.zeros(len(word), bool)
    else:
        special, channel = word >> 31 == 1, (word >> 25) & 63
        tag = word & (1023 if t3 else 33554431)
        dtime = (word >> 10) & 32767 if t3 else 0 * word
        bits, photon = channel, ~special
        overflow, marker = special & (channel == 63), special & (channel >= 1) & (channel <= 15)
        sync = special & (channel == 0) & (not t3)
        if "V1" in name:
            added = np.where(overflow, 1024 if t3 else 33552000, 0)
        else:
            added = np.where(overflow, np.where(tag == 0, 1, tag) * (1024 if t3 else 33554432), 0)
    time = np.cumsum(added) + tag
    return {
        "time": time[photon],
        "dtime": dtime[photon],
        "channel": channel[photon],
        "marker_time": time[marker],
        "marker_bits": bits[marker],
        "sync_time": time[sync],
        "overflow_records": np.count_nonzero(overflow),
        "reserved_records": np.count_nonzero(~(photon | overflow | marker | sync)),
    }


def same(a: TttrBlock, b: TttrBlock) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(TttrBlock))


def joined(blocks: list[TttrBlock]) -> TttrBlock:
    columns = {f.name: [getattr(b, f.name) for b in blocks] for f in fields(TttrBlock)}
    return TttrBlock(
        **{k: sum(v) if k.endswith("records") else np.concatenate(v) for k, v in columns.items()}
    )


any_word = st.integers(0, 2**32 - 1)
special_word = st.builds(
    lambda channel, rest: SPECIAL | channel << 25 | rest,
    st.sampled_from([0, 1, 8, 15, 16, 62, 63, 63, 63]),
    st.sampled_from([0, 1, 2, 1023, 2**25 - 1, 5 << 16, 0xF]),
)
record_types = st.sampled_from(list(RecordType))
streams = hnp.arrays(np.uint32, st.integers(0, 200), elements=any_word | special_word)


@given(words=streams, record_type=record_types)
@in_any_examples
def test_kernels_agree_with_the_record_tables_on_any_words(words, record_type):
    decoder = TttrDecoder(record_type)
    block = decoder.decode(words)
    for name, expected in reference(words, record_type).items():
        assert np.array_equal(getattr(block, name), expected), name


@given(words=streams, record_type=record_types, data=st.data())
@in_any_examples
def test_events_do_not_depend_on_how_the_words_are_cut(words, record_type, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(words)), max_size=5)))
    whole, pieces = TttrDecoder(record_type), TttrDecoder(record_type)
    expected = whole.decode(words)
    assert same(joined([pieces.decode(part) for part in np.split(words, cuts)]), expected)
    assert pieces.last_time == whole.last_time


@st.composite
def event_streams(draw):
    mode = draw(st.sampled_from([2, 3]))
    gaps = st.integers(0, 40) | st.integers(0, 4 * (T2_WRAP if mode == 2 else T3_WRAP)) | st.just(5_000_000)
    n = draw(st.integers(0, 60))
    kinds = draw(hnp.arrays(np.uint8, n, elements=st.integers(0, 2 if mode == 2 else 1)))
    times = np.cumsum(draw(hnp.arrays(np.int64, n, elements=gaps)))
    dtimes = draw(hnp.arrays(np.uint16, n, elements=st.integers(0, 32767 if mode == 3 else 0)))
    channels = draw(hnp.arrays(np.uint8, n, elements=st.integers(0, 63)))
    bits = draw(hnp.arrays(np.uint8, n, elements=st.integers(1, 15)))
    return mode, kinds, times, dtimes, channels, bits


def encode(encoder: TttrEncoder, kinds, times, dtimes, channels, bits, until=None):
    photon, marker, sync = kinds == 0, kinds == 1, kinds == 2
    return encoder.encode(
        times[photon],
        dtimes[photon],
        channels[photon],
        times[marker],
        bits[marker],
        sync_time=times[sync] if encoder.mode == 2 else None,
        until=until,
    )


@given(events=event_streams(), idle=st.integers(0, 10**8))
@in_any_examples
def test_what_is_encoded_is_decoded(events, idle):
    mode, kinds, times, dtimes, channels, bits = events
    until = int(times.max(initial=0)) + idle
    words = encode(TttrEncoder(mode), kinds, times, dtimes, channels, bits, until)
    decoder = TttrDecoder(V2_T2 if mode == 2 else V2_T3)
    block = decoder.decode(words)
    photon, marker = kinds == 0, kinds == 1
    assert np.array_equal(block.time, times[photon])
    assert np.array_equal(block.dtime, dtimes[photon])
    assert np.array_equal(block.channel, channels[photon])
    assert np.array_equal(block.marker_time, times[marker])
    assert np.array_equal(block.marker_bits, bits[marker])
    assert np.array_equal(block.sync_time, times[kinds == 2])
    assert block.reserved_records == 0
    wrap = T2_WRAP if mode == 2 else T3_WRAP
    assert until - wrap < decoder.last_time <= until


@given(events=event_streams(), data=st.data())
@in_any_examples
def test_words_do_not_depend_on_how_the_events_are_cut(events, data):
    mode, kinds, times, *rest = events
    cut_times = sorted(data.draw(st.lists(st.integers(0, int(times.max(initial=0)) + 1), max_size=4)))
    cuts = np.searchsorted(times, cut_times)  # an instant lies whole in one block
    encoder = TttrEncoder(mode)
    blocks = zip(*(np.split(column, cuts) for column in (kinds, times, *rest)), strict=True)
    pieces = [encode(encoder, *block) for block in blocks]
    assert np.array_equal(np.concatenate(pieces), encode(TttrEncoder(mode), kinds, times, *rest))


def test_overflow_record_with_count_zero_means_one():
    assert decode([OVERFLOW, 5], V2_T3).time.tolist() == [1024 + 5]
    assert decode([OVERFLOW, 5], V2_T2).time.tolist() == [33554432 + 5]


def test_overflow_counts_of_hydraharp_v1_are_ignored():
    assert decode([OVERFLOW | 7, 5], RecordType.HYDRAHARP_V1_T3).time.tolist() == [1024 + 5]
    assert decode([OVERFLOW | 7, 5], RecordType.HYDRAHARP_V1_T2).time.tolist() == [33552000 + 5]


def test_t3_fields_stand_where_the_record_table_says():
    block = decode([1 << 25 | 15999 << 10 | 1023, SPECIAL | 5 << 25 | 12], V2_T3)
    assert (block.time.tolist(), block.dtime.tolist(), block.channel.tolist()) == ([1023], [15999], [1])
    assert (block.marker_time.tolist(), block.marker_bits.tolist()) == ([12], [5])


def test_t2_sync_events_are_no_photons():
    block = decode([SPECIAL | 100, 130], V2_T2)
    assert (block.sync_time.tolist(), block.time.tolist(), block.dtime.tolist()) == ([100], [130], [0])


def test_picoharp_records_have_their_own_layout():
    t2 = decode([0xF << 28, 1 << 28 | 9, 0xF << 28 | 0x123], RecordType.PICOHARP_300_T2)
    assert (t2.time.tolist(), t2.channel.tolist()) == ([210698240 + 9], [1])
    assert (t2.marker_time.tolist(), t2.marker_bits.tolist()) == ([210698240 + 0x120], [3])
    t3 = decode([0xF << 28, 2 << 28 | 4095 << 16 | 9, 0xF << 28 | 3 << 16 | 7], RecordType.PICOHARP_300_T3)
    assert (t3.time.tolist(), t3.dtime.tolist(), t3.channel.tolist()) == ([65536 + 9], [4095], [1])
    assert (t3.marker_time.tolist(), t3.marker_bits.tolist()) == ([65536 + 7], [3])


@pytest.mark.parametrize("code", range(16, 63))
def test_undefined_special_records_are_counted_and_skipped(code):
    block = decode([SPECIAL | code << 25 | 3, 4], V2_T3)
    assert (block.reserved_records, block.time.tolist(), len(block.marker_time)) == (1, [4], 0)


def test_a_sync_record_means_nothing_in_t3():
    assert decode([SPECIAL | 3], V2_T3).reserved_records == 1


def test_both_spellings_of_a_t2_code_are_known():
    assert RecordType.from_code(0x01010206) is RecordType.TIMEHARP_260P_T2
    with pytest.raises(ValueError, match="65536"):
        RecordType.from_code(0x00010000)


def test_a_marker_record_with_two_lines_counts_on_both():
    assert marker_line_counts(np.array([1, 1, 3, 8], np.uint8)).tolist() == [3, 1, 0, 1]


def test_words_of_another_kind_do_not_run_out_of_the_time_scale_unnoticed():
    words = np.full(5000, OVERFLOW | T2_WRAP - 1, np.uint32)
    with pytest.raises(FileFormatError, match="are not TIMEHARP_260P_T2 records"):
        TttrDecoder(V2_T2).decode(words)


def test_read_only_and_unaligned_words_decode_alike():
    words = np.array([OVERFLOW | 2, 5, 1 << 25 | 9], np.uint32)
    unaligned = np.frombuffer(b"x" + words.tobytes(), np.uint32, offset=1)
    assert same(TttrDecoder(V2_T3).decode(unaligned), TttrDecoder(V2_T3).decode(words))


EMPTY = (np.empty(0, np.int64), np.empty(0, np.uint16), np.empty(0, np.uint8), *2 * (np.empty(0, np.int64),))


def test_a_long_gap_takes_several_overflow_records_before_its_event():
    encoder = TttrEncoder(3)
    time = np.array([3000 * 1024 + 1])
    words = encoder.encode(time, np.zeros(1, np.uint16), np.zeros(1, np.uint8), *EMPTY[3:])
    assert words.tolist() == [OVERFLOW | 1023, OVERFLOW | 1023, OVERFLOW | 954, 1]


def test_an_idle_stream_tells_how_far_it_came():
    encoder = TttrEncoder(3)
    assert encoder.encode(*EMPTY, until=1023).tolist() == []
    assert encoder.encode(*EMPTY, until=5 * 1024 + 7).tolist() == [OVERFLOW | 5]
    assert encoder.encode(*EMPTY, until=6 * 1024).tolist() == [OVERFLOW | 1]


def test_sync_then_marker_then_photon_where_they_share_a_time():
    t, bits = np.array([7]), np.array([2], np.uint8)
    words = TttrEncoder(2).encode(t, None, np.array([1], np.uint8), t, bits, sync_time=t)
    assert words.tolist() == [SPECIAL | 7, SPECIAL | 2 << 25 | 7, 1 << 25 | 7]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": np.array([5, 4])}, "time must rise"),
        ({"time": np.array([-1, 4])}, "time must rise"),
        ({"marker_time": np.array([9]), "until": 8}, "marker_time must rise"),
        ({"dtime": np.array([0, 32768], np.uint16)}, "must not exceed 32767"),
        ({"dtime": np.zeros(3, np.uint16)}, "equal lengths"),
        ({"dtime": None}, "need dtime"),
        ({"channel": np.array([0, 64], np.uint8)}, "channel not 63"),
        ({"marker_bits": np.array([16], np.uint8)}, "1 to 15"),
        ({"marker_bits": np.array([0], np.uint8)}, "1 to 15"),
        ({"sync_time": np.array([1])}, "no sync events"),
    ],
)
def test_events_that_no_record_can_hold_are_refused(change, message):
    events = {
        "time": np.array([1, 2]),
        "dtime": np.zeros(2, np.uint16),
        "channel": np.zeros(2, np.uint8),
        "marker_time": np.array([1]),
        "marker_bits": np.ones(1, np.uint8),
    }
    with pytest.raises(ValueError, match=message):
        TttrEncoder(3).encode(**events | change)


def test_events_before_the_last_overflow_are_refused():
    encoder = TttrEncoder(3)
    encoder.encode(*EMPTY, until=2048)
    with pytest.raises(ValueError, match="from 2048 or later"):
        encoder.encode(np.array([2047]), np.zeros(1, np.uint16), np.zeros(1, np.uint8), *EMPTY[3:])
