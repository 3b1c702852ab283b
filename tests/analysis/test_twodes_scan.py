"""From the counts of all frames to maps: fringes, cycling, scatter, drift, phase."""

import numpy as np
import pytest

from qdlab.analysis.twodes.detection import Block, Spectrometer
from qdlab.analysis.twodes.interferometry import Interferometer
from qdlab.analysis.twodes.phase_cycling import NONREPHASING, REPHASING, scheme
from qdlab.analysis.twodes.phasing import fit_phase
from qdlab.analysis.twodes.scan import ScanPlan, TwoDScanData
from qdlab.analysis.twodes.spectra import RotatingFrame
from qdlab.analysis.twodes.units import W

PIXEL_CM = 1e7 / np.linspace(480.0, 640.0, 900)
LO = 2e4 * np.exp(-4 * np.log(2) * ((PIXEL_CM - 18200) / 3600) ** 2)
T1 = 5.0 * np.arange(60)
LEAD_FS, DEPHASING_FS, CENTRE_CM = 700.0, 40.0, 17800.0
FRAME = RotatingFrame(1.0, 18200.0)
CYCLE = scheme("4x4x1")
RNG = np.random.default_rng(5)


def line(w3_cm):
    """Half-line transform of exp(-i w t3 - t3 / T2), 1 at its maximum."""
    return 1 / (1 - 1j * W * DEPHASING_FS * (w3_cm - CENTRE_CM))


def plan(lead_fs=LEAD_FS, pixel_cm=PIXEL_CM):
    return ScanPlan(T1, CYCLE, FRAME, Spectrometer(pixel_cm, lead_fs), (16400.0, 19600.0))


def frames(t2_fs, *, strength=20.0, scatter=0.0, background=0.0, drift=0.0, noisy=False):
    """Counts of one transition, as the bench composes them: the field is i times the response."""
    w, counts = PIXEL_CM, np.empty((len(T1), CYCLE.steps, len(PIXEL_CM)))
    beat = W * (CENTRE_CM - FRAME.offset_cm) * T1
    for i, t1 in enumerate(T1):
        decay = np.exp(-t1 / DEPHASING_FS)
        for j, (phi1, phi2, _) in enumerate(CYCLE.phases_rad):
            turns = np.exp(1j * (beat[i] - phi1 + phi2)) + np.exp(-1j * (beat[i] - phi1 + phi2))
            signal = strength * line(w) * (decay * turns + background)
            # pulse 2 comes t2 before pulse 3, pulse 1 t1 before it, turned by the rotating frame
            first = np.exp(-1j * W * ((w - FRAME.offset_cm) * t1 + w * t2_fs) + 1j * phi1)
            pumps = scatter * np.sqrt(LO) * (first + np.exp(-1j * W * w * t2_fs + 1j * phi2))
            field = np.sqrt(LO) + np.exp(1j * W * w * LEAD_FS) * (1j * signal + pumps)
            counts[i, j] = np.abs(field) ** 2 * (1 + drift * np.sin(0.1 * (i * CYCLE.steps + j)))
    return RNG.poisson(counts).astype(float) if noisy else counts


def scanned(*, plan_=None, **settings):
    scan = TwoDScanData(plan_ or plan())
    for t2 in (100.0, 0.0):
        scan.add(Block(t2, frames(t2, **settings), LO))
    return scan


def planted(maps, strength=20.0):
    """R, N and the absorptive map, with the sums over t1 as they are."""
    weight = np.where(T1 == 0, 2.5, 5.0) * np.exp(-T1 / DEPHASING_FS)
    off = W * np.multiply.outer(maps.w1_cm - CENTRE_CM, T1)
    r, n = (np.exp(sign * 1j * off) @ weight for sign in (-1, 1))
    along_w3 = strength * line(maps.w3_cm)
    return np.outer(r, along_w3), np.outer(n, along_w3)


def worst(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def test_maps_come_back_from_counts_with_their_sign_and_shape():
    maps = scanned().maps()
    assert maps.t2_fs.tolist() == [0.0, 100.0]
    r, n = planted(maps)
    assert worst(maps.rephasing[0], r) < 0.012
    assert worst(maps.nonrephasing[1], n) < 0.012
    absorptive = maps.absorptive[0]
    assert worst(absorptive, (r + n).real) < 0.012
    # absorption along both axes: positive, highest at the transition, a Lorentzian in w1 and in w3
    k1, k3 = np.unravel_index(np.argmax(absorptive), absorptive.shape)
    assert abs(maps.w1_cm[k1] - CENTRE_CM) < 25
    assert abs(maps.w3_cm[k3] - CENTRE_CM) < 25
    assert absorptive.min() > -0.02 * absorptive.max()
    half = 1 / (W * DEPHASING_FS)
    for cut, axis in ((absorptive[k1], maps.w3_cm), (absorptive[:, k3], maps.w1_cm)):
        lorentz = cut.max() / (1 + ((axis - CENTRE_CM) / half) ** 2)
        assert np.abs(cut - lorentz).max() < 0.03 * cut.max()


def test_scatter_of_the_pumps_and_the_background_are_cycled_away():
    """Also where the scatter's fringes lie among the signal's: t2 = 0. Only the scale knows their power."""
    clean = scanned().maps()
    dirty = scanned(scatter=0.05, background=1.0).maps()
    for found, expected in (
        (dirty.rephasing, clean.rephasing),
        (dirty.nonrephasing, clean.nonrephasing),
    ):
        scale = np.vdot(expected, found) / np.vdot(expected, expected)
        assert abs(scale - 1) < 0.01
        assert worst(found, scale * expected) < 1e-4


def test_the_lasers_drift_is_taken_out():
    clean = scanned().maps()
    assert worst(scanned(drift=0.03).maps().rephasing, clean.rephasing) < 1e-3
    # what the laser drifts within one cycle lets a little scatter through
    assert worst(scanned(scatter=0.05, drift=0.03).maps().rephasing, clean.rephasing) < 0.02


def test_the_noise_of_maps_is_that_of_the_counts():
    """Shot noise of the local oscillator: 1 / sqrt 2 per pixel and component, less what the gate cuts."""
    ftsi = Interferometer(PIXEL_CM, LO, LEAD_FS)
    noise = np.array([ftsi.fields(RNG.poisson(LO) - LO) for _ in range(80)])
    inner = np.abs(ftsi.wavenumber_cm - 18200) < 1200
    per_component = np.sqrt(np.mean(np.abs(noise[:, inner]) ** 2) / 2)
    step_cm = np.abs(np.diff(PIXEL_CM))[np.abs(PIXEL_CM[1:] - 18200) < 1200].mean()
    kept = W * step_cm * (ftsi.longest_t3_fs + ftsi.before_fs) / (2 * np.pi)
    # white noise of variance 1 on the amplitude 2 E; the gate keeps this share of all delays
    assert per_component == pytest.approx(np.sqrt(kept / 2), rel=0.1)
    found, clean = scanned(noisy=True).maps(), scanned().maps()
    left = found.rephasing[0] - clean.rephasing[0]
    assert 0.001 < np.sqrt(np.mean(np.abs(left) ** 2)) / np.abs(clean.rephasing).max() < 0.05


def test_pixels_may_stand_in_any_order():
    order = RNG.permutation(len(PIXEL_CM))
    scan, shuffled = TwoDScanData(plan()), TwoDScanData(plan(pixel_cm=PIXEL_CM[order]))
    counts = frames(0.0)
    scan.add(Block(0.0, counts, LO))
    shuffled.add(Block(0.0, counts[..., order], LO[order]))
    np.testing.assert_allclose(shuffled.maps().rephasing, scan.maps().rephasing, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("error_fs", [-30.0, -4.0, 0.0, 7.0, 30.0])
def test_a_wrong_lead_is_put_right_by_pump_probe(error_fs):
    """A wrong lead turns the signals along w3; phasing at t1 = 0 turns them back."""
    maps = scanned().maps()
    scan = scanned(plan_=plan(LEAD_FS + error_fs), noisy=True)
    _, r = scan.signals(REPHASING)
    _, n = scan.signals(NONREPHASING)
    pump_probe = 3.0 * np.stack([line(scan.w3_cm).real] * 2)
    phase = fit_phase((r + n)[:, 0] / 2, pump_probe, scan.w3_cm)
    slope = W * error_fs
    assert phase.p1_rad_per_cm == pytest.approx(slope, abs=max(5 * phase.p1_err_rad_per_cm, 2e-6))
    found = scan.maps(phase=phase).absorptive
    assert np.abs(found - maps.absorptive).max() < 0.05 * maps.absorptive.max()


def test_the_slice_at_t1_zero_is_the_mean_over_w1():
    """Projection-slice through the whole chain: the halved sample makes R and N share t1 = 0."""
    scan = scanned()
    _, r = scan.signals(REPHASING)
    _, n = scan.signals(NONREPHASING)
    period_cm = 2 * np.pi / (W * 5.0)
    w1 = 18200 + period_cm * np.arange(len(T1)) / len(T1)
    weights = np.where(T1 == 0, 0.5, 1.0)
    off = W * np.multiply.outer(w1 - 18200, T1)
    summed = (np.exp(-1j * off) * weights) @ r[0] + (np.exp(1j * off) * weights) @ n[0]
    np.testing.assert_allclose(summed.mean(axis=0), (r[0, 0] + n[0, 0]) / 2, atol=1e-9 * np.abs(r).max())
    np.testing.assert_allclose(r[0, 0], n[0, 0], atol=0.01 * np.abs(r).max())


def test_maps_before_any_block_are_refused():
    with pytest.raises(ValueError, match="no block"):
        TwoDScanData(plan()).maps()
