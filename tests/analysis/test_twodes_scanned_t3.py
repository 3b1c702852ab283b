"""t3 scanned on a point detector: planted signals of known form come back apart, at every kind of step."""

import numpy as np
import pytest

from qdlab.analysis.twodes.detection import Block
from qdlab.analysis.twodes.phase_cycling import NONREPHASING, REPHASING, scheme
from qdlab.analysis.twodes.scan import ScanPlan, TwoDScanData
from qdlab.analysis.twodes.scanned_t3 import (
    LocalOscillator,
    ScannedT3,
    is_unfolded,
    nearest_step_fs,
    t3_axis_fs,
)
from qdlab.analysis.twodes.spectra import RotatingFrame
from qdlab.analysis.twodes.units import FS_PER_CM, W

BAND = (16200.0, 20200.0)
LO = LocalOscillator(18200.0, 2600.0)
T1 = 6.0 * np.arange(20)
CYCLE = scheme("3x3x1")
FRAME = RotatingFrame(1.0, 18200.0)
DEPHASING_FS = 40.0
R_CM, N_CM, N_SHARE = 17700.0, 18600.0, 0.6
"""The two signals are of different transitions, so that either shows where it does not belong."""
NARROW = LocalOscillator(18200.0, 1000.0)
STEPS = [(0.7, LO), (1.4, LO), (2.3, LO), (3.2, NARROW), (4.12, NARROW)]
"""Below half a period, and in zones 1 to 4; the last ones are hardly wider than the band."""
STRADDLING_FS = 3.6
W_CM = np.arange(12_000.0, 24_400.0, 10.0)
"""Where the light is integrated: also far outside of the band."""


def line(w3_cm, centre_cm):
    """Half-line transform of exp(-i w t3 - t3 / T2), 1 at its maximum."""
    return 1 / (1 - 1j * W * DEPHASING_FS * (w3_cm - centre_cm))


def at_t1(centre_cm):
    """How a rephasing signal goes along t1 in the rotating frame."""
    return np.exp(1j * W * (centre_cm - FRAME.offset_cm) * T1 - T1 / DEPHASING_FS)


def readings(t3_fs, lo=LO, *, rephasing=1.0, nonrephasing=N_SHARE, background=0.0):
    """What a point detector reads, by its integral over the spectrum; the field is i times the response."""
    waves = np.exp(-1j * W * np.multiply.outer(W_CM, t3_fs)) * lo.amplitude(W_CM)[:, None]
    r = rephasing * np.outer(at_t1(R_CM), (1j * line(W_CM, R_CM)) @ waves)
    n = nonrephasing * np.outer(at_t1(N_CM).conj(), (1j * line(W_CM, N_CM)) @ waves)
    turn = np.exp(1j * (CYCLE.phases_rad[:, 1] - CYCLE.phases_rad[:, 0]))[None, :, None]
    field = r[:, None, :] * turn + n[:, None, :] * turn.conj()
    return 2 * W * (W_CM[1] - W_CM[0]) * field.real + background * turn.real


def scanned(step_fs, lo=LO, *, off_fs=0.0, points_to_fs=260.0, **planted):
    t3_fs = t3_axis_fs(step_fs, round(points_to_fs / step_fs), lo) + off_fs
    scan = TwoDScanData(ScanPlan(T1, CYCLE, FRAME, ScannedT3(step_fs, lo), BAND))
    scan.add(Block(100.0, readings(t3_fs, lo, **planted), t3_fs=t3_fs))
    return scan


def signals(scan):
    return scan.signals(REPHASING)[1][0], scan.signals(NONREPHASING)[1][0]


def expected(scan):
    """The planted fields in the unit of the scan's: what is transformed is 2 pi times L times the field."""
    r = np.outer(at_t1(R_CM), line(scan.w3_cm, R_CM))
    n = N_SHARE * np.outer(at_t1(N_CM).conj(), line(scan.w3_cm, N_CM))
    return 2 * np.pi * r, 2 * np.pi * n


def worst(found, planted):
    return np.abs(found - planted).max() / np.abs(planted).max()


@pytest.mark.parametrize(("step_fs", "lo"), STEPS)
def test_both_signals_come_back_with_their_sign_phase_and_shape(step_fs, lo):
    """All but the end of t3: exp(-260 / 40) is 0.0015."""
    scan = scanned(step_fs, lo)
    for found, planted in zip(signals(scan), expected(scan), strict=True):
        assert worst(found, planted) < 0.003


@pytest.mark.parametrize(("step_fs", "lo"), STEPS)
def test_one_signal_does_not_show_in_the_other(step_fs, lo):
    r, nothing = signals(scanned(step_fs, lo, nonrephasing=0.0))
    assert np.abs(nothing).max() < 0.001 * np.abs(r).max()
    nothing, n = signals(scanned(step_fs, lo, rephasing=0.0, nonrephasing=1.0))
    assert np.abs(nothing).max() < 0.001 * np.abs(n).max()


def test_light_beside_the_band_folds_into_it_where_a_zone_is_tight():
    """As far from the zone's edge as it lies beyond it: why a step in the middle of a zone is the better."""
    roomy, tight = (scanned(step_fs) for step_fs in (2.3, 4.12))
    for found, planted in zip(signals(roomy), expected(roomy), strict=True):
        assert worst(found, planted) < 0.003
    assert max(worst(f, p) for f, p in zip(signals(tight), expected(tight), strict=True)) > 0.05


def test_a_step_that_straddles_a_zone_mixes_them():
    assert not is_unfolded(STRADDLING_FS, BAND)
    r, shown_in_n = signals(scanned(STRADDLING_FS, nonrephasing=0.0))
    assert np.abs(shown_in_n).max() > 0.3 * np.abs(r).max()


def test_what_does_not_change_with_t3_does_not_show():
    clean, dirty = scanned(2.3), scanned(2.3, background=0.2)
    assert np.abs(readings(t3_axis_fs(2.3, 10, LO))).max() < 1.0  # the background is no small one
    for found, planted in zip(signals(dirty), signals(clean), strict=True):
        assert worst(found, planted) < 1e-12


def test_delays_are_taken_as_they_were_measured():
    """50 as taken for nothing would turn the signal by a sixth of a radian."""
    scan = scanned(2.3, off_fs=0.05)
    for found, planted in zip(signals(scan), expected(scan), strict=True):
        assert worst(found, planted) < 0.003


def test_the_map_is_positive_and_highest_at_the_transition():
    maps = scanned(2.3, nonrephasing=0.0).maps()
    r = maps.rephasing[0]
    k1, k3 = np.unravel_index(np.argmax(r.real), r.shape)
    assert abs(maps.w1_cm[k1] - R_CM) < 100
    assert abs(maps.w3_cm[k3] - R_CM) < 30
    assert abs(np.angle(r[k1, k3])) < 0.2


def test_the_axis_ends_where_the_local_oscillator_is_too_weak():
    scan = TwoDScanData(ScanPlan(T1, CYCLE, FRAME, ScannedT3(0.8, LocalOscillator(18200.0, 1000.0)), BAND))
    scan.add(Block(0.0, np.zeros((len(T1), 9, 50)), t3_fs=0.8 * np.arange(50)))
    assert scan.w3_cm[0] > 16900
    assert scan.w3_cm[-1] < 19500


# ---- steps ----


def lies_in_one_zone(step_fs, band):
    zone_cm = FS_PER_CM / (2 * step_fs)
    return np.floor(band[0] / zone_cm) == np.ceil(band[1] / zone_cm) - 1


def test_steps_are_judged_by_the_zones():
    steps = np.random.default_rng(2).uniform(0.05, 8.0, 2000)
    judged = np.array([is_unfolded(step, BAND) for step in steps])
    assert judged.tolist() == [bool(lies_in_one_zone(step, BAND)) for step in steps]
    assert 0.1 < judged.mean() < 0.9


def test_the_nearest_step_is_allowed_and_none_is_nearer():
    grid = np.arange(50, 8001) / 1000
    allowed = np.array([step for step in grid if is_unfolded(step, BAND)])
    for step in np.random.default_rng(3).uniform(0.05, 8.0, 200):
        nearest = nearest_step_fs(step, BAND)
        assert is_unfolded(nearest, BAND)
        assert abs(nearest - step) <= np.abs(allowed - step).min() + 1e-9


def test_a_step_below_half_a_period_is_always_allowed():
    assert is_unfolded(FS_PER_CM / (2 * BAND[1]) - 1e-6, BAND)
    assert nearest_step_fs(1.7, (100.0, 20200.0)) == pytest.approx(0.825)


def test_t3_begins_before_zero_by_the_local_oscillators_own_duration():
    t3 = t3_axis_fs(3.2, 10, LO)
    assert t3[-1] == pytest.approx(9 * 3.2)
    assert 0.0 in t3
    # the field there is a Gaussian of this standard deviation
    sigma_fs = 2 * np.sqrt(np.log(2)) / (W * LO.fwhm_cm)
    assert 4 * sigma_fs <= -t3[0] < 4 * sigma_fs + 3.2
    w = W * np.arange(-12_000.0, 12_000.0, 5.0)
    pulse = [abs((LO.amplitude(18200.0 + w / W) * np.exp(1j * w * t)).sum()) for t in (0.0, sigma_fs)]
    assert pulse[1] / pulse[0] == pytest.approx(np.exp(-0.5), rel=1e-3)
