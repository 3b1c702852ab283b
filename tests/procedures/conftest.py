import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from qdlab.procedures.cli import main


@dataclass
class Ended:
    status: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


@pytest.fixture
def qdlab(monkeypatch, capsys):
    """Call the command line in this process; returns exit status, output and errors."""

    def call(*arguments: object) -> Ended:
        monkeypatch.setattr("sys.argv", ["qdlab", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def short_run(qdlab, tmp_path):
    """A short experiment on the twin; returns how it ended and the run file's path."""

    def call(*arguments: object) -> tuple[Ended, Path]:
        ended = qdlab(
            *("run", "cv_flid", "--out", tmp_path / "runs", "--speed", "max"),
            *("--set", "hold_s=2", "--set", "cycles=1", "--set", "scan_rate_v_s=1"),
            *arguments,
        )
        return ended, Path(ended.out.strip().splitlines()[-1])

    return call


def read_json(path: Path) -> dict:
    return json.loads(path.read_text())
