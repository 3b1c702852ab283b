"""A started macro as a run handle: it watches the program and its files, and ends in a named way."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from ...formats.chi_text import CurrentPolarity
from ..base import InstrumentError
from ..clock import Clock
from ..potentiostat import PotentiostatRecord, PotentiostatRun
from .blocks import PlannedRun, potential_v
from .errors import (
    ProgramCrashedError,
    ProgramDialogError,
    ProgramTimeoutError,
    ResultMissingError,
    RunAbortedError,
)
from .program import RunningProgram
from .results import Outcome, read_outcome

START_UP_S = 4.0
"""From the program's start to its first run: median of 283 macro runs on a 760E (range 3 to 9 s)."""
PAUSE_S = 0.3
"""Between two runs of a macro: saving, transfer of parameters, relays ("a few hundred ms")."""
SAVE_LAG_S = 0.5
"""Longest time taken from the end of a run to the appearance of its text file (not documented)."""
CLOCK_DRIFT = 50e-6
"""Relative disagreement allowed for between the instrument's clock and ours (not documented)."""
DIALOG_GRACE_S = 1.0
"""A window that is gone sooner did not wait for a person."""
SETTLE_S = 2.0
"""How long after the program's end its files may still appear and grow."""

_LONGEST_START_UP_S = 15.0
_LONGEST_PAUSE_S = 2.0
_MARGIN_S = 30.0
_PER_POINT_S = 1e-3


def time_limit_s(runs: list[PlannedRun]) -> float:
    """Seconds after which a program with these runs must have ended."""
    runs_s = sum(run.duration_s + run.rows * _PER_POINT_S + _LONGEST_PAUSE_S for run in runs)
    return _LONGEST_START_UP_S + runs_s * (1 + 1e-3) + _MARGIN_S


def expected_s(runs: list[PlannedRun]) -> float:
    """Seconds that a program with these runs is expected to take."""
    return START_UP_S + sum(run.duration_s for run in runs) + PAUSE_S * (len(runs) - 1)


class ChiRun(PotentiostatRun):
    """A macro that the CHI program is running; poll `done()` a few times a second.

    `done()` notes when each result appears, so how often it is called decides how well the start of each
    run is known.
    """

    def __init__(
        self,
        program: RunningProgram,
        runs: list[PlannedRun],
        folder: Path,
        *,
        clock: Clock,
        polarity: CurrentPolarity,
        model: str,
        on_cell_off: Callable[[], None],
        make_safe: Callable[[], None],
    ) -> None:
        self.planned_s = expected_s(runs)
        self.runs, self.folder = runs, folder
        self._program, self._clock = program, clock
        self._polarity: CurrentPolarity = polarity
        self._model = model
        self._on_cell_off, self._make_safe = on_cell_off, make_safe
        self._started_s = self._polled_s = clock.now()
        self._deadline_s = self._started_s + time_limit_s(runs)
        self._appeared: dict[str, tuple[float, float]] = {}
        self._dialog_since_s: float | None = None
        self._ended_s: float | None = None
        self._sizes: tuple[int, ...] = ()
        self._finished = False
        self._error: InstrumentError | None = None

    @property
    def over(self) -> bool:
        """True when the run has finished, failed or been aborted."""
        return self._finished or self._error is not None

    def done(self) -> bool:
        """True when the program has ended and all its results lie there, complete in size.

        Raises ProgramDialogError, ProgramTimeoutError, ProgramCrashedError, ResultMissingError or
        RunAbortedError, again at every further call.
        """
        if not self.over:
            now_s = self._clock.now()
            running = self._program.running()
            self._note_results(now_s)
            if running:
                self._check_running(now_s)
            else:
                self._check_ended(now_s)
            self._polled_s = now_s
        if self._error is not None:
            raise self._error
        return self._finished

    def commanded_potential_v(self) -> float | None:
        """The potential that should be applied now, for showing only.

        The start-up time is only known to a few seconds and each result's appearance corrects it for the
        next run, so this may be off by seconds. None during start-up, at open circuit and after the end.
        """
        if self.over or self._ended_s is not None:
            return None
        now_s = self._clock.now()
        start_s = self._started_s + START_UP_S
        shown_v: float | None = None
        for run in self.runs:
            if now_s < start_s:
                break
            elapsed_s = min(now_s - start_s, run.duration_s)
            value_v = float(
                potential_v(run.part, min(max(0.0, elapsed_s - run.quiet_s), run.part.duration_s))
            )
            shown_v = None if math.isnan(value_v) else value_v
            seen = self._appeared.get(run.name)
            start_s = (seen[1] if seen else start_s + run.duration_s) + PAUSE_S
        return shown_v

    def abort(self) -> None:
        """Stop the program and switch the cell off; may be called twice. Raises as `make_safe`."""
        self.fail(RunAbortedError("the run was aborted; what had been saved before is kept"))
        self._make_safe()

    def fail(self, error: InstrumentError) -> None:
        """End the program by force because of `error`; does nothing when the run is over."""
        if not self.over:
            self._error = error
            self._program.terminate()

    def result(self) -> list[PotentiostatRecord]:
        """One record per run of the macro, in order.

        Raises the error of the run, ResultMissingError, ResultUnreadableError, ResultMismatchError, or
        ResultIncompleteError; `partial_result()` gives what is there all the same.
        """
        if not self.done():
            raise InstrumentError("the CHI run is still going on; wait until done() is true")
        outcomes = self._outcomes()
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
        return [outcome.record for outcome in outcomes if outcome.record is not None]

    def partial_result(self) -> list[PotentiostatRecord]:
        """The records that can be read now, whatever happened; wrong ones are marked as not complete."""
        return [outcome.record for outcome in self._outcomes() if outcome.record is not None]

    # ---- inside ----

    def _outcomes(self) -> list[Outcome]:
        return [
            read_outcome(run, self.folder, self._polarity, self._model, *self._start_of(k))
            for k, run in enumerate(self.runs)
        ]

    def _text(self, run: PlannedRun) -> Path:
        return self.folder / f"{run.name}.txt"

    def _note_results(self, now_s: float) -> None:
        awaited = [run for run in self.runs if run.name not in self._appeared]
        for run in awaited[:2]:  # they come in order, and one that is missing must not hide the next
            if self._text(run).exists():
                self._appeared[run.name] = (self._polled_s, now_s)

    def _start_of(self, k: int) -> tuple[float, float]:
        """Start of the technique of run `k` (after its quiet time) and its standard uncertainty, seconds.

        The run ended at most SAVE_LAG_S before its text appeared between two polls, and not before all
        runs up to it could have ended: a uniform distribution. Drift of the clocks over the run is added.
        """
        run = self.runs[k]
        lower_s, upper_s = self._appeared.get(run.name, (self._started_s, self._clock.now()))
        earliest_s = self._started_s + sum(r.duration_s for r in self.runs[: k + 1])
        lower_s = min(max(lower_s - SAVE_LAG_S, earliest_s), upper_s)
        end_s = (lower_s + upper_s) / 2
        drift_s = CLOCK_DRIFT * run.part.duration_s
        return end_s - run.part.duration_s, math.hypot((upper_s - lower_s) / math.sqrt(12), drift_s)

    def _check_running(self, now_s: float) -> None:
        text = self._program.dialog()
        if text is None:
            self._dialog_since_s = None
        elif self._dialog_since_s is None:
            self._dialog_since_s = now_s
        elif now_s - self._dialog_since_s >= DIALOG_GRACE_S:
            self.fail(
                ProgramDialogError(f"the CHI program shows a window and waits: {text!r}; {_hint(text)}")
            )
        if now_s > self._deadline_s:
            limit_s = self._deadline_s - self._started_s
            self.fail(
                ProgramTimeoutError(
                    f"the CHI program has not ended after {limit_s:.0f} s, {len(self._appeared)} of "
                    f"{len(self.runs)} results are there; look at its window and at the instrument"
                )
            )

    def _check_ended(self, now_s: float) -> None:
        if self._ended_s is None:
            self._ended_s = now_s
            last = self._text(self.runs[-1])
            if last.exists() or last.with_suffix(".bin").exists():
                self._on_cell_off()  # it ended by itself after the run that switches the cell off
        sizes = tuple(self._text(run).stat().st_size for run in self.runs if self._text(run).exists())
        settled = sizes == self._sizes and now_s > self._ended_s
        self._sizes = sizes
        if settled and len(sizes) == len(self.runs):
            self._finished = True
        elif now_s - self._ended_s >= SETTLE_S and len(sizes) < len(self.runs):
            self.fail(self._without_result())

    def _without_result(self) -> InstrumentError:
        found, ran_s = len(self._sizes), (self._ended_s or 0.0) - self._started_s
        needed_s = sum(run.duration_s for run in self.runs)
        if ran_s < needed_s:
            return ProgramCrashedError(
                f"the CHI program ended after {ran_s:.1f} s although its runs need {needed_s:.1f} s; "
                f"{found} of {len(self.runs)} results are there"
            )
        missing = [self._text(run).name for run in self.runs if not self._text(run).exists()]
        return ResultMissingError(f"the CHI program ended but left no {', '.join(missing)} in {self.folder}")


def _hint(dialog: str) -> str:
    lowered = dialog.lower()
    if "link" in lowered or "com port" in lowered:
        return "switch the instrument on, check its cable and COM port, and start again"
    return "answer or remove its cause in the program, then start again"
