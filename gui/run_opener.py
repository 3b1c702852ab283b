"""Run files read and analyzed in a thread of their own, one after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy import QtCore

if TYPE_CHECKING:
    from ..formats.run_file import RunFile
    from ..procedures.analyses import RunAnalysis
    from .experiment_tab import ExperimentTab

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenedRun:
    """A run file with its analysis, ready to be shown."""

    run: RunFile
    analysis: RunAnalysis | None
    """None where nothing was recorded that could be analyzed."""
    tab: ExperimentTab | None
    """None for a kind of run that no tab shows."""
    digested: Any = None


class RunOpener(QtCore.QObject):
    """Reads and analyzes run files in the background; its signals come in the GUI thread."""

    opened = QtCore.Signal(object)
    """OpenedRun."""
    refused = QtCore.Signal(object, str)
    """Path, message: it is no run file, or could not be analyzed."""
    _done = QtCore.Signal(object)

    def __init__(
        self, tab_of: Callable[[str], ExperimentTab | None], parent: QtCore.QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._tab_of = tab_of
        self._pool = ThreadPoolExecutor(1, "open run")
        self._closed = False
        self._paths: dict[Future[OpenedRun], Path] = {}
        self._done.connect(self._tell)

    @property
    def busy(self) -> bool:
        """True while files are read or wait for it."""
        return bool(self._paths)

    def open(self, path: Path) -> None:
        """Read and analyze a file; `opened` or `refused` tells how it went."""
        future = self._pool.submit(self._read, path)
        self._paths[future] = path
        future.add_done_callback(self._done.emit)

    def close(self) -> None:
        """Forget what waits, and wait for the one being read; nothing is told any more."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _tell(self, future: Future[OpenedRun]) -> None:
        path = self._paths.pop(future)
        if future.cancelled() or self._closed:
            return
        error = future.exception()
        if error is None:
            self.opened.emit(future.result())
        else:
            self.refused.emit(path, str(error))

    def _read(self, path: Path) -> OpenedRun:
        from ..formats.errors import FileFormatError
        from ..formats.run_file import read_run_file
        from ..procedures.analyses import analyze_run

        try:
            run = read_run_file(path)
            tab = self._tab_of(run.kind)
            if run.photons is not None and not run.photons.n_photons:
                return OpenedRun(run, None, tab)
            analysis = analyze_run(run)
            return OpenedRun(run, analysis, tab, tab.digest(run, analysis) if tab else None)
        except (FileFormatError, OSError):
            raise
        except Exception as error:  # any file may be opened: told with its name, and logged whole
            log.exception("%s", path)
            raise RuntimeError(f"{path}: the analysis failed: {type(error).__name__}: {error}") from error
