"""`qdlab analyze`, `show` and `export`: recordings of ours and of other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from ..formats.errors import FileFormatError
from ..formats.nexus_data import is_nexus, write_nexus
from ..formats.pycmds import PYCMDS_START
from ..formats.run_file import is_hdf5
from ..formats.wt5 import is_wt5, write_wt5
from .errors import RefusedError
from .terminal import print_table

FORMATS = ("ptu", "photon-hdf5", "wt5", "nexus", "csv")
"""What `export --to` takes."""


def analyze_file(
    path: Path, json_path: Path | None, figure: Path | None, pump_probe: Path | None = None
) -> None:
    """Analyze a file of any known kind, print the result, and write JSON and figure where asked.

    `pump_probe` is a run that a 2DES scan is phased with.
    """
    for target in (json_path, figure):
        if target is not None and not target.absolute().parent.is_dir():
            raise RefusedError(f"{target}: there is no folder {target.absolute().parent}")
    kind = kind_of(path)
    _check_phasing(path, kind, pump_probe)
    if kind == "run":
        summary = _analyze_run(path, figure, pump_probe)
    else:
        summary = {"ptu": _analyze_ptu, "chi": _analyze_chi}.get(kind, _analyze_spectra)(path, figure)
    if json_path is not None:
        json_path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def kind_of(path: Path) -> str:
    """What a file is by what it begins with: run, wt5, nexus, ptu, pycmds or chi.

    Raises FileFormatError for an empty file, or one that is not what its name says.
    """
    with path.open("rb") as file:
        head = file.read(len(PYCMDS_START))
    if not head:
        raise FileFormatError(f"{path}: is empty")
    if head.startswith(b"PQTTTR"):
        return "ptu"
    if is_hdf5(path):
        return "wt5" if is_wt5(path) else "nexus" if is_nexus(path) else "run"
    if head == PYCMDS_START:
        return "pycmds"
    if path.suffix in (".ptu", ".h5", ".hdf5", ".wt5", ".nxs"):
        raise FileFormatError(f"{path}: is not what its name says: it begins with {head[:8]!r}")
    return "chi"


def _check_phasing(path: Path, kind: str, pump_probe: Path | None) -> None:
    if pump_probe is not None and kind != "run":
        raise RefusedError(f"{path}: is no run; --pump-probe phases runs of 2DES scans")


def _analyze_run(path: Path, figure: Path | None, pump_probe: Path | None) -> dict[str, Any]:
    from ..formats.run_file import read_run_file
    from .analyses import analyze_run

    result = analyze_run(read_run_file(path), pump_probe)
    result.print(Console(highlight=False))
    if figure is not None:
        result.draw(figure)
    return result.summary()


def _analyze_ptu(path: Path, figure: Path | None) -> dict[str, Any]:
    from ..analysis.ptu_summary import summarize_ptu

    summary = summarize_ptu(path)
    print_table(summary, title=str(path))
    if figure is not None:
        from ..analysis.figures.recordings import draw_ptu
        from ..formats.ptu import open_ptu

        ptu = open_ptu(path)
        draw_ptu(figure, ptu.events(), ptu.time_unit_s, ptu.resolution_s, title=path.name)
    return summary


def _analyze_chi(path: Path, figure: Path | None) -> dict[str, Any]:
    from ..analysis.chi_summary import summarize_chi
    from ..formats.chi_text import read_chi_text

    text = read_chi_text(path)
    summary = summarize_chi(text)
    print_table({k: v for k, v in summary.items() if k != "segments"}, title=str(path))
    if figure is not None:
        from ..analysis.figures.recordings import draw_chi

        draw_chi(figure, text)
    return summary


def _analyze_spectra(path: Path, figure: Path | None) -> dict[str, Any]:
    from ..analysis.gridded_summary import summarize_gridded
    from .spectra import spectra_of

    spectra = spectra_of(path, kind_of(path))
    summaries = [summarize_gridded(data) for data in spectra]
    for summary in summaries:
        print_table(_rows_of_spectra(summary), title=f"{path}: {summary['name']}")
    if figure is not None:
        from ..analysis.figures.gridded import draw_gridded

        draw_gridded(figure, spectra, title=path.name)
    return {"kind": kind_of(path), "spectra": summaries}


def _rows_of_spectra(summary: dict[str, Any]) -> dict[str, Any]:
    """A row per axis and per signal."""
    rows = {key: value for key, value in summary.items() if key not in ("name", "axes", "signals")}
    for name, axis in summary["axes"].items():
        rows[f"axis {name}"] = "{first:.6g} to {last:.6g} {units}, {points} points".format(**axis)
    for name, signal in summary["signals"].items():
        at = ", ".join(f"{axis} {value:.6g}" for axis, value in signal.get("strongest_at", {}).items())
        if "max" in signal:
            told = f"{signal['min']:.6g} to {signal['max']:.6g}, strongest at {at}"
        elif "largest_modulus" in signal:
            told = f"complex, up to {signal['largest_modulus']:.6g} at {at}"
        else:
            told = "no numbers"
        rows[f"signal {name}"] = told + (f"; {signal['missing']:,} missing" if signal["missing"] else "")
    return rows


def show_file(path: Path) -> None:
    """Print what a file holds, in a page."""
    show = {"run": _show_run, "ptu": _show_ptu, "chi": _show_chi, "wt5": _show_wt5}
    show.get(kind_of(path), _show_spectra)(path)


def _show_spectra(path: Path) -> None:
    _analyze_spectra(path, None)


def _show_wt5(path: Path) -> None:
    """Everything in it, also the motors that were only read."""
    from ..formats.wt5 import read_wt5

    for data in read_wt5(path):
        print_table(
            {
                "kind": data.kind or None,
                "created": data.created or None,
                "made of": data.source or None,
                "axes": ", ".join(f"{expression} ({units or 'no unit'})" for expression, units in data.axes),
                "shape": " x ".join(map(str, data.shape)),
                **{f"channel {k}": f"{v.dtype}, {v.shape}" for k, v in data.channels.items()},
                **{
                    f"variable {k}": f"{v.values.shape} {v.units}".rstrip() for k, v in data.variables.items()
                },
            },
            title=f"{path}: {data.name}",
        )


def _show_run(path: Path) -> None:
    from ..formats.run_file import read_run_file

    run = read_run_file(path)
    header = run.header
    rows: dict[str, Any] = {
        "kind": run.kind,
        "status": run.status + (f": {header['status_reason']}" if header["status_reason"] else ""),
        "started": header["started"],
        "ended": header.get("ended"),
        "title": header["title"],
        "sample": header["sample"],
        "station": header["station"]["station"]["name"] + (" [SIMULATED]" if header["simulated"] else ""),
        "reference": header["station"]["station"]["reference_electrode"],
        **{f"parameter {k}": v for k, v in header["parameters"].items()},
        **header.get("instruments", {}),
    }
    if run.photons is not None:
        p = run.photons
        rows["photons"] = f"{p.n_photons:,} in {p.duration_s:.1f} s, {len(p.marker_sync)} markers"
    for record in run.potentiostat:
        about = record.about
        whole = "complete" if about["complete"] else f"partial: {about['stop_reason']}"
        rows[f"{about['technique']}"] = (
            f"{len(record.time_s):,} points, {whole}, {int(record.overload.sum())} overloaded"
        )
    rows["versions"] = ", ".join(f"{k} {v}" for k, v in header["versions"].items())
    print_table({k: v for k, v in rows.items() if v not in ("", None)}, title=str(path))
    print("\nlog (seconds of the rig's clock)\n" + run.log)


def _show_ptu(path: Path) -> None:
    from ..formats.ptu import open_ptu

    ptu = open_ptu(path)
    print_table(
        {
            "record type": ptu.record_type.name,
            "records": f"{len(ptu.words):,}",
            "resolution": f"{ptu.resolution_s * 1e12:g} ps",
            "sync rate": None if ptu.sync_rate_hz is None else f"{ptu.sync_rate_hz:g} Hz",
            **dict(ptu.header.tags),
            **{f"warning {k}": w for k, w in enumerate(ptu.warnings, start=1)},
        },
        title=str(path),
    )


def _show_chi(path: Path) -> None:
    from ..formats.chi_text import read_chi_text

    text = read_chi_text(path)
    print_table(
        {
            "model": text.model,
            "technique": text.technique,
            "date": text.date,
            **text.parameters,
            "columns": ", ".join(text.columns),
            "points": f"{len(text.data):,}",
            "complete": text.complete,
            **{f"warning {k}": w for k, w in enumerate(text.warnings, start=1)},
        },
        title=str(path),
    )


def export_file(path: Path, to: str, out: Path, tttr_mode: int, pump_probe: Path | None = None) -> None:
    """Write a recording in another format; never overwrites. `pump_probe` is as in `analyze_file`."""
    from . import exports
    from .spectra import spectra_of, spectra_to_csv

    if to not in FORMATS:
        raise RefusedError(f"--to {to!r}: must be one of {', '.join(FORMATS)}")
    if tttr_mode not in (2, 3):
        raise RefusedError(f"--tttr-mode {tttr_mode}: must be 2 or 3")
    if out.exists():
        raise RefusedError(f"{out}: exists already; name a new file")
    kind = kind_of(path)
    if kind == "chi":
        raise RefusedError(f"{path}: is a CHI text file, which has neither photons nor spectra to export")
    _check_phasing(path, kind, pump_probe)
    if pump_probe is not None and to not in ("wt5", "nexus"):
        raise RefusedError(f"--to {to}: phased maps go to wt5 or nexus")
    match to:
        case "wt5":
            write_wt5(out, *spectra_of(path, kind, pump_probe))
        case "nexus":
            write_nexus(out, *spectra_of(path, kind, pump_probe))
        case "csv" if kind not in ("run", "ptu"):
            spectra_to_csv(spectra_of(path, kind), out)
        case "csv":
            is_run = kind == "run"
            some = exports.has_photons(path, is_run=is_run)
            recording = exports.read_recording(path, is_run=is_run) if some else None
            exports.to_csv(path, recording, out, is_run=is_run)
        case _ if kind not in ("run", "ptu"):
            raise RefusedError(f"{path}: holds no photons; export it to wt5, nexus or csv")
        case "ptu":
            recording = exports.read_recording(path, is_run=kind == "run")
            exports.to_ptu(recording, out, 2 if tttr_mode == 2 else 3)
        case _:
            exports.to_photon_hdf5(exports.read_recording(path, is_run=kind == "run"), out)
    print(out)
