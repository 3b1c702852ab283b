import functools
import math

import numpy as np
import pytest

from qdlab.analysis.confocal import APART_UM, find_spots
from qdlab.analysis.fisher_scoring import fit_poisson
from qdlab.analysis.flid_data import Calibration
from qdlab.analysis.found_dots import FoundDot, brightest_single, g2_of
from qdlab.analysis.line_fit import fit_centre
from qdlab.analysis.scaling import Ratio
from qdlab.analysis.scan_image import (
    Grid,
    Track,
    find_lag,
    grid_around,
    image_of_points,
    make_image,
    sum_images,
)

QUIET = Calibration((0.0, 0.0), 0.0)
BACKGROUND_HZ = 380.0
SIGMA_UM = 0.057
LINE_S, PERIOD_S = 0.064, 0.15


def raster(columns=64, rows=40, pitch_um=0.05):
    """Pixels, and the path of a scan forth and back over them with room to turn round."""
    grid = grid_around(np.arange(columns) * pitch_um, np.arange(rows) * pitch_um)
    time_s = np.arange(0.0, rows * PERIOD_S, 1e-3)
    line = (time_s // PERIOD_S).astype(int)
    along = (time_s % PERIOD_S / PERIOD_S - 0.5) * PERIOD_S / LINE_S
    width_um = columns * pitch_um
    fast_um = grid.fast_um[0] + width_um / 2 + width_um * along * np.where(line % 2, -1, 1)
    return grid, Track(time_s, fast_um, line * pitch_um)


def photons_on(track, dots, rng, background_hz=BACKGROUND_HZ, blink=None):
    """Photon times of Gaussian dots (fast, slow, peak rate) along a path; `blink(time_s)` scales them."""
    time_s = np.arange(track.time_s[0], track.time_s[-1], 5e-5)
    fast_um, slow_um = track.at(time_s)
    rate = np.zeros(len(time_s))
    for x_um, y_um, peak_hz in dots:
        rate += peak_hz * np.exp(-0.5 * ((fast_um - x_um) ** 2 + (slow_um - y_um) ** 2) / SIGMA_UM**2)
    if blink is not None:
        rate *= blink(time_s)
    counts = rng.poisson((rate + background_hz) * 5e-5)
    return np.sort(np.repeat(time_s, counts) + 5e-5 * rng.random(counts.sum()))


# ---- images ----


def test_every_photon_lands_where_the_stage_was_measured_to_be():
    grid = Grid(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0]))
    track = Track(np.array([0.0, 2.0, 4.0]), np.array([0.0, 2.0, 0.0]), np.array([0.5, 0.5, 1.5]))
    image = make_image(np.array([0.5, 1.5, 1.6, 2.4, 3.9]), track, grid)
    np.testing.assert_array_equal(image.counts[0], [[1, 2], [0, 0]])
    np.testing.assert_array_equal(image.counts[1], [[0, 1], [1, 0]])
    assert image.exposure_s.sum() == pytest.approx(4.0)
    assert image.exposure_s[0, 0] == pytest.approx(1.0, abs=1e-3)
    assert np.isnan(sum_images([], grid).rate_hz).all()


def test_points_are_counted_for_their_dwell():
    grid = Grid(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0]))
    at_um = np.array([0.4, 1.6]), np.array([0.5, 1.5])
    image = image_of_points(np.array([0.9, 1.1, 1.15, 1.2, 5.05]), np.array([1.0, 5.0]), 0.2, at_um, grid)
    assert image.counts[0].tolist() == [[2, 0], [0, 1]]
    assert image.rate_hz[0, 0] == pytest.approx(10.0)
    assert image.fast_um[0, 1, 1] == pytest.approx(1.6)


@pytest.mark.parametrize("late_s", [-0.031, 0.0, 0.0124])
def test_forth_and_back_are_brought_together(late_s):
    grid, track = raster()
    photon_s = photons_on(track, [(1.0, 0.8, 3e4), (2.3, 1.5, 2e4)], np.random.default_rng(1))
    lag = find_lag(photon_s + late_s, track, grid)
    assert lag.found
    assert lag.lag_s == pytest.approx(late_s, abs=3e-4)


@pytest.mark.parametrize("seed", range(5))
def test_an_empty_field_has_no_lag_to_be_found(seed):
    grid, track = raster()
    lag = find_lag(photons_on(track, [], np.random.default_rng(seed)), track, grid)
    assert lag == (0.0, False)


# ---- spots ----


@pytest.mark.parametrize("seed", range(30))
def test_nothing_is_found_in_an_empty_field(seed):
    grid, track = raster(128, 64)
    image = make_image(photons_on(track, [], np.random.default_rng(seed)), track, grid)
    spots, background = find_spots(image)
    assert spots == []
    assert background.rate_hz == pytest.approx(BACKGROUND_HZ, abs=5 * background.error_hz)


def test_every_spot_is_found_with_honest_errors_and_none_is_invented():
    pulls, background_pulls = [], []
    dots = [(0.62, 0.71, 3e4), (1.51, 1.13, 1.5e4), (2.49, 0.44, 6e3), (2.2, 1.6, 4.5e4)]
    grid, track = raster()
    for seed in range(25):
        image = make_image(photons_on(track, dots, np.random.default_rng(seed)), track, grid)
        spots, background = find_spots(image)
        assert len(spots) == len(dots)
        background_pulls.append((background.rate_hz - BACKGROUND_HZ) / background.error_hz)
        for x_um, y_um, peak_hz in dots:
            spot = min(spots, key=lambda s: math.hypot(s.fast_um - x_um, s.slow_um - y_um))
            pulls.append(
                [
                    (spot.fast_um - x_um) / spot.fast_err_um,
                    (spot.slow_um - y_um) / spot.slow_err_um,
                    (spot.rate_hz - peak_hz) / spot.rate_err_hz,
                ]
            )
            assert spot.sigma_um == pytest.approx(SIGMA_UM, rel=0.25)
    assert np.abs(np.mean(pulls, axis=0)).max() < 0.4
    assert np.all((np.std(pulls, axis=0) > 0.7) & (np.std(pulls, axis=0) < 1.25))
    assert abs(np.mean(background_pulls)) < 1.5


def test_neighbours_are_told_apart_and_closer_ones_count_as_one():
    grid, track = raster()
    rng = np.random.default_rng(3)
    near = [(1.0, 1.0, 3e4), (1.0 + 1.3 * APART_UM, 1.0, 3e4)]
    spots, _ = find_spots(make_image(photons_on(track, near, rng), track, grid))
    assert sorted(s.fast_um for s in spots) == pytest.approx([1.0, 1.0 + 1.3 * APART_UM], abs=0.02)
    closer = [(1.0, 1.0, 3e4), (1.06, 1.0, 3e4)]
    spots, _ = find_spots(make_image(photons_on(track, closer, rng), track, grid))
    assert len(spots) == 1
    assert spots[0].fast_um == pytest.approx(1.03, abs=0.02)


# ---- lines ----


def lines_through(centre_um, rng, lines=10, level=None):
    """Lines of 0.16 s through a dot; `level` is its brightness in each."""
    time_s = np.arange(0.0, lines * 0.16, 1e-3)
    line = (time_s // 0.16).astype(int)
    fast_um = 0.8 * (time_s % 0.16 / 0.16 - 0.5) * np.where(line % 2, -1, 1)
    track = Track(time_s, fast_um, np.zeros(len(time_s)))
    level = np.ones(lines) if level is None else level
    blink = functools.partial(lambda level, t: level[(t / 0.16).astype(int)], level)
    return track, photons_on(track, [(centre_um, 0.0, 3e4)], rng, blink=blink)


@pytest.mark.parametrize("blinks", [False, True])
def test_the_centre_of_lines_has_an_honest_error_also_when_the_dot_blinks(blinks):
    pulls, errors = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        level = np.where(rng.random(60) < 0.6, 1.0, 0.15 if blinks else 1.0)
        track, photon_s = lines_through(0.03, rng, level=level)
        centre = fit_centre(photon_s, track, 0.16, (-0.3, 0.3), background_hz=380.0, sigma_um=0.06)
        assert centre is not None
        pulls.append((centre.centre_um - 0.03) / centre.error_um)
        errors.append(centre.error_um)
    assert np.median(errors) < 0.002
    assert abs(np.mean(pulls)) < 0.6
    assert 0.7 < np.std(pulls) < 1.35


def test_lines_without_a_dot_have_no_centre():
    track, photon_s = lines_through(5.0, np.random.default_rng(1))
    assert fit_centre(photon_s, track, 0.16, (-0.3, 0.3), background_hz=380.0, sigma_um=0.06) is None


# ---- the fit itself ----


def test_fisher_scoring_finds_the_closed_form_of_a_mean_and_its_error():
    counts = np.array([3, 5, 4, 8])

    def model(p):
        return np.full(4, math.exp(p[0])), np.full((4, 1), math.exp(p[0]))

    fit = fit_poisson(model, np.array([0.0]), counts)
    assert fit is not None
    assert math.exp(fit.parameters[0]) == pytest.approx(counts.mean())
    assert math.sqrt(fit.covariance[0, 0]) == pytest.approx(1 / math.sqrt(counts.sum()))


# ---- dots ----


def dot(rate_hz, g2):
    return FoundDot(np.zeros(3), np.zeros(3), rate_hz, 1.0, g2)


def test_the_brightest_single_dot_is_chosen():
    dots = [dot(4e4, Ratio(0.6, 0.02)), dot(2e4, Ratio(0.2, 0.02)), dot(3e4, Ratio(0.2, 0.05))]
    dots.append(dot(9e4, None))
    assert brightest_single(dots) == 2
    assert brightest_single(dots[:1]) is None


def test_g2_counts_pairs_by_laser_pulse():
    rng = np.random.default_rng(5)
    sync = np.sort(rng.integers(0, 2_500_000 * 4, 200_000))
    channel = rng.integers(0, 2, len(sync)).astype(np.uint8)
    found = g2_of(sync, channel, 4.0, 4e-7, QUIET)
    assert found is not None
    assert found.value == pytest.approx(1.0, abs=5 * found.error)
    first, second = sync[channel == 0], sync[channel == 1]
    alone = ~np.isin(second, first)
    kept = np.sort(np.concatenate([first * 2, second[alone] * 2 + 1]))
    none = g2_of(kept // 2, (kept % 2).astype(np.uint8), 4.0, 4e-7, QUIET)
    assert none is not None
    assert none.value < 0.02
