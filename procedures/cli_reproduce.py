"""What `qdlab reproduce` prints: one row per quantity, the paper's value, the planted and the found one."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from .errors import RefusedError
from .record import check_folder
from .reproduce import PAPER_LIMIT, PULL_LIMIT, Row, Study, reproduce_morozov, write_rows

DISK_BYTES = 1e9
"""Roughly what all runs of a study take."""


def reproduce_and_report(paper: str, out: Path, *, quick: bool, check: bool, seed: int) -> int:
    """Run a study, print its table and write it; with `check`, 1 when a row misses."""
    if paper != "morozov":
        raise RefusedError(f"{paper!r} is not a paper that can be repeated; known: morozov")
    check_folder(out, DISK_BYTES)
    console = Console(highlight=False)
    study = Study(out, seed, quick, tell=lambda what: console.print(f"running {what}", style="dim"))
    rows = reproduce_morozov(study)
    write_rows(rows, out / "reproduced.json")
    console.print(_table(rows))
    misses = [row for row in rows if not row.agrees]
    console.print(
        f"{len(rows) - len(misses)} of {len(rows)} rows within {PULL_LIMIT:g} standard errors of what was "
        f"planted and {PAPER_LIMIT:g} standard deviations of the paper, where it gives one"
    )
    console.print(f"table: {out / 'reproduced.json'}; run files and pictures: {out}", soft_wrap=True)
    return int(check and bool(misses))


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("fig.", "quantity", "paper", "planted", "found", "pull", "paper", "how"):
        table.add_column(
            name, justify="left" if name in ("quantity", "how") else "right", no_wrap=name != "how"
        )
    for row in rows:
        table.add_row(
            row.figure,
            f"{row.quantity} ({row.unit})" if row.unit else row.quantity,
            _paper(row),
            f"{row.planted:.4g}",
            f"{row.found:.4g} ± {row.error:.2g}",
            f"{row.pull:+.1f}",
            "" if row.from_paper is None else f"{row.from_paper:+.1f} σ",
            row.estimator + ("" if row.agrees else "  MISS"),
            style=None if row.agrees else "bold red",
        )
    return table


def _paper(row: Row) -> str:
    if row.paper is None:
        return "–"
    error = f" ± {row.paper_err:g}" if row.paper_err else ""
    return f"{'<' if row.below else ''}{row.paper:g}{error}"
