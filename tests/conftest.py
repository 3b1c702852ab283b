import importlib.util
import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the workers have the cores; more threads only wait

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def pytest_collection_modifyitems(items):
    """The checkers take longest in one piece: they come first, while there is other work beside them."""
    items.sort(key=lambda item: "project" not in item.path.parts)


@pytest.fixture(scope="session")
def small_station():
    """Write a shipped 2DES station with an ensemble small enough for tests; returns the file's path.

    Each of `changes` is a text of the shipped file and what stands there instead.
    """
    from qdlab.procedures.config import locate

    def write(folder, name, *changes, dimers=60):
        text = locate(name).read_text(encoding="utf-8")
        for old, new in (("dimers = 4000", f"dimers = {dimers}"), *changes):
            assert old in text
            text = text.replace(old, new)
        path = folder / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def load_benchmark():
    """Load a program of benchmarks/ by its name, as a module."""

    def load(name):
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return load
