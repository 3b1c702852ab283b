"""Questions to a person. None is modal: the red stop works, by button and by key, while one is open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy import QtCore, QtWidgets

OVERWRITE_QUESTION = "{path} exists already. Overwrite it?"


def ask_yes(parent: QtWidgets.QWidget, name: str, question: str, then: Callable[[], None]) -> None:
    """Ask, and do `then` if the answer is yes; a question of this name that is open is only raised."""
    before = parent.findChild(QtWidgets.QMessageBox, name)
    if before is not None:
        before.raise_()
        return
    box = QtWidgets.QMessageBox(QtWidgets.QMessageBox.Question, "qdlab", question, parent=parent)
    box.setObjectName(name)
    box.setStandardButtons(QtWidgets.QMessageBox.Yes | QtWidgets.QMessageBox.No)
    box.setDefaultButton(QtWidgets.QMessageBox.No)

    def take(button: QtWidgets.QAbstractButton | None) -> None:
        if box.standardButton(button) == QtWidgets.QMessageBox.Yes:
            then()

    box.buttonClicked.connect(take)
    show_beside(box)


def open_file(
    parent: QtWidgets.QWidget, title: str, folder: str, kinds: str, then: Callable[[Path], None]
) -> None:
    """Let a person choose a file that is there."""
    dialog = _file_dialog(parent, title, folder, kinds)
    dialog.setFileMode(QtWidgets.QFileDialog.FileMode.ExistingFile)
    _show_and_take(dialog, then)


def choose_folder(parent: QtWidgets.QWidget, title: str, folder: str, then: Callable[[Path], None]) -> None:
    """Let a person choose a folder that is there."""
    dialog = _file_dialog(parent, title, folder)
    dialog.setFileMode(QtWidgets.QFileDialog.FileMode.Directory)
    dialog.setOption(QtWidgets.QFileDialog.Option.ShowDirsOnly)
    _show_and_take(dialog, then)


def save_file(
    parent: QtWidgets.QWidget,
    title: str,
    proposed: Path,
    kinds: str,
    then: Callable[[Path], None],
    *,
    may_overwrite: bool = True,
) -> None:
    """Let a person choose where to write; the suffix is the proposed one.

    Asks before overwriting, where `then` may do so; else that refuses what exists.
    """
    dialog = _file_dialog(parent, title, str(proposed.parent), kinds)
    dialog.setAcceptMode(QtWidgets.QFileDialog.AcceptMode.AcceptSave)
    dialog.setOption(QtWidgets.QFileDialog.Option.DontConfirmOverwrite)  # that question is modal
    dialog.setDefaultSuffix(proposed.suffix)
    dialog.selectFile(proposed.name)

    def take(path: Path) -> None:
        if may_overwrite and path.exists():
            ask_yes(parent, "overwrite", OVERWRITE_QUESTION.format(path=path), lambda: then(path))
        else:
            then(path)

    _show_and_take(dialog, take)


def show_beside(dialog: QtWidgets.QDialog) -> None:
    """Show a dialog that the window does not wait for; it is gone once it is closed."""
    dialog.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowModality(QtCore.Qt.WindowModality.NonModal)
    dialog.show()


def _file_dialog(
    parent: QtWidgets.QWidget, title: str, folder: str, kinds: str = ""
) -> QtWidgets.QFileDialog:
    dialog = QtWidgets.QFileDialog(parent, title, folder, kinds)
    dialog.setOption(QtWidgets.QFileDialog.Option.DontUseNativeDialog)  # those of some systems are modal
    return dialog


def _show_and_take(dialog: QtWidgets.QFileDialog, then: Callable[[Path], None]) -> None:
    def take(chosen: str) -> None:
        then(Path(chosen))

    dialog.fileSelected.connect(take)
    show_beside(dialog)
