"""The 2DES tab: a scan on the simulated station, live and afterwards, and maps with known beats."""

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from qtpy import QtCore

from qdlab.analysis.twodes.coherences import find_coherences, trace_at
from qdlab.analysis.twodes.phase_cycling import scheme
from qdlab.analysis.twodes.scan import TwoDScanData
from qdlab.analysis.twodes.spectra import Maps
from qdlab.analysis.twodes.units import W
from qdlab.gui.newest import Newest
from qdlab.gui.tabs.beats_table import UNDETERMINED
from qdlab.gui.tabs.twod import ABSORPTIVE, LEAST_T2, NONREPHASING, REPHASING, TwoDTab
from qdlab.gui.tabs.twod_series import MapSeries
from qdlab.procedures.analyses.stored_scan import block_of
from qdlab.procedures.analyses.twod_scan import TwoDScanAnalysis

SHIPPED = Path(__file__).parents[2] / "configs" / "coherence_simulated.toml"
SMALL = {"t1_points": "4", "t2_points": "5", "averages": "1"}
LIMIT_MS = 60_000
PLANTED_CM, DEPHASING_FS = (120.0, 480.0, 850.0), (700.0, 120.0, 280.0)


@pytest.fixture(scope="module")
def station(small_station, tmp_path_factory):
    return str(small_station(tmp_path_factory.mktemp("station"), "coherence_simulated", dimers=40))


@pytest.fixture(scope="module")
def scanned(station, finish_run):
    """The run file of a small scan."""
    overrides = [f"{key}={value}" for key, value in SMALL.items()]
    return finish_run("twod_scan", *overrides, seed=1, station=station)[1]


@pytest.fixture
def tab(shown):
    return shown(TwoDTab(), 1100, 800)


@pytest.fixture(scope="module")
def beating():
    """Maps whose rephasing part beats at known frequencies, each at its own place; noise of a hundredth."""
    t2, axis = 8.0 * np.arange(90), np.linspace(17000.0, 19400.0, 25)
    w1, w3 = np.meshgrid(axis, axis, indexing="ij")

    def peak(at_w1, at_w3):
        return np.exp(-((w1 - at_w1) ** 2 + (w3 - at_w3) ** 2) / 90.0**2)

    signal = np.multiply.outer(2.0 + np.exp(-t2 / 1500.0), peak(18200.0, 18200.0)).astype(complex)
    for w2, dephasing in zip(PLANTED_CM, DEPHASING_FS, strict=True):
        for sign in (+1, -1):
            beat = np.exp(-1j * sign * W * w2 * t2 - t2 / dephasing)
            signal += np.multiply.outer(beat, peak(18200.0 - sign * w2 / 2, 18200.0 + sign * w2 / 2))
    noise = np.random.default_rng(5).normal(0, 0.01, (2, *signal.shape))
    signal = signal + noise[0] + 1j * noise[1]
    return Maps(t2, axis, axis, signal, 0.5 * signal.conj())


def shown(tab, maps, coherences=None):
    """Show maps as those of a run that has ended."""
    plan = SimpleNamespace(t1_fs=np.arange(30) * 7.0, scheme=scheme("3x3x1"))
    analysis = SimpleNamespace(maps=maps, data=SimpleNamespace(plan=plan))
    tab.show_result(SimpleNamespace(status="finished"), analysis, coherences)


def click(qtbot, plot, w1_cm, w3_cm):
    box = plot.item.getViewBox()
    place = box.mapViewToScene(QtCore.QPointF(w1_cm / 1e3, w3_cm / 1e3))
    qtbot.mouseClick(plot.viewport(), QtCore.Qt.MouseButton.LeftButton, pos=plot.mapFromScene(place))


def settle(qtbot, tab):
    """Wait for the trace that was asked for."""
    qtbot.waitUntil(lambda: not tab._newest.busy, timeout=LIMIT_MS)


# ---- maps with known beats ----


def test_a_click_shows_the_trace_and_its_spectrum_at_that_address(tab, qtbot, beating):
    shown(tab, beating)
    settle(qtbot, tab)
    click(qtbot, tab.map, 17960.0, 18440.0)
    settle(qtbot, tab)
    expected = trace_at(beating, 17960.0, 18440.0)
    w1, w3 = tab.map.address_cm
    assert (w1, w3) == (expected.w1_cm, expected.w3_cm)
    assert abs(w1 - 17960.0) < 100
    assert abs(w3 - 18440.0) < 100
    t2, real = tab.trace.curves()["real"]
    np.testing.assert_allclose(t2, beating.t2_fs)
    np.testing.assert_allclose(real, expected.signal.real)
    np.testing.assert_allclose(tab.trace.curves()["imaginary"][1], expected.signal.imag)
    w2, amplitude = tab.spectrum.curves()["beats"]
    assert abs(w2[np.argmax(amplitude)] - 480.0) < 25
    assert np.abs(w2).max() <= 1300
    assert "fit" not in tab.spectrum.curves()


def test_the_slider_chooses_the_t2_and_the_box_the_kind_of_map(tab, beating):
    shown(tab, beating)
    assert tab.t2.maximum() == 89
    assert beating.t2_fs[tab.t2.value()] == 104.0
    np.testing.assert_allclose(tab.map.values, beating.absorptive[13])
    tab.t2.setValue(40)
    assert tab.t2_told.text().startswith("t2 = 320 fs")
    for kind, expected in (
        (ABSORPTIVE, beating.absorptive[40]),
        (REPHASING, beating.rephasing[40].real),
        (NONREPHASING, beating.nonrephasing[40].real),
    ):
        tab.kind.setCurrentText(kind)
        np.testing.assert_allclose(tab.map.values, expected)
        assert tab.map.title.startswith(kind)
        assert tab.map.title.endswith("t2 = 320 fs")


def test_beating_maps_and_the_table_show_what_was_planted(tab, qtbot, beating):
    shown(tab, beating, find_coherences(beating, w2_cm=PLANTED_CM, dephasing_fs=DEPHASING_FS))
    settle(qtbot, tab)
    assert tab.after.isVisible()
    for plot, w2 in zip(tab.beats, PLANTED_CM, strict=True):
        assert plot.title == f"beats at {w2:.0f} cm⁻¹"
        k1, k3 = np.unravel_index(np.argmax(plot.values), plot.values.shape)
        assert abs(abs(plot.w3_cm[k3] - plot.w1_cm[k1]) - w2) <= 200
    rows = tab.table.texts()
    assert len(rows) == 6
    for (beat, dephasing, _), w2, time_fs in zip(rows, PLANTED_CM, DEPHASING_FS, strict=False):
        assert abs(float(beat.split(" ± ")[0]) - w2) < 5
        assert abs(float(dephasing.split(" ± ")[0]) / time_fs - 1) < 0.1
    x, _ = tab.spectrum.curves()["fit"]
    np.testing.assert_allclose(np.unique(x[np.isfinite(x)]), [-850, -480, -120, 120, 480, 850], atol=5)
    click(qtbot, tab.beats[1], 18440.0, 17960.0)
    settle(qtbot, tab)
    w2, amplitude = tab.spectrum.curves()["beats"]
    assert abs(w2[np.argmax(amplitude)] + 480.0) < 25
    assert len({plot.address_cm for plot in (tab.map, *tab.beats)}) == 1


def test_a_time_whose_interval_reaches_zero_is_not_told(tab, beating):
    few = Maps(
        beating.t2_fs[:40], beating.w1_cm, beating.w3_cm, beating.rephasing[:40], beating.nonrephasing[:40]
    )
    fit = find_coherences(few, w2_cm=PLANTED_CM, dephasing_fs=DEPHASING_FS).fit
    tab.table.show_fit(fit)
    for beat, row in zip(fit.beats, tab.table.texts(), strict=True):
        known = beat.dephasing_fs.half_95 < abs(beat.dephasing_fs.value)
        assert (row[1] == UNDETERMINED) is not known


def test_too_few_t2_show_a_trace_and_no_spectrum(tab, qtbot, beating):
    few = Maps(
        beating.t2_fs[:9], beating.w1_cm, beating.w3_cm, beating.rephasing[:9], beating.nonrephasing[:9]
    )
    shown(tab, few)
    settle(qtbot, tab)
    assert len(tab.trace.curves()["real"][0]) == 9
    assert tab.spectrum.curves() == {}
    assert str(LEAST_T2) in tab.spectrum.title


def test_an_address_stays_from_one_run_to_the_next(tab, beating):
    shown(tab, beating)
    w1, w3 = tab.address_cm
    assert abs(w1 - 18200.0) < 150
    assert abs(w3 - 18200.0) < 150  # where the map is largest
    tab.choose(17500.0, 18800.0)
    shown(tab, beating)
    assert tab.address_cm == (17500.0, 18800.0)
    tab.clear()
    assert tab.address_cm is None
    assert tab.map.values.size == 0
    assert not tab.after.isVisible()


def test_of_many_requests_the_first_and_the_last_are_done(qtbot, tab):
    newest, done, told, go_on = Newest("test", tab), [], [], threading.Event()

    def work(number):
        go_on.wait(10)
        done.append(number)
        return number

    for number in range(20):
        newest.do(lambda number=number: work(number), told.append)
    go_on.set()
    qtbot.waitUntil(lambda: not newest.busy)
    assert done == [0, 19]
    assert told == [19]


# ---- a scan on the simulated station ----


def test_maps_taken_one_by_one_are_those_of_the_whole_scan(scanned):
    whole = TwoDScanAnalysis(scanned)
    data = TwoDScanData(whole.data.plan)
    procedure = SimpleNamespace(
        pieces=0,
        t2_fs=lambda: 8.0 * np.arange(5),
        live_maps=lambda: data.maps(last=1) if len(data) else None,
        live_series=data.maps,
    )
    series, seen = MapSeries(procedure), []
    for number, block in enumerate(scanned.groups("block")):
        data.add(block_of(block))
        procedure.pieces += 1
        if number in (0, 1, 4):  # two are missed
            seen.append(series.look())
            assert series.look() is None
    assert [len(maps.t2_fs) for maps in seen] == [1, 2, 5]
    for name in ("t2_fs", "w1_cm", "w3_cm", "rephasing", "nonrephasing"):
        np.testing.assert_allclose(getattr(seen[-1], name), getattr(whole.maps, name))
        if name not in ("w1_cm", "w3_cm"):
            np.testing.assert_allclose(getattr(seen[1], name), getattr(whole.maps, name)[:2])


def test_the_map_of_a_t2_that_is_not_over_is_shown_as_it_grows(scanned):
    first, second = (block_of(block) for block in scanned.groups("block")[:2])
    data = TwoDScanData(TwoDScanAnalysis(scanned).data.plan)
    procedure = SimpleNamespace(
        pieces=0, t2_fs=lambda: 8.0 * np.arange(5), live_maps=lambda: data.maps(last=1), live_series=data.maps
    )
    series, seen = MapSeries(procedure), []
    for block in (first, second, replace(second, counts=second.counts[::-1])):
        data.add(block)
        procedure.pieces += 1
        seen.append(series.look())
    assert [len(maps.t2_fs) for maps in seen] == [1, 2, 2]
    np.testing.assert_allclose(seen[2].rephasing, data.maps().rephasing, rtol=1e-12)
    assert np.any(seen[1].rephasing[1] != seen[2].rephasing[1])


def test_a_reopened_scan_is_shown(tab, qtbot, scanned):
    analysis = TwoDScanAnalysis(scanned)
    tab.show_result(scanned, analysis, tab.digest(scanned, analysis))
    settle(qtbot, tab)
    np.testing.assert_allclose(tab.map.values, analysis.maps.absorptive[4])
    assert tab.scan_told.text() == "5 t2 of 4 t1 × 9 phases, run finished"
    assert not tab.after.isVisible()  # five t2 tell no beats
    k1, k3 = np.unravel_index(np.argmax(tab.map.values), tab.map.values.shape)
    assert tab.map.address_cm == (analysis.maps.w1_cm[k1], analysis.maps.w3_cm[k3])


def test_the_window_on_the_2des_station_shows_this_tab_first_and_its_maps_as_they_come(
    lab, run_to_end, qtbot, station
):
    window = lab(station)
    visible = [i for i in range(window.tabs.count()) if window.tabs.isTabVisible(i)]
    assert isinstance(window.tab, TwoDTab)
    assert window.tabs.currentIndex() == visible[0]
    assert "Voltammetry-FLID" not in [window.tabs.tabText(i) for i in visible]
    tab, counts = window.tab, []
    show_live = tab.show_live
    tab.show_live = lambda maps: (show_live(maps), counts.append(len(tab.maps.t2_fs)))
    window.form.set_values(SMALL)
    with qtbot.waitSignal(window.form.judged, timeout=LIMIT_MS) as verdict:
        window.form.ask_again()
    assert verdict.args[0]
    assert "5 t2 of 4 t1 x 9 phases" in window.form.verdict.text()
    run_to_end(window)
    settle(qtbot, tab)
    assert counts == sorted(counts)
    assert len(counts) >= 2
    assert counts[0] < 5
    assert len(tab.maps.t2_fs) == 5
    assert len(tab.trace.curves()["real"][0]) == 5
    assert window.message.text == ""


def test_delay_zero_is_run_from_the_tools_tab_and_shown_by_its_picture(lab, run_to_end, station):
    window = lab(station)
    tools = window.tab_of("delay_zero")
    window.tabs.setCurrentWidget(tools)
    _, outcome = run_to_end(window)
    assert outcome.status == "finished"
    assert window.tab is tools
    assert tools.picture.pixmap().width() > 150
    assert window.message.text == ""
