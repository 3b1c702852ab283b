"""The pictures of docs/gui.md: a session in the real window, offscreen, on the simulated station.

    python docs/make_screenshots.py [SCENE ...] [--out docs/images]

Every scene leaves gui_SCENE.png of 1600 x 1000 pixels; without names all are played, in about a minute.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ.setdefault("QT_API", "pyqt5")

import numpy as np
from PIL import Image
from qtpy import QtCore, QtWidgets

from qdlab.gui import theme
from qdlab.gui.app import SWITCH_S
from qdlab.gui.lab_window import LabWindow
from qdlab.gui.tabs.confocal import ConfocalTab
from qdlab.gui.tabs.hbt import HbtTab
from qdlab.gui.tabs.static_bias import StaticBiasTab
from qdlab.gui.tabs.twod import TwoDTab
from qdlab.gui.tabs.voltammetry_flid import VoltammetryFlidTab
from qdlab.procedures.config import locate

IMAGES = Path(__file__).parent / "images"
SIZE = (1600, 1000)
EXACT_COLOURS = 112
LIMIT_S = 120.0
BEATS_AT_CM = 18440.0, 17930.0
"""Where the beats of 480 cm-1 are strongest."""
SHORT = {"hold_s": 10.0, "cycles": 2, "scan_rate_v_s": 0.4}


class Session:
    """One window and what a person does with it; run files go to a folder that is thrown away."""

    def __init__(self, folder: Path, images: Path) -> None:
        self.folder, self.images = folder, images
        self._window: LabWindow | None = None

    @property
    def window(self) -> LabWindow:
        """The window, opened when it is first needed."""
        if self._window is None:
            self._window = self.open()
        return self._window

    def open(self, station: str | None = None) -> LabWindow:
        """A window of the pictures' size, with its station connected."""
        window = LabWindow(station)
        window.options.out.setText("runs")
        window.show()
        window.resize(*SIZE)
        wait_until(lambda: window.ready and connected(window))
        settle(0.5)
        return window

    def show_tab(self, kind: type[QtWidgets.QWidget], **values: object) -> None:
        """Show a tab, with these values in its form, as the rig judges them."""
        window = self.window
        window.tabs.setCurrentIndex(
            next(k for k in range(window.tabs.count()) if isinstance(window.tabs.widget(k), kind))
        )
        window.form.set_values(values)
        judged(window)

    def run(self, speed: str = "max", until: float = 1.0) -> None:
        """Queue what the form says; wait for its end, or for this part of it."""
        window = self.window
        window.options.speed.setCurrentText(speed)
        assert window.form.queue(), window.form.problem()
        job = window.queue.jobs[-1]
        if until < 1.0:
            wait_until(lambda: job.fraction >= until)
            return
        self.end_run()
        wait_until(lambda: connected(window))

    def end_run(self) -> None:
        """Wait until nothing runs and the last run is shown."""
        window = self.window
        wait_until(lambda: window.queue.running is None)
        wait_until(lambda: not window.opener.busy)
        settle(0.3)

    def picture(self, name: str, widget: QtWidgets.QWidget | None = None) -> None:
        """Write gui_NAME.png."""
        shown = widget or self.window
        settle(0.3)
        path = self.images / f"gui_{name}.png"
        assert shown.grab().save(str(path))
        with Image.open(path) as whole:
            image = with_palette(whole.convert("RGB"))
        image.save(path, optimize=True)
        print(f"{path.name}: {image.width} x {image.height}, {path.stat().st_size / 1e3:.0f} kB")

    def close(self) -> None:
        """Close the window; ends a run that goes on."""
        window, self._window = self._window, None
        if window is not None:
            window.queue.hold()
            window.queue.abort()
            wait_until(lambda: window.queue.running is None)
            window.close()


# ---- scenes, in the order of a session ----


def start(session: Session) -> None:
    """The window as it opens."""
    judged(session.window)
    session.picture("start")


def form(session: Session) -> None:
    """A value that the rig refuses."""
    session.show_tab(VoltammetryFlidTab, hold_s=30.0, cycles=3, vertex_v=-2.4)
    session.picture("form")
    session.show_tab(VoltammetryFlidTab, vertex_v=-2.0)


def live(session: Session) -> None:
    """A voltammetry-FLID run in its second cycle, another one waiting."""
    session.show_tab(VoltammetryFlidTab, **SHORT)
    session.run(speed="4", until=0.66)
    session.window.form.title.setText("The same dot once more")
    session.window.form.queue()
    settle(0.5)
    session.picture("live")
    waiting = session.window.queue.waiting
    session.window.queue.remove(waiting[0])
    session.end_run()
    session.window.form.load("cv_flid")


def result(session: Session) -> None:
    """The same views after the run."""
    session.show_tab(VoltammetryFlidTab, hold_s=30.0, cycles=3, scan_rate_v_s=0.2)
    session.run()
    session.picture("result")


def static_bias(session: Session) -> None:
    """One dot at held potentials."""
    session.show_tab(StaticBiasTab, hold_s=10.0)
    session.run()
    session.picture("static_bias")


def hbt(session: Session) -> None:
    """g2 of one dot."""
    session.show_tab(HbtTab)
    session.run()
    session.picture("hbt")


def confocal(session: Session) -> None:
    """A field with its dots."""
    session.show_tab(ConfocalTab)
    session.run()
    tab = session.window.tab
    assert isinstance(tab, ConfocalTab)
    assert tab.field is not None
    tab.table.chosen.emit(1)
    session.picture("confocal")


def station(session: Session) -> None:
    """Manual control of the instruments while no run holds them."""
    session.show_tab(ConfocalTab)
    window = session.window
    wait_until(lambda: connected(window))
    monitor = window.station_area.monitor
    assert monitor is not None
    for role, verb, arguments in LIGHT_ON:
        monitor.command(role, verb, **arguments).result(LIMIT_S)
    wait_until(lambda: monitor.snapshot().roles["potentiostat"].words.get("cell", "").startswith("on"))
    window.docks["Queue"].hide()
    settle(1.0)
    session.picture("station")
    monitor.make_safe().result(LIMIT_S)
    window.docks["Queue"].show()


LIGHT_ON: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("stage", "move_to", {"x_um": 98.95, "y_um": 99.81, "z_um": 100.0}),
    ("laser", "set_pulses", {"repetition_rate_hz": 2.5e6, "intensity": 0.3}),
    ("laser", "unlock", {}),
    ("potentiostat", "hold", {"potential_v": -1.5}),
)


def runs(session: Session) -> None:
    """The list of runs, one of them selected."""
    select_voltammetry(session)
    session.picture("runs")


def quick_look(session: Session) -> None:
    """The selected run in a window of its own."""
    select_voltammetry(session)
    panel, shown = session.window.runs, []
    panel.quick_look.shown.connect(shown.append)
    panel.quick_look.resize(*SIZE)
    panel.look_at_selected()
    wait_until(lambda: bool(shown))
    session.picture("quick_look", panel.quick_look)
    panel.quick_look.hide()


def compare(session: Session) -> None:
    """Two runs, their FLIDs beside and over each other."""
    two_runs(session)
    window = session.window
    wait_until(lambda: sum(entry.kind == "voltammetry_flid" for entry in window.runs.model.entries) >= 2)
    both = [entry.path for entry in window.runs.model.entries if entry.kind == "voltammetry_flid"][-2:]
    comparison = window.runs.comparison
    shown = []
    comparison.shown.connect(lambda: shown.append(True))
    comparison.resize(*SIZE)
    comparison.show()
    comparison.compare(*both)
    wait_until(lambda: bool(shown))
    session.picture("compare", comparison)
    comparison.hide()


def failed(session: Session) -> None:
    """A run that a limit ended, and the queue held behind it."""
    dim = session.folder / "low_limit.toml"
    text = locate("charging_simulated").read_text()
    dim.write_text(text.replace("count_rate_limit_hz = 5e6", "count_rate_limit_hz = 500.0"))
    session.close()
    session._window = session.open(str(dim))
    session.show_tab(VoltammetryFlidTab, **SHORT)
    session.window.form.repeats.setValue(2)
    session.run()
    session.picture("failed")
    session.close()


def dark(session: Session) -> None:
    """The dark theme."""
    session.window.set_theme("dark")
    session.show_tab(VoltammetryFlidTab, hold_s=20.0, cycles=2)
    session.run()
    session.picture("dark")
    session.window.set_theme("light")


def twod(session: Session) -> None:
    """A 2DES scan after its end, on its own station."""
    session.close()
    session._window = session.open("coherence_simulated")
    session.show_tab(TwoDTab, t2_points=60)
    session.run()
    tab = session.window.tab
    assert isinstance(tab, TwoDTab)
    tab.choose(*BEATS_AT_CM)
    settle(0.5)
    session.picture("twod")
    session.close()


SCENES: dict[str, Callable[[Session], None]] = {
    scene.__name__: scene
    for scene in (
        start,
        form,
        live,
        result,
        static_bias,
        hbt,
        confocal,
        station,
        runs,
        quick_look,
        compare,
        dark,
        failed,
        twod,
    )
}


# ---- waiting ----


def two_runs(session: Session) -> None:
    """Two voltammetry-FLID runs in the folder, recorded where they are missing."""
    folder = session.folder / "runs"
    while folder.is_dir() is False or len(list(folder.glob("*.h5"))) < 2:
        session.show_tab(VoltammetryFlidTab, **SHORT)
        session.run()
        session.window.options.seed.setText("2")
    session.window.options.seed.setText("1")


def select_voltammetry(session: Session) -> None:
    """Show the list of runs, with the newest voltammetry-FLID run selected."""
    two_runs(session)
    window = session.window
    window.docks["Runs"].raise_()
    wait_until(lambda: any(entry.kind == "voltammetry_flid" for entry in window.runs.model.entries))
    window.runs.select(
        max(entry.path for entry in window.runs.model.entries if entry.kind == "voltammetry_flid")
    )
    settle(0.5)


def judged(window: LabWindow) -> None:
    """Wait for the rig's verdict on the form."""
    told = []
    connection = window.form.judged.connect(told.append)
    window.form.ask_again()
    wait_until(lambda: bool(told) or bool(window.form.problem()))
    window.form.judged.disconnect(connection)


def connected(window: LabWindow) -> bool:
    """Whether the window holds every instrument of its station."""
    monitor = window.station_area.monitor
    snapshot = monitor and monitor.snapshot()
    return (
        bool(snapshot) and snapshot.holder == "monitor" and all(r.connected for r in snapshot.roles.values())
    )


def settle(seconds: float) -> None:
    """Let the window live for a while."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        QtWidgets.QApplication.processEvents()
        time.sleep(0.005)


def wait_until(done: Callable[[], bool]) -> None:
    """Let the window live until something is so; raises TimeoutError."""
    limit = time.monotonic() + LIMIT_S
    while not done():
        if time.monotonic() > limit:
            raise TimeoutError(f"not within {LIMIT_S:g} s: {done.__qualname__}")
        QtWidgets.QApplication.processEvents()
        time.sleep(0.005)


def with_palette(image: Image.Image) -> Image.Image:
    """The image in 256 colours: its most frequent ones as they are, and as many that stand for the others."""
    pixels = np.asarray(image, np.int64) @ [1 << 16, 1 << 8, 1]
    packed, where, counts = np.unique(pixels, return_inverse=True, return_counts=True)
    colours = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1)
    order = np.argsort(-counts)
    palette, others = colours[order[:EXACT_COLOURS]], colours[order[EXACT_COLOURS:]]
    if len(others):
        found = (
            Image.fromarray(others[None].astype(np.uint8))
            .quantize(256 - EXACT_COLOURS, Image.Quantize.MAXCOVERAGE)
            .getpalette()
        )
        assert found is not None
        palette = np.concatenate([palette, np.reshape(found, (-1, 3))])[:256]
    nearest = np.argmin(((colours[:, None] - palette) ** 2).sum(axis=2), axis=1)
    small = Image.fromarray(nearest[where].reshape(pixels.shape).astype(np.uint8), "P")
    small.putpalette(palette.ravel().tolist())
    return small


def make(scenes: list[str], images: Path) -> None:
    """Play these scenes."""
    app = QtWidgets.QApplication.instance() or QtWidgets.QApplication(sys.argv[:1])
    assert app is not None
    sys.setswitchinterval(SWITCH_S)
    with tempfile.TemporaryDirectory() as folder:
        ini = QtCore.QSettings.Format.IniFormat
        QtCore.QSettings.setDefaultFormat(ini)
        QtCore.QSettings.setPath(ini, QtCore.QSettings.Scope.UserScope, str(Path(folder) / "settings"))
        theme.apply("light")
        session = Session(Path(folder), images.absolute())
        before = Path.cwd()
        os.chdir(folder)
        try:
            for name in scenes:
                SCENES[name](session)
        finally:
            session.close()
            os.chdir(before)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("scenes", nargs="*", choices=[*SCENES, []], metavar="SCENE")
    parser.add_argument("--out", type=Path, default=IMAGES)
    options = parser.parse_args()
    make(options.scenes or list(SCENES), options.out)
