"""What `qdlab reproduce` prints: one row per quantity, the paper's value, the planted and the found one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .comparison import PAPER_LIMIT, PULL_LIMIT, Row, Study, write_rows
from .errors import RefusedError
from .record import check_folder
from .reproduce import reproduce_morozov
from .reproduce_hamilton import Computed, reproduce_hamilton, write_reproduced

DISK_BYTES = 1e9
"""Roughly what all runs of a study take."""
PAPERS = ("morozov", "hamilton")
WIDTH = 170
"""Of a table that goes into a file, in characters."""
FAR_FROM_PAPER = 0.2
"""A found value that differs by more from a paper without an error is said to."""


def reproduce_and_report(paper: str, out: Path, *, quick: bool, check: bool, seed: int) -> int:
    """Run a study, print its table and write it; with `check`, 1 when a row misses."""
    if paper not in PAPERS:
        raise RefusedError(f"{paper!r} is not a paper that can be repeated; known: {', '.join(PAPERS)}")
    check_folder(out, DISK_BYTES)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    study = Study(out, seed, quick, tell=lambda what: console.print(f"running {what}", style="dim"))
    if paper == "morozov":
        rows = reproduce_morozov(study)
        write_rows(rows, out / "reproduced.json")
        console.print(_table(rows))
    else:
        rows, computed = found = reproduce_hamilton(study)
        write_reproduced(found, out / "reproduced.json")
        console.print(_table(rows))
        console.print(_ensembles(computed))
    misses = [row for row in rows if not row.agrees]
    console.print(
        f"{len(rows) - len(misses)} of {len(rows)} rows within {PULL_LIMIT:g} standard errors of what was "
        f"planted and {PAPER_LIMIT:g} standard deviations of the paper, where it gives one"
    )
    if far := [row for row in rows if abs(_relative(row) or 0.0) > FAR_FROM_PAPER]:
        console.print(
            f"not reached, by more than {FAR_FROM_PAPER:.0%}: "
            + "; ".join(f"{row.quantity} ({_relative(row):+.0%})" for row in far)
        )
    console.print(f"table: {out / 'reproduced.json'}; run files and pictures: {out}", soft_wrap=True)
    return int(check and bool(misses))


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    names = ["fig.", "quantity", "paper", "planted", "found", "pull", "paper", "how"]
    with_ensemble = any(row.ensemble is not None for row in rows)
    if with_ensemble:
        names.insert(3, "ensemble")
    for name in names:
        table.add_column(
            name, justify="left" if name in ("quantity", "how") else "right", no_wrap=name != "how"
        )
    for row in rows:
        cells = [
            row.figure,
            f"{row.quantity} ({row.unit})" if row.unit else row.quantity,
            _paper(row),
            f"{row.planted:.4g}",
            f"{row.found:.4g} ± {row.error:.2g}",
            f"{row.pull:+.1f}",
            _from_paper(row),
            row.estimator + ("" if row.agrees else "  MISS"),
        ]
        if with_ensemble:
            cells.insert(3, "" if row.ensemble is None else f"{row.ensemble:.4g}")
        table.add_row(*cells, style=None if row.agrees else "bold red")
    return table


def _ensembles(computed: Sequence[Computed]) -> Table:
    """What no scan gives."""
    table = Table(box=None, pad_edge=False)
    labels = list(computed[0].ensembles)
    for name in ("fig. 2, of the ensemble alone", "paper", *labels):
        table.add_column(name, justify="right" if name in labels else "left")
    for each in computed:
        values = (f"{each.ensembles[label]:.5g}" for label in labels)
        table.add_row(f"{each.quantity} ({each.unit})" if each.unit else each.quantity, each.paper, *values)
    return table


def _paper(row: Row) -> str:
    if row.paper is None:
        return "–"
    error = f" ± {row.paper_err:g}" if row.paper_err else ""
    return f"{'<' if row.below else ''}{row.paper:g}{error}"


def _from_paper(row: Row) -> str:
    if row.from_paper is not None:
        return f"{row.from_paper:+.1f} σ"
    relative = _relative(row)
    return "" if relative is None else f"{relative:+.0%}"


def _relative(row: Row) -> float | None:
    """Found over the paper's, less one; None where the paper gives an error, or nothing."""
    if not row.paper or row.paper_err is not None:
        return None
    return row.found / row.paper - 1
