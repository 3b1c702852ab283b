"""The CHI 760C potentiostat, driven through its own Windows program and a macro file.

The program owns the instrument: it is started with a macro, runs it, writes the results and quits. No sample
can be read while it runs.
"""

from __future__ import annotations

import re
import tempfile
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path

from ...formats.chi_text import CurrentPolarity
from ...formats.file_lock import FileLock, HeldError
from ...formats.processes import end_program
from ..base import Identity, InstrumentError, Limits, NotConnectedError, OutOfRangeError
from ..clock import Clock
from ..potentiostat import (
    CyclicVoltammetry,
    Hold,
    LinearSweep,
    OpenCircuit,
    PotentialSteps,
    Potentiostat,
    PotentiostatCapabilities,
    Technique,
)
from .blocks import MAX_SEGMENTS, PlannedRun, plan_runs
from .errors import ProgramBusyError, RunAbortedError
from .macro import encode_macro, macro_text
from .parameters import POTENTIAL_V, SCAN_RATE_V_S, SENSITIVITIES_A_V
from .program import ProgramLauncher, RunningProgram
from .run import DIALOG_GRACE_S, ChiRun, expected_s, time_limit_s

MODEL = "CHI760C"
MAX_PATH = 200
"""Longer paths, blanks and odd characters are reported to make trouble in macros."""

_POLL_S = 0.1
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_:/\\.~-]+")
_PRESS = "press the cell switch of the CHI 760C: its cell may still be on"


class CHI760C(Potentiostat):
    """A CH Instruments 760C behind its vendor program.

    `work_dir` gets a fresh folder per run (macro and results). `current_polarity` is what the program's
    Setup > System says, "anodic_positive" or "cathodic_positive": no file tells it. `data_length_points` is
    the program's Data Length. Raises OutOfRangeError for limits or a polarity that cannot be.
    """

    def __init__(
        self,
        launcher: ProgramLauncher,
        *,
        clock: Clock,
        work_dir: Path,
        potential_limits_v: Limits,
        current_polarity: CurrentPolarity,
        data_length_points: int = 128_000,
        name: str = "CHI 760C",
    ) -> None:
        if current_polarity not in ("anodic_positive", "cathodic_positive"):
            raise OutOfRangeError(
                f"{name}: current_polarity = {current_polarity!r} must be 'anodic_positive' or "
                "'cathodic_positive'"
            )
        Limits(1000, 1 << 24).check(data_length_points, f"{name}: data_length_points")
        self.name = name
        self.potential_limits_v = potential_limits_v.within(POTENTIAL_V)
        self.capabilities = PotentiostatCapabilities(
            live_samples=False,
            techniques=(CyclicVoltammetry, LinearSweep, PotentialSteps, Hold, OpenCircuit),
            max_points_per_run=data_length_points,
            sensitivities_a_v=SENSITIVITIES_A_V,
            scan_rate_v_s=SCAN_RATE_V_S,
        )
        self._launcher, self._clock, self._work_dir = launcher, clock, Path(work_dir).absolute()
        self._polarity: CurrentPolarity = current_polarity
        self._lock: FileLock | None = None
        self._guard = threading.RLock()
        self._run: ChiRun | None = None
        self._cell_may_be_on = False

    def connect(self) -> Identity:
        """Check the program and the folder, and take the lock that keeps other processes from it.

        The program is not started: whether the instrument is on shows with the first run. Only where another
        process died and left the program running is that one ended and the cell switched off. Raises
        VendorSoftwareMissingError, ProgramBusyError or InstrumentError.
        """
        program = self._launcher.check()
        self._check_work_dir()
        if self._lock is None:
            self._lock = self._locked(program)
            if self._cell_may_be_on:
                self.make_safe()
        return Identity("CH Instruments", MODEL, version=program, simulated=self._launcher.simulated)

    def check(self, program: Sequence[Technique]) -> None:
        """Check a program against the rig's limits, the 700C's ranges and the point limits.

        Raises OutOfRangeError before anything is started.
        """
        super().check(program)
        self.plan(program)

    def plan(self, program: Sequence[Technique]) -> list[PlannedRun]:
        """The runs that a program is cut into; long cyclic techniques come in blocks of whole cycles."""
        return plan_runs(program, self.capabilities.max_points_per_run)

    def estimate_s(self, program: Sequence[Technique]) -> float:
        """Expected duration of the program in seconds, start-up and pauses included."""
        return expected_s(self.plan(program))

    def settings(self) -> dict[str, object]:
        """What a run file records of this instrument (JSON types only)."""
        return {
            "name": self.name,
            "model": MODEL,
            "current_polarity_of_program": self._polarity,
            "data_length_points": self.capabilities.max_points_per_run,
            "max_segments": MAX_SEGMENTS,
            "potential_limits_v": list(self.potential_limits_v),
        }

    def make_safe(self) -> None:
        """End a running program and switch the cell off.

        A program that did not end in order leaves the instrument doing what it was told last, so a short
        open-circuit run with the cell off follows. Raises InstrumentError when that fails: the cell switch
        has to be pressed then.
        """
        with self._guard:
            if self._run is not None:
                try:
                    self._run.fail(RunAbortedError("the run was ended to make the potentiostat safe"))
                except InstrumentError as error:
                    raise InstrumentError(f"{_PRESS} ({error})") from error
            if self._cell_may_be_on:
                self._switch_cell_off()
                self._cell_may_be_on = False

    def assume_unsafe(self) -> None:
        """Take it that another program may have left the cell on."""
        with self._guard:
            self._cell_may_be_on = True

    def disconnect(self) -> None:
        """Make safe and let other processes use the program."""
        try:
            self.make_safe()
        finally:
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    # ---- inside ----

    def _start(self, program: Sequence[Technique]) -> ChiRun:
        with self._guard:
            if self._lock is None:
                raise NotConnectedError(f"{self.name} is not connected; call connect() first")
            if self._run is not None and not self._run.over:
                raise ProgramBusyError(f"{self.name} is running already; wait for it or abort it")
            if self._cell_may_be_on:
                raise InstrumentError(
                    f"{self.name}: the last run did not end in order; call make_safe() first"
                )
            runs = self.plan(program)
            folder = self._fresh_folder()
            started = self._launch(macro_text(runs, folder), folder / "macro.mcr")
            self._run = ChiRun(
                started,
                runs,
                folder,
                clock=self._clock,
                polarity=self._polarity,
                model=MODEL,
                on_cell_off=self._cell_is_off,
                make_safe=self.make_safe,
            )
            return self._run

    def _launch(self, text: str, macro: Path) -> RunningProgram:
        macro.write_bytes(encode_macro(text))
        started = self._launcher.start(macro)
        self._cell_may_be_on = True
        if self._lock is not None and (process_id := getattr(started, "process_id", None)):
            self._lock.note_program(process_id)
        return started

    def _cell_is_off(self) -> None:
        self._cell_may_be_on = False

    def _switch_cell_off(self) -> None:
        """Run one second of open circuit with `celloff`; starting the program also links the box anew."""
        runs = plan_runs([OpenCircuit(watch_s=1.0)], self.capabilities.max_points_per_run)
        text = macro_text(runs, self._work_dir, save=False)
        try:
            program = self._launch(text, self._work_dir / "safe.mcr")
        except (InstrumentError, OSError) as error:
            raise InstrumentError(f"{_PRESS} ({error})") from error
        if fault := self._wait(program, runs[0].duration_s, time_limit_s(runs)):
            program.terminate()
            raise InstrumentError(f"{_PRESS} ({fault})")

    def _wait(self, program: RunningProgram, least_s: float, limit_s: float) -> str:
        """Wait until `program` has ended; what kept it from ending in order, or an empty text."""
        start_s, dialogs = self._clock.now(), 0
        while program.running():
            text = program.dialog()
            dialogs = dialogs + 1 if text is not None else 0
            if dialogs * _POLL_S > DIALOG_GRACE_S:
                return f"the program shows {text!r}"
            if self._clock.now() - start_s > limit_s:
                return f"the program has not ended after {limit_s:.0f} s"
            self._clock.sleep(_POLL_S)
        return "" if self._clock.now() - start_s >= least_s else "the program ended before its run could"

    def _fresh_folder(self) -> Path:
        number = 1 + max(
            (int(p.name[3:]) for p in self._work_dir.glob("chi[0-9]*") if p.name[3:].isdigit()), default=0
        )
        folder = self._work_dir / f"chi{number:04d}"
        folder.mkdir()
        return folder

    def _check_work_dir(self) -> None:
        path = str(self._work_dir)
        if not _PLAIN_PATH.fullmatch(path) or len(path) > MAX_PATH:
            raise InstrumentError(
                f"{self.name}: work_dir = {path!r} must have no blanks, only plain letters, and at most "
                f"{MAX_PATH} characters, or the CHI program may not find its macro"
            )
        try:
            self._work_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InstrumentError(f"{self.name}: work_dir {path} cannot be made: {error.strerror}") from error

    def _locked(self, program: str) -> FileLock:
        """The lock on the program; one that outlived its owner is ended, and the cell switched off."""
        lock = FileLock(self._lock_path(program), "the CHI program")
        try:
            before = lock.acquire()
        except HeldError as error:
            raise ProgramBusyError(str(error)) from None
        if before is not None and before.program is not None and end_program(before.program):
            self._cell_may_be_on = True
        return lock

    def _lock_path(self, program: str) -> Path:
        """Where all processes that use the same program look; a program on our own bench is nobody else's."""
        folder = Path(tempfile.gettempdir()) if self._launcher.shared else self._work_dir
        return folder / f"qdlab-chi760-{zlib.crc32(program.encode()):08x}.lock"
