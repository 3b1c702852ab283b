"""What a PTU file holds, in numbers: the object that `qdlab analyze FILE.ptu --json` writes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.ptu import open_ptu
from ..formats.tttr import TttrBlock, TttrDecoder, marker_line_counts


def summarize_ptu(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Count and add up all records of a PTU file, in blocks; the result is ready for JSON.

    `photons` by detector input counted from 0 (inputs without photons are left out), `markers` by
    marker line 1 to 4 (a record with several lines set counts on each; silent lines are left out).
    `first_photon` and `last_photon` are [sync number, input, micro time] in T3, [time, input] in T2, null
    without photons; `time_sum` adds sync numbers in T3, times in T2; `dtime_sum` is null in T2.
    `duration_s` is the time of the last record, overflow records included: in T3 its sync number times
    the sync period. `resolution_ps` is the unit of micro times in T3, of times in T2; `sync_rate_hz` is
    null where the counter measured none.

    Raises FileFormatError when the file cannot be read as PTU.
    """
    ptu = open_ptu(path)
    decoder = TttrDecoder(ptu.record_type)
    photons, markers = np.zeros(256, np.int64), np.zeros(4, np.int64)
    overflow_records = time_sum = dtime_sum = reserved = 0
    first: list[int] | None = None
    last: list[int] | None = None
    for words in ptu.blocks():
        block = decoder.decode(words)
        photons += np.bincount(block.channel, minlength=256)
        markers += marker_line_counts(block.marker_bits)
        overflow_records += block.overflow_records
        reserved += block.reserved_records
        time_sum += _exact_sum(block.time)
        dtime_sum += int(block.dtime.sum(dtype=np.int64))
        if len(block.time):
            first = first or _photon(block, 0, ptu.tttr_mode)
            last = _photon(block, -1, ptu.tttr_mode)
    warnings = list(ptu.warnings)
    if reserved:
        warnings.append(f"{ptu.path.name} holds {reserved} records of undefined meaning; they were skipped")
    return {
        "kind": "ptu",
        "tttr_mode": ptu.tttr_mode,
        "records": len(ptu.words),
        "photons": {str(k): int(n) for k, n in enumerate(photons) if n},
        "markers": {str(k): int(n) for k, n in enumerate(markers, start=1) if n},
        "overflow_records": overflow_records,
        "duration_s": decoder.last_time * ptu.time_unit_s,
        "resolution_ps": round(ptu.resolution_s * 1e12, 6),
        "sync_rate_hz": ptu.sync_rate_hz,
        "first_photon": first,
        "last_photon": last,
        "time_sum": time_sum,
        "dtime_sum": dtime_sum if ptu.tttr_mode == 3 else None,
        "warnings": warnings,
    }


def _photon(block: TttrBlock, index: int, mode: int) -> list[int]:
    photon = [int(block.time[index]), int(block.channel[index])]
    return [*photon, int(block.dtime[index])] if mode == 3 else photon


def _exact_sum(time: NDArray[np.int64]) -> int:
    """Sum of times below 2**62 that may exceed 64 bits."""
    return (int((time >> 32).sum()) << 32) + int((time & 0xFFFFFFFF).sum())
