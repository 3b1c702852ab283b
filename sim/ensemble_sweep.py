"""Ensembles of many sizes and dispersions, and ensembles too large for one go: on all cores, or on a cluster.

The same work runs in processes of this machine or on the workers of a dask.distributed scheduler whose
address is given. A sweep keeps one small file per point, so it can be stopped and taken up again.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .physics._response_problem import cores
from .physics.dimer_ensemble import quasi_homodimers
from .physics.dimer_truth import dephasing_truth
from .physics.reference_response import Conditions
from .physics.response_engine import Responses, rephasing_and_nonrephasing

PART = 4000
"""A large response is the mean over parts of at most so many dimers."""

Numbers = dict[str, float]


class SweepPoint(NamedTuple):
    """One ensemble of a sweep."""

    mean_nm: float
    dispersion: float
    """Standard deviation of the diameters over their mean."""
    dimers: int = 4000
    seed: int = 1

    @property
    def file_name(self) -> str:
        """Name of the file that keeps the point's numbers."""
        return f"{self.mean_nm!r}nm_{self.dispersion!r}_{self.dimers}_{self.seed}.json"


def planted(point: SweepPoint) -> Numbers:
    """Compute `dephasing_truth` of the ensemble: what the ensembles of a paper are compared by."""
    return dephasing_truth(quasi_homodimers(point.mean_nm, point.dispersion, point.dimers, seed=point.seed))


def sweep(
    points: Iterable[SweepPoint],
    folder: Path,
    *,
    evaluate: Callable[[SweepPoint], Numbers] = planted,
    processes: int | None = None,
    scheduler: str | None = None,
) -> list[Numbers]:
    """Evaluate every point that has no file in `folder` yet; return the numbers of all, in order.

    `processes` is the number of cores by default; `scheduler` is the address of a dask.distributed scheduler.
    A folder belongs to one `evaluate`. Raises ImportError without dask where a scheduler is given, and what
    `evaluate` raises; points that are done by then are kept.
    """
    wanted = list(points)
    folder.mkdir(parents=True, exist_ok=True)
    found = {point: numbers for point in wanted if (numbers := _read(folder / point.file_name, point))}
    missing = [point for point in dict.fromkeys(wanted) if point not in found]
    if missing:
        with _workers(min(processes or cores(), len(missing)), scheduler) as run:
            for point, numbers in run(evaluate, missing):
                _write(folder / point.file_name, point, numbers)
                found[point] = numbers
    return [found[point] for point in wanted]


def large_response(
    ensemble: SweepPoint,
    t1_fs: ArrayLike,
    t2_fs: ArrayLike,
    t3_fs: ArrayLike,
    conditions: Conditions | None = None,
    *,
    processes: int | None = None,
    scheduler: str | None = None,
) -> Responses:
    """Compute `rephasing_and_nonrephasing` of an ensemble of any number of dimers, in parts of `PART`.

    Workers as for `sweep`. The parts have random streams of their own, so this is not the ensemble that
    `quasi_homodimers` draws at once. Raises what `rephasing_and_nonrephasing` raises.
    """
    number = -(-ensemble.dimers // PART)
    seeds = np.random.SeedSequence(ensemble.seed).generate_state(number)
    sizes = [len(part) for part in np.array_split(np.arange(ensemble.dimers), number)]
    parts = [ensemble._replace(dimers=size, seed=int(s)) for size, s in zip(sizes, seeds, strict=True)]
    task = _Part(np.asarray(t1_fs), np.asarray(t2_fs), np.asarray(t3_fs), conditions)
    total: list[NDArray[np.complex64]] = []
    with _workers(min(processes or cores(), number), scheduler) as run:
        for part, signals in run(task, parts):
            weighted = [signal * np.float32(part.dimers / ensemble.dimers) for signal in signals]
            total = [a + b for a, b in zip(total, weighted, strict=True)] if total else weighted
    return Responses(*total)


class _Part(NamedTuple):
    """Response of a part, on one thread."""

    t1_fs: NDArray
    t2_fs: NDArray
    t3_fs: NDArray
    conditions: Conditions | None

    def __call__(self, part: SweepPoint) -> Responses:
        ensemble = quasi_homodimers(part.mean_nm, part.dispersion, part.dimers, seed=part.seed)
        return rephasing_and_nonrephasing(ensemble, *self, threads=1)


@contextmanager
def _workers(processes: int, scheduler: str | None) -> Iterator[Callable]:
    """Give a function that calls another for every point and yields (point, result) as they come."""
    executor: Executor
    if scheduler is None:
        executor = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
        close, completed = executor.shutdown, as_completed
    else:
        try:
            from distributed import Client  # pyright: ignore[reportMissingImports]  # the extra dask
        except ImportError:
            raise ImportError(
                f"the scheduler {scheduler} needs dask.distributed: pip install qdlab[dask]"
            ) from None
        client = Client(scheduler, set_as_default=False)
        executor, close, completed = client.get_executor(pure=False), client.close, as_completed

    def run(work: Callable, points: Sequence[SweepPoint]) -> Iterator[tuple[SweepPoint, object]]:
        tasks: dict[Future, SweepPoint] = {executor.submit(work, point): point for point in points}
        try:
            for task in completed(tasks):
                yield tasks[task], task.result()
        finally:
            for task in tasks:
                task.cancel()

    try:
        yield run
    finally:
        close()


def _read(path: Path, point: SweepPoint) -> Numbers | None:
    """Numbers of a point that is done; None where there is no file, or a broken one."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return stored["numbers"] if stored["point"] == list(point) else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, point: SweepPoint, numbers: Numbers) -> None:
    """Write a file that is there as a whole or not at all."""
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8"
    ) as file:
        json.dump({"point": list(point), "numbers": numbers}, file, indent=1)
    os.replace(file.name, path)
