"""Runs a reader on hostile bytes in a process of its own with little memory and time."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CHILD = Path(__file__).parent / "reader.py"
MEMORY_BYTES = 3 << 30
"""Address space of the child: Python with numba, h5py and scipy reserves more than half of it."""
SECONDS = 60


@pytest.fixture(scope="session")
def in_a_small_process() -> Callable[..., dict[str, str]]:
    """Read files with a reader of `reader.py`; returns for each how it ended.

    Fails when the process dies, hangs, or runs out of its memory.
    """
    if sys.platform == "win32":
        pytest.skip("Windows has no limits of this kind")

    def read(reader: str, *paths: Path) -> dict[str, str]:
        ended = subprocess.run(
            [sys.executable, str(CHILD), reader, str(MEMORY_BYTES), str(SECONDS), *map(str, paths)],
            capture_output=True,
            text=True,
            timeout=5 * SECONDS,  # of the wall, for one that waits; the limit above is of work
        )
        assert ended.returncode == 0, ended.stderr[-2000:]
        return json.loads(ended.stdout.strip().splitlines()[-1])

    return read
