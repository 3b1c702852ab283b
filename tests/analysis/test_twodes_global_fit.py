import numpy as np
import pytest

from qdlab.analysis.twodes.global_fit import global_fit, starting_beats
from qdlab.analysis.twodes.units import W

T2 = np.arange(0.0, 1600.0, 8.0)


def planted(shape, noise, seed, *, real=False):
    rng = np.random.default_rng(seed)

    def amplitude():
        return rng.normal(size=shape) + 1j * rng.normal(size=shape)

    parts = [
        np.multiply.outer(np.exp(-T2 / tau - 1j * W * w2 * T2), amplitude())
        for w2, tau in ((480.0, 115.0), (125.0, 750.0), (0.0, 400.0))
    ]
    signal = sum(parts) + np.multiply.outer(np.ones(len(T2)), amplitude())
    signal = 2 * signal.real if real else signal
    kick = rng.normal(size=signal.shape) + (0 if real else 1j * rng.normal(size=signal.shape))
    return signal + noise * kick


START = {"w2_cm": (450.0, 140.0), "dephasing_fs": (200.0, 500.0), "lifetimes_fs": (300.0,)}


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("shape", [(), (6, 5), (70, 65)])
def test_what_was_planted_is_found(shape, real):
    fit = global_fit(planted(shape, 1e-4, 1, real=real), T2, **START)
    assert fit.converged
    for beat, (w2, tau) in zip(fit.beats, ((480.0, 115.0), (125.0, 750.0)), strict=True):
        assert beat.w2_cm.value == pytest.approx(w2, abs=max(5 * beat.w2_cm.error, 1e-3))
        assert beat.dephasing_fs.value == pytest.approx(tau, abs=max(5 * beat.dephasing_fs.error, 1e-2))
        assert beat.amplitude.shape == shape
    assert fit.decays[0].lifetime_fs.value == pytest.approx(400.0, rel=0.01)
    np.testing.assert_allclose(fit.model(T2), planted(shape, 0.0, 1, real=real), atol=2e-3)


@pytest.mark.parametrize("real", [False, True])
def test_intervals_hold_the_truth_as_often_as_they_say(real):
    pulls = []
    for seed in range(60):
        fit = global_fit(planted((4,), 0.5, seed, real=real), T2, **START)
        for beat, (w2, tau) in zip(fit.beats, ((480.0, 115.0), (125.0, 750.0)), strict=True):
            pulls.append((beat.w2_cm.value - w2) / beat.w2_cm.error)
            pulls.append(
                np.log(beat.dephasing_fs.value / tau) / (beat.dephasing_fs.error / beat.dephasing_fs.value)
            )
    assert np.mean(np.abs(pulls) < 1.96) == pytest.approx(0.95, abs=0.045)
    assert abs(np.mean(pulls)) < 0.25


def test_the_jacobian_is_that_of_the_residual():
    """Kaufman's form leaves out a term that vanishes with the residual: exact for data without noise."""
    from scipy.optimize import approx_fprime

    from qdlab.analysis.twodes.global_fit import _Projection

    theta = np.array([480.0, 125.0, np.log(115.0), np.log(750.0), np.log(400.0)])
    for real in (False, True):
        problem = _Projection(T2, planted((3,), 0.0, 2, real=real), 2, 1)
        numeric = approx_fprime(theta, problem.residual, 1e-6)
        np.testing.assert_allclose(problem.jacobian(theta), numeric, atol=2e-4 * np.abs(numeric).max())


def test_starting_values_find_the_strongest_beats():
    found = starting_beats(planted((20, 20), 0.01, 4), T2, 2)
    assert sorted(found) == pytest.approx([125.0, 480.0], abs=12.0)


def test_too_few_times_are_refused():
    with pytest.raises(ValueError, match="too few for 2 beats"):
        global_fit(planted((3,), 0.1, 1)[:5], T2[:5], **START)


def test_the_time_before_skip_does_not_matter():
    signal = planted((8,), 1e-3, 5)
    spiked = signal.copy()
    spiked[:6] += 5.0
    for which in (signal, spiked):
        fit = global_fit(which, T2, **START, skip_fs=48.0)
        assert fit.beats[0].w2_cm.value == pytest.approx(480.0, abs=0.5)


def padded(signal, factor):
    """Zero-padded to `factor` times as many points along the last axis, as maps along w1 are."""
    few = signal.shape[-1]
    spectrum = np.fft.fft(signal, axis=-1)
    wide = np.zeros((*signal.shape[:-1], few * factor), complex)
    wide[..., : few // 2], wide[..., few // 2 - few :] = spectrum[..., : few // 2], spectrum[..., few // 2 :]
    return factor * np.fft.ifft(wide, axis=-1)


@pytest.mark.parametrize("how", ["padded", "uneven"])
def test_intervals_hold_for_points_that_share_noise_or_differ_in_it(how):
    """Zero padding tells nothing new: intervals must not shrink with it."""
    pulls = []
    for seed in range(40):
        clean, noisy = planted((16,), 0.0, seed), planted((16,), 0.3, seed)
        if how == "padded":
            fit = global_fit(padded(noisy, 6), T2, **START)
        else:
            fit = global_fit(clean + np.linspace(0.1, 2.0, 16) * (noisy - clean), T2, **START)
        for beat, (w2, tau) in zip(fit.beats, ((480.0, 115.0), (125.0, 750.0)), strict=True):
            pulls.append((beat.w2_cm.value - w2) / beat.w2_cm.error)
            pulls.append(
                np.log(beat.dephasing_fs.value / tau) / (beat.dephasing_fs.error / beat.dephasing_fs.value)
            )
    assert np.mean(np.abs(pulls) < 1.96) == pytest.approx(0.95, abs=0.05)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.17)


def test_beats_that_cannot_be_told_apart_have_finite_intervals():
    """Two beats on one line: errors grow, but stay numbers."""
    fit = global_fit(
        planted((6,), 0.1, 3),
        T2,
        w2_cm=(480.0, 481.0, 125.0),
        dephasing_fs=(115.0, 116.0, 700.0),
        lifetimes_fs=(400.0,),
    )
    for beat in fit.beats:
        assert np.isfinite([beat.w2_cm.error, beat.dephasing_fs.error]).all()
