"""The base of every procedure: preflight before anything moves, and a safe rig whatever ends the run."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pymeasure.experiment import Procedure

from ..instruments.base import InstrumentError
from .errors import AbortedError, InterlockError, QdlabError
from .photon_recording import PhotonRecording
from .record import RunRecord
from .station import Rig

log = logging.getLogger(__name__)

NO_PHOTONS_S = 2.0
"""A measurement without any count for so long is not a dark one but a broken one."""
POLL_S = 0.1
"""How often a waiting procedure looks at the rig, in seconds of its clock."""
UNWATCHED_S = 1.0
"""How often it fetches photons where nobody watches: on the twin at full speed."""
UNWATCHED_RATE_HZ = 1e6
"""Above this rate photons are fetched at every poll all the same: the counter's buffer is finite."""


@dataclass(frozen=True)
class Plan:
    """What a run will take, known before it starts."""

    duration_s: float
    disk_bytes: float
    photons: float
    sentence: str


@dataclass(frozen=True)
class Progress:
    """Where a run stands, for whoever shows it."""

    elapsed_s: float = 0.0
    duration_s: float = 0.0
    phase: str = ""
    photons: int = 0
    rate_hz: float = 0.0
    potential_v: float | None = None
    confirmed_words: int = 0


class RigProcedure(Procedure):
    """A procedure on a rig; subclasses write `preflight` and `perform`.

    Whoever runs it sets `rig` and `record` first (see `procedures.run`). Any end (finished, aborted,
    failed) leaves the rig safe and the record closed; `status_name`, `status_reason` and `error` tell
    which it was.
    """

    kind = ""
    """The kind of run, as run files and JSON results name it."""

    rig: Rig
    record: RunRecord
    photons: PhotonRecording
    progress = Progress()
    status_name = "running"
    status_reason = ""
    error: BaseException | None = None

    _unwatched = False
    _looked_s = 0.0

    def preflight(self, rig: Rig) -> Plan:
        """Check the whole plan against the rig and estimate it; nothing is connected yet.

        Raises RefusedError or OutOfRangeError naming what is refused.
        """
        raise NotImplementedError(f"{type(self).__name__} must write preflight()")

    def perform(self) -> None:
        """The experiment itself; wait with `wait`, which keeps the record going and ends on abort."""
        raise NotImplementedError(f"{type(self).__name__} must write perform()")

    # ---- pymeasure's life of a procedure ----

    def startup(self) -> None:
        """Connect every instrument and note who answered."""
        self._plan = self.preflight(self.rig)
        self._began_s = self.rig.clock.now()
        self._problems: list[str] = []
        self.photons = PhotonRecording(self.rig.counter, self.record)
        with self._noting_failure():
            identities = {}
            for role, device in self.rig.devices():
                identities[role] = str(device.connect())
                self.note(f"{role}: {identities[role]}")
            self.record.header["instruments"] = identities
            self.record.write_header()

    def execute(self) -> None:
        """Perform the experiment; an abort is an end, not an error."""
        with self._noting_failure():
            try:
                self.perform()
            except AbortedError as end:
                self._end("aborted", str(end), end)
            else:
                self._end("finished", "")

    def shutdown(self) -> None:
        """Make the rig safe, fetch what the counter still holds, and close the record. Never raises."""
        problems = [*self._problems, *self.rig.make_safe()]
        problems += _attempt("counter", self.photons.finish)
        if self.status_name != "finished":
            problems += _attempt("record", lambda: self.record.keep_leftovers(Path(self.rig.work.name)))
        problems += self.rig.close()
        problems += _attempt("record", self._store_settings)
        if self.status_name == "running":
            self._end("aborted", "stopped before the experiment began", AbortedError("stopped"))
        self._fail_with(problems)
        self._fail_with(_attempt("record", lambda: self.record.finish(self.status_name, self.status_reason)))

    # ---- what perform() uses ----

    def wait(self, duration_s: float, phase: str) -> None:
        """Let time pass while photons are recorded, limits watched and progress told.

        Raises AbortedError when the operator wants to stop, InterlockError past a limit of the rig, and
        InstrumentError when the counter lost something.
        """
        polls = max(1, math.ceil(duration_s / POLL_S - 1e-9))
        for _ in range(polls):
            self.rig.clock.sleep(duration_s / polls)
            if self._look_is_due():
                self._look(phase)
            if self.should_stop():
                raise AbortedError("stopped by the operator")

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """Within this, the twin at full speed fetches photons once a second instead of at every poll.

        The record is the same; what ends a run early is noticed up to a second later.
        """
        bench = self.rig.bench
        if bench is None or math.isfinite(bench.clock.speed):
            yield
            return
        self._unwatched = True
        try:
            with bench.clock.lagging():
                yield
        finally:
            self._unwatched = False

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
        self.emit("results", plain)

    # ---- inside ----

    def _look_is_due(self) -> bool:
        if not self._unwatched or not 0 < self.photons.rates_hz.sum() < UNWATCHED_RATE_HZ:
            return True
        return self.rig.clock.now() - self._looked_s >= UNWATCHED_S - 1e-6

    def _look(self, phase: str) -> None:
        """Fetch photons, watch the limits, tell the progress."""
        if self._unwatched and self.rig.bench is not None:
            self.rig.bench.clock.catch_up()
        self._looked_s = self.rig.clock.now()
        self.photons.pump()
        self._check_limits()
        self._tell(phase)

    def _check_limits(self) -> None:
        if self.photons.duration_s > NO_PHOTONS_S and self.photons.total == 0:
            raise InstrumentError(
                f"not one photon in {NO_PHOTONS_S:g} s, not even a dark count: check that the detectors "
                "are on, connected and open"
            )
        if self.photons.recording and self.rig.counter.flags().events_dropped:
            self.warn(
                "the counter dropped events: the rate was too high for it at some time; attenuate the light"
            )
        limit_hz = self.rig.count_rate_limit_hz
        for channel, rate_hz in enumerate(self.photons.rates_hz):
            if rate_hz > limit_hz:
                self.rig.laser.make_safe()
                raise InterlockError(
                    f"detector {channel} counted {rate_hz:.3g} Hz, above its limit of {limit_hz:.3g} Hz; "
                    "the laser was locked: reduce its intensity"
                )

    def _tell(self, phase: str) -> None:
        elapsed_s = self.rig.clock.now() - self._began_s
        self.progress = Progress(
            elapsed_s=elapsed_s,
            duration_s=max(self._plan.duration_s, elapsed_s),
            phase=phase,
            photons=self.photons.total,
            rate_hz=sum(self.photons.rates_hz),
            potential_v=self.commanded_potential_v(),
            confirmed_words=self.record.confirmed_words,
        )
        self.emit("progress", 100.0 * min(1.0, elapsed_s / self.progress.duration_s))

    def commanded_potential_v(self) -> float | None:
        """The potential that should be applied now, where the procedure knows it."""
        return None

    def _fail_with(self, problems: list[str]) -> None:
        """End as failed when there were problems; those that the reason tells already add nothing to it."""
        for problem in problems:
            if problem.partition(": ")[2] not in self.status_reason:
                reason = "; ".join(filter(None, [self.status_reason, problem]))
                self._end("failed", reason, self.error or InstrumentError(problem))

    def _noting_failure(self) -> _NotingFailure:
        return _NotingFailure(self)

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


class _NotingFailure:
    """Keeps the reason of a failure in the procedure and lets the exception go on to the worker."""

    def __init__(self, procedure: RigProcedure) -> None:
        self._procedure = procedure

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            known = isinstance(error, QdlabError | InstrumentError | OSError)
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            self._procedure._end("failed", reason, error)
