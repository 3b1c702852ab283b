import numpy as np
import pytest
from qtpy import QtCore, QtGui

from qdlab.gui import theme
from qdlab.gui.plots.decay_plot import DecayPlot
from qdlab.gui.plots.flid_cells import LIFETIME_EDGES_NS, RATE_EDGES_HZ
from qdlab.gui.plots.flid_map import FlidMap
from qdlab.gui.plots.flid_overlay import FlidOverlay
from qdlab.gui.plots.g2_plot import G2Plot
from qdlab.gui.plots.intensity_trace import IntensityTrace, in_bins
from qdlab.gui.plots.plot import LogAxis, Plot, steady_range
from qdlab.gui.plots.points_plot import PointsPlot
from qdlab.gui.plots.scan_image import ScanImage
from qdlab.gui.plots.voltammogram import Sweep, Voltammogram


@pytest.fixture
def shown(qtbot):
    """Show a plot so that it is drawn."""

    def show(plot, width=600, height=400):
        qtbot.addWidget(plot)
        plot.resize(width, height)
        plot.show()
        return plot

    return show


@pytest.fixture
def light():
    """The light theme, and again after the test."""
    theme.apply("light")
    yield
    theme.apply("light")


def pixel_of(plot, x, y):
    """Where a point of the view lies in the widget, once it has been drawn."""
    return plot.mapFromScene(plot.item.getViewBox().mapViewToScene(QtCore.QPointF(x, y)))


def colour_at(plot, x, y):
    """Colour of the pixel where a point in the units of the axes is drawn."""
    drawn = plot.grab().toImage()
    return drawn.pixelColor(pixel_of(plot, plot.at_x(x).item(), plot.at_y(y).item()))


# ---- intensity and potential ----


def test_trace_shows_kilocounts_and_the_potential_on_its_own_axis(shown):
    trace = shown(IntensityTrace("Pt"))
    time_s = np.arange(100) * 0.02
    trace.show_intensity(time_s, np.full(100, 35_000.0))
    trace.show_potential([0.0, 1.0, 2.0], [0.0, -2.0, np.nan])
    curves = trace.curves()
    np.testing.assert_array_equal(curves["intensity"][0], time_s)
    np.testing.assert_allclose(curves["intensity"][1], 35.0)
    np.testing.assert_array_equal(curves["potential"][1], [0.0, -2.0, np.nan])
    assert trace.axis_name("left") == "intensity (kc/s)"
    assert trace.axis_name("right") == "V vs. Pt"
    (left, right), (bottom, top) = trace.shown_range()
    assert left == 0.0
    assert right == time_s[-1]
    assert bottom == 0.0
    assert 35.0 < top < 45.0


@pytest.mark.parametrize("rate_hz", [3.0, 4e7])
def test_no_prefix_is_put_before_the_unit_of_an_axis(shown, rate_hz):
    trace = shown(IntensityTrace())
    trace.show_intensity([0.0, 1.0], [rate_hz, rate_hz])
    trace.grab()
    for side in ("left", "bottom", "right"):
        axis = trace.item.getAxis(side)
        assert not axis.autoSIPrefix
        assert "x1e" not in axis.labelString()


def test_a_long_trace_keeps_its_highest_point_on_the_screen(shown):
    trace = shown(IntensityTrace())
    rate_hz = np.full(400_000, 1e4)
    rate_hz[123_456] = 9e4
    trace.show_intensity(np.arange(400_000) * 1e-3, rate_hz)
    drawn = trace._lines["intensity"][0].getData()[1]
    assert len(drawn) < 20_000
    assert drawn.max() == 90.0


def test_trace_stays_in_the_span_that_was_asked_for(shown):
    trace = shown(IntensityTrace())
    trace.show_span(0.0, 90.0)
    trace.show_intensity([0.0, 1.0], [1e3, 1e3])
    assert trace.shown_range()[0] == pytest.approx((0.0, 90.0))


def test_bins_are_joined_so_that_the_mean_rate_stays():
    rate, bin_s = in_bins(np.arange(10), 0.1, 4)
    assert bin_s == pytest.approx(0.3)
    np.testing.assert_array_equal(rate, [1.0, 4.0, 7.0])


# ---- ranges ----


def test_a_range_stays_while_the_data_fit_into_it_and_fill_it():
    first = steady_range(None, 0.0, 10.0, at_zero=True)
    assert first == (0.0, 11.5)
    assert steady_range(first, 0.0, 11.4, at_zero=True) == first
    assert steady_range(first, 0.0, 6.0, at_zero=True) == first
    assert steady_range(first, 0.0, 12.0, at_zero=True) == pytest.approx((0.0, 13.8))
    assert steady_range(first, 0.0, 3.0, at_zero=True) == pytest.approx((0.0, 3.45))


def test_a_zoomed_plot_stays_where_it_is_until_it_is_double_clicked(shown, qtbot):
    plot = shown(PointsPlot("x", "y"))
    plot.show_points("a", [0.0, 1.0], [0.0, 1.0])
    box = plot.item.getViewBox()
    box.setRange(xRange=(0.2, 0.3), padding=0)
    box.sigRangeChangedManually.emit([True, True])
    plot.show_points("a", [0.0, 10.0], [0.0, 1.0])
    assert plot.shown_range()[0] == pytest.approx((0.2, 0.3))
    plot.grab()
    middle, left = plot.mapFromScene(box.sceneBoundingRect().center()), QtCore.Qt.MouseButton.LeftButton
    qtbot.mouseClick(plot.viewport(), left, pos=middle)
    assert plot.shown_range()[0] == pytest.approx((0.2, 0.3))
    qtbot.mouseDClick(plot.viewport(), left, pos=middle)
    qtbot.mouseRelease(plot.viewport(), left, pos=middle)
    assert plot.shown_range()[0] == pytest.approx((-1.5, 11.5))


def test_a_cleared_plot_shows_what_comes_next(shown):
    plot = shown(PointsPlot("x", "y"))
    plot.show_points("a", [0.0, 1.0], [5.0, 6.0])
    plot.clear()
    assert plot.curves() == {}
    plot.show_points("b", [0.0, 1.0], [7.0, 8.0])
    assert list(plot.curves()) == ["b"]
    assert plot._lines["b"][0].scene() is plot.scene()


def test_log_axes_name_the_numbers_themselves():
    axis = LogAxis("bottom")
    (spacing, major), (_, minor) = axis.tickValues(-0.5, 2.5, 600)
    assert axis.tickStrings(major, 1.0, spacing) == ["0.5", "1", "2", "5", "10", "20", "50", "100", "200"]
    assert axis.tickStrings(minor[:1], 1.0, 0.0) == [""]
    assert axis.tickStrings([-4.0, 5.0, 4.0], 1.0, 1.0) == ["10⁻⁴", "10⁵", "10000"]


# ---- FLID ----


def test_flid_map_counts_each_point_in_its_cell(shown):
    flid = shown(FlidMap("Pt"))
    flid.show_points([125.0, 125.0, 20.0, np.nan, 5.0, 400.0], [32e3, 32e3, 8e3, 1e3, -10.0, 1e3])
    assert flid.counts.sum() == 3
    column = np.searchsorted(LIFETIME_EDGES_NS, 125.0) - 1
    row = np.searchsorted(RATE_EDGES_HZ, 32e3) - 1
    assert flid.counts[column, row] == 2
    assert np.isnan(flid.bias_v).all()


def test_flid_map_colours_by_the_mean_bias_of_a_cell(shown):
    flid = shown(FlidMap("Pt"))
    flid.show_points([125.0, 125.0, 20.0], [32e3, 32e3, 8e3], [-0.2, -0.4, -1.5])
    flid.colour_by("bias")
    known = flid.bias_v[np.isfinite(flid.bias_v)]
    np.testing.assert_allclose(sorted(known), [-1.5, -0.3])
    assert flid._bar.levels() == pytest.approx((-1.5, -0.3))
    assert flid._bar.text == "V vs. Pt"


@pytest.mark.parametrize("what", ["count", "bias"])
def test_seen_cells_stand_out_from_the_panel_and_others_do_not(shown, light, what):
    flid = shown(FlidMap())
    flid.colour_by(what)
    flid.clear()
    flid.show_points([20.0] * 3 + [100.0], [8e3] * 3 + [30e3], [-1.0] * 3 + [0.0])
    panel = QtGui.QColor(theme.current().panel)
    assert colour_at(flid, 2.0, 20.0) == panel
    cell = np.searchsorted(LIFETIME_EDGES_NS, 20.0) - 1, np.searchsorted(RATE_EDGES_HZ, 8e3) - 1
    x = LIFETIME_EDGES_NS[cell[0] : cell[0] + 2].prod() ** 0.5
    y = RATE_EDGES_HZ[cell[1] : cell[1] + 2].prod() ** 0.5 / 1e3
    assert colour_at(flid, x, y) != panel


def test_flid_map_shows_the_scaling_curve_and_marks_in_the_units_of_its_axes(shown):
    flid = shown(FlidMap())
    flid.show_scaling([125.0, 40.0, 20.0], [32e3, 22e3, 16e3], "scaling law, γA/γ0 = 0.50")
    flid.show_mark("at -2 V", 2.5, 1200.0, 0.2, 100.0)
    curves = flid.curves()
    np.testing.assert_allclose(curves["scaling law"][0], [125.0, 40.0, 20.0])
    np.testing.assert_allclose(curves["scaling law"][1], [32.0, 22.0, 16.0])
    np.testing.assert_allclose(np.ravel(curves["at -2 V"]), [2.5, 1.2])
    flid.clear()
    assert flid.curves() == {}
    assert flid.counts.sum() == 0


def test_overlay_counts_both_distributions(shown):
    overlay = shown(FlidOverlay())
    overlay.show_two(("one", [20.0, 20.0], [8e3, 8e3]), ("two", [100.0], [30e3]))
    assert [counts.sum() for counts in overlay.counts] == [2, 1]
    assert set(overlay.curves()) == {"one", "two"}


# ---- decays and pairs ----


def test_decay_keeps_every_count_when_it_joins_bins(shown):
    decay = shown(DecayPlot(bin_ns=1.0))
    counts = np.arange(1, 1601)
    decay.show_decay("X0", counts, 0.025, pen="x0", told="125 ns")
    time_ns, shown_counts = decay.curves()["X0"]
    assert shown_counts.sum() == pytest.approx(counts.sum())
    assert len(time_ns) == 40
    assert time_ns[0] == pytest.approx(0.5)
    assert decay.axis_name("left") == "counts per 1 ns"


def test_a_curve_takes_another_colour_when_it_is_asked_for(shown):
    decay = shown(DecayPlot())
    for colour in ("#102030", "#405060"):
        decay.show_decay("0 V", [5, 4, 3], 1.0, pen=colour)
        assert decay._lines["0 V"][0].opts["pen"].color().name() == colour


def test_normalized_decays_and_their_fits_begin_at_one(shown):
    decay = shown(DecayPlot(normalized=True))
    decay.show_decay("X0", np.full(400, 10), 0.1)
    decay.show_fit("X0", [0.5, 1.5], [100.0, 50.0])
    assert decay.curves()["X0"][1].max() == pytest.approx(1.0)
    np.testing.assert_allclose(decay.curves()["X0 fit"][1], [1.0, 0.5])


def test_an_empty_bin_of_a_decay_is_a_gap(shown):
    decay = shown(DecayPlot())
    decay.show_decay("X0", [5, 0, 5], 1.0)
    assert np.isnan(decay.curves()["X0"][1][1])
    decay.grab()


def test_g2_shows_pairs_peaks_and_the_value_with_its_error(shown):
    g2 = shown(G2Plot())
    g2.show_histogram([-10.0, 0.0, 10.0], [3, 1, 4], reach_ns=10.0)
    g2.show_peaks([-400.0, 0.0, 400.0], [100, 9, 99])
    g2.show_value(0.0912, 0.0123)
    edges_us, pairs = g2.curves()["pairs"]
    np.testing.assert_allclose(edges_us, [-0.015, -0.005, 0.005, 0.015])
    np.testing.assert_array_equal(pairs, [3, 1, 4])
    np.testing.assert_array_equal(g2.curves()["peaks"][1], [100, 9, 99])
    assert g2.axis_name("left") == "pairs per 10 ns"
    assert g2.told == "g2(0) = 0.091 ± 0.012"
    g2.show_value(None, None)
    assert g2.told == "g2(0): not known yet"
    assert g2.value is None


# ---- voltammogram, points, image ----


@pytest.mark.parametrize(
    ("highest_a", "unit", "factor"), [(24e-6, "µA", 1e6), (24e-9, "nA", 1e9), (2e-3, "mA", 1e3)]
)
def test_current_is_shown_in_the_unit_that_suits_it(shown, highest_a, unit, factor):
    plot = shown(Voltammogram("Pt"))
    plot.show_sweep([0.0, -1.0, -2.0, -1.0, 0.0], np.array([0.1, -0.2, -1.0, -0.3, 0.2]) * highest_a)
    assert plot.axis_name("left") == f"current ({unit})"
    assert np.nanmin(plot.curves()["forward"][1]) == pytest.approx(-highest_a * factor)


def test_sweeps_are_parted_where_the_potential_turns(shown):
    plot = shown(Voltammogram())
    potential_v = np.array([0.0, -1.0, -2.0, -1.0, 0.0, -1.0])
    overload = np.array([False, False, True, False, False, False])
    plot.show_sweeps([Sweep(potential_v, np.arange(6) * 1e-6, overload)])
    forward, backward = (plot.curves()[name][1] for name in ("forward", "backward"))
    np.testing.assert_allclose(forward[:6], [0, 1, 2, np.nan, np.nan, 5])
    np.testing.assert_allclose(backward[:6], [np.nan, np.nan, np.nan, 3, 4, np.nan])
    np.testing.assert_allclose(plot.curves()["overload"], [[-2.0], [2.0]])


def test_points_keep_their_errors_and_leave_room_for_them(shown):
    plot = shown(PointsPlot("potential (V)", "lifetime (ns)", log_y=True))
    plot.show_points("lifetime", [0.0, -2.0, -1.0], [125.0, 2.5, np.nan], [3.0, 0.2, np.nan])
    np.testing.assert_array_equal(plot.errors("lifetime"), [3.0, 0.2, 0.0])
    x, low, high = plot._bars["lifetime"][0].vertical
    np.testing.assert_array_equal(x, [0.0, -2.0])
    np.testing.assert_allclose(10**high, [128.0, 2.7])
    np.testing.assert_allclose(10**low, [122.0, 2.3])
    low, high = plot.shown_range()[1]
    assert low < 2.5 < 125.0 < high


def test_a_click_into_the_image_tells_where_in_micrometres(shown, qtbot):
    image = shown(ScanImage())
    image.show_image(np.arange(8.0).reshape(2, 4) * 1e3, np.linspace(96, 104, 5), np.linspace(98, 102, 3))
    assert image.levels_khz == (0.0, 7.0)
    image.grab()
    with qtbot.waitSignal(image.clicked) as clicked:
        qtbot.mouseClick(image.viewport(), QtCore.Qt.MouseButton.LeftButton, pos=pixel_of(image, 97.0, 101.0))
    assert clicked.args == pytest.approx([97.0, 101.0], abs=0.05)


def test_the_image_has_its_rows_along_y_and_unvisited_pixels_empty(shown, light):
    image = shown(ScanImage())
    rate_hz = np.array([[np.nan, 0.0], [9e3, np.nan]])
    image.show_image(rate_hz, [0.0, 1.0, 2.0], [0.0, 1.0, 2.0])
    panel = QtGui.QColor(theme.current().panel)
    assert colour_at(image, 0.5, 0.5) == panel
    assert colour_at(image, 1.5, 0.5).lightness() < 20
    assert colour_at(image, 0.5, 1.5) not in (panel, colour_at(image, 1.5, 0.5))


def test_marks_and_position_are_where_they_were_put(shown):
    image = shown(ScanImage())
    image.mark("1", 97.0, 101.0)
    image.show_position(100.0, 99.5)
    assert image.marks == {"1": (97.0, 101.0)}
    assert [line.value() for line in image._cross] == [100.0, 99.5]
    image.forget_marks()
    assert len(image._circles.data) == 0


# ---- theme ----


def test_every_plot_takes_the_colours_of_another_theme(shown, light):
    plots = [
        shown(make())
        for make in (IntensityTrace, FlidMap, DecayPlot, G2Plot, Voltammogram, ScanImage, FlidOverlay)
    ]
    for name in ("dark", "light"):
        theme.apply(name)
        for plot in plots:
            assert plot.backgroundBrush().color() == QtGui.QColor(theme.current().panel), type(plot).__name__
            assert plot.item.getAxis("left").textPen().color() == QtGui.QColor(theme.current().text)


def test_a_deleted_plot_hears_no_more_of_themes(qtbot, light):
    plot = Plot("x", "y")
    plot.deleteLater()
    qtbot.wait(1)
    theme.apply("dark")
