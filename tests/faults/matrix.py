"""The fault matrix: for every fault of every emulator what is run, how it ends, what is said, what is left.

`test_matrix.py` runs every row and compares. The end of docs/reliability.md is this table; after a change
write it with

    pytest tests/faults --write-page
"""

from __future__ import annotations

from pathlib import Path

from qdlab.sim import coherence_bench, samples

from .charging_rows import CHARGING
from .coherence_rows import COHERENCE

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
HEADING = "## Every fault"
ROWS = CHARGING + COHERENCE

_HEAD = f"""{HEADING}

What happens with each fault of the emulators switched on. `tests/faults` runs every row and compares. This
section is written from the same table (`pytest tests/faults --write-page`); a test checks that it is current.

- `voltammetry` and `scan` are short runs of `cv_flid` and `confocal_scan`, as `qdlab run` does them. The
  state of the rig is read from the bench when the run file is written. Where photons are in the file, they
  are those of at least the seconds given, up to the fault.
- The others are drivers of 2DES by themselves; their state is read after `disconnect()`.
- In messages `...` stands for anything. What a link that is gone cannot stop stands in capitals.
- Some faults no instrument can see, such as a frame that was not shown, or a speck that scatters. Only the
  light tells them: a scan has to look at it.

| fault | what happens | run | ended | exit | message | rig afterwards | data kept |
|---|---|---|---|---|---|---|---|
"""


def page() -> str:
    """The whole page: what people wrote, then the section, with what faults do in the emulators' words."""
    sentences = all_sentences()
    lines = []
    for row in ROWS:
        exit_status = "" if row.exit_status is None else str(row.exit_status)
        photons = "" if row.photons_s is None else f"{row.photons_s:g} s of photons"
        kept = "; ".join(filter(None, [photons, row.data])) or "none"
        cells = (f"`{row.fault}`", sentences[row.fault], row.run, row.ended, exit_status, row.says or "none")
        lines.append("| " + " | ".join([*cells, row.rig, kept]) + " |\n")
    written, _, _ = PAGE.read_text(encoding="utf-8").partition(HEADING)
    return written + _HEAD + "".join(lines)


def all_sentences() -> dict[str, str]:
    """Every fault of every bench, and what it does."""
    return samples.all_faults() | coherence_bench.all_faults()
