"""The examples in the documentation run."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from qdlab.procedures.station import Station
from qdlab.sim.samples import all_faults

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
SHORT = ["--set", "hold_s=2", "--set", "cycles=1", "--set", "scan_rate_v_s=1"]


def blocks(language: str) -> list:
    found = []
    for page in PAGES:
        for k, block in enumerate(re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S)):
            found.append(pytest.param(block, id=f"{page.relative_to(ROOT)}-{k}"))
    return found


@pytest.fixture(scope="session")
def run_file(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-m", "qdlab.procedures.cli", "run", "cv_flid", "--speed", "max", "--out", out]
    done = subprocess.run([*map(str, command), *SHORT], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip().splitlines()[-1])


@pytest.mark.parametrize("block", blocks("python"))
def test_a_python_example_runs(block, run_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "example", "exec"), {"path": run_file})


@pytest.mark.parametrize("block", blocks("toml"))
def test_a_toml_example_is_part_of_a_valid_file(block, tmp_path):
    tables = tomllib.loads(block)
    if "procedure" in tables:
        return
    station = tomllib.loads((ROOT / "configs" / "charging_simulated.toml").read_text())
    for name, table in tables.items():
        keep = {"connection": "simulated"} if "driver" in table else {}
        station[name] = {**table, **keep} if "driver" in table else {**station.get(name, {}), **table}
    path = tmp_path / "station.toml"
    path.write_text("\n".join(_toml_table(name, table) for name, table in station.items()))
    Station.load(path)


@pytest.mark.parametrize("block", blocks("sh"))
def test_every_command_in_the_docs_is_understood(block):
    for line in block.splitlines():
        words = line.partition("#")[0].split()
        for k, word in enumerate(words):
            if word.endswith("qdlab") and k + 1 < len(words) and "/" not in words[k + 1]:
                call = [sys.executable, "-m", "qdlab.procedures.cli", *words[k + 1 : k + 2], "--help"]
                done = subprocess.run(call, capture_output=True, text=True)
                assert done.returncode == 0, line
                for option in re.findall(r"--[a-z-]+", " ".join(words[k + 1 :])):
                    assert option in done.stdout or words[k + 1] == "station", f"{option} in: {line}"


def test_every_link_between_pages_leads_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_command_for_tests_is_what_ci_runs():
    readme = (ROOT / "README.md").read_text()
    assert "pytest" in readme
    assert "README.md" in (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def _toml_table(name: str, table: dict) -> str:
    return f"[{name}]\n" + "\n".join(f"{key} = {_toml_value(value)}" for key, value in table.items())


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    return repr(value)


def test_the_page_of_the_twin_lists_every_fault():
    page = (ROOT / "docs" / "simulation.md").read_text()
    for name, sentence in all_faults().items():
        assert f"| `{name}` | {sentence} |" in page, name
