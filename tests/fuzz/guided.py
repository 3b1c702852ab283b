"""Fuzzing guided by coverage, on demand and on Linux: finds inputs that the quick tests never try.

    pip install atheris
    python tests/fuzz/guided.py chi -max_total_time=300      # or ptu, gcs, toml

Stops with a traceback and the input at anything but a result or a refusal.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["qdlab.formats", "qdlab.procedures", "qdlab.instruments.pi"]):
    from qdlab.formats.chi_text import parse_chi_text
    from qdlab.formats.errors import FileFormatError
    from qdlab.formats.ptu import open_ptu, write_ptu
    from qdlab.instruments.base import InstrumentError
    from qdlab.instruments.links import LineLink
    from qdlab.instruments.pi.gcs import GCSController
    from qdlab.procedures.errors import RefusedError
    from qdlab.procedures.station import Station

FOLDER = Path(tempfile.mkdtemp())


class Said(LineLink):
    """A link whose other end says these bytes."""

    def __init__(self, content: bytes) -> None:
        super().__init__("a script", 0.1)
        self.content = content

    def _send(self, data: bytes) -> None:
        pass

    def _receive(self) -> bytes:
        if not self.content:
            raise TimeoutError
        content, self.content = self.content, b""
        return content


def chi(raw: bytes) -> None:
    """A CHI text with all that follows from it."""
    text = parse_chi_text(raw, "fuzzed")
    _ = text.warnings, text.time_s, text.complete, text.planned_rows, text.overload


def ptu(raw: bytes) -> None:
    """A PTU file."""
    path = FOLDER / "fuzzed.ptu"
    path.write_bytes(b"PQTTTR\0\0" + raw)
    open_ptu(path).events()


def toml(raw: bytes) -> None:
    """A station file."""
    path = FOLDER / "fuzzed.toml"
    path.write_bytes(raw)
    Station.load(path)


def gcs(raw: bytes) -> None:
    """Replies of a PI controller."""
    controller = GCSController(Said(raw))
    controller._identity = "PI, E-517"  # found out before
    controller.take_error()
    controller.ask_items("POS?")
    controller.ask_array("DRR? 1 2 1")


CHI = b"""Nov. 20, 2026   12:00:00
Cyclic Voltammetry
Instrument Model: CHI760C

Init E (V) = 0
High E (V) = 0
Low E (V) = -0.1
Scan Rate (V/s) = 0.1
Segment = 2
Sample Interval (V) = 0.05
Sensitivity (A/V) = 1e-6

Results:
Segment 1:
Ep = -0.050V

Potential/V, Current/A
-0.05, 1e-7
-0.10, 2e-7
"""


def seeds(reader: str) -> Path:
    """A folder with whole inputs to begin with."""
    folder = FOLDER / reader
    folder.mkdir()
    if reader == "ptu":
        whole = write_ptu(
            FOLDER / "whole.ptu",
            np.arange(4, dtype=np.uint32),
            mode=3,
            resolution_s=25e-12,
            sync_rate_hz=2.5e6,
        )
        (folder / "seed").write_bytes(whole.read_bytes()[8:])
    elif reader == "toml":
        for path in (Path(__file__).parents[2] / "configs").glob("*simulated.toml"):
            (folder / path.name).write_bytes(path.read_bytes())
    elif reader == "chi":
        (folder / "seed").write_bytes(CHI)
    else:
        array = b"# NDATA = 2 \n# DIM = 1 \n# END_HEADER \n1.0 \n2.0\n"
        (folder / "seed").write_bytes(b"0\nA=1.0 \nB=2.0\n" + array)
    return folder


READERS = {"chi": chi, "ptu": ptu, "toml": toml, "gcs": gcs}


def main() -> None:
    """Fuzz the reader that is named first; the other arguments are libFuzzer's."""
    read = READERS[sys.argv.pop(1)]

    def once(raw: bytes) -> None:
        with contextlib.suppress(FileFormatError, RefusedError, InstrumentError):
            read(raw)

    atheris.Setup([*sys.argv, str(seeds(read.__name__))], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
