import threading

import numpy as np
import pytest

from qdlab.formats.run_file import read_run_file
from qdlab.gui.tabs.potential_step import PERIODS_SHOWN, PotentialStepTab
from qdlab.procedures.analyses import analyze_run
from qdlab.procedures.run import execute_run, prepare_run


@pytest.fixture(scope="module")
def recorded(finish_run):
    """A run of steps on the twin; run file and analysis."""
    _, stored = finish_run("potential_step", "cycles=5000")
    return stored, analyze_run(stored)


@pytest.fixture
def tab(shown):
    return shown(PotentialStepTab(), 1000, 700)


def test_result_shows_rate_and_lifetime_after_the_steps(tab, recorded):
    run, analysis = recorded
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
    run, analysis = recorded
    tab.show_result(run, analysis)
    response = analysis.result.falling.rate
    assert response is not None
    time_us, rate_khz = tab.rates["falling"].curves()["response"]
    np.testing.assert_allclose(rate_khz, response.curve(time_us) / 1e3)
    told = [label.text for _, label in tab.rates["falling"]._legend.items]
    assert any(f"{response.t10_90_us.value:.2f}" in text for text in told)


def watched(tab, tmp_path, *overrides, speed):
    """Run with the tab watching; procedure, run file, and what was drawn last."""
    run = prepare_run("potential_step", out=tmp_path, overrides=overrides, seed=3, speed=speed)
    looked = []

    def watch(procedure):
        if procedure.progress.duration_s:
            if not looked:
                tab.begin(procedure)
            if found := tab.look(procedure):
                looked.append(found)
                tab.show_live(found)

    outcome = execute_run(run, watch, threading.Event())
    assert outcome.status == "finished"
    return run.procedure, read_run_file(outcome.path), looked[-1]


def test_fast_steps_are_folded_while_they_come_in(tab, tmp_path):
    procedure, run, looked = watched(tab, tmp_path, "cycles=5000", speed=10.0)
    assert tab.views.currentWidget() is tab.folded
    assert not tab.below.isVisible()
    levels = {}
    for direction in ("falling", "rising"):
        one = looked.folded[direction]
        assert 50 < one.steps <= procedure.cycles
        time_us, rate_khz = tab.rates[direction].curves()[f"{direction} potential"]
        np.testing.assert_allclose(time_us, one.time_us)
        np.testing.assert_allclose(rate_khz, one.rate_hz / 1e3)
        levels[direction] = one.rate_hz[-5:].mean()
    result = analyze_run(run).result
    for direction, folded in (("falling", result.falling), ("rising", result.rising)):
        assert levels[direction] == pytest.approx(folded.rate_hz[-5:].mean(), rel=0.15)


def test_slow_steps_are_watched_over_their_last_periods(tab, tmp_path):
    procedure, run, _ = watched(tab, tmp_path, "period_s=0.1", "cycles=60", speed=10.0)
    assert tab.views.currentWidget() is tab.trace
    time_s, rate_khz = tab.trace.curves()["both detectors"]
    assert time_s[-1] - time_s[0] == pytest.approx(PERIODS_SHOWN * procedure.period_s, rel=0.1)
    assert time_s[-1] <= run.photons.duration_s
    assert rate_khz.max() > 0


def test_too_few_photons_are_said_so(tab, finish_run):
    _, stored = finish_run("potential_step", "cycles=2")
    tab.show_result(stored, analyze_run(stored))
    assert tab.about.text().count("too few photons to fold") == 2
    assert tab.rates["falling"].curves() == {}
