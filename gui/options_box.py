"""What holds for every run that is queued: the folder, and how the twin is set."""

from __future__ import annotations

import math
from pathlib import Path

from qtpy import QtCore, QtWidgets

from .dialogs import choose_folder
from .form import RunOptions, set_property

SPEEDS = ("max", "real", "10")


class OptionsBox(QtWidgets.QWidget):
    """Folder for run files; seed and speed where the station is simulated."""

    changed = QtCore.Signal()

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.out = QtWidgets.QLineEdit("runs")
        self.out.setToolTip("folder for run files")
        self.out.textChanged.connect(self.changed)
        browse = QtWidgets.QToolButton()
        browse.setText("…")
        browse.setToolTip("choose a folder")
        browse.clicked.connect(self.choose_folder)
        self.seed = QtWidgets.QLineEdit("1")
        self.seed.setToolTip("seed of the simulated bench, a whole number from 0")
        self.seed.textChanged.connect(self._check)
        self.speed = QtWidgets.QComboBox()
        self.speed.setEditable(True)
        self.speed.addItems(SPEEDS)
        self.speed.setToolTip("speed of the simulated bench: max, real, or a factor")
        self.speed.currentTextChanged.connect(self._check)
        self._twin = QtWidgets.QWidget()
        twin = QtWidgets.QHBoxLayout(self._twin)
        twin.setContentsMargins(0, 0, 0, 0)
        for name, field in (("Seed", self.seed), ("Speed", self.speed)):
            twin.addWidget(QtWidgets.QLabel(name))
            twin.addWidget(field, 1)
        layout = QtWidgets.QGridLayout(self)
        layout.setContentsMargins(10, 4, 10, 4)
        layout.addWidget(QtWidgets.QLabel("Runs in"), 0, 0)
        layout.addWidget(self.out, 0, 1)
        layout.addWidget(browse, 0, 2)
        layout.addWidget(self._twin, 1, 0, 1, 3)

    @property
    def simulated(self) -> bool:
        """Whether seed and speed are shown and used."""
        return not self._twin.isHidden()

    def set_simulated(self, simulated: bool) -> None:
        """Show seed and speed, or hide them."""
        self._twin.setVisible(simulated)

    def options(self, station: str | None) -> RunOptions:
        """What the box says, for runs on this station; raises ValueError naming what is wrong."""
        out = Path(self.out.text() or ".")
        if not self.simulated:
            return RunOptions(out, station)
        return RunOptions(out, station, self._seed(), self._speed())

    def choose_folder(self) -> None:
        """Let a person choose the folder."""
        choose_folder(
            self, "Folder for run files", self.out.text(), lambda chosen: self.out.setText(str(chosen))
        )

    def _seed(self) -> int:
        text = self.seed.text().strip()
        if not text.isdecimal():
            raise ValueError(f"seed = {text!r}: must be a whole number from 0")
        return int(text)

    def _speed(self) -> float:
        text = self.speed.currentText().strip()
        try:
            speed = {"max": math.inf, "real": 1.0}.get(text) or float(text)
        except ValueError:
            speed = math.nan
        if not speed > 0:
            raise ValueError(f"speed = {text!r}: must be max, real, or a factor greater than 0")
        return speed

    def _check(self) -> None:
        for field, read in ((self.seed, self._seed), (self.speed, self._speed)):
            try:
                read()
                wrong = False
            except ValueError:
                wrong = True
            set_property(field, "wrong", wrong)
        self.changed.emit()
