"""What every experiment tab is: views of a run that goes on, and of one that has ended.

A tab is one file in `gui.tabs`, entered in `gui.tabs.TABS`; the window puts the form beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from qtpy import QtCore, QtWidgets

if TYPE_CHECKING:
    from ..formats.run_file import RunFile
    from ..procedures.station_monitor import StationMonitor


class ExperimentTab(QtWidgets.QWidget):
    """Base of all tabs. Work goes in `look` and `digest`, which no widget waits for; drawing in the others.

    `look` and `digest` are called in a thread of their own and must touch no widget; all other methods are
    called in the GUI thread. A procedure and an analysis are of the classes that belong to the tab's `kinds`.
    Methods that raise NotImplementedError must be written: Qt's metaclass leaves no room for abstract ones.
    """

    title: ClassVar[str] = ""
    experiments: ClassVar[tuple[str, ...]] = ()
    """Names of the shipped experiments that this tab offers; the first is its default."""
    kinds: ClassVar[tuple[str, ...]] = ()
    """Kinds of run (`RigProcedure.kind`) that this tab shows."""

    point_chosen = QtCore.Signal(float, float, float)
    """A place (x, y, z in micrometres) that the next run shall have."""

    def use_monitor(self, monitor: StationMonitor) -> None:
        """The station that is held from now on while no run does."""

    def begin(self, procedure: Any) -> None:
        """A run of one of this tab's kinds is about to connect: prepare empty views."""
        self.clear()

    def look(self, procedure: Any) -> Any:
        """What the views need of a run that goes on, at most ten times a second; None for nothing new.

        `procedure.photons` does not exist before the run has connected its instruments; until then this is
        not called. By default the procedure itself.
        """
        return procedure

    def show_live(self, looked: Any) -> None:
        """Draw what `look` returned; must take a few milliseconds only."""
        raise NotImplementedError(f"{type(self).__name__} must write show_live()")

    def digest(self, run: RunFile, analysis: Any) -> Any:
        """What `show_result` shall draw beside the analysis: downsampled arrays and the like."""
        return None

    def show_result(self, run: RunFile, analysis: Any, digested: Any = None) -> None:
        """Show a run that has ended, or a file that was opened."""
        raise NotImplementedError(f"{type(self).__name__} must write show_result()")

    def clear(self) -> None:
        """Empty all views."""
        raise NotImplementedError(f"{type(self).__name__} must write clear()")
