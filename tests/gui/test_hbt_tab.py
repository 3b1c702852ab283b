import threading

import numpy as np
import pytest

from qdlab.analysis.antibunching import zero_over_lagging
from qdlab.gui.tabs.hbt import MOST_VALUES, HbtTab
from qdlab.procedures.analyses import analyze_run
from qdlab.procedures.run import execute_run, prepare_run


@pytest.fixture(scope="module")
def recorded(finish_run):
    """An HBT run on the twin: procedure and run file."""
    return finish_run("hbt", "duration_s=20")


@pytest.fixture
def tab(shown):
    return shown(HbtTab(), 1000, 700)


def test_live_view_counts_every_photon_and_pair_of_the_run(tab, recorded):
    procedure, run = recorded
    tab.begin(procedure)
    looked = tab.look(procedure)
    tab.show_live(looked)
    snapshot = procedure.photons.live.snapshot()
    assert f"{run.photons.n_photons:,} photons" in tab.about.text()
    zero = zero_over_lagging(snapshot.g2.window_pairs)
    assert tab.g2.value == (zero.value, zero.error)
    assert tab.g2.told == f"g2(0) = {zero.value:.3f} ± {zero.error:.3f}"
    np.testing.assert_array_equal(tab.g2.curves()["peaks"][1], snapshot.g2.window_pairs)
    assert tab.beside.currentWidget() is tab.build_up


def test_live_rates_are_those_of_each_detector(tab, recorded):
    procedure, run = recorded
    tab.begin(procedure)
    tab.show_live(tab.look(procedure))
    curves = tab.trace.curves()
    assert set(curves) == {"detector 0", "detector 1"}
    whole_hz = np.bincount(run.photons.channel) / run.photons.duration_s
    for k, rate_hz in enumerate(whole_hz):
        assert curves[f"detector {k}"][1].mean() * 1e3 == pytest.approx(rate_hz, rel=0.02)


def test_g2_builds_up_while_the_run_goes_on(tab, tmp_path):
    run = prepare_run("hbt", out=tmp_path, overrides=("duration_s=30",), seed=3, speed=20.0)
    begun = []

    def watch(procedure):
        if procedure.progress.duration_s:
            if not begun:
                begun.append(tab.begin(procedure))
            if looked := tab.look(procedure):
                tab.show_live(looked)

    assert execute_run(run, watch, threading.Event()).status == "finished"
    time_s, value = tab.build_up.curves()["value"]
    errors = tab.build_up.errors("value")
    assert len(time_s) >= 3
    assert np.all(np.diff(time_s) > 0)
    assert errors[-1] < errors[0]
    assert value[-1] == tab.g2.value[0]
    assert errors[-1] == tab.g2.value[1]


def test_only_so_many_values_are_kept_while_g2_builds_up(tab):
    class Zero:
        value, error = 0.1, 0.01

    for k in range(3 * MOST_VALUES):
        tab._remember(float(k), Zero)
    assert len(tab._history) <= MOST_VALUES
    assert tab._history[-1][0] > 2.9 * MOST_VALUES


def test_result_shows_what_the_analysis_found(tab, recorded):
    _, run = recorded
    analysis = analyze_run(run)
    tab.show_result(run, analysis, tab.digest(run, analysis))
    g2 = analysis.result.antibunching
    assert tab.g2.value == (g2.window.value, g2.window.error)
    peaks = tab.peaks.curves()
    np.testing.assert_array_equal(peaks["± T/2"][1], g2.pairs.window_pairs)
    np.testing.assert_array_equal(peaks["by sync"][1], g2.pairs.sync_pairs)
    np.testing.assert_allclose(peaks["background"][1], g2.accidental_pairs.value)
    edges_us, pairs = tab.g2.curves()["pairs"]
    assert pairs.sum() == g2.pairs.binned((edges_us[1] - edges_us[0]) * 1e3)[1].sum()
    assert tab.beside.currentWidget() is tab.peaks
    assert f"{analysis.result.photons:,} photons in 20.0 s" in tab.about.text()


def test_clearing_leaves_nothing_of_the_run_before(tab, recorded):
    _, run = recorded
    tab.show_result(run, analyze_run(run))
    tab.clear()
    assert tab.g2.value is None
    assert tab.peaks.curves() == {}
    assert tab.trace.curves() == {}
    assert len(tab.g2.curves()["peaks"][0]) == 0
