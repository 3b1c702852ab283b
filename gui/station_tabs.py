"""Which tabs a window shows on the station that it was opened with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .experiment_tab import ExperimentTab

if TYPE_CHECKING:
    from ..procedures.station import Station
    from .lab_window import LabWindow


def show_tabs_of(window: LabWindow, name: str) -> None:
    """Hide the tabs whose instruments the station lacks, and show the first of the others.

    A tab whose first experiment needs another station gets the first one that this station can do.

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
    fitting: dict[int, str] = {}
    for index, tab in tabs:
        if isinstance(tab, ExperimentTab) and (experiment := first_that_fits(tab, station)):
            fitting[index] = experiment
            if experiment != tab.experiments[0]:
                window.form_of(tab).load(experiment)
    for index in range(count) if fitting else ():
        window.tabs.setTabVisible(index, index in fitting)
    if fitting and window.tabs.currentIndex() not in fitting:
        window.tabs.setCurrentIndex(min(fitting))


def show_tab(window: LabWindow, tab: ExperimentTab) -> None:
    """Bring a tab to the front, also one that the station has no instruments for: a file was opened."""
    window.tabs.setTabVisible(window.tabs.indexOf(tab), True)
    window.tabs.setCurrentWidget(tab)


def first_that_fits(tab: ExperimentTab, station: Station) -> str | None:
    """The first of the tab's experiments for which the station has every instrument."""
    from ..procedures.config import locate
    from ..procedures.experiment import load_experiment

    for name in tab.experiments:
        _, procedure = load_experiment(locate(name))
        if set(procedure.needs) <= station.tables.keys():
            return name
    return None
