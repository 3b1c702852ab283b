"""Spectra of a file, whoever wrote it, as signals over axes; and maps of 2DES in that form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..analysis.twodes.beating import Beating
from ..analysis.twodes.spectra import Maps
from ..formats.gridded import GridAxis, Gridded, identifier
from ..formats.nexus_data import read_nexus
from ..formats.photon_packing import OWN
from ..formats.pycmds import read_pycmds
from ..formats.wt5 import read_wt5
from .errors import RefusedError


@runtime_checkable
class HoldsSpectra(Protocol):
    """The analysis of a run whose results are spectra."""

    def spectra(self) -> tuple[Gridded, ...]:
        """Them, those to be shown first."""
        ...


def spectra_of(path: Path, kind: str, pump_probe: Path | None = None) -> tuple[Gridded, ...]:
    """The spectra of a wt5, NeXus, PyCMDS or run file; raises RefusedError when it holds none.

    Those of a 2DES scan are in the phase of the pump-probe run, where one is given.
    """
    match kind:
        case "wt5":
            found = tuple(data.gridded() for data in read_wt5(path))
        case "pycmds":
            found = (read_pycmds(path).gridded(),)
        case "run":
            found = _spectra_of_run(path, pump_probe)
        case "nexus":
            found = read_nexus(path)
        case _:
            found = ()
    if not found:
        raise RefusedError(f"{path}: holds no spectra or images; wt5 and nexus are for files that do")
    return found


def _spectra_of_run(path: Path, pump_probe: Path | None) -> tuple[Gridded, ...]:
    """Those that its analysis makes, or else the NXdata groups that the run stored."""
    from ..formats.run_file import read_run_file
    from .analyses import analyze_run

    result = analyze_run(read_run_file(path), pump_probe)
    if isinstance(result, HoldsSpectra):
        return result.spectra()
    within = identifier(OWN.strip("/")) + "_"
    return tuple(replace(data, name=data.name.removeprefix(within)) for data in read_nexus(path))


def spectra_to_csv(spectra: tuple[Gridded, ...], out: Path) -> None:
    """Write tables into the folder `out`: a column per axis and signal, two for a complex one.

    Data of three axes or more become a folder with a table for each point of the first axis. Nine digits.
    """
    out.mkdir(parents=True, exist_ok=True)
    for data in spectra:
        first = data.axes[0]
        if len(data.axes) < 3:
            _write_columns(out / f"{data.name}.csv", data.axes, data.signals)
            continue
        (out / data.name).mkdir()
        for k, value in enumerate(first.values):
            path = out / data.name / f"{k:04d}_{first.name}_{value:g}{first.units}.csv"
            _write_columns(path, data.axes[1:], {name: v[k] for name, v in data.signals.items()})


def _write_columns(path: Path, axes: tuple[GridAxis, ...], signals: Mapping[str, NDArray[Any]]) -> None:
    grid = np.meshgrid(*(axis.values for axis in axes), indexing="ij")
    columns = {_heading(axis): values for axis, values in zip(axes, grid, strict=True)}
    for name, values in signals.items():
        if np.iscomplexobj(values):
            columns |= {f"{name}_re": np.real(values), f"{name}_im": np.imag(values)}
        else:
            columns[name] = values
    table = np.stack([values.ravel() for values in columns.values()], axis=1)
    np.savetxt(path, table, fmt="%.9g", delimiter=",", header=",".join(columns), comments="")


def _heading(axis: GridAxis) -> str:
    """Name and unit as elsewhere in tables: t2_fs, w1_cm."""
    return f"{axis.name}_{_HEADINGS.get(axis.units, axis.units)}".rstrip("_")


_HEADINGS = {"cm-1": "cm"}


# ---- maps of 2DES ----

_T2 = "waiting time t2"
_W1 = "excitation wavenumber w1"
_W2 = "beat wavenumber w2"
_W3 = "detection wavenumber w3"


def maps_as_gridded(maps: Maps) -> Gridded:
    """Absorptive, rephasing and non-rephasing maps over (t2, w1, w3)."""
    return Gridded(
        "maps",
        (GridAxis("t2", maps.t2_fs, "fs", _T2), *_map_axes(maps)),
        {
            "absorptive": maps.absorptive,
            "rephasing": maps.rephasing,
            "nonrephasing": maps.nonrephasing,
        },
        "2DES maps",
        {"kind": "qdlab 2DES"},
    )


def beating_as_gridded(beating: Beating, maps: Maps) -> Gridded:
    """Beats of the rephasing map over (w2, w1, w3); their moduli are the beating maps."""
    return Gridded(
        "beating",
        (GridAxis("w2", beating.w2_cm, "cm-1", _W2), *_map_axes(maps)),
        {"modulus": np.abs(beating.spectrum), "rephasing": beating.spectrum},
        "beats along t2; a beat exp(-i w2 t2) at +w2",
        {"kind": "qdlab 2DES"},
    )


def maps_of_gridded(data: Gridded) -> Maps:
    """The maps that `maps_as_gridded` made, from a file; raises RefusedError for other data."""
    names = tuple((axis.name, axis.units) for axis in data.axes)
    expected = (("t2", "fs"), ("w1", "cm-1"), ("w3", "cm-1"))
    if names != expected or not {"rephasing", "nonrephasing"} <= set(data.signals):
        raise RefusedError(
            f"{data.name}: maps of 2DES have the signals rephasing and nonrephasing over the axes t2 (fs), "
            "w1 and w3 (cm-1)"
        )
    t2, w1, w3 = (axis.values for axis in data.axes)
    return Maps(t2, w1, w3, data.signals["rephasing"], data.signals["nonrephasing"])


def _map_axes(maps: Maps) -> tuple[GridAxis, GridAxis]:
    return GridAxis("w1", maps.w1_cm, "cm-1", _W1), GridAxis("w3", maps.w3_cm, "cm-1", _W3)
