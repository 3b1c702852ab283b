import math

import numpy as np
import pytest

from qdlab.analysis.twodes.beating import beating_spectrum, without_decay
from qdlab.analysis.twodes.interferometry import Interferometer
from qdlab.analysis.twodes.phase_cycling import (
    DOUBLE_QUANTUM,
    NONREPHASING,
    REPHASING,
    SIGNATURES,
    equidistant,
    scheme,
)
from qdlab.analysis.twodes.spectra import (
    RotatingFrame,
    default_w1_axis,
    detect_t3,
    half_line_transform,
    maps_from_t1,
)
from qdlab.analysis.twodes.units import W

ALL = tuple(SIGNATURES.values())


# ---- phase cycling ----


def test_nine_steps_separate_all_signals_of_three_pulses_with_an_external_oscillator():
    for name in ("3x3x1", "1x3x3"):
        assert all(scheme(name).separates(a, ALL) for a in ALL)
        assert scheme(name).steps == 9


@pytest.mark.parametrize(
    ("name", "signature"), [("1x4x2", NONREPHASING), ("1x2x4", DOUBLE_QUANTUM), ("4x2x1", REPHASING)]
)
def test_eight_steps_are_enough_for_one_signal(name, signature):
    assert scheme(name).steps == 8
    assert scheme(name).separates(signature, ALL)
    assert not all(scheme(name).separates(a, ALL) for a in ALL)


def test_twenty_seven_steps_separate_populations_and_no_scheme_of_sixteen_does():
    population = [(-1, 1, 1, -1), (1, -1, 1, -1), (1, 1, -1, -1)]
    assert all(scheme("1x3x3x3").aliases(a, order=4) == [] for a in population)
    for name in ("1x4x4x1", "1x3x3x1", "1x2x2x2"):
        assert not any(scheme(name).aliases(a, order=4) == [] for a in population)
    assert any(scheme("1x3x3x3").aliases(a, order=6) for a in population)
    assert all(scheme("1x4x4x4").aliases(a, order=6) == [] for a in population)


def test_two_steps_fail_three_let_fifth_order_through_and_five_do_not():
    assert not scheme("2x2x1").separates(REPHASING, ALL)
    assert scheme("3x3x1").aliases(REPHASING, order=3) == []
    assert (2, 1, -2) in scheme("3x3x1").aliases(REPHASING, order=5)
    assert scheme("5x5x1").aliases(REPHASING, order=5) == []


def test_planted_signals_come_back_exactly():
    rng = np.random.default_rng(3)
    cycle = scheme("4x4x1")
    planted = {
        a: rng.normal(size=7) + 1j * rng.normal(size=7) for a in [*ALL, (0, 0, 1), (1, 0, 0), (0, 1, 0)]
    }
    frames = sum(
        np.multiply.outer(np.exp(1j * cycle.phases_rad @ np.array(a)), s) for a, s in planted.items()
    )
    for a in ALL:
        np.testing.assert_allclose(cycle.extract(frames, a), planted[a], atol=1e-14)


def test_the_pump_pair_alone_cannot_tell_rephasing_from_nonrephasing():
    four = scheme("pump-probe-4")
    assert NONREPHASING in four.aliases(REPHASING)
    assert not {(0, 0, 1), (1, 0, 0), (0, 1, 0)} & set(four.aliases(REPHASING))
    assert (0, 1, 0) in scheme("pump-probe-2").aliases(REPHASING)  # scatter of the stepped pulse stays
    assert scheme("pump-probe-3").separates(REPHASING, [NONREPHASING])
    assert DOUBLE_QUANTUM in scheme("pump-probe-3").aliases(REPHASING)


@pytest.mark.parametrize("name", ["", "4x", "0x3x1", "4x4", "five", "100x100x100"])
def test_what_is_no_scheme_is_refused(name):
    with pytest.raises(ValueError, match="no phase cycling scheme"):
        scheme(name)


def test_a_pulse_without_a_step_is_refused():
    with pytest.raises(ValueError, match="at least one step"):
        equidistant(3, 0, 1)


# ---- interferometry ----


def fringes(signal, lead_fs=700.0):
    """Pixels, local oscillator and frame of a signal field S(w) on a spectrometer even in wavelength."""
    pixel_cm = 1e7 / np.linspace(480.0, 640.0, 1200)
    lo = 2e4 * np.exp(-4 * math.log(2) * ((pixel_cm - 18200) / 2600) ** 2)
    field = signal(pixel_cm)
    cross = 2 * np.sqrt(lo) * (np.exp(1j * W * pixel_cm * lead_fs) * field).real
    return pixel_cm, lo, lo + cross + np.abs(field) ** 2


def test_a_field_comes_back_from_its_fringes():
    def signal(w_cm):
        lorentz = sum(a / (1 / 60 - 1j * W * (w_cm - c)) / 60 for a, c in ((3, 17900), (-2j, 18600)))
        return lorentz * np.exp(-2 * math.log(2) * ((w_cm - 18200) / 2600) ** 2)

    pixel_cm, lo, frame = fringes(signal)
    ftsi = Interferometer(pixel_cm, lo, lead_fs=700.0)
    found = ftsi.fields(np.stack([frame, lo]) - lo)
    expected = signal(ftsi.wavenumber_cm)
    inner = np.abs(ftsi.wavenumber_cm - 18200) < 1500
    np.testing.assert_allclose(found[0][inner], expected[inner], atol=0.01 * np.abs(expected).max())
    assert np.abs(found[1]).max() < 1e-9
    np.testing.assert_allclose(ftsi.fields((2 - 1j) * (frame - lo)), (2 - 1j) * found[0], atol=1e-9)


def test_fringes_too_fine_for_the_pixels_are_refused():
    pixel_cm, lo, frame = fringes(lambda w: 0 * w)
    with pytest.raises(ValueError, match="finer than the spectrometer resolves"):
        Interferometer(pixel_cm, lo, lead_fs=5000.0).fields(frame)
    with pytest.raises(ValueError, match="must come at least"):
        Interferometer(pixel_cm, lo, lead_fs=30.0)


# ---- maps ----

T1 = np.arange(0, 600, 6.0)
W3 = np.linspace(17000, 19500, 101)


@pytest.mark.parametrize("g", [0.0, 0.9, 1.0])
def test_a_peak_stands_at_its_frequencies_in_any_rotating_frame(g):
    frame = RotatingFrame(g, 18200.0)
    t1 = T1 if g == 1.0 else np.arange(0, 600, 0.8 if g == 0.0 else 4.0)
    beat = W * (17800.0 - frame.offset_cm)
    line = np.exp(-t1 / 60)
    peak = 1 / (1 / 60 - 1j * W * (W3 - 18500.0))
    r = (np.exp(1j * beat * t1) * line)[None, :, None] * peak
    n = (np.exp(-1j * beat * t1) * line)[None, :, None] * peak
    w1 = np.linspace(17000, 19000, 401)
    maps = maps_from_t1(r, n, t1_fs=t1, t2_fs=np.zeros(1), w1_cm=w1, w3_cm=W3, frame=frame)
    k1, k3 = np.unravel_index(np.argmax(maps.absorptive[0]), maps.absorptive[0].shape)
    assert (w1[k1], W3[k3]) == (17800.0, 18500.0)


def test_the_first_sample_counts_half():
    line = np.exp(-T1 / 60).astype(complex)
    far = half_line_transform(line, T1, np.array([0.0]), sign=1, axis=0)
    assert far[0] == pytest.approx(60.0, rel=1e-3)


def test_the_projection_over_w1_is_the_signal_at_t1_zero():
    """Projection-slice: the mean over a whole period of w1 gives back half the first sample of R and of N."""
    rng = np.random.default_rng(1)
    s0 = rng.normal(size=len(W3)) + 1j * rng.normal(size=len(W3))
    r, n = ((np.exp(sign * 1j * W * 300 * T1 - T1 / 80))[None, :, None] * s0 for sign in (1, -1))
    w1 = 18200 + np.arange(400) / 400 * 2 * math.pi / (W * 6.0)
    maps = maps_from_t1(
        r, n, t1_fs=T1, t2_fs=np.zeros(1), w1_cm=w1, w3_cm=W3, frame=RotatingFrame(1.0, 18200.0)
    )
    slice_ = (maps.rephasing + maps.nonrephasing)[0].mean(axis=0) / 6.0
    np.testing.assert_allclose(slice_, s0, atol=1e-12)


def test_an_axis_wider_than_the_step_allows_is_refused():
    with pytest.raises(ValueError, match="tells frequencies apart over 5559 cm-1"):
        maps_from_t1(
            np.zeros((1, len(T1), 1), complex),
            np.zeros((1, len(T1), 1), complex),
            t1_fs=T1,
            t2_fs=np.zeros(1),
            w1_cm=np.linspace(15000, 21000, 5),
            w3_cm=W3[:1],
            frame=RotatingFrame(1.0, 18200.0),
        )


def test_detection_scanned_in_t3_gives_the_same_axis_as_a_spectrometer():
    t3 = np.arange(0, 600, 4.0)
    signal = np.exp(-1j * W * (18500.0 - 18200.0) * t3 - t3 / 60)
    found = detect_t3(signal, t3, W3, RotatingFrame(1.0, 18200.0))
    assert W3[np.argmax(found.real)] == 18500.0


def test_times_that_do_not_start_at_zero_are_refused():
    with pytest.raises(ValueError, match="start at 0"):
        half_line_transform(np.ones(3, complex), np.array([1.0, 2.0, 3.0]), W3, sign=1, axis=0)


def test_the_default_axis_is_finer_than_the_resolution():
    axis = default_w1_axis(T1, W3)
    assert axis[0] == W3[0]
    assert axis[-1] == W3[-1]
    assert np.diff(axis).max() < 2 * math.pi / (W * 600) / 3.5


# ---- beats ----


def test_a_beat_keeps_its_sign_and_decays_leave_none():
    t2 = np.arange(0, 960, 8.0)
    beat = 0.3 * np.exp(-1j * W * 480 * t2 - t2 / 400)
    signal = (2 + np.exp(-t2 / 300) + beat)[:, None, None] * np.ones((1, 2, 2))
    w2 = np.linspace(-1500, 1500, 601)
    left = without_decay(signal, t2, (300.0,))
    spectrum = np.abs(beating_spectrum(left, t2, w2).spectrum[:, 0, 0])
    assert abs(w2[np.argmax(spectrum)] - 480) <= 10
    assert spectrum[np.argmin(np.abs(w2 + 480))] < 0.1 * spectrum.max()


def test_beats_past_nyquist_are_refused():
    with pytest.raises(ValueError, match="hold beats up to 2085 cm-1"):
        beating_spectrum(np.ones((10, 1), complex), np.arange(10) * 8.0, np.array([3000.0]))


def test_few_pixels_per_fringe_are_refused_where_they_are_widest():
    """Wavelengths are even, so that wavenumbers lie twice as far apart in the blue as in the red."""
    pixel_cm = 1e7 / np.linspace(480.0, 640.0, 400)
    lo = 2e4 * np.exp(-4 * math.log(2) * ((pixel_cm - 18200) / 2600) ** 2)
    with pytest.raises(ValueError, match="resolves"):
        Interferometer(pixel_cm, lo, lead_fs=700.0).fields(lo)
    assert np.isfinite(Interferometer(pixel_cm, lo, lead_fs=400.0).fields(lo)).all()
