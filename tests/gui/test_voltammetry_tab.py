import numpy as np
import pytest

from qdlab.formats.run_file import read_run_file
from qdlab.procedures.analyses import analyze_run

LIMIT_MS = 60_000


def note_calls(monkeypatch, thing, name):
    """The arguments of every call of a method, which does what it did."""
    calls, real = [], getattr(thing, name)

    def noted(*arguments, **options):
        calls.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(thing, name, noted)
    return calls


@pytest.fixture
def watched(lab, qtbot, monkeypatch):
    """A window in the middle of a run at forty times the wall's speed, and the procedure of the run."""
    window = lab()
    window.options.speed.setCurrentText("40")
    window.form.set_values({"hold_s": 4.0, "cycles": 2, "scan_rate_v_s": 0.5, "keep_in_focus_s": 0.0})
    window.form.queue()
    qtbot.waitUntil(lambda: window.live is not None and window.queue.running.fraction > 0.6, timeout=LIMIT_MS)
    return window


def test_numbers_in_the_live_views_are_those_of_the_snapshot(watched, qtbot, monkeypatch):
    tab, procedure = watched.tab, watched.queue.running.procedure
    snapshots = note_calls(monkeypatch, procedure.photons.live, "snapshot")
    shown = note_calls(monkeypatch, tab, "show_live")
    qtbot.waitUntil(lambda: len(shown) >= 2, timeout=LIMIT_MS)
    watched._end_live()
    (looked,) = shown[-1]
    assert snapshots
    time_s, rate_khz = tab.trace.curves()["intensity"]
    np.testing.assert_allclose(rate_khz, looked.rate_hz / 1e3)
    np.testing.assert_allclose(time_s, looked.time_s)
    time_s, potential_v = tab.trace.curves()["potential"]
    np.testing.assert_allclose(potential_v, looked.potential_v)
    assert np.nanmin(potential_v) < -1.0
    np.testing.assert_array_equal(tab.flid.counts, looked.flid_counts)
    np.testing.assert_allclose(tab.flid.bias_v, looked.flid_bias_v)
    _, pairs = tab.g2.curves()["pairs"]
    np.testing.assert_array_equal(pairs, looked.g2_pairs)
    assert tab.g2.value == pytest.approx((looked.g2_zero.value, looked.g2_zero.error))
    _, decay = tab.decays.curves()["all so far"]
    binned = looked.decay[: len(looked.decay) // 40 * 40].reshape(-1, 40).sum(axis=1)
    seen = np.isfinite(decay)
    np.testing.assert_allclose(decay[seen], (binned / binned.max())[: len(decay)][seen])


def test_what_a_look_tells_is_what_the_engine_counted(watched):
    tab, procedure = watched.tab, watched.queue.running.procedure
    watched._end_live()
    for live in watched._lives:
        live.join()
    watched.queue.abort()
    assert watched.queue.wait(20)
    snapshot = procedure.photons.live.snapshot(1e9)
    looked = tab.look(procedure)
    np.testing.assert_array_equal(looked.decay, snapshot.decay.sum(axis=0))
    counted = snapshot.trace[: len(looked.rate_hz) * 10].sum(axis=1, dtype=int).reshape(-1, 10).sum(axis=1)
    np.testing.assert_allclose(looked.rate_hz, counted / (10 * snapshot.trace_bin_s))
    assert snapshot.photons.sum() == procedure.photons.total
    assert looked.flid_counts.sum() > 0.8 * (len(snapshot.histograms) - 1)
    trail = np.array(procedure.potential_trail)
    np.testing.assert_allclose(looked.potential_v, trail[:, 1])
    assert looked.span_s >= snapshot.duration_s


def test_the_voltammogram_waits_for_the_potentiostat_and_says_so(watched, qtbot):
    tab = watched.tab
    assert not tab.about_current.isHidden()
    assert "forward" not in tab.voltammogram.curves()
    qtbot.waitUntil(lambda: watched.queue.running is None, timeout=LIMIT_MS)
    qtbot.waitUntil(lambda: not watched.opener.busy, timeout=LIMIT_MS)
    assert tab.about_current.isHidden()
    assert {"forward", "backward"} <= set(tab.voltammogram.curves())


def test_after_the_run_the_views_show_what_the_analysis_found(lab, run_short, qtbot):
    window = lab()
    job = run_short(window, hold_s=8, cycles=1)
    run = read_run_file(job.path)
    result = analyze_run(run).result
    check_result(window.tab, run, result)
    again = lab()
    with qtbot.waitSignal(again.opener.opened, timeout=LIMIT_MS):
        again.open_path(job.path)
    check_result(again.tab, run, result)


def check_result(tab, run, result):
    time_s, rate_khz = tab.trace.curves()["intensity"]
    np.testing.assert_allclose(rate_khz, result.trace_hz / 1e3)
    np.testing.assert_allclose(time_s, (np.arange(len(result.trace_hz)) + 0.5) * result.trace_bin_s)
    finite = np.isfinite(result.flid.lifetime_ns)
    assert 0.9 * finite.sum() <= tab.flid.counts.sum() <= finite.sum()
    assert np.nanmin(tab.flid.bias_v) == pytest.approx(result.flid.potential_v.min(), abs=0.1)
    assert "-2 V" in " ".join(tab.flid.curves())
    x, y = tab.flid.curves()["at -2 V"]
    np.testing.assert_allclose(
        [x[0], y[0]], [result.at_vertex.lifetime_ns, result.at_vertex.net_rate_hz / 1e3]
    )
    assert result.states.x0 is not None
    assert f"{result.states.x0.lifetime_ns:.1f}" in legend(tab.decays)
    if result.scaling is not None and result.auger_ratio is not None:
        np.testing.assert_allclose(tab.flid.curves()["scaling law"][0], result.scaling.lifetime_ns)
    (sweep,) = (r for r in run.potentiostat if r.about["technique"] == "CyclicVoltammetry")
    forward = tab.voltammogram.curves()["forward"][1]
    backward = tab.voltammogram.curves()["backward"][1]
    shown = np.concatenate([forward[np.isfinite(forward)], backward[np.isfinite(backward)]])
    np.testing.assert_allclose(np.sort(shown), np.sort(sweep.current_a) * 1e6)


def legend(plot):
    return " ".join(label.text for _, label in plot._legend.items)


def test_the_flid_is_coloured_by_count_or_by_bias(lab):
    tab = lab().tab
    tab.colour_by.setCurrentText("bias")
    assert tab.flid.coloured_by == "bias"
    tab.colour_by.setCurrentText("count")
    assert tab.flid.coloured_by == "count"
