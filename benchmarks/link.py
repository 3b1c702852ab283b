"""How many exchanges a second the links to a GCS controller carry on loopback.

    python benchmarks/link.py [EXCHANGES]

The emulated E-545 runs in a process of its own. An exchange is what a driver does: set a target and read
the error register (two writes, one reply), or ask for one number.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyvisa

from qdlab.instruments.links import LineLink, VisaLink, open_link
from qdlab.instruments.pi import E545
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.doors import EmulatedAdapter
from qdlab.sim.emulators.pi_e545 import E545Controller
from qdlab.sim.physics.piezo import PiezoStage


@contextmanager
def emulated(*where: str) -> Iterator[str]:
    """Address of an emulated E-545 in another process."""
    code = "import sys; from qdlab.sim.emulators.e545_program import main; main(sys.argv[1:])"
    with subprocess.Popen([sys.executable, "-c", code, *where], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        try:
            yield program.stdout.readline().split(" at ")[1].split(";")[0]
        finally:
            program.terminate()


def rate_hz(exchange: Callable[[], object], count: int) -> float:
    """The rate in the best of many short blocks, so that other programs on the machine do not count."""
    block = max(count // 100, 5)
    took_s = []
    for _ in range(count // block + 1):
        start_s = time.perf_counter()
        for _ in range(block):
            exchange()
        took_s.append(time.perf_counter() - start_s)
    return block / min(took_s[1:])


def report(name: str, link: LineLink, count: int) -> None:
    controller = E545(link)
    controller.identify()
    for line in ("ONL 1 1", "SVO A 1"):
        controller.send(line)
    axis, targets_um = controller.x, (10.0, 10.1)

    def set_and_check() -> None:
        axis.target_um = targets_um[0]

    raw = rate_hz(lambda: (link.write("MOV A 10.0000"), link.write("ERR?"), link.read()), count)
    checked = rate_hz(set_and_check, count)
    asked = rate_hz(lambda: controller.ask("MOV? A"), count)
    print(f"{name:34} {raw:9.0f} {checked:14.0f} {asked:9.0f}")
    link.close()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    print(f"{'exchanges per second':34} {'MOV, ERR?':>9} {'by the driver':>14} {'MOV?':>9}")
    controller = E545Controller(SimulatedClock(), PiezoStage(seed=1))
    report("in process", EmulatedAdapter(controller), count)
    with emulated("--port", "0") as address:
        report("TCP", open_link(address), count)
        resource = f"TCPIP::127.0.0.1::{address.rpartition(':')[2]}::SOCKET"
        report("TCP, plain pyvisa-py", VisaLink(resource), 60)
    with emulated("--pty") as address:
        report("pty, pyserial", open_link(address), count // 4)
        report(f"pty, pyvisa {pyvisa.__version__}", open_link(f"ASRL{address}::INSTR"), count // 4)


if __name__ == "__main__":
    main()
