import threading

import numpy as np
import pytest

from qdlab.gui.tabs.static_bias import ALL, HeldDecays, StaticBiasTab, potential_colours
from qdlab.procedures.analyses import analyze_run
from qdlab.procedures.run import execute_run, prepare_run

POTENTIALS = (0.0, -1.6, -1.9)


@pytest.fixture(scope="module")
def recorded(finish_run):
    """A run at three potentials on the twin; its run file and analysis."""
    held = "potentials_v=" + ", ".join(map(str, POTENTIALS))
    _, stored = finish_run("static_bias", held, "hold_s=8")
    return stored, analyze_run(stored)


@pytest.fixture
def tab(shown):
    return shown(StaticBiasTab(), 1100, 800)


def test_result_shows_lifetime_intensity_and_g2_at_each_potential(tab, recorded):
    run, analysis = recorded
    tab.show_result(run, analysis, tab.digest(run, analysis))
    held = analysis.result.potentials
    for plot, found in (
        (tab.lifetimes, [at.lifetime_ns for at in held]),
        (tab.rates, [at.net_rate_hz for at in held]),
    ):
        potential_v, value = plot.curves()["mean of each hold"]
        scale = 1e-3 if plot is tab.rates else 1.0
        np.testing.assert_array_equal(potential_v, POTENTIALS)
        np.testing.assert_allclose(value, [r.value * scale for r in found])
        np.testing.assert_allclose(plot.errors("mean of each hold"), [r.error * scale for r in found])
    np.testing.assert_allclose(tab.g2.curves()["± T/2"][1], [at.antibunching.window.value for at in held])
    assert tab.lifetimes.axis_name("bottom") == "potential (V vs. Pt quasi-reference)"


def test_result_shows_the_decay_of_each_potential_normalized(tab, recorded):
    run, analysis = recorded
    tab.show_result(run, analysis)
    curves = tab.decays.curves()
    assert set(curves) == {f"{v:g} V" for v in POTENTIALS}
    at_rest, charged = (np.nanmean(curves[f"{v:g} V"][1][100:200]) for v in (0.0, -1.9))
    assert at_rest > 10 * charged
    assert all(np.nanmax(shown) == pytest.approx(1.0) for _, shown in curves.values())


def test_flid_of_one_potential_or_of_all_is_shown(tab, recorded):
    run, analysis = recorded
    tab.show_result(run, analysis)
    held = analysis.result.potentials
    seen = [np.isfinite(at.flid.lifetime_ns).sum() for at in held]
    everything = tab.flid.counts.sum()
    assert 0.9 * sum(seen) <= everything <= sum(seen)
    assert [tab.shown_potential.itemText(k) for k in range(4)] == [ALL, "0 V", "-1.6 V", "-1.9 V"]
    each = []
    for k, at in enumerate(held, start=1):
        tab.shown_potential.setCurrentIndex(k)
        each.append(tab.flid.counts.sum())
        known = tab.flid.bias_v[np.isfinite(tab.flid.bias_v)]
        np.testing.assert_allclose(known, at.hold.potential_v)
        x, y = tab.flid.curves()[f"mean at {at.hold.potential_v:g} V"]
        assert x[0] == pytest.approx(at.lifetime_ns.value)
        assert y[0] == pytest.approx(at.net_rate_hz.value / 1e3)
    assert sum(each) == everything


def test_trace_shows_when_each_potential_was_held(tab, recorded):
    run, analysis = recorded
    tab.show_result(run, analysis)
    time_s, potential_v = tab.trace.curves()["potential"]
    assert sorted(set(potential_v[np.isfinite(potential_v)])) == sorted(POTENTIALS)
    assert time_s[1] - time_s[0] == pytest.approx(8.0, abs=1.0)
    rate_khz = tab.trace.curves()["intensity"][1]
    assert rate_khz.mean() == pytest.approx(analysis.result.trace_hz.mean() / 1e3, rel=0.01)


def test_live_decays_hold_only_photons_well_within_a_potential():
    decays, at_rest, charged = HeldDecays(), np.array([1, 1]), np.array([1, 0])
    everything = np.zeros(2, np.int64)
    for k in range(200):
        everything = everything + (at_rest if k < 95 else charged)  # the cell is half a second early
        decays.add(0.1 * k, 0.0 if k < 100 else -1.9, everything)
    assert set(decays.sums) == {0.0, -1.9}
    rest, low = decays.sums[0.0], decays.sums[-1.9]
    assert rest[0] == rest[1]
    assert low[1] == 0
    assert 50 < rest[0] < 70
    assert 50 < low[0] < 70


def test_where_no_potential_is_commanded_there_is_no_live_decay():
    decays = HeldDecays()
    for k in range(100):
        decays.add(0.1 * k, None, np.full(2, k))
    assert decays.sums == {}


def test_live_view_sorts_flid_and_decays_by_potential(tab, tmp_path):
    overrides = ("potentials_v=0.0, -1.9", "hold_s=12")
    run = prepare_run("static_bias", out=tmp_path, overrides=overrides, seed=4, speed=12.0)
    begun, last = [], []

    def watch(procedure):
        if procedure.progress.duration_s:
            if not begun:
                begun.append(tab.begin(procedure))
            if looked := tab.look(procedure):
                tab.show_live(looked)
                last[:] = [looked]

    outcome = execute_run(run, watch, threading.Event())
    assert outcome.status == "finished"
    looked = last[0]
    assert set(tab.decays.curves()) == {f"{potential_v:g} V" for potential_v in looked.decays}
    assert looked.decays.keys() <= {0.0, -1.9}
    np.testing.assert_array_equal(tab.flid.counts, looked.flid_counts)
    assert tab.flid.counts.sum() > 200
    assert {0.0, -1.9} <= set(np.round(looked.potential_v[np.isfinite(looked.potential_v)], 3))
    assert tab.trace.curves()["intensity"][1].mean() == pytest.approx(looked.rate_hz.mean() / 1e3)
    assert not tab.means.isVisible()


def test_each_potential_has_its_own_colour(tab):
    colours = potential_colours([0.0, -1.4, -2.0, -1.4])
    assert set(colours) == {0.0, -1.4, -2.0}
    assert len(set(colours.values())) == 3
    assert all(len(colour) == 7 and colour.startswith("#") for colour in colours.values())
