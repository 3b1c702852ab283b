"""From a run file to its results: one module per kind of run."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from ...formats.errors import FileFormatError
from ...formats.run_file import RunFile
from ..errors import RefusedError
from .run_analysis import RunAnalysis

ANALYSES = {
    "voltammetry_flid": "voltammetry_flid:VoltammetryFlidAnalysis",
    "static_bias": "static_bias:StaticBiasAnalysis",
    "hbt": "hbt:HbtAnalysis",
    "blank": "blank:BlankAnalysis",
    "potential_step": "potential_step:PotentialStepAnalysis",
    "confocal_scan": "confocal_scan:ConfocalScanAnalysis",
    "find_dots": "find_dots:FindDotsAnalysis",
    "dot_survey": "dot_survey:DotSurveyAnalysis",
    "twod_scan": "twod_scan:TwoDScanAnalysis",
    "twod_scan_t3": "twod_scan:TwoDScanAnalysis",
    "shaper_calibration": "shaper_calibration:ShaperCalibrationAnalysis",
    "delay_zero": "delay_zero:DelayZeroAnalysis",
    "pump_probe": "pump_probe:PumpProbeAnalysis",
    "t2_scan": "t2_scan:T2ScanAnalysis",
}
"""Kind of run, and the module and class here that analyze it."""


PHASED = ("twod_scan", "twod_scan_t3")
"""Kinds whose maps can be put into the phase of a pump-probe run."""


def analyze_run(run: RunFile, pump_probe: Path | None = None) -> RunAnalysis:
    """Analyze a run by its kind, the maps of a 2DES scan in the phase of a pump-probe run if one is given.

    Raises FileFormatError for a kind that is not known, RefusedError for one that has no phase.
    """
    if run.kind not in ANALYSES:
        raise FileFormatError(f"{run.path}: is a run of kind {run.kind!r}, which this version cannot analyze")
    module, _, name = ANALYSES[run.kind].partition(":")
    analysis = getattr(import_module(f".{module}", __package__), name)
    if pump_probe is None:
        return analysis(run)
    if run.kind not in PHASED:
        raise RefusedError(
            f"{run.path}: is a run of kind {run.kind!r}; a pump-probe run phases 2DES scans only"
        )
    return analysis(run, pump_probe)
