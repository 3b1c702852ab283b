import ast
import pkgutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AREAS = ("analysis", "configs", "formats", "gui", "instruments", "procedures", "sim")
MAY_IMPORT = {
    "formats": set(),
    "configs": set(),
    "analysis": {"formats"},
    "instruments": {"formats"},
    "sim": {"formats", "instruments"},
    "procedures": {"formats", "analysis", "instruments", "sim", "configs"},
    "gui": {"formats", "analysis", "instruments", "procedures"},
}


def sources(area: str) -> list[Path]:
    return sorted(p for p in (ROOT / area).rglob("*.py") if "__pycache__" not in p.parts)


def imported_areas(path: Path) -> set[str]:
    """Areas of qdlab that a source file imports, wherever in the file."""
    package = path.relative_to(ROOT).parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = (*base, *(node.module or "").split("."))
            found |= {target[0]} if target[0] else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            found |= {name.split(".")[1] for name in names if name.startswith("qdlab.")}
    return found & set(AREAS)


def test_every_package_on_disk_is_in_the_wheel():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    on_disk = {
        "qdlab." + ".".join(p.parent.relative_to(ROOT).parts)
        for area in AREAS
        for p in sources(area)
        if p.name == "__init__.py"
    }
    folders = {"qdlab." + ".".join(p.parent.relative_to(ROOT).parts) for area in AREAS for p in sources(area)}
    assert listed == on_disk == folders


@pytest.mark.parametrize("area", AREAS)
def test_imports_point_one_way_only(area):
    for path in sources(area):
        opens = {"gui"} if path == ROOT / "procedures" / "cli.py" else set()  # `qdlab gui` opens the window
        assert imported_areas(path) <= MAY_IMPORT[area] | {area} | opens, path


@pytest.mark.parametrize("area", AREAS)
def test_every_module_imports(area):
    package = import_module(f"qdlab.{area}")
    for module in pkgutil.walk_packages(package.__path__, f"qdlab.{area}."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


def test_nothing_but_the_clocks_waits_on_the_wall():
    allowed = {ROOT / "instruments" / "clock.py"}
    for area in ("instruments", "procedures", "analysis", "formats"):
        for path in sources(area):
            text = path.read_text(encoding="utf-8")
            assert "time.sleep" not in text or path in allowed, path


def test_help_needs_no_heavy_import():
    code = "import sys; sys.argv = ['qdlab', '--version']\nfrom qdlab.procedures.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "heavy = {'numpy', 'numba', 'h5py', 'pymeasure', 'pandas', 'matplotlib', 'scipy'}\n"
    code += "print(sorted(heavy & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "[]"
