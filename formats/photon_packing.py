"""The counter's words on their way from the part folder of a run into its run file.

They are copied as they are and unpacked into Photon-HDF5: at the end of a run in one go, or piece by piece
while it goes on, with the same result. What is packed early is a copy: `photons.u32` stays the record.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from .photon_hdf5 import PhotonHdf5Writer, PhotonMeasurement
from .tttr import RecordType, TttrBlock, TttrDecoder

OWN = "/user/qdlab"
WORDS_FILE = "photons.u32"
INDEX_WORDS = 1 << 16
"""A reader can begin at every so many words."""
_PACKED_FILE = "packed.h5"
_WORDS_AT_ONCE = 64 * INDEX_WORDS
_EARLY_WORDS = 16 * INDEX_WORDS
_EARLY_EVERY_S = 0.05
_TOO_FAR_BEHIND = 1 << 26


class StoredEvents(NamedTuple):
    """Photons in T3 form, arrays of one length."""

    sync: NDArray[np.int64]
    """Number of the laser pulse, counted from the start of the measurement, ascending."""
    dtime: NDArray[np.uint16]
    channel: NDArray[np.uint8]

    @classmethod
    def room_for(cls, n_photons: int) -> StoredEvents:
        """Arrays to be filled by `put`."""
        return cls(
            np.empty(n_photons, np.int64), np.empty(n_photons, np.uint16), np.empty(n_photons, np.uint8)
        )

    def put(self, block: TttrBlock, at: int) -> int:
        """Copy the photons of a block to `at`; returns where they end."""
        end = at + len(block.time)
        self.sync[at:end], self.dtime[at:end], self.channel[at:end] = block.time, block.dtime, block.channel
        return end

    def part(self, start: int, stop: int) -> StoredEvents:
        """The photons `start` to `stop`; views."""
        return StoredEvents(self.sync[start:stop], self.dtime[start:stop], self.channel[start:stop])


class PhotonPacking:
    """Fills an HDF5 file in the part folder with the photons of a run; `header` is the run's."""

    def __init__(self, part: Path, header: dict[str, Any]) -> None:
        about = header["photons"]
        self.path = part / _PACKED_FILE
        self.file = h5py.File(self.path, "w")
        self.n_words = self.n_photons = 0
        """Words packed so far, and the photons in them."""
        self._sync_period_s = about["sync_period_s"]
        self._words_file = part / WORDS_FILE
        self._decoder = TttrDecoder(RecordType(about["record_type"]))
        self._writer = PhotonHdf5Writer(self.file, _measurement(header))
        self._photons = StoredEvents.room_for(0)
        self._overflows: list[int] = []
        self._markers = [(np.empty(0, np.int64), np.empty(0, np.uint8))]

    def pack(self, n_words: int, *, threads: int | None = None) -> NDArray[np.uint32]:
        """Unpack the next words (a multiple of INDEX_WORDS, or all that are left) and return them.

        By `threads` threads; None means all cores.
        """
        words = np.fromfile(self._words_file, "<u4", n_words, offset=4 * self.n_words)
        if len(self._photons.sync) < len(words):
            self._photons = StoredEvents.room_for(len(words))
        n = 0
        for first in range(0, len(words), INDEX_WORDS):
            self._overflows.append(self._decoder.overflow)
            block = self._decoder.decode(words[first : first + INDEX_WORDS])
            n = self._photons.put(block, n)
            self._markers.append((block.marker_time, block.marker_bits))
        self._writer.append(*self._photons.part(0, n), threads=threads)
        self.n_words += len(words)
        self.n_photons += n
        return words

    def finish(self) -> int:
        """Pack what is left, and copy the words and markers; returns the number of photons."""
        n_words = self._words_file.stat().st_size // 4
        own = self.file.require_group(OWN)
        stored = own.create_dataset("words", (n_words,), "<u4")
        for start in range(0, self.n_words, _WORDS_AT_ONCE):
            count = min(_WORDS_AT_ONCE, self.n_words - start)
            stored[start : start + count] = np.fromfile(self._words_file, "<u4", count, offset=4 * start)
        for start in range(self.n_words, n_words, _WORDS_AT_ONCE):
            count = min(_WORDS_AT_ONCE, n_words - start)
            stored[start : start + count] = self.pack(count)
        self._writer.set_duration(self._decoder.last_time * self._sync_period_s)
        own["words_overflow"] = np.array(self._overflows, np.int64)
        times, bits = map(np.concatenate, zip(*self._markers, strict=True))
        own["markers/timestamps"], own["markers/bits"] = times, bits
        return self.n_photons


class EarlyPacking(Thread):
    """Packs in the background what `confirmed_words` says is on disk, while the run goes on.

    One thread that gives up when the words come faster than it packs, and leaves the rest for the end.
    """

    def __init__(self, part: Path, header: dict[str, Any], confirmed_words: Callable[[], int]) -> None:
        super().__init__(name="photon packing", daemon=True)
        self._packing: PhotonPacking | None = PhotonPacking(part, header)
        self._confirmed_words = confirmed_words
        self._over = Event()

    def run(self) -> None:
        """Pack until `end`; an error of the disk only means that it is all done again at the end."""
        packing = self._packing
        assert packing is not None
        try:
            while not self._over.wait(_EARLY_EVERY_S):
                while (behind := self._confirmed_words() - packing.n_words) >= _EARLY_WORDS:
                    if behind > _TOO_FAR_BEHIND or self._over.is_set():
                        return
                    packing.pack(_EARLY_WORDS, threads=1)
        except OSError:
            packing.file.close()
            self._packing = None

    def end(self) -> PhotonPacking | None:
        """Stop, and hand over what is packed; None when it failed."""
        self._over.set()
        self.join()
        return self._packing


def _measurement(header: dict[str, Any]) -> PhotonMeasurement:
    about = header["photons"]
    station = header["station"]
    return PhotonMeasurement(
        timestamps_unit_s=about["sync_period_s"],
        tcspc_unit_s=about["resolution_s"],
        laser_repetition_rate_hz=1.0 / about["sync_period_s"],
        detectors=tuple(range(about["n_inputs"])),
        excitation_wavelength_nm=station["laser"].get("wavelength_nm", 442.0),
        description=header["title"] or f"{header['kind']} run recorded with qdlab",
        sample_name=header["sample"],
        created=datetime.fromisoformat(header["started"]).astimezone(),
    )
