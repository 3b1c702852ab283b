"""`qdlab emulate station STATION.toml`: the bench of a station in a process of its own, in real time.

The station's instruments say `connection = "emulated://127.0.0.1:PORT"` (the stage `tcp://127.0.0.1:PORT`); a
run in another process reaches them there through the same drivers, as it would reach those of a rig.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from .config import locate
from .errors import ConfigError
from .station import Station, make_bench

if TYPE_CHECKING:
    from ..sim.bench import Bench
    from ..sim.emulators.served_bench import Door

REPORT_EVERY_S = 0.02


@dataclass(frozen=True)
class BenchState:
    """What a person at the bench would see."""

    emitting: bool
    cell_on: bool
    stage_moving: bool


class EmulatedStation:
    """The bench of a station with its served instruments; `ports` tells where they are reached."""

    def __init__(self, station: Station, *, seed: int | None, faults: Sequence[str]) -> None:
        self.bench = cast("Bench", make_bench(station, seed, 1.0, faults))
        self._doors: dict[str, Door] = {}
        self._stage: Any = None
        ports: set[int] = set()
        for role, table in station.tables.items():
            parts = urlsplit(table.connection)
            if parts.hostname != "127.0.0.1" or parts.scheme not in ("emulated", "tcp") or not parts.port:
                raise ConfigError(
                    f"{station.path} [{role}]: connection = {table.connection!r}: to be emulated it must be "
                    "emulated://127.0.0.1:PORT, or for a stage tcp://127.0.0.1:PORT"
                )
            if role == "stage":
                self._add_stage(table, parts.port)
            else:
                ports.add(parts.port)
                self._doors[table.driver] = self._door(station, table)
        if len(ports) != 1:
            raise ConfigError(f"{station.path}: all emulated:// connections must have the same port")
        (self.port,) = ports

    def _door(self, station: Station, table: Any) -> Door:
        from ..sim.emulators import served_library as served
        from ..sim.emulators.chi760 import EmulatedChi760
        from ..sim.emulators.chi760.served import BoxDoor
        from ..sim.emulators.sepia2 import EmulatedSepia2Lib
        from ..sim.emulators.timeharp260 import EmulatedTh260Lib

        match table.driver:
            case "pdl828":
                return served.LibraryDoor(served.SEPIA2, EmulatedSepia2Lib(self.bench))
            case "timeharp260":
                return served.LibraryDoor(served.TH260, EmulatedTh260Lib(self.bench))
            case "chi760c":
                self._chi = EmulatedChi760(self.bench, polarity=table.current_polarity)
                return BoxDoor(self._chi, table.current_polarity)
        raise ConfigError(f"{station.path}: driver = {table.driver!r} cannot be emulated in another process")

    def _add_stage(self, table: Any, port: int) -> None:
        from ..sim.emulators.pi_e545 import E545Controller

        self._stage = E545Controller(self.bench.clock, self.bench.stage, faults=self.bench.faults), port
        if table.trigger_output and table.trigger_marker:
            self.bench.wire_trigger(table.trigger_output, table.trigger_marker)

    @contextmanager
    def served(self) -> Iterator[None]:
        """Within this, the instruments are reached and time passes."""
        from ..sim.emulators.doors import serve_tcp
        from ..sim.emulators.served_bench import ServedBench

        with ExitStack() as stack:
            stack.enter_context(ServedBench(self.bench.clock, self._doors, self.port))
            if self._stage is not None:
                stack.enter_context(serve_tcp(*self._stage))
            yield

    def state(self) -> BenchState:
        """Light, cell and stage at this moment."""
        moving = self._stage is not None and self._stage[0].generating
        return BenchState(self.bench.light.emitting, self._chi.box.cell_on, moving)


def main(arguments: Sequence[str]) -> int:
    """Serve until interrupted; the first line of the output says where, then one line per change of state."""
    parser = argparse.ArgumentParser(prog="qdlab emulate station", description=str(__doc__).splitlines()[0])
    parser.add_argument("station", help="station TOML or name")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--fault", action="append", default=[], metavar="NAME")
    options = parser.parse_args(arguments)
    emulated = EmulatedStation(
        Station.load(Path(locate(options.station))), seed=options.seed, faults=options.fault
    )
    shown: BenchState | None = None
    try:
        with emulated.served():
            print(f"emulated station at 127.0.0.1:{emulated.port}; Ctrl-C ends it", flush=True)
            while True:
                state = emulated.state()
                if state != shown:
                    print(json.dumps(vars(state)), flush=True)
                    shown = state
                threading.Event().wait(REPORT_EVERY_S)
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
