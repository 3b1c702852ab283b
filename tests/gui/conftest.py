import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QT_API"] = "pyqt5"
os.environ.setdefault("PYQTGRAPH_QT_LIB", "PyQt5")

import pytest

pytest.importorskip("PyQt5", reason="the lab window needs qdlab[gui]")
pytest.importorskip("pytestqt", reason="its tests need pytest-qt")

from qtpy import QtCore


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    """Layouts are remembered in the test's own folder, and runs go there too."""
    QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
    QtCore.QSettings.setPath(
        QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, str(tmp_path / "settings")
    )
    monkeypatch.chdir(tmp_path)
