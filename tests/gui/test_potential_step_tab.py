import threading

import numpy as np
import pytest

from qdlab.formats.run_file import read_run_file
from qdlab.gui.tabs.potential_step import PERIODS_SHOWN, PotentialStepTab
from qdlab.procedures.analyses import analyze_run
from qdlab.procedures.run import execute_run, prepare_run


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A run of steps on the twin; procedure, run file and analysis."""
    run = prepare_run(
        "potential_step", out=tmp_path_factory.mktemp("steps"), overrides=("cycles=5000",), seed=2,
        speed=float("inf"),
    )  # fmt: skip
    outcome = execute_run(run, lambda _: None, threading.Event())
    assert outcome.status == "finished"
    stored = read_run_file(outcome.path)
    return run.procedure, stored, analyze_run(stored)


@pytest.fixture
def tab(qtbot):
    tab = PotentialStepTab()
    qtbot.addWidget(tab)
    tab.resize(1000, 700)
    tab.show()
    return tab


def test_result_shows_rate_and_lifetime_after_the_steps(tab, recorded):
    _, run, analysis = recorded
    tab.show_result(run, analysis, tab.digest(run, analysis))
    result = analysis.result
    for folded in (result.falling, result.rising):
        name = f"{folded.direction} potential"
        time_us, rate_khz = tab.rates[folded.direction].curves()[name]
        np.testing.assert_allclose(time_us, 0.5 * (folded.edges_us[1:] + folded.edges_us[:-1]))
        np.testing.assert_allclose(rate_khz, folded.rate_hz / 1e3)
        lifetime_ns = tab.lifetimes[folded.direction].curves()[name][1]
        np.testing.assert_allclose(lifetime_ns, folded.lifetime_ns)
        assert f"{folded.steps:,} steps" in tab.about.text()
    assert tab.views.currentWidget() is tab.folded


def test_the_fitted_response_is_drawn_with_its_time(tab, recorded):
    _, run, analysis = recorded
    tab.show_result(run, analysis)
    response = analysis.result.falling.rate
    assert response is not None
    time_us, rate_khz = tab.rates["falling"].curves()["response"]
    np.testing.assert_allclose(rate_khz, response.curve(time_us) / 1e3)
    told = [label.text for _, label in tab.rates["falling"]._legend.items]
    assert any(f"{response.t10_90_us.value:.2f}" in text for text in told)


def test_live_view_shows_the_last_periods(tab, recorded):
    procedure, run, _ = recorded
    tab.begin(procedure)
    looked = tab.look(procedure)
    tab.show_live(looked)
    time_s, rate_khz = tab.trace.curves()["both detectors"]
    assert time_s[-1] - time_s[0] == pytest.approx(PERIODS_SHOWN * procedure.period_s, rel=0.1)
    assert time_s[-1] == pytest.approx(run.photons.duration_s, abs=0.01)
    assert rate_khz.max() > 0
    assert tab.views.currentWidget() is tab.trace
    assert f"{run.photons.n_photons:,} photons" in tab.about.text()


def test_too_few_photons_are_said_so(tab, tmp_path):
    run = prepare_run("potential_step", out=tmp_path, overrides=("cycles=2",), seed=2, speed=float("inf"))
    stored = read_run_file(execute_run(run, lambda _: None, threading.Event()).path)
    tab.show_result(stored, analyze_run(stored))
    assert tab.about.text().count("too few photons to fold") == 2
    assert tab.rates["falling"].curves() == {}
