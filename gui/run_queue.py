"""The queue of runs: one at a time, each in a thread of its own, and the red stop that needs none of them.

Runs go through `prepare_run` and `execute_run` as the command line's do. All signals come in the GUI thread.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy import QtCore

if TYPE_CHECKING:
    from ..procedures.rig_procedure import Progress, RigProcedure
    from ..procedures.run import PreparedRun, RunOutcome

log = logging.getLogger(__name__)

PROGRESS_MS = 100


class State(Enum):
    """Where a job stands; the values are what a person reads."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    ABORTED = "aborted"
    FAILED = "failed"


@dataclass(frozen=True)
class RunRequest:
    """What to run: an experiment file with the form's values, on a station, into a folder."""

    experiment: str
    """Path of an experiment TOML, or the name of a shipped one."""
    overrides: tuple[str, ...] = ()
    """`key=value`, exact."""
    station: str | None = None
    out: Path = Path("runs")
    seed: int | None = None
    speed: float | None = None
    title: str | None = None
    """None for the experiment file's own."""
    label: str = ""
    """What tells this run from its neighbours in the queue."""


@dataclass(eq=False)
class Job:
    """One run in the queue, with what is known of it."""

    request: RunRequest
    number: int
    state: State = State.WAITING
    message: str = ""
    """Why it failed or was aborted; one sentence."""
    path: Path | None = None
    """The run file, once written."""
    kind: str = ""
    """Kind of run, known once it is prepared."""
    plan_s: float = 0.0
    warnings: tuple[str, ...] = ()
    began_s: float = 0.0
    """`time.monotonic()` when its thread started."""
    procedure: RigProcedure | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def progress(self) -> Progress | None:
        """Where the run stands; None before it is prepared."""
        return self.procedure.progress if self.procedure else None

    @property
    def fraction(self) -> float:
        """Part of the planned time that has passed, from 0 to 1."""
        progress = self.progress
        return min(1.0, progress.elapsed_s / progress.duration_s) if progress and progress.duration_s else 0.0

    @property
    def left_s(self) -> float | None:
        """Wall time left, from the pace so far; None while that is unknown."""
        if self.fraction < 1e-3:
            return None
        return (time.monotonic() - self.began_s) * (1 / self.fraction - 1)


class RunQueue(QtCore.QObject):
    """Runs jobs in order; a failed one holds the queue or not, as `go_on_after_failure` says.

    `before_run` and `after_run` are called in the job's thread around its use of the instruments: whoever
    else holds them gives them up, and takes them back.
    """

    changed = QtCore.Signal()
    """The list, a state or the hold changed."""
    prepared = QtCore.Signal(object)
    """Job: its procedure exists and is about to connect."""
    started = QtCore.Signal(object)
    """Job: it is its turn."""
    progressed = QtCore.Signal(object)
    """Job; ten times a second."""
    ended = QtCore.Signal(object, object)
    """Job, RunOutcome: a run file was written, whatever the status."""
    failed = QtCore.Signal(object, str)
    """Job, message: refused, or failed; where there is a run file, `ended` was emitted before."""
    made_safe = QtCore.Signal(list)
    """What went wrong while the red stop made the rig safe; empty when all went well."""
    _told = QtCore.Signal(object)

    def __init__(self, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self.jobs: list[Job] = []
        self.held = False
        self.go_on_after_failure = False
        self.before_run: Callable[[], None] = lambda: None
        self.after_run: Callable[[], None] = lambda: None
        self.ask: Callable[[str], str] = lambda _question: ""
        self._numbers = itertools.count(1)
        self._threads: list[threading.Thread] = []
        self._told.connect(self._do)
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(PROGRESS_MS)
        self._timer.timeout.connect(self._tell_progress)

    # ---- what a person does ----

    def add(self, requests: RunRequest | Sequence[RunRequest]) -> list[Job]:
        """Put runs at the end; the first starts at once when nothing runs and the queue is not held."""
        if isinstance(requests, RunRequest):
            requests = [requests]
        jobs = [Job(request, next(self._numbers)) for request in requests]
        self.jobs += jobs
        self.changed.emit()
        self._next()
        return jobs

    def remove(self, job: Job) -> None:
        """Take a job that is not running off the list."""
        if job.state is not State.RUNNING and job in self.jobs:
            self.jobs.remove(job)
            self.changed.emit()

    def clear_ended(self) -> None:
        """Take all jobs that have ended off the list."""
        self.jobs = [job for job in self.jobs if job.state in (State.WAITING, State.RUNNING)]
        self.changed.emit()

    def move(self, job: Job, by: int) -> None:
        """Move a waiting job `by` places down (negative: up) among the waiting ones."""
        waiting = [j for j in self.jobs if j.state is State.WAITING]
        if job not in waiting:
            return
        old = waiting.index(job)
        waiting.insert(max(0, min(len(waiting) - 1, old + by)), waiting.pop(old))
        self.jobs = [j for j in self.jobs if j.state is not State.WAITING] + waiting
        self.changed.emit()

    def hold(self, held: bool = True) -> None:
        """Start no further run until released; the one that runs goes on."""
        self.held = held
        self.changed.emit()
        self._next()

    def abort(self) -> None:
        """End the run that goes on as aborted; the next one starts unless the queue is held."""
        if (job := self.running) is not None:
            log.info("run %d: abort", job.number)
            job.stop.set()

    def pause(self, paused: bool = True) -> None:
        """Pause the run that goes on, in the dark, where its procedure allows it; or let it go on."""
        if (job := self.running) is not None and job.procedure is not None and job.procedure.pausable:
            (job.procedure.pause if paused else job.procedure.resume)()
            self.changed.emit()

    def red_stop(self) -> threading.Thread | None:
        """Make the rig safe at once, from a thread of its own, end the run and hold the queue.

        Returns the thread that does it, None when no run holds a rig; `made_safe` tells when it is done.
        """
        self.held = True
        thread = None
        if (job := self.running) is not None:
            job.stop.set()
            thread = threading.Thread(target=self._make_safe, args=(job,), name="red stop")
            thread.start()
        log.warning("red stop")
        self.changed.emit()
        return thread

    # ---- what a person sees ----

    @property
    def running(self) -> Job | None:
        """The job whose turn it is."""
        return next((job for job in self.jobs if job.state is State.RUNNING), None)

    @property
    def waiting(self) -> list[Job]:
        """The jobs to come, in order."""
        return [job for job in self.jobs if job.state is State.WAITING]

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the threads of all runs, after `abort`; True when they have ended."""
        for thread in self._threads:
            thread.join(timeout_s)
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        return not self._threads

    # ---- inside, in the GUI thread ----

    def _next(self) -> None:
        if self.held or self.running is not None or not self.waiting:
            return
        job = self.waiting[0]
        job.state, job.began_s = State.RUNNING, time.monotonic()
        thread = threading.Thread(target=self._run, args=(job,), name=f"run {job.number}")
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()
        self._timer.start()
        self.started.emit(job)
        self.changed.emit()

    def _tell_progress(self) -> None:
        if (job := self.running) is not None:
            self.progressed.emit(job)

    def _do(self, action: Callable[[], None]) -> None:
        action()

    def _end(self, job: Job, state: State, message: str, outcome: RunOutcome | None) -> None:
        job.state, job.message = state, message
        self._timer.stop()
        if outcome is not None:
            job.path, job.warnings = outcome.path, outcome.warnings
        if state is State.FAILED and not self.go_on_after_failure and self.waiting:
            self.held = True
        log.log(
            logging.ERROR if state is State.FAILED else logging.INFO,
            "run %d %s%s", job.number, state.value, f": {message}" if message else "",
        )  # fmt: skip
        if outcome is not None:
            self.ended.emit(job, outcome)
        if state is State.FAILED:
            self.failed.emit(job, message)
        self.changed.emit()
        self._next()

    # ---- inside, in the job's thread ----

    def _tell(self, action: Callable[[], None]) -> None:
        """Have something done in the GUI thread."""
        self._told.emit(action)

    def _run(self, job: Job) -> None:
        state, message, outcome = State.FAILED, "", None
        try:
            self.before_run()
            try:
                outcome = self._execute(job)
            finally:
                self.after_run()
            state, message = State(outcome.status), outcome.reason
        except Exception as error:  # whatever it is: `_told` makes it the reason why the run failed
            state, message = _told(error, job)
        self._tell(lambda: self._end(job, state, message, outcome))

    def _execute(self, job: Job) -> RunOutcome:
        from ..procedures.errors import AbortedError
        from ..procedures.run import execute_run

        run = self._prepare(job)
        job.kind, job.plan_s = run.procedure.kind, run.plan.duration_s
        run.procedure.rig = run.rig
        job.procedure = run.procedure  # from here on the red stop reaches the rig
        if job.stop.is_set():
            run.rig.close()
            raise AbortedError("stopped before it began")
        self._tell(lambda: self.prepared.emit(job))
        return execute_run(run, lambda _procedure: None, job.stop)

    def _prepare(self, job: Job) -> PreparedRun:
        from ..procedures.run import prepare_run

        request = job.request
        run = prepare_run(
            request.experiment,
            station=request.station,
            out=request.out,
            overrides=request.overrides,
            seed=request.seed,
            speed=request.speed,
            ask=self.ask,
        )
        if request.title is None:
            return run
        return replace(run, experiment=run.experiment.model_copy(update={"title": request.title}))

    def _make_safe(self, job: Job) -> None:
        problems: list[str] = []
        if (procedure := job.procedure) is not None:
            problems = procedure.stop_now()
        for problem in problems:
            log.error("red stop: %s", problem)
        self._tell(lambda: self.made_safe.emit(problems))


def _told(error: Exception, job: Job) -> tuple[State, str]:
    """How a run ended that brought no outcome, and why."""
    from ..procedures.errors import AbortedError, QdlabError

    if isinstance(error, AbortedError):
        return State.ABORTED, str(error)
    if not isinstance(error, QdlabError | OSError):
        log.error("run %d", job.number, exc_info=error)
        return State.FAILED, f"{type(error).__name__}: {error}"
    return State.FAILED, str(error)
