"""The guardian: a process that holds no instrument and makes the station safe when the run's process cannot.

`execute_run` starts it for stations whose instruments outlive the run's process. The run's heartbeat comes
through a pipe that the operating system closes when the run's process ends, however it ends. A run that ends
in order says so and the guardian goes; one that stands still or hangs is ended by force first, since it holds
the instruments.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..formats.processes import end_process, processor_s_of
from ..instruments.base import InstrumentError
from .errors import QdlabError, RefusedError
from .station import Station

BEAT_S = 0.1
SILENCE_S = 1.2
"""A run that has not been heard for so long, and has spent no processor time meanwhile, stands still."""
HANG_S = 20.0
"""One that works but has not been heard for so long hangs; compiling and slow disks take a few seconds."""
STILL_S = 5e-5
"""Less processor time than this from one look to the next is none."""
_LOOK_S = 0.1
_LOCKS_FREE_S = 2.0
BEAT, SAFE, UNSAFE = b".", b"S", b"U"
"""The run lives; it has ended and the rig is safe; it has ended and something may still be on."""
READY = b"R"
"""The guardian watches."""


# ---- in the guardian's process ----


class Heartbeat:
    """What comes through the pipe, read by a thread of its own."""

    def __init__(self, pipe: int, run_pid: int) -> None:
        self._run_pid = run_pid
        self._changed = threading.Condition()
        self._heard = False
        self._end = b""
        threading.Thread(target=self._listen, args=(pipe,), name="heartbeat", daemon=True).start()

    def wait_for_end(self) -> str:
        """Wait until the run has ended or hangs; why the guardian must act, or an empty text.

        A look that comes late itself tells nothing: then the whole computer stood still, or slept.
        """
        silent_s = still_s = 0.0
        spent_s = processor_s_of(self._run_pid)
        while silent_s < HANG_S and still_s < SILENCE_S:
            asked_s = time.monotonic()
            with self._changed:
                heard = self._changed.wait_for(lambda: self._end or self._heard, _LOOK_S)
                end, self._heard = self._end, False
            if end:
                return {SAFE: "", UNSAFE: "the run could not make it safe"}.get(end, "the run's process died")
            look_s = min(time.monotonic() - asked_s, 2 * _LOOK_S)
            before_s, spent_s = spent_s, processor_s_of(self._run_pid)
            silent_s = 0.0 if heard else silent_s + look_s
            still_s = 0.0 if heard or not _stood_still(before_s, spent_s) else still_s + look_s
        return "the run's process hangs"

    def _listen(self, pipe: int) -> None:
        end = b"EOF"
        while said := os.read(pipe, 256):
            with self._changed:
                self._heard = True
                self._changed.notify_all()
            if said[-1:] in (SAFE, UNSAFE):
                end = said[-1:]
                break
        with self._changed:
            self._end = end
            self._changed.notify_all()


def _stood_still(before_s: float | None, now_s: float | None) -> bool:
    return before_s is not None and now_s is not None and now_s - before_s < STILL_S


def make_safe_now(
    station: Station, ask: Callable[[str], str], tell: Callable[[str, str], None]
) -> dict[str, str]:
    """Connect to each instrument of a station and make it safe: laser first, then the others side by side.

    `ask` shows a question to a person where one has to act; `tell` is called with each role and "safe", or
    what went wrong. Returns what went wrong, by role.
    """
    problems: dict[str, str] = {}

    def one(role: str) -> None:
        try:
            with station.one_device(role, ask=ask) as device:
                device.connect()
                device.assume_unsafe()
                device.make_safe()
        except (InstrumentError, QdlabError, OSError) as error:
            problems[role] = str(error)
        tell(role, problems.get(role, "safe"))

    roles = list(station.tables)
    if "laser" in roles:
        one("laser")
        roles.remove("laser")
    threads = [threading.Thread(target=one, args=(role,), name=f"safe {role}") for role in roles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


def guard(station: Station, run_pid: int, pipe: int, log: Path) -> int:
    """Watch one run to its end; returns 1 when something may still be on."""
    station.warm_up()
    heartbeat = Heartbeat(pipe, run_pid)
    os.write(sys.stdout.fileno(), READY)
    why = heartbeat.wait_for_end()
    if not why:
        return 0
    began_s = time.monotonic()
    if why.endswith("hangs"):
        end_process(run_pid)
    with log.open("a", encoding="utf-8", buffering=1) as file:

        def tell(role: str, what: str) -> None:
            file.write(f"{time.monotonic() - began_s:8.3f} s  {role}: {what}\n")

        file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {why}: the guardian makes {station.path} safe\n")
        _wait_for_locks(station)
        problems = make_safe_now(station, lambda _question: "", tell)
    return int(bool(problems))


def _wait_for_locks(station: Station) -> None:
    """Give the operating system the time to free what the dead process held."""
    from .instrument_lock import InstrumentLocks

    until_s = time.monotonic() + _LOCKS_FREE_S
    while time.monotonic() < until_s:
        try:
            with InstrumentLocks(station.tables.values()):
                return
        except RefusedError:
            threading.Event().wait(0.02)


def main(arguments: Sequence[str]) -> int:
    """`python -m qdlab.procedures.guardian STATION PID LOG`, with the heartbeat at its standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run
    station, pid, log = arguments
    return guard(Station.load(Path(station)), int(pid), sys.stdin.fileno(), Path(log))


# ---- in the run's process ----


class Guardian:
    """The guardian of one run, seen from the run; `stuck` tells whether it hangs though its process lives."""

    def __init__(self, station: Station, log: Path, stuck: Callable[[], bool]) -> None:
        self._stuck = stuck
        flags = subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(station.path), str(os.getpid()), str(log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            creationflags=flags,
        )
        assert self._process.stdout is not None
        with self._process.stdout as ready:
            if ready.read(1) != READY:
                raise RefusedError(f"the guardian of {station.path} did not start; run `qdlab station check`")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def release(self, *, safe: bool) -> int:
        """Tell that the run has ended; returns the guardian's exit status, 0 when all is safe."""
        self._over.set()
        self._thread.join()
        self._say(SAFE if safe else UNSAFE)
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        return self._process.wait()

    def _beat(self) -> None:
        while not self._over.wait(BEAT_S):
            if not self._stuck():
                self._say(BEAT)

    def _say(self, what: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(what)
            self._process.stdin.flush()
        except OSError:  # the guardian has gone; the run goes on and makes safe itself
            self._over.set()


@contextmanager
def guarded(station: Station, log: Path, stuck: Callable[[], bool]) -> Iterator[Callable[[bool], None]]:
    """Within this, a guardian watches, where the station has anything that outlives this process.

    What is yielded takes whether the run has left the rig safe; where it is never called the guardian acts.
    """
    safe = False

    def tell(is_safe: bool) -> None:
        nonlocal safe
        safe = is_safe

    if station.simulated:
        yield tell
        return
    guardian = Guardian(station, log, stuck)
    try:
        yield tell
    finally:
        guardian.release(safe=safe)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
