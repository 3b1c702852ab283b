"""What `qdlab run` prints: the plan, the progress with the time left, the results, the paths."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from .run import RunOutcome, execute_run, prepare_run

if TYPE_CHECKING:
    from .rig_procedure import RigProcedure
    from .run import PreparedRun


def run_and_report(
    experiment: str,
    *,
    station: str | None,
    out: Path,
    overrides: Sequence[str],
    seed: int | None,
    speed: float | None,
    faults: Sequence[str],
    override: str | None = None,
) -> int:
    """Run an experiment and print what a person wants to know; returns the exit status."""
    console = Console(highlight=False)
    run = prepare_run(
        experiment,
        station=station,
        out=out,
        overrides=overrides,
        seed=seed,
        speed=speed,
        faults=faults,
        ask=_ask_operator,
        override=override,
    )
    _print_plan(console, run)
    outcome = _run_with_progress(console, run)
    if outcome.status != "finished":
        print(f"qdlab: run {outcome.status}: {outcome.reason}", file=sys.stderr)
    for warning in outcome.warnings:
        print(f"qdlab: warning: {warning}", file=sys.stderr)
    _report(console, outcome)
    console.print(str(outcome.path), soft_wrap=True)
    return outcome.exit_status


def _print_plan(console: Console, run: PreparedRun) -> None:
    station = run.station.file.station.name + (" [SIMULATED]" if run.station.simulated else "")
    console.print(f"[bold]{type(run.procedure).__name__}[/bold] on {station}: {run.plan.sentence}")
    console.print(
        f"about {_duration(run.plan.duration_s)} of rig time, "
        + (f"{run.plan.photons / 1e6:.1f} M photons, " if run.plan.photons else "")
        + f"{decimal(round(run.plan.disk_bytes), precision=1)} in {run.out}"
    )


def _run_with_progress(console: Console, run: PreparedRun) -> RunOutcome:
    bar = Progress(
        TextColumn("{task.fields[phase]:10}", table_column=Column(no_wrap=True)),
        BarColumn(12),
        TextColumn("{task.percentage:3.0f} %  {task.fields[told]}", table_column=Column(no_wrap=True)),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bar.add_task("run", total=1.0, phase="connecting", told="")
    began = time.monotonic()

    def watch(procedure: RigProcedure) -> None:
        p = procedure.progress
        if p.duration_s:
            fraction = p.elapsed_s / p.duration_s
            left_s = (time.monotonic() - began) * (1 / max(fraction, 1e-3) - 1)
            told = f"{_duration(left_s)} left {p.told}"
            bar.update(task, completed=fraction, phase=p.phase, told=told)

    with bar, _stopping_on_signals(run.procedure) as stop:
        return execute_run(run, watch, stop)


@contextmanager
def _stopping_on_signals(procedure: RigProcedure) -> Iterator[threading.Event]:
    """An event that is set where Ctrl-C, a termination or a closed terminal would end the program.

    The second time the rig is made safe at once, from a thread of its own, whatever the run is doing.
    """
    stop = threading.Event()

    def end(*_: object) -> None:
        if stop.is_set():
            threading.Thread(target=procedure.stop_now, name="red stop", daemon=True).start()
        stop.set()

    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    handlers = {number: signal.signal(number, end) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _report(console: Console, outcome: RunOutcome) -> None:
    """Analyze what was recorded, whatever the status; print the table and draw the quick look."""
    from ..formats.errors import FileFormatError
    from ..formats.run_file import read_run_file
    from .analyses import analyze_run

    run = read_run_file(outcome.path)
    if run.photons is not None and not run.photons.n_photons:
        console.print("no photons were recorded: nothing to analyze")
        return
    try:
        result = analyze_run(run)
    except FileFormatError as error:
        console.print(f"nothing to analyze: {error}", soft_wrap=True)
        return
    result.print(console)
    picture = outcome.path.with_suffix(".png")
    result.draw(picture)
    console.print(f"picture: {picture}", soft_wrap=True)
    console.print("run file:")


def _ask_operator(question: str) -> str:
    if not sys.stdin.isatty():
        return ""
    return input(f"{question} ")


def _duration(seconds: float) -> str:
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {s:02d} s" if minutes else f"{s} s"
