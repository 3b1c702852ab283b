"""The lab window with the card at a steady rate: does the window stall, does the card lose a word?

    python benchmarks/gui_stall.py [--rate 5e6] [--seconds 60] [--speed real] [--shown]

The whole window, with all live views of a voltammetry-FLID run, the station panel and the log, while the
photons of `line_rate.py` come in. A timer of 1 ms tells how late the event loop is; what is more than its
interval is a stall. Words are compared with what was sent, one by one, after the run.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TIMER_MS = 1


def main() -> None:
    """Run once and print the stalls, the views, the words and the memory."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rate", type=float, default=5e6)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--speed", default="real", help="max, real, or a factor")
    parser.add_argument("--shown", action="store_true", help="on the screen instead of offscreen")
    options = parser.parse_args()
    if not options.shown:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    speed = {"max": math.inf, "real": 1.0}.get(options.speed) or float(options.speed)
    with tempfile.TemporaryDirectory() as folder:
        measure(options.rate, options.seconds, speed, Path(folder))


def measure(rate_hz: float, seconds: float, speed: float, folder: Path) -> None:
    """One run in the window; raises AssertionError when a photon in the file is not the one sent."""
    from line_rate import CountedPhotons, compare
    from qtpy import QtCore, QtWidgets

    from qdlab.formats.run_file import read_run_file
    from qdlab.gui.app import SWITCH_S
    from qdlab.gui.lab_window import LabWindow
    from qdlab.gui.run_queue import RunRequest

    ini = QtCore.QSettings.Format.IniFormat
    QtCore.QSettings.setDefaultFormat(ini)
    QtCore.QSettings.setPath(ini, QtCore.QSettings.Scope.UserScope, str(folder / "settings"))
    began = time.perf_counter()
    app = QtWidgets.QApplication(sys.argv[:1])
    sys.setswitchinterval(SWITCH_S)
    station = folder / "gui_stall.toml"
    shipped = (Path(__file__).parents[1] / "configs" / "charging_simulated.toml").read_text()
    station.write_text(shipped.replace("count_rate_limit_hz = 5e6", "count_rate_limit_hz = 1e8"))
    window = LabWindow(str(station))
    window.show()
    app.processEvents()
    print(f"window shown {time.perf_counter() - began:.2f} s after its imports began")
    prepare = window.queue._prepare

    def with_photons(job):
        run = prepare(job)
        run.rig.bench.photons = CountedPhotons(rate_hz)
        return run

    window.queue._prepare = with_photons
    beats, memory, views = [], [], []
    heart = QtCore.QTimer(interval=TIMER_MS, timerType=QtCore.Qt.TimerType.PreciseTimer)

    def beat():
        if window.live is None or not window.live.views:  # from the first view on
            return
        beats.append(time.perf_counter())
        if len(beats) % 1000 == 1:
            memory.append((beats[-1] - beats[0], memory_mb()))
        views.append(window.live.views)

    heart.timeout.connect(beat)
    ended = []
    window.queue.ended.connect(lambda _job, outcome: (heart.stop(), ended.append(outcome)))
    QtCore.QTimer.singleShot(3000, lambda: (heart.start(), window.queue.add(request)))
    request = RunRequest(
        "cv_flid", ("cycles=0", f"hold_s={seconds}"), station=str(station), out=folder / "runs", speed=speed
    )
    window.opener.open = lambda _path: None
    window.queue.ended.connect(lambda *_: QtCore.QTimer.singleShot(0, window.close))
    app.exec_()
    (outcome,) = ended
    report_stalls(np.array(beats), np.array(views), memory)
    photons = read_run_file(outcome.path).photons
    assert photons is not None
    sent, stored = compare(photons, rate_hz)
    print(
        f"run {outcome.status} {outcome.reason}: {sent:,} photons sent, {stored:,} stored in order, "
        f"{len(photons.words):,} words in {photons.duration_s:.1f} s"
    )


def report_stalls(beats: np.ndarray, views: np.ndarray, memory: list[tuple[float, float]]) -> None:
    """Print how late the event loop was, how many views there were, and how the memory grew."""
    late_ms = np.diff(beats) * 1e3 - TIMER_MS
    shares = (50, 99, 99.9, 100)
    told = ", ".join(
        f"{share:g} %: {value:.1f} ms"
        for share, value in zip(shares, np.percentile(late_ms, shares), strict=True)
    )
    wall_s = beats[-1] - beats[0]
    print(f"event loop late by ({len(late_ms)} beats in {wall_s:.1f} s) {told}")
    worst = np.argsort(late_ms)[-5:][::-1]
    print("worst: " + ", ".join(f"{late_ms[k]:.0f} ms at {beats[k] - beats[0]:.2f} s" for k in worst))
    print(f"{(views[-1] - views[0]) / wall_s:.1f} views per second")
    step = max(1, len(memory) // 8)
    print("memory (s: MB) " + ", ".join(f"{at_s:.0f}: {mb:.0f}" for at_s, mb in memory[::step]))


def memory_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
    main()
