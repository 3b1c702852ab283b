"""Pictures and data of a run, written to a place that a person chooses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Export:
    """One way of writing a run; `suffix` is empty where it becomes a folder."""

    text: str
    suffix: str
    to: str

    @property
    def needs_photons(self) -> bool:
        """True for what a run without photons cannot become."""
        return self.to not in ("picture", "csv")

    @property
    def may_overwrite(self) -> bool:
        """True for a picture, which the run file gives again; data are never overwritten."""
        return self.to == "picture"


EXPORTS = (
    Export("Picture (PNG)", ".png", "picture"),
    Export("Picture (SVG)", ".svg", "picture"),
    Export("Photons as PTU, T3", ".ptu", "ptu-t3"),
    Export("Photons as PTU, T2", ".ptu", "ptu-t2"),
    Export("Photons as Photon-HDF5", ".h5", "photon-hdf5"),
    Export("Tables (CSV, a folder)", "", "csv"),
)


def export_run(run_path: Path, export: Export, out: Path) -> Path:
    """Write a run in another form; returns where. May take as long as its analysis.

    Raises RefusedError where the run has no photons, FileExistsError where data would be overwritten,
    FileFormatError for a file that is no run, OSError.
    """
    from ..formats.run_file import read_run_file
    from ..procedures import exports
    from ..procedures.analyses import analyze_run

    if out.exists() and not export.may_overwrite:
        raise FileExistsError(f"{out}: exists already; choose a new name")
    if export.to == "picture":
        analyze_run(read_run_file(run_path)).draw(out)
        return out
    if export.to == "csv":
        some = exports.has_photons(run_path, is_run=True)
        exports.to_csv(run_path, exports.read_recording(run_path, is_run=True) if some else None, out)
        return out
    recording = exports.read_recording(run_path, is_run=True)
    match export.to:
        case "ptu-t3":
            exports.to_ptu(recording, out, 3)
        case "ptu-t2":
            exports.to_ptu(recording, out, 2)
        case "photon-hdf5":
            exports.to_photon_hdf5(recording, out)
    return out
