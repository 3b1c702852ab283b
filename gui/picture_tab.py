"""A run of a kind that has no tab of its own: the picture that its analysis draws."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy import QtCore, QtGui, QtWidgets

from .experiment_tab import ExperimentTab

if TYPE_CHECKING:
    from ..formats.run_file import RunFile
    from ..procedures.analyses import RunAnalysis


class PictureTab(ExperimentTab):
    """Shows the picture of any analysis, as large as there is room."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.picture = QtWidgets.QLabel()
        self.picture.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        self.picture.setMinimumSize(200, 150)
        self._whole = QtGui.QPixmap()
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.picture)

    def digest(self, run: RunFile, analysis: RunAnalysis) -> bytes:
        """The picture as PNG."""
        with tempfile.TemporaryDirectory(prefix="qdlab") as folder:
            path = Path(folder) / "picture.png"
            analysis.draw(path)
            return path.read_bytes()

    def show_result(self, run: RunFile, analysis: RunAnalysis, digested: bytes = b"") -> None:
        """Show the picture."""
        self._whole = QtGui.QPixmap()
        self._whole.loadFromData(digested)
        self._fit()

    def clear(self) -> None:
        """Take the picture away."""
        self._whole = QtGui.QPixmap()
        self.picture.clear()

    def resizeEvent(self, a0: QtGui.QResizeEvent | None) -> None:
        """Fit the picture into the room there is."""
        super().resizeEvent(a0)
        self._fit()

    def _fit(self) -> None:
        if not self._whole.isNull():
            keep, smooth = (
                QtCore.Qt.AspectRatioMode.KeepAspectRatio,
                QtCore.Qt.TransformationMode.SmoothTransformation,
            )
            self.picture.setPixmap(self._whole.scaled(self.picture.size(), keep, smooth))
