import json
import os
from pathlib import Path

import numpy as np
import pytest

from qdlab.analysis.chi_summary import summarize_chi
from qdlab.formats.chi_bin import unrounded
from qdlab.formats.chi_text import parse_chi_text, read_chi_text
from qdlab.formats.errors import FileFormatError

SHARED = (
    Path(os.environ.get("QDLAB_SHARED_DATA", Path(__file__).parents[2].parent / "shared" / "data")) / "chi"
)
REAL_FILES = [
    "cv_chi760e_fcmeoh_1mM_100mVs.txt",
    "cv_chi760e_overload_200mVs.txt",
    "it_chi760e_mix1.txt",
    "ocpt_chi760e_mix1.txt",
    "cv_chi760e_6seg_last2.txt",
    "lsv_chi760e.txt",
    "cv_chi760e_bipot_irc.txt",
    "it_chi760d_charge_stopped.txt",
    "step_chi760d_charge.txt",
    "cv_chi601d_nonaq_-2.5V.txt",
    "ca_chi620e_overload.csv",
    "dpv_chi1040c_tab.txt",
]

MEMO = """Sept. 3, 2024   09:05:07
Cyclic Voltammetry
File: c:\\lab\\r001.bin
Data Source:  Experiment
Instrument Model:  CHI760C
Header: cv r001
Note: """
CV_PARAMETERS = """Init E (V) = 0
High E (V) = 0.005
Low E (V) = 0
Init P/N = P
Scan Rate (V/s) = 0.1
Segment = 2
Sample Interval (V) = 0.001
Quiet Time (sec) = 2
Sensitivity (A/V) = 1e-6"""
LABELS_V = [0.0, 0.001, 0.002, 0.003, 0.004, 0.005, 0.004, 0.003, 0.002, 0.001]
CURRENTS_A = [1e-6, 2e-6, 3e-6, 4e-6, 9.985e-6, 1.008e-5, -9.991e-6, -3e-6, -2e-6, -1e-6]


def cv_rows(separator=", "):
    return [f"{e:.3f}{separator}{i:.3e}" for e, i in zip(LABELS_V, CURRENTS_A, strict=True)]


def cv_text(parts=(MEMO, CV_PARAMETERS), columns="Potential/V, Current/A", rows=None, end="\r\n"):
    blocks = [*parts, columns, "\n".join(cv_rows() if rows is None else rows)]
    return ("\n\n".join(blocks) + "\n").replace("\n", end).encode("latin-1")


def real_file(name):
    if not (SHARED / name).exists():
        pytest.skip(f"{name} is not in {SHARED}; set QDLAB_SHARED_DATA to the folder of real recordings")
    return SHARED / name


@pytest.mark.parametrize("name", REAL_FILES)
def test_a_real_export_gives_its_expected_values(name):
    expected = json.loads(real_file("expected.json").read_text())[name]
    text = read_chi_text(real_file(name))
    summary = summarize_chi(text)
    for key in ("technique", "date", "model", "columns", "points"):
        assert summary[key] == expected[key]
    assert summary["parameters"] == expected["params"]
    assert text.line_end == expected["line_end"]
    assert [number for number, _ in text.segment_markers] == expected["segment_markers_in_data"]
    assert summary["scan_rate_v_s"] == expected.get("scan_rate_V_s")
    if "points_at_or_above_10x_sens" in expected:
        assert summary["overload_points"] == expected["points_at_or_above_10x_sens"]
    for end in ("first", "last"):
        if f"{end}_potential_V" in expected:
            assert summary[f"{end}_potential_v"] == expected[f"{end}_potential_V"]
    current = expected.get("Current", expected.get("i1"))
    if current is None:
        assert summary["current_a"] is None
    else:
        wanted = {key: current[key] for key in ("first", "last", "max", "min", "mean")}
        assert summary["current_a"] == pytest.approx(wanted, rel=1e-9)
    json.dumps(summary, allow_nan=False)


@pytest.mark.parametrize("name", REAL_FILES)
def test_a_real_export_keeps_the_peaks_that_the_program_found(name):
    expected = json.loads(real_file("expected.json").read_text())[name]["peaks"]
    found: dict[str, list[list[str]]] = {}
    for segment in read_chi_text(real_file(name)).segments:
        if segment.results:
            found.setdefault(str(segment.number), []).extend([list(r) for r in segment.results])
    assert found == expected


@pytest.mark.parametrize("name", REAL_FILES)
def test_only_stopped_and_partly_exported_real_files_are_incomplete(name):
    partial = {"cv_chi760e_6seg_last2.txt", "it_chi760d_charge_stopped.txt", "step_chi760d_charge.txt"}
    assert read_chi_text(real_file(name)).complete is (name not in partial)


def test_time_of_a_last_segments_export_counts_from_the_start_of_the_run():
    text = read_chi_text(real_file("cv_chi760e_6seg_last2.txt"))
    assert text.time_s is not None
    assert text.time_s[0] == pytest.approx((4 * 700 + 1) * 0.001 / 0.04)


@pytest.mark.parametrize("name", ["cv_chi760e_fcmeoh_1mM_100mVs", "it_chi760e_mix1"])
def test_the_bin_of_a_real_run_undoes_the_rounding(name):
    printed = read_chi_text(real_file(f"{name}.txt")).data[:, 1]
    raw = real_file(f"{name}.bin").read_bytes()
    values = unrounded(raw, printed)
    assert values is not None
    assert np.any(values != printed)
    np.testing.assert_allclose(values, printed, rtol=6e-4)
    shifted = np.roll(printed, 1)
    assert unrounded(raw, shifted) is None


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("separator", [", ", "\t", "  "])
def test_line_ends_and_separators_do_not_matter(end, separator):
    raw = cv_text(columns=f"Potential/V{separator}Current/A", rows=cv_rows(separator), end=end)
    text = parse_chi_text(raw, "r001.txt")
    assert text.technique == "Cyclic Voltammetry"
    assert text.date is not None
    assert text.date.isoformat() == "2024-09-03T09:05:07"
    assert text.header == "cv r001"
    assert text.columns == ("Potential/V", "Current/A")
    np.testing.assert_array_equal(text.data, np.column_stack([LABELS_V, CURRENTS_A]))
    assert text.complete
    assert text.time_s == pytest.approx(0.01 * np.arange(1, 11))


def test_an_export_without_memo_and_parameters_still_reads():
    text = parse_chi_text(cv_text(parts=()).lstrip(), "bare.txt")
    assert len(text.data) == 10
    assert text.technique is None
    assert text.time_s is None
    assert "memo" in text.warnings[0]
    summary = summarize_chi(text)
    assert summary["date"] is None
    assert summary["overload_points"] is None


def test_segment_lines_inside_the_data_mark_rows():
    charge = [f"{row}, 1.000e-9, {0.01 * (k + 1):.3e}" for k, row in enumerate(cv_rows())]
    rows = ["Segment 1:", *charge[:5], "", "Segment 2:", *charge[5:]]
    text = parse_chi_text(cv_text(columns="Potential/V, Current/A, Charge/C, Time/s", rows=rows), "r.txt")
    assert text.segment_markers == ((1, 0), (2, 5))
    assert text.data.shape == (10, 4)
    assert not text.warnings[1:]  # the clipped points only
    assert text.complete


def test_overload_is_flagged_though_the_file_does_not_say_it():
    text = parse_chi_text(cv_text(), "r.txt")
    assert text.overload.nonzero()[0].tolist() == [5, 6]
    assert "2 of 10 points are at the limit" in text.warnings[0]
    assert summarize_chi(text)["overload_points"] == 1


def test_polarity_has_to_be_said():
    text = parse_chi_text(cv_text(), "r.txt")
    np.testing.assert_array_equal(text.current_a("anodic_positive"), CURRENTS_A)
    np.testing.assert_array_equal(text.current_a("cathodic_positive"), -np.array(CURRENTS_A))
    with pytest.raises(ValueError, match="anodic"):
        text.current_a("positive")  # pyright: ignore[reportArgumentType]


def test_the_second_current_has_its_own_range():
    parameters = CV_PARAMETERS + "\n2nd E (V) = 0.1\nSens 2 (A/V) = 1e-9"
    rows = [f"{e:.3f}, 1.000e-7, {1.003e-8 if k == 3 else 1e-10:.3e}" for k, e in enumerate(LABELS_V)]
    text = parse_chi_text(
        cv_text(parts=(MEMO, parameters), columns="Potential/V, i1/A, i2/A", rows=rows), "bipot.txt"
    )
    assert text.overload.nonzero()[0].tolist() == [3]


@pytest.mark.parametrize("cut", [1, 4, 8, 12])
def test_a_file_cut_inside_a_row_gives_the_rows_before_it(cut):
    raw = cv_text()[: -cut - 2]
    text = parse_chi_text(raw, "cut.txt")
    assert len(text.data) == 9
    assert not text.complete
    assert any("ends inside line" in warning for warning in text.warnings)


def test_a_cut_number_is_never_taken_for_a_whole_one():
    raw = cv_text().rstrip()[: -len("00e-6")]  # -1.000e-6 became -1.0
    assert np.abs(parse_chi_text(raw, "cut.txt").data[:, 1]).max() < 1e-4


def test_a_run_whose_interval_was_doubled_gets_its_true_times():
    parameters = "Init E (V) = 0\nSample Interval (s) = 0.1\nRun Time (sec) = 4\nSensitivity (A/V) = 1e-6"
    memo = MEMO.replace("Cyclic Voltammetry", "Amperometric i-t Curve")
    rows = [f"{0.2 * k:.3e}, 1.000e-8" for k in range(1, 21)]
    text = parse_chi_text(
        cv_text(parts=(memo, parameters), columns="Time/sec, Current/A", rows=rows), "it.txt"
    )
    assert text.row_interval_s == pytest.approx(0.2)
    assert text.time_s == pytest.approx(0.2 * np.arange(1, 21))
    assert text.complete
    assert "raised the row interval" in text.warnings[0]


def test_long_times_are_rebuilt_from_the_row_index():
    parameters = "Init E (V) = 0\nSample Interval (s) = 0.5\nRun Time (sec) = 2e+3\nSensitivity (A/V) = 1e-6"
    memo = MEMO.replace("Cyclic Voltammetry", "Amperometric i-t Curve")
    rows = [f"{0.5 * k:.3e}, 1.000e-8" for k in range(1, 4001)]
    text = parse_chi_text(
        cv_text(parts=(memo, parameters), columns="Time/sec, Current/A", rows=rows), "it.txt"
    )
    assert text.time_s is not None
    assert np.all(np.diff(text.time_s) == 0.5)
    assert text.complete


def test_lines_that_fit_nothing_are_reported():
    text = parse_chi_text(cv_text(parts=(MEMO, CV_PARAMETERS, "A line of some later version")), "r.txt")
    assert "line 19 was not understood" in text.warnings[0]


def test_a_note_may_have_several_lines():
    memo = MEMO + "first\nsecond line"
    assert parse_chi_text(cv_text(parts=(memo, CV_PARAMETERS)), "r.txt").note == "first\nsecond line"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "is empty"),
        (b"\r\n \r\n", "is empty"),
        (b"\x80\xf2\x1d\x00\x02\x00\x00\x00CV", "binary"),
        (b"photons,1,2\n3,4,5\n", "no CHI text export"),
        (cv_text()[:180], "ends before its data"),
        (cv_text(rows=[*cv_rows()[:3], "0.004, overflow", *cv_rows()[4:]]), "line 24: .* not a row"),
        (cv_text(rows=[*cv_rows()[:3], "0.004", *cv_rows()[4:]]), "1 values where 2 columns"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_gets_one_sentence(raw, message):
    with pytest.raises(FileFormatError, match=message) as caught:
        parse_chi_text(raw, "bad.txt")
    assert str(caught.value).startswith("bad.txt")
    assert "\n" not in str(caught.value)
