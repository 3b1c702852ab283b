"""`qdlab reproduce`: what a row says, and that the study holds together."""

import json
import math

import pytest

from qdlab.procedures.comparison import Row, Study, write_rows
from qdlab.procedures.reproduce import swept_rows


def row(found: float, *, planted=100.0, error=1.0, paper=None, paper_err=None, below=False) -> Row:
    return Row("1", "quantity", "ns", paper, paper_err, planted, found, error, "how", below)


def test_a_row_agrees_when_it_is_near_the_planted_value():
    assert row(102.9).agrees
    assert not row(103.1).agrees
    assert not row(math.nan).agrees


def test_a_row_far_from_the_paper_is_a_miss_even_when_the_analysis_is_right():
    assert row(100.0, paper=110.0, paper_err=6.0).agrees
    assert not row(100.0, paper=120.0, paper_err=6.0).agrees


def test_an_upper_bound_is_only_missed_from_above():
    assert row(0.3, planted=0.3, error=0.02, paper=0.5, paper_err=0.0, below=True).agrees
    assert not row(0.6, planted=0.6, error=0.02, paper=0.5, paper_err=0.0, below=True).agrees


def test_a_paper_without_an_error_is_shown_and_not_checked():
    assert row(100.0, paper=500.0).from_paper is None
    assert row(100.0, paper=500.0).agrees


def test_the_rows_of_a_sweep_name_estimator_and_background(tmp_path):
    study = Study(tmp_path, seed=2, quick=True, tell=lambda what: None)
    rows = list(swept_rows(study, "batch_2"))
    assert [r.quantity for r in rows] == [
        "enhancement of the sweep, batch 2",
        "intensity drop of the sweep, batch 2",
    ]
    assert all(abs(r.pull) < 4 for r in rows)
    assert "background" in rows[1].estimator
    write_rows(rows, tmp_path / "rows.json")
    assert json.loads((tmp_path / "rows.json").read_text())[0]["paper"] == 210.0


def test_an_unknown_paper_is_refused(qdlab, tmp_path):
    ended = qdlab("reproduce", "einstein", "--out", tmp_path)
    assert ended.status == 2
    assert "morozov" in ended.sentence


@pytest.mark.slow
def test_the_quick_study_agrees_with_paper_and_plan(qdlab, tmp_path):
    ended = qdlab("reproduce", "morozov", "--quick", "--check", "--out", tmp_path)
    assert ended.status == 0, ended.out
