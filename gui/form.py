"""The form of an experiment: its parameters, exact, and what the rig says to them as one types.

Each field is checked by its own parameter at once. What the procedure's preflight says to the whole, with the
duration, the disk and the photons, comes from a thread of its own a moment after the last key.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy import QtCore, QtWidgets

from .run_queue import RunRequest
from .words import duration, size

if TYPE_CHECKING:
    from pymeasure.experiment import Parameter

    from ..procedures.experiment import Experiment
    from ..procedures.verdict import Verdict

DEBOUNCE_MS = 250
MOST_REPEATS = 10_000
VERDICTS_AT_ONCE = 20
"""Runs of a sequence of which the rig is asked while one types; the others are as long as their mean."""


@dataclass(frozen=True)
class RunOptions:
    """What the window says to every run: where it goes, on which station, how the twin is set."""

    out: Path = Path("runs")
    station: str | None = None
    """None for the experiment's own."""
    seed: int | None = None
    speed: float | None = None


class ExperimentForm(QtWidgets.QWidget):
    """One experiment with a field per parameter; emits the runs that a person asks for."""

    queued = QtCore.Signal(list)
    """list[RunRequest]."""
    judged = QtCore.Signal(bool)
    """A verdict on what the form says now has arrived: allowed or not."""
    _answered = QtCore.Signal(int, object)

    def __init__(
        self,
        experiments: tuple[str, ...],
        options: Callable[[], RunOptions],
        parent: QtWidgets.QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.experiments, self._options = experiments, options
        self.experiment: Experiment | None = None
        self.source, self._path = "", Path()
        self.parameters: dict[str, Parameter] = {}
        self.fields: dict[str, QtWidgets.QLineEdit | QtWidgets.QComboBox] = {}
        self._pool = ThreadPoolExecutor(1, "preflight")
        self._asked = 0
        self._build()
        self._timer = QtCore.QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MS)
        self._timer.timeout.connect(self._ask)
        self._answered.connect(self._show_verdict)

    # ---- what is in it ----

    def load(self, source: str) -> None:
        """Fill the form from an experiment TOML, or a shipped one by its name.

        Raises ConfigError; the form then stays as it was.
        """
        from ..procedures.config import locate
        from ..procedures.experiment import experiment_of, load_experiment

        self._path = locate(source)
        about, _ = load_experiment(self._path)
        self.experiment, procedure = experiment_of(about, {})
        self.source, self.parameters = source, procedure.parameter_objects()
        self._fill()
        if self.choice.findText(source) < 0:
            self.choice.addItem(source)
        with QtCore.QSignalBlocker(self.choice):
            self.choice.setCurrentText(source)
        self.ask_again()

    def set_values(self, values: dict[str, object]) -> None:
        """Put values of parameters into their fields; keys without a field are left out."""
        for key, value in values.items():
            if key in self.fields:
                _put(self.fields[key], _text(value))

    def values(self) -> dict[str, str]:
        """The text of every field, by its parameter."""
        return {key: _read(field) for key, field in self.fields.items()}

    def wrong(self) -> dict[str, str]:
        """What is wrong with fields, one sentence each, by their parameters."""
        found: dict[str, str] = {}
        for key, text in self.values().items():
            try:
                self.parameters[key].convert(text)
            except ValueError as error:
                found[key] = f"{key} = {text!r}: {error}"
        return found

    def save(self, path: Path) -> None:
        """Write the form as an experiment TOML; raises ConfigError for a wrong value, OSError."""
        from ..procedures.experiment import experiment_of, save_experiment

        assert self.experiment is not None
        about = self.experiment.model_copy(update={"title": self.title.text()})
        about, _ = experiment_of(about, self.values())
        save_experiment(path, about)

    def requests(self) -> list[RunRequest]:
        """The runs that the form asks for: one, or those of the sequence and the repeats.

        Repeats on the twin take one seed after the other. Raises ValueError for a sequence that cannot be.
        """
        from .sequences import expand

        options = self._options()
        runs = expand(self.sequence.toPlainText(), self.parameters)
        requests = []
        for repeat, differences in itertools.product(range(self.repeats.value()), runs):
            values = {**self.values(), **differences}
            label = ", ".join(f"{key} = {value}" for key, value in differences.items())
            if self.repeats.value() > 1:
                label = f"{label}{', ' if label else ''}{repeat + 1} of {self.repeats.value()}"
            requests.append(
                RunRequest(
                    experiment=self.source,
                    overrides=tuple(f"{key}={value}" for key, value in values.items()),
                    station=options.station,
                    out=options.out,
                    seed=None if options.seed is None else options.seed + repeat,
                    speed=options.speed,
                    title=self.title.text(),
                    label=label,
                )
            )
        return requests

    # ---- what a person does ----

    def queue(self) -> bool:
        """Ask for the runs; False when something is wrong with a field or with the sequence."""
        self._mark()
        if self.problem():
            return False
        self.queued.emit(self.requests())
        return True

    def problem(self) -> str:
        """What is wrong with the form itself, one sentence; empty when nothing is."""
        for sentence in self.wrong().values():
            return sentence
        try:
            self.requests()
        except ValueError as error:
            return str(error)
        return ""

    def ask_again(self) -> None:
        """Have the verdict renewed shortly."""
        if self.experiment is not None:
            self._mark()
            self._timer.start()

    def close_form(self) -> None:
        """Wait for its thread; called when the window closes."""
        self._timer.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

    # ---- inside ----

    def _build(self) -> None:
        self.choice = QtWidgets.QComboBox()
        self.choice.addItems(self.experiments)
        self.choice.setSizeAdjustPolicy(QtWidgets.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        self.choice.textActivated.connect(self._load_chosen)
        self.title = QtWidgets.QLineEdit()
        self.title.setPlaceholderText("title of the run")
        self.rows = QtWidgets.QFormLayout()
        self.rows.setFieldGrowthPolicy(QtWidgets.QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.rows.setLabelAlignment(QtCore.Qt.AlignmentFlag.AlignLeft)
        self.rows.setHorizontalSpacing(10)
        self.rows.setVerticalSpacing(5)
        self.sequence = QtWidgets.QPlainTextEdit()
        self.sequence.setPlaceholderText("sequence, such as\nhold_s = 1, 2, 5")
        self.sequence.setFixedHeight(56)
        self.sequence.setTabChangesFocus(True)
        self.sequence.textChanged.connect(self.ask_again)
        self.repeats = QtWidgets.QSpinBox()
        self.repeats.setRange(1, MOST_REPEATS)
        self.repeats.setPrefix("repeats  ")
        self.repeats.valueChanged.connect(self.ask_again)
        self.verdict = QtWidgets.QLabel()
        self.verdict.setWordWrap(True)
        self.verdict.setMinimumHeight(64)
        self.verdict.setAlignment(QtCore.Qt.AlignmentFlag.AlignTop)
        self.run_button = QtWidgets.QPushButton("Run")
        self.run_button.setObjectName("primary")
        self.run_button.setMinimumHeight(36)
        self.run_button.clicked.connect(self._clicked)
        head = QtWidgets.QFormLayout()
        head.setHorizontalSpacing(10)
        head.setFieldGrowthPolicy(QtWidgets.QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        head.addRow("Experiment", self.choice)
        head.addRow("Title", self.title)
        inside = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(inside)
        column.setContentsMargins(10, 8, 10, 8)
        column.addLayout(head)
        column.addWidget(_rule())
        column.addLayout(self.rows)
        column.addWidget(_rule())
        column.addWidget(self.sequence)
        column.addWidget(self.repeats)
        column.addStretch(1)
        scroll = QtWidgets.QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QtWidgets.QFrame.NoFrame)
        scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inside)
        foot = QtWidgets.QVBoxLayout()
        foot.setContentsMargins(10, 4, 10, 10)
        foot.addWidget(self.verdict)
        foot.addWidget(self.run_button)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll, 1)
        layout.addLayout(foot)

    def _fill(self) -> None:
        """Make the fields anew, with the experiment's values."""
        assert self.experiment is not None
        while self.rows.rowCount():
            self.rows.removeRow(0)
        self.title.setText(self.experiment.title)
        self.title.setCursorPosition(0)
        self.fields = {}
        for key in self.experiment.parameters:  # in the order in which the procedure declares them
            parameter = self.parameters[key]
            field = _field(parameter)
            _put(field, _text(self.experiment.parameters[key]))
            field.setObjectName(key)
            field.setToolTip(_help(key, parameter))
            signal = field.currentTextChanged if isinstance(field, QtWidgets.QComboBox) else field.textChanged
            signal.connect(self.ask_again)
            self.fields[key] = field
            label = QtWidgets.QLabel(_label(parameter))
            label.setToolTip(field.toolTip())
            label.setBuddy(field)
            label.setWordWrap(True)
            self.rows.addRow(label, field)

    def _clicked(self) -> None:
        self.queue()

    def _load_chosen(self, source: str) -> None:
        from ..procedures.errors import ConfigError

        try:
            self.load(source)
        except ConfigError as error:
            self._tell(str(error), allowed=False)

    def _mark(self) -> None:
        """Show which fields are wrong, and why."""
        wrong = self.wrong()
        for key, field in self.fields.items():
            set_property(field, "wrong", key in wrong)
            field.setToolTip(wrong.get(key) or _help(key, self.parameters[key]))
        problem = self.problem()
        set_property(self.sequence, "wrong", bool(problem) and not wrong)
        if problem:
            self._asked += 1  # an answer on its way is about something else
            self._tell(problem, allowed=False)

    def _ask(self) -> None:
        """Ask the rig; everything the thread needs is read from the widgets here."""
        if self.problem():
            return
        self._asked += 1
        number, requests = self._asked, self.requests()
        future = self._pool.submit(_judge, requests)
        future.add_done_callback(lambda done: self._answer(number, done))

    def _answer(self, number: int, done: Future[tuple[list[Verdict], int]]) -> None:
        if not done.cancelled():
            self._answered.emit(number, done)

    def _show_verdict(self, number: int, done: Future[tuple[list[Verdict], int]]) -> None:
        if number != self._asked:
            return
        verdicts, n = done.result()
        plans = [verdict.plan for verdict in verdicts if verdict.plan is not None]
        if len(plans) < len(verdicts):
            reason = next(v.reason for v in verdicts if v.plan is None)
            self._tell(reason.removeprefix(f"{self._path}: "), allowed=False)
            return
        scale = n / len(plans)
        parts = [
            duration(scale * sum(plan.duration_s for plan in plans)),
            size(scale * sum(plan.disk_bytes for plan in plans)),
        ]
        if photons := scale * sum(plan.photons for plan in plans):
            parts.append(f"{photons / 1e6:.3g} M photons")
        what = plans[0].sentence if n == 1 else f"{n} runs"
        self._tell(f"{what}\n≈ {'  ·  '.join(parts)}", allowed=True)

    def _tell(self, sentence: str, *, allowed: bool) -> None:
        self.verdict.setText(sentence)
        set_property(self.verdict, "verdict", "good" if allowed else "bad")
        self.run_button.setEnabled(allowed)
        self.judged.emit(allowed)


def _judge(requests: list[RunRequest]) -> tuple[list[Verdict], int]:
    """The verdicts on runs, the first refused one last, and how many runs there are."""
    from ..procedures.verdict import ask_preflight

    verdicts: list[Verdict] = []
    step = max(1, math.ceil(len(requests) / VERDICTS_AT_ONCE))
    for request in requests[::step]:
        verdicts.append(
            ask_preflight(
                request.experiment, out=request.out, station=request.station, overrides=request.overrides
            )
        )
        if verdicts[-1].plan is None:
            break
    return verdicts, len(requests)


def _field(parameter: Parameter) -> QtWidgets.QLineEdit | QtWidgets.QComboBox:
    choices = getattr(parameter, "choices", None)
    if choices or isinstance(parameter.value, bool):
        box = QtWidgets.QComboBox()
        box.addItems([_text(choice) for choice in choices or (False, True)])
        return box
    line = QtWidgets.QLineEdit()
    line.setMinimumWidth(110)
    return line


def _label(parameter: Parameter) -> str:
    units = (getattr(parameter, "units", None) or "").replace("um", "µm")
    return f"{parameter.name} ({units})" if units else parameter.name


def _help(key: str, parameter: Parameter) -> str:
    low, high = getattr(parameter, "minimum", None), getattr(parameter, "maximum", None)
    allowed = f", from {low!r} to {high!r}" if low is not None and high is not None else ""
    return f"{key}{allowed}"


def _text(value: object) -> str:
    """A value as its shortest exact text."""
    if isinstance(value, tuple | list):
        return ", ".join(_text(item) for item in value)
    return value if isinstance(value, str) else repr(value)


def _read(field: QtWidgets.QLineEdit | QtWidgets.QComboBox) -> str:
    return field.currentText() if isinstance(field, QtWidgets.QComboBox) else field.text()


def _put(field: QtWidgets.QLineEdit | QtWidgets.QComboBox, text: str) -> None:
    if isinstance(field, QtWidgets.QComboBox):
        field.setCurrentText(text)
    else:
        field.setText(text)
        field.setCursorPosition(0)


def _rule() -> QtWidgets.QFrame:
    line = QtWidgets.QFrame()
    line.setFrameShape(QtWidgets.QFrame.HLine)
    line.setFrameShadow(QtWidgets.QFrame.Plain)
    line.setStyleSheet("color: palette(midlight)")
    return line


def set_property(widget: QtWidgets.QWidget, name: str, value: object) -> None:
    """Set a property that the style sheet looks at."""
    if widget.property(name) != value and (style := widget.style()) is not None:
        widget.setProperty(name, value)
        style.unpolish(widget)
        style.polish(widget)
