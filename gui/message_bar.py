"""A line above the views for what a person must not miss: a failed run, a refused file."""

from __future__ import annotations

from qtpy import QtCore, QtWidgets

from . import theme


class MessageBar(QtWidgets.QFrame):
    """The newest message, until it is dismissed; hidden while there is none."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("messageBar")
        self._level = "bad"
        self.label = QtWidgets.QLabel()
        self.label.setWordWrap(True)
        self.label.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
        self.label.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Preferred)
        dismiss = QtWidgets.QPushButton("Dismiss")
        dismiss.clicked.connect(self.dismiss)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(12, 6, 8, 6)
        layout.addWidget(self.label, 1)
        layout.addWidget(dismiss, 0, QtCore.Qt.AlignmentFlag.AlignTop)
        theme.notifier.changed.connect(self._colour)
        self.hide()

    @property
    def text(self) -> str:
        """What is said now; empty when the bar is hidden."""
        return "" if self.isHidden() else self.label.text()

    def tell(self, sentence: str, level: str = "bad") -> None:
        """Say something; the level is a colour of the theme: good, warning or bad."""
        self._level = level
        self.label.setText(sentence)
        self._colour()
        self.show()

    def dismiss(self) -> None:
        """Say nothing any more."""
        self.hide()

    def _colour(self) -> None:
        colour = getattr(theme.current(), self._level)
        self.setStyleSheet(
            f"#messageBar {{ background: {theme.current().panel}; border: 2px solid {colour}; "
            "border-radius: 5px; }"
            f"#messageBar QLabel {{ color: {colour}; font-weight: bold; }}"
        )
