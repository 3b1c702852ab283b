"""Experiment tabs, one file each."""

from __future__ import annotations

from importlib import import_module

from ..experiment_tab import ExperimentTab

TABS = (
    "voltammetry_flid:VoltammetryFlidTab",
    "static_bias:StaticBiasTab",
    "hbt:HbtTab",
    "potential_step:PotentialStepTab",
    "confocal:ConfocalTab",
    "twod:TwoDTab",
    "twod_tools:TwoDToolsTab",
)
"""Module and class of every tab, in the order in which the window shows them."""


def tab_classes() -> list[type[ExperimentTab]]:
    """The classes of all tabs."""
    parts = (entry.partition(":") for entry in TABS)
    return [getattr(import_module(f".{module}", __name__), name) for module, _, name in parts]
