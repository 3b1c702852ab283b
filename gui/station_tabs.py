"""Which tabs a window shows on the station that it was opened with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .experiment_tab import ExperimentTab

if TYPE_CHECKING:
    from ..procedures.station import Station
    from .lab_window import LabWindow


def show_tabs_of(window: LabWindow, name: str) -> None:
    """Hide the tabs whose instruments the station lacks, and show the first of the others.

    All stay where the station's file cannot be read, which is told elsewhere, and where none would be left.
    """
    from ..procedures.config import locate
    from ..procedures.errors import ConfigError
    from ..procedures.station import Station

    try:
        station = Station.load(locate(name))
    except ConfigError:
        return
    count = window.tabs.count()
    tabs = [(index, window.tabs.widget(index)) for index in range(count)]
    fitting = [index for index, tab in tabs if isinstance(tab, ExperimentTab) and fits(tab, station)]
    for index in range(count) if fitting else ():
        window.tabs.setTabVisible(index, index in fitting)
    if fitting and window.tabs.currentIndex() not in fitting:
        window.tabs.setCurrentIndex(fitting[0])


def show_tab(window: LabWindow, tab: ExperimentTab) -> None:
    """Bring a tab to the front, also one that the station has no instruments for: a file was opened."""
    window.tabs.setTabVisible(window.tabs.indexOf(tab), True)
    window.tabs.setCurrentWidget(tab)


def fits(tab: ExperimentTab, station: Station) -> bool:
    """Whether the station has every instrument that the tab's default experiment needs."""
    from ..procedures.config import locate
    from ..procedures.experiment import load_experiment

    _, procedure = load_experiment(locate(tab.experiments[0]))
    return set(procedure.needs) <= station.tables.keys()
