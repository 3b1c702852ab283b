"""The base of every procedure: preflight before anything moves, and a safe rig whatever ends the run."""

from __future__ import annotations

import logging
import math
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pymeasure.experiment import Procedure

from ..instruments.base import InstrumentError
from ..instruments.potentiostat import Technique
from ..instruments.pulsed_laser import LaserLock
from .errors import AbortedError, InterlockError, QdlabError
from .interlocks import SHAPER, Action, Interlock
from .record import RunRecord
from .rig import Rig

log = logging.getLogger(__name__)
_CELL = re.compile(r'[^,;"\r\n]*')

POLL_S = 0.1
"""How often a waiting procedure looks at the rig, in seconds of its clock."""
LONGEST_PAUSE_S = 600.0
"""An interlock that has not cleared after this long ends the run; the operator may take longer."""
OPERATOR, RED_STOP = "stopped by the operator", "the red stop made the rig safe"


@dataclass(frozen=True)
class Plan:
    """What a run will take, known before it starts."""

    duration_s: float
    disk_bytes: float
    photons: float
    sentence: str
    spot_s: float | None = None
    """Light on one spot; None: for the whole duration."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands, for whoever shows it."""

    elapsed_s: float = 0.0
    duration_s: float = 0.0
    phase: str = ""
    told: str = ""
    """What else a person wants to know, in a few words."""
    photons: int = 0
    rate_hz: float = 0.0
    potential_v: float | None = None
    confirmed_words: int = 0
    confirmed_records: int = 0
    paused: str = ""
    """Why the run is paused, or that it will be at its next checkpoint; empty when it goes on."""


class RigProcedure(Procedure):
    """A procedure on a rig; subclasses write `preflight` and `perform`, and may `fetch` as time passes.

    Whoever runs it sets `rig` and `record` first (see `procedures.run`). Any end (finished, aborted,
    failed) leaves the rig safe and the record closed; `status_name`, `status_reason` and `error` tell
    which it was.
    """

    kind = ""
    """The kind of run, as run files and JSON results name it."""

    needs: ClassVar[tuple[str, ...]] = ()
    """Roles of the instruments that it cannot do without; a station that lacks one is refused."""

    interlocks: ClassVar[tuple[Interlock, ...]] = (SHAPER,)
    """What ends or pauses the run by itself."""

    pausable: ClassVar[bool] = False
    """Whether it has checkpoints: places where nothing is applied and a pause does no harm."""

    rig: Rig
    record: RunRecord
    progress = Progress()
    status_name = "running"
    status_reason = ""
    error: BaseException | None = None
    rig_is_safe = False
    """True when the end of the run has left every instrument safe."""

    _stopped_now = False
    _began_s = 0.0
    _told_percent = -1

    def __init__(self, **parameters: Any) -> None:
        self._pause = threading.Event()
        self._resume = threading.Event()
        self._tripped: dict[str, str] = {}
        self._problems: list[str] = []
        super().__init__()
        self.set_parameters(parameters)

    def preflight(self, rig: Rig) -> Plan:
        """Check the whole plan against the rig and estimate it; nothing is connected yet.

        Raises RefusedError or OutOfRangeError naming what is refused.
        """
        raise NotImplementedError(f"{type(self).__name__} must write preflight()")

    def program(self) -> Sequence[Technique]:
        """What the potentiostat will do; nothing where it is not used."""
        return ()

    def perform(self) -> None:
        """The experiment itself; wait with `wait`, which keeps the record going and ends on abort."""
        raise NotImplementedError(f"{type(self).__name__} must write perform()")

    # ---- pymeasure's life of a procedure ----

    def startup(self) -> None:
        """Connect every instrument and note who answered."""
        with self._noting_failure():
            self._plan = self.preflight(self.rig)
            self._began_s = self.rig.clock.now()
            self.prepare_record()
            identities = {}
            for role, device in self.rig.devices():
                identity = device.connect()
                identities[role] = str(identity)
                self.record.header["simulated"] = self.record.header.get("simulated") or identity.simulated
                self.note(f"{role}: {identities[role]}")
            self.record.header["instruments"] = identities
            self.record.write_header()

    def execute(self) -> None:
        """Perform the experiment; an abort is an end, not an error, and so is what `stop_now` broke."""
        try:
            with self._noting_failure():
                self._perform()
        except Exception:
            if not self._stopped_now:
                raise
            log.info("ended by the red stop", exc_info=True)
        if self._stopped_now and self.status_name != "finished":
            self._end("aborted", RED_STOP, AbortedError(RED_STOP))

    def _perform(self) -> None:
        try:
            self.perform()
        except AbortedError as end:
            self._end("aborted", str(end), end)
        except InstrumentError as error:
            for interlock in self.interlocks:
                if interlock.error is not None and isinstance(error, interlock.error):
                    raise self._interlocked(interlock, str(error)) from error
            raise
        else:
            self._end("finished", "")

    def shutdown(self) -> None:
        """Make the rig safe, fetch what instruments still hold, and close the record. Never raises."""
        unsafe = self.rig.make_safe()
        problems = [*self._problems, *unsafe]
        problems += _attempt("recording", self.finish_recording)
        if self.status_name != "finished":
            problems += _attempt("record", lambda: self.record.keep_leftovers(Path(self.rig.work.name)))
        problems += _attempt("record", self._store_settings)
        unsafe = self.rig.close()  # which makes safe once more
        problems += unsafe
        self.rig_is_safe = not unsafe
        if self.status_name == "running":
            self._end("aborted", "stopped before the experiment began", AbortedError("stopped"))
        self._fail_with(problems)
        self._fail_with(_attempt("record", lambda: self.record.finish(self.status_name, self.status_reason)))

    # ---- what an operator does, from any thread ----

    def pause(self) -> None:
        """Pause at the next checkpoint, in the dark, until `resume`; see `pausable`."""
        self._resume.clear()
        self._pause.set()

    def resume(self) -> None:
        """Go on, or do not pause at all."""
        self._pause.clear()
        self._resume.set()

    def stop_now(self) -> list[str]:
        """Make the rig safe at once; the run ends as aborted, whatever that breaks in it.

        Returns what went wrong, one sentence each, and never raises.
        """
        self._stopped_now = True
        return self.rig.make_safe()

    # ---- what subclasses record ----

    def prepare_record(self) -> None:
        """Make what the procedure records with; nothing is connected yet."""

    def fetch(self) -> None:
        """Fetch and store what instruments have measured, and watch the rig's limits; called at every poll.

        Raises InterlockError past a limit of the rig, and InstrumentError when an instrument lost something.
        """

    def finish_recording(self) -> None:
        """Store what instruments still hold; called once the rig is safe, whatever happened before."""

    def measured(self) -> Progress:
        """What was measured so far, for the progress; times and phase are filled in."""
        return Progress()

    def stuck(self) -> bool:
        """Whether the run should have looked at its rig long ago; asked by the heartbeat, from its thread."""
        return False

    # ---- what perform() uses ----

    def wait(self, duration_s: float, phase: str) -> None:
        """Let time pass while the record goes on, limits are watched and progress is told.

        Raises AbortedError when the operator wants to stop, and what `fetch` raises.
        """
        clock, began_s = self.rig.clock, self.rig.clock.now()
        polls = max(1, math.ceil(duration_s / self.look_every_s() - 1e-9))
        for poll in range(1, polls + 1):
            # to instants, so that it ends at the same one however often it looks
            clock.sleep(max(0.0, began_s + duration_s * poll / polls - clock.now()))
            self.look(phase)
            self.go_on()

    def look_every_s(self) -> float:
        """How often `wait` looks, in seconds of the rig's clock."""
        return POLL_S

    def look(self, phase: str) -> None:
        """Fetch what was measured, watch the limits, tell the progress."""
        self.fetch()
        self.check_interlocks()
        self._tell(phase)

    def go_on(self) -> None:
        """Raise AbortedError where the run is to stop; called around whatever switches something on."""
        if self._stopped_now:
            raise AbortedError(RED_STOP)
        if self.should_stop():
            raise AbortedError(OPERATOR)

    def checkpoint(self) -> None:
        """Pause here if the operator or an interlock wants it; called where nothing is applied.

        Meanwhile the light is off and the record goes on. Raises AbortedError, and InterlockError when an
        interlock does not clear.
        """
        self.go_on()
        if self._pause.is_set() or self._tripped:
            self._stay_paused()

    def check_interlocks(self) -> None:
        """Look at every interlock of this procedure; raises InterlockError, after its action."""
        for interlock in self.interlocks:
            self.check_interlock(interlock)

    def check_interlock(self, interlock: Interlock) -> None:
        """Look at one interlock; raises InterlockError, after its action."""
        told = interlock.tripped(self)
        if told and interlock.action is not Action.PAUSE:
            raise self._interlocked(interlock, told)
        if told and interlock.name not in self._tripped:
            self._tripped[interlock.name] = told
            self.warn(interlock.sentence(told))
        elif not told and self._tripped.pop(interlock.name, ""):
            self.note(f"{interlock.name}: cleared")

    def note(self, message: str) -> None:
        """Write a line to the run's log."""
        self.record.log(message, self.rig.clock.now())
        log.info(message)

    def warn(self, message: str) -> None:
        """Note something that the run goes on with, once; the run file keeps it."""
        if message not in self.record.header["warnings"]:
            self.record.header["warnings"].append(message)
            self.note(f"warning: {message}")

    def note_problem(self, where: str, error: Exception) -> None:
        """Keep an error that came up while another one was being dealt with; the run fails with both."""
        self._problems.append(f"{where}: {error}")

    def emit_row(self, row: dict[str, Any]) -> None:
        """Emit one row of DATA_COLUMNS; numpy scalars become Python numbers, anything else is refused."""
        plain: dict[str, Any] = {}
        for column, value in row.items():
            plain[column] = value.item() if isinstance(value, np.generic) else value
            if not isinstance(plain[column], int | float | str):
                raise TypeError(f"column {column!r}: {type(value).__name__} cannot be a cell of a row")
            if isinstance(plain[column], str) and not _CELL.fullmatch(plain[column]):
                raise ValueError(f"column {column!r}: {plain[column]!r} would break its row")
        self.emit("results", plain)

    # ---- inside ----

    def _interlocked(self, interlock: Interlock, told: str) -> InterlockError:
        """Do what an interlock does at once, and give the error that ends the run."""
        if interlock.action is Action.LOCK:
            self.rig.laser.make_safe()
        self.note(f"interlock {interlock.name!r}: {told}")
        return InterlockError(interlock.sentence(told))

    def _why_paused(self) -> str:
        return "; ".join(
            [*[OPERATOR.replace("stopped", "paused")] * self._pause.is_set(), *self._tripped.values()]
        )

    def _stay_paused(self) -> None:
        why, since_s = self._why_paused(), self.rig.clock.now()
        about = {"from_s": since_s, "why": why}
        self.record.header.setdefault("pauses", []).append(about)
        relight = self._darken()
        self.note(f"paused: {why}")
        bench = self.rig.bench
        try:
            while self._why_paused():
                if bench is not None and math.isinf(bench.clock.speed):
                    self._resume.wait(POLL_S)  # a twin at full speed would live through years of darkness
                self.wait(POLL_S, "paused")
                if not self._pause.is_set() and self._tripped:
                    self._give_up_after(since_s)
        finally:
            about["to_s"] = self.rig.clock.now()
            self.record.write_header()
        self.go_on()
        relight()
        self.note(f"resumed after {about['to_s'] - since_s:.1f} s")

    def _give_up_after(self, since_s: float) -> None:
        if self.rig.clock.now() - since_s > LONGEST_PAUSE_S:
            raise InterlockError(
                f"{'; '.join(self._tripped.values())}; after {LONGEST_PAUSE_S:g} s the run was ended"
            )

    def _darken(self) -> Callable[[], None]:
        """Let no light through; returns what brings it back."""
        tables = self.rig.station.tables
        if "shaper" in tables:
            self.rig.shaper.make_safe()  # the next setting lets light through again
        if "laser" not in tables or self.rig.laser.lock is not LaserLock.UNLOCKED:
            return lambda: None
        self.rig.laser.make_safe()
        return self.rig.laser.unlock

    def _tell(self, phase: str) -> None:
        elapsed_s = self.rig.clock.now() - self._began_s
        self.progress = replace(
            self.measured(),
            elapsed_s=elapsed_s,
            duration_s=max(self._plan.duration_s, elapsed_s),
            phase=phase,
            confirmed_words=self.record.confirmed_words,
            confirmed_records=self.record.confirmed_records,
            paused=self._why_paused(),
        )
        percent = math.floor(100.0 * min(1.0, elapsed_s / self.progress.duration_s))
        if percent != self._told_percent:  # nobody but pymeasure's windows empties its queue
            self._told_percent = percent
            self.emit("progress", float(percent))

    def _fail_with(self, problems: list[str]) -> None:
        """End as failed when there were problems; those that the reason tells already add nothing to it."""
        for problem in problems:
            if problem.partition(": ")[2] not in self.status_reason:
                reason = "; ".join(filter(None, [self.status_reason, problem]))
                self._end("failed", reason, self.error or InstrumentError(problem))

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        """Keep the reason of a failure and let the exception go on to the worker."""
        try:
            yield
        except BaseException as error:
            known = isinstance(error, QdlabError | InstrumentError | OSError)
            self._end("failed", str(error) if known else f"{type(error).__name__}: {error}", error)
            raise

    def _end(self, status: str, reason: str, error: BaseException | None = None) -> None:
        self.status_name, self.status_reason = status, reason
        self.error = error or self.error

    def _store_settings(self) -> None:
        header = self.record.header
        header["settings"] = {role: device.settings() for role, device in self.rig.devices()}
        if self.rig.bench is not None:
            self.record.store_truth(self.rig.bench.truth())


def _attempt(what: str, action: Callable[[], None]) -> list[str]:
    """Do one step of a shutdown; whatever it raises is returned, so that the next step is done too."""
    try:
        action()
    except Exception as error:
        log.exception("shutdown: %s", what)
        return [f"{what}: {error}"]
    return []
