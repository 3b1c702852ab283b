"""Where an analysis gets its photons from: arrays in memory, or a run file that stays on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..formats.photon_packing import StoredEvents
from ..formats.run_file import StoredPhotons
from ..formats.tttr import RecordType
from .photon_engine import PhotonEngine

_WORDS_PER_BLOCK = 4 << 20
_FOREIGN_WORDS = (RecordType.PICOHARP_300_T3, RecordType.HYDRAHARP_V1_T3)


class PhotonSource(Protocol):
    """Photons of one T3 measurement in order of time."""

    @property
    def n_photons(self) -> int:
        """How many there are."""
        ...

    def between(self, first_sync: int, end_sync: int) -> StoredEvents:
        """The photons with `first_sync` <= sync number < `end_sync`."""
        ...

    def some_micro_times(self) -> NDArray[np.uint16]:
        """Micro times of a part of the photons, spread over the measurement."""
        ...


@dataclass(frozen=True)
class PhotonArrays:
    """Photons in memory: sync number (ascending), micro time in bins, detector from 0."""

    sync: NDArray[np.int64]
    dtime: NDArray[np.uint16]
    channel: NDArray[np.uint8]

    @property
    def n_photons(self) -> int:
        """How many there are."""
        return len(self.sync)

    def between(self, first_sync: int, end_sync: int) -> StoredEvents:
        """The photons with `first_sync` <= sync number < `end_sync`; views."""
        inside = slice(*np.searchsorted(self.sync, [first_sync, end_sync]))
        return StoredEvents(self.sync[inside], self.dtime[inside], self.channel[inside])

    def some_micro_times(self) -> NDArray[np.uint16]:
        """All micro times."""
        return self.dtime


def count_all(photons: PhotonSource, engine: PhotonEngine) -> None:
    """Feed every photon to the engine: a run file's words as they lie on disk, arrays as they are.

    Raises ValueError for photons that no run can contain.
    """
    if (
        isinstance(photons, StoredPhotons)
        and photons.words_overflow is not None
        and photons.record_type not in _FOREIGN_WORDS
    ):
        for first in range(0, len(photons.words), _WORDS_PER_BLOCK):
            engine.feed(photons.words[first : first + _WORDS_PER_BLOCK])
    else:
        engine.feed_events(*photons.between(0, np.iinfo(np.int64).max))
