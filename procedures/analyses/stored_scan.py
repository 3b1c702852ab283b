"""What scans of t2 and 2DES scans tell alike: their stored blocks, and the beats of a global fit."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.twodes.detection import Block, Detection, Spectrometer
from ...analysis.twodes.global_fit import Beat
from ...analysis.twodes.phase_cycling import NONREPHASING, REPHASING, Signature, scheme
from ...analysis.twodes.scan import ScanPlan, TwoDScanData
from ...analysis.twodes.scanned_t3 import LocalOscillator, ScannedT3
from ...analysis.twodes.spectra import RotatingFrame
from ...analysis.twodes.told import told_time
from ...formats.errors import FileFormatError
from ...formats.run_file import RunFile

if TYPE_CHECKING:
    from rich.console import Console


def stored_scan(
    run: RunFile,
    t1_fs: NDArray[np.floating],
    signatures: Sequence[Signature] = (REPHASING, NONREPHASING),
) -> TwoDScanData:
    """The blocks of a run over these t1; raises FileFormatError where not one was finished."""
    header, parameters = run.header, run.header["parameters"]
    slices = itertools.groupby(run.groups("slice"), key=itemgetter("t2_fs"))
    blocks = [block_of(each) for each in run.groups("block")]
    blocks += [block_of_slices(list(at_t2)) for _, at_t2 in slices]
    if not blocks:
        raise FileFormatError(f"{run.path}: not one t2 was finished ({header['status_reason']})")
    data = TwoDScanData(
        ScanPlan(
            t1_fs=t1_fs,
            scheme=scheme(parameters["cycling"]),
            frame=RotatingFrame(parameters["rotating_frame"], parameters["carrier_cm"]),
            detection=_detection(header),
            band_cm=(parameters["lowest_cm"], parameters["highest_cm"]),
        ),
        signatures,
    )
    for block in blocks:
        data.add(block)
    return data


def block_of(stored: Mapping[str, Any]) -> Block:
    """A block of a spectrometer as it is stored."""
    return Block(stored["t2_fs"], stored["counts"], lo_counts=stored["lo_counts"])


def block_of_slices(slices: Sequence[Mapping[str, Any]]) -> Block:
    """A block of which each t3 is stored by itself, as far as it was measured."""
    readings = np.stack([each["readings_v"].real for each in slices], axis=-1)
    return Block(slices[0]["t2_fs"], readings, t3_fs=np.array([each["measured_t3_fs"] for each in slices]))


def _detection(header: Mapping[str, Any]) -> Detection:
    if "pixel_cm" in header:
        return Spectrometer(np.array(header["pixel_cm"]), header["lo_lead_fs"])
    lo = LocalOscillator(header["laser_centre_cm"], header["laser_fwhm_cm"])
    return ScannedT3(header["parameters"]["t3_step_fs"], lo)


def beats_summary(beats: Sequence[Beat]) -> list[dict[str, float]]:
    """The beats of a global fit as a JSON array."""
    return [
        {
            "w2_cm": beat.w2_cm.value,
            "w2_err_cm": beat.w2_cm.error,
            "dephasing_fs": beat.dephasing_fs.value,
            "dephasing_err_fs": beat.dephasing_fs.error,
            "largest_amplitude": float(np.abs(beat.amplitude).max()),
        }
        for beat in beats
    ]


def print_beats(console: Console, beats: Sequence[Beat], decimals: int) -> None:
    """Print the beats of a global fit: wavenumbers to so many decimals, times to one less."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("beat of the global fit (cm-1)", "dephasing time of the global fit (fs)"):
        table.add_column(title)
    for beat in beats:
        w2_cm, dephasing_fs = beat.w2_cm, beat.dephasing_fs
        table.add_row(
            f"{w2_cm.value:+.{decimals}f} ± {w2_cm.error:.{decimals}f}",
            told_time(dephasing_fs.value, dephasing_fs.error, decimals - 1),
        )
    console.print(table)
