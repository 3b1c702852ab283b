"""Reads files of others under limits of memory and time and says how each ended, as one line of JSON.

Anything but a result or a `FileFormatError` of one short line ends this process with a traceback.
"""

import json
import resource
import sys
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

from qdlab.formats.chi_text import read_chi_text
from qdlab.formats.errors import FileFormatError
from qdlab.formats.ptu import open_ptu
from qdlab.formats.run_file import read_run_file
from qdlab.formats.wt5 import read_wt5

PER_BYTE, ALWAYS = 1200, 32 << 20
"""Largest memory for a file: gzip inflates a byte to 1032, and every reader needs a little."""


def read_run(path: Path) -> None:
    """Everything of a run file that an analysis may ask for."""
    run = read_run_file(path)
    assert isinstance(run.kind, str)
    assert isinstance(run.status, str)
    for name in ("scans", "images", "dots", "points", "spectra"):
        run.groups(name)
    if run.photons is not None:
        assert len(run.photons.words) >= 0
        run.photons.between(0, 1 << 40)
        run.photons.some_micro_times()
        assert len(run.photons.sync) <= run.photons.n_photons


def read_ptu(path: Path) -> None:
    """Header and all events of a PTU file."""
    open_ptu(path).events()


def read_chi(path: Path) -> None:
    """Everything that follows from a CHI text."""
    text = read_chi_text(path)
    _ = text.warnings, text.time_s, text.complete, text.planned_rows, text.overload
    text.current_a("anodic_positive")


def read_spectra(path: Path) -> None:
    """All data of a wt5 file, on their axes."""
    for data in read_wt5(path):
        data.gridded()


READERS: dict[str, Callable[[Path], None]] = {
    "run": read_run,
    "ptu": read_ptu,
    "chi": read_chi,
    "wt5": read_spectra,
}


def ended(read: Callable[[Path], None], path: Path) -> str:
    """ "read", or the sentence of the refusal; raises for anything else."""
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    try:
        read(path)
    except FileFormatError as error:
        sentence = str(error)
        assert "\n" not in sentence.strip(), sentence
        assert 10 < len(sentence) < 700, sentence
        outcome = sentence
    else:
        outcome = "read"
    _, peak = tracemalloc.get_traced_memory()
    assert peak - before < ALWAYS + PER_BYTE * path.stat().st_size, f"{path}: {peak - before:,} bytes"
    return outcome


def main(reader: str, memory_bytes: str, seconds: str, *paths: str) -> None:
    """Read all files one after the other."""
    resource.setrlimit(resource.RLIMIT_AS, (int(memory_bytes), int(memory_bytes)))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    warnings.simplefilter("error")
    tracemalloc.start()
    print(json.dumps({path: ended(READERS[reader], Path(path)) for path in paths}))


if __name__ == "__main__":
    main(*sys.argv[1:])
