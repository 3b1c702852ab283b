"""Nothing in a file is ever run or unpickled, and no door is open to the network unless asked for."""

import ast
import ipaddress
from pathlib import Path

import pytest

from qdlab.sim.clock import SimulatedClock
from qdlab.sim.coherence_bench import Blank, CoherenceBench
from qdlab.sim.emulators.chi760 import SubprocessChi760
from qdlab.sim.emulators.doors import serve_tcp
from qdlab.sim.emulators.esp30x import EspController
from qdlab.sim.emulators.obp_spectrometer import ObpSpectrometer
from qdlab.sim.emulators.pi_e545 import E545Controller
from qdlab.sim.emulators.pi_linear import DaisyChain, LinearController
from qdlab.sim.emulators.sr830 import Sr830
from qdlab.sim.physics.linear_motion import LinearAxis
from qdlab.sim.physics.piezo import PiezoStage
from qdlab.sim.samples import make_bench

ROOT = Path(__file__).parents[2]
PACKAGES = ("analysis", "configs", "formats", "gui", "instruments", "procedures", "sim")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
UNPICKLERS = {
    "pickle",
    "cPickle",
    "_pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "yaml",
    "runpy",
}
RUNNERS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
PICKLING_CONNECTIONS = {"sim/emulators/chi760/launch.py", "sim/emulators/chi760/__main__.py"}
"""Where two processes of ours talk over an authenticated loopback connection that pickles."""


def calls(path):
    """Dotted name, call, of every call in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def names(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)


def test_the_modules_are_found():
    assert len(MODULES) > 150


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_unpickles_or_runs_what_it_reads(package):
    for path in (path for path in MODULES if path.relative_to(ROOT).parts[0] == package):
        where = path.relative_to(ROOT).as_posix()
        imported = set(names(path))
        assert not {name.partition(".")[0] for name in imported} & UNPICKLERS, where
        assert "multiprocessing.connection" not in imported or where in PICKLING_CONNECTIONS, where
        for name, call in calls(path):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert name not in RUNNERS, f"{where}, line {call.lineno}"
            assert keywords.get("shell", "False") == "False", f"{where}, line {call.lineno}"
            assert keywords.get("allow_pickle", "False") == "False", f"{where}, line {call.lineno}"


def test_no_module_opens_a_door_to_the_network():
    for path in MODULES:
        where = path.relative_to(ROOT).as_posix()
        text = path.read_text(encoding="utf-8")
        assert "0.0.0.0" not in text, where
        for name, call in calls(path):
            if (
                name.endswith((".create_server", ".bind"))
                and call.args
                and isinstance(call.args[0], ast.Tuple)
            ):
                host = call.args[0].elts[0]
                fixed = isinstance(host, ast.Constant)
                assert not fixed or host.value == "127.0.0.1", f"{where}, line {call.lineno}"


CONTROLLERS = {
    "e545": lambda clock: E545Controller(clock, PiezoStage(seed=1)),
    "c863": lambda clock: LinearController(clock, LinearAxis(seed=1, key=0)),
    "chain": lambda clock: DaisyChain(clock, {1: LinearController(clock, LinearAxis(seed=1, key=0))}),
    "esp30x": lambda clock: EspController(clock, {1: LinearAxis(seed=1, key=0)}),
    "spectrometer": lambda clock: ObpSpectrometer(CoherenceBench(clock, Blank(), seed=1)),
    "sr830": lambda clock: Sr830(CoherenceBench(clock, Blank(), seed=1)),
}


@pytest.mark.parametrize("name", CONTROLLERS)
def test_a_door_is_open_on_this_computer_only(name):
    with serve_tcp(CONTROLLERS[name](SimulatedClock())) as door:
        host = door._listener.getsockname()[0]
        assert ipaddress.ip_address(host).is_loopback
        assert host in door.address


def test_the_vendor_program_of_its_own_calls_back_on_this_computer_only(tmp_path):
    launcher = SubprocessChi760(make_bench("blank", seed=1, speed=1.0))
    macro = tmp_path / "empty.mcr"
    macro.write_bytes(b"\n")
    program = launcher.start(macro)
    try:
        assert ipaddress.ip_address(program._server.getsockname()[0]).is_loopback
    finally:
        program.terminate()
