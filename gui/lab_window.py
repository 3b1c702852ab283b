"""The lab window: forms, views, queue, station, runs and log around one red stop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy import QtCore, QtGui, QtWidgets

from . import theme
from .asker import Asker
from .dialogs import ask_yes
from .experiment_tab import ExperimentTab
from .form import ExperimentForm, RunOptions
from .layout_memory import restore_layout, save_layout, window_settings
from .live import LiveView
from .log_panel import LogPanel
from .menus import build_menus
from .message_bar import MessageBar
from .options_box import OptionsBox
from .queue_panel import QueuePanel
from .run_opener import OpenedRun, RunOpener
from .run_queue import Job, RunQueue, RunRequest
from .runs_panel import RunsPanel
from .station_area import StationArea
from .station_tabs import show_tab, show_tabs_of
from .status_line import StatusLine
from .tabs import tab_classes

if TYPE_CHECKING:
    from ..procedures.run import RunOutcome

TITLE = "qdlab"
SIZE = (1600, 1000)
FORM_WIDTH, SIDE_WIDTH = 330, 430
STOPPING = "RED STOP: the light is being shut off, then the cell …"
STOPPED = "RED STOP: everything is off. The queue is held."
CLOSE_QUESTION = "A run is going on. Stop it, make the rig safe, and close the window?"


class LabWindow(QtWidgets.QMainWindow):
    """The whole window; `station` is the one that all runs use, None for each experiment's own."""

    def __init__(self, station: str | None = None) -> None:
        super().__init__()
        self.station = station
        theme.apply(str(window_settings().value("theme", "light")))
        self.queue = RunQueue(self)
        self.asker = Asker(self)
        self.queue.ask = self.asker.ask
        self.opener = RunOpener(self.tab_of, self)
        self.live: LiveView | None = None
        self._lives: list[LiveView] = []
        self._closing = self._closed = False
        self.ready = False
        """Whether the form and the station are there, shortly after the window is."""
        self._build()
        self._connect()
        restore_layout(self)

    # ---- what a person does ----

    def open_path(self, path: Path) -> None:
        """Open a run file, or load an experiment TOML into the form of its tab."""
        if path.suffix == ".toml":
            self.load_experiment(path)
        else:
            self.status.say(f"reading {path.name} …")
            self.opener.open(path)

    def load_experiment(self, path: Path) -> None:
        """Fill the form of the tab that the experiment belongs to, and show it."""
        from ..procedures.config import locate
        from ..procedures.errors import ConfigError
        from ..procedures.experiment import load_experiment

        try:
            _, procedure = load_experiment(locate(str(path)))
            tab = self.tab_of(procedure.kind)
            if tab is None:
                raise ConfigError(f"{path}: no tab shows runs of kind {procedure.kind!r}")
            show_tab(self, tab)
            self.form_of(tab).load(str(path))
        except ConfigError as error:
            self.message.tell(str(error))

    def save_experiment(self, path: Path) -> None:
        """Write the form that is shown as an experiment TOML."""
        from ..procedures.errors import ConfigError

        try:
            self.form.save(path)
        except (ConfigError, OSError) as error:
            self.message.tell(str(error))
        else:
            self.status.say(f"saved {path}")

    def reuse(self, values: dict[str, object], kind: str) -> None:
        """Put the parameters of a run into the form of its tab."""
        if (tab := self.tab_of(kind)) is not None:
            show_tab(self, tab)
            self.form_of(tab).set_values(values)

    def red_stop(self) -> None:
        """Make everything safe at once, end the run and hold the queue."""
        running = self.queue.red_stop()
        self.station_area.make_safe()
        self.asker.give_up()
        self.message.tell(STOPPING if running else STOPPED, "warning")

    def set_theme(self, name: str) -> None:
        """Show the window in "light" or "dark"."""
        theme.apply(name)
        window_settings().setValue("theme", name)

    # ---- what is where ----

    @property
    def tab(self) -> ExperimentTab:
        """The tab that is shown."""
        tab = self.tabs.currentWidget()
        assert isinstance(tab, ExperimentTab)
        return tab

    @property
    def form(self) -> ExperimentForm:
        """The form beside it."""
        return self.form_of(self.tab)

    def form_of(self, tab: ExperimentTab) -> ExperimentForm:
        """The form of a tab, filled with its first experiment when it is first asked for."""
        form = self._forms[tab]
        if form.experiment is None:
            form.load(tab.experiments[0])
        return form

    def tab_of(self, kind: str) -> ExperimentTab | None:
        """The tab that shows runs of a kind; None where there is none."""
        return next((tab for tab in self._forms if kind in tab.kinds), None)

    # ---- building ----

    def _build(self) -> None:
        self.setWindowTitle(TITLE)
        self.setAcceptDrops(True)
        self.setDockNestingEnabled(True)
        self.resize(*SIZE)
        self.message, self.options, self.log = MessageBar(), OptionsBox(), LogPanel()
        self.queue_panel, self.station_area = QueuePanel(self.queue), StationArea(self.asker.ask)
        self.tabs = QtWidgets.QTabWidget()
        self.tabs.setDocumentMode(True)
        self.forms = QtWidgets.QStackedWidget()
        self._forms: dict[ExperimentTab, ExperimentForm] = {}
        for make_tab in tab_classes():
            tab = make_tab()
            self._forms[tab] = ExperimentForm(make_tab.experiments, self._run_options)
            self.tabs.addTab(tab, make_tab.title)
            self.forms.addWidget(self._forms[tab])
        middle = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(middle)
        column.setContentsMargins(6, 6, 6, 0)
        column.addWidget(self.message)
        column.addWidget(self.tabs, 1)
        self.setCentralWidget(middle)
        left = QtWidgets.QWidget()
        form_column = QtWidgets.QVBoxLayout(left)
        form_column.setContentsMargins(0, 0, 0, 0)
        form_column.addWidget(self.forms, 1)
        form_column.addWidget(self.options)
        area = QtCore.Qt.DockWidgetArea
        self._dock("Experiment", left, area.LeftDockWidgetArea, FORM_WIDTH)
        self._dock("Station", self.station_area, area.RightDockWidgetArea, SIDE_WIDTH)
        self.runs = RunsPanel()
        self._dock("Runs", self.runs, area.RightDockWidgetArea, SIDE_WIDTH)
        self.tabifyDockWidget(self.docks["Station"], self.docks["Runs"])
        self.docks["Station"].raise_()
        self._dock("Queue", self.queue_panel, area.RightDockWidgetArea, SIDE_WIDTH)
        self._dock("Log", self.log, area.BottomDockWidgetArea, 0)
        left.setMinimumWidth(FORM_WIDTH)
        self.station_area.setMinimumWidth(SIDE_WIDTH)
        self.tabs.setMinimumWidth(600)  # not what the widest tab would like: the window never grows by itself
        self.resizeDocks([self.docks["Log"]], [130], QtCore.Qt.Orientation.Vertical)
        self.resizeDocks(
            [self.docks["Station"], self.docks["Queue"]], [640, 260], QtCore.Qt.Orientation.Vertical
        )
        self.setCorner(QtCore.Qt.Corner.BottomLeftCorner, area.LeftDockWidgetArea)
        self.setCorner(QtCore.Qt.Corner.BottomRightCorner, area.RightDockWidgetArea)
        self.status = StatusLine(self.queue)
        line = QtWidgets.QStatusBar()
        line.addPermanentWidget(self.status, 1)
        self.setStatusBar(line)
        self._build_bar()
        build_menus(self)

    docks: dict[str, QtWidgets.QDockWidget]

    def _dock(
        self, title: str, widget: QtWidgets.QWidget, area: QtCore.Qt.DockWidgetArea, width: int
    ) -> None:
        dock = QtWidgets.QDockWidget(title, self)
        dock.setObjectName(title)
        dock.setWidget(widget)
        self.addDockWidget(area, dock)
        if width:
            self.resizeDocks([dock], [width], QtCore.Qt.Orientation.Horizontal)
        self.docks = {**getattr(self, "docks", {}), title: dock}

    def _build_bar(self) -> None:
        bar = QtWidgets.QToolBar("Stop")
        self.addToolBar(bar)
        bar.setObjectName("Stop")
        bar.setMovable(False)
        self.setContextMenuPolicy(QtCore.Qt.ContextMenuPolicy.NoContextMenu)  # nothing hides the red stop
        self.stop_button = QtWidgets.QPushButton("STOP")
        self.stop_button.setObjectName("redStop")
        self.stop_button.setToolTip("everything safe at once: light off, cell off (F12 or Esc)")
        self.stop_button.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        self.stop_button.pressed.connect(self.red_stop)
        self.simulated = QtWidgets.QLabel("SIMULATED")
        self.simulated.setObjectName("simulated")
        self.simulated.hide()  # until the station is known
        self.simulated.setToolTip("instruments of this station are emulated: nothing real is measured")
        self.station_label = QtWidgets.QLabel()
        gap = QtWidgets.QWidget()
        gap.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Preferred)
        row = QtWidgets.QWidget()
        layout = QtWidgets.QHBoxLayout(row)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(14)
        for widget in (self.station_label, gap, self.simulated, self.stop_button):
            layout.addWidget(widget)
        bar.addWidget(row)

    def _connect(self) -> None:
        self.options.changed.connect(lambda: self.form.ask_again())
        self.queue.before_run = self.station_area.give_up
        self.queue.after_run = self.station_area.take_back
        self.station_area.failed.connect(self.message.tell)
        self.options.changed.connect(self._list_runs)
        self.runs.open_wanted.connect(self.open_path)
        self.runs.reuse_wanted.connect(self.reuse)
        self.runs.told.connect(self.status.say)
        self.runs.refused.connect(self.message.tell)
        for tab, form in self._forms.items():
            form.queued.connect(self._add)
            self.station_area.monitor_changed.connect(tab.use_monitor)
            tab.point_chosen.connect(self._use_point)
        self.queue.prepared.connect(self._begin_live)
        self.queue.ended.connect(self._run_ended)
        self.queue.failed.connect(self._run_failed)
        self.queue.made_safe.connect(self._made_safe)
        self.queue.changed.connect(self._close_when_safe)
        self.queue.changed.connect(self._name_run_button)
        self.queue_panel.reopen.connect(self.open_path)
        self.opener.opened.connect(self._show_run)
        self.opener.refused.connect(lambda _path, message: self.message.tell(message))

    def _list_runs(self) -> None:
        if (folder := Path(self.options.out.text())).is_dir():
            self.runs.set_folder(folder)

    # ---- the station ----

    def _run_options(self) -> RunOptions:
        return self.options.options(self.station)

    def _tab_changed(self, _index: int = 0) -> None:
        form = self.form
        self.forms.setCurrentWidget(form)
        self._name_station()
        form.ask_again()

    def _name_station(self) -> None:
        """Say loudly whether the station of the form that is shown is simulated."""
        from ..procedures.config import locate
        from ..procedures.errors import ConfigError
        from ..procedures.station import Station

        assert self.form.experiment is not None
        name = self.station or self.form.experiment.station
        try:
            station = Station.load(locate(name))
        except ConfigError as error:
            self.message.tell(str(error))
            return
        self.station_area.show_station(station)
        self.simulated.setVisible(station.simulated)
        self.options.set_simulated(station.simulated)
        self.station_label.setText(f"<b>{station.file.station.name}</b> &nbsp; {station.path.name}")
        self.setWindowTitle(
            f"{TITLE} – {station.file.station.name}{' [SIMULATED]' if station.simulated else ''}"
        )

    def paintEvent(self, a0: QtGui.QPaintEvent | None) -> None:
        """Fill the window once it is on the screen: what forms and stations import takes a second."""
        super().paintEvent(a0)
        if not self.ready:
            QtCore.QTimer.singleShot(0, self._begin)

    def _begin(self) -> None:
        if self.ready or not self.isVisible():
            return
        if self.station is not None:
            show_tabs_of(self, self.station)
        self.tabs.currentChanged.connect(self._tab_changed)
        self._tab_changed()
        self._list_runs()
        self.ready = True

    def _use_point(self, x_um: float, y_um: float, z_um: float) -> None:
        """Put a place into the form that is shown, and into the others of this station as their dot."""
        self.form.set_values({"x_um": x_um, "y_um": y_um, "z_um": z_um})
        for form in self._forms.values():
            about, shown = form.experiment, self.form.experiment
            if about and shown and (self.station or about.station == shown.station):
                form.set_values({"dot_um": (x_um, y_um, z_um)})

    # ---- runs ----

    def _add(self, requests: list[RunRequest]) -> None:
        self.message.dismiss()
        self.queue.add(requests)

    def _name_run_button(self) -> None:
        busy = self.queue.held or self.queue.running is not None
        for form in self._forms.values():
            form.run_button.setText("Add to queue" if busy else "Run")

    def _begin_live(self, job: Job) -> None:
        tab = self.tab_of(job.kind)
        if tab is None or job.procedure is None:
            return
        self.station_area.watch(job.procedure)
        show_tab(self, tab)
        tab.begin(job.procedure)
        self.live = LiveView(tab, job.procedure, self)
        self.live.broke.connect(self.message.tell)
        self._lives = [live for live in self._lives if live.alive] + [self.live]
        self.live.start()

    def _run_ended(self, job: Job, outcome: RunOutcome) -> None:
        self._end_live()
        self._list_runs()
        if outcome.status == "finished":
            self.status.say(f"run {job.number} finished: {outcome.path.name}")
        if not self._closing:
            self.opener.open(outcome.path)

    def _run_failed(self, job: Job, message: str) -> None:
        self._end_live()
        held = " The queue is held." if self.queue.held and self.queue.waiting else ""
        self.message.tell(f"Run {job.number} failed: {message}.{held}".replace("..", "."))

    def _end_live(self) -> None:
        if self.live is not None:
            self.live.end()
            self.live = None

    def _show_run(self, opened: OpenedRun) -> None:
        run, tab = opened.run, opened.tab
        self.status.say(f"{run.path.name}: {run.status}")
        if opened.analysis is None:
            self.message.tell(f"{run.path.name}: no photons were recorded, nothing to analyze", "warning")
        elif tab is None:
            self.message.tell(f"{run.path.name}: no tab shows runs of kind {run.kind!r}", "warning")
        elif self.live is None or self.live.tab is not tab:  # never over a run that goes on
            show_tab(self, tab)
            tab.show_result(run, opened.analysis, opened.digested)

    def _made_safe(self, problems: list[str]) -> None:
        if problems:
            self.message.tell(f"RED STOP: the rig may not be safe: {'; '.join(problems)}")
        else:
            self.message.tell(STOPPED, "warning")

    # ---- files ----

    def dragEnterEvent(self, a0: QtGui.QDragEnterEvent | None) -> None:
        """Take run files and experiments."""
        if a0 is not None and any(path.suffix in (".h5", ".toml") for path in _paths(a0.mimeData())):
            a0.acceptProposedAction()

    def dropEvent(self, a0: QtGui.QDropEvent | None) -> None:
        """Open what was dropped."""
        for path in _paths(a0 and a0.mimeData()):
            self.open_path(path)

    # ---- the end ----

    def closeEvent(self, a0: QtGui.QCloseEvent | None) -> None:
        """Ask while a run goes on; then end it, and close once the rig is safe."""
        if self._closed:
            return
        if self.queue.running is not None:
            if a0 is not None:
                a0.ignore()
            if not self._closing:
                self._ask_to_close()
            return
        save_layout(self)
        self._end_live()
        self.queue.hold()
        self.queue.wait()
        self.opener.close()
        self.runs.end()
        for live in self._lives:
            live.join()
        self.station_area.close_station()
        for form in self._forms.values():
            form.close_form()
        self.log.close_log()
        self._closed = True

    def _ask_to_close(self) -> None:
        ask_yes(self, "close", CLOSE_QUESTION, self._close_after_run)

    def _close_after_run(self) -> None:
        self._closing = True
        self.queue.hold()
        self.queue.abort()
        self.asker.give_up()
        self.status.say("ending the run safely …")
        self._close_when_safe()

    def _close(self) -> None:
        self.close()

    def _close_when_safe(self) -> None:
        if self._closing and self.queue.running is None:
            QtCore.QTimer.singleShot(0, self._close)


def _paths(mime: QtCore.QMimeData | None) -> list[Path]:
    return [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()] if mime else []
