"""A part of a run as a run of its own, so that it can be analyzed as one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...formats.run_file import RunFile, StoredEvents, StoredPhotons
from .stored import stored_photons


@dataclass(frozen=True)
class PhotonPiece(StoredPhotons):
    """Photons of a part of a measurement, in memory; time begins with the part."""

    piece: StoredEvents

    @cached_property
    def events(self) -> StoredEvents:
        """All photons of the part."""
        return self.piece


def part_of_run(run: RunFile, start_s: float, stop_s: float) -> RunFile:
    """Photons, markers and potentiostat records between two times (s) of the photons' clock."""
    whole = stored_photons(run)
    first, end = (round(time_s / whole.sync_period_s) for time_s in (start_s, stop_s))
    events = whole.between(first, end)
    markers = slice(*np.searchsorted(whole.marker_sync, [first, end]))
    begin_s = whole.start_s + first * whole.sync_period_s
    photons = PhotonPiece(
        path=whole.path,
        record_type=whole.record_type,
        n_photons=len(events.sync),
        marker_sync=whole.marker_sync[markers] - first,
        marker_bits=whole.marker_bits[markers],
        sync_period_s=whole.sync_period_s,
        resolution_s=whole.resolution_s,
        duration_s=(end - first) * whole.sync_period_s,
        n_inputs=whole.n_inputs,
        start_s=begin_s,
        words_overflow=None,
        piece=StoredEvents(events.sync - first, events.dtime, events.channel),
    )
    records = [
        record
        for record in run.potentiostat
        if begin_s <= record.about["start_s"] < begin_s + photons.duration_s
    ]
    header = {key: value for key, value in run.header.items() if key != "potentiostat_start_s"}
    return replace(run, header=header, photons=photons, potentiostat=records)
