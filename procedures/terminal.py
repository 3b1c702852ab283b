"""What the commands print."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def print_table(rows: dict[str, Any], title: str = "") -> None:
    """Print a two-column table; None shows as a dash."""
    table = Table(show_header=False, box=None, title=title or None, title_justify="left", title_style="bold")
    for key, value in rows.items():
        table.add_row(key, "–" if value is None else str(value))
    Console(highlight=False).print(table)
