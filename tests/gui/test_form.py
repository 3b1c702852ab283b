import math
import threading
import tomllib
from pathlib import Path

import pytest

from qdlab.gui.form import ExperimentForm, RunOptions
from qdlab.gui.sequences import expand
from qdlab.procedures.config import locate
from qdlab.procedures.errors import ConfigError
from qdlab.procedures.experiment import experiment_of, load_experiment, save_experiment
from qdlab.procedures.verdict import ask_preflight


@pytest.fixture
def form(qtbot):
    made = ExperimentForm(
        ("cv_flid", "static_bias"), lambda: RunOptions(Path("runs"), seed=3, speed=math.inf)
    )
    qtbot.addWidget(made)
    made.load("cv_flid")
    yield made
    made.close_form()


def test_every_parameter_has_a_field_with_its_exact_value_in_the_order_of_the_procedure(form):
    assert list(form.fields)[:5] == ["hold_s", "initial_v", "vertex_v", "scan_rate_v_s", "cycles"]
    assert form.values()["sensitivity_a_v"] == "1e-05"
    form.set_values({"hold_s": 0.1 + 0.2})
    assert form.values()["hold_s"] == "0.30000000000000004"
    assert "hold_s=0.30000000000000004" in form.requests()[0].overrides


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("hold_s", "long", "hold_s = 'long': 'long' is not a number"),
        ("hold_s", "-1", "hold_s = '-1': '-1' is outside [0.0, 100000.0] s"),
        ("cycles", "2.5", "cycles = '2.5': '2.5' is not a whole number"),
        ("dot_um", "1, 2", "is not a point"),
    ],
)
def test_a_wrong_value_is_refused_with_its_sentence_and_marked(form, key, text, said):
    form.fields[key].setText(text)
    assert said in form.verdict.text()
    assert form.fields[key].property("wrong")
    assert not form.fields["vertex_v"].property("wrong")
    assert not form.run_button.isEnabled()
    assert not form.queue()


def test_the_rigs_verdict_comes_as_one_types(form, judged):
    form.set_values({"vertex_v": -2.5})
    assert not judged(form)
    assert "-2.5 is outside [-2.0, 0.6]" in form.verdict.text()
    assert not form.run_button.isEnabled()
    form.set_values({"vertex_v": -1.5, "hold_s": 12.0})
    assert judged(form)
    assert form.run_button.isEnabled()
    plan = ask_preflight("cv_flid", out=Path(), overrides=("vertex_v=-1.5", "hold_s=12")).plan
    assert plan is not None
    assert plan.sentence in form.verdict.text()
    minutes, seconds = divmod(round(plan.duration_s), 60)
    assert f"{minutes} min {seconds:02d} s" in form.verdict.text()
    assert f"{plan.photons / 1e6:.3g} M photons" in form.verdict.text()


def test_the_rig_is_asked_in_a_thread_that_reads_no_widget(form, judged, monkeypatch):
    asked, read = [], []
    monkeypatch.setattr(
        "qdlab.procedures.verdict.ask_preflight",
        lambda *args, **kwargs: asked.append(threading.current_thread()) or ask_preflight(*args, **kwargs),
    )
    values = form.values
    monkeypatch.setattr(form, "values", lambda: read.append(threading.current_thread()) or values())
    assert judged(form)
    assert asked
    assert threading.main_thread() not in asked
    assert set(read) == {threading.main_thread()}


def test_an_answer_to_what_was_typed_before_is_not_shown(form, qtbot, judged, monkeypatch):
    let_go = threading.Event()

    def slow(*args, **kwargs):
        let_go.wait(10)
        return ask_preflight(*args, **kwargs)

    monkeypatch.setattr("qdlab.procedures.verdict.ask_preflight", slow)
    form.ask_again()
    qtbot.waitUntil(lambda: not form._timer.isActive())
    form.fields["hold_s"].setText("nonsense")
    said = form.verdict.text()
    let_go.set()
    qtbot.wait(300)
    assert form.verdict.text() == said
    assert not form.run_button.isEnabled()


def test_a_sequence_makes_one_run_for_each_combination(form, judged):
    form.sequence.setPlainText("hold_s = 1, 2, 5\ncycles = 1, 2")
    runs = form.requests()
    assert [run.label for run in runs[:3]] == [
        "hold_s = 1, cycles = 1", "hold_s = 1, cycles = 2", "hold_s = 2, cycles = 1",
    ]  # fmt: skip
    assert len(runs) == 6
    assert "hold_s=5" in runs[-1].overrides
    assert judged(form)
    one = [
        ask_preflight("cv_flid", out=Path(), overrides=(f"hold_s={h}", f"cycles={c}")).plan
        for h in (1, 2, 5)
        for c in (1, 2)
    ]
    total_s = sum(plan.duration_s for plan in one if plan)
    assert form.verdict.text().startswith(f"6 runs\n≈ {total_s // 60:.0f} min {round(total_s) % 60:02d} s")


def test_repeats_on_the_twin_take_one_seed_after_the_other(form):
    form.repeats.setValue(3)
    assert [(run.seed, run.label) for run in form.requests()] == [
        (3, "1 of 3"), (4, "2 of 3"), (5, "3 of 3"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hold = 1, 2", "unknown key 'hold'; known keys: "),
        ("hold_s: 1, 2", "must be key = value, value, ..."),
        ("hold_s = 1, soon", "hold_s = 'soon': 'soon' is not a number"),
        ("hold_s = 1,", "a value is missing"),
        ("cycles = 1\ncycles = 2", "cycles is there twice"),
    ],
)
def test_a_sequence_that_cannot_be_is_refused_with_its_sentence(form, text, said):
    form.sequence.setPlainText(text)
    assert said in form.verdict.text()
    assert not form.run_button.isEnabled()
    assert form.sequence.property("wrong")


def test_values_that_are_lists_are_divided_by_semicolons_in_a_sequence():
    _, procedure = load_experiment(locate("static_bias"))
    runs = expand("potentials_v = 0, -1; 0, -1.5, -2", procedure.parameter_objects())
    assert runs == [{"potentials_v": "0, -1"}, {"potentials_v": "0, -1.5, -2"}]


def test_a_saved_form_comes_back_to_the_last_bit(form, tmp_path):
    form.set_values({"hold_s": 0.1 + 0.2, "vertex_v": -1.2345678901234567})
    form.title.setText('Dot "7", µ and more')
    form.save(tmp_path / "mine.toml")
    written = tomllib.loads((tmp_path / "mine.toml").read_text(encoding="utf-8"))
    assert written["parameters"]["hold_s"] == 0.1 + 0.2
    before = form.values()
    form.load("static_bias")
    form.load(str(tmp_path / "mine.toml"))
    assert form.values() == before
    assert form.title.text() == 'Dot "7", µ and more'


def test_a_form_with_a_wrong_value_is_not_saved(form, tmp_path):
    form.fields["cycles"].setText("many")
    with pytest.raises(ConfigError, match="cycles = 'many'"):
        form.save(tmp_path / "mine.toml")
    assert not (tmp_path / "mine.toml").exists()


@pytest.mark.parametrize("name", ["cv_flid", "static_bias", "hbt", "find_dots", "blank", "potential_step"])
def test_every_shipped_experiment_is_the_same_after_saving(name, tmp_path):
    about, _ = load_experiment(locate(name))
    experiment, procedure = experiment_of(about, {})
    save_experiment(tmp_path / "copy.toml", experiment)
    again, copied = load_experiment(tmp_path / "copy.toml")
    assert copied.parameter_values() == procedure.parameter_values()
    assert (again.title, again.station, again.procedure) == (about.title, about.station, about.procedure)


def test_a_file_that_is_no_experiment_leaves_the_form_as_it_was(form, tmp_path):
    (tmp_path / "bad.toml").write_text('procedure = "Nothing"\nstation = "charging_simulated"\n')
    form.set_values({"hold_s": 7.0})
    with pytest.raises(ConfigError, match="'Nothing' is not known"):
        form.load(str(tmp_path / "bad.toml"))
    assert form.values()["hold_s"] == "7.0"
