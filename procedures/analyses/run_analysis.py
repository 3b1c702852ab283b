"""What the analyses of all kinds of run share: the picture's title, tables and notes as they are printed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from numpy.typing import NDArray

from ...formats.run_file import RunFile

if TYPE_CHECKING:
    from rich.console import Console


class RunAnalysis(ABC):
    """What every kind of run offers once analyzed."""

    def __init__(self, run: RunFile) -> None:
        self._run = run

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """The results as one JSON object."""

    @abstractmethod
    def print(self, console: Console) -> None:
        """Print the results as a short table."""

    @abstractmethod
    def draw(self, path: Path) -> None:
        """Draw the results into a picture."""

    @abstractmethod
    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """The results as named tables of columns."""

    @property
    def title(self) -> str:
        """The title of the run's picture."""
        header = self._run.header
        return header["title"] + (" [SIMULATED]" if header["simulated"] else "")

    @property
    def title_and_end(self) -> str:
        """The title, and how the run ended where it was not finished."""
        return self.title + ("" if self._run.status == "finished" else f" – run {self._run.status}")

    @property
    def reference_electrode(self) -> str:
        """What the station's potentials are against."""
        return self._run.header["station"]["station"]["reference_electrode"]


class Result(Protocol):
    """What the analysis of photons gives for any kind of run."""

    @property
    def warnings(self) -> Sequence[str]:
        """What to be careful about."""
        ...

    def summary(self) -> dict[str, Any]:
        """The results as one JSON object."""
        ...


ResultT = TypeVar("ResultT", bound=Result)


class ResultAnalysis(RunAnalysis, Generic[ResultT]):
    """An analysis with one `result`, printed as rows of a name and what was found, and its warnings."""

    result: ResultT

    def summary(self) -> dict[str, Any]:
        """The results as one JSON object."""
        return self.result.summary()

    @abstractmethod
    def rows(self) -> Iterable[tuple[str, str]]:
        """The rows of the printed table."""

    def print(self, console: Console) -> None:
        """Print the results as a short table, with what to be careful about."""
        from rich.table import Table

        table = Table(show_header=False, box=None, pad_edge=False)
        for row in self.rows():
            table.add_row(*row)
        console.print(table)
        print_notes(console, self.result.warnings)


def print_notes(console: Console, notes: Iterable[str]) -> None:
    """Print what to be careful about, a line each."""
    for note in notes:
        console.print(f"note: {note}")
