"""What every repeated paper shares: runs of shipped experiments, and rows of paper, planted and found."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..formats.run_file import read_run_file
from .analyses import analyze_run
from .errors import QdlabError
from .run import execute_run, prepare_run

PULL_LIMIT = 3.0
"""A found value may lie so many of its standard errors from the planted one."""
PAPER_LIMIT = 2.0
"""And so many combined standard deviations from the paper's."""


@dataclass(frozen=True)
class Row:
    """One quantity of the paper: what it says, what was planted, what was found, and how."""

    figure: str
    quantity: str
    unit: str
    paper: float | None
    paper_err: float | None
    """None where the paper gives none: shown, not checked."""
    planted: float
    found: float
    error: float
    estimator: str
    below: bool = False
    """The paper only says that the quantity is below `paper`."""
    chain_error: float | None = None
    """Error of found minus planted, where doubts about the model are common to both; else `error`."""
    ensemble: float | None = None
    """The same of the whole ensemble, where that is another quantity than what the estimator makes."""

    @property
    def pull(self) -> float:
        """Found minus planted, in standard errors."""
        return (self.found - self.planted) / (self.error if self.chain_error is None else self.chain_error)

    @property
    def from_paper(self) -> float | None:
        """Found minus the paper's, in combined standard deviations; None where the paper gives no error."""
        if self.paper is None or self.paper_err is None:
            return None
        deviation = (self.found - self.paper) / math.hypot(self.error, self.paper_err)
        return max(0.0, deviation) if self.below else deviation

    @property
    def agrees(self) -> bool:
        """Whether it is within both limits; a value that was not found does not agree."""
        near_paper = self.from_paper is None or abs(self.from_paper) <= PAPER_LIMIT
        return bool(math.isfinite(self.pull) and abs(self.pull) <= PULL_LIMIT and near_paper)


@dataclass(frozen=True)
class Study:
    """Where the runs go, how long they are, and who watches."""

    out: Path
    seed: int
    quick: bool
    tell: Callable[[str], None]
    station: str | None = None
    """Another station file than the experiments name."""

    def record(self, experiment: str, sample: str, **parameters: object) -> Path:
        """One run of a shipped experiment; returns its run file."""
        self.tell(f"{experiment} on {sample}")
        run = prepare_run(
            experiment,
            station=self.station,
            out=self.out,
            overrides=[f"{key}={value}" for key, value in parameters.items()],
            seed=self.seed,
            speed=math.inf,
            sample=sample,
        )
        outcome = execute_run(run, lambda procedure: None, threading.Event())
        if outcome.status != "finished":
            raise QdlabError(f"{experiment} on {sample} ended as {outcome.status}: {outcome.reason}")
        return outcome.path

    def run(self, experiment: str, sample: str, **parameters: object) -> Any:
        """One run, analyzed and drawn by the ordinary analysis; returns (run file, analysis)."""
        path = self.record(experiment, sample, **parameters)
        analysis = analyze_run(read_run_file(path))
        analysis.draw(path.with_suffix(".png"))
        return path, analysis

    def seconds(self, whole: float) -> float:
        """A duration, a third of it when in a hurry."""
        return round(whole / 3) if self.quick else whole


def told(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """All rows, with what follows from them, for a JSON file."""
    return [
        {**asdict(row), "pull": row.pull, "from_paper": row.from_paper, "agrees": row.agrees} for row in rows
    ]


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write all rows as JSON."""
    path.write_text(json.dumps(told(rows), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
