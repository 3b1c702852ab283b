"""The emulated E-545 under test, and the doors behind which a controller may stand."""

from collections.abc import Iterator
from contextlib import contextmanager

from qdlab.instruments.base import Limits
from qdlab.instruments.links import open_link
from qdlab.instruments.pi import E545Stage
from qdlab.instruments.stage import LineScan
from qdlab.sim.bench import Faults
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.doors import EmulatedAdapter, serve_pty, serve_tcp
from qdlab.sim.emulators.pi_e545 import E545Controller
from qdlab.sim.physics.piezo import PiezoStage

LIMITS = {"x": Limits(10.0, 190.0), "y": Limits(10.0, 190.0), "z": Limits(0.0, 100.0)}
NOISE_UM = 0.01
LINES = LineScan("x", 45.0, 51.4, line_s=0.128, slow="y", slow_um=(55.0, 55.1, 55.2))


class E545Rig:
    """A stage, the emulated controller behind it, and the clock of both."""

    def __init__(self, faults=(), *, needs_cr=False, **keywords):
        self.clock = SimulatedClock()
        self.bench = PiezoStage(seed=3)
        self.controller = E545Controller(
            self.clock, self.bench, faults=Faults(frozenset(faults)), needs_cr=needs_cr
        )
        self.open_link = lambda: EmulatedAdapter(self.controller)
        self.keywords = {"limits_um": LIMITS, "trigger_output": 1, **keywords}

    def stage(self) -> E545Stage:
        return E545Stage(lambda: self.open_link(), clock=self.clock, **self.keywords)


@contextmanager
def behind(rig, door: str) -> Iterator:
    """The rig with its controller in process, or behind a socket, a serial line, or a serial line by VISA."""
    if door == "in-process":
        yield rig
        return
    with serve_tcp(rig.controller) if door == "tcp" else serve_pty(rig.controller) as opened:
        address = f"ASRL{opened.address}::INSTR" if door == "visa-pty" else opened.address
        rig.open_link = lambda: open_link(address)
        yield rig
