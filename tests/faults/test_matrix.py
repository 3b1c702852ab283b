"""Every fault of every emulator: how it ends, what is said, the rig afterwards, what is kept of the data."""

import collections
import re

import pytest

from .matrix import PAGE, ROWS, all_sentences, page
from .scenarios import RUNS


@pytest.mark.parametrize("row", ROWS, ids=[row.fault for row in ROWS])
def test_a_fault_ends_as_the_matrix_says(row, tmp_path):
    seen = RUNS[row.run](row.fault, tmp_path)
    assert re.fullmatch(row.pattern, seen.message), seen.message
    assert (seen.ended, seen.exit_status) == (row.ended, row.exit_status)
    assert (seen.rig, seen.data) == (row.rig, row.data)
    if row.photons_s is None:
        assert seen.photons_s is None
    else:
        assert seen.photons_s is not None
        assert seen.photons_s >= row.photons_s


def test_every_fault_has_one_row_and_nothing_else_has():
    counted = collections.Counter(row.fault for row in ROWS)
    assert set(counted) == set(all_sentences())
    assert set(counted.values()) == {1}


def test_whatever_fails_says_why():
    for row in ROWS:
        if row.ended not in ("finished", "no error"):
            assert len(row.says) > 20, row.fault


def test_the_page_is_what_the_tests_compare_with(write_page):
    if write_page:
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page(), "run pytest tests/faults --write-page"
