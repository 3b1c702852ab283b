"""`qdlab analyze`, `show` and `export`: recordings of ours and of other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from ..formats.errors import FileFormatError
from ..formats.run_file import is_hdf5
from .errors import RefusedError
from .terminal import print_table


def analyze_file(path: Path, json_path: Path | None, figure: Path | None) -> None:
    """Analyze a file of any known kind, print the result, and write JSON and figure where asked."""
    for target in (json_path, figure):
        if target is not None and not target.absolute().parent.is_dir():
            raise RefusedError(f"{target}: there is no folder {target.absolute().parent}")
    summary = {"run": _analyze_run, "ptu": _analyze_ptu, "chi": _analyze_chi}[kind_of(path)](path, figure)
    if json_path is not None:
        json_path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def kind_of(path: Path) -> str:
    """What a file is by its first bytes: run, ptu or chi; raises FileFormatError for an empty file."""
    with path.open("rb") as file:
        head = file.read(8)
    if not head:
        raise FileFormatError(f"{path}: is empty")
    if head.startswith(b"PQTTTR"):
        return "ptu"
    if is_hdf5(path):
        return "run"
    if path.suffix in (".ptu", ".h5", ".hdf5"):
        raise FileFormatError(f"{path}: is not what its name says: it begins with {head!r}")
    return "chi"


def _analyze_run(path: Path, figure: Path | None) -> dict[str, Any]:
    from ..formats.run_file import read_run_file
    from .analyses import analyze_run

    result = analyze_run(read_run_file(path))
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


def show_file(path: Path) -> None:
    """Print what a file holds, in a page."""
    {"run": _show_run, "ptu": _show_ptu, "chi": _show_chi}[kind_of(path)](path)


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


def export_file(path: Path, to: str, out: Path, tttr_mode: int) -> None:
    """Write a run or a PTU in another format; never overwrites."""
    from . import exports

    if to not in ("ptu", "photon-hdf5", "csv"):
        raise RefusedError(f"--to {to!r}: must be one of ptu, photon-hdf5, csv")
    if tttr_mode not in (2, 3):
        raise RefusedError(f"--tttr-mode {tttr_mode}: must be 2 or 3")
    if out.exists():
        raise RefusedError(f"{out}: exists already; name a new file")
    if kind_of(path) == "chi":
        raise RefusedError(f"{path}: is a CHI text file, which has no photons to export")
    recording = exports.read_recording(path, is_run=kind_of(path) == "run")
    match to:
        case "ptu":
            exports.to_ptu(recording, out, 2 if tttr_mode == 2 else 3)
        case "photon-hdf5":
            exports.to_photon_hdf5(recording, out)
        case _:
            exports.to_csv(path, recording, out)
    print(out)
