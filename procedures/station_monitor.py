"""StationMonitor: holds a station's instruments while no run does, and tells how they are at any time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar

from ..instruments.base import InstrumentError
from .drivers import SIMULATED
from .errors import QdlabError, RefusedError
from .rig_procedure import RigProcedure
from .station import Station
from .station_hold import StationHold
from .station_snapshot import Number, RoleState, StationSnapshot

T = TypeVar("T")

BY_HAND_SPEED = 1.0
"""A simulated station held by hand lives at the wall's speed."""


class StationMonitor:
    """The instruments of a station, held for manual control from `take_back` to `release`.

    Before a run the station must be released, since a run connects the instruments itself; while the run goes
    on, `watch` names its procedure and the snapshot is fed from that. All methods may be called from any
    thread; `release` and `take_back` wait for the instruments, so a window calls them outside of its own.
    """

    def __init__(
        self,
        station: Station,
        *,
        ask: Callable[[str], str] = input,
        seed: int | None = None,
        faults: Sequence[str] = (),
    ) -> None:
        self.station = station
        self._ask, self._seed, self._faults = ask, seed, faults
        self._lock = threading.Lock()
        self._hold: StationHold | None = None
        self._missing: dict[str, str] = {}
        self._run: RigProcedure | None = None
        self._alarm = ""

    # ---- whose the instruments are ----

    def take_back(self) -> None:
        """Build the instruments and connect each of them by itself, in the background.

        One whose vendor's software is missing is left out, and its state says so. Does nothing while the
        station is held. Raises ConfigError where the station file cannot be built at all.
        """
        with self._lock:
            self._run = None
            if self._hold is None:
                there, self._missing = self._without_missing()
                speed = BY_HAND_SPEED if there.simulated else None
                rig = there.build(seed=self._seed, speed=speed, faults=self._faults, ask=self._ask)
                self._hold = StationHold(rig)
                self._hold.start()

    def release(self) -> list[str]:
        """Make everything safe and disconnect it, if it is held; returns what went wrong."""
        with self._lock:
            if self._hold is None:
                return []
            problems, self._hold = self._hold.close(), None
            self._alarm = "; ".join(problems)
            return problems

    def watch(self, procedure: RigProcedure | None) -> None:
        """Tell from now on what this running procedure knows; nothing while the station is held here.

        The procedure's instruments are not touched.
        """
        self._run = procedure if self._hold is None else None

    # ---- what a person asks for ----

    def command(self, role: str, verb: str, **arguments: Any) -> Future[Any]:
        """Have an instrument do something after what was asked before: see the verbs of `station_keepers`.

        The future raises what the driver raises, and RefusedError while the station is not held. To connect
        an instrument whose software was missing, the whole station is built anew.
        """
        hold = self._hold
        try:
            if hold is None:
                raise RefusedError("a run holds the station: wait for its end, or stop it")
            if role in hold.keepers:
                return hold.submit(role, verb, arguments)
            if role not in self._missing:
                raise RefusedError(f"{self.station.path}: has no [{role}] table")
            if verb != "connect":
                raise RefusedError(self._missing[role])
            return _in_background(lambda: self._anew(role))
        except RefusedError as refusal:
            failed: Future[Any] = Future()
            failed.set_exception(refusal)
            return failed

    def make_safe(self) -> Future[list[str]]:
        """Make everything that is held safe at once, light first; the result is what went wrong.

        Nothing waits for a slow command; those that wait their turn are cancelled.
        """
        hold = self._hold
        return _in_background(lambda: hold.make_safe() if hold is not None else [])

    def clear_alarm(self) -> None:
        """Forget the last alarm."""
        self._alarm = ""
        if self._hold is not None:
            self._hold.clear_alarm()

    # ---- how the instruments are ----

    def snapshot(self) -> StationSnapshot:
        """The station now; cheap, touches no instrument."""
        hold, run = self._hold, self._run
        name, simulated = self.station.file.station.name, self.station.simulated
        if run is not None:
            return StationSnapshot(name, simulated, "run", self._from_run(run), run.progress.phase)
        if hold is None:
            return StationSnapshot(name, simulated, "nobody", self._at_rest(), alarm=self._alarm)
        known = hold.states()
        roles = {role: known.get(role, state) for role, state in self._at_rest().items()}
        return StationSnapshot(name, simulated, "monitor", roles, alarm=hold.alarm or self._alarm)

    def _at_rest(self) -> dict[str, RoleState]:
        return {
            role: RoleState(
                role,
                table.driver,
                simulated=table.connection == SIMULATED,
                error=self._missing.get(role, ""),
            )
            for role, table in self.station.tables.items()
        }

    def _from_run(self, run: RigProcedure) -> dict[str, RoleState]:
        """What a running procedure knows: who answered, photon rates, potential."""
        record = getattr(run, "record", None)
        identities: dict[str, str] = record.header.get("instruments", {}) if record is not None else {}
        numbers = {"counter": _run_rates(run), "potentiostat": _run_potential(run)}
        return {
            role: replace(
                state,
                connected=role in identities,
                identity=identities.get(role, "").replace(" [SIMULATED]", ""),
                simulated=state.simulated or "[SIMULATED]" in identities.get(role, ""),
                words={"held by": "the run"},
                numbers=numbers.get(role, {}),
            )
            for role, state in self._at_rest().items()
        }

    def _anew(self, role: str) -> None:
        """Build the station again; raises RefusedError when an instrument is still missing."""
        self.release()
        self.take_back()
        if role in self._missing:
            raise RefusedError(self._missing[role])

    def _without_missing(self) -> tuple[Station, dict[str, str]]:
        """This station with the instruments that can be built here, and why the others cannot."""
        missing: dict[str, str] = {}
        for role, table in self.station.tables.items():
            if table.connection == SIMULATED:
                continue
            try:
                with self.station.one_device(role, ask=self._ask):
                    pass
            except (QdlabError, InstrumentError) as error:
                missing[role] = str(error)
        tables = {role: table for role, table in self.station.tables.items() if role not in missing}
        return replace(self.station, tables=tables), missing


def _in_background(action: Callable[[], T]) -> Future[T]:
    """Do something in a thread of its own."""
    future: Future[T] = Future()

    def act() -> None:
        try:
            future.set_result(action())
        except Exception as error:  # it belongs to whoever asked
            future.set_exception(error)

    threading.Thread(target=act, name="station, in background").start()
    return future


def _run_rates(run: RigProcedure) -> dict[str, Number]:
    """The count rates of a run that records photons."""
    photons = getattr(run, "photons", None)
    if photons is None:
        return {}
    limit_hz = run.rig.count_rate_limit_hz
    return {
        f"rate_{channel}_hz": Number(f"detector {channel}", float(rate_hz), "c/s", upper=limit_hz)
        for channel, rate_hz in enumerate(photons.rates_hz)
    }


def _run_potential(run: RigProcedure) -> dict[str, Number]:
    """The commanded potential of a run, where it knows one."""
    potential_v = run.progress.potential_v
    if potential_v is None or "potentiostat" not in run.rig.station.tables:
        return {}
    lower_v, upper_v = run.rig.potentiostat.potential_limits_v
    return {"potential_v": Number("potential", potential_v, "V", lower_v, upper_v)}
