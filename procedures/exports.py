"""Recordings written in formats of others: PTU (T2 and T3), Photon-HDF5, CSV tables.

Spectra go to wt5 and NeXus by `formats` itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from ..formats.photon_hdf5 import PhotonHdf5Writer, PhotonMeasurement
from ..formats.ptu import open_ptu, write_ptu
from ..formats.run_file import read_run_file
from ..formats.tttr import TttrDecoder, TttrEncoder
from .errors import RefusedError
from .spectra import HoldsSpectra, spectra_to_csv

BASE_RESOLUTION_S = 25e-12


@dataclass(frozen=True)
class Recording:
    """Photons and markers with their units; dtime is None for times without a pulsed laser (T2)."""

    name: str
    time: NDArray[np.int64]
    dtime: NDArray[np.uint16] | None
    channel: NDArray[np.uint8]
    marker_time: NDArray[np.int64]
    marker_bits: NDArray[np.uint8]
    time_unit_s: float
    resolution_s: float
    end_time: int


def has_photons(path: Path, *, is_run: bool) -> bool:
    """False for a run that recorded none."""
    return not is_run or read_run_file(path).photons is not None


def read_recording(path: Path, *, is_run: bool) -> Recording:
    """The photons of a run file or a PTU file; raises RefusedError when a run has none."""
    if is_run:
        photons = read_run_file(path).photons
        if photons is None:
            raise RefusedError(f"{path}: this run recorded no photons")
        return Recording(
            path.name,
            photons.sync,
            photons.dtime,
            photons.channel,
            photons.marker_sync,
            photons.marker_bits,
            photons.sync_period_s,
            photons.resolution_s,
            round(photons.duration_s / photons.sync_period_s),
        )
    ptu = open_ptu(path)
    decoder = TttrDecoder(ptu.record_type)
    events = decoder.decode(ptu.words)
    return Recording(
        path.name,
        events.time,
        events.dtime if ptu.tttr_mode == 3 else None,
        events.channel,
        events.marker_time,
        events.marker_bits,
        ptu.time_unit_s,
        ptu.resolution_s,
        decoder.last_time,
    )


def to_ptu(recording: Recording, out: Path, mode: Literal[2, 3]) -> None:
    """Write a TimeHarp 260 P recording in T2 or T3 mode; a pair of both shows the same photons.

    In T2 each photon's laser pulse is written as a sync event before it, as in recordings that keep
    only the pulses that a photon follows.
    """
    encoder = TttrEncoder(mode)
    r = recording
    if not math.isclose(
        r.resolution_s / BASE_RESOLUTION_S, max(1, round(r.resolution_s / BASE_RESOLUTION_S))
    ):
        raise RefusedError(
            f"{r.name}: its resolution of {r.resolution_s * 1e12:g} ps is no multiple of 25 ps, "
            "the TimeHarp 260 P's"
        )
    if mode == 3:
        if r.dtime is None:
            raise RefusedError(f"{r.name}: holds T2 times without laser pulses; it cannot become T3")
        words = encoder.encode(r.time, r.dtime, r.channel, r.marker_time, r.marker_bits, until=r.end_time)
        write_ptu(
            out, words, mode=3, resolution_s=r.resolution_s, sync_rate_hz=1 / r.time_unit_s, comment=r.name
        )
        return
    if r.dtime is None:
        words = encoder.encode(r.time, None, r.channel, r.marker_time, r.marker_bits, until=r.end_time)
        write_ptu(out, words, mode=2, resolution_s=r.resolution_s, comment=r.name)
        return
    units_per_sync = r.time_unit_s / r.resolution_s
    pulses = np.unique(r.time)
    times = _in_units(r.time, units_per_sync) + r.dtime
    order = np.argsort(times, kind="stable")
    words = encoder.encode(
        times[order],
        None,
        r.channel[order],
        _in_units(r.marker_time, units_per_sync),
        r.marker_bits,
        sync_time=_in_units(pulses, units_per_sync),
        until=max(int(_in_units(np.array([r.end_time]), units_per_sync)[0]), int(times.max(initial=0))),
    )
    write_ptu(out, words, mode=2, resolution_s=r.resolution_s, sync_rate_hz=1 / r.time_unit_s, comment=r.name)


def to_photon_hdf5(recording: Recording, out: Path) -> None:
    """Write a Photon-HDF5 file; it appears under its name only when it is complete."""
    r = recording
    measurement = PhotonMeasurement(
        timestamps_unit_s=r.time_unit_s,
        tcspc_unit_s=None if r.dtime is None else r.resolution_s,
        laser_repetition_rate_hz=None if r.dtime is None else 1 / r.time_unit_s,
        detectors=tuple(int(c) for c in np.unique(r.channel)) or (0,),
        source_file=r.name,
    )
    temporary = out.with_name(out.name + ".tmp")
    with h5py.File(temporary, "w") as file:
        writer = PhotonHdf5Writer(file, measurement)
        writer.append(r.time, r.dtime, r.channel)
        writer.set_duration(r.end_time * r.time_unit_s)
    temporary.replace(out)


def to_csv(path: Path, recording: Recording | None, out: Path, *, is_run: bool = True) -> None:
    """Write a folder of tables: intensity trace and decay, and for a run what it measured and what was found.

    Spectra become tables too, one per point of their first axis where they have three.
    """
    out.mkdir(parents=True)
    if recording is not None:
        _photons_to_csv(recording, out)
    if not is_run:
        return
    run = read_run_file(path)
    for k, record in enumerate(run.potentiostat):
        _write_table(
            out / f"{k:02d}_{record.about['technique']}.csv",
            {name: getattr(record, name) for name in ("time_s", "potential_v", "current_a", "overload")},
        )
    from .analyses import analyze_run

    result = analyze_run(run)
    for name, table in result.tables().items():
        _write_table(out / f"{name}.csv", table)
    if isinstance(result, HoldsSpectra):
        spectra_to_csv(result.spectra(), out)


def _photons_to_csv(recording: Recording, out: Path) -> None:
    bin_s = 0.02
    bins = np.bincount(np.floor(recording.time * (recording.time_unit_s / bin_s)).astype(np.int64))
    _write_table(out / "trace.csv", {"time_s": np.arange(len(bins)) * bin_s, "counts": bins})
    if recording.dtime is not None:
        decay = np.bincount(recording.dtime)
        _write_table(
            out / "decay.csv",
            {"time_ns": np.arange(len(decay)) * recording.resolution_s * 1e9, "counts": decay},
        )


def _write_table(path: Path, columns: dict[str, NDArray[np.generic]]) -> None:
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    lines = [",".join(columns), *(",".join(_cell(value) for value in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _cell(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else repr(value)


def _in_units(sync: NDArray[np.int64], units_per_sync: float) -> NDArray[np.int64]:
    whole = round(units_per_sync)
    if abs(units_per_sync - whole) < 1e-9 * whole:
        return sync * whole
    return np.round(sync * units_per_sync).astype(np.int64)
