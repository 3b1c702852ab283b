"""From a run file to its results: one module per kind of run."""

from __future__ import annotations

from importlib import import_module

from ...formats.errors import FileFormatError
from ...formats.run_file import RunFile
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


def analyze_run(run: RunFile) -> RunAnalysis:
    """Analyze a run by its kind; raises FileFormatError for a kind that is not known."""
    if run.kind not in ANALYSES:
        raise FileFormatError(f"{run.path}: is a run of kind {run.kind!r}, which this version cannot analyze")
    module, _, name = ANALYSES[run.kind].partition(":")
    return getattr(import_module(f".{module}", __package__), name)(run)
