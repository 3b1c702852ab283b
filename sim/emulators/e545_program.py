"""`qdlab emulate e545`: an emulated E-545 for clients in other programs, in real time."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..bench import Faults
from ..clock import SimulatedClock
from ..physics.piezo import PiezoStage
from .doors import WallTime, serve_pty, serve_tcp
from .pi_e545 import FAULTS, E545Controller


def main(arguments: Sequence[str]) -> int:
    """Serve until interrupted; the first line of the output says where."""
    parser = argparse.ArgumentParser(
        prog="qdlab emulate e545", description="An emulated PI E-545 with an ideal load on it."
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--port", type=int, default=50_000, help="TCP port on this machine; 0 takes a free one"
    )
    where.add_argument("--pty", action="store_true", help="a pseudo-terminal instead of TCP")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", action="append", default=[], choices=sorted(FAULTS), metavar="NAME")
    options = parser.parse_args(arguments)
    clock = SimulatedClock()
    controller = E545Controller(
        clock, PiezoStage(seed=options.seed), faults=Faults(frozenset(options.fault)), needs_cr=options.pty
    )
    follow = WallTime(clock)
    try:
        door = (
            serve_pty(controller, before_exchange=follow)
            if options.pty
            else serve_tcp(controller, options.port, before_exchange=follow)
        )
    except OSError as error:
        parser.exit(1, f"qdlab: cannot serve the emulated E-545: {error}\n")
    with door:
        print(f"emulated E-545 at {door.address}; Ctrl-C ends it", flush=True)
        try:
            door.wait()
        except KeyboardInterrupt:
            return 0
    return 0
